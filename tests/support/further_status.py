"""Stories about a status that there is not: ``suspended``. ``suspend`` leads to it, and ``resume`` leads back from it.

``tests/test_further_status.py`` runs them in a process of their own, on a copy of the package whose tables have them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from support.evidence import EvidenceCase, csv_rows, make_entry, make_record
from support.frameworks import make_clause, make_framework
from support.otlp import Otlp

from spanforge.model_registry import LifecycleError, ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS
from spanforge.model_registry._core.operations import Operation
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance._analysis.changes import list_changes, match_events
from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest
from spanforge.model_registry.compliance._analysis.seen_events import read_event

TABLES = """
_SUSPENDED = LIFECYCLE["deprecated"]._replace(
    operations=frozenset({"register", "suspend", "resume", "deprecate", "retire"}),
    rank=0.5,
    warning="is suspended",
    date="suspension_date",
    finding="while_suspended",
)
_ACTIVE = LIFECYCLE["active"]._replace(operations=LIFECYCLE["active"].operations | {"suspend"})
LIFECYCLE = {"active": _ACTIVE, "suspended": _SUSPENDED, **{key: LIFECYCLE[key] for key in ("deprecated", "retired")}}
OPERATIONS = {
    **OPERATIONS,
    "suspend": OperationKind("suspended", "model_registry.suspended", registers=False),
    "resume": OperationKind("active", "model_registry.resumed", registers=False),
}
STATUSES = tuple(LIFECYCLE)
FLAGGED_STATUSES = frozenset(status for status, row in LIFECYCLE.items() if row.flagged)
"""
"""What is added to ``lifecycle``."""
FIELDS: dict[str, Any] = {"name": "N", "version": "1", "risk_tier": "low", "owner": "team", "purpose": "test"}
SINCE, EARLIER, LATER = "2026-01-02", "2026-01-01", "2026-01-03"


def do(registry: ModelRegistry, operation: Any) -> ModelRegistryEntry:
    """Make an operation on the model ``a``; a registry has no methods for some."""
    return registry._run_operation(Operation(operation, "a"))


def at(*statuses: str, **metadata: Any) -> ModelRegistryEntry:
    """Return an entry whose history has these statuses, one a day."""
    facts = {"owner": "team", "risk_tier": "low"}
    history = [{"at": f"2026-01-{day:02}", "status": status, **facts} for day, status in enumerate(statuses, 1)]
    return ModelRegistryEntry("a", **FIELDS, status=statuses[-1], metadata={"history": history, **metadata})  # type: ignore[arg-type]


def filed(status: Any, **metadata: Any) -> ModelRegistryEntry:
    """Return an entry without a history."""
    return ModelRegistryEntry("a", **FIELDS, status=status, metadata=metadata)


def layers(*entries: ModelRegistryEntry) -> LayeredRegistry:
    """Return a registry that follows a file with these entries."""
    registry = LayeredRegistry(auto_emit=False)
    replace_file_entries(registry, entries)
    return registry


def status_after(registry: LayeredRegistry, entry: ModelRegistryEntry) -> str:
    """Return the model's status in force after its file was read again."""
    replace_file_entries(registry, [entry])
    found = registry.get("a")
    assert found is not None
    return found.status


def dates() -> None:
    """A suspension has a date, its end removes the date, and the next one has another."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("a", **FIELDS)
    first = do(registry, "suspend")
    assert do(registry, "suspend").metadata["suspension_date"] == first.metadata["suspension_date"]
    resumed = do(registry, "resume")
    assert "suspension_date" not in resumed.metadata
    assert do(registry, "suspend").metadata["suspension_date"] > first.metadata["suspension_date"]
    moments = [record["at"] for record in first.metadata["history"]]
    assert [getattr(resumed.as_of(moment), "status", None) for moment in moments] == ["active", "suspended"]
    without = resumed.to_dict()
    del without["metadata"]["history"]
    state = ModelRegistryEntry.from_dict(without).as_of("2100-01-01")
    assert state is not None
    assert state.status == "active"
    assert filed("suspended", suspension_date=SINCE).as_of(LATER).status == "suspended"  # type: ignore[union-attr]


def planned_dates() -> None:
    """A resumption keeps the dates of statuses that the model has not reached."""
    registry = layers(ModelRegistryEntry("a", **FIELDS, decommission_date="2100-01-01"))
    do(registry, "suspend")
    assert do(registry, "resume").decommission_date == "2100-01-01"


def reloads_after_resume() -> None:
    """A resumption of a model that its file suspends holds until the file shows another change."""
    for entry in (filed("suspended", suspension_date=SINCE), at("active", "suspended", suspension_date=SINCE)):
        registry = layers(entry)
        assert do(registry, "resume").status == "active"
        assert [status_after(registry, entry) for _ in range(3)] == ["active"] * 3
        replace_file_entries(registry, [])
        assert status_after(registry, entry) == "active"
        assert status_after(registry, at("active", "suspended", "active", "suspended")) == "suspended"
    for other in ("suspended", "deprecated", "retired"):
        registry = layers(filed("suspended"))
        do(registry, "resume")
        assert status_after(registry, filed("active")) == "active"
        assert status_after(registry, filed(other)) == other


def reloads_after_suspend() -> None:
    """A suspension of a file's model holds until the file shows it, or a later change of status."""
    entry = at("active")
    registry = layers(entry)
    do(registry, "suspend")
    assert [status_after(registry, one) for one in (entry, entry, at("active", "active"))] == ["suspended"] * 3
    assert status_after(registry, at("active", "suspended", "active")) == "active"
    for other in ("suspended", "deprecated", "retired"):
        registry = layers(filed("active"))
        do(registry, "suspend")
        assert status_after(registry, filed(other)) == other
        assert status_after(registry, filed("active")) == "active"
    registry = layers(filed("active"))
    do(registry, "suspend")
    do(registry, "retire")
    assert [status_after(registry, filed(status)) for status in ("active", "suspended")] == ["retired"] * 2  # type: ignore[arg-type]


