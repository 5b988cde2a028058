"""A global tracer provider that the application sets after the plugin was installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from spanforge.model_registry.otel._late_provider import LateProvider

if TYPE_CHECKING:
    import pytest


def test_wait_pauses_for_a_test(provider: Any, set_global: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a test has set the process aside, a provider is not noticed. Afterwards the next one is, once."""
    monkeypatch.setattr(trace, "_set_tracer_provider", trace._set_tracer_provider)  # so that it is unwrapped in the end
    late, seen = LateProvider(), list[Any]()
    late.wait(seen.append)
    restore = late.set_aside()
    set_global(provider)
    assert seen == []
    restore()
    for _ in range(2):
        set_global(provider)
        assert seen == [provider]
