"""Commands that change one file at once, or that are killed: nothing is lost. As a program, this file changes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.commands import command_environment, command_line, copy_examples
from support.processes import run_program

from spanforge.model_registry._cli.registry_changes import ChangeRequest, change_file
from spanforge.model_registry._core.storage import read_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry import ModelRegistry

PROCESSES = 20
KILLS = 40
YAML_MODELS = 50 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 2
"""The models that each process registers in a YAML file. Each change reads the file, so 50 take minutes."""
FIELDS = ("--name", "N", "--version", "1", "--risk-tier", "low", "--owner", "team", "--purpose", "test")


def register(path: str, model_id: str) -> None:
    """Do what the command ``register`` does."""

    def operate(registry: ModelRegistry) -> Any:
        return registry.register(model_id, "N", "1", "low", "team", "test")

    change_file(path, ChangeRequest(model_id, operate, registers=True), wait=600)


def register_at_once(path: str, number: int) -> None:
    """Register a number of models in each of 20 processes, all at once."""
    children = []
    for name in range(PROCESSES):
        children.append(os.fork())
        if children[-1] == 0:
            try:
                for i in range(number):
                    register(path, f"model-{name}-{i}")
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the parent needs no more than the text
                traceback.print_exc()
                os._exit(1)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * PROCESSES


def kill_many(path: str) -> None:
    """Kill processes that register one model after the other, and check after each that the file has all it had."""
    register(path, "first")
    known: set[str] = set()
    for attempt in range(KILLS):
        child = os.fork()
        if child == 0:
            for i in range(1_000):
                register(path, f"model-{attempt}-{i}")
        time.sleep(random.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = {entry.model_id for entry in read_entries(path)}
        assert found >= known
        known = found
        left = [name for name in os.listdir(os.path.dirname(path)) if name != os.path.basename(path)]
        for name in left:
            assert name.startswith("."), name
            os.unlink(os.path.join(os.path.dirname(path), name))
    print(len(known))  # noqa: T201 - for the test


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder, in memory if the system has such a file system: hundreds of changes sync it often."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.exists() else tmp_path) as name:
        yield Path(name)


@pytest.mark.e2e
@pytest.mark.parametrize(("name", "number"), [("models.json", 5), ("models.yaml", YAML_MODELS)])
def test_processes_at_once_lose_nothing(name: str, number: int, folder: Path) -> None:
    """20 processes register models in one file at once; all are in it, and it is valid."""
    path = folder / name
    run_program(__file__, "register_at_once", path, number)
    expected = {f"model-{process}-{i}" for process in range(PROCESSES) for i in range(number)}
    entries = read_entries(path)
    assert len(entries) == len(expected)
    assert {entry.model_id for entry in entries} == expected
    assert os.listdir(folder) == [name]


@pytest.mark.e2e
def test_a_killed_change_leaves_a_whole_file(folder: Path) -> None:
    """After each kill the file is valid and has every model that it had before, and the lock is free."""
    assert int(run_program(__file__, "kill_many", folder / "models.yaml")) > KILLS // 4


@pytest.mark.e2e
def test_real_commands_at_once(tmp_path: Path) -> None:
    """Commands at the same time all change the file, even if nobody reads what they print."""
    path = copy_examples(tmp_path) / "models.yaml"
    before = path.read_text()
    reader, writer = os.pipe()
    os.close(reader)
    commands = [
        subprocess.Popen(
            command_line("register", f"new-{i}", *FIELDS, "--file", path),
            stdout=writer,
            stderr=subprocess.PIPE,
            env=command_environment(),
        )
        for i in range(4)
    ]
    os.close(writer)
    assert [(command.communicate()[1], command.returncode) for command in commands] == [(b"", 1)] * 4
    assert {entry.model_id for entry in read_entries(path)} >= {f"new-{i}" for i in range(4)}
    assert path.read_text().startswith(before)


if __name__ == "__main__":
    function, *arguments = sys.argv[1:]
    {"register_at_once": register_at_once, "kill_many": kill_many}[function](arguments[0], *map(int, arguments[1:]))
