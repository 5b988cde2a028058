"""For auditors: verify the sample evidence package, read its result, and see that a changed package is refused."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import textwrap
from pathlib import Path

from spanforge.model_registry.compliance import VerificationError, verify_package

SAMPLE = Path(__file__).parents[1] / "evidence"
PACKAGE, KEY = SAMPLE / "october", SAMPLE / "signer.pub.pem"


def main() -> int:
    """Verify the package, show its findings, and verify a copy in which one word is changed."""
    report = verify_package(PACKAGE, [KEY])
    print(f"Verified: examples/evidence/october\n  key        {report.keyid[:16]}…")
    print(f"  framework  {report.framework}")
    print(f"  period     {' to '.join(str(day)[:10] for day in report.period)}\n  result     {report.overall_status}")
    attestation = json.loads((PACKAGE / "attestation.json").read_text("utf-8"))
    for check in attestation["checks"]:
        if check["status"] == "findings":
            text = f"- {check['check']}: {check['exceptions']} of {check['population']} {check['unit']}"
            print(textwrap.fill(text, 78, initial_indent="  ", subsequent_indent="    "))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(PACKAGE, Path(folder, "october")))
        changed = (copy / "attestation.json").read_text("utf-8").replace("chat-team", "shop-team", 1)
        (copy / "attestation.json").write_text(changed, "utf-8")
        print("\nA copy in which somebody changed an owner:")
        try:
            verify_package(copy, [KEY])
        except VerificationError as error:
            text = str(error).replace(str(copy), "october")
            print(textwrap.fill(text, 78, initial_indent="  ", subsequent_indent="  "))
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
