"""Evidence in OSCAL and in CycloneDX: the statuses of clauses, the files, and the facts about models."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from support.evidence import make_entry
from support.evidence_formats import read_bom, read_oscal, read_properties

from spanforge.model_registry.compliance._formats.cyclonedx import render_bom
from spanforge.model_registry.compliance._formats.oscal import OBJECTIVE_STATUSES, render_results
from spanforge.model_registry.compliance._model_calls import ModelCalls

if TYPE_CHECKING:
    from pathlib import Path

    from support.evidence import EvidenceCase
    from support.otlp import Otlp

    from spanforge.model_registry.compliance import EvidencePackage

DIGEST = "ab" * 32


@pytest.fixture
def made(case: EvidenceCase, otlp: Otlp) -> EvidencePackage:
    """Return a package about two registered models and a name without an entry, which two services called."""
    case.write(
        otlp.line(otlp.span("gpt"), otlp.span("gpt"), otlp.span("claude"), service="web"),
        otlp.line(otlp.span("gpt"), otlp.span("new"), service="batch"),
    )
    gpt = make_entry(metadata={"provider": "openai"})
    return case.package(case.engine(gpt, make_entry("claude", metadata={"provider": ["anthropic", "aws"]})))


def test_the_bom_has_the_facts_of_the_registry(made: EvidencePackage) -> None:
    """Each model has its entry's facts, and one provider is its supplier; services depend on the models they called."""
    bom = read_bom(render_bom(made.attestation, DIGEST, made.model_calls))
    gpt, claude, new = bom["components"]
    assert (gpt["type"], gpt["name"], gpt["version"]) == ("machine-learning-model", "GPT", "1")
    assert gpt["modelCard"] == {"considerations": {"useCases": ["chat"]}}
    assert (gpt["supplier"], "supplier" in claude) == ({"name": "openai"}, False)
    assert read_properties(gpt["properties"]) == {
        "registered": "true",
        "model_id": "gpt",
        "owner": "ml",
        "risk_tier": "high",
        "status": "active",
        "purpose": "chat",
        "provider": "openai",
        "calls": "3",
        "first_call": "2026-01-01T00:00:00.000000Z",
        "last_call": "2026-01-01T00:00:00.000000Z",
    }
    assert [each["value"] for each in claude["properties"] if each["name"] == "model_registry:provider"] == [
        "anthropic",
        "aws",
    ]
    assert (new["name"], set(new)) == ("new", {"type", "bom-ref", "name", "properties"})
    assert read_properties(new["properties"])["status"] == "unregistered"
    assert [service["name"] for service in bom["services"]] == ["batch", "web"]
    assert [each["dependsOn"] for each in bom["dependencies"]] == [
        ["model:gpt", "unregistered:name:new"],
        ["model:gpt", "model:claude"],
    ]
    assert bom["compositions"][0]["aggregate"] == "unknown"


def test_names_that_are_counted_together_are_marked(made: EvidencePackage) -> None:
    """Names and services that are counted together are parts that no real name can imitate; such services are last."""
    moment = made.attestation.generated_at
    models = [
        ModelCalls(model_id=None, name=name, calls=1, services=(service,), first_call=moment, last_call=moment)
        for name, service in (("", ""), ("together", "together"), ("(others)", "(others)"), (None, None))
    ]
    bom = read_bom(render_bom(made.attestation, DIGEST, models))
    assert [each["name"] for each in bom["components"]] == ["(no name)", "together", "(others)", "(others)"]
    marks = ["counted_together" in read_properties(each["properties"]) for each in bom["components"]]
    assert marks == [False, False, False, True]
    assert [each["bom-ref"] for each in bom["services"]] == [
        "service:name:",
        "service:name:(others)",
        "service:name:together",
        "service:together",
    ]


def test_a_period_without_calls_has_an_empty_bom(case: EvidenceCase) -> None:
    """Without calls, the BOM is valid and has no component."""
    package = case.package(case.engine(make_entry()))
    assert read_bom(render_bom(package.attestation, DIGEST, package.model_calls))["components"] == []


