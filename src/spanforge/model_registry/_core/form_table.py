"""``FormTable``: the ids and aliases of an index by their keys, so that the forms of a name find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._core.names import EntryKey, entry_key, read_forms, read_plain_letters, squeeze
from spanforge.model_registry._core.overlay import OverlayMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.names import NameKey

_Keyed = tuple[tuple[EntryKey, str], ...]
"""Pairs of the key of an id or alias, and the id or alias itself."""


class FormTable:
    """Ids and aliases by their keys. A table is immutable; ``with_texts`` returns a new one.

    The keys are listed without their hyphens, because a name loses its hyphens faster than it is parsed. So most names
    that no entry matches need not be parsed.
    """

    __slots__ = ("_keyed", "_numbered")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Create a table of ids and aliases, each of which is given once."""
        keyed: OverlayMap[str, _Keyed] = OverlayMap({})
        numbered: OverlayMap[str, bool] = OverlayMap({})
        _add_texts(texts, keyed.base, numbered.base)
        self._set(keyed, numbered)

    def _set(self, keyed: OverlayMap[str, _Keyed], numbered: OverlayMap[str, bool]) -> None:
        self._keyed, self._numbered = keyed, numbered

    def with_texts(self, texts: Iterable[str]) -> FormTable:
        """Return the table with more ids and aliases."""
        added: dict[str, _Keyed] = {}
        numbered: dict[str, bool] = {}
        _add_texts(texts, added, numbered)
        keyed = {letters: tuple(dict.fromkeys((*self._keyed.get(letters, ()), *new))) for letters, new in added.items()}
        table = FormTable.__new__(FormTable)
        table._set(  # noqa: SLF001 - its own class
            self._keyed.with_items(keyed), self._numbered.with_items(numbered) if numbered else self._numbered
        )
        return table

    def has_form_of(self, name: str, provider: str | None) -> bool:
        """Check whether a name on a span with this provider may have one of the keys here."""
        letters = read_plain_letters(name)
        if letters is not None:
            return letters in self._keyed.overlay or letters in self._keyed.base
        return any(squeeze(key.text) in self._keyed for key in read_forms(name, provider).keys)

    def list_texts(self, key: NameKey) -> list[tuple[str, str | None]]:
        """Return the ids and aliases that a key of a name finds, each with the provider of its route."""
        if key.unless_numbered is not None and key.unless_numbered in self._numbered:
            return []
        return self._list_equal(key.text)

    def list_texts_like(self, text: str) -> list[str]:
        """Return the ids and aliases that have the same key as another id or alias."""
        return [each for each, _ in self._list_equal(entry_key(text).text)]

    def _list_equal(self, key: str) -> list[tuple[str, str | None]]:
        return [(text, each.provider) for each, text in self._keyed.get(squeeze(key), ()) if each.text == key]

    def list_groups(self) -> Iterator[list[str]]:
        """Yield the ids and aliases of each key."""
        for keyed in self._keyed.values():
            if len(keyed) == 1:
                yield [keyed[0][1]]
            else:
                for key in dict.fromkeys(each.text for each, _ in keyed):
                    yield [text for each, text in keyed if each.text == key]


def _add_texts(texts: Iterable[str], keyed: dict[str, _Keyed], numbered: dict[str, bool]) -> None:
    """Add ids and aliases to the two dicts of a table."""
    for text in texts:
        key = entry_key(text)
        letters = squeeze(key.text)
        listed = keyed.get(letters)
        keyed[letters] = ((key, text),) if listed is None else (*listed, (key, text))
        if key.numbered is not None:
            numbered[key.numbered] = True
