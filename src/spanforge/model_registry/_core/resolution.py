"""Resolution of model names to entries: the index of a registry's ids, aliases and globs."""

from __future__ import annotations

import fnmatch
import functools
import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from spanforge.model_registry._core.overlay import MAX_OVERLAY, OverlayMap
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.entry import ModelRegistryEntry

MatchRule = Literal["id", "alias", "glob"]

UNREGISTERED: Final = "unregistered"
"""The status of a model that no entry matches."""

MAX_GLOBBED: Final = 1_024
"""The limit of characters of a name that globs match. Longer names match by id or alias. Bedrock's ARNs have 200."""
MAX_CACHED: Final = 4_096
"""The limit of names in the cache of a glob table. At the limit, the cache is cleared."""
_WILDCARD: Final = re.compile(r"[*?[]")


class Resolution(NamedTuple):
    """The result of a lookup of model names.

    Attributes:
        entry: The entry that matched; ``None`` if none did.
        status: The status of the entry; ``unregistered`` if none matched.
        warnings: The warnings for a caller of the model; empty for an active model.
        rule: The rule that matched: ``id``, ``alias`` or ``glob``; ``None`` if none did.
        candidate: The name that matched, or the first name if none did.
    """

    entry: ModelRegistryEntry | None
    status: str
    warnings: tuple[str, ...]
    rule: MatchRule | None
    candidate: str


_new_resolution: Final = functools.partial(tuple.__new__, Resolution)
"""Hot path: the constructor without its Python function, which takes as long as two lookups."""


