"""Run benchmarks and print their results."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import instructions, report
from benchmarks.comparison import Result, Sizes, run
from benchmarks.rows import BENCHMARKS, NAMES
from spanforge.model_registry._core.settings import EVENTS

BUILD = Path(__file__).parent.parent / "build"
"""The folder for files. It is on a disk; a folder for temporary files may not be."""
OTHERS = "others"
"""The benchmark of other packages' processors, which runs in an environment of its own, with arguments of its own."""

CLICKHOUSE = "clickhouse"
"""The benchmark of evidence from ClickHouse, likewise."""

JAEGER = "jaeger"
"""The benchmark of evidence from Jaeger, which has arguments of its own too."""


def _rounds(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", allow_abbrev=False, description=__doc__)
    names = ", ".join(NAMES)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"benchmarks to run (default: all): {names}; or {OTHERS}, {CLICKHOUSE}, {JAEGER}",
    )
    parser.add_argument(
        "--rounds", type=_rounds, default=25, metavar="N", help="rounds per benchmark (default: %(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="check that everything runs, with tiny sizes; count nothing"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the results to a file")
    parser.add_argument("--write", action="store_true", help="write the results into docs/performance-results.md")
    return parser


def _arguments(given: list[str]) -> argparse.Namespace:
    parser = _parser()
    arguments = parser.parse_args(given)
    unknown = [name for name in arguments.names if name not in NAMES]
    if unknown:
        parser.exit(2, f"bench: no benchmark is called {', '.join(unknown)}: allowed are {', '.join(NAMES)}\n")
    if arguments.json and not Path(arguments.json).absolute().parent.is_dir():
        parser.exit(2, f"bench: --json {arguments.json}: there is no such folder\n")
    if arguments.write and (arguments.names or arguments.quick):
        parser.exit(2, "bench: --write is for all benchmarks at full size: leave out names and --quick\n")
    return arguments


def _run(arguments: argparse.Namespace, sizes: Sizes, *, counted: bool) -> list[Result]:
    results = []
    for benchmark in BENCHMARKS:
        if benchmark.name not in (arguments.names or NAMES):
            continue
        reason = benchmark.unavailable()
        if reason:
            print(f"{benchmark.name}: {benchmark.measure}: left out: {reason}", file=sys.stderr, flush=True)
        else:
            print(f"{benchmark.name}: {benchmark.measure} ...", file=sys.stderr, flush=True)
            results.append(
                run(benchmark, sizes, arguments.rounds, instructions.count if counted else lambda _spans: [])
            )
    return results


def _set_environment() -> None:
    """Clear OpenTelemetry's settings, and switch every signal on."""
    for name in os.environ:
        if name.startswith("OTEL_") or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]
    os.environ[EVENTS.variable] = "span,log"


def main(given: list[str]) -> int:
    """Run the selected benchmarks and return the exit code."""
    if given[:1] == [OTHERS]:
        from benchmarks import others  # noqa: PLC0415 - it imports what an exporter needs

        return others.start(given[1:])
    if given[:1] == [CLICKHOUSE]:
        from benchmarks import clickhouse  # noqa: PLC0415 - it has an environment of its own too

        return clickhouse.start(given[1:])
    if given[:1] == [JAEGER]:
        from benchmarks import jaeger  # noqa: PLC0415 - only it needs a Jaeger

        return jaeger.start(given[1:])
    arguments = _arguments(given)
    uncounted = "--quick uses tiny sizes" if arguments.quick else instructions.unavailable()
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        _set_environment()
        if not arguments.quick:  # the warm-up round compiles the modules
            os.environ["PYTHONPYCACHEPREFIX"] = folder
        tiny = Sizes(
            folder,
            spans=50,
            turns=1,
            threaded=20,
            models=200,
            some=20,
            registered=20,
            imports=1,
            rendered=40,
            requests=2,
            archived=10_000,
            hostile=20_000,
            checked=50,
            bad=50_000,
            globs=200,
            has_warm_up=False,
        )
        results = _run(arguments, tiny if arguments.quick else Sizes(folder), counted=not uncounted)
    known = report.environment(arguments.rounds, uncounted)
    print(report.as_text(known, results))
    if arguments.json:
        Path(arguments.json).write_text(report.as_json(known, results), "utf-8")
    if arguments.write:
        report.write(known, results)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
