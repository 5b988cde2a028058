"""``register``, ``deprecate`` and ``retire`` on models that a file has."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.layers import CODE, FILE, START, Clock, at, emitted, filed, found, record, register

from spanforge.model_registry import LifecycleError, ModelRegistry, StateAsOf
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.validation import MAX_HISTORY

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def test_events_of_operations(layers: LayeredRegistry, exporter: InMemorySpanExporter, tmp_path: Path) -> None:
    """Each operation emits its event once with the previous status; loads and refused operations emit none."""
    replace_file_entries(layers, [filed(), filed("b", status="deprecated")])
    layers.deprecate("a", reason="old", actor="me")
    layers.deprecate("a")
    replace_file_entries(layers, [filed(), filed("b", status="deprecated")])
    layers.retire("b")
    layers.retire("a")
    replace_file_entries(layers, [filed(), filed("b")])
    for model_id in "ab":
        with pytest.raises(LifecycleError):
            layers.retire(model_id)
    layers.save(tmp_path / "models.json")
    layers.load(tmp_path / "models.json")
    layers.clear()
    assert emitted(exporter) == [
        ("model_registry.deprecated", "a", "deprecated", "active"),
        ("model_registry.deprecated", "a", "deprecated", "deprecated"),
        ("model_registry.retired", "b", "retired", "deprecated"),
        ("model_registry.retired", "a", "retired", "deprecated"),
    ]
    attributes = exporter.get_finished_spans()[0].events[0].attributes or {}
    assert {key: attributes[f"model_registry.{key}"] for key in ("owner", "reason", "actor")} == {
        "owner": "file",
        "reason": "old",
        "actor": "me",
    }


def test_deprecation_outlasts_reloads(layers: LayeredRegistry, clock: Clock) -> None:
    """The values and records of operations are added to whatever the file has after a reload."""
    replace_file_entries(layers, [filed(metadata={"sunset_date": "2027-01-01", "successor": "b", "x": 1, "y": 1})])
    clock.second = 1
    layers.deprecate("a", reason="old", actor="me")
    clock.second = 2
    layers.deprecate("a", successor="c")
    replace_file_entries(
        layers,
        [
            filed(
                name="M",
                version="2",
                risk_tier="high",
                owner="new",
                purpose="other",
                deployment_date="2020-01-01",
                decommission_date="2029-01-01",
                metadata={"sunset_date": "2028-01-01", "aliases": ["b"], "x": 2},
            )
        ],
    )
    assert found(layers).to_dict() == {
        "model_id": "a",
        "name": "M",
        "version": "2",
        "risk_tier": "high",
        "owner": "new",
        "purpose": "other",
        "status": "deprecated",
        "deployment_date": "2020-01-01",
        "decommission_date": "2029-01-01",
        "metadata": {
            "sunset_date": "2028-01-01",
            "aliases": ["b"],
            "x": 2,
            "deprecation_date": at(1),
            "deprecation_reason": "old",
            "successor": "c",
            "history": [
                {**record(1, "deprecated", "new", reason="old", actor="me"), "risk_tier": "high"},
                {**record(2, "deprecated", "new"), "risk_tier": "high"},
            ],
        },
    }


def test_retirement_outlasts_reloads(layers: LayeredRegistry, clock: Clock) -> None:
    """The date is that of the operation, and the file's new metadata is taken."""
    replace_file_entries(layers, [filed(status="deprecated", metadata={"deprecation_date": "2024-01-01"})])
    clock.second = 1
    layers.retire("a", reason="unused")
    later = {"deprecation_date": "2025-01-01", "deprecation_reason": "new"}
    replace_file_entries(layers, [filed(status="deprecated", decommission_date="2029-01-01", metadata=later)])
    assert found(layers).to_dict() == {
        "model_id": "a",
        **FILE,
        "status": "retired",
        "deployment_date": None,
        "decommission_date": at(1),
        "metadata": {**later, "history": [record(1, "retired", "file", reason="unused")]},
    }


def test_first_date_of_deprecation_stays(layers: LayeredRegistry, clock: Clock) -> None:
    """The first date counts, at the operation and after a load."""
    announced = filed(metadata={"deprecation_date": "2025-01-01"})
    replace_file_entries(layers, [announced])
    clock.second = 1
    assert layers.deprecate("a").metadata["deprecation_date"] == "2025-01-01"
    replace_file_entries(layers, [announced])
    assert found(layers).metadata["deprecation_date"] == "2025-01-01"


