"""The registry's operations."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.entries import INVALID_ARGUMENTS
from support.lifecycle import CHANGING, bring

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
from spanforge.model_registry._core.values import parse_date

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def names(exporter: InMemorySpanExporter) -> list[str]:
    return [event.name.removeprefix("model_registry.") for span in spans(exporter) for event in span.events]


def spans(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, ...]:
    return exporter.get_finished_spans()


def test_register_fills_the_deployment_date_and_the_history(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """A registered model is active, in use since now, with one record that says who did it."""
    before = datetime.now(timezone.utc)
    entry = registry.register(**fields, actor="ci")
    assert entry.status == "active"
    assert entry.deployment_date is not None
    assert before <= parse_date(entry.deployment_date, "") <= datetime.now(timezone.utc)
    assert entry.metadata == {
        "history": [
            {
                "at": entry.deployment_date,
                "status": "active",
                "owner": "ml-platform",
                "risk_tier": "high",
                "actor": "ci",
            }
        ]
    }
    assert registry.get("gpt-4o") is entry


def test_register_keeps_its_arguments(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Dates, metadata, aliases and provider are stored as given, and later changes of the arguments do not matter."""
    metadata = {"team": {"slack": "#ml"}, "tags": ["a", "b"]}
    entry = registry.register(
        **fields, deployment_date="2024-05-13", metadata=metadata, aliases=["gpt-4o-*", "support"], provider="openai"
    )
    metadata["team"] = {}
    assert entry.deployment_date == "2024-05-13"
    assert entry.to_dict()["metadata"]["team"] == {"slack": "#ml"}
    assert entry.metadata["tags"] == ["a", "b"]
    assert (entry.aliases, entry.provider) == (("gpt-4o-*", "support"), "openai")


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


def test_replace_changes_the_description_only(
    registry: ModelRegistry, fields: dict[str, Any], exporter: InMemorySpanExporter
) -> None:
    """Replacing keeps status, dates and what the lifecycle wrote, and emits ``registered`` again."""
    registry.register(**fields, metadata={"old": 1}, aliases=["a"])
    deprecated = registry.deprecate("gpt-4o", reason="old", successor="gpt-5")
    entry = registry.register(**fields | {"owner": "other", "risk_tier": "low"}, metadata={"new": 2}, replace=True)
    assert (entry.owner, entry.risk_tier, entry.status) == ("other", "low", "deprecated")
    assert entry.deployment_date == deprecated.deployment_date
    assert {key: value for key, value in entry.metadata.items() if key != "history"} == {
        "new": 2,
        "deprecation_reason": "old",
        "deprecation_date": deprecated.metadata["deprecation_date"],
        "successor": "gpt-5",
    }
    assert [record["owner"] for record in entry.metadata["history"]] == ["ml-platform", "ml-platform", "other"]
    assert names(exporter) == ["registered", "deprecated", "registered"]
    assert registry.resolve("a").entry is None


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
    assert not spans(exporter)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"sunset_date": "soon"}, "sunset_date"),
        ({"successor": ""}, "successor"),
        ({"reason": 5}, "deprecation_reason"),
        ({"reason": "x" * 5000}, "deprecation_reason"),
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


def test_list_count_and_clear(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """The registry can be listed, counted, searched and cleared."""
    first = registry.register(**fields)
    second = registry.register(**fields | {"model_id": "b"})
    second = registry.retire("b")
    assert registry.list_all() == list(registry) == [first, second]
    assert registry.list_active() == [first]
    assert len(registry) == 2
    assert "b" in registry
    assert "c" not in registry
    assert registry.get("c") is None
    assert repr(registry) == "<ModelRegistry of 2 models>"
    registry.clear()
    assert list(registry) == []


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
    assert not spans(exporter)


def test_loading_emits_nothing(registry: ModelRegistry, fields: dict[str, Any], exporter: Any, tmp_path: Any) -> None:
    """Loads and ``clear`` emit no events."""
    registry.register(**fields)
    registry.save(tmp_path / "models.json")
    exporter.clear()
    registry.load(tmp_path / "models.json")
    registry.clear()
    assert not spans(exporter)


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
        emitted = [event for span in spans(exporter) for event in span.events]
        assert [event.name for event in emitted] == [event.name for event in events]
        assert [event.attributes["model_registry.actor"] for event in emitted if event.attributes] == ["ci"] * 5
        assert [event.previous_status for event in events] == ["active", "active", "deprecated", "active", None]
        assert [event.reason for event in events] == [None, "old", None, "unused", None]
        assert len(registry) == 0

    def test_new_model_that_is_deprecated(self, registry: ModelRegistry, fields: dict[str, Any]) -> None:
        """A new deprecated model has two events, ``registered`` and ``deprecated``."""
        entry = ModelRegistryEntry(**fields, status="deprecated", metadata={"deprecation_reason": "old"})
        events = registry.emit_changes([], [entry])
        assert [event.name.rpartition(".")[2] for event in events] == ["registered", "deprecated"]
        assert events[1].reason == "old"

    def test_refused_change(self, registry: ModelRegistry, fields: dict[str, Any], exporter: Any) -> None:
        """A retired model that is active again is an error, and no event is emitted."""
        new = ModelRegistryEntry(**fields | {"model_id": "new"})
        with pytest.raises(LifecycleError, match="'gpt-4o': it is already retired"):
            registry.emit_changes([ModelRegistryEntry(**fields, status="retired")], [new, ModelRegistryEntry(**fields)])
        assert not spans(exporter)


def test_child_has_its_own_locks(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """A forked child does not wait for a lock that another thread of the parent held."""
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with registry._guard.lock, guards_at_forks._lock:
            taken.set()
            over.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(10)
    try:
        guards_at_forks.after_fork_in_child()
        assert registry.register(**fields).owner == "ml-platform"
        assert len(ModelRegistry()) == 0
    finally:
        over.set()
        thread.join()
