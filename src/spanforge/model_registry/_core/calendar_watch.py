"""The provider calendar of a registry: put in force, kept on the current day, and read again when its file changes."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core import logs, storage
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.file_access import warn_about_writers
from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.process import (
    WarnOnce,
    WatcherState,
    live_keys,
    look_first,
    pause_watcher,
    start_daemon,
    wait_for_look,
)
from spanforge.model_registry._core.provider_calendar import Calendar, CalendarDay, parse_calendar
from spanforge.model_registry._core.settings import CALENDAR, RELOAD_INTERVAL
from spanforge.model_registry._core.shutdowns import read_today
from spanforge.model_registry._core.state import put_calendar
from spanforge.model_registry._core.watched_file import WatchedFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanforge.model_registry._core.state import RegistryCore

_LONGEST_PAUSE: Final = 60.0
"""The seconds after which the thread looks whether a new day has begun, at the latest."""

_warnings: Final = WarnOnce(100)


class CalendarWatcher:
    """Keeps a calendar in force in a registry. A thread reads its file again, and puts each new day in force.

    A file that is invalid is logged, once for each error, and its previous announcements stay in force. No error is
    raised for the content of a file. After a fork, the child goes on.

    Args:
        registry: The registry.
        path: The path of the calendar file; ``None`` if the calendar did not come from a file.
        calendar: The calendar, if it did not come from a file.
        reload_interval: Milliseconds within which a change of the file is in force; with 0, it is read only at the
            start.
    """

    def __init__(
        self, registry: RegistryCore, path: str | None, calendar: Calendar | None, reload_interval: int
    ) -> None:
        self._registry = weakref.ref(registry)
        self._calendar = Calendar() if calendar is None else calendar
        self._file = None if path is None else WatchedFile(path, parse=parse_calendar)
        self.settings = path, reload_interval
        self._in_force: CalendarDay | None = None
        self._seen_in_force = time.monotonic()
        self._failures = 0
        self.looking = threading.RLock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Put the calendar in force, and keep it up to date until ``stop``."""
        registry = self._registry()
        if registry is None:
            return
        stop_calendar(registry)
        _calendars.by_registry[registry] = self
        if self._file is not None:
            storage.preload_parser(self._file.path)
        if not look_first(partial(self.look, reads_file=True), self.looking):
            text = "model registry: the calendar cannot be read within a second, so the application starts without it"
            _warnings.warn("slow start", text)
        self._start_thread()

    def stop(self) -> None:
        """Stop following the file and the day, and wait up to a second for a check that is running.

        The calendar stays in force. A check that ended later would replace what the caller puts in force next.
        """
        self._stopped.set()
        wait_for_look(self.looking)

    def look(self, *, reads_file: bool) -> None:
        """Check the file, unless it is only read at the start, and put changes and a new day in force."""
        with self.looking:
            try:
                if reads_file and self._file is not None:
                    self._file = self._look_at_file(self._file)
                self._publish()
            except Exception as error:  # noqa: BLE001 - the application goes on, with the previous calendar
                pass_interruption(error)
                text = "model registry: cannot update the calendar, so the previous one stays in force: %r"
                _warnings.warn(type(error), text, error)

    def list_states(self) -> list[tuple[Any, ...]]:
        """Return the fields of the file's ``FileState``; nothing if there is no file."""
        file = self._file
        if file is None:
            return []
        age = time.monotonic() - self._seen_in_force
        error = None if file.error is None else str(file.error)
        return [(file.path, file.version, len(file.entries or ()), age, self._failures, error)]

    def _look_at_file(self, old: WatchedFile) -> WatchedFile:
        new = old.look()
        if new.error is None and new.is_settled:
            self._seen_in_force = time.monotonic()
        if new.entries is not old.entries:
            warn_about_writers(new.path)
        if new.error is None and old.error is not None:
            logs.info("model registry: calendar file %s is valid again", new.path)
        if new.error is not None and new.error is not old.error:
            self._failures += 1
            effect = "its previous announcements stay in force"
            if new.entries is None:
                effect = "no shutdown of a provider is known until the file is fixed"
            _warnings.warn(str(new.error), "model registry: cannot load calendar file %s; %s", new.error, effect)
        return new

    def _publish(self) -> None:
        """Put the calendar and the day in force, if they are not in force yet."""
        registry, before = self._registry(), self._in_force
        new = CalendarDay(self._calendar, read_today())
        if self._file is not None and self._file.entries is not None:
            new = CalendarDay(self._file.entries, new.day, self._file.source)
        is_changed = before is None or before.calendar is not new.calendar or before.day != new.day
        if is_changed and registry is not None and not self._stopped.is_set():
            put_calendar(registry, new)
            self._in_force = new

    def _start_thread(self) -> None:
        error = start_daemon(self._run, self._stopped, "model-registry-calendar")
        if error is not None:
            text = "model registry: changes of the calendar and new days are missed, as no thread could be started: %s"
            _warnings.warn("thread", text, error)

    def _run(self, stopped: threading.Event) -> None:
        interval = self.settings[1]
        pause = min(interval / 3_000, _LONGEST_PAUSE) or _LONGEST_PAUSE
        while not stopped.wait(pause) and self._registry() is not None:
            self.look(reads_file=interval > 0)

    def after_fork(self) -> None:
        """Continue in a child process, which has the parent's memory but none of its threads."""
        self.looking = threading.RLock()
        self._failures = 0
        self.resume()

    def resume(self) -> None:
        """Go on after ``stop``, or after a fork."""
        self._stopped = threading.Event()
        self._start_thread()


