"""The archive of the Collector's configuration: no content, and calls that are log records."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from support.collector_files import FOLDER
from support.exporters import TRUSTED, UNTRUSTED
from support.otlp import Otlp
from support.otlp_json import SENDER, attributes_of, read_items
from support.servers import archive_settings

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.servers import Server

pytestmark = pytest.mark.e2e

SECRET = "tell nobody this prompt"
ENCODED = base64.b64encode(SECRET.encode()).decode()
TEXT = {"stringValue": SECRET}
BAD_VALUES: dict[str, Any] = {
    "map": {"kvlistValue": {"values": [{"key": SECRET, "value": TEXT}]}},
    "list": {
        "arrayValue": {
            "values": [{"kvlistValue": {"values": [{"key": "text", "value": TEXT}]}}, {"bytesValue": ENCODED}]
        }
    },
    "bytes": {"bytesValue": ENCODED},
    "long text": {"stringValue": SECRET * 500},
}
"""Values that no archived attribute may have."""
PROCESSOR = yaml.safe_load((FOLDER / "collector.yaml").read_text("utf-8"))["processors"]["transform/archive"]
otlp = Otlp()


def kept_keys(holder: str) -> list[str]:
    """Return the attributes that the archive keeps of a span, a resource, a span event or a log record."""
    groups = [*PROCESSOR["trace_statements"], *PROCESSOR["log_statements"]]
    texts = [text for group in groups for text in group["statements"]]
    (found,) = {
        match[1] for text in texts if (match := re.match(rf"keep_keys\({holder}\.attributes, (\[.*\])\)$", text))
    }
    checked = re.findall(rf'set\({holder}\.cache\["kept"\]\["([^"]+)"\]', "\n".join(texts))
    return [*json.loads(found), *checked]


def send(server: Server, whose: str, signal: str, body: Any) -> None:
    """Send one request of OTLP JSON, which has to be accepted."""
    server.ask(
        f"OTELCOL_{whose}_HTTP", f"/v1/{signal}", json.dumps(body).encode(), **{"Content-Type": "application/json"}
    )


def with_bad_values(bad: Any) -> dict[str, Any]:
    """Return requests whose attributes all have a bad value, by signal."""
    filled = {
        holder: otlp.attributes(dict.fromkeys((*kept_keys(holder), SECRET), bad))
        for holder in ("resource", "span", "spanevent", "log")
    }
    event = {"name": "model_registry.retired", "attributes": filled["spanevent"]}
    scope = {"scope": {"name": SECRET, "version": SECRET, "attributes": filled["resource"]}, "schemaUrl": SECRET}
    common = {"resource": {"attributes": filled["resource"]}, "schemaUrl": SECRET}
    span = {
        **otlp.span(),
        "attributes": filled["span"],
        "status": {"message": SECRET, "code": 2},
        "traceState": f"a={SECRET.replace(' ', '')}",
        "events": [event, {"name": f"model_registry.{SECRET}"}, {"name": SECRET}],
    }
    records = [
        {"eventName": name, "attributes": filled["log"], "body": body, "severityText": SECRET}
        for name in ("model_registry.retired", "gen_ai.client.inference.operation.details")
        for body in (TEXT, bad)
    ]
    forged = {"eventName": f"model_registry.{SECRET}", "body": TEXT}
    return {
        "traces": {"resourceSpans": [{**common, "scopeSpans": [{**scope, "spans": [span]}]}]},
        "logs": {"resourceLogs": [{**common, "scopeLogs": [{**scope, "logRecords": [*records, forged]}]}]},
    }


def test_archive_has_no_prompt_in_any_attribute(collector: Callable[..., Server], tmp_path: Path) -> None:
    """Maps, lists, bytes and long texts in archived attributes are removed, and so is text in all other places."""
    server = collector(OTELCOL_SAMPLING_PERCENTAGE="0")
    for bad in BAD_VALUES.values():
        for signal, body in with_bad_values(bad).items():
            send(server, TRUSTED, signal, body)
    blanks = dict.fromkeys(("error.type", "gen_ai.response.id"), SECRET)
    parameters = {"llm.invocation_parameters": json.dumps({"model": SECRET * 500, "model_id": [SECRET], SECRET: 1})}
    plain = otlp.span("m-1", **blanks, **parameters)
    twice = {"llm.invocation_parameters": SECRET, "mlflow.spanInputs": "[]", "model": "m-2"}
    plain["attributes"] += [*otlp.attributes(twice), *otlp.attributes(dict.fromkeys(twice, SECRET))]
    send(server, TRUSTED, "traces", json.loads(otlp.line({**plain, "name": SECRET * 500})))
    archived = [(tmp_path / name).read_text("utf-8") for name in ("spans.jsonl", "logs.jsonl")]
    found = "".join(archived)
    assert not [text for text in (SECRET, ENCODED, SECRET.replace(" ", "")) if text in found]
    spans, records = (read_items(tmp_path / name) for name in ("spans.jsonl", "logs.jsonl"))
    assert (len(spans), len(records)) == (len(BAD_VALUES) + 1, 4 * len(BAD_VALUES))
    assert [[event["name"] for event in item["events"]] for _, _, item in spans[:-1]] == [
        ["model_registry.retired"]
    ] * 4
    assert spans[-1].item["name"] == "(too long)"
    assert spans[-1].attributes == {
        "gen_ai.request.model": "m-1",
        "llm.invocation_parameters": '{"model":"(too long)"}',
        SENDER: "trusted",
    }
    assert all(item.attributes[SENDER] == "trusted" for item in (*spans, *records))
    assert {item.attributes["gen_ai.request.model"] for item in spans} == {"m-1", "", "(too long)"}


CALLS = {
    "OpenTelemetry": {
        "eventName": "gen_ai.client.inference.operation.details",
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m-1",
            "gen_ai.provider.name": "openai",
        },
    },
    "Claude Code": {"body": "claude_code.api_request", "attributes": {"event.name": "api_request", "model": "m-2"}},
    "Codex": {"attributes": {"event.name": "codex.api_request", "model": "m-3", "conversation.id": "c-1"}},
    "Gemini CLI": {"attributes": {"event.name": "gemini_cli.api_request", "model": "m-4", "prompt_id": "p-1"}},
}
"""Log records that report calls, by their authors."""
OTHER_RECORDS = {
    "eventName": {"eventName": "claude_code.api_request_body", "attributes": {"model": "m-5"}},
    "event.name": {"attributes": {"event.name": "user_prompt", "prompt": SECRET, "model": "m-5"}},
}


def test_archive_has_calls_that_are_log_records(collector: Callable[..., Server], tmp_path: Path) -> None:
    """Of such a log record, the archive has time, ids, sender, model, provider and operation, and nothing else."""
    server = collector()
    content = {"prompt": SECRET, "gen_ai.input.messages": SECRET, "user.email": "a@example.com", "cost_usd": 1.5}
    content |= {"MODEL-REGISTRY.sender": "trusted", "model_registry.sender": "trusted"}
    ids = {"timeUnixNano": "1", "traceId": "ab" * 16, "spanId": "cd" * 8}
    for whose in (TRUSTED, UNTRUSTED):
        records = [
            {
                **ids,
                "body": {"stringValue": record.get("body", SECRET)},
                "attributes": otlp.attributes({**record["attributes"], **content}),
                **({"eventName": record["eventName"]} if "eventName" in record else {}),
            }
            for record in (*CALLS.values(), *OTHER_RECORDS.values())
        ]
        send(server, whose, "logs", json.loads(otlp.logs(*records)))
    found = read_items(tmp_path / "logs.jsonl")
    names = [record.get("eventName", record["attributes"].get("event.name")) for record in CALLS.values()]
    assert [item["eventName"] for _, _, item in found] == names * 2
    expected = [
        {**record["attributes"], SENDER: sender} for sender in ("trusted", "untrusted") for record in CALLS.values()
    ]
    assert [item.attributes for item in found] == expected
    assert all(ids.items() <= item.items() for _, _, item in found)
    assert SECRET not in (tmp_path / "logs.jsonl").read_text("utf-8")
    engine = ComplianceMappingEngine(ModelRegistry(auto_emit=False))
    period = ("1970-01-01", "1970-01-02")
    evidence = engine.generate_evidence_package(None, "soc2", *period, telemetry=[tmp_path / "logs.jsonl"])
    stated = evidence.attestation
    assert stated.population.log_calls == len(CALLS)
    assert [name.name for name in stated.unregistered_names] == ["m-1", "m-2", "m-3", "m-4"]


def test_only_owner_and_group_can_open_the_archive(collector: Callable[..., Server], tmp_path: Path) -> None:
    """New folders have the mode 0750. The exporter gives each new file 0644, whatever the umask and the file before."""
    folder = tmp_path / "new"
    settings = {"OTELCOL_STORAGE": str(folder / "queue"), "OTELCOL_ARCHIVE_MEGABYTES": "1"}
    server = collector(**{**archive_settings(folder / "archive"), **settings})
    send(server, TRUSTED, "traces", json.loads(otlp.line(otlp.span("m"))))
    assert attributes_of(read_items(folder / "archive" / "spans.jsonl")[0].item)[SENDER] == "trusted"
    assert [stat.S_IMODE(os.stat(folder / name).st_mode) for name in ("archive", "queue")] == [0o750, 0o750]
    latest = folder / "archive" / "spans.jsonl"
    assert stat.S_IMODE(latest.stat().st_mode) == 0o644
    latest.chmod(0o640)
    while not (renamed := list(latest.parent.glob("spans-*"))):
        send(server, TRUSTED, "traces", json.loads(otlp.line(*[otlp.span("m") for _ in range(1_000)])))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (*renamed, latest)] == [0o640, 0o644]
