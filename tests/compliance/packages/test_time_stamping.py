"""``timestamp_package`` and the verification of time stamps, with an authority made with OpenSSL."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.authorities import REPLY, Authority, run_openssl
from support.evidence import run_code
from support.packages import SignedCase

from spanforge.model_registry.compliance import (
    PackageError,
    VerificationError,
    timestamp_package,
    verify_package,
)
from spanforge.model_registry.compliance._packages.authority import MAX_REPLY
from spanforge.model_registry.compliance._packages.der import sort_certificates
from spanforge.model_registry.compliance._packages.rfc3161 import MAX_CERTIFICATES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUBJECT = "CN=Example Time Stamps,O=Example Time"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority with the same names and numbers, and other keys."""
    return Authority(tmp_path_factory.mktemp("other"))


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    """Return the address of the authority, which answers as usual."""
    usual = vars(authority).copy()
    with authority.serve() as url:
        yield url
    vars(authority).update(usual, headers={}, queries=[], authorizations=[])


@pytest.fixture
def signed(tmp_path: Path) -> SignedCase:
    """Return a signed package, as a folder and as a zip."""
    return SignedCase(tmp_path, Ed25519PrivateKey.generate())


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_a_time_stamp_is_added_and_verified(form: str, signed: SignedCase, authority: Authority, url: str) -> None:
    """The stamp is of the signature's file, which stays as it is; OpenSSL and the report show the same facts."""
    path = getattr(signed, form)
    before = datetime.now(timezone.utc).replace(microsecond=0)
    stamp = timestamp_package(path, url, certificates=[authority.root])
    assert before <= datetime.fromisoformat(stamp.time.replace("Z", "+00:00")) <= before + timedelta(minutes=1)
    der = run_openssl("x509", "-in", authority.certificate, "-noout", "-fingerprint", "-sha256").strip()
    assert der.partition("=")[2].replace(":", "").lower() == stamp.certificate_sha256
    assert (stamp.authority, stamp.accuracy_seconds, stamp.policy) == (SUBJECT, 1.5001, "1.3.6.1.4.1.99999.1")
    report = verify_package(path, [signed.public], timestamp_certificates=[authority.root])
    assert report.timestamp == stamp
    assert report.notes == ()
    assert "timestamp.tsr" in report.files
    unverified = verify_package(path, [signed.public])
    assert unverified.timestamp is None
    assert unverified.notes == (
        "the package has a time stamp that was not verified; pass the certificates of its authority",
    )
    if form == "folder":
        files = read_files(path)
        assert {**signed.made, "timestamp.tsr": files["timestamp.tsr"]} == files
        command = ("ts", "-verify", "-data", path / "signature.dsse.json", "-in", path / "timestamp.tsr")
        run_openssl(*command, "-CAfile", authority.root)


def test_the_authority_receives_only_a_digest(signed: SignedCase, authority: Authority, url: str) -> None:
    """The request has the digest of the signature's file, and the password of the address; errors show no password."""
    timestamp_package(signed.zip, url.replace("://", "://me:secret@"))
    (query,) = authority.queries
    assert hashlib.sha256(signed.made["signature.dsse.json"]).digest() in query
    assert len(query) < 100
    assert authority.authorizations == ["Basic bWU6c2VjcmV0"]
    authority.reply = lambda _: (401, "text/html", b"")
    with pytest.raises(PackageError, match="responded with HTTP 401: Unauthorized") as caught:
        timestamp_package(signed.folder, url.replace("://", "://me:secret@"))
    assert "secret" not in str(caught.value)


def test_an_earlier_time_stamp_is_replaced_only_on_request(signed: SignedCase, url: str) -> None:
    """A second stamp needs ``replace``."""
    first = timestamp_package(signed.folder, url)
    with pytest.raises(PackageError, match="has a time stamp already; to replace it"):
        timestamp_package(signed.folder, url)
    second = timestamp_package(signed.folder, url, replace=True)
    assert second.serial_number != first.serial_number


