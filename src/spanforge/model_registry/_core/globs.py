"""Globs of entries: which of them match a name, and which of them is the most specific."""

from __future__ import annotations

import copy
import fnmatch
import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.name_versions import spell
from spanforge.model_registry._core.overlay import MAX_OVERLAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.entry import ModelRegistryEntry

MAX_GLOBBED: Final = 1_024
"""The limit of characters of a name that globs match. Longer names match by id or alias. Bedrock's ARNs have 200."""

_WILDCARD: Final = re.compile(r"\*|\?|\[(?=(!?\]?))\1[^\]]*\]")
"""A wildcard as ``fnmatch`` understands it. A bracket that is not closed is fixed text."""
_ROUTE: Final = re.compile(r"(?:.*/)?(?:[a-zA-Z*-]+\.)*", re.DOTALL)
"""The part of a glob before the model: up to the last slash, and then words with dots, such as ``us.anthropic.``."""
_GRAM: Final = 3


class Glob(NamedTuple):
    """One glob of an entry, compiled.

    Attributes:
        rank: How specific it is; a greater rank goes first. It counts the fixed characters of the base name and what
            follows it, then those of the route, then the stars, with a minus.
        pattern: The complete glob as a regular expression.
        model_id: The entry's id.
        fixed: The text between the wildcards.
        text: The glob as the entry has it.
    """

    rank: tuple[int, int, int]
    pattern: re.Pattern[str]
    model_id: str
    fixed: tuple[str, ...]
    text: str

    @classmethod
    def of(cls, entry: ModelRegistryEntry) -> list[Glob]:
        """Return the globs among an entry's aliases."""
        return [cls.of_text(alias, entry.model_id) for alias in entry.aliases if is_glob(alias)]

    @classmethod
    def of_text(cls, glob: str, model_id: str) -> Glob:
        """Return a glob of the entry with an id."""
        route = _ROUTE.match(glob)
        in_route = 0 if route is None else sum(map(len, split_glob(route[0])))
        fixed = tuple(filter(None, split_glob(glob)))
        rank = (sum(map(len, fixed)) - in_route, in_route, -glob.count("*"))
        return cls(rank, re.compile(fnmatch.translate(glob)), model_id, fixed, glob)

    def contains_more_than(self, base: str) -> bool:
        """Check whether the fixed text contains a base name, as ``ParsedName`` spells it, and more."""
        return any(base in text and text != base for text in map(spell, self.fixed))


class GlobTable:
    """The globs of an index. An unknown name is compared with few of them, however many there are.

    Each glob is listed under three characters of its fixed text, the rarest ones among all globs. Only globs with three
    characters of the name can match it. Globs that were added later are in a second table, so that adding one does not
    list the others again.
    """

    __slots__ = ("_added", "_by_gram", "_globs", "_short")

    def __init__(self, globs: Iterable[Glob] = ()) -> None:
        """Create a table of globs."""
        self._globs = tuple(globs)
        self._added: GlobTable | None = None
        self._by_gram: dict[str, tuple[Glob, ...]] = {}
        self._short: tuple[Glob, ...] = ()
        self._list_by_gram()

    def _list_by_gram(self) -> None:
        frequencies = Counter(gram for glob in self._globs for gram in set(_list_grams(glob.fixed)))
        lists: dict[str, list[Glob]] = {}
        for glob in self._globs:
            gram = min(_list_grams(glob.fixed), key=frequencies.__getitem__, default="")
            lists.setdefault(gram, []).append(glob)
        self._short = tuple(lists.pop("", ()))
        self._by_gram = {gram: tuple(listed) for gram, listed in lists.items()}

    def __bool__(self) -> bool:
        """Check whether there are globs."""
        return bool(self._globs) or self._added is not None

    def with_globs(self, globs: Iterable[Glob]) -> GlobTable:
        """Return the table with more globs."""
        added = (*(() if self._added is None else self._added._globs), *globs)  # noqa: SLF001 - its own class
        if len(self._globs) <= MAX_OVERLAY or len(added) > MAX_OVERLAY:
            return GlobTable((*self._globs, *added))
        table = copy.copy(self)
        table._added = GlobTable(added)  # noqa: SLF001 - its own class
        return table

    def match(self, name: str) -> list[Glob]:
        """Return the globs that match the whole name, in no particular order."""
        if len(name) > MAX_GLOBBED:
            return []
        by_gram = self._by_gram
        matches = [glob for glob in self._short if glob.pattern.match(name)]
        if by_gram:
            for start in range(len(name) - _GRAM + 1):
                listed = by_gram.get(name[start : start + _GRAM])
                if listed is not None:
                    matches += [glob for glob in listed if glob.pattern.match(name)]
        if self._added is not None:
            matches += self._added.match(name)
        return matches


def is_glob(name: str) -> bool:
    """Check whether an alias is a glob, with ``*``, ``?`` or ``[…]``."""
    return "*" in name or "?" in name or "[" in name


def list_plain_aliases(entry: ModelRegistryEntry) -> dict[str, None]:
    """Return the aliases of an entry that are no globs, each once."""
    return dict.fromkeys(alias for alias in entry.aliases if not is_glob(alias))


def list_plain_names(entry: ModelRegistryEntry) -> dict[str, None]:
    """Return the id of an entry and its aliases that are no globs, each once."""
    return {entry.model_id: None, **list_plain_aliases(entry)}


def split_glob(glob: str) -> list[str]:
    """Return the fixed text of a glob: the parts before, between and after its wildcards, some of which are empty."""
    return _WILDCARD.sub("*", glob).split("*")


def find_ends(glob: str) -> tuple[str, str]:
    """Return the fixed text before the first wildcard of a glob, and after the last one."""
    fixed = split_glob(glob)
    return fixed[0], fixed[-1]


def _list_grams(fixed: Iterable[str]) -> Iterator[str]:
    for text in fixed:
        for start in range(len(text) - _GRAM + 1):
            yield text[start : start + _GRAM]
