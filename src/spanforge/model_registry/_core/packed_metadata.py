"""Packed metadata: the metadata of an entry as one JSON text, which its attribute unpacks.

Python's garbage collector visits each list and dict of the process, and no other thread runs meanwhile. For 100,000
entries with aliases and histories, that takes 100 ms. So entries from files are packed. Few of them are ever read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import msgspec

from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.values import FrozenDict, FrozenList, Metadata, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIELD: Final = "metadata"
_RAW_FIELD: Final = "_packable_metadata"
"""The attribute with what the field has, for fast access: metadata, or packed metadata."""
_HISTORY: Final = "history"

_Reserved: Any = TypedDict("_Reserved", dict.fromkeys(RESERVED.keys() - {_HISTORY}, Any), total=False)  # type: ignore[misc]
_decode_reserved: Final = msgspec.json.Decoder(_Reserved).decode
"""Unpacks the reserved keys but the history."""

_Entry = TypeVar("_Entry", bound=msgspec.Struct)


class _PackableMetadata:
    """The attribute ``metadata`` of entries, which unpacks what the field of an entry has."""

    def __init__(self, field: Any) -> None:
        self._field = field

    def __get__(self, entry: Any, kind: Any = None) -> Any:
        if entry is None:
            return self
        value = self._field.__get__(entry)
        return _unpack(value) if type(value) is msgspec.Raw else value

    def __set__(self, entry: Any, value: Any) -> None:
        self._field.__set__(entry, value)


def make_packable(kind: type[msgspec.Struct]) -> None:
    """Let the attribute ``metadata`` of the class of entries unpack what its field has.

    ``msgspec`` reads the field and not the attribute. It encodes packed metadata as it is. The class needs methods of
    its own for ``==``, ``hash``, ``repr`` and ``pickle``.
    """
    field = getattr(kind, _FIELD)
    setattr(kind, _RAW_FIELD, field)
    setattr(kind, _FIELD, _PackableMetadata(field))


def pack_metadata(entry: _Entry) -> _Entry:
    """Pack the metadata of an entry that no other thread has yet, and return the entry."""
    metadata = getattr(entry, _FIELD)
    if metadata:
        msgspec.structs.force_setattr(entry, _FIELD, msgspec.Raw(msgspec.json.encode(metadata)))
    return entry


def read_reserved(entry: msgspec.Struct) -> Mapping[str, Any]:
    """Return the reserved metadata of an entry, without the history if it is packed, and perhaps other metadata.

    Hot path: loads and lookups read a few keys, and unpacking a history of 1,000 records takes almost a millisecond.
    """
    value = getattr(entry, _RAW_FIELD)
    return _decode_reserved(value) if type(value) is msgspec.Raw else value


def _unpack(packed: msgspec.Raw) -> Any:
    """Return the metadata that was packed."""
    metadata = msgspec.json.decode(packed)
    if type(metadata) is not dict:
        return metadata  # not packed here, so the entry's checks refuse it
    for key, value in metadata.items():
        if type(value) is list or type(value) is dict:
            metadata[key] = FrozenList(map(Record, value)) if key == _HISTORY else _freeze(value)
    return Metadata(metadata)


def _freeze(value: Any) -> Any:
    if type(value) is list:
        return FrozenList(map(_freeze, value))
    if type(value) is dict:
        return FrozenDict({key: _freeze(item) for key, item in value.items()})
    return value
