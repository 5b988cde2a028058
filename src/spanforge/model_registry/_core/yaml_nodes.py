"""YAML nodes: a composer with limits, and with the line and column of every fault in the structure.

PyYAML's own composers are recursive, and libyaml's is recursive in C, so a deeply nested file could end the process.
They also accept duplicate keys, aliases that expand to billions of values, and tags.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
import yaml

from spanforge.model_registry._core.errors import MAX_SHOWN, describe_type, shorten
from spanforge.model_registry._core.file_hints import QUOTES_HINT, TEMPLATE_HINT, add_hint, explain_root
from spanforge.model_registry._core.file_texts import MAX_ITEM_VALUES, FaultError
from spanforge.model_registry._core.yaml_events import get_event_place, read_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.file_texts import Place

MAX_LEVELS: Final = 100
"""The limit of levels of lists and mappings: more than an entry may have, and few enough for Python's stack."""

MAX_ALIASED: Final = 1_000_000
"""The limit of values to which a file's aliases expand: ten for each of 100,000 entries. A few lines can expand to
billions."""

_TAGS: Final = "tag:yaml.org,2002:"
_TOO_DEEP: Final = f"is nested more than {MAX_LEVELS} levels deep"
_ENTRY_LIST: Final = "a YAML list of entries"
_NO_CONTENT: Final = "must be {}; the file is empty"

NULLS: Final = ("", "~", "null", "Null", "NULL")
"""The plain texts that mean null."""


class Node(msgspec.Struct, gc=False):
    """A value of the file.

    Attributes:
        value: The text, the items, or the members by their keys.
        place: The place of the value; for an alias, that of the anchored value.
        is_plain: ``True`` for a text without quotes and tag, whose meaning depends on its place.
        size: The number of values in it, after the expansion of aliases.
        height: The number of levels of lists and mappings in it, after the expansion of aliases.
    """

    value: str | list[Node] | dict[str, Member]
    place: Place
    is_plain: bool = False
    size: int = 1
    height: int = 0

    @property
    def is_null(self) -> bool:
        """``True`` if the node is a plain null."""
        return self.is_plain and self.value in NULLS


class Member(msgspec.Struct, gc=False):
    """A member of a mapping: the place of its key, and its value."""

    key_place: Place
    node: Node


class _TooLargeError(FaultError):
    """An item, or a root that is no list, exceeds ``MAX_ITEM_VALUES``."""


def compose(content: bytes, expected: str = _ENTRY_LIST) -> Node:
    """Return the root of a YAML file with this content, with each ``<<`` replaced by the members that it adds.

    Args:
        content: The content.
        expected: What the file must be, for the error about an empty one.

    Raises:
        FaultError: The content is not YAML, does not have exactly one document, or exceeds a limit.
    """
    composer = _Composer(read_events(content))
    root = None
    for event in composer.list_roots():
        root = composer.compose_root(event)
    if root is None or root.is_null:
        raise FaultError(None, _NO_CONTENT.format(expected))
    return root


def compose_items(content: bytes) -> Iterator[Node]:
    """Yield the items of the list that a YAML file is, each before the next one is read.

    Raises:
        FaultError: As for ``compose``, or the content is not a list.
    """
    composer = _Composer(read_events(content))
    is_list = False
    for event in composer.list_roots():
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if is_list:
            yield from composer.compose_items(event)
        else:
            composer.refuse_root(event)
    if not is_list:
        raise FaultError(None, _NO_CONTENT.format(_ENTRY_LIST))


