"""Run fuzz targets with atheris, one after the other.

Usage: atheris_run.py SECONDS INPUTS FAILED TARGET ...    keep inputs that reach new code, and failing ones, in folders
       atheris_run.py --input FILE TARGET                 try one input

Each target runs in a process of its own: a crash ends only this one. All processes share the instrumented code.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "fuzz" / "corpus"
SECONDS_OF_ONE = 60
"""The seconds after which one input counts as endless, even on a busy machine."""
MEGABYTES = 1_024
"""The limit of the process's memory. Instrumented modules take a tenth of it."""

with atheris.instrument_imports(include=["spanforge.model_registry"]):
    from support.fuzz.limits import MAX_BYTES
    from support.fuzz.targets import TARGETS, prepare_target


def fuzz(name: str, folder: Path, options: dict[str, Any], *inputs: str) -> None:
    """Run one target; the process ends with it."""
    words = ["".join(f"\\x{byte:02x}" for byte in word.encode()) for word in TARGETS[name].words]
    (folder / "words").write_text("".join(f'"{word}"\n' for word in words), "ascii")
    options |= {"dict": folder / "words", "timeout": SECONDS_OF_ONE, "rss_limit_mb": MEGABYTES}
    given = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([name, *given, *inputs], prepare_target(name, folder))
    atheris.Fuzz()


def run_target(name: str, options: dict[str, Any], *inputs: str) -> None:
    """Run one target in a process of its own, and print how it ended."""
    print(f"fuzz: start {name}", flush=True)
    with tempfile.TemporaryDirectory(dir=find_fast_folder()) as folder:
        child = os.fork()
        if child == 0:
            fuzz(name, Path(folder), options, *inputs)
        status = os.waitpid(child, 0)[1]
    print(f"\nfuzz: end {status}", flush=True)


def find_fast_folder() -> str | None:
    """Return a folder in memory, because each input is a file; ``None`` if there is none."""
    folder = "/dev/shm"  # noqa: S108 - the folder in it has a random name
    return folder if os.access(folder, os.W_OK) else None


def main(first: str, *others: str) -> None:
    """Run targets in turn. Each gets its share of the seconds."""
    if first == "--input":
        run_target(others[1], {}, others[0])
        return
    inputs, failed, *names = others
    shares = sum(TARGETS[name].share for name in names)
    for name in names:
        options = {
            "max_total_time": max(1, round(float(first) * TARGETS[name].share / shares)),
            "max_len": MAX_BYTES,
            "artifact_prefix": f"{failed}/{name}-",
            "print_final_stats": 1,
        }
        Path(inputs, name).mkdir(parents=True, exist_ok=True)
        run_target(name, options, str(Path(inputs, name)), str(CORPUS / name))


if __name__ == "__main__":
    main(*sys.argv[1:])
