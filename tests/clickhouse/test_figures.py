"""Evidence from ClickHouse has the figures of evidence from files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import Phase, given, settings
from support.evidence import EvidenceCase
from support.random_telemetry import ENTRIES, Telemetry, telemetries

if TYPE_CHECKING:
    import pytest
    from support.clickhouse_database import Database

    from spanforge.model_registry.compliance import EvidencePackage

MONTH = ("2026-01-01", "2026-02-01")


def list_figures(package: EvidencePackage) -> dict[str, Any]:
    """Return all that evidence states, apart from its inputs and their own limits."""
    attested: dict[str, Any] = msgspec.to_builtins(package.attestation)
    del attested["inputs"]
    return {
        **attested,
        "limits": [limit for limit in attested["limits"] if "database" not in limit],
        "csv": package.evidence_csv,
        "findings": package.findings_csv,
    }


def test_files_and_clickhouse_agree(database: Database, tmp_path_factory: pytest.TempPathFactory) -> None:
    """For random telemetry, each figure from the tables is that from a file, TODO."""
    case = EvidenceCase(tmp_path_factory.mktemp("case"))
    engine = case.engine(*ENTRIES)

    @settings(max_examples=40, deadline=None, phases=(Phase.generate,))
    @given(telemetries)
    def check(telemetry: Telemetry) -> None:
        lines = telemetry.list_lines(keep_repeated=database.layout == "map")
        case.write(*lines)
        database.fill(lines)
        options: dict[str, Any] = {"period": MONTH, "framework": "eu_ai_act"}
        expected = list_figures(case.package(engine, **options))
        assert list_figures(case.package(engine, telemetry=database.url, **options)) == expected

    check()
