"""The alerts for Prometheus: each tested by promtool, and for real, from calls through the Collector to the alert."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from spanforge.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Server

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "collector-config" / "prometheus"
RULES = yaml.safe_load((CONFIG / "rules.yml").read_text("utf-8"))
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
TESTS = ROOT / "tests" / "prometheus" / "rules_test.yml"
PATIENCE = 60
"""Seconds that an alert may take."""
SOON = [(r"for: \d+m", "for: 0s"), (r"> 300\b", "> 2")]
"""How the rules that run for real differ: nobody waits for minutes, and a file is stale after two seconds."""


def promtool(program: Callable[[str], str], *arguments: str) -> str:
    """Return what promtool says, which has to be good."""
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_configuration(program: Callable[[str], str]) -> None:
    """Prometheus takes the scrape configuration and the rules."""
    said = promtool(program, "check", "config", str(CONFIG / "prometheus.yml"))
    assert f"{sum(len(group['rules']) for group in RULES['groups'])} rules found" in said
    assert "WARN" not in said


def test_each_alert(program: Callable[[str], str]) -> None:
    """Each alert fires when it should, with its labels and its text, and does not when it should not."""
    promtool(program, "test", "rules", str(TESTS))
    cases = [
        (case["alertname"], bool(case["exp_alerts"]))
        for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
        for case in test["alert_rule_test"]
    ]
    assert set(cases) == {(name, fires) for name in ALERTS for fires in (True, False)}


def test_scraped_as_often_as_flushed() -> None:
    """The scrape interval is no longer than the Collector's flush interval, or single calls would be missed."""
    collector = (ROOT / "collector-config" / "collector.yaml").read_text("utf-8")
    (flushed,) = re.findall(r"OTELCOL_METRICS_FLUSH:-(\d+)s", collector)
    prometheus = yaml.safe_load((CONFIG / "prometheus.yml").read_text("utf-8"))
    assert int(prometheus["global"]["scrape_interval"].removesuffix("s")) <= int(flushed)


def test_the_runbook() -> None:
    """The page has a line and a section for each alert, in their order, with its severity, and how long it waits."""
    page = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    lines = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)
    assert [(name, anchor) for name, anchor, _, _ in lines] == [(name, name.lower()) for name in ALERTS]
    for name, _, severity, after in lines:
        rule = ALERTS[name]
        assert all(each in rule["labels"]["severity"] for each in severity.split(", ")), name
        assert after == rule["for"] if "for" in rule else re.match("one (call|failure|event)", after), name
    sections = re.findall(r"^## (Model\w+)\n\n((?:.+\n)+)", page, re.MULTILINE)
    assert [name for name, _ in sections] == list(ALERTS)
    for name, text in sections:
        assert re.findall(r"^- \*\*(\w+):\*\*", text, re.MULTILINE) == ["Means", "Look", "Do"], name


# For real


def models(file: Path) -> None:
    """Write a registry with a model of each kind."""
    registry, now = ModelRegistry(auto_emit=False), datetime.now(timezone.utc)
    for model_id, tier in (
        ("gpt-4o", "high"),
        ("slow-1", "high"),
        ("failing-1", "critical"),
        ("retired-1", "low"),
        ("near-1", "low"),
        ("past-1", "low"),
    ):
        registry.register(model_id, model_id, "1", tier, "ml-platform", "to be called")
    registry.retire("retired-1")
    registry.deprecate("near-1", sunset_date=(now + timedelta(days=3)).isoformat())
    registry.deprecate("past-1", sunset_date=(now - timedelta(days=3)).isoformat())
    registry.save(file)


@pytest.fixture
def collector(run_server: Callable[..., Server]) -> Server:
    """Give a Collector whose metrics come soon."""
    return run_server("otelcol", OTELCOL_METRICS_FLUSH="300ms")


