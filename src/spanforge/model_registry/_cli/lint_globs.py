"""Rules about globs: which of them match other models, and which of them no one can tell apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._cli.lint_types import Issue, list_written_globs
from spanforge.model_registry._core.globs import Glob, list_plain_names, split_glob
from spanforge.model_registry._core.name_conflicts import list_written_names, read_limits_of
from spanforge.model_registry._core.names import is_form_of
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._cli.lint_types import Catalog, WrittenName
    from spanforge.model_registry._core.entry import ModelRegistryEntry

SIBLING_WORDS: Final = ("mini", "audio-preview", "pro", "lite", "turbo", "instruct", "realtime")
"""Words that make another model of a name: OpenAI, Google, Mistral AI and Meta use them."""
_ANY_WILDCARD: Final = re.compile(r"\*|\?|\[!?\]?[^\]]*\]")
_SIZE_IN_BRACKETS: Final = re.compile(r"(?<!\[)\[([0-9]+[kKmM])\]\Z")
_DATED_END: Final = re.compile(r"[-@](?:20?|20\d[\d-]*|0[\d-]*|1\d[\d-]*|v\d*|\d{3,})-?\Z")
"""The end of fixed text that a snapshot or a revision continues: ``-2``, ``-2024-``, ``-v``."""


def find_all_matching_globs(catalog: Catalog) -> Iterator[Issue]:
    """Yield globs whose fixed text has no letter and no digit, so that they can match many models, or all."""
    for name in list_written_globs(catalog):
        if _matches_all(name):
            message = f"glob {quote(name.text)} has no letter or digit outside brackets, so it can match many models"
            yield Issue(name.number, name.field, message)


def _matches_all(name: WrittenName) -> bool:
    return "*" in name.text and not any(character.isalnum() for text in split_glob(name.text) for character in text)


def find_wide_globs(catalog: Catalog) -> Iterator[Issue]:
    """Yield globs that match another entry's names, or further models of a family: ``acme-chat-*``."""
    taken = _list_taken_models(catalog) if catalog.index.has_globs else {}
    for name in list_written_globs(catalog):
        entry = catalog.entries[name.number]
        other = taken.get((entry.model_id, name.text)) or _find_sibling(entry, name.text)
        if other is not None and not _matches_all(name):
            message = f"glob {quote(name.text)} also matches other models, such as {quote(other)}"
            yield Issue(name.number, name.field, message)


def _find_sibling(entry: ModelRegistryEntry, text: str) -> str | None:
    """Return a name that a glob matches and that is another model; ``None`` if none is known."""
    if "*" not in text:
        return None
    pattern, own_names = Glob(text, entry.model_id).pattern, list_plain_names(entry)
    names = (f"{base}-{word}" for base in _list_bases(own_names, text) for word in SIBLING_WORDS)
    return next((name for name in names if name not in own_names and pattern.match(name)), None)


def _list_bases(own_names: Iterable[str], text: str) -> Iterator[str]:
    """Yield the names of models that a glob is about: those of its entry, and what is before its last star."""
    yield from (name for name in own_names if "*" not in name)
    before = text[: text.rindex("*")]
    base = _ANY_WILDCARD.sub("", before.removesuffix("-"))
    if base and (before.endswith("-") or before[-1].isalnum()) and _DATED_END.search(before) is None:
        yield base


def _list_taken_models(catalog: Catalog) -> dict[tuple[str, str], str]:
    """Return, for each glob that matches another entry, a name of that one. A snapshot may have an entry of its own."""
    taken: dict[tuple[str, str], str] = {}
    for entry in catalog.index.entries.values():
        for name in list_written_names(entry):
            for glob in catalog.index.match_globs(name):
                if glob.model_id != entry.model_id and _takes_model(catalog, glob, entry, name):
                    taken.setdefault((glob.model_id, glob.text), name)
    return taken


def _takes_model(catalog: Catalog, glob: Glob, entry: ModelRegistryEntry, name: str) -> bool:
    """Check whether a glob that matches a name of another entry is for the same providers and for another model."""
    owner = catalog.index.entries[glob.model_id]
    return _can_clash(owner, glob.text, entry, name) and not is_form_of(name, owner.model_id)


def find_globs_in_other_case(catalog: Catalog) -> Iterator[Issue]:
    """Yield globs that have a name of the model in other letters. Globs match letter by letter."""
    for name in list_written_globs(catalog):
        own_names = list_plain_names(catalog.entries[name.number])
        lowered = name.text.lower()
        other = next((each for each in own_names if each.lower() in lowered), None)
        if other is not None and not any(each in name.text for each in own_names):
            message = f"glob {quote(name.text)} does not match {quote(other)}, which has other letters"
            yield Issue(name.number, name.field, message)


def find_sizes_in_brackets(catalog: Catalog) -> Iterator[Issue]:
    """Yield aliases that end with a size in brackets, such as ``[1m]``."""
    for name in list_written_globs(catalog):
        size = _SIZE_IN_BRACKETS.search(name.text)
        if size is not None:
            before = name.text[: size.start()]
            message = f"alias {quote(name.text)} is a glob for one character, as in {quote(before + size[1][0])}"
            fix = f"Write {before}[[]{size[1]}], in which only the first bracket is special."
            yield Issue(name.number, name.field, message, fix)


def find_tied_globs(catalog: Catalog) -> Iterator[Issue]:
    """Yield globs that match the same names as equally specific globs of another entry."""
    if not catalog.index.has_globs:
        return
    for name in list_written_globs(catalog):
        entry = catalog.entries[name.number]
        matches = catalog.index.match_globs(_ANY_WILDCARD.sub(_choose_character, name.text))
        own = [glob for glob in matches if (glob.model_id, glob.text) == (entry.model_id, name.text)]
        for other in matches if own else ():
            owner = catalog.index.entries[other.model_id]
            is_earlier = catalog.numbers[owner.model_id] < name.number
            if is_earlier and own[0].rank == other.rank and _can_clash(owner, other.text, entry, name.text):
                message = (
                    f"glob {quote(name.text)} and {quote(other.text)} of model {quote(owner.model_id)} "
                    "match the same names equally well"
                )
                yield Issue(name.number, name.field, message)
                break


def _choose_character(wildcard: re.Match[str]) -> str:
    """Return a character that a wildcard matches."""
    text = wildcard[0]
    if not text.startswith("["):
        return "0"
    if text.startswith("[!"):
        return next(character for character in "0a-" if character not in text[2:] or character == "-")
    return text[1]


def _can_clash(one: ModelRegistryEntry, one_text: str, two: ModelRegistryEntry, two_text: str) -> bool:
    """Check whether two entries can match calls of one provider."""
    limits, others = read_limits_of(one, one_text), read_limits_of(two, two_text)
    return not limits or not others or bool(limits & others)
