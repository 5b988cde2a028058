"""A generator of the JSON Schema of calendar files from their fields. With ``--check``, the program only compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from json_schema import update

from spanforge.model_registry import calendar
from spanforge.model_registry._core.announcements import CALENDAR_FIELDS, DAY_PATTERN, MAX_REPLACEMENTS
from spanforge.model_registry._core.calendar_files import MAX_ANNOUNCEMENTS
from spanforge.model_registry._core.validation import MAX_STARS
from spanforge.model_registry._core.values import MAX_NAME, MAX_TEXT

FILE = Path(calendar.__file__).with_name("calendar.schema.json")
_FEW_STARS: Final = rf"(?!(?:[^*]*[*]){{{MAX_STARS + 1}}})"
_NAME: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_NAME,
    "pattern": rf"^{_FEW_STARS}\S(?:[\s\S]*\S)?(?![\s\S])",
}
KINDS: Final[dict[str, dict[str, Any]]] = {
    "name": _NAME,
    "text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": r"\S"},
    "day": {"type": "string", "pattern": DAY_PATTERN, "format": "date"},
    "names": {"type": "array", "maxItems": MAX_REPLACEMENTS, "items": _NAME},
}


def schema() -> dict[str, Any]:
    """Return the schema."""
    announcement = {
        "type": "object",
        "description": "What a provider announced about the shutdown of one model. Days are in UTC.",
        "properties": {name: _describe(name) for name in CALENDAR_FIELDS},
        "required": [name for name, row in CALENDAR_FIELDS.items() if row.required],
        "additionalProperties": False,
        "oneOf": [_require("shutdown_on", "not_before"), _require("not_before", "shutdown_on")],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:spanforge:model-registry:calendar:1",
        "title": "Provider calendar",
        "type": "array",
        "maxItems": MAX_ANNOUNCEMENTS,
        "items": announcement,
    }


def _describe(name: str) -> dict[str, Any]:
    row = CALENDAR_FIELDS[name]
    rules = KINDS[row.kind]
    kind = rules["type"] if row.required else [rules["type"], "null"]
    return {"description": row.note.replace("`", ""), **rules, "type": kind}


def _require(name: str, other: str) -> dict[str, Any]:
    """Return the rule that a member has a value and that another one has none."""
    return {"required": [name], "properties": {name: {"type": "string"}, other: {"type": "null"}}}


def main(arguments: list[str]) -> int:
    """Update the schema, or with ``--check`` report that it is out of date."""
    return update(FILE, schema(), "calendar_schema.py", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
