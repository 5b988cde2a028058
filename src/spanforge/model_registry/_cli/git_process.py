"""Git as a process: without a shell, only to read, and in the repository of the folder in which it runs."""

from __future__ import annotations

import os
import subprocess
from typing import Final

from spanforge.model_registry._cli.registries import UsageError

_GIT_SECONDS: Final = 30
"""The limit of the time that git takes, for a repository on a mount that does not answer."""
_KEPT_VARIABLES: Final = ("GIT_CONFIG", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")
"""The starts of git's variables that stay: those of its configuration, such as ``safe.directory``."""
_OWN_VARIABLES: Final = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def call_git(*arguments: str, folder: str = os.curdir) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder. Variables that would lead it to another repository do not count.

    Raises:
        UsageError: Git is not installed, or takes too long, or an argument has a null character.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT_VARIABLES)
    }
    settings = {**inherited, **_OWN_VARIABLES}
    command = ["git", "-C", folder, "--no-pager", "--literal-pathspecs", *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False, env=settings, timeout=_GIT_SECONDS)  # noqa: S603 - no shell
    except OSError:
        msg = "git is not installed, or not in PATH"
    except subprocess.TimeoutExpired:
        msg = f"git {arguments[0]} takes more than {_GIT_SECONDS} seconds"
    except ValueError:
        msg = "the name of a revision or a path has no null character"
    raise UsageError(msg) from None
