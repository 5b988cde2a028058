"""HTTP access to Jaeger: its address, redirects within its server, error statuses as responses, and a deadline."""

from __future__ import annotations

import base64
import http.client
import io
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.errors import TelemetryError, shorten

if TYPE_CHECKING:
    import socket

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket up to a deadline, because the timeout of a socket begins again with each byte."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._raw: io.RawIOBase = sock.makefile("rb", buffering=0)
        self._seconds: float = sock.gettimeout() or 0.0
        self.restart()

    def restart(self) -> None:
        """Begin the time again."""
        self._deadline = time.monotonic() + self._seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """A response that must begin within the timeout, headers included, and then be complete within the timeout."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self._reader = _DeadlineReader(sock)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        super().begin()
        self._reader.restart()


class _Connection(http.client.HTTPConnection):
    response_class = _Response


class _SecureConnection(http.client.HTTPSConnection):
    response_class = _Response


class DeadlineHandler(urllib.request.HTTPHandler):
    """Opens ``http`` addresses, with a deadline for each response."""

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Connection, req)


class SecureDeadlineHandler(urllib.request.HTTPSHandler):
    """Opens ``https`` addresses, likewise."""

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_SecureConnection, req)


class StatusHandler(urllib.request.HTTPErrorProcessor):
    """Returns error statuses as ordinary responses."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        try:
            return super().http_response(request, response) if response.status in _REDIRECTS else response
        except Exception:
            response.close()
            raise

    https_response = http_response


class RedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the server, and from http to https. Another server would receive the password."""

    def __init__(self, name: str) -> None:
        self._name = name

    def redirect_request(  # noqa: PLR0913 - as the base class has it
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        same = (old.scheme, old.netloc) == (new.scheme, new.netloc)
        if same or (old.hostname == new.hostname and new.scheme == "https"):
            return super().redirect_request(req, fp, code, msg, headers, newurl)
        where = shorten(f"{new.scheme}://{new.hostname}")
        raise TelemetryError(self._name, f"redirects to another server, {where}, perhaps for a login")


def parse_address(url: str) -> tuple[str, str, dict[str, str]]:
    """Return the address without its secrets, the address to which paths are appended, and the headers.

    Raises:
        TelemetryError: The address is not valid.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:  # the error does not show the address, because any part of it may be secret
        raise TelemetryError("Jaeger's address", "must have http:// or https://, a host, and an optional path")
    users, _, host = parts.netloc.rpartition("@")
    headers = {"Accept": "application/json"}
    if users:
        headers["Authorization"] = f"Basic {base64.b64encode(urllib.parse.unquote_to_bytes(users)).decode()}"
    path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~").rstrip("/")
    return f"{parts.scheme}://{host}{parts.path}", f"{parts.scheme}://{host}{path}", headers
