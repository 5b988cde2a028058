"""YAML text as nodes: a composer with limits, and the line and column of every fault in the structure."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spanforge.model_registry._core.errors import MAX_SHOWN, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Place = tuple[int, int]
"""Line and column, from 1."""

MAX_LEVELS: Final = 100
"""Levels of lists and mappings that are read: more than an entry may have, few enough for Python's own stack."""

MAX_ALIASED: Final = 1_000_000
"""Values that a file's aliases may stand for: ten in each of 100,000 entries. A few lines could stand for billions."""

_TEXT_TAG: Final = "tag:yaml.org,2002:str"
PLAIN_TAG: Final = "plain"
"""Our tag of a text without quotes and tag: what it means depends on its place."""

_TOO_DEEP: Final = f"is nested more than {MAX_LEVELS} levels deep"
_BREAK: Final = re.compile("\r\n|[\n\r]")
_REFUSED: Final = (
    # Also U+0085, U+2028 and U+2029, which YAML 1.2 has in texts, and PyYAML takes for ends of lines.
    (
        re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"),
        "must be written as an escape, in double quotes",
    ),
    # libyaml takes a time for these that grows with the square of their number, for tags that are not read.
    (re.compile("^%TAG", re.MULTILINE), "directives are not supported"),
)

KINDS: Final = {ScalarNode: "text", SequenceNode: "a list", MappingNode: "a mapping"}
NULLS: Final = ("", "~", "null", "Null", "NULL")
"""The plain texts that mean null."""


class FaultError(Exception):
    """The structure of a file has a fault.

    Attributes:
        place: The place of the fault; ``None`` if it is not known.
        reason: What is wrong, as the predicate of a sentence.
    """

    def __init__(self, place: Place | None, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason


def compose(content: bytes) -> Node:
    """Return the root of a YAML file with this content.

    In a mapping of the result each key is text and occurs once: ``<<`` is replaced by the members that it adds.

    Raises:
        FaultError: It is no YAML, has not exactly one document, or exceeds a limit.
    """
    text = _decode(content)
    try:
        root: Node | None = _LOADER(text).compose_file()
    except yaml.MarkedYAMLError as error:
        line, column = _place(error.problem_mark)
        start = _place(error.context_mark)[0] if error.context_mark else line
        since = f"from line {start}" if start != line else None
        reason = " ".join(filter(None, ("is not valid YAML:", error.problem, error.context, since)))
        raise FaultError((line, column), reason) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # such as for "\\UFFFFFFFF", where libyaml is missing
        raise FaultError(None, "is not valid YAML: a character or a number in it is out of range") from None
    if root is None or is_null(root):
        raise FaultError(None, "must be a YAML list of entries; the file is empty")
    return root


def _decode(content: bytes) -> str:
    """Return the file's text: UTF-8, or UTF-16 with a byte order mark."""
    bits = 16 if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else 8
    encoding = "utf-16" if bits == 16 else "utf-8-sig"  # noqa: PLR2004 - its name
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "ignore")
        raise FaultError(_end(before), f"is not valid YAML: it is not UTF-{bits}: {error.reason}") from None
    for pattern, reason in _REFUSED:
        match = pattern.search(text)
        if match is not None:
            raise FaultError(_end(text[: match.start()]), f"is not valid YAML: {match.group()!a} {reason}")
    return text


def _end(text: str) -> Place:
    """Return the place after a text."""
    lines = _BREAK.split(text)
    return len(lines), len(lines[-1]) + 1


class _Extent(NamedTuple):
    """The number of values in a node, and its levels of lists and mappings, with those that aliases stand for."""

    values: int = 1
    levels: int = 0


