"""Signatures of evidence packages: signing keys, trusted keys and the one form of an envelope."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, Signature, Signer, SSlibKey
from support.evidence import run_code, write_key_pair

from spanforge.model_registry._core.errors import PackageError, VerificationError
from spanforge.model_registry._core.in_toto import PAYLOAD_TYPE
from spanforge.model_registry.compliance._packages import keys
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.dsse import (
    MAX_ENVELOPE_SIZE,
    PREDICATE_TYPE,
    Statement,
    seal,
    unseal,
)
from spanforge.model_registry.compliance._packages.keys import load_signer, load_trusted, make_key_pair

KINDS: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
}
OTHERS: dict[str, Any] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "ed448": ed448.Ed448PrivateKey.generate,
}
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
FILES = {"b.csv": b"b", "a.json": b"a"}


class Pair:
    """A key pair in two files."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.key = (KINDS | OTHERS)[kind]()
        self.private, self.public = write_key_pair(folder, self.key, kind)

    def seal(self, predicate: dict[str, Any] | None = None) -> bytes:
        """Return an envelope about the files."""
        return seal(FILES, load_signer(self.private), predicate or {"said": 1})

    def sign(self, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
        """Return an envelope with any payload."""
        return encode_canonical(keys.sign(load_signer(self.private), payload, payload_type))

    def unseal(self, envelope: bytes) -> tuple[Statement, str]:
        """Return the statement of an envelope, and the id of its key."""
        return unseal(envelope, load_trusted([self.public]), "package")

    def refuse(self, envelope: bytes, reason: str) -> None:
        """Assert that an envelope is refused for a reason."""
        with pytest.raises(VerificationError, match=reason) as caught:
            self.unseal(envelope)
        assert caught.value.path == "package"


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    return Pair(tmp_path, request.param)


@pytest.fixture
def ed(tmp_path: Path) -> Pair:
    return Pair(tmp_path, "ed25519")


@pytest.fixture
def p256(tmp_path: Path) -> Pair:
    return Pair(tmp_path, "p256")


def with_signature(envelope: bytes, signature: bytes) -> bytes:
    said = json.loads(envelope)
    said["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return encode_canonical(said)


def signature_of(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["signatures"][0]["sig"])


def test_sealed_files_are_unsealed(pair: Pair) -> None:
    """Each kind of key signs the digests of the files and the predicate, and its public key verifies them."""
    statement, keyid = pair.unseal(pair.seal())
    assert keyid == load_signer(pair.private).keyid
    assert [subject.name for subject in statement.subject] == ["a.json", "b.csv"]
    assert statement.subject[0].digest.sha256 == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert statement.predicate == {"said": 1}


def test_securesystemslib_verifies_envelope(pair: Pair) -> None:
    """An envelope is a DSSE envelope of an in-toto Statement, which securesystemslib verifies."""
    said = json.loads(pair.seal())
    statement = json.loads(base64.b64decode(said["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == PREDICATE_TYPE
    assert said["payloadType"] == "application/vnd.in-toto+json"
    assert Envelope.from_dict(said).verify([SSlibKey.from_crypto(pair.key.public_key())], 1)


def test_envelope_is_canonical(ed: Pair) -> None:
    """An envelope is canonical JSON; with Ed25519 its bytes are always the same."""
    assert ed.seal() == ed.seal() == encode_canonical(json.loads(ed.seal()))


def test_group_orders_of_curves() -> None:
    """The order of a curve's group is the first number that is not a private key."""
    for order, curve in zip(keys._GROUP_ORDERS.values(), (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()), strict=True):
        ec.derive_private_key(order - 1, curve)
        with pytest.raises(ValueError, match=r"."):
            ec.derive_private_key(order, curve)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_ecdsa_signature_has_one_form(kind: str, tmp_path: Path) -> None:
    """A signature has the lower s; the other s and other encodings are refused."""
    pair = Pair(tmp_path, kind)
    order = keys._GROUP_ORDERS[load_signer(pair.private).key.scheme]
    for _ in range(12):
        envelope = pair.seal()
        r, s = decode_dss_signature(signature_of(envelope))
        assert s <= order // 2
        pair.refuse(with_signature(envelope, encode_dss_signature(r, order - s)), "signature is not valid")
    der = signature_of(envelope)
    for other in (der + b"\0", der[:1] + b"\x81" + der[1:], der[:-1], b"", b"\x30\0"):
        pair.refuse(with_signature(envelope, other), "signature is not valid")


def test_ed25519_signature_has_one_form(ed: Pair) -> None:
    """S plus a multiple of the group's order is refused."""
    envelope = ed.seal()
    signature = signature_of(envelope)
    s = int.from_bytes(signature[32:], "little")
    for factor in range(1, 16):
        other = signature[:32] + (s + factor * ED25519_ORDER).to_bytes(33, "little")[:32]
        ed.refuse(with_signature(envelope, other), "signature is not valid")


def edits(said: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return edited envelopes, each with the reason of its error."""
    signature = said["signatures"][0]
    return {
        "payload": ({**said, "payload": base64.b64encode(b"{}").decode()}, "signature is not valid"),
        "payload type": ({**said, "payloadType": "text/plain"}, "payloadType is 'text/plain'"),
        "no signature": ({**said, "signatures": []}, "0 signatures"),
        "two signatures": ({**said, "signatures": [signature, signature]}, "2 signatures"),
        "unknown key": ({**said, "signatures": [{**signature, "keyid": "00"}]}, "untrusted key, '00'"),
        "key in capitals": (
            {**said, "signatures": [{**signature, "keyid": signature["keyid"].upper()}]},
            "untrusted key",
        ),
        "a field more": ({**said, "note": 1}, "not canonical"),
        "a field more in the signature": ({**said, "signatures": [{**signature, "cert": ""}]}, "not canonical"),
        "a field less": ({"payload": said["payload"], "signatures": [signature]}, "the envelope is malformed"),
        "another type": ({**said, "signatures": {}}, "the envelope is malformed"),
        "no object": ([said], "the envelope is malformed"),
        "no base64": ({**said, "payload": "***="}, "the envelope is malformed"),
    }


@pytest.mark.parametrize("edit", edits({"signatures": [{"keyid": "", "sig": ""}], "payload": ""}))
def test_edited_envelope_is_refused(edit: str, ed: Pair) -> None:
    """An edited envelope in canonical form is refused, and the error names the fault."""
    edited, reason = edits(json.loads(ed.seal()))[edit]
    ed.refuse(encode_canonical(edited), reason)


FORMS: dict[str, Any] = {
    "whitespace": lambda envelope: envelope + b"\n",
    "indented": lambda envelope: json.dumps(json.loads(envelope), indent=1).encode(),
    "other order": lambda envelope: json.dumps(dict(reversed(json.loads(envelope).items()))).encode(),
    "a key twice": lambda envelope: b'{"payload":"",' + envelope[1:],
    "escaped": lambda envelope: envelope.replace(b'"payload"', b'"\\u0070ayload"'),
    "slash escaped": lambda envelope: envelope.replace(b"in-toto+json", b"in-toto\\u002bjson"),
    "base64 for URLs": lambda envelope: envelope.replace(b"+", b"-"),
    "byte order mark": lambda envelope: b"\xef\xbb\xbf" + envelope,
    "UTF-16": lambda envelope: envelope.decode().encode("utf-16"),
    "nothing": lambda _: b"",
    "no JSON": lambda _: b"\xff\0",
    "not Unicode": lambda envelope: envelope[:-1] + b',"\xff":1}',
    "half of a character": lambda envelope: envelope[:-1] + b',"\\ud800":1}',
    "too deep": lambda _: b"[" * 100_000,
    "too deep, in an unknown field": lambda envelope: envelope[:-1] + b',"z":' + b"[" * 100_000,
    "a huge number": lambda envelope: envelope[:-1] + b',"z":' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("form", FORMS)
def test_envelope_in_another_form_is_refused(form: str, ed: Pair) -> None:
    """An envelope with the same content in other bytes is refused."""
    envelope = ed.seal()
    assert FORMS[form](envelope) != envelope
    with pytest.raises(VerificationError):
        ed.unseal(FORMS[form](envelope))


def test_base64_has_one_form(p256: Pair) -> None:
    """The unused bits of base64 must be zero, and its padding must be there."""
    envelope = p256.seal()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for size in range(12):
        envelope = p256.seal({"pad": "x" * size})
        payload = json.loads(envelope)["payload"]
        if payload.endswith("="):
            break
    stem, pad = payload.rstrip("="), payload[len(payload.rstrip("=")) :]
    other = stem[:-1] + alphabet[alphabet.index(stem[-1]) + 1] + pad
    assert base64.b64decode(other) == base64.b64decode(payload)
    for changed in (other, stem):
        p256.refuse(envelope.replace(payload.encode(), changed.encode()), r"envelope is (not|malformed)")


def test_large_envelope_is_neither_read_nor_made(ed: Pair) -> None:
    """An envelope beyond the limit is refused before it is parsed, and before it is written; one of its size is not."""
    ed.refuse(b" " * (MAX_ENVELOPE_SIZE + 1), "larger than 1048576 bytes")
    ed.refuse(b" " * MAX_ENVELOPE_SIZE, "the envelope is not canonical")
    room = (MAX_ENVELOPE_SIZE - len(ed.seal({"pad": ""}))) // 4 * 3  # base64 has four characters for three bytes
    largest = ed.seal({"pad": "x" * room})
    assert len(largest) == MAX_ENVELOPE_SIZE
    assert ed.unseal(largest)[0].predicate == {"pad": "x" * room}
    with pytest.raises(PackageError, match="larger than 1048576 bytes"):
        ed.seal({"pad": "x" * (room + 3)})


STATEMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"_type": "https://in-toto.io/Statement/v0.1"}, "_type is"),
    "predicate type": ({"predicateType": "https://slsa.dev/provenance/v1"}, "predicateType is"),
    "version 1": (
        {"predicateType": "urn:spanforge:model-registry:evidence-package:v1"},
        "is a package of version 1, which does not state every argument that changes a result; generate it again$",
    ),
    "subject": ({"subject": "a.json"}, "statement is malformed"),
    "digest": ({"subject": [{"name": "a", "digest": {"sha1": ""}}]}, "statement is malformed"),
    "field": ({"more": 1}, "statement is not canonical"),
}


@pytest.mark.parametrize("part", STATEMENTS)
def test_other_statement_of_the_key_is_refused(part: str, ed: Pair) -> None:
    """A statement that the key signed for another purpose is refused."""
    change, reason = STATEMENTS[part]
    statement = json.loads(base64.b64decode(json.loads(ed.seal())["payload"]))
    ed.refuse(ed.sign(encode_canonical(statement | change)), reason)


def test_statement_in_another_form_is_refused(ed: Pair) -> None:
    """A signed statement with whitespace, and a payload of another type, are refused."""
    payload = base64.b64decode(json.loads(ed.seal())["payload"])
    ed.refuse(ed.sign(payload + b" "), "statement is not canonical")
    ed.refuse(ed.sign(payload, "text/plain"), "payloadType is")


def test_key_id_of_another_key_is_refused(ed: Pair, p256: Pair) -> None:
    """A signature with the id of another trusted key is wrong."""
    trusted = load_trusted([ed.public, p256.public])
    assert unseal(ed.seal(), trusted, "")[1] == load_signer(ed.private).keyid
    said = json.loads(ed.seal())
    said["signatures"][0]["keyid"] = load_signer(p256.private).keyid
    with pytest.raises(VerificationError, match=r"signature is not valid: the key .*p256\.pub"):
        unseal(encode_canonical(said), trusted, "")


@pytest.mark.parametrize("kind", OTHERS)
def test_unsupported_keys_are_refused(kind: str, tmp_path: Path) -> None:
    """Keys of other kinds neither sign nor are trusted, and the error lists the supported kinds."""
    pair = Pair(tmp_path, kind)
    with pytest.raises(PackageError, match=r"an unsupported kind of key; .*Ed25519, or ECDSA on P-256, P-384 or P-521"):
        load_signer(pair.private)
    with pytest.raises(PackageError, match=r"an unsupported kind of key; .*Ed25519, or ECDSA on P-256, P-384 or P-521"):
        load_trusted([pair.public])


def test_unusable_signing_keys_are_refused(ed: Pair, tmp_path: Path) -> None:
    """The error for an unusable signing key describes a usable one."""
    encrypted = ed.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    allowed = "a signing key is the path of a private key in PEM"
    for content, reason in (
        (encrypted, "is encrypted; decrypt it, or pass a signer of securesystemslib"),
        (ed.public.read_bytes(), "is a public key"),
        (b"", "is not a private key"),
        (b"\xff" * 100, "is not a private key"),
        (b"x" * 70_000, "is larger than 65536 bytes"),
    ):
        path = tmp_path / "key"
        path.write_bytes(content)
        with pytest.raises(PackageError, match=f"^{path}: {reason}" + ("" if content == encrypted else f".*{allowed}")):
            load_signer(path)
    with pytest.raises(PackageError, match=f"missing: cannot be read: No such file or directory; {allowed}"):
        load_signer(tmp_path / "missing")
    with pytest.raises(PackageError, match="cannot be read: Is a directory"):
        load_signer(os.fsencode(tmp_path))
    with pytest.raises(PackageError, match="cannot be read"):
        load_signer("\0")


def test_an_encrypted_key_signs_with_its_passphrase(tmp_path: Path) -> None:
    """A new key pair belongs together. With a passphrase, only a caller who knows the passphrase can sign."""
    for passphrase in (None, b"open sesame"):
        private, public, keyid = make_key_pair(passphrase)
        (tmp_path / "key.pem").write_bytes(private)
        (tmp_path / "key.pub.pem").write_bytes(public)
        signer = load_signer(tmp_path / "key.pem", tmp_path / "key.pub.pem", lambda _: b"open sesame")
        assert signer.keyid == keyid
        assert [*load_trusted([tmp_path / "key.pub.pem"])] == [keyid]
    with pytest.raises(PackageError, match="cannot be decrypted: the passphrase is wrong, or the file is damaged"):
        load_signer(tmp_path / "key.pem", None, lambda _: b"wrong")


def test_unusable_trusted_keys_are_refused(ed: Pair, tmp_path: Path) -> None:
    """The error for an unusable trusted key describes a usable one."""
    allowed = "a trusted key is the path of one public key in PEM"
    for content, reason in (
        (ed.private.read_bytes(), "is a private key"),
        (ed.public.read_bytes() * 2, "has several keys"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is not a public key"),
        (b"", "is not a public key"),
    ):
        path = tmp_path / "key"
        path.write_bytes(content)
        with pytest.raises(PackageError, match=f"{reason}.*{allowed}"):
            load_trusted([path])
    with pytest.raises(PackageError, match="No such file"):
        load_trusted([ed.public, tmp_path / "missing"])


def test_trusted_keys_must_be_a_list_of_paths(ed: Pair) -> None:
    """An empty list of keys, and a path in place of a list, are refused."""
    with pytest.raises(VerificationError, match="no trusted key was given"):
        load_trusted([])
    for path in (ed.public, str(ed.public), os.fsencode(ed.public)):
        with pytest.raises(PackageError, match="put this path into a list"):
            load_trusted(path)  # type: ignore[arg-type]


def test_key_has_one_id(p256: Pair, tmp_path: Path) -> None:
    """The id of a key does not depend on the form of its file; the first of several files with a key counts."""
    pem = p256.public.read_bytes()
    body = b"".join(pem.splitlines()[1:-1])
    narrow = b"\n".join(body[i : i + 40] for i in range(0, len(body), 40))
    compressed = subprocess.run(
        ["openssl", "ec", "-pubin", "-conv_form", "compressed"], input=pem, capture_output=True, check=True
    ).stdout
    forms = {
        "crlf": pem.replace(b"\n", b"\r\n"),
        "narrow": b"-----BEGIN PUBLIC KEY-----\n" + narrow + b"\n-----END PUBLIC KEY-----\n",
        "text": b"the key of the year\n" + pem,
        "compressed": compressed,
    }
    assert len(set(forms.values()) | {pem}) == 5
    for name, content in forms.items():
        path = tmp_path / name
        path.write_bytes(content)
        trusted = load_trusted([path, p256.public])
        assert {keyid: key.path for keyid, key in trusted.items()} == {load_signer(p256.private).keyid: str(path)}
        unseal(p256.seal(), trusted, "")


def test_older_form_of_private_key(p256: Pair) -> None:
    """A file of ``openssl ecparam -genkey``, with parameters before the key, signs."""
    sec1 = p256.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    p256.private.write_bytes(parameters + sec1)
    p256.unseal(p256.seal())


def test_uri_signs_with_its_public_key(ed: Pair, p256: Pair) -> None:
    """A URI selects a signer of securesystemslib, and needs its public key."""
    uri = f"file2:{ed.private}"
    ed.unseal(seal(FILES, load_signer(uri, ed.public), {}))
    with pytest.raises(PackageError, match="needs public_key,"):
        load_signer(uri)
    with pytest.raises(PackageError, match="cannot be used"):
        load_signer(uri, p256.public)
    with pytest.raises(PackageError, match=r"^awskms:1: cannot be used"):
        load_signer("awskms:1", p256.public)


def test_path_with_a_colon_is_a_path(ed: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name has a colon, or a drive, is a file."""
    monkeypatch.chdir(tmp_path)
    Path("hsm:key").write_bytes(ed.private.read_bytes())
    assert load_signer("hsm:key").keyid == load_signer(ed.private).keyid
    for missing in (r"C:\keys\key.pem", "other:key", "hsm"):
        with pytest.raises(PackageError, match="cannot be read: No such file"):
            load_signer(missing)


def test_public_key_must_belong_to_private_key(ed: Pair, p256: Pair) -> None:
    """A public key may be given with the file of its private key, and with no other."""
    assert load_signer(ed.private, ed.public).keyid == load_signer(ed.private).keyid
    with pytest.raises(PackageError, match="does not belong to the public key"):
        load_signer(ed.private, p256.public)


class Forging(Signer):
    """Signs with one key and shows another."""

    def __init__(self, key: Any, shown: Any) -> None:
        self.key, self.shown = key, shown

    @classmethod
    def from_priv_key_uri(cls, *_: Any) -> Signer:
        raise NotImplementedError

    @property
    def public_key(self) -> SSlibKey:
        return SSlibKey.from_crypto(self.shown.public_key(), keyid="mine")

    def sign(self, payload: bytes) -> Signature:
        return Signature("mine", CryptoSigner(self.key).sign(payload).signature)


class Failing(Forging):
    def sign(self, payload: bytes) -> Signature:
        raise ConnectionError(f"cannot reach the service with {len(payload)} bytes")


def test_signer_object_signs(pair: Pair) -> None:
    """A signer object signs, and its key gets the computed id."""
    pair.unseal(seal(FILES, load_signer(Forging(pair.key, pair.key)), {}))


def test_failing_signers_are_refused(ed: Pair, p256: Pair) -> None:
    """A signature that does not verify is not used, and an error of the signer names it."""
    with pytest.raises(PackageError, match=r"^Forging: cannot sign: its signature is not valid"):
        seal(FILES, load_signer(Forging(KINDS["ed25519"](), ed.key)), {})
    with pytest.raises(PackageError, match=r"^Forging: cannot sign"):
        seal(FILES, load_signer(Forging(ed.key, p256.key)), {})
    with pytest.raises(PackageError, match=r"^Failing: cannot sign: cannot reach the service"):
        seal(FILES, load_signer(Failing(ed.key, ed.key)), {})
    key = OTHERS["rsa"]()
    with pytest.raises(PackageError, match=r"^Forging: is an unsupported kind of key"):
        load_signer(Forging(key, key))


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["securesystemslib", "cryptography"])
def test_missing_extra_is_named(missing: str, ed: Pair) -> None:
    """Without the extra the modules can be imported, and each function raises an error that names it."""
    code = f"""
from spanforge.model_registry.compliance._packages.dsse import seal, unseal
from spanforge.model_registry.compliance._packages.optional_keys import keys
from spanforge.model_registry._core.errors import MissingExtraError
for call in (lambda: keys.load_signer({str(ed.private)!r}), lambda: keys.load_trusted([{str(ed.public)!r}]),
             lambda: seal({{}}, None, {{}}), lambda: unseal(b"", {{}}, "")):
    try:
        call()
    except MissingExtraError as error:
        print(error)
"""
    advice = "pip install '.[sign]' in a clone, or 'spanforge-model-registry[sign]' for a released version"
    said = f"signatures of evidence packages need the extra sign: {advice}"
    assert run_code(code, missing).splitlines() == [said] * 4


def test_too_old_securesystemslib_is_named(p256: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the installed securesystemslib cannot sign with a key, the error names the key and the library."""

    def too_old(*_: Any) -> None:
        raise ValueError("unsupported public key ecdsa/ecdsa-sha2-nistp384")

    monkeypatch.setattr(keys, "CryptoSigner", too_old)
    with pytest.raises(PackageError, match=r"p256\.pem: cannot be used with this version of securesystemslib: unsupp"):
        load_signer(p256.private)
