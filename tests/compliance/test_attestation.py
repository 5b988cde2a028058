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
from support.evidence import FIELDS, make_entry, run_code
from support.frameworks import make_clause, make_framework
from support.json_values import item_at, paths, replaced

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.errors import InvalidEntryError
from spanforge.model_registry._core.values import parse_date
from spanforge.model_registry.compliance import ComplianceMappingEngine
from spanforge.model_registry.compliance._attestation import FORMAT, Attestation
from spanforge.model_registry.compliance._attestation_parts import (
    EVIDENCE_STATUSES,
    AttestationPart,
    EvidenceStatus,
    worst_status,
)
from spanforge.model_registry.compliance._frameworks.fields import SHIPPED_IDS

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

ROOT = Path(__file__).parent.parent.parent
SCHEMA = json.loads((files("spanforge.model_registry.compliance") / "attestation.schema.json").read_text("utf-8"))
FORMATS = jsonschema.FormatChecker(())
FORMATS.checks("date-time", raises=InvalidEntryError)(lambda value: bool(parse_date(value, "date")))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=FORMATS)


def test_statuses_are_sorted_from_worst_to_best() -> None:
    """The worst of several statuses is the first one in this order; of no status it is no evidence."""
    assert EVIDENCE_STATUSES == get_args(EvidenceStatus) == ("findings", "no_evidence", "incomplete", "supported")
    assert worst_status(()) == "no_evidence"
    for some in itertools.product(EVIDENCE_STATUSES, repeat=3):
        assert worst_status(some) == next(status for status in EVIDENCE_STATUSES if status in some)


def test_parts_are_immutable() -> None:
    """No class of an attestation's parts has fields that can be set."""
    parts = [*AttestationPart.__subclasses__()]
    assert Attestation in parts
    for part in parts:
        parts += part.__subclasses__()
        assert part.__struct_config__.frozen, part


@pytest.mark.slow
def test_schema_is_up_to_date() -> None:
    """The published schema is generated from the classes."""
    subprocess.run([sys.executable, ROOT / "tools" / "schema.py", "--check"], check=True)


@pytest.mark.slow
def test_outdated_schema_is_reported(tmp_path: Path) -> None:
    """The check fails if the schema is outdated, and leaves it as it is."""
    file = tmp_path / "stale.json"
    file.write_text("{}")
    tools = str(ROOT / "tools")
    code = (
        f"import pathlib; sys.path.insert(0, {tools!r}); import schema; schema.FILE = pathlib.Path({str(file)!r});"
        "print(schema.main(['--check']), schema.main([]), schema.main(['--check']))"
    )
    assert run_code(code) == "1 0 0\n"
    assert json.loads(file.read_text()) == SCHEMA


def test_schema_is_strict() -> None:
    """The schema is valid, and every object has a description and exactly its properties."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$id"] == "urn:spanforge:model-registry:evidence:2"
    assert tuple(SCHEMA["properties"]) == tuple(SCHEMA["required"])
    assert set(SCHEMA["properties"]) == set(Attestation.__struct_fields__)
    for each in (SCHEMA, *SCHEMA["$defs"].values()):
        assert each["type"] == "object"
        assert each["additionalProperties"] is False
        assert each["required"] == list(each["properties"])
        assert each["description"]
        assert all(value["description"] for value in each["properties"].values())
    assert "``" not in json.dumps(SCHEMA)


@pytest.fixture
def stated(case: EvidenceCase, otlp: Otlp) -> dict[str, Any]:
    """Return an attestation whose lists all have items."""
    spans = [otlp.span("x"), otlp.span("y", gen_ai__response__model="served")]
    spans += [otlp.span("gpt", gen_ai__response__model="served"), otlp.span("z") | {"spanId": "no digits at all"}]
    spans += [otlp.span("GPT"), otlp.span("agent", gen_ai__operation__name="invoke_agent")]
    case.write(otlp.line(*spans), b"{oops", b"{")
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt", **FIELDS, actor="me")
    registry.deprecate("gpt", reason="old")
    registry.save(case.folder / "models.json")
    registry.load(case.folder / "models.json")
    engine = ComplianceMappingEngine(registry, model_attributes=["my.model"])
    options: dict[str, Any] = {"audit_events": [], "generated_at": None, "source_revision": "4f2a"}
    dates = [{"date": "2027-12-02", "scope": "all systems", "source": "the wiki", "checked": "secondary"}]
    framework = make_framework(make_clause(applies_from=dates))
    package = case.package(engine, framework=framework, period=("2025-12-01", "2200-01-01"), **options)
    attestation: dict[str, Any] = json.loads(package.to_json())
    return attestation


def list_places(stated: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return the path of one value of each type for each place of the schema, which does not differ between items."""
    places: dict[object, tuple[Any, ...]] = {}
    for path in paths(stated):
        place = tuple(0 if isinstance(part, int) else part for part in path)
        places.setdefault((place, type(item_at(stated, path))), path)
    return list(places.values())


