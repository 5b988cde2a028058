"""Packages as they arrive: zips that other programs made, files that file managers added, and links."""

from __future__ import annotations

import io
import os
import shutil
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.packages import SignedCase, make_zip

from spanforge.model_registry.compliance import verify_package
from spanforge.model_registry.compliance._packages import containers, zip_entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPACKED = "another program made this zip; the files in it are those that were signed"
IGNORED = "ignored files that file managers add, and that the signature does not cover: "


@pytest.fixture
def case(tmp_path: Path) -> SignedCase:
    return SignedCase(tmp_path / "case", Ed25519PrivateKey.generate())


class Pipe(io.RawIOBase):
    """A stream that cannot seek, so a zip in it has the sizes after each entry, as Finder writes it."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.content += bytes(data)
        return len(data)


def stream_zip(files: list[tuple[str, bytes]]) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload]
        for name, content in files:
            archive.writestr(name, content)
    return pipe.content


def deflate(entry: zipfile.ZipInfo) -> None:
    entry.compress_type = zipfile.ZIP_DEFLATED


def date(entry: zipfile.ZipInfo) -> None:
    entry.date_time = (2026, 11, 2, 10, 30, 58)


def add_extra(entry: zipfile.ZipInfo) -> None:
    deflate(entry)
    entry.extra = b"UT" + (50_000).to_bytes(2, "little") + bytes(50_000)


def flag_sizes_after_entries(archive: bytes) -> bytes:
    """Set the flag of sizes after the entries, as some libraries do although the sizes are in the headers."""
    for signature, size in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = archive.index(signature)
        start = archive[at : at + size]
        archive = archive.replace(start + b"\0\0", start + b"\x08\0")
    return archive


Files = list[tuple[str, bytes]]
WAYS: dict[str, Callable[[Files], bytes]] = {
    "deflated": lambda files: make_zip(files, deflate),
    "other times": lambda files: make_zip(files, date),
    "extra fields": lambda files: make_zip(files, add_extra),
    "another order": lambda files: make_zip(files[::-1], lambda _: None),
    "a top folder": lambda files: make_zip([(f"october/{name}", data) for name, data in files], lambda _: None),
    "an entry for the folder": lambda files: make_zip(
        [("ö 1/", b""), *((f"ö 1/{name}", data) for name, data in files)], deflate
    ),
    "backslashes": lambda files: make_zip([(f"october\\{name}", data) for name, data in files], deflate),
    "sizes after entries": stream_zip,
    "only the flag of sizes after entries": lambda files: flag_sizes_after_entries(make_zip(files, deflate)),
    "files of macOS": lambda files: make_zip(
        [*files, (".DS_Store", b"x"), ("__MACOSX/._evidence.csv", b"y"), ("__MACOSX/", b"")], deflate
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_zip_of_another_program_is_verified_as_a_folder(way: str, case: SignedCase) -> None:
    """A zip of the package's files that another program made is verified, with a note."""
    case.zip.write_bytes(WAYS[way](sorted(case.made.items())))
    report = verify_package(case.zip, [case.public])
    notes = [f"{IGNORED}'.DS_Store', '__MACOSX/', '__MACOSX/._evidence.csv'"] if "macOS" in way else []
    assert report.notes == (*notes, REPACKED)
    assert report.digests == verify_package(case.folder, [case.public]).digests


def test_zip_of_a_copied_folder_is_verified(case: SignedCase) -> None:
    """A package that was unpacked and packed again with the standard library is verified."""
    with zipfile.ZipFile(case.zip) as archive:
        archive.extractall(case.place / "unpacked" / "november")
    (case.place / "unpacked" / "november" / ".DS_Store").touch()
    again = shutil.make_archive(str(case.place / "again"), "zip", case.place / "unpacked")
    assert verify_package(again, [case.public]).notes == (f"{IGNORED}'november/.DS_Store'", REPACKED)


@pytest.mark.parametrize("name", ["evidence.csv", "registry-1-models.yaml", "SHA256SUMS"])
def test_changed_file_in_a_zip_of_another_program_is_refused(name: str, case: SignedCase) -> None:
    """A zip that another program made of changed files is refused."""
    case.zip.write_bytes(make_zip(sorted((case.made | {name: b"changed"}).items()), deflate))
    case.refuse(case.zip, f"{name} is not the file that was signed")