def bounded_operations() -> None:
    """Many suspensions in a row: the date is that of the last one, over a reload too."""
    entry = filed("active")
    registry = layers(entry)
    for _ in range(600):
        do(registry, "suspend")
        do(registry, "resume")
    last = do(registry, "suspend")
    assert status_after(registry, entry) == "suspended"
    found = registry.get("a")
    assert found is not None
    assert found.metadata["suspension_date"] == last.metadata["suspension_date"] == found.metadata["history"][-1]["at"]


def emitted(registry: ModelRegistry, before: str, after: str) -> list[str] | None:
    """Return the short names of the events of a change of status; ``None``: it is refused."""
    try:
        events = registry.emit_changes([filed(before)], [filed(after)])
    except LifecycleError:
        return None
    return [event.name.rpartition(".")[2] for event in events]


def changes_of_files() -> None:
    """``emit_changes`` emits an operation of the table for each pair of statuses, nothing, or an error."""
    registry = ModelRegistry(auto_emit=False)
    found = {(before, after): emitted(registry, before, after) for before in LIFECYCLE for after in LIFECYCLE}
    reached = {status: [name] for status, name in (("deprecated", "deprecated"), ("retired", "retired"))}
    assert found == {
        **{("active", status): events for status, events in reached.items()},
        **{("suspended", status): events for status, events in reached.items()},
        **{(status, status): [] for status in LIFECYCLE},
        ("active", "suspended"): ["suspended"],
        ("suspended", "active"): ["resumed"],
        ("deprecated", "active"): [],
        ("deprecated", "suspended"): None,
        ("deprecated", "retired"): ["retired"],
        **{("retired", status): None for status in LIFECYCLE if status != "retired"},
    }
    assert registry.emit_changes([filed("active")], [filed("active", sunset_date=LATER)]) == []
    named = [event.name for event in registry.emit_changes([], [filed("suspended")])]
    assert named == ["model_registry.registered", "model_registry.suspended"]


def replayed_history() -> None:
    """The past is known from the history, and each change is confirmed by events of its status only."""
    entry = at("active", "suspended", "active", "active", "suspended", "deprecated")
    days = range(1, 7)
    states = [entry.as_of(f"2026-01-{day:02}") for day in days]
    assert [state.status for state in states if state] == [record["status"] for record in entry.metadata["history"]]
    request = ScanRequest(to_nanos(EARLIER), to_nanos("2026-02-01"), 0, 0, [])
    changes = list_changes([entry], request)
    assert [change.status for change in changes] == [record["status"] for record in entry.metadata["history"]]
    names = ("suspended", "resumed", "registered", "deprecated", "retired")
    events = {
        name: read_event(f"model_registry.{name}", changes[1].at, {"model_registry.model_id": "a"}) for name in names
    }
    confirmed = {name: match_events(changes, [event], 0) for name, event in events.items() if event is not None}
    assert {name for name, found in confirmed.items() if found[1] is not None} == {"suspended"}
    dated = ModelRegistryEntry(
        "a", **FIELDS, status="suspended", deployment_date=EARLIER, metadata={"suspension_date": SINCE}
    )
    assert [change.status for change in list_changes([dated], request)] == ["active", "suspended"]
    carried = {"model_registry.model_id": "a", "model_registry.metadata.suspension_date": SINCE}
    event = read_event("model_registry.suspended", changes[0].at, carried)
    assert event is not None
    assert match_events(list_changes([dated], request), [event], 0) == [None, event]


def evidence() -> None:
    """Calls of suspended models, by history or by date, are counted, shown and never supported."""
    otlp, noon = Otlp(), Otlp.start + 12 * 3_600 * 10**9
    since = "2026-01-01T06:00:00Z"
    history = [make_record("2025-01-01", "active"), make_record(since, "suspended")]
    entries = (
        make_entry("a", status="suspended", metadata={"history": history}),
        make_entry("b", metadata={"suspension_date": since}),
        make_entry("c", metadata={"history": history[:1], "suspension_date": since}),
    )
    calls = [otlp.enriched(name, noon, model_registry__status="suspended") for name in "ab"]
    uses = make_framework(make_clause("use", checks=["no_calls_while_suspended"]), make_clause("rest"))
    with tempfile.TemporaryDirectory() as folder:
        case = EvidenceCase(Path(folder))
        case.write(otlp.line(*calls, otlp.enriched("b"), otlp.enriched("c")))
        package = case.package(case.engine(*entries), framework=uses)
    exceptions = {check.check: check.exceptions for check in package.attestation.checks if check.exceptions}
    assert exceptions.pop("no_calls_while_suspended") == 2
    assert set(exceptions) <= {"changes_recorded", "retention"}
    assert {clause.status for clause in package.attestation.clauses} == {"findings"}
    changes = sorted((change.status, change.source) for change in package.attestation.changes)
    assert changes == [("suspended", "dates"), ("suspended", "dates"), ("suspended", "history")]
    rows = [(row["status"], row["calls"], row["calls_while_suspended"]) for row in csv_rows(package)]
    assert rows == [("suspended", "1", "1"), ("suspended", "2", "1"), ("suspended", "1", "0")]


STORIES = (
    dates,
    planned_dates,
    reloads_after_resume,
    reloads_after_suspend,
    bounded_operations,
    changes_of_files,
    replayed_history,
    evidence,
)

if __name__ == "__main__":
    assert "resume" in OPERATIONS
    for story in STORIES:
        story()
