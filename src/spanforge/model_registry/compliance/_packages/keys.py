"""Signing keys and trusted keys: Ed25519 and ECDSA, in the types of securesystemslib.

A signature has only one form. Anyone can turn an ECDSA signature ``(r, s)`` into ``(r, n - s)``, which is also valid,
so only the lower ``s`` in its shortest encoding is accepted. Ed25519 has no second form: RFC 8032, section 5.1.7.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import (  # type: ignore[attr-defined] # its __init__.py exports by importing
    SIGNER_FOR_URI_SCHEME,
    CryptoSigner,
    Signature,
    Signer,
    SSlibKey,
)

from spanforge.model_registry._core.errors import PackageError, VerificationError
from spanforge.model_registry.compliance._packages.pem_files import read_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KeyPath = str | os.PathLike[str]
KeySource = KeyPath | Signer

MAX_KEY_SIZE: Final = 64 * 1024
"""The limit of a key file's bytes. A PEM of such a key has a few hundred."""

_KEY_KINDS: Final = "Ed25519, or ECDSA on P-256, P-384 or P-521"
_SIGNING_KEY_RULE: Final = f"a signing key is the path of a private key in PEM ({_KEY_KINDS}), or a URI of a signer"
_TRUSTED_KEY_RULE: Final = f"a trusted key is the path of one public key in PEM ({_KEY_KINDS})"

_GROUP_ORDERS: Final = {
    "ecdsa-sha2-nistp256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ecdsa-sha2-nistp384": int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16),
    "ecdsa-sha2-nistp521": int(
        "1" + "F" * 65 + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16
    ),
}
"""The order ``n`` of each curve's group, from SEC 2, section 2. Signatures are numbers below it."""


class SigningKey(NamedTuple):
    """A key that signs evidence packages."""

    name: str
    """The path, URI or type that was given, for messages."""
    signer: Signer
    key: SSlibKey
    """The public key. Its id is computed from the key; the signer's own id is not used."""

    @property
    def keyid(self) -> str:
        """The id of the public key: the hexadecimal digits of its SHA-256."""
        return self.key.keyid


class TrustedKey(NamedTuple):
    """A public key whose signatures are accepted."""

    path: str
    key: SSlibKey


class KeyPair(NamedTuple):
    """A new Ed25519 key pair, each half in PEM, and the id of the public key."""

    private: bytes
    public: bytes
    keyid: str


def make_key_pair(passphrase: bytes | None = None) -> KeyPair:
    """Return a new Ed25519 key pair, as ``openssl genpkey -algorithm ed25519`` makes one.

    Args:
        passphrase: The passphrase that encrypts the private key; ``None`` for an unencrypted one.
    """
    key = Ed25519PrivateKey.generate()
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return KeyPair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption),
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        SSlibKey.from_crypto(key.public_key()).keyid,
    )


def load_signer(
    key: KeySource, public_key: KeyPath | None = None, get_passphrase: Callable[[str], bytes] | None = None
) -> SigningKey:
    """Return the key that signs evidence packages.

    Args:
        key: The path of a private key in PEM (Ed25519, or ECDSA on P-256, P-384 or P-521), a URI of one of
            securesystemslib's signers, such as ``awskms:``, or such a signer. A key in an HSM needs the signer itself,
            because it asks for a PIN.
        public_key: The path of the public key in PEM; required for a URI.
        get_passphrase: The function that returns the passphrase of an encrypted private key; its argument is the path.
            With ``None``, an encrypted key is an error.

    Raises:
        PackageError: The key cannot be used; the error lists the keys that are allowed.
    """
    if isinstance(key, Signer):
        return _wrap_signer(type(key).__name__, key)
    name = os.fsdecode(key)
    public = None if public_key is None else _load_public_key(os.fsdecode(public_key))
    if name.partition(":")[0] in SIGNER_FOR_URI_SCHEME and ":" in name and not os.path.exists(name):
        return _load_uri(name, public)
    return _load_file(name, public, get_passphrase)


