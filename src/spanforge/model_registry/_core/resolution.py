"""From the names on a span to an entry: the conventions that hold model names, and the rules that match them."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec

from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry

Rule = Literal["id", "alias", "glob"]

UNREGISTERED: Final = "unregistered"
"""The status of a model that no entry matches."""

MAX_GLOBBED: Final = 1_024
"""Characters of a name that globs are tried on; longer ones match by id or alias only. Bedrock's ARNs have 200."""
MAX_JSON: Final = 262_144
"""Characters of JSON parameters that are looked into for a model."""
_MAX_CACHED: Final = 4_096
_WILDCARD: Final = re.compile(r"[*?[]")


class Convention(NamedTuple):
    """One row of ``CONVENTIONS``.

    Attributes:
        key: The attribute that holds a model's name.
        used_by: Who writes it.
        response: Whether it holds the name that the provider answered with.
        scope: The only instrumentation scope in which the key means this; ``None``: any.
        member: The value is a JSON object, and this member of it is the name.
    """

    key: str
    used_by: str
    response: bool = False
    scope: str | None = None
    member: str | None = None


CONVENTIONS: Final = (
    Convention(
        "gen_ai.response.model", "OTel GenAI, OpenLLMetry, pydantic-ai, logfire, litellm, Anthropic SDK", response=True
    ),
    Convention("gen_ai.request.model", "OTel GenAI, OpenLLMetry, pydantic-ai, logfire, litellm, Anthropic SDK"),
    Convention("llm.response.model_name", "OpenInference", response=True),
    Convention("llm.model_name", "OpenInference"),
    Convention("llm.request.model_name", "OpenInference"),
    Convention("embedding.model_name", "OpenInference"),
    Convention("reranker.model_name", "OpenInference"),
    Convention("decision.model_name", "OpenInference"),
    Convention("decision.response.model_name", "OpenInference", response=True),
    Convention("decision.request.model_name", "OpenInference"),
    Convention("langfuse.observation.model.name", "langfuse"),
    Convention("litellm.provider.model", "litellm"),
    Convention("litellm.model_group", "litellm"),
    Convention("model_name", "pydantic-ai (agent spans)", scope="pydantic-ai"),
    Convention("llm.invocation_parameters", "OpenInference (failed calls)", member="model"),
    Convention("embedding.invocation_parameters", "OpenInference (failed calls)", member="model"),
)
"""Which attributes hold a model's name, as real instrumentations were seen to write them."""

PROVIDER_KEYS: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
"""Which attributes hold the provider's name; the first that has one counts."""

NOT_CALLS: Final[Mapping[str, frozenset[str]]] = {
    "gen_ai.operation.name": frozenset({"invoke_agent", "create_agent", "invoke_workflow", "execute_tool"}),
    "openinference.span.kind": frozenset({"AGENT", "CHAIN", "TOOL"}),
}
"""Attribute to the values with which a span is an agent's, a workflow's or a tool's, even if it names a model."""

BY_PRIORITY: Final = tuple(sorted(CONVENTIONS, key=lambda row: not row.response))
"""The conventions in the order in which they are tried: what the provider answered with, then the rest."""
MODEL_KEYS: Final = frozenset(row.key for row in CONVENTIONS)
_BY_SCOPE: Final = frozenset(row.key for row in CONVENTIONS if row.scope is not None)


class Resolution(NamedTuple):
    """What the registry knows of a model's name.

    Attributes:
        entry: The entry that matched; ``None`` when none did.
        status: Its status; ``unregistered`` when there is none.
        warnings: What the caller should be told; empty for an active model.
        rule: How the name matched: ``id``, ``alias``, ``glob``; ``None`` when it did not.
        candidate: The name that matched, else the first that was tried.
    """

    entry: ModelRegistryEntry | None
    status: str
    warnings: tuple[str, ...]
    rule: Rule | None
    candidate: str


