"""A program that runs one of the recipes, and prints the spans and registry attributes that its backend received.

Local servers replace the model's API and the backend, so no real API keys are used.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import secrets
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.conventions import MODEL_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support_agent"))

from models_api import listening, serving  # noqa: E402 - the module belongs to another example

VENDORS = (
    "LANGCHAIN_",
    "LANGFUSE_",
    "LANGSMITH_",
    "LITELLM_",
    "LOGFIRE_",
    "OPENAI_",
    "OTEL_",
    "PHOENIX_",
    "PYTEST_",
    "TRACELOOP_",
)
"""The prefixes of environment variables that a recipe does not inherit.

So a recipe sends nothing to other systems. Logfire would send nothing at all if it saw a variable of pytest.
"""
NAMES = ("langchain", "langfuse", "litellm_proxy", "logfire", "phoenix", "pydantic_ai", "traceloop")
ASKED = ("support-chat", "summaries")  # the models of the proxy's configuration
PATIENCE = 60  # seconds

ask_directly = build_opener(ProxyHandler({})).open


class Backend(BaseHTTPRequestHandler):
    """Receives a recipe's exports in OTLP over HTTP, as Logfire, Traceloop, Phoenix, Langfuse and Collectors do."""

    protocol_version = "HTTP/1.1"
    spans: list[Span]

    def do_POST(self) -> None:
        """Receive an export, keep its spans, and ignore metrics and logs."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        if self.path.endswith("/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    self.spans.extend(scope.spans)
        self._send(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """Answer Logfire's request about its token."""
        self._send(json.dumps({"project_name": "recipes", "project_url": ""}).encode(), "application/json")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


@contextmanager
def receiving() -> Iterator[tuple[str, list[Span]]]:
    """Receive exports on a free port of loopback, and yield the URL and the list of received spans."""
    handler = type("Receiving", (Backend,), {"spans": []})
    with listening(handler) as url:
        yield url, handler.spans


def settings(name: str, api: str, backend: str) -> dict[str, str]:
    """Return the environment of a recipe, with which it sends nothing to other machines."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(VENDORS)}
    otlp = {"OTEL_EXPORTER_OTLP_ENDPOINT": backend, "OTEL_BSP_SCHEDULE_DELAY": "100"}  # milliseconds
    vendors = {
        "langchain": otlp,
        "langfuse": {"LANGFUSE_BASE_URL": backend, "LANGFUSE_PUBLIC_KEY": "none", "LANGFUSE_SECRET_KEY": "none"},
        "litellm_proxy": {
            **otlp,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # otherwise, importing litellm downloads prices
            "LITELLM_MASTER_KEY": f"sk-{secrets.token_hex(32)}",  # the proxy does not start without a key
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_PYTHON_MODEL_REGISTRY_FILE": str(HERE.parent / "zero_code" / "models.yaml"),
        },
        "logfire": {"LOGFIRE_BASE_URL": backend, "LOGFIRE_TOKEN": "none"},
        "phoenix": {"PHOENIX_COLLECTOR_ENDPOINT": backend},
        "pydantic_ai": otlp,
        "traceloop": {"TRACELOOP_API_KEY": "none", "TRACELOOP_BASE_URL": backend, "TRACELOOP_TELEMETRY": "false"},
    }
    model = {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": api, "NO_PROXY": "127.0.0.1"}
    return {**clean, **model, **vendors[name]}


def run_script(name: str, environment: dict[str, str]) -> None:
    """Run a recipe's script to its end, and show its own output if it fails."""
    command = [sys.executable, HERE / f"with_{name}.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}run.py: {name} failed; docs/recipes.md lists the packages to install")


def run_proxy(environment: dict[str, str], spans: list[Span]) -> None:
    """Run litellm's proxy, ask it for each of its models, and stop it."""
    program = Path(sysconfig.get_path("scripts"), "litellm")
    if not program.exists():
        sys.exit("run.py: litellm's proxy is not installed; docs/recipes.md lists the packages to install")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with tempfile.TemporaryFile("w+") as said:
        proxy = subprocess.Popen(
            [program, "--config", "config.yaml", "--host", "127.0.0.1", "--port", port],
            cwd=HERE / "litellm_proxy",
            env=environment,
            stdout=said,
            stderr=said,
        )
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/health/readiness") or proxy.poll() is not None)
            for number, model in enumerate(ASKED, 1):
                ask(f"http://127.0.0.1:{port}/v1/chat/completions", model, environment["LITELLM_MASTER_KEY"])
                until(lambda wanted=number: len(enriched(spans)) >= wanted)
        except (OSError, TimeoutError) as error:
            said.seek(0)
            sys.exit(f"{said.read()}{error}")
        finally:
            proxy.terminate()
            proxy.wait()


def until(true: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE} seconds")
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Check whether a server responds at a URL."""
    with suppress(OSError), ask_directly(url, timeout=PATIENCE):
        return True
    return False


def ask(url: str, model: str, key: str) -> None:
    """Send a question to a model, as any client of the proxy does."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "My router blinks red."}]}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = Request(url, body, headers)  # noqa: S310 - the URL is http, on loopback
    with ask_directly(request, timeout=PATIENCE) as answer:
        answer.read()


def enriched(spans: list[Span]) -> list[Span]:
    """Return the spans that have attributes of the registry, in the order in which they started."""
    found = [span for span in spans if any(pair.key.startswith(PREFIX) for pair in span.attributes)]
    return sorted(found, key=lambda span: span.start_time_unix_nano)


def lines(span: Span) -> Iterator[str]:
    """Yield a span's name, the names of its model, and the attributes of the registry."""
    yield span.name
    for pair in span.attributes:
        if pair.key in MODEL_KEYS or pair.key.startswith(PREFIX):
            yield f"  {pair.key} = {value(pair.value)}"


def value(given: AnyValue) -> Any:
    """Return the value of an attribute."""
    kind = given.WhichOneof("value")
    if kind == "array_value":
        return tuple(value(item) for item in given.array_value.values)
    return getattr(given, kind) if kind else None


def main(name: str) -> None:
    """Run a recipe, and print the spans that its backend received."""
    with serving() as api, receiving() as (backend, spans):
        environment = settings(name, api, backend)
        if name == "litellm_proxy":
            run_proxy(environment, spans)
        else:
            run_script(name, environment)
        for span in enriched(spans):
            print("\n".join(lines(span)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", choices=NAMES)
    main(parser.parse_args().name)
