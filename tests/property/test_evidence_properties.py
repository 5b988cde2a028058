"""Evidence for any names, owners and telemetry: valid JSON and CSV without formulas."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.evidence import EvidenceCase
from support.figures import assert_equal_figures
from support.hostile_evidence import BROKEN, IDS, TEXTS, WRITTEN, make_entries, make_evidence, make_line
from support.random_telemetry import ENTRIES, Telemetry, telemetries

from spanforge.model_registry._core.names import unquote
from spanforge.model_registry.compliance._analysis.calls import clean_name
from spanforge.model_registry.compliance._analysis.model_totals import ModelTotals
from spanforge.model_registry.compliance._analysis.totals import CallTotals
from spanforge.model_registry.compliance._attestation_parts import SENDERS
from spanforge.model_registry.compliance._csv_cells import escape_cell
from spanforge.model_registry.compliance._evidence_csv import COLUMNS, render_csv
from spanforge.model_registry.compliance._inventory import list_inventory
from spanforge.model_registry.compliance._page.render import render_page

FORMULA = tuple("=+-@\t\r＝＋－＠")  # noqa: RUF001


def checked_rows(made: bytes) -> list[list[str]]:
    rows = list(csv.reader(io.StringIO(made.decode(), newline="")))
    assert made.decode().count("\n") == len(rows)
    for row in rows:
        assert len(row) == len(COLUMNS)
        for text in row:
            for part in text.split(";"):
                assert not part.lstrip().startswith(FORMULA)
                assert part.isprintable()
    return rows


@given(BROKEN)
def test_no_cell_is_a_formula(text: str) -> None:
    """The cell of any text is printable, on one line, and starts no formula, also after a semicolon."""
    shown = escape_cell(text)
    assert shown.isprintable()
    assert not any(part.lstrip().startswith(FORMULA) for part in shown.split(";"))
    if text.isalnum() and text.isascii():
        assert shown == text


@given(
    st.lists(IDS, unique=True, max_size=3),
    st.lists(WRITTEN, min_size=4, max_size=4),
    st.sets(TEXTS, max_size=3),
    st.sets(TEXTS, max_size=3),
)
def test_each_model_has_one_row(ids: list[str], fields: list[str], services: set[str], names: set[str]) -> None:
    """Each model has a row with as many cells as there are columns, for any names and services."""
    facts = ModelTotals(calls=1, services=services, first=0)
    totals = {sender: CallTotals({}, {}, 0, 0, 0, 0, []) for sender in SENDERS}
    totals["unknown"] = CallTotals(dict.fromkeys(ids, facts), dict.fromkeys(names, facts), 0, 0, 0, 0, [])
    rows_of = [(entry, None) for entry in make_entries(ids, fields)]
    made = render_csv(list_inventory(rows_of, totals, {}))
    rows = checked_rows(made)
    assert rows[0] == list(COLUMNS)
    assert [row[0] for row in rows[1:]] == [escape_cell(name) for name in [*ids, *sorted(names)]]
    assert {row[7] for row in rows[1:]} <= {"1"}


@given(
    st.lists(IDS, unique=True, max_size=2),
    st.lists(WRITTEN, min_size=4, max_size=4),
    st.lists(BROKEN, min_size=1, max_size=4),
    BROKEN,
    st.none() | IDS,
)
@example([], ["="] * 4, ['"\t', '"a"'], "\ud800", None)  # quotes of JSON
def test_no_name_breaks_the_evidence(
    ids: list[str], fields: list[str], called: list[str], service: str, asked: str | None
) -> None:
    """From any telemetry come canonical JSON that holds every name, and CSV that can be read back."""
    ids = ids if asked is None else list(dict.fromkeys([*ids, asked]))
    made = make_evidence([make_line([*called, *ids], service)], make_entries(ids, fields), asked)
    text = made.to_json()
    stated = json.loads(text)
    assert rfc8785.dumps(stated).decode() == text
    checked_rows(made.evidence_csv)
    assert_equal_figures(made)
    assert render_page(made.attestation).endswith(b"</html>")
    if asked is None:
        names = {clean_name(unquote(name)) for name in called} - set(ids)
        assert {name["name"] for name in stated["unregistered_names"]} == names
        assert stated["population"]["calls"] == len(called) + len(ids)
    else:
        assert stated["model_id"] == asked


@settings(max_examples=60)
@given(telemetries)
def test_a_check_has_no_more_exceptions_than_items(telemetry: Telemetry) -> None:
    """Whatever is reported, each exception is one of the items that its check examined, and each call counts once."""
    with tempfile.TemporaryDirectory() as folder:
        case = EvidenceCase(Path(folder))
        case.write(*telemetry.list_lines())
        package = case.package(case.engine(*ENTRIES), period=("2026-01-01", "2026-02-01"), framework="eu_ai_act")
    for check in package.attestation.checks:
        assert check.exceptions <= check.population, check
