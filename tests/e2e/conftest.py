"""Real servers for the tests, with the configuration that users get: the Collector, Jaeger and Prometheus."""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import textwrap
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "collector-config"
TRIES = 3
READY = 30
"""Seconds that a server may take until it answers."""
STAYS = 0.3
"""Seconds after which a server that another program has taken a port from is gone."""
ALL_AT_ONCE = {"OTELCOL_DECISION_WAIT": "100ms", "OTELCOL_SAMPLING_PERCENTAGE": "100"}
"""Settings of a Collector that sends all traces, and soon."""
ARRIVES = 90
"""Seconds that telemetry may take until it can be found: who was away is tried again ever more seldom."""
NOBODY = "127.0.0.1:1"
"""An address where nobody listens: the backend of a Collector that is told of none."""
PORTS = range(10_000, 30_000)
"""Ports that no system gives to outgoing connections."""

NOT_DELIVERED = re.compile(r"model registry: \d+ lifecycle events were not delivered: no tracer provider was set\n")
"""What a process says at its end in which models were registered, but no OpenTelemetry SDK was set up."""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(request: str | urllib.request.Request, timeout: float = 10) -> bytes:
    """Return what an HTTP server on loopback answers, whatever proxies the environment names."""
    with _direct.open(request, timeout=timeout) as answer:
        content: bytes = answer.read()
    return content


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that renews the documentation's pictures."""
    parser.addoption("--pictures", metavar="FOLDER", help="draw the dashboards into this folder")


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
        "http://{JAEGER_QUERY_HTTP}/api/services",
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

    def __init__(self, name: str, *configs: Path, **settings: str) -> None:
        self.kind = KINDS[name]
        self.at = dict(zip(self.kind.addresses, free_addresses(len(self.kind.addresses)), strict=True))
        self._command = [program_of(self.kind.program)]
        self._command += [f"{self.kind.config_option}={file}" for file in (*self.kind.configs, *configs)]
        self._command += [option.format_map(self.at) for option in self.kind.options]
        pages = Path(self._command[0]).parents[1] / "share" / name / "web"
        self._command += [f"--web.local-assets={pages}"] if pages.exists() else []  # of Debian's package
        own = {f"{name}_PORT": address.rpartition(":")[2] for name, address in self.at.items() if "TELEMETRY" in name}
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTELCOL_", "JAEGER_"))}
        self._environment = {**clean, "JAEGER_OTLP_ENDPOINT": NOBODY, **settings, **self.at, **own}
        self._keeper: subprocess.Popen[str] | None = None
        self.pid = 0

    def start(self) -> None:
        """Start it, at the addresses it has."""
        self._keeper = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("run_server.py")), *self._command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests; the server's end is up to its keeper
        )
        assert self._keeper.stdout is not None
        self.pid = int(self._keeper.stdout.readline() or 0)
        deadline = time.monotonic() + READY
        while not self._is_ready():
            if self._keeper.poll() is not None or time.monotonic() > deadline:
                raise NotStartedError(self.stop())
            time.sleep(0.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(STAYS)
            raise NotStartedError(self.stop())

    def _is_ready(self) -> bool:
        try:
            get(self.kind.ready.format_map(self.at))
        except (OSError, http.client.HTTPException):
            return False
        return True

    def ask(self, variable: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """Return what it answers at one of its addresses; a request with a body is posted."""
        return get(urllib.request.Request(f"http://{self.at[variable]}{path}", body, headers), 60)

    def scrape(self, variable: str = "OTELCOL_PROMETHEUS") -> list[Sample]:
        """Return the metrics that it offers to Prometheus at one of its addresses."""
        lines = re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", self.ask(variable, "/metrics").decode(), re.MULTILINE)
        return [
            Sample(name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)), float(value))
            for name, labels, value in lines
        ]

    def kill(self) -> str:
        """Kill it with SIGKILL, and return what it said."""
        os.kill(self.pid, signal.SIGKILL)
        return self.stop()

    def stop(self) -> str:
        """Stop it with SIGTERM, if it runs, and return what it said."""
        keeper, self._keeper = self._keeper, None
        return "" if keeper is None else keeper.communicate()[0]


def started(name: str, *configs: Path, tries: int = TRIES, **settings: str) -> Server:
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
    """A server that does not start: what it said."""


def program_of(name: str) -> str:
    """Return a server's program; where there is none, the test is skipped, except in CI."""
    command = [sys.executable, str(ROOT / "tools" / "servers.py"), name]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        (pytest.fail if "CI" in os.environ else pytest.skip)(found.stderr.strip())
    return found.stdout.strip()


def free_addresses(number: int) -> list[str]:
    """Return addresses on loopback where nobody listens now."""
    found = (f"127.0.0.1:{port}" for port in random.sample(PORTS, len(PORTS)) if is_free(port))
    return list(itertools.islice(found, number))


