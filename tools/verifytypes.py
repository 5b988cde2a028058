"""A check with pyright that all public names have complete types. The program prints those that do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PACKAGE = "spanforge.model_registry"


def main() -> int:
    """Run pyright and check its report, because its exit code does not show that the package was found."""
    command = [sys.executable, "-m", "pyright", "--verifytypes", PACKAGE, "--ignoreexternal", "--outputjson"]
    # pyright uses the first python on the PATH.
    environment = {**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    start = result.stdout.find("{")
    if start < 0:
        print(result.stdout, result.stderr, file=sys.stderr)
        return 1
    report = json.loads(result.stdout[start:])["typeCompleteness"]
    incomplete = [symbol for symbol in report["symbols"] if symbol["isExported"] and not symbol["isTypeKnown"]]
    for symbol in incomplete:
        print(symbol["name"], *(diagnostic["message"] for diagnostic in symbol["diagnostics"]), sep="\n  ")
    counts = report["exportedSymbolCounts"]
    print(f"{PACKAGE}: types of {counts['withKnownType']} of {sum(counts.values())} public names are complete")
    return 0 if report["completenessScore"] == 1 and counts["withKnownType"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
