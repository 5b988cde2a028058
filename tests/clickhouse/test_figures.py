"""Evidence from ClickHouse has the figures of evidence from files."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evidence import EvidenceCase
from support.otlp import Otlp
from support.random_telemetry import ENTRIES, Telemetry, telemetries
from support.scans import DAY, END, HOUR, START

from spanforge.model_registry.compliance import TelemetryError

if TYPE_CHECKING:
    from support.clickhouse_database import Database

    from spanforge.model_registry.compliance import EvidencePackage

MONTH = ("2026-01-01", "2026-02-01")
OPTIONS: dict[str, Any] = {"period": MONTH, "framework": "eu_ai_act"}
EXAMPLES = {"map": 10, "before_0_151": 3, "json": 5}
"""The numbers of random archives. A query takes as long for many rows as for few."""
DATABASE_LIMITS = (
    "rows of a database can change",
    "Inputs that are queried for the period and the time around it: 1 (",
)
"""Words of the limits that evidence from a database has, and evidence from files has not."""


@pytest.fixture
def case(tmp_path: Any) -> EvidenceCase:
    """Give a folder for files."""
    return EvidenceCase(tmp_path)


def list_figures(package: EvidencePackage) -> dict[str, Any]:
    """Return all that evidence states, apart from its inputs and the limits of databases."""
    attested: dict[str, Any] = msgspec.to_builtins(package.attestation)
    del attested["inputs"]
    return {
        **attested,
        "limits": [limit for limit in attested["limits"] if not any(words in limit for words in DATABASE_LIMITS)],
        "csv": package.evidence_csv,
        "findings": package.findings_csv,
        "calls": package.model_calls,
    }


def test_files_and_clickhouse_agree(database: Database, case: EvidenceCase) -> None:
    """For random telemetry, each figure from the tables is that from a file."""
    engine = case.engine(*ENTRIES)

    @settings(max_examples=EXAMPLES[database.name], deadline=None)
    @given(telemetries)
    def check(telemetry: Telemetry) -> None:
        lines = telemetry.list_lines(keep_repeated=database.layout == "map")
        case.write(*lines)
        database.fill(lines)
        expected = list_figures(case.package(engine, **OPTIONS))
        assert list_figures(case.package(engine, telemetry=database.url, **OPTIONS)) == expected

    check()


def test_edges_of_the_period_and_copies_agree(database: Database, case: EvidenceCase) -> None:
    """Spans and log records at the edges of the period, and each kind of copy, count as they do in a file."""
    otlp, edges = Otlp(), (START - 1, START, END - 1, END)
    same, differing = otlp.span("gpt", START + DAY), otlp.span("gpt", START + 2 * DAY)
    other = {**differing, "attributes": otlp.attributes({"gen_ai.request.model": "unknown"})}
    records = [otlp.call_record("gpt", at) for at in edges]
    records += [otlp.call_record("gpt", START + 2 * DAY, span=differing) for _ in range(2)]
    spans = [otlp.span("gpt", at) for at in edges]
    lines = [otlp.line(*spans, same, same, same, differing, other, other), otlp.logs(*records)]
    case.write(*lines)
    database.fill(lines)
    engine = case.engine(*ENTRIES)
    expected = list_figures(case.package(engine, **OPTIONS))
    assert expected["population"]["copies"] >= 4
    assert list_figures(case.package(engine, telemetry=database.url, **OPTIONS)) == expected


def test_marks_outside_of_the_period(server: Database, case: EvidenceCase) -> None:
    """A sender's mark on a log record before the period does not decide whether the telemetry has marks."""
    database, otlp = server._replace(name="map"), Otlp()
    marked = otlp.marked("trusted", otlp.call_record("gpt", START - DAY))
    database.fill([otlp.line(otlp.span("gpt", START + HOUR)), otlp.logs(*marked)])
    found = list_figures(case.package(case.engine(*ENTRIES), telemetry=database.url, **OPTIONS))
    assert [(each["sender"], each["calls"]) for each in found["senders"] if each["calls"]] == [("unknown", 1)]


def test_table_of_an_exporter_that_kept_no_names_of_events(server: Database, case: EvidenceCase) -> None:
    """Log records have the name of their event in an attribute only, as in a file without the field."""
    database, otlp = server._replace(name="no_event_name"), Otlp()
    database.create()
    server.run("ALTER TABLE no_event_name.otel_logs DROP COLUMN EventName")
    call = otlp.call_record("gpt", **{"event.name": "gen_ai.client.inference.operation.details"})
    change = {
        "eventName": "model_registry.deprecated",
        "attributes": otlp.attributes({"model_registry.model_id": "gpt"}),
    }
    records = [{**each, "timeUnixNano": str(START)} for each in (call, change)]
    nameless = [{name: value for name, value in each.items() if name != "eventName"} for each in records]
    case.write(otlp.logs(*nameless))
    database.fill([otlp.logs(*records)])
    engine = case.engine(*ENTRIES)
    expected = list_figures(case.package(engine, **OPTIONS))
    assert expected["population"]["log_calls"] == 1
    assert list_figures(case.package(engine, telemetry=database.url, **OPTIONS)) == expected


