"""The explanation of a resolution: each rule that was tried, what it found, and which one decided.

The rules and their order are those of ``ModelIndex``. This module only adds which text of an entry matched, and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._cli.name_reading import NameReading, read_name
from spanforge.model_registry._core.matching import Claim, MatchRule, choose_best

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanforge.model_registry._core.names import MatchMode, NameForms
    from spanforge.model_registry._core.resolution import ModelIndex, Resolution

_RuleClaims = tuple[MatchRule, list[Claim]]
_VERBATIM_RULES: Final = ("id", "alias")
"""The rules that compare a name as it is."""


class FoundEntry(NamedTuple):
    """An entry that a rule found.

    Attributes:
        model_id: The id of the entry.
        text: The id, alias or glob that matched.
        providers: The providers to which the entry is limited; empty if it is not limited.
        ignored: The parts of the name that the rule form ignored, such as ``snapshot``.
    """

    model_id: str
    text: str
    providers: tuple[str, ...]
    ignored: tuple[str, ...] = ()


class RuleStep(NamedTuple):
    """One rule that was tried.

    Attributes:
        rule: The rule.
        tried: The name that the rules id and alias looked up; ``None`` for the rules form and glob.
        found: The entries that it found, also those that are limited to other providers.
        chosen: The ids of the entries that match best: one decides, several are a tie, none lets the next rule try.
    """

    rule: MatchRule
    tried: str | None
    found: tuple[FoundEntry, ...]
    chosen: tuple[str, ...]


class Explanation(NamedTuple):
    """How a name was resolved.

    Attributes:
        name: The name.
        provider: The provider that was passed with it, if any.
        mode: Whether forms match.
        reading: How the name is read; ``None`` if forms do not match.
        steps: The rules that were tried, up to the one that decided.
        resolution: The result.
    """

    name: str
    provider: str | None
    mode: MatchMode
    reading: NameReading | None
    steps: tuple[RuleStep, ...]
    resolution: Resolution

    @property
    def matched(self) -> FoundEntry | None:
        """What matched; ``None`` if no entry did."""
        entry = self.resolution.entry
        if entry is None or not self.steps:
            return None
        return next((found for found in self.steps[-1].found if found.model_id == entry.model_id), None)


def explain_resolution(
    index: ModelIndex, name: str, provider: str | None = None, mode: MatchMode = "forms"
) -> Explanation:
    """Return how a name is resolved.

    Args:
        index: The registry's entries.
        name: The name.
        provider: The provider that serves the model, as a span names it; ``None`` if it is not known.
        mode: Whether forms match.
    """
    reading = None if mode == "exact" else read_name(name, provider)
    steps = tuple(_take_steps(index, name, provider, mode))
    return Explanation(name, provider, mode, reading, steps, index.resolve((name,), provider, mode))


def _take_steps(index: ModelIndex, name: str, provider: str | None, mode: MatchMode) -> Iterator[RuleStep]:
    """Yield the rules up to the one that decides."""
    forms, rules = index.list_claims(name, provider, mode)
    tried_names = (f"{provider}/{name}", name) if provider else (name,)
    describe = _Describer(index, name, forms, tried_names)
    for number, (rule, claims) in enumerate(_add_empty_rule(rules, forms)):
        tried = tried_names[number % len(tried_names)] if rule in _VERBATIM_RULES else None
        chosen = tuple(entry.model_id for entry in choose_best(claims, forms.provider))
        found = tuple(dict.fromkeys(describe(rule, claim, tried) for claim in claims))
        yield RuleStep(rule, tried, found, chosen)
        if chosen:
            return


def _add_empty_rule(rules: Sequence[_RuleClaims], forms: NameForms) -> list[_RuleClaims]:
    """Return the rules with the rule form also if it finds nothing, and without globs before it that find nothing."""
    *verbatim, last = [(rule, claims) for rule, claims in rules[:-1] if rule != "glob" or claims] + [rules[-1]]
    has_forms = any(rule == "form" for rule, _ in verbatim)
    empty: list[_RuleClaims] = [("form", [])] if forms.keys and not has_forms else []
    return [*verbatim, *empty, last]


class _Describer:
    """Describes what a rule found for a name.

    Args:
        index: The registry's entries.
        name: The name.
        forms: Its forms.
        tried_names: The names that were tried: with the provider before it, and as it is.
    """

    def __init__(self, index: ModelIndex, name: str, forms: NameForms, tried_names: Sequence[str]) -> None:
        self._index, self._name, self._forms, self._tried_names = index, name, forms, tried_names

    def __call__(self, rule: MatchRule, claim: Claim, tried: str | None) -> FoundEntry:
        """Return an entry that a rule found, with the text that matched."""
        model_id, limits = claim.entry.model_id, tuple(claim.providers)
        if tried is not None:
            return FoundEntry(model_id, tried, limits)
        if rule == "glob":
            return FoundEntry(model_id, self._find_glob(claim), limits)
        text = self._find_form(claim)
        differences = _list_ignored(read_name(self._name, self._forms.provider), read_name(text))
        return FoundEntry(model_id, text, limits, differences)

    def _find_glob(self, claim: Claim) -> str:
        globs = (glob for tried in self._tried_names for glob in self._index.match_globs(tried))
        wanted = claim.entry.model_id, claim.rank
        return next(glob.text for glob in globs if (glob.model_id, glob.rank) == wanted)

    def _find_form(self, claim: Claim) -> str:
        texts = self._index.list_form_texts(self._forms.keys[-claim.rank[0]])
        return next(text for text in texts if claim.entry in self._index.list_owners([text]))


def _list_ignored(name: NameReading, text: NameReading) -> tuple[str, ...]:
    """Return the parts of a name in which it differs from an id or alias of which it is a form."""
    differences = {
        "route": bool(name.before) and name.before != text.before,
        "spelling": name.model != text.model,
        "snapshot": name.snapshot is not None and text.snapshot != name.snapshot,
        "revision": name.revision is not None and text.revision != name.revision,
        "tag": name.after != text.after and name.snapshot == text.snapshot and name.revision == text.revision,
    }
    return tuple(part for part, differs in differences.items() if differs)
