"""Each fault of a database is one line that says what to do."""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest
from support.clickhouse_database import serving_clickhouse
from support.clickhouse_tables import make_traces_table
from support.commands import run_here
from support.evidence import EvidenceCase
from support.loopback import serving_http
from support.otlp import Otlp

from spanforge.model_registry.compliance import TelemetryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.clickhouse_database import Database

GROUPS = b"groupArraySortedIf"
"""A word of the query that groups spans, and of no other."""
FAULTS = {
    159: "Code: 159. DB::Exception: Timeout exceeded: elapsed 60.1 seconds, maximum: 60. (TIMEOUT_EXCEEDED)",
    241: "Code: 241. DB::Exception: Memory limit (for query) exceeded. (MEMORY_LIMIT_EXCEEDED)",
    394: "Code: 394. DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)",
    497: "Code: 497. DB::Exception: auditor: Not enough privileges. (ACCESS_DENIED)",
    164: "Code: 164. DB::Exception: Cannot modify setting in readonly mode. (READONLY)",
    999: "Code: 999. DB::Exception: Some other error. (KEEPER_EXCEPTION)",
}
"""Errors of ClickHouse that its engine does not make here, in its words."""
ADVICE = {
    159: "max_execution_time",
    241: "max_memory_usage",
    394: "KILL QUERY",
    497: "GRANT SELECT ON",
    164: "readonly",
    999: "ClickHouse reports code 999: 'Some other error. (KEEPER_EXCEPTION)",
}


@pytest.fixture
def case(tmp_path: Path) -> EvidenceCase:
    """Give a folder for files."""
    return EvidenceCase(tmp_path)


def read_error(case: EvidenceCase, url: str) -> str:
    """Return the error of evidence from an address."""
    with pytest.raises(TelemetryError) as raised:
        case.attest(telemetry=url)
    text = str(raised.value)
    assert "\n" not in text
    assert "DB::Exception" not in text
    return text


@contextmanager
def relaying(port: int, status: int, body: bytes, code: int = 0) -> Iterator[int]:
    """Relay requests to a server, but respond to the query that groups spans with a fault."""

    class Relay(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if GROUPS in content:
                self.send_response(status)
                if code:
                    self.send_header("X-ClickHouse-Exception-Code", str(code))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", self.path, content, {**self.headers, "Content-Length": str(len(content))})
            response = connection.getresponse()
            answer = response.read()
            self.send_response(response.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            connection.close()

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with serving_http(Relay) as relay:
        yield relay


@pytest.mark.parametrize("code", FAULTS)
def test_errors_of_the_server(server: Database, case: EvidenceCase, code: int) -> None:
    """An error of the server is one line with what to do, also after some rows."""
    database = server._replace(name="map")
    database.fill([Otlp().line(Otlp().span("gpt"))])
    fault = FAULTS[code].encode()
    with relaying(server.port, 500, fault, code) as port:
        assert ADVICE[code] in read_error(case, database._replace(port=port).url)
    rows = b'[["api","",[],[],[],""],[[[0,0,0],1,5,5,""]]]\n'
    with relaying(server.port, 200, rows + fault) as port:
        assert ADVICE[code] in read_error(case, database._replace(port=port).url)


def test_half_a_row(server: Database, case: EvidenceCase) -> None:
    """A response that ends in the middle of a row is an error."""
    database = server._replace(name="map")
    database.fill([Otlp().line(Otlp().span("gpt"))])
    with relaying(server.port, 200, b'[["api","",[],[') as port:
        assert "the response has another form" in read_error(case, database._replace(port=port).url)


def test_server_is_down(case: EvidenceCase) -> None:
    """A server that does not listen is an error that names the port of the HTTP interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"clickhouse://127.0.0.1:{free.getsockname()[1]}/otel"
        assert "cannot be reached" in (text := read_error(case, url))
    assert "8123, or 8443 with TLS" in text


def test_wrong_password(server: Database, case: EvidenceCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password is an error that names the variable, and never shows a password."""
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "wrong-password")
    text = read_error(case, server._replace(name="map").url)
    assert "set the password in the variable CLICKHOUSE_PASSWORD" in text
    assert "wrong-password" not in text


def test_missing_tables(server: Database, case: EvidenceCase) -> None:
    """A database without the tables is an error that names them."""
    text = read_error(case, server._replace(name="none").url)
    assert "no table otel_traces and no table otel_logs" in text


def test_unknown_layouts(server: Database, case: EvidenceCase) -> None:
    """A table that the exporter does not create is an error that names the column."""
    server.run("CREATE DATABASE odd")
    odd = server._replace(name="odd")
    table = make_traces_table()
    changes: dict[str, dict[str, str]] = {
        "lacks Duration": {"Duration": ""},
        "has the type DateTime64(3) for Timestamp": {"Timestamp": "DateTime64(3)"},
        "has the type String for SpanAttributes": {"SpanAttributes": "String"},
    }
    for problem, change in changes.items():
        columns = {name: kind for name, kind in (table.columns | change).items() if kind}
        server.run(table._replace(columns=columns).create("odd.otel_traces"))
        assert f"table otel_traces {problem}" in read_error(case, odd.url)
        server.run("DROP TABLE odd.otel_traces")


def test_readonly_user(case: EvidenceCase, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A user with readonly = 1, who may change no setting, can read everything."""
    folder = tmp_path_factory.mktemp("readonly")
    otlp = Otlp()
    with serving_clickhouse(folder) as database:
        database.create_tables()
        database.fill([otlp.line(otlp.span("gpt")), otlp.logs(otlp.call_record("gpt"))])
    with serving_clickhouse(folder, "--readonly") as database:
        assert case.attest(telemetry=database.url).population.calls == 2
        with pytest.raises(AssertionError, match="READONLY"):
            database.run("DROP TABLE otel_traces")


def test_commands(server: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``reconcile`` reads a database, and ends with 2 and one line if it cannot."""
    database, otlp = server._replace(name="map"), Otlp()
    database.fill([otlp.line(otlp.span("acme-chat-9"))])
    models = tmp_path / "models.json"
    models.write_text("[]")
    options = ("--file", models, "--from", "2026-01-01", "--to", "2026-02-01")
    found = run_here(capsys, "reconcile", "-t", database.url, *options)
    assert (found.code, "acme-chat-9" in found.out) == (1, True)
    failed = run_here(capsys, "reconcile", "-t", server._replace(name="none").url, *options)
    assert (failed.code, failed.out, len(failed.err.splitlines())) == (2, "", 1)
