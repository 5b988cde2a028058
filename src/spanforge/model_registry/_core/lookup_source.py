"""The keys of the source of the Collector's lookup processor: names whose entry is certain, whatever else a span has.

A span gets the attributes of a key without any further rule. So a name is left out if its entry depends on more than
the name and the provider. The transform processor then finds its entry.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.globs import Glob, list_plain_names
from spanforge.model_registry._core.name_routes import PROVIDER_SPELLINGS, TAGGING_GATEWAY
from spanforge.model_registry._core.name_tables import NOT_BEDROCK, PROVIDER_WORDS, SEGMENTS
from spanforge.model_registry._core.names import canonical_provider
from spanforge.model_registry._core.provider_tables import BEDROCK
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.names import MatchMode

MAX_KEYS: Final = 20_000
"""The limit of keys, because the Collector parses the whole source at each interval. With 20,000 keys (4.5 MB) this
took 0.4 seconds of a busy core of an AMD EPYC, with 1,000 keys 0.03 seconds."""
SEPARATOR: Final = "\n"
"""The text between a provider and a name in a key."""

_UNLISTED: Final = "\ud800"
"""A provider that no entry and no table has, because entries contain no lone surrogates."""
_PARSING_PROVIDERS: Final = frozenset(
    provider
    for provider in (
        *(row.provider for row in SEGMENTS),
        *(row.provider for row in PROVIDER_WORDS),
        *NOT_BEDROCK,
        BEDROCK,
        TAGGING_GATEWAY,
    )
    if provider is not None
)
"""The providers of a span that change how a name is parsed."""
_MOVING: Final = "-latest"
_MAY_DEPEND: Final = re.compile(
    "|".join([r"[/:.@]", r"v[0-9]", *(re.escape(row.text.strip("-")) for row in PROVIDER_WORDS)]), re.IGNORECASE
)
"""A text in each name that is parsed differently with one of these providers."""


class LookupSource(NamedTuple):
    """The keys of a source.

    Attributes:
        keys: The entry of each key.
        is_full: Whether keys were left out because of the limit.
    """

    keys: dict[str, ModelRegistryEntry]
    is_full: bool


def build_source(entries: Sequence[ModelRegistryEntry], mode: MatchMode, limit: int = MAX_KEYS) -> LookupSource:
    """Return the keys for entries: first ids and aliases, then forms.

    A key is a name. If the provider decides, it is the provider, a line break and the name. Spans without a provider
    have an empty one.
    """
    builder = _SourceBuilder(entries, mode)
    keys: dict[str, ModelRegistryEntry] = {}
    for key, entry in builder.list_keys():
        if len(keys) >= limit and key not in keys:
            return LookupSource(keys, is_full=True)
        keys.setdefault(key, entry)
    return LookupSource(keys, is_full=False)


class _SourceBuilder:
    """Finds the keys."""

    def __init__(self, entries: Sequence[ModelRegistryEntry], mode: MatchMode) -> None:
        self._entries, self._mode = entries, mode
        self._index = ModelIndex(entries)
        self._written = _list_written_providers(entries)
        limits = {provider for entry in entries for provider in entry.providers}
        canonical = {canonical_provider(provider) or provider for provider in limits}
        self._limits = limits if mode == "exact" else canonical & set(PROVIDER_SPELLINGS.values())
        self._probed = (_UNLISTED, *sorted(limits | canonical))

    def list_keys(self) -> Iterator[tuple[str, ModelRegistryEntry]]:
        """Yield the keys with their entries, the most important first."""
        names = dict.fromkeys(name for entry in self._entries for name in list_plain_names(entry))
        for name in names:
            yield from self._list_keys_of(name)
        if self._mode == "forms":
            yield from self._list_form_keys(names)

    def _list_form_keys(self, names: Collection[str]) -> Iterator[tuple[str, ModelRegistryEntry]]:
        """Yield the forms that are not names themselves."""
        # A glob with a slash can match a form with any provider before it.
        if any("/" in glob.text for entry in self._entries for glob in Glob.of(entry)):
            return
        for entry in self._entries:
            for form in dict.fromkeys(_list_known_forms(entry)):
                if form not in names and self._find_general(form) is entry:
                    yield form, entry

    def _list_keys_of(self, name: str) -> Iterator[tuple[str, ModelRegistryEntry]]:
        """Yield the key of a name, or its keys with providers."""
        if SEPARATOR in name:  # such a key could also be a provider and a name
            return
        general = self._find_general(name)
        if general is not None:
            yield name, general
        elif name not in self._written:
            for provider in (None, *sorted(self._limits)):
                entry = self._find(name, provider)
                if entry is not None:
                    yield f"{provider or ''}{SEPARATOR}{name}", entry

    def _find_general(self, name: str) -> ModelRegistryEntry | None:
        """Return the entry that matches a name with any provider and without one."""
        entry = self._find(name, None)
        if entry is None:
            return None
        providers = (*self._probed, *self._written.get(name, ()))
        if _MAY_DEPEND.search(name):
            providers = (*providers, *_PARSING_PROVIDERS)
        return entry if all(self._find(name, provider) is entry for provider in providers) else None

    def _find(self, name: str, provider: str | None) -> ModelRegistryEntry | None:
        return self._index.search(name, provider, self._mode).entry


def _list_written_providers(entries: Iterable[ModelRegistryEntry]) -> dict[str, list[str]]:
    """Return the texts before a slash in ids and aliases, by the text after it. They may be providers of spans."""
    written: dict[str, list[str]] = {}
    for entry in entries:
        for name in list_plain_names(entry):
            for place in (place for place, char in enumerate(name) if char == "/"):
                written.setdefault(name[place + 1 :], []).append(name[:place])
    return written


def _list_known_forms(entry: ModelRegistryEntry) -> Iterator[str]:
    """Yield the forms of an entry's names that can be listed: in lower case, moving, and with its providers' routes."""
    routes = {provider: None for each in entry.providers for provider in (each, canonical_provider(each) or each)}
    for name in list_plain_names(entry):
        if SEPARATOR not in name:
            yield name.lower()
            yield f"{name}{_MOVING}"
            yield from (f"{route}/{name}" for route in routes)
