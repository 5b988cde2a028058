"""Run the released tests of other packages with and without the span processor, and compare the outcomes.

Usage: upstream.py [PACKAGE ...]

The tests come from the packages' source distributions on PyPI, so this needs the network. A package whose distribution
has no tests is named, and left out. Each test runs three times: without the span processor, and with it before or after
the other processors of each tracer provider. Tests do not see the attributes ``model_registry.*``. ``build/upstream``
keeps distributions, environments and output; remove it to test newer releases. If outcomes differ, the tests run once
more: a test that differs only once is unsteady.

The module is also the plugin of pytest that adds the processor and records the outcomes.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "build" / "upstream"
PREFIX: Final = "model_registry."
OUTCOMES_FILE: Final = "UPSTREAM_OUTCOMES"
"""The variable with the path to which the plugin writes the outcomes."""
PLACE: Final = "UPSTREAM_PLACE"
"""The variable with the place of the span processor; without it there is none."""
HOOKS: Final = {"first": "__init__", "last": "get_tracer"}
"""The places of the span processor, and the method of a tracer provider after which it is added."""
SECONDS: Final = 1800
"""The time limit of one run of tests."""
COLUMNS: Final = ("package", "place", "tests", "passed", "same", "different", "unsteady", "spans enriched", "")
OPTIONS: Final = ("-q", "--continue-on-collection-errors", "-p", "no:cacheprovider", "-p", "upstream")
RANKS: Final = ("passed", "skipped", "failed")
"""Outcomes of the phases of a test. The last one counts."""
BASIC: Final = ("pytest", "opentelemetry-test-utils")
RECORDED: Final = ("pytest<9", "pytest-asyncio<0.24", "pytest-recording", "vcrpy<9", "requests")
"""What tests with recorded answers of servers need."""


class Suite(NamedTuple):
    """The tests of a package.

    Attributes:
        package: The package's name on PyPI.
        needs: Requirements of the tests.
    """

    package: str
    needs: tuple[str, ...] = BASIC


SUITES: Final = (
    Suite("opentelemetry-sdk", (*BASIC, "psutil", "flaky")),
    Suite("opentelemetry-processor-baggage"),
    Suite("opentelemetry-instrumentation-requests", (*BASIC, "requests", "mocket", "httpretty")),
    Suite("opentelemetry-instrumentation-openai", (*RECORDED, "openai[datalib]==1.99.7")),
    Suite("opentelemetry-instrumentation-anthropic", (*RECORDED, "anthropic[bedrock]==0.86.0")),
    Suite("traceloop-sdk", (*RECORDED, "openai<3", "anthropic<1", "langchain<2", "langchain-openai<2", "pandas")),
    Suite("openinference-instrumentation-openai"),
    Suite("langfuse"),
    Suite("logfire"),
    Suite("pydantic-ai-slim"),
)


def compare(without: Mapping[str, str], with_processor: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the two outcomes of each test that differs. A test that did not run in one of them does."""
    names = sorted(without.keys() | with_processor.keys())
    pairs = {name: (without.get(name, "not run"), with_processor.get(name, "not run")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def hide_keys(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return attributes without those of the registry; the same object if there are none of them."""
    if not any(key.startswith(PREFIX) for key in attributes):
        return attributes
    return MappingProxyType({key: value for key, value in attributes.items() if not key.startswith(PREFIX)})


def format_table(rows: Iterable[tuple[object, ...]]) -> str:
    """Return rows with aligned columns, one row per line."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


class Recorder:
    """A plugin of pytest that records the outcome of each test, and of each file that cannot be collected.

    It also records the number of spans that the span processor enriched.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._outcomes: dict[str, str] = {}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that cannot be collected."""
        if report.failed:
            self._outcomes[report.nodeid] = "not collected"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a phase of a test."""
        before = self._outcomes.get(report.nodeid, RANKS[0])
        self._outcomes[report.nodeid] = max(before, report.outcome, key=RANKS.index)

    def pytest_sessionfinish(self) -> None:
        """Write the outcomes."""
        from spanforge.model_registry.otel import status  # noqa: PLC0415 - only under pytest

        self._file.write_text(json.dumps({"outcomes": self._outcomes, "enriched": status().spans_enriched}), "utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Record outcomes; add the span processor to every tracer provider if a place is set."""
    config.pluginmanager.register(Recorder(Path(os.environ[OUTCOMES_FILE])))
    if PLACE in os.environ:
        add_processors(HOOKS[os.environ[PLACE]])


def add_processors(hook: str) -> None:
    """Add a span processor to each tracer provider after a method's first call, and hide its attributes."""
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: PLC0415 - only under pytest

    from spanforge.model_registry import ModelRegistry  # noqa: PLC0415
    from spanforge.model_registry.otel import ModelRegistrySpanProcessor  # noqa: PLC0415

    registry = ModelRegistry(auto_emit=False)
    registry.register("upstream", "Upstream", "1", "high", "team", "test", aliases=["*"])
    method: Callable[..., Any] = getattr(TracerProvider, hook)

    @functools.wraps(method)
    def call(provider: Any, *arguments: Any, **options: Any) -> Any:
        result = method(provider, *arguments, **options)
        if not vars(provider).get("_has_upstream"):
            vars(provider)["_has_upstream"] = True
            TracerProvider.add_span_processor(provider, ModelRegistrySpanProcessor(registry, metrics=False))
        return result

    setattr(TracerProvider, hook, call)
    read_attributes = vars(ReadableSpan)["attributes"].fget
    ReadableSpan.attributes = property(lambda span: hide_keys(read_attributes(span)))  # type: ignore[assignment, method-assign]


def run_pip(python: Path | str, *arguments: str | Path) -> None:
    """Run pip, and stop if it fails."""
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments], check=True)


def download_tests(package: str) -> Path | None:
    """Return the folder of a package's newest source distribution; ``None`` if it has no tests."""
    folder = FOLDER / package
    if not folder.exists():
        run_pip(sys.executable, "download", "--no-deps", "--no-binary", package, "--dest", folder, package)
        (file,) = folder.glob("*.tar.gz")
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir() and path.name != "venv")
    if "[tool.pytest" not in (source / "pyproject.toml").read_text("utf-8"):
        (source / "pytest.ini").touch()  # or pytest would take the configuration of this project
    return source if any(source.glob("tests/**/test_*.py")) else None


