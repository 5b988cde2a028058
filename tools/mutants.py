"""Measure what the tests notice: put one fault at a time into a module, and run the tests that reach it.

Usage: mutants.py [-n NUMBER] [--seed SEED] [--budget SECONDS] [--source COMMIT] [--tests PATH ...] [PATH ...]

Each PATH is a module or a folder of the package. A fault is killed if a test fails or does not end. A fault that no
test notices survives: either a test is missing, or the changed program does the same. End-to-end tests do not count,
except those with the engine of ClickHouse, which are the only ones of their modules.

To compare the tests of two commits, give both runs the same --source: they then test the same faults. A fault whose
line of code is nowhere any more is left out.

The tests run in a copy of the clone. The first run records which functions each test calls, and takes several minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from importlib.metadata import entry_points
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

import pytest
from environments import make_environment
from mutations import Mutation, find_mutations

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = "src/spanforge/model_registry/"
OPTIONS: Final = ("-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-m", "not e2e and not matrix")
LEFT_OUT: Final = ("architecture", "test_benchmarks.py", "test_docs.py", "test_prose.py")
"""Tests that read the source instead of running it."""
PRELOADED: Final = ("hypothesis", "opentelemetry.sdk.trace", "opentelemetry.sdk.metrics", "jsonschema", "yaml")
"""Modules that are imported once for all runs of tests. None of them imports the package."""
TABLES: Final = ("compliance/_sources/clickhouse", "compliance/_sources/tables", "compliance/_analysis/table_scan")
"""The beginnings of the modules whose tests need ClickHouse's engine."""
FILE_SECONDS: Final = 0.2
"""The seconds to collect a file of tests."""


class Recorder:
    """A plugin of pytest that records the processor seconds of each test that passes, and the functions it calls."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seconds: dict[str, float] = {}
        self._functions: defaultdict[str, defaultdict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        self._called: set[tuple[str, int]] = set()
        self._has_failed = False
        self._source = str(Path.cwd() / "src")

    def _note_call(self, frame: Any, *_: object) -> None:
        code = frame.f_code
        if code.co_filename.startswith(self._source):
            self._called.add((code.co_filename, code.co_firstlineno))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Trace the test's calls in all threads."""
        self._called, self._has_failed = set(), False
        start = sum(os.times()[:4])
        threading.settrace(self._note_call)
        sys.settrace(self._note_call)
        result = yield
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type] - it takes None
        if not self._has_failed:
            self._seconds[item.nodeid] = sum(os.times()[:4]) - start
            for path, line in self._called:
                self._functions[os.path.relpath(path)][line].append(item.nodeid)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Leave out a test that does not pass."""
        self._has_failed |= not report.passed

    def pytest_sessionfinish(self) -> None:
        """Write what was recorded."""
        self._file.write_text(json.dumps({"seconds": self._seconds, "functions": self._functions}))


class Chooser:
    """A plugin of pytest that runs some tests only, by file and in their order."""

    def __init__(self, tests: list[str]) -> None:
        self._order = {test: number for number, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Drop the other tests."""
        chosen = [item for item in items if item.nodeid in self._order]
        items[:] = sorted(chosen, key=lambda item: self._order[item.nodeid])


