"""Untrusted senders may send anything: alerts and counts of trusted senders stay as they are, and these are served."""

from __future__ import annotations

import json
import re
import time
import urllib.error
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.collector_files import FOLDER
from support.collectors import Application, Door
from support.exporters import TRUSTED, UNTRUSTED
from support.otlp import Otlp
from support.otlp_json import SENDER, Item, attributes_of, ours, read_items
from support.prometheus import ask, write_configuration
from support.servers import USUAL_GARBAGE_COLLECTION, archive_settings
from support.waiting import poll, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.servers import Server

pytestmark = pytest.mark.e2e

otlp = Otlp()
DAY, QUARTER = 86_400, 900


class Site(NamedTuple):
    """A Collector with its archive, and a Prometheus that reads it."""

    collector: Server
    prometheus: Server
    archive: Path

    def post(self, whose: str, signal: str, body: Any) -> int:
        """Send a request of OTLP JSON, and return the status of the response."""
        content = json.dumps(body).encode()
        try:
            self.collector.ask(
                f"OTELCOL_{whose}_HTTP", f"/v1/{signal}", content, **{"Content-Type": "application/json"}
            )
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def alerts(self) -> set[frozenset[tuple[str, str]]]:
        """Return the labels of the alerts that fire."""
        return {frozenset(each["labels"].items()) for each in ask(self.prometheus, "/api/v1/alerts")["alerts"]}

    def descriptions(self) -> set[str]:
        """Return the descriptions of the alerts that fire."""
        return {each["annotations"]["description"] for each in ask(self.prometheus, "/api/v1/alerts")["alerts"]}

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], str]:
        """Return the current values of an expression by labels."""
        answer = ask(self.prometheus, "/api/v1/query", query=expression)
        return {frozenset(line["metric"].items()): line["value"][1] for line in answer["result"]}

    def facts(self) -> dict[str, Any]:
        """Return all that alerts and dashboards say about trusted senders, and whether the rules can be evaluated."""
        rules = [rule for group in ask(self.prometheus, "/api/v1/rules")["groups"] for rule in group["rules"]]
        return {
            "alerts": self.alerts(),
            "descriptions": self.descriptions(),
            "recorded": self.query(
                '{__name__=~"model_registry:(calls:new5m|sunset_timestamp_seconds:min)", senders=""}'
            ),
            "up": self.query('up{senders=""}'),
            "health": {(rule["name"], rule["health"], rule.get("lastError")) for rule in rules},
            "metrics": Counter((name, frozenset(has.items()), value) for name, has, value in self.collector.scrape()),
            "archived": [item for item in read_items(self.archive) if item.attributes[SENDER] == "trusted"],
        }

    def archived_of_others(self) -> list[Item]:
        """Return the archived records of senders that are not trusted."""
        return [item for item in read_items(self.archive) if item.attributes[SENDER] != "trusted"]

    def is_scraped(self, name: str) -> bool:
        """Check that Prometheus has read what untrusted senders sent up to now, and evaluated its rules since."""
        with Door(self.collector, UNTRUSTED).metrics(Application("canary", plugin=False).resource) as meters:
            meters.get_meter("app").create_gauge(f"canary.{name}").set(1)
        return bool(poll(lambda: self.query(f'min_over_time(canary_{name}{{senders="untrusted"}}[3s] offset 2s)')))


def start_site(run: Callable[..., Server], folder: Path) -> Site:
    """Start a Collector and a Prometheus with alerts that fire about a trusted sender."""
    settings = {**archive_settings(folder), **USUAL_GARBAGE_COLLECTION, "OTELCOL_SAMPLING_PERCENTAGE": "0"}
    collector = run("otelcol", **settings, OTELCOL_METRICS_FLUSH="200ms")
    site = Site(collector, run("prometheus", write_configuration(folder, collector)), folder / "spans.jsonl")
    application = Application("shop")
    for model, status in (("good", "active"), ("old", "deprecated"), ("gone", "retired")):
        application.register(model, "critical", status)
    for model in ("good", "old", "gone", "unknown"):
        application.call("chat", **{"gen_ai.request.model": model})
    Door(collector).send(*application.take())
    with Door(collector).metrics(application.resource) as meters:
        gauge = meters.get_meter("app").create_gauge("model_registry.sunset", "s")
        left = 3 * DAY + QUARTER - time.time() % QUARTER  # the rules round dates: theirs stays the same for minutes
        gauge.set(left, {"model_registry.model_id": "old"})
        info = meters.get_meter("app").create_gauge("model_registry.info", "{model}")
        info.set(1, {"model_registry.model_id": "old", "model_registry.successor": "good"})
    wait_until(lambda: len(site.alerts()) == 3)
    wait_until(lambda: len(site.query('up{senders=""}')) == 3)
    assert {dict(labels)["alertname"] for labels in site.alerts()} == {
        "ModelRegistryRetiredModelCalled",
        "ModelRegistryUnregisteredModelCalled",
        "ModelRegistrySunsetNear",
    }
    assert sum("Use good instead." in text for text in site.descriptions()) == 1
    return site


