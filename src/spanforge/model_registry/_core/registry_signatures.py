"""Signatures of registry files at addresses: DSSE envelopes over an in-toto Statement with the file's digest.

The statement has the time of signing. A client never goes back to a file that was signed earlier, so a server cannot
serve an old version again unnoticed. See https://github.com/secure-systems-lab/dsse for the envelope.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.errors import MissingExtraError, shorten
from spanforge.model_registry._core.in_toto import PAYLOAD_TYPE, STATEMENT_TYPE, Digest, Subject
from spanforge.model_registry._core.timestamps import is_canonical, to_micros

if TYPE_CHECKING:
    from collections.abc import Iterable

REGISTRY_PREDICATE: Final = "urn:spanforge:model-registry:registry-file:v1"
"""The type that distinguishes these statements from others that are signed with the same key."""
MAX_SIGNATURE_SIZE: Final = 64 * 1024
"""The limit of the bytes of a signature. Real ones have 1 kB."""

_MAX_TRUSTED_KEY: Final = 64 * 1024
"""The limit of a key file's bytes. A PEM of such a key has a few hundred."""
_MAX_SIGNATURES: Final = 10
"""The limit of signatures in an envelope, because each of them is tried with each trusted key."""


class SignatureProblem(Exception):  # noqa: N818 - no error of the library: the caller turns it into one
    """A signature is not accepted. ``reason`` is the predicate of the sentence about the file."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SignedFile(NamedTuple):
    """What a signature states about a file.

    Attributes:
        sha256: The SHA-256 of its bytes, in hexadecimal.
        micros: The time of signing, in microseconds since the epoch.
        signed_at: This time as text.
    """

    sha256: str
    micros: int
    signed_at: str


class _RegistrySignature(msgspec.Struct, frozen=True):
    sig: bytes
    keyid: str = ""


class _RegistryEnvelope(msgspec.Struct, frozen=True, rename={"payload_type": "payloadType"}):
    payload: bytes
    payload_type: str
    signatures: tuple[_RegistrySignature, ...]


class _RegistryPredicate(msgspec.Struct, frozen=True):
    signed_at: str


class _RegistryStatement(
    msgspec.Struct, frozen=True, rename={"statement_type": "_type", "predicate_type": "predicateType"}
):
    statement_type: str
    subject: tuple[Subject]
    predicate_type: str
    predicate: _RegistryPredicate


def make_statement(name: str, content: bytes, signed_at: str) -> bytes:
    """Return the statement about a file, to be signed with ``PAYLOAD_TYPE``.

    Args:
        name: The name of the file, for readers; it is not checked.
        content: The bytes of the file.
        signed_at: The time of signing, as ``format_micros`` writes it.
    """
    subject = Subject(name, Digest(hashlib.sha256(content).hexdigest()))
    predicate = _RegistryPredicate(signed_at)
    return msgspec.json.encode(_RegistryStatement(STATEMENT_TYPE, (subject,), REGISTRY_PREDICATE, predicate))


def verify_signature_file(signature: bytes, content: bytes, key_paths: Iterable[str]) -> SignedFile:
    """Return the statement of a signature about a file, if a trusted key made it for exactly these bytes.

    Args:
        signature: The envelope.
        content: The bytes of the file.
        key_paths: The paths of the trusted public keys, in PEM.

    Raises:
        SignatureProblem: The signature is not accepted, or a key cannot be used.
    """
    keys = _load_trusted_keys(key_paths)
    try:
        envelope = msgspec.json.decode(signature, type=_RegistryEnvelope)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise SignatureProblem("has a signature that is not a DSSE envelope") from None
    message = _encode_for_signature(envelope)
    signatures = envelope.signatures[:_MAX_SIGNATURES]
    if not any(_is_signed(key, each.sig, message) for each in signatures for key in keys):
        raise SignatureProblem("is not signed by a trusted key")
    signed = _read_statement(envelope)
    if signed.sha256 != hashlib.sha256(content).hexdigest():
        raise SignatureProblem("does not match its signature, which is that of another version")
    return signed


def _read_statement(envelope: _RegistryEnvelope) -> SignedFile:
    """Return the content of an envelope whose signature was verified."""
    try:
        statement = msgspec.json.decode(envelope.payload, type=_RegistryStatement)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise SignatureProblem("has a signature that is not about a registry file") from None
    types = envelope.payload_type, statement.statement_type, statement.predicate_type
    signed_at = statement.predicate.signed_at
    if types != (PAYLOAD_TYPE, STATEMENT_TYPE, REGISTRY_PREDICATE) or not is_canonical(signed_at):
        raise SignatureProblem(f"has a signature of another kind, {shorten(statement.predicate_type)}")
    return SignedFile(statement.subject[0].digest.sha256, to_micros(signed_at), signed_at)


def _encode_for_signature(envelope: _RegistryEnvelope) -> bytes:
    """Return the bytes that are signed: DSSE's pre-authentication encoding."""
    kind = envelope.payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(envelope.payload), envelope.payload)


def _load_trusted_keys(paths: Iterable[str]) -> list[Any]:
    return [_load_trusted_key(path) for path in paths]


def _load_trusted_key(path: str) -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415 - it is an extra
        from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415
    except ImportError:
        problem = MissingExtraError("signatures of registry files", "sign")
        raise SignatureProblem(f"is not accepted: {problem}") from None
    try:
        with open(path, "rb") as file:
            key = load_pem_public_key(file.read(_MAX_TRUSTED_KEY))
        if isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
            return key
        reason = "is not an Ed25519 or ECDSA key"
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
    except Exception:  # noqa: BLE001 - cryptography documents several errors, and its versions differ
        reason = "is not a public key in PEM"
    raise SignatureProblem(f"is not accepted: the trusted key {path} {reason}")


def _is_signed(key: Any, signature: bytes, message: bytes) -> bool:
    """Check a signature. The digest of ECDSA is that of the curve's size, as securesystemslib signs."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - it is an extra
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: PLC0415

    digests = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
    with contextlib.suppress(InvalidSignature):
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return True
        if key.curve.name in digests:
            key.verify(signature, message, ec.ECDSA(digests[key.curve.name]))
            return True
    return False
