"""The JSON Schema of registry files agrees with the parser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from support.entries import FIELDS, METADATA

from spanforge.model_registry import InvalidValueError, ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.entry_fields import ARGUMENTS, ENTRY_FIELDS
from spanforge.model_registry._core.near_misses import list_near_misses
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((files("spanforge.model_registry") / "registry.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
RECORD = {"at": "2026-01-01", "status": "active", "owner": "a", "risk_tier": "low"}
VALUES: list[Any] = [
    *("", " ", "\n", "a", " a", "a ", "a\n", "ä\u00a0", "a b", "x" * 256, "x" * 257, "x" * 4_096, "x" * 4_097),
    *("*" * 8, "*" * 9, "low", "Low", "active", "retired", "unregistered"),
    *(
        "2026-01-01",
        "2026-01-01\n",
        "2026-1-1",
        "2026-13-01",
        "2026-01-32",
        "2026-01-01T08:00:00Z",
        "2026-01-01 08:00:00",
    ),
    *("2026-01-01T24:00:00Z", "2026-01-01T08:00:00.5+23:59", "2026-01-01T08:00:00+24:00", "May 2026"),
    *(None, True, 0, 1.5, 10**300, {}, {"a": None}, {"": 1}, {"a": [{"": 1}]}),
    *([], ["a"], ["a", "b"], ["a "], [""], [None], [1], [["a"]], ["*" * 9], ["x" * 257], ["x" * 4_097], ["a"] * 1_001),
    *([RECORD], [RECORD, {**RECORD, "reason": "r", "actor": "a"}], [{**RECORD, "more": 1}], [{**RECORD, "owner": ""}]),
    *([{**RECORD, "status": "x"}], [{key: RECORD[key] for key in ("at", "status", "owner")}], [RECORD] * 1_001),
]
"""Values of which each may be in any field."""
BEYOND = ("64 bits", "finite number", "levels deep", "too large", "lone surrogates", "no earlier", "differs from")
"""Rules that a schema cannot state."""


def list_entries() -> Iterator[dict[str, Any]]:
    """Yield entries with each value in each field, beside the fields, and in each key of the metadata."""
    names = [*ENTRY_FIELDS, *ARGUMENTS, "history", "ticket", "Owner"]
    for name in names:
        yield {**FIELDS, "metadata": {"x": 1}, name: ...}
        for value in VALUES:
            yield {**FIELDS, name: value}
    for key in (*RESERVED, "ticket", ""):
        for value in VALUES:
            yield {**FIELDS, "metadata": {key: value}}


def find_problem(entry: Any) -> str | None:
    """Return the parser's error about an entry."""
    try:
        ModelRegistryEntry.from_dict(entry)
    except InvalidValueError as error:
        return str(error)
    return None


@pytest.mark.slow
def test_the_schema_agrees_with_the_parser() -> None:
    """The schema accepts what the parser accepts, and refuses the rest, except by rules that a schema cannot state."""
    for each in list_entries():
        entry = {name: value for name, value in each.items() if value is not ...}
        problem = find_problem(entry)
        is_beyond = problem is not None and any(rule in problem for rule in BEYOND)
        assert VALIDATOR.is_valid([entry]) == (problem is None or is_beyond), (entry, problem)


@pytest.mark.parametrize("root", [{}, {"models": []}, None, "a", [[]], [None], ["a"]])
def test_file_that_is_no_list_of_entries(root: Any) -> None:
    """The schema refuses a file that is not a list of mappings."""
    assert not VALIDATOR.is_valid(root)


def test_files_of_the_project(tmp_path: Path) -> None:
    """The schema accepts what ``save`` writes, and the registry files in the examples."""
    registry = ModelRegistry(auto_emit=False)
    registry.register(**FIELDS, metadata={key: METADATA[key] for key in ("aliases", "provider", "contact")})
    registry.deprecate("gpt-4o", reason="old", successor="x", sunset_date="2027-01-01", actor="me")
    registry.register(**{**FIELDS, "model_id": "b"}, metadata={"own": [None, {"a": [1.5, True]}]})
    registry.retire("b")
    registry.save(tmp_path / "models.json")
    VALIDATOR.validate(json.loads((tmp_path / "models.json").read_text("utf-8")))
    examples = [path for path in ROOT.glob("examples/**/models.*") if path.name in ("models.json", "models.yaml")]
    assert examples
    for path in examples:
        VALIDATOR.validate(yaml.load(path.read_text("utf-8"), yaml.BaseLoader))


def test_examples_of_the_page(tmp_path: Path) -> None:
    """The entries on the page about registry files are valid, and one of them has all fields and reserved keys."""
    page = (ROOT / "docs" / "files.md").read_text("utf-8")
    blocks = [text for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "model_id" in text]
    assert len(blocks) == 2
    for text in blocks:
        (tmp_path / "models.yaml").write_text(text, "utf-8")
        registry = ModelRegistry(auto_emit=False)
        registry.load(tmp_path / "models.yaml")
        VALIDATOR.validate([entry.to_dict() for entry in registry])
        assert not [each for entry in registry for each in list_near_misses(entry)]
    (example,) = yaml.load(blocks[1], yaml.BaseLoader)
    assert example.keys() == {*ENTRY_FIELDS, *ARGUMENTS} - {"deprecation_reason"}
    assert "history" in example["metadata"]


def test_every_field_has_a_description() -> None:
    """The schema is valid, and describes each field of an entry and of its records, and each reserved key."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    entry, metadata, record = SCHEMA["items"], SCHEMA["$defs"]["metadata"], SCHEMA["$defs"]["record"]
    assert list(entry["properties"]) == [*ENTRY_FIELDS, *ARGUMENTS]
    assert list(metadata["properties"]) == list(RESERVED)
    for owner in (entry, metadata, record):
        assert all(each["description"].endswith(".") for each in owner["properties"].values())
    assert "`" not in "".join(each["description"] for each in entry["properties"].values())


@pytest.mark.slow
def test_the_schema_is_generated() -> None:
    """The schema in the package is the one that the tool generates."""
    command = [sys.executable, str(ROOT / "tools" / "registry_schema.py"), "--check"]
    subprocess.run(command, check=True)
