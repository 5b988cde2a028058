"""The demo: the support agent under two instrumentations, and what was exported of it.

Usage: run.py [FILE]    FILE is where the telemetry goes, as OTLP JSON lines; default: build/demo-telemetry.jsonl.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from models_api import serving
from report import read, render

HERE = Path(__file__).parent
RUNS = {
    "opentelemetry": "opentelemetry-instrumentation-genai-openai: knows the model when the span starts",
    "openinference": "openinference-instrumentation-openai: learns the model while the span runs",
}
CALLS = 6


def main(arguments: list[str]) -> int:
    """Run the application twice, show what was exported, and say what to try next."""
    file = Path(*arguments[:1] or ["build/demo-telemetry.jsonl"])
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder, serving() as api:
        parts = [Path(folder, name) for name in RUNS]
        for part, title in zip(parts, RUNS.values(), strict=True):
            print(f"\n{title}\n")
            if not run(part, api):
                return 1
        file.write_bytes(b"".join(part.read_bytes() for part in parts))
    backend = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    print(f"\nWhat was exported: {file} (OTLP JSON, one export a line)")
    if backend:
        print(f"And in {backend}:  look for the tag model_registry.status=retired")
    else:
        print("See it in Jaeger:  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 make demo")
    print("Read the code:     examples/support_agent/app.py and telemetry.py")
    return 0


def run(file: Path, api: str) -> bool:
    """Run the application in a process of its own, and show what it exported."""
    command = [sys.executable, str(HERE / "app.py"), file.name, api, str(file)]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    spans = read(file) if file.exists() else []
    for line in render(spans):
        print(line)
    if result.stderr:
        print("\n  The application's log:")
        print("".join(f"  {line}\n" for line in result.stderr.splitlines()), end="")
    calls = sum("model_registry.status" in span.attributes for span in spans)
    if result.returncode != 0 or calls != CALLS:
        print(f"the application ended with {result.returncode}; {calls} of its {CALLS} calls arrived", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
