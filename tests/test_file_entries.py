"""Entries as people write them in files: arguments beside the fields, and messages about mistakes."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from support.entries import FIELDS, METADATA
from support.registry_files import load, refused

from spanforge.model_registry import InvalidValueError, ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.entry_fields import ARGUMENTS, ENTRY_FIELDS, FIELD_WORDS
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = "".join(f"{'- ' if field == 'model_id' else '  '}{field}: {value}\n" for field, value in FIELDS.items())
"""An entry in YAML, in lines 1 to 6."""
TOP_LEVEL = {name: METADATA[key] for name, key in ARGUMENTS.items() if name != "reason"}


def write_json(**values: Any) -> str:
    """Return a JSON file of one entry with these fields; ``...`` leaves one out."""
    fields = {**FIELDS, **values}
    return json.dumps([{field: value for field, value in fields.items() if value is not ...}], indent=2)


def test_fields_are_those_of_an_entry() -> None:
    """The table of fields has the fields of an entry, and knows which are required."""
    assert tuple(ENTRY_FIELDS) == ModelRegistryEntry.__struct_fields__
    required = [field for field, row in ENTRY_FIELDS.items() if row.required]
    assert required == list(FIELDS) == list(ENTRY_FIELDS)[: len(required)]
    assert set(FIELD_WORDS.values()) <= {*ENTRY_FIELDS, *ARGUMENTS}
    assert not set(FIELD_WORDS) & {*ENTRY_FIELDS, *ARGUMENTS}


def test_arguments_beside_the_fields(tmp_path: Path) -> None:
    """In JSON, in YAML and in ``from_dict``, arguments beside the fields are metadata; ``save`` writes them there."""
    expected = {**ModelRegistryEntry(**FIELDS).to_dict(), "metadata": {"ticket": 5, **TOP_LEVEL}}
    fields = {**TOP_LEVEL, **FIELDS, "metadata": {"ticket": 5}}
    assert ModelRegistryEntry.from_dict(fields).to_dict() == expected
    assert load(tmp_path / "a.json", json.dumps([fields])) == [expected]
    assert load(tmp_path / "a.yaml", json.dumps([fields])) == [expected]
    registry = ModelRegistry(auto_emit=False)
    registry.load(tmp_path / "a.yaml")
    registry.save(tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text()) == [expected]


def test_yaml_arguments_keep_their_spelling(tmp_path: Path) -> None:
    """Beside the fields, a number is a text as in any field, and a null is left out."""
    more = "  successor: 1.10\n  provider: [no, 5]\n  aliases: [0125]\n  reason: 2024-05-13\n  contact:\n"
    (entry,) = load(tmp_path / "a.yaml", ENTRY + more)
    assert entry["metadata"] == {
        "successor": "1.10",
        "provider": ["no", "5"],
        "aliases": ["0125"],
        "deprecation_reason": "2024-05-13",
    }


@pytest.mark.parametrize("key", ["successor", "aliases"])
def test_value_in_two_places(tmp_path: Path, key: str) -> None:
    """A value beside the fields may be in the metadata too if it is the same; a null there counts as missing."""
    value, other = METADATA[key], ["b"] if key == "aliases" else "b"
    for metadata in ({key: value}, {"x": 1}):
        (entry,) = load(tmp_path / "a.json", write_json(**{key: value, "metadata": metadata}))
        assert entry["metadata"][key] == value
    error = refused(tmp_path / "a.json", write_json(**{key: value, "metadata": {key: other}}))
    assert (error.field, error.line) == (key, 9)
    assert error.reason == f"differs from metadata.{key}; write the value in one place"


@pytest.mark.parametrize("metadata", [{"x": 1}, {"deprecation_reason": None}])
def test_value_under_two_names(tmp_path: Path, metadata: dict[str, Any]) -> None:
    """The error about a key and the argument for it has both names as they are written, in any order."""
    for names in itertools.permutations(["reason", "deprecation_reason"]):
        error = refused(tmp_path / "a.json", write_json(**dict(zip(names, "ab", strict=True)), metadata=metadata))
        assert error.field == "deprecation_reason"
        assert error.reason == "differs from reason; write the value in one place"


NAMES = "must be a name or glob of 1 to 256 characters with at most 8 stars, without white space around it"
FAULTS: list[tuple[dict[str, Any], str, int, str]] = [
    ({"aliases": ["a", ""]}, "aliases[1]", 11, f"{NAMES}; got ''"),
    ({"aliases": "a"}, "aliases", 9, "must be a list of names; got 'a'"),
    ({"aliases": [" a"]}, "aliases[0]", 10, f"{NAMES}; got ' a'"),
    ({"metadata": {"x": 1, "aliases": ["a\u00a0"]}}, "metadata.aliases[0]", 12, f"{NAMES}; got 'a\\xa0'"),
    ({"provider": ["a", None]}, "provider[1]", 11, "must be text that is not blank, of at most 4,096 characters; got"),
    ({"sunset_date": "soon"}, "sunset_date", 9, "must be an RFC 3339 date or date-time such as"),
    ({"reason": [None, None]}, "reason", 9, "of at most 4,096 characters; got [null, null]"),
    ({"history": []}, "history", 9, "belongs in metadata: write it as metadata.history"),
    ({"alias": ["a"]}, "alias", 9, "is unknown; did you mean aliases?"),
    ({"sunset": "x"}, "sunset", 9, "is unknown; did you mean sunset_date?"),
    ({"riskTier": "low"}, "riskTier", 9, "is unknown; did you mean risk_tier?"),
    ({"Owner": "low"}, "Owner", 9, "is unknown; did you mean owner?"),
    ({"deployment-date": "x"}, "deployment-date", 9, "is unknown; did you mean deployment_date?"),
    ({"ticket": "x"}, "ticket", 9, "is unknown; keys of your own belong in metadata; the fields are model_id"),
    ({"model_id": "gpt-4o "}, "model_id", 3, "characters, without white space around it; got 'gpt-4o '"),
    ({"model_id": "\tä"}, "model_id", 3, "characters, without white space around it; got '\\tä'"),
    ({"owner": None}, "owner", 7, "must be text that is not blank, of at most 4,096 characters; got null"),
    ({"metadata": {"x": {"y": [1, 2**70]}}}, "metadata.x.y[1]", 13, "must be an integer of 64 bits; got 1180591620"),
    ({"purpose": ..., "owner": ...}, "owner", 2, "is missing; also missing: purpose"),
    (
        {"owner": ..., "metadata": {"owner": "a"}},
        "owner",
        2,
        "is missing; owner is in metadata and belongs beside it",
    ),
]


@pytest.mark.parametrize("ending", ["json", "yaml"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[1])
def test_fault_in_an_entry(tmp_path: Path, fault: tuple[dict[str, Any], str, int, str], ending: str) -> None:
    """The error says what is wrong and what is meant, with the line and the field at which the value stands."""
    values, field, line, reason = fault
    error = refused(tmp_path / f"a.{ending}", write_json(**values))
    assert (error.field, error.line) == (field, line)
    assert reason in error.reason
    assert error.column is not None


def test_white_space_around_names_in_code() -> None:
    """``register`` refuses white space around ids and aliases too."""
    registry = ModelRegistry(auto_emit=False)
    for changes in ({"model_id": " gpt-4o"}, {"aliases": ["gpt-4o "]}):
        with pytest.raises(InvalidValueError, match="without white space around it"):
            registry.register(**{**FIELDS, **changes})
    assert len(registry) == 0


def test_duplicates_in_json_have_a_place(tmp_path: Path) -> None:
    """The errors about an id and a key that occur twice in JSON have line and column."""
    path = tmp_path / "a.json"
    entry = write_json()[1:-1]
    error = refused(path, f"[{entry},{entry}]")
    assert (error.field, error.line, error.column) == ("model_id", 12, 17)
    error = refused(path, '[\n{"metadata": {"a.b": [1], "a": {"b": [{"c": 1,\n "c": 2}]}}}]')
    assert (error.field, error.line, error.column) == ("metadata.a.b[0].c", 3, 7)


def test_every_reserved_key_has_a_place() -> None:
    """Every reserved key but the history may be beside the fields, and the argument ``reason`` too."""
    assert set(ARGUMENTS.values()) == set(RESERVED) - {"history"}
    assert set(ARGUMENTS) == {*ARGUMENTS.values(), "reason"}
