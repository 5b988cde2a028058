"""``ModelRegistrySampler``: each row of its table, its arguments, its environment, and its errors."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
import random
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased, ParentBasedTraceIdRatio, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.span import TraceState
from support.asked_registry import FailingRegistry
from support.lifecycle import bring
from support.spans import KIND, OPERATION, PARAMETERS, PROVIDER, REQUEST, RESPONSE

import spanforge.model_registry as package
import spanforge_model_registry_otel
from spanforge.model_registry import ModelRegistry, get_default_registry
from spanforge.model_registry._core.errors import InvalidEntryError, shorten
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS, RISK_TIERS, STATUSES
from spanforge.model_registry._core.settings import VARIABLES
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.otel import ModelRegistrySampler, ModelRegistrySpanProcessor
from spanforge.model_registry.otel._sampler import RATIO_VARIABLE, from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    Attributes = Mapping[str, AttributeValue]

pytestmark = pytest.mark.usefixtures("no_settings")

FLAGGED = VARIABLES + "SAMPLE_FLAGGED"
KEYS = VARIABLES + "MODEL_ATTRIBUTES"
STATE = TraceState([("vendor", "value")])
LOW, HIGH = 1, 2**64 - 1
"""Trace ids that are in every share but 0, and in none but 1."""
PARENTS = {"none": None, "remote": True, "local": False}
"""Kind of parent to whether it is remote."""
NOT_LOOKED_UP = (
    "model registry: a model could not be looked up, so its span was sampled like any other: {}; "
    "further {} errors are not logged"
)
OPERATION_SPANS = list(OPERATION_SPAN_NAMES.values())
LISTED = [status for status in STATUSES if status in FLAGGED_STATUSES]
NO_OPERATIONS: list[Any] = [
    *("call", "", "model_registry", "model_registry.", "model_registry.registered", "Model_Registry.register"),
    *("model_registry.register ", None, 7, b"model_registry.register", ["model_registry.register"], {}),
]
MODELS = {
    **{tier: (tier, "active") for tier in RISK_TIERS},
    **{status: ("low", status) for status in LISTED},
    **{f"{status}-and-high": ("high", status) for status in LISTED},
}
"""Model to its tier and its status."""
FLAGGED_CALLS: list[Attributes] = [
    *({REQUEST: tier} for tier in RISK_TIERS if tier in FLAGGED_TIERS),
    *({REQUEST: status} for status in LISTED),
    *({REQUEST: f"{status}-and-high"} for status in LISTED),
    {REQUEST: "nobody's"},
    {REQUEST: "an-alias"},
    {REQUEST: "high-2024-08-06"},  # a glob
    {REQUEST: 7, RESPONSE: "high"},
    {REQUEST: "low", RESPONSE: "high"},
    {PARAMETERS: '{"model": "high"}'},
    {"llm.model_name": "high"},
    {REQUEST: "high", OPERATION: "chat"},
    {REQUEST: "high", KIND: "LLM"},
    {REQUEST: "two", PROVIDER: "strict"},
    {REQUEST: "two", "gen_ai.system": "strict"},
    {REQUEST: "one", PROVIDER: "nobody"},
    {"a": 1, "b": "2", REQUEST: "high", "c": [1, 2]},
    {REQUEST: "high", OPERATION: ["execute_tool"]},
]
"""Attributes at the start of calls of flagged models."""
ORDINARY: list[Attributes | None] = [
    None,
    {},
    {"http.method": "GET"},
    *({REQUEST: name} for name in ("low", "medium", "low-alias", "")),
    {REQUEST: "high", RESPONSE: "low"},
    {REQUEST: "two", PROVIDER: "lax"},
    {REQUEST: "one", PROVIDER: "lax"},
    *({REQUEST: no_name} for no_name in (7, ["high"], None)),  # type: ignore[dict-item]
    {PARAMETERS: "{}"},
    {PARAMETERS: '{"model": "high"'},
    *({REQUEST: "high", OPERATION: name} for name in ("invoke_agent", "create_agent", "invoke_workflow")),
    {REQUEST: "nobody's", OPERATION: "execute_tool"},
    {REQUEST: "high", KIND: "AGENT"},
    {REQUEST: "nobody's", KIND: "CHAIN"},
    {REQUEST: "deprecated", KIND: "TOOL"},
    {"model_name": "high"},  # a key of another scope
    {"my.model": "high"},
    {"model_registry.risk_tier": "high", "model_registry.status": "retired"},
]
"""Attributes at the start of spans that are not calls of flagged models."""


@pytest.fixture
def registry() -> ModelRegistry:
    """Give a registry with a model of each kind."""
    registry = ModelRegistry(auto_emit=False)
    for name, (tier, status) in MODELS.items():
        aliases = {"high": ["an-alias", "high-*"], "low": ["low-alias"]}.get(name, [])
        registry.register(name, name, "1", tier, "team", "test", aliases=aliases)  # type: ignore[arg-type]
        bring(registry, name, status)
    registry.register("of-strict", "N", "1", "high", "team", "test", aliases=["two"], provider="strict")
    registry.register("of-lax", "N", "1", "low", "team", "test", aliases=["two", "one"], provider="lax")
    return registry


def parent(kind: str, *, sampled: bool = False, state: TraceState | None = STATE, trace_id: int = 7) -> Context | None:
    """Return the context of a span that has such a parent."""
    remote = PARENTS[kind]
    if remote is None:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return trace.set_span_in_context(NonRecordingSpan(SpanContext(trace_id, 3, remote, flags, state)))


def kept(sampler: Sampler, attributes: Any = None, context: Any = None, name: Any = "call", trace_id: int = 7) -> bool:
    """Check whether a span is kept, with its attributes and its parent's trace state."""
    result = sampler.should_sample(context, trace_id, name, SpanKind.CLIENT, attributes, [])
    assert result.decision in (Decision.RECORD_AND_SAMPLE, Decision.DROP)
    sampled = result.decision is Decision.RECORD_AND_SAMPLE
    assert dict(result.attributes) == (dict(attributes or {}) if sampled else {})
    assert result.trace_state == (None if context is None else STATE)
    return sampled


