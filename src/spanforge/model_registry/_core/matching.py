"""Matching: the choice among the entries that a rule matches, and the explanation if there is none."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from spanforge.model_registry._core.names import canonical_provider
from spanforge.model_registry._core.values import quote
from spanforge.model_registry._core.warning_texts import EQUAL_MATCHES, OTHER_PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry

MatchRule = Literal["id", "alias", "form", "glob"]
MAX_IDS: Final = 5
"""The limit of ids that a warning lists, so that it stays readable."""


ReadLimits = Callable[["ModelRegistryEntry"], Collection[str]]
"""A function that returns the providers to which an entry is limited."""


class Match(NamedTuple):
    """The result of a search for one name.

    Attributes:
        entry: The entry that matches; ``None`` if none does.
        rule: The rule by which it matches.
        ambiguous: The entries that match equally well, if there are several.
        refused: The entries that would match, but are limited to other providers.
    """

    entry: ModelRegistryEntry | None = None
    rule: MatchRule | None = None
    ambiguous: tuple[ModelRegistryEntry, ...] = ()
    refused: tuple[ModelRegistryEntry, ...] = ()


NO_MATCH: Final = Match()


class Claim(NamedTuple):
    """An entry that a rule matches.

    Attributes:
        entry: The entry.
        providers: The providers to which it is limited; empty if it is not limited.
        rank: How specific the match is; a greater rank goes first.
    """

    entry: ModelRegistryEntry
    providers: Collection[str]
    rank: tuple[int, ...] = ()


def choose_entry(rules: Iterable[tuple[MatchRule, Sequence[Claim]]], provider: str | None) -> Match:
    """Return the match of the first rule that has one.

    Args:
        rules: The rules in the order of precedence, with the entries that they match.
        provider: The provider that serves the model; ``None`` if it is not known.
    """
    refused: dict[str, ModelRegistryEntry] = {}
    for rule, claims in rules:
        best = choose_best(claims, provider)
        if len(best) == 1:
            return Match(best[0], rule)
        if best:
            return Match(ambiguous=tuple(best))
        refused.update((claim.entry.model_id, claim.entry) for claim in claims)
    return Match(refused=tuple(refused[model_id] for model_id in sorted(refused))) if refused else NO_MATCH


def choose_best(claims: Iterable[Claim], provider: str | None) -> list[ModelRegistryEntry]:
    """Return the entries that match equally well, ordered by id; none if all are limited to other providers.

    An entry that is limited to the provider goes before one that is not limited. If the provider is not known, the more
    specific match goes first, and among equals an entry that is not limited.
    """
    by_order: dict[tuple[Any, ...], dict[str, ModelRegistryEntry]] = {}
    for entry, providers, rank in claims:
        if provider is None:
            order: tuple[Any, ...] = (rank, not providers)
        elif not providers or provider in providers:
            order = (bool(providers), rank)
        else:
            continue
        by_order.setdefault(order, {})[entry.model_id] = entry
    if not by_order:
        return []
    best = by_order[max(by_order)]
    return [best[model_id] for model_id in sorted(best)]


def explain(match: Match, provider: str | None) -> tuple[str, ...]:
    """Return the reason why a name has no entry although some entries nearly match, as one sentence.

    Args:
        match: The result of the search.
        provider: The provider that decided: that of the name's route, or else that of the span.
    """
    if match.ambiguous:
        return (describe_ambiguous(match.ambiguous),)
    if match.refused:
        return (f"{describe_refused(match.refused)} {quote(provider or '')}",)
    return ()


def describe_ambiguous(entries: Iterable[ModelRegistryEntry]) -> str:
    """Return the sentence about entries that match a name equally well."""
    return EQUAL_MATCHES % _join_ids(entries)


def describe_refused(entries: Iterable[ModelRegistryEntry]) -> str:
    """Return the sentence about entries that are limited to other providers, without the provider at its end."""
    return OTHER_PROVIDERS % _join_ids(entries)


def _join_ids(entries: Iterable[ModelRegistryEntry]) -> str:
    model_ids = sorted(entry.model_id for entry in entries)
    shown = [quote(model_id) for model_id in model_ids[:MAX_IDS]]
    if len(model_ids) > MAX_IDS:
        shown.append(f"{len(model_ids) - MAX_IDS} more")
    return ", ".join(shown)


def read_providers(entry: ModelRegistryEntry) -> Collection[str]:
    """Return the providers to which an entry is limited, as they are written."""
    return entry.providers


def read_canonical_providers(entry: ModelRegistryEntry) -> Collection[str]:
    """Return the canonical names of the providers to which an entry is limited."""
    return [canonical_provider(text) or text for text in entry.providers]
