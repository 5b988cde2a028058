"""The trial of a release: its wheel in a new environment, with a traced call and a few commands."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from environments import ALL_EXTRAS, install_wheel, make_environment
from release_build import ReleaseError

if TYPE_CHECKING:
    from pathlib import Path

TRACED: Final = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import spanforge.model_registry as registry
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(ModelRegistrySpanProcessor())
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
registry.register_model("acme-chat-1", "Acme Chat", "1", "high", "chat-team", "support")
with trace.get_tracer("trial").start_as_current_span("chat acme-chat-1") as span:
    span.set_attribute("gen_ai.request.model", "acme-chat-1")
print(registry.__version__, exporter.get_finished_spans()[-1].attributes["model_registry.owner"])
"""


def try_wheel(wheel: Path, version: str, source: Path, folder: Path) -> None:
    """Install the wheel into a new environment, trace a call there, and run commands on the example's files."""
    python = make_environment(ALL_EXTRAS, str(folder / "environment"))
    install_wheel(python, wheel)
    program = str(python.with_name("spanforge-models"))
    models = str(source / "examples" / "command_line" / "models.yaml")
    for command, expected in (
        ([str(python), "-I", "-W", "error", "-c", TRACED], f"{version} chat-team\n"),
        ([program, "--version"], f"{version}\n"),
        ([program, "list", "--file", models], "acme-chat-1"),
        ([program, "check", "--fail-on", "error", models], ""),
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or expected not in done.stdout:
            raise ReleaseError(f"{' '.join(command[:2])}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
