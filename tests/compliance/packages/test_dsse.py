"""Signatures of evidence packages: which keys sign, which are trusted, and that a signature has one form."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, Signature, Signer, SSlibKey

from spanforge.model_registry._core.errors import PackageError, VerificationError
from spanforge.model_registry.compliance._packages import keys
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.dsse import (
    MAX_ENVELOPE_SIZE,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    Statement,
    seal,
    unseal,
)
from spanforge.model_registry.compliance._packages.keys import load_signer, load_trusted

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


def private_pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Pair:
    """A key pair in two files."""

    def __init__(self, folder: Path, name: str, key: Any) -> None:
        self.key = key
        self.private = folder / f"{name}.pem"
        self.public = folder / f"{name}.pub"
        self.private.write_bytes(private_pem(key))
        self.public.write_bytes(public_pem(key))

    def seal(self) -> bytes:
        return seal(FILES, load_signer(self.private), {"said": 1})

    def unseal(self, envelope: bytes) -> tuple[Statement, str]:
        return unseal(envelope, load_trusted([self.public]), "package")


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Pair:
    return Pair(tmp_path, request.param, KINDS[request.param]())


@pytest.fixture
def ed(tmp_path: Path) -> Pair:
    return Pair(tmp_path, "ed", KINDS["ed25519"]())


@pytest.fixture
def p256(tmp_path: Path) -> Pair:
    return Pair(tmp_path, "p256", KINDS["p256"]())


def with_signature(envelope: bytes, signature: bytes) -> bytes:
    said = json.loads(envelope)
    said["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return encode_canonical(said)


def signature_of(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["signatures"][0]["sig"])


def test_what_is_sealed_is_unsealed(pair: Pair) -> None:
    """Each kind of key signs the digests of the files and the predicate, and its public key shows it."""
    statement, keyid = pair.unseal(pair.seal())
    assert keyid == load_signer(pair.private).keyid
    assert [subject.name for subject in statement.subject] == ["a.json", "b.csv"]
    assert statement.subject[0].digest.sha256 == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert statement.predicate == {"said": 1}


def test_others_can_check_it(pair: Pair) -> None:
    """An envelope is a DSSE envelope of an in-toto Statement to securesystemslib, without this library."""
    said = json.loads(pair.seal())
    statement = json.loads(base64.b64decode(said["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == PREDICATE_TYPE
    assert said["payloadType"] == "application/vnd.in-toto+json"
    assert Envelope.from_dict(said).verify([SSlibKey.from_crypto(pair.key.public_key())], 1)


def test_an_envelope_is_canonical(ed: Pair) -> None:
    """Sealing gives canonical JSON, the same bytes each time where the key's kind allows it."""
    assert ed.seal() == ed.seal() == encode_canonical(json.loads(ed.seal()))


def test_orders_are_those_of_the_curves() -> None:
    """Private keys are the numbers below the order of the group, so the order is the first that is none."""
    for order, curve in zip(keys._GROUP_ORDERS.values(), (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()), strict=True):
        ec.derive_private_key(order - 1, curve)
        with pytest.raises(ValueError, match=r"."):
            ec.derive_private_key(order, curve)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_ecdsa_has_one_form(kind: str, tmp_path: Path) -> None:
    """A signature has the lower s, whatever the signer made; the other s and another encoding do not verify."""
    pair = Pair(tmp_path, kind, KINDS[kind]())
    order = keys._GROUP_ORDERS[load_signer(pair.private).key.scheme]
    for _ in range(12):
        envelope = pair.seal()
        r, s = decode_dss_signature(signature_of(envelope))
        assert s <= order // 2
        with pytest.raises(VerificationError, match="signature is not valid"):
            pair.unseal(with_signature(envelope, encode_dss_signature(r, order - s)))
    der = signature_of(envelope)
    for other in (der + b"\0", der[:1] + b"\x81" + der[1:], der[:-1], b"", b"\x30\0"):
        with pytest.raises(VerificationError, match="signature is not valid"):
            pair.unseal(with_signature(envelope, other))


def test_ed25519_has_one_form(ed: Pair) -> None:
    """Adding the group's order to S gives no second signature."""
    envelope = ed.seal()
    signature = signature_of(envelope)
    s = int.from_bytes(signature[32:], "little")
    for factor in range(1, 16):
        other = signature[:32] + (s + factor * ED25519_ORDER).to_bytes(33, "little")[:32]
        with pytest.raises(VerificationError, match="signature is not valid"):
            ed.unseal(with_signature(envelope, other))


