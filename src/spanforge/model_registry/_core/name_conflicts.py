"""Conflicts of names: globs that also match another model, entries with the same names, and nearly equal names."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.globs import Glob, list_plain_names
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
"""The limit of ids and aliases with which the globs of a new entry are compared."""

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
    if _warnings.is_exhausted():
        return
    _warn_about_twins(index, index.list_shared_forms())
    if index.has_globs:
        for entry in index.entries.values():
            _warn_about_taken_names(index, entry)


def warn_about_entry(index: ModelIndex, entry: ModelRegistryEntry) -> None:
    """Warn once about each conflict of names between a new entry and the others in the index, and about odd names."""
    warn_about_odd_names(index, [entry])
    if _warnings.is_exhausted():
        return
    _warn_about_twins(index, index.list_shared_forms_of(list_plain_names(entry)))
    if index.has_globs:
        _warn_about_taken_names(index, entry)
        _warn_about_new_globs(index, Glob.of(entry))


def _warn_about_taken_names(index: ModelIndex, entry: ModelRegistryEntry) -> None:
    for name in list_written_names(entry):
        for glob in index.match_globs(name):
            if glob.model_id != entry.model_id:
                _warn_about_glob(glob, entry.model_id, name)


def _warn_about_new_globs(index: ModelIndex, globs: list[Glob]) -> None:
    """Warn about the globs of a new entry that match the names of other entries, of which the newest are compared.

    The line is about the oldest of the models that match, as after a load.
    """
    if not globs:
        return
    names = ((other, name) for other in index.entries.iterate_newest() for name in list_plain_names(other))
    compared = islice(names, MAX_COMPARED)
    forms = [(other.model_id, form) for other, name in compared for form in _write_forms(name, other.providers)]
    all_forms = "\n".join(form for _, form in forms)
    for glob in globs:
        if all(text in all_forms for text in glob.fixed):  # hot path: most globs match no other entry
            _warn_about_matches(glob, forms)


def _warn_about_matches(glob: Glob, forms: list[tuple[str, str]]) -> None:
    """Warn if a glob matches one of these forms, each with the id of its model."""
    is_match = glob.pattern.match
    taken: dict[str, str] = {}
    for model_id, form in forms:
        if is_match(form) and model_id != glob.model_id:
            taken.setdefault(model_id, form)
    if taken:
        _warn_about_glob(glob, *taken.popitem())


def list_written_names(entry: ModelRegistryEntry) -> dict[str, None]:
    """Return an entry's names, and their forms: in one spelling, and with a provider before them."""
    providers = entry.providers
    return dict.fromkeys(form for name in list_plain_names(entry) for form in _write_forms(name, providers))


def _write_forms(name: str, providers: tuple[str, ...]) -> tuple[str, ...]:
    return name, _keep_base(name), *(f"{provider}/{name}" for provider in providers)


@lru_cache(maxsize=2 * MAX_COMPARED)  # with the limit itself, each name would be forgotten just before it is needed
def _keep_base(name: str) -> str:
    """Return the base of a name, from memory if it is compared again with a new glob."""
    return parse(name).base


def _warn_about_glob(glob: Glob, model_id: str, name: str) -> None:
    text = "model registry: glob %s of %s also matches the model %s%s; a narrower glob, such as -20??-??-??, does not"
    written = "" if name == model_id else f", written {quote(name)}"
    _warnings.warn(
        ("glob", glob.text, glob.model_id), text, quote(glob.text), quote(glob.model_id), quote(model_id), written
    )


def _warn_about_twins(index: ModelIndex, groups: Iterable[Iterable[str]]) -> None:
    """Warn about all pairs of entries that have names with the same form for the same provider.

    All pairs have a line, so that the lines do not depend on the order of the entries.

    Args:
        index: The index.
        groups: Lists of ids and aliases with the same form.
    """
    for pair in chain.from_iterable(_list_twins(index, texts) for texts in groups):
        if _warnings.is_exhausted():
            return
        text = "model registry: %s and %s cannot be told apart by name; set provider, or remove one"
        _warnings.warn(("twins", *pair), text, *map(quote, pair))


def _list_twins(index: ModelIndex, texts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield the sorted ids of each pair of entries that have some of these texts for the same provider."""
    ids_by_provider: dict[str | None, dict[str, None]] = {}
    owned = ((entry, text) for text in texts for entry in index.list_owners([text]))
    for model_id, provider in ((entry.model_id, limit) for entry, text in owned for limit in _sort_limits(entry, text)):
        others = ids_by_provider.setdefault(provider, {})
        if model_id not in others:
            yield from (tuple(sorted((model_id, other))) for other in others)
            others[model_id] = None


def list_name_clashes(index: ModelIndex, texts: Iterable[str]) -> Iterator[tuple[OwnedName, OwnedName]]:
    """Yield pairs of entries that have some of these texts for the same provider.

    Args:
        index: The index.
        texts: Ids and aliases with the same form.
    """
    first_by_provider: dict[str | None, OwnedName] = {}
    for text in texts:
        for entry in index.list_owners([text]):
            others = [first_by_provider.setdefault(limit, (entry, text)) for limit in _sort_limits(entry, text)]
            other = next((other for other in others if other[0] is not entry), None)
            if other is not None:
                yield (entry, text), other


def _sort_limits(entry: ModelRegistryEntry, text: str) -> list[str | None]:
    """Return the providers to which an id or alias is limited, in one order; only ``None`` if it is not limited."""
    return [*sorted(read_limits_of(entry, text))] or [None]


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