class Glob(NamedTuple):
    """One glob of an entry, ready to match.

    Attributes:
        prefix: What stands before the first wildcard: most names are ruled out by it.
        pattern: The whole glob.
        model_id: The entry's id.
        provider: The provider that the entry is limited to.
    """

    prefix: str
    pattern: re.Pattern[str]
    model_id: str
    provider: str | None

    @classmethod
    def of(cls, entry: ModelRegistryEntry) -> list[Glob]:
        """Return the globs among an entry's aliases."""
        globs = (name for name in entry.aliases if is_glob(name))
        return [
            cls(
                _WILDCARD.split(glob, maxsplit=1)[0],
                re.compile(fnmatch.translate(glob)),
                entry.model_id,
                entry.provider,
            )
            for glob in globs
        ]


class GlobTable:
    """The globs of a registry at one version, and a bounded cache of what they matched."""

    def __init__(self, globs: Iterable[Glob] = ()) -> None:
        """Take globs in the order of registration."""
        self._globs = tuple(globs)
        self._cache: dict[tuple[str, str | None], str | None] = {}

    def __add__(self, globs: Iterable[Glob]) -> GlobTable:
        return GlobTable((*self._globs, *globs))

    def match(self, name: str, provider: str | None) -> str | None:
        """Return the id of the first registered glob that matches the whole name and serves the provider."""
        if not self._globs or len(name) > MAX_GLOBBED:
            return None
        try:
            return self._cache[name, provider]
        except KeyError:
            found = self._match(name, provider)
        if len(self._cache) >= _MAX_CACHED:
            self._cache = {}
        self._cache[name, provider] = found
        return found

    def _match(self, name: str, provider: str | None) -> str | None:
        for prefix, pattern, model_id, limited_to in self._globs:
            if name.startswith(prefix) and limited_to in (None, provider or limited_to) and pattern.match(name):
                return model_id
        return None


class ModelIndex:
    """The entries of a registry by id, alias and glob.

    Readers take no lock: ``put`` adds in atomic steps, an entry before the names that lead to it, and gives another
    index where names go away. Writers are to be kept apart by their caller.

    Args:
        entries: The entries, in the order of registration.
        globs: Whether names are matched by globs.
    """

    def __init__(self, entries: Iterable[ModelRegistryEntry] = (), *, globs: bool = True) -> None:
        self.entries: dict[str, ModelRegistryEntry] = {entry.model_id: entry for entry in entries}
        named = [entry for entry in self.entries.values() if entry.aliases]
        self._aliases: dict[str, tuple[str, ...]] = {}
        for entry in named:
            self._add_aliases(entry)
        self._globs = GlobTable(glob for entry in named if globs for glob in Glob.of(entry))

    def put(self, entry: ModelRegistryEntry) -> ModelIndex:
        """Return the index with this entry added, or in the place of the one with its id."""
        old = self.entries.get(entry.model_id)
        if old is not None and (old.aliases, old.provider) != (entry.aliases, entry.provider):
            return ModelIndex({**self.entries, entry.model_id: entry}.values())
        globs = Glob.of(entry) if old is None else []
        self.entries[entry.model_id] = entry
        if old is None:
            self._add_aliases(entry)
        if globs:
            self._globs += globs
        return self

    def find(self, name: str, provider: str | None = None) -> tuple[ModelRegistryEntry, Rule] | None:
        """Return the entry that a name stands for, and by which rule.

        In this order: id ``provider/name``, id ``name``, alias, alias, glob, glob. An entry that is limited to a
        provider matches only that one, where the caller names one. Case-sensitive, verbatim.
        """
        names = (f"{provider}/{name}", name) if provider else (name,)
        for candidate in names:
            entry = self.entries.get(candidate)
            if entry is not None and serves(entry, provider):
                return entry, "id"
        for candidate in names:
            for model_id in self._aliases.get(candidate, ()):
                entry = self.entries[model_id]
                if serves(entry, provider):
                    return entry, "alias"
        for candidate in names:
            matched = self._globs.match(candidate, provider or None)
            if matched is not None:
                return self.entries[matched], "glob"
        return None

    def resolve(self, names: Iterable[str], provider: str | None = None) -> Resolution:
        """Return what is known of the first of these names that matches; when none does, of the first.

        Raises:
            ValueError: There is no name.
        """
        first: str | None = None
        for name in names:
            found = self.find(name, provider)
            if found is not None:
                entry, rule = found
                return Resolution(entry, entry.status, entry.warnings, rule, name)
            first = name if first is None else first
        if first is None:
            msg = "no name to resolve"
            raise ValueError(msg)
        return Resolution(None, UNREGISTERED, (not_registered(first),), None, first)

    def _add_aliases(self, entry: ModelRegistryEntry) -> None:
        for name in entry.aliases:
            if not is_glob(name):
                self._aliases[name] = (*self._aliases.get(name, ()), entry.model_id)


