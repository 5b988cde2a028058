"""The output of commands on pages is real."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.commands import EXAMPLES, run_here

ROOT = Path(__file__).parents[2]
START = (ROOT / "docs" / "start.md").read_text("utf-8")
PAGES = [ROOT / "docs" / name for name in ("model-names.md", "resolution.md")]
BLOCKS = [
    pytest.param(line, output, id=f"{page.stem}: {line}")
    for page in PAGES
    for line, output in re.findall(
        r"```console\n\$ spanforge-models ([^\n]*)\n(.*?)```", page.read_text("utf-8"), re.DOTALL
    )
]


@pytest.mark.parametrize(("line", "output"), BLOCKS)
def test_the_output_on_a_page_is_real(
    line: str, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command with its output prints exactly that, in the folder of the examples."""
    monkeypatch.chdir(EXAMPLES)
    assert run_here(capsys, *shlex.split(line)).out == output


def test_the_output_on_the_page_start_is_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints the output under it, with the file that the page shows."""
    monkeypatch.chdir(tmp_path)
    (content,) = re.findall(r"```yaml\n(.*?)```", START, re.DOTALL)
    Path("models.yaml").write_text(content)
    ((line, output),) = re.findall(r"```console\n\$ spanforge-models ([^\n]*)\n(.*?)```", START, re.DOTALL)
    assert run_here(capsys, *shlex.split(line)).out == output
