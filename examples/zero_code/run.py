"""An application without registry code, run by ``opentelemetry-instrument`` with a registry file beside it.

Usage: run.py [--declarative]    take the settings from the environment, or from ``otel.yaml``

In a clone, ``make demo`` installs what it needs. Then run ``.venv/bin/python examples/zero_code/run.py``.

A local server replaces the model's API. The spans are exported to standard output, and a table shows them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import entry_points
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support_agent"))

from models_api import serving  # noqa: E402 - the module belongs to another example
from report import parse, render  # noqa: E402

EXPORTER = "otlp_json_file"
ENVIRONMENT = {
    "OTEL_SERVICE_NAME": "zero-code",
    "OTEL_TRACES_EXPORTER": EXPORTER,
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_PYTHON_MODEL_REGISTRY_FILE": "models.yaml",
}
DECLARATIVE = {"OTEL_CONFIG_FILE": "otel.yaml"}
SHOWN = {"opentelemetry.instrumentation.genai.openai", "spanforge.model_registry"}


def main(arguments: list[str]) -> int:
    """Run the application, and then the script that retires a model, with the same settings."""
    settings = DECLARATIVE if "--declarative" in arguments else ENVIRONMENT
    if not entry_points(group="opentelemetry_traces_exporter", name=EXPORTER):
        sys.exit(
            f"{EXPORTER} is not installed. In the clone, run: make demo && .venv/bin/python examples/zero_code/run.py"
        )
    print("".join(f"export {name}={value}\n" for name, value in settings.items()))
    with serving() as api:
        application = {"OPENAI_BASE_URL": api, "OPENAI_API_KEY": "none-needed", "NO_PROXY": "127.0.0.1"}
        return run({**settings, **application}, "app.py") or run(settings, "retire.py")


def run(settings: dict[str, str], script: str) -> int:
    """Run a script under ``opentelemetry-instrument``, and show its output and its exported spans."""
    print(f"$ opentelemetry-instrument python {script}", flush=True)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts"), "opentelemetry-instrument"), sys.executable, script],
        cwd=HERE,
        env={**clean, **settings},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    exported = [line for line in lines if line.startswith('{"resourceSpans"')]
    printed = [line for line in lines if line not in exported]
    # Several instrumentations of the openai client are installed here with the same name. The spans of one are enough.
    spans = [span for span in parse(exported) if span.scope in SHOWN]
    print("\n".join(["", *printed, *([""] if printed else []), *render(spans), ""]), flush=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
