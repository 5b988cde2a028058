"""From a span's attributes to a call of a model: which model, and what was in force when."""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.conventions import (
    NOT_CALLS,
    PROVIDER_KEYS,
    candidates,
    further,
    is_call,
    provider_of,
)
from spanforge.model_registry._core.resolution import MAX_GLOBBED, UNREGISTERED, ModelIndex
from spanforge.model_registry._core.timestamps import from_nanos, to_nanos

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry, StateAsOf

_STATUS, _MODEL_ID, _OWNER, _RISK_TIER, WARNINGS = (
    PREFIX + name for name in ("status", "model_id", "owner", "risk_tier", "warnings")
)
_NOT_REGISTERED: Final = re.compile(r"model '(.*)' is not registered", re.DOTALL)

NO_NAME: Final = "(no name)"
"""What stands for a call that says it is of an unregistered model, and no more."""


class Call(NamedTuple):
    """What calls have in common that are counted together.

    Attributes:
        kind: ``call``; ``agent`` for a span that names a model and is no call of it; ``other`` for all other spans.
        model_id: The entry that stands for the model; ``None``: none does.
        name: The name of a model that is not registered; empty for one that is.
        service: The resource's ``service.name``.
        status: The status in force when the call started; ``None`` before the model's deployment.
        past_sunset: Whether a deprecated model was called at or after its sunset date.
        enriched: Whether the span carries the registry's status.
        agrees: Whether what it carries is what was in force; ``False`` where it carries nothing.
        uncovered: Names that the provider answered with and that no entry stands for.
    """

    kind: str
    model_id: str | None = None
    name: str = ""
    service: str = ""
    status: str | None = UNREGISTERED
    past_sunset: bool = False
    enriched: bool = False
    agrees: bool = False
    uncovered: tuple[str, ...] = ()


OTHER: Final = Call("other")
AGENT: Final = Call("agent")


class Recorded(NamedTuple):
    """What a span says of its model."""

    status: str | None
    model_id: str | None
    owner: str | None
    risk_tier: str | None


class Subject:
    """A model that was called, and what was in force when.

    Args:
        entry: Its entry; ``None``: it is not registered.
        name: The name of one that is not.
        times: Nanoseconds since the epoch in which its states matter.
    """

    def __init__(self, entry: ModelRegistryEntry | None, name: str, times: range) -> None:
        self.entry = entry
        self.name = name
        changes = () if entry is None else sorted({change for change in _moments(entry) if change in times})
        self._moments = (times[0], *changes)
        self._states = () if entry is None else tuple(entry.as_of(from_nanos(nanos)) for nanos in self._moments)
        sunset = None if entry is None else entry.metadata.get("sunset_date")
        self.sunset: int | None = None if sunset is None else to_nanos(sunset)

    def call(self, service: str, recorded: Recorded, uncovered: tuple[str, ...], period: range, start: int) -> Call:
        """Return what a call is counted under.

        Args:
            service: The service that called.
            recorded: What its span carries.
            uncovered: Names that the provider answered with and that no entry stands for.
            period: Positions of the states that the span may show.
            start: When it started, in nanoseconds since the epoch.
        """
        enriched = recorded.status is not None
        if self.entry is None:
            agrees = recorded.status == UNREGISTERED and recorded.model_id is None
            return Call("call", None, self.name, service, UNREGISTERED, False, enriched, agrees)
        state = self._states[self.position(start)]
        status = None if state is None else state.status
        sunset = status == "deprecated" and self.sunset is not None and start >= self.sunset
        agrees = enriched and any(self._agrees(recorded, self._states[i]) for i in period)
        return Call("call", self.entry.model_id, "", service, status, sunset, enriched, agrees, uncovered)

    def position(self, nanos: int) -> int:
        """Return the position of the state in force at a moment."""
        return max(bisect_right(self._moments, nanos) - 1, 0)

    def reach(self, position: int) -> tuple[int, int]:
        """Return from when until when the state at a position is in force."""
        since = self._moments[position] if position else -sys.maxsize
        return since, self._moments[position + 1] if position + 1 < len(self._moments) else sys.maxsize

    def _agrees(self, recorded: Recorded, state: StateAsOf | None) -> bool:
        assert self.entry is not None  # noqa: S101 - for the type checker
        if state is None:
            return recorded.status == UNREGISTERED or recorded.model_id == self.entry.model_id
        known = Recorded(state.status, self.entry.model_id, state.owner, state.risk_tier)
        return all(said in (None, fact) for said, fact in zip(recorded, known, strict=True))


