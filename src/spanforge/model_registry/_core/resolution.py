"""Resolution of model names to entries: the index of a registry's ids, aliases, forms and globs."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.form_table import FormTable
from spanforge.model_registry._core.globs import Glob, GlobTable, is_glob, list_plain_aliases
from spanforge.model_registry._core.matching import (
    NO_MATCH,
    Claim,
    Match,
    MatchRule,
    ReadLimits,
    choose_entry,
    explain,
    read_canonical_providers,
    read_providers,
)
from spanforge.model_registry._core.names import MatchMode, NameForms, NameKey, canonical_provider, parse, read_forms
from spanforge.model_registry._core.overlay import OverlayMap
from spanforge.model_registry._core.values import quote
from spanforge.model_registry._core.warning_texts import NOT_REGISTERED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.entry import ModelRegistryEntry

UNREGISTERED: Final = "unregistered"
"""The status of a model that no entry matches."""


class Resolution(NamedTuple):
    """The result of a lookup of model names.

    Attributes:
        entry: The entry that matched; ``None`` if none did.
        status: The status of the entry; ``unregistered`` if none matched.
        warnings: The warnings for a caller of the model; empty for an active model.
        rule: The rule that matched: ``id``, ``alias``, ``form`` or ``glob``; ``None`` if none did.
        candidate: The name that matched, or the first name if none did.
    """

    entry: ModelRegistryEntry | None
    status: str
    warnings: tuple[str, ...]
    rule: MatchRule | None
    candidate: str


_new_resolution: Final = functools.partial(tuple.__new__, Resolution)
"""Hot path: the constructor without its Python function, which takes as long as two lookups."""


class ModelIndex:
    """The entries of a registry by id, alias, form and glob. An index is immutable; ``put`` returns a new one.

    The order of the entries never decides which of them matches a name.

    Attributes:
        entries: The entries by id, in the order of registration.
        name_count: The number of ids and aliases, as many as a file of the entries has.

    Args:
        entries: The entries, in the order of registration.
    """

    __slots__ = (
        "_aliases",
        "_base",
        "_forms",
        "_globs",
        "_has_more_names",
        "_overlay",
        "entries",
        "name_count",
    )

    def __init__(self, entries: Iterable[ModelRegistryEntry] = ()) -> None:
        by_id = {entry.model_id: entry for entry in entries}
        aliases: dict[str, tuple[str, ...]] = {}
        shared: dict[str, list[str]] = {}
        globs: list[Glob] = []
        name_count = 0
        for entry in by_id.values():
            owner = (entry.model_id,)  # one object for all names of an entry
            names = entry.aliases
            name_count += 1 + len(names)
            for name in dict.fromkeys(names):
                if is_glob(name):
                    globs.append(Glob(name, entry.model_id))
                elif aliases.setdefault(name, owner) is not owner:
                    shared.setdefault(name, [*aliases[name]]).append(entry.model_id)
        aliases.update((name, tuple(model_ids)) for name, model_ids in shared.items())
        forms = FormTable(itertools.chain(by_id, (name for name in aliases if name not in by_id)))
        self._set(OverlayMap(by_id), OverlayMap(aliases), forms, GlobTable(globs), name_count)

    def _set(
        self,
        entries: OverlayMap[str, ModelRegistryEntry],
        aliases: OverlayMap[str, tuple[str, ...]],
        forms: FormTable,
        globs: GlobTable,
        name_count: int,
    ) -> None:
        self.entries, self.name_count = entries, name_count
        self._aliases, self._forms, self._globs = aliases, forms, globs
        # Hot path: ``search`` reads the dicts directly, because one method call takes as long as two lookups.
        self._overlay, self._base = entries.overlay, entries.base
        self._has_more_names = bool(aliases) or bool(globs)

    def put(self, entry: ModelRegistryEntry) -> ModelIndex:
        """Return the index with this entry added, or in place of the entry with the same id."""
        old = self.entries.get(entry.model_id)
        entries = self.entries.with_items({entry.model_id: entry})
        if old is not None and old.aliases != entry.aliases:
            return ModelIndex(entries.values())
        aliases, forms, globs, name_count = self._aliases, self._forms, self._globs, self.name_count
        if old is None:
            name_count += 1 + len(entry.aliases)
            names = list_plain_aliases(entry)
            if names:
                aliases = aliases.with_items({name: (*aliases.get(name, ()), entry.model_id) for name in names})
            forms = forms.with_texts((entry.model_id, *names))
            added = Glob.of(entry) if entry.aliases else []
            globs = globs.with_globs(added) if added else globs
        index = ModelIndex.__new__(ModelIndex)
        index._set(entries, aliases, forms, globs, name_count)  # noqa: SLF001 - its own class
        return index

    def list_parts(self) -> list[object]:
        """Return the large parts of which the index consists, without its entries."""
        return [self._globs, self._forms, self._aliases, self.entries]

    @property
    def has_globs(self) -> bool:
        """Whether entries have globs."""
        return bool(self._globs)

    def match_globs(self, name: str) -> list[Glob]:
        """Return the globs that match a name."""
        return self._globs.match(name)

    def list_shared_forms(self) -> Iterator[list[str]]:
        """Yield the ids and aliases that have the same form, or that several entries have."""
        yield from filter(self._may_be_shared, self._forms.list_groups())

    def list_shared_forms_of(self, names: Iterable[str]) -> Iterator[list[str]]:
        """Yield the same lists as ``list_shared_forms``, but only those with one of these ids and aliases.

        The index may lack some of them, because another thread may have replaced their entry.
        """
        seen: set[str] = set()
        for name in names:
            if name not in seen:
                texts = self._forms.list_texts_like(name)
                seen.update(texts)
                if texts and self._may_be_shared(texts):
                    yield texts

    def _may_be_shared(self, texts: list[str]) -> bool:
        """Check whether ids and aliases with the same form may have several owners."""
        return len(texts) > 1 or self._has_several_owners(texts[0])

    def _has_several_owners(self, text: str) -> bool:
        """Check whether several entries have an id or alias. This does not read the entries, which takes longer."""
        if text not in self._aliases:
            return False
        model_ids = self._aliases[text]
        return len(model_ids) > 1 or (text in self.entries and text not in model_ids)

    def list_texts_like(self, text: str) -> list[str]:
        """Return the ids and aliases that have the same form as a text."""
        return self._forms.list_texts_like(text)

    def list_owners(self, texts: Iterable[str]) -> list[ModelRegistryEntry]:
        """Return the entries that have one of these ids and aliases."""
        model_ids = dict.fromkeys(each for text in texts for each in (text, *self._aliases.get(text, ())))
        return [self.entries[model_id] for model_id in model_ids if model_id in self.entries]

    def resolve(self, names: Iterable[str], provider: str | None = None, mode: MatchMode = "forms") -> Resolution:
        """Return the resolution of the first of these names that matches, or of the first name if none matches.

        Args:
            names: The names, in the order in which they are tried.
            provider: The provider that serves the model, as a span names it; ``None`` if it is not known.
            mode: Whether forms match.

        Raises:
            ValueError: There is no name.
        """
        first: str | None = None
        nearly = NO_MATCH
        for name in names:
            match = self.search(name, provider, mode)
            entry = match.entry
            if entry is not None:
                return Resolution(entry, entry.status, entry.warnings, match.rule, name)
            if first is None:
                first, nearly = name, match
        if first is None:
            msg = "no name to resolve"
            raise ValueError(msg)
        warnings: tuple[str, ...] = (NOT_REGISTERED % quote(first),)
        if nearly is not NO_MATCH:
            warnings += explain(nearly, _find_decisive_provider(first, provider, mode))
        return _new_resolution((None, UNREGISTERED, warnings, None, first))

    def find(
        self, name: str, provider: str | None = None, mode: MatchMode = "forms"
    ) -> tuple[ModelRegistryEntry, MatchRule] | None:
        """Return the entry that matches the name, and the rule; ``None`` if no entry matches, or if several do."""
        match = self.search(name, provider, mode)
        return None if match.entry is None or match.rule is None else (match.entry, match.rule)

    def search(self, name: str, provider: str | None = None, mode: MatchMode = "forms") -> Match:
        """Return the entry that matches the name; if none does, the entries that nearly do.

        The rules are tried in this order: id, alias, form, glob. Ids and aliases match the name as it is, with and
        without the provider before it. A glob goes before a form if its fixed text contains the base name and more.
        """
        overlay, base = self._overlay, self._base
        full_name = f"{provider}/{name}" if provider else name
        names = (full_name, name) if provider else (name,)
        entry = overlay.get(full_name) or base.get(full_name) or overlay.get(name) or base.get(name)
        if entry is None:
            if self._is_unlike_all(name, names, provider, mode):
                return NO_MATCH
        elif not entry.providers:
            return Match(entry, "id")  # most names are the id of such an entry
        forms = _make_forms(name, provider, mode)
        return choose_entry(self._list_claims(names, forms), forms.provider)

    def list_claims(
        self, name: str, provider: str | None = None, mode: MatchMode = "forms"
    ) -> tuple[NameForms, list[tuple[MatchRule, list[Claim]]]]:
        """Return the forms of a name, and the rules with the entries that they match, among which ``search`` chooses.

        The rules are in the order of precedence. Id and alias come once for each name that is tried: first for the name
        with the provider before it. If a glob goes before a form, the rule glob comes twice.
        """
        names = (f"{provider}/{name}", name) if provider else (name,)
        forms = _make_forms(name, provider, mode)
        return forms, list(self._list_claims(names, forms))

    def list_form_texts(self, key: NameKey) -> list[str]:
        """Return the ids and aliases that a key of a name finds."""
        return [text for text, _ in self._forms.list_texts(key)]

    def _is_unlike_all(self, name: str, names: tuple[str, ...], provider: str | None, mode: MatchMode) -> bool:
        """Check whether a name that is no id has no entry either by alias, form or glob."""
        if self._has_more_names:
            for each in names:
                if each in self._aliases.overlay or each in self._aliases.base or self._globs.match(each):
                    return False
        return mode == "exact" or not self._forms.has_form_of(name, provider)

    def _list_claims(self, names: tuple[str, ...], forms: NameForms) -> Iterator[tuple[MatchRule, list[Claim]]]:
        """Yield the rules in the order of precedence, with the entries that they match.

        Args:
            names: The name, after the name with the provider before it.
            forms: The forms of the name; without keys if forms do not match.
        """
        read_limits = read_canonical_providers if forms.keys else read_providers
        for name in names:
            yield "id", self._list_claims_by_id([name], read_limits)
        for name in names:
            yield "alias", self._list_claims_by_id(self._aliases.get(name, ()), read_limits)
        globs = [glob for name in names for glob in self._globs.match(name)] if self._globs else []
        by_form = self._list_claims_by_form(forms)
        if by_form:
            longer = [glob for glob in globs if glob.contains_more_than(forms.base)]
            yield "glob", self._list_claims_by_glob(longer, read_limits)
            yield "form", by_form
        yield "glob", self._list_claims_by_glob(globs, read_limits)

    def _list_claims_by_id(self, model_ids: Iterable[str], read_limits: ReadLimits) -> list[Claim]:
        entries = [self.entries[model_id] for model_id in model_ids if model_id in self.entries]
        return [Claim(entry, read_limits(entry)) for entry in entries]

    def _list_claims_by_glob(self, globs: Iterable[Glob], read_limits: ReadLimits) -> list[Claim]:
        entries = [(self.entries[glob.model_id], glob.rank) for glob in globs]
        return [Claim(entry, read_limits(entry), rank) for entry, rank in entries]

    def _list_claims_by_form(self, forms: NameForms) -> list[Claim]:
        """Return the entries with one of the keys of a name."""
        claims: list[Claim] = []
        for rank, key in enumerate(forms.keys):
            for text, routed_to in self._forms.list_texts(key):
                claims += self._list_claims_by_text(text, routed_to, -rank)
        return claims

    def _list_claims_by_text(self, text: str, routed_to: str | None, rank: int) -> Iterator[Claim]:
        """Yield the entries that have a text as id or alias. The provider of its route limits them, if it has one."""
        for entry in self.list_owners([text]):
            limits = read_canonical_providers(entry) or ([] if routed_to is None else [routed_to])
            yield Claim(entry, limits, (rank,))


def _make_forms(name: str, provider: str | None, mode: MatchMode) -> NameForms:
    """Return the forms of a name on a span with this provider; no forms if the match is exact."""
    return NameForms([], provider or None) if mode == "exact" else read_forms(name, provider)


def _find_decisive_provider(name: str, provider: str | None, mode: MatchMode) -> str | None:
    """Return the provider that decides for a name: that of its route, or else the span's provider as it is written."""
    canonical = canonical_provider(provider) if provider else None
    of_route = parse(name, canonical).provider if mode == "forms" else None
    return of_route or provider
