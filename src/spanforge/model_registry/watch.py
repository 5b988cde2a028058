"""Live updates of a registry from its files. In every process, a thread looks at the files at an interval."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import source_sets, storage
from spanforge.model_registry._core.calendar_watch import follow_calendar_setting, list_calendar_states
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.file_states import FileState
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
from spanforge.model_registry._core.registry_sources import split_sources
from spanforge.model_registry._core.releasing import release
from spanforge.model_registry._core.settings import FILE, RELOAD_INTERVAL
from spanforge.model_registry._core.source_log_lines import log_late_start, log_loaded_files, log_source_changes
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.values import quote
from spanforge.model_registry._core.watched_address import WatchedAddress
from spanforge.model_registry._core.watched_sources import list_watched_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.errors import RegistryFileError
    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry._core.source_sets import AnySource
    from spanforge.model_registry._core.watched_file import WatchedFile

__all__ = ["FileState", "FileWatcher", "file_states", "follow_settings"]

_warnings: Final = WarnOnce(100)


class FileWatcher:
    """Keeps a registry up to date with its files. It reads them at the start, and again when they change.

    The process-wide registry uses their entries as its upper layer. In any other registry, they replace all entries, as
    ``load`` does. Several files are combined, and an id may be in only one of them.

    An invalid file is logged, once for each error, and its previous entries stay in force. No error is raised for the
    content of a file. After a fork, the child follows the files too.

    Args:
        registry: The registry. It has only one watcher, the last one that was started.
        files: The paths of files, folders and globs of them, and ``https://`` addresses. A folder's registry files are
            those whose names end in ``.json``, ``.yaml`` or ``.yml``, except hidden files and JSON Schemas. Each look
            lists the folders and opens the files again, so files may come and go, and symbolic links may change. A text
            is read as the setting is.
        reload_interval: Milliseconds within which a change is in force; with 0, only ``start`` reads the files.
    """

    def __init__(self, registry: ModelRegistry, files: Iterable[str], *, reload_interval: int = 10_000) -> None:
        self._registry = weakref.ref(registry)
        self.files: tuple[str, ...] = split_sources(files) if isinstance(files, str) else tuple(files)
        self.reload_interval = reload_interval
        self._reset()
        self._looking = threading.RLock()
        self._stopped = threading.Event()

    def _reset(self) -> None:
        self._sources = source_sets.make_sources(self.files, self.reload_interval / 1_000)
        self._in_force: dict[str, Sequence[ModelRegistryEntry]] = {}
        self._loaded: dict[str, str] = {}
        self._conflict: str | None = None
        self._seen_in_force: dict[str, float] = {}
        self._started = time.monotonic()
        self._failures: Counter[str] = Counter()
        self._has_looked = False

    def states(self) -> list[FileState]:
        """Return the state of each file, and of each folder or glob without files."""
        sources = self._sources
        states = [
            self._describe(file.path, file.error, file.version, len(file.entries or ()))
            for file in list_watched_files(sources)
        ]
        return states + [self._describe(each.source, each.error) for each in sources if each.error is not None]

    def _describe(
        self, path: str, error: RegistryFileError | None, version: str | None = None, models: int = 0
    ) -> FileState:
        age = time.monotonic() - self._seen_in_force.get(path, self._started)
        return FileState(
            path, version, models, age, self._failures[path], self._conflict if error is None else str(error)
        )

    @property
    def lacks_files(self) -> bool:
        """``True`` if a file has never been in force, because it is missing or invalid. A log line has the reason."""
        if not all(source.files for source in self._sources):
            return True
        return any(file.path not in self._in_force for file in list_watched_files(self._sources))

    def start(self) -> None:
        """Read the files, and follow them until ``stop``. If reading takes a second, it goes on in another thread."""
        registry = self._registry()
        if registry is None:
            return
        before = _watchers.by_registry.get(registry)
        if before is not None:
            before.stop()
        _watchers.by_registry[registry] = self
        self._stopped = threading.Event()
        self._reset()
        for source in self.files:
            is_json = source.lower().endswith(".json")
            storage.preload_parser(source if is_json else ".yaml")  # a folder may get a YAML file later
        if not look_first(self.look, self._looking):
            self._warn_about_slow_start()
        if self.reload_interval:
            self._start_thread()

    def _warn_about_slow_start(self) -> None:
        """Log which files were not read yet. A server that does not answer has its own line."""
        unread = source_sets.list_unread(self._sources)
        if unread:
            text = "model registry: %s cannot be read within a second, so the application starts without these models"
            _warnings.warn("slow start", text, ", ".join(unread))

    def stop(self) -> None:
        """Stop following the files, and wait up to a second for a check that is running.

        The entries of the files stay in the registry.
        """
        self._stopped.set()
        wait_for_look(self._looking)
        registry = self._registry()
        if registry is not None and _watchers.by_registry.get(registry) is self:
            del _watchers.by_registry[registry]

    def look(self) -> None:
        """Check the files now, and load changed content unless a file may be half written. No error is raised.

        The servers of addresses are asked too, one after another.
        """
        self._check(asks_all=True)

    def _check(self, *, asks_all: bool) -> None:
        """Check the files, and ask the servers of addresses: all of them, or those whose time has come."""
        with self._looking:
            try:
                self._look_at_files()
                self._ask_servers(asks_all=asks_all)
                self._has_looked = True
            except Exception as error:  # noqa: BLE001 - the application goes on, with the models it has
                pass_interruption(error)
                text = "model registry: cannot read the registry files, so the previous entries stay in force: %r"
                _warnings.warn(type(error), text, error)

    def _look_at_files(self) -> None:
        sources = source_sets.look_together(self._sources)
        if sources is not None:
            self._accept(sources)

    def _ask_servers(self, *, asks_all: bool) -> None:
        """Ask servers, one after another, and accept each answer before the next request: one may take long."""
        for number, source in enumerate(self._sources):
            if not isinstance(source, WatchedAddress) or self._stopped.is_set():
                continue
            if asks_all or source.due <= time.monotonic():
                seen = source.ask()
                self._accept([*self._sources[:number], seen, *self._sources[number + 1 :]])
                log_late_start(seen, source, time.monotonic() - self._started)

    def _accept(self, sources: list[AnySource]) -> None:
        """Put what a look found in force, and log what has changed."""
        files = list_watched_files(sources)
        if all(source.is_settled for source in sources) and not self._stopped.is_set():
            self._take(files)
        before, self._sources = self._sources, sources
        self._note_files_in_force(files)
        self._failures.update(log_source_changes(sources, before))
        old_entries = [entry for file in list_watched_files(before) for entry in file.entries or ()]
        del before
        release(old_entries)

    def _note_files_in_force(self, files: Sequence[WatchedFile]) -> None:
        now = time.monotonic()
        for file in files:
            is_in_force = file.error is None and file.is_settled and file.entries is self._in_force.get(file.path)
            if is_in_force and self._conflict is None:
                self._seen_in_force[file.path] = now if file.confirmed is None else file.confirmed

    def _take(self, files: Sequence[WatchedFile]) -> None:
        """Put the files' entries in force, if they are not in force yet."""
        entries = {file.path: file.entries for file in files if file.entries is not None}
        is_same = entries.keys() == self._in_force.keys()
        if not is_same or any(self._in_force[path] is not each for path, each in entries.items()):
            self._publish(files)
            self._in_force = entries

    def _publish(self, watched: Sequence[WatchedFile]) -> None:
        """Replace the registry's entries of files by those of all files, unless two files have the same model."""
        shared = storage.find_shared_id((file.path, file.entries or ()) for file in watched)
        if shared is not None:
            self._report_conflict(*shared)
            return
        self._conflict = None
        entries = [entry for file in watched for entry in file.entries or ()]
        registry = self._registry()
        if registry is not None:
            sources = [file.source for file in watched if file.sha256 is not None]
            replace_file_entries(registry, entries, sources)
            self._loaded = log_loaded_files(watched, self._loaded, is_start=not self._has_looked)

    def _report_conflict(self, model_id: str, first: str, second: str) -> None:
        text = self._conflict = f"model {quote(model_id)} is in both {first} and {second}"
        self._failures[second] += 1
        _warnings.warn(text, "model registry: %s; the previous entries of all files stay in force", text)

    def _start_thread(self) -> None:
        error = start_daemon(self._run, self._stopped, "model-registry-files")
        if error is not None:
            text = "model registry: changes of registry files are not loaded, because no thread could be started: %s"
            _warnings.warn("thread", text, error)

    def _run(self, stopped: threading.Event) -> None:
        pause_of_files = self.reload_interval / 3_000  # one look finds a change, and another one confirms it
        while self._registry() is not None:
            pause = source_sets.plan_next_look(self._sources, pause_of_files) if self._has_looked else 0
            if stopped.wait(pause):
                return
            self._check(asks_all=False)

    def _after_fork(self) -> None:
        """Continue in a child process, which has the parent's memory but none of its threads."""
        self._looking = threading.RLock()
        self._failures = Counter()
        self._sources = source_sets.reschedule(self._sources)
        self._resume()

    def _resume(self) -> None:
        self._stopped = threading.Event()
        if self.reload_interval:
            self._start_thread()


