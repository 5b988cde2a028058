"""Renders the help of each command, for the pages about the command line."""

from __future__ import annotations

import os
from typing import Final

from spanforge.model_registry._cli.commands import COMMANDS, PROGRAM, CommandRow, build_command

WIDTH: Final = 80
"""Columns of the help."""


ON_FIRST_PAGE: Final = frozenset({"Check and explain", "Change"})
"""The sections of the page ``models``; the page ``telemetry`` has the others."""


def render_commands(page: str) -> str:
    """Return the sections of a page. Each section has its commands with their help."""
    sections = dict.fromkeys(row.section for row in COMMANDS if (row.section in ON_FIRST_PAGE) == (page == "models"))
    return "\n".join(
        f"## {section}\n\n" + "\n".join(map(_render_command, [row for row in COMMANDS if row.section == section]))
        for section in sections
    )


def render_help(row: CommandRow) -> str:
    """Return the help of a command, as the program prints it in 80 columns."""
    group, _, name = row.name.rpartition(" ")
    command = build_command(group or name)
    command = command.get_command(None, name) if group else command
    os.environ["COLUMNS"] = str(WIDTH)  # a terminal of another width is running this, perhaps
    context = command.make_context(f"{PROGRAM} {row.name}", [], resilient_parsing=True, terminal_width=WIDTH)
    return command.get_help(context) + "\n"


def _render_command(row: CommandRow) -> str:
    return f"### {row.name}\n\n```text\n{render_help(row)}```\n"
