"""The commands of examples/kubernetes outside of a cluster: the Collector's pod, the rules, the image for Python."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import yaml
from opentelemetry.instrumentation import auto_instrumentation
from support.kubernetes import FOLDER, OBJECTS, container, run_commands
from support.otlp_json import read_items
from support.processes import environment
from support.servers import COLLECTOR, free_addresses, get, program_of
from support.waiting import PATIENCE, poll

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.collector import render_lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

PORTS: Final = (*COLLECTOR, "OTELCOL_PROMETHEUS", "OTELCOL_UNTRUSTED_PROMETHEUS")


def write_lookup(file: Path, owner: str) -> None:
    """Replace a lookup file in one step, without its longest part: the parser of names, which takes seconds to read."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("acme-chat-1", "Acme Chat 1", "1", "high", owner, "test")
    head, *parts = render_lookup(registry).split("\n- ")
    parts.remove(max(parts, key=len))
    new = file.with_suffix(".new")
    new.write_text("\n- ".join([head, *parts]), "utf-8")
    new.replace(file)


class Pod:
    """The containers of the Collector's pod as processes, with its mounts in one folder.

    Attributes:
        lookup: The lookup file of the ConfigMap.
        at: The address of each variable.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        for mount in (mount for name in ("collector", "follow") for mount in container(name)["volumeMounts"]):
            self._inside(mount["mountPath"]).mkdir(parents=True, exist_ok=True)
        for name, folder in (("collector-config", "config"), ("collector-scripts", "scripts")):
            for file, text in OBJECTS[f"ConfigMap {name}"]["data"].items():
                self._inside(f"/etc/otelcol/{folder}/{file}").write_text(self._move(text), "utf-8")
        settings: dict[str, str] = OBJECTS["ConfigMap collector-settings"]["data"]
        self.at = dict(zip(PORTS, free_addresses(len(PORTS)), strict=True))
        moved = {name: self._move(value) for name, value in settings.items()}
        host, _, port = self.at["OTELCOL_TELEMETRY"].rpartition(":")
        own = {"OTELCOL_TELEMETRY_HOST": host, "OTELCOL_TELEMETRY_PORT": port, "JAEGER_OTLP_ENDPOINT": "127.0.0.1:1"}
        soon = {"FOLLOW_SECONDS": "1", "RELOAD_WATCH": "1", "TMPDIR": str(self._inside("/tmp"))}
        self._environment = environment(**{**moved, **self.at, **own, **soon, "PATH": f"{root}:{os.environ['PATH']}"})
        (root / "otelcol-contrib").symlink_to(program_of("otelcol"))
        self.lookup = Path(moved["LOOKUP_SOURCE"])
        self.pid_file = Path(moved["COLLECTOR_PID"])
        self._processes: list[subprocess.Popen[str]] = []

    def _inside(self, path: str) -> Path:
        return self._root / path.removeprefix("/")

    def _move(self, text: str) -> str:
        """Return a text in which the paths of mounts are in this pod's folder."""
        return re.sub(
            r"(?<![\w.])/(?:etc/otelcol|run/otelcol|data)(?=/)", lambda match: f"{self._root}{match[0]}", text
        )

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start a container's command."""
        each = container(name)
        command = [self._move(part) for part in (*each["command"], *each.get("args", []))]
        process = subprocess.Popen(
            command, env=self._environment, cwd=self._root, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.communicate(timeout=PATIENCE)

    def is_healthy(self) -> bool:
        """Return the answer of the probes."""
        probe = container("collector")["readinessProbe"]["httpGet"]
        assert probe["port"] == "health"
        try:
            return bool(get(f"http://{self.at['OTELCOL_HEALTH']}{probe['path']}"))
        except OSError:
            return False

    def find_owner(self) -> str | None:
        """Send a call, and return the owner that the Collector adds; ``None`` while it does not listen."""
        number = secrets.token_hex(8)
        model = {"key": "gen_ai.request.model", "value": {"stringValue": "acme-chat-1"}}
        span = {"traceId": 2 * number, "spanId": number, "name": "chat", "kind": 3, "attributes": [model]}
        span |= {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
        address = f"http://{self.at['OTELCOL_OTLP_HTTP']}/v1/traces"
        try:
            get(urllib.request.Request(address, body, {"Content-Type": "application/json"}))
        except OSError:
            return None
        archive = self._inside("/data/archive/spans.jsonl")
        items = poll(lambda: [each for each in read_items(archive) if each.item["spanId"] == number])
        owner: str | None = items[0].attributes.get("model_registry.owner")
        return owner


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    """Give the Collector's pod, with a lookup file in its ConfigMap."""
    pod = Pod(tmp_path)
    write_lookup(pod.lookup, "old-team")
    yield pod
    pod.stop()


def test_changed_config_map_is_in_force_in_the_pod(pod: Pod) -> None:
    """The pod's commands start the Collector, load a changed lookup file, and refuse an invalid one."""
    first = pod.start("collector")
    assert poll(pod.is_healthy)
    assert int(pod.pid_file.read_text()) == first.pid
    follower = pod.start("follow")
    assert pod.find_owner() == "old-team"
    pod.lookup.write_text("- statements: [set(\n# end\n", "utf-8")
    assert follower.stderr is not None
    assert follower.stderr.readline().startswith("reload.sh: refused: ")
    first.terminate()
    first.communicate(timeout=PATIENCE)
    second = pod.start("collector")
    assert poll(pod.find_owner) == "old-team"
    write_lookup(pod.lookup, "new-team")
    assert poll(pod.find_owner, lambda owner: owner == "new-team") == "new-team"
    assert int(pod.pid_file.read_text()) == second.pid
    assert second.poll() is None
    follower.terminate()
    assert "refused" not in follower.communicate(timeout=PATIENCE)[1]
    assert follower.returncode == 0


def test_prometheus_accepts_the_rules(program: Callable[[str], str], tmp_path: Path) -> None:
    """The real promtool accepts the groups of the PrometheusRule, and counts as many rules as in rules.yml."""
    groups = OBJECTS["PrometheusRule model-registry"]["spec"]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(groups), "utf-8")
    done = subprocess.run([program("promtool"), "check", "rules", file], capture_output=True, text=True, check=True)
    assert f"{sum(len(group['rules']) for group in groups['groups'])} rules found" in done.stdout


APPLICATION = """
import json
import spanforge.model_registry as registry
from opentelemetry import trace
span = trace.get_tracer("app").start_span("chat", attributes={"gen_ai.request.model": "support-chat"})
span.end()
print(json.dumps([registry.__file__, dict(span.attributes)]))
"""


def test_image_for_python_enriches_spans(ours: Path, tmp_path: Path) -> None:
    """The Dockerfile's command installs the wheel into a folder with which the operator's variables enrich spans."""
    command = shlex.split(run_commands(FOLDER / "autoinstrumentation.Dockerfile")[0])
    packages = tmp_path / "packages"
    moved = {"pip": [sys.executable, "-m", "pip"], "/packages": [str(packages)]}
    parts = [part for word in command for part in moved.get(word, [str(ours) if word.startswith("/wheels/") else word])]
    subprocess.run([*parts, "--no-index", "--quiet"], check=True, timeout=PATIENCE)
    (tmp_path / "models.yaml").write_text(OBJECTS["ConfigMap models"]["data"]["models.yaml"], "utf-8")
    spec = OBJECTS["Instrumentation model-registry"]["spec"]
    variables = {each["name"]: each["value"] for each in spec["python"]["env"]}
    variables |= {"OTEL_TRACES_SAMPLER": spec["sampler"]["type"], "OTEL_PROPAGATORS": ",".join(spec["propagators"])}
    variables |= {"OTEL_PYTHON_MODEL_REGISTRY_FILE": str(tmp_path), "OTEL_TRACES_EXPORTER": "none"}
    variables["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = "openai"  # the operator's image has none that import a client
    # The operator's image has OpenTelemetry in the same folder. Here it is in the environment of the tests.
    path = f"{Path(auto_instrumentation.__file__).parent}:{packages}"
    done = subprocess.run(
        [sys.executable, "-c", APPLICATION],
        env=environment(**variables, OTEL_METRICS_EXPORTER="none", PYTHONPATH=path),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
        cwd=tmp_path,
    )
    place, attributes = json.loads(done.stdout)
    assert Path(place).is_relative_to(packages)
    assert attributes["model_registry.owner"] == "chat-team"
    assert attributes["model_registry.model_id"] == "acme-chat-2"
