"""Alerts and dashboards: from calls through the real Collector and Prometheus to alerts and panels' numbers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from support.yaml_files import read_yaml

from spanforge.model_registry import ModelRegistry, __version__
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, OPERATIONS, STATUSES
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

sys.path.insert(0, str(Path(__file__).parent))

from render_dashboard import Answer, draw, photograph
from support.lifecycle import CHANGING, bring, way_through
from support.processes import program_environment
from support.prometheus import ask, write_configuration
from support.servers import program_of
from support.waiting import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.servers import Server

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "collector-config" / "prometheus"
RULES = read_yaml((CONFIG / "rules.yml").read_text("utf-8"))
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule}
BOARDS = {
    file.stem: json.loads(file.read_text("utf-8"))
    for file in sorted((ROOT / "collector-config" / "grafana" / "dashboards").glob("*.json"))
}
FORBIDDEN = [status for status in STATUSES if status in FLAGGED_STATUSES - {"deprecated"}]
"""The statuses in which a model must not be called; the registry's file has a model of each."""
TIERS = {
    "gpt-4o": "high",
    "slow-1": "high",
    "failing-1": "critical",
    **{f"{status}-1": "low" for status in FORBIDDEN},
    "near-1": "low",
    "past-1": "low",
}
"""Model of the registry's file to its risk tier."""
NOW = datetime.now(timezone.utc)
DATES = {
    "near-1": NOW.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=4),
    "past-1": NOW - timedelta(days=3),
    "extra-1": NOW + timedelta(days=30),
}
"""Model to its sunset date."""


def models(file: Path) -> None:
    """Write a registry with a model of each kind."""
    registry = ModelRegistry(auto_emit=False)
    for model_id, tier in TIERS.items():
        contact = {"contact": "#ml-help"} if model_id == "near-1" else {}
        registry.register(model_id, model_id, "1", tier, "ml-platform", "to be called", metadata=contact)
    for status in FORBIDDEN:
        bring(registry, f"{status}-1", status)
    registry.deprecate("near-1", successor="gpt-4o", sunset_date=DATES["near-1"].date().isoformat())
    registry.deprecate("past-1", sunset_date=DATES["past-1"].isoformat())
    registry.save(file)


@pytest.fixture
def collector(run_server: Callable[..., Server]) -> Server:
    """Give a Collector whose metrics come soon."""
    return run_server("otelcol", OTELCOL_METRICS_FLUSH="300ms")


class Notified(NamedTuple):
    """What Prometheus sends to Alertmanager.

    Attributes:
        address: The address that listens in Alertmanager's place.
        alerts: The last state of each alert, by its name and the model's name in the call.
    """

    address: str
    alerts: dict[str, Any]


@pytest.fixture
def notified() -> Iterator[Notified]:
    """Give what receives alerts in Alertmanager's place."""
    alerts: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            for alert in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
                labels = alert["labels"]
                alerts[f"{labels['alertname']} {labels.get('gen_ai_request_model', '')}"] = alert
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Notified(f"127.0.0.1:{server.server_port}", alerts)
        server.shutdown()


@pytest.fixture
def prometheus(run_server: Callable[..., Server], collector: Server, notified: Notified, tmp_path: Path) -> Server:
    """Give a Prometheus with what users get, but for addresses and waiting."""
    return run_server("prometheus", write_configuration(tmp_path, collector, notified.address))


