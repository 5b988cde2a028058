"""Span access: unknown containers, older and future SDKs, and readers in other threads."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor
from support.asked_registry import AskedRegistry
from support.spans import PARAMETERS, REQUEST, RESPONSE, VendorContainer, get_container, needs_ending_hook
from support.threads import in_background, switching_often

from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.otel import _span_access as access
from spanforge.model_registry.otel._span_access import get_contents

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from spanforge.model_registry import ModelRegistry


MISSED = "model registry: span attributes are kept in"


@needs_ending_hook
def test_unknown_container_is_logged_once(pipeline: Any, registry: ModelRegistry, lines: Any) -> None:
    """Spans with an unknown container are enriched by public means, and one line says so."""
    pipes = pipeline(VendorContainer(), ModelRegistrySpanProcessor(registry))
    for _ in range(5):
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
        assert pipes.run(late={REQUEST: "gpt-4o"}).others == {REQUEST: "gpt-4o"}
        assert pipes.run({"a": 1}, {"b": 2}).attributes == {"a": 1, "b": 2}
    (line,) = lines()
    assert line.startswith(MISSED)
    assert "VendorAttributes" in line


@needs_ending_hook
def test_unknown_container_is_not_replaced(pipeline: Any, registry: ModelRegistry) -> None:
    """An unknown container and its inner dict stay the same objects."""
    pipes = pipeline(VendorContainer(), ModelRegistrySpanProcessor(registry))
    span = pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o"})
    container, contents = get_container(span), get_contents(get_container(span))
    span.end()
    assert get_container(span) is container
    assert get_contents(container) is contents


@needs_ending_hook
def test_unknown_container_is_enriched_at_the_start(pipeline: Any, registry: ModelRegistry) -> None:
    """After the first unknown container, models that are known at the start are written then."""
    pipes = pipeline(VendorContainer(), ModelRegistrySpanProcessor(registry), first="exporter")
    pipes.run({REQUEST: "gpt-4o"})
    assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"


@needs_ending_hook
def test_limits_of_an_unknown_container(pipeline: Any, registry: ModelRegistry) -> None:
    """A span's limits hold for unknown containers too."""
    limits = SpanLimits(max_span_attributes=4, max_span_attribute_length=8)
    pipes = pipeline(VendorContainer(), ModelRegistrySpanProcessor(registry), limits=limits)
    span = pipes.run(late={"a": 1, "b": 2, "c": 3, "d": 4, REQUEST: "gpt-4o"})
    assert span.others == {"b": 2, "c": 3, "d": 4, REQUEST: "gpt-4o"}
    assert span.ours == {}
    assert span.dropped >= 1


@needs_ending_hook
def test_other_spans_after_an_unknown_container(pipeline: Any, registry: ModelRegistry) -> None:
    """After a span with an unknown container, other spans are enriched as before."""
    ours = ModelRegistrySpanProcessor(registry)
    pipeline(VendorContainer(), ours).run({REQUEST: "gpt-4o"})
    pipes = pipeline(ours, limits=SpanLimits(max_span_attributes=6))
    own = {"a": 1, "b": 2, "c": 3, "d": 4}
    span = pipes.run({REQUEST: "gpt-4o"}, own)
    assert span.others == {REQUEST: "gpt-4o"} | own
    assert span.ours == {"status": "active"}


