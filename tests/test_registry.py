"""The registry's operations."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.entries import INVALID_ARGUMENTS
from support.lifecycle import CHANGING, bring
from support.telemetry import exported_events

from spanforge.model_registry import (
    InvalidEntryError,
    LifecycleError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ModelRegistry,
    ModelRegistryEntry,
    ModelStatus,
)
from spanforge.model_registry._core.guard import guards_at_forks
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, STATUSES, OperationName
from spanforge.model_registry._core.validation import MAX_HISTORY

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


ALLOWED = {
    (status, OPERATIONS[name].target)
    for status, row in LIFECYCLE.items()
    for name in row.operations
    if name != "register"
}


@pytest.mark.parametrize("operation", CHANGING)
@pytest.mark.parametrize("status", LIFECYCLE)
def test_operations_are_allowed_by_the_table(
    registry: ModelRegistry, fields: dict[str, Any], status: ModelStatus, operation: OperationName
) -> None:
    """An operation works from the statuses that the table allows, and from no other."""
    registry.register(**fields)
    bring(registry, "gpt-4o", status)
    before = registry.list_all()
    if operation in LIFECYCLE[status].operations:
        assert getattr(registry, operation)("gpt-4o").status == OPERATIONS[operation].target
    else:
        with pytest.raises(LifecycleError, match=f"already {status}"):
            getattr(registry, operation)("gpt-4o")
        assert registry.list_all() == before


def test_allowed_transitions() -> None:
    """A model can be deprecated again and again, and retired once."""
    targets = ("deprecated", "retired")
    assert {(status, target) for status in ("active", "deprecated") for target in targets} == ALLOWED


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (lambda registry, _: registry.retire("gpt-4o"), "model 'gpt-4o' is already retired"),
        (lambda registry, _: registry.deprecate("gpt-4o"), "cannot deprecate model 'gpt-4o': it is already retired"),
        (
            lambda registry, fields: registry.register(**fields, replace=True),
            "cannot replace model 'gpt-4o': it is already retired",
        ),
    ],
)
def test_lifecycle_error_names_the_operation(
    registry: ModelRegistry, fields: dict[str, Any], operation: Any, sentence: str
) -> None:
    """The error names the refused operation, the model and its status."""
    registry.register(**fields)
    registry.retire("gpt-4o")
    with pytest.raises(LifecycleError) as caught:
        operation(registry, fields)
    assert str(caught.value) == sentence


def test_replace_refuses_another_deployment_date(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Replacing keeps the dates, so a different one is an error and the same one is fine."""
    registry.register(**fields, deployment_date="2024-05-13")
    assert registry.register(**fields, deployment_date="2024-05-13", replace=True).deployment_date == "2024-05-13"
    with pytest.raises(InvalidEntryError, match="deployment_date cannot change on replace: it is '2024-05-13'"):
        registry.register(**fields, deployment_date="2025-01-01", replace=True)


@pytest.mark.parametrize(("arguments", "field"), INVALID_ARGUMENTS)
def test_invalid_arguments(
    registry: ModelRegistry,
    fields: dict[str, Any],
    exporter: InMemorySpanExporter,
    arguments: dict[str, Any],
    field: str,
) -> None:
    """The error names the field and the model, nothing changes and no event is emitted."""
    with pytest.raises(InvalidEntryError) as caught:
        registry.register(**fields | arguments)
    assert caught.value.field == field
    assert caught.value.model_id in (None, "gpt-4o")
    assert len(registry) == 0
    assert not exporter.get_finished_spans()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"sunset_date": "soon"}, "sunset_date"),
        ({"successor": ""}, "successor"),
        ({"reason": 5}, "reason"),
        ({"reason": "x" * 5000}, "reason"),
        ({"actor": " "}, "actor"),
    ],
)
def test_invalid_deprecation(registry: ModelRegistry, fields: dict[str, Any], arguments: Any, field: str) -> None:
    """An invalid argument of ``deprecate`` changes nothing."""
    entry = registry.register(**fields)
    with pytest.raises(InvalidEntryError) as caught:
        registry.deprecate("gpt-4o", **arguments)
    assert caught.value.field == field
    assert registry.get("gpt-4o") is entry


