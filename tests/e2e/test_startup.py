"""Applications that are started with the plugin, in processes of their own: whatever is broken, they do not notice.

Each prints, ends and raises as it does without us; standard error has what we have to say, and nothing else of ours.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.startup import BEGINS, CAUGHT, ENDS, INSTRUMENT, PRINTED, SRC

from spanforge.model_registry._core.attributes import ON_SPANS, SPAN_ATTRIBUTE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.startup import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="the processes are POSIX's")]

UNKNOWN = "model registry: model 'gpt-4o' is not registered (owner: nobody)"
NO_SDK = (
    "model registry: no spans are enriched yet: the tracer provider is a ProxyTracerProvider, "
    "not one of opentelemetry-sdk. "
    "Install opentelemetry-distro, or add ModelRegistrySpanProcessor() to your own tracer provider."
)
OURS = "model", "a span was not enriched", "model registry: an event was not emitted"
"""What our lines begin with."""
NOT_READ = "model registry: cannot read the registry files, so the previous entries stay in force: "
NOT_INSTALLED = "model registry: the plugin was not installed, so no span is enriched: "


def test_events_that_nobody_takes(stage: Stage) -> None:
    """Without an SDK a line at the end says how many events of the application's own models were lost."""
    without_distro(stage)
    script = "from spanforge.model_registry import register_model\nregister_model('o1', 'O1', '1', 'low', 't', 'p')"
    done = stage.run(script=script)
    assert (done.code, done.printed, done.spans) == (0, "", [])
    assert done.said == [NO_SDK, "model registry: 1 lifecycle events were not delivered: no tracer provider was set"]


# What may be broken


def command(stage: Stage) -> None:
    stage.command, stage.injected = [INSTRUMENT, sys.executable], False


def injected(stage: Stage) -> None:
    assert stage.injected


class Case(NamedTuple):
    """Something broken.

    Attributes:
        prepare: Breaks it.
        says: Our lines on standard error; ``{folder}`` is the stage's, ``{src}`` where our packages are.
        statuses: What calls show, in any order; after a repair: the first two, and the last.
        mode: What the application does beside its work.
        printed: What it prints.
        others: How a line begins that OpenTelemetry has to say as well; ``None``: nobody else says anything.
        after: Whether the instrumentor that comes after ours is loaded.
    """

    prepare: Callable[[Stage], object]
    says: tuple[str, ...] = ()
    statuses: tuple[str | None, ...] = ("active", "active")
    mode: tuple[str, ...] = ()
    printed: str = PRINTED
    others: str | None = None
    after: bool = True


PLAIN = None, None
UNREGISTERED = "unregistered", "unregistered"
ENTRY = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "1",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "support",
    "status": "active",
    "deployment_date": None,
    "decommission_date": None,
    "metadata": {},
}


def variables(**given: object) -> Callable[[Stage], object]:
    return lambda stage: stage.variables.update({name: str(value) for name, value in given.items()})


def settings(**given: object) -> Callable[[Stage], object]:
    return lambda stage: stage.set(**given)


# … the registry's file


CANNOT_LOAD = "model registry: cannot load registry file {folder}"
UNTIL_FIXED = "its models show as unregistered until the file is fixed"
MISSING = f"{CANNOT_LOAD}/missing.json: no such file; {UNTIL_FIXED}"


def an_entry(model_id: str = "gpt-4o", **changes: object) -> str:
    return json.dumps([{**ENTRY, "model_id": model_id, **changes}])


def unreadable(path: Path) -> None:
    path.write_text("[]")
    path.chmod(0)