def test_spans_in_a_database_and_in_a_file_count_once(server: Database, case: EvidenceCase) -> None:
    """A span of the tables and its copy in a file count once, as in two files."""
    database, otlp = server._replace(name="map"), Otlp()
    spans = [otlp.span("gpt", START + hour * HOUR) for hour in range(6)]
    changed = [*spans[3:5], {**spans[5], "attributes": otlp.attributes({"gen_ai.request.model": "unknown"})}]
    case.write(otlp.line(*spans))
    other = case.folder / "other.jsonl"
    other.write_bytes(otlp.line(*changed, *changed))
    database.fill([otlp.line(*spans)])
    engine = case.engine(*ENTRIES)
    expected = list_figures(case.package(engine, telemetry=[case.file, other], **OPTIONS))
    assert expected["population"]["copies"] == 6
    assert list_figures(case.package(engine, telemetry=[database.url, other], **OPTIONS)) == expected


def test_log_calls_beside_another_input_make_coverage_incomplete(server: Database, case: EvidenceCase) -> None:
    """Log records of tables cannot be compared with those of files, and the evidence says so."""
    database, otlp = server._replace(name="map"), Otlp()
    case.write(otlp.line(otlp.span("gpt")))
    database.fill([otlp.logs(otlp.call_record("gpt", START + DAY))])
    attested = case.package(case.engine(*ENTRIES), telemetry=[database.url, case.file], **OPTIONS).attestation
    assert attested.population.calls == 2
    assert any("calls in log records" in reason for reason in attested.coverage.reasons)


def test_input_of_a_database(server: Database, case: EvidenceCase) -> None:
    """The attestation names the server, the tables, the number of rows and the digest of the queries."""
    database, otlp = server._replace(name="map"), Otlp()
    database.fill([otlp.line(otlp.span("gpt"), otlp.span("gpt", START + HOUR)), otlp.logs(otlp.call_record("gpt"))])
    packages = [case.package(case.engine(*ENTRIES), telemetry=database.url, **OPTIONS) for _ in range(2)]
    first, second = (package.attestation.inputs[0] for package in packages)
    assert first.name == f"clickhouse://127.0.0.1:{database.port}/map (otel_traces, otel_logs)"
    assert (first.kind, first.lines, first.spans, first.bad_lines) == ("clickhouse", 3, 2, 0)
    assert first.sha256 == second.sha256
    assert all(any(words in limit for limit in packages[0].attestation.limits) for words in DATABASE_LIMITS)
    shorter = case.package(case.engine(*ENTRIES), telemetry=database.url, period=("2026-01-01", "2026-01-02"))
    assert shorter.attestation.inputs[0].sha256 != first.sha256


def test_spans_without_ids_make_coverage_incomplete(server: Database, case: EvidenceCase) -> None:
    """Rows of the period without a trace id or a span id are counted as unreadable."""
    database, otlp = server._replace(name="map"), Otlp()
    database.fill([otlp.line(otlp.span("gpt"), {**otlp.span("gpt"), "spanId": ""})])
    attested = case.package(case.engine(*ENTRIES), telemetry=database.url, **OPTIONS).attestation
    assert (attested.inputs[0].bad_lines, attested.population.calls) == (1, 1)
    assert attested.coverage.status == "incomplete"


@settings(max_examples=8, deadline=None)
@given(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=30)] * 3))
def check_texts(database: Database, case: EvidenceCase, texts: tuple[str, str, str]) -> None:
    """Compare evidence about a span with these texts."""
    otlp = Otlp()
    name, service, value = texts
    span = otlp.span(name, **{"model_registry.owner": value, "acme 'model` \\": name})
    line = otlp.line(span, service=service, scope=value)
    case.write(line)
    database.fill([line])
    engine = case.engine(*ENTRIES, model_attributes=["acme 'model` \\"])
    expected = list_figures(case.package(engine, **OPTIONS))
    assert list_figures(case.package(engine, telemetry=database.url, **OPTIONS)) == expected


def test_hostile_texts_are_only_values(server: Database, case: EvidenceCase) -> None:
    """Names, services, values and keys with any characters change no query."""
    check_texts(server._replace(name="map"), case)


HOSTILE_NAME = 'a"; DROP DATABASE map; -- {b:String}'


def test_hostile_name_of_a_database(server: Database, case: EvidenceCase) -> None:
    """A database whose name looks like SQL is read like others. With quotes in its name, it is not found."""
    database, otlp = server._replace(name=HOSTILE_NAME), Otlp()
    database.create()
    database.fill([otlp.line(otlp.span("gpt"))])
    url = f"clickhouse://auditor@127.0.0.1:{server.port}/{urllib.parse.quote(HOSTILE_NAME)}"
    engine = case.engine(*ENTRIES)
    assert case.package(engine, telemetry=url, **OPTIONS).attestation.population.calls == 1
    for further in ("'", "\\", "`", "\0", "/"):
        with pytest.raises(TelemetryError):
            case.package(engine, telemetry=url + urllib.parse.quote(further, safe=""), **OPTIONS)
    assert server.run("EXISTS DATABASE map") == b"1\n"