def file_states() -> list[FileState]:
    """Return the state of each file that is followed in this process: registry files, and calendar files."""
    registry_files = [
        state
        for registry in live_keys(_watchers.by_registry)
        if (watcher := _watchers.by_registry.get(registry))
        for state in watcher.states()
    ]
    return [*registry_files, *(FileState(*state) for state in list_calendar_states())]


def find_watcher(registry: ModelRegistry) -> FileWatcher | None:
    """Return the watcher of a registry; ``None`` if the registry follows no files."""
    return _watchers.by_registry.get(registry)


def follow_settings(file: object = None, reload_interval: object = None, calendar: object = None) -> FileWatcher | None:
    """Let the process-wide registry follow the files of the settings, and return the watcher of the registry files.

    The first call decides, unless a later call passes a setting. No error is raised.

    Args:
        file: The option ``file``; with ``None`` the environment decides.
        reload_interval: The option ``reload_interval``; with ``None`` the environment decides.
        calendar: The option ``calendar``; with ``None`` the environment decides.

    Returns:
        The watcher; ``None`` if there are no files.
    """
    registry = get_default_registry()
    follow_calendar_setting(registry, calendar, reload_interval)
    with _watchers.starting:
        current = _watchers.by_registry.get(registry)
        if current is not None and file is None and reload_interval is None:
            return current
        files, interval = FILE.read(file), RELOAD_INTERVAL.read(reload_interval)
        if not files:
            return current
        if current is None or (current.files, current.reload_interval) != (files, interval):
            current = FileWatcher(registry, files, reload_interval=interval)
            current.start()
        return current


