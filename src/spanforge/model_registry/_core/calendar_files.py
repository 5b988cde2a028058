"""Calendar files: lists of announcements, read from JSON or YAML with the place of every fault, and written as JSON."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from spanforge.model_registry._core import storage
from spanforge.model_registry._core.announcements import CALENDAR_FIELDS, Announcement
from spanforge.model_registry._core.errors import (
    InvalidValueError,
    MissingExtraError,
    RegistryFileError,
    describe_type,
    shorten,
)
from spanforge.model_registry._core.file_texts import FaultError
from spanforge.model_registry._core.json_places import find_json_place
from spanforge.model_registry._core.json_texts import decode_json_text, json_faults_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_CALENDAR_SIZE: Final = 4 * 1024 * 1024
"""The limit of a calendar file's bytes. Every process reads the file, and must not stop other threads meanwhile."""
MAX_ANNOUNCEMENTS: Final = 10_000
"""The limit of a calendar's announcements. The largest public catalogue had 924 dates in November 2026."""
CALENDAR_WAIT: Final = 3.0
"""The seconds that ``save`` waits while another process changes a file in the folder."""
_HINT: Final = "see docs/calendar.md"

_FilePlace = tuple[int, int]


def read_calendar(path: str | os.PathLike[str]) -> list[Announcement]:
    """Return the announcements of a calendar file, in the file's order; raise the errors of ``parse_announcements``."""
    name = os.fsdecode(path)
    _, content = storage.read_registry_file(name)
    return parse_announcements(name, content or b"")


def write_calendar(path: str | os.PathLike[str], announcements: Iterable[Announcement]) -> None:
    """Write announcements as an indented JSON array, atomically, unless the file would be too large to be read.

    Raises:
        RegistryFileError: The file would be too large or is locked, or an error of ``storage.write_target``.
    """
    name = os.fsdecode(path)
    content = encode_calendar(name, announcements)
    target = storage.resolve_json_target(name)
    with storage.lock_target(name, target, CALENDAR_WAIT):
        storage.write_target(name, target, [content])


def encode_calendar(name: str, announcements: Iterable[Announcement]) -> bytes:
    """Return the content of a calendar file in JSON.

    Raises:
        RegistryFileError: The content is too large to be read.
    """
    content = msgspec.json.format(msgspec.json.encode(list(announcements)), indent=2) + b"\n"
    _check_calendar_size(name, content, "cannot be written: it would be")
    return content


def parse_announcements(name: str, content: bytes) -> list[Announcement]:
    """Return the announcements of a calendar file with this name and content.

    Raises:
        RegistryFileError: The content is not valid, or too large. The error names line and column, and the entry and
            field of the fault.
    """
    _check_calendar_size(name, content, "is")
    parse = _parse_yaml_calendar if storage.is_yaml(name) else _parse_json_calendar
    return parse(name, content)


def _check_calendar_size(name: str, content: bytes, verb: str) -> None:
    if len(content) > MAX_CALENDAR_SIZE:
        raise RegistryFileError(name, f"{verb} larger than {MAX_CALENDAR_SIZE:,} bytes, the limit of a calendar")


def _parse_json_calendar(name: str, content: bytes) -> list[Announcement]:
    text = decode_json_text(name, content)
    items = decode_json(name, text)

    def find_place(index: int, field: str | None) -> _FilePlace:
        return find_json_place(text, index, field)

    return _make_announcements(name, items, find_place)


def _parse_yaml_calendar(name: str, content: bytes) -> list[Announcement]:
    root, items = read_yaml(name, content, "a YAML list of announcements")

    def find_place(index: int, field: str | None) -> _FilePlace:
        node = root.value[index]
        member = node.value.get(field) if isinstance(node.value, dict) else None
        line, column = node.place if member is None else member.key_place
        return line, column

    return _make_announcements(name, items, find_place)


def read_yaml(name: str, content: bytes, expected: str = "a YAML document") -> tuple[Any, Any]:
    """Return the root node of a YAML file, and its plain value, in which all scalars are texts.

    Args:
        name: The name of the file, for errors.
        content: Its content.
        expected: What the file must be, for the error about an empty one.

    Raises:
        RegistryFileError: The content is not YAML, or the extra ``yaml`` is not installed.
    """
    try:
        from spanforge.model_registry._core import yaml_entries, yaml_nodes  # noqa: PLC0415 - PyYAML is an extra
    except ImportError:
        raise RegistryFileError(name, str(MissingExtraError("YAML files", "yaml"))) from None
    try:
        root = yaml_nodes.compose(content, expected)
    except FaultError as fault:
        line, column = fault.place or (None, None)
        raise RegistryFileError(name, fault.reason, line=line, column=column) from None
    return root, yaml_entries.make_plain(root, as_text=True)


def decode_json(name: str, text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        RegistryFileError: The text is not valid JSON, or an object has a key twice.
    """
    with json_faults_of(name, text):
        return json.loads(text, object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_number)


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        msg = f"duplicate key {shorten(next(key for key, count in counts.items() if count > 1))}"
        raise ValueError(msg)
    return members


def _refuse_number(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)


def _make_announcements(
    name: str, items: Any, find_place: Callable[[int, str | None], _FilePlace]
) -> list[Announcement]:
    if not isinstance(items, list):
        rule = f"a list of announcements, each with {', '.join(CALENDAR_FIELDS)}"
        raise RegistryFileError(name, f"must be {rule}; got {describe_type(items)}; {_HINT}")
    if len(items) > MAX_ANNOUNCEMENTS:
        raise RegistryFileError(name, f"has {len(items):,} announcements; the limit is {MAX_ANNOUNCEMENTS:,}")
    return [_make_announcement(name, index, item, find_place) for index, item in enumerate(items)]


def _make_announcement(
    name: str, index: int, item: Any, find_place: Callable[[int, str | None], _FilePlace]
) -> Announcement:
    try:
        return Announcement.from_dict(item)
    except InvalidValueError as error:
        field = error.field if isinstance(item, dict) else None
        place = find_place(index, None if field is None else field.partition("[")[0])
        raise RegistryFileError(name, error.problem, index, error.model_id, field, *place) from None
