"""The signature of an evidence package: a DSSE envelope over an in-toto Statement of its files' digests.

DSSE: https://github.com/secure-systems-lab/dsse, protocol and envelope 1.0.
Statement: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md

No byte of an envelope can change unnoticed: it equals its own canonical form, and a signature has one form only.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from spanforge.model_registry._core.errors import MissingExtraError, PackageError, VerificationError, shorten
from spanforge.model_registry.compliance._packages.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spanforge.model_registry.compliance._packages.keys import Key, Path, SigningKey, TrustedKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:spanforge:model-registry:evidence-package:v1"
"""Keeps the signature of another kind of statement, made with the same key, from counting for a package."""

MAX_ENVELOPE_SIZE: Final = 1024 * 1024
"""Bytes that an envelope may have, as it is read before anyone is known to have signed it; real ones have 1 kB."""


_Decoded = TypeVar("_Decoded", bound=msgspec.Struct)


class Digest(msgspec.Struct, frozen=True):
    """The digest of a file."""

    sha256: str


class Subject(msgspec.Struct, frozen=True):
    """A file that a statement is about."""

    name: str
    digest: Digest


class Statement(msgspec.Struct, frozen=True, rename={"statement_type": "_type", "predicate_type": "predicateType"}):
    """An in-toto Statement: these files, and what is said of them."""

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


def load_signer(key: Key, public_key: Path | None = None) -> SigningKey:
    """Return the key that signs evidence packages.

    Args:
        key: The path of an unencrypted private key in PEM (Ed25519, or ECDSA on P-256, P-384 or P-521); or a URI that
            one of securesystemslib's signers takes, such as ``awskms:``; or such a signer, as a key in an HSM needs,
            which asks for a PIN.
        public_key: The path of its public key in PEM, which a URI needs.

    Raises:
        PackageError: The key cannot be used; the error says what is allowed.
        MissingExtraError: The extra ``sign`` is not installed.
    """
    with _extra():
        from spanforge.model_registry.compliance._packages import keys  # noqa: PLC0415 - an extra
    return keys.load_signer(key, public_key)


def load_trusted(paths: Iterable[Path]) -> dict[str, TrustedKey]:
    """Return trusted keys by their ids; of a key that is given twice, the first path.

    Args:
        paths: The path of each public key, in PEM.

    Raises:
        PackageError: A key cannot be used; the error says what is allowed.
        VerificationError: No key is given.
        MissingExtraError: The extra ``sign`` is not installed.
    """
    with _extra():
        from spanforge.model_registry.compliance._packages import keys  # noqa: PLC0415 - an extra
    return keys.load_trusted(paths)


def seal(files: Mapping[str, bytes], signer: SigningKey, predicate: Mapping[str, Any]) -> bytes:
    """Return the signed envelope over the digests of files.

    Args:
        files: The content of each file, by name.
        signer: What ``load_signer`` returned.
        predicate: What else is to be signed, a small JSON object.

    Raises:
        PackageError: The key does not sign, or the envelope would be larger than ``MAX_ENVELOPE_SIZE``.
        ValueError: The predicate is not JSON.
    """
    with _extra():
        from spanforge.model_registry.compliance._packages import keys  # noqa: PLC0415 - an extra
    statement = Statement(STATEMENT_TYPE, subjects(files), PREDICATE_TYPE, dict(predicate))
    envelope = canonical(keys.sign(signer, _canonical(statement), PAYLOAD_TYPE))
    if len(envelope) > MAX_ENVELOPE_SIZE:
        raise PackageError(signer.name, f"the envelope would be larger than {MAX_ENVELOPE_SIZE} bytes")
    return envelope


def unseal(envelope: bytes, trusted: Mapping[str, TrustedKey], path: str) -> tuple[Statement, str]:
    """Return the statement of an envelope that a trusted key signed, and the id of this key.

    Args:
        envelope: The content of the envelope's file.
        trusted: What ``load_trusted`` returned.
        path: The package, for errors.

    Raises:
        VerificationError: The envelope is not in its canonical form, nobody who is trusted signed it, or what they
            signed is not the statement of an evidence package.
    """
    with _extra():
        from spanforge.model_registry.compliance._packages import keys  # noqa: PLC0415 - an extra
    if len(envelope) > MAX_ENVELOPE_SIZE:
        raise VerificationError(path, f"the envelope is larger than {MAX_ENVELOPE_SIZE} bytes")
    found = _decoded(envelope, _Envelope, path, "envelope")
    _expect(path, "payloadType", found.payload_type, PAYLOAD_TYPE)
    if len(found.signatures) != 1:
        raise VerificationError(path, f"the envelope has {len(found.signatures)} signatures instead of 1")
    signature = found.signatures[0]
    key = trusted.get(signature.keyid)
    if key is None:
        raise VerificationError(path, f"is signed by a key that is not trusted: {shorten(signature.keyid)}")
    if not keys.verifies(key.key, found.payload, found.payload_type, signature.sig):
        raise VerificationError(path, f"the signature is wrong: the key {key.path} did not sign this")
    # Only now: what nobody signed is not looked into.
    statement = _decoded(found.payload, Statement, path, "statement")
    _expect(path, "_type", statement.statement_type, STATEMENT_TYPE)
    _expect(path, "predicateType", statement.predicate_type, PREDICATE_TYPE)
    return statement, signature.keyid


def subjects(files: Mapping[str, bytes]) -> tuple[Subject, ...]:
    """Return the subjects of a statement about files, sorted by name."""
    return tuple(Subject(name, Digest(hashlib.sha256(files[name]).hexdigest())) for name in sorted(files))


@contextlib.contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise MissingExtraError("signatures of evidence packages", "sign") from None


def _canonical(value: msgspec.Struct) -> bytes:
    return canonical(msgspec.to_builtins(value))


def _decoded(content: bytes, kind: type[_Decoded], path: str, name: str) -> _Decoded:
    """Return what is decoded, if encoding it gives the very same bytes: no field, key or byte is left over."""
    try:
        found = msgspec.json.decode(content, type=kind)
        same = _canonical(found) == content
    except msgspec.ValidationError as error:
        raise VerificationError(path, f"the {name} is not one: {error}") from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        same = False
    if not same:
        raise VerificationError(path, f"the {name} is not canonical JSON without further fields")
    return found


def _expect(path: str, field: str, found: str, expected: str) -> None:
    if found != expected:
        raise VerificationError(path, f"{field} is {shorten(found)} instead of {expected!r}")
