"""``register``, ``deprecate``, ``retire`` and ``set``: what they print, what they refuse, and what the file is then."""

from __future__ import annotations

import json
import os
import resource
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.commands import Printed, copy_examples, fits_terminal, run_here
from support.file_edits import operate_on
from support.permissions import without_privileges

from spanforge.model_registry._cli.assignments import parse_assignment
from spanforge.model_registry._core.file_lock import lock_folder
from spanforge.model_registry._core.storage import read_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spanforge.model_registry import ModelRegistry

    Change = Callable[..., Printed]

NEW = ["--name", "N", "--version", "1", "--risk-tier", "low", "--owner", "team", "--purpose", "test"]


STATUS = "status cannot be set: the commands deprecate and retire change the status"
HISTORY = "metadata.history cannot be set: each change adds a record to it"
SUCCESSOR = "successor cannot be removed, because deprecate sets it; give it another value"
TIER = "model 'acme-chat-1': risk_tier must be one of low, medium, high, critical; got 'severe'"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a copy of the example's registry, in the working folder."""
    monkeypatch.chdir(copy_examples(tmp_path))
    return Path("models.yaml")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that any user can reach."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
        os.chmod(name, 0o755)


@pytest.fixture
def change(path: Path, capsys: pytest.CaptureFixture[str]) -> Change:
    """Return a function that runs a command on the registry."""
    return lambda *arguments: run_here(capsys, *arguments, "--file", path)


def read_entry(path: Path, model_id: str) -> dict[str, Any]:
    return {entry.model_id: entry for entry in read_entries(path)}[model_id].to_dict()


def test_a_models_life(change: Change, path: Path) -> None:
    """Each command changes the file as the library changes a registry, and prints the values before and after."""
    head, files = path.read_text(), sorted(os.listdir())
    contact, own = ("--contact", "#team"), ("--metadata", "seats:=[true]", "--metadata", "unit=eu=1")
    names = ("--alias", "x", "--alias", "y-*", "--provider", "openai", "--actor", "ci")
    printed = change("register", "new-1", *NEW, *contact, *own, *names, "--deployment-date", "2026-11-01")
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.splitlines()[0] == f"{path}: new-1 registered"
    assert " [true]\n" in printed.out
    entry = read_entry(path, "new-1")
    expected = {"contact": "#team", "seats": [True], "unit": "eu=1", "aliases": ["x", "y-*"], "provider": "openai"}
    assert {key: value for key, value in entry["metadata"].items() if key != "history"} == expected
    assert [record["actor"] for record in entry["metadata"]["history"]] == ["ci"]
    assert path.read_text().startswith(head)
    printed = change(
        "deprecate", "new-1", "--reason", "old", "--successor", "acme-chat-2", "--sunset-date", "2027-01-01"
    )
    assert "status                       active  deprecated" in printed.out
    assert "metadata.sunset_date         -       2027-01-01" in printed.out
    change(
        "set", "new-1", "aliases+=z", "aliases-=x", "provider+=azure", "contact=", "metadata.unit=us", "risk-tier=high"
    )
    change("retire", "new-1", "--reason", "gone")
    entry = read_entry(path, "new-1")
    assert (entry["status"], entry["risk_tier"], len(entry["metadata"]["history"])) == ("retired", "high", 4)
    assert entry["metadata"]["aliases"] == ["y-*", "z"]
    assert entry["metadata"]["provider"] == ["openai", "azure"]
    assert "contact" not in entry["metadata"]
    assert path.read_text().startswith(head)
    assert sorted(os.listdir()) == files


def test_json_output_says_everything(change: Change, path: Path) -> None:
    """The JSON has the values before and after, the whole entry and the difference."""
    shown = json.loads(change("retire", "acme-chat-1", "--format", "json").out)
    assert list(shown) == ["file", "model_id", "operation", "changed", "dry_run", "changes", "entry", "diff"]
    assert (shown["file"], shown["model_id"], shown["operation"]) == (str(path), "acme-chat-1", "retired")
    assert (shown["changed"], shown["dry_run"]) == (True, False)
    assert shown["changes"][0] == {"field": "status", "before": "deprecated", "after": "retired"}
    assert shown["entry"] == read_entry(path, "acme-chat-1")
    assert "-  status: deprecated" in shown["diff"]


def test_dry_run(change: Change, path: Path) -> None:
    """The difference is printed, and the file stays."""
    before = path.read_bytes()
    printed = change("retire", "acme-chat-1", "--dry-run")
    assert printed.out.splitlines()[0] == f"{path}: acme-chat-1 would be retired; nothing changed"
    assert "-  status: deprecated\n+  status: retired\n" in printed.out
    assert fits_terminal(printed.out)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["new.json", "new.yaml"])