def link(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16


def pack(entry: zipfile.ZipInfo) -> None:
    entry.compress_type = zipfile.ZIP_BZIP2


def test_zips_that_programs_read_in_different_ways_are_refused(case: SignedCase) -> None:
    """A zip of another program has nothing that some programs extract and others do not."""
    files = sorted(case.made.items())
    good = make_zip(files, deflate)
    start = good.index(b"PK\1\2")
    hidden = make_zip([("evidence.csv", b"forged")], deflate)
    hidden = hidden[: hidden.index(b"PK\1\2")]
    renamed = good.replace(b"evidence.csv", b"evidence.txt", 1)
    streamed = stream_zip(files)
    for archive, reason in (
        (hidden + good, "its directory is not at its end"),
        (good + b"\0", "its directory is not at its end"),
        (good[:start] + hidden + good[start:], "its directory is not at its end"),
        (make_zip(files, deflate, b"comment"), "its directory is not at its end"),
        (renamed, "its entries and its directory differ"),
        (streamed[:14] + b"forged" + streamed[20:], "its entries and its directory differ"),
        (make_zip([(f"../{name}", data) for name, data in files], deflate), "SHA256SUMS is missing|not an evidence"),
        (make_zip([*files, ("evidence.csv/", b"")], deflate), "unexpected file 'evidence.csv/'"),
        (make_zip([*files, ("a/evidence.csv", b"")], deflate), "unexpected file 'a/evidence.csv'"),
        (make_zip(files, link), "is not an evidence package"),
        (make_zip(files, pack), "'SHA256SUMS' is encrypted, or compressed with another method than deflate"),
    ):
        case.zip.write_bytes(archive)
        case.refuse(case.zip, reason)


def test_large_content_in_a_small_zip_is_refused(case: SignedCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressed entries beyond the limit of a package are refused without being read."""
    monkeypatch.setattr(zip_entries, "MAX_PACKAGE_SIZE", 2**20)
    case.zip.write_bytes(make_zip([*case.made.items(), ("a", bytes(2**21))], deflate))
    assert case.zip.stat().st_size < 2**14
    case.refuse(case.zip, "is larger than 1048576 bytes")


def test_files_of_file_managers_are_ignored(case: SignedCase) -> None:
    """Files and folders that file managers add to a folder are ignored, with a note that names them."""
    for name in (".DS_Store", "Thumbs.db", "Desktop.ini", "._evidence.csv"):
        (case.folder / name).write_bytes(b"x")
    (case.folder / "__MACOSX").mkdir()
    (case.folder / "__MACOSX" / "evidence.csv").touch()
    report = verify_package(case.folder, [case.public])
    assert report.notes == (f"{IGNORED}'.DS_Store', '._evidence.csv', 'Desktop.ini', 'Thumbs.db', '__MACOSX'",)
    assert set(report.digests) == set(case.made)
    (case.folder / "desktop.ini").touch()
    assert verify_package(case.folder, [case.public]).notes[0].endswith("'Thumbs.db', '__MACOSX' and 1 more")
    (case.folder / "thumbs.db.csv").touch()
    case.refuse(case.folder, r"unexpected file 'thumbs\.db\.csv'")


def test_hard_links_are_noted(case: SignedCase) -> None:
    """A note names files with further hard links; the report's digests show whether such a file changed later."""
    path, other = case.folder / "evidence.csv", case.place / "other"
    os.link(path, other)
    report = verify_package(case.folder, [case.public])
    assert report.notes == (
        "files with further hard links, through which they can change: 'evidence.csv'; verify a copy of the folder",
    )
    other.write_bytes(b"forged")
    case.refuse(case.folder, r"evidence\.csv is not the file that was signed")


def test_folder_with_many_files_is_refused_early(case: SignedCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with more files than any package is refused before all of them are listed."""
    monkeypatch.setattr(containers, "MAX_FILES", 10)
    for number in range(10):
        (case.folder / f"._{number}").touch()
    case.refuse(case.folder, "has more than 10 entries")
