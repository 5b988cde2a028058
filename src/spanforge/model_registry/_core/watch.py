"""Live updates: a registry follows its files, in every process, by looking at them from a thread of its own."""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import stat
import threading
import time
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core import logs, storage
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.errors import RegistryFileError
from spanforge.model_registry._core.process import ProcessState, WarnOnce, live_keys
from spanforge.model_registry._core.settings import FILE, RELOAD_INTERVAL
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.registry import ModelRegistry

SETTLES: Final = 3.0
"""Seconds after which every further change moves a file's times: the coarsest clocks of file systems tick in twos."""

_TRIES: Final = 3
"""Times that several files are read in a row, to find one moment at which they belong together."""
_PATIENCE: Final = 1.0
"""Seconds that a look may take until ``stop`` waits for it no longer: a network disk may not answer."""

_DIGITS: Final = 12
"""Digits of a SHA-256 that tell versions of a file apart."""

_Mark = tuple[int, ...]
"""Device, inode, size, and the times of content and inode: one of them changes when a file does."""

_lines: Final = WarnOnce(100)


@dataclass(frozen=True, slots=True)
class _File:
    """What is known of one file.

    Attributes:
        path: Where it is.
        mark: Its mark when it was last looked at; ``None``: it could not be opened.
        since: The monotonic time, in seconds, at which it was first seen with this mark.
        sure: Whether it was read so long after that, that only another mark can hide another content.
        digest: Of what it held when it was last read, or of the error.
        taken: Of what was last taken from it or complained of; ``None``: nothing yet.
        entries: What it held when it was last good.
        error: What was wrong with it when it was last read.
        version: Of what it held when it was last good: the first digits of the SHA-256.
    """

    path: str
    mark: _Mark | None = None
    since: float = 0.0
    sure: bool = False
    digest: bytes | None = None
    taken: bytes | None = None
    entries: Sequence[ModelRegistryEntry] | None = None
    error: RegistryFileError | None = None
    version: str | None = None

    @property
    def settled(self) -> bool:
        """Whether what it held when it was last read is taken, or complained of."""
        return self.digest == self.taken

    def looked_at(self) -> _File:
        """Return what is known of it now.

        What it holds is taken at once when it is good, and another file by the same name, as after a rename. Anything
        else may be half of something: that is taken, or complained of, when two looks in a row have found the same.
        """
        now, mark, error = time.monotonic(), None, None
        content: bytes | None = b""
        try:
            mark, content = _read(self.path, self.mark if self.sure and self.settled else None)
        except RegistryFileError as found:
            error = found
        if content is None:
            return self
        same = mark is not None and mark == self.mark
        digest = hashlib.sha256(content if error is None else str(error).encode(errors="replace")).digest()
        since = self.since if same else now
        seen = replace(self, mark=mark, since=since, sure=same and now - since > SETTLES, digest=digest)
        steady = self.taken is None or digest == self.digest
        replaced = mark is not None and self.mark is not None and mark[:2] != self.mark[:2]
        if seen.settled or not (steady or replaced):
            return seen
        read = seen.read(content, error)
        return read if steady or read.error is None else seen

    def read(self, content: bytes, error: RegistryFileError | None) -> _File:
        """Return what is known of it when it has this content, or cannot be read."""
        if error is None:
            try:
                entries = storage.parse_entries(self.path, content)
                version = hashlib.sha256(content).hexdigest()[:_DIGITS]
                return replace(self, taken=self.digest, entries=entries, error=None, version=version)
            except RegistryFileError as found:
                error = found
        return replace(self, taken=self.digest, error=error)


class FileState(NamedTuple):
    """How it stands with a file that is followed.

    Attributes:
        path: Where it is.
        version: Of what it held when it was last good: the first 12 digits of the SHA-256; ``None``: it never was.
        models: How many models it held then.
        age: Seconds since it was last seen to be in force as it is; since the start, if it never was.
        failures: How often it became bad in this process: could not be read, was not valid, or had a model that another
            file has too.
        error: What is wrong with it.
    """

    path: str
    version: str | None
    models: int
    age: float
    failures: int
    error: str | None