def test_attestations_validate(stated: dict[str, Any]) -> None:
    """An attestation whose lists all have items is valid."""
    assert [key for key, value in stated.items() if value == []] == []
    VALIDATOR.validate(stated)


@pytest.mark.parametrize("model_id", [None, "gpt"])
@pytest.mark.parametrize("framework", SHIPPED_IDS)
def test_empty_attestations_validate(case: EvidenceCase, model_id: str | None, framework: str) -> None:
    """An attestation without telemetry is valid, about all models or one."""
    engine = case.engine(make_entry(deployment_date="2026-01-01 00:00:00+01:00"))
    package = case.package(engine, model_id, framework, ("2025-01-01", "2027-01-01"))
    VALIDATOR.validate(json.loads(package.to_json()))


@pytest.mark.slow
def test_every_object_has_exactly_its_fields(stated: dict[str, Any]) -> None:
    """An object with an unknown field, or without one of its fields, is invalid."""
    objects = [path for path in list_places(stated) if isinstance(item_at(stated, path), dict)]
    assert len(objects) > 20
    for path in objects:
        assert not VALIDATOR.is_valid(replaced(stated, (*path, "unknown"), None))
        for field in item_at(stated, path):
            changed = copy.deepcopy(stated)
            del item_at(changed, path)[field]
            assert not VALIDATOR.is_valid(changed), (path, field)


@pytest.mark.slow
def test_every_value_has_its_type(stated: dict[str, Any]) -> None:
    """A boolean in place of any value, and a negative number in place of any number, are invalid."""
    for path in list_places(stated)[1:]:
        assert not VALIDATOR.is_valid(replaced(stated, path, False)), path
        if isinstance(item_at(stated, path), (int, float)):
            assert not VALIDATOR.is_valid(replaced(stated, path, -1)), path


@pytest.mark.parametrize(
    "path",
    [
        *("format", "overall_status", "model_status", "model_risk_tier", "generated_at"),
        *("period.from_date", "period.to_date", "period.interval", "clauses.0.status", "checks.0.status"),
        *("checks.0.samples.0.trace_id", "checks.0.samples.0.span_id", "checks.0.samples.0.start"),
        *("changes.0.at", "changes.0.status", "changes.0.source", "changes.0.event", "coverage.status"),
        *("coverage.gaps.0.from_date", "registry.sha256", "inputs.0.sha256", "inputs.0.first"),
        *("arguments.match", "arguments.generated_at", "registry.files.0.file", "registry.files.0.sha256"),
        *("arguments.framework.file", "arguments.framework.sha256", "arguments.framework.origin", "framework_checked"),
        *("clauses.0.checked", "clauses.0.applies_from.0.date", "clauses.0.applies_from.0.checked"),
    ],
)
def test_restricted_texts(stated: dict[str, Any], path: str) -> None:
    """Statuses, dates, digests and ids are not any text."""
    keys = tuple(int(part) if part.isdigit() else part for part in path.split("."))
    for wrong in ("fine", "", "Supported"):
        assert not VALIDATOR.is_valid(replaced(stated, keys, wrong))


@pytest.mark.parametrize("date", ["2026-13-01T00:00:00.000000Z", "2026-01-01T25:00:00.000000Z", "2026-01-01"])
def test_dates_must_be_moments(stated: dict[str, Any], date: str) -> None:
    """A text that only looks like a date, and a day without a time, are invalid."""
    assert not VALIDATOR.is_valid(stated | {"generated_at": date})
    assert VALIDATOR.is_valid(stated | {"generated_at": "2026-12-01T00:00:00.000000Z"})


def test_format_has_a_version(stated: dict[str, Any]) -> None:
    """An attestation has its format, and the schema accepts no other."""
    assert stated["format"] == FORMAT
    assert not VALIDATOR.is_valid(stated | {"format": "spanforge-model-registry/evidence/1"})
    assert not VALIDATOR.is_valid(stated | {"checks": [{**check, "share": 1.1} for check in stated["checks"]]})
