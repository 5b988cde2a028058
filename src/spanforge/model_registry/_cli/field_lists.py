"""Lists of fields: a heading, and a line for each field with its label and its value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from spanforge.model_registry._cli.terminal import escape_controls, open_console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

_FIELD_INDENT: Final = 4
_FIELD_GAP: Final = 2


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
    width = max(cell_len(escape_controls(row.label)) for row in rows)
    for row in rows:
        _print_field(console, row, min(width, console.width // 2))


def _print_field(console: Console, row: Field, width: int) -> None:
    """Print a field; a label that is wider than its column has a line of its own."""
    margin = _FIELD_INDENT + width + _FIELD_GAP
    label = escape_controls(row.label)
    lines = Text(escape_controls(row.value), row.style).wrap(console, max(console.width - margin, 1), overflow="fold")
    first = Text().append(f"{' ' * _FIELD_INDENT}{label}", "weak")
    if cell_len(label) > width:
        console.print(first, overflow="fold")
        first = Text()
    for number, line in enumerate(lines):
        line.rstrip()
        start = Text(" " * margin) if number else first
        start.pad_right(margin - start.cell_len)
        console.print(start + line)
