"""The parts of in-toto Statements that signatures of registry files and of evidence packages share.

Statement: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

from typing import Final

import msgspec

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
"""The type of a signed payload that is a Statement."""
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"


class Digest(msgspec.Struct, frozen=True):
    """The digest of a file."""

    sha256: str


class Subject(msgspec.Struct, frozen=True):
    """A file that a statement is about, as in-toto defines it."""

    name: str
    digest: Digest
