"""The lookup of a span's call group, with a cache of earlier spans that have equal attributes.

Most spans of an archive repeat the attributes of others, so names are resolved once for each combination of values.
"""

from __future__ import annotations

import sys
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._core.attributes import SENDER_KEY
from spanforge.model_registry.compliance._analysis.calls import (
    NO_MARK,
    OTHER,
    WARNINGS_KEY,
    Call,
    ModelSpan,
    clean_name,
)
from spanforge.model_registry.compliance._analysis.senders import read_sender_mark
from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup

_NO_SERVICE: Final = "unknown_service"
_NO_SERVICES: Final = frozenset({"", "empty-service-name", "missing-service-name", "service-name-wrong-type"})
"""The names of services without a name. Newer versions of Jaeger replace a name that is empty, missing or no string."""


class GroupPicker:
    """Picks the call group of spans of one service that have equal values of the relevant attributes.

    Args:
        service: The service.
        model_span: The model and the registry's attributes that the spans name; ``None`` if they name no model.
        delay: The longest time until a change is in force in every process, in nanoseconds.
        find_group: The function that returns the group that counts a call.
        sender: The mark of the sender.
        is_ambiguous: ``True`` if a later value of a repeated attribute resolves otherwise.

    Attributes:
        sender: The mark of the sender.
        group: The group of spans that start at ``since`` or later and end before ``until``.
        since: The earliest start of a span of the group, in nanoseconds since the epoch.
        until: The time before which a span of the group must end, in nanoseconds since the epoch.
    """

    __slots__ = (
        "_delay",
        "_find_group",
        "_groups",
        "_is_ambiguous",
        "_is_call",
        "_model_span",
        "_service",
        "group",
        "sender",
        "since",
        "until",
    )

    def __init__(  # noqa: PLR0913 - the facts that spans have in common
        self,
        service: str,
        model_span: ModelSpan | None,
        delay: int,
        find_group: Callable[[Call], CallGroup],
        *,
        sender: str = NO_MARK,
        is_ambiguous: bool = False,
    ) -> None:
        self.sender = sender
        self._is_ambiguous = is_ambiguous
        self._service = service
        self._model_span = model_span
        self._delay = delay
        self._find_group = find_group
        self._groups: dict[tuple[int, int, int], CallGroup] = {}
        self.since, self.until = 0, sys.maxsize
        self._is_call = model_span is not None and model_span.kind == "call"
        if model_span is None or model_span.kind == "other":
            self.group = self._find(OTHER)
        elif model_span.kind == "agent":
            self.group = self._find(model_span.model.to_agent(service))
        else:
            self.at(0, 0)

    def _find(self, call: Call) -> CallGroup:
        return self._find_group(call._replace(sender=self.sender, is_ambiguous=self._is_ambiguous))

    def at(self, start: int, end: int) -> CallGroup:
        """Return the group of a span with this start and end, and remember it for the spans that follow.

        Three states of the model matter:

        - ``early`` is the oldest state that the span may show: it was in force ``delay`` before the span ended.
        - ``late`` is the newest state that the span may show: it was in force when the span ended.
        - ``here`` was in force when the span started. The call is counted under this state.

        If all three are the same state, the group is remembered as ``group``. It then counts all spans from the state's
        start plus the delay to the state's end, and the scan does not call this method for them.
        """
        if self._model_span is None or not self._is_call:
            return self.group  # one group for all times; the span only ends after ``until``
        model = self._model_span.model
        end = max(start, end)
        early, here, late = map(model.position_at, (min(start, end - self._delay), start, end))
        group = self._groups.get((early, here, late))
        if group is None:
            call = self._model_span.to_call(self._service, range(early, late + 1), here)
            group = self._groups[early, here, late] = self._find(call)
        if early == here == late:
            since, self.until = model.period_of(here)
            self.since = since + self._delay
            self.group = group
        return group


class KeyLayout:
    """The attribute keys of spans, in their order, and the pickers of spans that have these keys.

    Args:
        keys: The keys.
        relevant_keys: The keys whose values decide how a span is counted.
    """

    __slots__ = ("has_repetitions", "is_marked", "keys", "pick", "pickers")

    def __init__(self, keys: list[str], relevant_keys: frozenset[str]) -> None:
        self.keys = keys
        places = [place for place, key in enumerate(keys) if key in relevant_keys]
        self.pick = _make_getter(places)
        self.is_marked = SENDER_KEY in keys
        self.has_repetitions = len({keys[place] for place in places}) < len(places)
        self.pickers: dict[bytes, GroupPicker] = {}

    def read_texts(self, attributes: Sequence[otlp.KeyValue]) -> tuple[dict[str, str], list[str]]:
        """Return the texts of the relevant attributes, and the warnings."""
        return read_texts(self.pick(attributes))

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


class ResourceScopes:
    """A resource, with its instrumentation scopes."""

    def __init__(self, resource: msgspec.Raw) -> None:
        named = otlp.get_text_attributes(otlp.get_resource_attributes(resource))
        name = named.get("service.name", "")
        self.service = _NO_SERVICE if name in _NO_SERVICES else clean_name(name)
        self.scopes: dict[bytes, ServiceScope] = {}


class ServiceScope:
    """A service and an instrumentation scope, with the key layouts of their spans."""

    def __init__(self, service: str, scope: bytes) -> None:
        self.service = service
        self.scope = otlp.get_scope_name(msgspec.Raw(scope))
        self.layouts: dict[tuple[str, ...], KeyLayout] = {}
        self.latest = KeyLayout([], frozenset())
