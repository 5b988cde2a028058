"""The command line ``spanforge-models``, also ``python -m spanforge.model_registry``."""

from __future__ import annotations

import sys
from typing import Final

from spanforge.model_registry._core.errors import MissingExtraError

_EXTRA_MODULES: Final = frozenset({"typer", "rich", "yaml"})
"""What the extra ``cli`` installs, by the names of imports."""


def main() -> int:
    """Run the command of ``sys.argv``, and return its exit code: 0 done, 1 findings, 2 usage or bad input."""
    try:
        from spanforge.model_registry._cli.app import run  # noqa: PLC0415 - typer is in an extra

        return run()
    except KeyboardInterrupt:  # while typer is imported; the program handles it later
        print("spanforge-models: interrupted", file=sys.stderr)  # noqa: T201 - no typer
        return 130
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA_MODULES:
            raise
    print(f"spanforge-models: {MissingExtraError('commands', 'cli')}", file=sys.stderr)  # noqa: T201 - no typer
    return 2


if __name__ == "__main__":
    sys.exit(main())