every_parent = pytest.mark.parametrize("kind", PARENTS)
every_flag = pytest.mark.parametrize("sampled", [True, False])
either = pytest.mark.parametrize("flagged", [True, False])


@every_parent
@every_flag
@either
@pytest.mark.parametrize("name", OPERATION_SPANS)
def test_lifecycle_operation_is_kept(kind: str, sampled: Any, flagged: Any, name: str) -> None:
    """The span of a lifecycle operation is kept with any parent, trace id and ratio."""
    sampler = ModelRegistrySampler(0, flagged)
    assert kept(sampler, {"a": 1}, parent(kind, sampled=sampled), name, HIGH)


@pytest.mark.parametrize("name", NO_OPERATIONS, ids=repr)
def test_other_span_names_are_not_kept(name: Any) -> None:
    """Spans with other names, or with names that are no text, are sampled like any other span."""
    assert not kept(ModelRegistrySampler(0), name=name)
    assert not kept(ModelRegistrySampler(0, flagged=True), name=name)
    assert not kept(ModelRegistrySampler(), None, parent("local"), name)
    assert kept(ModelRegistrySampler(), name=name)


@every_parent
@every_flag
@pytest.mark.parametrize("call", FLAGGED_CALLS, ids=str)
def test_flagged_call_is_kept(registry: ModelRegistry, kind: str, sampled: Any, call: Attributes) -> None:
    """The call of a flagged model is kept with ``flagged``, and sampled like any other span without it."""
    context = parent(kind, sampled=sampled)
    assert kept(ModelRegistrySampler(0, flagged=True, registry=registry), call, context, trace_id=HIGH)
    usual = sampled and context is not None
    assert kept(ModelRegistrySampler(0, registry=registry), call, context, trace_id=HIGH) is usual


def test_ignored_models_are_not_flagged(registry: ModelRegistry, monkeypatch: Any) -> None:
    """If ``unregistered`` is ``ignore``, unregistered models are not flagged; others are."""
    monkeypatch.setenv(VARIABLES + "UNREGISTERED", "ignore")
    sampler = ModelRegistrySampler(0, flagged=True, registry=registry)
    assert not kept(sampler, {REQUEST: "nobody's"}, trace_id=HIGH)
    assert all(kept(sampler, {REQUEST: name}, trace_id=HIGH) for name in ("high", "deprecated", "retired"))


@every_parent
@every_flag
@either
@pytest.mark.parametrize("span", ORDINARY, ids=str)
def test_other_span_follows_its_parent(
    registry: ModelRegistry, kind: str, sampled: Any, flagged: Any, span: Attributes | None
) -> None:
    """Any other span is sampled like its parent; a root span is kept if its trace id is in the share."""
    sampler = ModelRegistrySampler(0.5, flagged, registry)
    context = parent(kind, sampled=sampled)
    for trace_id in (LOW, HIGH):
        expected = trace_id == LOW if context is None else sampled
        assert kept(sampler, span, context, trace_id=trace_id) is expected


