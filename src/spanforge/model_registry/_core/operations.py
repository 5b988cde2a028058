"""Operations as pure functions: from an entry before an operation to the entry after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import InvalidValueError, LifecycleError, ModelNotFoundError
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, OperationName
from spanforge.model_registry._core.timestamps import format_micros, to_micros
from spanforge.model_registry._core.validation import (
    LIFECYCLE_KEYS,
    MAX_HISTORY,
    check_aliases,
    check_reserved,
    freeze_metadata,
)
from spanforge.model_registry._core.values import FrozenList, Metadata, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LEADING_TO: Final = {kind.target: name for name, kind in OPERATIONS.items()}
_DESCRIPTION: Final = ("name", "version", "owner", "risk_tier", "purpose")


def given_metadata(
    metadata: Mapping[str, Any], aliases: Iterable[str], provider: str | None, model_id: str
) -> Metadata:
    """Return the metadata of ``register``: the user's, with the keys that have an argument of their own."""
    frozen = freeze_metadata(metadata, model_id)
    if "history" in frozen:
        raise InvalidValueError.must_be("metadata.history", frozen["history"], "left to the registry", model_id)
    given = {"aliases": aliases if aliases == () else check_aliases(aliases, "aliases", model_id), "provider": provider}
    changes = check_reserved({key: value for key, value in given.items() if value}, model_id)
    for key, value in changes.items():
        if frozen.get(key) not in (None, value):
            raise InvalidValueError.must_be(f"metadata.{key}", frozen[key], f"the same as the argument {key}", model_id)
    return Metadata({**frozen, **changes})


def deprecated(
    model_id: str, old: ModelRegistryEntry | None, now: str, changes: Mapping[str, Any]
) -> ModelRegistryEntry:
    """Return the entry as deprecated, with these keys of its metadata set; the first date of deprecation stays."""
    entry = allowed(model_id, old, "deprecate")
    since = entry.metadata.get("deprecation_date") or now
    metadata = Metadata({**entry.metadata, "deprecation_date": since, **changes})
    return structs.replace(entry, status="deprecated", metadata=metadata)


def retired(model_id: str, old: ModelRegistryEntry | None, now: str) -> ModelRegistryEntry:
    """Return the entry as retired."""
    return structs.replace(allowed(model_id, old, "retire"), status="retired", decommission_date=now)


def allowed(model_id: str, old: ModelRegistryEntry | None, operation: OperationName) -> ModelRegistryEntry:
    """Return the entry if it exists and its status allows the operation."""
    if old is None:
        raise ModelNotFoundError(model_id)
    if operation not in LIFECYCLE[old.status].operations:
        raise LifecycleError(model_id, old.status, operation)
    return old


def replaced(old: ModelRegistryEntry, draft: ModelRegistryEntry) -> ModelRegistryEntry:
    """Return the draft with the status, the dates and the lifecycle's metadata of the entry it replaces."""
    if "register" not in LIFECYCLE[old.status].operations:
        raise LifecycleError(old.model_id, old.status, "replace")
    if draft.deployment_date not in (None, old.deployment_date):
        rule = f"left out or {old.deployment_date!r}, for replace keeps the dates"
        raise InvalidValueError.must_be("deployment_date", draft.deployment_date, rule, old.model_id)
    kept = {key: old.metadata[key] for key in LIFECYCLE_KEYS if key in old.metadata}
    return structs.replace(
        draft,
        status=old.status,
        deployment_date=old.deployment_date,
        decommission_date=old.decommission_date,
        metadata=Metadata({**kept, **draft.metadata}),
    )


def recorded(entry: ModelRegistryEntry, now: str, reason: str | None, actor: str | None) -> ModelRegistryEntry:
    """Return the entry with this change appended to its history."""
    record = {"at": now, "status": entry.status, "owner": entry.owner, "risk_tier": entry.risk_tier}
    record |= {key: value for key, value in (("reason", reason), ("actor", actor)) if value}
    history = FrozenList([*entry.metadata.get("history", ()), Record(record)][-MAX_HISTORY:])
    return structs.replace(entry, metadata=Metadata({**entry.metadata, "history": history}))


def carried(entry: ModelRegistryEntry, changed: ModelRegistryEntry) -> ModelRegistryEntry:
    """Return an entry with what operations set in another one of its id; the first date of deprecation stays.

    Args:
        entry: What describes the model.
        changed: An entry that holds what the operations set and their records, and nothing else that counts. Here the
            records are not earlier than what the entry's own history ends with.
    """
    since = entry.metadata.get("deprecation_date")
    kept = {key: value for key, value in changed.metadata.items() if key != "history"}
    kept |= {"deprecation_date": since} if since else {}
    until = changed.decommission_date or entry.decommission_date
    entry = structs.replace(entry, decommission_date=until, metadata=Metadata({**entry.metadata, **kept}))
    for record in changed.metadata["history"]:
        now = format_micros(after_history(to_micros(record["at"]), entry))
        entry = structs.replace(entry, status=record["status"])
        entry = recorded(entry, now, record.get("reason"), record.get("actor"))
    return entry


Step = tuple[OperationName, "ModelRegistryEntry | None", ModelRegistryEntry, "str | None"]


def steps(old: ModelRegistryEntry | None, entry: ModelRegistryEntry) -> Iterator[Step]:
    """Yield the operations that lead from one entry to another: operation, entry before, entry after, reason."""
    operation = _LEADING_TO[entry.status]
    if old is not None and old.status != entry.status:
        allowed(entry.model_id, old, operation)
    if old is None or _description(old) != _description(entry):
        yield "register", old, entry, None
    if not OPERATIONS[operation].registers and (old is None or _standing(old) != _standing(entry)):
        history = entry.metadata.get("history") or [{}]
        yield operation, old, entry, history[-1].get("reason") or entry.metadata.get("deprecation_reason")


def differences(one: ModelRegistryEntry, other: ModelRegistryEntry) -> list[str]:
    """Return the fields, those of the metadata included, in which two entries describe their model differently.

    A key of the metadata without a value, or with an empty list, says as much as none.
    """
    first, second = (
        {field: value for field, value in _description(entry).items() if value not in (None, [])}
        for entry in (one, other)
    )
    return [field for field in {**first, **second} if first.get(field) != second.get(field)]


def _description(entry: ModelRegistryEntry) -> dict[str, Any]:
    own = {f"metadata.{key}": value for key, value in entry.metadata.items() if key not in LIFECYCLE_KEYS}
    return {**{field: getattr(entry, field) for field in _DESCRIPTION}, **own}


def _standing(entry: ModelRegistryEntry) -> tuple[Any, ...]:
    return entry.status, *(entry.metadata.get(key) for key in ("deprecation_reason", "successor", "sunset_date"))


def after_history(moment: int, entry: ModelRegistryEntry | None) -> int:
    """Return the moment, or a later one if the entry's history, perhaps another machine's, is ahead of the clock."""
    history = entry.metadata.get("history") if entry is not None else None
    if not history:
        return moment
    return max(moment, to_micros(history[-1]["at"]) + 1)
