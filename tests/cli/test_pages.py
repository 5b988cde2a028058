"""The output of commands on pages is real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.commands import EXAMPLES, run_here

PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("model-names.md", "resolution.md")]
BLOCKS = [
    pytest.param(line, output, id=f"{page.stem}: {line}")
    for page in PAGES
    for line, output in re.findall(
        r"```console\n\$ spanforge-models (.*)\n(.*?)```", page.read_text("utf-8"), re.DOTALL
    )
]


@pytest.mark.parametrize(("line", "output"), BLOCKS)
def test_the_output_on_a_page_is_real(
    line: str, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command with its output prints exactly that, in the folder of the examples."""
    monkeypatch.chdir(EXAMPLES)
    assert run_here(capsys, *shlex.split(line)).out == output