class _Dated(Mapping):  # type: ignore[type-arg]
    """A foreign mapping with a time for each attribute, whose inner dict has the name of the SDK's."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self._dict = {key: (value, 0.0) for key, value in attributes.items()}

    def __getitem__(self, key: str) -> Any:
        return self._dict[key][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)


def test_foreign_mapping_is_read_by_its_items(registry: ModelRegistry) -> None:
    """A foreign mapping is read by its items, not by its inner dict."""
    span = ReadableSpan("call", attributes=_Dated({REQUEST: "gpt-4o", "a": 1}))
    ModelRegistrySpanProcessor(registry).on_end(span)
    shown = dict(span.attributes or {})
    assert shown["model_registry.owner"] == "ml-platform"
    assert (shown[REQUEST], shown["a"]) == ("gpt-4o", 1)


class _VendorSpan(ReadableSpan, trace.Span):
    """A span of another SDK: OpenTelemetry's public interface, a plain dict inside, recording until it has ended."""

    def __init__(self, processors: list[SpanProcessor], attributes: dict[str, Any]) -> None:
        ReadableSpan.__init__(self, "call", trace.SpanContext(1, 2, False, trace.TraceFlags(1)), attributes=attributes)
        self.processors = processors
        self.written: dict[str, Any] = {}
        for each in processors:
            each.on_start(self)  # type: ignore[arg-type]

    def get_span_context(self) -> trace.SpanContext:
        return self._context  # type: ignore[return-value]

    def is_recording(self) -> bool:
        return self.end_time is None

    def set_attributes(self, attributes: Any) -> None:
        assert self.is_recording()
        self.written.update(attributes)
        self._attributes.update(attributes)  # type: ignore[union-attr]

    def set_attribute(self, key: str, value: Any) -> None:
        self.set_attributes({key: value})

    def end(self, end_time: int | None = None) -> None:
        for each in self.processors:
            each._on_ending(self)  # type: ignore[arg-type]
        self._end_time = end_time or time.time_ns()
        for each in self.processors:
            each.on_end(self)

    def add_event(self, *_args: Any, **_kwargs: Any) -> None:
        raise NotImplementedError

    record_exception = set_status = update_name = add_event


@needs_ending_hook
def test_span_of_another_sdk(registry: ModelRegistry, lines: Any) -> None:
    """A span of another class is enriched by public methods while it records, and one line says so."""
    ours = ModelRegistrySpanProcessor(registry)
    for _ in range(3):
        span = _VendorSpan([ours], {REQUEST: "gpt-4o", "a": 1, "model_registry.approved": "yes"})
        span.end()
        assert span.written["model_registry.owner"] == "ml-platform"
        assert span.written["model_registry.approved"] == "", "it cannot be removed by public means"
        assert not (span.attributes or {}).get("model_registry.approved")
        assert dict(span.attributes or {}).keys() >= {REQUEST, "a", "model_registry.status", "model_registry.owner"}
    (line,) = lines()
    assert line.startswith(MISSED)


@needs_ending_hook
@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_recording_span_is_written_publicly(
    pipeline: Any, specified: Any, lines: Any, first: str, threads: int | None
) -> None:
    """If a span records in ``_on_ending``, ``set_attributes`` enriches it, once, also after similar spans."""
    pipes = pipeline(first=first, threads=threads)
    pipes.run({REQUEST: "gpt-4o", "a": 1})
    for _ in range(2):
        span = specified(pipes, {REQUEST: "gpt-4o", "a": 1})
        assert list(span.written) == [
            f"model_registry.{name}" for name in ("status", "owner", "risk_tier", "model_id", "name", "version")
        ]
        assert pipes.exporter.spans[-1].attributes == {REQUEST: "gpt-4o", "a": 1} | span.written
    assert lines() == []


@needs_ending_hook
def test_recording_span_without_a_model(pipeline: Any, specified: Any) -> None:
    """A recording span that names no model is not written to."""
    pipes = pipeline()
    span = specified(pipes, {"a": 1, "model_registry.status": "mine"})
    assert not hasattr(span, "written")
    assert pipes.exporter.span.attributes == {"a": 1, "model_registry.status": "mine"}


@needs_ending_hook
@pytest.mark.parametrize("forged", [(), ("owner", "approved", "x", "y")])
def test_limits_of_a_recording_span(pipeline: Any, specified: Any, forged: tuple[str, ...]) -> None:
    """A recording span keeps the application's attributes, also if forged ones take room, and shows no forged value."""
    pipes = pipeline(limits=SpanLimits(max_span_attributes=8))
    own = {REQUEST: "gpt-4o", "a": 1, "b": 2, "c": 3}
    specified(pipes, own | {f"model_registry.{name}": "forged" for name in forged})
    span = pipes.exporter.span
    assert span.others == own
    assert "forged" not in span.ours.values()
    if not forged:
        assert list(span.ours) == ["status", "owner", "risk_tier", "model_id"]


class _Answering(SpanProcessor):
    """Sets a model's name while the span is ending, as the specification allows."""

    def _on_ending(self, span: Any) -> None:
        span.set_attribute(RESPONSE, "gpt-4o")


