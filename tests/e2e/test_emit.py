"""From a commit, by ``emit`` and the real Collector's archive, to evidence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.commands import run_process
from support.otlp_json import read_items
from support.repositories import Repository, describe_model
from support.servers import archive_settings
from support.waiting import wait_until

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.servers import Server

pytestmark = pytest.mark.e2e

DEPRECATED = {"deprecation_reason": "replaced", "deprecation_date": "2026-01-05", "successor": "b"}
AGAIN = {"deprecation_reason": "really", "deprecation_date": "2026-01-05", "successor": "b"}


def test_a_job_that_runs_twice(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """Both signals of each event are in the archive twice, with equal ids. Evidence counts each event once."""
    repository = Repository(tmp_path / "repository")
    model = describe_model("a", deployment_date="2025-01-01")
    versions = [
        [model],
        [{**model, "status": "deprecated", "metadata": DEPRECATED}, describe_model("b", deployment_date="2026-01-02")],
        [{**model, "status": "deprecated", "metadata": AGAIN}, describe_model("b", deployment_date="2026-01-02")],
    ]
    commits = [repository.commit({"models.json": entries}) for entries in versions]
    archive = archive_settings(tmp_path / "archive")
    server = run_server("otelcol", **archive)

    def emit(old: str, new: str, **settings: str) -> Any:
        return run_process(
            "emit",
            f"git:{old}:models.json",
            f"git:{new}:models.json",
            *("--actor", "ana"),
            folder=repository.folder,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{server.at['OTELCOL_OTLP_GRPC']}",
            OTEL_PYTHON_MODEL_REGISTRY_EVENTS="span,log",
            **settings,
        )

    pushes = [(commits[0], commits[1]), (commits[0], commits[1]), (commits[1], commits[2])]
    for old, new in pushes:
        printed = emit(old, new)
        assert printed.code == 0, printed
    files = archive["OTELCOL_ARCHIVE_SPANS"], archive["OTELCOL_ARCHIVE_LOGS"]
    wait_until(lambda: [len(read_items(file)) for file in files] == [5, 5])
    spans = read_items(files[0])
    assert len({(span.item["traceId"], span.item["spanId"], span.item["startTimeUnixNano"]) for span in spans}) == 3
    assert {span.attributes["model_registry.sender"] for span in spans} == {"trusted"}

    (tmp_path / "models.json").write_text(json.dumps(versions[-1]))
    registry = ModelRegistry(auto_emit=False)
    registry.load(tmp_path / "models.json")
    engine = ComplianceMappingEngine(registry)
    package = engine.generate_evidence_package(None, "soc2", "2026-01-01", "2026-02-01", telemetry=list(files))
    stated = package.attestation
    assert [(change.model_id, change.status, change.event, change.source_revision) for change in stated.changes] == [
        ("b", "active", "recorded", commits[1]),
        ("a", "deprecated", "recorded", commits[1]),
    ]
    assert stated.population.lifecycle_events == 3
    [check] = [check for check in stated.checks if check.check == "changes_recorded"]
    assert (check.status, check.population, check.exceptions) == ("supported", 2, 0)

    server.stop()
    printed = emit(commits[1], commits[2], OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert printed.code == 2
    assert "0 of 1 events were sent as spans: " in printed.err
    assert "Traceback" not in printed.err
