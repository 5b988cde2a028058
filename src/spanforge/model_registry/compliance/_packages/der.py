"""The certificates in a reply of RFC 3161, in the order that DER demands.

DER sorts the elements of a set: X.690, section 11.6. OpenSSL does not sort these certificates, so authorities that use
it send them in any order, and strict parsers refuse such replies. The signature does not cover the order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_CERTIFICATES: Final = 0xA0
"""The tag of the set of certificates in ``SignedData``: RFC 5652, section 5.1."""
_LONG_LENGTH: Final = 0x80
"""The first number that is not a length, but the number of the length's bytes."""


class _Element(NamedTuple):
    """An element in DER: its tag, its first byte, the first byte of its content, and the first byte after it."""

    tag: int
    start: int
    content: int
    end: int


def sort_certificates(reply: bytes) -> bytes:
    """Return a reply with sorted certificates. A reply that cannot be read is returned as it is."""
    try:
        certificates = _find_certificates(reply)
        elements = list(_list_elements(reply, certificates))
    except (IndexError, ValueError):
        return reply
    ordered = sorted(reply[each.start : each.end] for each in elements)
    return reply[: certificates.content] + b"".join(ordered) + reply[certificates.end :]


def _find_certificates(reply: bytes) -> _Element:
    """Return the set of certificates.

    Raises:
        ValueError: There is none.
        IndexError: The reply is too short.
    """
    whole = _read_element(reply, 0, len(reply))
    _, token = _list_elements(reply, whole)
    _, wrapped = _list_elements(reply, token)
    (signed,) = _list_elements(reply, wrapped)
    (certificates,) = (each for each in _list_elements(reply, signed) if each.tag == _CERTIFICATES)
    return certificates


def _list_elements(data: bytes, parent: _Element) -> Iterator[_Element]:
    position = parent.content
    while position < parent.end:
        element = _read_element(data, position, parent.end)
        yield element
        position = element.end


def _read_element(data: bytes, start: int, end: int) -> _Element:
    length, content = data[start + 1], start + 2
    if length >= _LONG_LENGTH:
        content += length - _LONG_LENGTH
        length = int.from_bytes(data[start + 2 : content], "big")
    if content + length > end:
        raise ValueError("the element is longer than its parent")
    return _Element(data[start], start, content, content + length)
