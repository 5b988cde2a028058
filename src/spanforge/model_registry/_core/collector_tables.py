"""Lookup tables for the Collector's statements: the names, forms, globs and providers of a registry."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import ON_SPANS
from spanforge.model_registry._core.globs import Glob, find_ends, list_plain_names
from spanforge.model_registry._core.matching import describe_ambiguous, describe_refused
from spanforge.model_registry._core.name_routes import PROVIDER_SPELLINGS
from spanforge.model_registry._core.name_versions import spell
from spanforge.model_registry._core.names import canonical_provider, entry_key
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.matching import Match
    from spanforge.model_registry._core.names import MatchMode

NO_PROVIDER: Final = "0"
"""The code of a span without a provider."""
MAX_TIES: Final = 64
"""The limit of pairs of globs that are equally specific and may match the same name."""
OTHER_PROVIDER: Final = "?"
"""The code of a provider to which no entry is limited."""
EXACT: Final = "E"
"""The first character of the key of an exact name. The keys of forms begin with no upper-case letter."""
WITH_CODE: Final = "X"
"""The first character of the key of an exact name with the code of a provider."""
WRITTEN_BEFORE: Final = "W"
"""The first character of the key of an exact name with the code of the provider that is written before it."""
EXACT_KINDS: Final = (EXACT, WITH_CODE, WRITTEN_BEFORE)
"""The first characters of all keys of exact names."""
FORM_WITH_CODE: Final = "C"
"""The first character of the key of a form with the code of a provider."""
NUMBERED: Final = "N"
"""The first character of a key that forbids the removal of a revision."""
_UNKNOWN: Final = "\ud800"
"""A provider to which no entry is limited, because entries contain no lone surrogates."""


class CollectorGlob(NamedTuple):
    """A glob in the form that the Collector matches.

    Attributes:
        number: The place of the entry.
        codes: The codes of the providers to which the entry is limited; empty if it is not limited.
        expression: The glob as a regular expression, without anchors.
        start: The text before the first wildcard.
        end: The text after the last wildcard.
        fixed: The fixed parts, with the spelling of base names.
        rank: How specific it is.
    """

    number: int
    codes: tuple[str, ...]
    expression: str
    start: str
    end: str
    fixed: tuple[str, ...]
    rank: tuple[int, int, int]


class Tables(msgspec.Struct):
    """The lookup tables of the statements. An entry is a number: its place in the order of registration.

    Attributes:
        entries: The entries.
        mode: Whether forms match.
        attribute_names: The short names of the attributes that spans get.
        exact: The entry that matches a name: by name, by code and name if the provider decides, and by code and name if
            an id or alias begins with the provider.
        forms: The entry that matches the key of a form: by key, and by code and key.
        failures: The warning about entries that match equally well, by the key of both tables.
        refused: The warning about entries of other providers, by the key of both; the provider follows.
        numbered: The base names of which an entry has a number.
        globs: The globs, the most specific first.
        codes: The code of each provider to which an entry is limited, by provider.
        written: The code of each provider before a slash in a name, by provider as written.
        unsupported_globs: The globs that the Collector cannot express, each with its entry's id.
        ties: The pairs of globs of different entries that are equally specific and may match the same name.
        has_more_ties: Whether there are more such pairs than the limit.
        unset_names: The short names of attributes that the user chose, and that the Collector cannot set.
    """

    entries: tuple[ModelRegistryEntry, ...]
    mode: MatchMode
    attribute_names: frozenset[str]
    exact: dict[str, int] = {}
    forms: dict[str, int] = {}
    failures: dict[str, str] = {}
    refused: dict[str, str] = {}
    numbered: dict[str, None] = {}
    globs: list[CollectorGlob] = []
    codes: dict[str, str] = {}
    written: dict[str, str] = {}
    unsupported_globs: list[str] = []
    ties: list[tuple[CollectorGlob, CollectorGlob]] = []
    has_more_ties: bool = False
    unset_names: tuple[str, ...] = ()

    def list_exact_keys(self) -> list[str]:
        """Return the keys of exact names, with those that match no entry."""
        return [*self.exact, *(key for key in (*self.failures, *self.refused) if is_exact(key))]

    def list_form_keys(self) -> list[str]:
        """Return the keys of forms, with those that match no entry."""
        numbered = [NUMBERED + base for base in self.numbered]
        others = (key for key in (*self.failures, *self.refused) if not is_exact(key))
        return list(dict.fromkeys([*self.forms, *others, *numbered]))


def is_exact(key: str) -> bool:
    """Check whether a key is of an exact name. The key of a form may be empty."""
    return key.startswith(EXACT_KINDS)


def build_tables(
    entries: Sequence[ModelRegistryEntry], mode: MatchMode = "forms", attribute_names: Iterable[str] = ON_SPANS
) -> Tables:
    """Return the tables for entries."""
    tables = Tables(tuple(entries), mode, frozenset(attribute_names))
    builder = _Builder(tables)
    builder.add_codes()
    if mode == "forms":
        builder.add_forms()
    builder.add_names()
    builder.add_globs()
    return tables


class _Builder:
    """Fills the tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._index = ModelIndex(tables.entries)
        self._numbers = {entry.model_id: number for number, entry in enumerate(tables.entries)}
        self._codes_of = {entry.model_id: self._list_codes(entry) for entry in tables.entries if entry.providers}
        self._claims: dict[str, list[tuple[ModelRegistryEntry, tuple[str, ...]]]] = {}

    def _list_codes(self, entry: ModelRegistryEntry) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(self._code, entry.providers)))

    def _code(self, provider: str) -> str:
        known = provider if self._tables.mode == "exact" else canonical_provider(provider) or provider
        return self._tables.codes.setdefault(known, str(len(self._tables.codes) + 1))

    def add_codes(self) -> None:
        """Add the providers in the routes of ids and aliases, and those before a slash."""
        for name in self._list_names():
            for provider, _ in _split(name):
                self._tables.written.setdefault(provider, str(len(self._tables.written) + 1))

    def _list_names(self) -> Iterator[str]:
        for entry in self._tables.entries:
            yield from list_plain_names(entry)

    # Forms.

    def add_forms(self) -> None:
        """Add the entries by the key of each form, and for each provider to which one of them is limited."""
        self._collect_claims()
        for key, claims in self._claims.items():
            general = {entry.model_id: entry for entry, codes in claims if not codes}
            limited = {entry.model_id: entry for entry, codes in claims if codes}
            self._add_outcome(self._tables.forms, key, general)
            for code in dict.fromkeys(code for _, codes in claims for code in codes):
                chosen = {entry.model_id: entry for entry, codes in claims if code in codes}
                self._add_outcome(self._tables.forms, f"{FORM_WITH_CODE}{code}:{key}", chosen)
            if limited and not general:
                self._add_outcome(self._tables.forms, f"{FORM_WITH_CODE}{NO_PROVIDER}:{key}", limited)
                self._tables.refused[key] = describe_refused(limited.values())

    def _collect_claims(self) -> None:
        for entry in self._tables.entries:
            for text in list_plain_names(entry):
                key, provider, numbered = entry_key(text)
                codes = self._codes_of.get(entry.model_id) or (() if provider is None else (self._code(provider),))
                self._claims.setdefault(key, []).append((entry, codes))
                if numbered is not None:
                    self._tables.numbered[numbered] = None

    def _add_outcome(self, table: dict[str, int], key: str, entries: dict[str, ModelRegistryEntry]) -> None:
        if len(entries) == 1:
            table[key] = self._numbers[next(iter(entries))]
        elif entries:
            self._tables.failures[key] = describe_ambiguous(entries.values())

    # Exact names.

    def add_names(self) -> None:
        """Add the entry that matches each exact name, and the other entries that match it with some providers."""
        codes = {code: provider for provider, code in self._tables.codes.items()}
        for name in dict.fromkeys(self._list_names()):
            general = self._search(name, _UNKNOWN)
            self._add_match(EXACT + name, general)
            for code in self._list_deciding_codes(name):
                # The space keeps the search from reading an id that begins with the provider.
                provider = None if code == NO_PROVIDER else f" {codes[code]}"
                match = self._search(name, provider)
                if match != general:
                    self._add_match(f"{WITH_CODE}{code}:{name}", match)
        for whole in dict.fromkeys(self._list_names()):
            for provider, name in _split(whole):
                key = f"{WRITTEN_BEFORE}{self._tables.written[provider]}:{name}"
                self._add_match(key, self._search(name, provider))

    def _search(self, name: str, provider: str | None) -> Match:
        if self._tables.mode == "exact" and provider is not None:
            provider = provider.removeprefix(" ")
        return self._index.search(name, provider, self._tables.mode)

    def _list_deciding_codes(self, name: str) -> list[str]:
        """Return the codes of the providers with which another entry may match an exact name."""
        if not self._tables.codes:
            return []
        entry = self._index.entries.get(name)
        if entry is not None and not entry.providers:
            return []
        return [NO_PROVIDER, *self._tables.codes.values()]

    def _add_match(self, key: str, match: Match) -> None:
        if match.entry is not None:
            self._tables.exact[key] = self._numbers[match.entry.model_id]
        elif match.ambiguous:
            self._tables.failures[key] = describe_ambiguous(match.ambiguous)
        elif match.refused:
            self._tables.refused[key] = describe_refused(match.refused)

    # Globs.

    def add_globs(self) -> None:
        """Add the globs that the Collector can express."""
        for number, entry in enumerate(self._tables.entries):
            for glob in Glob.of(entry):
                expression = ottl.regex(glob.text)
                if expression is None:
                    self._tables.unsupported_globs.append(f"{glob.text!a} of {entry.model_id!a}")
                    continue
                start, end = find_ends(glob.text)
                codes = self._codes_of.get(entry.model_id, ())
                fixed = tuple(map(spell, glob.fixed))
                self._tables.globs.append(CollectorGlob(number, codes, expression, start, end, fixed, glob.rank))
        self._tables.globs.sort(key=lambda glob: glob.rank, reverse=True)
        ties = list(itertools.islice(_find_ties(self._tables.globs), MAX_TIES + 1))
        self._tables.ties, self._tables.has_more_ties = ties[:MAX_TIES], len(ties) > MAX_TIES


def _find_ties(globs: Iterable[CollectorGlob]) -> Iterator[tuple[CollectorGlob, CollectorGlob]]:
    """Yield the pairs of globs of different entries that are equally specific and may match the same name."""
    for _, group in itertools.groupby(globs, key=lambda glob: glob.rank):
        for one, other in itertools.combinations(group, 2):
            is_possible = _may_start(one.start, other.start) and _may_start(one.end[::-1], other.end[::-1])
            if one.number != other.number and is_possible:
                yield one, other


def _may_start(one: str, other: str) -> bool:
    """Check whether a text can start with both texts."""
    return one.startswith(other) or other.startswith(one)


def list_spellings(tables: Tables) -> dict[str, str]:
    """Return the code of each provider to which an entry is limited, by each of its spellings."""
    spellings = dict(tables.codes)
    for text, provider in PROVIDER_SPELLINGS.items():
        if provider in tables.codes:
            spellings[text] = tables.codes[provider]
    return spellings


def _split(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to read a name as a provider and a name."""
    return ((name[:i], name[i + 1 :]) for i, char in enumerate(name) if char == "/" and i and name[i + 1 :])
