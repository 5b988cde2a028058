"""The lookup of a span's call group, with a cache of earlier spans that have equal attributes.

Most spans of an archive repeat the attributes of others, so names are resolved once for each combination of values.
"""

from __future__ import annotations

import sys
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from spanforge.model_registry._core.attributes import SENDER_KEY
from spanforge.model_registry.compliance._analysis.calls import NO_MARK, clean_name
from spanforge.model_registry.compliance._analysis.resolver import WARNINGS_KEY
from spanforge.model_registry.compliance._analysis.senders import read_sender_mark
from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from spanforge.model_registry.compliance._analysis.calls import Call, ModelSpan, Origin
    from spanforge.model_registry.compliance._analysis.resolver import Resolver
    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup

_FIRST_STATE: Final = range(1)
_MISSING: Final = msgspec.Raw(b"null")
_NO_SERVICE: Final = "unknown_service"
_NO_SERVICES: Final = frozenset({"", "empty-service-name", "missing-service-name", "service-name-wrong-type"})
"""The names of services without a name. Newer versions of Jaeger replace a name that is empty, missing or no string."""


class GroupPicker:
    """Picks the call group of spans of one service that have equal values of the relevant attributes.

    Args:
        origin: The service, and how the spans were reported.
        model_span: The model and the registry's attributes that the spans name; ``None`` if they name no model.
        delay: The longest time until a change is in force in every process, in nanoseconds.
        find_group: The function that returns the group that counts a call.

    Attributes:
        sender: The mark of the sender.
        group: The group of spans that start at ``since`` or later and end before ``until``.
        since: The earliest start of a span of the group, in nanoseconds since the epoch.
        until: The time before which a span of the group must end, in nanoseconds since the epoch.
    """

    __slots__ = ("_delay", "_find_group", "_groups", "_model_span", "_origin", "group", "sender", "since", "until")

    def __init__(
        self,
        origin: Origin,
        model_span: ModelSpan | None,
        delay: int,
        find_group: Callable[[Call], CallGroup],
    ) -> None:
        self.sender = origin.sender
        self.since, self.until = 0, sys.maxsize
        self._model_span: ModelSpan | None = None
        if model_span is None or model_span.kind == "other":
            self.group = find_group(origin.to_other())
        elif model_span.kind == "agent":
            self.group = find_group(model_span.model.to_agent(origin))
        elif model_span.model.is_constant:
            self.group = find_group(model_span.to_call(origin, _FIRST_STATE, 0))
        else:
            self._model_span, self._origin = model_span, origin
            self._delay = delay
            self._find_group = find_group
            self._groups: dict[tuple[int, int, int], CallGroup] = {}
            self.at(0, 0)

    def at(self, start: int, end: int) -> CallGroup:
        """Return the group of a span with this start and end, and remember it for the spans that follow.

        Three states of the model matter:

        - ``early`` is the oldest state that the span may show: it was in force ``delay`` before the span ended.
        - ``late`` is the newest state that the span may show: it was in force when the span ended.
        - ``here`` was in force when the span started. The call is counted under this state.

        If all three are the same state, the group is remembered as ``group``. It then counts all spans from the state's
        start plus the delay to the state's end, and the scan does not call this method for them.
        """
        if self._model_span is None:
            return self.group  # one group for all times; the span only ends after ``until``
        model = self._model_span.model
        end = max(start, end)
        early, here, late = map(model.position_at, (min(start, end - self._delay), start, end))
        group = self._find(self._model_span, (early, here, late))
        if early == here == late:
            since, self.until = model.period_of(here)
            self.since = since + self._delay
            self.group = group
        return group

    def at_moments(self, moments: tuple[int, int, int]) -> CallGroup:
        """Return the group of spans with these times of ``early``, ``here`` and ``late``; see ``at``."""
        if self._model_span is None:
            return self.group
        early, here, late = map(self._model_span.model.position_at, moments)
        return self._find(self._model_span, (early, here, late))

    def _find(self, model_span: ModelSpan, states: tuple[int, int, int]) -> CallGroup:
        group = self._groups.get(states)
        if group is None:
            early, here, late = states
            call = model_span.to_call(self._origin, range(early, late + 1), here)
            group = self._groups[states] = self._find_group(call)
        return group


