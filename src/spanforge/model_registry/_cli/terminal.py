"""What commands print: plain text and JSON. Texts from files and telemetry cannot control the terminal."""

from __future__ import annotations

import json
import sys
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from spanforge.model_registry._core.shown_values import make_printable

MIN_WIDTH: Final = 80
"""The columns of output that goes to a pipe or a file."""
_THEME: Final = Theme(
    {
        "error": "bold red",
        "warning": "yellow",
        "note": "blue",
        "good": "green",
        "name": "bold",
        "weak": "dim",
    }
)
"""The styles of all commands. They are readable on light and dark terminals."""


class Styled(NamedTuple):
    """A text with one of the styles of all commands."""

    text: str
    style: str


Cell = str | Styled


def open_console(*, stderr: bool = False) -> Console:
    """Return a console: with colour on a terminal unless ``NO_COLOR`` is set, and 80 columns wide elsewhere."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else MIN_WIDTH
    return Console(
        stderr=stderr, width=width, theme=_THEME, markup=False, highlight=False, emoji=False, legacy_windows=False
    )


def escape_controls(text: object) -> str:
    """Return a text in which each character that is not printable is written as an escape."""
    return make_printable(str(text))


def print_line(text: object = "", style: str = "", *, stderr: bool = False) -> None:
    """Print a text as one or more lines of the console's width."""
    open_console(stderr=stderr).print(Text(escape_controls(text), style))


def print_json(value: Any) -> None:
    """Print a value as indented JSON in ASCII, for other programs."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def count_things(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun; the plural has an ``s`` unless another one is passed."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
