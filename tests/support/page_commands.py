"""The commands on a page of the documentation, each with the output under it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"```console\n(\$ .*?)```", re.DOTALL)
VARYING = re.compile(
    r"\b([0-9a-f]{64}|[0-9a-f]{40}|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8} UTC(?=, by the clock)|(?<=Limits: )[0-9]+)"
)
"""Digests, key ids, commits, the time of generation, and the number of limits: before the last span of the examples'
telemetry, on 30 November 2026, there is one more."""


class PageCommand(NamedTuple):
    """A command on a page, and the output under it."""

    line: str
    output: str


def list_commands(page: Path) -> list[PageCommand]:
    """Return the commands of a page, in its order."""
    blocks = BLOCK.findall(page.read_text("utf-8"))
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)]
    return [_split_command(part) for part in parts if part]


def hide_varying(text: str) -> str:
    """Return a text in which values that differ in each run are replaced."""
    return VARYING.sub("*", text)


def _split_command(part: str) -> PageCommand:
    """Return the command at the beginning of a text, which continues after a backslash and in quotes."""
    lines = part.splitlines(keepends=True)
    for number in range(1, len(lines) + 1):
        line = "".join(lines[:number])
        if line.count("'") % 2 == 0 and not line.endswith("\\\n"):
            return PageCommand(line, "".join(lines[number:]))
    raise ValueError(part)