class _LimitedComposer(Composer):
    """Composes nodes of a file's events, within limits that PyYAML's own composer does not have.

    It refuses tags, duplicate keys, and aliases that stand for themselves or for too much. PyYAML's parsers are
    iterative, but composers call themselves for each level, libyaml's even in C: a deeply nested file could end the
    process.
    """

    get_event: Callable[[], Any]
    peek_event: Callable[[], Any]

    def compose_file(self) -> Node | None:
        """Return the root of the only document; ``None`` if the file has none."""
        self.anchors: dict[str, Node] = {}
        self._level = 0
        self._aliased = 0
        self.get_event()  # the start of the stream
        root = None if isinstance(self.peek_event(), yaml.StreamEndEvent) else self.compose_document()
        if not isinstance(self.peek_event(), yaml.StreamEndEvent):
            _fail(self.peek_event(), "must be one YAML document; another one starts here")
        return root

    def compose_node(self, parent: Node | None, index: Any) -> Any:  # noqa: ARG002 - PyYAML's signature
        """Return the next node, or the one that the next alias stands for."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            return self._resolve_alias()
        if event.anchor in self.anchors:
            _fail(event, f"duplicate anchor {shorten(event.anchor)}")
        _check_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            node: Any = self.compose_scalar_node(event.anchor)  # type: ignore[arg-type]
            node.extent = _Extent()
            return node
        if self._level == MAX_LEVELS:
            _fail(event, _TOO_DEEP)
        self._level += 1
        if isinstance(event, yaml.SequenceStartEvent):
            node = self.compose_sequence_node(event.anchor)  # type: ignore[arg-type]
            children = node.value
        else:
            node = self.compose_mapping_node(event.anchor)
            children = [child for pair in node.value for child in pair]
            node.value = _merge(node.value)
        self._level -= 1
        node.extent = _measure(children)
        return node

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:  # noqa: ARG002 - PyYAML's signature
        """Return our tag of a node without one."""
        return PLAIN_TAG if kind is ScalarNode and implicit[0] else _TEXT_TAG

    def _resolve_alias(self) -> Node:
        event = self.get_event()
        name = f"*{event.anchor[:MAX_SHOWN]}"
        node = self.anchors.get(event.anchor)
        if node is None:
            _fail(event, f"alias {name} has no anchor before it")
        extent: _Extent | None = getattr(node, "extent", None)  # a node has it when it is complete
        if extent is None:
            _fail(event, f"alias {name} refers to the node that contains it")
        self._aliased += extent.values
        if self._aliased > MAX_ALIASED:
            _fail(event, f"aliases stand for more than {MAX_ALIASED:,} values in total")
        if self._level + extent.levels > MAX_LEVELS:
            _fail(event, _TOO_DEEP)
        return node


def _measure(children: Iterable[Any]) -> _Extent:
    """Return the extent of a list or mapping."""
    extents = [child.extent for child in children]
    values = 1 + sum(extent.values for extent in extents)
    return _Extent(values, 1 + max((extent.levels for extent in extents), default=0))


def make_loader(parser: Any) -> Any:
    """Return a loader that composes within limits what this loader of PyYAML parses."""
    return type("_Loader", (_LimitedComposer, parser), {"__init__": parser.__init__})


# libyaml reads the same as PyYAML's own parser, twenty times as fast; PyYAML may have been built without it.
_LOADER: Final = make_loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def is_null(node: Node) -> bool:
    """Check for null."""
    return node.tag == PLAIN_TAG and node.value in NULLS


def place_of(marked: Any) -> Place:
    """Return the place of a node or an event."""
    return _place(marked.start_mark)


def _place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


def _fail(marked: Any, reason: str) -> NoReturn:
    raise FaultError(place_of(marked), reason)


def _check_tag(event: Any) -> None:
    is_text = isinstance(event, yaml.ScalarEvent)
    if event.tag is None or (is_text and event.tag == _TEXT_TAG):
        return
    tag = shorten(event.tag.replace("tag:yaml.org,2002:", "!!"))
    _fail(event, f"unsupported tag {tag}; {'only !!str is allowed' if is_text else 'only text may have a tag'}")


def _merge(pairs: list[tuple[Any, Any]]) -> list[tuple[ScalarNode, Node]]:
    """Return a mapping's keys and values, with the members that ``<<`` adds; the mapping's own members win."""
    own: dict[str, tuple[ScalarNode, Node]] = {}
    merged: dict[str, tuple[ScalarNode, Node]] | None = None
    for key, value in pairs:
        if not isinstance(key, ScalarNode):
            _fail(key, f"keys must be text; got {KINDS[type(key)]}")
        is_merge = key.value == "<<" and key.tag == PLAIN_TAG
        if (is_merge and merged is not None) or (not is_merge and key.value in own):
            _fail(key, f"duplicate key {shorten(key.value)}")
        if is_merge:
            merged = _collect_merged(value)
        else:
            own[key.value] = key, value
    return list({**(merged or {}), **own}.values())


def _collect_merged(value: Any) -> dict[str, tuple[ScalarNode, Node]]:
    """Return the members that ``<<`` adds by their names: of several mappings, the first that has a name wins."""
    merged: dict[str, tuple[ScalarNode, Node]] = {}
    for source in value.value if isinstance(value, SequenceNode) else [value]:
        if not isinstance(source, MappingNode):
            _fail(source, f"<< must be a mapping or a list of mappings; got {KINDS[type(source)]}")
        for key, member in source.value:
            merged.setdefault(key.value, (key, member))
    return merged
