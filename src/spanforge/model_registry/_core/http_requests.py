"""Requests for registry files with urllib3, the extra ``http``: TLS, deadlines, and limits of size."""

from __future__ import annotations

import contextlib
import os
import ssl
import urllib.parse
import urllib.request
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import urllib3
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, _SUPPRESS_INSTRUMENTATION_KEY
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.http_answers import NOT_MODIFIED, RequestFailure, check_answer
from spanforge.model_registry._core.http_deadline import DeadlineResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry._core.registry_addresses import Address

REQUEST_TIMEOUT: Final = 10.0
"""The limit of seconds for a connection, for TLS, for the headers of an answer, and for its body, as in OTLP."""
_BODY_CHUNK: Final = 64 * 1024
"""The bytes that are read at a time."""
_GZIP_WINDOW: Final = 31
"""The window of zlib that means gzip."""
_INCOMPLETE: Final = "sent only a part of the file"
_NOT_GZIP: Final = "sent a file that is not valid gzip"


_ssl_contexts: Final[dict[str | None, tuple[tuple[int, ...] | None, ssl.SSLContext]]] = {}
"""TLS settings by the path of the certificates of trusted authorities, each with the mark of that file."""


class _OpenConnection(HTTPConnection):
    response_class = DeadlineResponse


class _TlsConnection(HTTPSConnection):
    response_class = DeadlineResponse


class _OpenPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _OpenConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class HttpAnswer(NamedTuple):
    """An answer of a server.

    Attributes:
        headers: Its headers, with names in lower case.
        content: The file; ``None`` if the server has no other one than the last.
    """

    headers: Mapping[str, str]
    content: bytes | None


class FileRequest(NamedTuple):
    """A request for a file.

    Attributes:
        address: The address.
        target: The path and the query.
        headers: The headers, with names in lower case.
        certificate: The path of the certificates of trusted authorities in PEM; with ``None``, those of the system.
    """

    address: Address
    target: str
    headers: Mapping[str, str]
    certificate: str | None

    @property
    def is_conditional(self) -> bool:
        """``True`` if the server may answer that the file is still the same."""
        return not self.headers.keys().isdisjoint({"if-none-match", "if-modified-since"})


def request_file(request: FileRequest, limit: int, too_large: str) -> HttpAnswer:
    """Return a server's answer to a GET request. Redirects are not followed.

    Args:
        request: The request.
        limit: The limit of the file's bytes, before and after decompression.
        too_large: The predicate of the sentence about a larger file.

    Raises:
        RequestFailure: The server cannot be reached, or its answer is not a complete file within the limits.
    """
    with _explain_failures(), _without_spans(), _open_pool(request.address, request.certificate) as pool:
        response: Any = pool.urlopen(
            "GET", request.target, headers=request.headers, retries=False, redirect=False, preload_content=False
        )
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            check_answer(response.status, headers, is_conditional=request.is_conditional)
            if response.status == NOT_MODIFIED:
                return HttpAnswer(headers, None)
            is_gzip = "gzip" in headers.get("content-encoding", "").lower()
            return HttpAnswer(headers, _read_body(response, limit, too_large, is_gzip=is_gzip))
        finally:
            response.close()


def _open_pool(address: Address, certificate: str | None) -> urllib3.HTTPConnectionPool:
    """Return a pool for one request. A connection that outlived it would be shared with a child after a fork."""
    options: dict[str, Any] = {"timeout": urllib3.Timeout(connect=REQUEST_TIMEOUT, read=REQUEST_TIMEOUT), "maxsize": 1}
    if not address.is_secure:
        return _OpenPool(address.host, address.port, **options)
    options["ssl_context"] = _find_ssl_context(certificate)
    proxy = _find_proxy(address.host)
    if proxy is None:
        return _TlsPool(address.host, address.port, **options)
    user = urllib3.util.parse_url(proxy).auth
    headers = urllib3.make_headers(proxy_basic_auth=urllib.parse.unquote(user)) if user else None
    manager = urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
    manager.pool_classes_by_scheme = {"http": _OpenPool, "https": _TlsPool}
    return manager.connection_from_host(address.host, address.port, "https")


