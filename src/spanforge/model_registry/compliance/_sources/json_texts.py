"""JSON texts: the documents in a stream of JSON, in any layout and encoding.

Ordinary archives have one request per line. Other layouts are a document over several lines, several documents one
after another, and documents in an array. A damaged document does not hide the ones after it.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_DOCUMENT: Final = 16 * 1024 * 1024
"""The limit of one document's bytes. The Collector and the SDK send at most 4 MiB at once."""
_MAX_ODD: Final = 1_000
"""The limit of documents that are damaged, short or not JSON. After them, only lines that look like requests count."""
_MAX_RESTARTS: Final = 10
"""The limit of searches inside damaged documents that are long, because each search may read to the end."""
_LONG: Final = 64 * 1024
"""The number of bytes from which a damaged document, or a line that is not JSON, is long."""
_SHORT: Final = 64
"""The number of bytes that every document with a span or a log record has."""
_KEPT_BYTES: Final = 64
"""The number of bytes that are kept to find the beginning of a request; it can be longer only by white space."""

_LINE_STARTS: Final = (b'{"resourceSpans":', b'{"resourceLogs":', b'{"resourceMetrics":')
_LINE_ENDS: Final = (b"]}", b"]}\r")
_OPEN: Final = b"{"
_BETWEEN: Final = re.compile(rb"[\s\x1e\xef\xbb\xbf]*(?:\[[\s\[]*)?")
"""Bytes between documents: white space, the marks of JSON sequences and of UTF-8, and the beginning of an array."""
_BETWEEN_ITEMS: Final = re.compile(rb"[\s,\[\]]*")
"""Bytes between documents in an array."""
_BETWEEN_PARTS: Final = re.compile(rb"[\s,\[\]}]*")
"""Bytes between the parts of a document that is too long to be read at once."""
_LINE_OPEN: Final = b"\n{"
_START_MARK: Final = re.compile(rb'\n\{|"resource')
_REQUEST: Final = re.compile(rb'\{\s*"resource(?:Spans|Logs|Metrics)"')
"""The beginning of a request. It does not occur inside a JSON string, in which the quotes follow backslashes."""
_AFTER_MANY: Final = re.compile(rb'\n(?=\{"resource(?:Spans|Logs|Metrics)":)')
_AFTER_LINE: Final = re.compile(rb'\n|\{\s*"resource(?:Spans|Logs|Metrics)"')
_LOG_PREFIX: Final = re.compile(rb'[^\n"{}]{1,1000}(?=\{\s*"(?:resource|scopeSpans|scopeLogs)")')
"""The text of a logger before a resource, as the Java agent writes it."""
_LIST_START: Final = re.compile(
    rb'\{\s*(?:"(?:result|trace)"\s*:\s*\{\s*)?"(?:resourceSpans|resourceLogs|batches)"\s*:\s*(?=\[)'
)
"""The beginning of a document up to its list of resources, which can be documents of their own."""
_PLACE: Final = re.compile(r"(trailing characters )?\(byte (\d+)\)")

_decode_raw: Final = msgspec.json.Decoder(msgspec.Raw).decode


class _Extent(NamedTuple):
    """The extent of a document.

    Attributes:
        end: The number of its bytes; if it is damaged, of the bytes before the damage.
        is_whole: ``True`` if the document is JSON.
        ends_early: ``True`` if the data ends before the document does.
    """

    end: int
    is_whole: bool = False
    ends_early: bool = False


def _measure(data: memoryview) -> _Extent:
    """Return the extent of the JSON document with which bytes begin."""
    try:
        _decode_raw(data)
    except msgspec.DecodeError as error:
        match = _PLACE.search(str(error))
        if match is None:
            return _Extent(len(data), ends_early=True)
        end = int(match[2]) - 1
        return _Extent(_count_without_end(data[:end]), is_whole=True) if match[1] else _Extent(end)
    except RecursionError:
        return _Extent(len(data))
    return _Extent(_count_without_end(data), is_whole=True)


