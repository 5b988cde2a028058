"""Globs of entries: which of them match a name, and which of them is the most specific."""

from __future__ import annotations

import copy
import fnmatch
import functools
import re
from array import array
from typing import TYPE_CHECKING, Final

import msgspec

from spanforge.model_registry._core.name_versions import spell
from spanforge.model_registry._core.overlay import MAX_OVERLAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry

MAX_GLOBBED: Final = 1_024
"""The limit of characters of a name that globs match. Longer names match by id or alias. Bedrock's ARNs have 200."""

_WILDCARD: Final = re.compile(r"\*|\?|\[(?=(!?\]?))\1[^\]]*\]")
"""A wildcard as ``fnmatch`` understands it. A bracket that is not closed is fixed text."""
_ROUTE: Final = re.compile(r"(?:.*/)?(?:[a-zA-Z*-]+\.)*", re.DOTALL)
"""The part of a glob before the model: up to the last slash, and then words with dots, such as ``us.anthropic.``."""
_GRAM_SIZES: Final = (12, 6, 3, 2, 1)
"""The lengths of grams. A name is looked up once for each of its substrings of these lengths that globs have."""
_MAX_PATTERNS: Final = 1_000
"""The limit of compiled globs that are remembered. Each takes a few kilobytes, and few are compared with names."""
_COUNTERS: Final = 2**16
"""The number of counters of grams. Grams that share one count as more frequent than they are, which is harmless."""


class Glob(msgspec.Struct, frozen=True, gc=False):
    """One glob of an entry. Its parts are computed when they are needed, because a registry may have 100,000 globs.

    Attributes:
        text: The glob as the entry has it.
        model_id: The entry's id.
    """

    text: str
    model_id: str

    @classmethod
    def of(cls, entry: ModelRegistryEntry) -> list[Glob]:
        """Return the globs among an entry's aliases."""
        return [cls(alias, entry.model_id) for alias in entry.aliases if is_glob(alias)]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The complete glob as a regular expression."""
        return _compile(self.text)

    @property
    def fixed(self) -> tuple[str, ...]:
        """The text between the wildcards."""
        return tuple(filter(None, split_glob(self.text)))

    @property
    def rank(self) -> tuple[int, int, int]:
        """How specific the glob is; a greater rank goes first.

        It counts the fixed characters of the base name and what follows it, then those of the route, then the stars,
        with a minus.
        """
        route = _ROUTE.match(self.text)
        in_route = 0 if route is None else sum(map(len, split_glob(route[0])))
        return sum(map(len, self.fixed)) - in_route, in_route, -self.text.count("*")

    def matches(self, name: str) -> bool:
        """Check whether the glob matches a whole name. Only a glob whose fixed text is in the name is compiled."""
        return all(text in name for text in self.fixed) and self.pattern.match(name) is not None

    def contains_more_than(self, base: str) -> bool:
        """Check whether the fixed text contains a base name, as ``ParsedName`` spells it, and more."""
        return any(base in text and text != base for text in map(spell, self.fixed))


@functools.lru_cache(maxsize=_MAX_PATTERNS)
def _compile(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob))


class GlobTable:
    """The globs of an index. An unknown name is compared with few of them, however many there are.

    Each glob is listed under a *gram*: a few characters of its fixed text, the rarest ones among all globs. Only globs
    whose gram is in the name can match it. A long gram is in few names, so each glob has the longest one that it can.
    Globs that were added later are in a second table, so that adding one does not list the others again.
    """

    __slots__ = ("_added", "_by_size", "_globs", "_without")

    def __init__(self, globs: Iterable[Glob] = ()) -> None:
        """Create a table of globs."""
        self._globs = tuple(globs)
        self._added: GlobTable | None = None
        by_size: dict[int, dict[str, Sequence[Glob]]] = {size: {} for size in _GRAM_SIZES}
        self._without: tuple[Glob, ...] = ()
        self._list_by_gram(by_size)
        self._by_size = tuple((size, lists) for size, lists in by_size.items() if lists)

    def _list_by_gram(self, by_size: Mapping[int, dict[str, Sequence[Glob]]]) -> None:
        frequencies = array("I", bytes(_COUNTERS * array("I").itemsize))
        for glob in self._globs:
            for gram in _list_grams(glob):
                frequencies[hash(gram) % _COUNTERS] += 1
        without: list[Glob] = []
        for glob in self._globs:
            gram = min(_list_grams(glob), key=lambda each: frequencies[hash(each) % _COUNTERS], default="")
            listed = by_size[len(gram)].setdefault(gram, (glob,)) if gram else without
            if isinstance(listed, list):
                listed.append(glob)
            elif listed[0] is not glob:
                by_size[len(gram)][gram] = [*listed, glob]
        self._without = tuple(without)

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
        matches = [glob for glob in self._without if glob.matches(name)]
        for size, lists in self._by_size:
            for start in range(len(name) - size + 1):
                listed = lists.get(name[start : start + size])
                if listed is not None:
                    matches += [glob for glob in listed if glob.matches(name)]
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


def _list_grams(glob: Glob) -> Iterator[str]:
    """Yield the grams of the fixed text under which a glob may be listed: the longest ones, which overlap by half."""
    fixed = glob.fixed
    longest = max(map(len, fixed), default=0)
    size = next((size for size in _GRAM_SIZES if size <= longest), 0)
    for text in fixed if size else ():
        for start in range(0, len(text) - size + 1, max(size // 2, 1)):
            yield text[start : start + size]
        if len(text) > size:
            yield text[-size:]