@pytest.fixture
def application(collector: Server, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run an application that calls models until it is told to end."""
    models(tmp_path / "models.json")
    process = subprocess.Popen(
        [
            sys.executable,
            Path(__file__).with_name("demo_fleet.py"),
            f"http://{collector.at['OTELCOL_OTLP_HTTP']}",
            f"http://{collector.at['OTELCOL_UNTRUSTED_HTTP']}",
            DATES["extra-1"].isoformat(),
        ],
        env=program_environment(
            OTEL_SERVICE_NAME="support",
            OTEL_PYTHON_MODEL_REGISTRY_FILE="models.json",
            OTEL_PYTHON_MODEL_REGISTRY_RELOAD_INTERVAL="200",
        ),
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process


def firing(prometheus: Server) -> dict[str, set[str | None]]:
    """Return the alerts that fire, and the models or files that they are about."""
    answer: dict[str, Any] = json.loads(prometheus.ask("PROMETHEUS", "/api/v1/alerts"))
    found: dict[str, set[str | None]] = {}
    for alert in answer["data"]["alerts"]:
        labels = alert["labels"]
        about = labels.get("gen_ai_request_model") or labels.get("model_registry_model_id") or labels.get("job")
        found.setdefault(labels["alertname"], set()).add(about)
    return found


def awaited(look: Callable[[], Any], wanted: object) -> Any:
    """Return the expected result, or the last one after a while."""
    return poll(look, lambda found: found == wanted, interval=0.1)


WELL = {
    "ModelRegistryRetiredModelCalled": {"retired-1"},
    "ModelRegistryUnregisteredModelCalled": {"gpt-9"},
    "ModelRegistryAnotherModelAnswered": {"slow-1"},
    "ModelRegistrySunsetNear": {"near-1", "extra-1"},
    "ModelRegistrySunsetPast": {"past-1"},
    "ModelRegistryProviderSunsetNear": {"gpt-4o"},
    "ModelRegistryProviderSunsetPast": {"failing-1"},
    "ModelRegistryErrors": {"failing-1"},
    "ModelRegistrySlow": {"slow-1"},
    "ModelRegistryEventsLost": {"support"},
}
"""What fires while the registry's file is good."""
BAD = WELL | {"ModelRegistryFileFailing": {"support"}, "ModelRegistryFileStale": {"support"}}
"""What fires when it is not."""
OTHERS = {"ModelRegistryArchiveDiskFull", "ModelRegistryFileOutdated"}
"""What needs a node exporter and a full disk (promtool only), or several services (``test_roll_out.py``)."""


Lines = list[tuple[dict[str, str], float]]


STEP = 5
"""Seconds between two points of a graph."""


def answers(prometheus: Server, target: dict[str, Any], seconds: int, step: int = STEP, **variables: str) -> Answer:
    """Return the response of Prometheus to a panel's query about the last seconds, as Grafana sends it."""
    chosen = {"owner": ".*", "tier": ".*", "__range": f"{seconds}s", "__interval": f"{step}s", "__rate_interval": "10s"}
    query = target["expr"]
    for name, value in (chosen | variables).items():
        query = re.sub(rf"\${name}\b", value, query)
    assert "$" not in query
    if target["range"]:
        span = {"start": str(time.time() - seconds), "end": str(time.time() + step), "step": str(step)}
        answer = ask(prometheus, "/api/v1/query_range", query=query, **span)
        return [(line["metric"], [(at, float(value)) for at, value in line["values"]]) for line in answer["result"]]
    answer = ask(prometheus, "/api/v1/query", query=query)
    return [(line["metric"], [(line["value"][0], float(line["value"][1]))]) for line in answer["result"]]


def shown(prometheus: Server, target: dict[str, Any], seconds: int, **variables: str) -> Lines:
    """Return the labels and numbers of a panel; of a graph the sums of its points."""
    found = answers(prometheus, target, seconds, **variables)
    return [(labels, sum(value for _, value in values)) for labels, values in found]


def panel(board: str, title: str, kind: str = "") -> dict[str, Any]:
    """Return the only query of a panel."""
    found: list[dict[str, Any]] = [
        target
        for each in BOARDS[f"model-registry-{board}"]["panels"]
        if each["title"] == title and kind in each["type"]
        for target in each["targets"]
    ]
    (target,) = found
    return target


def by(label: str, lines: Lines) -> dict[str, float]:
    """Return the sum of the values for each value of a label."""
    sums: Counter[str] = Counter()
    for labels, value in lines:
        sums[labels.get(label, "")] += value  # type: ignore[assignment]
    return dict(sums)


SHOWN = (*STATUSES, UNREGISTERED)
STATUS_OF = {
    "gpt-4o": "active",
    "slow-1": "active",
    "failing-1": "active",
    **{f"{status}-1": status for status in FORBIDDEN},
    "near-1": "deprecated",
    "past-1": "deprecated",
    "extra-1": "deprecated",
    "gpt-9": "unregistered",
}
"""Model that is called to its status: the truth, apart from what is tested."""
CHANGED = {f"{name}-1": way_through(name) for name in CHANGING if name != "deprecate"} | {"extra-1": ("deprecate",)}
"""Model that the application changes to the operations after its registration."""
CHANGES = Counter(OPERATIONS[name].event for way in CHANGED.values() for name in ("register", *way))
CHANGES_OF_EXTRA = {"model_registry.registered": 1, "model_registry.deprecated": 1}
UNTIL = "the time until their sunset"
HOUR = 3600


def of(made: dict[str, int], *statuses: str) -> int:
    """Return the calls of models of these statuses."""
    return sum(number for model, number in made.items() if STATUS_OF[model] in statuses)


def title(event: str) -> str:
    """Return the title of the panel that counts an event."""
    return event.rpartition(".")[2].capitalize()


def check_numbers(prometheus: Server, made: dict[str, int]) -> None:
    """The numbers on the panels are those of the calls that were made, and of the changes."""
    registered = {model: number for model, number in made.items() if model != "gpt-9"}
    owners = {"search-team": made["extra-1"], "unknown": made["gpt-9"]}
    owners["ml-platform"] = sum(made.values()) - sum(owners.values())
    tiers: Counter[str] = Counter()
    for model, number in made.items():
        tiers[{**TIERS, "extra-1": "low"}.get(model, "unknown")] += number
    fire = {name: len(about) for name, about in BAD.items()}
    for (board, heading, kind), label, expected in (
        (("inventory", "Calls", ""), "", {"": sum(made.values())}),
        (("inventory", "Models called", ""), "", {"": len(registered)}),
        (("inventory", "Owners of models called", ""), "", {"": 2}),
        (("inventory", "Models registered", ""), "", {"": len(TIERS) + len(CHANGED)}),
        (("inventory", "Calls by owner", "bar"), "model_registry_owner", owners),
        (("inventory", "Calls by risk tier", "bar"), "model_registry_risk_tier", tiers),
        (("inventory", "Calls by status", "bar"), "model_registry_status", {each: of(made, each) for each in SHOWN}),
        (("inventory", "Models", ""), "model_registry_model_id", {**registered, "": made["gpt-9"]}),
        (("inventory", "Models that only agents name", ""), "model_registry_model_id", {"retire-1": 1}),
        *((("violations", f"Calls of {each} models", ""), "", {"": of(made, each)}) for each in FORBIDDEN),
        (("violations", "Calls of unregistered models", ""), "", {"": of(made, "unregistered")}),
        (("violations", "Calls of deprecated models", ""), "", {"": of(made, "deprecated")}),
        *(
            (
                ("violations", f"{each.capitalize()} models that were called", ""),
                "gen_ai_request_model",
                {f"{each}-1": 1},
            )
            for each in FORBIDDEN
        ),
        (("violations", "Unregistered models that were called", ""), "gen_ai_request_model", {"gpt-9": 1}),
        (("violations", "Calls of untrusted senders", ""), "gen_ai_request_model", {"gpt-4o": 1}),
        (("violations", "Calls that another model answered", ""), "model_registry_requested_model_id", {"gpt-4o": 1}),
        (("violations", "Versions of registry files", ""), "job", {"support": 1}),
        (("violations", "Versions of the plugin", ""), "otel_scope_version", {__version__: 1}),
        (("violations", "Alerts that fire", "stat"), "", {"": sum(fire.values())}),
        (("violations", "Alerts that fire", "table"), "alertname", fire),
        *((("lifecycle", title(event), ""), "", {"": number}) for event, number in CHANGES.items()),
        (("lifecycle", "Events", "timeseries"), "event_name", CHANGES),
        (("lifecycle", "Events", "table"), "event_name", CHANGES),
        (("model", "Lifecycle", ""), "event_name", CHANGES_OF_EXTRA),
        (("model", "Calls", ""), "", {"": made["extra-1"]}),
        (("model", "Failed", ""), "", {"": (made["extra-1"] // 2) / made["extra-1"]}),
        (("model", "Owner, contact and successor", ""), "model_registry_owner", {"search-team": 1}),
        (("model", "Callers", ""), "service_name", {"support": made["extra-1"]}),
    ):
        assert by(label, shown(prometheus, panel(board, heading, kind), HOUR, model="extra-1")) == expected, heading
    sunset = shown(prometheus, panel("violations", f"Deprecated models that were called, and {UNTIL}"), HOUR)
    dates = {model: time.time() + seconds for model, seconds in by("model_registry_model_id", sunset).items()}
    assert dates == pytest.approx({model: date.timestamp() for model, date in DATES.items()}, abs=300)
    timeline = answers(prometheus, panel("lifecycle", "Status"), HOUR)
    last = {labels["model_registry_model_id"]: SHOWN[int(values[-1][1]) - 1] for labels, values in timeline}
    changed = {model: OPERATIONS[way[-1]].target for model, way in CHANGED.items()}
    assert last == {**{model: STATUS_OF[model] for model in registered}, **changed}


def check_all(prometheus: Server) -> None:
    """Each query of each panel has an answer, with the labels of its legend; so has each variable's."""
    for board in BOARDS.values():
        for each in board["panels"]:
            for target in each["targets"]:
                lines = shown(prometheus, target, HOUR, model="extra-1")
                assert lines, each["title"]
                legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                assert all(legend <= labels.keys() for labels, _ in lines), each["title"]
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]).groups()
                assert ask(prometheus, f"/api/v1/label/{label}/values", **{"match[]": series}), variable["name"]


def sending(collector: Server) -> TracerProvider:
    """Return a tracer provider of another service, which has one retired model and stays the same."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("retired-1", "Retired", "1", "low", "ml-platform", "to be called")
    registry.retire("retired-1")
    resource = Resource.create({"service.name": "batch", "service.instance.id": "batch-1"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry))
    exporter = OTLPSpanExporter(f"http://{collector.at['OTELCOL_OTLP_HTTP']}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def call_retired(sender: TracerProvider) -> None:
    """Leave the span of a call of the retired model."""
    sender.get_tracer("app").start_span("chat", attributes={"gen_ai.request.model": "retired-1"}).end()


def of_batch(prometheus: Server) -> float | None:
    """Return the calls of the retired model by that service."""
    target = panel("violations", "Retired models that were called")
    return by("service_name", shown(prometheus, target, HOUR)).get("batch")


def new_of_batch(prometheus: Server) -> float | None:
    """Return how many of these are new, as alerts see it."""
    answer = ask(prometheus, "/api/v1/query", query='model_registry:calls:new5m{service_name="batch"}')
    return sum(float(line["value"][1]) for line in answer["result"])


def take_pictures(prometheus: Server, folder: Path, scratch: Path) -> None:
    """Have a browser draw the dashboards with what Prometheus answers."""
    browser = program_of("chromium")
    folder.mkdir(parents=True, exist_ok=True)
    for name, board in BOARDS.items():
        page = scratch / f"{name}.html"
        drawn = draw(board, lambda target: answers(prometheus, target, 60, 1, model="extra-1"))
        page.write_text(drawn.replace(f"{scratch}/", ""), "utf-8")
        rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
        photograph(browser, page.as_uri(), folder.resolve() / f"{name}.png", rows * 35 + 60)


def find_receivers(labels: dict[str, str]) -> list[str]:
    """Return the receivers of an alert in the example for Alertmanager, according to the real amtool."""
    command = [program_of("amtool"), "config", "routes", "test", f"--config.file={CONFIG / 'alertmanager.yml'}"]
    command += [f"{name}={value}" for name, value in labels.items()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(",")


def check_notifications(found: dict[str, Any]) -> None:
    """Alerts go to the receivers of their owner and severity, and say what to do."""
    receivers = {name: find_receivers(alert["labels"]) for name, alert in found.items()}
    assert receivers == {
        "ModelRegistryRetiredModelCalled retired-1": ["ml-platform"],
        "ModelRegistryUnregisteredModelCalled gpt-9": ["platform"],
        "ModelRegistryAnotherModelAnswered ": ["ml-platform"],
        "ModelRegistrySunsetNear near-1": ["ml-platform"],
        "ModelRegistrySunsetNear extra-1": ["announcements"],
        "ModelRegistrySunsetPast past-1": ["ml-platform"],
        "ModelRegistryProviderSunsetNear gpt-4o": ["ml-platform"],
        "ModelRegistryProviderSunsetPast failing-1": ["on-call", "ml-platform"],
        "ModelRegistryErrors ": ["on-call", "ml-platform"],
        "ModelRegistrySlow ": ["ml-platform"],
        "ModelRegistryEventsLost ": ["platform"],
        "ModelRegistryFileFailing ": ["platform"],
        "ModelRegistryFileStale ": ["platform"],
    }
    near = found["ModelRegistrySunsetNear near-1"]
    assert near["labels"] == {
        "alertname": "ModelRegistrySunsetNear",
        "severity": "warning",
        "owner": "ml-platform",
        "days": "7",
        "service_name": "support",
        "gen_ai_request_model": "near-1",
        "model_registry_model_id": "near-1",
        "model_registry_owner": "ml-platform",
        "model_registry_risk_tier": "low",
        "model_registry_status": "deprecated",
    }
    assert near["annotations"].pop("summary").startswith("support calls near-1, whose sunset is in ")
    assert near["annotations"] == {
        "description": "support called near-1: model near-1, risk tier low. Calls are not blocked. "
        f"Its sunset date is {DATES['near-1'].date()}. Use gpt-4o instead. Ask ml-platform (#ml-help).",
        "runbook_url": "https://example.com/docs/alert-dates.md#modelregistrysunsetnear",
        "traces_url": "http://localhost:16686/search?service=support&lookback=2w"
        "&tags=%7B%22model_registry.model_id%22%3A%22near-1%22%7D",
    }
    assert found["ModelRegistryRetiredModelCalled retired-1"]["labels"]["severity"] == "warning"


def test_from_calls_to_alerts_and_panels(  # noqa: PLR0913 - the parts of a fleet
    application: subprocess.Popen[str],
    collector: Server,
    notified: Notified,
    prometheus: Server,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    """Each alert fires about what it should, and no other; panels show the calls made, restarts or not."""
    assert awaited(lambda: firing(prometheus), WELL) == WELL
    (tmp_path / "models.json").write_text("[")
    assert awaited(lambda: firing(prometheus), BAD) == BAD
    made = json.loads(application.communicate(timeout=60)[0])
    all_calls = {"": sum(made.values())}
    assert awaited(lambda: by("", shown(prometheus, panel("inventory", "Calls"), HOUR)), all_calls) == all_calls
    check_numbers(prometheus, made)
    check_all(prometheus)
    assert by("", shown(prometheus, panel("violations", "Calls of retired models"), 3)) == {"": 0}
    if folder := pytestconfig.getoption("--pictures", default=None):
        take_pictures(prometheus, Path(folder), tmp_path)
    check_notifications(poll(lambda: dict(notified.alerts), lambda alerts: len(alerts) == len(BAD) + 1))
    sender = sending(collector)
    call_retired(sender)
    assert awaited(lambda: of_batch(prometheus), 1) == 1
    collector.stop()
    down = {"model_registry", "model_registry_untrusted", "collector"}
    assert awaited(lambda: firing(prometheus).get("ModelRegistryCollectorDown"), down) == down
    collector.start()
    call_retired(sender)
    assert awaited(lambda: of_batch(prometheus), 2) == 2
    assert awaited(lambda: new_of_batch(prometheus), 2) == 2
    assert {*BAD, "ModelRegistryCollectorDown"} | OTHERS == ALERTS.keys()
