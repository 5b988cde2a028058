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
    ModelAlreadyRegisteredError,
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


def test_register_keeps_what_it_is_given(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Dates, metadata, aliases and provider are stored as given, and the caller's own objects stay theirs."""
    metadata = {"team": {"slack": "#ml"}, "tags": ["a", "b"]}
    entry = registry.register(
        **fields, deployment_date="2024-05-13", metadata=metadata, aliases=["gpt-4o-*", "support"], provider="openai"
    )
    metadata["team"] = {}
    assert entry.deployment_date == "2024-05-13"
    assert entry.to_dict()["metadata"]["team"] == {"slack": "#ml"}
    assert entry.metadata["tags"] == ["a", "b"]
    assert (entry.aliases, entry.provider) == (("gpt-4o-*", "support"), "openai")


def test_an_id_is_never_reused(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Registering an id again is an error, whatever its status, and changes nothing."""
    registry.register(**fields)
    with pytest.raises(ModelAlreadyRegisteredError, match="'gpt-4o' already registered"):
        registry.register(**fields | {"owner": "someone else"})
    retired = registry.retire("gpt-4o")
    with pytest.raises(ModelAlreadyRegisteredError):
        registry.register(**fields)
    with pytest.raises(LifecycleError, match="already retired"):
        registry.register(**fields, replace=True)
    assert registry.list_all() == [retired]


ALLOWED = {
    (status, OPERATIONS[name].target)
    for status, row in LIFECYCLE.items()
    for name in row.operations
    if name != "register"
}


@pytest.mark.parametrize("operation", CHANGING)
@pytest.mark.parametrize("status", LIFECYCLE)
def test_transitions_are_those_of_the_table(
    registry: ModelRegistry, fields: dict[str, Any], status: ModelStatus, operation: OperationName
) -> None:
    """Each operation works from the statuses that the table allows, and from no other."""
    registry.register(**fields)
    bring(registry, "gpt-4o", status)
    before = registry.list_all()
    if operation in LIFECYCLE[status].operations:
        assert getattr(registry, operation)("gpt-4o").status == OPERATIONS[operation].target
    else:
        with pytest.raises(LifecycleError, match=f"already {status}"):
            getattr(registry, operation)("gpt-4o")
        assert registry.list_all() == before


def test_the_table_is_the_designs() -> None:
    """Active leads to deprecated and retired, deprecated to both again, retired to nothing."""
    assert {
        ("active", "deprecated"),
        ("active", "retired"),
        ("deprecated", "deprecated"),
        ("deprecated", "retired"),
    } == ALLOWED


def test_deprecate_again(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """A second deprecation may change reason, successor and sunset date; the date of the first stays."""
    registry.register(**fields)
    first = registry.deprecate("gpt-4o", reason="old")
    again = registry.deprecate("gpt-4o", reason="older", successor="gpt-5", sunset_date="2027-01-01", actor="me")
    assert again.metadata["deprecation_date"] == first.metadata["deprecation_date"]
    assert again.metadata["deprecation_reason"] == "older"
    assert (again.metadata["successor"], again.metadata["sunset_date"]) == ("gpt-5", "2027-01-01")
    kept = registry.deprecate("gpt-4o")
    assert kept.metadata["deprecation_reason"] == "older"
    assert [record.get("reason") for record in kept.metadata["history"]] == [None, "old", "older", None]


def test_retire_fills_the_decommission_date(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """A retired model says since when, why and by whom."""
    registry.register(**fields)
    entry = registry.retire("gpt-4o", reason="unused", actor="me")
    assert entry.decommission_date == entry.metadata["history"][-1]["at"]
    assert entry.metadata["history"][-1] | {"at": None} == {
        "at": None,
        "status": "retired",
        "owner": "ml-platform",
        "risk_tier": "high",
        "reason": "unused",
        "actor": "me",
    }


@pytest.mark.parametrize("operation", CHANGING)
def test_unknown_models(registry: ModelRegistry, operation: str) -> None:
    """Operations on a model that nobody registered raise a KeyError that reads well."""
    with pytest.raises(ModelNotFoundError) as caught:
        getattr(registry, operation)("gpt-5")
    assert isinstance(caught.value, KeyError)
    assert str(caught.value) == "model 'gpt-5' not found in the registry"


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


def test_replace_registers_what_is_not_there(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Replacing a model that nobody registered registers it."""
    assert registry.register(**fields, replace=True).status == "active"


def test_replace_keeps_the_place_in_the_order(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Entries come in the order of their first registration."""
    for model_id in ("a", "b", "c"):
        registry.register(**fields | {"model_id": model_id})
    registry.register(**fields | {"model_id": "a"}, replace=True)
    assert [entry.model_id for entry in registry] == ["a", "b", "c"]


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
def test_refusal_names_the_operation(
    registry: ModelRegistry, fields: dict[str, Any], operation: Any, sentence: str
) -> None:
    """The error is a sentence about the operation that was refused."""
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
def test_bad_arguments(
    registry: ModelRegistry,
    fields: dict[str, Any],
    exporter: InMemorySpanExporter,
    arguments: dict[str, Any],
    field: str,
) -> None:
    """A bad argument is an error that names the field and the model; nothing changes and no event goes out."""
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
def test_bad_deprecation(registry: ModelRegistry, fields: dict[str, Any], arguments: Any, field: str) -> None:
    """A bad argument of ``deprecate`` changes nothing either."""
    entry = registry.register(**fields)
    with pytest.raises(InvalidEntryError) as caught:
        registry.deprecate("gpt-4o", **arguments)
    assert caught.value.field == field
    assert registry.get("gpt-4o") is entry


def test_history_keeps_the_newest(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """The history is bounded: the oldest records go."""
    registry.register(**fields)
    for number in range(MAX_HISTORY + 5):
        registry.deprecate("gpt-4o", reason=str(number))
    entry = registry.get("gpt-4o")
    assert entry is not None
    reasons = [record["reason"] for record in entry.metadata["history"]]
    assert reasons == [str(number) for number in range(5, MAX_HISTORY + 5)]


def test_timestamps_increase_strictly(registry: ModelRegistry, fields: dict[str, Any], monkeypatch: Any) -> None:
    """Operations in one microsecond, or while the clock goes back, still have an order."""
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


def test_reading(registry: ModelRegistry, fields: dict[str, Any]) -> None:
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
    """``check`` warns and ``require`` raises, in the design's words."""
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
    """A registry without ``auto_emit`` changes in silence."""
    registry = ModelRegistry(auto_emit=False, tracer_provider=provider)
    registry.register(**fields)
    registry.retire("gpt-4o")
    assert not spans(exporter)


def test_loading_emits_nothing(registry: ModelRegistry, fields: dict[str, Any], exporter: Any, tmp_path: Any) -> None:
    """An event belongs to the operation, not to reading its result."""
    registry.register(**fields)
    registry.save(tmp_path / "models.json")
    exporter.clear()
    registry.load(tmp_path / "models.json")
    registry.clear()
    assert not spans(exporter)


class TestEmitChanges:
    """The events of a difference between two sets of entries."""

    def test_each_kind_of_difference(
        self, registry: ModelRegistry, fields: dict[str, Any], exporter: InMemorySpanExporter
    ) -> None:
        """New, changed, deprecated, deprecated anew, retired: each has its event; what is gone or the same has none."""
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

    def test_a_new_model_that_is_deprecated_already(self, registry: ModelRegistry, fields: dict[str, Any]) -> None:
        """It was registered and it was deprecated: both events go out."""
        entry = ModelRegistryEntry(**fields, status="deprecated", metadata={"deprecation_reason": "old"})
        events = registry.emit_changes([], [entry])
        assert [event.name.rpartition(".")[2] for event in events] == ["registered", "deprecated"]
        assert events[1].reason == "old"

    def test_a_forbidden_change(self, registry: ModelRegistry, fields: dict[str, Any], exporter: Any) -> None:
        """A retired model that comes back is an error, and no event of the difference goes out."""
        new = ModelRegistryEntry(**fields | {"model_id": "new"})
        with pytest.raises(LifecycleError, match="'gpt-4o': it is already retired"):
            registry.emit_changes([ModelRegistryEntry(**fields, status="retired")], [new, ModelRegistryEntry(**fields)])
        assert not spans(exporter)


def test_a_fork_that_nobody_was_asked_about(registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """A child has locks of its own, also where another thread held the parent's, and the hooks before were not run."""
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
