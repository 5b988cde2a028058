"""Operations as data, and one pure function that applies them: from the entry before to the entry after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import (
    InvalidValueError,
    LifecycleError,
    ModelAlreadyRegisteredError,
    ModelNotFoundError,
)
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, ModelStatus, OperationName, ended_by
from spanforge.model_registry._core.timestamps import format_micros, to_micros
from spanforge.model_registry._core.validation import (
    LIFECYCLE_KEYS,
    MAX_HISTORY,
    check_aliases,
    check_reserved,
    freeze_metadata,
)
from spanforge.model_registry._core.values import EMPTY, FrozenList, Metadata, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DESCRIPTION: Final = ("name", "version", "owner", "risk_tier", "purpose")
_FIELDS: Final = frozenset(ModelRegistryEntry.__struct_fields__)


class Operation(NamedTuple):
    """One operation on one model.

    Attributes:
        name: Its row in ``OPERATIONS``.
        model_id: The model.
        reason: Why, if the caller said so.
        actor: Who, if the caller said so.
        draft: The description that a registration gives; ``None``: it is not a registration.
        replaces: Whether a registration may change the description of a model that is registered already.
        changes: The keys of the metadata that an operation of another kind sets.
        at: When it was made, in microseconds since the epoch.
        file_change: The last change of status that the model's file showed then; ``None``: no file had the model.
    """

    name: OperationName
    model_id: str
    reason: str | None = None
    actor: str | None = None
    draft: ModelRegistryEntry | None = None
    replaces: bool = False
    changes: Mapping[str, Any] = EMPTY
    at: int = 0
    file_change: tuple[ModelStatus, str | None] | None = None


def apply_operation(entry: ModelRegistryEntry | None, operation: Operation) -> ModelRegistryEntry:
    """Return the entry after the operation, with its record at the end of the history.

    The record comes later than the last one, also if another machine's clock was ahead.

    Args:
        entry: The entry before; ``None``: there is none.
        operation: The operation.

    Raises:
        ModelRegistryError: The entry does not allow the operation.
    """
    now = format_micros(after_history(operation.at, entry))
    if operation.draft is not None:
        changed = _describe(entry, operation.draft, now, replaces=operation.replaces)
    else:
        changed = _change_status(entry, operation, now)
    return _append_record(changed, now, operation.reason, operation.actor)


def _describe(
    entry: ModelRegistryEntry | None, draft: ModelRegistryEntry, now: str, *, replaces: bool
) -> ModelRegistryEntry:
    """Return the draft, with the status, the dates and the lifecycle's metadata of the entry that it replaces."""
    if entry is None:
        return draft if draft.deployment_date else structs.replace(draft, deployment_date=now)
    if not replaces:
        raise ModelAlreadyRegisteredError(entry.model_id, entry.status)
    if "register" not in LIFECYCLE[entry.status].operations:
        raise LifecycleError(entry.model_id, entry.status, "replace")
    if draft.deployment_date not in (None, entry.deployment_date):
        problem = f"cannot change on replace: it is {entry.deployment_date!r}"
        raise InvalidValueError("deployment_date", draft.deployment_date, problem, entry.model_id)
    kept = {key: entry.metadata[key] for key in LIFECYCLE_KEYS if key in entry.metadata}
    return structs.replace(
        draft,
        status=entry.status,
        deployment_date=entry.deployment_date,
        decommission_date=entry.decommission_date,
        metadata=Metadata({**kept, **draft.metadata}),
    )


def _change_status(entry: ModelRegistryEntry | None, operation: Operation, now: str) -> ModelRegistryEntry:
    """Return the entry with the operation's status, that status's date, and the keys that the operation sets.

    A date in the metadata is that of the first such operation; a date that is a field is that of the last one. An
    operation that ends the entry's status removes the dates of the statuses that it leads back from.
    """
    entry = _check_allowed(operation.model_id, entry, operation.name)
    status = OPERATIONS[operation.name].target
    date = LIFECYCLE[status].date
    metadata = {**entry.metadata, **operation.changes}
    fields: dict[str, Any] = {}
    if date in _FIELDS:
        fields = {date: now}
    elif date is not None:
        metadata[date] = entry.metadata.get(date) or operation.changes.get(date) or now
    if entry.status in ended_by(operation.name):
        for ended in _list_dates(status, entry.status):
            metadata.pop(ended, None)
            fields |= {ended: None} if ended in _FIELDS else {}
    return structs.replace(entry, status=status, metadata=Metadata(metadata) if metadata else EMPTY, **fields)


def _list_dates(above: ModelStatus, up_to: ModelStatus) -> list[str]:
    """Return the dates of the statuses that have a higher rank than one, and none higher than that of the other."""
    low, high = LIFECYCLE[above].rank, LIFECYCLE[up_to].rank
    return [row.date for row in LIFECYCLE.values() if row.date is not None and low < row.rank <= high]


def _check_allowed(model_id: str, entry: ModelRegistryEntry | None, operation: OperationName) -> ModelRegistryEntry:
    """Return the entry, if it exists and its status allows the operation."""
    if entry is None:
        raise ModelNotFoundError(model_id)
    if operation not in LIFECYCLE[entry.status].operations:
        raise LifecycleError(model_id, entry.status, operation)
    return entry


