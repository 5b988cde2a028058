"""Findings as a Code Quality report, which GitLab shows in a merge request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._cli.finding_texts import make_relative
from spanforge.model_registry._cli.sarif import make_fingerprints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry._cli.check_findings import CheckFinding

_SEVERITIES_OF_GITLAB: Final = {"error": "major", "warning": "minor", "note": "info"}


def make_code_quality(findings: Sequence[CheckFinding]) -> list[dict[str, Any]]:
    """Return the report about findings."""
    return [
        {
            "description": f"{finding.message}. {finding.fix}",
            "check_name": finding.rule.name,
            "fingerprint": fingerprint,
            "severity": _SEVERITIES_OF_GITLAB[finding.rule.severity],
            "location": {"path": make_relative(finding.path), "lines": {"begin": finding.line or 1}},
        }
        for finding, fingerprint in zip(findings, make_fingerprints(findings), strict=True)
    ]
