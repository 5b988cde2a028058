"""Every supported opentelemetry-sdk and Python: the library's tests hold with it, and what it can do is documented."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, NamedTuple

import pytest
from environments import install_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.matrix

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "versions.md"
SDKS = ("oldest", "1.40.0", "1.42.1", "1.43.0", "1.44.0", "newest")
"""Pinned sets of dependencies: ``oldest`` has the lower bound of each, the others are as new as the SDK allows."""
HERE = f"3.{sys.version_info.minor}"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
OF_PYTHONS = [("oldest", "3.10"), *(("newest", version) for version in PYTHONS)]
LINES = list(dict.fromkeys([*((sdk, HERE) for sdk in SDKS), *OF_PYTHONS]))
NOT_OF_THE_SDK = {
    "otel/test_instrumentations.py",  # real clients: these are in the matrix
    "otel/test_llm_instrumentations.py",
    "contract/test_instrumentation_facts.py",
    "contract/test_logfire_facts.py",
    "compliance/analysis/test_retention.py",  # the exporter of JSON files, and html5lib
    "compliance/formats/test_formats.py",
    "compliance/test_engine.py",
    "compliance/test_event_signals.py",
    "compliance/test_findings.py",
    "test_alerts.py",
    "test_benchmarks.py",
    "test_code_blocks.py",
    "test_collector_config.py",
    "test_compose_config.py",
    "test_dashboards.py",
    "test_docs.py",
    "test_documentation.py",
    "test_interrupted.py",  # one version of CPython, and no SDK
    "test_kubernetes.py",
    "test_mutations.py",
    "test_pin_images.py",
    "test_prose.py",
    "test_release.py",
    "test_semconv.py",
    "test_supply_chain.py",
}
"""Tests that need other packages than the SDK's, or that neither the SDK nor Python's version changes."""
OF_EXTRAS = ("cli/", "compliance/")
FOLDERS = (
    "cli",
    "compliance",
    "compliance/*",
    "contract",
    "json_files",
    "layers",
    "otel",
    "provider_calendar",
    "watch",
    "yaml_files",
)
"""Folders of tests that run with each Python, except those of ``OF_EXTRAS``."""
ENDS = (*OF_PYTHONS[:2], OF_PYTHONS[-1])
"""The lines that also run the tests of commands and evidence: oldest and newest packages on the ends of Python."""
ONLY_SDK = {("newest", HERE), ("newest", "3.12")}
"""The lines of Pythons that run only the SDK's tests: ``make test`` runs all with the first, and both neighbours of the
second do."""
ONLY_FACTS = {(sdk, HERE) for sdk in ("oldest", "newest")}
"""The lines that only test facts about the SDK: ``make test`` and the line of the oldest Python run their tests."""
WITH_SLOW_TESTS = [("newest", version) for version in PYTHONS[-2:]]
"""The lines that also run slow tests: ``make test`` runs them on an older Python."""
USERS_OF_THE_SDK = (
    *("contract/", "otel/", "test_default", "test_events", "test_log_events", "test_seed_page", "test_testing"),
)
"""The beginnings of the tests that run with each SDK."""
TESTS = {
    str(path.relative_to(ROOT / "tests"))
    for pattern in ("test_*.py", *(f"{folder}/test_*.py" for folder in FOLDERS))
    for path in (ROOT / "tests").glob(pattern)
} - NOT_OF_THE_SDK

KNOWN_WARNING = "ignore:SelectableGroups dict interface is deprecated:DeprecationWarning"
"""opentelemetry-api 1.42 has it of Pythons before 3.12, when it is imported."""

LATE_AFTER = "model set late, processor after the exporter's"
FORGED_AFTER = "foreign `model_registry.*` removed, processor after the exporter's"
COUNTED = "events as log records are counted as dropped if there is no log processor"
RENEWED = "`service.instance.id` is renewed after `fork`"
LACKS = {
    "oldest": {LATE_AFTER, FORGED_AFTER, COUNTED, RENEWED},
    "1.40.0": {COUNTED, RENEWED},
    "1.42.1": {COUNTED, RENEWED},
    "1.43.0": {COUNTED, RENEWED},
    "1.44.0": {COUNTED},
    "newest": set(),
}
"""What cannot be done with an SDK, as the documentation says."""


class Seen(NamedTuple):
    """What came of the tests with an SDK, and what it can do."""

    status: int
    output: str
    version: str
    abilities: dict[str, bool]


def interpreter(version: str) -> str | None:
    """Return the path of a Python of this version that runs, if the machine has one."""
    if version == HERE:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for python in filter(None, [which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python"))]):
        command = [python, "-c", "import venv, ensurepip"]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return python
    return None


def list_tests(sdk: str, version: str) -> list[str]:
    """Return the arguments that choose the tests: all with most Pythons, the SDK's with most other lines, or facts."""
    line = (sdk, version)
    if line in ONLY_FACTS:
        return ["-m", "not e2e", "tests/contract/test_sdk_facts.py"]
    chosen = TESTS
    if line not in OF_PYTHONS or line in ONLY_SDK:
        chosen = {name for name in TESTS if name.startswith(USERS_OF_THE_SDK)}
    if line not in ENDS:
        chosen = {name for name in chosen if not name.startswith(OF_EXTRAS)}
    marks = "not e2e" if line in WITH_SLOW_TESTS else "not e2e and not slow"
    return ["-m", marks, *(f"tests/{name}" for name in sorted(chosen))]


