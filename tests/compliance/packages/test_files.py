"""Files of an evidence package, in a folder or a zip. As a program, this file starts writers and kills them."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.calls import at_calls
from support.evidence import run_code, write_key_pair

from spanforge.model_registry._core import storage
from spanforge.model_registry._core.errors import PackageError
from spanforge.model_registry.compliance._packages import files as package
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.files import (
    MANIFEST,
    PACKAGE_FILES,
    assemble,
    build_manifest,
    write_folder,
    write_zip,
    zip_bytes,
)
from spanforge.model_registry.compliance._packages.keys import load_signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanforge.model_registry.compliance._packages.keys import SigningKey

EVIDENCE = {
    "attestation.json": b'{"overall_status":"supported"}',
    "evidence.csv": b"model_id\r\n",
    "registry.json": b"[]\n",
    "registry-1-models.yaml": b"[]  # none\n",
}
INPUTS = [{"name": "spans.jsonl", "sha256": "00", "size": 3}]


@pytest.fixture
def signer(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return load_signer(write_key_pair(tmp_path_factory.mktemp("keys"), Ed25519PrivateKey.generate())[0])


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_manifest_of_signed_package(signer: SigningKey) -> None:
    """With a key the manifest has its id, and the signature covers the manifest."""
    made = assemble(EVIDENCE, INPUTS, signer, {"said": 1})
    assert set(made) == {*PACKAGE_FILES, "registry-1-models.yaml"}
    manifest = json.loads(made[MANIFEST])
    assert manifest["signed_by"] == signer.keyid
    assert manifest["signature"].startswith("signature.dsse.json: a DSSE envelope")
    assert json.loads(made["signature.dsse.json"])["signatures"][0]["keyid"] == signer.keyid


def test_manifest_has_digests_and_inputs() -> None:
    """The manifest has the digest and the size of each file, and the inputs."""
    made = build_manifest(EVIDENCE, INPUTS, None)
    manifest = json.loads(made)
    assert made == encode_canonical(manifest)
    assert manifest["format_version"] == 2
    assert manifest["inputs"] == INPUTS
    assert manifest["files"] == {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in EVIDENCE.items()
    }


def test_order_of_files_does_not_matter(signer: SigningKey) -> None:
    """The order of the files changes neither an Ed25519 package nor its zip."""
    other = dict(reversed(EVIDENCE.items()))
    assert assemble(EVIDENCE, INPUTS, signer, {}) == assemble(other, INPUTS, signer, {})
    assert zip_bytes(assemble(EVIDENCE, INPUTS, signer)) == zip_bytes(assemble(other, INPUTS, signer))


def test_canonical_json_is_rfc_8785() -> None:
    """Keys are sorted by UTF-16, numbers are those of ECMAScript, and other values are refused."""
    assert encode_canonical({"\U0001f600": 1e21, "\ufb33": 1.0, "a": [True, None, "\u20ac\n"]}) == (
        '{"a":[true,null,"\u20ac\\n"],"\U0001f600":1e+21,"\ufb33":1}'.encode()
    )
    for value in (2**53, float("nan"), "\ud800", {1: 1}, object()):
        with pytest.raises(ValueError, match=r"."):
            encode_canonical(value)


def test_bytes_of_a_zip_are_fixed() -> None:
    """The bytes of a zip are the same on every system and Python; others would break signatures."""
    archive = zip_bytes({"b.txt": b"two\n" * 100, "a.txt": b""})
    assert hashlib.sha256(archive).hexdigest() == "7176e7c78799371ba8f155ae9692950c21d8e60fd81eb897739371441a282692"


def test_other_files_are_refused(tmp_path: Path) -> None:
    """A package has its own files only, so no file can be outside of its folder."""
    made = assemble(EVIDENCE, INPUTS)
    names = ("../x", "registry-0-x", "registry-1-", "registry-1-a b", f"registry-1-{'x' * 101}", "registry-1-x/y")
    for files in (*({**made, name: b""} for name in names), {"attestation.json": b""}, EVIDENCE, {}):
        with pytest.raises(PackageError, match="a package has the files"):
            write_folder(tmp_path / "new", files)
        with pytest.raises(PackageError, match="a package has the files"):
            write_zip(tmp_path / "new.zip", files)
    with pytest.raises(
        PackageError, match=r"a package has the files.*got SHA256SUMS, attestation\.json, manifest\.json"
    ):
        assemble({"attestation.json": b""}, INPUTS)
    assert not os.listdir(tmp_path)


def test_sums_are_those_of_sha256sum(signer: SigningKey, tmp_path: Path) -> None:
    """The digests in ``SHA256SUMS`` are what ``sha256sum`` prints, and ``sha256sum --check`` confirms them."""
    made = assemble(EVIDENCE, INPUTS, signer)
    write_folder(tmp_path / "made", made)
    names = sorted(set(made) - {"SHA256SUMS", "signature.dsse.json"})
    command = ["sha256sum", "--", *names]
    assert subprocess.run(command, cwd=tmp_path / "made", check=True, stdout=-1).stdout == made["SHA256SUMS"]
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path / "made", check=True, stdout=-1)


def test_number_of_files_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with more files than verification reads is not made."""
    monkeypatch.setattr(package, "MAX_FILES", 6)
    assemble(EVIDENCE, INPUTS)
    with pytest.raises(PackageError, match="it would have more than 6 files"):
        assemble(EVIDENCE | {"registry-2-b.yaml": b""}, INPUTS)


