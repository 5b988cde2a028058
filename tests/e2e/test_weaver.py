"""Weaver itself, if it is on the PATH: it accepts the registry in ``semconv/``, and knows all that a run exports.

A stub replaces the dependency, which Weaver would download. It defines the two attributes that the registry refers to.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from support.calendars import TODAY, set_day
from support.every_signal import exporting_everything
from support.processes import SECONDS
from support.servers import free_addresses
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

WEAVER = shutil.which("weaver")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(WEAVER is None, reason="OpenTelemetry's weaver is not on the PATH")]

FOLDER = Path(__file__).parents[2] / "semconv"
STUB = {"id": "registry.stub", "type": "attribute_group", "brief": "A stub."}
OTHERS = re.compile(r"service\.|telemetry\.|gen_ai\.|openinference\.")
"""The beginnings of keys that applications, the SDK and instrumentations set."""


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Give a copy of the registry with the stub as its dependency."""
    copy, stub = Path(shutil.copytree(FOLDER, tmp_path / "semconv")), tmp_path / "stub"
    stub.mkdir()
    rows = [
        {"id": key, "type": "string", "stability": "development", "brief": "An attribute.", "examples": ["a"]}
        for key in ("gen_ai.provider.name", "file.path")
    ]
    (stub / "attributes.yaml").write_text(yaml.safe_dump({"groups": [{**STUB, "attributes": rows}]}))
    manifest = yaml.safe_load((copy / "manifest.yaml").read_text())
    manifest["dependencies"][0]["registry_path"] = str(stub)
    (stub / "manifest.yaml").write_text(yaml.safe_dump({"schema_url": manifest["dependencies"][0]["schema_url"]}))
    (copy / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    return copy


@pytest.mark.parametrize("options", [(), ("--future",), ("--future", "--v2")], ids=" ".join)
def test_weaver_accepts_the_registry(registry: Path, options: tuple[str, ...]) -> None:
    """``weaver registry check`` ends well without a diagnostic, also by its most recent rules."""
    command = [str(WEAVER), "registry", "check", "--registry", str(registry), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Diagnostic report" not in done.stdout + done.stderr


@pytest.fixture
def receiver(registry: Path, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Give the addresses of ``weaver registry live-check``: for telemetry, and to end it. It writes report.json."""
    port, admin_port = (address.rpartition(":")[2] for address in free_addresses(2))
    command = [str(WEAVER), "registry", "live-check", "--registry", str(registry), "--format", "json", "--no-stream"]
    command += ["--otlp-grpc-address", "127.0.0.1", "--otlp-grpc-port", port, "--admin-port", admin_port]
    with (tmp_path / "report.json").open("w") as report, (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=report, stderr=log)
        try:
            wait_until(lambda: "receiver will stop" in (tmp_path / "log").read_text())
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin_port}/stop"
            process.wait(SECONDS)
        finally:
            process.kill()
            process.wait()


def test_weaver_knows_all_that_is_exported(
    receiver: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``weaver registry live-check`` has no violation but those about attributes of others."""
    endpoint, stop = receiver
    set_day(monkeypatch, TODAY)
    with exporting_everything(tmp_path) as telemetry:
        metrics = telemetry.meters.reader.get_metrics_data()
        assert metrics is not None
        OTLPSpanExporter(endpoint=endpoint, insecure=True).export(telemetry.spans.get_finished_spans())
        OTLPLogExporter(endpoint=endpoint, insecure=True).export(telemetry.records.get_finished_logs())
        OTLPMetricExporter(endpoint=endpoint, insecure=True).export(metrics)
    urllib.request.urlopen(urllib.request.Request(stop, method="POST"), timeout=SECONDS).close()
    wait_until(lambda: (tmp_path / "report.json").read_text().rstrip().endswith("}"))
    report = json.loads((tmp_path / "report.json").read_text())
    violations = {name for name in list_violations(report["samples"]) if not OTHERS.match(name)}
    assert violations == set()
    seen = report["statistics"]
    assert [name for name, count in seen["seen_registry_attributes"].items() if not count] == ["model_registry.sender"]
    assert all(seen["seen_registry_metrics"].values())
    assert all(seen["seen_registry_events"].values())
    assert seen["seen_non_registry_metrics"] == seen["seen_non_registry_events"] == {}


def list_violations(value: Any) -> Iterator[str]:
    """Yield the name of each part of the telemetry with a violation."""
    if isinstance(value, dict):
        result = value.get("live_check_result") or {}
        if result.get("highest_advice_level") == "violation":
            yield str(value.get("name"))
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from list_violations(item)
