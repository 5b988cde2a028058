"""Registry files: a JSON array of entries, written and read as a whole. YAML files are only read."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import stat
from collections import Counter
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
    MissingExtraError,
    RegistryFileError,
    RegistryFileNotFoundError,
    describe_type,
    shorten,
)
from spanforge.model_registry._core.validation import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_FILE_SIZE: Final = 256 * 1024 * 1024
"""Bytes that a registry file may have: 100,000 entries with a history take about a fifth of it."""

FileMark = tuple[int, ...]
"""Device, inode, size, and the times of content and inode: one of them changes when a file does."""

_ENCODE_CHUNK: Final = 1_000
"""Entries that are encoded at once: few enough for the processor's cache, which saves a third of the time."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

_decode = msgspec.json.Decoder(list[ModelRegistryEntry]).decode


def write_entries(path: str | os.PathLike[str], entries: Iterable[ModelRegistryEntry]) -> None:
    """Write entries as a JSON array: UTF-8, indented, the same bytes for the same entries.

    The write is atomic and durable: a synced temporary file in the same folder takes the file's place. If the process
    is killed, either the old or the new file remains, perhaps beside a hidden temporary file. Missing parent folders
    are made. The mode of an existing file is kept, and a symbolic link still points to the same place.

    Raises:
        RegistryFileError: The file cannot be written. An existing file is unchanged, unless the error says that only
            the folder could not be synced. YAML files are never written: people's comments would be lost.
    """
    name = os.fsdecode(path)
    target = _target(name)
    parts = _encode_parts(list(entries))
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open_folder(os.path.dirname(target)) as folder:
            replace_file(target, parts)
            not_synced = sync_folder(folder)
    except (OSError, ValueError) as error:
        raise RegistryFileError(name, f"cannot be written: {explain_os_error(error)}") from error
    if not_synced is not None:
        raise RegistryFileError(name, explain_not_synced(not_synced)) from not_synced


def encode_entries(entries: Iterable[ModelRegistryEntry]) -> bytes:
    """Return the content of the file that ``write_entries`` would write."""
    return b"".join(_encode_parts(list(entries)))


content_of = encode_entries
"""The former name, for modules that still use it."""


def read_entries(path: str | os.PathLike[str]) -> list[ModelRegistryEntry]:
    """Return the entries of a registry file, in the file's order.

    Raises:
        RegistryFileNotFoundError: The file does not exist.
        RegistryFileError: The file cannot be read, is not a registry file, or is too large. If one entry is wrong,
            the error names its index, model and field.
    """
    name = os.fsdecode(path)
    _, content = read_file(name)
    return parse_entries(name, content or b"")


def read_file(path: str, known: FileMark | None = None, *, regular_only: bool = False) -> tuple[FileMark, bytes | None]:
    """Return a registry file's mark and content; raises as ``read_entries`` does.

    The file is opened even if it has not changed, because only then does a network file system ask its server.

    Args:
        path: The file.
        known: The mark of an earlier call. If the file still has it, the content is ``None``.
        regular_only: Refuse anything but a regular file, without waiting for a writer as a named pipe would.
    """
    with _translate_os_errors(path), open(path, "rb", opener=_open_regular if regular_only else None) as file:
        status = os.fstat(file.fileno())
        _check_size(path, status.st_size)
        mark = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        if mark == known:
            return mark, None
        content = file.read(MAX_FILE_SIZE + 1)
    _check_size(path, len(content))
    return mark, content


def _open_regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is not a regular file")


@contextlib.contextmanager
def _translate_os_errors(name: str) -> Iterator[None]:
    """Raise an error of the system as one about the registry file."""
    try:
        yield
    except RegistryFileError:
        raise
    except FileNotFoundError:
        raise RegistryFileNotFoundError(name) from None
    except (OSError, ValueError) as error:
        raise RegistryFileError(name, f"cannot be read: {explain_os_error(error)}") from error


def _check_size(name: str, size: int) -> None:
    if size > MAX_FILE_SIZE:
        raise RegistryFileError(name, f"is larger than {MAX_FILE_SIZE:,} bytes")


def parse_entries(name: str, content: bytes) -> list[ModelRegistryEntry]:
    """Return the entries of a registry file with this name and content; raises as ``read_entries`` does."""
    if _is_yaml(name):
        return _check_unique_ids(name, *_parse_yaml(name, content))
    content = content.removeprefix(_BYTE_ORDER_MARK)
    entries = _decode_canonical(content)
    return _check_unique_ids(name, _decode_strictly(name, content) if entries is None else entries)


