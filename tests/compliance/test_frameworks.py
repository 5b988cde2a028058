"""Frameworks: their clauses, and texts that claim no more than evidence shows."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from spanforge.model_registry.compliance._analysis.checks import EVIDENCE_CHECKS
from spanforge.model_registry.compliance._attestation_parts import Framework
from spanforge.model_registry.compliance._frameworks import FRAMEWORKS, ClauseRow

CLAUSES = [clause for framework in FRAMEWORKS.values() for clause in framework.clauses]
OF_CALLS = {row.check for row in EVIDENCE_CHECKS} - {"changes_recorded"}


def test_frameworks_and_clauses() -> None:
    """Every framework has its clauses, in this order."""
    assert tuple(FRAMEWORKS) == get_args(Framework)
    assert {name: [clause.clause for clause in row.clauses] for name, row in FRAMEWORKS.items()} == {
        "soc2": ["CC6.1", "CC8.1"],
        "nist_ai_rmf": ["MAP 1.1", "GOVERN 1.6", "GOVERN 1.7"],
    }


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.clause)
def test_clause_has_checks_and_open_points(clause: ClauseRow) -> None:
    """The checks of a clause exist, some are about calls, and some points remain open."""
    assert set(clause.checks) <= {row.check for row in EVIDENCE_CHECKS}
    assert OF_CALLS & set(clause.checks)
    assert len(set(clause.checks)) == len(clause.checks)
    assert clause.asks.endswith(".")
    assert clause.not_shown


def test_texts_claim_no_compliance() -> None:
    """No text claims that a clause is satisfied, met or complied with."""
    words = " ".join([*(f"{c.asks} {c.not_shown}" for c in CLAUSES), *(row.title for row in EVIDENCE_CHECKS)])
    assert re.search(r"satisf|compl(y|ian)|certif|guarant|\bmeets?\b|\bproves?\b", words, re.IGNORECASE) is None
