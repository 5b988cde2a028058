"""The demo, as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.otlp_json import attributes_of, read_items

from spanforge.model_registry.compliance import verify_package

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "support_agent" / "run.py"


Run = Callable[..., subprocess.CompletedProcess[str]]

README = (ROOT / "README.md").read_text("utf-8")
SHOWN = README.partition("<!-- demo -->\n```text\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def ran(demo: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run the demo once; give its folder and its result."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo(folder)


def test_it_shows_calls_and_events(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Each call shows owner, tier, status and warnings under both instrumentations, and each operation its event."""
    _, result = ran
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
    assert "did not take" not in result.stdout
    assert not result.stderr


def test_it_leaves_the_telemetry_as_a_file(
    demo: Run, ran: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """The file has an OTLP JSON export a line, with the spans that were shown; a second run replaces it.

    If the backend is down, the demo still ends well, with one line about it for each instrumentation.
    """
    shutil.copytree(ran[0] / "build", tmp_path / "build")
    settings = {"OTEL_SERVICE_NAME": "agent-7", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    result = demo(tmp_path, "build/demo-telemetry.jsonl", **settings)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("http://127.0.0.1:9 did not take 20 spans") == 2
    assert "Traceback" not in result.stdout + result.stderr
    items = read_items(tmp_path / "build" / "demo-telemetry.jsonl")
    assert {attributes_of(item.resource)["service.name"] for item in items} == {"agent-7"}
    spans = [span for _, _, span in items]
    assert sum(len(span.get("events", [])) for span in spans if span["name"].startswith("model_registry.")) == 12
    assert sum("model_registry.status" in item.attributes for item in items) == 12
    assert all(len(span["traceId"]) == 32 for span in spans)
    left = sorted(path.name for path in (tmp_path / "build").iterdir())
    evidence = [f"demo-evidence.{end}" for end in ("html", "pub.pem", "zip")]
    assert left == [*evidence, "demo-models.json", "demo-telemetry.jsonl"]


def test_it_leaves_evidence(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The evidence of the second run is shown check by check. The demo ends with its findings and its report."""
    folder, result = ran
    lines = result.stdout.splitlines()
    verify_package(folder / "build" / "demo-evidence.zip", [folder / "build" / "demo-evidence.pub.pem"])
    with zipfile.ZipFile(folder / "build" / "demo-evidence.zip") as package:
        stated = json.loads(package.read("attestation.json"))
        report = package.read("report.html")
    assert (folder / "build" / "demo-evidence.html").read_bytes() == report
    *_, found, _, last = result.stdout.partition("\nFindings\n")[2].splitlines()
    assert found == "  text-davinci-003 (owner: support-team): called while it was retired in support-agent"
    assert last == "Report: build/demo-evidence.html (open it in a browser)"
    assert "chmod" not in result.stdout + result.stderr
    assert result.stdout.count("not registered in support-agent") == 1
    shown = [line.split()[:2] for line in lines if "exceptions:" in line]
    assert shown == [[check["status"], check["check"]] for check in stated["checks"]]
    assert stated["coverage"]["status"] == "complete"
    [source] = stated["inputs"]
    content = (folder / "build" / "demo-telemetry.jsonl").read_bytes()
    assert source["sha256"] == hashlib.sha256(content).hexdigest()
    assert (source["spans"], source["spans_outside"]) == (40, 20)


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