class Copy:
    """A copy of the clone, in which modules get faults, and what its tests call.

    Args:
        paths: The tests to run.
    """

    def __init__(self, paths: list[str]) -> None:
        self.folder = self._copy_clone()
        self.log = self.folder / "pytest.log"
        os.chdir(self.folder)
        sys.path[:0] = [str(self.folder / "src"), str(self.folder)]
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
        sys.dont_write_bytecode = False
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        name = hashlib.sha256(" ".join(paths).encode()).hexdigest()[:8]
        file = self.folder / f"calls-{name}.json"
        if not file.exists():
            print("mutants: recording which functions each test calls", file=sys.stderr)
            run_pytest([*(f"--ignore=tests/{name}" for name in LEFT_OUT), *paths], self.log, 7200, Recorder(file))
        found = json.loads(file.read_text())
        self.seconds: dict[str, float] = found["seconds"]
        self.functions: dict[str, dict[str, list[str]]] = found["functions"]
        sys.dont_write_bytecode = True  # or bytecode of a fault would outlast it
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

    @staticmethod
    def _copy_clone() -> Path:
        """Return the folder of the copy. Each content of the clone has its own."""
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
        files = {name: (ROOT / name).read_bytes() for name in names if (ROOT / name).is_file()}
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        folder = ROOT / "build" / "mutants" / digest[:16]
        for name, content in files.items():
            target = folder / name
            if not target.exists() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        return folder

    def choose_tests(self, path: str, function: int, budget: float) -> list[str]:
        """Return the tests to run for a fault: those of files that import the module first, each file's fastest first.

        If no test calls the function, as when an import or another process does, all tests are chosen that call the
        module or whose file imports it, or else those of its folder.
        """
        functions = self.functions.get(path, {})
        folder = Path(path).relative_to(PACKAGE).parts[0]
        near = self._find_importing_files(path)
        tests = set(functions.get(str(function), ()))
        tests = tests or {test for tests in functions.values() for test in tests} | self._list_tests(near)
        tests = tests or {test for test in self.seconds if test.startswith(f"tests/{folder}/")} or set(self.seconds)
        files: dict[str, list[str]] = defaultdict(list)
        for test in sorted(tests, key=lambda test: (self.seconds[test], test)):
            files[test.partition("::")[0]].append(test)
        chosen, used = [], 0.0
        for file in sorted(files, key=lambda file: (file not in near, self.seconds[files[file][0]], file)):
            limit, used = used + budget / 5, used + FILE_SECONDS
            for test in files[file]:
                if test == files[file][0] or used + self.seconds[test] < limit:
                    used += self.seconds[test]
                    chosen.append(test)
            if used > budget:
                break
        return chosen

    def _find_importing_files(self, path: str) -> set[str]:
        """Return the files of tests that import a module or have its name."""
        name = Path(path).stem
        package = ".".join(Path(path).relative_to("src").parent.parts)
        imports = re.compile(rf"from {re.escape(package)}(\.{name} import|[.\w]* import .*\b{name}\b)")
        files = {test.partition("::")[0] for test in self.seconds}
        return {file for file in files if name.strip("_") in file or imports.search(Path(file).read_text("utf-8"))}

    def _list_tests(self, files: set[str]) -> set[str]:
        return {test for test in self.seconds if test.partition("::")[0] in files}

    def find_killer(self, path: str, mutation: Mutation | None, tests: list[str]) -> str | None:
        """Return the line of pytest about the test that fails with a fault; ``None`` if the tests pass."""
        seconds = 60 + 10 * sum(self.seconds[test] for test in tests)
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        with self._having(path, mutation):
            code = run_pytest(["-x", *files], self.log, seconds, Chooser(tests))
            if code == 0 and path.removeprefix(PACKAGE).startswith(TABLES):
                code = self._run_clickhouse_tests()
        if code is None:
            return "the tests do not end"
        lines = self.log.read_text(errors="replace").splitlines()
        failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        return [*failures, f"pytest ends with code {code}"][0] if code else None

    def _run_clickhouse_tests(self) -> int | None:
        """Return the exit code of pytest in the environment of ClickHouse's engine; ``None`` if it does not end."""
        python = make_environment("clickhouse", "clickhouse/python")
        command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/clickhouse"]
        with self.log.open("wb") as log, contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(command, stdout=log, stderr=log, timeout=600, check=False).returncode
        return None

    @contextlib.contextmanager
    def _having(self, path: str, mutation: Mutation | None) -> Iterator[None]:
        """Give a module a fault for a while."""
        file = Path(path)
        source, times = file.read_bytes(), file.stat()
        try:
            if mutation is not None:
                file.write_bytes(mutation.apply(source))
                later = time.time_ns() + random.randrange(10**10, 10**15)  # noqa: S311 - a time without bytecode
                os.utime(file, ns=(later, later))
            yield
        finally:
            file.write_bytes(source)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def run_pytest(arguments: list[str], log: Path, seconds: float, plugin: object) -> int | None:
    """Return pytest's exit code in a child process, or ``None`` if it does not end in time."""
    child = os.fork()
    if child == 0:
        os.setsid()
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = 70
        try:
            ignored = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins that were imported before
            code = int(pytest.main([*OPTIONS, *ignored, *arguments], plugins=[plugin]))
        finally:
            sys.stdout.flush()
            os._exit(code)
    end = time.monotonic() + seconds
    pid = status = 0
    while not pid and time.monotonic() < end:
        time.sleep(0.02)
        pid, status = os.waitpid(child, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not pid:
        os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if pid else None


def read_modules(paths: list[str], commit: str | None) -> dict[str, bytes]:
    """Return the content of the modules at paths of the package, in the clone or in a commit."""
    if commit is None:
        places = [ROOT / PACKAGE / path for path in paths]
        files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
        return {str(file.relative_to(ROOT)): file.read_bytes() for file in files}

    def ask_git(*arguments: str) -> bytes:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout

    lists = [ask_git("ls-tree", "-r", "--name-only", commit, "--", PACKAGE + path).decode().split() for path in paths]
    names = [name for each in lists for name in sorted(each, key=PurePath) if name.endswith(".py")]
    return {name: ask_git("show", f"{commit}:{name}") for name in names}


def find_again(module: str, fault: Mutation, old: bytes, modules: dict[str, bytes]) -> tuple[str, Mutation] | None:
    """Return the same fault in changed modules: the same texts on the same line of code, if possible in its module."""

    def describe(mutation: Mutation, source: bytes) -> tuple[str, bytes]:
        return mutation.describe(source), source.splitlines()[mutation.line - 1].strip()

    def list_alike(source: bytes) -> list[Mutation]:
        if wanted[1] not in source:
            return []
        return [each for each in find_mutations(source) if describe(each, source) == wanted]

    wanted = describe(fault, old)
    number = list_alike(old).index(fault)
    for name in sorted(modules, key=lambda name: name != module):
        alike = list_alike(modules[name])
        if len(alike) > number:
            return name, alike[number]
    return None


def main() -> int:
    """Test a sample of mutations, and print those that survive and the share that is killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=100, help="number of mutations (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    parser.add_argument("--budget", type=float, default=30, help="processor seconds of tests for each (default: 30)")
    parser.add_argument("--source", metavar="COMMIT", help="draw the sample from the modules of this commit")
    parser.add_argument("--tests", nargs="+", default=["tests"], help="tests to run (default: all)")
    parser.add_argument("paths", nargs="*", default=["_core", "otel", "compliance"], help="modules or folders")
    arguments = parser.parse_args()
    for module in PRELOADED:
        __import__(module)
    for plugin in entry_points(group="pytest11"):
        plugin.load()
    gc.freeze()
    modules, drawn_from = read_modules(arguments.paths, None), read_modules(arguments.paths, arguments.source)
    faults = [(module, fault) for module, source in drawn_from.items() for fault in find_mutations(source)]
    drawn = random.Random(arguments.seed).sample(faults, min(arguments.n, len(faults)))  # noqa: S311
    sample = drawn
    if arguments.source:
        found = [find_again(module, fault, drawn_from[module], modules) for module, fault in drawn]
        sample = [each for each in found if each is not None]
    if len(sample) < len(drawn):
        print(f"{len(drawn) - len(sample)} mutations are left out, because their lines are no longer in the code")
    copy = Copy(arguments.tests)
    failure = copy.find_killer(sample[0][0], None, copy.choose_tests(sample[0][0], 0, arguments.budget))
    if failure:
        sys.exit(f"mutants: the tests fail without a fault: {failure}")
    survivors = 0
    for module, mutation in sample:
        tests = copy.choose_tests(module, mutation.function, arguments.budget)
        killer = copy.find_killer(module, mutation, tests)
        survivors += killer is None
        result = f"survives {len(tests)} tests" if killer is None else f"killed: {killer[:100]}"
        place = f"{module.removeprefix(PACKAGE)}:{mutation.line}"
        print(f"{place}: {mutation.describe(modules[module])}: {result}", flush=True)
    print(f"{len(sample) - survivors} of {len(sample)} mutations are killed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
