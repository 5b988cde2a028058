"""Operations as data, and the pure functions that apply them to entries."""

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
from spanforge.model_registry._core.lifecycle import (
    LIFECYCLE,
    OPERATIONS,
    ModelStatus,
    OperationName,
    find_ended_statuses,
)
from spanforge.model_registry._core.metadata_size import check_metadata_size, drop_oldest_records
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

_DESCRIPTION_FIELDS: Final = ("name", "version", "owner", "risk_tier", "purpose")
_FIELDS: Final = frozenset(ModelRegistryEntry.__struct_fields__)


class FileChange(NamedTuple):
    """The last change of status in a file's entry.

    Attributes:
        status: The status of the entry.
        at: The time of the last change of status in its history; ``None`` if the history has no such change.
    """

    status: ModelStatus
    at: str | None


class Operation(NamedTuple):
    """One operation on one model.

    Attributes:
        name: The key in ``OPERATIONS``.
        model_id: The model.
        reason: The reason for the operation.
        actor: The person or system that makes the change.
        draft: The new description of the model; ``None`` if the operation is not a registration.
        replaces: ``True`` if a registration may replace the description of a registered model.
        changes: The metadata that a change of status sets.
        at: The timestamp, in microseconds since the epoch.
        file_change: The last change of status in the file of the model at that time; ``None`` if no file had the model.
    """

    name: OperationName
    model_id: str
    reason: str | None = None
    actor: str | None = None
    draft: ModelRegistryEntry | None = None
    replaces: bool = False
    changes: Mapping[str, Any] = EMPTY
    at: int = 0
    file_change: FileChange | None = None


def apply_operation(entry: ModelRegistryEntry | None, operation: Operation) -> ModelRegistryEntry:
    """Return the entry after the operation, with a new record at the end of its history.

    If the operation registers the same description again, the entry is returned unchanged: it is the same object.

    Args:
        entry: The entry before the operation; ``None`` if the model is not registered.
        operation: The operation.

    Raises:
        ModelRegistryError: The entry does not allow the operation.
    """
    timestamp = format_micros(move_past_history(operation.at, entry))
    if operation.draft is not None and entry is not None and not operation.replaces:
        _check_same_registration(entry, operation.draft)
        return entry
    if operation.draft is not None:
        changed = _register(entry, operation.draft, timestamp)
    else:
        changed = _change_status(entry, operation, timestamp)
    return _append_record(changed, timestamp, operation.reason, operation.actor)


def _check_same_registration(entry: ModelRegistryEntry, draft: ModelRegistryEntry) -> None:
    """Check that a registration describes a registered model as its entry does.

    The status, and dates and lifecycle metadata that the registration does not set, do not count.

    Raises:
        ModelAlreadyRegisteredError: It does not, or the model can never be registered again. The error names the fields
            that differ.
    """
    if "register" not in LIFECYCLE[entry.status].operations:
        raise ModelAlreadyRegisteredError(entry.model_id, entry.status)
    fields = find_differing_fields(entry, draft)
    if draft.deployment_date not in (None, entry.deployment_date):
        fields.append("deployment_date")
    given = (key for key in LIFECYCLE_KEYS if draft.metadata.get(key) is not None)
    fields += [f"metadata.{key}" for key in given if draft.metadata[key] != entry.metadata.get(key)]
    if fields:
        raise ModelAlreadyRegisteredError(entry.model_id, entry.status, fields)


def _register(entry: ModelRegistryEntry | None, draft: ModelRegistryEntry, timestamp: str) -> ModelRegistryEntry:
    """Return the draft, with the status, the dates and the lifecycle metadata of the entry that it replaces."""
    if entry is None:
        return draft if draft.deployment_date else structs.replace(draft, deployment_date=timestamp)
    if "register" not in LIFECYCLE[entry.status].operations:
        raise LifecycleError(entry.model_id, entry.status, "replace")
    if draft.deployment_date not in (None, entry.deployment_date):
        problem = f"cannot change on replace: it is {entry.deployment_date!r}"
        raise InvalidValueError("deployment_date", draft.deployment_date, problem, entry.model_id)
    lifecycle_metadata = {key: entry.metadata[key] for key in LIFECYCLE_KEYS if key in entry.metadata}
    return structs.replace(
        draft,
        status=entry.status,
        deployment_date=entry.deployment_date,
        decommission_date=entry.decommission_date,
        metadata=Metadata({**lifecycle_metadata, **draft.metadata}),
    )


