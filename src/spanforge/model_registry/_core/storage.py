"""Registry files: a JSON array of entries, written whole or not at all, read whole or not at all; YAML is only read."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from spanforge.model_registry._core.atomic_files import (
    explain_not_synced,
    explain_os_error,
    open_folder,
    replace_file,
    sync_folder,
)
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import (
    InvalidValueError,
    RegistryFileError,
    RegistryFileNotFoundError,
)
from spanforge.model_registry._core.values import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_FILE_SIZE: Final = 256 * 1024 * 1024
"""Bytes that a registry file may have: 100,000 entries with a history take about a fifth of it."""

_TOGETHER: Final = 1_000
"""Entries that are encoded at once: few enough for the processor's cache, which saves a third of the time."""

_decode = msgspec.json.Decoder(list[ModelRegistryEntry]).decode


def write_entries(path: str | os.PathLike[str], entries: Iterable[ModelRegistryEntry]) -> None:
    """Write entries as a JSON array: UTF-8, indented, the same bytes for the same entries.

    Atomic and durable: a temporary file in the same folder, synced, takes the file's place. Whoever is killed at any
    instant leaves the old file or the new one (and perhaps a hidden temporary file). Missing parent folders are made;
    the mode of an existing file is kept, and a symbolic link still points where it did, to the new content.

    Raises:
        RegistryFileError: The file cannot be written; an existing file is unchanged, unless the error says that only
            the folder could not be synced. A YAML file never is: people's comments would be gone.
    """
    name = os.fsdecode(path)
    target = _target(name)
    written = list(entries)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open_folder(os.path.dirname(target)) as folder:
            replace_file(target, _parts(written))
            not_synced = sync_folder(folder)
    except (OSError, ValueError) as error:
        raise RegistryFileError(name, f"cannot be written: {explain_os_error(error)}") from error
    if not_synced is not None:
        raise RegistryFileError(name, explain_not_synced(not_synced)) from not_synced


def content_of(entries: Iterable[ModelRegistryEntry]) -> bytes:
    """Return the content of the file that ``write_entries`` would write."""
    return b"".join(_parts(list(entries)))


def read_entries(path: str | os.PathLike[str]) -> list[ModelRegistryEntry]:
    """Return the entries of a registry file, in the file's order.

    Raises:
        RegistryFileNotFoundError: There is no such file.
        RegistryFileError: The file cannot be read, is not a registry file, or is too large. The error names the file
            and, where it is one entry, its index, model and field.
    """
    name = os.fsdecode(path)
    return parse_entries(name, read_content(name))


def parse_entries(name: str, content: bytes) -> list[ModelRegistryEntry]:
    """Return the entries of a registry file with this name and content; raises as ``read_entries`` does."""
    if _is_yaml(name):
        return _without_duplicates(name, *_parse_yaml(name, content))
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        entries = _decode(content)
        canonical = _holds(content, entries) or msgspec.json.encode(entries) == msgspec.json.format(content, indent=-1)
    except (msgspec.MsgspecError, InvalidValueError, UnicodeError, RecursionError):
        canonical = False
    # A canonical file, indented as ``save`` does it or otherwise, has no duplicate keys: decoding would have dropped
    # one. Any other is read slowly and exactly.
    return _without_duplicates(name, entries if canonical else _read_carefully(name, content))


