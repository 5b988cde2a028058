"""The calendar file of the setting: followed live, in every process, with the last good state in force."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.calendars import announce
from support.log_lines import library_records
from support.watching import put, wait_until

from spanforge.model_registry import InvalidValueError, ModelRegistry, get_default_registry
from spanforge.model_registry._core import calendar_watch
from spanforge.model_registry.calendar import Announcement, Calendar, get_calendar, use_calendar
from spanforge.model_registry.watch import file_states, follow_settings

if TYPE_CHECKING:
    from pathlib import Path

FIRST = announce()
VARIABLE = "OTEL_PYTHON_MODEL_REGISTRY_CALENDAR"
PREVIOUS = "its previous announcements stay in force"
BAD = b'[{"provider": "openai"}]'
MISSING = ", line 1, column 2, field 'model': is missing"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    """Return the calendar file of the setting, with one announcement."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    caplog.set_level(logging.INFO, "spanforge.model_registry")
    path = tmp_path / "calendar.json"
    write(path, FIRST)
    monkeypatch.setenv(VARIABLE, str(path))
    return path


def write(path: Path, *announcements: Announcement) -> None:
    put(path, json.dumps([each.to_dict() for each in announcements]).encode())


def models() -> list[str] | None:
    calendar = get_calendar()
    return None if calendar is None else [each.model for each in calendar]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().removeprefix("model registry: ") for record in library_records(caplog)]


def calendar_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "model-registry-calendar"]


def test_the_file_is_followed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The file is in force at once and after each change; a bad one has one line, and the last good state stays."""
    assert follow_settings(reload_interval=100) is None
    assert models() == ["gpt-4o"]
    write(path, FIRST, announce("gpt-5"))
    wait_until(lambda: models() == ["gpt-4o", "gpt-5"])
    put(path, BAD)
    wait_until(lambda: file_states()[0].error)
    (state,) = file_states()
    assert (state.path, state.models, state.failures, state.error) == (str(path), 2, 1, f"{path}{MISSING}")
    assert models() == ["gpt-4o", "gpt-5"]
    write(path, announce("gpt-6"))
    wait_until(lambda: models() == ["gpt-6"])
    assert lines(caplog) == [
        f"cannot load calendar file {path}{MISSING}; {PREVIOUS}",
        f"calendar file {path} is valid again",
    ]


def test_a_file_that_is_bad_at_the_start(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The application starts with an empty calendar and one line, and the file counts when it is fixed."""
    put(path, BAD)
    follow_settings(reload_interval=100)
    assert models() == []
    effect = "no shutdown of a provider is known until the file is fixed"
    assert lines(caplog) == [f"cannot load calendar file {path}{MISSING}; {effect}"]
    write(path, FIRST)
    wait_until(lambda: models() == ["gpt-4o"])


@pytest.mark.usefixtures("path")
def test_the_first_call_decides(tmp_path: Path) -> None:
    """A later call changes the file or the interval only by an option, and other registries have no calendar."""
    other = tmp_path / "other.yaml"
    other.write_text("- {provider: a, model: b, shutdown_on: 2027-01-01, source: s, checked_on: 2026-01-01}\n")
    follow_settings(reload_interval=0)
    (thread,) = calendar_threads()
    follow_settings()
    assert calendar_threads() == [thread]
    follow_settings(calendar=other)
    assert models() == ["b"]
    assert get_calendar(ModelRegistry(auto_emit=False)) is None
    use_calendar(Calendar([FIRST]))
    follow_settings(reload_interval=200)
    assert models() == ["gpt-4o"]
    assert file_states() == []
    use_calendar(None)
    follow_settings(reload_interval=300)
    assert models() is None
    with pytest.raises(InvalidValueError, match=r"calendar must be a Calendar, as Calendar.load\(path\) returns it"):
        use_calendar(str(other))  # type: ignore[arg-type]
    assert models() is None


def test_operations_keep_the_calendar(path: Path) -> None:
    """Operations, ``load`` and ``clear`` of the registry leave the calendar in force."""
    follow_settings(reload_interval=0)
    registry = get_default_registry()
    registry.register("m", "M", "1", "low", "team", "test")
    registry.deprecate("m")
    registry.save(path.with_name("models.json"))
    registry.load(path.with_name("models.json"))
    registry.clear()
    assert models() == ["gpt-4o"]


def test_a_child_process_follows_too(path: Path) -> None:
    """After a fork, the child takes changes of the file."""
    follow_settings(reload_interval=100)
    child = os.fork()
    if not child:
        try:
            write(path, announce("gpt-5"))
            wait_until(lambda: models() == ["gpt-5"])
        except BaseException:  # noqa: BLE001 - pytest must not go on in the child
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("value", ["", None])
def test_no_calendar(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting there is no calendar and no thread."""
    monkeypatch.setenv(VARIABLE, "")
    follow_settings(calendar=value)
    assert models() is None
    wait_until(lambda: calendar_threads() == [])  # that of the test before may still end


def test_no_calendar_stays_the_choice_while_another_thread_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that is still running in another thread does not put its calendar in force after ``use_calendar``."""
    registry, begun, put_at_once = ModelRegistry(auto_emit=False), threading.Event(), calendar_watch.put_calendar

    def put_slowly(*arguments: Any) -> None:
        if arguments[1] is not None:
            begun.set()
            time.sleep(0.1)
        put_at_once(*arguments)

    monkeypatch.setattr(calendar_watch, "put_calendar", put_slowly)
    thread = threading.Thread(target=use_calendar, args=(Calendar([announce()]), registry))
    thread.start()
    assert begun.wait(10)
    use_calendar(None, registry)
    thread.join(10)
    assert get_calendar(registry) is None
