"""FastAPI under gunicorn and ``opentelemetry-instrument``: the registry file changes, and every worker follows it.

Usage: run.py    ask until each worker has answered, edit the registry file, and ask again

A local server replaces the model's API. The workers export their spans to standard output, and a table shows them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import IO

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support_agent"))

from models_api import serving  # noqa: E402 - the module belongs to another example
from report import Span, parse  # noqa: E402

WORKERS = 2
INTERVAL = 500  # milliseconds; in production, the default of ten seconds is often enough
PATIENCE = 60  # seconds
SETTINGS = {
    "OTEL_TRACES_EXPORTER": "otlp_json_file",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_BSP_SCHEDULE_DELAY": "100",  # milliseconds; a worker that a signal ends exports nothing more
    "OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL": str(INTERVAL),
}
COMMAND = ["gunicorn", "--workers", str(WORKERS), "--worker-class", "uvicorn_worker.UvicornWorker"]
COMMAND += ["--no-control-socket", "--log-level", "warning", "app:app"]
COLUMNS = ("gen_ai.request.model", "model_registry.owner", "model_registry.status")
EXPORT = '{"resourceSpans"'
SHOWN = "opentelemetry.instrumentation.genai.openai"  # one of several for the openai client

ask_directly = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def main() -> int:
    """Run the service, ask questions, edit the file, ask again, and show the calls."""
    with tempfile.TemporaryDirectory() as folder, serving() as api:
        registry, output = Path(folder, "models.yaml"), Path(folder, "output")
        registry.write_text((HERE / "models.yaml").read_text("utf-8"), "utf-8")
        application = {"OPENAI_BASE_URL": api, "OPENAI_API_KEY": "none-needed", "NO_PROXY": "127.0.0.1"}
        settings = {**SETTINGS, **application, "OTEL_PYTHON_MODEL_REGISTRY_FILE": str(registry)}
        address = free_address()
        with output.open("w") as file, service(address, settings, file) as server:
            try:
                before = ask_every_worker(address)
                edit(registry, "status: active", "status: deprecated")
                time.sleep(INTERVAL / 1_000)
                after = ask_every_worker(address)
                spans = exported(output, len(before) + len(after))
            finally:
                server.send_signal(signal.SIGTERM)
    show(before, spans[: len(before)])
    print(f"the file says `status: deprecated`; {INTERVAL} ms later:")
    show(after, spans[len(before) :])
    return 0


def show(workers: list[int], spans: list[Span]) -> None:
    """Show the calls of each worker. Questions are asked one after another, so workers and spans are in one order."""
    for worker, span in zip(workers, spans, strict=True):
        model, owner, status = (span.attributes[key] for key in COLUMNS)
        print(f"  worker {worker}  {model}  {owner}  {status}")


def edit(file: Path, old: str, new: str) -> None:
    """Change a file as editors and ``git`` do: by replacing it."""
    changed = file.with_suffix(".new")
    changed.write_text(file.read_text("utf-8").replace(old, new), "utf-8")
    changed.replace(file)


def service(address: str, settings: dict[str, str], output: IO[str]) -> subprocess.Popen[str]:
    """Start the service."""
    scripts = Path(sysconfig.get_path("scripts"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    print("$ opentelemetry-instrument", *COMMAND, flush=True)
    return subprocess.Popen(
        [scripts / "opentelemetry-instrument", scripts / COMMAND[0], "--bind", address, *COMMAND[1:]],
        cwd=HERE,
        env={**clean, **settings},
        stdout=output,
        text=True,
    )


def exported(output: Path, number: int) -> list[Span]:
    """Wait until this number of calls was exported, and return their spans in the order in which they started."""
    deadline = time.monotonic() + PATIENCE
    while True:
        *whole, _ = output.read_text("utf-8").split("\n")
        spans = [span for span in parse(line for line in whole if line.startswith(EXPORT)) if span.scope == SHOWN]
        if len(spans) >= number or time.monotonic() > deadline:
            return spans
        time.sleep(0.05)


def free_address() -> str:
    """Return a free address on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def ask_every_worker(address: str) -> list[int]:
    """Ask until each worker has answered, and return the process id of the worker that answered each question."""
    workers: list[int] = []
    deadline = time.monotonic() + PATIENCE
    while len(set(workers)) < WORKERS and time.monotonic() < deadline:
        with suppress(OSError):  # the service has not started yet
            workers.append(ask(address))
    return workers


def ask(address: str) -> int:
    """Ask a question, and return the process id of the worker that answered."""
    with ask_directly(f"http://{address}/ask?question=Why", timeout=PATIENCE) as answer:
        worker: int = json.load(answer)["worker"]
    return worker


if __name__ == "__main__":
    sys.exit(main())