def refuse_stamp(signed: SignedCase, url: str, reason: str, **options: Any) -> None:
    """Check that a stamp is refused in one line, and that the folder and the zip are unchanged."""
    for path in (signed.folder, signed.zip):
        with pytest.raises((PackageError, VerificationError), match=reason) as caught:
            timestamp_package(path, url, **options)
        assert "\n" not in str(caught.value)
    assert read_files(signed.folder) == signed.made
    verify_package(signed.zip, [signed.public])
    assert {path.name for path in signed.place.iterdir()} == {"folder", "package.zip", "key.pem", "key.pub"}


RESPONSES = {
    "status": (503, "text/plain", b"busy", "responded with HTTP 503: Service Unavailable"),
    "page": (200, "text/html", b"<html>", f"responded with 'text/html' instead of {REPLY}"),
    "redirect": (
        302,
        "text/plain",
        b"",
        "redirects to .http://127.0.0.1:9/other.; pass the address of the authority itself",
    ),
    "huge": (200, REPLY, b"0" * (MAX_REPLY + 1), "sent a reply of more than 262,144 bytes"),
    "empty": (200, REPLY, b"", "the reply is not a reply of RFC 3161: 'ASN.1 parse error"),
    "noise": (200, REPLY, bytes(range(256)), "the reply is not a reply of RFC 3161: 'ASN.1 parse error"),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_a_faulty_response_leaves_the_package_as_it_is(
    name: str, signed: SignedCase, authority: Authority, url: str
) -> None:
    """Each fault of the authority is one line that names its address."""
    status, kind, body, reason = RESPONSES[name]
    authority.headers = {"Location": "http://127.0.0.1:9/other"} if name == "redirect" else {}
    authority.reply = lambda _: (status, kind, body)
    refuse_stamp(signed, url, f"^{url}: {reason}")


def test_a_slow_authority(signed: SignedCase, authority: Authority, url: str) -> None:
    """An authority that sends nothing, or a byte now and then, has the time that was given and no more."""
    authority.delay = 0.2
    refuse_stamp(signed, url, "did not respond within 0.3 s", timeout=0.3)
    authority.headers = {"Content-Length": "5000"}
    authority.delay = 0.0
    refuse_stamp(signed, url, "cannot be reached: .IncompleteRead", timeout=5)


def test_an_authority_that_cannot_be_reached(signed: SignedCase) -> None:
    """An address without a server, and one that is none, are one line each."""
    refuse_stamp(signed, "http://127.0.0.1:9", r"http://127.0.0.1:9: cannot be reached: .*Connection refused")
    for address in ("ftp://tsa.example", "tsa.example", "http://", "http://a\n.example", "http://[::1"):
        refuse_stamp(signed, address, "^the address of the time stamp authority: must have http://")


def test_a_reply_to_another_request(signed: SignedCase, authority: Authority, url: str) -> None:
    """A stamp of other content, a stamp of an earlier request, and a rejection are refused."""
    old = authority.sign(_query(signed.folder / "signature.dsse.json"))
    authority.reply = lambda _: (200, REPLY, old)
    refuse_stamp(signed, url, "has another nonce than the request, so it is not the reply to it")
    about_other = authority.sign(_query(signed.folder / "attestation.json"))
    authority.reply = lambda _: (200, REPLY, about_other)
    refuse_stamp(signed, url, "the reply has a time stamp of other content")
    sha1 = authority.sign(_query(signed.folder / "signature.dsse.json", "-sha1"))
    authority.reply = lambda _: (200, REPLY, sha1)
    refuse_stamp(signed, url, "the reply refuses a time stamp: 'Message digest algorithm is not supported.'")


def _query(path: Path, *options: str) -> bytes:
    query = path.parent.parent / "key.tsq"
    run_openssl("ts", "-query", "-data", path, "-cert", "-out", query, *(options or ("-sha256",)))
    content = query.read_bytes()
    query.unlink()
    return content


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
def test_a_stamp_of_another_program(digest: str, signed: SignedCase, authority: Authority) -> None:
    """A time stamp of another program, over another digest of SHA-2, is verified."""
    stamp = authority.sign(_query(signed.folder / "signature.dsse.json", f"-{digest}"))
    (signed.folder / "timestamp.tsr").write_bytes(stamp)
    report = verify_package(signed.folder, [signed.public], timestamp_certificates=[authority.root])
    assert report.timestamp is not None


def test_a_stamp_of_another_authority_is_refused(
    signed: SignedCase, authority: Authority, other: Authority, url: str
) -> None:
    """Neither is added a stamp of an authority whose certificates were not given, nor is it verified."""
    refuse_stamp(signed, url, "is not of a trusted authority", certificates=[other.root])
    timestamp_package(signed.zip, url)
    for certificates, reason in (
        ([other.root], "timestamp.tsr is not of a trusted authority"),
        ([other.certificate, other.root], "timestamp.tsr is not of a trusted authority"),
    ):
        with pytest.raises(VerificationError, match=reason):
            verify_package(signed.zip, [signed.public], timestamp_certificates=certificates)
    verify_package(signed.zip, [signed.public], timestamp_certificates=[other.root, authority.root])


@pytest.mark.slow
def test_certificates_for_other_uses_sign_no_time_stamps(signed: SignedCase, authority: Authority, url: str) -> None:
    """A certificate of the same root signs only if it is for time stamps alone, as RFC 3161 demands."""
    for number, usage in enumerate(("serverAuth", "critical, serverAuth", "timeStamping"), 100):
        certificate = authority.issue(f"web{number}", number, usage)
        authority.reply = lambda query, certificate=certificate: (200, REPLY, authority.sign_as(certificate, query))
        refuse_stamp(signed, url, "the reply is not of a trusted authority", certificates=[authority.root])
    right = authority.issue("right", 200, "critical, timeStamping")
    authority.reply = lambda query: (200, REPLY, authority.sign_as(right, query))
    timestamp_package(signed.zip, url, certificates=[authority.root])


@pytest.mark.parametrize("name", ["R", "R" * 60])
def test_an_authority_that_sends_its_root(
    name: str, signed: SignedCase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A reply may have further certificates, in any order. They make no authority trusted."""
    sender = Authority(tmp_path_factory.mktemp("sender"), name=name, sends_root=True)
    other = Authority(tmp_path_factory.mktemp("trusted"), name=name)
    with sender.serve() as address:
        refuse_stamp(signed, address, "the reply is not of a trusted authority", certificates=[other.root])
        timestamp_package(signed.zip, address, certificates=[sender.root])
    verify_package(signed.zip, [signed.public], timestamp_certificates=[sender.root])
    with pytest.raises(VerificationError, match="is not of a trusted authority"):
        verify_package(signed.zip, [signed.public], timestamp_certificates=[other.root])


def test_certificates_are_sorted_only_in_whole_replies(
    signed: SignedCase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Sorting changes nothing in a sorted reply, in a part of a reply, and in a reply with a wrong length."""
    sender = Authority(tmp_path_factory.mktemp("sender"), sends_root=True)
    reply = sort_certificates(sender.sign(_query(signed.folder / "signature.dsse.json")))
    assert sort_certificates(reply) == reply
    for place in range(len(reply)):
        assert sort_certificates(reply[:place]) == reply[:place]
        assert len(sort_certificates(reply[:place] + b"\x84" + reply[place + 1 :])) == len(reply)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory; pass the authority's certificates in PEM"),
        (b"", "has no certificates that can be read"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "has no certificates that can be read"),
        (b"x" * (MAX_CERTIFICATES + 1), "is larger than 1,048,576 bytes"),
        ("certificate", "has no root certificate, which is one that signed itself"),
    ],
)
def test_certificates_that_cannot_be_used(
    content: bytes | str | None, reason: str, signed: SignedCase, authority: Authority
) -> None:
    """A file without certificates, or without a root, is an error that names the file."""
    path = signed.folder.parent / "key.crt"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else getattr(authority, content).read_bytes())
    with pytest.raises(PackageError, match=reason) as caught:
        verify_package(signed.zip, [signed.public], timestamp_certificates=[path])
    assert caught.value.path == str(path)
    with pytest.raises(PackageError, match=r"^the list of certificates: has no root certificate"):
        verify_package(signed.zip, [signed.public], timestamp_certificates=[])


