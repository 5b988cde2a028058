"""HTTP: addresses with a user, and a deadline for each response by handlers for ``urllib.request.build_opener``."""

from __future__ import annotations

import base64
import http.client
import urllib.parse
import urllib.request
from typing import Any, NamedTuple

from spanforge.model_registry._core.http_deadline import DeadlineResponse


class HttpAddress(NamedTuple):
    """An address in parts.

    Attributes:
        parts: The parts of the whole address, with its user and password.
        host: The host and the port.
        authorization: The header of Basic authentication, if the address has a user.
    """

    parts: urllib.parse.SplitResult
    host: str
    authorization: dict[str, str]


def split_address(url: str) -> HttpAddress | None:
    """Return an ``http`` or ``https`` address in parts; ``None`` if it is not valid."""
    try:
        parts = urllib.parse.urlsplit(url)
        is_valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    if not is_valid:
        return None
    user, _, host = parts.netloc.rpartition("@")
    token = base64.b64encode(urllib.parse.unquote_to_bytes(user)).decode()
    return HttpAddress(parts, host, {"Authorization": f"Basic {token}"} if user else {})


class _Connection(http.client.HTTPConnection):
    response_class = DeadlineResponse


class _SecureConnection(http.client.HTTPSConnection):
    response_class = DeadlineResponse


class DeadlineHandler(urllib.request.HTTPHandler):
    """Opens ``http`` addresses, with a deadline for each response."""

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Connection, req)


class SecureDeadlineHandler(urllib.request.HTTPSHandler):
    """Opens ``https`` addresses, likewise."""

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_SecureConnection, req)