@pytest.mark.parametrize("ratio", [0, 1, 0.1, 0.5, 1e-3, 0.999999])
def test_same_root_spans_as_opentelemetry(ratio: float) -> None:
    """The sampler keeps the root spans that ``parentbased_traceidratio`` keeps, also at the edge of the share."""
    chance = random.Random(1)
    edge = round(ratio * 2**64)
    ids = [chance.getrandbits(128) or 1 for _ in range(5_000)]
    ids += [number for number in (edge - 1, edge, edge + 1, edge + 2**64, LOW, HIGH) if number > 0]
    ours, theirs = ModelRegistrySampler(ratio), ParentBasedTraceIdRatio(ratio)
    chosen = [each for each in ids if kept(ours, trace_id=each)]
    assert chosen == [each for each in ids if kept(theirs, trace_id=each)]
    assert len(chosen) / len(ids) == pytest.approx(ratio, abs=0.02)


def test_extra_model_keys(registry: ModelRegistry, monkeypatch: Any) -> None:
    """Keys of the setting ``model_attributes`` are tried after the known keys."""
    monkeypatch.setenv(KEYS, "my.model, llm.my")
    sampler = ModelRegistrySampler(0, flagged=True, registry=registry)
    assert kept(sampler, {"my.model": "high"})
    assert kept(sampler, {"llm.my": "high"})
    assert not kept(sampler, {"my.model": "low"})
    assert not kept(sampler, {"my.model": "high", REQUEST: "low"})
    assert not kept(sampler, {"other.model": "high"})
    assert not kept(ModelRegistrySampler(0, registry=registry), {"my.model": "high"})


def test_registry_at_the_start_of_the_span(registry: ModelRegistry) -> None:
    """The registry's state at the start of the span decides."""
    sampler = ModelRegistrySampler(0, flagged=True, registry=registry)
    assert not kept(sampler, {REQUEST: "low"})
    registry.deprecate("low")
    assert kept(sampler, {REQUEST: "low"})
    registry.register("nobody's", "N", "1", "medium", "team", "test")
    assert not kept(sampler, {REQUEST: "nobody's"})
    registry.clear()
    assert kept(sampler, {REQUEST: "nobody's"})


def test_process_wide_registry_is_the_default(registry: ModelRegistry, monkeypatch: Any) -> None:
    """Without a registry, the one that is process-wide at the start of the span decides."""
    sampler = ModelRegistrySampler(0, flagged=True)
    assert kept(sampler, {REQUEST: "low"})
    replace_file_entries(get_default_registry(), registry.list_all())
    assert not kept(sampler, {REQUEST: "low"})
    monkeypatch.setattr(package, "_registry", ModelRegistry(auto_emit=False))
    assert kept(sampler, {REQUEST: "low"})


def test_empty_registry_is_used(registry: ModelRegistry) -> None:
    """An empty registry that is given is used."""
    replace_file_entries(get_default_registry(), registry.list_all())
    sampler = ModelRegistrySampler(0, flagged=True, registry=ModelRegistry(auto_emit=False))
    assert kept(sampler, {REQUEST: "low"})


@pytest.mark.parametrize(
    ("given", "setting", "expected"),
    [
        (None, None, False),
        (None, " TRUE ", True),
        (False, "true", False),
        ("true", "false", True),
    ],
)
def test_flagged_argument_comes_before_the_setting(
    registry: ModelRegistry, monkeypatch: Any, given: Any, setting: str | None, expected: Any
) -> None:
    """The argument ``flagged`` comes before the setting; the default is false."""
    if setting is not None:
        monkeypatch.setenv(FLAGGED, setting)
    sampler = ModelRegistrySampler(0, given, registry)
    assert sampler.flagged is expected
    assert kept(sampler, {REQUEST: "high"}) is expected


def test_bad_flagged(monkeypatch: Any, lines: Any) -> None:
    """A bad argument is an error; a bad setting is logged once, and the default is used."""
    with pytest.raises(InvalidEntryError, match="flagged must be one of true, false; got 'perhaps'"):
        ModelRegistrySampler(flagged="perhaps")  # type: ignore[arg-type]
    monkeypatch.setenv(FLAGGED, "perhaps")
    assert [ModelRegistrySampler().flagged for _ in range(3)] == [False] * 3
    assert lines() == [f"model registry: {FLAGGED} must be one of true, false; got 'perhaps'; using the default, false"]


