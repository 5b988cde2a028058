"""``deprecate`` and ``retire`` on models that a file has."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.layers import FILE, START, Clock, at, emitted, filed, found, record, register, shown

from spanforge.model_registry import LifecycleError, ModelRegistry, StateAsOf
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES
from spanforge.model_registry._core.layers import compute_entries
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, OperationKind
from spanforge.model_registry._core.operations import Operation
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


def test_file_with_the_status_replaces_the_operation(layers: LayeredRegistry) -> None:
    """Nothing of an operation remains when the file has its status or a later one."""
    replace_file_entries(layers, [filed()])
    layers.deprecate("a", reason="old", successor="b")
    entry = filed(status="deprecated", metadata={"deprecation_reason": "the file's"})
    replace_file_entries(layers, [entry])
    assert found(layers) is entry


def test_second_deprecation_lasts_until_the_next_load(layers: LayeredRegistry) -> None:
    """A second deprecation is in force until the next load of a file with that status."""
    entry = filed(status="deprecated", metadata={"deprecation_reason": "the file's"})
    replace_file_entries(layers, [entry])
    assert layers.deprecate("a", reason="new").metadata["deprecation_reason"] == "new"
    replace_file_entries(layers, [entry])
    assert found(layers) is entry


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


def test_records_of_a_model_that_returns(layers: LayeredRegistry, clock: Clock) -> None:
    """A model that returns has its records again, unless code registered it meanwhile."""
    replace_file_entries(layers, [filed(), filed("b")])
    clock.second = 1
    layers.deprecate("a")
    layers.deprecate("b")
    replace_file_entries(layers, [])
    clock.second = 2
    register(layers, "b")
    replace_file_entries(layers, [filed(), filed("b")])
    assert shown(layers) == [("a", "file", "deprecated"), ("b", "file", "active")]
    assert found(layers).metadata["history"] == [record(1, "deprecated", "file")]
    assert found(layers, "b").metadata == {}


@pytest.fixture
def _resume(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add an operation that makes a deprecated model active again."""
    deprecated = LIFECYCLE["deprecated"]
    row = deprecated._replace(operations=deprecated.operations | {"resume"})  # type: ignore[arg-type]
    monkeypatch.setitem(cast("Any", LIFECYCLE), "deprecated", row)
    kind = OperationKind("active", "model_registry.resumed", registers=False)
    monkeypatch.setitem(cast("Any", OPERATIONS), "resume", kind)
    monkeypatch.setitem(OPERATION_SPAN_NAMES, "resume", "model_registry.resume")  # type: ignore[misc]


@pytest.mark.usefixtures("_resume")
@pytest.mark.parametrize("in_file", [True, False])
def test_further_operation_changes_the_status(
    layers: LayeredRegistry, exporter: InMemorySpanExporter, *, in_file: bool
) -> None:
    """It changes the status of a file's model and of any other, and has its own event."""
    if in_file:
        replace_file_entries(layers, [filed()])
    else:
        register(layers)
    layers.deprecate("a")
    exporter.clear()
    resumed = layers._run_operation(Operation("resume", "a", "fixed"))  # type: ignore[arg-type]
    assert (resumed.status, resumed.metadata["history"][-1]["reason"]) == ("active", "fixed")
    assert resumed is found(layers)
    assert compute_entries(layers._state.layers) == layers.list_all()
    assert emitted(exporter) == [("model_registry.resumed", "a", "active", "deprecated")]


@pytest.mark.usefixtures("_resume")
def test_emit_changes_with_a_further_operation() -> None:
    """``emit_changes`` sees a registration in a new active model, and a resumption in one that was deprecated."""
    registry, entry = ModelRegistry(auto_emit=False), filed()
    deprecated = filed(status="deprecated")
    names = [[one.name for one in registry.emit_changes(before, [entry])] for before in ([], [entry], [deprecated])]
    assert names == [["model_registry.registered"], [], ["model_registry.resumed"]]
