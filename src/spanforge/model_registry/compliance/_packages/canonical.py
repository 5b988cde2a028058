"""Canonical JSON, RFC 8785: each value has one form, so equal values have equal digests and signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spanforge.model_registry.compliance._optional_modules import OptionalModule

if TYPE_CHECKING:
    import rfc8785
else:
    rfc8785 = OptionalModule("rfc8785", "evidence packages", "compliance")


def encode_canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value, in UTF-8.

    Raises:
        MissingExtraError: The extra ``compliance`` is not installed.
        ValueError: The value has no canonical form, because it is not JSON, not finite, not Unicode, or has an integer
            beyond 2**53.
        RecursionError: The value is nested too deeply.
    """
    return rfc8785.dumps(value)
