"""Addresses and queries of ClickHouse. ``tests/clickhouse`` has the tests that need its engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import run_code

from spanforge.model_registry.compliance import TelemetryError
from spanforge.model_registry.compliance._sources.clickhouse_address import parse_clickhouse
from spanforge.model_registry.compliance._sources.clickhouse_columns import WARNINGS_KEY, TableLayout
from spanforge.model_registry.compliance._sources.clickhouse_sql import TableQueries
from spanforge.model_registry.compliance._sources.formats import open_sources
from spanforge.model_registry.compliance._sources.tables import TableRequest

ADDRESSES = {
    "clickhouse://db": ("db", 8123, False, "default", "default"),
    "clickhouse://auditor@db:8443/otel": ("db", 8443, True, "auditor", "otel"),
    "clickhouse://db:443/otel": ("db", 443, True, "default", "otel"),
    "clickhouses://db/otel": ("db", 8443, True, "default", "otel"),
    "clickhouses://db:9000/otel": ("db", 9000, True, "default", "otel"),
    "clickhouse://a%40b@[::1]:8123/o%20t": ("::1", 8123, False, "a@b", "o t"),
}
WRONG = (
    "clickhouse://",
    "clickhouse:///otel",
    "clickhouse://db:0/otel",
    "clickhouse://db:x/otel",
    "clickhouse://db/otel/more",
    "clickhouse://db/otel#part",
    "clickhouse://db/otel?secure=1",
    "clickhouse://db/otel?logs_table=",
)


@pytest.mark.parametrize("url", ADDRESSES)
def test_addresses(url: str) -> None:
    """An address has a host, a port, a user and a database; the port or the scheme chooses TLS."""
    assert parse_clickhouse(url)[:5] == ADDRESSES[url]


@pytest.mark.parametrize("url", WRONG)
def test_invalid_addresses(url: str) -> None:
    """An address that is not valid is an error."""
    with pytest.raises(TelemetryError):
        open_sources(url, 0, 1)


def test_address_with_a_password() -> None:
    """A password in an address is refused, and is not in the error."""
    with pytest.raises(TelemetryError, match="set CLICKHOUSE_PASSWORD instead") as raised:
        parse_clickhouse("clickhouse://auditor:secret@db/otel")
    assert "secret" not in str(raised.value)


def test_tables_of_other_names() -> None:
    """An address may name other tables and a certificate authority."""
    address = parse_clickhouse("clickhouses://db/otel?traces_table=t&logs_table=l&ca_cert=%2Fca.pem")
    assert (address.traces_table, address.logs_table, address.ca_cert) == ("t", "l", "/ca.pem")


@pytest.mark.slow
def test_missing_extra() -> None:
    """Without the extra, reading a database is an error that names it."""
    code = (
        "from spanforge.model_registry.compliance import ComplianceMappingEngine as Engine\n"
        "from spanforge.model_registry.compliance import MissingExtraError\n"
        "try: Engine().generate_evidence_package(None, 'soc2', '2026-01-01', '2026-01-02', "
        "telemetry='clickhouse://db')\n"
        "except MissingExtraError as error: print(error)"
    )
    assert "pip install '.[clickhouse]' in a clone" in run_code(code, "clickhouse_connect")


def list_queries(layout: TableLayout, request: TableRequest) -> list[str]:
    """Return the text of every query about two tables."""
    spans, logs = TableQueries(layout, request), TableQueries(layout._replace(signal="logs"), request)
    texts = [
        text
        for one in (spans, logs)
        for text in (
            one.groups(),
            one.copies(),
            one.ids(),
            one.calls(),
            one.totals(),
            one.events(),
            one.call_stretches("day"),
            one.call_stretches("stretch"),
            one.stretches(by_sender=True),
            one.stretches(by_sender=False),
            one.days(by_sender=True),
            one.days(by_sender=False),
            one.has_marks(in_period=True),
            one.has_marks(in_period=False),
        )
    ]
    return [*texts, logs.reported(spans.columns)]


def make_request(keys: tuple[str, ...], numbers: tuple[int, int]) -> TableRequest:
    """Return a request with these keys and times."""
    start, delay = numbers
    return TableRequest(
        start=start,
        end=start + 1,
        events_start=start,
        events_end=start + 1,
        delay=delay,
        max_gap=delay + 1,
        moments=(start,),
        keys=(*keys, WARNINGS_KEY),
        present_keys=keys,
        scopes=keys,
    )


@given(
    st.tuples(st.text(), st.text()),
    st.lists(st.text().filter(lambda text: text != "model"), min_size=2, max_size=2, unique=True).map(tuple),
    st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)),
    st.booleans(),
)
def test_no_value_is_in_the_text_of_a_query(
    names: tuple[str, str],
    keys: tuple[str, ...],
    numbers: tuple[int, int],
    is_json: bool,  # noqa: FBT001
) -> None:
    """The text of a query is the same for any names of tables, keys, scopes and times: all of them are parameters."""
    expected = list_queries(TableLayout("spans", "d", "t", is_json), make_request(("a", "b"), (0, 0)))
    assert list_queries(TableLayout("spans", *names, is_json), make_request(keys, numbers)) == expected
