"""The distributions of a release: they are built twice, compared byte by byte, and their contents are checked."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PACKAGE: Final = "spanforge_model_registry"
SBOM: Final = "spanforge-model-registry.cdx.json"
DIST_INFO: Final = frozenset({"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", f"sboms/{SBOM}"})
LEFT_OUT: Final = re.compile(r"\.ci/.*|\.editorconfig")
"""Files of the repository that the sdist does not have: they serve only those who change the code."""
FORBIDDEN: Final = re.compile(
    r"(^|.*/)(\.env.*|\.netrc|\.git/.*|__pycache__/.*|\.\w+_cache/.*|\.venv/.*"
    r"|.*\.(pem|key|p12|pfx|jks|pyc|so|log|orig|rej|swp|bak|tmp))"
)
"""Names of secrets and of leftovers, which no distribution may have, even if the repository does."""
PUBLIC_PEM: Final = re.compile(
    rb"(-----BEGIN (PUBLIC KEY|CERTIFICATE)-----[A-Za-z0-9+/=\s]+-----END \2-----\s*)+",
)
"""The content of a PEM file that is no secret: public keys and certificates, such as those of the sample package."""
PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/]{40}")
FILE_MODES: Final = frozenset({0o644, 0o755})
DIFFERENT: Final = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "7"}
"""The environment of the second build."""


class ReleaseError(Exception):
    """A release cannot be made. The message is the reason, and what to do."""


class Built(NamedTuple):
    """The two distributions in a folder."""

    wheel: Path
    sdist: Path


class Member(NamedTuple):
    """A file in a distribution: its name and content, and whether it is a plain file with a usual mode and owner."""

    name: str
    content: bytes
    is_plain: bool


def build(source: Path, folder: Path, *, umask: int = 0o022, **variables: str) -> Built:
    """Build the sdist and the wheel of a source folder with the installed hatchling."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, cwd=source, env=environment, umask=umask, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"hatchling cannot build {source}: {done.stderr.strip()}")
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


def build_again(built: Built, folder: Path, **variables: str) -> None:
    """Build both distributions from the sdist, in another place, time zone, locale and umask; compare all bytes."""
    with tarfile.open(built.sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    compare_builds(built, build(source, folder / "again", umask=0o077, **{**DIFFERENT, **variables}))


def compare_builds(built: Built, again: Built) -> None:
    """Compare all bytes of two builds."""
    for first, second in zip(built, again, strict=True):
        if first.name != second.name or first.read_bytes() != second.read_bytes():
            raise ReleaseError(
                f"{first.name} has other bytes when it is built from the sdist: compare {first}, {second}"
            )


def list_faults(built: Built, files: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with the contents of the distributions of a source folder with these files."""
    source = set(files)
    version = built.wheel.name.split("-")[1]
    in_wheel = {name.removeprefix("src/") for name in source if name.startswith("src/")}
    in_wheel |= {f"{PACKAGE}-{version}.dist-info/{name}" for name in DIST_INFO}
    yield from _compare("the wheel", list(_read_wheel(built.wheel)), in_wheel)
    in_sdist = {name for name in source if not LEFT_OUT.fullmatch(name)} | {"PKG-INFO"}
    yield from _compare("the sdist", list(_read_sdist(built.sdist)), in_sdist)


def _read_wheel(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            is_plain = stat.S_IFMT(mode) in {0, stat.S_IFREG} and stat.S_IMODE(mode) in FILE_MODES
            yield Member(entry.filename, archive.read(entry), is_plain)


def _read_sdist(path: Path) -> Iterator[Member]:
    with tarfile.open(path) as archive:
        for entry in archive:
            file = archive.extractfile(entry) if entry.isfile() else None
            is_plain = file is not None and entry.mode in FILE_MODES and (entry.uid, entry.gid) == (0, 0)
            yield Member(entry.name.partition("/")[2], b"" if file is None else file.read(), is_plain)


def _compare(what: str, members: list[Member], expected: set[str]) -> Iterator[str]:
    """Yield the names that a distribution has or lacks, and the names, contents and kinds that none may have."""
    for name in sorted({member.name for member in members} ^ expected):
        yield f"{what}: {name} {'is missing' if name in expected else 'does not belong in it'}"
    for member in members:
        if FORBIDDEN.fullmatch(member.name) and not PUBLIC_PEM.fullmatch(member.content):
            yield f"{what}: {member.name} has the name of a secret or of a leftover"
        if PRIVATE_KEY.search(member.content):
            yield f"{what}: {member.name} contains a private key"
        if not member.is_plain:
            yield f"{what}: {member.name} is no plain file with the usual mode and owner"


def write_checksums(built: Built) -> Path:
    """Write the file with the SHA-256 of each distribution, which ``sha256sum --check`` reads."""
    file = built.wheel.with_name("SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(built)]
    file.write_text("".join(lines), "ascii")
    return file
