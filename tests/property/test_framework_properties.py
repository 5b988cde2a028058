"""Framework files with any content: they load exactly, or every fault is reported with its place."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.evidence import DAY, FIELDS, GENERATED, ListReader
from support.frameworks import drawn_frameworks, make_clause, make_fields
from support.json_values import item_at, paths
from support.otlp import START as START_OF_SPANS
from support.otlp import Otlp

from spanforge import model_registry
from spanforge.model_registry import InvalidValueError, ModelRegistry, RegistryFileError, compliance
from spanforge.model_registry.compliance import (
    ComplianceMappingEngine,
    Framework,
    FrameworkFileError,
    load_framework,
)
from spanforge.model_registry.compliance._analysis.retention import NANOS_PER_DAY
from spanforge.model_registry.compliance._frameworks.faults import list_framework_faults
from spanforge.model_registry.compliance._frameworks.fields import CLAUSE_FIELDS, FRAMEWORK_FIELDS, PARAMETERS
from spanforge.model_registry.compliance._frameworks.framework_files import parse_framework

SCHEMA = json.loads(Path(model_registry.__file__).with_name("framework.schema.json").read_text("utf-8"))
VALID = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker(["date"]))
BEYOND_SCHEMA = ("repeats", "other parameters")
DATES = [{"date": "2027-12-02", "scope": "all systems", "source": "the wiki", "checked": "secondary"}]
START = make_fields(make_clause(applies_from=DATES), make_clause("2", checks=["accountable"], source="a book"))
HOSTILE = st.sampled_from(
    [
        *(
            '<script>alert("x")</script>',
            "\x1b[31m",
            "\0",
            "=1+1",
            "../../etc",
            "a\u2028b",
            "\u202e",
            " ",
            "",
            "x" * 5_000,
        ),
        *({}, [], None, True, 0, -1, 184, 10**30, 1.5, "soc2", "2026-02-30", "2027-01-01", "official", "retention"),
        *({"check": "retention", "days": 5}, {"check": "accountable"}, {"check": 3}, [["x"]], ["x"] * 51, DATES),
    ]
)
ATTESTATIONS = jsonschema.Draft202012Validator(
    json.loads(Path(compliance.__file__).with_name("attestation.schema.json").read_text("utf-8"))
)
REGISTRY = ModelRegistry(auto_emit=False)
REGISTRY.register("gpt", **FIELDS, deployment_date="2025-01-01")
VALUES = (HOSTILE | st.text(max_size=8)).map(copy.deepcopy)
KEYS = st.sampled_from([*FRAMEWORK_FIELDS, *CLAUSE_FIELDS, "days", "check", "x\n"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all examples of a test share."""
    return tmp_path_factory.mktemp("frameworks")


@st.composite
def changed_fields(draw: st.DrawFn) -> Any:
    """Draw the fields of a valid framework with some values replaced, added or removed."""
    fields: Any = copy.deepcopy(START)
    for _ in range(draw(st.integers(0, 4))):
        container = item_at(fields, draw(st.sampled_from(list(paths(fields)))))
        if isinstance(container, dict):
            key = draw(st.sampled_from(sorted(container)) if container else KEYS) if draw(st.booleans()) else draw(KEYS)
            container[key] = draw(VALUES)
            if draw(st.booleans()):
                del container[key]
        elif isinstance(container, list):
            container.insert(draw(st.integers(0, len(container))), draw(VALUES))
    return fields


def find_problem(fields: Any) -> str | None:
    """Return the first fault of a framework in code; ``None`` if it has none."""
    try:
        framework = Framework.from_dict(fields)
    except InvalidValueError as error:
        return error.problem
    assert Framework.from_dict(framework.to_dict()) == framework
    return None


