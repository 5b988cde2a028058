"""Verifying an evidence package: what is said of it, and the first thing that is wrong."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from spanforge.model_registry._core.errors import PackageError, VerificationError
from spanforge.model_registry.compliance._packages import verify as verification
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.dsse import seal
from spanforge.model_registry.compliance._packages.files import (
    assemble,
    build_manifest,
    write_folder,
    write_zip,
    zip_bytes,
)
from spanforge.model_registry.compliance._packages.keys import load_signer
from spanforge.model_registry.compliance._packages.verify import VerificationReport, verify_package

if TYPE_CHECKING:
    from collections.abc import Callable

SAID = {
    "framework": "soc2",
    "generated_at": "2026-02-01T00:00:00Z",
    "model_id": "gpt",
    "overall_status": "supported",
    "period": {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-02-01T00:00:00Z"},
}
EVIDENCE = {"attestation.json": json.dumps(SAID).encode(), "evidence.csv": b"model_id\r\ngpt\r\n"}
FILES = ("attestation.json", "evidence.csv", "manifest.json", "signature.dsse.json")


class Case:
    """A key pair, and a package that it signed, as a folder and as a zip."""

    def __init__(self, place: Path, key: Any) -> None:
        place.mkdir(exist_ok=True)
        self.place = place
        self.private = place / "key.pem"
        self.public = place / "key.pub"
        self.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.signer = load_signer(self.private)
        self.made = assemble(EVIDENCE, [], self.signer, {})
        self.folder = place / "folder"
        self.zip = place / "package.zip"
        write_folder(self.folder, self.made)
        write_zip(self.zip, self.made)

    def refused(self, path: Path, reason: str, *keys: Path) -> None:
        with pytest.raises(VerificationError, match=reason) as caught:
            verify_package(path, keys or [self.public])
        assert caught.value.path == str(path)

    def written(self, files: dict[str, bytes]) -> tuple[Path, Path]:
        """Write these files as a folder and as a zip, whatever they are."""
        folder, archive = self.place / "changed", self.place / "changed.zip"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        archive.write_bytes(zip_bytes(files))
        return folder, archive


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path / "case", Ed25519PrivateKey.generate())


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("curve", [None, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_a_package_is_verified(kind: str, curve: Any, tmp_path: Path) -> None:
    """The report has the signing key, the files and what the attestation says."""
    case = Case(tmp_path / "case", ec.generate_private_key(curve()) if curve else Ed25519PrivateKey.generate())
    path = getattr(case, kind)
    assert verify_package(path, [case.public]) == VerificationReport(
        path=str(path),
        keyid=case.signer.keyid,
        key=str(case.public),
        files=FILES,
        generated_at="2026-02-01T00:00:00Z",
        model_id="gpt",
        framework="soc2",
        period=("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        overall_status="supported",
    )


def test_links_to_a_package_are_followed(case: Case) -> None:
    """What the user names may be a link; what is in the package may not."""
    for path in (case.folder, case.zip):
        link = case.place / f"link-{path.name}"
        link.symlink_to(path)
        assert verify_package(os.fsencode(link), [case.public]).path == str(link)  # type: ignore[arg-type]


def test_an_attestation_may_say_less(case: Case) -> None:
    """What a signed attestation does not say is None; it must be a JSON object."""
    for said in (b"{}", b'{"period":["2026"],"model_id":null,"framework":1}'):
        folder, _ = case.written(assemble({**EVIDENCE, "attestation.json": said}, [], case.signer))
        report = verify_package(folder, [case.public])
        assert (report.model_id, report.framework, report.period) == (None, None, (None, None))
    for said in (b"[]", b"", b"\xff", b"[" * 100_000, b"9" * 10_000):
        folder, _ = case.written(assemble({**EVIDENCE, "attestation.json": said}, [], case.signer))
        case.refused(folder, r"attestation\.json is not a JSON object")


def test_keys_rotate(case: Case, tmp_path: Path) -> None:
    """While several keys are trusted, each one's packages pass; when the old key is removed, its packages fail."""
    newer = Case(tmp_path / "newer", ec.generate_private_key(ec.SECP256R1()))
    both = [case.public, newer.public]
    assert verify_package(case.zip, both).key == str(case.public)
    assert verify_package(newer.zip, iter(both)).key == str(newer.public)
    assert verify_package(newer.folder, [newer.public]).keyid == newer.signer.keyid
    case.refused(case.zip, f"signed by an untrusted key, '{case.signer.keyid}'", newer.public)