# What untrusted senders send

TEXTS = [
    *((FOLDER / "prometheus" / name).read_text("utf-8") for name in ("rules.yml",)),
    *(file.read_text("utf-8") for file in (FOLDER / "grafana" / "dashboards").glob("*.json")),
]
READ = sorted(
    {name for text in TEXTS for name in re.findall(r"[A-Za-z_][\w:]*(?=\{[^{])", text)} | {"up", "ALERTS_FOR_STATE"}
)
"""The names of metrics that rules, alerts and dashboards read."""
SEPARATORS = (".", "_", ":", "/", "-", " ", "__", "._", ".total.", "\uff3f")
KEYS = (
    "model_registry.status",
    "model_registry.owner",
    "model_registry.model_id",
    SENDER,
    "otelcol.untrusted",
    "senders",
)


def spell(name: str, separator: str, *, upper: bool) -> str:
    """Return a name with another separator between its words."""
    spelled = re.sub(r"[._:]", lambda _: separator, name)
    return spelled.upper() if upper else spelled


spellings = st.builds(spell, st.sampled_from((*KEYS, *READ)), st.sampled_from(SEPARATORS), upper=st.booleans())
names = st.sampled_from((*READ, *KEYS)) | spellings | st.text(max_size=8)
units = st.sampled_from(("", "1", "s", "{x}", "registry_sunset", "_registry:calls:new5m", "span/metrics"))
values = st.recursive(
    st.sampled_from(("trusted", "retired", "gone", "old", "shop", "ml", "")) | st.booleans() | st.integers(-9, 9),
    lambda inner: st.lists(inner, max_size=2).map(
        lambda items: {"arrayValue": {"values": list(map(otlp.value, items))}}
    ),
    max_leaves=3,
)
attributes = st.dictionaries(names, values, max_size=4).map(otlp.attributes)
models = st.sampled_from(("good", "old", "gone", "unknown", "other"))
resources = attributes.map(
    lambda given: {"attributes": [*given, *otlp.attributes({"service.name": "shop", "service.instance.id": "1"})]}
)
scopes = st.builds(lambda name, given: {"name": name, "attributes": given}, names, attributes)
IDS = {"traceId": "ab" * 16, "spanId": "cd" * 8}


def metric(name: str, unit: str, kind: str, given: list[Any]) -> dict[str, Any]:
    """Return a metric with one data point."""
    point = {"attributes": given, "timeUnixNano": str(2**60), "asDouble": 0.0, "count": "1", "sum": 1.0}
    monotonic = {"isMonotonic": True, "aggregationTemporality": 2} if kind in ("sum", "histogram") else {}
    return {"name": name, "unit": unit, kind: {"dataPoints": [point], **monotonic}}


metrics = st.builds(metric, names, units, st.sampled_from(("gauge", "sum", "histogram", "summary")), attributes)
events = st.builds(lambda name, given: {"name": name, "attributes": given}, names, attributes)
spans = st.builds(
    lambda model, given, own: {
        **otlp.span(),
        **IDS,
        "attributes": [*given, *otlp.attributes({"gen_ai.request.model": model})],
        "events": own,
    },
    models,
    attributes,
    st.lists(events, max_size=2),
)
records = st.builds(
    lambda name, body, given: {**IDS, "eventName": name, "body": {"stringValue": body}, "attributes": given},
    names,
    names,
    attributes,
)


def requests(signal: str, items: st.SearchStrategy[Any], kind: str, name: str) -> st.SearchStrategy[tuple[str, Any]]:
    """Return requests of one signal."""
    return st.builds(
        lambda resource, scope, found: (
            signal,
            {f"resource{kind}": [{"resource": resource, f"scope{kind}": [{"scope": scope, name: found}]}]},
        ),
        resources,
        scopes,
        st.lists(items, min_size=1, max_size=4),
    )


anything = (
    requests("traces", spans, "Spans", "spans")
    | requests("logs", records, "Logs", "logRecords")
    | requests("metrics", metrics, "Metrics", "metrics")
)


