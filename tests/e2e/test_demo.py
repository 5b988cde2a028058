"""The demo, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "support_agent" / "run.py"


Run = Callable[..., subprocess.CompletedProcess[str]]

README = (ROOT / "README.md").read_text("utf-8")
SHOWN = README.partition("<!-- demo -->\n```text\n")[2].partition("```")[0]


def test_it_shows_calls_and_events(demo: Run, tmp_path: Path) -> None:
    """Each call shows owner, tier, status and warnings under both instrumentations, and each operation its event."""
    result = demo(tmp_path)
    assert result.returncode == 0, result.stderr
    assert SHOWN in result.stdout
    assert SHOWN.count("\n") > 10
    others = [line for line in SHOWN.splitlines() if "failed: " not in line]
    assert all(result.stdout.count(f"{line}\n") == 2 for line in others)
    assert result.stdout.count("failed: ") == 2
    for event, times in (("registered ", 10), ("retired  ", 2), ("deprecated ", 2)):
        assert result.stdout.count(f"\n  {event}") == times
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 90
    assert "build/demo-telemetry.jsonl" in result.stdout
    assert not result.stderr


def test_it_leaves_the_telemetry_as_a_file(demo: Run, tmp_path: Path) -> None:
    """The file holds an OTLP JSON export a line, with the spans that were shown; a second run replaces it."""
    for _ in range(2):
        assert demo(tmp_path, "out/telemetry.jsonl", OTEL_SERVICE_NAME="agent-7").returncode == 0
    spans = []
    for line in (tmp_path / "out" / "telemetry.jsonl").read_text().splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            assert {"key": "service.name", "value": {"stringValue": "agent-7"}} in resource["resource"]["attributes"]
            spans += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
    assert sum(len(span.get("events", [])) for span in spans if span["name"].startswith("model_registry.")) == 12
    tagged = [span for span in spans if "model_registry.status" in {pair["key"] for pair in span.get("attributes", [])}]
    assert len(tagged) == 12
    assert all(len(span["traceId"]) == 32 for span in spans)
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["telemetry-evidence.zip", "telemetry-models.json", "telemetry.jsonl"]


def test_it_leaves_evidence(demo: Run, tmp_path: Path) -> None:
    """The second run's evidence is shown check by check, and is the one in the package."""
    lines = demo(tmp_path).stdout.splitlines()
    with zipfile.ZipFile(tmp_path / "build" / "demo-evidence.zip") as package:
        stated = json.loads(package.read("attestation.json"))
    shown = [line.split()[:2] for line in lines if "exceptions:" in line]
    assert shown == [[check["status"], check["check"]] for check in stated["checks"]]
    assert stated["coverage"]["status"] == "complete"
    [source] = stated["inputs"]
    content = (tmp_path / "build" / "demo-telemetry.jsonl").read_bytes()
    assert source["sha256"] == hashlib.sha256(content).hexdigest()
    assert (source["spans"], source["spans_outside"]) == (40, 20)


def test_a_backend_that_is_down(demo: Run, tmp_path: Path) -> None:
    """Without a backend at the endpoint the demo still ends well, with one line about it for each run."""
    result = demo(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("http://127.0.0.1:9 did not take 20 spans") == 2
    assert "Traceback" not in result.stdout + result.stderr


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends the demo without a traceback, and without leaving files half done."""
    process = subprocess.Popen(
        [sys.executable, DEMO],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not list((tmp_path / "build").iterdir())
