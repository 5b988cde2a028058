"""A check that the changelog fragments have names and contents that a release can use."""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "changelog.d"
NAME = re.compile(r"(\d+|\+[\w-]+)\.(added|changed|fixed|removed|security)\.md")

RULE = "must be named <issue>.<type>.md or +<slug>.<type>.md, and must not be empty"


def main() -> int:
    """Report the fragments that break the rule."""
    wrong = [
        path.name
        for path in sorted(FOLDER.iterdir())
        if path.name != "README.md" and not (NAME.fullmatch(path.name) and path.read_text("utf-8").strip())
    ]
    for name in wrong:
        print(f"changelog.d/{name}: {RULE}", file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