def is_free(port: int) -> bool:
    """Tell whether nobody listens at a port of loopback now."""
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
        """Return what ``OTEL_EXPORTER_OTLP_ENDPOINT`` is to be."""
        return f"http://{self.collector.at['OTELCOL_OTLP_GRPC' if protocol == 'grpc' else 'OTELCOL_OTLP_HTTP']}"

    def traces(self, service: str, **tags: str) -> list[dict[str, Any]]:
        """Return the traces of a service that Jaeger finds, as its HTTP API tells them."""
        query = {"service": service, "limit": 1_000, "tags": json.dumps(tags)}
        url = f"http://{self.jaeger.at['JAEGER_QUERY_HTTP']}/api/traces?{urllib.parse.urlencode(query)}"
        found: list[dict[str, Any]] = json.loads(get(url))["data"]
        return found

    def spans(self, service: str, number: int) -> list[dict[str, Any]]:
        """Return the spans of a service, once so many have arrived."""
        deadline = time.monotonic() + ARRIVES
        while True:
            spans = [span for trace in self.traces(service) for span in trace["spans"]]
            if len(spans) >= number or time.monotonic() > deadline:
                return spans
            time.sleep(0.1)


@contextlib.contextmanager
def running() -> Iterator[Backend]:
    """Run a Jaeger, and a Collector that sends to it."""
    jaeger = started("jaeger", OTEL_TRACES_SAMPLER="always_off")  # or it sends traces of its own to localhost:4317
    try:
        collector = started("otelcol", JAEGER_OTLP_ENDPOINT=jaeger.at["JAEGER_OTLP_GRPC"], **ALL_AT_ONCE)
        try:
            yield Backend(collector, jaeger)
        finally:
            collector.stop()
    finally:
        jaeger.stop()


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    """Give a Collector and a Jaeger that all tests share."""
    with running() as both:
        yield both


@pytest.fixture
def own_backend() -> Iterator[Backend]:
    """Give a Collector and a Jaeger that a test may stop and start."""
    with running() as both:
        yield both


@pytest.fixture
def run_server() -> Iterator[Callable[..., Server]]:
    """Give what starts a server, with further configuration files and settings; it ends with the test."""
    servers = []

    def run(name: str, *configs: Path, **settings: str) -> Server:
        servers.append(started(name, *configs, **settings))
        return servers[-1]

    yield run
    for server in servers:
        server.stop()


@pytest.fixture
def program() -> Callable[[str], str]:
    """Give what returns the program of a server, or skips the test."""
    return program_of


def run_pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Environment:
    """A virtual environment with packages of its own; our dependencies are those of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        if not folder.exists():
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
            paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
            (self.packages / "dependencies.pth").write_text("\n".join(sorted(paths)))

    @functools.cached_property
    def packages(self) -> Path:
        """Where packages are installed."""
        return Path(self.run("import sysconfig; print(sysconfig.get_path('purelib'))").strip())

    def install(self, *what: str | Path) -> None:
        """Install packages, without the network."""
        self.pip("install", "--no-compile", "--no-deps", "--no-index", *what)

    def copy(self, folder: Path) -> Environment:
        """Return a copy of the environment."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Environment(folder)

    def pip(self, *arguments: str | Path) -> None:
        """Run pip, which has nothing to complain of."""
        run = run_pip("--python", self.python, *arguments)
        assert run.returncode == 0, run.stderr

    def run(self, script: str, *arguments: str | Path) -> str:
        """Run a script there, isolated from this process's variables and working directory; return its output."""
        command = [str(self.python), "-I", "-X", "utf8", "-c", textwrap.dedent(script), *map(str, arguments)]
        variables = {**os.environ, "SPANFORGE_SIGNING_KEY": "x7" * 20}  # or the PyPI package spanforge warns
        run = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60, env=variables)
        assert (run.returncode, NOT_DELIVERED.sub("", run.stderr)) == (0, "")
        return run.stdout

    def ask(self, expression: str) -> Any:
        """Return the value of an expression there, about the module ``registry``."""
        return json.loads(
            self.run(f"import json\nimport spanforge.model_registry as registry\nprint(json.dumps(({expression})))")
        )


@pytest.fixture(scope="session")
def pip() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give what runs pip."""
    return run_pip


@pytest.fixture(scope="session")
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """Give what makes a virtual environment that has this name, and nothing but our dependencies."""
    return lambda name: Environment(tmp_path_factory.mktemp(name) / "env")


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give our wheel, built from this tree without the network."""
    folder = tmp_path_factory.mktemp("our-wheel")
    run = run_pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, ROOT)
    assert run.returncode == 0, run.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def example() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give what runs one of the examples in a folder, without the settings of OpenTelemetry that the tests have."""

    def run(name: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
        return subprocess.run(
            [sys.executable, str(ROOT / "examples" / name), *arguments],
            cwd=folder,
            env={**clean, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


@pytest.fixture(scope="session")
def demo(example: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give what runs the demo in a folder."""
    return functools.partial(example, "support_agent/run.py")
