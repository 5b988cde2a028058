"""Tests of an application, with the isolated registry."""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from typing_extensions import assert_type

from spanforge.model_registry import LifecycleEvent, ModelRegistry
from spanforge.model_registry.testing import IsolatedRegistry, isolate_registry


def telemetry() -> Iterator[IsolatedRegistry]:
    with isolate_registry(keep_models=True, tracer_provider=TracerProvider()) as isolated:
        yield isolated


def test_call(model_registry: IsolatedRegistry) -> None:
    model_registry.load_files("models.yaml")
    assert_type(model_registry.registry, ModelRegistry)
    assert_type(model_registry.assert_span("chat", owner="chat-team"), ReadableSpan)
    event = model_registry.assert_event("model_registry.deprecated", reason="old")
    assert_type(event, LifecycleEvent)
    assert_type(event.reason, str | None)
    model_registry.assert_event(name="model_registry.retired")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


@isolate_registry()
def test_decorated() -> None:
    pass


isolate_registry(tracer_provider="global")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
