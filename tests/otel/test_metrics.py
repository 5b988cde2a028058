"""The metrics: what a reader of the real SDK gets of calls, models, sunset dates, files and events."""

from __future__ import annotations

import gc
import json
import threading
import time
import weakref
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import opentelemetry.metrics._internal as api
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import metrics as otel
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint, Sum
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.util._once import Once

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry, get_default_registry, register_model
from spanforge.model_registry._core.conventions import CONVENTIONS, NOT_CALLS, PROVIDER_KEYS, is_call
from spanforge.model_registry._core.emission import set_event_signals
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.otel import _counters as counters
from spanforge.model_registry.otel import _metrics as metrics
from spanforge.model_registry.otel import _span_access as access
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REQUEST, OPERATION, KIND = "gen_ai.request.model", "gen_ai.operation.name", "openinference.span.kind"
GPT = ("gpt-4o", "active", "high", "ml-platform")
NOBODY = (None, "unregistered", None, None)
TOLD = hasattr(SpanProcessor, "_on_ending")
needs_ending_hook = pytest.mark.skipif(not TOLD, reason="opentelemetry-sdk before 1.40 tells of no ending span")


class Point(NamedTuple):
    value: float
    attributes: dict[str, Any]


class Meters:
    """A meter provider of the real SDK, and what a reader gets from it."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def read(self) -> dict[str, Any]:
        """Return each metric by its short name."""
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        scopes = [scope for scope in scopes if scope.scope.name != "opentelemetry-sdk"]  # 1.40 counts its own spans
        for scope in scopes:
            assert (scope.scope.name, scope.scope.version) == ("spanforge.model_registry", "0.1.0")
            assert scope.scope.schema_url
        return {metric.name.removeprefix("model_registry."): metric for scope in scopes for metric in scope.metrics}

    def points(self, name: str) -> list[Point]:
        """Return the points of a metric, their attributes by short name."""
        metric = self.read().get(name)
        found: list[NumberDataPoint] = [] if metric is None else list(metric.data.data_points)
        return [
            Point(
                point.value,
                {key.removeprefix("model_registry."): value for key, value in (point.attributes or {}).items()},
            )
            for point in found
        ]

    def calls(self) -> dict[tuple[Any, ...], float]:
        """Return the calls counted, by model, status, tier and owner."""
        names = ("model_id", "status", "risk_tier", "owner")
        points = self.points("calls")
        assert all(set(point.attributes) <= set(names) for point in points)
        found = {tuple(point.attributes.get(name) for name in names): point.value for point in points}
        assert len(found) == len(points)
        return {series: value for series, value in found.items() if value}


@pytest.fixture
def meters() -> Iterator[Meters]:
    """Give meters that are not the global ones."""
    made = Meters()
    yield made
    made.provider.shutdown()


@pytest.fixture
def counting(registry: ModelRegistry, meters: Meters, pipeline: Any) -> Any:
    """Give a pipeline whose processor is asked by these meters."""
    return pipeline(ModelRegistrySpanProcessor(registry, meter_provider=meters.provider))


# What is there


def test_the_table() -> None:
    """Each metric has a unit of UCUM and a description, and the names are those of the design."""
    assert {metric.name: (metric.kind, metric.unit) for metric in metrics.METRICS} == {
        "calls": ("counter", "{call}"),
        "models": ("gauge", "{model}"),
        "sunset": ("gauge", "s"),
        "file.age": ("gauge", "s"),
        "file.failures": ("counter", "{failure}"),
        "events.dropped": ("counter", "{event}"),
    }


@pytest.mark.usefixtures("counting")
def test_what_a_reader_gets(meters: Meters, registry: ModelRegistry, tmp_path: Path, pipeline: Any) -> None:
    """Every metric has its kind, unit, description and attributes; counters are monotonic and cumulative."""
    registry.deprecate("gpt-4o", sunset_date="2030-01-01")
    watcher = FileWatcher(get_default_registry(), [str(tmp_path / "missing.json")], reload_interval=0)
    watcher.start()
    pipeline().run({REQUEST: "gpt-4o"})
    found = meters.read()
    assert set(found) == {metric.name for metric in metrics.METRICS}
    for row in metrics.METRICS:
        metric = found[row.name]
        assert (metric.unit, metric.description) == (row.unit, row.description)
        assert isinstance(metric.data, Sum) is (row.kind == "counter")
        if isinstance(metric.data, Sum):
            assert metric.data.is_monotonic
        assert {key for point in metric.data.data_points for key in point.attributes} == set(row.attributes)
    watcher.stop()


# Calls


def test_calls(counting: Any, meters: Meters, registry: ModelRegistry) -> None:
    """Calls count under what was in force when they ended; those of all models that nobody registered together."""
    assert meters.calls() == {}
    for attributes in ({REQUEST: "gpt-4o"}, {REQUEST: "gpt-4o", OPERATION: "chat"}, {REQUEST: "a"}, {REQUEST: "b"}):
        counting.run(attributes)
        counting.run(late=attributes)
    counting.run({"http.method": "GET"})
    counting.run({REQUEST: ""})
    assert meters.calls() == {GPT: 4, NOBODY: 4}
    registry.deprecate("gpt-4o")
    counting.run({REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 4, NOBODY: 4, ("gpt-4o", "deprecated", "high", "ml-platform"): 1}


@pytest.mark.parametrize(
    ("attributes", "scope"),
    [
        *(({REQUEST: "gpt-4o", key: value}, "app") for key, values in NOT_CALLS.items() for value in sorted(values)),
        ({"model_name": "gpt-4o"}, "pydantic-ai"),
    ],
)
def test_agents_are_no_calls(counting: Any, meters: Meters, attributes: dict[str, Any], scope: str) -> None:
    """Agents, workflows and tools that name a model are enriched, and not counted: at any time, in any order."""
    for _ in range(3):
        assert counting.run(attributes, scope=scope).ours["owner"] == "ml-platform"
        assert counting.run(late=attributes, scope=scope).ours["owner"] == "ml-platform"
        counting.run({REQUEST: "gpt-4o", OPERATION: "chat"})
    assert meters.calls() == {GPT: 3}
    assert sum(counters.span_counters.values().values()) == 9


@pytest.mark.parametrize("odd", [["invoke_agent"], ("AGENT", "x"), True, 7, "x" * 5_000, "Invoke_Agent", ""])
@pytest.mark.parametrize("key", [OPERATION, KIND])
def test_operations_that_are_none(counting: Any, meters: Meters, key: str, odd: Any) -> None:
    """Whatever else an operation's name or a span's kind is, the span is a call."""
    for _ in range(2):
        counting.run({REQUEST: "gpt-4o", key: odd})
    assert meters.calls() == {GPT: 2}


def test_a_response_and_a_bare_name_make_a_call(counting: Any, meters: Meters) -> None:
    """A span of pydantic-ai that names its model by a key of calls as well is a call."""
    counting.run({"model_name": "gpt-4o", "gen_ai.response.model": "gpt-4o"}, scope="pydantic-ai")
    assert meters.calls() == {GPT: 1}


def test_models_in_json(counting: Any, meters: Meters) -> None:
    """Calls whose model stands in JSON, which nothing is remembered of, count each."""
    for number in range(3):
        counting.run({"llm.invocation_parameters": json.dumps({"model": "gpt-4o", "seed": number})})
        counting.run({"llm.invocation_parameters": json.dumps({"seed": number})})
    assert meters.calls() == {GPT: 3}


@pytest.mark.parametrize("names", [(), ("warnings",), ("purpose",)])
def test_whatever_spans_get(pipeline: Any, registry: ModelRegistry, meters: Meters, names: Any) -> None:
    """Calls count whatever attributes were chosen, also where a span gets none."""
    ours = ModelRegistrySpanProcessor(registry, span_attributes=names, meter_provider=meters.provider)
    pipes = pipeline(ours)
    for _ in range(3):
        pipes.run({REQUEST: "gpt-4o"})
        pipes.run(late={REQUEST: "o1"})
    assert meters.calls() == {GPT: 3, NOBODY: 3}
    enriched = sum(count for series, count in counters.span_counters.values().items() if series.is_enriched)
    assert enriched == {(): 0, ("warnings",): 3, ("purpose",): 3}[names]


@pytest.mark.parametrize("forged", [{}, {"model_registry.owner": "me"}])
def test_unregistered_models_that_are_ignored(pipeline: Any, registry: Any, meters: Meters, forged: Any) -> None:
    """Where calls of models that nobody registered are left alone, they count all the same."""
    pipes = pipeline(ModelRegistrySpanProcessor(registry, unregistered="ignore", meter_provider=meters.provider))
    for _ in range(3):
        assert pipes.run({REQUEST: "o1"} | forged).attributes == {REQUEST: "o1"}
    assert meters.calls() == {NOBODY: 3}


def test_forged_attributes(counting: Any, meters: Meters) -> None:
    """What a span says itself does not count."""
    for _ in range(2):
        counting.run({REQUEST: "gpt-4o", "model_registry.owner": "me", "model_registry.status": "retired"})
    assert meters.calls() == {GPT: 2}


# A span counts once


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("options", [{}, {"unregistered": "ignore"}, {"span_attributes": ()}, {"same": True}])
def test_two_processors(pipeline: Any, registry: Any, meters: Meters, options: dict[str, Any], first: str) -> None:
    """A call counts once, whatever number of processors sees it, and whichever of them comes first."""
    one = ModelRegistrySpanProcessor(registry, meter_provider=meters.provider)
    other = one if options.pop("same", False) else ModelRegistrySpanProcessor(registry, **options)
    for both in ((one, other), (other, one)):
        pipes = pipeline(*both, first=first)
        for _ in range(2):
            pipes.run({REQUEST: "gpt-4o"})
            pipes.run(late={REQUEST: "o1"})
            pipes.run({REQUEST: "gpt-4o", "model_registry.owner": "me"})
    assert meters.calls() == {GPT: 8, NOBODY: 4}


@pytest.mark.parametrize("order", [1, -1])
def test_two_processors_that_look_at_other_keys(pipeline: Any, registry: Any, meters: Meters, order: int) -> None:
    """A call whose model only one of them knows how to find counts once."""
    some = ModelRegistrySpanProcessor(registry, meter_provider=meters.provider)
    more = ModelRegistrySpanProcessor(registry, model_attributes="my.model")
    pipes = pipeline(*(some, more)[::order])
    for _ in range(3):
        pipes.run({"my.model": "gpt-4o"})
        pipes.run({"my.model": "gpt-4o", REQUEST: ""})
    assert meters.calls() == {GPT: 6}


@needs_ending_hook
def test_two_registries_behind_one_another(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """Where the first ignores a model and the second knows it, the call counts once, under what the first found."""
    empty = ModelRegistrySpanProcessor(ModelRegistry(), unregistered="ignore", meter_provider=meters.provider)
    pipes = pipeline(empty, ModelRegistrySpanProcessor(registry))
    for _ in range(3):
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
    assert meters.calls() == {NOBODY: 3}


class _Forwarding(SpanProcessor):
    """Forwards what was public before ``_on_ending``, with attributes in a mapping of its own, as logfire does."""

    def __init__(self, *wrapped: SpanProcessor, make: Any) -> None:
        self.wrapped, self.make = wrapped, make

    def on_end(self, span: ReadableSpan) -> None:
        span._attributes = self.make(dict(span.attributes or {}))
        for each in self.wrapped:
            each.on_end(span)


MAPPINGS = pytest.mark.parametrize("make", [dict, MappingProxyType, lambda held: BoundedAttributes(attributes=held)])


@MAPPINGS
@pytest.mark.parametrize("options", [{}, {"unregistered": "ignore"}, {"span_attributes": ()}])
def test_behind_a_wrapper(pipeline: Any, registry: Any, meters: Meters, options: dict[str, Any], make: Any) -> None:
    """Where processors are told of ended spans only, a call counts once, also with two of them."""
    both = [ModelRegistrySpanProcessor(registry, meter_provider=meters.provider, **options) for _ in range(2)]
    pipes = pipeline(_Forwarding(*both, make=make))
    for _ in range(2):
        pipes.run({REQUEST: "gpt-4o"})
        pipes.run(late={REQUEST: "o1"})
        pipes.run({REQUEST: "gpt-4o", OPERATION: "invoke_agent"})
    assert meters.calls() == {GPT: 2, NOBODY: 2}


class _Redacting(SpanProcessor):
    """Replaces the attributes of ended spans, ours and all, as vendors' processors do."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def on_end(self, span: ReadableSpan) -> None:
        kept = {key: value for key, value in (span.attributes or {}).items() if not key.startswith("model_registry.")}
        span._attributes = self.make(kept)