def see(python: Path, environ: dict[str, str], wheel: Path, folder: Path, chosen: list[str]) -> Seen:
    """Install the package beside an SDK, run tests with it, and try what it can do."""
    install_wheel(python, wheel)
    subprocess.run([sys.executable, "-m", "uv", "--quiet", "pip", "check", "--python", python], check=True)
    settings = {**environ, "PYTHONPATH": ""}  # the wheel, not the source
    command = [
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        KNOWN_WARNING,
        *chosen,
    ]
    done = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)
    found = folder / "abilities.json"
    subprocess.run(
        [python, Path(__file__).with_name("abilities.py"), found],
        env={**settings, "OTEL_PYTHON_MODEL_REGISTRY_EVENTS": "log"},
        cwd=folder,
        check=True,
        timeout=120,
    )
    return Seen(done.returncode, done.stdout + done.stderr, **json.loads(found.read_text("utf-8")))


@pytest.fixture(scope="module")
def seen(
    environment: Callable[..., Path], environ: dict[str, str], wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Future[Seen] | None]]:
    """Give what was seen with each SDK and Python; two at once, because some of the tests wait."""

    def run(sdk: str, version: str, base: str, folder: Path) -> Seen:
        return see(environment(f"sdk-{sdk}", base), environ, wheel, folder, list_tests(sdk, version))

    with ThreadPoolExecutor(2) as threads:
        yield {
            (sdk, version): (base := interpreter(version))
            and threads.submit(run, sdk, version, base, tmp_path_factory.mktemp(f"{sdk}-{version}"))
            for sdk, version in LINES
        }
        threads.shutdown(cancel_futures=True)


@pytest.mark.parametrize(("sdk", "python"), LINES)
def test_an_sdk(sdk: str, python: str, seen: dict[tuple[str, str], Future[Seen] | None]) -> None:
    """The tests hold, and what the SDK can do is what the documentation says."""
    future = seen[sdk, python]
    if future is None:
        pytest.skip(f"this machine has no Python {python}")
    found = future.result()
    assert found.status == 0, found.output
    assert {ability for ability, there in found.abilities.items() if not there} == LACKS[sdk]


def test_the_documentation(seen: dict[tuple[str, str], Future[Seen]], documented: Callable[..., None]) -> None:
    """The tables are what this run saw and what is pinned; ``--write-docs`` renews them."""
    found = [seen[sdk, HERE].result() for sdk in SDKS]
    can = [["opentelemetry-sdk", *(each.version for each in found)]]
    can += [
        [ability, *("yes" if each.abilities[ability] else "no" for each in found)] for ability in found[0].abilities
    ]
    documented(PAGE, {"matrix: abilities": can, "matrix: dependencies": dependencies()})


def dependencies() -> list[list[str]]:
    """Return which versions of the package's dependencies the sets of the oldest and the newest have."""
    names = re.findall(
        r'^.*"([a-z][a-z0-9.-]*)(?:\[\w+\])?>=.*,<.*"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    sets = [(ROOT / "requirements" / f"matrix-sdk-{sdk}.txt").read_text("utf-8") for sdk in ("oldest", "newest")]
    pins = [dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE)) for text in sets]
    rows = [[name, *(pinned[name.replace(".", "-")] for pinned in pins)] for name in dict.fromkeys(names)]
    return [["dependency", "oldest", "newest"], *rows]