def test_register_makes_the_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A first model makes a file; a second one with the same id needs ``--replace``."""
    path = tmp_path / name
    assert run_here(capsys, "register", "m", *NEW, "--file", path).code == 0
    assert [entry.model_id for entry in read_entries(path)] == ["m"]
    refused = run_here(capsys, "register", "m", *NEW[:-1], "other", "--file", path)
    assert refused.code == 2
    assert refused.err.endswith(" (status active) and differs in purpose; to change it, pass --replace\n")
    assert run_here(capsys, "register", "m", *NEW[:-1], "other", "--replace", "--file", path).code == 0
    assert read_entry(path, "m")["purpose"] == "other"
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["retire", "acme-chat-3"], "PATH: model 'acme-chat-3' is not registered; did you mean 'acme-chat-2'?"),
        (["set", "acme-chat-1", "owner"], "'owner' is no assignment: write FIELD=VALUE"),
        (["set", "acme-chat-1", "status=active"], STATUS),
        (["set", "acme-chat-1", "metadata.history:=[]"], HISTORY),
        (["set", "acme-chat-1", "metadata.x:=y"], "metadata.x:=y is not JSON; write metadata.x=y for text"),
        (["set", "acme-chat-1", "owner+=x"], "owner is no list, so += cannot change it: write owner=VALUE"),
        (["set", "acme-chat-1", "aliases-=x"], "aliases does not have 'x'"),
        (["set", "acme-chat-1", "successor="], SUCCESSOR),
        (["set", "acme-chat-1", "risk-tier=severe"], TIER),
        (["retire", "acme-chat-1", "--file", "b.json"], "a change needs one registry file, not 2: pass --file FILE"),
    ],
)
def test_refusals(arguments: list[str], line: str, change: Change, path: Path) -> None:
    """One line says what is wrong; the exit code is 2, and the file stays."""
    before = path.read_bytes()
    printed = change(*arguments)
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.splitlines() == [f"spanforge-models: {line.replace('PATH', str(path))}"]
    assert path.read_bytes() == before


def test_unknown_field_lists_the_fields(change: Change) -> None:
    """The error about an unknown field names the fields."""
    line = change("set", "acme-chat-1", "team=x").err
    assert line.startswith(
        "spanforge-models: unknown field 'team'; fields are name, version, risk_tier, owner, purpose"
    )


@pytest.mark.parametrize("name", ["new.json", "new.yaml"])
def test_nothing_to_change(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that changes no value writes nothing, and says so. In JSON, 1 and true are different values."""
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.write_text(
        '[{"model_id": "m", "name": "N", "version": "1", "risk_tier": "low", "owner": "team",\n'
        '  "purpose": "test", "metadata": {"seats": [1, 2]}}]\n'
    )
    seats = [*NEW, "--metadata", "seats:=[1, 2]", "--actor", "ci"]
    deprecation = ["deprecate", "m", "--reason", "old"]

    def run(*arguments: str) -> bool:
        before = path.read_bytes()
        printed = run_here(capsys, *arguments, "--file", path)
        assert (printed.code, printed.err) == (0, "")
        has_changed = path.read_bytes() != before
        line = f"{path}: m is as it should be; nothing changed\n"
        assert (printed.out == line) is not has_changed
        return has_changed

    assert not run("register", "m", *seats)
    assert not run("register", "m", *seats, "--replace")
    assert not run("set", "m", "contact=", "owner=team", "metadata.seats:=[1,2]")
    assert run("set", "m", "metadata.seats:=[true, 2]")
    assert read_entry(path, "m")["metadata"]["seats"][0] is True
    assert run("set", "m", "metadata.seats:=1")
    assert run("set", "m", "metadata.seats:=true")
    assert read_entry(path, "m")["metadata"]["seats"] is True
    assert run(*deprecation)
    assert not run(*deprecation)
    assert run(*deprecation[:-1], "older")
    run_here(capsys, "retire", "m", "--file", path)
    before = path.read_bytes()
    assert run_here(capsys, "retire", "m", "--file", path).code == 2
    assert path.read_bytes() == before