def test_a_changed_time_stamp_is_refused(signed: SignedCase, authority: Authority, url: str) -> None:
    """A stamp that is changed, missing or of another package is not verified; the package is the signed one still."""
    timestamp_package(signed.folder, url)
    stamp = signed.folder / "timestamp.tsr"
    good = stamp.read_bytes()
    changed = good.replace(b"Example Root", b"Example Ruut")
    for content in (changed, good[:-1], good[:-1] + bytes([good[-1] ^ 1]), b""):
        stamp.write_bytes(content)
        with pytest.raises(VerificationError, match=r"timestamp\.tsr is not"):
            verify_package(signed.folder, [signed.public], timestamp_certificates=[authority.root])
        verify_package(signed.folder, [signed.public])
    stamp.unlink()
    with pytest.raises(VerificationError, match=r"has no time stamp: it has no file timestamp\.tsr"):
        verify_package(signed.folder, [signed.public], timestamp_certificates=[authority.root])
    again = SignedCase(signed.place / "again", Ed25519PrivateKey.generate())
    timestamp_package(again.folder, url)
    stamp.write_bytes((again.folder / "timestamp.tsr").read_bytes())
    with pytest.raises(VerificationError, match=r"timestamp\.tsr has a time stamp of other content"):
        verify_package(signed.folder, [signed.public], timestamp_certificates=[authority.root])


