"""Real servers with the configuration that users get: the Collector, Jaeger, Prometheus."""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.waiting import PATIENCE, poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "collector-config"
TRIES = 3
ALL_AT_ONCE = {"OTELCOL_DECISION_WAIT": "100ms", "OTELCOL_SAMPLING_PERCENTAGE": "100"}
"""Settings of a Collector that sends all traces, and soon."""
RETRY_SOON = tuple(
    f"yaml:exporters::otlp_grpc/{name}::retry_on_failure::max_interval: 500ms"
    for name in ("sampled", "flagged", "untrusted")
)
"""Configuration of a Collector that sends soon to a backend that is up again."""
LESS_GARBAGE_COLLECTION = {"GOGC": "400"}
"""Go's setting that saves servers a third of their processor time."""
USUAL_GARBAGE_COLLECTION = {"GOGC": "100"}
"""Go's default, for tests that measure or limit memory: a Collector that is short of memory refuses requests."""
NOBODY = "127.0.0.1:1"
"""An address without a listener: the backend of a Collector that has no other backend."""
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = range(10_000 + _WORKER, 30_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
"""Ports that no system gives to outgoing connections. Each process of pytest-xdist has its own."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(request: str | urllib.request.Request, timeout: float = PATIENCE) -> bytes:
    """Return the response body of an HTTP server on loopback, without the environment's proxies."""
    with _direct.open(request, timeout=timeout) as answer:
        content: bytes = answer.read()
    return content


class Kind(NamedTuple):
    """A kind of server: program, configuration, variables for addresses, what answers when it is ready, options."""

    program: str
    configs: tuple[Path, ...]
    addresses: tuple[str, ...]
    ready: str
    options: tuple[str, ...] = ()
    config_option: str = "--config"


COLLECTOR = (
    "OTELCOL_HEALTH",
    "OTELCOL_OTLP_GRPC",
    "OTELCOL_OTLP_HTTP",
    "OTELCOL_UNTRUSTED_GRPC",
    "OTELCOL_UNTRUSTED_HTTP",
    "OTELCOL_TELEMETRY",
)
KINDS = {
    "otelcol": Kind(
        "otelcol",
        (CONFIG / "collector.yaml",),
        (*COLLECTOR, "OTELCOL_PROMETHEUS", "OTELCOL_UNTRUSTED_PROMETHEUS"),
        "http://{OTELCOL_HEALTH}/",
    ),
    "agent": Kind("otelcol", (CONFIG / "agent.yaml",), COLLECTOR, "http://{OTELCOL_HEALTH}/"),
    "jaeger": Kind(
        "jaeger",
        (CONFIG / "jaeger.yaml",),
        ("JAEGER_QUERY_HTTP", "JAEGER_QUERY_GRPC", "JAEGER_HEALTH", "JAEGER_OTLP_GRPC", "JAEGER_OTLP_HTTP"),
        "http://{JAEGER_HEALTH}/status",
    ),
    "prometheus": Kind(  # its configuration has addresses in it: each test makes its own
        "prometheus",
        (),
        ("PROMETHEUS",),
        "http://{PROMETHEUS}/-/ready",
        ("--web.listen-address={PROMETHEUS}", "--storage.tsdb.path=data"),
        "--config.file",
    ),
}


class Sample(NamedTuple):
    """A line of what Prometheus scrapes."""

    name: str
    labels: dict[str, str]
    value: float


class Server:
    """A real server on free ports of loopback; it ends with this process, however that ends, and leaves nothing.

    Attributes:
        at: Variable of the configuration to the address that it has.
        pid: The server's process, as long as it runs.
    """

    def __init__(self, name: str, *configs: Path | str, **settings: str) -> None:
        self.kind = KINDS[name]
        self.at = dict(zip(self.kind.addresses, free_addresses(len(self.kind.addresses)), strict=True))
        self._command = [program_of(self.kind.program)]
        self._command += [f"{self.kind.config_option}={file}" for file in (*self.kind.configs, *configs)]
        self._command += [option.format_map(self.at) for option in self.kind.options]
        pages = Path(self._command[0]).parents[1] / "share" / name / "web"
        self._command += [f"--web.local-assets={pages}"] if pages.exists() else []  # of Debian's package
        own = {f"{name}_PORT": address.rpartition(":")[2] for name, address in self.at.items() if "TELEMETRY" in name}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "JAEGER_"))}
        quiet = {"OTEL_TRACES_SAMPLER": "always_off"}  # or Jaeger sends its own traces to localhost:4317
        defaults = {**clean, **quiet, **LESS_GARBAGE_COLLECTION, "JAEGER_OTLP_ENDPOINT": NOBODY}
        self._environment = {**defaults, **settings, **self.at, **own}
        self._keeper: subprocess.Popen[str] | None = None
        self.pid = 0

    def start(self) -> None:
        """Start it, at the addresses it has."""
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("run_server.py")), *self._command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests; the server's end is up to its keeper
        )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline() or 0)
        poll(lambda: self._is_ready() or not self._runs())
        if not (self._is_ready() and self._runs()):
            raise NotStartedError(self.stop())

    def _runs(self) -> bool:
        return self._keeper is not None and self._keeper.poll() is None

    def _is_ready(self) -> bool:
        try:
            get(self.kind.ready.format_map(self.at), 10)
        except (OSError, http.client.HTTPException):
            return False
        return True

    def metric(self, name: str, **labels: str) -> int:
        """Return the sum of a Collector's own metric over the series with these labels."""
        samples = self.scrape("OTELCOL_TELEMETRY")
        return int(sum(value for which, has, value in samples if which == name and labels.items() <= has.items()))

    def ask(self, variable: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """Return the response body from one of its addresses. A request with a body is a POST."""
        return get(urllib.request.Request(f"http://{self.at[variable]}{path}", body, headers))

    def scrape(self, variable: str = "OTELCOL_PROMETHEUS") -> list[Sample]:
        """Return the metrics that it offers to Prometheus at one of its addresses."""
        lines = re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", self.ask(variable, "/metrics").decode(), re.MULTILINE)
        return [
            Sample(name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)), float(value))
            for name, labels, value in lines
        ]

    def kill(self) -> str:
        """Kill it with SIGKILL, and return its output."""
        os.kill(self.pid, signal.SIGKILL)
        return self.stop()

    def stop(self) -> str:
        """Stop it with SIGTERM if it runs, and return its output."""
        keeper, self._keeper = self._keeper, None
        return "" if keeper is None else keeper.communicate()[0]