def test_large_package_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that is too large to verify is not made."""
    made = assemble(EVIDENCE, INPUTS)
    monkeypatch.setattr(package, "MAX_PACKAGE_SIZE", sum(map(len, made.values())))
    write_zip(tmp_path / "fits.zip", made)
    monkeypatch.setattr(package, "MAX_PACKAGE_SIZE", sum(map(len, made.values())) - 1)
    with pytest.raises(PackageError, match=r"larger than \d+ bytes"):
        assemble(EVIDENCE, INPUTS)


@pytest.mark.parametrize("signed", [True, False])
def test_folder_and_zip_have_the_package(signed: bool, signer: SigningKey, tmp_path: Path) -> None:  # noqa: FBT001
    """The folder and the zip have exactly the files of the package, and missing parents are created."""
    made = assemble(EVIDENCE, INPUTS, signer if signed else None)
    write_folder(tmp_path / "a" / "b" / "folder", made)
    write_zip(str(tmp_path / "c" / "d" / "package.zip"), made)
    assert content(tmp_path / "a" / "b" / "folder") == made
    with zipfile.ZipFile(tmp_path / "c" / "d" / "package.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == made
    assert os.listdir(tmp_path / "a" / "b") == ["folder"]
    assert os.listdir(tmp_path / "c" / "d") == ["package.zip"]


def test_package_is_written_into_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is written into an empty folder, also through a link and a relative name."""
    made = assemble(EVIDENCE, INPUTS)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    monkeypatch.chdir(tmp_path)
    write_folder("link", made)
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "empty") == made