def content(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


NOT_JSON = ", line 1, column 1: is not valid JSON: Expecting value"
BAD_FILES: list[tuple[str, Callable[[Path], object]]] = [
    (": no such file", lambda _: None),
    (NOT_JSON, content("models: []")),
    (", line 1, column 23: is not valid JSON: Expecting ',' delimiter", content('[{"model_id": "gpt-4o"')),
    (NOT_JSON, content("")),
    (": must be a JSON array of entries; got a mapping", content('{"gpt-4o": {}}')),
    (": cannot be read: it is not a regular file", lambda path: path.mkdir()),
    (": cannot be read: it is not a regular file", os.mkfifo),
    (": cannot be read: Too many levels of symbolic links", lambda path: path.symlink_to(path.name)),
    *([] if os.geteuid() == 0 else [(": cannot be read: Permission denied", unreadable)]),  # root may read everything
    (
        ", entry 1, model 'gpt-4o', field 'model_id': must be unique; entry 0 has it too",
        content(json.dumps([ENTRY, ENTRY])),
    ),
    (
        ", entry 0, model 'gpt-4o', field 'risk_tier': must be one of low, medium, high, critical; got 'none'",
        content(an_entry(risk_tier="none")),
    ),
]
"""Why a file cannot be loaded, and what makes it so."""
TOO_LONG = "x" * 300


def bad_files(stage: Stage) -> None:
    """Name files that cannot be loaded, each for another reason; for each but one the application has a good one."""
    paths = [stage.folder / f"{number}.json" for number in range(len(BAD_FILES))]
    good = [stage.folder / f"{number}.good" for number in range(len(BAD_FILES))]
    for number, (_, make_bad) in enumerate(BAD_FILES):
        make_bad(paths[number])
        good[number].write_text(an_entry(f"model-{number}" if number else "gpt-4o"))
    stage.variables |= {name: os.pathsep.join(map(str, files)) for name, files in (("BROKEN", paths), ("GOOD", good))}
    stage.set(file=os.pathsep.join([*map(str, paths), TOO_LONG]), reload_interval=100)


def two_files(stage: Stage) -> None:
    (stage.folder / "other.json").write_text(an_entry())
    stage.set(file=f"missing.json{os.pathsep}other.json")


def same_in_both(stage: Stage) -> None:
    for name in ("a.json", "b.json"):
        (stage.folder / name).write_text(an_entry())
    stage.set(file=f"a.json{os.pathsep}b.json")


FILES = {
    "bad files": Case(
        bad_files,
        (
            *(f"{CANNOT_LOAD}/{number}.json{why}; {UNTIL_FIXED}" for number, (why, _) in enumerate(BAD_FILES)),
            f"{CANNOT_LOAD}/{TOO_LONG}: cannot be read: File name too long; {UNTIL_FIXED}",
            UNKNOWN,
        ),
        (*UNREGISTERED, "active"),
        ("repair",),
        f"{BEGINS}{CAUGHT}registered\n{ENDS}",
    ),
    "one of two files": Case(two_files, (MISSING,)),
    "an id in two files": Case(
        same_in_both,
        (
            (
                "model registry: model 'gpt-4o' is in both {folder}/a.json and {folder}/b.json; "
                "the previous entries of all files stay in force"
            ),
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
}

# … settings


def bad_setting(
    name: str, value: str, rule: str, default: str, prepare: Callable[[Stage], object] | None = None
) -> Case:
    variable = f"OTEL_PYTHON_MODEL_REGISTRY_{name.upper()}"
    says = f"{name if prepare else variable} must be {rule}; got {value!r}; using the default, {default}"
    return Case(prepare or variables(**{variable: value}), (f"model registry: {says}",))


NAMES = ", ".join(SPAN_ATTRIBUTE_NAMES)
INTERVAL = "0, or milliseconds from 100 to 86400000"

BAD_VALUES = [
    bad_setting("enabled", "perhaps", "one of true, false", "true"),
    bad_setting("reload_interval", "10s", INTERVAL, "10000"),
    bad_setting(
        "span_attributes",
        "color",
        f"names of {NAMES}, or changes to the default such as +purpose and -version",
        ",".join(ON_SPANS),
    ),
    bad_setting(
        "model_attributes",
        "model_registry.name",
        "at most 32 attribute keys of at most 256 characters, none of them model_registry.*",
        "none",
    ),
    bad_setting("unregistered", "drop", "one of warn, ignore", "warn"),
]

VALUES = {
    "bad values": Case(
        lambda stage: [case.prepare(stage) for case in BAD_VALUES],
        tuple(line for case in BAD_VALUES for line in case.says),
    ),
    "not enabled": Case(settings(enabled="false", file="/no/such/file.json", unregistered="drop"), (), PLAIN),
    "a disabled instrumentation": Case(
        variables(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="openai, model_registry"), (), PLAIN
    ),
    "unregistered models ignored": Case(settings(file="", unregistered="ignore"), (), PLAIN),
}

# … declarative configuration


def declared(written: str) -> Callable[[Stage], object]:
    return lambda stage: stage.declare(written)


DECLARATIVE = {
    "not enabled in the file": Case(declared("{enabled: false}"), (), PLAIN),
    "enabled in the file only": Case(lambda stage: (stage.set(enabled="false"), stage.declare("{enabled: true}"))),
    "a misspelt option": Case(
        declared("{unregistred: ignore, file: '', span_attributes: [status]}"),
        (
            (
                "model registry: option 'unregistred' is unknown and ignored; options are enabled, file, "
                "reload_interval, span_attributes, model_attributes, unregistered, events"
            ),
        ),
    ),
    "a bad option": bad_setting("reload_interval", "10s", INTERVAL, "10000", declared("{reload_interval: 10s}")),
    "an option of another kind": Case(
        declared("{file: {a: 1}}"),
        (
            (
                "model registry: file must be a path, or several separated by ':'; got {{'a': 1}}; "
                "using the default, none"
            ),
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
    "a file that is missing by option": Case(
        declared("{file: missing.json}"),
        (MISSING, UNKNOWN),
        UNREGISTERED,
    ),
    "a name without options": Case(
        declared("null"), (), (), others="opentelemetry.configuration._exceptions.ConfigurationError: ", after=False
    ),
    "no tracer provider declared": Case(lambda stage: stage.declare("{}", exporting=False), (NO_SDK,), ()),
    "no declarative file": Case(
        variables(OTEL_CONFIG_FILE="/no/such/file.yaml"), (), (), others="Failed to auto initialize", after=False
    ),
}

# … the SDK


def without_distro(stage: Stage) -> None:
    """Hide the distro: of two packages of one name the first one counts, and this one has no entry points."""
    info = stage.beside("nothing") / "opentelemetry_distro-99.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: opentelemetry-distro\nVersion: 99\n")


NOBODY_THERE = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
    "OTEL_BSP_EXPORT_TIMEOUT": "500",
    "NO_PROXY": "127.0.0.1",
}

SDK = {
    "no distro": Case(without_distro, (NO_SDK,), ()),
    "no such configurator": Case(
        variables(OTEL_PYTHON_CONFIGURATOR="no_such"), (NO_SDK,), (), others="Configuration of configurator not loaded"
    ),
    "no such distro": Case(variables(OTEL_PYTHON_DISTRO="no_such")),
    "a provider of the application's own": Case(without_distro, (NO_SDK,), (*PLAIN, None), ("own provider",)),
    "the instrumentor called afterwards": Case(
        without_distro,
        (NO_SDK,),
        (*PLAIN, None, "active", "active"),
        ("own provider", "instrumentor afterwards"),
        BEGINS + 2 * CAUGHT + ENDS,
    ),
    "a second provider": Case(
        injected, (), ("active", "active", None), ("own provider",), others="Overriding of current TracerProvider"
    ),
    "a disabled SDK": Case(variables(OTEL_SDK_DISABLED="true"), (), ()),
    "no exporter": Case(variables(OTEL_TRACES_EXPORTER="none"), (), ()),
    "no such exporter": Case(
        variables(OTEL_TRACES_EXPORTER="no_such"), (), (), others="Failed to auto initialize", after=False
    ),
    "an exporter that raises": Case(
        variables(OTEL_TRACES_EXPORTER="raising"), (), (), others="ValueError: exporter broken"
    ),
    "no backend": Case(
        variables(
            **NOBODY_THERE,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        ),
        (),
        (),
        others="",
    ),
    "no sampling": Case(variables(OTEL_TRACES_SAMPLER="always_off"), (), ()),
    "no room for attributes": Case(variables(OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="1"), (), PLAIN),
}

# … packages


def theirs(place: str, *, first: bool, module: str = "") -> Callable[[Stage], object]:
    """Put a regular package ``spanforge``, as PyPI's is, elsewhere than ours."""

    def prepare(stage: Stage) -> None:
        package = stage.beside(place, first=first) / "spanforge"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "model_registry.py").write_text(module)

    return prepare


def folder_of_the_application(stage: Stage) -> None:
    command(stage)
    package = stage.folder / "spanforge"
    package.mkdir()
    (package / "__init__.py").write_text("")


def replaced(file: str, text: str) -> Callable[[Stage], object]:
    def prepare(stage: Stage) -> None:
        (stage.copy() / file).write_text(text)

    return prepare


def broken_in(file: str, function: str) -> Callable[[Stage], object]:
    return lambda stage: stage.break_in(file, function)


def cannot_be_written(stage: Stage) -> None:
    """Break the function that writes what a limit cuts, and set such a limit."""
    stage.break_in("otel/_span_access.py", "def write_late(")
    stage.variables["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"] = "7"


def without_msgspec(stage: Stage) -> None:
    (stage.beside("other") / "msgspec.py").write_text("raise ImportError('built for\\nanother Python')")


def elsewhere(name: str, file: str) -> str:
    ours = f"{{src}}/{name.replace('.', '/')}"
    reason = f"{name} is loaded from {{folder}}/{file}, not from {ours}: install both packages into one folder"
    return f"{NOT_INSTALLED}{reason}"


THEIRS = elsewhere("spanforge.model_registry", "theirs/spanforge/model_registry.py")
NOT_ENRICHED = "model registry: a span was not enriched; further RuntimeError errors are not logged"

PACKAGES = {
    "their spanforge before ours": Case(theirs("theirs", first=True), (THEIRS,), PLAIN),
    "their spanforge after ours": Case(theirs("theirs", first=False), (THEIRS,), PLAIN),
    "their spanforge broken": Case(
        theirs("theirs", first=False, module="raise ValueError"),
        (elsewhere("spanforge", "theirs/spanforge/__init__.py"),),
        PLAIN,
    ),
    "a spanforge of the application's": Case(
        folder_of_the_application, (elsewhere("spanforge", "spanforge/__init__.py"),), PLAIN
    ),
    "a SystemError at import": Case(
        replaced("otel/instrumentor.py", "raise SystemError('broken')"),
        (f"{NOT_INSTALLED}SystemError: broken",),
        PLAIN,
    ),
    "an ImportError at import": Case(
        replaced("otel/instrumentor.py", "raise ImportError('broken')"),
        (f"{NOT_INSTALLED}ImportError: broken",),
        PLAIN,
    ),
    "a SyntaxError": Case(
        replaced("otel/instrumentor.py", "a b"),
        (f"{NOT_INSTALLED}SyntaxError: invalid syntax (instrumentor.py, line 1)",),
        PLAIN,
    ),
    "an error in the package itself": Case(
        replaced("__init__.py", "raise RuntimeError('broken')"),
        (f"{NOT_INSTALLED}RuntimeError: broken",),
        PLAIN,
    ),
    "a library that cannot be loaded": Case(
        without_msgspec, (f"{NOT_INSTALLED}ImportError: built for another Python",), PLAIN
    ),
    "files that cannot be followed": Case(
        broken_in("watch.py", "def follow_settings("), (f"{NOT_INSTALLED}RuntimeError('broken')",), PLAIN
    ),
    "files that cannot be looked at": Case(
        broken_in("watch.py", "    def _look("),
        (
            f"{NOT_READ}RuntimeError('broken')",
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
    "a registry that takes no files": Case(
        broken_in("_core/state.py", "def replace_file_entries("),
        (
            f"{NOT_READ}RuntimeError('broken')",
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
    "a processor that cannot be made": Case(
        broken_in("otel/_processor.py", "    def __init__(\n        self,\n        registry"),
        (f"{NOT_INSTALLED}RuntimeError('broken')",),
        PLAIN,
    ),
    "a hook that fails at the start": Case(
        broken_in("otel/_processor.py", "    def _handle_start("), (NOT_ENRICHED,), others="RuntimeError: broken"
    ),
    "a hook that fails at the end": Case(
        broken_in("otel/_processor.py", "    def _decide("), (NOT_ENRICHED,), PLAIN, others="RuntimeError: broken"
    ),
    "attributes that cannot be written": Case(
        cannot_be_written,
        (NOT_ENRICHED,),
        PLAIN,
        others="RuntimeError: broken",
    ),
}

# … the application's surroundings


def in_a_folder_that_is_gone(stage: Stage) -> None:
    (stage.folder / "gone").mkdir()
    stage.command = ["/bin/sh", "-c", 'cd gone && rmdir ../gone && exec "$0" "$@"', sys.executable]


def gone_and_relative(stage: Stage) -> None:
    in_a_folder_that_is_gone(stage)
    stage.set(file="models.json")


SURROUNDINGS = {
    "a log handler that raises": Case(variables(FULL="1")),
    "a log handler that raises, much to log": Case(
        lambda stage: (stage.set(file="missing.json", unregistered="drop"), stage.variables.update(FULL="1")),
        (),
        UNREGISTERED,
    ),
    "a log handler that raises, ours broken": Case(
        lambda stage: (stage.variables.update(FULL="1"), theirs("theirs", first=True)(stage)), (), PLAIN
    ),
    "no working folder": Case(in_a_folder_that_is_gone),
    "no working folder, a relative path": Case(
        gone_and_relative,
        (
            (
                "model registry: OTEL_PYTHON_MODEL_REGISTRY_FILE must be an absolute path, because the "
                "working folder does not exist; got 'models.json'; using the default, none"
            ),
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
    "a fork": Case(
        variables(PYTHONWARNINGS="ignore"),  # from Python 3.12 on there is one about threads and fork
        (),
        ("active",) * 4,
        ("fork",),
        f"{BEGINS}{CAUGHT}{CAUGHT}child 5\n{ENDS}",
    ),
    "a fork, with a missing file": Case(
        lambda stage: (stage.set(file="missing.json"), stage.variables.update(PYTHONWARNINGS="ignore")),
        (MISSING, UNKNOWN),
        ("unregistered",) * 4,
        ("fork",),
        f"{BEGINS}{CAUGHT}{CAUGHT}child 5\n{ENDS}",
    ),
    "no standard error": Case(
        lambda stage: (
            setattr(stage, "command", ["/bin/sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable]),
            stage.set(file="missing.json"),
        ),
        (),
        UNREGISTERED,
    ),
    "warnings that are errors, no docstrings, an ASCII terminal": Case(
        lambda stage: (
            stage.variables.update(PYTHONWARNINGS="error", PYTHONIOENCODING="ascii", LC_ALL="C"),
            stage.command.append("-OO"),
        )
    ),
}

BROKEN = FILES | VALUES | DECLARATIVE | SDK | PACKAGES | SURROUNDINGS
NEEDS = dict.fromkeys(
    DECLARATIVE,
    pytest.mark.skipif(
        importlib.util.find_spec("opentelemetry.configuration") is None, reason="needs opentelemetry-configuration"
    ),
)


@pytest.mark.parametrize("broken", [pytest.param(name, marks=NEEDS.get(name, ())) for name in BROKEN])
def test_whatever_is_broken(stage: Stage, broken: str) -> None:
    """The application prints, catches and ends as it does alone; of us standard error has the expected lines only."""
    case = BROKEN[broken]
    case.prepare(stage)
    done = stage.run(*case.mode)
    assert (done.printed, done.code) == (case.printed, 7), done.said
    said = [line for line in done.said if case.others is None or line.startswith(OURS)]
    copied = stage.folder / "copy"
    assert said == [line.format(folder=stage.folder, src=copied if copied.exists() else SRC) for line in case.says]
    assert case.others is None or any(line.startswith(case.others) for line in done.said)
    if "repair" in case.mode:
        assert (*done.statuses[:2], done.statuses[-1]) == case.statuses
    else:
        assert Counter(done.statuses) == Counter(case.statuses)
    assert done.after is case.after
