"""Installed and switched on from outside: an application that knows nothing of it, read back from the real Jaeger."""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.models_api import serving_models
from support.otlp_json import ours, tags_of
from support.readme import ANSWERS, START, check_span, write_application
from support.waiting import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Environment
    from support.servers import Backend

pytestmark = pytest.mark.e2e

EXAMPLE = Path(__file__).parents[2] / "examples" / "zero_code"
SCOPE, RETIRE = "opentelemetry.instrumentation.genai.openai", "model_registry.retire"

INSTRUMENT = """\
#!{python}
from opentelemetry.instrumentation.auto_instrumentation import run
run()
"""
"""The script ``opentelemetry-instrument``, as installing its package would make it there."""

CALLS = {
    "gpt-4o": {
        "status": "active",
        "owner": "ml-platform",
        "risk_tier": "high",
        "model_id": "gpt-4o",
        "name": "GPT-4o",
        "version": "2024-08-06",
    },
    "gpt-3.5-turbo": {
        "status": "deprecated",
        "owner": "support-team",
        "risk_tier": "medium",
        "model_id": "gpt-3.5-turbo",
        "name": "GPT-3.5 Turbo",
        "version": "0125",
        "warnings": json.dumps(
            ["model 'gpt-3.5-turbo' is deprecated", "use 'gpt-4o' instead", "its sunset date is 2027-03-31"],
            separators=(",", ":"),
        ),
        "successor": "gpt-4o",
        "sunset_date": "2027-03-31",
    },
    "gpt-4.1-nano": {
        "status": "unregistered",
        "warnings": """["model 'gpt-4.1-nano-2025-04-14' is not registered"]""",
    },
}
"""Model that the application asks for, to what its span is to have of ours in Jaeger."""


EVENT = {
    "model_id": "gpt-3.5-turbo",
    "name": "GPT-3.5 Turbo",
    "version": "0125",
    "risk_tier": "medium",
    "owner": "support-team",
    "purpose": "sums tickets up",
    "status": "retired",
    "previous_status": "deprecated",
    "reason": "contract has ended",
    "actor": "kim",
    "successor": "gpt-4o",
    "sunset_date": "2027-03-31",
    "metadata.deprecation_date": "2026-10-01",
    "metadata.deprecation_reason": "no longer improved",
    "metadata.successor": "gpt-4o",
    "metadata.sunset_date": "2027-03-31",
}
"""What the event of the second process is to have of ours, beside the date of the retirement."""


@pytest.fixture(scope="module")
def installed(new_environment: Callable[[str], Environment], ours: Path) -> Environment:
    """Give an environment into which the package was installed, and which has ``opentelemetry-instrument``."""
    environment = new_environment("zero-code")
    environment.install(ours)
    script = environment.python.with_name("opentelemetry-instrument")
    script.write_text(INSTRUMENT.format(python=environment.python))
    script.chmod(0o755)
    return environment


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """Run the stand-in for the model's API that the examples use."""
    with serving_models() as url:
        yield url


def run(environment: Environment, script: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one of the example's scripts there under ``opentelemetry-instrument``."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "PYTHON"))}
    return subprocess.run(
        [environment.python.with_name("opentelemetry-instrument"), environment.python, script],
        cwd=EXAMPLE,
        env={**clean, "NO_PROXY": "127.0.0.1", **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def ours_of(found: dict[str, Any]) -> dict[str, Any]:
    """Return the registry's attributes by their short names."""
    return {key.removeprefix("model_registry."): value for key, value in ours(found).items()}


def test_in_jaeger(installed: Environment, api: str, backend: Backend) -> None:
    """Each LLM span of an unaware application has what the file says; a second process's event is there too."""
    service = f"zero-code-{time.time_ns()}"
    settings = {
        "OTEL_SERVICE_NAME": service,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_PYTHON_MODEL_REGISTRY_FILE": "models.yaml",
    }
    by = {
        protocol: {
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint(protocol),
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        }
        for protocol in ("grpc", "http/protobuf")
    }
    application = {"OPENAI_BASE_URL": api, "OPENAI_API_KEY": "none-needed"}
    called = run(installed, "app.py", **settings, **by["grpc"], **application)
    assert called.returncode == 0, called.stderr
    assert called.stdout.count(" says: Please restart the router") == len(CALLS)
    about_registry = [line for line in called.stderr.splitlines() if "registry" in line]
    assert all(line.startswith("model registry: model '") for line in about_registry), called.stderr

    retired = run(installed, "retire.py", **settings, **by["http/protobuf"])
    assert (retired.returncode, retired.stdout, retired.stderr) == (0, "", "")

    def has_arrived(spans: list[dict[str, Any]]) -> bool:
        return len(spans) > len(CALLS) and RETIRE in {span["operationName"] for span in spans}

    spans = poll(lambda: backend.spans(service, 0), has_arrived)
    named = [found for found in map(tags_of, (span["tags"] for span in spans)) if "gen_ai.request.model" in found]
    assert {found["gen_ai.request.model"] for found in named} == set(CALLS)
    for found in named:
        assert ours_of(found) == CALLS[found["gen_ai.request.model"]]
    assert sum(found["otel.scope.name"] == SCOPE for found in named) == len(CALLS)

    (operation,) = [span for span in spans if span["operationName"] == RETIRE]
    assert tags_of(operation["tags"])["otel.scope.name"] == "spanforge.model_registry"
    (log,) = operation["logs"]
    event = tags_of(log["fields"])
    assert event.pop("event") == "model_registry.retired"
    found = ours_of(event)
    at = datetime.fromisoformat(found.pop("decommission_date").replace("Z", "+00:00"))
    assert round(at.timestamp() * 1e6) == log["timestamp"]
    assert found == EVENT


def test_the_quick_start_of_the_readme(installed: Environment, tmp_path: Path) -> None:
    """The lines of the README, without the one that installs packages, print the span that the README shows.

    ``make matrix`` runs all lines.
    """
    write_application(tmp_path)
    with serving_models(ANSWERS) as url:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "PYTHON"))}
        path = f"{installed.python.parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-e"],
            input="\n".join(START),
            env={**clean, "PATH": path, "NO_PROXY": "127.0.0.1", "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    check_span(done.stdout)
