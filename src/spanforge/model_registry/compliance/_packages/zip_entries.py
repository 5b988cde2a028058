"""The entries of a zip that any program made, read without trust in its headers.

.ZIP File Format Specification (APPNOTE) 6.3.10, sections 4.3.7 and 4.3.16. ``zipfile`` reads the directory at the end,
and other programs read the entries from the start. Both must find the same files. So the two must agree in each entry,
and there must be nothing before, between or after the entries and the directory.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.errors import VerificationError, shorten
from spanforge.model_registry.compliance._packages.files import MAX_FILES, MAX_PACKAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

LOCAL: Final = b"PK\x03\x04"
"""The first bytes of a zip with entries."""
MAX_DIRECTORY_SIZE: Final = 4 * 1024 * 1024
"""The limit of the bytes of a zip's directory, because it is read before the signature is verified."""

_DIRECTORY_END: Final = struct.Struct("<4s4H2IH")
"""The end of the directory: signature, disks, numbers of entries, size and start of the directory, comment's length."""
_HEADER: Final = struct.Struct("<4s5H3I2H")
"""An entry's header: signature, version, flags, method, time, date, CRC-32, two sizes, lengths of name and extra."""
_DESCRIPTOR: Final = struct.Struct("<4s3I")
"""The fields after an entry's content, if its header has no sizes: signature, CRC-32, two sizes."""
_ENCRYPTED, _SIZES_FOLLOW, _UTF8 = 0x1, 0x8, 0x800
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_FAULTS: Final = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, ValueError, EOFError)


class ZipEntry(NamedTuple):
    """An entry of a zip.

    Attributes:
        path: Its path, with slashes between its parts. It ends in a slash if it is a folder.
        info: Its headers.
        read: The function that returns its content.
    """

    path: str
    info: zipfile.ZipInfo
    read: Callable[[], bytes]


def describe_modified(name: str, detail: object) -> VerificationError:
    """Return the error for a zip that is neither the one that was written nor one that can be verified as a folder."""
    hint = "if you zipped the files again, unpack them and verify the folder"
    return VerificationError(name, f"the zip container was modified: {detail}; {hint}")


def list_zip_entries(name: str, archive: bytes) -> list[ZipEntry]:
    """Return the entries of a zip in the order of its directory.

    Args:
        name: The path of the zip, for errors.
        archive: The bytes of the zip.

    Raises:
        VerificationError: The archive is not a zip, is larger than a package, or has bytes that belong to no entry. So
            do the functions ``read`` of entries whose content is damaged.
    """
    if not archive.startswith(LOCAL):
        raise VerificationError(name, "is neither a folder nor a zip")
    start = _find_directory(name, archive)
    try:
        opened = zipfile.ZipFile(io.BytesIO(archive))
        is_whole = _measure_entries(archive, opened.infolist()) == start
    except _FAULTS as error:
        raise describe_modified(name, error) from None
    if not is_whole:
        raise describe_modified(name, "its entries and its directory differ")
    if sum(info.file_size for info in opened.infolist()) > MAX_PACKAGE_SIZE:
        raise VerificationError(name, f"is larger than {MAX_PACKAGE_SIZE} bytes")
    return [
        # Some programs of Windows write backslashes.
        ZipEntry(info.orig_filename.replace("\\", "/"), info, _make_reader(name, opened, info))
        for info in opened.infolist()
    ]


def _find_directory(name: str, archive: bytes) -> int:
    """Return the start of the directory, if it ends the archive and is not too large."""
    end = len(archive) - _DIRECTORY_END.size
    if end < 0:
        raise describe_modified(name, "it has no directory")
    signature, *disks, here, number, size, start, comment = _DIRECTORY_END.unpack_from(archive, end)
    if (signature, *disks, here, comment) != (b"PK\x05\x06", 0, 0, number, 0) or start + size != end:
        raise describe_modified(name, "its directory is not at its end")
    if number > MAX_FILES or size > MAX_DIRECTORY_SIZE:
        raise VerificationError(name, f"has more than {MAX_FILES:,} entries")
    return int(start)


def _measure_entries(archive: bytes, infos: list[zipfile.ZipInfo]) -> int | None:
    """Return the end of the last entry; ``None`` if an entry differs from the directory or does not follow another."""
    position = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        header = _HEADER.unpack_from(archive, position)
        name_end = position + _HEADER.size + header[9]
        name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
        if info.header_offset != position or archive[position + _HEADER.size : name_end] != name:
            return None
        position = name_end + header[10] + info.compress_size
        facts = info.CRC, info.compress_size, info.file_size
        if info.flag_bits & _SIZES_FOLLOW and header[6:9] != facts:
            if _DESCRIPTOR.unpack_from(archive, position) != (b"PK\x07\x08", *facts):
                return None
            position += _DESCRIPTOR.size
            facts = 0, 0, 0
        if header[:9] != (LOCAL, header[1], info.flag_bits, info.compress_type, *_encode_time(info), *facts):
            return None
    return position


def _encode_time(info: zipfile.ZipInfo) -> tuple[int, int]:
    """Return the time and the date of an entry, as headers contain them."""
    year, month, day, hour, minute, second = info.date_time
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


def _make_reader(name: str, opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        entry = shorten(info.orig_filename)
        if info.compress_type not in _METHODS or info.flag_bits & _ENCRYPTED:
            raise VerificationError(name, f"{entry} is encrypted, or compressed with another method than deflate")
        try:
            return opened.read(info)
        except _FAULTS as error:
            raise describe_modified(name, f"{entry} cannot be read: {error}") from None

    return read
