"""Fixtures with real servers, environments of their own, and examples."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support import startup
from support.processes import environment
from support.servers import RETRY_SOON, archive_settings, program_of, running, starting_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.servers import Backend, Server

ROOT = Path(__file__).parents[2]
NOT_DELIVERED = re.compile(
    r"model registry: \d+ lifecycle events? (?:was|were) not delivered: no tracer provider was set\n"
)
"""What a process says at its end in which models were registered, but no OpenTelemetry SDK was set up."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that renew the documentation's pictures."""
    parser.addoption("--pictures", metavar="FOLDER", help="draw the dashboards into this folder")
    parser.addoption("--jaeger-page", metavar="FOLDER", help="the build of Jaeger's web page to draw too")


@pytest.fixture(scope="session")
def backend() -> Iterator[Backend]:
    """Give a Collector and a Jaeger that all tests share."""
    with running() as both:
        yield both


@pytest.fixture
def own_backend() -> Iterator[Backend]:
    """Give a Collector and a Jaeger that a test may stop and start."""
    with running(*RETRY_SOON) as both:
        yield both


@pytest.fixture
def run_server() -> Iterator[Callable[..., Server]]:
    """Give a function that starts a server with further configuration files and settings; it ends with the test."""
    with starting_servers() as run:
        yield run


@pytest.fixture(scope="module")
def run_module_server() -> Iterator[Callable[..., Server]]:
    """Give a function that starts a server for all tests of a module."""
    with starting_servers() as run:
        yield run


@pytest.fixture
def program() -> Callable[[str], str]:
    """Give what returns the program of a server, or skips the test."""
    return program_of


def run_pip(*arguments: str | Path, python: str | Path = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run pip. An environment has that of the tests among its dependencies."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
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
        """Run pip there, which has nothing to complain of."""
        run = run_pip(*arguments, python=self.python)
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


@pytest.fixture
def jaeger(run_server: Callable[..., Server]) -> Server:
    """Give a Jaeger."""
    return run_server("jaeger")


@pytest.fixture
def collector(run_server: Callable[..., Server], tmp_path: Path) -> Callable[..., Server]:
    """Give what starts a Collector, with its archive in the test's folder."""

    def run(jaeger: Server | None = None, **settings: str) -> Server:
        defaults = {
            **archive_settings(tmp_path),
            "OTELCOL_DECISION_WAIT": "1s",
            "OTELCOL_METRICS_FLUSH": "200ms",
            **({} if jaeger is None else {"JAEGER_OTLP_ENDPOINT": jaeger.at["JAEGER_OTLP_GRPC"]}),
        }
        return run_server("otelcol", **{**defaults, **settings})

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a registry file."""
    return tmp_path / "models.json"


@pytest.fixture(scope="session")
def startup_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with what stages share."""
    return startup.prepare(tmp_path_factory.mktemp("startup"))


@pytest.fixture
def stage(tmp_path: Path, startup_folder: Path) -> startup.Stage:
    """Give a folder in which an application is started, and that has nothing broken."""
    return startup.Stage(tmp_path, startup_folder)


@pytest.fixture(scope="session")
def example() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give what runs one of the examples in a folder, without the settings of OpenTelemetry that the tests have."""

    def run(name: str, folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "examples" / name), *arguments],
            cwd=folder,
            env=environment(**settings),
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