class _Parameters(msgspec.Struct):
    model: Any = None


_decode_parameters = msgspec.json.Decoder(_Parameters).decode


def further(keys: Iterable[str]) -> tuple[Convention, ...]:
    """Return the conventions in the order in which they are tried, with further keys at the end that hold names."""
    plain = {row.key for row in CONVENTIONS if row.scope is row.member is None}
    return (*BY_PRIORITY, *(Convention(key, "whoever is named by a setting") for key in keys if key not in plain))


def candidates(
    attributes: Mapping[str, Any], scope: str | None = None, conventions: Iterable[Convention] = BY_PRIORITY
) -> Iterator[tuple[str, str]]:
    """Yield attribute key and model name for each name on a span, in the order in which they are tried.

    Args:
        attributes: The span's attributes. Values that are not text, or empty, are no names.
        scope: Name of the span's instrumentation scope.
        conventions: Which attributes hold names, in that order.
    """
    for key, _, _, limited_to, member in conventions:
        value = attributes.get(key)
        if isinstance(value, str) and value and limited_to in (None, scope):
            text = str.__str__(value)
            name = text if member is None else _member(text, member)
            if name:
                yield key, name


class Named(NamedTuple):
    """What a span says of a model.

    Attributes:
        resolution: What is known of the model.
        key: The attribute key whose value matched; ``None`` when none did.
        is_call: Whether the span is a call of the model.
    """

    resolution: Resolution
    key: str | None
    is_call: bool


def resolve_attributes(
    index: ModelIndex,
    attributes: Mapping[str, Any],
    scope: str | None = None,
    conventions: Iterable[Convention] = BY_PRIORITY,
) -> Named | None:
    """Return what is known of the model that a span names; ``None`` for a span that names none."""
    found = list(candidates(attributes, scope, conventions))
    if not found:
        return None
    resolution = index.resolve([name for _, name in found], provider_of(attributes))
    matched = None if resolution.entry is None else next(key for key, name in found if name == resolution.candidate)
    return Named(resolution, matched, is_call(attributes, [key for key, _ in found]))


def is_call(attributes: Mapping[str, Any], named_by: Collection[str]) -> bool:
    """Tell whether a span calls the model it names, and is not an agent's, a workflow's or a tool's.

    Args:
        attributes: The span's attributes.
        named_by: The keys of those that name the model; none for a span that only says what the registry said.
    """
    if named_by and _BY_SCOPE.issuperset(named_by):
        return False
    return not any(_is_among(attributes.get(key), values) for key, values in NOT_CALLS.items())


def _is_among(value: Any, values: frozenset[str]) -> bool:
    return isinstance(value, str) and value in values


def provider_of(attributes: Mapping[str, Any]) -> str | None:
    """Return the provider that a span names, if it names one."""
    for key in PROVIDER_KEYS:
        value = attributes.get(key)
        if isinstance(value, str) and value:
            return str.__str__(value)
    return None


def not_registered(name: str) -> str:
    """Return what someone who calls a model that no entry stands for should be told."""
    return f"model {quote(name)} is not registered"


def serves(entry: ModelRegistryEntry, provider: str | None) -> bool:
    """Tell whether an entry may stand for a model of this provider."""
    return not provider or entry.provider in (None, provider)


def is_glob(name: str) -> bool:
    """Tell whether an alias is a glob, with ``*``, ``?`` or ``[…]``."""
    return _WILDCARD.search(name) is not None


def _member(value: str, member: str) -> str | None:
    if len(value) > MAX_JSON:
        return None
    try:
        name = getattr(_decode_parameters(value), member)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return name if isinstance(name, str) else None
