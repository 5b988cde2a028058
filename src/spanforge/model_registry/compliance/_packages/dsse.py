"""The signature of an evidence package: a DSSE envelope over an in-toto Statement of its files' digests.

DSSE: https://github.com/secure-systems-lab/dsse, protocol and envelope 1.0.
Statement: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md

A change of any byte of an envelope is detected: an envelope must equal its own canonical form, and a signature has only
one form.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from spanforge.model_registry._core.errors import PackageError, VerificationError, shorten
from spanforge.model_registry._core.in_toto import PAYLOAD_TYPE, STATEMENT_TYPE, Digest, Subject
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.optional_keys import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry.compliance._packages.keys import SigningKey, TrustedKey

PREDICATE_TYPE: Final = "urn:spanforge:model-registry:evidence-package:v2"
"""The type that distinguishes a package's statement from other statements that are signed with the same key."""
FORMER_TYPES: Final[Mapping[str, str]] = {
    "urn:spanforge:model-registry:evidence-package:v1": (
        "is a package of version 1, which does not state every argument that changes a result; generate it again"
    ),
}
"""The types of former versions of packages, each with the reason why such packages are refused."""

MAX_ENVELOPE_SIZE: Final = 1024 * 1024
"""The limit of an envelope's bytes, because it is read before its signature is verified. Real ones have 1 kB."""


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


class Statement(msgspec.Struct, frozen=True, rename={"statement_type": "_type", "predicate_type": "predicateType"}):
    """An in-toto Statement: files, and a predicate about them."""

    statement_type: str
    subject: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]


class _Signature(msgspec.Struct, frozen=True):
    keyid: str
    sig: bytes


class _Envelope(msgspec.Struct, frozen=True, rename={"payload_type": "payloadType"}):
    payload: bytes
    payload_type: str
    signatures: tuple[_Signature, ...]


def seal(files: Mapping[str, bytes], signer: SigningKey, predicate: Mapping[str, Any]) -> bytes:
    """Return the signed envelope over the digests of files.

    Args:
        files: The content of each file, by name.
        signer: The key that signs.
        predicate: Additional data to sign, a small JSON object.

    Raises:
        PackageError: The key cannot sign, or the envelope would be larger than ``MAX_ENVELOPE_SIZE``.
        ValueError: The predicate is not JSON.
    """
    sign = keys.sign  # first, so that a missing extra is reported before other errors
    statement = Statement(STATEMENT_TYPE, list_subjects(files), PREDICATE_TYPE, dict(predicate))
    envelope = encode_canonical(sign(signer, _encode_struct(statement), PAYLOAD_TYPE))
    if len(envelope) > MAX_ENVELOPE_SIZE:
        raise PackageError(signer.name, f"the envelope would be larger than {MAX_ENVELOPE_SIZE} bytes")
    return envelope


def unseal(envelope: bytes, trusted: Mapping[str, TrustedKey], path: str) -> tuple[Statement, str]:
    """Return the statement of an envelope that a trusted key signed, and the id of this key.

    Args:
        envelope: The content of the envelope's file.
        trusted: The trusted keys by their ids.
        path: The package, for errors.

    Raises:
        VerificationError: The envelope is not in its canonical form, no trusted key signed it, or its payload is not
            the statement of an evidence package.
    """
    verify_signature = keys.verify_signature  # first, so that a missing extra is reported before other errors
    if len(envelope) > MAX_ENVELOPE_SIZE:
        raise VerificationError(path, f"the envelope is larger than {MAX_ENVELOPE_SIZE} bytes")
    decoded = _decode_struct(envelope, _Envelope, path, "envelope")
    _expect(path, "payloadType", decoded.payload_type, PAYLOAD_TYPE)
    if len(decoded.signatures) != 1:
        raise VerificationError(path, f"the envelope has {len(decoded.signatures)} signatures instead of 1")
    signature = decoded.signatures[0]
    key = trusted.get(signature.keyid)
    if key is None:
        raise VerificationError(path, f"is signed by an untrusted key, {shorten(signature.keyid)}")
    if not verify_signature(key.key, decoded.payload, decoded.payload_type, signature.sig):
        raise VerificationError(path, f"the signature is not valid: the key {key.path} did not sign this envelope")
    # The payload is decoded only after its signature is verified.
    statement = _decode_struct(decoded.payload, Statement, path, "statement")
    _expect(path, "_type", statement.statement_type, STATEMENT_TYPE)
    if statement.predicate_type in FORMER_TYPES:
        raise VerificationError(path, FORMER_TYPES[statement.predicate_type])
    _expect(path, "predicateType", statement.predicate_type, PREDICATE_TYPE)
    return statement, signature.keyid


def list_subjects(files: Mapping[str, bytes]) -> tuple[Subject, ...]:
    """Return the subjects of a statement about files, sorted by name."""
    return tuple(Subject(name, Digest(hashlib.sha256(files[name]).hexdigest())) for name in sorted(files))


def _encode_struct(value: msgspec.Struct) -> bytes:
    return encode_canonical(msgspec.to_builtins(value))


def _decode_struct(content: bytes, kind: type[_Struct], path: str, name: str) -> _Struct:
    """Return the decoded value, if encoding it again returns the same bytes: then nothing in them was ignored."""
    try:
        decoded = msgspec.json.decode(content, type=kind)
        is_same = _encode_struct(decoded) == content
    except msgspec.ValidationError as error:
        raise VerificationError(path, f"the {name} is malformed: {error}") from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        is_same = False
    if not is_same:
        raise VerificationError(path, f"the {name} is not canonical JSON, or has additional fields")
    return decoded


def _expect(path: str, field: str, value: str, expected: str) -> None:
    if value != expected:
        raise VerificationError(path, f"{field} is {shorten(value)} instead of {expected!r}")