@needs_ending_hook
@MAPPINGS
@pytest.mark.parametrize("options", [{}, {"unregistered": "ignore"}])
def test_attributes_that_are_replaced(pipeline: Any, registry: Any, meters: Meters, options: Any, make: Any) -> None:
    """A call whose attributes another processor replaces after it was counted is not counted again."""
    ours = ModelRegistrySpanProcessor(registry, meter_provider=meters.provider, **options)
    pipes = pipeline(_Redacting(make), ours, ModelRegistrySpanProcessor(registry, **options))
    for _ in range(3):
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
        pipes.run({REQUEST: "o1"})
    assert meters.calls() == {GPT: 3, NOBODY: 3}
    assert ours.late_writes == "_on_ending"


class _Naming(SpanProcessor):
    """Names the model of a span that is ending."""

    def _on_ending(self, span: Any) -> None:
        span.set_attribute(REQUEST, "gpt-4o")


@needs_ending_hook
@pytest.mark.parametrize("number", [1, 2])
def test_spans_that_record_while_they_end(
    pipeline: Any, specified: Any, registry: Any, meters: Meters, number: int
) -> None:
    """In an SDK that follows the specification a call counts once, also where it is named while it ends."""
    ours = [ModelRegistrySpanProcessor(registry, meter_provider=meters.provider) for _ in range(number)]
    for processors in (ours, [_Naming(), *ours], [*ours, _Naming()]):
        pipes = pipeline(*processors)
        for _ in range(2):
            specified(pipes, {} if len(processors) > number else {REQUEST: "gpt-4o"})
            assert pipes.exporter.spans[-1].ours["owner"] == "ml-platform"
    assert meters.calls() == {GPT: 6}