def make_environment(suite: Suite, source: Path) -> Path:
    """Return the Python of an environment with a package, its tests' requirements and those of the span processor."""
    folder = source.parent / "venv"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, clear=True, with_pip=True)
        version = source.name.rpartition("-")[2]
        run_pip(python, "install", f"{suite.package}=={version}", "opentelemetry-sdk", "msgspec", *suite.needs)
        (folder / "complete").touch()
    return python


def run_tests(python: Path, source: Path, place: str | None) -> tuple[dict[str, str], int]:
    """Run a package's tests, and return their outcomes and the number of enriched spans."""
    file = source.parent / f"outcomes-{place}.json"
    file.unlink(missing_ok=True)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_"))}
    variables |= {OUTCOMES_FILE: str(file), "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tools")])}
    variables["PATH"] = os.pathsep.join([str(python.parent), variables["PATH"]])
    if place:
        variables[PLACE] = place
    command: list[str | Path] = [python, "-m", "pytest", *OPTIONS, "tests"]
    with (source.parent / f"output-{place}.txt").open("w") as output:
        subprocess.run(command, cwd=source, env=variables, stdout=output, stderr=output, check=False, timeout=SECONDS)
    found = json.loads(file.read_text("utf-8"))
    return found["outcomes"], found["enriched"]


def run_suite(suite: Suite) -> tuple[list[tuple[object, ...]], list[str]]:
    """Return the rows of a suite in the table, and lines about tests that differ or did not run."""
    source = download_tests(suite.package)
    if source is None:
        return [(suite.package, *[""] * 7, "its source distribution has no tests")], []
    python = make_environment(suite, source)
    rows: list[tuple[object, ...]] = []
    lines = []
    without = run_tests(python, source, None)[0]
    for place in HOOKS:
        outcomes, enriched = run_tests(python, source, place)
        once = compare(without, outcomes)
        twice = compare(without, run_tests(python, source, place)[0]) if once else {}
        different = {test: pair for test, pair in once.items() if test in twice}
        counts = len(different), len(once) - len(different)
        tests, passed = len(without.keys() | outcomes), list(outcomes.values()).count("passed")
        rows.append((source.name, place, tests, passed, tests - len(once), *counts, enriched, ""))
        named = f"{suite.package}, {place}"
        if not passed:
            lines.append(f"{named}: no test passed; see {source.parent}/output-{place}.txt")
        lines += [f"{named}: {test}: {before}, then {after}" for test, (before, after) in different.items()]
    return rows, lines


def main(packages: list[str]) -> int:
    """Run the suites, print the table and the differences, and return the exit code."""
    rows: list[tuple[object, ...]] = [COLUMNS]
    lines = []
    for suite in SUITES:
        if not packages or suite.package in packages:
            print(f"upstream: {suite.package}", flush=True)
            suite_rows, suite_lines = run_suite(suite)
            rows += suite_rows
            lines += suite_lines
    print(format_table(rows), *lines, sep="\n")
    return 1 if lines else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("package", nargs="*")
    sys.exit(main(parser.parse_args().package))