def test_failing_registry_is_logged_once(lines: Any) -> None:
    """If the registry fails, spans are sampled like others, and each kind of error is logged once."""
    registry = FailingRegistry(auto_emit=False)
    registry.error = RuntimeError("broken")
    sampler = ModelRegistrySampler(0.5, flagged=True, registry=registry)
    for _ in range(3):
        assert not kept(sampler, {REQUEST: "high"}, trace_id=HIGH)
        assert kept(sampler, {REQUEST: "high"}, trace_id=LOW)
        assert not kept(sampler, {REQUEST: "high"}, parent("remote"), trace_id=LOW)
        assert kept(sampler, name=OPERATION_SPANS[0], trace_id=HIGH)
    assert lines() == [NOT_LOOKED_UP.format("RuntimeError('broken')", "RuntimeError")]
    registry.error = KeyError("broken")
    for _ in range(3):
        assert not kept(sampler, {REQUEST: "high"}, trace_id=HIGH)
    assert lines()[1:] == [NOT_LOOKED_UP.format("KeyError('broken')", "KeyError")]


def test_defaults() -> None:
    """By default, every root span is kept, and no model is flagged."""
    sampler = ModelRegistrySampler()
    assert (sampler.ratio, sampler.flagged, sampler.registry) == (1.0, False, None)
    assert isinstance(sampler, Sampler)
    assert kept(sampler, trace_id=HIGH)


