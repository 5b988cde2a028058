"""Registry files from a server or from their copy on disk: requested, and checked against their signature."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry._core import storage
from spanforge.model_registry._core.attributes import __version__
from spanforge.model_registry._core.errors import MissingExtraError, RegistryFileError
from spanforge.model_registry._core.good_copies import CopyFacts
from spanforge.model_registry._core.http_answers import RequestFailure, find_yaml, parse_http_date, read_validator
from spanforge.model_registry._core.registry_addresses import parse_registry_address
from spanforge.model_registry._core.registry_signatures import (
    MAX_SIGNATURE_SIZE,
    SignatureProblem,
    verify_signature_file,
)
from spanforge.model_registry._core.settings import CACHE, CERTIFICATE, HEADERS, MAX_FILE_SIZE, TRUSTED_KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.http_requests import HttpAnswer
    from spanforge.model_registry._core.registry_addresses import Address
    from spanforge.model_registry._core.storage import SourceFile

_AGENT = f"spanforge-model-registry/{__version__}"


class RequestOptions(NamedTuple):
    """The settings of requests: those of the environment when a registry starts to follow an address."""

    headers: tuple[tuple[str, str], ...] = ()
    certificate: str | None = None
    trusted_keys: tuple[str, ...] = ()
    cache: str = "none"


class ServedFile(NamedTuple):
    """A registry file from a server, or from its copy, whose signature is verified if there are trusted keys.

    Attributes:
        content: Its bytes.
        facts: Its digest, format, validators and signature.
        moment: The time of the version, in seconds since the epoch: of signing, or else of ``Last-Modified``.
        shown_moment: This time as text.
    """

    content: bytes
    facts: CopyFacts
    moment: float | None
    shown_moment: str

    def parse(self, shown: str) -> list[ModelRegistryEntry]:
        """Return the entries; raise the errors of ``storage.parse_entries``."""
        return storage.parse_entries(shown, self.content, as_yaml=self.facts.is_yaml)


def read_request_options() -> RequestOptions:
    """Return the settings of requests in the environment."""
    return RequestOptions(HEADERS.read(), CERTIFICATE.read(), TRUSTED_KEYS.read(), CACHE.read())


def fetch_file(
    address: Address, options: RequestOptions, last: CopyFacts | None = None, known: str | None = None
) -> ServedFile | None:
    """Return the registry file at an address; ``None`` if it is still the last one.

    Args:
        address: The address.
        options: The settings.
        last: The facts of the last answer, for a conditional request.
        known: The SHA-256 of the content in force, whose signature was verified before.

    Raises:
        RequestFailure: The server did not give a complete and correctly signed file.
    """
    if address.problem is not None:
        raise RequestFailure(address.problem)
    limit = MAX_FILE_SIZE.read()
    answer = _request(address, options, address.target, _make_conditions(last), limit)
    if answer.content is None:
        return None
    facts = CopyFacts(
        address.key,
        hashlib.sha256(answer.content).hexdigest(),
        find_yaml(address.path, answer.headers.get("content-type", "")),
        read_validator(answer.headers, "etag"),
        read_validator(answer.headers, "last-modified"),
    )
    if not options.trusted_keys:
        return check_file(answer.content, facts, options)
    if facts.sha256 == known:
        return ServedFile(answer.content, facts, None, "")
    signature = _request_signature(address, options)
    try:
        return check_file(answer.content, replace_signature(facts, signature), options)
    except SignatureProblem as problem:
        raise RequestFailure(problem.reason, may_pass=True) from problem


def read_address(url: str) -> tuple[list[ModelRegistryEntry], SourceFile]:
    """Return the entries of the registry file at an address, and its address and digest. It is requested once.

    Raises:
        RegistryFileError: The server did not give the file, or it is not valid.
    """
    address = parse_registry_address(url)
    served = _fetch_once(address)
    return served.parse(address.shown), storage.SourceFile(address.shown, served.facts.sha256)


def read_address_content(url: str) -> tuple[str, bytes]:
    """Return the name and the bytes of the registry file at an address. The name has the ending of the file's format.

    Raises:
        RegistryFileError: The server did not give the file, or the address has no ending for its format.
    """
    address = parse_registry_address(url)
    served = _fetch_once(address)
    if storage.is_yaml(address.shown) != served.facts.is_yaml:
        raise RegistryFileError(address.shown, "cannot be checked: download it, under a name that ends in .yaml")
    return address.shown, served.content


def _fetch_once(address: Address) -> ServedFile:
    try:
        served = fetch_file(address, read_request_options())
    except RequestFailure as failure:
        raise RegistryFileError(address.shown, failure.reason) from failure
    assert served is not None  # noqa: S101 - the request had no condition
    return served


def replace_signature(facts: CopyFacts, signature: bytes | None) -> CopyFacts:
    """Return the facts with a signature."""
    return CopyFacts(facts.address, facts.sha256, facts.is_yaml, facts.etag, facts.last_modified, signature)


def check_file(content: bytes, facts: CopyFacts, options: RequestOptions) -> ServedFile:
    """Return a file with its time, after its signature was verified.

    Raises:
        SignatureProblem: There are trusted keys, and none of them signed the file.
    """
    if not options.trusted_keys:
        return ServedFile(content, facts, parse_http_date(facts.last_modified), facts.last_modified or "")
    if facts.signature is None:
        raise SignatureProblem("has no signature")
    signed = verify_signature_file(facts.signature, content, options.trusted_keys)
    return ServedFile(content, facts, signed.micros / 1e6, signed.signed_at)


def _make_conditions(last: CopyFacts | None) -> dict[str, str]:
    """Return the headers with which a server answers only if it has another file."""
    if last is None:
        return {}
    conditions = {"if-none-match": last.etag, "if-modified-since": None if last.etag else last.last_modified}
    return {name: value for name, value in conditions.items() if value is not None}


def _request_signature(address: Address, options: RequestOptions) -> bytes:
    try:
        answer = _request(address, options, address.signature_target, {}, MAX_SIGNATURE_SIZE)
    except RequestFailure as failure:
        reason = f"has no signature that can be read: its address with .sig {failure.reason}"
        raise RequestFailure(reason, retry_after=failure.retry_after, may_pass=True) from failure
    return answer.content or b""


def _request(
    address: Address, options: RequestOptions, target: str, conditions: Mapping[str, str], limit: int
) -> HttpAnswer:
    try:
        from spanforge.model_registry._core import http_requests  # noqa: PLC0415 - few need it, and it is an extra
    except ImportError:
        raise RequestFailure(str(MissingExtraError("registry files at addresses", "http"))) from None
    headers = {"accept": "*/*", "accept-encoding": "gzip", "user-agent": _AGENT, **conditions}
    if address.authorization is not None:
        headers["authorization"] = address.authorization
    headers.update(options.headers)
    request = http_requests.FileRequest(address, target, headers, options.certificate)
    return http_requests.request_file(request, limit, storage.explain_size(limit))
