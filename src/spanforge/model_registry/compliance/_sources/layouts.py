"""Layouts of files: JSON text, requests that each follow their size, and protobuf without sizes.

The Collector's file exporter writes JSON lines. With ``format: proto``, with ``compression: zstd``, or with both, each
request follows its size.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from spanforge.model_registry.compliance._sources.compressed import ZSTD, import_zstd
from spanforge.model_registry.compliance._sources.json_texts import MAX_DOCUMENT, JsonSplitter, add_limit_once, to_utf8
from spanforge.model_registry.compliance._sources.otlp_proto import to_json
from spanforge.model_registry.compliance._sources.wrong_files import SHOWN_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry.compliance._sources.compressed import ByteStream

_SIZE_BYTES: Final = 4
_FIRST_FIELD: Final = b"\n"
"""The first byte of a request in protobuf: field 1, with a size. In a text it is a line feed."""
_PROTO_SIGNS: Final = re.compile(rb"\n[^\n]{1,4}[\n\x12].*[\x00-\x08\x0e-\x1a]", re.DOTALL)
"""A request in protobuf. In a text that begins with a line feed there are no control characters."""
_MAX_SIZE_BITS: Final = 35
"""The limit of the bits of a size in protobuf. Five bytes hold more than ``MAX_DOCUMENT``."""
_ENDS_EARLY: Final = "the file ends in the middle of a request, or is damaged"
_NOT_PROTO: Final = "a request is not OTLP protobuf"


class Layout(Protocol):
    """A layout of requests in a file.

    Attributes:
        place: The place of the latest request.
        start: The beginning of the content, by which a wrong file is recognised.
        is_blank: ``True`` if the file has no content.
    """

    @property
    def place(self) -> str: ...

    @property
    def start(self) -> bytes: ...

    @property
    def is_blank(self) -> bool: ...

    def documents(self) -> Iterator[bytes]:
        """Yield the requests in OTLP JSON, and other documents."""


def open_layout(stream: ByteStream, limits: list[str]) -> Layout:
    """Return the layout that a file has.

    Args:
        stream: The content of the file.
        limits: The list to which the parts that cannot be read are added.
    """
    start = stream.peek(SHOWN_BYTES)
    size, data = int.from_bytes(start[:_SIZE_BYTES], "big"), start[_SIZE_BYTES:]
    if data.startswith(ZSTD) or (0 < size <= MAX_DOCUMENT and data.startswith(_FIRST_FIELD)):
        return _SizedLayout(stream, limits)
    if _PROTO_SIGNS.match(start):
        return _UnsizedLayout(stream, limits)
    return _TextLayout(stream, limits)


class _TextLayout:
    """JSON in any layout and encoding."""

    def __init__(self, stream: ByteStream, limits: list[str]) -> None:
        self.start = stream.peek(SHOWN_BYTES)
        self._chunks = to_utf8(stream.chunks())
        self._splitter = JsonSplitter(limits)

    @property
    def place(self) -> str:
        return f"line {self._splitter.line}"

    @property
    def is_blank(self) -> bool:
        return self._splitter.is_blank

    def documents(self) -> Iterator[bytes]:
        return self._splitter.split(self._keep_start())

    def _keep_start(self) -> Iterator[bytes]:
        """Yield the text, and keep its beginning in UTF-8."""
        self.start = b""
        for chunk in self._chunks:
            self.start += chunk[: SHOWN_BYTES - len(self.start)]
            yield chunk


class _BinaryLayout:
    """Requests whose place is their number."""

    is_blank = False

    def __init__(self, stream: ByteStream, limits: list[str]) -> None:
        self.start = stream.peek(SHOWN_BYTES)
        self._stream = stream
        self._limits = limits
        self._number = 0

    @property
    def place(self) -> str:
        return f"request {self._number}"

    def _add_limit(self, limit: str) -> None:
        add_limit_once(self._limits, limit)

    def _decode_proto(self, data: bytes) -> Iterator[bytes]:
        request = to_json(data)
        if request is None:
            self._add_limit(_NOT_PROTO)
        else:
            yield request


class _SizedLayout(_BinaryLayout):
    """Requests that each follow their size, in JSON or protobuf, perhaps compressed with zstd."""

    def documents(self) -> Iterator[bytes]:
        while head := self._stream.take(_SIZE_BYTES):
            size = int.from_bytes(head, "big")
            data = self._stream.take(min(size, MAX_DOCUMENT))
            if len(head) < _SIZE_BYTES or len(data) < size:
                self._add_limit(_ENDS_EARLY)
                return
            self._number += 1
            content = self._decompress(data)
            if content is not None and content.startswith(_FIRST_FIELD):
                yield from self._decode_proto(content)
            elif content is not None:
                yield content

    def _decompress(self, data: bytes) -> bytes | None:
        """Return a request; ``None`` if it is damaged or too long."""
        if data.startswith(_FIRST_FIELD):
            return data
        zstd = import_zstd()
        decompressor = zstd.ZstdDecompressor()
        try:
            request: bytes = decompressor.decompress(data, MAX_DOCUMENT + 1)
        except zstd.ZstdError as error:
            self._add_limit(f"the compressed data is damaged: {error}")
            return None
        if len(request) > MAX_DOCUMENT:
            self._add_limit(f"a request is longer than {MAX_DOCUMENT:,} bytes")
            return None
        if not decompressor.eof or decompressor.unused_data:
            self._add_limit("the compressed data is damaged: the size of a request is wrong")
            return None
        return request


class _UnsizedLayout(_BinaryLayout):
    """One request in protobuf, or several without sizes, which protobuf reads as one."""

    def documents(self) -> Iterator[bytes]:
        """Yield a request for each resource, so that the file may be longer than a request."""
        while head := self._stream.take(len(_FIRST_FIELD)):
            size = self._take_size()
            if head != _FIRST_FIELD or size is None or size > MAX_DOCUMENT:
                self._add_limit(_NOT_PROTO)
                return
            data = self._stream.take(size)
            if len(data) < size:
                self._add_limit(_ENDS_EARLY)
                return
            self._number += 1
            yield from self._decode_proto(_FIRST_FIELD + _encode_size(size) + data)

    def _take_size(self) -> int | None:
        """Return the size that follows; ``None`` if it is malformed."""
        size = 0
        for shift in range(0, _MAX_SIZE_BITS, 7):
            byte = self._stream.take(1)
            if not byte:
                return None
            size |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:  # noqa: PLR2004 - the highest bit: more bytes follow
                return size
        return None


def _encode_size(size: int) -> bytes:
    encoded = bytearray()
    while size >= 0x80:  # noqa: PLR2004 - likewise
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*encoded, size])