def test_an_unsigned_package_gets_no_time_stamp(signed: SignedCase, url: str, tmp_path: Path) -> None:
    """A package without a signature, a changed folder and a missing one are refused."""
    (signed.folder / "signature.dsse.json").unlink()
    with pytest.raises(PackageError, match=r"is no signed evidence package: it has no file signature\.dsse\.json"):
        timestamp_package(signed.folder, url)
    (signed.folder / "note.txt").write_text("x")
    with pytest.raises(VerificationError, match=r"unexpected file 'note.txt'"):
        timestamp_package(signed.folder, url)
    with pytest.raises(VerificationError, match="does not exist"):
        timestamp_package(tmp_path / "nope", url)


def test_a_folder_that_cannot_be_written(signed: SignedCase, authority: Authority, url: str) -> None:
    """If the folder is moved while the authority answers, the error names it, and nothing is written."""
    moved = signed.place / "moved"

    def move_and_reply(query: bytes) -> tuple[int, str, bytes]:
        signed.folder.rename(moved)
        return 200, REPLY, authority.sign(query)

    authority.reply = move_and_reply
    with pytest.raises(PackageError, match="cannot be written: No such file or directory") as caught:
        timestamp_package(signed.folder, url)
    assert caught.value.path == str(signed.folder)
    assert read_files(moved) == signed.made
    assert not signed.folder.exists()


@pytest.mark.parametrize("timeout", [0, -1, 3_601, float("nan")])
def test_a_timeout_has_limits(timeout: float, signed: SignedCase) -> None:
    """A timeout is more than 0 and at most an hour."""
    with pytest.raises(ValueError, match="timeout must be more than 0 and at most 3600 seconds"):
        timestamp_package(signed.zip, "http://127.0.0.1:9", timeout=timeout)


@pytest.mark.slow
def test_a_missing_extra_is_named(signed: SignedCase) -> None:
    """Without rfc3161-client, the error names the extra; packages are verified without it."""
    code = (
        "from spanforge.model_registry.compliance import *\n"
        f"print(verify_package({str(signed.zip)!r}, [{str(signed.public)!r}]).framework)\n"
        f"try: timestamp_package({str(signed.zip)!r}, 'http://127.0.0.1:9')\n"
        "except MissingExtraError as error: print(error)\n"
    )
    advice = "pip install '.[timestamp]' in a clone, or 'spanforge-model-registry[timestamp]' for a released version"
    message = f"time stamps of evidence packages need the extra timestamp: {advice}"
    assert run_code(code, "rfc3161_client") == f"soc2\n{message}\n"
