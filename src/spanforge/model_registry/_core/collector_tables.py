"""Lookup tables for the Collector's statements: the names, globs and providers of a registry."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.resolution import ModelIndex, is_glob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry

NO_PROVIDER: Final = "0"
"""The code of a span without a provider."""
_UNKNOWN_PROVIDER: Final = "\ud800"
"""A provider to which no entry is limited, because entries contain no lone surrogates."""


class CollectorGlob(NamedTuple):
    """A glob in the form that the Collector matches.

    Attributes:
        code: The code of the provider to which the entry is limited; ``None`` if it is not limited.
        expression: The glob as a regular expression, without anchors.
        prefix: The text before the star, if the glob is plain text with one star at the end; otherwise ``None``.
        entry: The entry of the glob.
    """

    code: str | None
    expression: str
    prefix: str | None
    entry: ModelRegistryEntry


class Tables(NamedTuple):
    """The lookup tables of the statements. An entry is a number: its place in the order of registration.

    Attributes:
        entries: The entries, in the order of registration.
        general: The entry that matches a name with any provider, by name.
        special: The entry that matches a name with one provider and is not the general one, by ``<code>:<name>``.
        globs: The globs, in the order of registration.
        codes: The code of a provider, a number as text, by provider.
        unsupported_globs: The globs that the Collector cannot express, each with its entry's id.
    """

    entries: tuple[ModelRegistryEntry, ...]
    general: dict[str, int]
    special: dict[str, int]
    globs: list[CollectorGlob]
    codes: dict[str, str]
    unsupported_globs: list[str]


def build_tables(entries: Sequence[ModelRegistryEntry]) -> Tables:
    """Return the tables for entries in the order of registration."""
    tables = Tables(tuple(entries), {}, {}, [], {}, [])
    _add_names(tables)
    for entry in entries:
        for glob in filter(is_glob, entry.aliases):
            _add_glob(tables, entry, glob)
    return tables


def _add_names(tables: Tables) -> None:
    """Add the entry that matches each exact name, and the other entries that match it with some providers."""
    index = ModelIndex(tables.entries, globs=False)  # globs are tried only if no exact name matches
    numbers = {entry.model_id: number for number, entry in enumerate(tables.entries)}
    find = functools.partial(_find_number, index, numbers)
    pairs = dict.fromkeys(pair for entry in tables.entries for pair in _list_names_with_providers(entry))
    for name in dict.fromkeys(name for _, name in pairs):
        number = find(name, _UNKNOWN_PROVIDER)
        if number is not None:
            tables.general[name] = number
    for provider, name in pairs:
        number = find(name, provider)
        if number is not None and number != tables.general.get(name):
            tables.special[f"{_get_code(tables, provider)}:{name}"] = number


def _find_number(index: ModelIndex, numbers: Mapping[str, int], name: str, provider: str | None) -> int | None:
    """Return the number of the entry that matches a name with this provider; ``None`` if none does."""
    match = index.find(name, provider)
    return None if match is None else numbers[match[0].model_id]


def _list_names_with_providers(entry: ModelRegistryEntry) -> Iterator[tuple[str | None, str]]:
    """Yield each exact name of an entry with the providers for which another entry may match it.

    ``a/b`` can also be the name ``b`` of the provider ``a``.
    """
    for name in (entry.model_id, *(alias for alias in entry.aliases if not is_glob(alias))):
        yield None, name
        yield entry.provider, name
        yield from ((name[:i], name[i + 1 :]) for i, char in enumerate(name) if char == "/")


def _add_glob(tables: Tables, entry: ModelRegistryEntry, glob: str) -> None:
    expression = ottl.regex(glob)
    if expression is None:
        tables.unsupported_globs.append(f"{glob!a} of {entry.model_id!a}")
        return
    code = None if entry.provider is None else _get_code(tables, entry.provider)
    prefix = glob[:-1] if glob[-1] == "*" and not is_glob(glob[:-1]) else None
    tables.globs.append(CollectorGlob(code, expression, prefix, entry))


def _get_code(tables: Tables, provider: str | None) -> str:
    """Return the code of a provider, after creating one if it has none."""
    if provider is None:
        return NO_PROVIDER
    return tables.codes.setdefault(provider, str(len(tables.codes) + 1))
