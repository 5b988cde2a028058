"""A database in ClickHouse's engine, which runs in a child process behind a port on loopback."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from support.clickhouse_rows import list_log_rows, list_span_rows
from support.clickhouse_tables import make_logs_table, make_traces_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from support.clickhouse_tables import Layout

PASSWORD = "a b/c:d@e%"
"""The password of the user ``auditor``, with characters that addresses escape."""
_SERVER = Path(__file__).with_name("clickhouse_server.py")
_SECONDS = 60
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Database(NamedTuple):
    """A database: the port of its server, the process, its name and the layout of its tables."""

    port: int
    pid: int
    name: str = "otel"
    layout: Layout = "map"

    @property
    def url(self) -> str:
        """The address for a user who may only read."""
        return f"clickhouse://auditor@127.0.0.1:{self.port}/{self.name}"

    def run(self, statement: str) -> bytes:
        """Run a statement as the owner, and return the response."""
        token = base64.b64encode(b"owner:").decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/", statement.encode(), {"Authorization": f"Basic {token}"}
        )
        try:
            with _direct.open(request, timeout=_SECONDS) as response:
                content: bytes = response.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None
        return content

    def create(self, *, before_0_151: bool = False) -> None:
        """Create the database and its tables."""
        self.run(f"CREATE DATABASE `{self.name}`")
        self.create_tables(before_0_151=before_0_151)

    def create_tables(self, *, before_0_151: bool = False) -> None:
        """Create the tables."""
        self.run(make_traces_table(self.layout).create(f"`{self.name}`.otel_traces"))
        logs = make_logs_table(self.layout, before_0_151=before_0_151)
        self.run(logs.create(f"`{self.name}`.otel_logs"))

    def fill(self, lines: Iterable[bytes]) -> None:
        """Replace the rows by those of export requests, which are lines of OTLP JSON."""
        requests = [json.loads(line) for line in lines]
        rows = {
            "otel_traces": [row for each in requests for row in list_span_rows(each, self.layout)],
            "otel_logs": [row for each in requests for row in list_log_rows(each, self.layout)],
        }
        for table, texts in rows.items():
            self.run(f"TRUNCATE TABLE `{self.name}`.{table}")
            if texts:
                self.run(f"INSERT INTO `{self.name}`.{table} FORMAT JSONEachRow\n" + "\n".join(texts))


@contextmanager
def serving_clickhouse(folder: Path, *options: str) -> Iterator[Database]:
    """Run the engine on a folder, and give its default database."""
    environment = {**os.environ, "CLICKHOUSE_PASSWORD": PASSWORD}
    command = [sys.executable, str(_SERVER), str(folder), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield Database(int(server.stdout.readline()), server.pid, "default")
        finally:
            # The engine's own end may hang. What it has answered is on the disk, so nothing is lost.
            server.kill()
