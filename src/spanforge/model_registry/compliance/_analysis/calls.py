"""Calls of models, from the attributes of spans: the model, and its state when the call started."""

from __future__ import annotations

import math
import re
import sys
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.attributes import PREFIX, SENDER_KEY
from spanforge.model_registry._core.conventions import DECIDING_KEYS, provider_of, select_keys, with_extra_keys
from spanforge.model_registry._core.entry import list_status_dates
from spanforge.model_registry._core.globs import MAX_GLOBBED
from spanforge.model_registry._core.provider_calendar import Calendar, match_call
from spanforge.model_registry._core.resolution import UNREGISTERED, ModelIndex
from spanforge.model_registry._core.span_kinds import SpanKind, read_kind  # msgspec reads the types of ``Call``
from spanforge.model_registry._core.span_models import resolve_keys
from spanforge.model_registry._core.timestamps import from_nanos, to_nanos
from spanforge.model_registry._core.warning_texts import NOT_REGISTERED
from spanforge.model_registry.compliance._analysis.call_shutdowns import (
    NO_SHUTDOWNS,
    NOT_LISTED,
    CallShutdown,  # msgspec reads it
    ShutdownTimes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._core.announcements import Announcement
    from spanforge.model_registry._core.entry import ModelRegistryEntry, StateAsOf
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.provider_calendar import Group
    from spanforge.model_registry._core.span_models import ModelMatch

_STATUS_KEY, _MODEL_ID_KEY, _OWNER_KEY, _RISK_TIER_KEY, WARNINGS_KEY = (
    PREFIX + name for name in ("status", "model_id", "owner", "risk_tier", "warnings")
)
NO_MARK: Final = ""
"""The sender of a span or a log record without a mark, until all of its input was read."""
_UNREGISTERED_WARNING: Final = re.compile(NOT_REGISTERED % "'(.*)'", re.DOTALL)

LISTED_RULES: Final = ("form", "glob")
"""The rules by which an entry matches names that it does not contain. Evidence lists these names."""
NO_NAME: Final = ""
"""The model name for a span that has only the status ``unregistered``. No other name is empty."""
OTHERS_NAME: Final = "\uffff"
"""The name for services and listed names beyond ``MAX_CALL_GROUPS``. Unicode reserves this character for internal use,
and ``clean_name`` removes it, so no service and no model has this name."""


class SpanNames(NamedTuple):
    """The names on a span that evidence lists besides the model's entry.

    Attributes:
        matched: The name that matched the entry by form or by glob; empty if it is an id or an alias.
        rule: The rule of ``matched``: ``form`` or ``glob``; empty if there is none.
        has_response: ``True`` if the span has a request model and a response model.
        served: The response model, if another model answered than the one requested; else empty.
        requested_id: The id of the request model's entry, if another registered model answered.
    """

    matched: str = ""
    rule: str = ""
    has_response: bool = False
    served: str = ""
    requested_id: str | None = None


NO_NAMES: Final = SpanNames()


class Call(NamedTuple):
    """The common properties of spans that are counted together.

    Attributes:
        kind: ``call``; ``agent`` for a span of an agent that names a model; ``other`` for all other spans.
        model_id: The id of the model's entry; ``None`` if it has no entry.
        name: The name of a model that is not registered; empty for one that is.
        service: The resource's ``service.name``.
        status: The status in force when the call started; ``None`` before the model's deployment.
        past_sunset: ``True`` if a deprecated model was called at or after its sunset date.
        enriched: ``True`` if the span has the registry's status.
        agrees: ``True`` if the attributes on the span were in force; ``False`` if it has none.
        names: Further names on the span.
        sender: ``trusted``, ``untrusted`` or ``unknown``; ``NO_MARK`` until all of the input was read.
        is_ambiguous: ``True`` if the span has an attribute twice, and its later value changes another field.
        from_log: ``True`` if a log record reports the call.
        shutdown: The shutdown of the model by its provider.
    """

    kind: SpanKind
    model_id: str | None = None
    name: str = ""
    service: str = ""
    status: str | None = UNREGISTERED
    past_sunset: bool = False
    enriched: bool = False
    agrees: bool = False
    names: SpanNames = NO_NAMES
    sender: str = NO_MARK
    is_ambiguous: bool = False
    from_log: bool = False
    shutdown: CallShutdown = NOT_LISTED


OTHER: Final = Call("other")


class SpanClaims(NamedTuple):
    """The attributes of a span that describe its model, as the span processor adds them."""

    status: str | None
    model_id: str | None
    owner: str | None
    risk_tier: str | None


class CalledModel:
    """A model that was called, with its states over time.

    Args:
        entry: The entry of the model; ``None`` if it is not registered.
        name: The name of a model that is not registered.
        times: The range, in nanoseconds since the epoch, in which its states matter.
        shutdowns: The announcements of its provider.
    """

    def __init__(
        self, entry: ModelRegistryEntry | None, name: str, times: range, shutdowns: ShutdownTimes = NO_SHUTDOWNS
    ) -> None:
        self.entry = entry
        self.name = name
        self.shutdowns = shutdowns
        own_changes = () if entry is None else _list_moments(entry)
        changes = {change for change in (*own_changes, *shutdowns.list_moments()) if change in times}
        self._moments = (times[0], *sorted(changes))
        self._shutdowns = tuple(map(shutdowns.at, self._moments))
        self._states = () if entry is None else tuple(entry.as_of(from_nanos(nanos)) for nanos in self._moments)
        sunset = None if entry is None else entry.metadata.get("sunset_date")
        self._sunset = math.inf if sunset is None else to_nanos(sunset)

    def to_call(self, service: str, claims: SpanClaims, names: SpanNames, shown: Iterable[int], position: int) -> Call:
        """Return the call by which a span is counted: calls with equal fields are counted in one group.

        Args:
            service: The service that called.
            claims: The registry's attributes on the span.
            names: Further names on the span.
            shown: The positions of the states that the span may show.
            position: The position of the state in force when the span started.
        """
        enriched = claims.status is not None
        if self.entry is None:
            agrees = claims.status == UNREGISTERED and claims.model_id is None
            shutdown = self._shutdowns[position]
            return Call("call", name=self.name, service=service, enriched=enriched, agrees=agrees, shutdown=shutdown)
        state = self._states[position]
        status = None if state is None else state.status
        return Call(
            "call",
            model_id=self.entry.model_id,
            service=service,
            status=status,
            past_sunset=status == "deprecated" and self._moments[position] >= self._sunset,
            enriched=enriched,
            agrees=enriched and any(_agrees(claims, self.entry, self._states[each]) for each in shown),
            names=names,
            shutdown=self._shutdowns[position],
        )

    def to_agent(self, service: str) -> Call:
        """Return the group by which spans of agents are counted that name this model."""
        return Call("agent", None if self.entry is None else self.entry.model_id, self.name, service)

    def position_at(self, nanos: int) -> int:
        """Return the position of the state in force at a moment."""
        return max(bisect_right(self._moments, nanos) - 1, 0)

    def period_of(self, position: int) -> tuple[int, int]:
        """Return the first instant of the state at a position, and the first instant after it."""
        since = self._moments[position] if position else -sys.maxsize
        return since, self._moments[position + 1] if position + 1 < len(self._moments) else sys.maxsize


def _agrees(claims: SpanClaims, entry: ModelRegistryEntry, state: StateAsOf | None) -> bool:
    if state is None:
        return claims.status == UNREGISTERED or claims.model_id == entry.model_id
    in_force = SpanClaims(state.status, entry.model_id, state.owner, state.risk_tier)
    return all(claim in (None, fact) for claim, fact in zip(claims, in_force, strict=True))


def _list_moments(entry: ModelRegistryEntry) -> Iterator[int]:
    """Yield the moments at which the entry's state may change."""
    for _, date in list_status_dates(entry):
        yield to_nanos(date)
    if entry.metadata.get("sunset_date") is not None:
        yield to_nanos(entry.metadata["sunset_date"])
    for record in entry.metadata.get("history", ()):
        yield to_nanos(record["at"])


class ModelSpan(NamedTuple):
    """A span that names a model.

    Attributes:
        model: The model.
        claims: The registry's attributes on the span.
        names: Further names on the span.
        kind: ``call`` if the span is a call of the model.
    """

    model: CalledModel
    claims: SpanClaims
    names: SpanNames
    kind: SpanKind

    @property
    def facts(self) -> tuple[object, ...]:
        """The facts by which the span is counted."""
        entry = self.model.entry
        model_id = None if entry is None else entry.model_id
        return model_id, self.model.name, self.claims, self.names, self.kind, self.model.shutdowns.groups

    def to_call(self, service: str, shown: Iterable[int], position: int) -> Call:
        """Return the span as a call; see ``CalledModel.to_call`` for the arguments."""
        return self.model.to_call(service, self.claims, self.names, shown, position)


class Resolver:
    """Resolves the names on spans as the span processor does.

    Args:
        entries: The registry's entries, in the order of registration.
        model_attributes: Additional attribute keys that contain a model name.
        times: The range, in nanoseconds since the epoch, in which states matter.
        mode: Whether forms match.
        announcements: The announcements of the provider calendar.
    """

    def __init__(
        self,
        entries: Iterable[ModelRegistryEntry],
        model_attributes: Sequence[str],
        times: range,
        mode: MatchMode = "forms",
        announcements: Iterable[Announcement] = (),
    ) -> None:
        self._calendar = Calendar(announcements)
        self._index = ModelIndex(entries)
        self._mode = mode
        self._conventions = with_extra_keys(model_attributes)
        self._times = times
        self._models: dict[tuple[str, tuple[Group, ...]], CalledModel] = {}
        claims = (_STATUS_KEY, _MODEL_ID_KEY, _OWNER_KEY, _RISK_TIER_KEY, WARNINGS_KEY)
        self.relevant_keys: frozenset[str] = DECIDING_KEYS | {*claims, SENDER_KEY, *model_attributes}
        """The attribute keys whose values decide how a span is counted."""

    def find(
        self, texts: Mapping[str, str], warnings: Sequence[str], scope: str, keys: Iterable[str] | None = None
    ) -> ModelSpan | None:
        """Return the model that a span names, with the registry's attributes on the span; ``None`` if it names none.

        Args:
            texts: The span's text attributes.
            warnings: The warnings that the span processor added to the span.
            scope: The name of the span's instrumentation scope.
            keys: The keys of all attributes of the span; ``None``: those of ``texts``.
        """
        claims = SpanClaims(*(texts.get(key) for key in (_STATUS_KEY, _MODEL_ID_KEY, _OWNER_KEY, _RISK_TIER_KEY)))
        model_keys = select_keys(frozenset(texts if keys is None else keys), self._conventions).for_scope(scope)
        match = resolve_keys(self._index, texts, model_keys, self._mode)
        if match is None:
            if claims.status is None:
                return None
            return ModelSpan(self._get_claimed_model(claims, warnings), claims, NO_NAMES, read_kind(texts))
        groups = match_call(self._calendar, match.resolution, provider_of(texts, model_keys.providers), self._mode)
        model = self._get_model(match.resolution.entry, match.resolution.candidate, groups)
        names = NO_NAMES if model.entry is None else _describe_names(match)
        return ModelSpan(model, claims, names, match.kind)

    def _get_claimed_model(self, claims: SpanClaims, warnings: Sequence[str]) -> CalledModel:
        """Return the model of a span that has no model name, but has attributes of the span processor."""
        if claims.model_id is not None:
            return self._get_model(self._index.entries.get(claims.model_id), claims.model_id)
        matches = [match[1] for warning in warnings if (match := _UNREGISTERED_WARNING.fullmatch(warning))]
        return self._get_model(None, matches[0] if matches else NO_NAME)

    def _get_model(self, entry: ModelRegistryEntry | None, name: str, groups: tuple[Group, ...] = ()) -> CalledModel:
        shutdowns = ShutdownTimes(groups) if groups else NO_SHUTDOWNS
        if entry is None:
            return CalledModel(None, clean_name(name), self._times, shutdowns)
        model = self._models.get((entry.model_id, groups))
        if model is None:
            model = self._models[entry.model_id, groups] = CalledModel(entry, "", self._times, shutdowns)
        return model


def _describe_names(match: ModelMatch) -> SpanNames:
    """Return the names that evidence lists for a span whose model is registered."""
    rule = match.resolution.rule if match.resolution.rule in LISTED_RULES else None
    served = "" if match.served is None else clean_name(match.served)
    return SpanNames(
        matched="" if rule is None else clean_name(match.resolution.candidate),
        rule=rule or "",
        has_response=match.has_response,
        served=served,
        requested_id=match.requested.model_id if served and match.requested is not None else None,
    )


def clean_name(name: str) -> str:
    """Return a name from the network as Unicode text of limited length that is never ``OTHERS_NAME``."""
    short = name if len(name) <= MAX_GLOBBED else f"{name[:MAX_GLOBBED]}…"
    return short.encode("utf-8", "replace").decode().replace(OTHERS_NAME, "\ufffd")
