"""``TimeStamp``: the facts of an RFC 3161 time stamp."""

from __future__ import annotations

import msgspec


class TimeStamp(msgspec.Struct, frozen=True):
    """A time stamp of a package's signature: the authority states that the signature existed at this time.

    Attributes:
        time: The time, RFC 3339 in UTC, by the authority's clock.
        accuracy_seconds: The largest deviation of this clock, in seconds, as the authority states it; ``None`` if it
            states none.
        authority: The subject of the certificate that signed the time stamp, as RFC 4514 writes it.
        certificate_sha256: The SHA-256 of this certificate in DER, in hexadecimal.
        policy: The object identifier of the authority's policy, with dots.
        serial_number: The number of the time stamp, in hexadecimal. An authority gives each number once.
    """

    time: str
    accuracy_seconds: float | None
    authority: str
    certificate_sha256: str
    policy: str
    serial_number: str