@pytest.mark.slow
def test_history_is_bounded(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """The history keeps the newest records."""
    registry.register(**fields)
    for number in range(MAX_HISTORY + 5):
        registry.deprecate("gpt-4o", reason=str(number))
    entry = registry.get("gpt-4o")
    assert entry is not None
    reasons = [record["reason"] for record in entry.metadata["history"]]
    assert reasons == [str(number) for number in range(5, MAX_HISTORY + 5)]


def test_timestamps_increase_strictly(registry: ModelRegistry, fields: dict[str, Any], monkeypatch: Any) -> None:
    """Operations within one microsecond, or while the clock goes back, are in order."""
    clock = iter([5_000_000, 5_000_000, 1_000_000, 9_000_000])
    monkeypatch.setattr("time.time_ns", lambda: next(clock))
    registry = ModelRegistry(auto_emit=False)
    moments = [
        registry.register(**fields | {"model_id": str(number)}).metadata["history"][0]["at"] for number in range(4)
    ]
    assert moments == [
        "1970-01-01T00:00:00.005000Z",
        "1970-01-01T00:00:00.005001Z",
        "1970-01-01T00:00:00.005002Z",
        "1970-01-01T00:00:00.009000Z",
    ]


def test_repr(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """The text of a registry has the number of its models."""
    registry.register(**fields)
    assert repr(registry) == "<ModelRegistry of 1 models>"


def test_check_and_require(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """``check`` returns warnings, and ``require`` raises for models that are not allowed."""
    entry = registry.register(**fields, aliases=["support"])
    assert registry.check("gpt-4o") == ()
    assert registry.require("support") is entry
    registry.deprecate("gpt-4o")
    assert registry.check("support") == ("model 'gpt-4o' is deprecated",)
    assert registry.require("gpt-4o").status == "deprecated"
    with pytest.raises(ModelNotAllowedError, match="model 'gpt-4o' is deprecated"):
        registry.require("gpt-4o", allow=["active"])
    registry.retire("gpt-4o")
    assert registry.check("gpt-4o") == ("model 'gpt-4o' is retired",)
    with pytest.raises(ModelNotAllowedError, match="model 'gpt-4o' is retired"):
        registry.require("gpt-4o")
    assert registry.check("gpt-5") == ("model 'gpt-5' is not registered",)
    with pytest.raises(ModelNotFoundError):
        registry.require("gpt-5")
    with pytest.raises(InvalidEntryError, match=f"allow must be one of {', '.join(STATUSES)}"):
        registry.require("gpt-4o", allow=["unregistered"])


def test_auto_emit_can_be_switched_off(fields: dict[str, Any], provider: Any, exporter: InMemorySpanExporter) -> None:
    """A registry without ``auto_emit`` emits no events."""
    registry = ModelRegistry(auto_emit=False, tracer_provider=provider)
    registry.register(**fields)
    registry.retire("gpt-4o")
    assert not exporter.get_finished_spans()


class TestEmitChanges:
    """``emit_changes``: the events of the differences between two lists of entries."""

    def test_each_kind_of_difference(
        self, registry: ModelRegistry, fields: dict[str, Any], exporter: InMemorySpanExporter
    ) -> None:
        """New, changed, deprecated and retired models have events; removed and equal models have none."""
        source = ModelRegistry(auto_emit=False)
        for model_id in ("same", "gone", "changed", "deprecated", "again", "retired"):
            source.register(**fields | {"model_id": model_id})
        source.deprecate("again")
        before = source.list_all()
        source.register(**fields | {"model_id": "changed", "owner": "other"}, replace=True)
        source.deprecate("deprecated", reason="old")
        source.deprecate("again", successor="same")
        source.retire("retired", reason="unused")
        source.register(**fields | {"model_id": "new"})
        after = [entry for entry in source if entry.model_id != "gone"]

        events = registry.emit_changes(before, after, actor="ci")

        assert [(event.name.rpartition(".")[2], event.entry.model_id) for event in events] == [
            ("registered", "changed"),
            ("deprecated", "deprecated"),
            ("deprecated", "again"),
            ("retired", "retired"),
            ("registered", "new"),
        ]
        emitted = exported_events(exporter)
        assert [event.name for event in emitted] == [event.name for event in events]
        assert [event.attributes["model_registry.actor"] for event in emitted if event.attributes] == ["ci"] * 5
        assert [event.previous_status for event in events] == ["active", "active", "deprecated", "active", None]
        assert [event.reason for event in events] == [None, "old", None, "unused", None]
        assert len(registry) == 0

    def test_refused_change(self, registry: ModelRegistry, fields: dict[str, Any], exporter: Any) -> None:
        """A retired model that is active again is an error, and no event is emitted."""
        new = ModelRegistryEntry(**fields | {"model_id": "new"})
        with pytest.raises(LifecycleError, match="'gpt-4o': it is already retired"):
            registry.emit_changes([ModelRegistryEntry(**fields, status="retired")], [new, ModelRegistryEntry(**fields)])
        assert not exporter.get_finished_spans()


def test_child_has_its_own_locks(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """A forked child does not wait for a lock that another thread of the parent held."""
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        guards_at_forks.before_fork()
        taken.set()
        if not over.wait(10):
            guards_at_forks.after_fork_in_parent()

    threading.Thread(target=hold).start()
    assert taken.wait(10)
    guards_at_forks.after_fork_in_child()
    work = threading.Thread(target=lambda: (registry.register(**fields), ModelRegistry()))
    work.start()
    work.join(5)
    assert not work.is_alive()
    over.set()