def _append_record(entry: ModelRegistryEntry, now: str, reason: str | None, actor: str | None) -> ModelRegistryEntry:
    record = {"at": now, "status": entry.status, "owner": entry.owner, "risk_tier": entry.risk_tier}
    record |= {key: value for key, value in (("reason", reason), ("actor", actor)) if value}
    history = FrozenList([*entry.metadata.get("history", ()), Record(record)][-MAX_HISTORY:])
    return structs.replace(entry, metadata=Metadata({**entry.metadata, "history": history}))


def after_history(moment: int, entry: ModelRegistryEntry | None) -> int:
    """Return the moment, or a later one if the entry's history, perhaps another machine's, is ahead of the clock."""
    history = entry.metadata.get("history") if entry is not None else None
    if not history:
        return moment
    return max(moment, to_micros(history[-1]["at"]) + 1)


def merge_operations(earlier: Operation, later: Operation) -> Operation:
    """Return one operation that sets what two changes of status in a row set; only the later one has a record."""
    date = LIFECYCLE[OPERATIONS[earlier.name].target].date
    since = {date: format_micros(earlier.at)} if date is not None and date not in _FIELDS else {}
    changes = {**since, **earlier.changes}
    for status in ended_by(later.name):
        for ended in _list_dates(OPERATIONS[later.name].target, status):
            changes.pop(ended, None)
    return later._replace(changes={**changes, **later.changes})


def build_metadata(
    metadata: Mapping[str, Any], aliases: Iterable[str], provider: str | None, model_id: str
) -> Metadata:
    """Return the metadata of ``register``: the user's, with the keys that have an argument of their own."""
    frozen = freeze_metadata(metadata, model_id)
    if "history" in frozen:
        raise InvalidValueError.must_be("metadata.history", frozen["history"], "left to the registry", model_id)
    names = aliases if aliases == () else check_aliases(aliases, "aliases", model_id)
    values = {"aliases": names, "provider": provider}
    changes = check_reserved({key: value for key, value in values.items() if value}, model_id)
    for key, value in changes.items():
        if frozen.get(key) not in (None, value):
            raise InvalidValueError.must_be(f"metadata.{key}", frozen[key], f"the same as the argument {key}", model_id)
    return Metadata({**frozen, **changes})


class Step(NamedTuple):
    """One operation between two entries of a model.

    Attributes:
        operation: The operation.
        before: The entry before; ``None``: there was none.
        after: The entry after.
        reason: Why, if the entry says so.
    """

    operation: OperationName
    before: ModelRegistryEntry | None
    after: ModelRegistryEntry
    reason: str | None = None


def find_steps(before: ModelRegistryEntry | None, after: ModelRegistryEntry) -> Iterator[Step]:
    """Yield the operations that lead from one entry to another.

    Raises:
        LifecycleError: No operation that the status allows leads there.
    """
    operation = _operation_between(before, after)
    if before is not None and before.status != after.status:
        _check_allowed(after.model_id, before, operation)
    if before is None or _description(before) != _description(after):
        yield Step("register", before, after)
    is_new_as_registered = before is None and after.status == OPERATIONS["register"].target
    if OPERATIONS[operation].registers or is_new_as_registered:
        return
    if before is None or _lifecycle_state(before) != _lifecycle_state(after):
        yield Step(operation, before, after, _find_reason(after))


def _find_reason(entry: ModelRegistryEntry) -> str | None:
    """Return the reason of the last change, from the history or else from the deprecation."""
    history = entry.metadata.get("history") or [{}]
    return history[-1].get("reason") or entry.metadata.get("deprecation_reason")


def _operation_between(before: ModelRegistryEntry | None, after: ModelRegistryEntry) -> OperationName:
    """Return the operation that leads from one entry's status to the other's, or a registration if there is none.

    If the status before allows neither, return one that leads to the new status: it is the one to refuse. A final
    status allows nothing, so its own operation is also that of a correction.
    """
    leading = _operations_to(after.status)
    first = leading[0] if leading else "register"
    allowed = None if before is None else LIFECYCLE[before.status].operations
    if before is None or not allowed:
        return first
    may_register = "register" in allowed and OPERATIONS["register"].target == after.status
    otherwise: OperationName = "register" if may_register or before.status == after.status else first
    return next((name for name in leading if name in allowed), otherwise)


def _operations_to(status: ModelStatus) -> list[OperationName]:
    return [name for name, kind in OPERATIONS.items() if kind.target == status and not kind.registers]


def differing_fields(one: ModelRegistryEntry, other: ModelRegistryEntry) -> list[str]:
    """Return the fields, those of the metadata included, in which two entries describe their model differently.

    A key of the metadata without a value, or with an empty list, equals a key that is missing.
    """
    first, second = (
        {field: value for field, value in _description(entry).items() if value not in (None, [])}
        for entry in (one, other)
    )
    return [field for field in {**first, **second} if first.get(field) != second.get(field)]


def _description(entry: ModelRegistryEntry) -> dict[str, Any]:
    own = {f"metadata.{key}": value for key, value in entry.metadata.items() if key not in LIFECYCLE_KEYS}
    return {**{field: getattr(entry, field) for field in _DESCRIPTION}, **own}


def _lifecycle_state(entry: ModelRegistryEntry) -> tuple[Any, ...]:
    return entry.status, *(entry.metadata.get(key) for key in ("deprecation_reason", "successor", "sunset_date"))
