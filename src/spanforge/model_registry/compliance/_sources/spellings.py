"""Spellings of OTLP JSON that protobuf's JSON mapping allows, and those of other writers."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

DECODE_ERRORS: Final = (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError)
"""The errors of JSON that cannot be decoded."""
_URL_SAFE: Final = str.maketrans("-_", "+/")
_OTHER_JSON: Final = re.compile(rb"NaN|Infinity|\\u[dD]")
"""Values that Python's JSON has and JSON does not: numbers that are not finite, and lone surrogates."""
_OTHER_SPELLING: Final = re.compile(rb"null|\\u[dD]|[\x80-\xff]|_")
"""Spellings that ``clean_json`` replaces."""


def clean_document(document: bytes) -> bytes | None:
    """Return a document without the values that only Python's JSON has; ``None`` if it has none.

    Raises:
        msgspec.DecodeError: The bytes are not JSON.
    """
    return clean_json(document) if _OTHER_JSON.search(document) else None


def clean_json(document: bytes | msgspec.Raw) -> bytes:
    """Return the JSON value with which bytes begin, in the spelling that OTLP has.

    Raises:
        msgspec.DecodeError: The bytes are not JSON.
    """
    text = bytes(document).decode("utf-8", "replace").lstrip()
    try:
        value, _ = json.JSONDecoder(parse_constant=str).raw_decode(text)
    except ValueError as error:
        raise msgspec.DecodeError(f"JSON is malformed: {error}") from error
    return msgspec.json.encode(_clean_value(value))


def _clean_value(value: Any) -> Any:
    """Return a JSON value with Unicode text, with names without underscores, and without null members."""
    if isinstance(value, dict):
        return {_to_camel(key): _clean_value(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_clean_value(item) for item in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _to_camel(name: str) -> str:
    first, *others = name.encode("utf-8", "replace").decode().split("_")
    return first + "".join(map(str.capitalize, others))


def decode_cleaned(decode: Callable[[Any], Any], raw: msgspec.Raw) -> Any:
    """Return a part as it is or, if it cannot be decoded, in the spelling that OTLP has; ``None`` if that fails too."""
    try:
        return decode(raw)
    except DECODE_ERRORS:
        if not _OTHER_SPELLING.search(raw):
            return None
    with contextlib.suppress(*DECODE_ERRORS):
        return decode(clean_json(raw))
    return None


def read_id(text: str, size: int) -> str | None:
    """Return an id of this many bytes as hexadecimal digits; ``None`` if it is neither these nor base64."""
    if len(text) == 2 * size:
        return text
    try:
        data = base64.b64decode(text.translate(_URL_SAFE) + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
    return data.hex() if len(data) == size else None