@needs_ending_hook
@pytest.mark.parametrize("first", ["ours", "the other"])
def test_model_that_is_set_while_ending(pipeline: Any, specified: Any, registry: ModelRegistry, first: str) -> None:
    """Another processor may set the model in ``_on_ending``, before or after the plugin's."""
    processors = [_Answering(), ModelRegistrySpanProcessor(registry)]
    pipes = pipeline(*(reversed(processors) if first == "ours" else processors))
    specified(pipes, {"a": 1})
    assert pipes.exporter.span.ours.get("owner") == "ml-platform"


@pytest.mark.usefixtures("old_sdk")
@pytest.mark.parametrize("first", ["ours", "exporter"])
def test_old_sdk_and_early_model(pipeline: Any, registry: ModelRegistry, caplog: Any, first: str) -> None:
    """In an SDK without the hook, a model that is known at the start is written then, which is logged once."""
    pipes = pipeline(ModelRegistrySpanProcessor(registry), first=first)
    ModelRegistrySpanProcessor(registry)  # says nothing anew
    for _ in range(2):
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
    messages = [record.getMessage() for record in caplog.records if record.name == "spanforge.model_registry"]
    text = "this opentelemetry-sdk does not let a processor change an ending span"
    missed = "spans whose model is set after their start may not be enriched"
    assert messages == [f"model registry: {text}: {missed}"]


@pytest.mark.usefixtures("old_sdk")
def test_old_sdk_and_late_model(pipeline: Any, registry: ModelRegistry) -> None:
    """In an SDK without the hook, later processors get late models, and the status at the end."""
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    assert pipes.run(late={REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
    span = pipes.tracer.start_span("call", attributes={REQUEST: "gpt-4o", "model_registry.approved": "yes"})
    registry.deprecate("gpt-4o")
    span.end()
    ended = pipes.exporter.spans[-1].ours
    assert (ended["status"], ended["warnings"]) == ("deprecated", ("model 'gpt-4o' is deprecated",))
    assert "approved" not in ended


@needs_ending_hook
def test_installed_sdk_is_supported() -> None:
    """The installed SDK has the hook and the container that the module needs."""
    assert access.supports_on_ending()


class _Yielding(AskedRegistry):
    """A registry that lets other threads run whenever its state or its index is read."""

    def asked(self) -> None:
        time.sleep(0)

    def read(self) -> None:
        time.sleep(0)


@pytest.mark.slow
@needs_ending_hook
@pytest.mark.parametrize(
    "forged",
    [{}, {"model_registry.approved": "yes", "model_registry.metadata.team": "a"}],
    ids=["as usual", "with forged attributes"],
)
@pytest.mark.parametrize(
    "named", [{REQUEST: "gpt-4o"}, {PARAMETERS: '{"model": "gpt-4o"}'}], ids=["cached", "not cached"]
)
def test_readers_while_spans_end(pipeline: Any, fields: Any, named: Any, forged: Any) -> None:
    """Readers in other threads see all added attributes or none, and no error."""
    registry = _Yielding(auto_emit=False)
    registry.register(**fields)
    tracer = pipeline(ModelRegistrySpanProcessor(registry), exporting=None).tracer
    own: dict[str, Any] = {f"{number}": number for number in range(40)}
    own |= named
    names = ("status", "owner", "risk_tier", "model_id", "name", "version")
    after = own.keys() | {f"model_registry.{name}" for name in names}
    before = own.keys() | forged.keys()
    current: list[Any] = [tracer.start_span("call", attributes=own | forged)]
    seen = {len(before): 0, len(after): 0}

    def read(stop: threading.Event) -> None:
        while not stop.is_set():
            shown = dict(current[0].attributes)
            list(current[0].attributes.items())
            assert shown.keys() in (before, after), f"in between: {sorted(shown.keys() ^ own.keys())}"
            seen[len(shown)] += 1

    with switching_often(1e-5), in_background(read, read):
        for turn in range(5_000):
            if turn >= 150 and all(seen.values()):  # on a loaded machine, readers can miss all running spans
                break
            current[0] = tracer.start_span("call", attributes=own | forged)
            time.sleep(0)
            current[0].end()
            time.sleep(1e-4)
    assert all(seen.values())