def test_someone_must_be_trusted(case: Case) -> None:
    """No trusted key is an error, and so is a path where a list belongs."""
    with pytest.raises(VerificationError, match="no trusted key was given"):
        verify_package(case.zip, [])
    with pytest.raises(PackageError, match="put this path into a list"):
        verify_package(case.zip, str(case.public))


def test_what_is_no_package(case: Case) -> None:
    """Nothing, an empty folder, other files, devices and impossible names are no packages."""
    case.refused(case.place / "missing", "does not exist")
    case.refused(case.zip / "below", "cannot be read: Not a directory")
    empty = case.place / "empty"
    empty.mkdir()
    case.refused(empty, "is not an evidence package")
    (empty / "other").touch()
    case.refused(empty, "is not an evidence package")
    os.mkfifo(case.place / "pipe")
    for path in (case.place / "pipe", Path("/dev/null"), case.public):
        case.refused(path, "is neither a folder nor a zip")
    case.refused(Path("\0"), "cannot be read: .*embedded null")
    for content in (b"", b"PK", b"PK\3\4", b"PK\3\4" + b"\0" * 25, zip_bytes({})):
        case.zip.write_bytes(content)
        case.refused(case.zip, "is neither a folder nor a zip")
    case.zip.write_bytes(zip_bytes({"other": b""}))
    case.refused(case.zip, "is not an evidence package")


