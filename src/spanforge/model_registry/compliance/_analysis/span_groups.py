"""From a span to its call group, by what was learned from earlier spans with equal attributes.

Most spans of an archive repeat the attributes of others, so names are resolved once for each combination of values.
"""

from __future__ import annotations

import sys
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry.compliance._analysis.calls import AGENT, OTHER, WARNINGS_KEY, Call, ModelSpan, clean_name
from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spanforge.model_registry.compliance._analysis.scan_data import CallGroup

_NO_SERVICE: Final = "unknown_service"


class GroupPicker:
    """Picks the call group of spans of one service whose attributes, as far as they matter, are equal.

    Args:
        service: The service.
        model_span: What the attributes say; ``None``: they name no model.
        delay: How long a change may take to be in force everywhere, in nanoseconds.
        find_group: Returns the group that counts a call.

    Attributes:
        group: The group of spans that start at ``since`` or later and end before ``until``.
        since: Nanoseconds since the epoch.
        until: Nanoseconds since the epoch.
    """

    __slots__ = ("_delay", "_find_group", "_groups", "_model_span", "_service", "group", "since", "until")

    def __init__(
        self, service: str, model_span: ModelSpan | None, delay: int, find_group: Callable[[Call], CallGroup]
    ) -> None:
        self._service = service
        self._model_span = model_span
        self._delay = delay
        self._find_group = find_group
        self._groups: dict[tuple[int, int, int], CallGroup] = {}
        self.since, self.until = 0, sys.maxsize
        if model_span is None:
            self.group = find_group(OTHER)
        elif not model_span.is_call:
            self.group = find_group(AGENT)
        else:
            self.at(0, 0)

    def at(self, start: int, end: int) -> CallGroup:
        """Return the group of a span that started and ended then, and remember it for the spans that follow.

        Three states of the model matter. ``early`` is the oldest that the span may show: the one in force when a
        process that is ``delay`` behind ended it. ``late`` is the newest: the one in force when it ended. ``here`` is
        the one in force when it started, which the call is counted under. If all three are the same state, every span
        between the state's start plus the delay and its end belongs to the same group, and the scan does not ask again.
        """
        if self._model_span is None or not self._model_span.is_call:
            return self.group  # the group of all times; this span only ends beyond ``until``
        model = self._model_span.model
        end = max(start, end)
        early, here, late = map(model.position_at, (min(start, end - self._delay), start, end))
        group = self._groups.get((early, here, late))
        if group is None:
            call = self._model_span.to_call(self._service, range(early, late + 1), start)
            group = self._groups[early, here, late] = self._find_group(call)
        if early == here == late:
            since, self.until = model.period_of(here)
            self.since = since + self._delay
            self.group = group
        return group


class KeyLayout:
    """The attribute keys of spans, in their order, and the pickers of spans that have these keys.

    Args:
        keys: The keys.
        relevant_keys: The keys whose values decide about a span.
    """

    __slots__ = ("keys", "pick", "pickers")

    def __init__(self, keys: list[str], relevant_keys: frozenset[str]) -> None:
        self.keys = keys
        self.pick = _make_getter([place for place, key in enumerate(keys) if key in relevant_keys])
        self.pickers: dict[bytes, GroupPicker] = {}

    def read_texts(self, attributes: Sequence[otlp.KeyValue]) -> tuple[dict[str, str], list[str]]:
        """Return the texts of the attributes that matter, and the warnings."""
        picked = self.pick(attributes)
        warnings = [text for item in picked if item.key == WARNINGS_KEY for text in otlp.get_texts(item.value)]
        return otlp.get_text_attributes(picked), warnings


def _make_getter(places: list[int]) -> Callable[[Any], Sequence[otlp.KeyValue]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda attributes: [attributes[place] for place in places]


class ServiceScope:
    """A service and an instrumentation scope, and the key layouts of their spans."""

    def __init__(self, resource: bytes, scope: bytes) -> None:
        named = otlp.get_text_attributes(otlp.get_resource_attributes(msgspec.Raw(resource)))
        self.service = clean_name(named.get("service.name") or _NO_SERVICE)
        self.scope = otlp.get_scope_name(msgspec.Raw(scope))
        self.layouts: dict[tuple[str, ...], KeyLayout] = {}
        self.latest = KeyLayout([], frozenset())