def _change_status(entry: ModelRegistryEntry | None, operation: Operation, timestamp: str) -> ModelRegistryEntry:
    """Return the entry with the operation's status, the date of the status, and the metadata that the operation sets.

    A date in the metadata is the date of the first such operation. A date in a field is the date of the last one. An
    operation that leads back removes the dates of the statuses from which it leads back.
    """
    entry = _check_allowed(operation.model_id, entry, operation.name)
    status = OPERATIONS[operation.name].target
    date_name = LIFECYCLE[status].date
    metadata = {**entry.metadata, **operation.changes}
    fields: dict[str, Any] = {}
    if date_name in _FIELDS:
        fields = {date_name: timestamp}
    elif date_name is not None:
        metadata[date_name] = entry.metadata.get(date_name) or operation.changes.get(date_name) or timestamp
    if entry.status in find_ended_statuses(operation.name):
        for ended_date in _list_dates(status, entry.status):
            metadata.pop(ended_date, None)
            fields |= {ended_date: None} if ended_date in _FIELDS else {}
    return structs.replace(entry, status=status, metadata=Metadata(metadata) if metadata else EMPTY, **fields)


def _list_dates(above: ModelStatus, up_to: ModelStatus) -> list[str]:
    """Return the date names of the statuses with a higher rank than the first status, up to that of the second one."""
    low, high = LIFECYCLE[above].rank, LIFECYCLE[up_to].rank
    return [row.date for row in LIFECYCLE.values() if row.date is not None and low < row.rank <= high]


def _check_allowed(
    model_id: str, entry: ModelRegistryEntry | None, operation_name: OperationName
) -> ModelRegistryEntry:
    """Return the entry, or raise if it does not exist or its status forbids the operation."""
    if entry is None:
        raise ModelNotFoundError(model_id)
    if operation_name not in LIFECYCLE[entry.status].operations:
        raise LifecycleError(model_id, entry.status, operation_name)
    return entry


def _append_record(
    entry: ModelRegistryEntry, timestamp: str, reason: str | None, actor: str | None
) -> ModelRegistryEntry:
    """Return the entry with a new record at the end of its history, without the oldest records above the limits."""
    record = {"at": timestamp, "status": entry.status, "owner": entry.owner, "risk_tier": entry.risk_tier}
    record |= {key: value for key, value in (("reason", reason), ("actor", actor)) if value}
    history = FrozenList([*entry.metadata.get("history", ()), Record(record)][-MAX_HISTORY:])
    metadata = drop_oldest_records(Metadata({**entry.metadata, "history": history}))
    return structs.replace(entry, metadata=check_metadata_size(metadata, entry.model_id))


def move_past_history(timestamp: int, entry: ModelRegistryEntry | None) -> int:
    """Return the timestamp, or a later one if the entry's last record is not earlier.

    The record may come from a machine whose clock is ahead.
    """
    history = entry.metadata.get("history") if entry is not None else None
    if not history:
        return timestamp
    return max(timestamp, to_micros(history[-1]["at"]) + 1)


def merge_operations(earlier: Operation, later: Operation) -> Operation:
    """Return one operation for two consecutive changes of status: the later one, with the metadata of both."""
    date_name = LIFECYCLE[OPERATIONS[earlier.name].target].date
    changes = dict(earlier.changes)
    if date_name is not None and date_name not in _FIELDS:
        changes = {date_name: format_micros(earlier.at), **changes}
    for status in find_ended_statuses(later.name):
        for ended_date in _list_dates(OPERATIONS[later.name].target, status):
            changes.pop(ended_date, None)
    return later._replace(changes={**changes, **later.changes})


def build_metadata(
    metadata: Mapping[str, Any], aliases: Iterable[str], provider: str | Iterable[str] | None, model_id: str
) -> Metadata:
    """Return the metadata of a registration: the user's metadata, and the arguments that are stored as metadata."""
    user_metadata = freeze_metadata(metadata, model_id)
    if "history" in user_metadata:
        rule = "left out, because the registry writes it"
        raise InvalidValueError.must_be("metadata.history", user_metadata["history"], rule, model_id)
    checked_aliases = () if aliases == () else check_aliases(aliases, "aliases", model_id)
    values = {
        "aliases": checked_aliases,
        "provider": provider if provider is None or isinstance(provider, str) else list(provider),
    }
    arguments = check_reserved({key: value for key, value in values.items() if value}, model_id)
    for key, value in arguments.items():
        if user_metadata.get(key) not in (None, value):
            raise InvalidValueError.must_be(
                f"metadata.{key}", user_metadata[key], f"the same as the argument {key}", model_id
            )
    return Metadata({**user_metadata, **arguments})


