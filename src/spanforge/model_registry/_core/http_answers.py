"""Answers of servers of registry files: which are accepted, and the sentences about the others."""

from __future__ import annotations

import email.utils
import http
import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.errors import shorten
from spanforge.model_registry._core.registry_addresses import hide_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_MODIFIED: Final = 304
MAX_VALIDATOR: Final = 1_024
"""The limit of characters of an ``ETag`` or ``Last-Modified`` that is sent back. Real ones have about 60."""

_OK: Final = 200
_REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_YAML_TYPES: Final = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml"})
_OTHER_TYPES: Final = frozenset({"", "application/json", "text/json", "text/plain", "application/octet-stream"})
"""The types that servers send for JSON. Object stores and git servers send some of them for any file."""
_RETRY_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class RequestFailure(Exception):  # noqa: N818 - no error of the library: the caller turns it into one
    """A server did not give the file.

    Attributes:
        reason: The predicate of the sentence about the address.
        retry_after: The seconds for which the server asks not to be asked again.
        may_pass: ``True`` if the next request may succeed, because a file and its signature are being replaced.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, may_pass: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.may_pass = may_pass


def check_answer(status: int, headers: Mapping[str, str], *, is_conditional: bool) -> None:
    """Check the status and the headers of an answer.

    Raises:
        RequestFailure: The answer is not a complete file of a type that may be a registry file.
    """
    if status == NOT_MODIFIED and is_conditional:
        return
    if status in _REDIRECT_STATUSES:
        target = shorten(hide_credentials(headers.get("location", "").partition("?")[0]))
        raise RequestFailure(f"redirects to {target}; redirects are not followed, so use the final address")
    if status != _OK:
        raise RequestFailure(f"answers {_name_status(status)}", retry_after=_read_retry_after(headers))
    if "content-length" not in headers and headers.get("transfer-encoding", "").lower() != "chunked":
        raise RequestFailure("does not state the length of the file, so a missing part would not be noticed")
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip"):
        raise RequestFailure(f"has the content encoding {shorten(encoding)}; only gzip is allowed")


def _name_status(status: int) -> str:
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def find_yaml(path: str, content_type: str) -> bool:
    """Check by the path's ending, or else by the content type, whether a file is YAML.

    Raises:
        RequestFailure: The content type is not one of JSON, YAML or an unknown file.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _YAML_TYPES and kind not in _OTHER_TYPES and not kind.endswith(("+json", "+yaml")):
        hint = "; it may be the page of a login or of an error" if kind == "text/html" else ""
        raise RequestFailure(f"has the content type {shorten(kind)}, not that of JSON or YAML{hint}")
    lower = path.lower()
    if lower.endswith((".yaml", ".yml", ".json")):
        return not lower.endswith(".json")
    return kind in _YAML_TYPES or kind.endswith("+yaml")


def read_validator(headers: Mapping[str, str], name: str) -> str | None:
    """Return an ``ETag`` or ``Last-Modified`` that can be sent back."""
    value = headers.get(name, "").strip()
    return value if value and len(value) <= MAX_VALIDATOR and value.isascii() and value.isprintable() else None


def parse_http_date(text: str | None) -> float | None:
    """Return the seconds since the epoch of a date in a header; ``None`` if it is not valid."""
    try:
        return None if text is None else email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After``. A date there is compared with the server's clock, not with this one."""
    text = headers.get("retry-after", "").strip()
    if _RETRY_SECONDS.fullmatch(text):
        return float(text)
    until, now = parse_http_date(text or None), parse_http_date(headers.get("date"))
    return None if until is None or now is None else max(until - now, 0.0)
