"""The sample package, and the commands in docs/verifying-evidence.md, which verify it without the library."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.authorities import Authority
from support.page_commands import list_commands

from spanforge.model_registry.compliance import verify_package
from spanforge.model_registry.compliance._packages.keys import make_key_pair

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
COMMANDS = list_commands(ROOT / "docs" / "verifying-evidence.md")
SAMPLE = ROOT / "examples" / "evidence"
PROGRAMS = ("bash", "openssl", "jq", "sha256sum")

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in PROGRAMS), reason=f"needs {', '.join(PROGRAMS)}"
)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """Return a copy of the sample's folder."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "evidence"))


def find_fault(sample: Path) -> str | None:
    """Return the first command that fails, or prints something else than the page; ``None`` if none does."""
    for command, output in COMMANDS:
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=sample)
        if done.returncode != 0 or done.stdout != output:
            return command
    return None


@pytest.mark.slow
def test_the_sample_is_up_to_date() -> None:
    """The sample has the evidence that the library makes today of the same files."""
    subprocess.run([sys.executable, ROOT / "tools" / "sample_evidence.py", "--check"], check=True)


@pytest.mark.slow
def test_the_commands_verify_the_sample(sample: Path) -> None:
    """Each command prints exactly the text under it, and the page's key id is that of the library."""
    assert len(COMMANDS) >= 14
    assert find_fault(sample) is None
    report = verify_package(
        sample / "october", [sample / "signer.pub.pem"], timestamp_certificates=[sample / "tsa.pem"]
    )
    assert report.overall_status == "findings"
    (computed,) = (command for command in COMMANDS if command.line.startswith("printf '{"))
    done = subprocess.run(["bash", "-c", computed.line], capture_output=True, text=True, check=True, cwd=sample)
    assert done.stdout.split() == [report.keyid, "-"]


def change_byte(path: Path, place: int = -2) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def change_envelope(sample: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = sample / "october" / "signature.dsse.json"
    envelope = json.loads(path.read_bytes())
    change(envelope)
    path.write_text(json.dumps(envelope, sort_keys=True, separators=(",", ":")))


def flip_bit(part: dict[str, Any], field: str) -> None:
    """Change one bit of a field in Base64."""
    content = bytearray(base64.b64decode(part[field]))
    content[len(content) // 2] ^= 1
    part[field] = base64.b64encode(content).decode()


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "payload": (
        lambda sample: change_envelope(sample, lambda each: flip_bit(each, "payload")),
        "openssl pkeyutl -verify",
    ),
    "type": (
        lambda sample: change_envelope(sample, lambda each: each.update(payloadType="text/plain")),
        "jq -r '.payloadType",
    ),
    "signature": (
        lambda sample: change_envelope(sample, lambda each: flip_bit(each["signatures"][0], "sig")),
        "openssl pkeyutl -verify",
    ),
    "second signature": (
        lambda sample: change_envelope(sample, lambda each: each["signatures"].append(each["signatures"][0])),
        "jq -r '.payloadType",
    ),
    "key": (
        lambda sample: (sample / "signer.pub.pem").write_bytes(make_key_pair().public),
        "openssl pkeyutl -verify",
    ),
    "further file": (lambda sample: (sample / "october" / "new.csv").write_text("x"), "ls -A october"),
    "missing file": (lambda sample: (sample / "october" / "evidence.csv").unlink(), "jq -r '.subject[] | .digest"),
    "time stamp": (lambda sample: change_byte(sample / "october" / "timestamp.tsr"), "openssl ts -verify"),
    "authority": (
        lambda sample: shutil.copy(Authority(sample / "other").root, sample / "tsa.pem"),
        "openssl ts -verify",
    ),
}
"""Changes of the sample, each with the beginning of the command that notices it."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_the_commands_notice_a_change(name: str, sample: Path) -> None:
    """Each change makes a command of the page fail."""
    change, command = CHANGES[name]
    change(sample)
    assert (find_fault(sample) or "").startswith(command)


@pytest.mark.slow
def test_the_commands_notice_a_changed_byte_in_any_file(sample: Path) -> None:
    """One changed byte in any signed file makes the comparison of digests fail."""
    unsigned = {sample / "october" / name for name in ("signature.dsse.json", "timestamp.tsr")}
    signed = sorted(set((sample / "october").iterdir()) - unsigned)
    decode, compare = (
        next(command.line for command in COMMANDS if part in command.line)
        for part in ("-r .payload ", "sha256sum --check")
    )
    subprocess.run(["bash", "-c", decode], check=True, cwd=sample)
    for path in signed:
        content = path.read_bytes()
        change_byte(path)
        done = subprocess.run(["bash", "-c", compare], capture_output=True, text=True, check=False, cwd=sample)
        assert done.returncode == 1, path
        assert done.stdout == f"october/{path.name}: FAILED\n"
        path.write_bytes(content)
