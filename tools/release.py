"""A release without its upload: checks, reproducible distributions, SBOM, checksums and a trial of the wheel.

Usage: release.py check    check what needs no build: a clean tree, the version and its tag, the changelog, the SBOM
       release.py build    build into dist/ and check the result

While ``changelog.d`` has fragments, ``build`` is a rehearsal. It writes the changelog in a copy only, and the
distributions into ``build/rehearsal``. ``make release`` runs both, with all tests between them.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from release_build import PACKAGE, SBOM, Built, ReleaseError, build, build_again, list_faults, write_checksums
from release_trial import try_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
NOT_RELEASED: Final = "not on PyPI yet"
PAGES: Final = ("*.md", "docs/*.md", "examples/**/*.md")
"""The pages that may have this phrase."""
NEXT: Final = """\
What is left to do:
  1. Tag the commit: git tag --sign {tag} {commit} && git push origin {tag}
  2. Upload {files}, best from a CI job of the tag with trusted publishing.
     Such a job has no password, and the index stores an attestation (PEP 740) of each file.
     By hand: .venv/bin/python -m twine upload {files}
  3. Compare the digests that the index shows with dist/SHA256SUMS.
Anyone can build the same bytes from the tag: SOURCE_DATE_EPOCH={time} .venv/bin/python -m hatchling build"""
REHEARSAL: Final = """\
This is a rehearsal: {pending} changelog fragments are not in CHANGELOG.md yet. For the release, run these, then commit:
  .venv/bin/towncrier build --yes --version {version}
  make release"""


class State(NamedTuple):
    """The state of the repository.

    Attributes:
        version: The version of the code.
        commit: The id of the commit.
        time: Its time in seconds since the epoch.
        date: Its date, as the changelog has it.
        pending: The number of changelog fragments.
    """

    version: str
    commit: str
    time: str
    date: str
    pending: int

    @property
    def tag(self) -> str:
        """The tag of the version."""
        return f"v{self.version}"


def run_git(root: Path, *arguments: str) -> str:
    """Return the output of git, without the last line end."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def read_metadata(root: Path) -> ProjectMetadata[Any]:
    """Return the metadata of the project."""
    return ProjectMetadata(str(root), PluginManager())


def read_state(root: Path) -> State:
    """Return the state of the repository."""
    commit, time, date = run_git(root, "show", "--no-patch", "--format=%H %ct %cs").split()
    fragments = [path for path in (root / "changelog.d").glob("*.md") if path.name != "README.md"]
    return State(read_metadata(root).version, commit, time, date, len(fragments))


def list_obstacles(root: Path, state: State) -> Iterator[str]:
    """Yield the reasons for which the repository cannot be released, each with what to do."""
    changed = run_git(root, "status", "--porcelain").splitlines()
    if changed:
        yield f"{len(changed)} files are changed or new, {changed[0][3:]} for example: commit or remove them"
    stated = read_metadata(root).config["tool"]["towncrier"]["version"]
    if stated != state.version:
        yield f"pyproject.toml: tool.towncrier.version is {stated}; write {state.version}, the version of the code"
    tagged = run_git(root, "for-each-ref", "--format=%(*objectname)%(objectname)", f"refs/tags/{state.tag}")
    if tagged and state.commit not in tagged:
        yield f"the tag {state.tag} is at another commit: raise the version in _core/attributes.py"
    is_listed = f"\n## {state.version} (" in (root / "CHANGELOG.md").read_text("utf-8")
    if state.pending and is_listed:
        yield f"CHANGELOG.md has {state.version}, but changelog.d has fragments: raise the version, or add them by hand"
    if not state.pending and not is_listed:
        yield f"CHANGELOG.md has no section of {state.version}, and changelog.d has no fragments: write what changed"
    if not state.pending:
        yield from list_missing(root)