class _Watchers(WatcherState):
    """The watchers of this process, one per registry."""

    by_registry: weakref.WeakKeyDictionary[ModelRegistry, FileWatcher]

    def list_looking(self) -> list[threading.RLock]:
        """Return the locks that the watchers hold while they look."""
        return [watcher._looking for watcher in list(self.by_registry.values())]  # noqa: SLF001 - own class

    def after_fork_in_child(self) -> None:
        """Follow the files in the child too, with new locks, because another thread of the parent may hold the old."""
        self.starting = threading.RLock()
        for watcher in list(self.by_registry.values()):
            watcher._after_fork()  # noqa: SLF001 - this module's own class

    def set_aside(self) -> Callable[[], None]:
        """Stop the process-wide registry's watcher, and return the function that goes on with it."""
        return pause_watcher(self.by_registry, get_default_registry(), FileWatcher._resume)  # noqa: SLF001 - own class

    def reset(self) -> None:
        """Stop all watchers."""
        for watcher in list(self.by_registry.values()):
            watcher.stop()


_watchers: Final = _Watchers()


def _at_exit() -> None:
    for watcher in list(_watchers.by_registry.values()):
        watcher._stopped.set()  # noqa: SLF001 - this module's own class; ``stop`` would wait for a look


atexit.register(_at_exit)
