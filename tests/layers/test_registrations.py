"""Registrations of models that a file has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.entries import INVALID_ARGUMENTS
from support.layers import CODE, START, Clock, at, emitted, filed, found, record, register

from spanforge.model_registry import InvalidEntryError
from spanforge.model_registry._core.state import replace_file_entries

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from spanforge.model_registry._core.default import LayeredRegistry


def test_file_read_during_a_registration(
    layers: LayeredRegistry, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a signal handler reads a file meanwhile, the file's entry is in force and no event is emitted."""
    handlers = iter([lambda: replace_file_entries(layers, [filed()])])

    def time_ns() -> int:
        next(handlers, lambda: None)()
        return int(START.timestamp()) * 1_000_000_000

    monkeypatch.setattr("time.time_ns", time_ns)
    assert register(layers).owner == "file"
    assert emitted(exporter) == []


@pytest.mark.parametrize("replace", [False, True])
def test_registration_returns_the_entry_in_force(
    layers: LayeredRegistry, exporter: InMemorySpanExporter, *, replace: bool
) -> None:
    """A registration of a file's model returns the file's entry with its status, and emits no event."""
    entry = filed()
    replace_file_entries(layers, [entry])
    assert register(layers, replace=replace) is register(layers, owner="other", replace=True) is entry
    deprecated = layers.deprecate("a")
    assert register(layers, replace=replace) is deprecated is found(layers)
    assert emitted(exporter) == [("model_registry.deprecated", "a", "deprecated", "active")]


def test_registration_before_the_load_has_an_event(layers: LayeredRegistry, exporter: InMemorySpanExporter) -> None:
    """A registration emits an event, and a later load emits none."""
    register(layers)
    replace_file_entries(layers, [filed()])
    register(layers, replace=True)
    assert emitted(exporter) == [("model_registry.registered", "a", "active", None)]


@pytest.mark.parametrize(("arguments", "field"), INVALID_ARGUMENTS)
def test_invalid_arguments(
    layers: LayeredRegistry, caplog: pytest.LogCaptureFixture, arguments: dict[str, Any], field: str
) -> None:
    """Invalid arguments raise the same errors, and nothing of them is kept or logged."""
    replace_file_entries(layers, [filed()])
    with pytest.raises(InvalidEntryError) as caught:
        register(layers, **arguments)
    assert caught.value.field == field
    replace_file_entries(layers, [])
    assert len(layers) == 0
    assert caplog.messages == []


def test_registration_is_kept_beneath_the_file(layers: LayeredRegistry, clock: Clock) -> None:
    """When the file drops the model, the application's own entry is in force with all its changes."""
    replace_file_entries(layers, [filed(deployment_date="2020-01-01", metadata={"sunset_date": "2027-01-01", "x": 1})])
    clock.second = 1
    register(layers, metadata={"y": 2}, aliases=["b", "c-*"], provider="openai", actor="me")
    clock.second = 2
    layers.deprecate("a", reason="old", successor="d", actor="you")
    clock.second = 3
    register(layers, version="2", replace=True, deployment_date=at(1), metadata={"y": 3})
    replace_file_entries(layers, [])
    assert found(layers).to_dict() == {
        "model_id": "a",
        **CODE,
        "version": "2",
        "status": "deprecated",
        "deployment_date": at(1),
        "decommission_date": None,
        "metadata": {
            "y": 3,
            "deprecation_date": at(2),
            "deprecation_reason": "old",
            "successor": "d",
            "history": [
                record(1, "active", "code", actor="me"),
                record(2, "deprecated", "code", reason="old", actor="you"),
                record(3, "deprecated", "code"),
            ],
        },
    }


@pytest.mark.parametrize("again", [{"version": "2"}, {"replace": True, "deployment_date": "2030-01-01"}])
def test_second_registration_is_ignored(layers: LayeredRegistry, again: dict[str, Any]) -> None:
    """A second registration returns the file's entry, and the first one is kept."""
    replace_file_entries(layers, [filed()])
    register(layers, deployment_date="2020-01-01")
    assert register(layers, **again).owner == "file"
    replace_file_entries(layers, [])
    assert (found(layers).version, found(layers).deployment_date) == ("1", "2020-01-01")
