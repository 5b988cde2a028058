"""Products that set up OpenTelemetry themselves, with the plugin installed after and before their setup."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.matrix

PROGRAM = Path(__file__).with_name("beside.py")
OURS = {
    "model_registry.model_id": "gpt-4o",
    "model_registry.owner": "ml-platform",
    "model_registry.risk_tier": "high",
    "model_registry.status": "active",
}
VENDORS = ("PHOENIX_", "PYTEST_", "TRACELOOP_")
"""The prefixes of variables that the products read. Logfire does not export if there is one of pytest."""


@pytest.mark.parametrize("order", ["setup-first", "plugin-first"])
@pytest.mark.parametrize("product", ["langfuse", "logfire", "phoenix", "traceloop"])
def test_setup(
    product: str, order: str, environment: Callable[..., Path], environ: dict[str, str], tmp_path: Path
) -> None:
    """A call is enriched and counted once, its model has its event, and the application's provider has the metrics."""
    file = tmp_path / "found.json"
    clean = {name: value for name, value in environ.items() if not name.startswith(VENDORS)}
    command = [environment("frameworks"), PROGRAM, product, order, file]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text("utf-8"))
    enriched = [span["attributes"] for span in found["spans"] if "model_registry.status" in span["attributes"]]
    assert [attributes.items() >= OURS.items() for attributes in enriched] == [True]
    assert [span["events"] for span in found["spans"] if span["events"]] == [["model_registry.registered"]]
    counted = {name: found["metrics"][f"model_registry.{name}"] for name in ("calls", "models", "events.dropped")}
    assert counted == {"calls": 1, "models": 1, "events.dropped": 0}
    assert [found["status"][name] for name in ("enrichment", "metrics", "processors", "calls")] == ["on", "on", 1, 1]
