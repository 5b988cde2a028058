"""Verification of an evidence package: the report, and the first fault."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.evidence import run_code
from support.packages import ALL_FILES, EVIDENCE, FILES, SignedCase, make_zip

from spanforge.model_registry._core.errors import VerificationError
from spanforge.model_registry.compliance._packages import containers
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.dsse import seal, unseal
from spanforge.model_registry.compliance._packages.files import (
    assemble,
    build_manifest,
    build_sums,
    zip_bytes,
)
from spanforge.model_registry.compliance._packages.keys import load_trusted
from spanforge.model_registry.compliance._packages.verify import VerificationReport, verify_package

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable


@pytest.fixture
def case(tmp_path: Path) -> SignedCase:
    return SignedCase(tmp_path / "case", Ed25519PrivateKey.generate())


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("curve", [None, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1])
def test_report_of_a_package(kind: str, curve: Any, tmp_path: Path) -> None:
    """The report has the signing key, the files and the content of the attestation."""
    case = SignedCase(tmp_path / "case", ec.generate_private_key(curve()) if curve else Ed25519PrivateKey.generate())
    path = getattr(case, kind)
    assert verify_package(path, [case.public]) == VerificationReport(
        path=str(path),
        keyid=case.signer.keyid,
        key=str(case.public),
        files=ALL_FILES,
        generated_at="2026-02-01T00:00:00.000000Z",
        model_id="gpt",
        framework="soc2",
        period=("2026-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z"),
        overall_status="supported",
        digests={name: hashlib.sha256(content).hexdigest() for name, content in case.made.items()},
        archive_sha256=hashlib.sha256(case.zip.read_bytes()).hexdigest() if kind == "zip" else None,
        notes=(),
    )


def test_links_to_a_package_are_followed(case: SignedCase) -> None:
    """The path of a package may be a link, and a note names its target."""
    for path in (case.folder, case.zip):
        link = case.place / f"link-{path.name}"
        link.symlink_to(path)
        report = verify_package(os.fsencode(link), [case.public])  # type: ignore[arg-type]
        assert report.path == str(link)
        assert report.notes == (f"the path is a link to '{path}'; the link can change",)


def test_report_of_an_incomplete_attestation(case: SignedCase) -> None:
    """A fact that the signed attestation does not have is None; the attestation must be a JSON object."""
    for attestation in (b"{}", b'{"period":["2026"],"model_id":null,"framework":1}'):
        folder, _ = case.write(assemble({**EVIDENCE, "attestation.json": attestation}, [], case.signer))
        report = verify_package(folder, [case.public])
        assert (report.model_id, report.framework, report.period) == (None, None, (None, None))
    for attestation in (b"[]", b"", b"\xff", b"[" * 100_000, b"9" * 10_000):
        folder, _ = case.write(assemble({**EVIDENCE, "attestation.json": attestation}, [], case.signer))
        case.refuse(folder, r"attestation\.json is not a JSON object")


def test_several_keys_are_trusted(case: SignedCase, tmp_path: Path) -> None:
    """A package of any trusted key is verified, and a package of a removed key is refused."""
    newer = SignedCase(tmp_path / "newer", ec.generate_private_key(ec.SECP256R1()))
    both = [case.public, newer.public]
    assert verify_package(case.zip, both).key == str(case.public)
    assert verify_package(newer.zip, iter(both)).key == str(newer.public)
    assert verify_package(newer.folder, [newer.public]).keyid == newer.signer.keyid
    case.refuse(case.zip, f"signed by an untrusted key, '{case.signer.keyid}'", newer.public)


def test_other_paths_are_not_packages(case: SignedCase) -> None:
    """A missing path, other files, devices and impossible names are not packages."""
    case.refuse(case.place / "missing", "does not exist")
    case.refuse(case.zip / "below", "cannot be read: Not a directory")
    empty = case.place / "empty"
    empty.mkdir()
    case.refuse(empty, "is not an evidence package")
    (empty / "other").touch()
    case.refuse(empty, "is not an evidence package")
    os.mkfifo(case.place / "pipe")
    for path in (case.place / "pipe", Path("/dev/null"), case.public):
        case.refuse(path, "is neither a folder nor a zip")
    case.refuse(Path("\0"), "cannot be read: .*embedded null")
    for content in (b"", b"PK", zip_bytes({})):
        case.zip.write_bytes(content)
        case.refuse(case.zip, "is neither a folder nor a zip")
    for content in (b"PK\3\4", b"PK\3\4" + b"\0" * 25):
        case.zip.write_bytes(content)
        case.refuse(case.zip, "the zip container was modified: it")
    case.zip.write_bytes(zip_bytes({"other": b""}))
    case.refuse(case.zip, "is not an evidence package")


def test_faults_are_reported_in_order(case: SignedCase, tmp_path: Path) -> None:
    """With every fault at once, each one that is fixed reveals the next in order."""
    other = SignedCase(tmp_path / "other", Ed25519PrivateKey.generate())
    good = case.made
    sealed = good["signature.dsse.json"]
    lying = {**EVIDENCE, "manifest.json": build_manifest(EVIDENCE, [], None)}
    lying["SHA256SUMS"] = build_sums(EVIDENCE)
    lying_sums = {**lying, "signature.dsse.json": seal(lying, case.signer, {})}
    lying["SHA256SUMS"] = build_sums({name: lying[name] for name in FILES[1:]})
    lying_sealed = seal(lying, case.signer, {})
    steps: list[tuple[dict[str, bytes], str]] = [
        ({"evidence.csv": b"", "more": b""}, "is unsigned"),
        ({"evidence.csv": b"", "more": b"", "signature.dsse.json": b"{}"}, "the envelope is malformed"),
        ({"evidence.csv": b"", "more": b"", "signature.dsse.json": other.made["signature.dsse.json"]}, "untrusted key"),
        ({"evidence.csv": b"", "more": b"", "signature.dsse.json": sealed}, r"SHA256SUMS is missing"),
        ({**good, "evidence.csv": b"", "manifest.json": b"", "more": b""}, "unexpected file 'more'"),
        ({**good, "evidence.csv": b"", "manifest.json": b""}, r"evidence\.csv is not the file that was signed"),
        ({**good, "manifest.json": b""}, r"manifest\.json is not the file that was signed"),
        (lying_sums, "SHA256SUMS lists digests that differ"),
        (
            {**lying, "signature.dsse.json": lying_sealed},
            r"manifest\.json does not name the key that signed the package",
        ),
    ]
    for files, reason in steps:
        for path in case.write(files):
            case.refuse(path, reason)
    for path in case.write(good):
        verify_package(path, [case.public])


MANIFESTS: dict[str, tuple[Callable[[dict[str, Any], str], Any], str]] = {
    "other version": (lambda old, _: old | {"format_version": 1}, "format version 1 instead of 2"),
    "no version": (lambda old, _: old | {"format_version": None}, "format version null"),
    "other files": (lambda old, _: old | {"files": {}}, "lists digests that differ"),
    "other sizes": (
        lambda old, _: old | {"files": {name: file | {"size": 0} for name, file in old["files"].items()}},
        "lists digests that differ",
    ),
    "another key": (
        lambda old, keyid: old | {"signed_by": keyid[::-1]},
        "does not name the key that signed the package",
    ),
    "no object": (lambda _, __: ["manifest"], r"manifest\.json is not a JSON object"),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_wrong_manifest_is_refused(kind: str, case: SignedCase) -> None:
    """A signed manifest must be about these files and this key."""
    change, reason = MANIFESTS[kind]
    manifest = encode_canonical(change(json.loads(case.made["manifest.json"]), case.signer.keyid))
    files = {**EVIDENCE, "manifest.json": manifest}
    files["SHA256SUMS"] = build_sums(files)
    for path in case.write({**files, "signature.dsse.json": seal(files, case.signer, {})}):
        case.refuse(path, reason)


def test_signature_must_cover_all_files(case: SignedCase) -> None:
    """A signature over fewer files, or more, is refused."""
    signed = {name: case.made[name] for name in FILES}
    for subject in ({**signed, "more": b""}, {"evidence.csv": b""}, {}):
        for path in case.write({**signed, "signature.dsse.json": seal(subject, case.signer, {})}):
            case.refuse(path, "the signature does not cover the files")


@pytest.mark.parametrize("name", ALL_FILES)
def test_missing_files_are_refused(name: str, case: SignedCase) -> None:
    """A package without one of its files, or with a link, a folder or a pipe in its place, is refused."""
    reason = "is unsigned" if name == ALL_FILES[-1] else f"{name} is missing"
    for path in case.write({other: content for other, content in case.made.items() if other != name}):
        case.refuse(path, reason)
    copy, place = case.place / "copy", case.folder / name
    copy.write_bytes(case.made[name])
    for make in (lambda: place.symlink_to(copy), place.mkdir, lambda: os.mkfifo(place)):
        place.rmdir() if place.is_dir() else place.unlink()
        make()
        case.refuse(case.folder, reason)


def test_unexpected_files_are_refused(case: SignedCase) -> None:
    """A folder with any further file is refused, and the error names that file."""
    extras: dict[str, Callable[[Path], Any]] = {
        "folder": Path.mkdir,
        "registry-2-models.yaml": Path.touch,
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
        case.refuse(case.folder, f"unexpected file '{name}'")
        extra.rmdir() if name == "folder" else extra.unlink()
    (case.folder / "new\nline").touch()
    case.refuse(case.folder, r"unexpected file 'new\\nline'")
    (case.folder / "new\nline").unlink()
    verify_package(case.folder, [case.public])


CHANGES: dict[str, Callable[[zipfile.ZipInfo], Any]] = {
    "another time of one entry": lambda entry: setattr(
        entry, "date_time", (1980 + (entry.filename == "evidence.csv"), 1, 1, 0, 0, 0)
    ),
    "another mode": lambda entry: setattr(entry, "external_attr", 0o755 << 16),
    "another system": lambda entry: setattr(entry, "create_system", 0),
    "a comment": lambda entry: setattr(entry, "comment", b"x"),
    "an extra field": lambda entry: setattr(entry, "extra", b"\0\0\0\0"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_zip_with_other_headers_is_refused(kind: str, case: SignedCase) -> None:
    """A zip of the same files with other headers is refused, and the error says what to do with a repacked zip."""
    files = sorted(case.made.items())
    assert make_zip(files, lambda _: None) == case.zip.read_bytes()
    case.zip.write_bytes(make_zip(files, CHANGES[kind]))
    case.refuse(case.zip, "the one that was written; if you zipped the files again, unpack them and verify the folder")


def test_zip_in_another_form_is_refused(case: SignedCase) -> None:
    """A zip with a comment, with other names, with a name twice or with other bytes is refused."""
    files = sorted(case.made.items())
    for archive, reason in (
        (make_zip(files, lambda _: None, b"comment"), "the zip container was"),
        (make_zip([*files, ("../evil", b"")], lambda _: None), "unexpected file '../evil'"),
        (make_zip([*files, ("/evil", b"")], lambda _: None), "unexpected file '/evil'"),
        (make_zip([*files, ("C:\\evil", b"")], lambda _: None), "unexpected file"),
        (make_zip([*files, ("folder/", b"")], lambda _: None), "unexpected file 'folder/'"),
        (make_zip([*files, ("\u00e9", b"")], lambda _: None), "unexpected file"),
        (make_zip([("./manifest.json", b""), *files], lambda _: None), "unexpected file"),
        (zip_bytes(case.made) + b"\0", "the zip container was"),
        (zip_bytes(case.made) * 2, "the zip container was"),
        (b"#!/bin/sh\n" + zip_bytes(case.made), "is neither a folder nor a zip"),
        (zip_bytes(case.made)[:-30], "the zip container was"),
    ):
        case.zip.write_bytes(archive)
        case.refuse(case.zip, reason)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = make_zip([*files, ("manifest.json", b"")], lambda _: None)
    case.zip.write_bytes(twice)
    case.refuse(case.zip, r"manifest\.json is in the zip twice")


def test_zip_with_a_forged_directory_is_refused(case: SignedCase) -> None:
    """A zip whose directory points to an entry elsewhere in the zip is refused."""
    archive = zip_bytes(case.made)
    forged = b"PK\3\4" + archive[4:]
    end = archive.rindex(b"PK\5\6")
    offset = struct.unpack_from("<I", archive, end + 16)[0]
    evil = make_zip([("evidence.csv", b"forged")], lambda _: None)
    evil_directory = evil[evil.index(b"PK\1\2") : evil.rindex(b"PK\5\6")]
    for hidden in (evil[: evil.index(b"PK\1\2")], b""):
        forged = archive[:offset] + hidden + evil_directory + archive[end:]
        case.zip.write_bytes(forged)
        case.refuse(case.zip, "the zip container was modified: its (entries and|directory is not)")


@pytest.mark.slow
def test_every_byte_of_a_zip_counts(case: SignedCase) -> None:
    """A zip with any byte changed, or any third byte removed, is refused."""
    archive = zip_bytes(case.made)
    for position, byte in enumerate(archive):
        bit = 1 << position % 8
        for changed in (bytes([byte ^ bit]), b"")[: 1 + (position % 3 == 0)]:
            case.zip.write_bytes(archive[:position] + changed + archive[position + 1 :])
            with pytest.raises(VerificationError):
                verify_package(case.zip, [case.public])
    case.zip.write_bytes(archive)
    verify_package(case.zip, [case.public])


@pytest.mark.slow
def test_every_bit_of_an_ecdsa_envelope_counts(tmp_path: Path) -> None:
    """An envelope with an ECDSA signature and any bit changed is refused."""
    case = SignedCase(tmp_path / "case", ec.generate_private_key(ec.SECP256R1()))
    envelope, trusted = case.made["signature.dsse.json"], load_trusted([case.public])
    for position, byte in enumerate(envelope):
        for bit in range(8):
            with pytest.raises(VerificationError):
                unseal(envelope[:position] + bytes([byte ^ 1 << bit]) + envelope[position + 1 :], trusted, "")


@pytest.mark.slow
def test_large_files_are_not_read(case: SignedCase) -> None:
    """Files beyond the limit, together or alone, are refused without being read."""
    os.truncate(case.folder / "evidence.csv", 2**40)
    case.refuse(case.folder, "is larger than 268435456 bytes")
    os.truncate(case.folder / "evidence.csv", 200 * 2**20)
    os.truncate(case.folder / "attestation.json", 200 * 2**20)
    case.refuse(case.folder, "is larger than 268435456 bytes")
    os.truncate(case.zip, 2**40)
    case.refuse(case.zip, "is larger than 268435456 bytes")


def test_limit_of_size_is_exact(case: SignedCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of exactly the largest size is verified, and a larger one is refused."""
    size = sum(map(len, case.made.values()))
    monkeypatch.setattr(containers, "MAX_PACKAGE_SIZE", size)
    verify_package(case.folder, [case.public])
    monkeypatch.setattr(containers, "MAX_PACKAGE_SIZE", size - 1)
    case.refuse(case.folder, "is larger than")
    monkeypatch.setattr(containers, "MAX_ZIP_SIZE", len(zip_bytes(case.made)))
    verify_package(case.zip, [case.public])
    monkeypatch.setattr(containers, "MAX_ZIP_SIZE", len(zip_bytes(case.made)) - 1)
    case.refuse(case.zip, "is larger than")
    assert len(zip_bytes(case.made)) - size < 4096