def forge_everything(site: Site) -> None:
    """Send each name that rules, alerts or dashboards read, in each spelling, as a metric with labels of an alert."""
    labels = [dict(each) for each in site.alerts()]
    labels += [{**each, "alertstate": "firing", "senders": "", "le": "1", "job": "model_registry"} for each in labels]
    labels += [{}, {"job": "collector", "senders": ""}]
    given = [otlp.attributes(each) for each in labels]
    forged = [
        metric(spell(name, separator, upper=False) if separator else name, unit, kind, each)
        for name in READ
        for separator in ("", *SEPARATORS)
        for unit in ("", "{x}")
        for kind in ("gauge", "sum")
        for each in given
    ]
    halves = ((name[:at], name[at + 1 :]) for name in READ for at, char in enumerate(name) if char in "_:")
    forged += [
        metric(start, end, "gauge", each) for start, end in (*halves, ("", "up"), ("up", "/{x}")) for each in given
    ]
    for start in range(0, len(forged), 500):
        body = [{"scopeMetrics": [{"metrics": forged[start : start + 500]}]}]
        assert site.post(UNTRUSTED, "metrics", {"resourceMetrics": body}) == 200


def check_forged_metrics(site: Site) -> None:
    """Metrics of untrusted senders with names of recording rules, ``up`` and all that rules read are other metrics."""
    forge_everything(site)
    assert site.is_scraped("forged")
    names = {dict(labels)["__name__"] for labels in site.query('{senders="untrusted"}')}
    own = {"target_info", "canary_forged"}
    assert not [name for name in names - own if name.casefold() in {each.casefold() for each in READ}]
    labels = {label for labels in site.query('{senders="untrusted"}') for label, _ in labels}
    assert not [label for label in labels if label.startswith("model_registry")]


def send_anything(site: Site) -> None:
    """Send any telemetry as an untrusted sender, and spans as a trusted one."""
    plain = json.loads(otlp.line(otlp.span(), service="shop"))

    @settings(
        max_examples=150, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
    )
    @given(anything)
    def attack(request: tuple[str, Any]) -> None:
        assert site.post(UNTRUSTED, *request) in (200, 400)
        assert site.post(TRUSTED, "traces", plain) == 200

    attack()
    while len(site.archived_of_others()) <= 50:  # how many of the records are archived depends on chance
        attack()
    assert site.is_scraped("generated")


def test_nothing_that_untrusted_senders_send_matters(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """No telemetry of untrusted senders changes counts, alerts or archived records of trusted senders."""
    site = start_site(run_server, tmp_path)
    before = site.facts()
    assert len(before["up"]) == 3
    assert {health for _, health, _ in before["health"]} == {"ok"}
    check_forged_metrics(site)
    assert site.facts() == before
    send_anything(site)
    assert site.facts() == before
    for resource, scope, item in site.archived_of_others():
        assert attributes_of(item)[SENDER] == "untrusted"
        for holder in (resource, scope, item, *item.get("events", ())):
            assert not ours(attributes_of(holder))
        assert not item.get("events")


def test_unreadable_metrics_of_untrusted_senders_fire_no_alert(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    """If Prometheus cannot read the metrics of untrusted senders, no alert fires, and it reads all others."""
    site = start_site(run_server, tmp_path)
    alerts = site.alerts()
    long = otlp.attributes({"label": "x" * 2_000})
    assert (
        site.post(
            UNTRUSTED,
            "metrics",
            {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric("a", "", "gauge", long)]}]}]},
        )
        == 200
    )
    down = 'up{job="model_registry_untrusted"} offset 2s == 0'
    wait_until(lambda: site.query(down))
    assert site.alerts() == alerts
    assert set(site.query('up{job!="model_registry_untrusted"}').values()) == {"1"}


# Floods

SMALL = {
    **USUAL_GARBAGE_COLLECTION,
    "OTELCOL_MEMORY_MIB": "120",
    "OTELCOL_MEMORY_SPIKE_MIB": "30",
    "OTELCOL_MEMORY_UNTRUSTED_MIB": "60",
}
"""A third of the default memory, so that a third of a flood is enough."""
EACH = 500
"""Spans or data points in a request."""


def flood(number: int) -> tuple[str, Any]:
    """Return a request with names that nobody sent before: spans of calls, or data points."""
    labels = [f"{number}-{turn}-{'x' * 90}" for turn in range(EACH)]
    if number % 3:
        calls = [otlp.span(label) for label in labels]
        return "traces", json.loads(otlp.line(*calls, service=f"service-{number // 4}"))
    points = [metric("flood", "", "gauge", otlp.attributes({"label": label})) for label in labels]
    return "metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": points}]}]}