def test_folders_and_files_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with files, a file and the current folder stay as they are."""
    made = assemble(EVIDENCE, INPUTS)
    write_folder(tmp_path / "full", made)
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for target, reason in (("full", "is not empty"), ("file", "is not a folder"), ("empty", "is the current folder")):
        with pytest.raises(PackageError, match=reason):
            write_folder(tmp_path / target, made)
    with pytest.raises(PackageError, match="is the current folder"):
        write_folder("", made)
    assert sorted(os.listdir(tmp_path)) == ["empty", "file", "full"]
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert os.listdir(tmp_path / "empty") == []


def test_zip_replaces_a_file_only(tmp_path: Path) -> None:
    """A zip replaces a file and keeps its mode; it replaces neither a folder nor a device."""
    made = assemble(EVIDENCE, INPUTS)
    path = tmp_path / "package.zip"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_zip(path, made)
    assert path.read_bytes() == zip_bytes(made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(PackageError, match="is not a file"):
            write_zip(target, made)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert sorted(os.listdir(tmp_path)) == ["package.zip", "pipe"]


def test_impossible_names_are_refused(tmp_path: Path) -> None:
    """A name that no file can have, or that leads through a file, is refused."""
    made = assemble(EVIDENCE, INPUTS)
    (tmp_path / "file").write_bytes(b"")
    for write in (write_folder, write_zip):
        for target in ("\0", tmp_path / "file" / "below", tmp_path / ("x" * 300)):
            with pytest.raises(PackageError, match=r"cannot be written: \w"):
                write(target, made)
    assert os.listdir(tmp_path) == ["file"]


def failing_once(original: Callable[..., Any], raised: BaseException, number: int) -> Callable[..., Any]:
    """Return a function whose call of this number, from 0, raises."""
    calls = itertools.count()

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            raise raised
        return original(*args, **kwargs)

    return call


@pytest.mark.parametrize("raised", [OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit()])
@pytest.mark.parametrize(
    ("write", "name", "calls"),
    [
        (write_folder, "mkdir", 3),
        (write_folder, "fsync", 8),
        (write_folder, "rename", 1),
        (write_zip, "mkdir", 2),
        (write_zip, "fsync", 2),
        (write_zip, "replace", 1),
    ],
)
def test_failure_leaves_nothing_behind(  # noqa: PLR0913 - each is a case
    raised: BaseException,
    write: Callable[..., None],
    name: str,
    calls: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After any failure there is the whole package or nothing, and no new parent folder."""
    made = assemble(EVIDENCE, INPUTS)
    for number in range(calls):
        target = tmp_path / str(number) / "deep" / "target"
        patched = failing_once(getattr(os, name), raised, number)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, patched)
            with pytest.raises((PackageError, KeyboardInterrupt, SystemExit)) as caught:
                write(target, made)
        assert isinstance(caught.value, PackageError) == isinstance(raised, OSError)
        if name == "fsync" and number == calls - 1:
            assert not isinstance(raised, OSError) or "is written, but may not survive" in str(caught.value)
            assert os.listdir(target.parent) == ["target"]
            assert (content(target) if target.is_dir() else target.read_bytes()) in (made, zip_bytes(made))
        else:
            assert os.listdir(tmp_path) == []


def test_existing_file_survives_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a zip cannot be written, the old file remains, and no other."""
    path = tmp_path / "package.zip"
    path.write_bytes(b"old")
    monkeypatch.setattr(storage.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(PackageError, match="cannot be written: Input/output error"):
        write_zip(path, assemble(EVIDENCE, INPUTS))
    assert content(tmp_path) == {"package.zip": b"old"}


@pytest.mark.slow
def test_unsigned_packages_need_no_extra_for_signatures() -> None:
    """An unsigned package can be made without the extra for signatures."""
    code = "from spanforge.model_registry.compliance._packages.files import assemble\n"
    code += f"print(len(assemble({EVIDENCE!r}, [])))"
    assert run_code(code, "securesystemslib", "cryptography") == "6\n"


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_killed_writer_leaves_old_or_new_state(kind: str, tmp_path: Path) -> None:
    """A writer that is killed before any of its steps leaves the old state or the new one."""
    command = [sys.executable, __file__, kind, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    states = json.loads(run.stdout)
    assert set(states) == {"old", "new"}
    assert states == sorted(states, reverse=True), "once it is new it stays so"
    assert states.count("old") >= 6


STEPS = (open, os.open, os.mkdir, os.rename, os.replace, os.rmdir, os.chmod, os.remove, os.unlink, os.fsync)


def state(kind: str, target: Path, made: dict[str, bytes]) -> str:
    """Return which state is under the name: the old one, the new one, or neither."""
    if kind == "folder":
        if not target.exists():
            return "old"
        return "new" if content(target) == made else "torn"
    return {b"old": "old", zip_bytes(made): "new"}.get(target.read_bytes(), "torn")


def states_after_kills(kind: str, folder: Path) -> list[str]:
    """Kill a writer before each of its steps; return what was there after each kill, and after none."""
    made = assemble(EVIDENCE, INPUTS)
    found: list[str] = []
    status = signal.SIGKILL.value
    while status == signal.SIGKILL:
        target = folder / str(len(found)) / "target"
        target.parent.mkdir()
        if kind == "zip":
            target.write_bytes(b"old")
        child = os.fork()
        if child == 0:
            try:
                with at_calls(*STEPS, at={len(found) + 1: lambda: os.kill(os.getpid(), signal.SIGKILL)}):
                    {"folder": write_folder, "zip": write_zip}[kind](target, made)
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitpid(child, 0)[1]
        assert status in (0, signal.SIGKILL), status
        found.append(state(kind, target, made))
    return found


if __name__ == "__main__":
    json.dump(states_after_kills(sys.argv[1], Path(sys.argv[2])), sys.stdout)
