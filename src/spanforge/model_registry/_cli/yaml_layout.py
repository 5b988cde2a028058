"""The layout of a YAML file that the library can read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from spanforge.model_registry._cli.text_layout import FileLayout, Part, TextMember

if TYPE_CHECKING:
    from collections.abc import Iterator

_EVENT_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MARKERS: Final = (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)
_PROPERTIES: Final = re.compile(r"(?:[&!][^\s\[\]{},]*\s+)*")


def scan_yaml(text: str, index: int) -> FileLayout:
    """Return the layout of a YAML file.

    Args:
        text: The text, without a byte order mark. It is the text of a valid registry file.
        index: The number of the item whose parts are wanted.
    """
    events: Iterator[Any] = (
        event for event in yaml.parse(text, Loader=_EVENT_LOADER) if not isinstance(event, _MARKERS)
    )
    scanner = _Scanner(text, events)
    start = next(events)
    offset = scanner.skip_properties(start)
    root = Part(offset, offset, "list", is_flow=bool(start.flow_style))
    item = None
    for event in events:
        if isinstance(event, yaml.SequenceEndEvent):
            break
        if len(root.items) == index:
            item = part = scanner.scan(event)
        else:
            part = scanner.skip(event)
        root.items.append(part)
    root.end = _find_part_end(root, event)
    return FileLayout(root, item)


class _Scanner:
    """Turns the parser's events into parts."""

    def __init__(self, text: str, events: Iterator[Any]) -> None:
        self._text = text
        self._events = events

    def scan(self, event: Any) -> Part:
        """Return the part that starts with an event."""
        if isinstance(event, yaml.AliasEvent):
            return _make_alias(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._make_scalar(event)
        start = self.skip_properties(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._scan_list(Part(start, start, "list", is_flow=bool(event.flow_style)))
        return self._scan_mapping(Part(start, start, "mapping", is_flow=bool(event.flow_style)))

    def skip(self, event: Any) -> Part:
        """Return the part that starts with an event, with its start only."""
        part = Part(event.start_mark.index, event.start_mark.index)
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                return part
            event = next(self._events)

    def _scan_list(self, part: Part) -> Part:
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            part.items.append(self.scan(event))
        part.end = _find_part_end(part, event)
        return part

    def _scan_mapping(self, part: Part) -> Part:
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self.scan(event)
            part.members[str(getattr(event, "value", ""))] = TextMember(
                key.start, key.end, self.scan(next(self._events))
            )
        part.end = _find_part_end(part, event)
        return part

    def _make_scalar(self, event: Any) -> Part:
        start, end = self.skip_properties(event), event.end_mark.index
        if event.style in ("|", ">"):
            raw = self._text[start:end]
            keeps_breaks = "+" in raw.partition("\n")[0].partition("#")[0]
            end = start + len(raw.removesuffix("\n").removesuffix("\r") if keeps_breaks else raw.rstrip())
        return Part(min(start, end), end)

    def skip_properties(self, event: Any) -> int:
        """Return the offset of a value after its anchor and tag."""
        start: int = event.start_mark.index
        match = _PROPERTIES.match(self._text, start)
        return match.end() if match else start


def _make_alias(event: Any) -> Part:
    return Part(event.start_mark.index, event.end_mark.index, "alias")


def _find_part_end(part: Part, last_event: Any) -> int:
    """Return the offset after a list or mapping: that of its bracket, or of its last child in a block."""
    if part.is_flow or not part.children:
        return int(last_event.end_mark.index)
    return part.children[-1].end