def put_in_force(calendar: Calendar | None, registry: RegistryCore) -> None:
    """Put a calendar in force in a registry, or none; it replaces one that was followed, or would be."""
    if calendar is None:
        stop_calendar(registry)
        _calendars.by_registry[registry] = None
        put_calendar(registry, None)
    else:
        CalendarWatcher(registry, None, calendar, 0).start()


def follow_calendar_setting(registry: RegistryCore, calendar: object = None, reload_interval: object = None) -> None:
    """Let a registry follow the file of the setting ``calendar``.

    The first call decides, unless an option is given. A calendar that code put in force is only replaced by another
    file, and not by another interval.
    """
    with _calendars.starting:
        current = _calendars.by_registry.get(registry)
        is_chosen_in_code = registry in _calendars.by_registry and (current is None or current.settings[0] is None)
        if calendar is None and (is_chosen_in_code or (current is not None and reload_interval is None)):
            return
        path = CALENDAR.read(calendar)
        if path is None:
            return
        interval = RELOAD_INTERVAL.read(reload_interval)
        if current is None or current.settings != (path, interval):
            CalendarWatcher(registry, path, None, interval).start()


def stop_calendar(registry: RegistryCore) -> None:
    """Stop following the calendar of a registry; it stays in force."""
    watcher = _calendars.by_registry.pop(registry, None)
    if watcher is not None:
        watcher.stop()


def list_calendar_states() -> list[tuple[Any, ...]]:
    """Return the fields of ``FileState`` for each calendar file that is followed in this process."""
    watchers = (_calendars.by_registry.get(registry) for registry in live_keys(_calendars.by_registry))
    return [state for watcher in watchers if watcher is not None for state in watcher.list_states()]


class _Calendars(WatcherState):
    """The calendars that this process keeps up to date, one per registry; ``None`` if code chose to have none."""

    by_registry: weakref.WeakKeyDictionary[RegistryCore, CalendarWatcher | None]

    def list_looking(self) -> list[threading.RLock]:
        """Return the locks that the watchers hold while they look."""
        return [watcher.looking for watcher in filter(None, list(self.by_registry.values()))]

    def after_fork_in_child(self) -> None:
        """Follow the calendars in the child too, with new locks."""
        self.starting = threading.RLock()
        for watcher in filter(None, list(self.by_registry.values())):
            watcher.after_fork()

    def set_aside(self) -> Callable[[], None]:
        """Stop following the process-wide registry's calendar, and return the function that goes on with it."""
        return pause_watcher(self.by_registry, get_default_registry(), CalendarWatcher.resume)

    def reset(self) -> None:
        """Stop all watchers, and leave no calendar in force, nor one that is no longer followed."""
        for registry in {*live_keys(self.by_registry), get_default_registry()}:
            stop_calendar(registry)
            put_calendar(registry, None)


_calendars: Final = _Calendars()


def _stop_all() -> None:
    for watcher in filter(None, list(_calendars.by_registry.values())):
        watcher.stop()


atexit.register(_stop_all)
