"""Fixtures for the two layers of the process-wide registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.layers import Clock

from spanforge.model_registry._core.default import LayeredRegistry

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that replaces the real one."""
    clock = Clock()
    monkeypatch.setattr("time.time_ns", clock.time_ns)
    return clock


@pytest.fixture
def layers(provider: TracerProvider) -> LayeredRegistry:
    """Return an empty registry of two layers that emits its events through ``provider``."""
    return LayeredRegistry(tracer_provider=provider)
