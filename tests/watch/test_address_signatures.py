"""Signatures of registry files at addresses: only files that a trusted key signed, and no older version again."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from support.registry_server import Reply, Request, make_etag
from support.watching import Watched, cannot_load, content, valid_again

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.in_toto import PAYLOAD_TYPE
from spanforge.model_registry._core.registry_signatures import make_statement
from spanforge.model_registry._core.settings import TRUSTED_KEYS
from spanforge.model_registry.compliance._packages.keys import load_signer, sign

if TYPE_CHECKING:
    from pathlib import Path

    from support.registry_server import RegistryServer

    from spanforge.model_registry.watch import FileWatcher

UNTIL_LOADED = "its models show as unregistered until it can be loaded"
OTHER_VERSION = ": does not match its signature, which is that of another version"
UNTRUSTED = ": is not signed by a trusted key"
KINDS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
}


class Signer:
    """A key pair in files."""

    def __init__(self, folder: Path, name: str, private: Any) -> None:
        self.private, self.public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
        self.private.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, body: bytes, hour: int = 12, kind: str = PAYLOAD_TYPE) -> bytes:
        """Return the signature of a file, made at an hour of a day."""
        statement = make_statement("models.json", body, f"2026-11-02T{hour:02}:00:00.000000Z")
        return json.dumps(sign(load_signer(self.private), statement, kind)).encode()


@pytest.fixture
def signer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signer:
    """Return a key pair whose public key is the trusted key."""
    made = Signer(tmp_path, "signer", ed25519.Ed25519PrivateKey.generate())
    monkeypatch.setenv(TRUSTED_KEYS.variable, str(made.public))
    return made


def publish(server: RegistryServer, body: bytes, signature: bytes | None) -> None:
    """Publish a file and its signature, or the file alone."""
    server.files = {"/models.json": body}
    if signature is not None:
        server.files["/models.json.sig"] = signature


def follow(watched: Watched, server: RegistryServer) -> FileWatcher:
    """Follow the file of a server."""
    return watched.follow(server.url())  # type: ignore[arg-type] # an address


def look(watcher: FileWatcher) -> None:
    """Look often enough to report a signature that does not match."""
    for _ in range(3):
        watcher.look()


@pytest.mark.parametrize("kind", KINDS)
def test_signed_file(
    watched: Watched, server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A file that one of the trusted keys signed is in force; quiet requests do not ask for the signature again."""
    other, signer = (Signer(tmp_path, name, KINDS[kind]()) for name in ("other", kind))
    monkeypatch.setenv(TRUSTED_KEYS.variable, f"{other.public}:{signer.public}")
    publish(server, content("a"), signer.sign(content("a")))
    watcher = follow(watched, server)
    assert watched.owners == {"m": "a"}
    look(watcher)
    publish(server, content("b"), other.sign(content("b"), 13))
    watcher.look()
    assert watched.owners == {"m": "b"}
    paths = [request.path for request in server.requests]
    assert paths == ["/models.json", "/models.json.sig", *["/models.json"] * 4, "/models.json.sig"]
    assert watched.lines() == []


def spoil_signatures(signer: Signer, other: Signer) -> dict[str, tuple[bytes | None, str]]:
    """Return signatures that are not accepted, each with the end of its line."""
    good = json.loads(signer.sign(content("b"), 13))
    return {
        "none": (None, ": has no signature that can be read: its address with .sig answers 404 Not Found"),
        "of another version": (signer.sign(content("a"), 13), OTHER_VERSION),
        "of another key": (other.sign(content("b"), 13), UNTRUSTED),
        "no envelope": (b"signature", ": has a signature that is not a DSSE envelope"),
        "a list": (b"[" * 50_000, ": has a signature that is not a DSSE envelope"),
        "no signatures": (json.dumps({**good, "signatures": []}).encode(), UNTRUSTED),
        "eleven signatures": (
            json.dumps({**good, "signatures": [{"sig": "AAAA"}] * 10 + good["signatures"]}).encode(),
            UNTRUSTED,
        ),
        "changed payload": (
            json.dumps({**good, "payload": json.loads(signer.sign(content("b"), 14))["payload"]}).encode(),
            UNTRUSTED,
        ),
        "changed type": (json.dumps({**good, "payloadType": "text/plain"}).encode(), UNTRUSTED),
        "another type": (
            signer.sign(content("b"), 13, "text/plain"),
            ": has a signature of another kind, 'urn:spanforge:model-registry:registry-file:v1'",
        ),
        "another statement": (
            json.dumps(sign(load_signer(signer.private), b'{"_type": "x"}', PAYLOAD_TYPE)).encode(),
            ": has a signature that is not about a registry file",
        ),
        "too large": (
            b" " * 70_000,
            ": has no signature that can be read: its address with .sig is larger than 65,536 bytes",
        ),
    }


NAMES = (
    *("none", "of another version", "of another key", "no envelope", "a list", "no signatures", "eleven signatures"),
    *("changed payload", "changed type", "another type", "another statement", "too large"),
)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_signature(watched: Watched, server: RegistryServer, signer: Signer, tmp_path: Path, name: str) -> None:
    """An unsigned or wrongly signed file has one line, and leaves the last one in force."""
    publish(server, content("a"), signer.sign(content("a")))
    watcher = follow(watched, server)
    spoilt = spoil_signatures(signer, Signer(tmp_path, "other", KINDS["p256"]()))
    assert tuple(spoilt) == NAMES
    signature, reason = spoilt[name]
    publish(server, content("b"), signature)
    look(watcher)
    assert watched.owners == {"m": "a"}
    (line,) = watched.lines()
    assert line.startswith(f"warning: model registry: cannot load registry file {server.url()}{reason}")
    publish(server, content("b"), signer.sign(content("b"), 13))
    watcher.look()
    assert watched.owners == {"m": "b"}
    assert watched.lines() == [valid_again(server.url())]


