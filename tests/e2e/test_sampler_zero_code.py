"""The sampler, chosen from outside: by environment and by declarative configuration, in processes of their own."""

from __future__ import annotations

import importlib.util
import json
import os
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.log_lines import not_registered
from support.plugin import NOT_INSTALLED
from support.startup import SRC

from spanforge.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.startup import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="the processes are POSIX's")]

needs_configuration = pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.configuration") is None, reason="needs opentelemetry-configuration"
)

NOT_LOADED = "model registry: the sampler was not loaded, so OpenTelemetry's default sampler is used: "
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
DEFAULT = (
    "ParentBased{root:AlwaysOnSampler,remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,"
    "localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"
)
"""OpenTelemetry's default sampler, described."""
NONE = {"plain": False, "low": False, "high": False, "unknown": False}
ALL = dict.fromkeys(NONE, True)
FLAGGED = {"plain": False, "low": False, "high": True, "unknown": True}
"""Which spans below a remote parent are kept: none, all, or the calls of flagged models."""
UNKNOWN = not_registered("unknown")
"""What is said of every application that has the plugin."""
BAD = "model registry: OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1; got {!r}; using the default, 1"
ARGUMENTS: dict[str | None, tuple[float, list[str]]] = {
    None: (1.0, []),
    "0.5": (0.5, []),
    "half": (1.0, [BAD.format("half")]),
}
"""Value of ``OTEL_TRACES_SAMPLER_ARG`` to the share that is kept, and what is said."""
EVERYWHERE = "root", "remote_parent_not_sampled", "local_parent_not_sampled"
"""Where within ``parent_based`` the sampler has to stand for calls of flagged models to be kept wherever they are."""


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
        """Check whether exactly the roots within the ratio were kept and have arrived."""
        kept = [sampled for _, sampled in self.roots]
        return (
            kept == [number < round(ratio * 2**64) for number, _ in self.roots]
            and len(kept) == 100
            and self.exported_roots == sum(kept)
        )


