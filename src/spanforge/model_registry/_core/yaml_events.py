"""The events of a YAML file: a parser that reads the file in slices, with checks of its characters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml

from spanforge.model_registry._core.file_hints import MAX_READ, add_hint, explain_yaml_fault
from spanforge.model_registry._core.file_texts import (
    FaultError,
    convert_to_utf8,
    decode_slice,
    find_line_place,
    find_slice_end,
    read_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.file_texts import Place

MAX_GAP: Final = 8 * 1024 * 1024
"""The limit of bytes between two events of the parser. The longest text of an entry has a tenth of it; the rest can be
comments."""

# libyaml gives the same results as PyYAML's own parser and is twenty times as fast. PyYAML may be built without it.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Also U+0085, U+2028 and U+2029: YAML 1.2 allows them in texts, but PyYAML reads them as line ends.
_REFUSED: Final = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_NO_CHARACTER: Final = "must be written as an escape, in double quotes"
# libyaml's time for these grows with the square of their number, and the tags that they define are not allowed.
_DIRECTIVE: Final = b"\n%TAG"
_NO_DIRECTIVES: Final = "directives are not supported"


class _Stream:
    """A file from which the parser reads one slice after the other, so that other threads run between two slices."""

    name = "file"

    def __init__(self, content: bytes) -> None:
        self.content = convert_to_utf8(content, "YAML")
        self.fault: FaultError | None = None
        self._position = self._event_position = 0

    def read(self, _length: int = 0, /) -> bytes:
        """Return the next slice, after checking its characters. It is longer than the parser asks for."""
        start = self._position
        self._position = end = find_slice_end(self.content, start)
        try:
            self._check(start, end)
        except FaultError as fault:
            self.fault = fault
            raise
        return self.content[start:end]

    def note_event(self) -> None:
        """Note that the parser found an event in the slices that it has read."""
        self._event_position = self._position

    def _check(self, start: int, end: int) -> None:
        before = max(start - len(_DIRECTIVE), 0)
        text = decode_slice(self.content, start, end, "YAML")
        is_directive = self.content.startswith(_DIRECTIVE[1:]) if start == 0 else False
        match = _REFUSED.search(text)
        if match is not None:
            _refuse_at(self.content, start + len(text[: match.start()].encode()), match[0], _NO_CHARACTER)
        place = 0 if is_directive else self.content.find(_DIRECTIVE, before, end) + 1
        if is_directive or place > 0:
            _refuse_at(self.content, place, "%TAG", _NO_DIRECTIVES)
        if end - self._event_position > MAX_GAP:
            gap_place = find_line_place(self.content, self._event_position)
            raise FaultError(gap_place, f"has more than {MAX_GAP:,} bytes of one text, or without any value")


def _refuse_at(content: bytes, position: int, text: str, reason: str) -> NoReturn:
    raise FaultError(find_line_place(content, position), f"is not valid YAML: {text!a} {reason}")


def read_events(content: bytes) -> Iterator[Any]:
    """Yield the parser's events."""
    stream = _Stream(content)
    try:
        for event in yaml.parse(stream, Loader=_LOADER):
            stream.note_event()
            yield event
    except yaml.MarkedYAMLError as error:
        line, column = get_event_place(error.problem_mark)
        start = get_event_place(error.context_mark)[0] if error.context_mark else line
        since = f"from line {start}" if start != line else None
        reason = " ".join(filter(None, ("is not valid YAML:", error.problem, error.context, since)))
        hint = explain_yaml_fault(*(read_line(stream.content, each, 1, MAX_READ) for each in (line, start)))
        raise FaultError((line, column), add_hint(reason, hint)) from None
    except (yaml.YAMLError, ValueError, OverflowError):  # for example for "\\UFFFFFFFF", without libyaml
        reason = "is not valid YAML: a character or a number in it is out of range"
        raise stream.fault or FaultError(None, reason) from None


def get_event_place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1
