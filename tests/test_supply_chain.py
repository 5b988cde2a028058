"""What the project installs: everything is pinned with hashes, and no file names an index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
PINNED = re.compile(
    r"[\w.-]+(\[[\w, -]+\])?==[\w.!+]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+"  # name, marker, hashes
)
INSTALLING = re.compile(r"\bpip\b.*\binstall\b|\buv\b.*\binstall\b")
SAFE = ("--require-hashes", "--no-deps")


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda path: path.stem)
def test_every_requirement_is_pinned_with_hashes(file: Path) -> None:
    """Each requirement has one version and the SHA-256 of its files; there is no option and no address."""
    for requirement in re.split(r"\n(?=\S)", file.read_text("utf-8").strip()):
        assert PINNED.fullmatch(requirement), requirement


def test_commands_install_only_what_is_pinned() -> None:
    """Each command that installs packages requires hashes, or installs the project alone."""
    scripts = [ROOT / "Makefile", *sorted((ROOT / "tools").glob("*.sh")), *sorted((ROOT / ".ci").glob("*"))]
    lines = [line for script in scripts for line in script.read_text("utf-8").splitlines() if INSTALLING.search(line)]
    assert len(lines) >= 3
    assert [line for line in lines if not any(option in line for option in SAFE)] == []
    for program in sorted((ROOT / "tools").glob("*.py")):
        text = program.read_text("utf-8")
        if '"install"' in text and program.name != "upstream.py":  # which tests the newest releases, by hand
            assert '"--require-hashes"' in text, program.name


def test_the_container_installs_only_what_is_pinned() -> None:
    """The same is true of the image of the demo."""
    text = (ROOT / "collector-config" / "compose.yaml").read_text("utf-8")
    lines = [line for line in text.splitlines() if INSTALLING.search(line)]
    assert len(lines) == 2
    assert [line for line in lines if not any(option in line for option in SAFE)] == []