def load_trusted(paths: Iterable[KeyPath]) -> dict[str, TrustedKey]:
    """Return trusted keys by their ids; if a key is given twice, its first path is used.

    Args:
        paths: The path of each public key, in PEM.

    Raises:
        PackageError: A key cannot be used; the error lists the keys that are allowed.
        VerificationError: No key is given.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise PackageError(os.fsdecode(paths), "trusted keys are a list of paths; put this path into a list")
    trusted: dict[str, TrustedKey] = {}
    for path in map(os.fsdecode, paths):
        key = _load_public_key(path)
        trusted.setdefault(key.keyid, TrustedKey(path, key))
    if not trusted:
        raise VerificationError("trusted keys", "no trusted key was given; pass the path of a public key")
    return trusted


def sign(signing_key: SigningKey, payload: bytes, payload_type: str) -> dict[str, Any]:
    """Return the DSSE envelope of a payload, with one signature.

    Raises:
        PackageError: The key cannot sign, or its signature is not valid for its public key.
    """
    name, signer, key = signing_key
    envelope = Envelope(payload, payload_type, {})
    try:
        signature = _normalize(key, bytes.fromhex(signer.sign(envelope.pae()).signature))
    except Exception as error:  # signers do not document their errors: services, devices and drivers fail
        raise PackageError(name, f"cannot sign: {error}") from error
    if not verify_signature(key, payload, payload_type, signature):
        raise PackageError(name, "cannot sign: its signature is not valid for its public key")
    envelope.signatures[key.keyid] = Signature(key.keyid, signature.hex())
    return envelope.to_dict()


def verify_signature(key: SSlibKey, payload: bytes, payload_type: str, signature: bytes) -> bool:
    """Check whether a signature is the key's signature of a payload, in its only form."""
    pae = Envelope(payload, payload_type, {}).pae()
    try:
        key.verify_signature(Signature(key.keyid, signature.hex()), pae)
        return signature == _normalize(key, signature)
    except (UnverifiedSignatureError, ValueError):
        return False


def _normalize(key: SSlibKey, signature: bytes) -> bytes:
    order = _GROUP_ORDERS.get(key.scheme)
    if order is None:
        return signature
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, order - s))


def _load_file(name: str, public: SSlibKey | None, get_passphrase: Callable[[str], bytes] | None) -> SigningKey:
    private = _read_private_key(name, get_passphrase)
    key = _check_kind(name, private.public_key(), _SIGNING_KEY_RULE)
    if public not in (None, key):
        raise PackageError(name, "does not belong to the public key that was given")
    try:
        return SigningKey(name, CryptoSigner(private, key), key)
    except ValueError as error:  # securesystemslib before 1.5 signs with one of the curves only
        raise PackageError(name, f"cannot be used with this version of securesystemslib: {error}") from error


def _read_private_key(name: str, get_passphrase: Callable[[str], bytes] | None) -> Any:
    pem = _read_key(name, _SIGNING_KEY_RULE)
    if b"-----BEGIN PUBLIC KEY-----" in pem:
        raise PackageError(name, f"is a public key and cannot sign; {_SIGNING_KEY_RULE}")
    try:
        return load_pem_private_key(pem, None)
    except TypeError:  # the key is encrypted
        if get_passphrase is None:
            raise PackageError(name, "is encrypted; decrypt it, or pass a signer of securesystemslib") from None
    except (ValueError, UnsupportedAlgorithm):
        raise PackageError(name, f"is not a private key; {_SIGNING_KEY_RULE}") from None
    try:
        return load_pem_private_key(pem, get_passphrase(name))
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise PackageError(name, "cannot be decrypted: the passphrase is wrong, or the file is damaged") from None


def _load_uri(uri: str, public: SSlibKey | None) -> SigningKey:
    if public is None:
        raise PackageError(uri, "needs public_key, the path of its public key in PEM")
    try:
        return SigningKey(uri, Signer.from_priv_key_uri(uri, public), public)
    except Exception as error:  # signers do not document their errors: services, devices and drivers fail
        raise PackageError(uri, f"cannot be used: {error}") from error


def _wrap_signer(name: str, signer: Signer) -> SigningKey:
    known = signer.public_key
    public: Any = None
    if isinstance(known, SSlibKey) and known.keytype == "ed25519":
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(known.keyval["public"]))
    elif isinstance(known, SSlibKey):
        public = load_pem_public_key(known.keyval["public"].encode())
    return SigningKey(name, signer, _check_kind(name, public, _SIGNING_KEY_RULE))


def _load_public_key(path: str) -> SSlibKey:
    pem = _read_key(path, _TRUSTED_KEY_RULE)
    if b"PRIVATE KEY-----" in pem:
        raise PackageError(path, f"is a private key; pass the public key: {_TRUSTED_KEY_RULE}")
    if pem.count(b"-----BEGIN ") > 1:
        raise PackageError(path, f"has several keys; {_TRUSTED_KEY_RULE}")
    try:
        public = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise PackageError(path, f"is not a public key; {_TRUSTED_KEY_RULE}") from None
    return _check_kind(path, public, _TRUSTED_KEY_RULE)


def _check_kind(name: str, public: Any, allowed: str) -> SSlibKey:
    if isinstance(public, EllipticCurvePublicKey):
        # A file may have a compressed point. With older versions of cryptography, that would change the key's id.
        public = public.public_numbers().public_key()
    try:
        key = SSlibKey.from_crypto(public)
    except ValueError:
        key = None
    if key is None or key.keytype not in ("ed25519", "ecdsa"):
        raise PackageError(name, f"is an unsupported kind of key; {allowed}")
    return key


def _read_key(path: str, allowed: str) -> bytes:
    content = read_start(path, MAX_KEY_SIZE + 1, allowed)
    if len(content) > MAX_KEY_SIZE:
        raise PackageError(path, f"is larger than {MAX_KEY_SIZE} bytes; {allowed}")
    return content
