"""Rules about ids and aliases: names that never match, and names that match more than one entry."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._cli.lint_types import Issue, find_field, list_written
from spanforge.model_registry._core.globs import list_plain_names
from spanforge.model_registry._core.look_alikes import describe_character, explain_oddity, make_skeleton
from spanforge.model_registry._core.name_conflicts import list_name_clashes
from spanforge.model_registry._core.names import is_placeholder
from spanforge.model_registry._core.odd_names import show_ascii
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._cli.lint_types import Catalog, WrittenName
    from spanforge.model_registry._core.entry import ModelRegistryEntry

_FOREIGN_SIGN: Final = re.compile(r"[\^$\\|,;]|\.\*(?=.*\))|\{.*\}", re.DOTALL)
_ADDRESS: Final = re.compile(r"(?:https?|wss?|ftp|file):/|//|www\.", re.IGNORECASE)
"""The start of an address. Without a scheme, ``hf.co/…`` is a name that clients send."""
_PLAIN_NAME: Final = re.compile(r"[!-~]*")


def find_globs_as_ids(catalog: Catalog) -> Iterator[Issue]:
    """Yield ids with stars or question marks. ``[1m]`` at the end of an id is a part of real names."""
    for number, entry in enumerate(catalog.entries):
        if "*" in entry.model_id or "?" in entry.model_id:
            yield Issue(number, "model_id", f"id {quote(entry.model_id)} is a glob, and an id matches only itself")


def find_foreign_signs(catalog: Catalog) -> Iterator[Issue]:
    """Yield ids and aliases that are written as a regular expression, with braces, or as a list."""
    for name in list_written(catalog):
        sign = _FOREIGN_SIGN.search(name.text)
        if sign is not None:
            yield Issue(name.number, name.field, f"{quote(name.text)} contains {quote(sign[0])}, which no name has")


def find_addresses(catalog: Catalog) -> Iterator[Issue]:
    """Yield ids and aliases that are the address of a service or of a page."""
    for name in list_written(catalog):
        if _ADDRESS.match(name.text):
            yield Issue(name.number, name.field, f"{quote(name.text)} is an address, and names on spans are not")


def find_odd_characters(catalog: Catalog) -> Iterator[Issue]:
    """Yield ids and aliases with characters that names on spans do not have."""
    for name in list_written(catalog):
        if _PLAIN_NAME.fullmatch(name.text) is None:
            oddity = explain_oddity(name.text) or _explain_sign(name.text)
            if oddity is not None:
                yield Issue(name.number, name.field, f"{show_ascii(name.text)} {oddity}")


def _explain_sign(text: str) -> str | None:
    """Return the predicate about the first blank, or the first character beyond ASCII that is no letter or digit."""
    for character in text:
        is_usual = _PLAIN_NAME.fullmatch(character) or unicodedata.category(character)[0] in "LMN"
        if not is_usual:
            return f"contains {describe_character(character)}"
    return None


def find_look_alikes(catalog: Catalog) -> Iterator[Issue]:
    """Yield names that look like a name of another entry, and differ from it in characters beyond ASCII."""
    first_by_skeleton: dict[str, WrittenName] = {}
    for name in list_written(catalog):
        first = first_by_skeleton.setdefault(make_skeleton(name.text), name)
        if first.number != name.number and first.text != name.text and not (first.text + name.text).isascii():
            other = show_ascii(catalog.entries[first.number].model_id)
            message = f"{show_ascii(name.text)} looks like {show_ascii(first.text)} of model {other}"
            yield Issue(name.number, name.field, message)


def find_placeholder_names(catalog: Catalog) -> Iterator[Issue]:
    """Yield ids and aliases that name no model, such as ``unknown``."""
    for name in list_written(catalog):
        if len(name.text) < _LONGEST_PLACEHOLDER and is_placeholder(name.text):
            yield Issue(name.number, name.field, f"{quote(name.text)} on a span means that the model is not known")


_LONGEST_PLACEHOLDER: Final = 32
"""The length from which no name is a placeholder, so that few names are compared with all of them."""


def find_same_names(catalog: Catalog) -> Iterator[Issue]:
    """Yield names that two entries have for the same providers."""
    return (issue for is_same, issue in _list_clashes(catalog) if is_same)


def find_same_forms(catalog: Catalog) -> Iterator[Issue]:
    """Yield names that are another spelling of a name that another entry has for the same providers."""
    return (issue for is_same, issue in _list_clashes(catalog) if not is_same)


@lru_cache(maxsize=1)
def _list_clashes(catalog: Catalog) -> tuple[tuple[bool, Issue], ...]:
    """Return the issue about each entry that shares a form with an earlier one, and whether the names are equal."""
    pairs = (pair for texts in catalog.index.list_shared_forms() for pair in list_name_clashes(catalog.index, texts))
    return tuple((name[1] == other[1], _describe_clash(catalog, name, other)) for name, other in pairs)


def _describe_clash(
    catalog: Catalog, one: tuple[ModelRegistryEntry, str], two: tuple[ModelRegistryEntry, str]
) -> Issue:
    """Return the issue about the later one of two names."""
    (other, other_text), (entry, text) = sorted((one, two), key=lambda each: catalog.numbers[each[0].model_id])
    kind = "id" if text == entry.model_id else "alias"
    if text == other_text:
        other_kind = "the id" if text == other.model_id else "an alias"
        message = f"{kind} {quote(text)} is also {other_kind} of model {quote(other.model_id)}"
    else:
        whose = "model" if other_text == other.model_id else f"alias {quote(other_text)} of model"
        message = f"{kind} {quote(text)} is another spelling of {whose} {quote(other.model_id)}"
    return Issue(catalog.numbers[entry.model_id], find_field(entry, text), message)


def find_shadowed_names(catalog: Catalog) -> Iterator[Issue]:
    """Yield names that match another entry, although their own entry is for the provider of the call."""
    for issue, other in _list_misled_names(catalog):
        if other is not None:
            yield issue


def find_refused_routes(catalog: Catalog) -> Iterator[Issue]:
    """Yield names whose own route names a provider to which the entry is not limited."""
    for issue, other in _list_misled_names(catalog):
        if other is None:
            yield issue


@lru_cache(maxsize=1)
def _list_misled_names(catalog: Catalog) -> tuple[tuple[Issue, ModelRegistryEntry | None], ...]:
    """Return the issue about each name that does not match its own entry, and the entry that it matches."""
    unmatched = []
    for number, entry in enumerate(catalog.entries):
        for name in list_plain_names(entry) if entry.providers else ():
            for provider in entry.providers:
                match = catalog.index.search(name, provider)
                message = None
                if match.entry is not None and match.entry is not entry:
                    other = quote(match.entry.model_id)
                    message = f"{quote(name)} from provider {quote(provider)} matches model {other} instead"
                elif entry in match.refused:
                    message = f"{quote(name)} names a provider itself, which is not {quote(provider)}"
                if message is not None:
                    unmatched.append((Issue(number, find_field(entry, name), message), match.entry))
                    break
    return tuple(unmatched)


def find_repeated_aliases(catalog: Catalog) -> Iterator[Issue]:
    """Yield aliases that the entry has twice, or that are its id."""
    for number, entry in enumerate(catalog.entries):
        seen = {entry.model_id}
        for place, alias in enumerate(entry.aliases):
            if alias in seen:
                what = "the id" if alias == entry.model_id else "an alias"
                yield Issue(
                    number, f"metadata.aliases[{place}]", f"alias {quote(alias)} is already {what} of the entry"
                )
            seen.add(alias)