class _Composer:
    """Builds nodes from a file's events, and checks keys, tags, anchors and limits."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node | None] = {}  # None while the node is being composed
        self._aliased_size = 0
        self._item_values = 0
        self._root_keys: dict[str, bool] = {}  # whether the value is a list

    def list_roots(self) -> Iterator[Any]:
        """Yield the event with which the root of the only document starts, if there is one."""
        has_root = False
        for event in self._events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue  # the start or end of the stream, or the end of a document
            if has_root:
                _fail(event, "must be one YAML document; another one starts here")
            has_root = True
            yield next(self._events)

    def compose_root(self, event: Any) -> Node:
        """Return the root that starts with an event."""
        if isinstance(event, yaml.SequenceStartEvent):
            items = list(self.compose_items(event))
            return _make_node(items, event, items)
        return self._compose(event, 0)

    def compose_items(self, event: Any) -> Iterator[Node]:
        """Yield the items of the list that starts with an event and is the root."""
        self._open_anchor(event)
        for item in self._events:
            if isinstance(item, yaml.SequenceEndEvent):
                return
            self._item_values = 0
            yield self._compose(item, 1)

    def refuse_root(self, event: Any) -> None:
        """Refuse a root that is neither a list nor null. Of a large mapping, only the first members are read."""
        kind: Any = {}
        with suppress(_TooLargeError):
            root = self._compose(event, 0)
            if root.is_null:
                return
            kind = root.value
        lists = [key for key, is_list in self._root_keys.items() if is_list]
        _fail(
            event, add_hint(f"must be {_ENTRY_LIST}; got {describe_type(kind)}", explain_root(self._root_keys, lists))
        )

    def _open_anchor(self, event: Any) -> None:
        """Note the anchor of a node that starts with an event, and check its tag."""
        if event.anchor in self._anchors:
            _fail(event, f"duplicate anchor {shorten(event.anchor)}")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if event.tag is not None:
            _check_tag(event)

    def _compose(self, event: Any, level: int) -> Node:
        """Return the node that starts with an event; ``level`` is the number of lists and mappings around it."""
        self._item_values += 1
        if self._item_values > MAX_ITEM_VALUES:
            raise _TooLargeError(
                get_event_place(event.start_mark), f"has more than {MAX_ITEM_VALUES:,} values in one entry"
            )
        if isinstance(event, yaml.AliasEvent):
            return self._resolve_alias(event, level)
        self._open_anchor(event)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(event.value, get_event_place(event.start_mark), event.tag is None and event.implicit[0])
        elif level == MAX_LEVELS:
            _fail(event, _TOO_DEEP)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._compose_list(event, level + 1)
        else:
            node = self._compose_mapping(event, level + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _compose_list(self, start: Any, level: int) -> Node:
        items: list[Node] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._compose(event, level))
        return _make_node(items, start, items)

    def _compose_mapping(self, start: Any, level: int) -> Node:
        children: list[Node] = []
        members: dict[str, Member] = {}
        merged: dict[str, Member] | None = None
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key, text = self._compose_key(event, level)
            is_merge = key.is_plain and text == "<<"
            if (is_merge and merged is not None) or (not is_merge and text in members):
                _fail(event, f"duplicate key {shorten(text)}")
            value = self._compose_value(text, next(self._events), level)
            children += key, value
            if is_merge:
                merged = _collect_merged(value)
            else:
                members[text] = Member(get_event_place(event.start_mark), value)
        return _make_node({**merged, **members} if merged else members, start, children)

    def _compose_value(self, key: str, event: Any, level: int) -> Node:
        """Return the node of a mapping's value. If the mapping is the root, the key is noted."""
        if level == 1:
            self._root_keys[key] = isinstance(event, yaml.SequenceStartEvent)
        return self._compose(event, level)

    def _compose_key(self, event: Any, level: int) -> tuple[Node, str]:
        """Return the node of a mapping's key, and its text."""
        key = self._compose(event, level)
        if not isinstance(key.value, str):
            hint = TEMPLATE_HINT if isinstance(key.value, dict) else None
            _fail(event, add_hint(f"keys must be text; got {describe_type(key.value)}", hint))
        return key, key.value

    def _resolve_alias(self, event: Any, level: int) -> Node:
        """Return the node to which an alias refers."""
        name = f"*{event.anchor[:MAX_SHOWN]}"
        if event.anchor not in self._anchors:
            _fail(event, add_hint(f"alias {name} has no anchor before it", QUOTES_HINT))
        node = self._anchors[event.anchor]
        if node is None:
            _fail(event, f"alias {name} refers to the node that contains it")
        self._aliased_size += node.size
        if self._aliased_size > MAX_ALIASED:
            _fail(event, f"aliases expand to more than {MAX_ALIASED:,} values in total")
        if level + node.height > MAX_LEVELS:
            _fail(event, _TOO_DEEP)
        return node


def _make_node(value: list[Node] | dict[str, Member], start: Any, children: list[Node]) -> Node:
    size, height = 1, 0
    for child in children:
        size += child.size
        height = max(height, child.height)
    return Node(value, get_event_place(start.start_mark), size=size, height=height + 1)


def _collect_merged(node: Node) -> dict[str, Member]:
    """Return the members that ``<<`` adds. If several mappings have a key, the first one is used."""
    merged: dict[str, Member] = {}
    for source in node.value if isinstance(node.value, list) else [node]:
        if not isinstance(source.value, dict):
            kind = "null" if source.is_null else describe_type(source.value)
            raise FaultError(source.place, f"<< must be a mapping or a list of mappings; got {kind}")
        for key, member in source.value.items():
            merged.setdefault(key, member)
    return merged


def _check_tag(event: Any) -> None:
    is_text = isinstance(event, yaml.ScalarEvent)
    if not is_text or event.tag != f"{_TAGS}str":
        tag = shorten(event.tag.replace(_TAGS, "!!"))
        hint = QUOTES_HINT if event.tag.startswith("!") else None
        rule = "only !!str is allowed" if is_text else "only text may have a tag"
        _fail(event, add_hint(f"unsupported tag {tag}; {rule}", hint))


def _fail(event: Any, reason: str) -> NoReturn:
    raise FaultError(get_event_place(event.start_mark), reason)
