"""Calls of models, from the attributes of spans: the model, and its state when the call started."""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.entry import list_status_dates
from spanforge.model_registry._core.globs import MAX_GLOBBED
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.span_kinds import SpanKind  # noqa: TC001 - msgspec reads the types of ``Call``
from spanforge.model_registry._core.timestamps import from_nanos, to_nanos
from spanforge.model_registry.compliance._analysis.call_shutdowns import (
    NO_SHUTDOWNS,
    NOT_LISTED,
    CallShutdown,  # msgspec reads it
    ShutdownTimes,
)
from spanforge.model_registry.compliance._analysis.differences import (
    NO_DIFFERENCE,
    Difference,  # msgspec reads it
    find_difference,
    is_in_force,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry.compliance._analysis.differences import SpanClaims

NO_MARK: Final = ""
"""The sender of a span or a log record without a mark, until all of its input was read."""
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
        difference: The attributes on the span that were not in force, if there are some.
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
    difference: Difference = NO_DIFFERENCE


OTHER: Final = Call("other")
_NEVER_LISTED: Final = (NOT_LISTED,)
"""The shutdowns of a model over time, if no provider calendar has it."""


class Origin(NamedTuple):
    """The facts by which spans are counted besides the model; see ``Call`` for its fields of these names."""

    service: str
    sender: str = NO_MARK
    is_ambiguous: bool = False
    from_log: bool = False

    def to_other(self) -> Call:
        """Return the group of spans that name no model. The services of these are not listed."""
        return OTHER._replace(sender=self.sender, is_ambiguous=self.is_ambiguous, from_log=self.from_log)


class CalledModel:
    """A model that was called, with its states over time.

    Args:
        entry: The entry of the model; ``None`` if it is not registered.
        name: The name of a model that is not registered.
        times: The range, in nanoseconds since the epoch, in which its states matter.
        shutdowns: The announcements of its provider.
    """

    __slots__ = ("_moments", "_shutdowns", "_states", "_sunset", "entry", "name", "shutdowns")

    def __init__(
        self, entry: ModelRegistryEntry | None, name: str, times: range, shutdowns: ShutdownTimes = NO_SHUTDOWNS
    ) -> None:
        self.entry = entry
        self.name = name
        self.shutdowns = shutdowns
        self._moments: tuple[int, ...] = (times[0],)
        self._shutdowns: tuple[CallShutdown, ...] = _NEVER_LISTED
        if entry is None and shutdowns is NO_SHUTDOWNS:  # hot path for names that nobody registered
            return
        own_changes = () if entry is None else list_entry_moments(entry)
        self._moments += tuple(sorted({each for each in (*own_changes, *shutdowns.list_moments()) if each in times}))
        self._shutdowns = tuple(map(shutdowns.at, self._moments))
        if entry is None:
            return
        self._states = tuple(entry.as_of(from_nanos(nanos)) for nanos in self._moments)
        sunset = entry.metadata.get("sunset_date")
        self._sunset = math.inf if sunset is None else to_nanos(sunset)

    def to_call(
        self, origin: Origin, claims: SpanClaims, names: SpanNames, shown: Iterable[int], position: int
    ) -> Call:
        """Return the call by which a span is counted: calls with equal fields are counted in one group.

        Args:
            origin: The service that called, and how the call was reported.
            claims: The registry's attributes on the span.
            names: Further names on the span.
            shown: The positions of the states that the span may show.
            position: The position of the state in force when the span started.
        """
        service, report = origin.service, origin[1:]
        enriched = claims.status is not None
        shutdown = self._shutdowns[position]
        if self.entry is None:
            agrees = claims.status == UNREGISTERED and claims.model_id is None
            facts = UNREGISTERED, False, enriched, agrees, NO_NAMES
            difference = find_difference(claims, None, None, agrees=agrees)
            return Call("call", None, self.name, service, *facts, *report, shutdown, difference)
        state = self._states[position]
        status = None if state is None else state.status
        past_sunset = status == "deprecated" and self._moments[position] >= self._sunset
        agrees = enriched and any(is_in_force(claims, self.entry, self._states[each]) for each in shown)
        difference = find_difference(claims, self.entry, state, agrees=agrees)
        known = status, past_sunset, enriched, agrees, names
        return Call("call", self.entry.model_id, "", service, *known, *report, shutdown, difference)

    def to_agent(self, origin: Origin) -> Call:
        """Return the group by which spans of agents are counted that name this model."""
        model_id = None if self.entry is None else self.entry.model_id
        call = Call("agent", model_id, self.name, origin.service, sender=origin.sender, from_log=origin.from_log)
        return call._replace(is_ambiguous=True) if origin.is_ambiguous else call

    @property
    def is_constant(self) -> bool:
        """``True`` if the model has one state at all times."""
        return len(self._moments) == 1

    def position_at(self, nanos: int) -> int:
        """Return the position of the state in force at a moment."""
        return max(bisect_right(self._moments, nanos) - 1, 0)

    def period_of(self, position: int) -> tuple[int, int]:
        """Return the first instant of the state at a position, and the first instant after it."""
        since = self._moments[position] if position else -sys.maxsize
        return since, self._moments[position + 1] if position + 1 < len(self._moments) else sys.maxsize


def list_entry_moments(entry: ModelRegistryEntry) -> Iterator[int]:
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

    def to_call(self, origin: Origin, shown: Iterable[int], position: int) -> Call:
        """Return the span as a call; see ``CalledModel.to_call`` for the arguments."""
        return self.model.to_call(origin, self.claims, self.names, shown, position)


def clean_name(name: str) -> str:
    """Return a name from the network as Unicode text of limited length that is never ``OTHERS_NAME``."""
    if name.isascii() and len(name) <= MAX_GLOBBED:  # most names
        return name
    short = name if len(name) <= MAX_GLOBBED else f"{name[:MAX_GLOBBED]}…"
    return short.encode("utf-8", "replace").decode().replace(OTHERS_NAME, "\ufffd")
