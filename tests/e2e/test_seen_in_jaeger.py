"""What the demo exports, as people find it in Jaeger: real processes from the application to the backend."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.otlp_json import attributes_of, ours, read_items, tags_of
from support.processes import is_running, program_environment
from support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.servers import Backend

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
RUNS = 2
"""The demo runs its application under two instrumentations."""
SPANS = 20
"""Spans of each run."""

MODELS = {
    "gpt-4o": ("GPT-4o", "2024-08-06", "high", "ml-platform"),
    "gpt-4o-mini": ("GPT-4o mini", "2024-07-18", "medium", "ml-platform"),
    "text-embedding-3-small": ("Embedding 3", "small", "low", "search-team"),
    "gpt-3.5-turbo": ("GPT-3.5 Turbo", "0125", "medium", "support-team"),
    "text-davinci-003": ("Davinci", "003", "critical", "support-team"),
}
"""What the application registers: id to name, version, risk tier and owner."""


def on_call(model_id: str, status: str, *warnings: str) -> dict[str, str]:
    """Return the attributes of a registered model that a call's span must have; lists are JSON texts in Jaeger."""
    name, version, tier, owner = MODELS[model_id]
    return {
        "model_registry.model_id": model_id,
        "model_registry.name": name,
        "model_registry.version": version,
        "model_registry.risk_tier": tier,
        "model_registry.owner": owner,
        "model_registry.status": status,
        **({"model_registry.warnings": json.dumps(warnings, separators=(",", ":"))} if warnings else {}),
    }


CALLS = {
    "search manual": on_call("text-embedding-3-small", "active"),
    "answer": on_call("gpt-4o", "active"),
    "draft, streamed": on_call("gpt-4o-mini", "active"),
    "sum up": {
        **on_call(
            "gpt-3.5-turbo",
            "deprecated",
            "model 'gpt-3.5-turbo' is deprecated",
            "use 'gpt-4o-mini' instead",
            "its sunset date is 2027-03-31",
        ),
        "model_registry.successor": "gpt-4o-mini",
        "model_registry.sunset_date": "2027-03-31",
    },
    "old prompt": on_call("text-davinci-003", "retired", "model 'text-davinci-003' is retired"),
    "translate": {
        "model_registry.status": "unregistered",
        "model_registry.warnings": """["model 'gpt-4.1-nano-2025-04-14' is not registered"]""",
    },
}
"""Step of the application's ticket to the attributes that the call below it is to have of ours."""


class Seen(NamedTuple):
    """What the demo left in its file, and in Jaeger."""

    backend: Backend
    service: str
    exported: list[dict[str, Any]]
    found: list[dict[str, Any]]