def _count_without_end(document: memoryview) -> int:
    """Return the number of bytes of a document without the white space after it."""
    return len(bytes(document).rstrip())


def to_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same JSON text in UTF-8, from UTF-8, UTF-16 or UTF-32, with or without a byte order mark."""
    stream = iter(chunks)
    start = b""
    while len(start) < len(codecs.BOM_UTF32_LE) and (chunk := next(stream, b"")):
        start += chunk
    encoding = json.detect_encoding(start)
    if encoding.startswith("utf-8"):
        yield start
        yield from stream
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in itertools.chain([start], stream):
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def split_documents(text: bytes) -> Iterator[bytes]:
    """Yield the documents in a JSON text that is in memory, also if one line has several of them."""
    return JsonSplitter([], has_lines=False).split([text])


class JsonSplitter:
    """Splits a stream of JSON texts in UTF-8 into documents.

    The time is proportional to the bytes, and the memory is limited, whatever the bytes are. Text that is not JSON is
    a document too, so that it can be reported.

    Args:
        limits: The list to which the parts that cannot be read are added.
        has_lines: ``True`` if a line that begins and ends as a request may be taken for one, which is fast.

    Attributes:
        is_blank: ``True`` if there is only white space between the documents.
    """

    def __init__(self, limits: list[str], *, has_lines: bool = True) -> None:
        self.is_blank = True
        self._limits = limits
        self._has_lines = has_lines
        self._data = b""
        self._at = 0
        self._begin = 0
        self._counted = 0
        self._lines = 1
        self._is_last = False
        self._skips = False
        self._between = _BETWEEN
        self._odd = 0
        self._restarts = 0

    @property
    def line(self) -> int:
        """The number of the line at which the latest document begins."""
        return self._lines + self._data.count(b"\n", self._counted, self._begin)

    def split(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the documents."""
        waiting: list[bytes] = []
        missing = 0
        for chunk in chunks:
            waiting.append(chunk)
            missing -= len(chunk)
            if missing <= 0:
                yield from self._split_more(b"".join(waiting))
                waiting = []
                missing = min(len(self._data) - self._at, MAX_DOCUMENT // 4)  # so that bytes are read again few times
        self._is_last = True
        yield from self._split_more(b"".join(waiting))

    def _split_more(self, more: bytes) -> Iterator[bytes]:
        """Yield the documents that more data completes."""
        self._count_lines()
        self._data = self._data[self._at :] + more
        self._at = self._begin = self._counted = 0
        while True:
            if self._has_lines:
                yield from self._take_lines()
            document = self._take_other()
            if document is None:
                return
            if document:
                yield document

    def _take_lines(self) -> Iterator[bytes]:
        """Yield the lines that are a request each, up to the first other text. Most of an archive goes this way."""
        self._count_lines()
        data, at, taken = self._data, self._at, 0
        while not self._skips and data.startswith(_LINE_STARTS, at):
            end = data.find(b"\n", at)
            line = data[at:end] if end >= 0 else data[at:] if self._is_last else b""
            if not line.endswith(_LINE_ENDS) or len(line) > MAX_DOCUMENT:
                break
            self._begin = at
            at += len(line) + 1
            taken += 1
            yield line
        self._at = self._counted = at
        self._lines += taken

    def _count_lines(self) -> None:
        """Count the lines up to the place that was reached."""
        self._lines += self._data.count(b"\n", self._counted, self._at)
        self._counted = self._at

    def _take_other(self) -> bytes | None:
        """Return the next document of any layout; ``None`` if more data is required.

        It is empty if it is too long, or if it may be a line of its own.
        """
        if self._skips and not self._skip_damage():
            return None
        has_passed = self._pass_between()
        if self._at >= len(self._data):
            return None
        if has_passed and self._has_lines and self._data.startswith(_LINE_STARTS, self._at):
            return b""
        if self._odd > _MAX_ODD:
            return self._take_text(_AFTER_MANY)
        if not self._data.startswith(_OPEN, self._at):
            return self._take_text(_AFTER_LINE)
        return self._take_document()

    def _pass_between(self) -> bool:
        """Go on behind the bytes between documents, and return ``True`` if there are any."""
        between = self._between.match(self._data, self._at)
        assert between is not None  # noqa: S101 - it matches nothing too
        signs = between.group()
        self.is_blank = self.is_blank and not signs.strip(b"\xef\xbb\xbf \t\r\n\v\f")
        if self._between is _BETWEEN and b"[" in signs:
            self._between = _BETWEEN_ITEMS
        self._pass(len(signs))
        return bool(signs)

    def _take_document(self) -> bytes | None:
        """Return the next JSON document, whole or damaged."""
        with memoryview(self._data) as view:
            extent = _measure(view[self._at :])
        if extent.end > MAX_DOCUMENT:
            return self._leave_out(extent)
        if extent.is_whole:
            self._odd += extent.end < _SHORT
            return self._pass(extent.end)
        if extent.ends_early and not self._is_last:
            return None
        return self._take_damaged(extent.end)

    def _pass(self, size: int) -> bytes:
        """Return the next bytes, and go on behind them."""
        self._begin = self._at
        self._at += size
        return self._data[self._begin : self._at]

    def _leave_out(self, extent: _Extent) -> bytes:
        """Go on with the parts of a document that is too long; if it has none, go on behind it."""
        start = _LIST_START.match(self._data, self._at)
        if start is not None:
            self._between = _BETWEEN_PARTS
            self._pass(len(start.group()))
        else:
            add_limit_once(self._limits, f"a request is longer than {MAX_DOCUMENT:,} bytes")
            self._skips = not extent.is_whole
            self._pass(extent.end if extent.is_whole else 1)
        return b""

    def _take_text(self, after: re.Pattern[bytes]) -> bytes | None:
        """Return text that is not JSON, up to the pattern."""
        self._odd += 1
        prefix = _LOG_PREFIX.match(self._data, self._at)
        if prefix is not None:
            return self._pass(len(prefix.group()))
        end = after.search(self._data, self._at + 1)
        if end is not None:
            return self._pass(end.start() - self._at)
        return self._take_rest(_LONG)

    def _take_damaged(self, size: int) -> bytes | None:
        """Return a damaged document, up to the beginning of the next one; it may begin before the damage."""
        self._odd += 1
        self._restarts += size > _LONG
        inside = 1 if self._restarts <= _MAX_RESTARTS else size
        end = _find_start(self._data, self._at + inside)
        return self._take_rest(MAX_DOCUMENT) if end < 0 else self._pass(end - self._at)

    def _take_rest(self, limit: int) -> bytes | None:
        """Return the data that may belong to a damaged document, and skip the data after it."""
        rest = len(self._data) - self._at
        if self._is_last:
            return self._pass(rest)
        if rest <= limit:
            return None
        self._skips = True
        return self._pass(rest - _KEPT_BYTES)  # the data may end in the middle of the beginning of a request

    def _skip_damage(self) -> bool:
        """Go on at the next request, and return ``True`` if there is one in the data."""
        end = _find_start(self._data, self._at)
        rest = len(self._data) - self._at
        self._skips = end < 0
        self._pass(end - self._at if end >= 0 else max(rest - _KEPT_BYTES, 0))
        return end >= 0


def _find_start(data: bytes, at: int) -> int:
    """Return the next place where a request begins, or a line that begins as an object; -1 if there is none."""
    for mark in itertools.islice(_START_MARK.finditer(data, at), _MAX_ODD):
        if data.startswith(_LINE_OPEN, mark.start()):
            return mark.start()
        brace = data.rfind(_OPEN, max(at, mark.start() - _KEPT_BYTES), mark.start())
        if brace >= 0 and _REQUEST.match(data, brace):
            return brace
    return -1


def add_limit_once(limits: list[str], limit: str) -> None:
    """Add a limit once, because a damaged file may have the same damage a million times."""
    if limit not in limits:
        limits.append(limit)
