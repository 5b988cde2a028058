"""The page ``report.html`` with any texts: nothing executes, and all texts and numbers are those of the attestation."""

from __future__ import annotations

import csv
import io
import re

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.figures import assert_page_figures
from support.pages import HOSTILE, ReportPage, make_rich_package, replace_texts

from spanforge.model_registry.compliance._findings import FindingList
from spanforge.model_registry.compliance._page.render import render_page
from spanforge.model_registry.compliance._page.texts import show_text

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
    assert_page_figures(page, attestation)
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
