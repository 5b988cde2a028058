"""The sampler, chosen from outside: by environment and by declarative configuration, in processes of their own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import spanforge_model_registry_otel
from spanforge.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="the processes are POSIX's")]

needs_configuration = pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.configuration") is None, reason="needs opentelemetry-configuration"
)

INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
SRC = Path(spanforge_model_registry_otel.__file__).parent
NOT_LOADED = "model registry: the sampler was not loaded, so OpenTelemetry's default sampler is used: "
NOT_INSTALLED = "model registry: the plugin was not installed, so no span is enriched: "
APPLICATION = """
import json, os, sys
from opentelemetry import propagate, trace

REQUEST = "gen_ai.request.model"
SPANS = {"plain": {}, "low": {REQUEST: "low"}, "high": {REQUEST: "high"}, "unknown": {REQUEST: "unknown"}}
tracer = trace.get_tracer("app")

def decided(name, attributes, flag=None):
    header = {} if flag is None else {"traceparent": f"00-{'f' * 32}-{'1' * 16}-{flag}"}
    span = tracer.start_span(name, propagate.extract(header), attributes=attributes)
    span.end()
    context = span.get_span_context()
    return context.trace_id & (2**64 - 1), context.trace_flags.sampled

facts = {
    "roots": [decided("root", {}) for _ in range(100)],
    **{flag: {name: decided(name, SPANS[name], flag)[1] for name in SPANS} for flag in ("00", "01")},
}
if "operation" in sys.argv:
    from spanforge.model_registry import deprecate_model, event_counts
    deprecate_model("low")
    facts["events"] = event_counts("span")
sampler = trace.get_tracer_provider().sampler
facts["sampler"] = sampler.get_description()
with open(os.environ["FACTS"], "w") as file:
    json.dump(facts, file)
sys.exit(7)
"""
OPENTELEMETRY = {"OTEL_CONFIG_FILE is set; ignoring configurator kwargs: ['auto_instrumentation_version']"}
"""What OpenTelemetry says whatever we do."""
DEFAULT = (
    "ParentBased{root:AlwaysOnSampler,remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,"
    "localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"
)
"""OpenTelemetry's default sampler, described."""
NONE = {"plain": False, "low": False, "high": False, "unknown": False}
ALL = dict.fromkeys(NONE, True)
FLAGGED = {"plain": False, "low": False, "high": True, "unknown": True}
"""Which spans below a remote parent are kept: none, all, or the calls of flagged models."""
UNKNOWN = "model registry: model 'unknown' is not registered (owner: nobody)"
"""What is said of every application that has the plugin."""
BAD = "model registry: OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1; got {!r}; using the default, 1"
ARGUMENTS: dict[str | None, tuple[float, list[str]]] = {
    None: (1.0, []),
    "": (1.0, []),
    "0": (0.0, []),
    "0.5": (0.5, []),
    "half": (1.0, [BAD.format("half")]),
    "2": (1.0, [BAD.format("2")]),
}
"""Value of ``OTEL_TRACES_SAMPLER_ARG`` to the share that is kept, and what is said."""
EVERYWHERE = "root", "remote_parent_not_sampled", "local_parent_not_sampled"
"""Where within ``parent_based`` the sampler has to stand for calls of flagged models to be kept wherever they are."""
each_argument = pytest.mark.parametrize("argument", ARGUMENTS)


class Done(NamedTuple):
    """What an application has done.

    Attributes:
        code: Its exit code.
        said: The lines of its standard error.
        roots: The lower half of trace ids of its roots, and whether they were sampled.
        unsampled: Whether spans were sampled, by name, under a remote parent that was not.
        sampled: Likewise, under one that was.
        sampler: Its sampler, described.
        events: What became of its lifecycle events.
        exported: Names of the spans that arrived, but for roots.
        exported_roots: How many of those arrived.
    """

    code: int
    said: list[str]
    roots: list[tuple[int, bool]]
    unsampled: dict[str, bool]
    sampled: dict[str, bool]
    sampler: str
    events: list[int] | None
    exported: list[str]
    exported_roots: int

    def keeps(self, ratio: float) -> bool:
        """Tell whether the roots that are in a share were kept, and no others, and have arrived."""
        kept = [sampled for _, sampled in self.roots]
        return (
            kept == [number < round(ratio * 2**64) for number, _ in self.roots]
            and len(kept) == 100
            and self.exported_roots == sum(kept)
        )


