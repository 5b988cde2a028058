"""The size of metadata as JSON, which has a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.values import FrozenList, Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_METADATA: Final = 4 * 1024 * 1024
"""The limit of bytes of ``metadata`` as JSON without white space. One call decodes an entry, and other threads wait for
it. Only lists of many long texts reach the limit: a history of 1,000 records usually has a tenth of it."""

LONG_LISTS: Final = ("history", "provider", "base_model")
"""The keys of lists that may be longer than the limit."""
_SMALL_LIST: Final = 10
"""The number of items up to which such a list need not be measured. A record has at most 74 kB: three texts of 4,096
characters, each of which JSON may write with 6 bytes. All other metadata has at most 2.3 MB."""


def check_metadata_size(metadata: Metadata, model_id: str | None) -> Metadata:
    """Return metadata whose values were checked, if it is within the limit."""
    for key in LONG_LISTS:
        value = metadata.get(key)
        if isinstance(value, list) and len(value) > _SMALL_LIST:
            size = _measure_metadata(metadata)
            if size > MAX_METADATA:
                problem = f"has {size:,} bytes as JSON; the limit is {MAX_METADATA:,}; shorten its texts or lists"
                raise InvalidValueError("metadata", metadata, problem, model_id)
            return metadata
    return metadata


def drop_oldest_records(metadata: Metadata) -> Metadata:
    """Return metadata without as many records at the start of its history as exceed the limit."""
    records = metadata["history"]
    if len(records) <= _SMALL_LIST:
        return metadata
    excess = _measure_metadata(metadata) - MAX_METADATA
    dropped = 0
    while excess > 0 and dropped < len(records):
        excess -= _measure_item(records[dropped])
        dropped += 1
    return Metadata({**metadata, "history": FrozenList(records[dropped:])}) if dropped else metadata


def _measure_metadata(metadata: Mapping[str, Any]) -> int:
    """Return the bytes of metadata as JSON without white space. An empty list counts as one byte less.

    The items of a list are encoded one by one, so that other threads run in between.
    """
    size = len("{")
    for key, value in metadata.items():
        size += _measure_item(key)
        size += len("[,") + sum(map(_measure_item, value)) if isinstance(value, list) else _measure_item(value)
    return size


def _measure_item(value: Any) -> int:
    """Return the bytes of a value as JSON, with the sign after it."""
    return len(msgspec.json.encode(value)) + 1
