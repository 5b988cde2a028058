"""The demo: the support agent under two instrumentations, and the telemetry that it exported.

Usage: run.py [FILE]    write the telemetry to FILE, as OTLP JSON lines; default: build/demo-telemetry.jsonl.
                        The registry and the evidence are written beside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from io import TextIOWrapper
from pathlib import Path
from textwrap import fill

from evidence import attest, show_checks, show_findings
from models_api import serving
from report import read, render

HERE = Path(__file__).parent
RUNS = {
    "opentelemetry": "opentelemetry-instrumentation-genai-openai: knows the model when the span starts",
    "openinference": "openinference-instrumentation-openai: learns the model while the span runs",
}
CALLS = 6
NOT_TAKEN = "did not take"  # the text in the application's log about a backend that did not respond


def main(arguments: list[str]) -> int:
    """Run the application twice, and show the exported telemetry and the next steps."""
    file = Path(*arguments[:1] or ["build/demo-telemetry.jsonl"])
    file.parent.mkdir(parents=True, exist_ok=True)
    models, package = (
        file.with_name(file.stem.removesuffix("-telemetry") + end) for end in ("-models.json", "-evidence.zip")
    )
    lost = False
    with tempfile.TemporaryDirectory(dir=file.parent) as folder, serving() as api:
        parts = [Path(folder, name) for name in RUNS]
        for part, title in zip(parts, RUNS.values(), strict=True):
            print(f"\n{title}\n")
            start = datetime.now(timezone.utc)
            log = run(part, api, Path(folder, models.name))
            if log is None:
                return 1
            lost = lost or any(NOT_TAKEN in line for line in log)
        whole = Path(folder, "whole")
        whole.write_bytes(b"".join(part.read_bytes() for part in parts))
        whole.replace(file)
        Path(folder, models.name).replace(models)
    print("\nEvidence of the second run, because each application has a separate registry\n")
    attestation = attest(file, models, start, datetime.now(timezone.utc), package)
    print(*show_checks(attestation, package), sep="\n")
    backend = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    print(f"\nExported telemetry: {file} (OTLP JSON, one export per line)")
    if lost:
        print(f"{backend} did not receive all spans: see the log above")
    elif backend:
        print(f"Also in {backend}:  look for the tag model_registry.status=retired")
    else:
        print("See it in Jaeger:  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 make demo")
    print("Read the code:     examples/support_agent/app.py and telemetry.py\n")
    print(*show_findings(attestation, package), sep="\n")
    return 0


def run(file: Path, api: str, models: Path) -> list[str] | None:
    """Run the application in a separate process, show its exports, and return its log if all calls arrived."""
    command = [sys.executable, str(HERE / "app.py"), file.name, api, str(file), str(models)]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    log = result.stderr.splitlines()
    spans = read(file) if file.exists() else []
    for line in render(spans):
        print(line)
    if log:
        print("\n  The application's log:")
        for line in log:
            print(fill(line, 88, initial_indent="  ", subsequent_indent="    ", break_long_words=False))
    calls = sum("model_registry.status" in span.attributes for span in spans)
    if result.returncode != 0 or calls != CALLS:
        print(f"the application exited with {result.returncode}; {calls} of its {CALLS} calls arrived", file=sys.stderr)
        settings = [name for name in os.environ if name.startswith(("OTEL_", "OPENINFERENCE_"))]
        if settings:
            print(f"the environment sets {', '.join(settings)}; try without them", file=sys.stderr)
        return None
    return log


if __name__ == "__main__":
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)  # some terminals cannot show all names
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # the file or its folder cannot be written
        sys.exit(str(error))
