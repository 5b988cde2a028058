"""The generator of the sample package in examples/evidence, and of the outputs in docs/verifying-evidence.md.

The package is made of the files in examples/command_line. Of the telemetry there, the sample has what was recorded
before the time of generation. A new key signs it, and a new authority adds a time stamp.
Both private keys are deleted at once. If the evidence is the same as before, nothing is written. With ``--check``, the
program only compares. It needs the programs that the page uses.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.authorities import Authority  # noqa: E402 - the folder of the tests is not a package
from support.page_commands import list_commands  # noqa: E402

from spanforge.model_registry import ModelRegistry  # noqa: E402
from spanforge.model_registry._core.timestamps import to_nanos  # noqa: E402
from spanforge.model_registry.compliance import (  # noqa: E402
    ComplianceMappingEngine,
    EvidencePackage,
    VerificationError,
    timestamp_package,
    verify_package,
)
from spanforge.model_registry.compliance._packages.keys import make_key_pair  # noqa: E402

SOURCES: Final = ROOT / "examples" / "command_line"
SAMPLE: Final = ROOT / "examples" / "evidence"
PAGE: Final = ROOT / "docs" / "verifying-evidence.md"
VARYING: Final = frozenset({"manifest.json", "SHA256SUMS", "signature.dsse.json", "timestamp.tsr"})
"""The files that depend on the key or on the time."""
GENERATED: Final = "2026-11-02T09:00:00Z"
"""The time of generation. It is given, so that it is the same in each run."""
TELEMETRY: Final = "telemetry.jsonl"


def select_telemetry() -> str:
    """Return the lines of the telemetry in which nothing is later than the time of generation."""
    limit = to_nanos(GENERATED)
    lines = (SOURCES / TELEMETRY).read_text("utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if max(map(int, re.findall(r'TimeUnixNano":"(\d+)"', line))) < limit)


def make_sample(telemetry: Path) -> EvidencePackage:
    """Return the evidence about October 2026 from a file of telemetry."""
    registry = ModelRegistry(auto_emit=False)
    registry.load(SOURCES / "models.yaml")
    engine = ComplianceMappingEngine(registry, match="forms", calendar=SOURCES / "calendar.yaml")
    return engine.generate_evidence_package(
        None,
        "soc2",
        "2026-10-01",
        "2026-11-01",
        telemetry=telemetry,
        generated_at=GENERATED,
        source_revision="4f2a9c1",
    )


def is_current(package: EvidencePackage) -> bool:
    """Check whether the sample has this evidence, and is what its key signed."""
    with tempfile.TemporaryDirectory() as folder:
        package.write(Path(folder, "new"))
        new = {path.name: path.read_bytes() for path in Path(folder, "new").iterdir()}
    old = {path.name: path.read_bytes() for path in SAMPLE.glob("october/*")}
    names = (new.keys() | old.keys()) - VARYING
    telemetry = SAMPLE / TELEMETRY
    if not telemetry.is_file() or telemetry.read_text("utf-8") != select_telemetry():
        return False
    if not old or any(new.get(name) != old.get(name) for name in names):
        return False
    try:
        keys, certificates = [SAMPLE / "signer.pub.pem"], [SAMPLE / "tsa.pem"]
        verify_package(SAMPLE / "october", keys, timestamp_certificates=certificates)
    except VerificationError:
        return False
    return True


def write_sample(package: EvidencePackage) -> None:
    """Write the sample with a new key and a new authority."""
    shutil.rmtree(SAMPLE / "october", ignore_errors=True)
    (SAMPLE / TELEMETRY).write_text(select_telemetry(), "utf-8")
    pair = make_key_pair()
    (SAMPLE / "signer.pub.pem").write_bytes(pair.public)
    with tempfile.TemporaryDirectory() as folder:
        private = Path(folder, "signer.pem")
        private.touch(mode=0o600)
        private.write_bytes(pair.private)
        authority = Authority(Path(folder, "authority"))
        package.write(SAMPLE / "october", private)
        with authority.serve() as url:
            timestamp_package(SAMPLE / "october", url, certificates=[authority.root])
        shutil.copy(authority.root, SAMPLE / "tsa.pem")


def write_outputs() -> None:
    """Write the output of each command into the page."""
    text = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(SAMPLE, Path(folder, "evidence"))
        for command, output in list_commands(PAGE):
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, cwd=copy)  # noqa: S607
            text = text.replace(f"{command}{output}", f"{command}{done.stdout}", 1)
    PAGE.write_text(text, "utf-8")


def main() -> None:
    """Write the sample, or compare it."""
    with tempfile.TemporaryDirectory() as folder:
        telemetry = Path(folder, TELEMETRY)
        telemetry.write_text(select_telemetry(), "utf-8")
        package = make_sample(telemetry)
    if is_current(package):
        return
    if "--check" in sys.argv:
        sys.exit(f"{SAMPLE}: the sample is not up to date; run {Path(__file__).name}")
    write_sample(package)
    write_outputs()


if __name__ == "__main__":
    main()
