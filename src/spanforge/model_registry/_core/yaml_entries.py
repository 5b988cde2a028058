"""Registry files in YAML, as people write them. Every error has the line and column of its fault."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import InvalidValueError, RegistryFileError
from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.yaml_nodes import KINDS, NULLS, PLAIN_TAG, FaultError, compose, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spanforge.model_registry._core.yaml_nodes import Place

# The core schema of YAML 1.2: what JSON has, and not the dates, the sexagesimals, yes and no of YAML 1.1.
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(NULLS),
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


def parse(name: str, content: bytes) -> tuple[list[ModelRegistryEntry], list[Place]]:
    """Return the entries of a YAML file with this name and content, and the places of their ids.

    Raises:
        RegistryFileError: It is not such a file. The error has line and column, and the entry and field if one is
            wrong.
    """
    try:
        root = compose(content)
    except FaultError as fault:
        line, column = fault.place or (None, None)
        raise RegistryFileError(name, fault.reason, line=line, column=column) from None
    if not isinstance(root, SequenceNode):
        line, column = place_of(root)
        reason = f"must be a YAML list of entries; got {KINDS[type(root)]}"
        raise RegistryFileError(name, reason, line=line, column=column)
    entries = [_make_entry(name, index, item) for index, item in enumerate(root.value)]
    return entries, [place_of(_follow(item, ".model_id")[1]) for item in root.value]


def _make_entry(name: str, index: int, item: Node) -> ModelRegistryEntry:
    try:
        return ModelRegistryEntry.from_dict(_make_fields(item))
    except InvalidValueError as error:
        field = error.field if isinstance(item, MappingNode) else None
        place = _find_place(item, error)
        raise RegistryFileError(name, error.problem, index, error.model_id, field, *place) from None


def _make_fields(item: Node) -> Any:
    """Return what ``from_dict`` takes. All values of an entry are texts, but for the user's metadata."""
    if not isinstance(item, MappingNode):
        return _make_value(item, as_text=True)
    return {
        key.value: _make_metadata(value) if key.value == "metadata" else _make_value(value, as_text=True)
        for key, value in item.value
    }


def _make_metadata(node: Node) -> Any:
    if not isinstance(node, MappingNode):
        return _make_value(node, as_text=False)
    return {key.value: _make_value(value, as_text=key.value in RESERVED) for key, value in node.value}


def _make_value(node: Node, *, as_text: bool) -> Any:
    """Return the JSON value of a node; as text, every scalar but null is taken as it is written."""
    if isinstance(node, SequenceNode):
        return [_make_value(item, as_text=as_text) for item in node.value]
    if isinstance(node, MappingNode):
        return {key.value: _make_value(value, as_text=as_text) for key, value in node.value}
    if node.tag != PLAIN_TAG:
        return node.value
    if as_text:
        return None if node.value in NULLS else node.value
    return _parse_plain(node.value)


def _parse_plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for pattern, parse_number in _NUMBERS:
        if pattern.fullmatch(text):
            try:
                return parse_number(text)
            except ValueError:  # more digits than Python reads, and than any number has that is allowed
                return math.inf
    return text


def _find_place(item: Node, error: InvalidValueError) -> Place:
    """Return the place of the value that an error is about, or of the key, if that is wrong."""
    rest, node = _follow(item, f".{error.field}")
    key = None
    if error.field not in ModelRegistryEntry.__struct_fields__:
        key = _find_key(item, error.field)
    if key is None and rest == " key":
        key = _find_key(node, error.value)
    return place_of(key or node)


def _find_key(node: Node, name: Any) -> ScalarNode | None:
    pairs = node.value if isinstance(node, MappingNode) else []
    return next((key for key, _ in pairs if key.value == name), None)


def _follow(node: Node, path: str) -> tuple[str, Node]:
    """Follow a field's path as far as it leads; return the rest of the path, and the node.

    Keys may contain dots and brackets, so several members may fit: the one that leads farthest is right.
    """
    best = path, node
    steps: Iterable[tuple[str, Node]] = ()
    if isinstance(node, SequenceNode):
        steps = ((f"[{i}]", item) for i, item in enumerate(node.value))
    elif isinstance(node, MappingNode):
        steps = ((f".{key.value}", value) for key, value in node.value)
    for step, child in steps if path else ():
        if path.startswith(step):
            best = min(best, _follow(child, path[len(step) :]), key=lambda end: len(end[0]))
    return best