def _is_yaml(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def preload_parser(name: str) -> None:
    """Import the parser of a file with this name: a fork while a thread imports it would leave half of it."""
    if _is_yaml(name):
        with contextlib.suppress(ImportError):
            importlib.import_module("spanforge.model_registry._core.yaml_entries")


def _parse_yaml(name: str, content: bytes) -> tuple[list[ModelRegistryEntry], list[tuple[int, int]]]:
    try:
        from spanforge.model_registry._core import yaml_entries  # noqa: PLC0415 - few need it, and PyYAML is an extra
    except ImportError:
        raise RegistryFileError(name, str(MissingExtraError("YAML files", "yaml"))) from None
    return yaml_entries.parse(name, content)


def _target(name: str) -> str:
    """Return the path of the file to write, after following links."""
    try:
        target = os.path.realpath(name)
    except (OSError, ValueError) as error:
        raise RegistryFileError(name, f"cannot be written: {explain_os_error(error)}") from error
    if _is_yaml(name) or _is_yaml(target):
        reason = "cannot be written: YAML files are read-only, and save writes JSON; use a name that ends in .json"
        raise RegistryFileError(name, reason)
    return target


def _encode_parts(entries: list[ModelRegistryEntry]) -> Iterator[bytes]:
    """Yield the content of the file that holds these entries, piece by piece."""
    for start in range(0, len(entries), _ENCODE_CHUNK):
        array = msgspec.json.format(msgspec.json.encode(entries[start : start + _ENCODE_CHUNK]), indent=2)
        yield b"," if start else b"["
        yield array[len(b"[") : -len(b"\n]")]
    yield b"\n]\n" if entries else b"[]\n"


def _decode_canonical(content: bytes) -> list[ModelRegistryEntry] | None:
    """Return the entries of a file in canonical form, whatever its indentation. ``None``: decode it strictly.

    A file is canonical if its entries encode to the same text. It then has no duplicate key, because decoding drops
    one of the two. This is the cheapest exact check: it takes 0.3 of the time of ``json.loads``, a hook for objects
    in ``json.loads`` 1.4, decoding to plain dicts and counting their keys 1.7, a regular expression for keys 5.8.
    Counting colons in the text is not exact: a missing optional field and a duplicate one cancel out.
    """
    try:
        entries = _decode(content)
        is_canonical = _is_as_written(content, entries)
        if not is_canonical:
            is_canonical = msgspec.json.encode(entries) == msgspec.json.format(content, indent=-1)
    except (msgspec.MsgspecError, InvalidValueError, UnicodeError, RecursionError):
        return None
    return entries if is_canonical else None


def _is_as_written(content: bytes, entries: list[ModelRegistryEntry]) -> bool:
    """Check for the very content that ``write_entries`` would write."""
    position = 0
    for part in _encode_parts(entries):
        if not content.startswith(part, position):
            return False
        position += len(part)
    return position == len(content)


def _decode_strictly(name: str, content: bytes) -> list[ModelRegistryEntry]:
    """Return the entries of any JSON file; slow, and its errors say where the fault is."""
    try:
        items = json.loads(content.decode(), object_pairs_hook=_make_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        reason = f"is not valid JSON: {error.msg}"
        raise RegistryFileError(name, reason, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise RegistryFileError(name, "is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise RegistryFileError(name, f"is not valid JSON: {error}") from None
    if not isinstance(items, list):
        raise RegistryFileError(name, f"must be a JSON array of entries; got {describe_type(items)}")
    return [_make_entry(name, index, item) for index, item in enumerate(items)]


def _make_entry(name: str, index: int, item: Any) -> ModelRegistryEntry:
    duplicate = _find_duplicate_key(item)
    if duplicate is not None:
        path, key = duplicate
        given = item.get("model_id") if isinstance(item, dict) else None
        model_id = given if isinstance(given, str) else None
        raise RegistryFileError(name, f"duplicate key {shorten(key)}", index, model_id, path)
    try:
        return ModelRegistryEntry.from_dict(item)
    except InvalidValueError as error:
        field = error.field if isinstance(item, dict) else None
        raise RegistryFileError(name, error.problem, index, error.model_id, field) from None


def _check_unique_ids(
    name: str, entries: list[ModelRegistryEntry], places: Sequence[tuple[int, int]] = ()
) -> list[ModelRegistryEntry]:
    """Return the entries, or raise if two have the same id; the error has the line and column of the second one."""
    if len({entry.model_id for entry in entries}) == len(entries):
        return entries
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        first = seen.setdefault(entry.model_id, index)
        if first != index:
            place = places[index] if places else (None, None)
            reason = f"must be unique; entry {first} has it too"
            raise RegistryFileError(name, reason, index, entry.model_id, "model_id", *place)
    return entries


class _ObjectWithDuplicate(dict[str, Any]):
    """An object of a JSON text that has a key twice."""

    key: str


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    counts = Counter(key for key, _ in pairs)
    marked = _ObjectWithDuplicate(members)
    marked.key = next(key for key in counts if counts[key] > 1)
    return marked


def _find_duplicate_key(item: Any, path: str = "", levels: int = MAX_DEPTH + 2) -> tuple[str, str] | None:
    """Return the path and name of the first duplicate key in a JSON value, as deep as entries go."""
    if isinstance(item, _ObjectWithDuplicate):
        return f"{path}.{item.key}".removeprefix("."), item.key
    children: Iterable[tuple[str, Any]] = ()
    if levels and isinstance(item, dict):
        children = ((f"{path}.{key}", value) for key, value in item.items())
    elif levels and isinstance(item, list):
        children = ((f"{path}[{i}]", value) for i, value in enumerate(item))
    for child_path, child in children:
        duplicate = _find_duplicate_key(child, child_path, levels - 1)
        if duplicate is not None:
            return duplicate
    return None


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)
