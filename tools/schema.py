"""A generator of the JSON Schema of attestations from their classes. With ``--check``, the program only compares."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
from json_schema import update

from spanforge.model_registry.compliance import _attestation as attestation
from spanforge.model_registry.compliance._attestation import Attestation
from spanforge.model_registry.compliance._attestation_parts import AttestationPart
from spanforge.model_registry.compliance._sources.formats import FORMATS

FILE = Path(attestation.__file__).with_name("attestation.schema.json")
HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:spanforge:model-registry:evidence:2",
    "title": "Attestation of an evidence package",
}
KINDS = "; ".join(f"{kind} for {row.note}" for kind, row in FORMATS.items())
FIELD = re.compile(r"^    (\w+): (.+?)(?=^    \w|\Z)", re.DOTALL | re.MULTILINE)
_CLASSES: dict[str, type] = {part.__name__: part for part in AttestationPart.__subclasses__()}


def schema() -> dict[str, Any]:
    """Return the schema."""
    _, parts = msgspec.json.schema_components([Attestation])
    described = {name: _described(name, part) for name, part in parts.items()}
    return {**HEAD, **described.pop(Attestation.__name__), "$defs": described}


def _described(name: str, part: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a class, with the descriptions of its docstring. All fields are required."""
    words, _, fields = inspect.cleandoc(_CLASSES[name].__doc__).partition("\n\nAttributes:\n")
    said = {field: _line(text) for field, text in FIELD.findall(fields)}
    properties = {
        field: {**({"description": said[field]} if field in said else {}), **_without_default(value)}
        for field, value in part["properties"].items()
    }
    return {
        "description": _line(words),
        "type": part["type"],
        "properties": properties,
        "required": list(properties),
        "additionalProperties": part["additionalProperties"],
    }


def _without_default(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != "default"}


def _line(text: str) -> str:
    words = " ".join(text.replace("``None``", "null").split())
    return words.replace("a row of ``FORMATS``", KINDS).replace("`", "")


def main(arguments: list[str]) -> int:
    """Update the schema, or with ``--check`` report that it is out of date."""
    return update(FILE, schema(), "schema.py", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
