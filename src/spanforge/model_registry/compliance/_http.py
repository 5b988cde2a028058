"""HTTP: addresses with a user, and a deadline for each response by handlers for ``urllib.request.build_opener``."""

from __future__ import annotations

import base64
import http.client
import io
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import socket


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
