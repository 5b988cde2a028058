"""The attestation: its statuses, and its published JSON Schema."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import jsonschema
import pytest

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.errors import InvalidEntryError
from spanforge.model_registry._core.values import parse_date
from spanforge.model_registry.compliance import ComplianceMappingEngine
from spanforge.model_registry.compliance._attestation import FORMAT, Attestation
from spanforge.model_registry.compliance._attestation_parts import EVIDENCE_STATUSES, EvidenceStatus, worst_status

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json.loads((files("spanforge.model_registry.compliance") / "attestation.schema.json").read_text("utf-8"))
FORMATS = jsonschema.FormatChecker(())
FORMATS.checks("date-time", raises=InvalidEntryError)(lambda value: bool(parse_date(value, "date")))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=FORMATS)


def test_statuses_stand_from_worst_to_best() -> None:
    """Findings, no evidence, incomplete, supported: of several the first of these; of none, no evidence."""
    assert EVIDENCE_STATUSES == get_args(EvidenceStatus) == ("findings", "no_evidence", "incomplete", "supported")
    assert worst_status(()) == "no_evidence"
    for some in itertools.product(EVIDENCE_STATUSES, repeat=3):
        assert worst_status(some) == next(status for status in EVIDENCE_STATUSES if status in some)


def test_the_schema_is_that_of_the_classes() -> None:
    """The published schema is up to date."""
    subprocess.run([sys.executable, ROOT / "tools" / "schema.py", "--check"], check=True)


def test_a_schema_that_is_out_of_date_is_told(tmp_path: Path) -> None:
    """The check fails where the schema was not made anew, and leaves it as it is."""
    file = tmp_path / "stale.json"
    file.write_text("{}")
    code = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import schema; schema.FILE = pathlib.Path(sys.argv[2]);"
        "print(schema.main(['--check']), schema.main([]), schema.main(['--check']))"
    )
    command = [sys.executable, "-c", code, ROOT / "tools", file]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "1 0 0\n"
    assert json.loads(file.read_text()) == SCHEMA


def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [schema, *schema["$defs"].values()]


def test_the_schema_is_strict() -> None:
    """It is of draft 2020-12, every object has all of its properties and no other, and every one is described."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"] == "urn:spanforge:model-registry:evidence:1"
    assert tuple(SCHEMA["properties"]) == tuple(SCHEMA["required"])
    assert set(SCHEMA["properties"]) == set(Attestation.__struct_fields__)
    for each in objects(SCHEMA):
        assert each["type"] == "object"
        assert each["additionalProperties"] is False
        assert each["required"] == list(each["properties"])
        assert each["description"]
        assert all(value["description"] for value in each["properties"].values())
    assert "``" not in json.dumps(SCHEMA)


@pytest.fixture
def stated(tmp_path: Path, otlp: Any) -> dict[str, Any]:
    """An attestation of which no list is empty."""
    file = tmp_path / "spans.jsonl"
    strange, odd = otlp.span("x"), otlp.span("y", gen_ai__response__model="served")
    served = otlp.span("gpt", gen_ai__response__model="served")
    unreadable = {**otlp.span("z"), "spanId": "no digits at all"[:16]}
    file.write_bytes(b"\n".join([otlp.line(strange, odd, served, unreadable), b"{oops", b"{"]))
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt", "GPT", "1", "high", "ml", "chat", actor="me")
    registry.deprecate("gpt", reason="old")
    engine = ComplianceMappingEngine(registry)
    made = engine.generate_evidence_package(None, "soc2", "2025-12-01", "2200-01-01", telemetry=file, audit_events=[])
    found: dict[str, Any] = json.loads(made.to_json())
    return found


