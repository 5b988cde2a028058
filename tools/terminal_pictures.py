"""Draws what commands print on a terminal of 80 columns, as SVG for light and dark pages.

Usage: terminal_pictures.py FOLDER [NAME ...]

The commands run in a copy of examples/command_line, in a pseudoterminal, as a user would run them.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import shutil
import struct
import sys
import tempfile
import termios
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT: Final = Path(__file__).resolve().parent.parent
WIDTH: Final = 80
PROGRAM: Final = "spanforge-models"

PICTURES: Final[dict[str, tuple[str, ...]]] = {
    "check": ("check broken.yaml",),
    "resolve": ("resolve azure/acme-chat-1-2026-05-01 --file models.yaml",),
    "list": ("list --file models.yaml --file media.yaml",),
    "diff": ("diff old.yaml models.yaml",),
    "reconcile": ("reconcile --telemetry telemetry.jsonl --file models.yaml --file media.yaml",),
    "verify": (
        "evidence keygen --output signer",
        (
            "evidence make --month 2026-10 --framework soc2 --file models.yaml --file media.yaml "
            "--telemetry telemetry.jsonl --key signer.pem --output october.zip"
        ),
        "evidence verify october.zip --key signer.pub.pem",
    ),
}
"""The pictures, each with the commands that it shows. Earlier commands are run, the last one is shown."""

THEMES: Final = {
    "light": TerminalTheme(
        (255, 255, 255),
        (36, 41, 47),
        [
            (36, 41, 47),
            (180, 20, 30),
            (20, 110, 60),
            (140, 90, 0),
            (5, 80, 174),
            (130, 60, 160),
            (20, 110, 130),
            (110, 119, 129),
        ],
        [
            (87, 96, 106),
            (164, 14, 38),
            (26, 127, 55),
            (154, 103, 0),
            (33, 139, 255),
            (164, 117, 249),
            (49, 146, 170),
            (140, 149, 159),
        ],
    ),
    "dark": TerminalTheme(
        (13, 17, 23),
        (230, 237, 243),
        [
            (72, 79, 88),
            (255, 123, 114),
            (63, 185, 80),
            (210, 153, 34),
            (88, 166, 255),
            (188, 140, 255),
            (57, 197, 207),
            (177, 186, 196),
        ],
        [
            (110, 118, 129),
            (255, 161, 152),
            (86, 211, 100),
            (227, 179, 65),
            (121, 192, 255),
            (210, 168, 255),
            (86, 212, 221),
            (240, 246, 252),
        ],
    ),
}
"""Colours that are readable on their background."""
_LEFT_OUT: Final = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->", re.DOTALL)
"""Fonts that the picture would load from another host, and a comment."""
_REPLACED: Final = {"Fira Code": "ui-monospace, Menlo, Consolas, monospace", "rgba(255,255,255,0.35)": "#8c959f"}


def run_in_terminal(command: str, folder: Path) -> str:
    """Run a command in a folder and a terminal, and return its output with colours."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update(TERM="xterm-256color", COLUMNS=str(WIDTH), LINES="50", PYTHONPATH=str(ROOT / "src"))
        os.environ.pop("NO_COLOR", None)
        os.execv(sys.executable, [sys.executable, "-m", "spanforge.model_registry", *shlex.split(command)])  # noqa: S606 - the child becomes it
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    printed = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the command has ended
            break
        printed += part
    os.waitpid(child, 0)
    os.close(terminal)
    return printed.decode().replace("\r\n", "\n")


def draw(command: str, printed: str, theme: TerminalTheme) -> str:
    """Return the picture of a command and its output."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.assemble(("$ ", "bold green"), (f"{PROGRAM} {command}", "bold")))
        console.print(Text.from_ansi(printed.rstrip("\n")))
    picture = console.export_svg(title=PROGRAM, theme=theme, unique_id="terminal")
    picture = _LEFT_OUT.sub("", picture)
    for old, new in _REPLACED.items():
        picture = picture.replace(old, new)
    return picture


def main(arguments: list[str]) -> int:
    """Draw the pictures into a folder."""
    target = Path(arguments[0])
    for name in arguments[1:] or PICTURES:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(shutil.copytree(ROOT / "examples" / "command_line", Path(temporary) / "examples"))
            printed = ""
            for command in PICTURES[name]:
                printed = run_in_terminal(command, folder)
        for theme in THEMES:
            (target / f"cli-{name}-{theme}.svg").write_text(draw(command, printed, THEMES[theme]), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
