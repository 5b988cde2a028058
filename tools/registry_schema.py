"""A generator of the JSON Schema of registry files from their fields. With ``--check``, the program only compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from calendar_schema import KINDS as CALENDAR_KINDS
from json_schema import update

import spanforge.model_registry
from spanforge.model_registry._core.entry_fields import ARGUMENTS, ENTRY_FIELDS
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.timestamps import RFC3339_PATTERN
from spanforge.model_registry._core.validation import MAX_ALIASES, MAX_HISTORY, RECORD_KEYS, RESERVED
from spanforge.model_registry._core.values import MAX_TEXT

FILE = Path(spanforge.model_registry.__file__).with_name("registry.schema.json")
_END: Final = r"(?![\s\S])"
_TEXT: Final = CALENDAR_KINDS["text"]
_DATE: Final = {"type": "string", "pattern": f"^(?:{RFC3339_PATTERN}){_END}"}
_TIER: Final = {"type": "string", "enum": list(RISK_TIERS)}
_STATUS: Final = {"type": "string", "enum": list(STATUSES)}
_NOTES_OF_RECORDS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "at": ("When the change was made, in UTC unless it has an offset.", _DATE),
    "status": ("The model's status after the change.", _STATUS),
    "owner": ("The owner after the change.", _TEXT),
    "risk_tier": ("The risk tier after the change.", _TIER),
    "reason": ("The reason for the change.", _TEXT),
    "actor": ("The person or system that made the change.", _TEXT),
}
FIELD_KINDS: Final[dict[str, dict[str, Any]]] = {
    "id": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": rf"^\S(?:[\s\S]*\S)?{_END}"},
    "text": _TEXT,
    "tier": _TIER,
    "status": _STATUS,
    "date": {**_DATE, "type": ["string", "null"]},
}
KEY_KINDS: Final[dict[str, dict[str, Any]]] = {
    "aliases": {"type": "array", "maxItems": MAX_ALIASES, "items": CALENDAR_KINDS["name"]},
    "text": {**_TEXT, "type": ["string", "null"]},
    "names": {
        "anyOf": [
            {**_TEXT, "type": ["string", "null"]},
            {"type": "array", "minItems": 1, "maxItems": MAX_ALIASES, "items": _TEXT},
        ]
    },
    "date": {**_DATE, "type": ["string", "null"]},
}


def make_schema() -> dict[str, Any]:
    """Return the schema."""
    entry = {
        "type": "object",
        "description": "One model that the organisation runs.",
        "properties": {
            **{field: _describe_field(field) for field in ENTRY_FIELDS},
            **{name: _describe_argument(name) for name in ARGUMENTS},
        },
        "required": [field for field, row in ENTRY_FIELDS.items() if row.required],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:spanforge:model-registry:registry:1",
        "title": "Model registry",
        "description": "The models that an organisation runs.",
        "type": "array",
        "items": entry,
        "$defs": {"metadata": _describe_metadata(), "value": _describe_value(), "record": _describe_record()},
    }


def _describe_field(field: str) -> dict[str, Any]:
    row = ENTRY_FIELDS[field]
    rules = {"$ref": "#/$defs/metadata"} if row.kind == "metadata" else FIELD_KINDS[row.kind]
    return {"description": _write_sentence(row.note), **rules}


def _describe_argument(name: str) -> dict[str, Any]:
    """Return the schema of a reserved key beside the fields, where null means that it is not set."""
    described = _describe_key(ARGUMENTS[name])
    if described.get("type") == "array":
        described["type"] = ["array", "null"]
    return described


def _describe_key(key: str) -> dict[str, Any]:
    row = RESERVED[key]
    if row.kind == "history":
        rules: dict[str, Any] = {"type": "array", "maxItems": MAX_HISTORY, "items": {"$ref": "#/$defs/record"}}
    else:
        rules = KEY_KINDS[row.kind]
    return {"description": _write_sentence(row.note), **rules}


def _describe_metadata() -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key: _describe_key(key) for key in RESERVED},
        "propertyNames": {"minLength": 1},
        "additionalProperties": {"$ref": "#/$defs/value"},
    }


def _describe_value() -> dict[str, Any]:
    return {
        "description": "A value of your own.",
        "propertyNames": {"minLength": 1},
        "additionalProperties": {"$ref": "#/$defs/value"},
        "items": {"$ref": "#/$defs/value"},
    }


def _describe_record() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A change of the model.",
        "properties": {key: {"description": note, **rules} for key, (note, rules) in _NOTES_OF_RECORDS.items()},
        "required": list(RECORD_KEYS),
        "additionalProperties": False,
    }


def _write_sentence(note: str) -> str:
    """Return a note as a sentence without marks."""
    text = note.replace("`", "")
    return f"{text[0].upper()}{text[1:]}."


def main(arguments: list[str]) -> int:
    """Update the schema, or with ``--check`` report that it is out of date."""
    return update(FILE, make_schema(), "registry_schema.py", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
