"""What head sampling does not lose, through the real Collector: events as log records, and metrics that are exact."""

from __future__ import annotations

import json
import operator
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.otlp_json import SENDER, attributes_of, read_items
from support.processes import environment
from support.servers import archive_settings
from support.waiting import wait_until

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.servers import Server

pytestmark = pytest.mark.e2e

REGISTRATIONS = 4_000
"""More than the 2,048 log records that the SDK queues by default."""
LOAD_GENERATOR = Path(__file__).with_name("load_generator.py")
REGISTERING = f"""
import json, sys
from spanforge.model_registry import get_default_registry, register_model
from spanforge.model_registry.otel import status

print("ready", flush=True)
sys.stdin.readline()
for number in range({REGISTRATIONS}):
    register_model(f"m{{number}}", "M", "1", "low", "team", "test")
get_default_registry().save(sys.argv[1])
print(json.dumps({{form: counts._asdict() for form, counts in status().events.items()}}))
"""


def models(owners: list[Mapping[str, Any]]) -> list[str]:
    """Return the model ids of events."""
    return [attributes_of(owner)["model_registry.model_id"] for owner in owners]


def test_every_registration_is_a_log_record(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """Of 4,000 registrations under 1 % head sampling each is a log record; span events are what was sampled.

    The Collector does not answer for a second meanwhile. Evidence from both forms together, and from log records
    alone, has an event for each registration.
    """
    settings = archive_settings(tmp_path)
    archive = settings["OTELCOL_ARCHIVE_SPANS"], settings["OTELCOL_ARCHIVE_LOGS"]
    server = run_server("otelcol", **settings)
    command = [os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument"), sys.executable, "-c"]
    begin = datetime.now(timezone.utc)
    with subprocess.Popen(
        [*command, REGISTERING, str(tmp_path / "models.json")],
        env=environment(
            OTEL_PYTHON_MODEL_REGISTRY_EVENTS="span,log",
            OTEL_TRACES_SAMPLER="traceidratio",
            OTEL_TRACES_SAMPLER_ARG="0.01",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{server.at['OTELCOL_OTLP_HTTP']}",
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_METRICS_EXPORTER="none",
            OTEL_BLRP_MAX_QUEUE_SIZE="16384",  # as docs/events.md says: a burst is larger than the SDK's 2,048
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(server.pid, signal.SIGSTOP)
        threading.Timer(1, os.kill, (server.pid, signal.SIGCONT)).start()
        output, errors = process.communicate("go\n", timeout=120)
    assert (process.returncode, errors) == (0, "")
    counts = json.loads(output)
    assert counts["log"] == {"emitted": REGISTRATIONS, "held": 0, "dropped": 0, "failed": 0}
    sampled = counts["span"]["emitted"]
    assert 0 < sampled < REGISTRATIONS // 20
    assert counts["span"] == {"emitted": sampled, "held": 0, "dropped": REGISTRATIONS - sampled, "failed": 0}

    def archived() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the events on spans, and the log records."""
        spans, records = ([item for _, _, item in read_items(file)] for file in archive)
        return [event for span in spans for event in span.get("events", ())], records

    wait_until(lambda: all(map(operator.ge, map(len, archived()), (sampled, REGISTRATIONS))), interval=0.2)
    events, records = archived()
    assert sorted(models(records)) == sorted(f"m{number}" for number in range(REGISTRATIONS))
    assert {record["eventName"] for record in records} == {"model_registry.registered"}
    assert len(models(events)) == len(set(models(events))) == sampled
    of_model = dict(zip(models(records), records, strict=True))
    for model, event in zip(models(events), events, strict=True):
        record = of_model[model]
        assert (record["eventName"], record["timeUnixNano"]) == (event["name"], event["timeUnixNano"])
        assert attributes_of(record) == {**attributes_of(event), SENDER: "trusted"}

    registry = ModelRegistry(auto_emit=False)
    registry.load(tmp_path / "models.json")
    engine = ComplianceMappingEngine(registry, max_gap=timedelta(days=1))
    for telemetry in (archive, archive[1:]):
        stated = engine.generate_evidence_package(
            None, "soc2", begin, datetime.now(timezone.utc), telemetry=[*telemetry]
        ).attestation
        (told,) = (check for check in stated.checks if check.check == "changes_recorded")
        assert (told.population, told.exceptions) == (REGISTRATIONS, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_metrics_are_the_calls_made(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """The Collector offers Prometheus exactly the calls that each process recorded, sampled or not, over reloads."""
    server = run_server("otelcol", **archive_settings(tmp_path))
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "high", "ml-platform", "test")
    registry.register("gpt-3.5-turbo", "GPT-3.5 Turbo", "1", "low", "support-team", "test")
    registry.deprecate("gpt-3.5-turbo", sunset_date="2030-01-01")
    registry.save(tmp_path / "models.json")
    endpoint = f"http://{server.at['OTELCOL_OTLP_HTTP']}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(LOAD_GENERATOR), endpoint, "0.5", str(tmp_path / "models.json")],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    made: Counter[tuple[str, str]] = Counter()
    for instance, calls in map(json.loads, done.stdout.splitlines()):
        for model, number in calls.items():
            made[instance, model if model.startswith("gpt") else ""] += number
        assert 0 < sum(calls.values()) < 8 * 500  # sampled and not
    made = +made
    assert {instance for instance, _ in made} == {"parent", *(f"worker-{number}" for number in range(4))}

    samples = server.scrape()
    calls = [sample for sample in samples if sample.name == "model_registry_calls_total"]
    found = {(one.labels["instance"], one.labels.get("model_registry_model_id", "")): one for one in calls}
    assert len(found) == len(calls)
    assert {key: one.value for key, one in found.items()} == made
    facts = ("status", "risk_tier", "owner")
    assert {
        key[1]: tuple(one.labels.get(f"model_registry_{name}") for name in facts) for key, one in found.items()
    } == {
        "gpt-4o": ("active", "high", "ml-platform"),
        "gpt-3.5-turbo": ("deprecated", "low", "support-team"),
        "": ("unregistered", None, None),
    }
    mine = [sample for sample in samples if sample.labels.get("instance") == "parent"]
    inventory = {
        (one.labels["model_registry_status"], one.labels["model_registry_risk_tier"]): one.value
        for one in mine
        if one.name == "model_registry_models"
    }
    assert len(inventory) == 12
    assert {key for key, value in inventory.items() if value} == {("active", "high"), ("deprecated", "low")}
    (sunset,) = (one for one in mine if one.name == "model_registry_sunset_seconds")
    assert sunset.labels["model_registry_model_id"] == "gpt-3.5-turbo"
    assert {one.labels["model_registry_event_signal"]: one.value for one in mine if "events_dropped" in one.name} == {
        "span": 0,
        "log": 0,
    }
    names = {one.name for one in mine if one.name.startswith("model_registry_")}
    assert names == {
        "model_registry_calls_total",
        "model_registry_agent_spans_total",
        "model_registry_models",
        "model_registry_sunset_seconds",
        "model_registry_info",
        "model_registry_events_dropped_total",
    }
