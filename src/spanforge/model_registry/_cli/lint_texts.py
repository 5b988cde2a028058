"""Rules about providers, owners, contacts, keys of the metadata, and files without entries."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._cli.lint_types import Issue
from spanforge.model_registry._core.globs import is_glob
from spanforge.model_registry._core.look_alikes import make_skeleton
from spanforge.model_registry._core.name_routes import PROVIDER_SPELLINGS
from spanforge.model_registry._core.names import canonical_provider
from spanforge.model_registry._core.near_misses import list_near_misses
from spanforge.model_registry._core.odd_names import show_ascii
from spanforge.model_registry._core.similar_names import MAX_COMPARED_LENGTH, find_similar_names
from spanforge.model_registry._core.values import escape, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._cli.lint_types import Catalog

_KNOWN_PROVIDERS: Final = frozenset(PROVIDER_SPELLINGS.values())
_SEVERAL_WORDS: Final = re.compile(r"[\s,;|]+")
_LIKE_PROVIDER: Final = 0.82
"""The similarity from which an unknown provider counts as a known one that is misspelt. No two known ones have it."""
_MAX_ANSWERS: Final = 10_000
"""The limit of remembered texts of each kind. The entries of a registry share most of them."""
_UNFILLED: Final = re.compile(
    r"\s*(?:<.*>|\?+|-+|(?-i:TODO|TBD|FIXME|XXX)\b.*|to ?do|tb[ad]|fix ?me|x{2,}|n/?a|none|null"
    r"|unknown|nobody)\s*",
    re.IGNORECASE | re.DOTALL,
)
_FILLED_BY_PEOPLE: Final = ("name", "version", "owner", "purpose")


def find_glob_providers(catalog: Catalog) -> Iterator[Issue]:
    """Yield providers with wildcards."""
    for number, field, text in _list_providers(catalog):
        if is_glob(text):
            yield Issue(number, field, f"provider {quote(text)} is a glob, and only aliases can be globs")


def find_frameworks(catalog: Catalog) -> Iterator[Issue]:
    """Yield providers that are frameworks, gateways or placeholders."""
    for number, field, text in _list_providers(catalog):
        if canonical_provider(text) is None:
            yield Issue(number, field, f"{quote(text)} is not a provider, so the entry never matches a call with one")


def find_unknown_providers(catalog: Catalog) -> Iterator[Issue]:
    """Yield unknown providers that are nearly a known one, or that no span can name."""
    for number, field, text in _list_providers(catalog):
        if _is_unknown_provider(text):
            near = _find_near_provider(text)
            if near is not None or _SEVERAL_WORDS.search(text):
                fix = None if near is None else f"Write {near}, if that is meant."
                yield Issue(number, field, f"provider {quote(text)} is not known", fix)


def _is_unknown_provider(text: str) -> bool:
    canonical = canonical_provider(text)
    return canonical is not None and canonical not in _KNOWN_PROVIDERS and not is_glob(text)


def find_provider_spellings(catalog: Catalog) -> Iterator[Issue]:
    """Yield providers that are known but for letter case and white space."""
    for number, field, text in _list_providers(catalog):
        canonical = canonical_provider(text)
        if text not in PROVIDER_SPELLINGS and canonical in _KNOWN_PROVIDERS:
            fix = f"Write {canonical}."
            yield Issue(number, field, f"provider {quote(text)} is an unusual spelling", fix)


def _list_providers(catalog: Catalog) -> Iterator[tuple[int, str, str]]:
    """Yield the number of the entry, the field and the text of each provider."""
    for number, entry in enumerate(catalog.entries):
        if "provider" in entry.metadata:
            is_one = isinstance(entry.metadata["provider"], str)
            for place, text in enumerate(entry.providers):
                yield number, "metadata.provider" if is_one else f"metadata.provider[{place}]", text


@lru_cache(maxsize=_MAX_ANSWERS)
def _find_near_provider(text: str) -> str | None:
    """Return the canonical name of the known provider that an unknown one is similar to, or that it contains."""
    words = _SEVERAL_WORDS.split(text[:MAX_COMPARED_LENGTH].strip().lower())
    known = {PROVIDER_SPELLINGS[word] for word in words if word in PROVIDER_SPELLINGS} if words[1:] else set()
    near = find_similar_names("_".join(words), PROVIDER_SPELLINGS, likeness=_LIKE_PROVIDER)
    if near:
        return PROVIDER_SPELLINGS[near[0]]
    return known.pop() if len(known) == 1 else None


def find_owners_without_contact(catalog: Catalog) -> Iterator[Issue]:
    """Yield each owner without a contact in some entries, at the first of them."""
    first: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for number, entry in enumerate(catalog.entries):
        if not entry.metadata.get("contact") and entry.status != "retired":
            first.setdefault(entry.owner, number)
            numbers[entry.owner] = numbers.get(entry.owner, 0) + 1
    for owner, number in first.items():
        count = numbers[owner]
        where = "one entry" if count == 1 else f"{count:,} entries"
        yield Issue(number, "owner", f"owner {quote(owner)} has no contact in {where}")


def find_owner_spellings(catalog: Catalog) -> Iterator[Issue]:
    """Yield owners that another entry writes with other letter case, marks or look-alikes."""
    first: dict[str, str] = {}
    reported: set[str] = set()
    for number, entry in enumerate(catalog.entries):
        spelled = first.setdefault(_spell_owner(entry.owner), entry.owner)
        if spelled != entry.owner and entry.owner not in reported:
            reported.add(entry.owner)
            show = quote if (entry.owner + spelled).isascii() else show_ascii
            message = f"owner {show(entry.owner)} is {show(spelled)} in other entries"
            yield Issue(number, "owner", message)


@lru_cache(maxsize=_MAX_ANSWERS)
def _spell_owner(owner: str) -> str:
    return re.sub(r"[\s_-]+", "", make_skeleton(owner)) or owner


def find_unfilled_fields(catalog: Catalog) -> Iterator[Issue]:
    """Yield fields with a word in place of their value."""
    for number, entry in enumerate(catalog.entries):
        for field in _FILLED_BY_PEOPLE:
            text = getattr(entry, field)
            if _is_unfilled(text):
                yield Issue(number, field, f"{field} is {quote(text)}")


@lru_cache(maxsize=_MAX_ANSWERS)
def _is_unfilled(text: str) -> bool:
    return _UNFILLED.fullmatch(text) is not None


def find_near_misses(catalog: Catalog) -> Iterator[Issue]:
    """Yield misspelt and misplaced keys of the metadata, and templates that were not rendered."""
    for number, entry in enumerate(catalog.entries):
        for near_miss in list_near_misses(entry):
            yield Issue(number, near_miss.field, f"{escape(near_miss.field)} {near_miss.problem}")
