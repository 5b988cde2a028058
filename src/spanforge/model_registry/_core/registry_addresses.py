"""Addresses of registry files: ``https://`` addresses, their parts, and the text that logs, metrics and pages show."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import re
import urllib.parse
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNATURE_ENDING: Final = ".sig"
"""The ending of the address of a signature, after the path of the signed file."""

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""The start of an address. The scheme has at least two characters, because ``C:`` is a drive of Windows."""
_USER: Final = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY: Final = re.compile(r"(?<=\?)[^#\s,;]+")
_QUERY_DIGITS: Final = 8
"""The number of digits of a query's SHA-256 that are shown. A query may contain a token."""
_NEEDS_HTTPS: Final = "must begin with https://, because http would let anyone on the way change the models"


class Address(NamedTuple):
    """An address of a registry file.

    Attributes:
        shown: The address without user, password and fragment. Its query is a digest.
        is_secure: ``True`` for ``https``, ``False`` for ``http`` to this machine.
        host: The host, without port and brackets.
        port: The port.
        path: The path, as it is sent.
        query: The query, as it is sent; empty if there is none.
        authorization: The header of Basic authentication; ``None`` if the address has no user.
        problem: The predicate of the sentence about an address that cannot be used; ``None`` if it can.
    """

    shown: str
    is_secure: bool = True
    host: str = ""
    port: int = 443
    path: str = "/"
    query: str = ""
    authorization: str | None = None
    problem: str | None = None

    @property
    def target(self) -> str:
        """The path and the query of the file."""
        return self.path + self.query

    @property
    def signature_target(self) -> str:
        """The path and the query of the file's signature."""
        return self.path + SIGNATURE_ENDING + self.query

    @property
    def key(self) -> str:
        """The SHA-256 of the address without its user, in hexadecimal."""
        scheme = "https" if self.is_secure else "http"
        return hashlib.sha256(f"{scheme}://{self.host}:{self.port}{self.target}".encode()).hexdigest()


def is_registry_address(source: str) -> bool:
    """Check whether a source is an address, and not a path: it begins with a scheme such as ``https://``."""
    return _SCHEME.match(source) is not None


def parse_registry_address(text: str) -> Address:
    """Return an address in parts. An address that cannot be used has a ``problem``. No error is raised."""
    shown = hide_credentials(text.partition("#")[0])
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Address(shown, problem="is not a valid address")
    problem = _find_problem(text, parts.scheme, host, port)
    user = parts.netloc.rpartition("@")[0]
    return Address(
        shown,
        is_secure=parts.scheme == "https",
        host=host,
        port=port or (443 if parts.scheme == "https" else 80),
        path=parts.path or "/",
        query=f"?{parts.query}" if parts.query else "",
        authorization=_make_authorization(user) if user else None,
        problem=problem,
    )


def _find_problem(text: str, scheme: str, host: str, port: int | None) -> str | None:
    if scheme == "file":
        return "must begin with https://; for a file, pass its path"
    if scheme not in ("https", "http"):
        return "must begin with https://"
    if not host or port == 0 or not text.isascii() or not text.isprintable() or " " in text:
        return "is not a valid address; characters other than ASCII and blanks are written as %XX"
    return _NEEDS_HTTPS if scheme == "http" and not is_loopback(host) else None


def is_loopback(host: str) -> bool:
    """Check whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _make_authorization(user: str) -> str:
    return f"Basic {base64.b64encode(urllib.parse.unquote_to_bytes(user)).decode()}"


def hide_credentials(text: str) -> str:
    """Return a text without users and passwords of the addresses in it. Each query becomes a digest."""
    return _QUERY.sub(_digest_query, _USER.sub("", text)) if "://" in text else text


def join_sources(sources: Iterable[str]) -> str:
    """Return sources as one text for a message, without credentials."""
    return os.pathsep.join(map(hide_credentials, sources))


def _digest_query(query: re.Match[str]) -> str:
    return f"…{hashlib.sha256(query.group().encode(errors='replace')).hexdigest()[:_QUERY_DIGITS]}"