def test_unsigned_file_at_the_start(watched: Watched, server: RegistryServer, signer: Signer) -> None:
    """A file that was never signed is never in force."""
    publish(server, content("a"), None)
    watcher = follow(watched, server)
    look(watcher)
    reason = ": has no signature that can be read: its address with .sig answers 404 Not Found"
    assert watched.lines() == [cannot_load(server.url(), reason, UNTIL_LOADED)]
    assert watched.owners == {}
    publish(server, content("a"), signer.sign(content("a")))
    watcher.look()
    assert watched.owners == {"m": "a"}


def test_file_and_signature_are_published_one_after_the_other(
    watched: Watched, server: RegistryServer, signer: Signer
) -> None:
    """Between the change of the file and that of its signature, nothing is logged, and the last version stays."""
    publish(server, content("a"), signer.sign(content("a")))
    watcher = follow(watched, server)
    for hour, (owner, first) in enumerate([("b", "/models.json"), ("c", "/models.json.sig")], 13):
        new = {"/models.json": content(owner), "/models.json.sig": signer.sign(content(owner), hour)}
        server.files[first] = new[first]
        watcher.look()
        server.files = new
        watcher.look()
        assert watched.owners == {"m": owner}
    assert watched.lines() == []
    assert watcher.states()[0].failures == 0


def test_older_signed_version_again(watched: Watched, server: RegistryServer, signer: Signer) -> None:
    """A version that was signed earlier is refused with one line, also after a restart, until it is signed again."""
    publish(server, content("a"), signer.sign(content("a"), 12))
    watcher = follow(watched, server)
    publish(server, content("b"), signer.sign(content("b"), 13))
    watcher.look()
    publish(server, content("a"), signer.sign(content("a"), 12))
    look(watcher)
    assert watched.owners == {"m": "b"}
    reason = ": serves an older version again, signed at 2026-11-02T12:00:00.000000Z; to go back to it, sign it again"
    assert watched.lines() == [cannot_load(server.url(), reason)]
    registry = ModelRegistry(auto_emit=False)
    again = watched.follow(server.url(), registry=registry)  # type: ignore[arg-type]
    look(again)
    assert [entry.owner for entry in registry] == ["b"]
    assert "serves an older version again" in (again.states()[0].error or "")
    publish(server, content("a"), signer.sign(content("a"), 14))
    watcher.look()
    assert watched.owners == {"m": "a"}


def test_copy_without_a_trusted_signature(
    watched: Watched, server: RegistryServer, signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy is only used if one of the keys that are trusted now signed it."""
    publish(server, content("a"), signer.sign(content("a")))
    follow(watched, server)
    server.reply = lambda _request: Reply(500)
    registry = ModelRegistry(auto_emit=False)
    watched.follow(server.url(), registry=registry)  # type: ignore[arg-type]
    assert [entry.owner for entry in registry] == ["a"]
    watched.lines()
    other = Signer(tmp_path, "other", KINDS["ed25519"]())
    monkeypatch.setenv(TRUSTED_KEYS.variable, str(other.public))
    empty = ModelRegistry(auto_emit=False)
    watched.follow(server.url(), registry=empty)  # type: ignore[arg-type]
    assert list(empty) == []
    assert "is not used" in watched.lines()[0]


def test_copy_from_before_signatures(
    watched: Watched, server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy without a signature is not used as soon as keys are trusted."""
    follow(watched, server)
    signer = Signer(tmp_path, "signer", KINDS["p384"]())
    monkeypatch.setenv(TRUSTED_KEYS.variable, str(signer.public))
    server.reply = lambda _request: Reply(500)
    registry = ModelRegistry(auto_emit=False)
    watched.follow(server.url(), registry=registry)  # type: ignore[arg-type]
    assert list(registry) == []
    assert watched.lines()[0].endswith(".copy has no signature")


@pytest.mark.parametrize(
    "case",
    {
        "none.pem": "cannot be read: No such file or directory",
        "wrong.pem": "is not a public key in PEM",
        "rsa.pub.pem": "is not an Ed25519 or ECDSA key",
        "good.pem": "is not a public key in PEM",
    }.items(),
)
def test_trusted_key_that_cannot_be_used(
    watched: Watched, server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[str, str]
) -> None:
    """If a trusted key is missing or of no use, no file is in force, and one line names the key."""
    name, reason = case
    Signer(tmp_path, "rsa", rsa.generate_private_key(65537, 2048))
    (tmp_path / "wrong.pem").write_text("no key")
    good = Signer(tmp_path, "good", KINDS["ed25519"]())
    monkeypatch.setenv(TRUSTED_KEYS.variable, f"{good.public}{os.pathsep}{tmp_path / name}")
    publish(server, content("a"), good.sign(content("a")))
    look(follow(watched, server))
    assert watched.owners == {}
    text = f": is not accepted: the trusted key {tmp_path / name} {reason}"
    assert watched.lines() == [cannot_load(server.url(), text, UNTIL_LOADED)]


def test_signature_has_the_query_of_the_file(server: RegistryServer, watched: Watched, signer: Signer) -> None:
    """The ending ``.sig`` follows the path, before the query."""
    body = content("a")

    def reply(request: Request) -> Reply:
        is_signature = request.path == "/models.json.sig?token=1"
        return Reply(200, {"ETag": make_etag(body)}, signer.sign(body) if is_signature else body)

    server.reply = reply
    watched.follow(server.url("/models.json?token=1"))  # type: ignore[arg-type]
    assert watched.owners == {"m": "a"}
