"""The HTTP protocol of time stamp authorities: RFC 3161, section 3.4."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._core.errors import PackageError, shorten
from spanforge.model_registry.compliance._http import DeadlineHandler, SecureDeadlineHandler, split_address

if TYPE_CHECKING:
    from collections.abc import Mapping

QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"
MAX_REPLY: Final = 256 * 1024
"""The limit of a reply's bytes. Replies with a chain of certificates have about 6 kB."""


class AuthorityAddress(NamedTuple):
    """The address of a time stamp authority.

    Attributes:
        name: The address without user and password, for messages.
        url: The address to which requests are sent.
        headers: The headers of requests.
    """

    name: str
    url: str
    headers: Mapping[str, str]


class _AnyStatusHandler(urllib.request.HTTPErrorProcessor):
    """Returns each response as it is. Redirects are not followed: only the address that was given is trusted."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:  # noqa: ARG002 - the base class has it
        return response

    https_response = http_response


def parse_authority(url: str) -> AuthorityAddress:
    """Return the address of an authority.

    Args:
        url: The address, ``http`` or ``https``; ``user:password@`` in it is sent as Basic authentication.

    Raises:
        PackageError: The address is not valid.
    """
    address = split_address(url) if url.isprintable() else None
    if address is None:  # the error does not show the address, because any part of it may be secret
        rule = "must have http:// or https://, a host, and an optional path"
        raise PackageError("the address of the time stamp authority", rule)
    parts, host, authorization = address
    plain = urllib.parse.urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
    headers = {"Content-Type": QUERY_TYPE, "Accept": REPLY_TYPE, **authorization}
    url = urllib.parse.quote(plain, safe="/%:@!$&'()*+,;=~?[]")
    return AuthorityAddress(f"{parts.scheme}://{host}{parts.path}", url, headers)


def ask_authority(address: AuthorityAddress, query: bytes, timeout: float) -> bytes:
    """Return the reply of a time stamp authority, as it was sent.

    Args:
        address: The address.
        query: The request, in DER.
        timeout: The limit of seconds until the reply begins, and of seconds until it is complete.

    Raises:
        PackageError: The authority cannot be reached, is too slow, or sends something else.
    """
    request = urllib.request.Request(address.url, query, dict(address.headers))  # noqa: S310 - http or https
    opener = urllib.request.build_opener(_AnyStatusHandler, DeadlineHandler, SecureDeadlineHandler)
    try:
        with opener.open(request, timeout=timeout) as response:
            fault = _explain_head(response)
            if fault is None:
                return _read_body_of_reply(address, response)
    except PackageError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: an impossible host
        raise PackageError(address.name, _explain_failure(error, timeout)) from error
    raise PackageError(address.name, fault)


def _explain_head(response: Any) -> str | None:
    """Return the fault in the head of a response; ``None`` if there is none."""
    if response.status // 100 == 3:  # noqa: PLR2004 - the class of redirects
        target = response.headers.get("Location", "")
        return f"redirects to {shorten(target)}; pass the address of the authority itself"
    if response.status != http.client.OK:
        reason = http.client.responses.get(response.status, "unknown")
        return f"responded with HTTP {response.status}: {reason}"
    kind = response.headers.get_content_type()
    if kind != REPLY_TYPE:
        return f"responded with {shorten(kind)} instead of {REPLY_TYPE}, so it is no time stamp authority"
    return None


def _read_body_of_reply(address: AuthorityAddress, response: http.client.HTTPResponse) -> bytes:
    reply = response.read(MAX_REPLY + 1)
    if len(reply) > MAX_REPLY:
        raise PackageError(address.name, f"sent a reply of more than {MAX_REPLY:,} bytes")
    if response.length:  # a read with a limit does not check it
        raise http.client.IncompleteRead(b"", response.length)
    return reply


def _explain_failure(error: Exception, timeout: float) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"did not respond within {timeout:g} s"
    if isinstance(reason, ssl.SSLError):
        return f"cannot be reached: {shorten(reason.reason or str(reason))}"
    return f"cannot be reached: {shorten(str(reason))}"