def test_attestations_validate(stated: dict[str, Any], tmp_path: Path) -> None:
    """What the engine states is valid, full or empty, about all or one or an unknown model, in both frameworks."""
    assert [key for key, value in stated.items() if value == []] == []
    VALIDATOR.validate(stated)
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt", "GPT", "1", "high", "ml", "chat", deployment_date="2026-01-01 00:00:00+01:00")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    for model_id, framework in itertools.product([None, "gpt", "unknown"], ["soc2", "nist_ai_rmf"]):
        made = ComplianceMappingEngine(registry).generate_evidence_package(
            model_id, framework, "2025-01-01", "2027-01-01", telemetry=tmp_path / "empty.jsonl"
        )
        VALIDATOR.validate(json.loads(made.to_json()))


def test_samples_are_spans_that_can_be_looked_up(stated: dict[str, Any]) -> None:
    """A span whose id is none is not among them, so that the schema can say what ids are."""
    samples = [sample["span_id"] for check in stated["checks"] for sample in check["samples"]]
    assert samples
    assert not any(" " in sample for sample in samples)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from nodes(item, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def is_valid(changed: Any) -> bool:
    return bool(VALIDATOR.is_valid(changed))


def test_nothing_may_be_added_or_left_out(stated: dict[str, Any]) -> None:
    """An unknown field in any object, and the lack of any field, do not validate."""
    places = [path for path in nodes(stated) if isinstance(at(stated, path), dict)]
    assert len(places) > 20
    for path in places:
        changed = copy.deepcopy(stated)
        at(changed, path)["unknown"] = None
        assert not is_valid(changed)
        for field in at(stated, path):
            changed = copy.deepcopy(stated)
            del at(changed, path)[field]
            assert not is_valid(changed), (path, field)


def test_no_value_may_be_of_another_type(stated: dict[str, Any]) -> None:
    """A boolean in the place of any value, and a negative number in the place of any number, do not validate."""
    for path in list(nodes(stated))[1:]:
        changed = copy.deepcopy(stated)
        at(changed, path[:-1])[path[-1]] = False
        assert not is_valid(changed), path
        if isinstance(at(stated, path), (int, float)):
            at(changed, path[:-1])[path[-1]] = -1
            assert not is_valid(changed), path


@pytest.mark.parametrize(
    "path",
    [
        "format",
        "framework",
        "overall_status",
        "model_status",
        "model_risk_tier",
        "generated_at",
        "period.from_date",
        "period.to_date",
        "period.interval",
        "clauses.0.status",
        "checks.0.status",
        "checks.0.samples.0.trace_id",
        "checks.0.samples.0.span_id",
        "checks.0.samples.0.start",
        "changes.0.at",
        "changes.0.status",
        "changes.0.source",
        "changes.0.event",
        "coverage.status",
        "coverage.gaps.0.from_date",
        "registry.sha256",
        "inputs.0.sha256",
        "inputs.0.first",
    ],
)
def test_a_text_that_is_none_of_those_allowed(stated: dict[str, Any], path: str) -> None:
    """Statuses, dates, digests and ids are not any text."""
    keys = [int(part) if part.isdigit() else part for part in path.split(".")]
    for wrong in ("fine", "", "Supported"):
        changed = copy.deepcopy(stated)
        at(changed, tuple(keys[:-1]))[keys[-1]] = wrong
        assert not is_valid(changed)


@pytest.mark.parametrize("date", ["2026-13-01T00:00:00.000000Z", "2026-01-01T25:00:00.000000Z", "2026-01-01"])
def test_dates_are_dates(stated: dict[str, Any], date: str) -> None:
    """What only looks like a date, or is a day, is no moment."""
    assert not is_valid(stated | {"generated_at": date})
    assert is_valid(stated | {"generated_at": "2026-12-01T00:00:00.000000Z"})


def test_the_format_has_a_version(stated: dict[str, Any]) -> None:
    """An attestation says which format it has, and its schema takes no other."""
    assert stated["format"] == FORMAT
    assert not is_valid(stated | {"format": "spanforge-model-registry/evidence/2"})
    assert not is_valid(stated | {"checks": [{**check, "share": 1.1} for check in stated["checks"]]})
