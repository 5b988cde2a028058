"""The metric of calls: which spans count, under which model, and that each counts once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler, TraceIdRatioBased
from support.meters import GPT, NOBODY, Meters
from support.spans import (
    KIND,
    OPERATION,
    REQUEST,
    RESPONSE,
    Redacting,
    StartsAndEnds,
    VendorContainer,
    every_mapping,
    needs_ending_hook,
)
from support.telemetry import NO_RESOURCE, RecordOnly
from support.threads import in_background, run_in_threads

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import (
    CONVENTIONS,
    NOT_CALLS,
    PROVIDER_KEYS,
    classify_span,
    find_names,
    select_keys,
)
from spanforge.model_registry._core.names import is_placeholder
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry.otel import ModelRegistrySpanProcessor, status
from spanforge.model_registry.otel._counters import MAX_SERIES

if TYPE_CHECKING:
    import threading


@pytest.mark.parametrize(
    ("attributes", "scope"),
    [
        *(({REQUEST: "gpt-4o", key: value}, "app") for key, values in NOT_CALLS.items() for value in sorted(values)),
        ({"model_name": "gpt-4o"}, "pydantic-ai"),
    ],
)
def test_agent_spans_do_not_count(counting: Any, meters: Meters, attributes: dict[str, Any], scope: str) -> None:
    """Agents, workflows and tools that name a model are enriched, but are no calls."""
    for _ in range(3):
        assert counting.run(attributes, scope=scope).ours["owner"] == "ml-platform"
        assert counting.run(late=attributes, scope=scope).ours["owner"] == "ml-platform"
        counting.run({REQUEST: "gpt-4o", OPERATION: "chat"})
    assert meters.calls() == {GPT: 3}
    assert (status().calls, status().spans_enriched) == (3, 9)


@pytest.mark.parametrize("odd", [["invoke_agent"], ("AGENT", "x"), True, 7, "x" * 5_000, "Invoke_Agent", ""])
@pytest.mark.parametrize("key", [OPERATION, KIND])
def test_span_with_an_unknown_operation_is_a_call(counting: Any, meters: Meters, key: str, odd: Any) -> None:
    """A span with any other operation name or span kind is a call."""
    for _ in range(2):
        counting.run({REQUEST: "gpt-4o", key: odd})
    assert meters.calls() == {GPT: 2}


@pytest.mark.parametrize(("names", "enriched"), [((), 0), (("warnings",), 3), (("purpose",), 3)])
def test_calls_count_with_any_span_attributes(
    pipeline: Any, make_processor: Any, meters: Meters, names: Any, enriched: int
) -> None:
    """Calls count with any choice of span attributes, also if a span gets none."""
    pipes = pipeline(make_processor(span_attributes=names))
    for _ in range(3):
        pipes.run({REQUEST: "gpt-4o"})
        pipes.run(late={REQUEST: "o1"})
    assert meters.calls() == {GPT: 3, NOBODY: 3}
    assert status().spans_enriched == enriched


@pytest.mark.parametrize("forged", [{}, {"model_registry.owner": "me"}])
def test_calls_of_ignored_models_count(pipeline: Any, registry: Any, meters: Meters, forged: Any) -> None:
    """Calls of unregistered models count also if such models are ignored."""
    pipes = pipeline(ModelRegistrySpanProcessor(registry, unregistered="ignore", meter_provider=meters.provider))
    for _ in range(3):
        assert pipes.run({REQUEST: "o1"} | forged).attributes == {REQUEST: "o1"}
    assert meters.calls() == {NOBODY: 3}


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("options", [{}, {"unregistered": "ignore"}, {"span_attributes": ()}, {"same": True}])
def test_call_counts_once_with_two_processors(  # noqa: PLR0913 - a matrix
    pipeline: Any, registry: Any, make_processor: Any, meters: Meters, options: dict[str, Any], first: str
) -> None:
    """A call counts once with two processors, in any order."""
    one = make_processor()
    other = one if options.pop("same", False) else ModelRegistrySpanProcessor(registry, **options)
    for both in ((one, other), (other, one)):
        pipes = pipeline(*both, first=first)
        for _ in range(2):
            pipes.run({REQUEST: "gpt-4o"})
            pipes.run(late={REQUEST: "o1"})
            pipes.run({REQUEST: "gpt-4o", "model_registry.owner": "me"})
    assert meters.calls() == {GPT: 8, NOBODY: 4}


@pytest.mark.parametrize("order", [1, -1])
def test_call_counts_once_if_one_processor_knows_its_key(
    pipeline: Any, registry: Any, make_processor: Any, meters: Meters, order: int
) -> None:
    """A call counts once if only one of two processors knows its key."""
    some = make_processor()
    more = ModelRegistrySpanProcessor(registry, model_attributes="my.model")
    pipes = pipeline(*(some, more)[::order])
    for _ in range(3):
        pipes.run({"my.model": "gpt-4o"})
        pipes.run({"my.model": "gpt-4o", REQUEST: ""})
    assert meters.calls() == {GPT: 6}


@needs_ending_hook
def test_call_counts_in_the_first_registry(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """If the first registry ignores a model and the second has it, the call counts once, as unregistered."""
    empty = ModelRegistrySpanProcessor(ModelRegistry(), unregistered="ignore", meter_provider=meters.provider)
    pipes = pipeline(empty, ModelRegistrySpanProcessor(registry))
    for _ in range(3):
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
    assert meters.calls() == {NOBODY: 3}


@every_mapping
@pytest.mark.parametrize("options", [{}, {"unregistered": "ignore"}, {"span_attributes": ()}])
def test_call_counts_once_behind_a_wrapper(
    pipeline: Any, make_processor: Any, meters: Meters, options: dict[str, Any], make: Any
) -> None:
    """Behind a wrapper without ``_on_ending``, a call counts once, also with two processors; nothing was dropped."""
    both = [make_processor(**options) for _ in range(2)]
    pipes = pipeline(Redacting(make), StartsAndEnds(*both))
    for _ in range(2):
        assert pipes.run({REQUEST: "gpt-4o"}).dropped == 0
        assert pipes.run(late={REQUEST: "o1"}).dropped == 0
        assert pipes.run({REQUEST: "gpt-4o", OPERATION: "invoke_agent"}).dropped == 0
    assert meters.calls() == {GPT: 2, NOBODY: 2}


@needs_ending_hook
@every_mapping
@pytest.mark.parametrize("options", [{}, {"unregistered": "ignore"}])
def test_call_counts_once_if_its_attributes_are_replaced(
    pipeline: Any, make_processor: Any, meters: Meters, options: Any, make: Any
) -> None:
    """A call counts once if another processor replaces its attributes after it was counted."""
    ours = make_processor(**options)
    pipes = pipeline(Redacting(make), ours, make_processor(**options))
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
def test_call_counts_once_in_an_sdk_that_records_while_ending(
    pipeline: Any, specified: Any, make_processor: Any, meters: Meters, number: int
) -> None:
    """In an SDK that follows the specification, a call counts once, also if it is named while it ends."""
    ours = [make_processor() for _ in range(number)]
    for processors in (ours, [_Naming(), *ours], [*ours, _Naming()]):
        pipes = pipeline(*processors)
        for _ in range(2):
            specified(pipes, {} if len(processors) > number else {REQUEST: "gpt-4o"})
            assert pipes.exporter.spans[-1].ours["owner"] == "ml-platform"
    assert meters.calls() == {GPT: 6}


@needs_ending_hook
def test_calls_in_an_unknown_container_count_once(pipeline: Any, make_processor: Any, meters: Meters) -> None:
    """Calls whose attributes are in an unknown container count once, and so do others."""
    ours = make_processor()
    plain, odd = pipeline(ours), pipeline(VendorContainer(), ours)
    for pipes in (plain, odd, odd, plain):
        pipes.run({REQUEST: "gpt-4o"})
        pipes.run(late={REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 8}
    assert ours.late_writes == "on_end"


@pytest.mark.usefixtures("old_sdk")
def test_call_counts_at_its_end_in_an_old_sdk(pipeline: Any, make_processor: Any, meters: Meters) -> None:
    """In an SDK without the hook, a call counts at its end and not at its start."""
    ours = make_processor()
    pipes = pipeline(ours)
    span = pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o"})
    assert sum(meters.calls().values()) == 0
    span.end()
    pipes.run(late={REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 2}
    assert ours.late_writes == "on_end"


@pytest.mark.parametrize(("sampler", "expected"), [(RecordOnly(), 50), (TraceIdRatioBased(0), 0)])
def test_recorded_spans_count(pipeline: Any, make_processor: Any, meters: Any, sampler: Sampler, expected: int) -> None:
    """Spans that are recorded count, sampled or not; spans that are dropped do not."""
    ours = make_processor()
    tracer = pipeline(ours, sampler=sampler).tracer
    for _ in range(50):
        tracer.start_span("call", attributes={REQUEST: "gpt-4o"}).end()
    assert meters.calls() == ({GPT: expected} if expected else {})


def test_switched_off_processor_counts_nothing(pipeline: Any, make_processor: Any, meters: Meters) -> None:
    """A processor counts nothing while it is switched off."""
    ours = make_processor()
    pipes = pipeline(ours)
    for on in (True, False, True):
        ours.switch(on=on)
        pipes.run({REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 2}


def test_calls_of_threads_count_while_the_registry_changes(counting: Any, meters: Any, registry: Any) -> None:
    """The calls of eight threads all count, while the registry changes and a reader reads."""

    def call() -> None:
        for number in range(500):
            span = counting.tracer.start_span("call")
            span.set_attribute(REQUEST, ("gpt-4o", "o1")[number % 2])
            span.end()

    def change(stop: threading.Event) -> None:
        while not stop.wait(0.001):
            registry.register("other", "O", "1", "low", "team", "test", replace="other" in registry)
            meters.calls()

    with in_background(change):
        run_in_threads(*[call] * 8)
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
def test_calls_count_as_the_registry_resolves_them(spans: list[tuple[dict[str, Any], str]], turns: list[str]) -> None:
    """Each call counts under the entry that the registry resolves its names to, for any spans and changes."""
    reset_process()
    meters, registry, expected = Meters(), ModelRegistry(auto_emit=False), Counter[tuple[Any, ...]]()
    provider = TracerProvider(resource=NO_RESOURCE, shutdown_on_exit=False)
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
    """Return the series of a span, by resolving each of its names; ``None`` if it is no call."""
    providers = [attributes.get(key) for key in PROVIDER_KEYS]
    provider = next((value for value in providers if isinstance(value, str) and value), None)
    keys = select_keys(attributes).for_scope(scope)
    rows, names = find_names(attributes, keys.conventions)
    if not names or classify_span(attributes, rows) != "call":
        return None
    operation = attributes.get(OPERATION)
    text = operation if isinstance(operation, str) else None
    for name in [name for name in names if not is_placeholder(name, text)] or names:
        found = registry.resolve(name, provider=provider).entry
        if found is not None:
            return found.model_id, found.status, found.risk_tier, found.owner
    return NOBODY


@pytest.mark.slow
def test_calls_over_the_series_limit_count_together(pipeline: Any, meters: Meters, fields: dict[str, Any]) -> None:
    """Spans over the limit of 1,000 series share one series of each metric, with the overflow attribute."""
    registry = ModelRegistry(auto_emit=False)
    for number in range(MAX_SERIES + 20):
        registry.register(**fields | {"model_id": f"m{number}"})
    pipes = pipeline(ModelRegistrySpanProcessor(registry, meter_provider=meters.provider), exporting=None)
    for number in range(MAX_SERIES + 20):
        pipes.tracer.start_span("call", attributes={REQUEST: f"m{number}"}).end()
    pipes.tracer.start_span("call", attributes={REQUEST: "o1"}).end()
    points = meters.points("calls")
    assert len(points) == MAX_SERIES + 2
    assert [point.value for point in points if point.attributes == {"otel.metric.overflow": True}] == [20]
    assert [point.value for point in points if point.attributes == {"status": "unregistered"}] == [1]
    assert sum(point.value for point in points) == MAX_SERIES + 21
    pipes.tracer.start_span("agent", attributes={REQUEST: "m0", OPERATION: "invoke_agent"}).end()
    assert [(point.attributes, point.value) for point in meters.points("agent_spans")] == [
        ({"otel.metric.overflow": True}, 1)
    ]
    for answer in ("m1", "nobody's"):
        pipes.tracer.start_span("call", attributes={REQUEST: "m0", RESPONSE: answer}).end()
    assert [(point.attributes, point.value) for point in meters.points("substitutions")] == [
        ({"otel.metric.overflow": True}, 2)
    ]
