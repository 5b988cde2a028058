"""The frameworks of the library: their clauses, and texts that claim no more than evidence shows."""

from __future__ import annotations

import re
from datetime import date
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from spanforge.model_registry.compliance._analysis.checks import EVIDENCE_CHECKS
from spanforge.model_registry.compliance._frameworks.fields import SHIPPED_IDS
from spanforge.model_registry.compliance._frameworks.shipped import list_shipped
from spanforge.model_registry.compliance._status_checks import STATUS_CHECKS

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._frameworks.framework import FrameworkClause

CLAUSES = [clause for framework in list_shipped().values() for clause in framework.clauses]
OF_CALLS = {row.check for row in EVIDENCE_CHECKS} - {"changes_recorded"}
LONGEST_SIX_MONTHS = 184


def test_frameworks_and_clauses() -> None:
    """Every framework has its clauses, in this order, and every file in the folder is a framework."""
    folder = files("spanforge.model_registry.compliance._frameworks")
    names = {item.name for item in folder.iterdir() if item.name.endswith(".json")}
    assert names == {f"{framework_id}.json" for framework_id in SHIPPED_IDS}
    assert {name: [clause.id for clause in row.clauses] for name, row in list_shipped().items()} == {
        "soc2": ["CC6.1", "CC8.1"],
        "nist_ai_rmf": ["MAP 1.1", "GOVERN 1.6", "GOVERN 1.7"],
        "iso_42001": ["A.3.2", "A.4.2", "A.6.2.6", "A.6.2.8", "A.9", "A.10"],
        "eu_ai_act": ["Art. 12", "Art. 19", "Art. 26", "Art. 50"],
    }


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.id)
def test_clause_has_checks_and_open_points(clause: FrameworkClause) -> None:
    """The checks of a clause exist, some are about calls, and some points remain open."""
    names = set(clause.check_names)
    assert names <= {row.check for row in EVIDENCE_CHECKS}
    assert len(names) == len(clause.checks)
    assert bool(OF_CALLS & names) == (clause.id != "Art. 50")
    assert clause.text.endswith(".")
    assert clause.not_covered
    assert names.isdisjoint(STATUS_CHECKS) or names.issuperset(STATUS_CHECKS)


def test_texts_claim_no_compliance() -> None:
    """No text claims that a clause is satisfied, met or complied with, nor that a law asks for tamper evidence."""
    words = " ".join([*(f"{c.text} {c.not_covered}" for c in CLAUSES), *(row.title for row in EVIDENCE_CHECKS)])
    claims = r"satisf|compl(y|ian)|certif|guarant|\bmeets?\b|\bproves?\b|tamper|immutab"
    assert re.search(claims, words, re.IGNORECASE) is None


def test_dates_of_the_ai_act_are_as_amended_and_marked_as_secondary() -> None:
    """High-risk duties apply from the days of the amendment, and each day has its source."""
    dates = {clause.id: clause.applies_from for clause in list_shipped()["eu_ai_act"].clauses}
    days = {name: [each.date for each in found] for name, found in dates.items()}
    high_risk, transparency = ["2027-12-02", "2028-08-02"], ["2026-08-02", "2026-12-02"]
    assert days == {"Art. 12": high_risk, "Art. 19": high_risk, "Art. 26": high_risk, "Art. 50": transparency}
    for each in (each for found in dates.values() for each in found):
        assert date.fromisoformat(each.date)
        assert (each.checked, each.source.startswith("https://")) == ("secondary", True)


def test_logs_are_kept_for_the_longest_six_months() -> None:
    """The AI Act's six months are counted as the longest six months of a calendar."""
    assert list_shipped()["eu_ai_act"].parameters == {"retention": {"days": LONGEST_SIX_MONTHS}}
    assert max((date(2027, month + 6, 1) - date(2027, month, 1)).days for month in range(1, 7)) == LONGEST_SIX_MONTHS
