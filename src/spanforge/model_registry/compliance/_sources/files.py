"""Readers of telemetry: the protocol of all readers, and the reader of OTLP JSON files, plain or compressed."""

from __future__ import annotations

import glob
import gzip
import hashlib
import importlib
import io
import os
import sys
import zlib
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_LINE: Final = 16 * 1024 * 1024
"""The limit of one request's bytes. The Collector and the SDK send at most 4 MiB at once."""
_CHUNK: Final = 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_SIZE_PREFIX: Final = 4
"""Bytes of the size before each compressed request in a file that the Collector compresses."""
_NO_FILE: Final = "is not a file; pass files or a glob such as archive/*.jsonl*"


@runtime_checkable
class TelemetryReader(Protocol):
    """The protocol of readers of telemetry for evidence.

    A reader can have two more attributes. ``path`` is the path of a file. Of several readers of one type with the same
    path, only one is read. If its name is the path, the evidence shows a shorter name. ``cut_off`` is a sentence for
    ``limits``, used if the last request of the input cannot be read.

    Attributes:
        name: The name of the input in the evidence.
        kind: The telemetry format: ``Input.kind`` of the attestation.
        size: The number of bytes that were read; valid after the last request.
        sha256: The SHA-256 of these bytes, in hexadecimal; valid after the last request.
        limits: The parts that could not be read, a sentence each; valid after the last request. Any limit makes the
            evidence incomplete.
    """

    name: str
    kind: str
    size: int
    sha256: str
    limits: list[str]

    def requests(self) -> Iterator[bytes]:
        """Yield the export requests, in OTLP JSON.

        Raises:
            TelemetryError: The input cannot be read.
        """


class FileReader:
    """Reads a file of OTLP JSON, one request per line, as the Collector and the SDK write it; plain, gzip or zstd.

    If the file grows, only the part that exists at the start is read.

    Args:
        path: The path of the file.
        name: The name of the input in the evidence; ``None`` for the path.
    """

    kind = "otlp_json"

    def __init__(self, path: str, name: str | None = None) -> None:
        self.path = path
        self.name: str = name or as_unicode(path)
        self.size: int = 0
        self.sha256: str = hashlib.sha256().hexdigest()
        self.limits: list[str] = []

    def requests(self) -> Iterator[bytes]:
        """Yield the lines that are not empty; raise the errors of ``TelemetryReader.requests``."""
        self.limits = []
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise TelemetryError(self.path, _NO_FILE)  # reading a pipe would block
        try:
            with open(self.path, "rb", buffering=0) as file:
                raw = HashedFile(file, hashlib.sha256())
                yield from _decompress(raw, self.limits)
                raw.drain()
        except OSError as error:
            raise TelemetryError(self.path, f"cannot be read: {explain_os_error(error)}") from error
        self.size, self.sha256 = raw.size, raw.hash.hexdigest()


