"""Lists of fields: a heading, and a line for each field with its label and its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from spanforge.model_registry._cli.terminal import escape_controls, open_console

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

_FIELD_INDENT: Final = 4


class Field(NamedTuple):
    """A labelled value.

    Attributes:
        label: The label; empty for a further value of the field before it.
        value: The value.
        style: The style of the value.
    """

    label: str
    value: object
    style: str = ""


def print_heading(title: str, note: str = "", style: str = "") -> None:
    """Print a title, and a note beside it. A blank title is in quotes."""
    text = Text().append(escape_controls(title) if title.strip() else repr(title), "name")
    if note:
        text.append("  ").append(escape_controls(note), style)
    open_console().print(text, overflow="fold")


def print_fields(title: str, fields: Iterable[Field]) -> None:
    """Print fields below a title. A value that is too wide continues on the next line. Nothing is printed for none."""
    rows = list(fields)
    if not rows:
        return
    console = open_console()
    console.print(Text(f"  {escape_controls(title)}", "name"), overflow="fold")
    for line in list_field_lines(console, rows, _FIELD_INDENT):
        console.print(line, soft_wrap=True)


def list_field_lines(console: Console, rows: Sequence[Field], indent: int, gap: int = 2) -> Iterator[Text]:
    """Yield the lines of fields, with blanks before each label and behind the longest one."""
    longest = max((cell_len(escape_controls(row.label)) for row in rows), default=0)
    width = min(longest, console.width // 2)
    for row in rows:
        yield from _wrap_field(console, row, indent, width, indent + width + gap)


def _wrap_field(console: Console, row: Field, indent: int, width: int, margin: int) -> Iterator[Text]:
    """Yield the lines of a field; a label that is wider than its column has lines of its own."""
    label = escape_controls(row.label)
    first = Text().append(f"{' ' * indent}{label}", "weak")
    if cell_len(label) > width:
        yield from wrap_text(console, first, console.width)
        first = Text()
    value = Text(escape_controls(row.value), row.style)
    for number, line in enumerate(wrap_text(console, value, max(console.width - margin, 1))):
        start = Text(" " * margin) if number else first
        start.pad_right(margin - start.cell_len)
        yield start + line


def wrap_text(console: Console, text: Text, width: int) -> Iterator[Text]:
    """Yield the lines of a text, without blanks at their ends."""
    for line in text.wrap(console, width, overflow="fold"):
        line.rstrip()
        yield line