@pytest.fixture(scope="module")
def seen(
    backend: Backend,
    demo: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Seen:
    """Give what the demo left, as an application that sends to the Collector by gRPC."""
    file = tmp_path_factory.mktemp("demo") / "telemetry.jsonl"
    service = "agent"
    endpoint = backend.endpoint("grpc")
    done = demo(file.parent, file.name, OTEL_SERVICE_NAME=service, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr
    assert "did not take" not in done.stdout
    return Seen(backend, service, [span for _, _, span in read_items(file)], backend.spans(service, RUNS * SPANS))


def shown_attributes(owner: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a span or an event of OTLP JSON as Jaeger shows them."""
    return {
        key: json.dumps(value, separators=(",", ":")) if isinstance(value, tuple) else value
        for key, value in attributes_of(owner).items()
    }


def fields_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return the name and the attributes of an event of OTLP JSON as Jaeger shows them."""
    return {"event": event["name"], **shown_attributes(event)}


def parent(span: dict[str, Any]) -> str | None:
    """Return the id of a span's parent, as Jaeger tells it."""
    return next((link["spanID"] for link in span["references"] if link["refType"] == "CHILD_OF"), None)


def check_all_arrived(exported: list[dict[str, Any]], found: list[dict[str, Any]]) -> None:
    """Check that Jaeger has each span of a file once, with every attribute and event, and finds no fault in it."""
    assert len(exported) == len(found) == RUNS * SPANS
    twins = {(span["traceID"], span["spanID"]): span for span in found}
    assert len(twins) == RUNS * SPANS
    for span in exported:
        twin = twins[span["traceId"], span["spanId"]]
        assert twin["operationName"] == span["name"]
        assert (parent(twin) or "") == span.get("parentSpanId", "")
        attributes = shown_attributes(span)
        tags = tags_of(twin["tags"])
        assert {key: tags.get(key) for key in attributes} == attributes
        assert ours(tags) == ours(attributes)
        events = [(int(event["timeUnixNano"]) // 1_000, fields_of(event)) for event in span.get("events", [])]
        assert [(log["timestamp"], tags_of(log["fields"])) for log in twin["logs"]] == events
        assert all(len({field["key"] for field in log["fields"]}) == len(log["fields"]) for log in twin["logs"])
        assert not twin["warnings"], twin["warnings"]


def test_everything_exported_arrives(seen: Seen) -> None:
    """Jaeger has each span of the application once, with every attribute and every event that was exported."""
    check_all_arrived(seen.exported, seen.found)


def test_each_call_tells_its_model(seen: Seen) -> None:
    """Below each step of the ticket, the call has what the registry knows of its model, and no other span has it."""
    steps = {span["spanID"]: span["operationName"] for span in seen.found}
    enriched = [span for span in seen.found if ours(tags_of(span["tags"]))]
    told = sorted((steps[parent(span) or ""], sorted(ours(tags_of(span["tags"])).items())) for span in enriched)
    assert told == sorted((step, sorted(expected.items())) for step, expected in CALLS.items() for _ in range(RUNS))


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("model_registry.risk_tier", "critical", {"handle ticket", "model_registry.register", "model_registry.retire"}),
        ("model_registry.risk_tier", "low", {"handle ticket", "model_registry.register"}),
        ("model_registry.status", "unregistered", {"handle ticket"}),
        ("model_registry.status", "retired", {"handle ticket", "model_registry.retire"}),
        ("model_registry.owner", "search-team", {"handle ticket", "model_registry.register"}),
        ("event", "model_registry.registered", {"model_registry.register"}),
        ("event", "model_registry.deprecated", {"review models"}),
        ("event", "model_registry.retired", {"model_registry.retire"}),
        ("model_registry.previous_status", "active", {"review models", "model_registry.retire"}),
        ("model_registry.owner", "nobody", set()),
    ],
)
def test_search(seen: Seen, key: str, value: str, names: set[str]) -> None:
    """People find the traces of a tier, a status, an owner or an event, and only those."""
    wanted = {
        span["traceId"]
        for span in seen.exported
        for attributes in (shown_attributes(span), *map(fields_of, span.get("events", [])))
        if attributes.get(key) == value
    }
    found = seen.backend.traces(seen.service, **{key: value})
    assert {trace["traceID"] for trace in found} == wanted
    roots = {span["operationName"] for trace in found for span in trace["spans"] if parent(span) is None}
    assert roots == names


PAGES = "".join((ROOT / "docs" / name).read_text("utf-8") for name in ("local-stack.md", "jaeger.md"))
SEARCHES = re.findall(r"^\| `([\w.]+)=([\w.-]+)` \| ", PAGES, re.MULTILINE)
BOARDS = sorted((ROOT / "collector-config" / "grafana" / "dashboards").glob("*.json"))
FIELDS = {
    "event_name": "model_registry.deprecated",
    "model_registry_model_id": "gpt-3.5-turbo",
    "model": "gpt-3.5-turbo",
}
"""The values of a dashboard that its links need, as the demo makes them."""


def searches_of_dashboards() -> set[str]:
    """Return the tags of the searches to which dashboards link, with values of the demo."""
    links = [
        link["url"]
        for board in BOARDS
        for panel in json.loads(board.read_text("utf-8"))["panels"]
        for link in panel["fieldConfig"]["defaults"].get("links", [])
        if link["title"] == "Traces in Jaeger"
    ]
    panes = [json.loads(urllib.parse.unquote(link.partition("panes=")[2])) for link in links]
    tags = [query["tags"] for pane in panes for query in pane["traces"]["queries"]]
    return {re.sub(r"\$\{(?:__data\.fields\.)?(\w+)\}", lambda field: FIELDS[field[1]], each) for each in tags}


def test_searches_of_pages_and_dashboards(seen: Seen) -> None:
    """Each search that the pages and dashboards name finds something, and the links of the pages are such searches."""
    links = re.findall(r"http://localhost:16686/search\?([^\s)]+)", PAGES)
    assert len(links) == 2
    searches = [{key: value} for key, value in SEARCHES]
    for link in links:
        query = dict(urllib.parse.parse_qsl(link))
        assert (query.pop("service"), query.pop("lookback")) == ("support-agent", "1h")
        searches.append(json.loads(query.pop("tags")))
        assert not query
    assert len(SEARCHES) == 9
    of_dashboards = [dict(tag.split("=") for tag in tags.split()) for tags in searches_of_dashboards()]
    assert {key for search in of_dashboards for key in search} >= {"event", "model_registry.status"}
    for search in searches + of_dashboards:
        assert seen.backend.traces(seen.service, **search), search


HOLDER = """
import sys
from support.servers import running
with running():
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_servers_leave_nothing(backend: Backend, tmp_path: Path, number: signal.Signals | None) -> None:
    """A process that is killed, interrupted or done leaves neither a server nor its folder."""
    del backend  # where there are no servers, this is skipped
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env=program_environment(TMPDIR=str(tmp_path)),
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        wait_until(lambda: len(list(tmp_path.glob("server-*/pid"))) == 2)
        servers = [int(file.read_text()) for file in tmp_path.glob("server-*/pid")]
        assert all(map(is_running, servers))
        if number is None:
            process.stdin.close()
        else:
            os.killpg(process.pid, number)
        process.wait(120)
        wait_until(lambda: not any(map(is_running, servers)) and not list(tmp_path.glob("server-*")))