@pytest.fixture
def prometheus(run_server: Callable[..., Server], collector: Server, tmp_path: Path) -> Server:
    """Give a Prometheus with what users get, but for addresses and waiting."""
    rules = (CONFIG / "rules.yml").read_text("utf-8")
    for pattern, replacement in SOON:
        assert re.search(pattern, rules)
        rules = re.sub(pattern, replacement, rules)
    (tmp_path / "rules.yml").write_text(rules)
    config = (CONFIG / "prometheus.yml").read_text("utf-8").replace("_interval: 15s", "_interval: 1s")
    for port, variable in (
        ("8889", "OTELCOL_PROMETHEUS"),
        ("8890", "OTELCOL_UNTRUSTED_PROMETHEUS"),
        ("8888", "OTELCOL_TELEMETRY"),
    ):
        config = config.replace(f"127.0.0.1:{port}", collector.at[variable])
    (tmp_path / "prometheus.yml").write_text(config)
    return run_server("prometheus", tmp_path / "prometheus.yml")


@pytest.fixture
def application(collector: Server, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run an application that calls models until it is told to end."""
    models(tmp_path / "models.json")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("governed.py"), f"http://{collector.at['OTELCOL_OTLP_HTTP']}"],
        env={
            **clean,
            "OTEL_SERVICE_NAME": "support",
            "OTEL_PYTHON_MODEL_REGISTRY_FILE": str(tmp_path / "models.json"),
            "OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL": "200",
        },
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.communicate(timeout=60)


def firing(prometheus: Server) -> dict[str, set[str | None]]:
    """Return the alerts that fire, and the models or files that they are about."""
    answer: dict[str, Any] = json.loads(prometheus.ask("PROMETHEUS", "/api/v1/alerts"))
    found: dict[str, set[str | None]] = {}
    for alert in answer["data"]["alerts"]:
        labels = alert["labels"]
        about = labels.get("gen_ai_request_model") or labels.get("model_registry_model_id") or labels.get("job")
        found.setdefault(labels["alertname"], set()).add(about)
    return found


def until(prometheus: Server, wanted: dict[str, set[str | None]]) -> dict[str, set[str | None]]:
    """Return the alerts that fire, once they are those that are wanted, or after a while."""
    deadline = time.monotonic() + PATIENCE
    while (found := firing(prometheus)) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


WELL = {
    "ModelRegistryRetiredModelCalled": {"retired-1"},
    "ModelRegistryUnregisteredModelCalled": {"gpt-9"},
    "ModelRegistrySunsetNear": {"near-1"},
    "ModelRegistrySunsetPast": {"past-1"},
    "ModelRegistryErrors": {"failing-1"},
    "ModelRegistrySlow": {"slow-1"},
    "ModelRegistryEventsLost": {"support"},
}
"""What fires while the registry's file is good."""
BAD = WELL | {"ModelRegistryFileFailing": {"support"}, "ModelRegistryFileStale": {"support"}}
"""What fires when it is not."""
OF_THE_DISK = {"ModelRegistryArchiveDiskFull"}
"""What needs a node exporter and a full disk: promtool only."""


def test_for_real(application: subprocess.Popen[str], collector: Server, prometheus: Server, tmp_path: Path) -> None:
    """From calls through the Collector each alert comes to fire, about what it should, and no other does."""
    assert application.poll() is None
    assert until(prometheus, WELL) == WELL
    (tmp_path / "models.json").write_text("[")
    assert until(prometheus, BAD) == BAD
    labels = json.loads(prometheus.ask("PROMETHEUS", "/api/v1/alerts"))["data"]["alerts"]
    (retired,) = [each for each in labels if each["labels"]["alertname"] == "ModelRegistryRetiredModelCalled"]
    assert retired["labels"] == {
        "alertname": "ModelRegistryRetiredModelCalled",
        "severity": "critical",
        "owner": "ml-platform",
        "service_name": "support",
        "gen_ai_request_model": "retired-1",
        "model_registry_model_id": "retired-1",
        "model_registry_owner": "ml-platform",
        "model_registry_risk_tier": "low",
        "model_registry_status": "retired",
    }
    assert retired["annotations"]["summary"] == "support calls retired-1, which is retired"
    assert float(retired["value"]) == 1
    collector.stop()
    down = {"model_registry", "model_registry_untrusted", "collector"}
    deadline = time.monotonic() + PATIENCE
    while (found := firing(prometheus).get("ModelRegistryCollectorDown")) != down and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == down
    assert {*BAD, "ModelRegistryCollectorDown"} | OF_THE_DISK == ALERTS.keys()