def list_missing(root: Path) -> Iterator[str]:
    """Yield what a first release needs and a rehearsal does not: the address, and pages that know of the release."""
    if "Repository" not in read_metadata(root).core.urls:
        yield "pyproject.toml: project.urls has no Repository; write the public address of the repository"
    pages = [page for pattern in PAGES for page in sorted(root.glob(pattern)) if page != root / "CHANGELOG.md"]
    old = [str(path.relative_to(root)) for path in pages if NOT_RELEASED in " ".join(path.read_text("utf-8").split())]
    if old:
        yield f"{', '.join(old)}: remove the sentence that the package is {NOT_RELEASED}"


def check_repository(root: Path, state: State) -> None:
    """Raise an error with all obstacles, if there are any. In a rehearsal, print a note about each thing missing."""
    obstacles = list(list_obstacles(root, state))
    if obstacles:
        raise ReleaseError("\n".join(obstacles))
    for missing in list_missing(root):  # only in a rehearsal
        report("note", f"before a release: {missing}")


def export(root: Path, state: State, folder: Path) -> Path:
    """Return a folder with the files of the commit. Pending fragments are in its changelog."""
    packed = subprocess.run(["git", "archive", state.commit], cwd=root, capture_output=True, check=True)  # noqa: S607
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    if state.pending:
        command = ["towncrier", "build", "--yes", "--version", state.version, "--date", state.date]
        done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ReleaseError(f"towncrier cannot build the changelog: {done.stderr or done.stdout}")
    return folder


def check_distributions(built: Built, source: Path) -> None:
    """Check contents, metadata and SBOM of the distributions of a source folder."""
    files = [str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()]
    faults = list(list_faults(built, files))
    if faults:
        raise ReleaseError("\n".join(faults))
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"twine: {done.stdout}{done.stderr}")
    version = built.wheel.name.split("-")[1]
    with zipfile.ZipFile(built.wheel) as archive:
        sbom = archive.read(f"{PACKAGE}-{version}.dist-info/sboms/{SBOM}").decode()
    fault = JsonStrictValidator(SchemaVersion.V1_7).validate_str(sbom)
    if fault is not None:
        raise ReleaseError(f"{SBOM} is not a valid CycloneDX document: {fault}")


def empty(folder: Path) -> Path:
    """Return the folder without the distributions of an earlier build."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*folder.glob("*.whl"), *folder.glob("*.tar.gz"), *folder.glob("SHA256SUMS")):
        path.unlink()
    return folder


def make_distributions(root: Path, state: State) -> Built:
    """Build and check the distributions of the commit."""
    target = empty(root / ("build/rehearsal" if state.pending else "dist"))
    with tempfile.TemporaryDirectory() as temporary:
        source = export(root, state, Path(temporary, "source"))
        built = build(source, target, SOURCE_DATE_EPOCH=state.time)
        report("built", *(str(path.relative_to(root)) for path in built))
        build_again(built, Path(temporary, "again"), SOURCE_DATE_EPOCH=state.time)
        report("built again from the sdist, elsewhere", "the same bytes")
        check_distributions(built, source)
        report("contents, metadata, SBOM", "as expected")
        report("checksums", str(write_checksums(built).relative_to(root)))
        try_wheel(built.wheel, state.version, source, Path(temporary))
        report("wheel in a new environment", "spans are enriched, commands run")
    return built


def report(subject: str, *facts: str) -> None:
    """Print a line about a step that is done."""
    print(f"release: {subject}: {', '.join(facts)}")


def main(root: Path, arguments: list[str]) -> int:
    """Run one part, and print the reasons if it fails."""
    if arguments not in (["check"], ["build"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        state = read_state(root)
        check_repository(root, state)
        report("repository", state.version, f"commit {state.commit[:12]} of {state.date}")
        if arguments == ["build"]:
            built = make_distributions(root, state)
            files = " ".join(os.path.relpath(path, root) for path in built)
            facts = {**state._asdict(), "tag": state.tag, "files": files}
            print((REHEARSAL if state.pending else NEXT).format_map(facts))
    except (ReleaseError, subprocess.CalledProcessError) as error:
        print("\n".join(f"release: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(ROOT, sys.argv[1:]))
