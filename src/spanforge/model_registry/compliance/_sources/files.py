"""Readers of telemetry: the protocol of all readers, and the reader of files in OTLP JSON or protobuf."""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.errors import TelemetryError
from spanforge.model_registry.compliance._sources.compressed import ByteStream, HashedFile
from spanforge.model_registry.compliance._sources.layouts import open_layout
from spanforge.model_registry.compliance._sources.wrong_files import describe_content, is_binary_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry.compliance._sources.layouts import Layout

_NO_FILE: Final = "is not a file; pass files or a glob such as archive/*.jsonl*"


@runtime_checkable
class TelemetryReader(Protocol):
    """The protocol of readers of telemetry for evidence.

    A reader can have four more attributes. ``path`` is the path of a file. Of several readers of one type with the
    same path, only one is read. If its name is the path, the evidence shows a shorter name. ``cut_off`` is a sentence
    for ``limits``, used if the last request of the input ends early. ``place`` is the place of the latest request, such
    as ``line 3``, which the evidence shows if the request cannot be read. ``position`` is the number of bytes read so
    far, for reports of progress.

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
    """Reads a file of OTLP, in JSON of any layout or in protobuf; plain, or compressed with gzip or zstd.

    If the file grows, only the part that exists at the start is read. An empty file is no error, because a rotation
    may leave one.

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
        self._layout: Layout | None = None
        self._raw: HashedFile | None = None

    @property
    def position(self) -> int:
        """The number of bytes that were read so far."""
        return 0 if self._raw is None else self._raw.size

    @property
    def place(self) -> str:
        """The place of the latest request, such as ``line 3``."""
        return "" if self._layout is None else self._layout.place

    @property
    def start(self) -> bytes:
        """The beginning of the content, by which a wrong file is recognised."""
        return b"" if self._layout is None else self._layout.start

    def requests(self) -> Iterator[bytes]:
        """Yield the requests, and other documents; raise the errors of ``TelemetryReader.requests``."""
        self.limits = []
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise TelemetryError(self.path, _NO_FILE)  # reading a pipe would block
        try:
            with open(self.path, "rb", buffering=0) as file:
                raw = self._raw = HashedFile(file, hashlib.sha256())
                yield from self._read_documents(ByteStream(raw, self.limits))
                raw.drain()
        except OSError as error:
            raise TelemetryError(self.path, f"cannot be read: {explain_os_error(error)}") from error
        self.size, self.sha256 = raw.size, raw.hash.hexdigest()

    def _read_documents(self, stream: ByteStream) -> Iterator[bytes]:
        layout = self._layout = open_layout(stream, self.limits)
        if is_binary_kind(layout.start):
            raise TelemetryError(self.path, describe_content(layout.start))
        documents = layout.documents()
        first = next(documents, None)
        if first is not None:
            yield first
            yield from documents
        elif self.limits:
            raise TelemetryError(self.path, f"has no readable request: {self.limits[0]}")
        elif not layout.is_blank:
            raise TelemetryError(self.path, describe_content(layout.start))


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