class _Attributes(BoundedAttributes):
    """Somebody's own container."""


class _OwnContainer(SpanProcessor):
    """Gives every span a container of its own, as a vendor's SDK may."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        span._attributes = _Attributes(128, dict(span._attributes), immutable=False)


@needs_ending_hook
def test_containers_that_are_not_known(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """Calls with attributes that are kept in an unknown way count once, and so do those of the SDK among them."""
    ours = ModelRegistrySpanProcessor(registry, meter_provider=meters.provider)
    plain, odd = pipeline(ours), pipeline(_OwnContainer(), ours)
    for pipes in (plain, odd, odd, plain):
        pipes.run({REQUEST: "gpt-4o"})
        pipes.run(late={REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 8}
    assert ours.late_writes == "on_end"


def test_an_old_sdk(pipeline: Any, registry: Any, meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an SDK without the hook a call counts at its end, and not at its start."""
    monkeypatch.setattr(access, "SWAPPABLE_CONTAINER", None)
    if TOLD:
        monkeypatch.setattr(sdk.SynchronousMultiSpanProcessor, "_on_ending", lambda *_: None)
    ours = ModelRegistrySpanProcessor(registry, meter_provider=meters.provider)
    pipes = pipeline(ours)
    span = pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o"})
    assert sum(meters.calls().values()) == 0
    span.end()
    pipes.run(late={REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 2}
    assert ours.late_writes == "on_end"


def test_on_end_alone(registry: ModelRegistry, meters: Meters) -> None:
    """A span of which nothing was heard before it ended counts."""
    ours = ModelRegistrySpanProcessor(registry, meter_provider=meters.provider)
    for _ in range(2):
        ours.on_end(ReadableSpan("call", attributes={REQUEST: "gpt-4o"}))
    assert meters.calls() == {GPT: 2}


# Which spans


class _RecordOnly(Sampler):
    def should_sample(self, *_args: Any, **_kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY, {REQUEST: "gpt-4o"})

    def get_description(self) -> str:
        return "record only"


@pytest.mark.parametrize(("sampler", "expected"), [(_RecordOnly(), 50), (TraceIdRatioBased(0), 0)])
def test_sampling(pipeline: Any, registry: Any, meters: Meters, sampler: Sampler, expected: int) -> None:
    """Spans that are recorded count, sampled or not; spans that are dropped do not."""
    ours = ModelRegistrySpanProcessor(registry, meter_provider=meters.provider)
    tracer = pipeline(ours, sampler=sampler).tracer
    for _ in range(50):
        tracer.start_span("call", attributes={REQUEST: "gpt-4o"}).end()
    assert meters.calls() == ({GPT: expected} if expected else {})


def test_a_processor_that_is_off(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """A processor that is switched off counts nothing, and goes on where it was when it is switched on."""
    ours = ModelRegistrySpanProcessor(registry, meter_provider=meters.provider)
    pipes = pipeline(ours)
    for on in (True, False, True):
        ours.switch(on=on)
        pipes.run({REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 2}


def test_two_tracer_providers(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """Calls of all tracer providers of the process count together."""
    for _ in range(2):
        pipeline(ModelRegistrySpanProcessor(registry, meter_provider=meters.provider)).run({REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 2}


def test_threads(counting: Any, meters: Meters, registry: ModelRegistry) -> None:
    """Eight threads' calls all count, while the registry changes and a reader reads."""
    stop = threading.Event()

    def call() -> None:
        for number in range(500):
            span = counting.tracer.start_span("call")
            span.set_attribute(REQUEST, ("gpt-4o", "o1")[number % 2])
            span.end()

    def change() -> None:
        while not stop.wait(0.001):
            registry.register("other", "O", "1", "low", "team", "test", replace="other" in registry)
            meters.calls()

    changing = threading.Thread(target=change)
    changing.start()
    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    changing.join()
    assert meters.calls() == {GPT: 2_000, NOBODY: 2_000}


NAMES = st.sampled_from(["gpt-4o", "o1", "o1-mini", "claude-9", ""])
ATTRIBUTES = st.dictionaries(
    st.sampled_from([row.key for row in CONVENTIONS] + list(PROVIDER_KEYS) + list(NOT_CALLS)),
    NAMES | st.sampled_from(["openai", "invoke_agent", "AGENT", "chat", '{"model": "o1"}', 7]),
    max_size=4,
)
SPANS = st.lists(st.tuples(ATTRIBUTES, st.sampled_from(["app", "pydantic-ai"])), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(spans=SPANS, turns=st.lists(st.sampled_from(["", "deprecate", "clear", "register"]), min_size=2, max_size=4))
def test_as_the_registry_says(spans: list[tuple[dict[str, Any], str]], turns: list[str]) -> None:
    """Whatever spans there are and the registry becomes: each call counts under what the registry says of its names."""
    counters.span_counters._counters.clear()
    metrics._reported_registries.clear()
    meters, registry, expected = Meters(), ModelRegistry(auto_emit=False), Counter[tuple[Any, ...]]()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry, meter_provider=meters.provider))
    for turn in turns:
        if turn == "clear":
            registry.clear()
        elif turn == "deprecate" and "gpt-4o" in registry:
            registry.deprecate("gpt-4o")
        elif turn == "register":
            registry.register("gpt-4o", "G", "1", "high", "team", "test", replace="gpt-4o" in registry)
            registry.register(
                "o1", "O1", "1", "low", "others", "test", aliases=["o1-*"], replace="o1" in registry, provider="openai"
            )
        for attributes, scope in spans:
            key = expected_series(registry, attributes, scope)
            if key is not None:
                expected[key] += 1
            provider.get_tracer(scope).start_span("span", attributes=attributes).end()
    assert meters.calls() == expected
    meters.provider.shutdown()


def expected_series(registry: ModelRegistry, attributes: dict[str, Any], scope: str) -> tuple[Any, ...] | None:
    """Return what a span counts under, by asking the registry for each of its names; ``None``: it is no call."""
    providers = [attributes.get(key) for key in PROVIDER_KEYS]
    provider = next((value for value in providers if isinstance(value, str) and value), None)
    names: dict[str, str] = {}
    for row in sorted(CONVENTIONS, key=lambda row: not row.response):
        value = attributes.get(row.key)
        if isinstance(value, str) and row.scope in (None, scope):
            name = value if row.member is None else ("o1" if value == '{"model": "o1"}' else "")
            if name:
                names[row.key] = name
    if not names or not is_call(attributes, list(names)):
        return None
    for name in names.values():
        found = registry.resolve(name, provider=provider).entry
        if found is not None:
            return found.model_id, found.status, found.risk_tier, found.owner
    return NOBODY


def test_more_series_than_are_kept(pipeline: Any, meters: Meters, fields: dict[str, Any]) -> None:
    """Beyond 1,000 series calls share one, marked as the specification says; none is lost."""
    registry = ModelRegistry(auto_emit=False)
    for number in range(counters.MAX_SERIES + 20):
        registry.register(**fields | {"model_id": f"m{number}"})
    pipes = pipeline(ModelRegistrySpanProcessor(registry, meter_provider=meters.provider), exporting=None)
    for number in range(counters.MAX_SERIES + 20):
        pipes.tracer.start_span("call", attributes={REQUEST: f"m{number}"}).end()
    pipes.tracer.start_span("call", attributes={REQUEST: "o1"}).end()
    points = meters.points("calls")
    assert len(points) == counters.MAX_SERIES + 2
    assert [point.value for point in points if point.attributes == {"otel.metric.overflow": True}] == [20]
    assert [point.value for point in points if point.attributes == {"status": "unregistered"}] == [1]
    assert sum(point.value for point in points) == counters.MAX_SERIES + 21


# Models and sunset dates


@pytest.mark.usefixtures("counting")
def test_models(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """All combinations of status and tier are there, also those that have no model any more."""

    def models() -> dict[tuple[str, str], float]:
        points = meters.points("models")
        assert len(points) == len(STATUSES) * len(RISK_TIERS)
        found = {(point.attributes["status"], point.attributes["risk_tier"]): point.value for point in points}
        assert len(found) == len(points)
        return {key: value for key, value in found.items() if value}

    assert models() == {("active", "high"): 1}
    registry.register(**fields | {"model_id": "b"})
    registry.register(**fields | {"model_id": "c", "risk_tier": "low"})
    registry.retire("gpt-4o")
    assert models() == {("active", "high"): 1, ("active", "low"): 1, ("retired", "high"): 1}
    registry.clear()
    assert models() == {}


def test_models_of_all_registries(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """The registries that processors ask count together, each once, and those that are gone no more."""
    register_model("a", "A", "1", "low", "team", "test")
    for each in (registry, registry, None):
        pipeline(ModelRegistrySpanProcessor(each, meter_provider=meters.provider))
    brief = ModelRegistry(auto_emit=False)
    brief.register("b", "B", "1", "low", "team", "test")
    metrics.install_metrics(brief, meters.provider)

    def total() -> float:
        return sum(point.value for point in meters.points("models"))

    assert total() == 3
    del brief
    assert total() == 2


@pytest.mark.usefixtures("counting")
def test_sunset(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """A deprecated model with a sunset date has the seconds until then, negative after it; others have none."""
    now = datetime.now(timezone.utc)
    hour = timedelta(hours=1)
    for model_id, date in (("soon", (now + hour).isoformat()), ("past", (now - hour).isoformat()), ("none", None)):
        registry.register(**fields | {"model_id": model_id, "owner": f"of {model_id}"})
        registry.deprecate(model_id, sunset_date=date)
    registry.register(**fields | {"model_id": "day", "owner": "of day", "risk_tier": "low"})
    registry.deprecate("day", sunset_date="2100-01-01")
    registry.register(**fields | {"model_id": "gone"})
    registry.deprecate("gone", sunset_date="2100-01-01")
    registry.retire("gone")
    before = time.time()
    points = {point.attributes["model_id"]: point for point in meters.points("sunset")}
    after = time.time()
    assert {model: point.attributes for model, point in points.items()} == {
        "soon": {"model_id": "soon", "risk_tier": "high", "owner": "of soon"},
        "past": {"model_id": "past", "risk_tier": "high", "owner": "of past"},
        "day": {"model_id": "day", "risk_tier": "low", "owner": "of day"},
    }
    for model, date in (("soon", now + hour), ("past", now - hour), ("day", datetime(2100, 1, 1, tzinfo=timezone.utc))):
        assert date.timestamp() - after - 1e-3 <= points[model].value <= date.timestamp() - before + 1e-3
    registry.retire("soon")
    assert {point.attributes["model_id"] for point in meters.points("sunset")} == {"past", "day"}


@pytest.mark.usefixtures("counting")
def test_the_next_thousand_sunsets(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Where more models are to be retired than have a series each, those have one that come first."""
    for number in range(metrics.MAX_SUNSETS + 10):
        registry.register(**fields | {"model_id": f"m{number}"})
        registry.deprecate(f"m{number}", sunset_date=f"{2000 + (number * 7) % 1_010}-01-01")
    points = meters.points("sunset")
    years = sorted(2000 + (number * 7) % 1_010 for number in range(metrics.MAX_SUNSETS + 10))
    found = {point.attributes["model_id"] for point in points}
    assert len(points) == len(found) == metrics.MAX_SUNSETS
    shown = sorted(2000 + (int(model[1:]) * 7) % 1_010 for model in found)
    assert shown == years[: metrics.MAX_SUNSETS]


# Files


def test_files(meters: Meters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is good is young, one that is bad ages, and each time that it becomes bad is a failure."""
    clock = [1_000.0]
    monkeypatch.setattr("spanforge.model_registry.watch.time.monotonic", lambda: clock[0])
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    for path, model_id in ((good, "a"), (bad, "b")):
        write(path, model_id)
    registry = ModelRegistry(auto_emit=False)
    metrics.install_metrics(registry, meters.provider)
    watcher = FileWatcher(registry, [str(good), str(bad)], reload_interval=0)
    watcher.start()

    def state() -> dict[str, tuple[float, float]]:
        ages = {point.attributes["file.path"]: point.value for point in meters.points("file.age")}
        failures = {point.attributes["file.path"]: point.value for point in meters.points("file.failures")}
        assert set(ages) == set(failures) == {str(good), str(bad)}
        return {
            path: (ages[str(tmp_path / path)], failures[str(tmp_path / path)]) for path in ("good.json", "bad.json")
        }

    def look(after: float) -> None:
        clock[0] += after
        watcher.look()
        watcher.look()  # a change is complained of when two looks have found it

    assert state() == {"good.json": (0, 0), "bad.json": (0, 0)}
    clock[0] += 5
    assert state() == {"good.json": (5, 0), "bad.json": (5, 0)}
    bad.write_text("[")
    look(5)
    assert state() == {"good.json": (0, 0), "bad.json": (10, 1)}
    look(5)
    assert state() == {"good.json": (0, 0), "bad.json": (15, 1)}
    bad.unlink()
    look(5)
    assert state() == {"good.json": (0, 0), "bad.json": (20, 2)}
    write(bad, "b")
    look(5)
    assert state() == {"good.json": (0, 0), "bad.json": (0, 2)}
    write(bad, "a")
    look(5)
    assert state() == {"good.json": (5, 0), "bad.json": (5, 3)}
    write(bad, "c")
    look(5)
    assert state() == {"good.json": (0, 0), "bad.json": (0, 3)}
    watcher.stop()
    assert meters.points("file.age") == meters.points("file.failures") == []


def write(path: Path, model_id: str) -> None:
    """Write a registry file of one model."""
    registry = ModelRegistry(auto_emit=False)
    registry.register(model_id, "M", "1", "low", "team", "test")
    registry.save(path)


def test_a_file_that_waits_for_another_one(meters: Meters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has changed ages until its content is in force, which it is when the others are whole, too."""
    clock = [1_000.0]
    monkeypatch.setattr("spanforge.model_registry.watch.time.monotonic", lambda: clock[0])
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for path in files:
        write(path, path.stem)
    registry = ModelRegistry(auto_emit=False)
    metrics.install_metrics(registry, meters.provider)
    watcher = FileWatcher(registry, map(str, files), reload_interval=0)
    watcher.start()
    clock[0] += 5
    write(files[0], "c")
    files[1].write_text("[")
    watcher.look()
    assert [point.value for point in meters.points("file.age")] == [5, 5]
    assert "c" not in registry
    watcher.look()
    assert [point.value for point in meters.points("file.age")] == [0, 5]
    assert "c" in registry
    watcher.stop()


def test_a_file_that_never_was_good(meters: Meters, tmp_path: Path) -> None:
    """A file that is missing from the start has an age since then, and one failure."""
    registry = ModelRegistry(auto_emit=False)
    metrics.install_metrics(registry, meters.provider)
    watcher = FileWatcher(registry, [str(tmp_path / "missing.json")], reload_interval=0)
    watcher.start()
    (age,), (failures,) = meters.points("file.age"), meters.points("file.failures")
    assert age.value >= 0
    assert (failures.value, failures.attributes) == (1, {"file.path": str(tmp_path / "missing.json")})
    watcher.stop()


# Events


def test_events_dropped(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Events that were lost count in each form: those that were dropped, and those that failed."""
    metrics.install_metrics(registry, meters.provider)
    set_event_signals("span,log")
    provider = TracerProvider(sampler=TraceIdRatioBased(0), shutdown_on_exit=False)
    dropping = ModelRegistry(tracer_provider=provider)
    for number in range(3):
        dropping.register(**fields | {"model_id": f"m{number}"})
    failing = ModelRegistry(tracer_provider=object())  # type: ignore[arg-type]
    failing.register(**fields)
    assert {point.attributes["event_signal"]: point.value for point in meters.points("events.dropped")} == {
        "span": 4,
        "log": 0,
    }


# Meter providers


@pytest.fixture
def no_meters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenTelemetry's API be as in a process in which no meter provider was set."""
    monkeypatch.setattr(api, "_METER_PROVIDER", None)
    monkeypatch.setattr(api, "_METER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(api, "_PROXY_METER_PROVIDER", api._ProxyMeterProvider())


@pytest.mark.usefixtures("no_meters")
@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_the_global_meter_provider(pipeline: Any, registry: ModelRegistry, when: str) -> None:
    """The global meter provider asks, whether it is set before there is a processor or later; each call counts once."""
    meters = Meters()
    if when == "before":
        otel.set_meter_provider(meters.provider)
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    pipes.run({REQUEST: "gpt-4o"})
    if when != "before":
        otel.set_meter_provider(meters.provider)
    if when == "between":
        pipes = pipeline(ModelRegistrySpanProcessor(registry))
    pipes.run({REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 2}
    meters.provider.shutdown()


@pytest.mark.usefixtures("no_meters")
def test_without_meters(pipeline: Any, registry: ModelRegistry, lines: Any) -> None:
    """Without a meter provider spans are enriched, and nothing is said."""
    for _ in range(2):
        pipes = pipeline(ModelRegistrySpanProcessor(registry))
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
    proxy: Any = otel.get_meter_provider()
    # asked once; that of 1.40 asks for each of its own processors and providers as well
    assert len([meter for meter in proxy._meters if meter._name != "opentelemetry-sdk"]) == 1
    assert lines() == []


def test_two_meter_providers(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """Each meter provider that is given gets everything."""
    other = Meters()
    for each in (meters, other, meters):
        pipeline(ModelRegistrySpanProcessor(registry, meter_provider=each.provider)).run({REQUEST: "gpt-4o"})
    assert meters.calls() == other.calls() == {GPT: 3}
    other.provider.shutdown()


@pytest.mark.parametrize("bad", [object(), 7])
def test_a_meter_provider_that_is_none(pipeline: Any, registry: ModelRegistry, lines: Any, bad: Any) -> None:
    """What is no meter provider costs the metrics, in one line, and nothing else."""
    for _ in range(2):
        pipes = pipeline(ModelRegistrySpanProcessor(registry, meter_provider=bad))
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
    (line,) = lines()
    assert line.startswith("model registry: metrics are not available: ")


def test_a_metric_that_fails(counting: Any, meters: Meters, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that cannot be observed is told of once, and the others go on."""
    broken = replace(get_default_registry()._state, index=None, version=object())  # type: ignore[arg-type]
    monkeypatch.setattr(get_default_registry(), "_state", broken)
    metrics.install_metrics(get_default_registry())
    for number in range(1, 4):
        counting.run({REQUEST: "gpt-4o"})
        found = meters.read()
        assert "models" not in found
        assert [point.value for point in found["calls"].data.data_points] == [number]
    (models, sunset) = lines()
    assert models.startswith("model registry: metric model_registry.models is not available: ")
    assert sunset.startswith("model registry: metric model_registry.sunset is not available: ")


def test_an_inventory_is_of_one_state(meters: Meters) -> None:
    """Models are counted in the state whose version the cached count has, also if the registry changes meanwhile."""

    class Changing(ModelRegistry):
        """A registry that changes when it is asked for its entries, as another thread may change it."""

        def list_all(self) -> list[ModelRegistryEntry]:
            self.register(f"m{len(self)}", "M", "1", "low", "team", "test")
            return super().list_all()

    registry = Changing(auto_emit=False)
    metrics.install_metrics(registry, meters.provider)
    state = registry._state
    inventory = metrics._take_inventory(registry)
    assert inventory.version is state.version
    assert inventory.models.total() == len(state.index.entries)


def test_nothing_is_kept_alive(meters: Meters) -> None:
    """A registry that nobody else keeps goes, metrics or not."""
    registry = ModelRegistry(auto_emit=False)
    metrics.install_metrics(registry, meters.provider)
    meters.read()
    gone = weakref.ref(registry)
    del registry
    gc.collect()
    assert gone() is None