class FileWatcher:
    """Keeps a registry as its files are: reads them now, and again whenever they change.

    The process-wide registry takes what they hold as its upper layer; any other registry is replaced by it, as by
    ``load``. Several files count together, and an id may be in one of them only. A file that is bad is logged, once
    for each error, and what it last held stays in force: nothing is raised for what a file is or holds. After a fork
    the child follows the files as well.

    Args:
        registry: Who follows the files. It has one watcher at a time: the last that was started.
        files: Their paths. Each look opens them anew, wherever symbolic links lead by then.
        reload_interval: Milliseconds within which a change is in force; 0: the files are read by ``start`` only.
    """

    def __init__(self, registry: ModelRegistry, files: Iterable[str], *, reload_interval: int = 10_000) -> None:
        self._registry = weakref.ref(registry)
        self.files: tuple[str, ...] = tuple(files)
        self.reload_interval = reload_interval
        self._forget()
        self._looking = threading.RLock()
        self._stopped = threading.Event()

    def _forget(self) -> None:
        self._known = [_File(path) for path in self.files]
        self._in_force: list[Sequence[ModelRegistryEntry] | None] = [None] * len(self.files)
        self._conflict: str | None = None
        self._seen_in_force = dict.fromkeys(self.files, time.monotonic())
        self._failures = dict.fromkeys(self.files, 0)

    def states(self) -> list[FileState]:
        """Return how it stands with each file."""
        now = time.monotonic()
        return [
            FileState(
                path=file.path,
                version=file.version,
                models=len(file.entries or ()),
                age=now - self._seen_in_force[file.path],
                failures=self._failures[file.path],
                error=self._conflict if file.error is None else str(file.error),
            )
            for file in self._known
        ]

    def start(self) -> None:
        """Read the files, and follow them from now on, until ``stop``."""
        registry = self._registry()
        if registry is None:
            return
        before = _watchers.by_registry.get(registry)
        if before is not None:
            before.stop()
        _watchers.by_registry[registry] = self
        self._stopped = threading.Event()
        self._forget()
        for path in self.files:
            storage.prepare(path)
        self.look()
        if self.reload_interval:
            self._follow()

    def stop(self) -> None:
        """Follow the files no longer; what they held stays in force. A look that has begun may end first."""
        self._stopped.set()
        if self._looking.acquire(timeout=_PATIENCE):
            self._looking.release()
        registry = self._registry()
        if registry is not None and _watchers.by_registry.get(registry) is self:
            del _watchers.by_registry[registry]

    def look(self) -> None:
        """Look at the files now and take what has changed, unless it may be half of a change. Never raises."""
        with self._looking:
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - the application goes on, with the models it has
                _lines.warn(type(error), "model registry files cannot be followed: %r", error)

    def _look(self) -> None:
        for _ in range(_TRIES):
            found = [file.looked_at() for file in self._known]
            if len(found) == 1 or all(map(_is_still, found)):
                break
        else:
            return
        if all(file.settled for file in found) and not self._stopped.is_set():
            self._take([file.entries for file in found])
        before, self._known = self._known, found
        now = time.monotonic()
        for new, old, held in zip(found, before, self._in_force, strict=True):
            if new.error is None and new.settled and new.entries is held and self._conflict is None:
                self._seen_in_force[new.path] = now
            if _tell(new, old):
                self._failures[new.path] += 1

    def _take(self, held: list[Sequence[ModelRegistryEntry] | None]) -> None:
        """Have in force what the files hold, unless it is already."""
        if any(new is not old for new, old in zip(held, self._in_force, strict=True)):
            self._publish(held)
            self._in_force = held

    def _publish(self, held: list[Sequence[ModelRegistryEntry] | None]) -> None:
        """Have the registry take what the files hold together; not, where they disagree."""
        registry, places, entries = self._registry(), dict[str, str](), list["ModelRegistryEntry"]()
        for path, its in zip(self.files, held, strict=True):
            for entry in its or ():
                other = places.setdefault(entry.model_id, path)
                if other != path:
                    text = self._conflict = f"model {quote(entry.model_id)} is in both {other} and {path}"
                    self._failures[path] += 1
                    _lines.warn(text, "model registry files: %s; what they held before stays in force", text)
                    return
                entries.append(entry)
        self._conflict = None
        if registry is not None:
            replace_file_entries(registry, entries)
            logs.debug("model registry: %d models from %s", len(entries), os.pathsep.join(self.files))

    def _follow(self) -> None:
        thread = threading.Thread(target=self._run, args=(self._stopped,), name="model-registry-files", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # there are too many threads, or the interpreter is ending
            _lines.warn("thread", "model registry files are not followed: %s", error)

    def _run(self, stopped: threading.Event) -> None:
        pause = self.reload_interval / 3_000  # in an interval one look finds a change, another that it is whole
        while not stopped.wait(pause) and self._registry() is not None:
            self.look()

    def _after_fork(self) -> None:
        """Go on in a child, which has the parent's memory and none of its threads."""
        self._looking = threading.RLock()
        self._stopped = threading.Event()
        self._failures = dict.fromkeys(self.files, 0)
        if self.reload_interval:
            self._follow()


def file_states() -> list[FileState]:
    """Return how it stands with each file that is followed in this process."""
    return [
        state
        for registry in live_keys(_watchers.by_registry)
        if (watcher := _watchers.by_registry.get(registry))
        for state in watcher.states()
    ]


def follow_settings(file: object = None, reload_interval: object = None) -> FileWatcher | None:
    """Have the process-wide registry follow the files that are given by setting.

    Whoever calls this first decides, unless a later caller gives a setting itself. Nothing is raised.

    Args:
        file: The option ``file``; ``None``: the environment decides.
        reload_interval: The option ``reload_interval``, likewise.

    Returns:
        Who follows the files; ``None`` where there are none.
    """
    registry = get_default_registry()
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


def _read(path: str, known: _Mark | None) -> tuple[_Mark, bytes | None]:
    """Return a file's mark and what it holds; ``None`` for that where the mark is the one that is known.

    The file is opened in any case, because that is when a network file system asks its server.
    """
    content = None
    with storage.readable(path), open(path, "rb", opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        mark = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        if mark != known and found.st_size <= storage.MAX_FILE_SIZE:
            content = file.read(storage.MAX_FILE_SIZE + 1)
    storage.check_size(path, max(found.st_size, len(content or b"")))
    return mark, content


def _open_at_once(path: str, flags: int) -> int:
    """Open a regular file; whatever else has the name, a named pipe too, is an error and nothing to wait for."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file")


def _is_still(file: _File) -> bool:
    """Tell whether a file is as it was when it was looked at."""
    try:
        return _read(file.path, file.mark)[1] is None
    except RegistryFileError:
        return file.mark is None


def _tell(new: _File, old: _File) -> bool:
    """Log that a file has become bad, or good again; tell whether it has become bad."""
    bad = new.error is not None and new.error is not old.error
    if bad:
        then = "its models are unregistered until it is good" if new.entries is None else "what it held stays in force"
        _lines.warn(str(new.error), "model registry file %s; %s", new.error, then)
    elif new.error is None and old.error is not None:
        logs.info("model registry file %s is good again", new.path)
    return bad


class _Watchers(ProcessState):
    """The watchers of this process, one per registry."""

    def __init__(self) -> None:
        self.by_registry: weakref.WeakKeyDictionary[ModelRegistry, FileWatcher] = weakref.WeakKeyDictionary()
        self.starting = threading.RLock()
        super().__init__()

    def after_fork_in_child(self) -> None:
        """Follow the files in the child too; another thread of the parent may have held the lock."""
        self.starting = threading.RLock()
        for watcher in list(self.by_registry.values()):
            watcher._after_fork()  # noqa: SLF001 - this module's own class

    def reset(self) -> None:
        """Stop all watchers."""
        for watcher in list(self.by_registry.values()):
            watcher.stop()


_watchers: Final = _Watchers()


def _at_exit() -> None:
    for watcher in list(_watchers.by_registry.values()):
        watcher._stopped.set()  # noqa: SLF001 - this module's own class; and nobody is kept from ending


atexit.register(_at_exit)
