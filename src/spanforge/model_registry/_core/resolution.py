"""From a model name to its entry: the index of a registry's ids, aliases and globs."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.entry import ModelRegistryEntry

Rule = Literal["id", "alias", "glob"]

UNREGISTERED: Final = "unregistered"
"""The status of a model that no entry matches."""

MAX_GLOBBED: Final = 1_024
"""Characters of a name that globs are tried on; longer ones match by id or alias only. Bedrock's ARNs have 200."""
_MAX_CACHED: Final = 4_096
_WILDCARD: Final = re.compile(r"[*?[]")


class Resolution(NamedTuple):
    """What the registry knows of a model's name.

    Attributes:
        entry: The entry that matched; ``None`` when none did.
        status: Its status; ``unregistered`` when there is none.
        warnings: What the caller should be told; empty for an active model.
        rule: How the name matched: ``id``, ``alias``, ``glob``; ``None`` when it did not.
        candidate: The name that matched, else the first that was tried.
    """

    entry: ModelRegistryEntry | None
    status: str
    warnings: tuple[str, ...]
    rule: Rule | None
    candidate: str


class Glob(NamedTuple):
    """One glob of an entry, ready to match.

    Attributes:
        prefix: What stands before the first wildcard: most names are ruled out by it.
        pattern: The whole glob.
        model_id: The entry's id.
        provider: The provider that the entry is limited to.
    """

    prefix: str
    pattern: re.Pattern[str]
    model_id: str
    provider: str | None

    @classmethod
    def of(cls, entry: ModelRegistryEntry) -> list[Glob]:
        """Return the globs among an entry's aliases."""
        globs = (name for name in entry.aliases if is_glob(name))
        return [
            cls(
                _WILDCARD.split(glob, maxsplit=1)[0],
                re.compile(fnmatch.translate(glob)),
                entry.model_id,
                entry.provider,
            )
            for glob in globs
        ]


class GlobTable:
    """The globs of a registry at one version, and a bounded cache of what they matched."""

    def __init__(self, globs: Iterable[Glob] = ()) -> None:
        """Take globs in the order of registration."""
        self._globs = tuple(globs)
        self._cache: dict[tuple[str, str | None], str | None] = {}

    def __add__(self, globs: Iterable[Glob]) -> GlobTable:
        return GlobTable((*self._globs, *globs))

    def match(self, name: str, provider: str | None) -> str | None:
        """Return the id of the first registered glob that matches the whole name and serves the provider."""
        if not self._globs or len(name) > MAX_GLOBBED:
            return None
        try:
            return self._cache[name, provider]
        except KeyError:
            found = self._match(name, provider)
        if len(self._cache) >= _MAX_CACHED:
            self._cache = {}
        self._cache[name, provider] = found
        return found

    def _match(self, name: str, provider: str | None) -> str | None:
        for prefix, pattern, model_id, limited_to in self._globs:
            if name.startswith(prefix) and limited_to in (None, provider or limited_to) and pattern.match(name):
                return model_id
        return None


class ModelIndex:
    """The entries of a registry by id, alias and glob.

    Readers take no lock: ``put`` adds in atomic steps, an entry before the names that lead to it, and gives another
    index where names go away. Writers are to be kept apart by their caller.

    Args:
        entries: The entries, in the order of registration.
        globs: Whether names are matched by globs.
    """

    def __init__(self, entries: Iterable[ModelRegistryEntry] = (), *, globs: bool = True) -> None:
        self.entries: dict[str, ModelRegistryEntry] = {entry.model_id: entry for entry in entries}
        named = [entry for entry in self.entries.values() if entry.aliases]
        self._aliases: dict[str, tuple[str, ...]] = {}
        for entry in named:
            self._add_aliases(entry)
        self._globs = GlobTable(glob for entry in named if globs for glob in Glob.of(entry))

    def put(self, entry: ModelRegistryEntry) -> ModelIndex:
        """Return the index with this entry added, or in the place of the one with its id."""
        old = self.entries.get(entry.model_id)
        if old is not None and (old.aliases, old.provider) != (entry.aliases, entry.provider):
            return ModelIndex({**self.entries, entry.model_id: entry}.values())
        globs = Glob.of(entry) if old is None else []
        self.entries[entry.model_id] = entry
        if old is None:
            self._add_aliases(entry)
        if globs:
            self._globs += globs
        return self

    def find(self, name: str, provider: str | None = None) -> tuple[ModelRegistryEntry, Rule] | None:
        """Return the entry that a name stands for, and by which rule.

        In this order: id ``provider/name``, id ``name``, alias, alias, glob, glob. An entry that is limited to a
        provider matches only that one, where the caller names one. Case-sensitive, verbatim.
        """
        names = (f"{provider}/{name}", name) if provider else (name,)
        for candidate in names:
            entry = self.entries.get(candidate)
            if entry is not None and serves(entry, provider):
                return entry, "id"
        for candidate in names:
            for model_id in self._aliases.get(candidate, ()):
                entry = self.entries[model_id]
                if serves(entry, provider):
                    return entry, "alias"
        for candidate in names:
            matched = self._globs.match(candidate, provider or None)
            if matched is not None:
                return self.entries[matched], "glob"
        return None

    def resolve(self, names: Iterable[str], provider: str | None = None) -> Resolution:
        """Return what is known of the first of these names that matches; when none does, of the first.

        Raises:
            ValueError: There is no name.
        """
        first: str | None = None
        for name in names:
            found = self.find(name, provider)
            if found is not None:
                entry, rule = found
                return Resolution(entry, entry.status, entry.warnings, rule, name)
            first = name if first is None else first
        if first is None:
            msg = "no name to resolve"
            raise ValueError(msg)
        return Resolution(None, UNREGISTERED, (not_registered(first),), None, first)

    def _add_aliases(self, entry: ModelRegistryEntry) -> None:
        for name in entry.aliases:
            if not is_glob(name):
                self._aliases[name] = (*self._aliases.get(name, ()), entry.model_id)


def not_registered(name: str) -> str:
    """Return what someone who calls a model that no entry stands for should be told."""
    return f"model {quote(name)} is not registered"


def serves(entry: ModelRegistryEntry, provider: str | None) -> bool:
    """Tell whether an entry may stand for a model of this provider."""
    return not provider or entry.provider in (None, provider)


def is_glob(name: str) -> bool:
    """Tell whether an alias is a glob, with ``*``, ``?`` or ``[…]``."""
    return _WILDCARD.search(name) is not None
