"""The items of a registry file as plain values, and the places of their values. All items are read in one pass."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from spanforge.model_registry._core.entry_fields import ARGUMENTS
from spanforge.model_registry._core.file_hints import explain_yaml_value
from spanforge.model_registry._core.file_texts import decode_text, split_lines
from spanforge.model_registry._core.json_places import find_json_place, find_json_value
from spanforge.model_registry._core.json_texts import decode_json_items, decode_json_text, list_duplicate_keys
from spanforge.model_registry._core.storage import is_yaml

if TYPE_CHECKING:
    from spanforge.model_registry._core.yaml_nodes import Node

FindingPlace = tuple["int | None", "int | None"]
"""Line and column, from 1, if they are known."""
NOWHERE: Final[FindingPlace] = (None, None)
_BEFORE_ITEM: Final = re.compile(r"[ \t\r\n]*[\[,]?[ \t\r\n]*")


class Items(Protocol):
    """The items of a file."""

    def __len__(self) -> int:
        """Return the number of items."""

    def get_fields(self, index: int) -> Any:
        """Return the plain value of an item."""

    def list_duplicates(self, index: int) -> list[tuple[str, str]]:
        """Return the path and the name of each key that an item has twice."""

    def find(self, index: int, path: str | None, *, of_key: bool = False) -> FindingPlace:
        """Return the place of a value in an item; of the key of a field with ``of_key``; of the item without a path."""

    def explain(self, place: FindingPlace) -> str | None:
        """Return a hint about a value that is not allowed at a place; ``None`` if there is none."""


def read_items(name: str, content: bytes) -> Items:
    """Return the items of a file with this name and content.

    Raises:
        RegistryFileError: The content is not a list.
    """
    return _YamlItems(name, content) if is_yaml(name) else _JsonItems(name, content)


class _ItemSpan(NamedTuple):
    """The part of a text that an item is, and the place of its first character."""

    start: int
    end: int
    line: int
    column: int


class _JsonItems:
    def __init__(self, name: str, content: bytes) -> None:
        self._text = decode_json_text(name, content)
        self._items = decode_json_items(name, self._text)
        self._spans: list[_ItemSpan] = []

    def __len__(self) -> int:
        return len(self._items)

    def get_fields(self, index: int) -> Any:
        return self._items[index]

    def list_duplicates(self, index: int) -> list[tuple[str, str]]:
        return list(list_duplicate_keys(self._items[index]))

    def find(self, index: int, path: str | None, *, of_key: bool = False) -> FindingPlace:
        if not self._spans:
            self._spans = _list_spans(self._text, len(self._items))
        start, end, line, column = self._spans[index]
        if path is None:
            return line, column
        fields = _list_keys(self._items[index])
        path = _find_written_path(
            path, fields, _list_keys(self._items[index]["metadata"] if "metadata" in fields else ())
        )
        text = f"[{self._text[start:end]}]"
        with suppress(RecursionError):  # the item was read with more of the stack left
            is_key = of_key and path in fields
            inner_line, inner_column = (find_json_place if is_key else find_json_value)(text, 0, path)
            is_first = inner_line == 1
            return line + inner_line - 1, inner_column + (column - len("[") - 1 if is_first else 0)
        return line, column

    def explain(self, place: FindingPlace) -> str | None:  # noqa: ARG002 - in JSON, a value is what it looks like
        return None


def _list_spans(text: str, number: int) -> list[_ItemSpan]:
    """Return the spans of the items of a valid JSON array."""
    decode = json.JSONDecoder().raw_decode
    spans, position, line = [], 0, 1
    for _ in range(number):
        start = _find_next(text, position)
        line += text.count("\n", position, start)
        end = decode(text, start)[1]
        spans.append(_ItemSpan(start, end, line, start - text.rfind("\n", 0, start)))
        line += text.count("\n", start, end)
        position = end
    return spans


def _find_next(text: str, position: int) -> int:
    """Return the position of the next item, after white space and a bracket or a comma."""
    match = _BEFORE_ITEM.match(text, position)
    return position if match is None else match.end()


class _YamlItems:
    def __init__(self, name: str, content: bytes) -> None:
        from spanforge.model_registry._core import yaml_entries  # noqa: PLC0415 - PyYAML takes time to import

        self._yaml = yaml_entries
        self._content = content
        self._nodes: list[Node] = yaml_entries.read_yaml_items(name, content)

    def __len__(self) -> int:
        return len(self._nodes)

    def get_fields(self, index: int) -> Any:
        return self._yaml.make_fields(self._nodes[index])

    def list_duplicates(self, index: int) -> list[tuple[str, str]]:  # noqa: ARG002 - a file with one is not read
        return []

    def find(self, index: int, path: str | None, *, of_key: bool = False) -> FindingPlace:
        node = self._nodes[index]
        if path is None:
            return node.place
        members = node.value if isinstance(node.value, dict) else {}
        metadata = members["metadata"].node.value if "metadata" in members else ()
        path = _find_written_path(path, members, _list_keys(metadata))
        if of_key and path in members:
            return members[path].key_place
        return self._yaml.follow(node, f".{path}")[1].place

    def explain(self, place: FindingPlace) -> str | None:
        line, column = place
        if line is None or column is None:
            return None
        return explain_yaml_value(self._lines[line - 1][column - 1 :])

    @cached_property
    def _lines(self) -> list[str]:
        return split_lines(decode_text(self._content, "YAML"))


def _find_written_path(path: str, fields: Collection[str], metadata_keys: Collection[str]) -> str:
    """Return the path of a value in a file, where a reserved key may be beside the fields, perhaps as an argument.

    Args:
        path: The path in the entry.
        fields: The names that the item has.
        metadata_keys: The keys of its metadata.
    """
    outer, _, inner = path.partition(".")
    key = re.split(r"[.\[]", inner, maxsplit=1)[0]
    if outer != "metadata" or key in metadata_keys:
        return path
    written = next((name for name in fields if ARGUMENTS.get(name) == key), None)
    return path if written is None else f"{written}{inner[len(key) :]}"


def _list_keys(value: Any) -> Collection[str]:
    return value.keys() if isinstance(value, Mapping) else ()
