"""Registry files in YAML, as people write them: entries, and the line and column of whatever is wrong with them."""

from __future__ import annotations

import codecs
import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import yaml

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import InvalidValueError, RegistryFileError, shorten
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Place = tuple[int, int]
"""Line and column, from 1."""

MAX_NESTING: Final = 100
"""Levels of lists and mappings that are read: more than an entry may have, few enough for Python's own stack."""

MAX_REPEATED: Final = 1_000_000
"""Values that a file's aliases may stand for: ten in each of 100,000 entries. A few lines could stand for billions."""

# libyaml reads the same as PyYAML's own parser, twenty times as fast; PyYAML may have been built without it.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAGS: Final = "tag:yaml.org,2002:"
_TOO_DEEP: Final = f"must be nested at most {MAX_NESTING} levels deep"
_BREAK: Final = re.compile("\r\n|[\n\r]")
_REFUSED: Final = (
    # Also U+0085, U+2028 and U+2029, which YAML 1.2 has in texts, and PyYAML takes for ends of lines.
    (
        re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"),
        "must be written as an escape, in double quotes",
    ),
    # libyaml takes a time for these that grows with the square of their number, for tags that are not read.
    (re.compile("^%TAG", re.MULTILINE), "is a directive that is not read"),
)

# The core schema of YAML 1.2: what JSON has, and not the dates, the sexagesimals, yes and no of YAML 1.1.
_NULLS: Final = ("", "~", "null", "Null", "NULL")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(_NULLS),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{f"{sign}.{word}": float(f"{sign}{word}") for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")},
    **{f".{word}": float(word) for word in ("nan", "NaN", "NAN")},
}
_NUMBERS: Final[tuple[tuple[re.Pattern[str], Callable[[str], float]], ...]] = (
    (re.compile("[-+]?[0-9]+"), int),
    (re.compile("0o[0-7]+"), lambda text: int(text, 8)),
    (re.compile("0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"), float),
)


class _Node(msgspec.Struct, gc=False):
    """A value of the file, or an alias of one.

    Attributes:
        value: Text, items or members, by kind.
        place: Where it stands.
        plain: Whether it is a text without quotes and tag.
        alias: Whether the value is written elsewhere.
        size: Number of values in it, with those that aliases stand for.
        height: Levels of lists and mappings in it, likewise.
    """

    value: str | list[_Node] | dict[str, _Member]
    place: Place
    plain: bool = False
    alias: bool = False
    size: int = 1
    height: int = 0


class _Member(NamedTuple):
    """A member of a mapping, and where its key stands."""

    place: Place
    value: _Node


class _Key(NamedTuple):
    """A key whose value has not come yet; ``merges``: it is ``<<``, and the value's members are to be added."""

    place: Place
    text: str
    merges: bool


class _Open(msgspec.Struct):
    """A list or mapping whose end has not come yet."""

    value: list[_Node] | dict[str, _Member]
    place: Place
    anchor: str | None = None
    key: _Key | None = None
    merged: dict[str, _Member] | None = None
    size: int = 1
    height: int = 0

    def step(self) -> str:
        """Return the part of a field's path that leads to what comes next."""
        if isinstance(self.value, list):
            return f"[{len(self.value)}]"
        return f".{self.key.text}" if self.key is not None else ""


def parse(name: str, content: bytes) -> tuple[list[ModelRegistryEntry], list[Place]]:
    """Return the entries of a YAML file with this name and content, and the places of their ids.

    Raises:
        RegistryFileError: It is no such file; the error has line and column, and the entry and field concerned.
    """
    documents = _Composer(name).compose(_text(name, content))
    if not documents or (documents[0].plain and documents[0].value in _NULLS):
        raise RegistryFileError(name, "must be a YAML list of entries, not empty")
    root = documents[0]
    if not isinstance(root.value, list):
        kind = "text" if isinstance(root.value, str) else "mapping"
        raise _error(name, root.place, f"must be a YAML list of entries, not a {kind}")
    entries = [_checked(name, index, item) for index, item in enumerate(root.value)]
    return entries, [_reach(item, ".model_id")[1].place for item in root.value]


def _checked(name: str, index: int, item: _Node) -> ModelRegistryEntry:
    try:
        return ModelRegistryEntry.from_dict(_entry(item))
    except InvalidValueError as error:
        reason = error.problem
        raise _error(name, _find(item, error), reason, index, error.model_id, error.field) from None


