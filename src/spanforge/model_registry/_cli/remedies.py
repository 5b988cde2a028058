"""The entries that are nearest to a name that no entry matches, and the changes that would make it match.

Each remedy was tried: the name was resolved again with the change.
"""

from __future__ import annotations

import functools
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.globs import MAX_GLOBBED, Glob, is_glob, list_plain_names
from spanforge.model_registry._core.names import entry_key, parse
from spanforge.model_registry._core.settings import MATCH
from spanforge.model_registry._core.similar_names import find_similar_names
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._cli.explanation import Explanation
    from spanforge.model_registry._core.matching import MatchRule
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.resolution import ModelIndex

MAX_NEAR: Final = 3
"""The limit of entries that are shown as nearest."""
MAX_SCANNED: Final = 20_000
"""The limit of ids and aliases that are compared with a name by their base names. They take half a second."""
_REGISTER: Final = "register"
_MISSPELT_LIKENESS: Final = 0.8
"""The similarity from which a misspelling is more likely than a new model: one or two characters in ten differ."""
_SAMPLE: Final = {"name": "N", "version": "1", "risk_tier": "low", "owner": "T", "purpose": "P"}
"""The fields of an entry that is made only to resolve a name."""


class NearEntry(NamedTuple):
    """An entry that nearly matches a name.

    Attributes:
        model_id: The id of the entry.
        text: Its id or alias that is near.
        reason: The reason why it does not match, as the predicate of a sentence.
        is_similar: Whether only its letters are like those of the name.
        is_glob_id: Whether its id is a glob that would match the name.
    """

    model_id: str
    text: str
    reason: str
    is_similar: bool = False
    is_glob_id: bool = False


class Remedy(NamedTuple):
    """A change after which a name matches an entry.

    Attributes:
        action: The kind of change, such as ``add alias``.
        model_id: The entry that the name then matches.
        value: The alias, provider, id or setting of the change.
        text: The change as a clause.
        rule: The rule by which the name then matches.
    """

    action: str
    model_id: str
    value: str
    text: str
    rule: MatchRule


class _Attempt(NamedTuple):
    """A change to try: other metadata of an entry, a new entry, another name or provider, or another mode."""

    action: str
    model_id: str
    value: str
    text: str
    entry: dict[str, Any] | None = None
    name: str | None = None
    provider: str | None = None
    mode: MatchMode | None = None


def list_near_entries(index: ModelIndex, explanation: Explanation) -> list[NearEntry]:
    """Return the entries that nearly match a name, the nearest first."""
    near: dict[str, NearEntry] = {}
    for each in (*_list_found(explanation), *_list_glob_ids(index, explanation), *_list_similar(index, explanation)):
        near.setdefault(each.model_id, each)
    return list(near.values())[:MAX_NEAR]


def list_remedies(index: ModelIndex, explanation: Explanation, near: Iterable[NearEntry]) -> list[Remedy]:
    """Return the changes that make a name match one of the entries near it, or an entry of its own.

    The entry of its own comes first if the name is like no other one.
    """
    near = list(near)
    attempts = [attempt for each in near for attempt in _list_attempts(index, each, explanation)]
    attempts += _list_general_attempts(index, explanation)
    remedies = [remedy for attempt in attempts if (remedy := _try(index, explanation, attempt))]
    new_entries = [each for each in remedies if each.action == _REGISTER]
    others = [each for each in remedies if each.action != _REGISTER]
    return [*new_entries[:1], *others] if _is_new(explanation.name, near) else [*others, *new_entries[:1]]


def _is_new(name: str, near: Iterable[NearEntry]) -> bool:
    """Check whether a name is like no entry's name, so that a new model is more likely than a misspelling."""
    if not all(each.is_similar for each in near):
        return False
    return not find_similar_names(name, (each.text for each in near), likeness=_MISSPELT_LIKENESS)


def _list_found(explanation: Explanation) -> Iterator[NearEntry]:
    """Yield the entries that a rule found, although none was chosen."""
    for step in explanation.steps:
        for found in step.found:
            if found.model_id in step.chosen:
                others = [quote(model_id) for model_id in step.chosen if model_id != found.model_id]
                yield NearEntry(found.model_id, found.text, f"matches as well as {', '.join(others)}")
            elif not step.chosen:
                yield NearEntry(found.model_id, found.text, f"is limited to {', '.join(found.providers)}")


def _list_glob_ids(index: ModelIndex, explanation: Explanation) -> Iterator[NearEntry]:
    """Yield the entries whose id is a glob that matches the name."""
    for model_id in index.entries:
        glob = _make_glob(model_id) if is_glob(model_id) else None
        if glob is not None and glob.pattern.match(explanation.name[:MAX_GLOBBED]):
            yield NearEntry(model_id, model_id, "has a glob as its id, which matches only itself", is_glob_id=True)


def _make_glob(text: str) -> Glob | None:
    try:
        entry = ModelRegistryEntry.from_dict({"model_id": "x", **_SAMPLE, "metadata": {"aliases": [text]}})
    except InvalidValueError:  # such as too many stars
        return None
    return next(iter(Glob.of(entry)), None)


def _list_similar(index: ModelIndex, explanation: Explanation) -> Iterator[NearEntry]:
    """Yield the entries of the same model, and then those whose names are like the name."""
    key = entry_key(parse(explanation.name).base).text
    by_key = _group_texts(index)
    for text, model_id in by_key.get(key, ()):
        yield NearEntry(model_id, text, _compare_versions(text, explanation))
    for similar in find_similar_names(key, (each for each in by_key if each != key), MAX_NEAR):
        text, model_id = by_key[similar][0]
        yield NearEntry(model_id, text, "has a similar name", is_similar=True)