def started(name: str, *configs: Path | str, tries: int = TRIES, **settings: str) -> Server:
    """Return a server that answers; should another program be faster at one of its ports, it gets others."""
    server = Server(name, *configs, **settings)
    try:
        server.start()
    except NotStartedError:
        if tries == 1:
            raise
        return started(name, *configs, tries=tries - 1, **settings)
    return server


class NotStartedError(Exception):
    """The output of a server that did not start."""


@functools.cache
def program_of(name: str) -> str:
    """Return a server's program; where there is none, the test is skipped, except in CI."""
    command = [sys.executable, str(ROOT / "tools" / "servers.py"), name]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        (pytest.fail if "CI" in os.environ else pytest.skip)(found.stderr.strip())
    return found.stdout.strip()


def free_addresses(number: int) -> list[str]:
    """Return free addresses on loopback."""
    found = (f"127.0.0.1:{port}" for port in random.sample(PORTS, len(PORTS)) if is_free(port))
    return list(itertools.islice(found, number))


def is_free(port: int) -> bool:
    """Check whether a port on loopback is free now."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Backend(NamedTuple):
    """A Collector that sends to a Jaeger."""

    collector: Server
    jaeger: Server

    def endpoint(self, protocol: str) -> str:
        """Return the value for ``OTEL_EXPORTER_OTLP_ENDPOINT``."""
        return f"http://{self.collector.at['OTELCOL_OTLP_GRPC' if protocol == 'grpc' else 'OTELCOL_OTLP_HTTP']}"

    def traces(self, service: str, **tags: str) -> list[dict[str, Any]]:
        """Return the traces of a service that Jaeger finds, in the form of its HTTP API."""
        query = {"service": service, "limit": 1_000, "tags": json.dumps(tags)}
        url = f"http://{self.jaeger.at['JAEGER_QUERY_HTTP']}/api/traces?{urllib.parse.urlencode(query)}"
        found: list[dict[str, Any]] = json.loads(get(url))["data"]
        return found

    def spans(self, service: str, number: int) -> list[dict[str, Any]]:
        """Return the spans of a service, once so many have arrived."""
        return spans_in(self.jaeger, service, number)


def spans_in(jaeger: Server, service: str, number: int = 0, **tags: str) -> list[dict[str, Any]]:
    """Return the spans of a service in Jaeger with their processes, once so many have arrived in traces with tags."""
    query = urllib.parse.urlencode({"service": service, "limit": 100_000, "tags": json.dumps(tags)})

    def spans() -> list[dict[str, Any]]:
        traces = json.loads(jaeger.ask("JAEGER_QUERY_HTTP", f"/api/traces?{query}"))["data"]
        return [
            {**span, "process": trace["processes"][span["processID"]]} for trace in traces for span in trace["spans"]
        ]

    return poll(spans, lambda found: len(found) >= number)


def archive_settings(folder: Path) -> dict[str, str]:
    """Return the settings of a Collector that keeps its archive and its queue in a folder."""
    return {
        "OTELCOL_ARCHIVE_SPANS": str(folder / "spans.jsonl"),
        "OTELCOL_ARCHIVE_LOGS": str(folder / "logs.jsonl"),
        "OTELCOL_STORAGE": str(folder / "queue"),
    }


@contextlib.contextmanager
def running(*configs: str) -> Iterator[Backend]:
    """Run a Jaeger, and a Collector that sends to it."""
    jaeger = started("jaeger")
    try:
        collector = started("otelcol", *configs, JAEGER_OTLP_ENDPOINT=jaeger.at["JAEGER_OTLP_GRPC"], **ALL_AT_ONCE)
        try:
            yield Backend(collector, jaeger)
        finally:
            collector.stop()
    finally:
        jaeger.stop()


@contextlib.contextmanager
def starting_servers() -> Iterator[Callable[..., Server]]:
    servers = []

    def run(name: str, *configs: Path | str, **settings: Any) -> Server:
        servers.append(started(name, *configs, **settings))
        return servers[-1]

    try:
        yield run
    finally:
        for server in servers:
            server.stop()
