"""Git repositories of tests. They do not depend on the configuration of the person who runs the tests."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FIRST_COMMIT = 1_767_225_600
"""The time of the first commit: 2026-01-01. Each later commit is one day later."""


class Repository:
    """A repository with the branch ``main``.

    Attributes:
        folder: Its working folder.
        environment: The environment in which git and the commands run.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.environment = {**clean, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        self._commits = 0
        self.git("init", "--quiet", "--initial-branch=main")
        for name, value in {"user.name": "Ana", "user.email": "ana@acme.example"}.items():
            self.git("config", name, value)

    def git(self, *arguments: object, **settings: str) -> str:
        """Run git, and return its output."""
        command = ["git", *map(str, arguments)]
        environment = {**self.environment, **settings}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout.strip()

    def commit(self, files: dict[str, Any], message: str = "change") -> str:
        """Write files, JSON values as JSON, and commit them; return the commit's id."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        self.git("add", "--all")
        moment = f"{FIRST_COMMIT + self._commits * 86_400} +0000"
        self._commits += 1
        self.git("commit", "--quiet", "--allow-empty", "-m", message, GIT_AUTHOR_DATE=moment, GIT_COMMITTER_DATE=moment)
        return self.git("rev-parse", "HEAD")


def describe_model(model_id: str = "acme-chat-1", **fields: Any) -> dict[str, Any]:
    """Return an entry as a registry file has it."""
    described = {"name": "Acme", "version": "1", "risk_tier": "high", "owner": "chat-team", "purpose": "chat"}
    return {"model_id": model_id, **described, **fields}
