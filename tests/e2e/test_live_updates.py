"""Files that change under load, through mounts and in forked processes. Run as a program, this file is these processes.

A process that hangs is a failure too: it ends itself, and says where every thread stands.
"""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from support.live_updates import DEADLINE, WITHIN, Held, content, owner, settings
from support.processes import (
    SECONDS,
    end_within,
    exit_code_of,
    run_program,
)
from support.recording import LoggedLines
from support.waiting import poll, wait_until
from support.watching import put

from spanforge.model_registry import ModelRegistry, get_default_registry
from spanforge.model_registry._core.values import Metadata
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

THREADS = 8
REPLACEMENTS = 500
MODELS = 50
INTERVAL = 0.01
"""The watcher's interval in seconds, and the longest pause before a replacement."""
BUSY = 5
"""Seconds that 8 busy threads, and other programs, may keep a thread from its turn."""


class Exporter(SpanExporter):
    """Checks each span at once, and keeps its start, the moment of its export and its version; without a lock.

    The end of a span is no bound for its version: the SDK sets it before it calls the processor, and another thread
    may run between the two.
    """

    def __init__(self) -> None:
        self.spans = [array("q") for _ in range(THREADS)]
        self.wrong: list[dict[str, Any]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            found: dict[str, Any] = dict(span.attributes or {})
            version = found.get("model_registry.version", "")
            expected = {
                "model_registry.model_id": found["app.model"],
                "model_registry.owner": f"owner-{version}",
                "model_registry.status": "active",
                "model_registry.risk_tier": "low",
            }
            if expected.items() <= found.items() and span.start_time:
                self.spans[found["app.thread"]].extend((span.start_time, time.time_ns(), int(version)))
            else:
                self.wrong.append(found)
        return SpanExportResult.SUCCESS


class Load:
    """Threads that call models and look at the registry, until they are told to stop."""

    def __init__(self) -> None:
        self.exporter, self.done = Exporter(), threading.Event()
        self.registry = get_default_registry()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        provider.add_span_processor(ModelRegistrySpanProcessor())
        self.tracer = provider.get_tracer("app")
        self.torn: list[int] = []
        self.opened: list[str] = []
        self.threads = [threading.Thread(target=self.call, args=(name,), name="app") for name in range(THREADS)]
        sys.addaudithook(self.observe)

    def observe(self, event: str, facts: tuple[Any, ...]) -> None:
        if event == "open" and threading.current_thread() in self.threads:
            self.opened.append(str(facts[0]))

    def call(self, name: int) -> None:
        choice = random.Random(name)
        while not self.done.is_set():
            number = choice.randrange(MODELS)
            model = choice.choice(["model", "alias"])
            with self.tracer.start_as_current_span("chat", attributes={"app.model": f"model-{number}"}) as span:
                span.set_attributes({"app.thread": name, "gen_ai.request.model": f"{model}-{number}"})
                time.sleep(0.002)
            entries = self.registry.list_all()
            if len(entries) != MODELS or len({entry.owner for entry in entries}) != 1:
                self.torn.append(len(entries))


def memory() -> tuple[int, int]:
    """Return how many entries' metadata there are in this process, and the kilobytes that it has in memory."""
    gc.collect()
    entries = sum(type(each) is Metadata for each in gc.get_objects())
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return entries, pages * os.sysconf("SC_PAGE_SIZE") // 1_024


def replace_under_load(path: Path) -> dict[str, Any]:
    lines = LoggedLines().lines
    put(path, content(0, MODELS))
    watcher = FileWatcher(get_default_registry(), [str(path)], reload_interval=int(INTERVAL * 1_000))
    watcher.start()
    load, choice = Load(), random.Random(0)
    for thread in load.threads:
        thread.start()
    replaced = [(0, 0)]
    memories = []
    for version in range(1, REPLACEMENTS + 1):
        data = content(version, MODELS)
        time.sleep(choice.uniform(0, INTERVAL))
        before = time.time_ns()
        put(path, data)
        replaced.append((before, time.time_ns()))
        if version % 100 == 0:
            memories.append(memory())
    caught_up = poll(lambda: owner() == f"owner-{REPLACEMENTS}")
    load.done.set()
    for thread in load.threads:
        thread.join()
    return {
        **judged(load.exporter, replaced),
        "wrong": load.exporter.wrong[:3],
        "torn": load.torn[:3],
        "opened": load.opened[:3],
        "lines": [line for line in lines if "model registry: loaded " not in line],
        "caught up": caught_up,
        "memory": memories,
    }


def judged(exporter: Exporter, replaced: list[tuple[int, int]]) -> dict[str, Any]:
    """Compare the version that each span shows with those that were on the disk before it was exported.

    A version is on the disk from the moment before it is put there, at the earliest, to the moment after the next one
    is. A span is late by the time between that end and its start.
    """
    late, early, back, seen = [], 0, 0, set()
    for spans in exporter.spans:
        last = 0
        for start, exported, version in zip(*[iter(spans)] * 3, strict=True):
            early += exported < replaced[version][0]
            gone = replaced[version + 1][1] if version < REPLACEMENTS else exported
            late.append(max(0, start - gone))
            back += version < last
            last = version
            seen.add(version)
    late.sort()
    middle, latest = late[len(late) // 2] / 1e9, late[-1] / 1e9
    return {"spans": len(late), "seen": len(seen), "early": early, "back": back, "middle": middle, "latest": latest}


def follow_mounts(folder: Path) -> dict[str, Any]:
    """Follow a file and a folder that are mounted elsewhere, and a folder whose clock is coarse."""
    folder.mkdir()
    there, here = folder / "there", folder / "here"
    for each in (there, here, here / "folder", here / "coarse"):
        each.mkdir()
    file, mounted = there / "models.json", here / "models.json"
    file.write_bytes(content("a"))
    mounted.touch()
    for source, target in ((file, mounted), (there, here / "folder")):
        subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
    subprocess.run(["mount", "-t", "ramfs", "ramfs", str(here / "coarse")], check=True)
    one, two = ModelRegistry(auto_emit=False), ModelRegistry(auto_emit=False)
    for registry, path in ((one, mounted), (two, here / "folder" / "models.json")):
        FileWatcher(registry, [str(path)], reload_interval=int(WITHIN * 1_000)).start()

    def found() -> list[str]:
        return [entry.owner for registry in (one, two) for entry in registry]

    def found_after(expected: list[str]) -> list[str]:
        return poll(found, lambda owners: owners == expected)

    report: dict[str, Any] = {"at first": found()}
    file.write_bytes(content("b"))
    report["written in its place"] = found_after(["owner-b", "owner-b"])
    put(file, content("c"))
    report["replaced"] = found_after(["owner-b", "owner-c"])
    coarse, three = here / "coarse" / "models.json", ModelRegistry(auto_emit=False)
    coarse.write_bytes(content("x"))
    watcher = FileWatcher(three, [str(coarse)], reload_interval=0)
    watcher.start()
    hidden = missed = 0
    for name in "yz" * 50:
        before = coarse.stat()
        coarse.write_bytes(content(name))
        hidden += coarse.stat() == before
        for _ in range(2):
            watcher.look()
        missed += [entry.owner for entry in three] != [f"owner-{name}"]
    return {**report, "hidden": hidden, "missed": missed}


def sees(expected: str) -> bool:
    """Return whether this process follows the file to that owner, soon."""
    return poll(lambda: owner() == expected, seconds=DEADLINE)


STEPS = (
    "look_together",
    "_read",
    "parse_entries",
    "_publish",
    "replace_file_entries",
    "_log_change",
    "info",
    "emit",
    "_release_save",
)
"""Functions at whose beginning the thread is held while the process forks; in the last one it is about to wait."""


def follows_and_forks(path: Path) -> bool:
    """Do in a child what can be done: look at once, follow, have a child that follows, stop, and start again."""
    watcher = follow_settings()
    assert watcher is not None
    watcher.look()
    assert owner() == "owner-good"

    def follows(stamp: str) -> bool:
        put(path, content(stamp))
        return sees(f"owner-{stamp}")

    assert follows("child")
    assert exit_code_of(lambda: follows("grandchild")) == 0
    assert sees("owner-grandchild")
    watcher.stop()
    put(path, content("nobody"))
    time.sleep(WITHIN)
    assert owner() == "owner-grandchild"
    watcher.start()
    return follows("again")


def fork_in_a_look(path: Path) -> dict[str, Any]:
    """Fork while the thread is in the middle of a look, wherever that is; a look that makes a bad file good again."""
    held, lines = Held(), LoggedLines().lines
    threading.setprofile(held)
    put(path, content("good"))
    held.at("look_together")
    starting = threading.Thread(target=follow_settings)
    starting.start()
    report: dict[str, Any] = {"start": [held.reached.wait(SECONDS / 4), exit_code_of(lambda: follows_and_forks(path))]}
    held.let_go.set()
    starting.join()
    for number, step in enumerate(STEPS):
        seen = len(lines)
        put(path, b" " * number)
        wait_until(lambda: "Expecting value" in lines[-1] if lines else False)
        held.at(step)
        put(path, content("good"))
        reached = held.reached.wait(SECONDS / 4)
        report[step] = [reached, exit_code_of(lambda: follows_and_forks(path))]
        held.let_go.set()
        wait_until(lambda: any("is valid again" in line for line in lines[seen:]))  # noqa: B023 - called at once
    return report


def run(mode: str, path: Path, *before: str) -> dict[str, Any]:
    """Run this file as a program; return its report."""
    report: dict[str, Any] = json.loads(run_program(__file__, mode, path, before=before, env=settings(path)))
    return report


@pytest.mark.e2e
def test_many_replacements_under_load(path: Path, record_property: Callable[[str, object], None]) -> None:
    """Spans of 8 threads show one whole version each that was in force during them; the memory is the same after."""
    report = run("load", path)
    record_property("live updates", report)
    assert (report["wrong"], report["torn"], report["lines"]) == ([], [], [])
    assert report["opened"] == []  # a thread of the application opens no file: what is asked of a disk may take long
    assert (report["early"], report["back"]) == (0, 0)
    assert report["latest"] <= INTERVAL + BUSY, report
    assert report["caught up"]
    assert report["seen"] > REPLACEMENTS / 5, report
    assert report["spans"] > REPLACEMENTS
    entries, kilobytes = zip(*report["memory"], strict=True)
    # A version is in force, one may be being read, and each thread may still hold the one that it has listed last.
    assert max(entries) <= (THREADS + 2) * MODELS + 10, entries
    # Versions take 40 kB each, and what is kept of spans 250 kB: were a fourth of all versions kept, it would show.
    assert kilobytes[-1] - kilobytes[0] < 2_500, kilobytes


@pytest.mark.e2e
def test_mounts(tmp_path: Path) -> None:
    """Files written in their places are followed through mounts of the file and of the folder; renamed, of the latter.

    On a disk whose clock is coarse, a change that moves no time is found as well.
    """
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    tried = "mkdir here; mount --bind here here"
    try:
        may = subprocess.run([*alone, "sh", "-c", tried], cwd=tmp_path, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no program unshare, to mount in a namespace of its own")
    if may.returncode != 0:
        pytest.skip(f"this process may not mount: {may.stderr.decode(errors='replace').strip()}")
    report = run("mounts", tmp_path / "mounts", *alone)
    assert report["at first"] == ["owner-a", "owner-a"]
    assert report["written in its place"] == ["owner-b", "owner-b"]
    assert report["replaced"] == ["owner-b", "owner-c"]  # a mount of a file is a mount of that file
    assert report["hidden"] > 0
    assert report["missed"] == 0


@pytest.mark.e2e
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forking_in_the_middle_of_a_look(path: Path) -> None:
    """Wherever the thread is when the process forks, the child can do everything at once, and follows."""
    assert run("looks", path) == {step: [True, 0] for step in ("start", *STEPS)}


if __name__ == "__main__":
    end_within(SECONDS)
    warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # about threads: that is what is tested
    modes: dict[str, Callable[[Path], dict[str, Any]]] = {
        "load": replace_under_load,
        "mounts": follow_mounts,
        "looks": fork_in_a_look,
    }
    json.dump(modes[sys.argv[1]](Path(sys.argv[2])), sys.stdout)
