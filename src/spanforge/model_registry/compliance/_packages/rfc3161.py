"""Time stamps by RFC 3161: requests, replies, and their verification with certificates of the authority.

A time stamp is over all bytes of the file with the signature, which contains the digests of the other files too. A
stamp over the raw signature would not be enough: with some keys, one signature is valid for several contents.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from spanforge.model_registry._core.errors import PackageError, shorten
from spanforge.model_registry._core.timestamps import format_nanos, to_nanos
from spanforge.model_registry.compliance._packages.der import sort_certificates
from spanforge.model_registry.compliance._packages.pem_files import read_start
from spanforge.model_registry.compliance._packages.time_stamp import TimeStamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_CERTIFICATES: Final = 1024 * 1024
"""The limit of the bytes of a file with certificates."""
_DIGESTS: Final = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}
"""The accepted digests by their object identifiers: RFC 5754, section 2."""
_OPENSSL_REASON: Final = re.compile(r'Verify error: ([^"]+)"')


class StampError(ValueError):
    """A reply has no valid time stamp. The text is a predicate about the reply."""


def make_query(content: bytes) -> TimeStampRequest:
    """Return a request for a time stamp of this content, with a nonce, that asks for the authority's certificate."""
    return TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256).build()


def read_reply(reply: bytes, content: bytes) -> TimeStampResponse:
    """Return a reply with a time stamp of this content. Its signature is not verified.

    Raises:
        StampError: The reply cannot be read, refuses, or is about other content.
    """
    try:
        response = decode_timestamp_response(sort_certificates(reply))
        status = response.status
        imprint = response.tst_info.message_imprint if status == PKIStatus.GRANTED else None
    except ValueError as error:
        raise StampError(f"is not a reply of RFC 3161: {shorten(str(error))}") from None
    if imprint is None:
        texts = "; ".join(map(shorten, response.status_string)) or f"status {status}"
        raise StampError(f"refuses a time stamp: {texts}")
    digest = _DIGESTS.get(imprint.hash_algorithm.dotted_string)
    if digest is None:
        raise StampError(f"has an unsupported digest, {imprint.hash_algorithm.dotted_string}")
    if digest(content).digest() != imprint.message:
        raise StampError("has a time stamp of other content")
    return response


def check_nonce(response: TimeStampResponse, query: TimeStampRequest) -> None:
    """Check that a reply belongs to a request.

    Raises:
        StampError: It belongs to another one, perhaps an older one.
    """
    if response.tst_info.nonce != query.nonce:
        raise StampError("has another nonce than the request, so it is not the reply to it")


def verify_stamp(response: TimeStampResponse, certificates: Sequence[Certificate]) -> None:
    """Check that an authority with one of these certificates signed a time stamp.

    The certificates must have been valid at the time of the stamp.

    Args:
        response: The reply with the time stamp.
        certificates: The trusted certificates, with at least one that signed itself.

    Raises:
        StampError: It did not.
    """
    roots = [each for each in certificates if each.issuer == each.subject]
    others = [each for each in certificates if each.issuer != each.subject]
    verifier = VerifierBuilder(roots=roots, intermediates=others).build()
    try:
        verifier.verify(response, response.tst_info.message_imprint.message)
    except (VerificationError, ValueError) as error:
        raise StampError(f"is not of a trusted authority: {_shorten_reason(error)}") from None


def describe_stamp(response: TimeStampResponse) -> TimeStamp:
    """Return the facts of a time stamp.

    Raises:
        StampError: The reply does not contain the certificate that signed it.
    """
    info = response.tst_info
    certificate = _find_certificate(response)
    return TimeStamp(
        time=format_nanos(to_nanos(info.gen_time)),
        accuracy_seconds=_read_accuracy(response),
        authority=certificate.subject.rfc4514_string(),
        certificate_sha256=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
        policy=info.policy.dotted_string,
        serial_number=f"{info.serial_number:x}",
    )


def load_certificates(paths: Iterable[str | os.PathLike[str]]) -> list[Certificate]:
    """Return the certificates in files of PEM, each of which has one or more.

    Raises:
        PackageError: A file cannot be read, has no certificates, or no certificate of all files signed itself.
    """
    names = [os.fsdecode(path) for path in paths]
    certificates = list(dict.fromkeys(each for name in names for each in _read_certificates(name)))
    if not any(each.issuer == each.subject for each in certificates):
        rule = "has no root certificate, which is one that signed itself; pass the authority's root certificate too"
        raise PackageError(", ".join(names) or "the list of certificates", rule)
    return certificates


def _read_certificates(name: str) -> list[Certificate]:
    rule = "pass the authority's certificates in PEM"
    content = read_start(name, MAX_CERTIFICATES + 1, rule)
    if len(content) > MAX_CERTIFICATES:
        raise PackageError(name, f"is larger than {MAX_CERTIFICATES:,} bytes; {rule}")
    try:
        return load_pem_x509_certificates(content)
    except ValueError:
        raise PackageError(name, f"has no certificates that can be read; {rule}") from None


def _find_certificate(response: TimeStampResponse) -> Certificate:
    """Return the only certificate in a reply that its signature names."""
    signers = list(response.signed_data.signer_infos)
    certificates = map(load_der_x509_certificate, response.signed_data.certificates)
    found = [
        each
        for each in certificates
        if len(signers) == 1 and (each.issuer, each.serial_number) == (signers[0].issuer, signers[0].serial_number)
    ]
    if len(found) != 1:
        raise StampError("does not contain exactly one certificate of its signer")
    return found[0]


def _read_accuracy(response: TimeStampResponse) -> float | None:
    accuracy = response.tst_info.accuracy
    if accuracy is None:
        return None
    return (accuracy.seconds or 0) + (accuracy.millis or 0) / 1_000 + (accuracy.micros or 0) / 1_000_000


def _shorten_reason(error: Exception) -> str:
    """Return the reason of OpenSSL for a certificate that it refuses, or the error's own text."""
    reason = _OPENSSL_REASON.search(str(error))
    if reason is not None:
        return f"{reason[1]}; are these the certificates of this authority?"
    if "signature failure" in str(error):
        return "its signature is not valid"
    return shorten(str(error))
