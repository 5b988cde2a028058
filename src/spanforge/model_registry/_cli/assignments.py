"""Assignments such as ``owner=chat-team``, ``aliases+=chat`` and ``metadata.seats:=5``."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.errors import shorten
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.validation import LIFECYCLE_KEYS, RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ASSIGNMENT: Final = re.compile(r"(?P<key>[^=]+?)(?P<operator>:=|\+=|-=|=)(?P<value>.*)", re.DOTALL)
_SETTABLE: Final = ("name", "version", "risk_tier", "owner", "purpose", "deployment_date")
_FIXED: Final = {
    "model_id": "a model keeps its id; register another model",
    "status": "the commands deprecate and retire change the status",
    "decommission_date": "the command retire sets it",
    "history": "each change adds a record to it",
    "metadata": "set one key: metadata.KEY=VALUE",
}
"""The names that cannot be set, with the reason."""
_RESERVED_KINDS: Final = {key: row.kind for key, row in RESERVED.items()}
_METADATA_KEYS: Final = tuple(key for key in RESERVED if key not in _FIXED)


class Assignment(NamedTuple):
    """One assignment.

    Attributes:
        field: A field of an entry; ``metadata`` for a key of it.
        key: The key of the metadata; empty for a field.
        operator: ``=`` for text, ``:=`` for JSON, ``+=`` and ``-=`` for one item of a list.
        value: The text, or the JSON value.
    """

    field: str
    key: str
    operator: str
    value: Any


def parse_assignment(text: str, default: str = "") -> Assignment:
    """Return the assignment that a text is.

    Args:
        text: The text.
        default: The text before the key, such as ``metadata.``, if it is left out.

    Raises:
        UsageError: The text is none, or nothing can be assigned to this field.
    """
    match = _ASSIGNMENT.fullmatch(text)
    if match is None:
        msg = f"{shorten(text)} is no assignment: write FIELD=VALUE"
        raise UsageError(msg)
    name, operator, value = default + match["key"], match["operator"], match["value"]
    field, key = _find_target(name)
    return Assignment(field, key, operator, _parse_json_value(name, value) if operator == ":=" else value)


def _find_target(name: str) -> tuple[str, str]:
    """Return the field to which a value is assigned, and the key of the metadata."""
    field, _, key = name.partition(".")
    if field == "metadata" and key not in ("", "history"):
        return field, key
    field = key or field.replace("-", "_")
    if field in _FIXED:
        msg = f"{name} cannot be set: {_FIXED[field]}"
        raise UsageError(msg)
    if field in _METADATA_KEYS and not key:
        return "metadata", field
    if field in _SETTABLE and not key:
        return field, ""
    msg = f"unknown field {shorten(name)}; fields are {', '.join((*_SETTABLE, *_METADATA_KEYS))}, and metadata.KEY"
    raise UsageError(msg)


def _parse_json_value(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        msg = f"{name}:={text} is not JSON; write {name}={text} for text"
        raise UsageError(msg) from None


def make_setter(model_id: str, assignments: Iterable[Assignment], actor: str | None) -> Callable[[ModelRegistry], Any]:
    """Return the operation that registers a model's description again, with these assignments."""

    def set_values(registry: ModelRegistry) -> ModelRegistryEntry:
        entry = next(iter(registry))
        fields = entry.to_dict()
        metadata = fields["metadata"]
        metadata.pop("history", None)
        for assignment in assignments:
            _assign(metadata if assignment.key else fields, assignment)
        _fill_deployment_date(registry, entry, fields["deployment_date"])
        description = {field: fields[field] for field in _SETTABLE}
        return registry.register(model_id, **description, metadata=metadata, replace=True, actor=actor)

    return set_values


def _fill_deployment_date(registry: ModelRegistry, entry: ModelRegistryEntry, date: str | None) -> None:
    """Put the date of the first use into an entry that has none. A date that is there cannot change."""
    if entry.deployment_date is None and date is not None:
        filled = ModelRegistryEntry.from_dict({**entry.to_dict(), "deployment_date": date})
        replace_file_entries(registry, [filled])


def _assign(values: dict[str, Any], assignment: Assignment) -> None:
    """Change one value of a dict."""
    name = assignment.key or assignment.field
    value = _compute_value(name, values.get(name), assignment)
    if not assignment.key or value not in ("", []):
        values[name] = value
    elif name in LIFECYCLE_KEYS:
        msg = f"{name} cannot be removed, because deprecate sets it; give it another value"
        raise UsageError(msg)
    else:
        values.pop(name, None)


def _compute_value(name: str, old: Any, assignment: Assignment) -> Any:
    kind, value = _RESERVED_KINDS.get(name), assignment.value
    if assignment.operator in ("+=", "-="):
        items = _change_list(name, old, assignment)
        return items[0] if kind == "names" and len(items) == 1 else items
    return [value] if kind == "aliases" and isinstance(value, str) and value else value


def _change_list(name: str, old: Any, assignment: Assignment) -> list[Any]:
    """Return a list with an item added or removed."""
    items, item = _read_list(name, old, assignment), assignment.value
    if assignment.operator == "+=":
        return items if item in items else [*items, item]
    if item not in items:
        msg = f"{name} does not have {shorten(item)}"
        raise UsageError(msg)
    return [each for each in items if each != item]


def _read_list(name: str, old: Any, assignment: Assignment) -> list[Any]:
    """Return a value as a list. One text of a reserved key counts as a list of one item."""
    items = [old] if isinstance(old, str) and name in _RESERVED_KINDS else old or []
    can_be_list = assignment.key and _RESERVED_KINDS.get(name, "names") in ("aliases", "names")
    if can_be_list and isinstance(items, list):
        return items
    msg = f"{name} is no list, so {assignment.operator} cannot change it: write {name}=VALUE"
    raise UsageError(msg)