def test_the_first_thing_that_is_wrong(case: Case, tmp_path: Path) -> None:
    """With everything wrong at once, each error that is mended shows the next in order."""
    other = Case(tmp_path / "other", Ed25519PrivateKey.generate())
    good = case.made
    sealed = good["signature.dsse.json"]
    lying = {**EVIDENCE, "manifest.json": build_manifest(EVIDENCE, [], None)}
    lying_sealed = seal(lying, case.signer, {})
    steps: list[tuple[dict[str, bytes], str]] = [
        ({"evidence.csv": b"", "more": b""}, "is unsigned"),
        ({"evidence.csv": b"", "more": b"", "signature.dsse.json": b"{}"}, "the envelope is malformed"),
        ({"evidence.csv": b"", "more": b"", "signature.dsse.json": other.made["signature.dsse.json"]}, "untrusted key"),
        ({"evidence.csv": b"", "more": b"", "signature.dsse.json": sealed}, r"attestation\.json is missing"),
        ({**good, "evidence.csv": b"", "manifest.json": b"", "more": b""}, "unexpected file 'more'"),
        ({**good, "evidence.csv": b"", "manifest.json": b""}, r"evidence\.csv is not the file that was signed"),
        ({**good, "manifest.json": b""}, r"manifest\.json is not the file that was signed"),
        (
            {**lying, "signature.dsse.json": lying_sealed},
            r"manifest\.json does not name the key that signed the package",
        ),
    ]
    for files, reason in steps:
        for path in case.written(files):
            case.refused(path, reason)
    for path in case.written(good):
        verify_package(path, [case.public])


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any], str], Any], str]] = {
    "other version": (lambda said, _: {**said, "format_version": 2}, "format version 2 instead of 1"),
    "no version": (lambda said, _: {**said, "format_version": None}, "format version None"),
    "other files": (lambda said, _: {**said, "files": {}}, "lists digests that differ"),
    "other sizes": (
        lambda said, _: {**said, "files": {n: {**f, "size": 0} for n, f in said["files"].items()}},
        "lists digests that differ",
    ),
    "another key": (
        lambda said, keyid: {**said, "signed_by": keyid[::-1]},
        "does not name the key that signed the package",
    ),
    "no object": (lambda _, __: ["manifest"], r"manifest\.json is not a JSON object"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_signed_manifest_that_is_wrong(kind: str, case: Case) -> None:
    """Even signed, a manifest must be about these files and this key."""
    change, reason = MANIFESTS[kind]
    said = encode_canonical(change(json.loads(case.made["manifest.json"]), case.signer.keyid))
    files = {**EVIDENCE, "manifest.json": said}
    for path in case.written({**files, "signature.dsse.json": seal(files, case.signer, {})}):
        case.refused(path, reason)


def test_a_signature_must_be_about_all_files(case: Case) -> None:
    """A signature over fewer files, or more, is not one of a package."""
    signed = {name: case.made[name] for name in FILES[:3]}
    for subject in ({**signed, "more": b""}, {"evidence.csv": b""}, {}):
        for path in case.written({**signed, "signature.dsse.json": seal(subject, case.signer, {})}):
            case.refused(path, "the signature does not cover the files")


@pytest.mark.parametrize("name", FILES)
def test_each_file_must_be_there(name: str, case: Case) -> None:
    """A package without any one of its files is refused, as is one with a link, a folder or a pipe in its place."""
    for path in case.written({other: content for other, content in case.made.items() if other != name}):
        case.refused(path, "is unsigned" if name == FILES[3] else f"{name} is missing")
    copy = case.place / "copy"
    copy.write_bytes(case.made[name])
    place = case.folder / name
    for make in (lambda: place.symlink_to(copy), place.mkdir, lambda: os.mkfifo(place)):
        place.rmdir() if place.is_dir() else place.unlink()
        make()
        case.refused(case.folder, "is unsigned" if name == FILES[3] else f"{name} is missing")


def test_nothing_else_may_be_there(case: Case) -> None:
    """A folder with anything more, hidden, empty or a link, is refused, and the error names it."""
    extras: dict[str, Callable[[Path], Any]] = {
        ".DS_Store": Path.touch,
        "folder": Path.mkdir,
        "Manifest.json": Path.touch,
        "manifest.json ": lambda path: path.write_bytes(case.made["manifest.json"]),
        "link": lambda path: path.symlink_to(case.folder / "manifest.json"),
        "dangling": lambda path: path.symlink_to("nowhere"),
        "pipe": os.mkfifo,
        "signature.dsse.json.bak": Path.touch,
    }
    for name, make in extras.items():
        extra = case.folder / name
        make(extra)
        case.refused(case.folder, f"unexpected file '{name}'")
        extra.rmdir() if name == "folder" else extra.unlink()
    (case.folder / "new\nline").touch()
    case.refused(case.folder, r"unexpected file 'new\\nline'")
    (case.folder / "new\nline").unlink()
    verify_package(case.folder, [case.public])


def rezipped(files: list[tuple[str, bytes]], change: Callable[[zipfile.ZipInfo], Any], comment: bytes = b"") -> bytes:
    """Return a zip that is made as a package's is, but for a change to each entry."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.comment = comment
        for name, data in files:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            change(entry)
            archive.writestr(entry, data)
    return content.getvalue()


CHANGES: dict[str, tuple[Callable[[zipfile.ZipInfo], Any], str]] = {
    "deflated": (lambda entry: setattr(entry, "compress_type", zipfile.ZIP_DEFLATED), "compressed or encrypted"),
    "another time": (lambda entry: setattr(entry, "date_time", (2026, 1, 1, 0, 0, 0)), "the zip container was"),
    "another mode": (lambda entry: setattr(entry, "external_attr", 0o755 << 16), "the zip container was"),
    "another system": (lambda entry: setattr(entry, "create_system", 0), "the zip container was"),
    "a comment": (lambda entry: setattr(entry, "comment", b"x"), "the zip container was"),
    "an extra field": (lambda entry: setattr(entry, "extra", b"\0\0\0\0"), "the zip container was"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_another_zip_of_the_same_files(kind: str, case: Case) -> None:
    """A zip that anybody else made of the same files is refused."""
    files = sorted(case.made.items())
    assert rezipped(files, lambda _: None) == case.zip.read_bytes()
    change, reason = CHANGES[kind]
    case.zip.write_bytes(rezipped(files, change))
    case.refused(case.zip, reason)


def test_other_orders_names_and_comments(case: Case) -> None:
    """A zip in another order, with a comment, with names that lead elsewhere or with a name twice is refused."""
    files = sorted(case.made.items())
    for archive, reason in (
        (rezipped(files[::-1], lambda _: None), "the zip container was"),
        (rezipped(files, lambda _: None, b"comment"), "the zip container was"),
        (rezipped([*files, ("../evil", b"")], lambda _: None), "unexpected file '../evil'"),
        (rezipped([*files, ("/evil", b"")], lambda _: None), "unexpected file '/evil'"),
        (rezipped([*files, ("C:\\evil", b"")], lambda _: None), "unexpected file"),
        (rezipped([*files, ("folder/", b"")], lambda _: None), "unexpected file 'folder/'"),
        (rezipped([*files, ("\u00e9", b"")], lambda _: None), "unexpected file"),
        (rezipped([("./manifest.json", b""), *files], lambda _: None), "unexpected file"),
        (zip_bytes(case.made) + b"\0", "the zip container was"),
        (zip_bytes(case.made) * 2, "the zip container was"),
        (b"#!/bin/sh\n" + zip_bytes(case.made), "is neither a folder nor a zip"),
        (zip_bytes(case.made)[:-30], "the zip container was"),
    ):
        case.zip.write_bytes(archive)
        case.refused(case.zip, reason)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = rezipped([*files, ("manifest.json", b"")], lambda _: None)
    case.zip.write_bytes(twice)
    case.refused(case.zip, r"manifest\.json is in the zip twice")


def test_a_zip_cannot_say_one_thing_in_its_directory_and_another_in_its_entries(case: Case) -> None:
    """A directory that names an entry elsewhere in the zip, as other programs read it, is refused."""
    archive = zip_bytes(case.made)
    forged = b"PK\3\4" + archive[4:]
    end = archive.rindex(b"PK\5\6")
    offset = struct.unpack_from("<I", archive, end + 16)[0]
    evil = rezipped([("evidence.csv", b"forged")], lambda _: None)
    evil_directory = evil[evil.index(b"PK\1\2") : evil.rindex(b"PK\5\6")]
    for hidden in (evil[: evil.index(b"PK\1\2")], b""):
        forged = archive[:offset] + hidden + evil_directory + archive[end:]
        case.zip.write_bytes(forged)
        case.refused(case.zip, "is in the zip twice" if hidden else "the zip container was")


def test_every_byte_of_a_zip(case: Case) -> None:
    """Each byte of a zip, changed in any one bit or taken away, is noticed."""
    archive = zip_bytes(case.made)
    for position, byte in enumerate(archive):
        bit = 1 << position % 8
        for changed in (bytes([byte ^ bit]), bytes([byte ^ 0xFF]), b""):
            case.zip.write_bytes(archive[:position] + changed + archive[position + 1 :])
            with pytest.raises(VerificationError):
                verify_package(case.zip, [case.public])
    case.zip.write_bytes(archive)
    verify_package(case.zip, [case.public])


def test_every_bit_of_an_ecdsa_envelope(tmp_path: Path) -> None:
    """Each bit of an envelope with an ECDSA signature, changed, is noticed."""
    case = Case(tmp_path / "case", ec.generate_private_key(ec.SECP256R1()))
    path = case.folder / "signature.dsse.json"
    envelope = path.read_bytes()
    for position, byte in enumerate(envelope):
        for bit in range(8):
            path.write_bytes(envelope[:position] + bytes([byte ^ 1 << bit]) + envelope[position + 1 :])
            with pytest.raises(VerificationError):
                verify_package(case.folder, [case.public])


def test_too_large_files_are_not_read(case: Case) -> None:
    """Files beyond the limit, together or alone, are refused without being read."""
    os.truncate(case.folder / "evidence.csv", 2**40)
    case.refused(case.folder, "is larger than 268435456 bytes")
    os.truncate(case.folder / "evidence.csv", 200 * 2**20)
    os.truncate(case.folder / "attestation.json", 200 * 2**20)
    case.refused(case.folder, "is larger than 268435456 bytes")
    os.truncate(case.zip, 2**40)
    case.refused(case.zip, "is larger than 268435456 bytes")


def test_the_limit_is_that_of_writing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may just be written may just be verified."""
    size = sum(map(len, case.made.values()))
    monkeypatch.setattr(verification, "MAX_PACKAGE_SIZE", size)
    verify_package(case.folder, [case.public])
    monkeypatch.setattr(verification, "MAX_PACKAGE_SIZE", size - 1)
    case.refused(case.folder, "is larger than")
    monkeypatch.setattr(verification, "MAX_ZIP_SIZE", len(zip_bytes(case.made)))
    verify_package(case.zip, [case.public])
    monkeypatch.setattr(verification, "MAX_ZIP_SIZE", len(zip_bytes(case.made)) - 1)
    case.refused(case.zip, "is larger than")
    assert len(zip_bytes(case.made)) - size < 4096


def test_an_entry_may_not_claim_more_than_there_is(case: Case) -> None:
    """Sizes in a zip's headers that lead beyond its end take no memory, and are refused."""
    archive = bytearray(zip_bytes(case.made))
    for at in (18, 22, 26, 28):
        changed = bytearray(archive)
        changed[at : at + 2] = b"\xff\xff"
        changed[20:22] = changed[24:26] = b"\xff\xff"
        case.zip.write_bytes(changed)
        case.refused(case.zip, "is not an evidence package|is unsigned")


def test_a_hostile_zip_takes_bounded_memory(case: Case) -> None:
    """A million entries in a zip are looked through in memory that does not grow with them."""
    entry = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"x"
    case.zip.write_bytes(entry * 1_000_000 + zip_bytes(case.made))
    script = f"""
import resource
from spanforge.model_registry.compliance._packages import keys, verify as verification
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + {4 * case.zip.stat().st_size},) * 2)
verification.verify_package({str(case.zip)!r}, [{str(case.public)!r}])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stderr.endswith("unexpected file 'x'\n"), run.stderr


def test_files_that_cannot_be_read(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the system does not give is an error that says why; a link put there in the meantime is one."""

    def denied(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", denied)
        case.refused(case.folder, "cannot be read: Permission denied")
        case.refused(case.zip, "cannot be read: Permission denied")
    path = case.folder / "evidence.csv"
    path.rename(case.place / "elsewhere")
    path.symlink_to(case.place / "elsewhere")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        verification._read_package_file("", str(path), 100, verification._OPEN_FLAGS)


def test_nothing_is_written(case: Case) -> None:
    """Verifying leaves everything as it is."""
    before = sorted((path, path.stat().st_mtime_ns) for path in case.place.rglob("*"))
    for path in (case.folder, case.zip):
        verify_package(path, [case.public])
    assert sorted((path, path.stat().st_mtime_ns) for path in case.place.rglob("*")) == before


@pytest.mark.parametrize("missing", ["rfc8785", "securesystemslib", "cryptography"])
def test_without_the_extras(missing: str, case: Case) -> None:
    """Without an extra there is no report, but an error that says what to install."""
    script = f"""
import sys
sys.modules[{missing!r}] = None
from spanforge.model_registry.compliance._packages.verify import verify_package
from spanforge.model_registry._core.errors import MissingExtraError
try:
    verify_package({str(case.zip)!r}, [{str(case.public)!r}])
except MissingExtraError as error:
    print(error.extra)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == ("compliance\n" if missing == "rfc8785" else "sign\n")