def test_as_of(layers: LayeredRegistry, clock: Clock) -> None:
    """``as_of`` returns the status in force at each moment, before and after loads."""
    history = [record(0, "active", "first")]
    replace_file_entries(layers, [filed(deployment_date=at(0), metadata={"history": history})])
    clock.second = 10
    layers.deprecate("a")
    clock.second = 20
    layers.retire("a")
    clock.second = 30
    replace_file_entries(layers, [filed(deployment_date=at(0), metadata={"history": history})])
    entry = found(layers)
    assert entry.metadata["history"] == [*history, record(10, "deprecated", "file"), record(20, "retired", "file")]
    assert [entry.as_of(at(second)) for second in (0, 9, 10, 19, 20, 30)] == [
        StateAsOf("active", "first", "low", "history"),
        StateAsOf("active", "first", "low", "history"),
        StateAsOf("deprecated", "file", "low", "history"),
        StateAsOf("deprecated", "file", "low", "history"),
        StateAsOf("retired", "file", "low", "history"),
        StateAsOf("retired", "file", "low", "history"),
    ]
    assert entry.as_of(START - timedelta(seconds=1)) is None


def test_operation_is_later_than_records_of_the_file(layers: LayeredRegistry, clock: Clock) -> None:
    """An operation that still holds comes after the newer records of the file."""
    replace_file_entries(layers, [filed()])
    clock.second = 10
    layers.deprecate("a")
    clock.second = 20
    layers.retire("a")
    clock.second = 40
    replace_file_entries(layers, [filed(owner="new", metadata={"history": [record(30, "active", "new")]})])
    entry = found(layers)
    assert [(one["at"], one["status"]) for one in entry.metadata["history"]] == [
        ("2026-01-01T00:00:30.000000Z", "active"),
        ("2026-01-01T00:00:30.000001Z", "deprecated"),
        ("2026-01-01T00:00:30.000002Z", "retired"),
    ]
    assert entry.as_of(at(30)) == StateAsOf("active", "new", "low", "history")
    assert entry.as_of(at(40)) == StateAsOf("retired", "new", "low", "history")


def test_history_of_a_file_ahead_of_the_clock(layers: LayeredRegistry, clock: Clock) -> None:
    """An operation comes after the records of a file from a clock that is ahead."""
    entry = filed(metadata={"history": [record(50, "active", "file")]})
    replace_file_entries(layers, [entry])
    clock.second = 1
    layers.deprecate("a")
    replace_file_entries(layers, [entry])
    layers.retire("a")
    replace_file_entries(layers, [entry])
    assert [(one["at"], one["status"]) for one in found(layers).metadata["history"]] == [
        ("2026-01-01T00:00:50.000000Z", "active"),
        ("2026-01-01T00:00:50.000001Z", "deprecated"),
        ("2026-01-01T00:00:50.000002Z", "retired"),
    ]


def test_history_of_the_application_ahead_of_the_clock(layers: LayeredRegistry, clock: Clock, tmp_path: Path) -> None:
    """An operation comes after the records of the application's own entry too."""
    written = ModelRegistry(auto_emit=False)
    replace_file_entries(written, [filed(owner="code", metadata={"history": [record(50, "active", "code")]})])
    written.save(tmp_path / "models.json")
    layers.load(tmp_path / "models.json")
    replace_file_entries(layers, [filed()])
    clock.second = 1
    assert layers.deprecate("a").metadata["history"] == [record(1, "deprecated", "file")]
    replace_file_entries(layers, [])
    assert [(one["at"], one["status"]) for one in found(layers).metadata["history"]] == [
        ("2026-01-01T00:00:50.000000Z", "active"),
        ("2026-01-01T00:00:50.000001Z", "deprecated"),
    ]


@pytest.mark.slow
def test_history_is_bounded() -> None:
    """The newest 1,000 records and the date of the first deprecation are kept over reloads."""
    entry = filed(metadata={"history": [record(0, "active", "file")] * 500})
    layers = LayeredRegistry(auto_emit=False)
    replace_file_entries(layers, [entry])
    first = layers.deprecate("a", reason="first").metadata["deprecation_date"]
    for number in range(MAX_HISTORY):
        layers.deprecate("a", successor=str(number))
    replace_file_entries(layers, [entry])
    metadata = found(layers).metadata
    assert (len(metadata["history"]), metadata["history"][0]["status"]) == (MAX_HISTORY, "deprecated")
    assert metadata["deprecation_date"] == first < metadata["history"][0]["at"]
    assert (metadata["deprecation_reason"], metadata["successor"]) == ("first", str(MAX_HISTORY - 1))


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
