"""Framework files: what loads, and what each fault is reported as."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema
import pytest
from support.frameworks import make_clause, make_fields, make_framework

from spanforge.model_registry import InvalidValueError, RegistryFileError
from spanforge.model_registry.compliance import ComplianceMappingEngine, Framework, FrameworkFileError, load_framework
from spanforge.model_registry.compliance._frameworks.fields import MAX_CLAUSES, MAX_FRAMEWORK_SIZE, SHIPPED_IDS
from spanforge.model_registry.compliance._frameworks.shipped import choose_framework, list_shipped

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "frameworks" / "house_rules.yaml"
SCHEMA = json.loads((ROOT / "src" / "spanforge" / "model_registry" / "framework.schema.json").read_text("utf-8"))

FAULTY = """\
id: soc2
title: Rules
editon: "1"
source: wiki
checked: perhaps
clauses:
  - id: A
    title: ""
    text: Nobody calls a retired model.
    checks: [no_calls_after_retirment, {check: retention, days: many}, {check: retention}]
    applies_from:
      - {date: 2026-02-30, scope: all, source: wiki, checked: secondary}
  - id: A
    title: Other
    text: Nothing.
  - name: B
"""
FAULTS = [
    "line 1, column 5, field 'id': is soc2, the id of a framework of the library; choose another id",
    "line 3, column 1: has the unknown field 'editon'; the nearest field is edition",
    "line 1, column 1: has no edition; add it: the words that follow the title: an edition, a year, an amendment",
    "line 5, column 10, field 'checked': must be one of official, secondary; got 'perhaps'",
    "line 8, column 12, field 'clauses[0].title': must be text that is not blank, of at most 4,096 characters; got ''",
    (
        "line 10, column 14, field 'clauses[0].checks[0]': is the unknown check 'no_calls_after_retirment'; "
        "the nearest checks are no_calls_after_retirement, no_calls_past_sunset"
    ),
    "line 10, column 65, field 'clauses[0].checks[1].days': must be a whole number from 1 to 36,525; got 'many'",
    (
        "line 10, column 72, field 'clauses[0].checks[2]': has no days; "
        "add it: the days that the telemetry must reach back"
    ),
    (
        "line 10, column 72, field 'clauses[0].checks[2]': repeats the check 'retention', "
        "which clauses[0].checks[1] has; remove one"
    ),
    "line 12, column 16, field 'clauses[0].applies_from[0].date': must be a day such as 2027-01-14; got '2026-02-30'",
    (
        "line 13, column 5, field 'clauses[1]': has neither checks nor not_covered; add one of them: a clause without "
        "checks states what is missing"
    ),
    (
        "line 16, column 5, field 'clauses[2]': has the unknown field 'name'; the allowed fields are id, title, text, "
        "checks, not_covered, applies_from, source, checked"
    ),
    "line 16, column 5, field 'clauses[2]': has no id; add it: the number of the clause",
    "line 16, column 5, field 'clauses[2]': has no title; add it: the name of the clause",
    "line 16, column 5, field 'clauses[2]': has no text; add it: what the clause asks, in your own words",
    (
        "line 16, column 5, field 'clauses[2]': has neither checks nor not_covered; add one of them: a clause without "
        "checks states what is missing"
    ),
    "line 13, column 9, field 'clauses[1].id': repeats the clause 'A', which clauses[0].id has; remove one",
    (
        "line 10, column 72, field 'clauses[0].checks[2]': has other parameters than clauses[0].checks[1]; "
        "a framework has one value for each"
    ),
]


def test_the_example_loads() -> None:
    """The example has its clauses, with defaults from the framework, and its exact bytes."""
    framework = load_framework(EXAMPLE)
    assert framework.name == "Rules for models of the platform team, 2026"
    assert framework.file is not None
    assert (framework.file.name, framework.file.content) == ("house_rules.yaml", EXAMPLE.read_bytes())
    assert framework.parameters == {"retention": {"days": 365}}
    assert [clause.check_names for clause in framework.clauses][3] == ()
    assert {(clause.source, clause.checked) for clause in framework.clauses} == {(framework.source, "official")}
    assert [each.date for clause in framework.clauses for each in clause.applies_from] == ["2026-07-01"]
    jsonschema.validate(framework.to_dict(), SCHEMA)


def test_every_fault_of_a_yaml_file_is_reported(tmp_path: Path) -> None:
    """Each fault has its line and column, the rule, and the remedy; the error has the facts of the first one."""
    path = tmp_path / "rules.yaml"
    path.write_text(FAULTY)
    with pytest.raises(FrameworkFileError) as caught:
        load_framework(path)
    assert str(caught.value).splitlines() == [f"{path}, {fault}" for fault in FAULTS]
    assert (caught.value.line, caught.value.column, caught.value.field) == (1, 5, "id")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_every_fault_of_a_json_file_is_reported(tmp_path: Path) -> None:
    """Faults in JSON have the same places and words; a key that occurs twice is one."""
    path = tmp_path / "rules.json"
    checks = ["retentoin", {"check": "calls_registered", "days": 1}]
    text = json.dumps(make_fields(make_clause(checks=checks, texts=1), id="a b"), indent=1)
    path.write_text(text.replace('"title": "House rules"', '"title": "House rules",\n "title": "x"'))
    with pytest.raises(FrameworkFileError) as caught:
        load_framework(path)
    places = [(fault.field, fault.line, fault.column) for fault in caught.value.faults]
    assert places == [
        (None, 4, 2),
        ("id", 2, 8),
        ("clauses[0]", 23, 4),
        ("clauses[0].checks[0]", 14, 5),
        ("clauses[0].checks[1]", 17, 6),
    ]
    reasons = [fault.reason for fault in caught.value.faults]
    assert reasons[0] == "has the key 'title' twice; remove one"
    assert reasons[1].startswith("must be 1 to 64 lower-case letters")
    assert reasons[2].startswith("has the unknown field 'texts'; the nearest field is text")
    assert reasons[3] == "is the unknown check 'retentoin'; the nearest check is retention"
    assert reasons[4] == "has the unknown parameter 'days'; the allowed key is check"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b"{", "line 1, column 2: is not valid JSON"),
        ("a.json", b"[]", "line 1, column 1: must be a mapping: a framework has the fields id, title, edition, "),
        ("a.json", b" " * (MAX_FRAMEWORK_SIZE + 1), "is larger than 262,144 bytes, the limit of a framework"),
        ("a.json", b"[" * 100_000, "is not valid JSON: it is nested too deeply"),
        ("a.yaml", b"# nothing", "must be a YAML mapping with the fields of a framework; the file is empty"),
        ("a.yaml", b"- {", "is not valid YAML"),
        ("a.yml", b"a: 1\na: 2\n", "line 2, column 1: duplicate key 'a'"),
        ("a.json", None, "no such file"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    """The error names the file, and what is wrong with it."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RegistryFileError) as caught:
        load_framework(path)
    assert str(caught.value).startswith(str(path))
    assert reason in str(caught.value)


