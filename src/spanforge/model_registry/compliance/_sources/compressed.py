"""Files as streams of bytes: hashed while they are read, and decompressed."""

from __future__ import annotations

import gzip
import importlib
import io
import os
import sys
import zlib
from typing import IO, TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.errors import MissingExtraError

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterator

ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""The first bytes of data that zstd compressed."""
_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1024 * 1024
"""The bytes that are read at once, so that memory does not grow with the file."""


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
        self.start = self.read(len(ZSTD)) or b""
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


class ByteStream:
    """The bytes of a file, decompressed, up to the first damage.

    Args:
        raw: The file.
        limits: The list to which damage is added.
    """

    def __init__(self, raw: HashedFile, limits: list[str]) -> None:
        self._read, self._damage = _open_decompressed(raw)
        self._limits = limits
        self._ahead = b""
        self._at = 0

    def peek(self, size: int) -> bytes:
        """Return the next bytes without going on; fewer only at the end."""
        parts = [self._ahead[self._at :]]
        missing = size - len(parts[0])
        while missing > 0 and (more := self._read_more()):
            parts.append(more)
            missing -= len(more)
        self._ahead, self._at = b"".join(parts), 0
        return self._ahead[:size]

    def take(self, size: int) -> bytes:
        """Return the next bytes; fewer only at the end."""
        parts = []
        while size > 0:
            if self._at >= len(self._ahead):
                self._ahead, self._at = self._read_more(), 0
                if not self._ahead:
                    break
            parts.append(self._ahead[self._at : self._at + size])
            self._at += len(parts[-1])
            size -= len(parts[-1])
        return b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """Yield the rest."""
        if ahead := self._ahead[self._at :]:
            self._ahead, self._at = b"", 0
            yield ahead
        while chunk := self._read_more():
            yield chunk

    def _read_more(self) -> bytes:
        try:
            return self._read(_CHUNK)
        except self._damage as error:
            self._limits.append(f"the compressed data ends early or is damaged: {error}")
            self._read = _read_no_more
            return b""


def _read_no_more(_size: int) -> bytes:
    return b""


def _open_decompressed(raw: HashedFile) -> tuple[Callable[[int], bytes], tuple[type[Exception], ...]]:
    """Return the function that reads a file's content, and the errors by which it reports damage."""
    if raw.start.startswith(_GZIP):
        file = gzip.GzipFile(fileobj=io.BufferedReader(raw, _CHUNK))
        return file.read1, (EOFError, gzip.BadGzipFile, zlib.error)  # unlike read(), it keeps data before damage
    if raw.start.startswith(ZSTD):
        zstd = import_zstd()
        return zstd.ZstdFile(io.BufferedReader(raw, _CHUNK)).read1, (EOFError, zstd.ZstdError)
    return raw.read, ()


def import_zstd() -> Any:
    """Return the module that decompresses zstd.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError:
        raise MissingExtraError("archives compressed with zstd", "compliance") from None
