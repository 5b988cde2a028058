"""Changes of calendar files in YAML, which keep comments and layout: a day is replaced in place, new items follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._cli.unfinished_entries import format_scalar
from spanforge.model_registry._core.announcements import Announcement
from spanforge.model_registry._core.calendar_files import encode_calendar, parse_announcements, read_yaml
from spanforge.model_registry._core.errors import RegistryFileError, RegistryFileNotFoundError
from spanforge.model_registry._core.provider_calendar import Calendar, make_calendar
from spanforge.model_registry._core.storage import (
    is_yaml,
    lock_target,
    read_registry_file,
    resolve_json_target,
    resolve_target,
    write_target,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SOME_DAY: Final = "9999-12-31"
_SYNC_WAIT: Final = 30.0
"""The seconds to wait while another process changes a file in the folder."""


def add_to_calendar(path: str, found: Calendar) -> tuple[Calendar, Calendar]:
    """Add announcements to a calendar file, atomically. A YAML file keeps its comments and layout.

    The folder is locked, and the file is read with the lock held. So two changes at the same time lose nothing.

    Returns:
        The calendar before and after.

    Raises:
        RegistryFileError: The file cannot be read or written, or its layout cannot be kept.
    """
    target = resolve_target(path)
    with lock_target(path, target, _SYNC_WAIT):
        content = _read_if_any(path)
        before = _parse_if_any(path, content)
        after = before.merge(found)
        if after != before:
            write_target(path, target, [_change_content(path, content, after.announcements)])
    return before, after


def load_if_any(path: str) -> Calendar:
    """Return the calendar in a file, or an empty one if there is no file or the file is empty."""
    return _parse_if_any(path, _read_if_any(path))


def _read_if_any(path: str) -> bytes:
    try:
        return read_registry_file(path)[1] or b""
    except RegistryFileNotFoundError:
        return b""


def _parse_if_any(path: str, content: bytes) -> Calendar:
    return make_calendar(path, parse_announcements(path, content)) if content.strip() else Calendar()


def _change_content(path: str, content: bytes, announcements: Iterable[Announcement]) -> bytes:
    if is_yaml(path):
        return edit_calendar(path, content, announcements)
    resolve_json_target(path)  # refuses a link to a YAML file
    return encode_calendar(path, announcements)


def edit_calendar(name: str, content: bytes, announcements: Iterable[Announcement]) -> bytes:
    """Return the content of a YAML calendar after a change.

    Args:
        name: The name of the file, for errors.
        content: The content before; empty for a new file.
        announcements: All announcements that the file shall have.

    Raises:
        RegistryFileError: The file before is not valid, or is not written with a line for each item.
    """
    wanted = set(announcements)
    if not content.strip():
        return format_announcements(wanted).encode()
    old = parse_announcements(name, content)
    root, _ = read_yaml(name, content)
    lines = _decode_lines(name, content)
    is_edit = bool(root.value and wanted)
    edited = _edit_items(lines, root.value, old, wanted) if is_edit else _replace_items(lines, wanted)
    result = "".join(edited).encode()
    if set(_parse_if_valid(name, result)) != wanted:
        reason = "cannot be changed: write each announcement as an item of its own, with a field in each line"
        raise RegistryFileError(name, reason)
    return result


def _decode_lines(name: str, content: bytes) -> list[str]:
    try:
        return content.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise RegistryFileError(name, "cannot be changed: it is UTF-16; save it as UTF-8") from None


def _parse_if_valid(name: str, content: bytes) -> list[Announcement]:
    try:
        return parse_announcements(name, content)
    except RegistryFileError:
        return []


def _replace_items(lines: list[str], wanted: Iterable[Announcement]) -> Iterator[str]:
    """Yield the comments of a file, and the items in place of its list."""
    yield from (line for line in lines if line.lstrip().startswith("#"))
    yield format_announcements(wanted)


def _edit_items(lines: list[str], nodes: list[Any], old: list[Announcement], wanted: set[Announcement]) -> list[str]:
    """Return the lines after replacing days of checks, removing items and adding items at the end."""
    missing = wanted.difference(old)
    obsolete = [number for number, each in enumerate(old) if each not in wanted]
    for number, renewed in _match_checks(old, obsolete, missing).items():
        place = nodes[number].value["checked_on"].node.place
        if _replace_day(lines, place, old[number].checked_on, renewed.checked_on):
            obsolete.remove(number)
            missing.discard(renewed)
    starts = [node.place[0] - 1 for node in nodes]
    indent = lines[starts[0]].partition("-")[0]
    _remove_items(lines, starts, obsolete)
    if missing and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return [*lines, format_announcements(missing, indent)] if missing else lines


def _match_checks(
    old: list[Announcement], obsolete: list[int], missing: Iterable[Announcement]
) -> dict[int, Announcement]:
    """Return the announcements that differ from an obsolete one only in the day of the check, by its number."""
    newest = {_forget_check(each): each for each in sorted(missing, key=lambda each: each.checked_on)}
    matched = ((number, newest.pop(_forget_check(old[number]), None)) for number in obsolete)
    return {number: each for number, each in matched if each is not None}


def _replace_day(lines: list[str], place: tuple[int, int], old: str, new: str) -> bool:
    """Replace a day at a place, perhaps in quotes, and return whether it is there."""
    line, column = lines[place[0] - 1], place[1] - 1
    rest = line[column:].lstrip("\"'")
    if not rest.startswith(old):
        return False
    lines[place[0] - 1] = line[: len(line) - len(rest)] + new + rest[len(old) :]
    return True


def _remove_items(lines: list[str], starts: list[int], obsolete: list[int]) -> None:
    """Empty the lines of items, except comments, which may be about the next item. Other lines keep their numbers."""
    for number in obsolete:
        end = starts[number + 1] if number + 1 < len(starts) else len(lines)
        for place in range(starts[number], end):
            if not lines[place].lstrip().startswith("#"):
                lines[place] = ""


def _forget_check(each: Announcement) -> Announcement:
    return msgspec.structs.replace(each, checked_on=_SOME_DAY)


def format_announcements(announcements: Iterable[Announcement], indent: str = "") -> str:
    """Return announcements as items of a list in YAML."""
    items = ("".join(_format_announcement(each, indent)) for each in Calendar(announcements))
    return "".join(items) or "[]\n"


def _format_announcement(each: Announcement, indent: str) -> Iterator[str]:
    lead = "- "
    for field, value in each.to_dict().items():
        shown = format_scalar(value) if isinstance(value, str) else f"[{', '.join(map(format_scalar, value))}]"
        yield f"{indent}{lead}{field}: {shown}\n"
        lead = "  "
