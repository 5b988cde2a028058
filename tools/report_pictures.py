"""Draws the first screen of the report of examples/command_line in Chromium, for light and dark pages.

Usage: report_pictures.py FOLDER
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from servers import program

from spanforge.model_registry._cli.app import run

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLES: Final = ROOT / "examples" / "command_line"
SIZE: Final = (1_120, 880)
"""Width and height of the picture in pixels."""
SCHEMES: Final = {"light": 1, "dark": 0}
"""The numbers of the colour schemes in Chromium's settings."""


def write_report(folder: Path) -> Path:
    """Write the example's package for October 2026, and return the path of its report."""
    files = [str(EXAMPLES / name) for name in ("models.yaml", "media.yaml", "telemetry.jsonl")]
    options = ["--file", files[0], "--file", files[1], "--telemetry", files[2], "--source-revision", "example"]
    period = ["--month", "2026-10", "--generated-at", "2026-11-02", "--framework", "soc2"]
    with contextlib.redirect_stdout(None):
        run(["evidence", "make", *period, *options, "--unsigned", "--output", str(folder / "october")])
    return folder / "october" / "report.html"


def main(target: str) -> int:
    """Draw the pictures into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(Path(folder))
        for scheme, number in SCHEMES.items():
            file = Path(target).resolve() / f"report-{scheme}.png"
            options = [
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--blink-settings=preferredColorScheme={number}",
                f"--window-size={SIZE[0]},{SIZE[1]}",
                f"--screenshot={file}",
            ]
            subprocess.run([program("chromium"), *options, page.as_uri()], check=True, capture_output=True, timeout=120)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
