"""The examples, as people run them; the support agent has tests of its own in ``test_demo.py``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples"


Run = Callable[..., str]


@pytest.fixture
def printed(example: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> Run:
    """Give what runs an example that has nothing to complain of, and returns what it printed."""

    def run(name: str) -> str:
        done = example(name, tmp_path, PYTHONWARNINGS="error")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_all_are_run() -> None:
    """An example that nobody runs does not stay true."""
    assert {path.name for path in EXAMPLES.iterdir()} - {"__pycache__", "README.md"} == {
        "lifecycle.py",
        "plain_sdk.py",
        "support_agent",
    }


def test_lifecycle(printed: Run, tmp_path: Path) -> None:
    """It prints the three events of two models with their payload, and leaves a registry file."""
    lines = printed("lifecycle.py").splitlines()
    steps = [f"model_registry.{step}" for step in ("registered", "deprecated", "retired")]
    assert [line for line in lines if not line.startswith(" ")] == steps * 2
    assert lines.count("  model_registry.owner = ml-platform") == 6
    assert [line for line in lines if "reason" in line and "metadata" not in line] == [
        "  model_registry.reason = Replaced by gpt-4o-2024-08",
        "  model_registry.reason = Successor available",
    ]
    [entry] = json.loads((tmp_path / "models.json").read_text("utf-8"))
    assert (entry["model_id"], entry["status"]) == ("gpt-4o-2024-05", "retired")


def test_plain_sdk(printed: Run) -> None:
    """It prints the event's span and the enriched span, and takes ten lines or fewer beside its imports."""
    output = printed("plain_sdk.py")
    decoder = json.JSONDecoder()
    registered, end = decoder.raw_decode(output)
    called, _ = decoder.raw_decode(output[end:].lstrip())
    assert [event["name"] for event in registered["events"]] == ["model_registry.registered"]
    assert called["attributes"] == {
        "gen_ai.request.model": "gpt-4o",
        "model_registry.status": "active",
        "model_registry.owner": "ml-platform",
        "model_registry.risk_tier": "high",
        "model_registry.model_id": "gpt-4o",
        "model_registry.name": "GPT-4o",
        "model_registry.version": "2024-08-06",
    }
    source = (EXAMPLES / "plain_sdk.py").read_text("utf-8").splitlines()
    assert len([line for line in source if line and not line.startswith(("from ", '"""'))]) <= 10