def _find_proxy(host: str) -> str | None:
    """Return the address of the proxy for a host: that of ``HTTPS_PROXY``, unless ``NO_PROXY`` has the host."""
    if urllib.request.proxy_bypass_environment(host):  # type: ignore[attr-defined, unused-ignore] # typeshed lacks it
        return None
    proxy = urllib.request.getproxies_environment().get("https")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _find_ssl_context(certificate: str | None) -> ssl.SSLContext:
    """Return the TLS settings. They are made again if the file of certificates changes, because that is slow.

    Raises:
        RequestFailure: The file cannot be read.
    """
    try:
        mark = _find_certificate_mark(certificate)
        kept = _ssl_contexts.get(certificate)
        if kept is not None and kept[0] == mark:
            return kept[1]
        made = ssl.create_default_context(cafile=certificate)
    except (OSError, ValueError) as error:
        reason = "has no certificates in PEM" if isinstance(error, ssl.SSLError) else explain_os_error(error)
        raise RequestFailure(f"cannot be asked: the certificates in {certificate} cannot be read: {reason}") from None
    _ssl_contexts[certificate] = mark, made
    return made


def _find_certificate_mark(certificate: str | None) -> tuple[int, ...] | None:
    """Return the mark of a file of certificates, by default of the system's; ``None`` if it has no such file."""
    path = ssl.get_default_verify_paths().cafile if certificate is None else certificate
    if path is None:
        return None
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_body(response: Any, limit: int, too_large: str, *, is_gzip: bool) -> bytes:
    """Return the body, decompressed. Its size is limited before and after decompression."""
    decoder = zlib.decompressobj(_GZIP_WINDOW) if is_gzip else None
    parts: list[bytes] = []
    size = received = 0
    while chunk := response.read(_BODY_CHUNK, decode_content=False):
        part = chunk if decoder is None else decoder.decompress(chunk, limit + 1 - size)
        parts.append(part)
        size += len(part)
        received += len(chunk)
        if max(size, received) > limit:
            raise RequestFailure(too_large)
    if decoder is not None and not decoder.eof:
        raise RequestFailure(_INCOMPLETE)
    if decoder is not None and decoder.unused_data:
        raise RequestFailure(_NOT_GZIP)
    return b"".join(parts)


@contextlib.contextmanager
def _without_spans() -> Iterator[None]:
    """Keep instrumentations of HTTP clients from making a span for each request."""
    new = context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True)
    token = context.attach(context.set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, new))
    try:
        yield
    finally:
        context.detach(token)


@contextlib.contextmanager
def _explain_failures() -> Iterator[None]:
    """Turn errors of a request into sentences that are the same each time, so that they are logged once."""
    try:
        yield
    except exceptions.HTTPError as error:
        raise RequestFailure(_explain_http_error(error)) from error
    except exceptions.HTTPWarning as warning:  # the application lets Python raise warnings
        raise RequestFailure(f"cannot be asked: {warning}") from warning
    except zlib.error as error:
        raise RequestFailure(_NOT_GZIP) from error
    except (OSError, ValueError) as error:
        raise RequestFailure(f"cannot be reached: {explain_os_error(error)}") from error


def _explain_http_error(error: exceptions.HTTPError) -> str:
    if isinstance(error, exceptions.ProxyError):
        return f"cannot be reached through the proxy: {_explain_proxy(error.original_error)}"
    if isinstance(error, exceptions.SSLError):
        return _explain_tls(error)
    if isinstance(error, exceptions.NewConnectionError):
        return _explain_no_connection(error)
    if isinstance(error, exceptions.TimeoutError):
        return f"did not answer completely within {REQUEST_TIMEOUT:g} seconds"
    if isinstance(error, (exceptions.IncompleteRead, exceptions.InvalidChunkLength)):
        return _INCOMPLETE
    return _explain_protocol(error)


def _explain_no_connection(error: exceptions.NewConnectionError) -> str:
    if isinstance(error, exceptions.NameResolutionError):
        return "cannot be reached: the name of the host is not known"
    cause = error.__cause__
    return f"cannot be reached: {explain_os_error(cause) if isinstance(cause, OSError) else 'no connection'}"


def _explain_proxy(error: Exception) -> str:
    if isinstance(error, exceptions.HTTPError):
        return f"it {_explain_http_error(error)}"
    return explain_os_error(error) if isinstance(error, OSError) else type(error).__name__


def _explain_protocol(error: exceptions.HTTPError) -> str:
    cause = error.args[1] if len(error.args) > 1 else error.__cause__
    if isinstance(cause, exceptions.IncompleteRead) or type(cause).__name__ == "IncompleteRead":
        return _INCOMPLETE
    if isinstance(cause, OSError):
        return f"ended the connection: {explain_os_error(cause)}"
    return "does not answer in HTTP"


def _explain_tls(error: exceptions.SSLError) -> str:
    cause: Any = error.args[0] if error.args else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"has a certificate that is not accepted: {cause.verify_message}"
    return f"does not accept a TLS connection: {getattr(cause, 'reason', None) or type(cause).__name__}"
