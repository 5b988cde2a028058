"""HTTP access to Jaeger: its address, redirects within its server, and error statuses as responses."""

from __future__ import annotations

import urllib.parse
import urllib.request
from typing import Any, Final

from spanforge.model_registry._core.errors import TelemetryError, shorten
from spanforge.model_registry.compliance._http import split_address

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


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
    address = split_address(url)
    if address is None:  # the error does not show the address, because any part of it may be secret
        raise TelemetryError("Jaeger's address", "must have http:// or https://, a host, and an optional path")
    parts, host, authorization = address
    headers = {"Accept": "application/json", **authorization}
    path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~").rstrip("/")
    return f"{parts.scheme}://{host}{parts.path}", f"{parts.scheme}://{host}{path}", headers