class Started:
    """Applications that are started in a folder under ``opentelemetry-instrument``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        registry = ModelRegistry(auto_emit=False)
        for tier in ("low", "high"):
            registry.register(tier, tier, "1", tier, "team", "test")  # type: ignore[arg-type]
        registry.save(folder / "models.json")

    def declare(self, sampler: str) -> str:
        """Return the path of a declarative configuration file with this sampler."""
        path = self.folder / "otel.yaml"
        lines = [
            'file_format: "1.0"',
            "propagator: {composite: [{tracecontext: {}}]}",
            "tracer_provider:",
            "  processors:",
            "    - batch: {exporter: {otlp_file/development: {}}}",
            f"  sampler: {sampler}",
        ]
        path.write_text("\n".join(lines))
        return str(path)

    def run(self, *mode: str, packages: Iterable[Path] = (), **settings: str | None) -> Done:
        """Run the application under these settings, and return what it has done."""
        clean = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
        facts, script = self.folder / "facts", self.folder / "app.py"
        script.write_text(APPLICATION)
        usual = {
            "OTEL_TRACES_EXPORTER": "otlp_json_file",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai",
            "OTEL_PYTHON_MODEL_REGISTRY_FILE": str(self.folder / "models.json"),
            "FACTS": str(facts),
        }
        given = {name: text for name, text in settings.items() if text is not None}
        path = os.pathsep.join(map(str, packages))
        done = subprocess.run(
            [INSTRUMENT, sys.executable, script, *mode],
            env={**clean, **usual, **given, **({"PYTHONPATH": path} if path else {})},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = [line for line in done.stderr.splitlines() if line not in OPENTELEMETRY]
        assert facts.exists(), said
        found: dict[str, Any] = json.loads(facts.read_text())
        names = [
            span["name"]
            for line in done.stdout.splitlines()
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        return Done(
            code=done.returncode,
            said=said,
            roots=[(number, sampled) for number, sampled in found["roots"]],
            unsampled=found["00"],
            sampled=found["01"],
            sampler=found["sampler"],
            events=found.get("events"),
            exported=[name for name in names if name != "root"],
            exported_roots=names.count("root"),
        )


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Done]:
    """Give a function that runs the application with the sampler chosen by environment."""
    return lambda *mode, **settings: Started(tmp_path).run(
        *mode, **{"OTEL_TRACES_SAMPLER": "model_registry", **settings}
    )


@pytest.fixture
def declared(tmp_path: Path) -> Callable[..., Done]:
    """Give a function that runs the application with the sampler that a configuration file has."""

    def run(sampler: str, *mode: str, **settings: Any) -> Done:
        started = Started(tmp_path)
        return started.run(*mode, OTEL_CONFIG_FILE=started.declare(sampler), **settings)

    return run


def described(ratio: float, *, flagged: bool = False) -> str:
    return f"ModelRegistrySampler{{ratio={ratio},flagged={str(flagged).lower()}}}"


# By environment


@each_argument
def test_by_environment(start: Callable[..., Done], argument: str | None) -> None:
    """The variable chooses the sampler, its argument the share; a bad one is one line, and the default is used."""
    ratio, said = ARGUMENTS[argument]
    done = start(OTEL_TRACES_SAMPLER_ARG=argument)
    assert (done.code, done.said, done.sampler) == (7, [*said, UNKNOWN], described(ratio))
    assert done.keeps(ratio)
    assert (done.unsampled, done.sampled) == (NONE, ALL)
    assert done.exported == list(ALL)


def test_flagged_by_environment(start: Callable[..., Done]) -> None:
    """Calls of flagged models arrive though their remote parent is not sampled, and so does every event."""
    flagged = {"OTEL_PYTHON_MODEL_REGISTRY_SAMPLE_FLAGGED": "true", "OTEL_TRACES_SAMPLER_ARG": "0"}
    done = start("operation", **flagged)
    assert (done.code, done.said) == (7, [UNKNOWN])
    assert done.sampler == described(0.0, flagged=True)
    assert (done.unsampled, done.sampled) == (FLAGGED, ALL)
    assert done.keeps(0)
    assert done.exported == ["high", "unknown", *ALL, "model_registry.deprecate"]
    assert done.events == [1, 0, 0, 0]


def test_a_bad_flagged_by_environment(start: Callable[..., Done]) -> None:
    """A bad value of the setting is one line, and the default is used."""
    done = start(OTEL_PYTHON_MODEL_REGISTRY_SAMPLE_FLAGGED="perhaps", OTEL_TRACES_SAMPLER_ARG="0")
    variable = "OTEL_PYTHON_MODEL_REGISTRY_SAMPLE_FLAGGED"
    expected = [f"model registry: {variable} must be one of true, false; got 'perhaps'; using the default, false"]
    assert (done.code, done.said, done.sampler) == (7, [*expected, UNKNOWN], described(0.0))
    assert done.unsampled == NONE


# By declarative configuration


@needs_configuration
@each_argument
def test_declared(declared: Callable[..., Done], argument: str | None) -> None:
    """A configuration file chooses the sampler; what it cannot pass on, the environment says."""
    ratio, said = ARGUMENTS[argument]
    done = declared("{model_registry: {}}", OTEL_TRACES_SAMPLER_ARG=argument)
    assert (done.code, done.said, done.sampler) == (7, [*said, UNKNOWN], described(ratio))
    assert done.keeps(ratio)
    assert (done.unsampled, done.sampled) == (NONE, ALL)


@needs_configuration
@pytest.mark.parametrize(
    ("sampler", "unsampled"),
    [
        ("{model_registry: {}}", FLAGGED),
        ("{model_registry: }", FLAGGED),
        ("{model_registry: {ratio: 1, flagged: false}}", FLAGGED),
        ("{parent_based: {root: {model_registry: {}}}}", NONE),
        (f"{{parent_based: {{{', '.join(f'{place}: {{model_registry: {{}}}}' for place in EVERYWHERE)}}}}}", FLAGGED),
    ],
)
def test_forms_of_declaration(declared: Callable[..., Done], sampler: str, unsampled: dict[str, bool]) -> None:
    """With or without options, which are not passed, it is the same sampler; below ``parent_based`` it sees less."""
    flagged = {"OTEL_PYTHON_MODEL_REGISTRY_SAMPLE_FLAGGED": "true", "OTEL_TRACES_SAMPLER_ARG": "0"}
    done = declared(sampler, "operation", **flagged)
    assert (done.code, done.said) == (7, [UNKNOWN])
    assert described(0.0, flagged=True) in done.sampler
    assert (done.unsampled, done.sampled) == (unsampled, ALL)
    assert done.keeps(0)
    kept = [name for name, is_kept in unsampled.items() if is_kept]
    assert done.exported == [*kept, *ALL, "model_registry.deprecate"]
    assert done.events == [1, 0, 0, 0]


@needs_configuration
def test_the_variable_does_not_count_beside_a_file(declared: Callable[..., Done]) -> None:
    """With a configuration file ``OTEL_TRACES_SAMPLER`` says nothing: the file does."""
    settings = {"OTEL_TRACES_SAMPLER": "model_registry", "OTEL_TRACES_SAMPLER_ARG": "0"}
    assert declared("{always_on: {}}", **settings).sampler == "AlwaysOnSampler"


# What cannot be loaded


def theirs(folder: Path) -> tuple[Path, str]:
    """Make another package with our module's name; return where, and why ours cannot be loaded."""
    other = folder / "theirs"
    (other / "spanforge").mkdir(parents=True)
    (other / "spanforge" / "__init__.py").write_text("")
    (other / "spanforge" / "model_registry.py").write_text("")
    found, ours = other / "spanforge" / "model_registry.py", SRC / "spanforge" / "model_registry"
    return (
        other,
        f"spanforge.model_registry is loaded from {found}, not from {ours}: install both packages into one folder",
    )