def edits(said: dict[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return what becomes of an envelope, and what is said about it."""
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
def test_an_edited_envelope_is_refused(edit: str, ed: Pair) -> None:
    """Whatever is edited in an envelope and put into canonical form again, the error names it."""
    edited, reason = edits(json.loads(ed.seal()))[edit]
    with pytest.raises(VerificationError, match=reason) as caught:
        ed.unseal(encode_canonical(edited))
    assert caught.value.path == "package"


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
def test_another_form_is_refused(form: str, ed: Pair) -> None:
    """An envelope that says the same in other bytes, or nothing at all, is refused."""
    envelope = ed.seal()
    assert FORMS[form](envelope) != envelope
    with pytest.raises(VerificationError):
        ed.unseal(FORMS[form](envelope))


def test_every_base64_has_one_form(p256: Pair) -> None:
    """The bits that base64 leaves over must be zero, in the payload and in the signature."""
    envelope = p256.seal()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for size in range(12):
        envelope = seal(FILES, load_signer(p256.private), {"pad": "x" * size})
        payload = json.loads(envelope)["payload"]
        if payload.endswith("="):
            break
    stem, pad = payload.rstrip("="), payload[len(payload.rstrip("=")) :]
    other = stem[:-1] + alphabet[alphabet.index(stem[-1]) + 1] + pad
    assert base64.b64decode(other) == base64.b64decode(payload)
    for changed in (other, stem):
        with pytest.raises(VerificationError, match=r"envelope is (not|malformed)"):
            p256.unseal(envelope.replace(payload.encode(), changed.encode()))


def test_too_large_an_envelope_is_neither_read_nor_made(ed: Pair) -> None:
    """An envelope beyond the limit is refused before it is parsed, and before it is written."""
    with pytest.raises(VerificationError, match="larger than 1048576 bytes"):
        ed.unseal(b" " * (MAX_ENVELOPE_SIZE + 1))
    with pytest.raises(PackageError, match="larger than 1048576 bytes"):
        seal(FILES, load_signer(ed.private), {"pad": "x" * MAX_ENVELOPE_SIZE})


STATEMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "type": ({"_type": "https://in-toto.io/Statement/v0.1"}, "_type is"),
    "predicate type": ({"predicateType": "https://slsa.dev/provenance/v1"}, "predicateType is"),
    "subject": ({"subject": "a.json"}, "statement is malformed"),
    "digest": ({"subject": [{"name": "a", "digest": {"sha1": ""}}]}, "statement is malformed"),
    "field": ({"more": 1}, "statement is not canonical"),
}


@pytest.mark.parametrize("part", STATEMENTS)
def test_another_statement_by_the_same_key_is_refused(part: str, ed: Pair) -> None:
    """What the key signed for another purpose is no evidence package."""
    change, reason = STATEMENTS[part]
    statement = json.loads(base64.b64decode(json.loads(ed.seal())["payload"]))
    envelope = keys.sign(load_signer(ed.private), encode_canonical(statement | change), PAYLOAD_TYPE)
    with pytest.raises(VerificationError, match=reason):
        ed.unseal(encode_canonical(envelope))


def test_a_statement_in_another_form_is_refused(ed: Pair) -> None:
    """A signed statement with whitespace is refused, as is a payload of another type."""
    payload = base64.b64decode(json.loads(ed.seal())["payload"])
    with pytest.raises(VerificationError, match="statement is not canonical"):
        ed.unseal(encode_canonical(keys.sign(load_signer(ed.private), payload + b" ", PAYLOAD_TYPE)))
    with pytest.raises(VerificationError, match="payloadType is"):
        ed.unseal(encode_canonical(keys.sign(load_signer(ed.private), payload, "text/plain")))


def test_the_key_id_does_not_make_a_key(ed: Pair, p256: Pair) -> None:
    """With the id of another key that is trusted too, the signature is not valid."""
    trusted = load_trusted([ed.public, p256.public])
    assert unseal(ed.seal(), trusted, "")[1] == load_signer(ed.private).keyid
    said = json.loads(ed.seal())
    said["signatures"][0]["keyid"] = load_signer(p256.private).keyid
    with pytest.raises(VerificationError, match=r"signature is not valid: the key .*p256\.pub"):
        unseal(encode_canonical(said), trusted, "")


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_of_keys_are_refused(kind: str, tmp_path: Path) -> None:
    """Keys of other kinds neither sign nor are trusted, and the error says which do."""
    pair = Pair(tmp_path, kind, OTHERS[kind]())
    with pytest.raises(PackageError, match=r"an unsupported kind of key; .*Ed25519, or ECDSA on P-256, P-384 or P-521"):
        load_signer(pair.private)
    with pytest.raises(PackageError, match=r"an unsupported kind of key; .*Ed25519, or ECDSA on P-256, P-384 or P-521"):
        load_trusted([pair.public])


def test_unusable_private_keys_say_what_is_allowed(ed: Pair, tmp_path: Path) -> None:
    """Encrypted, public, missing, too large or no key at all: the error says what a signing key is."""
    encrypted = ed.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    allowed = "a signing key is the path of an unencrypted private key in PEM"
    for content, reason in (
        (encrypted, "is encrypted"),
        (public_pem(ed.key), "is a public key"),
        (b"", "is not a private key"),
        (b"\xff" * 100, "is not a private key"),
        (b"x" * 70_000, "is larger than 65536 bytes"),
    ):
        path = tmp_path / "key"
        path.write_bytes(content)
        with pytest.raises(PackageError, match=f"^{path}: {reason}.*{allowed}"):
            load_signer(path)
    with pytest.raises(PackageError, match=f"missing: cannot be read: No such file or directory; {allowed}"):
        load_signer(tmp_path / "missing")
    with pytest.raises(PackageError, match="cannot be read: Is a directory"):
        load_signer(os.fsencode(tmp_path))
    with pytest.raises(PackageError, match="cannot be read"):
        load_signer("\0")


def test_unusable_trusted_keys_say_what_is_allowed(ed: Pair, tmp_path: Path) -> None:
    """Private keys, several in a file, missing ones and others: the error says what a trusted key is."""
    allowed = "a trusted key is the path of one public key in PEM"
    for content, reason in (
        (private_pem(ed.key), "is a private key"),
        (public_pem(ed.key) * 2, "has several keys"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is not a public key"),
        (b"", "is not a public key"),
    ):
        path = tmp_path / "key"
        path.write_bytes(content)
        with pytest.raises(PackageError, match=f"{reason}.*{allowed}"):
            load_trusted([path])
    with pytest.raises(PackageError, match="No such file"):
        load_trusted([ed.public, tmp_path / "missing"])


def test_trusting_nobody_is_an_error(ed: Pair) -> None:
    """An empty list of keys is refused, and so is a path where a list belongs."""
    with pytest.raises(VerificationError, match="no trusted key was given"):
        load_trusted([])
    for path in (ed.public, str(ed.public), os.fsencode(ed.public)):
        with pytest.raises(PackageError, match="put this path into a list"):
            load_trusted(path)  # type: ignore[arg-type]


def test_a_key_has_one_id(p256: Pair, tmp_path: Path) -> None:
    """However a key is written, its id is the same; of several files with a key, the first counts."""
    pem = public_pem(p256.key)
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


def test_older_forms_of_private_keys(p256: Pair) -> None:
    """What ``openssl ecparam -genkey`` writes, parameters before the key, signs too."""
    sec1 = p256.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    p256.private.write_bytes(parameters + sec1)
    p256.unseal(p256.seal())


def test_a_uri_signs_with_its_public_key(ed: Pair, p256: Pair) -> None:
    """A URI goes to securesystemslib's signer, with the public key that it needs and that must be its own."""
    uri = f"file2:{ed.private}"
    ed.unseal(seal(FILES, load_signer(uri, ed.public), {}))
    with pytest.raises(PackageError, match="needs public_key,"):
        load_signer(uri)
    with pytest.raises(PackageError, match="cannot be used"):
        load_signer(uri, p256.public)
    with pytest.raises(PackageError, match=r"^awskms:1: cannot be used"):
        load_signer("awskms:1", p256.public)


def test_a_path_may_look_like_a_uri(ed: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose name has a colon is a file, and so is what is on a drive."""
    monkeypatch.chdir(tmp_path)
    Path("hsm:key").write_bytes(private_pem(ed.key))
    assert load_signer("hsm:key").keyid == load_signer(ed.private).keyid
    for missing in (r"C:\keys\key.pem", "other:key", "hsm"):
        with pytest.raises(PackageError, match="cannot be read: No such file"):
            load_signer(missing)


def test_a_private_key_belongs_to_its_public_key(ed: Pair, p256: Pair) -> None:
    """A public key may be given with a private key's file, if it is the right one."""
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


def test_a_signer_may_be_given(pair: Pair) -> None:
    """A signer signs as it is, and its key has the id that is computed, not the one it gives itself."""
    pair.unseal(seal(FILES, load_signer(Forging(pair.key, pair.key)), {}))


def test_signers_that_fail_or_lie(ed: Pair, p256: Pair) -> None:
    """What cannot be verified is never sealed, and what a signer raises becomes an error that names it."""
    with pytest.raises(PackageError, match=r"^Forging: cannot sign: its signature is not valid"):
        seal(FILES, load_signer(Forging(KINDS["ed25519"](), ed.key)), {})
    with pytest.raises(PackageError, match=r"^Forging: cannot sign"):
        seal(FILES, load_signer(Forging(ed.key, p256.key)), {})
    with pytest.raises(PackageError, match=r"^Failing: cannot sign: cannot reach the service"):
        seal(FILES, load_signer(Failing(ed.key, ed.key)), {})
    key = OTHERS["rsa"]()
    with pytest.raises(PackageError, match=r"^Forging: is an unsupported kind of key"):
        load_signer(Forging(key, key))


@pytest.mark.parametrize("missing", ["securesystemslib", "cryptography"])
def test_without_the_extra(missing: str, ed: Pair) -> None:
    """Without the extra, everything says what to install, and the module can be imported."""
    script = f"""
import sys
sys.modules[{missing!r}] = None
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
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    said = "signatures of evidence packages need the extra: pip install 'spanforge-model-registry[sign]'"
    assert run.stdout.splitlines() == [said] * 4


def test_a_library_that_is_too_old(p256: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that the installed securesystemslib cannot sign with is an error that names it."""

    def too_old(*_: Any) -> None:
        raise ValueError("unsupported public key ecdsa/ecdsa-sha2-nistp384")

    monkeypatch.setattr(keys, "CryptoSigner", too_old)
    with pytest.raises(PackageError, match=r"p256\.pem: cannot be used with this version of securesystemslib: unsupp"):
        load_signer(p256.private)
