"""Registry files in YAML. All errors have the line and column of the fault."""

from __future__ import annotations

import math
import re
from array import array
from collections import deque
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.entry_fields import ARGUMENTS, ENTRY_FIELDS
from spanforge.model_registry._core.errors import InvalidValueError, RegistryFileError
from spanforge.model_registry._core.file_hints import MAX_READ, add_hint, explain_yaml_value
from spanforge.model_registry._core.file_texts import CHECKED_ITEMS, FaultError, convert_to_utf8, read_line
from spanforge.model_registry._core.json_texts import refuse_text
from spanforge.model_registry._core.name_limit import add_names
from spanforge.model_registry._core.packed_metadata import pack_metadata
from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.yaml_nodes import NULLS, compose_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spanforge.model_registry._core.file_texts import Place
    from spanforge.model_registry._core.yaml_nodes import Node

# The core schema of YAML 1.2: the types of JSON, without the dates, sexagesimals, yes and no of YAML 1.1.
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


def parse_yaml(name: str, content: bytes) -> tuple[list[ModelRegistryEntry], Callable[[int], Place]]:
    """Return the entries of a YAML file with this name and content, and a function for the places of their ids.

    Raises:
        RegistryFileError: The content is not valid. The error has line and column, and the entry and field of the
            fault.
    """
    entries: list[ModelRegistryEntry] = []
    names = 0
    places = array("Q")  # as numbers, because the garbage collector would visit 100,000 tuples
    items = compose_items(content)
    with _structure_faults_of(name):
        try:
            for index, item in enumerate(items):
                entry = _make_yaml_entry(name, content, index, item)
                names = add_names(name, names, [entry])
                entries.append(pack_metadata(entry))
                line, column = follow(item, ".model_id")[1].place
                places.append(line << 32 | column)
        except RegistryFileError:
            deque(islice(items, CHECKED_ITEMS), maxlen=0)
            raise
    return entries, lambda index: divmod(places[index], 1 << 32)


def read_yaml_items(name: str, content: bytes) -> list[Node]:
    """Return the items of the list that a YAML file is.

    Raises:
        RegistryFileError: The content is not a YAML list.
    """
    with _structure_faults_of(name):
        return list(compose_items(content))


@contextmanager
def _structure_faults_of(name: str) -> Iterator[None]:
    try:
        yield
    except FaultError as fault:
        raise refuse_text(name, fault) from None


def _make_yaml_entry(name: str, content: bytes, index: int, item: Node) -> ModelRegistryEntry:
    try:
        return ModelRegistryEntry.from_dict(make_fields(item))
    except InvalidValueError as error:
        raise _locate(name, content, index, item, error) from None


def _locate(name: str, content: bytes, index: int, item: Node, error: InvalidValueError) -> RegistryFileError:
    """Return the error about an entry of a file, with the place of the fault."""
    field = error.field if isinstance(item.value, dict) else None
    line, column = _find_yaml_place(item, error)
    written = read_line(convert_to_utf8(content, "YAML"), line, column, MAX_READ)
    reason = add_hint(error.problem, explain_yaml_value(written))
    return RegistryFileError(name, reason, index, error.model_id, field, line, column)


def make_fields(item: Node) -> Any:
    """Return the fields for ``from_dict``. All values of an entry are texts, except the user's metadata."""
    if not isinstance(item.value, dict):
        return make_plain(item, as_text=True)
    return {
        field: _make_metadata(member.node) if field == "metadata" else make_plain(member.node, as_text=True)
        for field, member in item.value.items()
    }


def _make_metadata(node: Node) -> Any:
    if not isinstance(node.value, dict):
        return make_plain(node, as_text=False)
    return {key: make_plain(member.node, as_text=key in RESERVED) for key, member in node.value.items()}


def make_plain(node: Node, *, as_text: bool) -> Any:
    """Return the JSON value of a node. With ``as_text``, each scalar except null becomes the text in the file."""
    value = node.value
    if isinstance(value, str):
        if not node.is_plain:
            return value
        if as_text:
            return None if value in NULLS else value
        return _parse_plain(value)
    if isinstance(value, list):
        return [make_plain(item, as_text=as_text) for item in value]
    return {key: make_plain(member.node, as_text=as_text) for key, member in value.items()}


def _parse_plain(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    for pattern, parse_number in _NUMBERS:
        if pattern.fullmatch(text):
            try:
                return parse_number(text)
            except ValueError:  # more digits than Python reads, and more than any number that is allowed
                return math.inf
    return text


def _find_yaml_place(item: Node, error: InvalidValueError) -> Place:
    """Return the place of the value that an error is about, or of its key if the error is about the key."""
    members = item.value if isinstance(item.value, dict) else {}
    if error.field in members and error.field not in ENTRY_FIELDS and error.field not in ARGUMENTS:
        return members[error.field].key_place
    rest, node = follow(item, f".{error.field}")
    if rest == " key" and isinstance(node.value, dict) and error.value in node.value:
        return node.value[error.value].key_place
    return node.place


def follow(node: Node, path: str) -> tuple[str, Node]:
    """Follow a field's path as far as possible, and return the rest of the path and the last node.

    Keys may contain dots and brackets, so several members may match. The correct one leaves the shortest rest.
    """
    best = path, node
    steps: Iterable[tuple[str, Node]] = ()
    if isinstance(node.value, list):
        steps = ((f"[{i}]", item) for i, item in enumerate(node.value))
    elif isinstance(node.value, dict):
        steps = ((f".{key}", member.node) for key, member in node.value.items())
    for step, child in steps if path else ():
        if path.startswith(step):
            best = min(best, follow(child, path[len(step) :]), key=lambda end: len(end[0]))
    return best