@pytest.mark.slow
def test_objectives_are_about_the_checks_only(made: EvidencePackage) -> None:
    """Each status of a clause has its state and reason, and a remark that the clause itself is not assessed."""
    statuses = list(OBJECTIVE_STATUSES)
    replace: Any = msgspec.structs.replace
    clause = made.attestation.clauses[0]
    attestation = replace(
        made.attestation, clauses=tuple(replace(clause, clause=status, status=status) for status in statuses)
    )
    results = read_oscal(render_results(attestation, {"attestation.json": DIGEST, "evidence.csv": DIGEST}))
    targets = [finding["target"] for finding in results["results"][0]["findings"]]
    assert [(target["status"]["state"], target["status"]["reason"]) for target in targets] == [
        ("satisfied", "pass"),
        ("not-satisfied", "fail"),
        ("not-satisfied", "other"),
        ("not-satisfied", "other"),
    ]
    assert all("never shows that an organisation satisfies the clause" in each["status"]["remarks"] for each in targets)
    objectives = [each["parts"][0]["id"] for each in results["local-definitions"]["objectives-and-methods"]]
    assert [target["target-id"] for target in targets] == objectives
    assert {target["type"] for target in targets} == {"objective-id"}


def test_a_clause_without_checks_is_valid(made: EvidencePackage) -> None:
    """If no check supports a clause, its finding has no observations and states no evidence."""
    replace: Any = msgspec.structs.replace
    clause = replace(made.attestation.clauses[0], checks=(), status="no_evidence", not_shown=())
    attestation = replace(made.attestation, clauses=(clause,), checks=(), limits=())
    results = read_oscal(render_results(attestation, {"attestation.json": DIGEST, "evidence.csv": DIGEST}))
    (result,) = results["results"]
    (finding,) = result["findings"]
    assert not {"observations", "remarks"} & set(result)
    assert not {"related-observations", "remarks"} & set(finding)
    assert "no check supports the clause" in finding["target"]["status"]["remarks"]


def test_resources_have_media_types(made: EvidencePackage) -> None:
    """A resource in JSON, CSV or YAML, such as a framework's file, has its registered media type; others have none."""
    kinds = {
        "attestation.json": "application/json",
        "evidence.csv": "text/csv",
        "framework-rules.yaml": "application/yaml",
        "registry-1-models.yml": "application/yaml",
        "rules": None,
    }
    results = read_oscal(render_results(made.attestation, dict.fromkeys(kinds, DIGEST)))
    links = [each["rlinks"][0] for each in results["back-matter"]["resources"]]
    assert {link["href"]: link.get("media-type") for link in links} == kinds


def test_resources_are_the_files_of_the_package(made: EvidencePackage, tmp_path: Path) -> None:
    """Each resource is a file of the package with its digest; the plan and the observations refer to these files."""
    made.write(tmp_path / "package")
    results = read_oscal((tmp_path / "package" / "assessment-results.json").read_bytes())
    resources = {each["uuid"]: each["rlinks"][0] for each in results["back-matter"]["resources"]}
    for link in resources.values():
        content = (tmp_path / "package" / link["href"]).read_bytes()
        assert link["hashes"] == [{"algorithm": "SHA-256", "value": hashlib.sha256(content).hexdigest()}]
    assert resources[results["import-ap"]["href"][1:]]["href"] == "attestation.json"
    observation = results["results"][0]["observations"][0]
    assert [resources[each["href"][1:]]["href"] for each in observation["relevant-evidence"] if "href" in each] == [
        "attestation.json",
        "evidence.csv",
    ]
    samples = [each for each in observation["relevant-evidence"] if "href" not in each]
    stated = [sample.span_id for sample in made.attestation.checks[0].samples]
    assert [read_properties(each["props"])["span-id"] for each in samples] == stated
    assert len(stated) == made.attestation.checks[0].exceptions == 1
    manifest = json.loads((tmp_path / "package" / "manifest.json").read_bytes())
    assert {"assessment-results.json", "models.cdx.json"} <= set(manifest["files"])