def test_read_only_file_and_folder(open_folder: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says so, and the file stays."""
    copy, before = open_folder / "models.yaml", path.read_bytes()
    copy.write_bytes(before)
    for file_mode, folder_mode, reason in ((0o444, 0o777, "it is read-only"), (0o666, 0o555, "Permission denied")):
        copy.chmod(file_mode)
        open_folder.chmod(folder_mode)
        with without_privileges():
            printed = run_here(capsys, "retire", "acme-chat-1", "--file", copy)
        assert (printed.code, printed.err) == (2, f"spanforge-models: {copy}: cannot be written: {reason}\n")
        assert copy.read_bytes() == before


@pytest.mark.parametrize("name", ["models.yaml", "models.json"])
def test_full_disk(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If the new content does not fit, one line says so, and the old file stays alone."""
    path = tmp_path / name
    run_here(capsys, "register", "m", *NEW, "--metadata", f"pad={'x' * 30_000}", "--file", path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        printed = run_here(capsys, "retire", "m", "--file", path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (printed.code, printed.err) == (2, f"spanforge-models: {path}: cannot be written: File too large\n")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [name]


def test_a_locked_folder(change: Change, path: Path) -> None:
    """The wait is bounded; the error says who has the lock."""
    before = path.read_bytes()
    with lock_folder(str(Path.cwd()), 0):
        printed = change("retire", "acme-chat-1", "--wait", "0.1")
    said = f"cannot be written: another thread of this process has locked {Path.cwd()} for more than 0.1 seconds"
    assert printed.err == f"spanforge-models: {path}: {said}; try again later\n"
    assert path.read_bytes() == before


def test_interrupted_while_it_waits(change: Change, path: Path) -> None:
    """Ctrl-C ends a command that waits for the lock: one line, and the file stays."""
    before = path.read_bytes()
    old_handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with lock_folder(str(Path.cwd()), 0):
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            printed = change("retire", "acme-chat-1")
    finally:
        signal.signal(signal.SIGALRM, old_handler)
    assert (printed.code, printed.err.splitlines()[-1]) == (130, "spanforge-models: interrupted")
    assert path.read_bytes() == before


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=20).filter(str.strip).filter(lambda text: not text.startswith("-")))
def test_hostile_texts_do_not_reach_the_terminal(text: str, change: Change, path: Path) -> None:
    """Whatever a text is, what is printed fits a terminal and cannot control it."""
    before = path.read_bytes()
    for arguments in (
        ["set", "acme-chat-1", f"owner={text}"],
        ["retire", "acme-chat-1", "--reason", text, "--dry-run"],
    ):
        printed = change(*arguments)
        assert fits_terminal(printed.out)
        assert "Traceback" not in printed.err
    path.write_bytes(before)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner=a=b", ("owner", "", "=", "a=b")),
        ("risk-tier=low", ("risk_tier", "", "=", "low")),
        ("metadata.a.b:=[1]", ("metadata", "a.b", ":=", [1])),
        ("metadata.status=x", ("metadata", "status", "=", "x")),
        ("sunset_date=2027-01-01", ("metadata", "sunset_date", "=", "2027-01-01")),
        ("aliases+=a-=b", ("metadata", "aliases", "+=", "a-=b")),
    ],
)
def test_assignments(text: str, expected: tuple[Any, ...]) -> None:
    """An assignment is a field, a key of the metadata, an operator and a value."""
    assert tuple(parse_assignment(text)) == expected


def test_a_missing_deployment_date_can_be_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file's entry may have no date of its first use. One that is there does not change."""
    path = tmp_path / "models.json"
    path.write_text(
        json.dumps([{"model_id": "m", "name": "N", "version": "1", "risk_tier": "low", "owner": "o", "purpose": "p"}])
    )
    assert run_here(capsys, "set", "m", "deployment_date=2024-05-01", "--file", path).code == 0
    assert read_entry(path, "m")["deployment_date"] == "2024-05-01"
    printed = run_here(capsys, "set", "m", "deployment_date=2024-05-02", "--file", path)
    assert (printed.code, "cannot change on replace" in printed.err) == (2, True)


def test_commands_agree_with_the_library(change: Change, path: Path) -> None:
    """The entry that a command writes is the one that the library makes, but for the times."""

    def operate(registry: ModelRegistry) -> Any:
        return registry.deprecate("acme-chat-2", reason="r", successor="s", actor="a")

    expected = operate_on(read_entries(path), operate).to_dict()
    change("deprecate", "acme-chat-2", "--reason", "r", "--successor", "s", "--actor", "a")
    written = read_entry(path, "acme-chat-2")
    for entry in (expected, written):
        entry["metadata"]["history"][-1]["at"] = entry["metadata"]["deprecation_date"] = "now"
    assert written == expected