def run(stage: Stage, *mode: str, sampler: str = "", **settings: str | None) -> Done:
    """Run the application with a sampler that a configuration file has, or that the environment chooses."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("low", "Low", "1", "low", "team", "test")
    registry.register("high", "High", "1", "high", "team", "test")
    registry.save(stage.folder / "models.json")
    stage.set(file=stage.folder / "models.json")
    facts = stage.folder / "facts"
    if sampler:
        stage.declare(sampler=sampler)
    given = {"FACTS": str(facts), **({} if sampler else {"OTEL_TRACES_SAMPLER": "model_registry"}), **settings}
    stage.variables |= {name: text for name, text in given.items() if text is not None}
    done = stage.run(*mode, script=APPLICATION)
    assert facts.exists(), done.said
    found = json.loads(facts.read_text())
    names = [span["name"] for span in done.spans]
    return Done(
        code=done.code,
        said=done.said,
        roots=[(number, sampled) for number, sampled in found["roots"]],
        unsampled=found["00"],
        sampled=found["01"],
        sampler=found["sampler"],
        events=found.get("events"),
        exported=[name for name in names if name != "root"],
        exported_roots=names.count("root"),
    )


def described(ratio: float, *, flagged: bool = False) -> str:
    return f"ModelRegistrySampler{{ratio={ratio},flagged={str(flagged).lower()}}}"


# By environment


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_by_environment(stage: Stage, argument: str | None) -> None:
    """The variable chooses the sampler, its argument the share; a bad one is one line, and the default is used."""
    ratio, said = ARGUMENTS[argument]
    done = run(stage, OTEL_TRACES_SAMPLER_ARG=argument)
    assert (done.code, done.said, done.sampler) == (7, [*said, UNKNOWN], described(ratio))
    assert done.keeps(ratio)
    assert (done.unsampled, done.sampled) == (NONE, ALL)
    assert done.exported == list(ALL)


def test_flagged_by_environment(stage: Stage) -> None:
    """Calls of flagged models arrive though their remote parent is not sampled, and so does every event."""
    flagged = {"OTEL_PYTHON_MODEL_REGISTRY_SAMPLE_FLAGGED": "true", "OTEL_TRACES_SAMPLER_ARG": "0"}
    done = run(stage, "operation", **flagged)
    assert (done.code, done.said) == (7, [UNKNOWN])
    assert done.sampler == described(0.0, flagged=True)
    assert (done.unsampled, done.sampled) == (FLAGGED, ALL)
    assert done.keeps(0)
    assert done.exported == ["high", "unknown", *ALL, "model_registry.deprecate"]
    assert done.events == [1, 0, 0, 0]


# By declarative configuration


@needs_configuration
def test_declared(stage: Stage) -> None:
    """A configuration file chooses the sampler; what it cannot pass on, the environment says."""
    done = run(stage, sampler="{model_registry: {}}", OTEL_TRACES_SAMPLER_ARG="0.5")
    assert (done.code, done.said, done.sampler) == (7, [UNKNOWN], described(0.5))
    assert done.keeps(0.5)
    assert (done.unsampled, done.sampled) == (NONE, ALL)


@needs_configuration
@pytest.mark.parametrize(
    ("sampler", "unsampled"),
    [
        ("{model_registry: {ratio: 1, flagged: false}}", FLAGGED),
        ("{parent_based: {root: {model_registry: {}}}}", NONE),
        (f"{{parent_based: {{{', '.join(f'{place}: {{model_registry: }}' for place in EVERYWHERE)}}}}}", FLAGGED),
    ],
)
def test_forms_of_declaration(stage: Stage, sampler: str, unsampled: dict[str, bool]) -> None:
    """With or without options, which are not passed, it is the same sampler; below ``parent_based`` it sees less."""
    flagged = {"OTEL_PYTHON_MODEL_REGISTRY_SAMPLE_FLAGGED": "true", "OTEL_TRACES_SAMPLER_ARG": "0"}
    done = run(stage, "operation", sampler=sampler, **flagged)
    assert (done.code, done.said) == (7, [UNKNOWN])
    assert described(0.0, flagged=True) in done.sampler
    assert (done.unsampled, done.sampled) == (unsampled, ALL)
    assert done.keeps(0)
    kept = [name for name, is_kept in unsampled.items() if is_kept]
    assert done.exported == [*kept, *ALL, "model_registry.deprecate"]
    assert done.events == [1, 0, 0, 0]


# What cannot be loaded


def theirs(stage: Stage) -> str:
    """Put another package with our module's name first; return why ours cannot be loaded."""
    found, ours = stage.add_their_package() / "model_registry.py", SRC / "spanforge" / "model_registry"
    return f"spanforge.model_registry is loaded from {found}, not from {ours}: install both packages into one folder"


def broken(stage: Stage) -> str:
    """Use a copy of our package whose sampler cannot be imported; return why."""
    (stage.copy() / "otel" / "_sampler.py").write_text("a b")
    return "SyntaxError: invalid syntax (_sampler.py, line 1)"


@pytest.mark.parametrize(
    ("prepare", "sampler"),
    [(theirs, ""), (broken, ""), pytest.param(theirs, "{model_registry: {}}", marks=needs_configuration)],
)
def test_a_package_that_cannot_be_loaded(stage: Stage, prepare: Callable[[Stage], str], sampler: str) -> None:
    """If the package cannot be loaded, one line says so of the sampler, and OpenTelemetry's default is used."""
    reason = prepare(stage)
    done = run(stage, sampler=sampler, OTEL_TRACES_SAMPLER_ARG="0")
    assert (done.code, done.said) == (7, [NOT_LOADED + reason, NOT_INSTALLED + reason])
    assert done.sampler == DEFAULT
    assert done.keeps(1)
    assert (done.unsampled, done.sampled) == (NONE, ALL)
