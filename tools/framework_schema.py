"""A generator of the JSON Schema of framework files from their fields. With ``--check``, the program only compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from calendar_schema import KINDS as CALENDAR_KINDS
from json_schema import update

from spanforge import model_registry
from spanforge.model_registry.compliance._attestation_parts import FRAMEWORK_ID_PATTERN, Checked
from spanforge.model_registry.compliance._frameworks.fields import (
    APPLICATION_FIELDS,
    CHECK_FIELDS,
    CLAUSE_FIELDS,
    FRAMEWORK_FIELDS,
    MAX_CLAUSE_ITEMS,
    MAX_CLAUSES,
    PARAMETERS,
    SHIPPED_IDS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry.compliance._analysis.checks import CheckParameter
    from spanforge.model_registry.compliance._frameworks.fields import FrameworkField

FILE = Path(model_registry.__file__).with_name("framework.schema.json")
_TEXT: Final = CALENDAR_KINDS["text"]
KINDS: Final[dict[str, dict[str, Any]]] = {
    "id": {"type": "string", "pattern": FRAMEWORK_ID_PATTERN, "not": {"enum": list(SHIPPED_IDS)}},
    "name": {key: value for key, value in CALENDAR_KINDS["name"].items() if key != "pattern"}
    | {"pattern": r"^\S(?:[\s\S]*\S)?(?![\s\S])"},
    "text": _TEXT,
    "day": CALENDAR_KINDS["day"],
    "checked": {"type": "string", "enum": list(get_args(Checked))},
    "texts": {"type": "array", "maxItems": MAX_CLAUSE_ITEMS, "items": _TEXT},
    "clauses": {"type": "array", "minItems": 1, "maxItems": MAX_CLAUSES, "items": {"$ref": "#/$defs/clause"}},
    "checks": {"type": "array", "maxItems": MAX_CLAUSE_ITEMS, "items": {"$ref": "#/$defs/check"}},
    "dates": {"type": "array", "maxItems": MAX_CLAUSE_ITEMS, "items": {"$ref": "#/$defs/date"}},
}
_FILLED: Final = {"type": "array", "minItems": 1}


def schema() -> dict[str, Any]:
    """Return the schema."""
    either = [{"required": [name], "properties": {name: _FILLED}} for name in ("checks", "not_covered")]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:spanforge:model-registry:framework:1",
        "title": "Framework of an evidence package",
        **_describe_object(FRAMEWORK_FIELDS, "The clauses of a framework, with the checks that support each."),
        "$defs": {
            "clause": {**_describe_object(CLAUSE_FIELDS, "A clause of the framework."), "anyOf": either},
            "check": _describe_checks(),
            "date": _describe_object(APPLICATION_FIELDS, "A day from which a clause applies."),
        },
    }


def _describe_object(fields: Mapping[str, FrameworkField], description: str) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": {name: _describe_field(row) for name, row in fields.items()},
        "required": [name for name, row in fields.items() if row.required],
        "additionalProperties": False,
    }


def _describe_field(row: FrameworkField) -> dict[str, Any]:
    rules = KINDS[row.kind]
    kind = rules["type"] if row.required else [rules["type"], "null"]
    choices = {} if row.required or "enum" not in rules else {"enum": [*rules["enum"], None]}
    return {"description": row.note.replace("`", ""), **rules, "type": kind, **choices}


def _describe_checks() -> dict[str, Any]:
    """Return the rule for a check: its name, or a mapping with its name and all its parameters."""
    plain = [name for name, rows in PARAMETERS.items() if not rows]
    mappings = [
        _describe_use({"enum": plain}, []),
        *(_describe_use({"const": name}, rows) for name, rows in PARAMETERS.items() if rows),
    ]
    return {"description": "A check that supports the clause.", "anyOf": [{"enum": plain}, *mappings]}


def _describe_use(name: dict[str, Any], rows: list[CheckParameter] | Any) -> dict[str, Any]:
    parameters = {
        row.name: {"description": row.note, "type": "integer", "minimum": row.least, "maximum": row.most}
        for row in rows
    }
    note = CHECK_FIELDS["check"].note
    return {
        "type": "object",
        "properties": {"check": {"description": note, **name}, **parameters},
        "required": ["check", *parameters],
        "additionalProperties": False,
    }


def main(arguments: list[str]) -> int:
    """Update the schema, or with ``--check`` report that it is out of date."""
    return update(FILE, schema(), "framework_schema.py", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