def broken(folder: Path) -> tuple[Path, str]:
    """Make a copy of our package whose sampler cannot be imported; return where it is, and why."""
    shutil.copytree(SRC, folder / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "copy" / "spanforge" / "model_registry" / "otel" / "_sampler.py").write_text("a b")
    return folder / "copy", "SyntaxError: invalid syntax (_sampler.py, line 1)"


@pytest.mark.parametrize("way", ["environment", pytest.param("declared", marks=needs_configuration)])
@pytest.mark.parametrize("prepare", [theirs, broken])
def test_a_package_that_cannot_be_loaded(
    tmp_path: Path,
    start: Callable[..., Done],
    declared: Callable[..., Done],
    prepare: Callable[[Path], tuple[Path, str]],
    way: str,
) -> None:
    """Where the package cannot be loaded, one line says so of the sampler, and OpenTelemetry's default is used."""
    package, reason = prepare(tmp_path)
    settings = {"OTEL_TRACES_SAMPLER_ARG": "0", "packages": [package]}
    done = start(**settings) if way == "environment" else declared("{model_registry: {}}", **settings)
    assert (done.code, done.said) == (7, [NOT_LOADED + reason, NOT_INSTALLED + reason])
    assert done.sampler == DEFAULT
    assert done.keeps(1)
    assert (done.unsampled, done.sampled) == (NONE, ALL)


def test_a_sampler_that_cannot_be_made(tmp_path: Path, start: Callable[..., Done]) -> None:
    """Where only the sampler cannot be made, the rest of the plugin works, and the application runs."""
    package, _ = broken(tmp_path)
    path = package / "spanforge" / "model_registry" / "otel" / "_sampler.py"
    text = (SRC / path.relative_to(package)).read_text()
    path.write_text(text.replace("def __post_init__(self) -> None:", "def __post_init__(self) -> None:\n        1 / 0"))
    done = start("operation", OTEL_TRACES_SAMPLER_ARG="0", packages=[package])
    assert done.said == [f"{NOT_LOADED}ZeroDivisionError: division by zero", UNKNOWN]
    assert (done.code, done.sampler) == (7, DEFAULT)
    assert done.keeps(1)
    assert done.exported == [*ALL, "model_registry.deprecate"]