def test_frameworks_in_code() -> None:
    """``from_dict`` takes what ``to_dict`` returns, and refuses the first fault; a framework is immutable."""
    framework = make_framework()
    assert Framework.from_dict(framework.to_dict()) == framework
    frozen = freeze(framework.to_dict())
    assert Framework.from_dict(frozen) == framework
    assert json.loads(framework.to_json()) == framework.to_dict()
    assert framework.file is None
    with pytest.raises(AttributeError, match="immutable"):
        framework.id = "other"  # type: ignore[misc]
    for fields, message in (
        ({}, "framework has no id"),
        (make_fields(id="x" * 65), "id must be 1 to 64"),
        (make_fields(*[make_clause(str(number)) for number in range(MAX_CLAUSES + 1)]), "clauses has 201 items"),
        (make_fields(clauses=[]), "clauses must have at least one clause"),
        (make_fields(make_clause(checks=[{"check": "retention", "days": True}])), "days must be a whole number"),
        (make_fields(make_clause(checks=[{"check": "accountable", "days": 1}])), "unknown parameter 'days'"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            Framework.from_dict(fields)


def test_optional_fields_of_a_clause() -> None:
    """A clause without open points and dates loads, and its own source replaces the framework's."""
    fields = make_clause(checks=["accountable"], source="a book")
    del fields["not_covered"]
    (clause,) = make_framework(fields).clauses
    assert (clause.not_covered, clause.applies_from) == ((), ())
    assert (clause.source, clause.checked) == ("a book", "official")


def freeze(value: Any) -> Any:
    """Return an immutable copy of mappings and lists."""
    if isinstance(value, dict):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    return tuple(map(freeze, value)) if isinstance(value, list) else value


def test_ids_of_the_library_are_reserved() -> None:
    """A framework with the id of a shipped one is refused, also one that was made in code; the shipped one is not."""
    for framework_id in SHIPPED_IDS:
        assert choose_framework(list_shipped()[framework_id]) is list_shipped()[framework_id]
        with pytest.raises(InvalidValueError, match="the id of a framework of the library"):
            choose_framework(make_framework(id=framework_id))


@pytest.mark.parametrize(
    ("framework", "days", "problem"),
    [
        ("soc2", 200, "must be left out: the framework soc2 has no check retention; got 200"),
        ("eu_ai_act", 183, "must be a whole number from 184, the days that the framework requires, to 36,525; got 183"),
        ("eu_ai_act", 184.5, "must be a whole number"),
        ("eu_ai_act", 36_526, "must be a whole number"),
    ],
)
def test_retention_days_never_require_less(framework: str, days: Any, problem: str) -> None:
    """An argument cannot require fewer days than the framework's file, or none of a framework without the check."""
    with pytest.raises(InvalidValueError) as caught:
        ComplianceMappingEngine().generate_evidence_package(
            None, framework, "2026-01-01", "2026-01-02", retention_days=days
        )
    assert str(caught.value).startswith(f"retention_days {problem}")


@pytest.mark.slow
def test_the_schema_is_generated() -> None:
    """The schema in the package is the one that the tool generates."""
    command = [sys.executable, str(ROOT / "tools" / "framework_schema.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0
