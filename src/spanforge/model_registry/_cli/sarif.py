"""Findings in SARIF 2.1.0, the format of OASIS for results of static analysis."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote as quote_uri

from spanforge.model_registry._cli.commands import PROGRAM
from spanforge.model_registry._cli.finding_texts import make_relative
from spanforge.model_registry._cli.lint_rules import ALL_RULES
from spanforge.model_registry._core.attributes import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry._cli.check_findings import CheckFinding
    from spanforge.model_registry._cli.lint_types import LintRule

SARIF_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_FINGERPRINT: Final = "spanforgeModelsRule/v1"
_ARGUMENT: Final = re.compile(r"\{([0-9]+)\}")
_RULE_NUMBERS: Final = {rule.name: number for number, rule in enumerate(ALL_RULES)}


def make_sarif(findings: Sequence[CheckFinding]) -> dict[str, Any]:
    """Return the log with one run, with all rules and these findings."""
    return {
        "version": "2.1.0",
        "$schema": SARIF_SCHEMA,
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": PROGRAM,
                        "semanticVersion": __version__,
                        "rules": [_make_descriptor(rule) for rule in ALL_RULES],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    _make_sarif_result(finding, fingerprint)
                    for finding, fingerprint in zip(findings, make_fingerprints(findings), strict=True)
                ],
            }
        ],
    }


def _make_descriptor(rule: LintRule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.sentence},
        "help": {"text": f"{rule.sentence} {rule.fix}"},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"problem.severity": {"note": "recommendation"}.get(rule.severity, rule.severity)},
    }


def _make_sarif_result(finding: CheckFinding, fingerprint: str) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _make_uri(finding.path)}}
    if finding.line is not None:
        place["region"] = {"startLine": finding.line}
        if finding.column is not None:
            place["region"]["startColumn"] = finding.column
    location: dict[str, Any] = {"physicalLocation": place}
    if finding.model_id:
        name = f"{finding.model_id}/{finding.field}" if finding.field else finding.model_id
        location["logicalLocations"] = [{"fullyQualifiedName": name}]
    return {
        "ruleId": finding.rule.name,
        "ruleIndex": _RULE_NUMBERS[finding.rule.name],
        "level": finding.rule.severity,
        "message": {"text": _escape_message(f"{finding.message}. {finding.fix}")},
        "locations": [location],
        "partialFingerprints": {_FINGERPRINT: fingerprint},
    }


def _escape_message(text: str) -> str:
    """Return a text without what SARIF reads as a link or as the place of an argument."""
    return _ARGUMENT.sub(r"{{\1}}", text).replace("](", r"\](")


def make_fingerprints(findings: Iterable[CheckFinding]) -> Iterator[str]:
    """Yield a different digest for each finding. It stays the same if lines are added before the finding."""
    seen: Counter[str] = Counter()
    for finding in findings:
        facts = [finding.rule.name, make_relative(finding.path), finding.model_id, finding.field]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
        seen[digest] += 1
        yield f"{digest}:{seen[digest]}"


def _make_uri(path: str) -> str:
    """Return a relative reference for a file below the current folder, and else an address of the file."""
    relative = make_relative(path)
    return Path(relative).as_uri() if os.path.isabs(relative) else quote_uri(relative)