def read(path: Path, content: bytes) -> Framework | RegistryFileError:
    """Return the framework in a file with this content, or the documented error, with a place for each fault."""
    path.write_bytes(content)
    try:
        return load_framework(path)
    except RegistryFileError as error:
        found = error
    assert str(found).startswith(f"{path}")
    lines = content.decode().split("\n")
    for fault in found.faults if isinstance(found, FrameworkFileError) else ():
        assert fault.reason
        assert fault.line is not None
        assert fault.column in range(1, len(lines[fault.line - 1]) + 1)
    return found


@given(changed_fields(), st.sampled_from([None, 1]))
@example(START, None)
def test_files_and_code_agree(folder: Path, fields: Any, indent: int | None) -> None:
    """A JSON file loads exactly if its fields make a framework; the same text as YAML loads or has the error."""
    content = json.dumps(fields, indent=indent).encode()
    found, problem = read(folder / "a.json", content), find_problem(fields)
    assert isinstance(found, Framework) == (problem is None and fields["id"] != "soc2")
    if isinstance(found, Framework):
        assert found.to_dict() == Framework.from_dict(fields).to_dict()
        assert read(folder / "a.json", found.to_json()).to_dict() == found.to_dict()  # type: ignore[union-attr]
    read(folder / "a.yaml", content)


@given(changed_fields())
def test_the_schema_agrees_with_the_code(fields: Any) -> None:
    """The schema accepts what a file may have, and refuses the rest, except for repetitions and contradictions."""
    problems = [fault.problem for fault in list_framework_faults(fields)]
    is_beyond_schema = [any(words in problem for words in BEYOND_SCHEMA) for problem in problems]
    assert VALID.is_valid(fields) == (all(is_beyond_schema) and fields.get("id") != "soc2")


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode), st.sampled_from(["a.json", "a.yaml"]))
def test_any_bytes_have_the_documented_error(folder: Path, content: bytes, name: str) -> None:
    """Bytes that are no framework are refused with the file's name, and nothing else is raised."""
    path = folder / name
    path.write_bytes(content)
    with pytest.raises(RegistryFileError):
        load_framework(path)


@given(drawn_frameworks(), st.booleans(), st.booleans())
def test_clauses_follow_from_their_checks(framework: Framework, is_registered: bool, is_long: bool) -> None:  # noqa: FBT001
    """The attestation has each clause with its texts, and the status that follows from its checks alone."""
    otlp = Otlp()
    lines = [otlp.line(otlp.enriched(), otlp.span("gpt" if is_registered else "x"))]
    lines += [otlp.line(otlp.enriched(start=START_OF_SPANS - 40 * NANOS_PER_DAY))] if is_long else []
    engine = ComplianceMappingEngine(REGISTRY)
    package = engine.generate_evidence_package(
        None, framework, *DAY, telemetry=[ListReader(lines, sha256="0" * 64)], generated_at=GENERATED
    )
    attestation = json.loads(package.to_json())
    ATTESTATIONS.validate(attestation)
    results = {check["check"]: check["status"] for check in attestation["checks"]}
    assert set(results) == {name for clause in framework.clauses for name in clause.check_names}
    ranks: list[Any] = ["findings", "no_evidence", "incomplete", "supported"]
    statuses = []
    for stated, clause in zip(attestation["clauses"], framework.clauses, strict=True):
        assert (stated["clause"], stated["asks"]) == (clause.id, clause.text)
        assert (stated["checks"], stated["not_shown"]) == (list(clause.check_names), list(clause.not_covered))
        counted = [results[name] for name in clause.check_names if results[name] != "not_applicable"]
        assert stated["status"] == min(counted, key=ranks.index, default="no_evidence")
        statuses += [stated["status"]] if clause.checks else []
    assert attestation["overall_status"] == min(statuses, key=ranks.index, default="no_evidence")
    applied = parse_framework("a.json", package.framework_file)
    assert applied.to_dict() == framework.to_dict()


def test_every_check_can_be_used() -> None:
    """The framework that the tests change has every check, so that each one is drawn."""
    assert find_problem(START) is None
    assert {use["check"] if isinstance(use, dict) else use for use in START["clauses"][0]["checks"]} == set(PARAMETERS)