class Glob(NamedTuple):
    """One glob of an entry, compiled.

    Attributes:
        prefix: The text before the first wildcard, which excludes most names.
        pattern: The complete glob as a regular expression.
        model_id: The entry's id.
        provider: The provider to which the entry is limited; ``None`` if it is not limited.
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
    """The globs of an index, with a bounded cache of their results.

    Globs that were added later are in a second table, so that adding one does not clear the cache of the others.
    """

    __slots__ = ("_added", "_cache", "_globs")

    def __init__(self, globs: Iterable[Glob] = (), added: GlobTable | None = None) -> None:
        """Create a table of globs in the order of registration, with a table of those that were added later."""
        self._globs = tuple(globs)
        self._added = added
        self._cache: dict[tuple[str, str | None], str | None] = {}

    def __bool__(self) -> bool:
        """Check whether there are globs."""
        return bool(self._globs) or self._added is not None

    def with_globs(self, globs: Iterable[Glob]) -> GlobTable:
        """Return the table with globs at the end."""
        added = globs if self._added is None else (*self._added._globs, *globs)  # noqa: SLF001 - its own class
        added = tuple(added)
        if len(self._globs) <= MAX_OVERLAY or len(added) > MAX_OVERLAY:
            return GlobTable((*self._globs, *added))
        table = GlobTable(self._globs, GlobTable(added))
        table._cache = self._cache
        return table

    def match(self, name: str, provider: str | None) -> str | None:
        """Return the id of the first registered glob that matches the whole name and accepts the provider."""
        model_id = None
        if self._globs and len(name) <= MAX_GLOBBED:
            try:
                model_id = self._cache[name, provider]
            except KeyError:
                model_id = self._match_and_remember(name, provider)
        if model_id is None and self._added is not None:
            return self._added.match(name, provider)
        return model_id

    def _match_and_remember(self, name: str, provider: str | None) -> str | None:
        model_id = self._match(name, provider)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[name, provider] = model_id
        return model_id

    def _match(self, name: str, provider: str | None) -> str | None:
        for prefix, pattern, model_id, limited_to in self._globs:
            if name.startswith(prefix) and limited_to in (None, provider or limited_to) and pattern.match(name):
                return model_id
        return None


class ModelIndex:
    """The entries of a registry by id, alias and glob. An index is immutable; ``put`` returns a new one.

    Attributes:
        entries: The entries by id, in the order of registration.

    Args:
        entries: The entries, in the order of registration.
        globs: ``True`` if globs match names too.
    """

    __slots__ = ("_aliases", "_aliases_base", "_aliases_overlay", "_base", "_globs", "_overlay", "entries")

    def __init__(self, entries: Iterable[ModelRegistryEntry] = (), *, globs: bool = True) -> None:
        by_id = {entry.model_id: entry for entry in entries}
        named = [entry for entry in by_id.values() if entry.aliases]
        aliases: dict[str, tuple[str, ...]] = {}
        for entry in named:
            for name in _list_plain_aliases(entry):
                aliases[name] = (*aliases.get(name, ()), entry.model_id)
        table = GlobTable(glob for entry in named if globs for glob in Glob.of(entry))
        self._set(OverlayMap(by_id), OverlayMap(aliases), table)

    def _set(
        self,
        entries: OverlayMap[str, ModelRegistryEntry],
        aliases: OverlayMap[str, tuple[str, ...]],
        globs: GlobTable,
    ) -> None:
        self.entries = entries
        self._globs = globs
        # Hot path: ``find`` reads the dicts directly, because one method call takes as long as two lookups.
        self._overlay, self._base = entries.overlay, entries.base
        self._aliases_overlay, self._aliases_base = aliases.overlay, aliases.base
        self._aliases = aliases

    def put(self, entry: ModelRegistryEntry) -> ModelIndex:
        """Return the index with this entry added, or in place of the entry with the same id."""
        old = self.entries.get(entry.model_id)
        entries = self.entries.with_items({entry.model_id: entry})
        if old is not None and (old.aliases, old.provider) != (entry.aliases, entry.provider):
            return ModelIndex(entries.values())
        aliases, globs = self._aliases, self._globs
        if old is None and entry.aliases:
            model_ids = {name: (*aliases.get(name, ()), entry.model_id) for name in _list_plain_aliases(entry)}
            aliases = aliases.with_items(model_ids) if model_ids else aliases
            added = Glob.of(entry)
            globs = globs.with_globs(added) if added else globs
        index = ModelIndex.__new__(ModelIndex)
        index._set(entries, aliases, globs)  # noqa: SLF001 - its own class
        return index

    def find(self, name: str, provider: str | None = None) -> tuple[ModelRegistryEntry, MatchRule] | None:
        """Return the entry that matches the name, and the rule.

        The order is: id ``provider/name``, id ``name``, alias ``provider/name``, alias ``name``, glob
        ``provider/name``, glob ``name``. An entry that is limited to a provider does not match another provider. If the
        caller passes no provider, the entry matches. The comparison is case-sensitive and does not change the name.
        """
        names = (f"{provider}/{name}", name) if provider else (name,)
        for candidate in names:
            entry = self._overlay.get(candidate) or self._base.get(candidate)
            if entry is not None and accepts_provider(entry, provider):
                return entry, "id"
        match = None
        if self._aliases_overlay or self._aliases_base:
            match = self._find_by_alias(names, provider)
        if match is None and self._globs:
            match = self._find_by_glob(names, provider)
        return match

    def _find_by_alias(
        self, names: tuple[str, ...], provider: str | None
    ) -> tuple[ModelRegistryEntry, MatchRule] | None:
        for candidate in names:
            for model_id in self._aliases_overlay.get(candidate) or self._aliases_base.get(candidate, ()):
                entry = self._overlay.get(model_id) or self._base[model_id]
                if accepts_provider(entry, provider):
                    return entry, "alias"
        return None

    def _find_by_glob(
        self, names: tuple[str, ...], provider: str | None
    ) -> tuple[ModelRegistryEntry, MatchRule] | None:
        for candidate in names:
            matched = self._globs.match(candidate, provider or None)
            if matched is not None:
                return self.entries[matched], "glob"
        return None

    def resolve(self, names: Iterable[str], provider: str | None = None) -> Resolution:
        """Return the resolution of the first of these names that matches, or of the first name if none matches.

        Raises:
            ValueError: There is no name.
        """
        first: str | None = None
        for name in names:
            match = self.find(name, provider)
            if match is not None:
                entry, rule = match
                return Resolution(entry, entry.status, entry.warnings, rule, name)
            first = name if first is None else first
        if first is None:
            msg = "no name to resolve"
            raise ValueError(msg)
        return _new_resolution((None, UNREGISTERED, (not_registered(first),), None, first))


def not_registered(name: str) -> str:
    """Return the warning about a model that no entry matches."""
    return f"model {quote(name)} is not registered"


def accepts_provider(entry: ModelRegistryEntry, provider: str | None) -> bool:
    """Check whether an entry may match a model of this provider."""
    return not provider or entry.provider in (None, provider)


def is_glob(name: str) -> bool:
    """Check whether an alias is a glob, with ``*``, ``?`` or ``[…]``."""
    return _WILDCARD.search(name) is not None


def _list_plain_aliases(entry: ModelRegistryEntry) -> dict[str, None]:
    return dict.fromkeys(name for name in entry.aliases if not is_glob(name))