def test_trusted_senders_are_served_during_a_flood(collector: Callable[..., Server], tmp_path: Path) -> None:
    """While an untrusted sender makes series without end, every request of trusted senders is accepted and counted."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0", **SMALL)
    site = Site(server, server, tmp_path / "spans.jsonl")
    statuses: Counter[tuple[str, int]] = Counter()
    turns = 60
    for number in range(turns):
        statuses[UNTRUSTED, site.post(UNTRUSTED, *flood(number))] += 1
        body = json.loads(otlp.line(otlp.span("honest"), service="shop"))
        statuses[TRUSTED, site.post(TRUSTED, "traces", body)] += 1
    assert statuses[TRUSTED, 200] == turns, statuses
    assert statuses[UNTRUSTED, 503] > 0, statuses
    calls = poll(
        lambda: [value for name, _, value in server.scrape() if name == "traces_span_metrics_calls_total"],
        lambda found: found == [turns],
    )
    assert calls == [turns]
    archived = [item for item in read_items(tmp_path / "spans.jsonl") if item.attributes[SENDER] == "trusted"]
    assert len(archived) == turns


def test_labels_have_a_limit(collector: Callable[..., Server], tmp_path: Path) -> None:
    """A value of any type that is too long for a label is cut, so that series take little memory."""
    server = collector(**USUAL_GARBAGE_COLLECTION)
    long: Any = {"arrayValue": {"values": [otlp.value("x" * 100_000)]}}
    site = Site(server, server, tmp_path / "spans.jsonl")
    for model in (long, "y" * 100_000):
        assert site.post(UNTRUSTED, "traces", json.loads(otlp.line(otlp.span(model), service="z" * 1_000))) == 200
    page = poll(
        lambda: server.ask("OTELCOL_UNTRUSTED_PROMETHEUS", "/metrics").decode(),
        lambda text: 'gen_ai_request_model="y' in text and 'gen_ai_request_model="[' in text,
    )
    assert max(map(len, re.findall(r'="([^"]*)', page))) <= 256


def test_series_of_untrusted_senders_have_one_limit(collector: Callable[..., Server]) -> None:
    """All untrusted services together have as many series of calls as a setting says; trusted ones have their own."""
    server = collector(OTELCOL_SERIES="20", OTELCOL_UNTRUSTED_SERIES="30")
    for whose in (TRUSTED, UNTRUSTED):
        for service in range(4):
            application = Application(f"service-{service}", plugin=False)
            for model in range(15 + 10 * service):
                application.call("call", **{"gen_ai.request.model": f"m-{model}"})
            Door(server, whose).send(*application.take())

    def series(variable: str) -> Counter[tuple[str | None, str | None]]:
        found = [has for name, has, _ in server.scrape(variable) if name == "traces_span_metrics_calls_total"]
        return Counter((has.get("job"), has.get("otel_metric_overflow")) for has in found)

    trusted = {(f"service-{service}", None): min(15 + 10 * service, 20) for service in range(4)}
    trusted |= {(f"service-{service}", "true"): 1 for service in range(1, 4)}
    assert poll(lambda: series("OTELCOL_PROMETHEUS"), lambda found: found == trusted) == trusted
    untrusted = poll(lambda: series("OTELCOL_UNTRUSTED_PROMETHEUS"), lambda found: found[None, "true"] == 1)
    assert untrusted == {("service-0", None): 15, ("service-1", None): 15, (None, "true"): 1}


UNREGISTERED = (
    "yaml:processors::transform/model_registry::trace_statements: "
    """['set(span.attributes["model_registry.status"], "unregistered")']"""
)
"""Configuration of a Collector that flags every span, of trusted and untrusted senders."""


def test_a_full_queue_of_untrusted_senders(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """While the backend is down, untrusted senders fill only their own queue of flagged spans."""
    server = run_server("otelcol", UNREGISTERED, **archive_settings(tmp_path), OTELCOL_QUEUE_SIZE="5")
    site = Site(server, server, tmp_path / "spans.jsonl")
    statuses = [
        [site.post(whose, "traces", json.loads(otlp.line(otlp.span("unknown")))) for _ in range(number)]
        for whose, number in ((UNTRUSTED, 20), (TRUSTED, 5))
    ]
    assert set(statuses[0]) == {200, 503}
    assert set(statuses[1]) == {200}
