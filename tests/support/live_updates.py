"""Registry files that change, and processes that follow them."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from support.processes import SECONDS, program_environment

from spanforge.model_registry import get_model

if TYPE_CHECKING:
    from pathlib import Path

WITHIN = 0.1
"""Seconds within which processes follow."""
DEADLINE = 8
"""Seconds that a busy machine may take to follow: fewer than the default interval of 10, which would show."""


def content(stamp: object, models: int = 1) -> bytes:
    """Return a file of models that all say the same: which version of it they are of."""
    before = {"name": "N", "version": f"{stamp}", "risk_tier": "low", "owner": f"owner-{stamp}", "purpose": "test"}
    after = {"status": "active", "deployment_date": None, "decommission_date": None}
    return json.dumps(
        [
            {"model_id": f"model-{number}", **before, **after, "metadata": {"aliases": [f"alias-{number}"]}}
            for number in range(models)
        ]
    ).encode()


def owner() -> str | None:
    entry = get_model("model-0")
    return None if entry is None else entry.owner


class Held:
    """Holds the thread that looks where it calls a function, once, until it is let go; set as its profile function."""

    def __init__(self) -> None:
        self.step = ""
        self.reached, self.let_go = threading.Event(), threading.Event()

    def __call__(self, frame: Any, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_name == self.step:
            self.step = ""
            self.reached.set()
            self.let_go.wait(SECONDS / 4)

    def at(self, step: str) -> None:
        self.reached.clear()
        self.let_go.clear()
        self.step = step


def settings(file: Path, interval: float = WITHIN) -> dict[str, str]:
    """Return the environment of a process that follows a file by setting."""
    return program_environment(
        OTEL_PYTHON_MODEL_REGISTRY_FILE=str(file),
        OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL=str(int(interval * 1_000)),
    )
