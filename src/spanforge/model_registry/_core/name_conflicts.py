"""Conflicts of names: globs that also match another model, entries with the same names, and nearly equal names."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.globs import Glob, find_ends, list_plain_names
from spanforge.model_registry._core.matching import read_canonical_providers
from spanforge.model_registry._core.names import entry_key, parse
from spanforge.model_registry._core.odd_names import warn_about_odd_names
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.similar_names import MAX_COMPARED_LENGTH, find_similar_names
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.resolution import ModelIndex

    OwnedName = tuple[ModelRegistryEntry, str]

MAX_COMPARED: Final = 1_000
"""The limit of ids with which the globs of a new entry are compared."""

MAX_NEAREST: Final = 200
"""The limit of ids with which an unregistered name is compared."""
COMMON_LENGTH: Final = 3
"""The number of characters that an id and a name have in common at their start to be compared."""
NEAREST: Final = 3
"""The number of ids that are shown as nearest."""
MAX_READ_IDS: Final = 1_000
"""The limit of ids that are read for an error about a name, so that its cost does not grow with the registry."""
MAX_LIKE_IDS: Final = 20
"""The limit of those with which the name is compared."""
LIKE_ID: Final = 0.85
"""The similarity from which an id is probably meant."""

_warnings: Final = WarnOnce(100)


def warn_about_index(index: ModelIndex) -> None:
    """Warn once about each conflict of names, and about each odd name, in an index that was loaded."""
    warn_about_odd_names(index, index.entries.values())
    for texts in index.list_shared_forms():
        _warn_about_twins(index, texts)
    if index.has_globs:
        for entry in index.entries.values():
            _warn_about_taken_names(index, entry)


def warn_about_entry(index: ModelIndex, entry: ModelRegistryEntry) -> None:
    """Warn once about each conflict of names between a new entry and the others in the index, and about odd names."""
    warn_about_odd_names(index, [entry])
    texts = index.list_texts_like(entry.model_id)
    if len(texts) > 1 or entry.aliases:
        _warn_about_twins(index, texts)
    if not index.has_globs:
        return
    _warn_about_taken_names(index, entry)
    for glob in Glob.of(entry):
        prefix, _ = find_ends(glob.text)
        similar_ids = (model_id for model_id in index.entries if model_id.startswith(prefix))
        for model_id in islice(similar_ids, MAX_COMPARED):
            if model_id != entry.model_id and glob.pattern.match(model_id):
                _warn_about_glob(glob, model_id, model_id)


def _warn_about_taken_names(index: ModelIndex, entry: ModelRegistryEntry) -> None:
    for name in list_written_names(entry):
        for glob in index.match_globs(name):
            if glob.model_id != entry.model_id:
                _warn_about_glob(glob, entry.model_id, name)


def list_written_names(entry: ModelRegistryEntry) -> dict[str, None]:
    """Return an entry's names, and their forms: in one spelling, and with a provider before them."""
    names = list_plain_names(entry)
    spelled = [parse(name).base for name in names]
    routed = [f"{provider}/{name}" for provider in entry.providers for name in names]
    return dict.fromkeys((*names, *spelled, *routed))


def _warn_about_glob(glob: Glob, model_id: str, name: str) -> None:
    text = "model registry: glob %s of %s also matches the model %s%s; a narrower glob, such as -20??-??-??, does not"
    written = "" if name == model_id else f", written {quote(name)}"
    _warnings.warn(("glob", glob.text), text, quote(glob.text), quote(glob.model_id), quote(model_id), written)


def _warn_about_twins(index: ModelIndex, texts: Iterable[str]) -> None:
    """Warn if two entries have some of these texts for the same provider."""
    for (entry, _), (other, _) in list_name_clashes(index, texts):
        pair = sorted((entry.model_id, other.model_id))
        text = "model registry: %s and %s cannot be told apart by name; set provider, or remove one"
        _warnings.warn(("twins", *pair), text, *map(quote, pair))
        return


def list_name_clashes(index: ModelIndex, texts: Iterable[str]) -> Iterator[tuple[OwnedName, OwnedName]]:
    """Yield pairs of entries that have some of these texts for the same provider.

    Args:
        index: The index.
        texts: Ids and aliases with the same form.
    """
    first_by_provider: dict[str | None, OwnedName] = {}
    for text in texts:
        for entry in index.list_owners([text]):
            limits: Iterable[str | None] = read_limits_of(entry, text) or (None,)
            others = [first_by_provider.setdefault(limit, (entry, text)) for limit in sorted(limits, key=str)]
            other = next((other for other in others if other[0] is not entry), None)
            if other is not None:
                yield (entry, text), other


def read_limits_of(entry: ModelRegistryEntry, text: str) -> frozenset[str]:
    """Return the canonical providers to which an id or alias is limited, by the entry or by the route in the name."""
    limits = frozenset(read_canonical_providers(entry))
    if limits:
        return limits
    provider = entry_key(text).provider
    return frozenset() if provider is None else frozenset((provider,))


def list_nearest(model_ids: Iterable[str], name: str) -> tuple[str, ...]:
    """Return the ids that are most like a name that no entry matches, the nearest first."""
    text = name.lower()
    start = text[:COMMON_LENGTH]
    similar_ids = (model_id for model_id in model_ids if model_id.lower().startswith(start))
    return tuple(find_similar_names(text, islice(similar_ids, MAX_NEAREST), NEAREST))


def list_meant_ids(index: ModelIndex, name: str) -> tuple[str, ...]:
    """Return the id that is probably meant by a name that no entry matches. The work is bounded at any size."""
    entries = index.entries
    newest_first = islice(chain(entries.overlay, entries.base), MAX_READ_IDS)  # iterating the mapping would copy it
    start = name[:COMMON_LENGTH]
    similar_ids = (each for each in newest_first if each.startswith(start) and len(each) <= MAX_COMPARED_LENGTH)
    return tuple(find_similar_names(name, islice(similar_ids, MAX_LIKE_IDS), likeness=LIKE_ID))
