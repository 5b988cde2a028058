"""A roll-out of a registry file, from processes through the real Collector and Prometheus to the fleet view."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from support.collector_files import FOLDER
from support.processes import program_environment
from support.prometheus import ask, write_configuration
from support.waiting import poll

from spanforge.model_registry import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.servers import Server

pytestmark = pytest.mark.e2e

SERVICE = """
import sys
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor
reader = PeriodicExportingMetricReader(OTLPMetricExporter(sys.argv[1] + "/v1/metrics"), 300)
metrics.set_meter_provider(MeterProvider([reader]))
trace.set_tracer_provider(TracerProvider())
ModelRegistryInstrumentor().instrument()
sys.stdin.read()
"""
"""A service that sends the plugin's metrics until its standard input ends. Its argument is the Collector's address."""
SOON = [(r"> 1800\b", "> 2"), (r"offset 5m", "offset 3s")]
"""Further differences of the rules that run here: nobody waits for half an hour."""


def write_models(file: Path, owner: str) -> str:
    """Write a registry file, and return its digest as metrics show it."""
    model = {"model_id": "acme-chat-1", "name": "Acme Chat 1", "version": "1", "risk_tier": "low", "purpose": "test"}
    file.write_text(json.dumps([{**model, "owner": owner}]), "utf-8")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


@pytest.fixture
def collector(run_server: Callable[..., Server]) -> Server:
    """Give a Collector."""
    return run_server("otelcol")


@pytest.fixture
def prometheus(run_server: Callable[..., Server], collector: Server, tmp_path: Path) -> Server:
    """Give a Prometheus whose rules do not wait long."""
    configuration = write_configuration(tmp_path, collector)
    rules = tmp_path / "rules.yml"
    for pattern, replacement in SOON:
        changed = re.sub(pattern, replacement, rules.read_text("utf-8"))
        assert changed != rules.read_text("utf-8")
        rules.write_text(changed, "utf-8")
    return run_server("prometheus", configuration)


@pytest.fixture
def start(collector: Server) -> Iterator[Callable[[str, Path, str], None]]:
    """Give a function that starts a service in a folder with its registry file, on a port of the Collector."""
    with ExitStack() as stack:

        def start(name: str, folder: Path, port: str = "OTELCOL_OTLP_HTTP") -> None:
            process = subprocess.Popen(
                [sys.executable, "-c", SERVICE, f"http://{collector.at[port]}"],
                env=program_environment(
                    OTEL_SERVICE_NAME=name,
                    OTEL_PYTHON_MODEL_REGISTRY_FILE="models.json",
                    OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL="200",
                ),
                cwd=folder,
                stdin=subprocess.PIPE,
            )
            stack.enter_context(process)  # ends the input, and waits

        yield start


def list_versions(prometheus: Server) -> set[tuple[str, str, str]]:
    """Return service, digest and version of the plugin, as the dashboard's panel shows them."""
    board = json.loads((FOLDER / "grafana" / "dashboards" / "model-registry-violations.json").read_text("utf-8"))
    (query,) = (
        target["expr"]
        for panel in board["panels"]
        if panel["title"] == "Versions of registry files"
        for target in panel["targets"]
    )
    lines = ask(prometheus, "/api/v1/query", query=query.replace("offset 5m", "offset 3s"))["result"]
    names = ("job", "model_registry_file_digest", "otel_scope_version")
    return {tuple(line["metric"].get(name, "") for name in names) for line in lines}  # type: ignore[misc]


def list_outdated(prometheus: Server) -> set[tuple[str, str]]:
    """Return service and digest of each alert about an outdated version."""
    alerts: list[dict[str, Any]] = ask(prometheus, "/api/v1/alerts")["alerts"]
    labels = [alert["labels"] for alert in alerts if alert["labels"]["alertname"] == "ModelRegistryFileOutdated"]
    return {(each["job"], each["model_registry_file_digest"]) for each in labels}


def test_service_that_keeps_an_old_version_has_an_alert(
    start: Callable[..., None], prometheus: Server, tmp_path: Path
) -> None:
    """The panel shows each service's versions; a service that keeps a replaced one has an alert until it follows."""
    folders = {name: tmp_path / name for name in ("shop", "batch", "forger")}
    for name, folder in folders.items():
        folder.mkdir()
        old = write_models(folder / "models.json", "old-team")
        start(name, folder, "OTELCOL_UNTRUSTED_HTTP" if name == "forger" else "OTELCOL_OTLP_HTTP")
    both = {(name, old, __version__) for name in ("shop", "batch")}
    assert poll(lambda: list_versions(prometheus), lambda found: found == both) == both
    assert list_outdated(prometheus) == set()
    new = write_models(folders["shop"] / "models.json", "new-team")
    assert poll(lambda: list_outdated(prometheus), lambda found: found == {("batch", old)}) == {("batch", old)}
    mixed = {("shop", new, __version__), ("batch", old, __version__)}
    assert poll(lambda: list_versions(prometheus), lambda found: found == mixed) == mixed
    write_models(folders["batch"] / "models.json", "new-team")
    assert poll(lambda: list_outdated(prometheus), lambda found: not found) == set()
