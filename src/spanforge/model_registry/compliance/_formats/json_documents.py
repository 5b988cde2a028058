"""JSON documents whose bytes and identifiers depend on the attestation only."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec


def write_document(document: dict[str, Any]) -> bytes:
    """Return a JSON document in UTF-8, indented, with a line feed at its end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def derive_uuid(digest: str, name: str) -> str:
    """Return the identifier of a part of a document: a UUID of version 5, as RFC 9562 defines it.

    Args:
        digest: The SHA-256 of the attestation, in hexadecimal.
        name: The name of the part, which no other part of any document has.
    """
    return str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:sha256:{digest}"), name))
