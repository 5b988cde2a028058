"""``FormTable``: the ids and aliases of an index by their keys, so that the forms of a name find them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.names import entry_key, read_forms, read_plain_letters, squeeze
from spanforge.model_registry._core.overlay import OverlayMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.names import EntryKey, NameKey

    Texts = str | tuple[str, ...]

_MAX_SHARED_KEYS: Final = 1_024
"""The limit of keys that are kept of texts that share their letters; a key takes about 500 bytes."""


class FormTable:
    """Ids and aliases by their keys. A table is immutable; ``with_texts`` returns a new one.

    The keys are listed without their hyphens, because a name loses its hyphens faster than it is parsed. So most names
    that no entry matches need not be parsed. A table has the texts only, because a registry may have 100,000. The keys
    of the few texts that a name finds are computed again. Those of texts that share their letters are kept for a while.
    """

    __slots__ = ("_numbered", "_texts")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Create a table of ids and aliases, each of which is given once."""
        by_letters: OverlayMap[str, Texts] = OverlayMap({})
        numbered: OverlayMap[str, bool] = OverlayMap({})
        _add_texts(texts, by_letters.base, numbered.base)
        self._set(by_letters, numbered)

    def _set(self, by_letters: OverlayMap[str, Texts], numbered: OverlayMap[str, bool]) -> None:
        self._texts, self._numbered = by_letters, numbered

    def with_texts(self, texts: Iterable[str]) -> FormTable:
        """Return the table with more ids and aliases."""
        added: dict[str, Texts] = {}
        numbered: dict[str, bool] = {}
        _add_texts(texts, added, numbered)
        by_letters = {letters: self._add_to(letters, new) for letters, new in added.items()}
        table = FormTable.__new__(FormTable)
        table._set(  # noqa: SLF001 - its own class
            self._texts.with_items(by_letters), self._numbered.with_items(numbered) if numbered else self._numbered
        )
        return table

    def _add_to(self, letters: str, new: Texts) -> Texts:
        texts = tuple(dict.fromkeys((*self._list(letters), *_as_tuple(new))))
        return texts if texts[1:] else texts[0]

    def has_form_of(self, name: str, provider: str | None) -> bool:
        """Check whether a name on a span with this provider may have one of the keys here."""
        letters = read_plain_letters(name)
        if letters is not None:
            return letters in self._texts.overlay or letters in self._texts.base
        return any(squeeze(key.text) in self._texts for key in read_forms(name, provider).keys)

    def list_texts(self, key: NameKey) -> list[tuple[str, str | None]]:
        """Return the ids and aliases that a key of a name finds, each with the provider of its route."""
        if key.unless_numbered is not None and key.unless_numbered in self._numbered:
            return []
        return self._list_equal(key.text)

    def list_texts_like(self, text: str) -> list[str]:
        """Return the ids and aliases that have the same key as another id or alias."""
        return [each for each, _ in self._list_equal(entry_key(text).text)]

    def _list_equal(self, key: str) -> list[tuple[str, str | None]]:
        texts = self._list(squeeze(key))
        read_key = _keep_key if texts[1:] else entry_key
        keyed = ((read_key(text), text) for text in texts)
        return [(text, each.provider) for each, text in keyed if each.text == key]

    def _list(self, letters: str) -> tuple[str, ...]:
        return _as_tuple(self._texts.get(letters, ()))

    def list_groups(self) -> Iterator[list[str]]:
        """Yield the ids and aliases of each key."""
        for texts in self._texts.values():
            if isinstance(texts, str):
                yield [texts]
            else:
                keyed = [(entry_key(text).text, text) for text in texts]
                for key in dict.fromkeys(each for each, _ in keyed):
                    yield [text for each, text in keyed if each == key]


@functools.lru_cache(maxsize=_MAX_SHARED_KEYS)
def _keep_key(text: str) -> EntryKey:
    """Return the key of a text that shares its letters with others, which each search for one of them reads."""
    return entry_key(text)


def _as_tuple(texts: Texts) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts


def _add_texts(texts: Iterable[str], by_letters: dict[str, Texts], numbered: dict[str, bool]) -> None:
    """Add ids and aliases to the two dicts of a table."""
    shared: dict[str, list[str]] = {}
    for text in texts:
        key = entry_key(text)
        letters = squeeze(key.text)
        first = by_letters.setdefault(text if letters == text else letters, text)
        if first is not text:
            shared.setdefault(letters, [*_as_tuple(first)]).append(text)
        if key.numbered is not None:
            numbered[key.numbered] = True
    by_letters.update((letters, tuple(dict.fromkeys(equal))) for letters, equal in shared.items())
