"""JSON texts: a decoder that marks duplicate keys and refuses what is not JSON, and the faults of whole texts."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

from spanforge.model_registry._core.errors import RegistryFileError, describe_type
from spanforge.model_registry._core.file_hints import MAX_READ, add_hint, explain_json_fault, explain_root
from spanforge.model_registry._core.file_texts import FaultError, decode_text
from spanforge.model_registry._core.validation import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NESTED_TOO_DEEPLY: Final = "is not valid JSON: it is nested too deeply"


class _ObjectWithDuplicate(dict[str, Any]):
    """An object of a JSON text that has a duplicate key."""

    keys_twice: list[str]


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    counts = Counter(key for key, _ in pairs)
    marked = _ObjectWithDuplicate(members)
    marked.keys_twice = [key for key in counts if counts[key] > 1]
    return marked


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


json_decoder: Final = json.JSONDecoder(object_pairs_hook=_make_object, parse_constant=_refuse_constant)
"""A decoder of JSON whose objects mark their duplicate keys; see ``list_duplicate_keys``."""


def decode_json_text(name: str, content: bytes) -> str:
    """Return the text of a JSON file, which is UTF-8, or UTF-16 with a byte order mark."""
    try:
        return decode_text(content, "JSON")
    except FaultError as fault:
        raise refuse_text(name, fault) from None


def refuse_text(name: str, fault: FaultError) -> RegistryFileError:
    """Return the error about the structure of a file."""
    line, column = fault.place or (None, None)
    return RegistryFileError(name, fault.reason, line=line, column=column)


@contextmanager
def json_faults_of(name: str, text: str) -> Iterator[None]:
    """Turn a fault that ``json.loads`` finds in a text into a ``RegistryFileError``, with its place and a hint."""
    try:
        yield
    except json.JSONDecodeError as error:
        before, rest = text[max(error.pos - MAX_READ, 0) : error.pos], text[error.pos : error.pos + MAX_READ]
        reason = explain_json_error(error.msg, text[:MAX_READ], before, rest)
        raise RegistryFileError(name, reason, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise RegistryFileError(name, NESTED_TOO_DEEPLY) from None
    except ValueError as error:
        raise RegistryFileError(name, f"is not valid JSON: {error}") from None


def explain_json_error(message: str, start: str, before: str, rest: str) -> str:
    """Return the predicate of the sentence about a text that is not JSON, with a hint; see ``explain_json_fault``."""
    return add_hint(f"is not valid JSON: {message}", explain_json_fault(start, before, rest))


def decode_json_value(name: str, text: str) -> Any:
    """Return the value of a JSON text. ``list_duplicate_keys`` finds the duplicate keys in it.

    Raises:
        RegistryFileError: The text is not JSON.
    """
    with json_faults_of(name, text):
        return json_decoder.decode(text)


def decode_json_items(name: str, text: str) -> list[Any]:
    """Return the items of the array that a JSON text is. ``list_duplicate_keys`` finds the duplicate keys in an item.

    Raises:
        RegistryFileError: The text is not a JSON array.
    """
    items = decode_json_value(name, text)
    if not isinstance(items, list):
        members = items if isinstance(items, dict) else {}
        raise refuse_root(name, items, members, [key for key, value in members.items() if isinstance(value, list)])
    return items


def refuse_root(name: str, root: Any, keys: Iterable[str], lists: list[str]) -> RegistryFileError:
    """Return the error about a JSON file that is not an array.

    Args:
        name: The path of the file.
        root: The value that the file has, or another one of its type.
        keys: The keys of the object.
        lists: Those whose value is an array.
    """
    reason = f"must be a JSON array of entries; got {describe_type(root)}"
    return RegistryFileError(name, add_hint(reason, explain_root(list(keys), lists)))


def list_duplicate_keys(item: Any, path: str = "", levels: int = MAX_DEPTH + 2) -> Iterator[tuple[str, str]]:
    """Yield the path and name of each duplicate key in a JSON value, down to the depth that entries allow."""
    if isinstance(item, _ObjectWithDuplicate):
        yield from ((f"{path}.{key}".removeprefix("."), key) for key in item.keys_twice)
    children: Iterable[tuple[str, Any]] = ()
    if levels and isinstance(item, dict):
        children = ((f"{path}.{key}", value) for key, value in item.items())
    elif levels and isinstance(item, list):
        children = ((f"{path}[{i}]", value) for i, value in enumerate(item))
    for child_path, child in children:
        yield from list_duplicate_keys(child, child_path, levels - 1)