class Step(NamedTuple):
    """One operation between two entries of a model.

    Attributes:
        operation_name: The name of the operation.
        before: The entry before the operation; ``None`` if the model was not registered.
        after: The entry after the operation.
        reason: The reason for the operation, if the entry contains one.
    """

    operation_name: OperationName
    before: ModelRegistryEntry | None
    after: ModelRegistryEntry
    reason: str | None = None


def list_all_steps(before: Iterable[ModelRegistryEntry], after: Iterable[ModelRegistryEntry]) -> list[Step]:
    """Return the operations that lead from one set of entries to another. A removed entry has none.

    Raises:
        LifecycleError: The lifecycle does not allow a change.
    """
    before_by_id = {entry.model_id: entry for entry in before}
    return [step for entry in after for step in find_steps(before_by_id.get(entry.model_id), entry)]


def find_steps(before: ModelRegistryEntry | None, after: ModelRegistryEntry) -> Iterator[Step]:
    """Yield the operations that lead from one entry to another.

    Raises:
        LifecycleError: The status before does not allow the operation to the status after.
    """
    operation_name = _find_operation_between(before, after)
    if before is not None and before.status != after.status:
        _check_allowed(after.model_id, before, operation_name)
    if before is None or _describe_entry(before) != _describe_entry(after):
        yield Step("register", before, after)
    is_only_registered = before is None and after.status == OPERATIONS["register"].target
    if OPERATIONS[operation_name].registers or is_only_registered:
        return
    if before is None or _get_status_details(before) != _get_status_details(after):
        yield Step(operation_name, before, after, _find_reason(after))


def _find_reason(entry: ModelRegistryEntry) -> str | None:
    """Return the reason in the last record of the history, or the deprecation reason if the record has none."""
    history = entry.metadata.get("history") or [{}]
    return history[-1].get("reason") or entry.metadata.get("deprecation_reason")


def _find_operation_between(before: ModelRegistryEntry | None, after: ModelRegistryEntry) -> OperationName:
    """Return the operation that leads from one entry's status to the other's, or a registration if there is none.

    If the status before allows neither, return an operation that leads to the new status. The caller then refuses it. A
    final status allows nothing, so a correction in this status has the operation that leads to it.
    """
    leading = _list_operations_to(after.status)
    first = leading[0] if leading else "register"
    allowed = None if before is None else LIFECYCLE[before.status].operations
    if before is None or not allowed:
        return first
    may_register = "register" in allowed and OPERATIONS["register"].target == after.status
    otherwise: OperationName = "register" if may_register or before.status == after.status else first
    return next((name for name in leading if name in allowed), otherwise)


def _list_operations_to(status: ModelStatus) -> list[OperationName]:
    return [name for name, kind in OPERATIONS.items() if kind.target == status and not kind.registers]


def find_differing_fields(entry: ModelRegistryEntry, other: ModelRegistryEntry) -> list[str]:
    """Return the fields and metadata keys in which two entries describe their model differently.

    A metadata key whose value is ``None`` or an empty list equals a missing key.
    """
    first, second = _drop_empty_values(_describe_entry(entry)), _drop_empty_values(_describe_entry(other))
    return [field for field in {**first, **second} if first.get(field) != second.get(field)]


def _drop_empty_values(description: dict[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in description.items() if value not in (None, [])}


def _describe_entry(entry: ModelRegistryEntry) -> dict[str, Any]:
    """Return the fields and the metadata that describe the model, without those of its lifecycle."""
    description = {field: getattr(entry, field) for field in _DESCRIPTION_FIELDS}
    for key, value in entry.metadata.items():
        if key not in LIFECYCLE_KEYS:
            description[f"metadata.{key}"] = value
    return description


def _get_status_details(entry: ModelRegistryEntry) -> tuple[Any, ...]:
    """Return the status and the metadata that a deprecation sets."""
    return entry.status, *(entry.metadata.get(key) for key in ("deprecation_reason", "successor", "sunset_date"))