class KeyLayout:
    """The attribute keys of spans, in their order.

    Args:
        keys: The keys.
        resolver: The resolver of the names on the spans.

    Attributes:
        keys: The keys.
        pick: The function that returns the attributes whose values decide how a span is counted.
        model_keys: The keys that decide which model a span names.
        is_marked: ``True`` if spans have a mark of their sender.
        has_repetitions: ``True`` if one of the keys whose values decide is repeated.
        deciding: The keys that decide. Layouts with equal ones share their pickers.
    """

    __slots__ = ("_has_warnings", "deciding", "has_repetitions", "is_marked", "keys", "model_keys", "pick")

    def __init__(self, keys: list[str], resolver: Resolver) -> None:
        self.keys = keys
        places = [place for place, key in enumerate(keys) if key in resolver.relevant_keys]
        relevant = tuple([keys[place] for place in places])
        self.pick = _make_getter(places)
        self.model_keys = resolver.select_keys(keys)
        self.deciding = relevant, self.model_keys
        self.is_marked = SENDER_KEY in relevant
        self.has_repetitions = len(set(relevant)) < len(relevant)
        self._has_warnings = WARNINGS_KEY in relevant

    def read_texts(self, attributes: Sequence[otlp.KeyValue]) -> tuple[dict[str, str], list[str]]:
        """Return the texts of the relevant attributes, and the warnings."""
        picked = self.pick(attributes)
        return read_texts(picked) if self._has_warnings else (otlp.get_text_attributes(picked), [])

    def read_sender(self, texts: Mapping[str, str]) -> str:
        """Return the mark of the sender of a span with these texts."""
        return read_sender_mark(texts.get(SENDER_KEY)) if self.is_marked else NO_MARK

    def list_later_texts(self, attributes: Sequence[otlp.KeyValue]) -> Iterator[tuple[dict[str, str], list[str]]]:
        """Yield what ``read_texts`` returns if a later value of a repeated attribute counts, for each such value."""
        if not self.has_repetitions:
            return
        picked = self.pick(attributes)
        first = {item.key: bytes(item.value) for item in reversed(picked)}
        later = {(item.key, bytes(item.value)): item for item in picked if bytes(item.value) != first[item.key]}
        for item in later.values():
            yield read_texts([item, *picked])


def read_texts(attributes: Sequence[otlp.KeyValue]) -> tuple[dict[str, str], list[str]]:
    """Return the texts of attributes, and the warnings. If a key is repeated, its first value counts."""
    warnings = next((item.value for item in attributes if item.key == WARNINGS_KEY), None)
    return otlp.get_text_attributes(attributes), [] if warnings is None else otlp.get_texts(warnings)


def _make_getter(places: list[int]) -> Callable[[Any], Sequence[otlp.KeyValue]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda attributes: [attributes[place] for place in places]


class LayoutPickers(NamedTuple):
    """A key layout, and the pickers of one service's spans that have it, by their values."""

    layout: KeyLayout
    pickers: dict[bytes, GroupPicker]


class ScopePickers:
    """The pickers of one scope's spans, or of its log records, by all keys and by the keys that decide."""

    __slots__ = ("by_deciding", "by_keys")

    def __init__(self) -> None:
        self.by_keys: dict[tuple[str, ...], LayoutPickers] = {}
        self.by_deciding: dict[object, dict[bytes, GroupPicker]] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self.by_keys.clear()
        self.by_deciding.clear()


class ServiceScope:
    """A service and an instrumentation scope, with the pickers of their spans and of their log records.

    Args:
        service: The service.
        scope: The name of the instrumentation scope.
        latest: The pickers of spans without attributes.
    """

    __slots__ = ("_logs", "latest", "scope", "service", "spans")

    def __init__(self, service: str, scope: str, latest: LayoutPickers) -> None:
        self.service = service
        self.scope = scope
        self.latest = latest
        self.spans = ScopePickers()
        self._logs: ScopePickers | None = None

    @property
    def logs(self) -> ScopePickers:
        """The pickers of log records. Most scopes have none."""
        if self._logs is None:
            self._logs = ScopePickers()
        return self._logs


class ResourceScopes(NamedTuple):
    """A service, with the instrumentation scopes of one of its resources."""

    service: str
    scopes: dict[bytes, ServiceScope]


def read_service(resource: msgspec.Raw) -> str:
    """Return the service of a resource."""
    named = (each.value for each in otlp.get_resource_attributes(resource) if each.key == "service.name")
    return clean_service(otlp.get_text(next(named, _MISSING)) or "")


def clean_service(name: str) -> str:
    """Return the name of a service as evidence has it."""
    return _NO_SERVICE if name in _NO_SERVICES else clean_name(name)
