"""Near misses: values of valid entries that probably do not mean what their author meant."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.entry_fields import ARGUMENTS, ENTRY_FIELDS, find_meant_name
from spanforge.model_registry._core.errors import shorten
from spanforge.model_registry._core.file_hints import TEMPLATE_HINT, UNRENDERED
from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.values import escape, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry

LIKE_KEY: Final = 0.85
"""The similarity from which a metadata key counts as a misspelt reserved key. Most keys of users are below it."""
_MAX_MEANT_KEYS: Final = 1_000
"""The limit of remembered keys. The entries of a registry share them."""
_OTHER_MEANINGS: Final = frozenset({"contract"})
"""Keys that are similar to a reserved key and are words of their own."""
_WRITTEN_KEYS: Final = tuple(key for key, row in RESERVED.items() if row.kind != "history")
_OPTIONAL_FIELDS: Final = tuple(
    field for field, row in ENTRY_FIELDS.items() if not row.required and row.kind != "metadata"
)


class NearMiss(NamedTuple):
    """A value of an entry that probably does not mean what its author meant.

    Attributes:
        model_id: The entry's id.
        field: The field, as a path for nested values, such as ``metadata.alias``.
        problem: The predicate of the sentence about the field.
    """

    model_id: str
    field: str
    problem: str

    def __str__(self) -> str:
        return f"model {quote(self.model_id)}: {escape(self.field)} {self.problem}"


def list_near_misses(entry: ModelRegistryEntry) -> Iterator[NearMiss]:
    """Yield the near misses of an entry: misspelt and misplaced keys of its metadata, and unrendered templates."""
    metadata = entry.metadata
    for key in metadata:
        if key not in RESERVED:
            problem = _explain_key(entry, metadata, key)
            if problem is not None:
                yield NearMiss(entry.model_id, f"metadata.{key}", problem)
    for field, value in _list_texts(entry, metadata):
        if UNRENDERED.search(value):
            yield NearMiss(entry.model_id, field, f"is {shorten(value)}; {TEMPLATE_HINT}")


def _explain_key(entry: ModelRegistryEntry, metadata: Mapping[str, object], key: str) -> str | None:
    """Return the predicate about a key of the user that is probably meant for the library; ``None`` for others."""
    if key in _OPTIONAL_FIELDS:
        is_unset = key == "status" or getattr(entry, key) is None
        return "is a field of the entry; write it beside metadata, not in it" if is_unset else None
    meant = ARGUMENTS.get(key) or _find_meant_key(key)
    if meant is None or metadata.get(meant) is not None:
        return None
    return f"is not a key that the library reads; did you mean {meant}?"


@functools.lru_cache(maxsize=_MAX_MEANT_KEYS)
def _find_meant_key(key: str) -> str | None:
    return None if key in _OTHER_MEANINGS else find_meant_name(key, _WRITTEN_KEYS, LIKE_KEY)


def _list_texts(entry: ModelRegistryEntry, metadata: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the texts of an entry that the library reads, each with its field."""
    values: Mapping[str, object] = {
        **{field: getattr(entry, field) for field, row in ENTRY_FIELDS.items() if row.kind in ("id", "text")},
        **{f"metadata.{key}": metadata[key] for key in _WRITTEN_KEYS if key in metadata},
    }
    for field, value in values.items():
        if isinstance(value, str):
            yield field, value
        elif isinstance(value, list):
            yield from ((f"{field}[{i}]", item) for i, item in enumerate(value) if isinstance(item, str))
