"""Look for inputs for which the library breaks a promise, with atheris.

Usage: fuzz.py [--seconds SECONDS] [--fresh] [TARGET ...]    fuzz these targets, or all, in turn
       fuzz.py --input FILE TARGET                           try one input

A target is a row of ``TARGETS`` in ``tests/support/fuzz/targets.py``. Its corpus is in ``tests/fuzz/corpus``. Inputs
that reach new code, and those for which a target fails, are kept in ``build/fuzz``. With ``--fresh``, earlier ones are
not used, and only those for which a target fails are kept.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from environments import ROOT, make_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

RUN: Final = ROOT / "tools" / "atheris_run.py"
CORPUS: Final = ROOT / "tests" / "fuzz" / "corpus"
NAMES: Final = tuple(sorted(path.name for path in CORPUS.iterdir()))
FOUND: Final = ROOT / "build" / "fuzz"
NO_WHEEL: Final = (
    "atheris has no wheel for this Python; fuzzing needs Linux and Python 3.11 or newer: make PYTHON=python3.11"
)
OLDEST: Final = (3, 11)
"""The oldest Python for which ``requirements/fuzz.txt`` has atheris."""
SHOWN_LINES: Final = 40
"""The last lines of output that are shown if a target fails."""
START: Final = "fuzz: start "
_COVERED: Final = re.compile(r"^#\d+\s+\w+\s+cov: (\d+)", re.MULTILINE)
_FAILED_INPUT: Final = re.compile(r"Test unit written to (.+)")
_RUNS: Final = re.compile(r"^stat::number_of_executed_units: (\d+)", re.MULTILINE)


class NoFuzzerError(Exception):
    """There is no fuzzer for this Python. The message names the Pythons that have one."""


class Outcome(NamedTuple):
    """The outcome of one target.

    Attributes:
        name: The target.
        runs: The number of inputs that were tried.
        first: The coverage of the corpus, as libFuzzer counts it.
        last: The coverage of all inputs.
        has_failed: Whether the target failed.
        failed_input: The file of the input for which it failed; may be empty.
    """

    name: str
    runs: int
    first: int
    last: int
    has_failed: bool
    failed_input: str

    def __str__(self) -> str:
        end = "FAILED" if self.has_failed else "ok"
        return f"fuzz: {self.name}: {self.runs:,} inputs, coverage {self.first} to {self.last}: {end}"


def find_python() -> Path:
    """Return the Python of the environment with atheris; make the environment if there is none.

    Raises:
        NoFuzzerError: atheris cannot be installed.
    """
    if sys.version_info < OLDEST:
        raise NoFuzzerError(NO_WHEEL)
    try:
        python = make_environment("fuzz", "fuzz/python", "--only-binary=:all:")
    except subprocess.CalledProcessError:
        raise NoFuzzerError(NO_WHEEL) from None
    if subprocess.run([python, "-c", "import atheris"], capture_output=True, check=False).returncode != 0:
        raise NoFuzzerError(NO_WHEEL)
    return python


def read_outcome(output: str) -> Outcome:
    """Return the outcome that a target's output reports. If it failed, print the end of the output."""
    name, _, output = output.partition("\n")
    covered = [int(number) for number in _COVERED.findall(output)]
    runs = _RUNS.search(output)
    has_failed = "fuzz: end 0" not in output
    if has_failed:
        print("\n".join(output.splitlines()[-SHOWN_LINES:]))
    failed = _FAILED_INPUT.search(output)
    first, last = covered[0] if covered else 0, max(covered, default=0)
    return Outcome(name, int(runs[1]) if runs else 0, first, last, has_failed, failed[1] if failed else "")


def run_targets(python: Path, arguments: list[str], names: Iterable[str]) -> list[Outcome]:
    """Run targets, and return their outcomes."""
    paths = os.pathsep.join(str(ROOT / name) for name in ("src", "tests"))
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, RUN, *arguments, *names]
    lines: list[str] = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout or ():
            lines.append(line.decode(errors="backslashreplace"))
            if lines[-1].startswith(START):
                print(lines[-1].strip(), "...", file=sys.stderr, flush=True)
    return [read_outcome(part) for part in "".join(lines).split(START)[1:]]


def parse_arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"targets (default: all): {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=int, default=600, help="seconds in all (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="use the corpus only")
    parser.add_argument("--input", metavar="FILE", type=Path, help="try this input only")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(NAMES))
    if unknown:
        parser.exit(2, f"fuzz: no target is called {', '.join(unknown)}: allowed are {', '.join(NAMES)}\n")
    if arguments.input and len(arguments.names) != 1:
        parser.exit(2, "fuzz: --input needs one target\n")
    return arguments


def main() -> int:
    """Fuzz, and return 1 if a target failed, or 3 if there is no fuzzer."""
    arguments = parse_arguments()
    try:
        python = find_python()
    except NoFuzzerError as error:
        print(error)
        return 3
    FOUND.mkdir(parents=True, exist_ok=True)
    if arguments.input:
        outcomes = run_targets(python, ["--input", str(arguments.input.resolve())], arguments.names)
    else:
        with tempfile.TemporaryDirectory() if arguments.fresh else nullcontext(str(FOUND / "inputs")) as kept:
            outcomes = run_targets(python, [str(arguments.seconds), kept, str(FOUND)], arguments.names or NAMES)
    for outcome in outcomes:
        print(outcome)
        if outcome.failed_input:
            print(f"fuzz: repeat it with: make fuzz ARGS='--input {outcome.failed_input} {outcome.name}'")
    return int(any(outcome.has_failed for outcome in outcomes) or not outcomes)


if __name__ == "__main__":
    sys.exit(main())