@functools.lru_cache(maxsize=1)
def _group_texts(index: ModelIndex) -> dict[str, list[tuple[str, str]]]:
    """Return the ids and aliases with their entries' ids, by the key of their base names."""
    texts = ((text, entry.model_id) for entry in index.entries.values() for text in list_plain_names(entry))
    by_key: dict[str, list[tuple[str, str]]] = {}
    for text, model_id in islice(texts, MAX_SCANNED):
        by_key.setdefault(entry_key(parse(text).base).text, []).append((text, model_id))
    return by_key


def _compare_versions(text: str, explanation: Explanation) -> str:
    """Return the reason why an id or alias of the same model does not match a name."""
    if explanation.mode == "exact":
        return "is the same model in another form, and forms are switched off"
    parsed = parse(text)
    if parsed.snapshot is not None:
        return f"covers only the snapshot {parsed.snapshot}"
    if parsed.revision is not None:
        return f"covers only the revision {parsed.revision}"
    return "is the same model, but has no revision, and another entry has one"


def _list_attempts(index: ModelIndex, near: NearEntry, explanation: Explanation) -> Iterator[_Attempt]:
    """Yield changes of an entry, and of the question, that may make a name match the entry."""
    entry, name, model_id, shown = index.entries[near.model_id], explanation.name, near.model_id, quote(near.model_id)
    yield from _list_provider_attempts(entry, explanation)
    if near.is_similar:
        text = f"call it {quote(near.text)}, if {quote(name)} is misspelt"
        yield _Attempt("other name", model_id, near.text, text, name=near.text)
    data, aliases = entry.to_dict(), list(entry.aliases)
    if near.is_glob_id:
        text = f"list {shown} in the aliases of an entry, because an id is not a glob"
        yield _Attempt("add alias", model_id, model_id, text, _with_metadata(data, aliases=[*aliases, model_id]))
        return
    text = f"add the alias {quote(name)} to {shown}, if it is the same model"
    yield _Attempt("add alias", model_id, name, text, _with_metadata(data, aliases=[*aliases, name]))


def _list_provider_attempts(entry: ModelRegistryEntry, explanation: Explanation) -> Iterator[_Attempt]:
    """Yield changes of the providers, if a rule found the entry."""
    provider, model_id, data = _find_counting_provider(explanation), entry.model_id, entry.to_dict()
    found = [each for step in explanation.steps for each in step.found if each.model_id == model_id]
    for limit in dict.fromkeys(limit for each in found for limit in each.providers):
        text = f"name the provider {quote(limit)}, if it serves the model"
        yield _Attempt("other provider", model_id, limit, text, provider=limit)
    if provider and found:
        text = f"add {quote(provider)} to the providers of {quote(model_id)}"
        yield _Attempt(
            "add provider", model_id, provider, text, _with_metadata(data, provider=[*entry.providers, provider])
        )
        text = f"remove the provider of {quote(model_id)}"
        yield _Attempt("remove provider", model_id, "", text, _with_metadata(data, provider=None))


def _find_counting_provider(explanation: Explanation) -> str | None:
    """Return the provider that counts: as it was passed, unless the name itself shows another one."""
    reading = explanation.reading
    if reading is None or reading.provider_source != "name":
        return explanation.provider
    return explanation.provider if reading.ignored_provider is None and explanation.provider else reading.provider


def _with_metadata(data: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """Return the fields of an entry with other metadata."""
    return {**data, "metadata": {**data["metadata"], **metadata}}


def _list_general_attempts(index: ModelIndex, explanation: Explanation) -> Iterator[_Attempt]:
    """Yield the changes that concern no entry near the name: forms, the aliases of a tie, and a new entry."""
    name, reading = explanation.name, explanation.reading
    match = index.find(name, explanation.provider)
    if match is not None:  # forms are switched off
        text = f"let forms match: set {MATCH.variable}=forms"
        yield _Attempt("match forms", match[0].model_id, "forms", text, mode="forms")
    yield from _list_tied_aliases(index, explanation)
    model_ids = [name] if reading is None or reading.opaque else [reading.model, name]
    for model_id in dict.fromkeys(model_ids):
        if model_id not in index.entries:
            covers = "" if model_id == name else "; its entry covers all its snapshots and routes"
            text = f"register {quote(model_id)}{covers}"
            yield _Attempt(_REGISTER, model_id, model_id, text, {"model_id": model_id, **_SAMPLE, "metadata": {}})


def _list_tied_aliases(index: ModelIndex, explanation: Explanation) -> Iterator[_Attempt]:
    """Yield the removal of an alias that two entries share."""
    last = explanation.steps[-1]
    if last.rule != "alias" or len(last.chosen) != 2:  # noqa: PLR2004 - with one of two removed, the other one is left
        return
    for kept, other in (last.chosen, last.chosen[::-1]):
        entry, alias = index.entries[other], last.tried or ""
        data = _with_metadata(entry.to_dict(), aliases=[each for each in entry.aliases if each != alias])
        yield _Attempt("remove alias", kept, alias, f"remove the alias {quote(alias)} from {quote(other)}", data)


def _try(index: ModelIndex, explanation: Explanation, attempt: _Attempt) -> Remedy | None:
    """Return an attempt as a remedy, if the name then matches the entry that it is about."""
    try:
        changed = index if attempt.entry is None else index.put(ModelRegistryEntry.from_dict(attempt.entry))
    except InvalidValueError:  # such as an alias that is too long
        return None
    name, provider = attempt.name or explanation.name, attempt.provider or explanation.provider
    match = changed.find(name, provider, attempt.mode or explanation.mode)
    if match is None or match[0].model_id != attempt.model_id:
        return None
    return Remedy(attempt.action, attempt.model_id, attempt.value, attempt.text, match[1])