class HashedFile(io.RawIOBase):
    """A file up to its current end, with the digest of the bytes that were read.

    Args:
        file: The file.
        digest: The hash object to update; several files may share one.
    """

    def __init__(self, file: IO[bytes], digest: hashlib._Hash) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        self.size = 0
        self.hash = digest
        self.start = self.read(_SIZE_PREFIX + len(_ZSTD)) or b""
        self._again = self.start

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``."""
        if getattr(self, "_again", b""):
            data, self._again = self._again[:size], self._again[size:]
            return data
        wanted = min(size if size >= 0 else _CHUNK, self._left)
        data = self._file.read(wanted) if wanted > 0 else b""
        self._left = self._left - len(data) if data else 0
        self.size += len(data)
        self.hash.update(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def drain(self) -> None:
        """Read the rest, for the digest."""
        while self.read(_CHUNK):
            pass


def _decompress(raw: HashedFile, limits: list[str]) -> Iterator[bytes]:
    read: Callable[[int], bytes] = raw.read
    damage: tuple[type[Exception], ...] = ()
    if raw.start[_SIZE_PREFIX:] == _ZSTD:
        return _read_frames(io.BufferedReader(raw, _CHUNK), limits)
    if raw.start.startswith(_GZIP):
        read = gzip.GzipFile(fileobj=io.BufferedReader(raw, _CHUNK)).read1  # unlike read(), it keeps data before damage
        damage = EOFError, gzip.BadGzipFile, zlib.error
    elif raw.start.startswith(_ZSTD):
        zstd = _import_zstd()
        read, damage = zstd.ZstdFile(io.BufferedReader(raw, _CHUNK)).read1, (EOFError, zstd.ZstdError)
    return _split_lines(_read_chunks(read, damage, limits), limits)


def _import_zstd() -> Any:
    try:
        return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError:
        raise MissingExtraError("archives compressed with zstd", "compliance") from None


def _read_chunks(
    read: Callable[[int], bytes], damage: tuple[type[Exception], ...], limits: list[str]
) -> Iterator[bytes]:
    """Yield the bytes of a stream up to the first damage."""
    try:
        while chunk := read(_CHUNK):
            yield chunk
    except damage as error:
        limits.append(f"the compressed data ends early or is damaged: {error}")


def _split_lines(chunks: Iterable[bytes], limits: list[str]) -> Iterator[bytes]:
    """Yield the lines that are not empty, without line ends; skip lines that are too long."""
    begun: list[bytes] = []
    size = 0
    for chunk in chunks:
        *lines, last = chunk.split(b"\n")
        if lines:
            lines[0] = b"" if size > MAX_LINE else b"".join([*begun, lines[0]])
            begun, size = [], 0
            yield from [line for line in lines if line.strip()]
        size += len(last)
        if size <= MAX_LINE:
            begun.append(last)
        elif begun:
            _add_limit_once(limits, f"a line is longer than {MAX_LINE} bytes")
            begun = []
    rest = b"".join(begun)
    if rest.strip():
        yield rest


def _add_limit_once(limits: list[str], limit: str) -> None:
    """Add a limit once, because a damaged file may have the same damage a million times."""
    if limit not in limits:
        limits.append(limit)


def _read_frames(stream: IO[bytes], limits: list[str]) -> Iterator[bytes]:
    """Yield the requests of a file that the Collector compresses: each request follows its size."""
    zstd = _import_zstd()
    while head := stream.read(_SIZE_PREFIX):
        size = int.from_bytes(head, "big")
        data = stream.read(min(size, MAX_LINE))
        if len(head) < _SIZE_PREFIX or len(data) < size:
            _add_limit_once(limits, "the file ends in the middle of a request, or is damaged")
            return
        decompressor = zstd.ZstdDecompressor()
        try:
            request = decompressor.decompress(data, MAX_LINE + 1)
        except zstd.ZstdError as error:
            _add_limit_once(limits, f"the compressed data is damaged: {error}")
            continue
        if len(request) > MAX_LINE:
            _add_limit_once(limits, f"a request is longer than {MAX_LINE} bytes")
        elif not decompressor.eof or decompressor.unused_data:
            _add_limit_once(limits, "the compressed data is damaged: the size of a request is wrong")
        else:
            yield request


def expand_paths(sources: Iterable[str]) -> list[str]:
    """Return the files of paths and globs, each once, in the order of the sources and sorted within a glob.

    Raises:
        TelemetryError: A file is missing, a path is not a file, or a glob matches no file or one outside its folder.
    """
    files: dict[str, str] = {}
    for source in sources:
        for path in _expand_glob(source) if glob.has_magic(source) and not os.path.exists(source) else [source]:
            if not os.path.exists(path):
                raise TelemetryError(path, "no such file")
            if not os.path.isfile(path):
                raise TelemetryError(path, _NO_FILE)
            files.setdefault(os.path.realpath(path), path)
    return list(files.values())


def _expand_glob(pattern: str) -> list[str]:
    """Return the files that a glob matches; no link may lead out of the folder before the first wildcard."""
    folder = _find_folder(pattern)
    matches = [match for match in sorted(glob.glob(pattern, recursive=True)) if not os.path.isdir(match)]
    for match in matches:
        if os.path.commonpath([folder, os.path.realpath(match)]) != folder:
            raise TelemetryError(match, f"is outside the folder of the glob {pattern}")
    if not matches:
        raise TelemetryError(pattern, "matches no file")
    return matches


def _find_folder(pattern: str) -> str:
    """Return the folder before the first wildcard of a glob."""
    parts = pattern.split(os.sep)
    wild = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    if os.pardir in parts[wild:]:
        raise TelemetryError(pattern, "must not contain .. after a wildcard")
    root = os.sep if pattern.startswith(os.sep) else os.curdir
    return os.path.realpath(os.sep.join(parts[:wild]) or root)


def shorten_paths(paths: Sequence[str]) -> list[str]:
    """Return a short name for each path: as many of its last parts as distinguish it from the others."""
    parts = [tuple(os.path.abspath(path).split(os.sep)) for path in paths]
    known = Counter(end for path in parts for end in _list_endings(path))
    return [as_unicode("/".join(next((end for end in _list_endings(path) if known[end] == 1), path))) for path in parts]


def _list_endings(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (parts[-length:] for length in range(1, len(parts) + 1))


def as_unicode(path: str) -> str:
    """Return a path as Unicode text; bytes that are not UTF-8 become replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")
