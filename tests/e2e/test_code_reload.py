"""Code that runs again in the same process, as in notebooks and after a reload, and ``uvicorn --reload``.

A notebook is emulated: cells run with ``exec`` in one namespace, as IPython runs them. IPython itself is not needed.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest
from support.processes import environment
from support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

DIFFERS = "is already registered (status active) and differs in owner; to change it, pass replace=True"

NOTEBOOK = """
import importlib, sys
import spanforge.model_registry
from spanforge.model_registry import ModelRegistryError

cells = {
    "set up": '''
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from spanforge.model_registry import deprecate_model, get_model, register_model, retire_model
from spanforge.model_registry.otel import ModelRegistrySpanProcessor, status
from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor
if not isinstance(trace.get_tracer_provider(), TracerProvider):
    trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(ModelRegistrySpanProcessor())
ModelRegistryInstrumentor().instrument()
''',
    "register": '''
register_model("acme-chat-1", "Acme Chat 1", "2026-05-01", "high", {owner!r}, "support agent"{more})
''',
    "deprecate": "deprecate_model('acme-chat-1', reason='old')",
    "retire": "retire_model('acme-chat-1')",
    "show": "print(get_model('acme-chat-1').status, status().events['span'].emitted)",
    "call": '''
with trace.get_tracer("app").start_as_current_span("chat") as span:
    span.set_attribute("gen_ai.request.model", "acme-chat-1")
print(span.attributes["model_registry.owner"], status().calls, status().events["span"].emitted)
''',
}
namespace = {}
def run(name, owner="chat-team", more=""):
    try:
        exec(cells[name].replace("{owner!r}", repr(owner)).replace("{more}", more), namespace)
    except ModelRegistryError as error:
        print(error)

for _ in range(2):
    for name in ("set up", "register", "call"):
        run(name)
run("register", owner="search-team")
run("register", owner="search-team", more=", replace=True")
run("call")
importlib.reload(spanforge.model_registry)
run("set up")
run("register", owner="search-team")
run("call")
for name in ("deprecate", "deprecate", "register", "show", "retire", "register"):
    run(name, owner="search-team")
"""


def test_cells_that_run_twice(tmp_path: Path) -> None:
    """Each call is counted once, each registration emits one event, and a changed one is an error with the remedy."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", NOTEBOOK],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "chat-team 1 1",
        "chat-team 2 1",
        f"model 'acme-chat-1' {DIFFERS}",
        "search-team 3 2",
        "search-team 4 2",
        "deprecated 4",
        "model 'acme-chat-1' is already registered (status retired); an id is never reused, so use another id",
    ]


RELOADED = """
import importlib, pathlib, sys
from spanforge.model_registry import ModelRegistryError, event_counts, get_model

sys.dont_write_bytecode = True
module = pathlib.Path("models.py")
text = 'from spanforge.model_registry import register_model\\nregister_model("m", "M", "1", "low", "OWNER", "p"MORE)\\n'
sys.path.insert(0, "")
module.write_text(text.replace("OWNER", "one").replace("MORE", ""))
import models
importlib.reload(models)
print(get_model("m").owner, event_counts().held)
module.write_text(text.replace("OWNER", "another").replace("MORE", ""))
importlib.invalidate_caches()
try:
    importlib.reload(models)
except ModelRegistryError as error:
    print(error)
module.write_text(text.replace("OWNER", "another").replace("MORE", ", replace=True"))
importlib.reload(models)
print(get_model("m").owner, event_counts().held)
"""


def test_a_module_that_is_reloaded(tmp_path: Path) -> None:
    """``importlib.reload``, which autoreload uses too, registers nothing twice, and reports a changed description."""
    done = subprocess.run(
        [sys.executable, "-c", RELOADED],
        capture_output=True,
        text=True,
        check=False,
        env=environment(OTEL_PYTHON_MODEL_REGISTRY_EVENTS="span"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "one 1",
        f"model 'm' {DIFFERS}",
        "another 2",
    ]


APP = """
from spanforge.model_registry import get_model, register_model

register_model("acme-chat-1", "Acme Chat 1", "2026-05-01", "high", "OWNER", "support agent")


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": get_model("acme-chat-1").owner.encode()})
"""


def test_uvicorn_reload(tmp_path: Path) -> None:
    """After a change of the code, the new process registers the changed description, without an error."""
    app = tmp_path / "service.py"
    app.write_text(APP.replace("OWNER", "one"))
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--reload", "--port", "0", "--lifespan", "off", "service:app"],
            cwd=tmp_path,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _check_owner(tmp_path / "log", "one")
            app.write_text(APP.replace("OWNER", "another-team"))
            _check_owner(tmp_path / "log", "another-team")
        finally:
            process.terminate()
            process.wait(60)
    assert "Error" not in (tmp_path / "log").read_text()


def _check_owner(log: Path, owner: str) -> None:
    """Wait until the service answers with an owner."""

    def answer() -> str:
        address = log.read_text().rpartition("running on ")[2].split(" ")[0]
        try:
            with urllib.request.urlopen(address, timeout=5) as response:
                return str(response.read().decode())
        except (OSError, ValueError):  # it is starting
            return ""

    wait_until(lambda: answer() == owner, interval=0.2)
