"""Figures that occur in several parts of an evidence package: they are equal."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING

from spanforge.model_registry.compliance._findings import FINDING_COLUMNS, MAX_ATTESTED, MAX_WRITTEN
from spanforge.model_registry.compliance._name_lists import MAX_ITEMS
from spanforge.model_registry.compliance._page.views import MAX_ROWS

if TYPE_CHECKING:
    from support.pages import ReportPage

    from spanforge.model_registry.compliance import Attestation, EvidencePackage

UNTRUSTED = "untrusted"


def assert_equal_figures(package: EvidencePackage) -> None:
    """Assert that findings, inventory, calls and the file of findings add up to the figures of the checks."""
    attestation = package.attestation
    calls = Counter[str]()
    for figures in attestation.call_figures:
        assert figures.calls >= figures.models > 0
        calls[figures.sender] += figures.calls
    assert calls == Counter({each.sender: each.calls for each in attestation.senders if each.calls})
    in_inventory = Counter[str]()
    for row in attestation.inventory:
        in_inventory[row.sender or ""] += row.calls
    if attestation.inventory_count <= MAX_ITEMS:
        assert +in_inventory == calls
    assert sum(number for sender, number in calls.items() if sender != UNTRUSTED) == attestation.population.calls
    assert +_count_rows(package.evidence_csv, "calls", "sender") == calls
    _assert_findings(attestation, package.findings_csv)


def _count_rows(table: bytes, number: str, by: str) -> Counter[str]:
    """Return the sums of a column of a table, by the values of another column."""
    sums = Counter[str]()
    for row in csv.DictReader(io.StringIO(table.decode(), newline="")):
        sums[row[by]] += int(row[number] or 0)
    return sums


def _assert_findings(attestation: Attestation, table: bytes) -> None:
    listed, by_sender, numbers = Counter[str](), Counter[tuple[str, str]](), Counter[str]()
    for finding in attestation.findings:
        assert finding.occurrences >= len(finding.samples)
        numbers[finding.check] += 1
        by_sender[finding.check, finding.sender or ""] += finding.occurrences
        listed[finding.check] += finding.occurrences if finding.sender != UNTRUSTED else 0
    rows = csv.DictReader(io.StringIO(table.decode(), newline=""))
    assert rows.fieldnames == list(FINDING_COLUMNS)
    written, written_numbers = Counter[str](), Counter[str]()
    for row in rows:
        assert None not in row.values()
        written_numbers[row["check"]] += bool(row["occurrences"])
        written[row["check"]] += int(row["occurrences"] or 0) if row["sender"] != UNTRUSTED else 0
    assert numbers == {check: min(number, MAX_ATTESTED) for check, number in written_numbers.items()}
    exceptions = {check.check: check.exceptions for check in attestation.checks if check.exceptions}
    if max(written_numbers.values(), default=0) < MAX_WRITTEN:
        assert +written == exceptions
    if max(numbers.values(), default=0) < MAX_ATTESTED:
        assert +listed == exceptions
        stated = {(each.check, part.sender): each.exceptions for part in attestation.senders for each in part.checks}
        assert all(by_sender[key] == stated.get(key, 0) for key in by_sender if key[1])


def assert_page_figures(page: ReportPage, attestation: Attestation) -> None:
    """Assert that the page has the numbers of the attestation."""
    population = attestation.population
    tiles = [element.text for element in page.root.iter("span") if element.get("class") == "figure"]
    failed = sum(check.status == "findings" for check in attestation.checks)
    shown = [population.calls, population.models_called, population.models]
    assert tiles[:4] == [*(f"{number:,}" for number in shown), f"{failed} of {len(attestation.checks)}"]
    for check, row in zip(attestation.checks, page.read_rows("check-list"), strict=True):
        exceptions = f"{check.exceptions:,} of {check.population:,} "
        assert row[2].startswith(exceptions)
        counted = [each for each in attestation.findings if each.check == check.check and each.sender != "untrusted"]
        numbers = [row[1].partition("counted: ")[0] for row in page.read_rows(f"found-{check.check}")]
        assert numbers == [f"{each.occurrences:,}" for each in counted]
        if check.exceptions:
            assert exceptions in page.read_text(f"findings-{check.check}-count")
    assert sum(int(row[-1].replace(",", "")) for row in page.read_rows("tiers")) == population.calls
    inventory = sorted(each.calls for each in attestation.inventory)
    assert sorted(int(row[1].replace(",", "")) for row in page.read_rows("models")) == inventory
    assert len(page.read_rows("changes")) == len(attestation.changes)
    for clause, row in zip(attestation.clauses, page.read_rows("clause-list"), strict=True):
        dates = [each.date for each in clause.applies_from]
        assert all(date in row[1] for date in dates or ["no day stated"])
    assert len(page.read_rows("gaps")) == min(attestation.coverage.gap_count, MAX_ROWS)
