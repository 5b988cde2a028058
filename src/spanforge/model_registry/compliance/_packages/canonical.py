"""Canonical JSON by RFC 8785: one value has one form, so equal values have equal digests and signatures."""

from __future__ import annotations

from typing import Any

from spanforge.model_registry._core.errors import MissingExtraError


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value, in UTF-8.

    Raises:
        MissingExtraError: The extra ``compliance`` is not installed.
        ValueError: The value has no such form: not JSON, an integer beyond 2**53, not finite, or not Unicode.
        RecursionError: It is nested too deeply.
    """
    try:
        import rfc8785  # noqa: PLC0415 - an extra
    except ImportError:
        raise MissingExtraError("evidence packages", "compliance") from None
    return rfc8785.dumps(value)
