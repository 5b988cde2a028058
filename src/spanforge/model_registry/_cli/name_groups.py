"""Groups of model names: the ways to write one model, and the id that an entry for it could have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.names import entry_key, parse, read_plain_letters

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ROUTE_END: Final = re.compile(r"[/.:@\s]+")
_VERSION_START: Final = re.compile(r"[-:@_\s]")
_MAX_CUTS: Final = 10
"""The limit of places at which the start, and the end, of a name is cut off."""


class NameGroup(NamedTuple):
    """The names of one model.

    Attributes:
        model_id: The shortest spelling without route, snapshot and revision.
        names: The names, the one with most calls first.
    """

    model_id: str
    names: tuple[str, ...]


def group_model_names(names: Mapping[str, int]) -> list[NameGroup]:
    """Return groups of names that are ways to write one model, by the forms of names.

    Args:
        names: The names, each with its number of calls.
    """
    by_model: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda each: (-names[each], each)):
        by_model.setdefault(_make_model_key(name), []).append(name)
    return [NameGroup(_choose_model_id(key, spellings), tuple(spellings)) for key, spellings in by_model.items()]


def _make_model_key(name: str) -> str:
    """Return the key that all names of a model have: the one of the base name."""
    return parse(name).list_keys()[-1].text


def _choose_model_id(key: str, names: Iterable[str]) -> str:
    """Return the shortest way to write a model that does not limit an entry to a provider."""
    ids = {_find_short_id(key, name) for name in names}
    return min(ids, key=lambda each: (_is_limited(key, each), len(each), each != each.lower(), each))


def _is_limited(key: str, model_id: str) -> bool:
    """Check whether an entry with this id does not match all names of the model."""
    return entry_key(model_id) != (key, None, None)


def _find_short_id(key: str, name: str) -> str:
    """Return the part of a name that is its base name as it is written; the whole name if there is none."""
    if read_plain_letters(name) is not None:  # most names
        return name
    starts = [0, *(match.end() for match in _ROUTE_END.finditer(name))][-_MAX_CUTS:]
    ends = [*(match.start() for match in _VERSION_START.finditer(name)), len(name)][-_MAX_CUTS:]
    parts = (name[start:end] for start in reversed(starts) for end in ends if start < end)
    return next((part for part in parts if not _is_limited(key, part)), name)
