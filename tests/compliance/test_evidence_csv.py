"""``evidence.csv``: its header, its rows and the escaping of cells."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from support.evidence import make_entry
from support.otlp import START

from spanforge.model_registry._core.entry import StateAsOf
from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry.compliance._analysis.calls import LISTED_RULES
from spanforge.model_registry.compliance._analysis.model_totals import ModelTotals
from spanforge.model_registry.compliance._analysis.totals import CallTotals
from spanforge.model_registry.compliance._attestation_parts import SENDERS
from spanforge.model_registry.compliance._csv_cells import escape_cell
from spanforge.model_registry.compliance._evidence_csv import COLUMNS, render_csv
from spanforge.model_registry.compliance._inventory import EntryState, list_inventory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FINDINGS = [f"calls_{row.finding}" for row in LIFECYCLE.values() if row.finding is not None]
HEADER = ",".join(
    [
        "model_id,name,version,owner,risk_tier,status,purpose,calls",
        *FINDINGS,
        "calls_by_form,calls_by_glob,provider_sunset_date,services,first_call,last_call,sender",
    ]
)
STATE = StateAsOf("deprecated", "then", "low", "history")


def make_totals(*services: str, **exceptions: int) -> ModelTotals:
    """Return the totals of a model with five calls."""
    totals = ModelTotals(calls=5, services=set(services), first=START + 999, last=START + 10**9)
    totals.exceptions.update(exceptions)
    return totals


def render(states: Sequence[EntryState], models: Mapping[str, ModelTotals], names: Mapping[str, ModelTotals]) -> bytes:
    """Return the CSV of calls of trusted senders."""
    totals = {sender: CallTotals({}, {}, 0, 0, 0, 0, []) for sender in SENDERS}
    totals["trusted"] = CallTotals(dict(models), dict(names), 0, 0, 0, 0, [])
    return render_csv(list_inventory(states, totals, {}))


def read_rows(table: bytes) -> list[list[str]]:
    """Return the cells of each row."""
    return list(csv.reader(io.StringIO(table.decode(), newline="")))


def filled_cells(table: bytes) -> list[dict[str, str]]:
    """Return the rows by column, without empty cells and without numbers that are zero."""
    read = csv.DictReader(io.StringIO(table.decode(), newline=""))
    return [{column: cell for column, cell in row.items() if cell not in {"", "0"}} for row in read]


CALLED = {"first_call": "2026-01-01T00:00:00.000000Z", "last_call": "2026-01-01T00:00:01.000000Z", "sender": "trusted"}
DESCRIBED = {"name": "GPT", "version": "1", "purpose": "chat"}
THEN = {"owner": "then", "risk_tier": "low", "status": "deprecated"}


def test_header() -> None:
    """The table has these columns in this order, even without rows."""
    assert render([], {}, {}).decode() == f"{HEADER}\n"
    assert ",".join(COLUMNS) == HEADER


def test_row_of_a_called_model() -> None:
    """The row of a model has its state, its calls, its services, and its first and last call."""
    table = render(
        [(make_entry(), STATE)], {"gpt": make_totals("web", "api", while_deprecated=3, after_retirement=1)}, {}
    )
    counted = {"calls": "5", "calls_while_deprecated": "3", "calls_after_retirement": "1", "services": "api;web"}
    assert filled_cells(table) == [{"model_id": "gpt", **DESCRIBED, **THEN, **counted, **CALLED}]


def test_calls_by_form_and_glob() -> None:
    """The row of a model has the number of calls whose name matched by form, and by glob."""
    totals = make_totals("api")
    totals.matched.update({("GPT", "form"): 2, ("gpt@20260101", "form"): 1, ("gpt-x", "glob"): 1})
    (row,) = filled_cells(render([(make_entry(), STATE)], {"gpt": totals}, {}))
    assert (row["calls"], row["calls_by_form"], row["calls_by_glob"]) == ("5", "3", "1")


def test_rows_of_models_without_calls() -> None:
    """A model without calls has a row, and one that is not deployed yet has no status."""
    table = render([(make_entry("a"), STATE), (make_entry("b"), None)], {}, {})
    assert filled_cells(table) == [
        {"model_id": "a", **DESCRIBED, **THEN},
        {"model_id": "b", **DESCRIBED, "owner": "ml", "risk_tier": "high"},
    ]
    assert [cell for row in read_rows(table)[1:] for cell in row].count("0") == 2 * (
        1 + len(FINDINGS) + len(LISTED_RULES)
    )


def test_rows_of_unregistered_models() -> None:
    """Unregistered models come last, sorted; their name is the id, and unknown cells are empty."""
    table = render([(make_entry("z"), STATE)], {}, {"b": make_totals("api"), "a": ModelTotals()})
    assert filled_cells(table)[1:] == [
        {"model_id": "a", "status": "unregistered"},
        {"model_id": "b", "status": "unregistered", "calls": "5", "services": "api", **CALLED},
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "  '=1"),
        ("a;=1;+2", "a;'=1;'+2"),
        ("\t=1", r"\t=1"),
        ("\r\n=1", r"\r\n=1"),
        ("\ufeff=1", r"\ufeff=1"),
        ("\u200b=1", r"\u200b=1"),
        ("\u202egpt", r"\u202egpt"),
        ("\x00\x1b", r"\x00\x1b"),
        ("\ud800", r"\ud800"),
        ("＝1", "'＝1"),  # noqa: RUF001 - some programs read it as the other one
        ("a=b-c", "a=b-c"),
        ("größe 模型", "größe 模型"),
    ],
)
def test_no_cell_is_a_formula(given: str, shown: str) -> None:
    """A part that begins like a formula gets an apostrophe, and invisible characters are escaped."""
    assert escape_cell(given) == shown


def test_semicolons_in_service_names() -> None:
    """A semicolon in the name of a service becomes a comma, because semicolons separate services."""
    table = render([(make_entry(), STATE)], {"gpt": make_totals("b;=1", "-a", 'q"')}, {})
    assert filled_cells(table)[0]["services"] == "'-a;b,=1;q\""


def test_rows_of_each_sender() -> None:
    """Each model has a row for each sender of its calls, and the rows of untrusted senders come last."""
    called = {sender: make_totals(sender) for sender in SENDERS}
    totals = {sender: CallTotals({"gpt": each}, {"x": each}, 0, 0, 0, 0, []) for sender, each in called.items()}
    states: list[EntryState] = [(make_entry(), STATE), (make_entry("idle"), STATE)]
    rows = filled_cells(render_csv(list_inventory(states, totals, {})))
    listed = [(row["model_id"], row.get("sender"), row.get("services")) for row in rows]
    counted = [(model, sender, sender) for model in ("gpt", "x") for sender in ("trusted", "unknown")]
    untrusted = [(model, "untrusted", "untrusted") for model in ("gpt", "x")]
    assert listed == [*counted[:2], ("idle", None, None), *counted[2:], *untrusted]
    assert {row["status"] for row in rows} == {"deprecated", "unregistered"}
