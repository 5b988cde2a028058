"""For platform engineers: check a registry file, and roll it out to an application without a change of its code.

In a clone, ``make demo`` and ``.venv/bin/pip install '.[cli]'`` install what it needs.

The application is that of ``zero_code``. A local server replaces the model's API.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

EXAMPLES = Path(__file__).parents[1]
sys.path.insert(0, str(EXAMPLES / "support_agent"))

from models_api import serving  # noqa: E402 - the module belongs to another example
from report import parse, render  # noqa: E402

HERE = EXAMPLES / "zero_code"
SCRIPTS = Path(sysconfig.get_path("scripts"))
CHECK = ("check", "models.yaml", "--ignore", "no-contact")
EXPORTER = "otlp_json_file"
SETTINGS = {
    "OTEL_TRACES_EXPORTER": EXPORTER,
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_PYTHON_MODEL_REGISTRY_FILE": "models.yaml",
}
SCOPE = "opentelemetry.instrumentation.genai.openai"
"""Other instrumentations of the client may be in this environment, with spans of the same calls."""


def main() -> int:
    """Check the file, then run the application with it."""
    if not entry_points(group="opentelemetry_traces_exporter", name=EXPORTER):
        sys.exit(f"{EXPORTER} is not installed. In the clone, run: make demo && .venv/bin/pip install '.[cli]'")
    print("$ spanforge-models", *CHECK)
    checked = run([sys.executable, "-m", "spanforge.model_registry", *CHECK], {})
    print(checked.stdout + checked.stderr)
    if checked.returncode:
        return checked.returncode
    print("$ export OTEL_PYTHON_MODEL_REGISTRY_FILE=models.yaml\n$ opentelemetry-instrument python app.py")
    with serving() as api:
        application = {"OPENAI_BASE_URL": api, "OPENAI_API_KEY": "none-needed", "NO_PROXY": "127.0.0.1"}
        done = run([str(SCRIPTS / "opentelemetry-instrument"), sys.executable, "app.py"], {**SETTINGS, **application})
    spans = [line for line in done.stdout.splitlines() if line.startswith('{"resourceSpans"')]
    print("\n".join(render([span for span in parse(spans) if span.scope == SCOPE])))
    for line in done.stderr.splitlines():
        print(textwrap.fill(line, 78, subsequent_indent="  "))
    return done.returncode


def run(command: list[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in the application's folder, with these settings of OpenTelemetry and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(command, cwd=HERE, env={**clean, **settings}, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
