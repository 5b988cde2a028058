"""YAML nodes: a composer with limits, and with the line and column of every fault in the structure.

PyYAML's own composers are recursive, and libyaml's is recursive in C, so a deeply nested file could end the process.
They also accept duplicate keys, aliases that expand to billions of values, and tags.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec
import yaml

from spanforge.model_registry._core.errors import MAX_SHOWN, describe_type, shorten
from spanforge.model_registry._core.file_hints import QUOTES_HINT, TEMPLATE_HINT, add_hint, explain_yaml_fault
from spanforge.model_registry._core.file_texts import FaultError, decode_text, find_end, get_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.file_texts import Place

MAX_LEVELS: Final = 100
"""The limit of levels of lists and mappings: more than an entry may have, and few enough for Python's stack."""

MAX_ALIASED: Final = 1_000_000
"""The limit of values to which a file's aliases expand: ten for each of 100,000 entries. A few lines can expand to
billions."""

# libyaml gives the same results as PyYAML's own parser and is twenty times as fast. PyYAML may be built without it.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAGS: Final = "tag:yaml.org,2002:"
_TOO_DEEP: Final = f"is nested more than {MAX_LEVELS} levels deep"
_REFUSED: Final = (
    # Also U+0085, U+2028 and U+2029: YAML 1.2 allows them in texts, but PyYAML reads them as line ends.
    (
        re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"),
        "must be written as an escape, in double quotes",
    ),
    # libyaml's time for these grows with the square of their number, and the tags that they define are not allowed.
    (re.compile("^%TAG", re.MULTILINE), "directives are not supported"),
)

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


def compose(content: bytes, expected: str = "a YAML list of entries") -> Node:
    """Return the root of a YAML file with this content, with each ``<<`` replaced by the members that it adds.

    Args:
        content: The content.
        expected: What the file must be, for the error about an empty one.

    Raises:
        FaultError: The content is not YAML, does not have exactly one document, or exceeds a limit.
    """
    text = decode_text(content, "YAML")
    _check_characters(text)
    composer = _Composer(_read_events(text))
    root = composer.compose_document()
    if root is None or root.is_null:
        raise FaultError(None, f"must be {expected}; the file is empty")
    return root


class _Composer:
    """Builds nodes from a file's events, and checks keys, tags, anchors and limits."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node | None] = {}  # None while the node is being composed
        self._aliased_size = 0

    def compose_document(self) -> Node | None:
        """Return the root of the only document; ``None`` if there is none."""
        root = None
        for event in self._events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue  # the start or end of the stream, or the end of a document
            if root is not None:
                _fail(event, "must be one YAML document; another one starts here")
            root = self._compose(next(self._events), 0)
        return root

    def _compose(self, event: Any, level: int) -> Node:
        """Return the node that starts with an event; ``level`` is the number of lists and mappings around it."""
        if isinstance(event, yaml.AliasEvent):
            return self._resolve_alias(event, level)
        anchor = event.anchor
        if anchor in self._anchors:
            _fail(event, f"duplicate anchor {shorten(anchor)}")
        if anchor is not None:
            self._anchors[anchor] = None
        if event.tag is not None:
            _check_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(event.value, _get_place(event.start_mark), event.tag is None and event.implicit[0])
        elif level == MAX_LEVELS:
            _fail(event, _TOO_DEEP)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._compose_list(event, level + 1)
        else:
            node = self._compose_mapping(event, level + 1)
        if anchor is not None:
            self._anchors[anchor] = node
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
            value = self._compose(next(self._events), level)
            children += key, value
            if is_merge:
                merged = _collect_merged(value)
            else:
                members[text] = Member(_get_place(event.start_mark), value)
        return _make_node({**merged, **members} if merged else members, start, children)

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
    return Node(value, _get_place(start.start_mark), size=size, height=height + 1)


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


def _read_events(text: str) -> Iterator[Any]:
    """Yield the parser's events."""
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line, column = _get_place(error.problem_mark)
        start = _get_place(error.context_mark)[0] if error.context_mark else line
        since = f"from line {start}" if start != line else None
        reason = " ".join(filter(None, ("is not valid YAML:", error.problem, error.context, since)))
        hint = explain_yaml_fault(get_line(text, line), get_line(text, start))
        raise FaultError((line, column), add_hint(reason, hint)) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # for example for "\\UFFFFFFFF", without libyaml
        raise FaultError(None, "is not valid YAML: a character or a number in it is out of range") from None


def _check_characters(text: str) -> None:
    for pattern, reason in _REFUSED:
        match = pattern.search(text)
        if match is not None:
            raise FaultError(find_end(text[: match.start()]), f"is not valid YAML: {match.group()!a} {reason}")


def _get_place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


def _fail(event: Any, reason: str) -> NoReturn:
    raise FaultError(_get_place(event.start_mark), reason)