def _moments(entry: ModelRegistryEntry) -> Iterable[int]:
    dates = [entry.deployment_date, entry.decommission_date]
    dates += [entry.metadata.get(key) for key in ("deprecation_date", "sunset_date")]
    dates += [record["at"] for record in entry.metadata.get("history", ())]
    return (to_nanos(date) for date in dates if date is not None)


class Found(NamedTuple):
    """A span that names a model: the model, what else the span says, and whether it calls it."""

    subject: Subject
    recorded: Recorded
    uncovered: tuple[str, ...]
    is_call: bool


class Resolver:
    """Resolves the names on spans as the span processor does.

    Args:
        entries: The registry's entries, in the order of registration.
        model_attributes: Further attribute keys that hold a model's name.
        times: Nanoseconds since the epoch in which states matter.
    """

    def __init__(self, entries: Iterable[ModelRegistryEntry], model_attributes: Sequence[str], times: range) -> None:
        self._index = ModelIndex(entries)
        self._conventions = further(model_attributes)
        self._response = frozenset(row.key for row in self._conventions if row.response)
        self._times = times
        self._subjects: dict[str, Subject] = {}
        names = (*(row.key for row in self._conventions), *PROVIDER_KEYS, *NOT_CALLS)
        self.wanted: frozenset[str] = frozenset((*names, _STATUS, _MODEL_ID, _OWNER, _RISK_TIER, WARNINGS))
        """The attributes that matter."""

    def find(self, texts: Mapping[str, str], warnings: Sequence[str], scope: str) -> Found | None:
        """Return what a span says of a model; ``None``: it names none.

        Args:
            texts: Those of its attributes that are texts.
            warnings: What the span processor warned of.
            scope: Name of its instrumentation scope.
        """
        recorded = Recorded(*(texts.get(key) for key in (_STATUS, _MODEL_ID, _OWNER, _RISK_TIER)))
        named = list(candidates(texts, scope, self._conventions))
        if not named and recorded.status is None:
            return None
        provider = provider_of(texts)
        subject = self._named([name for _, name in named], provider) if named else self._said(recorded, warnings)
        answered = {name for key, name in named if key in self._response}
        uncovered = sorted(clean(name) for name in answered if self._index.find(name, provider) is None)
        called = is_call(texts, [key for key, _ in named])
        return Found(subject, recorded, tuple(uncovered) if subject.entry is not None else (), called)

    def _named(self, names: list[str], provider: str | None) -> Subject:
        resolution = self._index.resolve(names, provider)
        return self._subject(resolution.entry, resolution.candidate)

    def _said(self, recorded: Recorded, warnings: Sequence[str]) -> Subject:
        """Return the model of a span that names none, but has what the registry put on it."""
        if recorded.model_id is not None:
            return self._subject(self._index.entries.get(recorded.model_id), recorded.model_id)
        matches = [match[1] for warning in warnings if (match := _NOT_REGISTERED.fullmatch(warning))]
        return self._subject(None, matches[0] if matches else NO_NAME)

    def _subject(self, entry: ModelRegistryEntry | None, name: str) -> Subject:
        if entry is None:
            return Subject(None, clean(name), self._times)
        known = self._subjects.get(entry.model_id)
        if known is None:
            known = self._subjects[entry.model_id] = Subject(entry, "", self._times)
        return known


def clean(name: str) -> str:
    """Return a name from the network as Unicode text that is not endless."""
    short = name if len(name) <= MAX_GLOBBED else f"{name[:MAX_GLOBBED]}…"
    return short.encode("utf-8", "replace").decode()
