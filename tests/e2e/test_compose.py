"""``compose.yaml`` as far as it goes without containers: as docker compose reads it, and its demo as it runs there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Server

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "collector-config" / "compose.yaml"
PATIENCE = 60


def read(program: Callable[[str], str], file: Path) -> subprocess.CompletedProcess[str]:
    """Have compose's own library read a file."""
    command = [program("compose"), "--format", "json", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_compose_accepts_the_file(program: Callable[[str], str]) -> None:
    """The file fits the schema, with the services that are in it."""
    done = read(program, COMPOSE)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["services"].keys() == yaml.safe_load(COMPOSE.read_text("utf-8"))["services"].keys()


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("healthcheck:", "healthchecks:"),
        ("retries: 12", "retries: often"),
        ("condition: service_healthy", "condition: service_well"),
    ],
)
def test_compose_refuses_a_bad_file(program: Callable[[str], str], tmp_path: Path, good: str, bad: str) -> None:
    """The same check finds a key and values that do not exist."""
    text = COMPOSE.read_text("utf-8")
    assert good in text
    (tmp_path / "compose.yaml").write_text(text.replace(good, bad), "utf-8")
    assert read(program, tmp_path / "compose.yaml").returncode != 0


def test_the_demo_sends_a_span_for_each_call(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """The demo's command, with its settings, sends a span a call and the plugin's metrics, and ends when told to."""
    collector = run_server("otelcol", OTELCOL_METRICS_FLUSH="300ms")
    demo = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["demo"]
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    environment = {name: str(value) for name, value in demo["environment"].items()}
    environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{collector.at['OTELCOL_OTLP_GRPC']}"
    environment["OTEL_METRIC_EXPORT_INTERVAL"] = "500"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    bin_folder = Path(sys.executable).parent
    process = subprocess.Popen(
        demo["command"],
        cwd=tmp_path,
        env={**clean, **environment, "PATH": f"{bin_folder}:{os.environ['PATH']}", "NO_PROXY": "127.0.0.1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE
    wanted = {"active", "deprecated", "unregistered"}
    while time.monotonic() < deadline and process.poll() is None:
        samples = collector.scrape()
        calls = [sample for sample in samples if sample.name == "traces_span_metrics_calls_total"]
        own = {sample.name for sample in samples if sample.name.startswith("model_registry_")}
        if {sample.labels["model_registry_status"] for sample in calls} == wanted and len(own) >= 4:
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert {sample.labels["model_registry_status"] for sample in calls} == wanted
    assert own >= {"model_registry_calls_total", "model_registry_models", "model_registry_sunset_seconds"}
    time.sleep(1)
    samples = collector.scrape()
    seen = sum(sample.value for sample in samples if sample.name == "traces_span_metrics_calls_total")
    assert seen == sum(sample.value for sample in samples if sample.name == "model_registry_calls_total") > 0
