"""``evidence.csv``: its header, its rows, and what its cells can do to whoever opens it."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core.entry import StateAsOf
from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry.compliance._analysis.totals import ModelTotals
from spanforge.model_registry.compliance._evidence_csv import COLUMNS, escape_cell, render_csv

FINDINGS = [f"calls_{row.finding}" for row in LIFECYCLE.values() if row.finding is not None]
HEADER = ",".join(
    ["model_id,name,version,owner,risk_tier,status,purpose,calls", *FINDINGS, "services,first_call,last_call"]
)
START = 1_767_225_600_000_000_000
STATE = StateAsOf("deprecated", "then", "low", "history")


def entry(model_id: str = "gpt", **fields: Any) -> ModelRegistryEntry:
    described = {"name": "GPT", "version": "1", "risk_tier": "high", "owner": "ml", "purpose": "chat"} | fields
    return ModelRegistryEntry(model_id, **described)


def facts(*services: str, **kinds: int) -> ModelTotals:
    found = ModelTotals(calls=5, services=set(services), first=START + 999, last=START + 10**9)
    found.exceptions.update(kinds)
    return found


def rows(made: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(made.decode(), newline="")))


def filled(made: bytes) -> list[dict[str, str]]:
    """Return the rows by column, without empty cells and without numbers that are zero."""
    read = csv.DictReader(io.StringIO(made.decode(), newline=""))
    return [{column: cell for column, cell in row.items() if cell not in {"", "0"}} for row in read]


CALLED = {"first_call": "2026-01-01T00:00:00.000000Z", "last_call": "2026-01-01T00:00:01.000000Z"}
DESCRIBED = {"name": "GPT", "version": "1", "purpose": "chat"}
THEN = {"owner": "then", "risk_tier": "low", "status": "deprecated"}


def test_the_header() -> None:
    """The columns are these, in this order, also where there is no row."""
    assert render_csv([], {}, {}).decode() == f"{HEADER}\n"
    assert ",".join(COLUMNS) == HEADER


def test_a_row_for_each_model() -> None:
    """Each model has its row, with what was in force, its calls, its services and the first and last call."""
    made = render_csv([(entry(), STATE)], {"gpt": facts("web", "api", while_deprecated=3, after_retirement=1)}, {})
    counted = {"calls": "5", "calls_while_deprecated": "3", "calls_after_retirement": "1", "services": "api;web"}
    assert filled(made) == [{"model_id": "gpt", **DESCRIBED, **THEN, **counted, **CALLED}]


def test_models_that_nobody_called_have_a_row() -> None:
    """They have no calls, and one that was not in use yet has no status."""
    made = render_csv([(entry("a"), STATE), (entry("b"), None)], {}, {})
    assert filled(made) == [
        {"model_id": "a", **DESCRIBED, **THEN},
        {"model_id": "b", **DESCRIBED, "owner": "ml", "risk_tier": "high"},
    ]
    assert [cell for row in rows(made)[1:] for cell in row].count("0") == 2 * (1 + len(FINDINGS))


def test_models_that_nobody_registered_have_a_row() -> None:
    """Their name stands as the id, after all others, sorted; what nobody said is empty."""
    made = render_csv([(entry("z"), STATE)], {}, {"b": facts("api"), "a": ModelTotals()})
    assert filled(made)[1:] == [
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
    """What begins like a formula gets an apostrophe, also after a semicolon; what is invisible is escaped."""
    assert escape_cell(given) == shown


def test_services_cannot_make_more_services() -> None:
    """A semicolon in a service's name is shown as a comma, for semicolons stand between services."""
    made = render_csv([(entry(), STATE)], {"gpt": facts("b;=1", "-a", 'q"')}, {})
    assert filled(made)[0]["services"] == "'-a;b,=1;q\""


def test_quotes_and_commas_stay_in_their_cell() -> None:
    """A row has as many cells as there are columns, whatever a name has in it."""
    made = render_csv([(entry('a",b\n', name='"', owner=",,"), None)], {}, {'x","y': ModelTotals()})
    assert [len(row) for row in rows(made)] == [len(COLUMNS)] * 3
    assert [row[0] for row in rows(made)[1:]] == ['a",b\\n', 'x","y']