def _error(name: str, place: Place, reason: str, *where: Any) -> RegistryFileError:
    index, model_id, field = where or (None, None, None)
    return RegistryFileError(name, reason, index, model_id, field, *place)


def _text(name: str, content: bytes) -> str:
    """Return the file's text: UTF-8, or UTF-16 with a byte order mark."""
    bits = 16 if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else 8
    encoding = "utf-16" if bits == 16 else "utf-8-sig"  # noqa: PLR2004 - its name
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "ignore")
        raise _error(name, _after(before), f"is not valid YAML: it is not UTF-{bits}: {error.reason}") from None
    for pattern, reason in _REFUSED:
        found = pattern.search(text)
        if found is not None:
            raise _error(name, _after(text[: found.start()]), f"is not valid YAML: {found.group()!a} {reason}")
    return text


def _after(before: str) -> Place:
    lines = _BREAK.split(before)
    return len(lines), len(lines[-1]) + 1


def _events(name: str, text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line, column = _place(error.problem_mark)
        begun = _place(error.context_mark)[0] if error.context_mark else line
        since = f"from line {begun}" if begun != line else None
        reason = " ".join(filter(None, ("is not valid YAML:", error.problem, error.context, since)))
        raise _error(name, (line, column), reason) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # such as for "\\UFFFFFFFF", where libyaml is missing
        raise RegistryFileError(name, "is not valid YAML: a character or a number in it is out of range") from None


def _place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


class _Composer:
    """Makes nodes of a file's events.

    PyYAML can do that too, but calls itself for each level, in C: a deeply nested file could end the process. And its
    nodes do not tell where an alias stands.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.documents: list[_Node] = []
        self.open = [_Open(self.documents, (1, 1))]
        self.anchors: dict[str, _Node | None] = {}
        self.repeated = 0

    def compose(self, text: str) -> list[_Node]:
        """Return the document that the file has; none, if there is nothing in it."""
        for event in _events(self.name, text):
            if isinstance(event, yaml.ScalarEvent):
                self._start(event)
                plain = event.tag is None and event.implicit[0]
                self._add(_Node(event.value, _place(event.start_mark), plain), event.anchor)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._start(event)
                if len(self.open) > MAX_NESTING:
                    raise self._error(_place(event.start_mark), _TOO_DEEP)
                value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
                self.open.append(_Open(value, _place(event.start_mark), event.anchor))
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close(self.open.pop())
            elif isinstance(event, yaml.AliasEvent):
                self._add(self._alias(event))
            elif isinstance(event, yaml.DocumentStartEvent) and self.documents:
                raise self._error(_place(event.start_mark), "must be one YAML document, not several")
        return self.documents

    def _start(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        """Check the tag and the anchor of a value."""
        is_text = isinstance(event, yaml.ScalarEvent)
        if event.tag is not None and not (is_text and event.tag == f"{_TAGS}str"):
            tag = shorten(event.tag.replace(_TAGS, "!!"))
            reason = f"must have no tag{' but !!str' if is_text else ''}, not {tag}"
            raise self._error(_place(event.start_mark), reason)
        if event.anchor is not None:
            if event.anchor in self.anchors:
                reason = f"must have an anchor of its own, not {shorten(event.anchor)} again"
                raise self._error(_place(event.start_mark), reason)
            self.anchors[event.anchor] = None

    def _alias(self, event: yaml.AliasEvent) -> _Node:
        """Return what an alias stands for, at the alias's place."""
        place, anchor = _place(event.start_mark), event.anchor or ""
        target = self.anchors.get(anchor)
        if target is None:
            rule = "something else than what it is in" if anchor in self.anchors else "an anchor that comes before it"
            raise self._error(place, f"must be an alias of {rule}, not of {shorten(anchor)}")
        self.repeated += target.size
        if self.repeated > MAX_REPEATED:
            raise self._error(place, f"must be left out: aliases may stand for {MAX_REPEATED} values in all")
        if len(self.open) - 1 + target.height > MAX_NESTING:
            raise self._error(place, _TOO_DEEP)
        return msgspec.structs.replace(target, place=place, alias=True)

    def _close(self, ended: _Open) -> None:
        value = ended.value
        if isinstance(value, dict) and ended.merged:
            value = {**ended.merged, **value}
        self._add(_Node(value, ended.place, size=ended.size, height=ended.height + 1), ended.anchor)

    def _add(self, node: _Node, anchor: str | None = None) -> None:
        """Put a value that is complete where it belongs."""
        if anchor is not None:
            self.anchors[anchor] = node
        top = self.open[-1]
        top.size += node.size
        top.height = max(top.height, node.height)
        if isinstance(top.value, list):
            top.value.append(node)
        elif top.key is None:
            self._add_key(top, node)
        elif top.key.merges:
            top.merged = self._merged(node)
            top.key = None
        else:
            top.value[top.key.text] = _Member(top.key.place, node)
            top.key = None

    def _add_key(self, top: _Open, node: _Node) -> None:
        if not isinstance(node.value, str):
            raise self._error(node.place, "must have texts as keys, not lists or mappings")
        top.key = _Key(node.place, node.value, node.plain and node.value == "<<")
        if top.merged is not None if top.key.merges else node.value in top.value:
            raise self._error(node.place, "stands twice in its mapping")

    def _merged(self, node: _Node) -> dict[str, _Member]:
        """Return the members that ``<<`` adds; those from elsewhere stand where the alias does."""
        merged: dict[str, _Member] = {}
        for source in node.value if isinstance(node.value, list) else [node]:
            if not isinstance(source.value, dict):
                raise self._error(source.place, "must be a mapping or a list of mappings to merge")
            at = node if node.alias else source
            for key, member in source.value.items():
                value = msgspec.structs.replace(member.value, place=at.place, alias=True) if at.alias else member.value
                merged.setdefault(key, _Member(at.place if at.alias else member.place, value))
        return merged

    def _error(self, place: Place, reason: str) -> RegistryFileError:
        """Return an error about what comes next, or about the key that came last."""
        where = self.open[1:]
        if not where or not isinstance(where[0].value, list):
            return _error(self.name, place, reason)
        index = len(where[0].value)
        members = where[1].value if len(where) > 1 else {}
        model_id = None
        if isinstance(members, dict) and "model_id" in members:
            model_id = _value(members["model_id"].value, as_text=True)
        field = "".join(outer.step() for outer in where[1:]).removeprefix(".")
        return _error(self.name, place, reason, index, model_id if isinstance(model_id, str) else None, field or None)


def _entry(item: _Node) -> Any:
    """Return what ``from_dict`` takes: of all that an entry has, only the user's metadata is more than texts."""
    if not isinstance(item.value, dict):
        return _value(item, as_text=True)
    data = {field: _value(member.value, as_text=True) for field, member in item.value.items() if field != "metadata"}
    if "metadata" in item.value:
        data["metadata"] = _metadata(item.value["metadata"].value)
    return data


def _metadata(node: _Node) -> Any:
    if not isinstance(node.value, dict):
        return _value(node, as_text=False)
    return {key: _value(member.value, as_text=key in RESERVED) for key, member in node.value.items()}


def _value(node: _Node, *, as_text: bool) -> Any:
    """Return the JSON value of a node; as text, whatever is not null is taken as it is written."""
    value = node.value
    if isinstance(value, str):
        if not node.plain:
            return value
        if as_text:
            return None if value in _NULLS else value
        return _plain(value)
    if isinstance(value, list):
        return [_value(item, as_text=as_text) for item in value]
    return {key: _value(member.value, as_text=as_text) for key, member in value.items()}


def _plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for pattern, number in _NUMBERS:
        if pattern.fullmatch(text):
            try:
                return number(text)
            except ValueError:  # more digits than Python reads, and than any number has that is allowed
                return math.inf
    return text


def _find(item: _Node, error: InvalidValueError) -> Place:
    """Return where the value stands that an error is about, or the key, if it is that."""
    own = {} if item.alias or not isinstance(item.value, dict) else item.value
    if error.field in own and error.field not in ModelRegistryEntry.__struct_fields__:
        return own[error.field].place
    rest, node = _reach(item, f".{error.field}")
    if rest == " key" and isinstance(node.value, dict) and error.value in node.value:
        return node.value[error.value].place
    return node.place


def _reach(node: _Node, path: str) -> tuple[str, _Node]:
    """Follow a field's path as far as it leads, though not into what is written elsewhere; return also what is left."""
    best = path, node
    steps: Iterable[tuple[str, _Node]] = ()
    if node.alias or not path:
        return best
    if isinstance(node.value, list):
        steps = ((f"[{i}]", item) for i, item in enumerate(node.value))
    elif isinstance(node.value, dict):
        steps = ((f".{key}", member.value) for key, member in node.value.items())
    for step, inner in steps:
        if path.startswith(step):
            best = min(best, _reach(inner, path[len(step) :]), key=lambda found: len(found[0]))
    return best
