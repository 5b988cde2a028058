"""The telemetry formats: the sources of evidence, and their readers.

A new format is a module with a reader beside this one, and a row of ``FORMATS``. The documentation and the description
of ``Input.kind`` in the schema are generated from its note.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from spanforge.model_registry._core.errors import TelemetryError, shorten
from spanforge.model_registry.compliance._sources.clickhouse import ClickHouseReader
from spanforge.model_registry.compliance._sources.clickhouse_address import is_clickhouse
from spanforge.model_registry.compliance._sources.files import (
    FileReader,
    TelemetryReader,
    as_unicode,
    expand_paths,
    shorten_paths,
)
from spanforge.model_registry.compliance._sources.jaeger import JaegerReader
from spanforge.model_registry.compliance._sources.tables import TelemetryTables

TelemetryInput = TelemetryReader | TelemetryTables
TelemetrySource = str | os.PathLike[str] | TelemetryReader


class Format(NamedTuple):
    """One telemetry format.

    Attributes:
        accepts: The check whether a source is of this format.
        open: The function that returns the readers of a source. Its arguments are the source, and the start and end of
            the period in nanoseconds since the epoch.
        note: The sources, for the documentation: ``files of …``.
        read_file: The class of the reader, if it needs only a path. Another process can then read the file.
        size_of: The function that returns the number of bytes to read at a path; required with ``read_file``.
    """

    accepts: Callable[[Any], bool]
    open: Callable[[Any, int, int], list[TelemetryInput]]
    note: str
    read_file: Callable[[str], TelemetryReader] | None = None
    size_of: Callable[[str], int] | None = None


def _is_address(source: Any) -> bool:
    return isinstance(source, str) and "://" in source


def _is_path(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike))


def _open_jaeger(source: str, start: int, end: int) -> list[TelemetryInput]:
    return [JaegerReader(source, start, end)]


def _open_files(source: str | os.PathLike[str], _start: int, _end: int) -> list[TelemetryInput]:
    return [FileReader(path) for path in expand_paths([os.fsdecode(source)])]


def _open_clickhouse(source: str, _start: int, _end: int) -> list[TelemetryInput]:
    return [ClickHouseReader(source)]


FORMATS: Final[Mapping[str, Format]] = {
    ClickHouseReader.kind: Format(
        is_clickhouse,
        _open_clickhouse,
        "addresses of ClickHouse (`clickhouse://user@host:8443/database`) with the tables of the Collector's "
        "ClickHouse exporter",
    ),
    JaegerReader.kind: Format(
        _is_address, _open_jaeger, "addresses of Jaeger's query API (`http://localhost:16686`), 1.54 or newer"
    ),
    FileReader.kind: Format(
        _is_path,
        _open_files,
        "files and globs of OTLP: JSON in any layout, or protobuf as the Collector's file exporter writes it; plain or "
        "compressed with gzip or zstd",
        FileReader,
        os.path.getsize,
    ),
}
"""The formats by their kind. The first one that accepts a source opens it."""


def open_sources(telemetry: Iterable[TelemetrySource] | TelemetrySource, start: int, end: int) -> list[TelemetryInput]:
    """Return the readers of sources, each file once.

    Args:
        telemetry: One source, or several.
        start: The period's first nanosecond since the epoch.
        end: The first nanosecond after the period.

    Raises:
        TelemetryError: A source does not exist, or is of no format.
    """
    is_one = isinstance(telemetry, (str, os.PathLike, TelemetryReader)) or not isinstance(telemetry, Iterable)
    sources: list[Any] = [telemetry] if is_one else list(cast("Iterable[Any]", telemetry))
    readers: list[TelemetryInput] = []
    for source in sources:
        readers += [source] if isinstance(source, TelemetryReader) else _open_source(source, start, end)
    return _shorten_names(_drop_repeated(readers))


def _open_source(source: Any, start: int, end: int) -> list[TelemetryInput]:
    for row in FORMATS.values():
        if row.accepts(source):
            return row.open(source, start, end)
    raise TelemetryError("telemetry", f"must be paths, globs, addresses or readers; got {shorten(source)}")


def get_path(reader: TelemetryInput) -> str | None:
    """Return the path of the file that a reader reads; ``None`` if it reads no file."""
    path = getattr(reader, "path", None)
    return path if isinstance(path, str) else None


def _drop_repeated(readers: Iterable[TelemetryInput]) -> list[TelemetryInput]:
    """Return the readers, without those of the same type and file as an earlier one."""
    distinct: dict[object, TelemetryInput] = {}
    for reader in readers:
        path = get_path(reader)
        distinct.setdefault(reader if path is None else (type(reader), os.path.realpath(path)), reader)
    return list(distinct.values())


def _shorten_names(readers: list[TelemetryInput]) -> list[TelemetryInput]:
    """Return the readers; a reader whose name is its path gets the shortest distinct name."""
    paths = {id(reader): path for reader in readers if (path := get_path(reader)) is not None}
    short_names = dict(zip(paths, shorten_paths(list(paths.values())), strict=True))
    for reader in readers:
        path = paths.get(id(reader))
        if path is not None and reader.name == as_unicode(path):
            reader.name = short_names[id(reader)]
    return readers


def file_kind(reader: TelemetryInput) -> str | None:
    """Return the kind of a reader that ``open_file`` can open again; ``None`` if only the reader itself can read.

    A subclass may read in another way, so it is not treated as its base class.
    """
    row = FORMATS.get(reader.kind)
    return reader.kind if row is not None and type(reader) is row.read_file else None


def refuse_tables(reader: TelemetryInput) -> TelemetryReader:
    """Return a reader of export requests.

    Raises:
        TelemetryError: The reader reads tables, which have no requests.
    """
    if isinstance(reader, TelemetryTables):
        raise TelemetryError(reader.name, "cannot be read here; pass files of OTLP, or an address of Jaeger")
    return reader


def open_file(kind: str, path: str) -> TelemetryReader:
    """Return a reader of a file, by the kind of its format."""
    read_file = FORMATS[kind].read_file
    assert read_file is not None, kind  # noqa: S101 - file_kind names no other
    return read_file(path)


def read_size(kind: str, path: str) -> int:
    """Return the number of bytes to read at a path; 0 if it is unknown."""
    size_of = FORMATS[kind].size_of
    assert size_of is not None, kind  # noqa: S101 - every format with read_file has it, which a test checks
    with contextlib.suppress(OSError, TelemetryError):
        return size_of(path)
    return 0
