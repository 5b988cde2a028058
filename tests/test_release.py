"""The checks of ``make release``: the state of the repository, and the contents of the distributions."""

from __future__ import annotations

import io
import runpy
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = Path(__file__).parent.parent / "tools"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(TOOLS)
    release: dict[str, Any] = runpy.run_path(str(TOOLS / "release.py"))
main: Callable[[Path, list[str]], int] = release["main"]
list_faults: Callable[..., Any] = release["list_faults"]
ADDRESS = """\
[project.urls]
Repository = "https://example.org/acme"
"""
PYPROJECT = f"""
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "acme"
dynamic = ["version"]
{ADDRESS}[tool.hatch.version]
path = "version.py"
[tool.towncrier]
directory = "changelog.d"
filename = "CHANGELOG.md"
name = "acme"
version = "0.2.0"
title_format = "## {{version}} ({{project_date}})"
start_string = "<!-- releases -->\\n"
"""
EMPTY = "# Changelog\n\n<!-- releases -->\n"
RELEASED = f"{EMPTY}\n## 0.2.0 (2026-11-29)\n"


def git(folder: Path, *arguments: str) -> None:
    """Run git, without the settings of the user."""
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit, which can be released."""
    (tmp_path / "changelog.d").mkdir()
    for name, text in {
        "pyproject.toml": PYPROJECT,
        "version.py": '__version__ = "0.2.0"\n',
        "CHANGELOG.md": RELEASED,
        "changelog.d/README.md": "fragments\n",
    }.items():
        (tmp_path / name).write_text(text, "utf-8")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "change")


def test_a_clean_repository_can_be_released(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing to object to, one line names version and commit."""
    git(repository, "tag", "v0.2.0")
    assert main(repository, ["check"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("release: repository: 0.2.0, commit ")


@pytest.mark.parametrize(
    ("files", "is_committed", "expected"),
    [
        ({"new.txt": "x"}, False, "1 files are changed or new, new.txt for example"),
        ({"version.py": "__version__ = '0.3.0'"}, True, "tool.towncrier.version is 0.2.0; write 0.3.0"),
        ({"changelog.d/1.added.md": "x"}, True, "CHANGELOG.md has 0.2.0, but changelog.d has fragments"),
        ({"CHANGELOG.md": EMPTY}, True, "no section of 0.2.0, and changelog.d has no fragments"),
        ({"pyproject.toml": PYPROJECT.replace(ADDRESS, "")}, True, "project.urls has no Repository"),
        ({"README.md": "It is not\non PyPI yet."}, True, "README.md: remove the sentence"),
        ({"version.py": "__version__ = '0.2.0' "}, True, "the tag v0.2.0 is at another commit"),
    ],
)
def test_obstacles_are_named(
    files: dict[str, str], *, is_committed: bool, expected: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each obstacle ends the check with a line that names it."""
    git(repository, "tag", "--annotate", "--message", "release", "v0.2.0")
    for name, text in files.items():
        (repository / name).write_text(text, "utf-8")
    if is_committed:
        commit(repository)
    assert main(repository, ["check"]) == 1
    printed = capsys.readouterr()
    assert expected in printed.err
    assert all(line.startswith("release: ") for line in printed.err.splitlines())
    assert not printed.out


def test_a_rehearsal_needs_no_address(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With fragments, a note asks for the address of the repository, and the check passes."""
    (repository / "pyproject.toml").write_text(PYPROJECT.replace(ADDRESS, ""), "utf-8")
    (repository / "CHANGELOG.md").write_text(EMPTY, "utf-8")
    (repository / "changelog.d" / "7.feature.md").write_text("Fly to the moon.\n", "utf-8")
    commit(repository)
    assert main(repository, ["check"]) == 0
    note, _ = capsys.readouterr().out.splitlines()
    assert note.startswith("release: note: before a release: pyproject.toml: project.urls has no Repository")


@pytest.mark.slow
def test_fragments_make_a_rehearsal(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With fragments, the exported copy has their changelog, with the date of the commit; the repository has not."""
    (repository / "CHANGELOG.md").write_text(EMPTY, "utf-8")
    (repository / "changelog.d" / "7.feature.md").write_text("Fly to the moon.\n", "utf-8")
    commit(repository)
    state = release["read_state"](repository)
    assert state.pending == 1
    assert not list(release["list_obstacles"](repository, state))
    copy = release["export"](repository, state, tmp_path_factory.mktemp("copy"))
    text = (copy / "CHANGELOG.md").read_text("utf-8")
    assert f"## 0.2.0 ({state.date})" in text
    assert "Fly to the moon." in text
    assert not (copy / "changelog.d" / "7.feature.md").exists()
    assert (repository / "CHANGELOG.md").read_text("utf-8") == EMPTY


def test_usage(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the name of a part, the program explains itself and does nothing."""
    assert main(repository, []) == 2
    printed = capsys.readouterr()
    assert "release.py build" in printed.err
    assert not printed.out


SOURCE = {"src/acme/__init__.py": b"", "README.md": b"text", ".editorconfig": b""}
INFO = "spanforge_model_registry-1.dist-info"
DIST_INFO = {f"{INFO}/{name}": b"" for name in release["list_faults"].__globals__["DIST_INFO"]}
WHEEL = {"acme/__init__.py": b"", **DIST_INFO}
SDIST = {"src/acme/__init__.py": b"", "README.md": b"text", "PKG-INFO": b""}
KEY = b"-----BEGIN PRIVATE KEY-----\n" + b"MIGHAgEAMBMGByqGSM49" * 3


@pytest.mark.parametrize(
    ("in_wheel", "in_sdist", "mode", "expected"),
    [
        ({}, {}, 0o644, []),
        ({"acme/test_a.py": b""}, {}, 0o644, ["the wheel: acme/test_a.py does not belong in it"]),
        ({}, {"README.md": None}, 0o644, ["the sdist: README.md is missing"]),
        ({}, {".editorconfig": b""}, 0o644, ["the sdist: .editorconfig does not belong in it"]),
        ({"acme/__init__.py": KEY}, {}, 0o644, ["the wheel: acme/__init__.py contains a private key"]),
        ({}, {}, 0o666, ["the sdist: README.md is no plain file with the usual mode and owner"]),
    ],
)
def test_contents(
    in_wheel: dict[str, bytes], in_sdist: dict[str, bytes | None], mode: int, expected: list[str], tmp_path: Path
) -> None:
    """A distribution has the files of the repository that belong in it, and no others."""
    built = pack(tmp_path, {**WHEEL, **in_wheel}, {**SDIST, **in_sdist}, mode)
    assert list(list_faults(built, SOURCE)) == expected


@pytest.mark.parametrize(
    "name", ["src/acme/.env", "tests/signer.pem", "src/acme/__pycache__/a.cpython-311.pyc", ".mypy_cache/x", "a.orig"]
)
def test_forbidden_names(name: str, tmp_path: Path) -> None:
    """Secrets and leftovers are faults, even if the repository has them."""
    in_wheel = {name.removeprefix("src/"): b""} if name.startswith("src/") else {}
    built = pack(tmp_path, {**WHEEL, **in_wheel}, {**SDIST, name: b""}, 0o644)
    faults = list(list_faults(built, [*SOURCE, name]))
    assert f"the sdist: {name} has the name of a secret or of a leftover" in faults
    assert len(faults) == 1 + len(in_wheel)


@pytest.mark.parametrize(("kind", "is_public"), [("PUBLIC KEY", True), ("CERTIFICATE", True), ("PRIVATE KEY", False)])
def test_pem_files(kind: str, *, is_public: bool, tmp_path: Path) -> None:
    """A PEM file with public keys and certificates only is no secret."""
    block = f"-----BEGIN {kind}-----\nTUNvd0JRWURLMlZ3QXlFQQ==\n-----END {kind}-----\n".encode()
    public = b"-----BEGIN CERTIFICATE-----\nTUNvd0JRWURLMlZ3QXlFQQ==\n-----END CERTIFICATE-----\n"
    built = pack(tmp_path, WHEEL, {**SDIST, "a.pem": public + block}, 0o644)
    faults = [] if is_public else ["the sdist: a.pem has the name of a secret or of a leftover"]
    assert list(list_faults(built, [*SOURCE, "a.pem"])) == faults


def test_links_and_odd_modes(tmp_path: Path) -> None:
    """A link is a fault, also one to a file in the distribution. So is a file that only its owner can read."""
    built = pack(tmp_path, WHEEL, SDIST, 0o644, link="README.md")
    (fault,) = list_faults(built, [*SOURCE, "link"])
    assert fault == "the sdist: link is no plain file with the usual mode and owner"
    with zipfile.ZipFile(built.wheel, "a") as archive:
        archive.writestr("acme/own.py", b"")
    faults = list(list_faults(built, [*SOURCE, "link", "src/acme/own.py"]))
    assert "the wheel: acme/own.py is no plain file with the usual mode and owner" in faults


def pack(
    folder: Path, in_wheel: dict[str, bytes], in_sdist: dict[str, bytes | None], mode: int, link: str | None = None
) -> Any:
    """Return a wheel and an sdist with these members. The mode is that of the README; the link leads there."""
    wheel, sdist = folder / "spanforge_model_registry-1-py3-none-any.whl", folder / "acme-1.tar.gz"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in in_wheel.items():
            item = zipfile.ZipInfo(name)
            item.external_attr = 0o644 << 16
            archive.writestr(item, content)
    with tarfile.open(sdist, "w:gz") as archive:
        for name, text in in_sdist.items():
            if text is not None:
                entry = tarfile.TarInfo(f"acme-1/{name}")
                entry.size, entry.mode = len(text), mode if name == "README.md" else 0o644
                archive.addfile(entry, io.BytesIO(text))
        if link is not None:
            entry = tarfile.TarInfo("acme-1/link")
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, link, 0o644
            archive.addfile(entry)
    return release["Built"](wheel, sdist)
