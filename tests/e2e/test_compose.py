"""``compose.yaml`` as far as it goes without containers: as docker compose reads it, and its demo as it runs there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.processes import environment
from support.waiting import PATIENCE, poll
from support.yaml_files import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.servers import Sample, Server

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "collector-config" / "compose.yaml"
CALLS, OWN_CALLS = "traces_span_metrics_calls_total", "model_registry_calls_total"


def read(program: Callable[[str], str], file: Path) -> subprocess.CompletedProcess[str]:
    """Have compose's own library read a file."""
    command = [program("compose"), "--format", "json", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_compose_accepts_the_file(program: Callable[[str], str]) -> None:
    """The file fits the schema, with the services that are in it."""
    done = read(program, COMPOSE)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["services"].keys() == read_yaml(COMPOSE.read_text("utf-8"))["services"].keys()


def test_the_demo_sends_a_span_for_each_call(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """The demo's command, with its settings, sends a span a call and the plugin's metrics, and ends when told to."""
    collector = run_server("otelcol", OTELCOL_METRICS_FLUSH="300ms")
    demo = read_yaml(COMPOSE.read_text("utf-8"))["services"]["demo"]
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    settings = {name: str(value) for name, value in demo["environment"].items()}
    settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://{collector.at['OTELCOL_OTLP_GRPC']}"
    settings["OTEL_METRIC_EXPORT_INTERVAL"] = "500"
    process = subprocess.Popen(
        demo["command"],
        cwd=tmp_path,
        env=environment(
            **{**settings, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_PROXY": "127.0.0.1"}
        ),
        stderr=subprocess.PIPE,
        text=True,
    )
    wanted = {"active", "deprecated", "unregistered"}

    def shown(samples: list[Sample]) -> tuple[set[str], set[str]]:
        """Return the statuses of calls, and the plugin's metrics."""
        return (
            {sample.labels["model_registry_status"] for sample in samples if sample.name == CALLS},
            {sample.name for sample in samples if sample.name.startswith("model_registry_")},
        )

    def is_complete(samples: list[Sample]) -> bool:
        statuses, own = shown(samples)
        return (statuses == wanted and len(own) >= 4) or process.poll() is not None

    statuses, own = shown(poll(collector.scrape, is_complete))
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert statuses == wanted
    assert own >= {"model_registry_calls_total", "model_registry_models", "model_registry_sunset_seconds"}

    def counts() -> list[float]:
        """Return the calls that the Collector counts on spans, and those that the plugin counts."""
        samples = collector.scrape()
        return [sum(sample.value for sample in samples if sample.name == name) for name in (CALLS, OWN_CALLS)]

    of_spans, of_plugin = poll(counts, lambda pair: pair[0] == pair[1] > 0)
    assert of_spans == of_plugin > 0
