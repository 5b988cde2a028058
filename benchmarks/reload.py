"""Reloads of registry files: the longest stall of another thread, and the memory relative to the file.

As a program, this module prints the stall of each kind of file: ``python -m benchmarks.reload``. With the path of a
file, it prints the bytes of memory that loading the file takes.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.comparison import Comparison
from benchmarks.models import as_registered
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.json_items import MAX_ITEM_BYTES
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.comparison import Sizes

ALLOWED: Final = 50.0
"""The milliseconds for which another thread may be stalled."""
TICK: Final = 0.001
_ENTRY: Final = '[{"model_id":"a","name":"n","version":"1","risk_tier":"low","owner":"o","purpose":"p"'

logging.getLogger("spanforge").addHandler(logging.NullHandler())  # the errors of bad files

BAD: Final[Mapping[str, tuple[str, str, str]]] = {
    "lists.json": ("[", "[],", "[]]"),
    "mappings.json": ("[", "{},", "{}]"),
    "text.json": ('["', "x", '"]'),
    "numbers.json": ("[", "1,", "1]"),
    "depth.json": ("", "[", ""),
    "entry.json": (_ENTRY + ',"metadata":{"base_model":["', "\U0001f600" * 1_000 + '","', '"]}}]'),
    "metadata.json": (_ENTRY + ',"metadata":{"x":[', "[],", "[]]}}]"),
    "lists.yaml": ("", "- []\n", ""),
    "flow.yaml": ("[", "[],", "[]]"),
    "text.yaml": ("- ", "x", "\n"),
    "depth.yaml": ("", "[", ""),
}
"""The start, the repeated part and the end of bad files."""
_LONGEST: Final = {"entry.json": MAX_ITEM_BYTES - 10_000}
"""The bytes of files that are refused at once if they are longer."""


def write_bad(folder: str, name: str, size: int) -> Path:
    """Write a bad file of about this many bytes."""
    start, part, end = BAD[name]
    path = Path(folder, name)
    size = min(size, _LONGEST.get(name, size))
    path.write_text(start + part * (size // len(part.encode())) + end, "utf-8")
    return path


def write_good(folder: str, number: int, ending: str) -> Path:
    """Write a file of this many models, as ``register`` leaves them or as people write them."""
    path = Path(folder, f"{number}{ending}")
    items = [{**entry.to_dict(), "metadata": dict(entry.metadata)} for entry in as_registered(number)]
    for item in items:
        item["metadata"]["aliases"] = [f"{item['model_id']}-alias", f"{item['model_id']}-20??-*"]
    if ending == ".json":
        path.write_text(json.dumps(items, indent=2, ensure_ascii=False) + "\n", "utf-8")
    else:
        path.write_text("".join(f"- {json.dumps(item)}\n" for item in items), "utf-8")
    return path


def measure_stall(path: Path) -> float:
    """Return the milliseconds of the longest stall of a thread that wakes up each millisecond during a reload.

    A stall counts only as far as this process used the processor, because other load on the machine delays threads too.
    """
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    followed = folder / path.name
    followed.write_bytes(b"[]\n")
    watcher = FileWatcher(ModelRegistry(auto_emit=False), [str(followed)], reload_interval=0)
    watcher.start()
    os.link(path, folder / "new")
    os.replace(folder / "new", followed)
    ended = threading.Event()

    def reload() -> None:
        watcher.look()
        ended.set()

    thread = threading.Thread(target=reload)
    longest, moment, used = 0.0, time.perf_counter(), time.process_time()
    thread.start()
    while not ended.is_set():
        time.sleep(TICK)
        now, now_used = time.perf_counter(), time.process_time()
        longest = max(longest, min(now - moment, now_used - used))
        moment, used = now, now_used
    thread.join()
    return max(longest, TICK) * 1e3


def good(ending: str, *, large: bool) -> Callable[[Sizes], Comparison]:
    """Return the comparison of the stall by a good file with what is allowed."""

    def compare(sizes: Sizes) -> Comparison:
        path = write_good(sizes.folder, sizes.models if large else sizes.checked, ending)
        return _compare_stall(lambda: measure_stall(path), lambda: "")

    return compare


def bad(sizes: Sizes) -> Comparison:
    """Compare the stall by the worst bad file with what is allowed."""
    paths = [write_bad(sizes.folder, name, sizes.bad) for name in BAD]
    worst: list[str] = []

    def measure() -> float:
        stalls = {path.name: measure_stall(path) for path in paths}
        worst.append(max(stalls, key=lambda name: stalls[name]))
        return stalls[worst[-1]]

    return _compare_stall(measure, lambda: f"worst: {worst[-1]}")


def _compare_stall(measure: Callable[[], float], remark: Callable[[], str]) -> Comparison:
    candidates = {"stall": measure, "allowed": lambda: ALLOWED}
    return Comparison(candidates, lambda figure: figure["stall"] / figure["allowed"], remark=remark)


def memory(sizes: Sizes) -> Comparison:
    """Compare the memory that loading a file takes, at most, with the size of the file."""
    path = write_good(sizes.folder, sizes.models, ".json")

    def measure() -> float:
        command = [sys.executable, "-m", "benchmarks.reload", str(path)]
        return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout) / 1e6

    size = path.stat().st_size / 1e6
    return Comparison({"memory": measure, "file": lambda: size}, lambda figure: figure["memory"] / figure["file"])


def _read_peak() -> int:
    """Return the most bytes of memory that this process has had, on Linux."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main(path: str | None = None) -> None:
    """Print the memory for a file, or the stall by each kind of file."""
    if path is not None:
        before = _read_peak()
        ModelRegistry(auto_emit=False).load(path)
        print(max(_read_peak() - before, 1))
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_good(folder, number, end) for number in (10_000, 100_000) for end in (".json", ".yaml")]
        for each in [*paths, *(write_bad(folder, name, 30_000_000) for name in BAD)]:
            print(f"{each.name:16}{each.stat().st_size / 1e6:8.1f} MB{measure_stall(each):8.1f} ms", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