@pytest.mark.parametrize("name", ["ratio", "flagged", "registry", "_fallback", "_keys", "another"])
def test_sampler_is_immutable(name: str) -> None:
    """No attribute of a sampler can be set or deleted."""
    sampler = ModelRegistrySampler(0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(sampler, name, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(sampler, name)
    assert sampler.ratio == 0.5


def test_samplers_are_equal_by_value(registry: ModelRegistry, monkeypatch: Any) -> None:
    """Samplers with the same decisions are equal and have the same hash."""
    one = ModelRegistrySampler(1, flagged=True, registry=registry)
    same = ModelRegistrySampler(1.0, flagged="true", registry=registry)  # type: ignore[arg-type]
    assert one == same
    assert len({one, same}) == 1
    assert one != ParentBased(ALWAYS_ON)
    others = [
        ModelRegistrySampler(0.5, flagged=True, registry=registry),
        ModelRegistrySampler(1, flagged=False, registry=registry),
        ModelRegistrySampler(1, flagged=True),
    ]
    monkeypatch.setenv(KEYS, "my.model")
    others.append(ModelRegistrySampler(1, flagged=True, registry=registry))
    assert len({one, *others}) == 5


def test_description(registry: ModelRegistry) -> None:
    """The description has the ratio and ``flagged``; ``repr`` has the registry too."""
    sampler = ModelRegistrySampler(0.25, flagged=True, registry=registry)
    assert sampler.get_description() == "ModelRegistrySampler{ratio=0.25,flagged=true}"
    assert ModelRegistrySampler(1).get_description() == "ModelRegistrySampler{ratio=1.0,flagged=false}"
    assert repr(sampler) == f"ModelRegistrySampler(ratio=0.25, flagged=True, registry={registry!r})"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_are_equal(copied: Callable[[Sampler], Sampler]) -> None:
    """A copied or unpickled sampler is equal and makes the same decisions."""
    sampler = ModelRegistrySampler(0.5, flagged=True)
    other = copied(sampler)
    assert other == sampler
    assert [kept(other, trace_id=each) for each in (LOW, HIGH)] == [True, False]
    assert kept(other, {REQUEST: "nobody's"}, parent("remote"))


def test_replaced_ratio(registry: ModelRegistry) -> None:
    """A copy with another ratio keeps the other arguments."""
    sampler = dataclasses.replace(ModelRegistrySampler(1, flagged=True, registry=registry), ratio=0.5)
    assert (sampler.ratio, sampler.flagged, sampler.registry) == (0.5, True, registry)
    assert not kept(sampler, trace_id=HIGH)


@pytest.mark.parametrize(
    "ratio", [2, -1, math.nan, math.inf, -math.inf, 1.0000001, -5e-324, True, False, "0.5", "", None, [0.5], 1j]
)
def test_bad_ratio_is_an_error(ratio: Any) -> None:
    """A bad ratio is an error that has the rule."""
    with pytest.raises(InvalidEntryError) as caught:
        ModelRegistrySampler(ratio)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.field, caught.value.value) == ("ratio", ratio)
    assert str(caught.value) == f"ratio must be a number from 0 to 1; got {shorten(ratio)}"


GOOD = {None: 1.0, "": 1.0, "  \t": 1.0, "1": 1.0, "0": 0.0, "0.25": 0.25, " 0.25\n": 0.25, "1e-3": 0.001, "1.0": 1.0}
BAD = ["abc", "2", "-1", "nan", "inf", "0,5", "50%", "True", "0.5 0.5", "1e400", "x" * 10_000, "0.5\x00", "a\nb"]
made_by = pytest.mark.parametrize("make", [from_environment, spanforge_model_registry_otel.sampler])


@made_by
@pytest.mark.parametrize("given", GOOD, ids=repr)
def test_ratio_of_the_environment(monkeypatch: Any, lines: Any, make: Any, given: str | None) -> None:
    """The ratio is the argument, or else the variable, or else 1."""
    assert make(given).ratio == GOOD[given]
    if given is not None:
        monkeypatch.setenv(RATIO_VARIABLE, given)
    for made in (make(), make(None)):
        assert type(made) is ModelRegistrySampler
        assert (made.ratio, made.flagged, made.registry) == (GOOD[given], False, None)
    monkeypatch.setenv(RATIO_VARIABLE, "0.75")
    assert make(given).ratio == (0.75 if given is None else GOOD[given])
    assert lines() == []


@made_by
@pytest.mark.parametrize("given", BAD, ids=lambda given: ascii(given)[:20])
def test_bad_ratio_is_logged(monkeypatch: Any, lines: Any, make: Any, given: str) -> None:
    """A bad ratio is one line with the variable, the rule and the default; every root span is kept."""
    for _ in range(3):
        assert make(given).ratio == 1.0
    if "\x00" not in given:
        monkeypatch.setenv(RATIO_VARIABLE, given)
        assert make().ratio == 1.0
    (line,) = lines()
    assert line.startswith(f"model registry: {RATIO_VARIABLE} must be a number from 0 to 1; got ")
    assert line.endswith("; using the default, 1")
    assert line.isprintable()
    assert len(line) < 400


@made_by
def test_flagged_setting(monkeypatch: Any, make: Any) -> None:
    """The setting ``sample_flagged`` is in force for the environment's sampler."""
    monkeypatch.setenv(FLAGGED, "true")
    assert make("0") == ModelRegistrySampler(0, flagged=True)
    assert make("0.5").get_description() == "ModelRegistrySampler{ratio=0.5,flagged=true}"


@made_by
def test_nothing_is_flagged_if_the_plugin_is_off(monkeypatch: Any, make: Any) -> None:
    """If ``enabled`` is off, no model is flagged."""
    monkeypatch.setenv(FLAGGED, "true")
    monkeypatch.setenv(VARIABLES + "ENABLED", "false")
    assert make("0").flagged is False
    assert not kept(make("0"), {REQUEST: "nobody's"}, trace_id=HIGH)


def test_entry_point_falls_back_to_the_default(lines: Any) -> None:
    """If the sampler cannot be made, the entry point returns OpenTelemetry's default and logs one line."""
    made = spanforge_model_registry_otel.sampler(0.5)  # type: ignore[arg-type]
    assert kept(made, trace_id=HIGH)
    assert not kept(made, None, parent("remote"))
    (line,) = lines()
    assert line.startswith(
        "model registry: the sampler was not loaded, so OpenTelemetry's default sampler is used: AttributeError: "
    )


def test_children_of_a_flagged_call_are_kept(registry: ModelRegistry, pipeline: Any, exporter: Any) -> None:
    """If a call is kept under a parent that is not, its children are kept and its siblings are not."""
    sampler = ModelRegistrySampler(0, flagged=True, registry=registry)
    tracer = pipeline(ModelRegistrySpanProcessor(registry), sampler=sampler).tracer
    with tracer.start_as_current_span("root") as root:
        with tracer.start_as_current_span("call", attributes={REQUEST: "high"}):
            tracer.start_span("below").end()
        tracer.start_span("low", attributes={REQUEST: "low"}).end()
        with tracer.start_as_current_span("late") as late:
            late.set_attribute(REQUEST, "high")
        tracer.start_span("beside").end()
    assert not root.is_recording()
    assert [span.name for span in exporter.spans] == ["below", "call"]
    assert {span.trace_id for span in exporter.spans} == {root.get_span_context().trace_id}
    assert exporter.spans[1].ours["risk_tier"] == "high"
