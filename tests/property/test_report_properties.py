"""The page ``report.html`` with any texts: nothing executes, and all texts and numbers are those of the attestation."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.pages import HOSTILE, ReportPage, make_rich_package, replace_texts

from spanforge.model_registry.compliance._findings import FindingList
from spanforge.model_registry.compliance._page.render import render_page
from spanforge.model_registry.compliance._page.texts import show_text
from spanforge.model_registry.compliance._page.views import MAX_ROWS

if TYPE_CHECKING:
    from spanforge.model_registry.compliance import Attestation

TAGS = frozenset(
    {
        *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "section", "details"),
        *("summary", "h1", "h2", "h3", "p", "a", "ul", "li", "dl", "dt", "dd", "div", "span", "strong", "code", "br"),
        *("bdi", "table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "desc", "rect", "line"),
    }
)
"""All elements that the page may have."""
ATTRIBUTES = frozenset(
    {
        *("lang", "charset", "http-equiv", "content", "name", "class", "href", "id", "scope", "role", "tabindex"),
        *("aria-labelledby", "aria-label", "aria-hidden", "viewBox", "preserveAspectRatio", "x", "y", "width"),
        *("height", "x1", "x2", "y1", "y2", "vector-effect"),
    }
)
"""All attributes that the page may have: none executes or requests anything, and only ``href`` leads anywhere."""
PIECES = st.sampled_from([*HOSTILE, *"<>&\"'=\x00\r\n\t;`", "\u2028", "-->", "]]>"]) | st.text(max_size=5)
TEXTS = st.lists(st.lists(PIECES, max_size=4).map("".join), min_size=1, max_size=5)


def check_safe(page: ReportPage) -> None:
    """Assert that the page has nothing that executes, requests, or leads to another page."""
    assert page.list_tags() <= TAGS
    for name, value in page.list_attributes():
        assert name in ATTRIBUTES
        if name == "href":
            assert value.startswith("#")
            assert value[1:] in page.by_id


def check_numbers(page: ReportPage, attestation: Attestation) -> None:
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
        assert [row[1] for row in page.read_rows(f"found-{check.check}")] == [
            f"{each.occurrences:,}" for each in counted
        ]
        if check.exceptions:
            assert exceptions in page.read_text(f"findings-{check.check}-count")
    assert sum(int(row[-1].replace(",", "")) for row in page.read_rows("tiers")) == population.calls
    inventory = sorted(each.calls for each in attestation.inventory)
    assert sorted(int(row[1].replace(",", "")) for row in page.read_rows("models")) == inventory
    assert len(page.read_rows("changes")) == len(attestation.changes)
    assert len(page.read_rows("gaps")) == min(attestation.coverage.gap_count, MAX_ROWS)


@settings(max_examples=12)
@example(list(HOSTILE))
@given(TEXTS)
def test_no_text_breaks_the_page(texts: list[str]) -> None:
    """With any names, owners, reasons and services, the page is valid, executes nothing, and shows each of them."""
    attestation = replace_texts(make_rich_package().attestation, texts)
    content = render_page(attestation)
    assert render_page(msgspec.convert(msgspec.to_builtins(attestation), type(attestation))) == content
    page = ReportPage(content)
    check_safe(page)
    check_numbers(page, attestation)
    shown = page.list_names()
    for finding in attestation.findings:
        for text in (finding.name, finding.owner, finding.service):
            assert not text or show_text(text) in shown
    for change in attestation.changes:
        assert {show_text(text) for text in (change.reason, change.actor) if text} <= shown
    for row in attestation.inventory:
        assert {show_text(text) for text in (row.name, row.title, row.owner) if text} <= shown
    assert {show_text(each.name) for each in attestation.inputs} <= shown
    assert {show_text(text) for clause in attestation.clauses for text in clause.not_shown} <= shown


@settings(max_examples=40)
@example(list(HOSTILE))
@given(TEXTS)
def test_no_text_breaks_the_table_of_findings(texts: list[str]) -> None:
    """With any names, ``findings.csv`` has a line for each row, and no cell begins like a formula."""
    attestation = replace_texts(make_rich_package().attestation, texts)
    made = FindingList(attestation.findings, {}).to_csv().decode()
    rows = list(csv.reader(io.StringIO(made, newline="")))
    assert made.count("\n") == len(rows) == 1 + sum(max(len(each.samples), 1) for each in attestation.findings)
    for row in rows[1:]:
        assert len(row) == len(rows[0])
        assert all(cell.isprintable() and not re.match(r"\s*[=+\-@]", cell) for cell in row)