def test_entry_beyond_the_end_of_a_zip_is_refused(case: SignedCase) -> None:
    """Sizes in the headers of a zip that lead beyond its end take no memory, and are refused."""
    archive = bytearray(zip_bytes(case.made))
    directory = archive.index(b"PK\1\2")
    for at in (18, 22, 26, 28, directory + 20, directory + 24, directory + 28, directory + 42):
        changed = bytearray(archive)
        changed[at : at + 2] = b"\xff\xff"
        case.zip.write_bytes(changed)
        case.refuse(case.zip, "the zip container was modified")


@pytest.mark.slow
def test_hostile_zip_takes_bounded_memory(case: SignedCase) -> None:
    """A zip with a million entries is refused in bounded memory, without reading them."""
    entry = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, 0, 0, 1, 0) + b"x"
    record = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    number = 1_000_000
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *[number % 65_536] * 2, number * len(record), number * len(entry), 0)
    case.zip.write_bytes(entry * number + record * number + end)
    script = f"""
import resource
from spanforge.model_registry.compliance._packages import keys, verify as verification
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + {4 * case.zip.stat().st_size},) * 2)
verification.verify_package({str(case.zip)!r}, [{str(case.public)!r}])
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stderr.endswith("has more than 10,000 entries\n"), run.stderr


def test_unreadable_files_are_an_error(case: SignedCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened is an error with its reason."""

    def deny(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", deny)
    case.refuse(case.folder, "cannot be read: Permission denied")
    case.refuse(case.zip, "cannot be read: Permission denied")


def test_file_that_becomes_a_link_is_refused(case: SignedCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is replaced by a link just before it is opened is not read."""
    opened, path = os.open, case.folder / "evidence.csv"

    def replace_and_open(name: Any, *args: Any, **options: Any) -> int:
        if os.fspath(name) == str(path):
            path.rename(case.place / "elsewhere")
            path.symlink_to(case.place / "elsewhere")
        return opened(name, *args, **options)

    monkeypatch.setattr(os, "open", replace_and_open)
    case.refuse(case.folder, "Too many levels of symbolic links")


def test_verification_writes_nothing(case: SignedCase) -> None:
    """Verification leaves all files unchanged."""
    before = sorted((path, path.stat().st_mtime_ns) for path in case.place.rglob("*"))
    for path in (case.folder, case.zip):
        verify_package(path, [case.public])
    assert sorted((path, path.stat().st_mtime_ns) for path in case.place.rglob("*")) == before


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["rfc8785", "securesystemslib", "cryptography"])
def test_missing_extra_is_named(missing: str, case: SignedCase) -> None:
    """Without an extra there is no report, and the error names the extra."""
    code = f"""
from spanforge.model_registry.compliance._packages.verify import verify_package
from spanforge.model_registry._core.errors import MissingExtraError
try:
    verify_package({str(case.zip)!r}, [{str(case.public)!r}])
except MissingExtraError as error:
    print(error.extra)
"""
    assert run_code(code, missing) == ("compliance\n" if missing == "rfc8785" else "sign\n")
