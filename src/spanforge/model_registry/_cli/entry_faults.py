"""All faults of an entry. The library stops at the first one, so each value with a fault is replaced by a valid one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.entry_fields import ARGUMENTS, ENTRY_FIELDS, LIKE_FIELD, find_meant_name
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.similar_names import find_similar_names
from spanforge.model_registry._core.validation import DATE_FIELDS, RESERVED

MAX_ENTRY_FAULTS: Final = 100
"""The limit of faults of one entry that are reported, because one mistake can be in each of its aliases."""
_REQUIRED: Final = [field for field, row in ENTRY_FIELDS.items() if row.required]
_VALID: Final[Mapping[str, Any]] = {
    **dict.fromkeys(ENTRY_FIELDS, "x"),
    "risk_tier": RISK_TIERS[0],
    "status": STATUSES[0],
    **dict.fromkeys(DATE_FIELDS),
    "metadata": {},
}
"""A valid value of each field."""
_DATES: Final = frozenset((*DATE_FIELDS, *(key for key, row in RESERVED.items() if row.kind == "date")))
_ITEM: Final = re.compile(r"\[([0-9]+)\]")
_CHOICES: Final = {"risk_tier": RISK_TIERS, "status": STATUSES}


def list_entry_faults(data: Any) -> tuple[ModelRegistryEntry | None, list[InvalidValueError]]:
    """Return the entry with these fields and no faults, or else ``None`` and its faults.

    Args:
        data: The fields, as a file has them.
    """
    faults: list[InvalidValueError] = []
    fields = data
    while len(faults) < MAX_ENTRY_FAULTS:
        try:
            entry = ModelRegistryEntry.from_dict(fields)
        except InvalidValueError as error:  # noqa: PERF203 - most entries have no fault
            faults += [error, *_list_others_missing(fields, error)]
            fields = _repair(fields, error)
            if fields is None:
                break
        else:
            return (None if faults else entry), faults
    return None, faults


def _list_others_missing(data: Any, error: InvalidValueError) -> list[InvalidValueError]:
    """Return faults for further missing fields, unless the error lists them."""
    if error.field not in _REQUIRED or error.field in data:
        return []
    missing = [field for field in _REQUIRED if field not in data and field != error.field]
    return [InvalidValueError(field, None, "is missing") for field in missing if field not in error.problem]


def _repair(data: Any, error: InvalidValueError) -> dict[str, Any] | None:
    """Return the fields with a valid value in place of the one that an error is about; ``None`` if there is none."""
    if not isinstance(data, Mapping):
        return None
    fields = dict(data)
    name = error.field
    if name in _REQUIRED and name not in fields:
        return {**_VALID, **fields}
    if name == "metadata" or name.startswith(("metadata.", "metadata key")):
        fields["metadata"] = _repair_metadata(fields.get("metadata"), error)
        return fields
    if name in ENTRY_FIELDS:
        fields[name] = _VALID[name]
        return fields
    return _repair_unknown(fields, name) if is_unknown_field(fields, name) else _repair_member(fields, name)


def _repair_unknown(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the fields without an unknown one, and with the required one that is probably meant by it."""
    meant = find_meant_name(name, _REQUIRED, LIKE_FIELD)
    filled = {} if meant is None else {meant: _VALID[meant]}
    return {**filled, **{field: value for field, value in fields.items() if field != name}}


def _repair_metadata(metadata: Any, error: InvalidValueError) -> Any:
    """Return metadata without the value or the key that an error is about."""
    path = error.field.removeprefix("metadata")
    if not isinstance(metadata, Mapping):
        return {}
    if path == " key":
        return {key: value for key, value in metadata.items() if key != error.value}
    return _repair_member(metadata, path[1:]) or {}


def _repair_member(members: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """Return members without the one at the start of a path, or with a valid item in its list; ``None`` without it."""
    names = [key for key in members if f"{path}.".startswith((f"{key}.", f"{key}[", f"{key} "))]
    if not names:
        return None
    name = max(names, key=len)
    repaired, item = dict(members), _ITEM.fullmatch(path[len(name) :])
    if item is not None and isinstance(members[name], list):
        repaired[name] = [*members[name]]
        repaired[name][int(item[1])] = "x"
    else:
        del repaired[name]
    return repaired


def suggest_fix(data: Any, fault: InvalidValueError) -> str:
    """Return the remedy for a fault of an item with these fields."""
    if not isinstance(data, Mapping):
        return f"Write a mapping with the fields {', '.join(_REQUIRED)}."
    if fault.field not in data and fault.field in _REQUIRED:
        return "Add them." if "also missing" in fault.problem else f"Add {fault.field}."
    if is_unknown_field(data, fault.field):
        return "Correct the name, move it into metadata, or remove it."
    return _suggest_value(fault.field, fault.value)


def _suggest_value(field: str, value: Any) -> str:
    """Return the remedy for a value that a field cannot have."""
    if value is None and field in _REQUIRED:
        return "Fill it in."
    if field in _CHOICES:
        return f"Write {_find_choice(value, _CHOICES[field])}."
    if field.removeprefix("metadata.") in _DATES:
        return "Write the date as year, month and day: 2026-05-13."
    return "Correct or remove it." if field.endswith("]") else "Correct the value."


def is_unknown_field(data: Any, field: str) -> bool:
    """Check whether a field of an item is none that an entry has."""
    return isinstance(data, Mapping) and field in data and field not in ENTRY_FIELDS and field not in ARGUMENTS


def _find_choice(value: Any, choices: tuple[str, ...]) -> str:
    near = find_similar_names(value.strip().lower(), choices) if isinstance(value, str) else []
    return near[0] if near else f"{', '.join(choices[:-1])} or {choices[-1]}"