def _is_yaml(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def prepare(name: str) -> None:
    """Import what reading a file of this name takes: a fork while a thread imports it would leave half of it."""
    if _is_yaml(name):
        with contextlib.suppress(ImportError):
            importlib.import_module("spanforge.model_registry._core.yaml_entries")


def _parse_yaml(name: str, content: bytes) -> tuple[list[ModelRegistryEntry], list[tuple[int, int]]]:
    try:
        from spanforge.model_registry._core import yaml_entries  # noqa: PLC0415 - few need it, and PyYAML is an extra
    except ImportError:
        reason = "YAML files need the extra: pip install 'spanforge-model-registry[yaml]'"
        raise RegistryFileError(name, reason) from None
    return yaml_entries.parse(name, content)


def _target(name: str) -> str:
    """Return the file that is to be written, which a link may name."""
    try:
        target = os.path.realpath(name)
    except (OSError, ValueError) as error:
        raise RegistryFileError(name, f"cannot be written: {explain_os_error(error)}") from error
    if _is_yaml(name) or _is_yaml(target):
        reason = "YAML files are read only; save writes JSON: give a name that does not end in .yaml or .yml"
        raise RegistryFileError(name, f"cannot be written: {reason}")
    return target


def _parts(entries: list[ModelRegistryEntry]) -> Iterator[bytes]:
    """Yield the content of the file that holds these entries, piece by piece."""
    for start in range(0, len(entries), _TOGETHER):
        array = msgspec.json.format(msgspec.json.encode(entries[start : start + _TOGETHER]), indent=2)
        yield b"," if start else b"["
        yield array[len(b"[") : -len(b"\n]")]
    yield b"\n]\n" if entries else b"[]\n"


def _holds(content: bytes, entries: list[ModelRegistryEntry]) -> bool:
    """Tell whether this is the very content that ``write_entries`` would write."""
    position = 0
    for part in _parts(entries):
        if not content.startswith(part, position):
            return False
        position += len(part)
    return position == len(content)


def read_content(name: str) -> bytes:
    """Return the content of a registry file; raises as ``read_entries`` does."""
    with readable(name), open(name, "rb") as file:
        content = file.read(MAX_FILE_SIZE + 1)
    check_size(name, len(content))
    return content


@contextlib.contextmanager
def readable(name: str) -> Iterator[None]:
    """Raise what goes wrong with a file that is read as ``read_entries`` does."""
    try:
        yield
    except FileNotFoundError:
        raise RegistryFileNotFoundError(name) from None
    except (OSError, ValueError) as error:
        raise RegistryFileError(name, f"cannot be read: {explain_os_error(error)}") from error


def check_size(name: str, size: int) -> None:
    """Raise if a registry file is too large."""
    if size > MAX_FILE_SIZE:
        raise RegistryFileError(name, f"is larger than {MAX_FILE_SIZE} bytes")


def _read_carefully(name: str, content: bytes) -> list[ModelRegistryEntry]:
    try:
        found = json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        reason = f"is not valid JSON: {error.msg}"
        raise RegistryFileError(name, reason, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise RegistryFileError(name, "is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise RegistryFileError(name, f"is not valid JSON: {error}") from None
    if not isinstance(found, list):
        raise RegistryFileError(name, f"must be a JSON array of entries, not {type(found).__name__}")
    return [_entry(name, index, item) for index, item in enumerate(found)]


def _entry(name: str, index: int, item: Any) -> ModelRegistryEntry:
    twice = _key_twice(item)
    if twice is not None:
        known = item.get("model_id") if isinstance(item, dict) else None
        model_id = known if isinstance(known, str) else None
        raise RegistryFileError(name, "stands twice in its object", index, model_id, twice.removeprefix("."))
    try:
        return ModelRegistryEntry.from_dict(item)
    except InvalidValueError as error:
        reason = error.problem
        raise RegistryFileError(name, reason, index, error.model_id, error.field) from None


def _without_duplicates(
    name: str, entries: list[ModelRegistryEntry], places: Sequence[tuple[int, int]] = ()
) -> list[ModelRegistryEntry]:
    """Return the entries, or raise if two have the same id; the places of their ids are for the error."""
    if len({entry.model_id for entry in entries}) == len(entries):
        return entries
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        first = seen.setdefault(entry.model_id, index)
        if first != index:
            place = places[index] if places else (None, None)
            reason = f"must be unique: entry {first} has it too"
            raise RegistryFileError(name, reason, index, entry.model_id, "model_id", *place)
    return entries


class _KeyTwice(dict[str, Any]):
    """An object of a JSON text in which a key stands twice."""

    key: str


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    keys = [key for key, _ in pairs]
    marked = _KeyTwice(found)
    marked.key = next(key for key in keys if keys.count(key) > 1)
    return marked


def _key_twice(item: Any, path: str = "", depth: int = MAX_DEPTH + 2) -> str | None:
    """Return the path of a key that stands twice in an object somewhere in a JSON value, as deep as entries go."""
    if isinstance(item, _KeyTwice):
        return f"{path}.{item.key}"
    inside: Iterable[tuple[str, Any]] = ()
    if depth and isinstance(item, dict):
        inside = ((f"{path}.{key}", value) for key, value in item.items())
    elif depth and isinstance(item, list):
        inside = ((f"{path}[{i}]", value) for i, value in enumerate(item))
    return next((found for where, value in inside if (found := _key_twice(value, where, depth - 1)) is not None), None)


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)
