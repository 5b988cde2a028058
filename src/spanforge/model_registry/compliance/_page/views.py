"""The data of the report page, made from an attestation only: rows with their texts, links and limits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import RISK_TIERS
from spanforge.model_registry.compliance._attestation_parts import ABOUT_ARCHIVE
from spanforge.model_registry.compliance._page import texts
from spanforge.model_registry.compliance._page.charts import draw_bar, stack_segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spanforge.model_registry.compliance._attestation import Attestation
    from spanforge.model_registry.compliance._attestation_figures import AttestedFinding, CallFigures, ModelFigures
    from spanforge.model_registry.compliance._attestation_parts import CheckResult, CheckStatus, Clause

OPEN_ROWS: Final = 20
"""The limit of rows of a table that the page shows at once. Further ones are folded."""
MAX_ROWS: Final = 100
"""The limit of rows of a table, so that the page stays small. The files of the package have the others."""


class Rows(NamedTuple):
    """The rows of a table: those that are shown at once, those that are folded, and the number of the others."""

    first: Sequence[object]
    folded: Sequence[object]
    left: int


def fold_rows(rows: Sequence[object], number: int | None = None, limit: int = MAX_ROWS) -> Rows:
    """Return the rows of a table in parts.

    Args:
        rows: The rows that the attestation has.
        number: The number of all rows, if the attestation does not have all of them.
        limit: The limit of rows.
    """
    total = len(rows) if number is None else number
    shown = rows[:limit]
    return Rows(shown[:OPEN_ROWS], shown[OPEN_ROWS:], total - len(shown))


class FoundCheck(NamedTuple):
    """A check with exceptions, and its findings.

    Attributes:
        check: The check.
        rows: The findings of senders that count.
        left: The number of exceptions that the rows do not have.
        untrusted: The findings of untrusted senders.
    """

    check: CheckResult
    rows: Rows
    left: int
    untrusted: Rows


class TierRow(NamedTuple):
    """The calls of one risk tier.

    Attributes:
        tier: The risk tier; empty for models that are not registered.
        chart: The calls by status, as a chart.
        numbers: The number of calls of each status of ``CallTable.statuses``.
        calls: The number of calls.
    """

    tier: str
    chart: str
    numbers: Sequence[int]
    calls: int


class CallTable(NamedTuple):
    """The calls by risk tier and status.

    Attributes:
        statuses: The statuses that occur, in the order of the lifecycle.
        tiers: A row for each risk tier.
    """

    statuses: Sequence[str]
    tiers: Sequence[TierRow]


def find_anchor(check: str) -> str:
    """Return the anchor of a check on the page."""
    return f"check-{check}"


def list_found_checks(attestation: Attestation) -> list[FoundCheck]:
    """Return the checks with exceptions, and those with findings of untrusted senders."""
    by_check: dict[str, list[AttestedFinding]] = {check.check: [] for check in attestation.checks}
    for finding in attestation.findings:
        by_check.setdefault(finding.check, []).append(finding)
    found = [_build_found(check, by_check[check.check]) for check in attestation.checks]
    return [each for each in found if each.check.exceptions or each.untrusted.first]


def _build_found(check: CheckResult, findings: Sequence[AttestedFinding]) -> FoundCheck:
    counted = [each for each in findings if each.sender != "untrusted"]
    untrusted = [each for each in findings if each.sender == "untrusted"]
    rows = fold_rows(counted)
    listed = sum(each.occurrences for each in counted)
    return FoundCheck(check, rows, check.exceptions - listed, fold_rows(untrusted))


def rank_inventory(inventory: Iterable[ModelFigures], broken: Mapping[str | None, int]) -> list[ModelFigures]:
    """Return the inventory: models with findings first, then those with most calls, untrusted senders last.

    Args:
        inventory: The inventory of an attestation.
        broken: The result of ``count_by_model``.
    """
    return sorted(inventory, key=lambda row: (row.sender == "untrusted", not broken[row.name]))


def count_by_model(attestation: Attestation) -> Mapping[str | None, int]:
    """Return the number of checks in which each model has exceptions, by id or name."""
    counted = [each for each in attestation.findings if each.sender != "untrusted" and each.check not in ABOUT_ARCHIVE]
    pairs = {(each.check, each.name) for each in counted}
    return Counter(name for _, name in pairs)


def tabulate_calls(attestation: Attestation) -> CallTable:
    """Return the calls of senders that count, by risk tier and status."""
    counted = [each for each in attestation.call_figures if each.sender != "untrusted"]
    present = {each.status for each in counted}
    statuses = [status for status in texts.STATUS_LABELS if status in present]
    tiers = list(dict.fromkeys(each.risk_tier for each in counted))
    most = max((sum(_list_calls_of(counted, tier)) for tier in tiers), default=0)
    return CallTable(statuses, [_build_tier(tier, counted, statuses, most) for tier in _sort_tiers(tiers)])


def _sort_tiers(tiers: Iterable[str | None]) -> list[str | None]:
    return sorted(tiers, key=_TIER_ORDER.index)


_TIER_ORDER: Final = (*reversed(RISK_TIERS), None)
"""The risk tiers, the highest first. Models that are not registered have none."""


def _list_calls_of(figures: Iterable[CallFigures], tier: str | None, status: str | None = None) -> list[int]:
    return [each.calls for each in figures if each.risk_tier == tier and status in (None, each.status)]


def _build_tier(tier: str | None, figures: Sequence[CallFigures], statuses: Sequence[str], most: int) -> TierRow:
    numbers = [sum(_list_calls_of(figures, tier, status)) for status in statuses]
    tones = [f"status-{status}" for status in statuses]
    name = tier or "no tier"
    parts = [
        f"{texts.STATUS_LABELS[status].text}: {number:,}" for status, number in zip(statuses, numbers, strict=True)
    ]
    segments = stack_segments(list(zip(tones, numbers, strict=True)), most)
    chart = draw_bar(f"tier-{tier or 'none'}", f"Calls, {name}", ", ".join(parts), segments)
    return TierRow(tier or "", chart, numbers, sum(numbers))


def list_not_shown(attestation: Attestation) -> list[tuple[str, Sequence[Clause]]]:
    """Return the parts of clauses that the evidence does not show, each with its clauses."""
    parts: dict[str, list[Clause]] = {}
    for clause in attestation.clauses:
        for part in clause.not_shown:
            parts.setdefault(part, []).append(clause)
    return list(parts.items())


def summarize_checks(clause: Clause, checks: Iterable[CheckResult]) -> str:
    """Return the number of a clause's checks with each result, in words."""
    numbers = Counter(check.status for check in checks if check.check in clause.checks)
    words = [f"{numbers[status]} {_RESULTS_OF_CHECKS[status]}" for status in _RESULTS_OF_CHECKS if numbers[status]]
    total = numbers.total()
    if not total:
        return "No check supports this clause"
    return f"{total} {'check' if total == 1 else 'checks'}: {', '.join(words)}"


_RESULTS_OF_CHECKS: Final[Mapping[CheckStatus, str]] = {
    "findings": "with findings",
    "no_evidence": "without evidence",
    "supported": "supported",
    "not_applicable": "not applicable",
}
"""The words for the results of checks after a number, the worst first."""
