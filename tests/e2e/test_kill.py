"""A process that is killed while it saves: the file is whole. Run as a program, this file is what kills."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.processes import run_program

from spanforge.model_registry import ModelRegistry

KILLS = 100
SIZES = 600, 700


def version(number: int) -> ModelRegistry:
    """Return a registry whose file takes a few megabytes, of another size for each version."""
    registry = ModelRegistry(auto_emit=False)
    for index in range(SIZES[number]):
        registry.register(
            f"model-{index}", "N", f"{number}", "low", f"owner-{number}", "test", metadata={"pad": "x" * 3_000}
        )
    return registry


def save_for_ever(path: Path, versions: list[ModelRegistry], started: int) -> None:
    os.write(started, b".")
    while True:
        for registry in versions:
            registry.save(path, overwrite=True)


def wait_for_a_second_file(folder: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while len(os.listdir(folder)) < 2 and time.monotonic() < end:
        pass


def kill_and_look(path: Path, versions: list[ModelRegistry]) -> dict[str, Any]:
    """Kill savers at random instants, every other one with a save under way; return what the file was after each."""
    whole: dict[bytes, str] = {}
    durations = []
    for number, registry in [*enumerate(versions)] * 3:
        before = time.monotonic()
        registry.save(path, overwrite=True)
        durations.append(time.monotonic() - before)
        whole[path.read_bytes()] = f"version {number}"
    one_save = min(durations)
    report: dict[str, Any] = {"found": {}, "inside": 0, "bytes": max(map(len, whole))}
    for attempt in range(KILLS):
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                save_for_ever(path, versions[:: random.choice([1, -1])], writable)
            finally:
                os._exit(1)
        os.read(readable, 1)
        if attempt % 2:
            time.sleep(random.uniform(0, 2 * one_save))
        else:
            wait_for_a_second_file(path.parent, 5 * one_save)
            time.sleep(random.uniform(0, one_save / 4))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        os.close(readable)
        os.close(writable)
        found = whole.get(path.read_bytes(), "torn")
        report["found"][found] = report["found"].get(found, 0) + 1
        left = [name for name in os.listdir(path.parent) if name != path.name]
        report["inside"] += bool(left)
        for name in left:
            assert name.startswith("."), name
            (path.parent / name).unlink()
    if "torn" not in report["found"]:
        registry = ModelRegistry(auto_emit=False)
        registry.load(path)
        report["loaded"] = len(registry)
    return report


@pytest.mark.e2e
def test_killed_at_any_instant(tmp_path: Path) -> None:
    """After each of 100 kills the file is one of the two whole versions; many of the kills hit a save half done."""
    path = tmp_path / "models.json"
    report = json.loads(run_program(__file__, path))
    assert sum(report["found"].values()) == KILLS
    assert set(report["found"]) == {"version 0", "version 1"}
    assert report["inside"] >= KILLS // 8
    assert report["bytes"] > 2_000_000
    assert report["loaded"] in SIZES


if __name__ == "__main__":
    json.dump(kill_and_look(Path(sys.argv[1]), [version(0), version(1)]), sys.stdout)
