"""``resolve --span``: spans as people get them, and what the span processor adds to each."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.commands import EXAMPLES, fits_terminal, run_here
from support.conventions import name_model
from support.entries import FIELDS
from support.otlp_json import ours

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import CONVENTIONS
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MODELS = EXAMPLES / "models.yaml"
SCOPED = [number for number, row in enumerate(CONVENTIONS) if row.scope is not None]


def make_spans(registry: ModelRegistry) -> list[ReadableSpan]:
    """Return a span for each convention, and some that compare, copy or name no model; the processor has seen them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(registry))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    others = [
        {"gen_ai.request.model": "acme-chat-2", "gen_ai.response.model": "acme-embed-1", "n": 1, "list": ["a", "b"]},
        {"gen_ai.request.model": "acme-chat-2", "gen_ai.response.model": "other", "gen_ai.system": "openai"},
        {"gen_ai.request.model": "acme-chat-2", "gen_ai.operation.name": "invoke_agent"},
        {"gen_ai.request.model": "acme-chat-2", "db.system.name": "postgresql"},
        {"http.route": "/"},
    ]
    for number, row in enumerate(CONVENTIONS):
        attributes = {**name_model(row, "openai/acme-chat-1-2026-05-01"), "gen_ai.provider.name": "openai", "x": True}
        provider.get_tracer(row.scope or "app").start_span(f"s{number}", attributes=attributes).end()
    for number, attributes in enumerate(others, len(CONVENTIONS)):
        provider.get_tracer("app").start_span(f"s{number}", attributes=attributes).end()
    return list(exporter.get_finished_spans())


def as_otlp(spans: Sequence[ReadableSpan]) -> str:
    return json_format.MessageToJson(encode_spans(spans))


def as_jaeger(spans: Sequence[ReadableSpan]) -> str:
    """Return the JSON of a download from Jaeger's UI: the scope is a tag, and a list is JSON text."""
    rows = []
    for span in spans:
        tags = {**(span.attributes or {}), "otel.scope.name": span.instrumentation_scope.name}  # type: ignore[union-attr]
        pairs = [{"key": key, "type": "string", "value": value} for key, value in tags.items()]
        rows.append(
            {"spanID": "a1", "operationName": span.name, "tags": pairs, "processID": "p1", "logs": [{"fields": []}]}
        )
    processes = {"p1": {"serviceName": "shop", "tags": [{"key": "host.name", "type": "string", "value": "h"}]}}
    return json.dumps({"data": [{"traceID": "b2", "spans": rows, "processes": processes}], "total": 0}, default=list)


def as_console(spans: Sequence[ReadableSpan]) -> str:
    """Return the console exporter's output, between lines of the program."""
    return "Starting {up}\n" + "\nWorking…\n".join(span.to_json() for span in spans) + "\nEnd\n"


def as_objects(spans: Sequence[ReadableSpan]) -> str:
    return json.dumps([{**(span.attributes or {}), "some.key": 1} for span in spans])


def as_single_span(spans: Sequence[ReadableSpan]) -> str:
    request = json.loads(as_otlp(spans))
    return "\n".join(
        json.dumps(span)
        for resource in request["resourceSpans"]
        for scope in resource["scopeSpans"]
        if scope["scope"]["name"] == "app"
        for span in scope["spans"]
    )


@pytest.mark.parametrize(
    ("write", "keeps_scope", "service"),
    [
        (as_otlp, True, "shop"),
        (as_jaeger, True, "shop"),
        (as_console, False, "shop"),
        (as_objects, False, None),
        (as_single_span, False, None),
    ],
)
def test_the_report_is_what_the_processor_adds(
    write: Callable[[Sequence[ReadableSpan]], str],
    keeps_scope: bool,  # noqa: FBT001
    service: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In each form of a file, the spans get the attributes that the real processor has added to them."""
    registry = ModelRegistry(auto_emit=False)
    registry.load(MODELS)
    spans = [span for span in make_spans(registry) if keeps_scope or span.instrumentation_scope.name == "app"]  # type: ignore[union-attr]
    path = tmp_path / "spans.json"
    path.write_text(write(spans))
    printed = run_here(capsys, "resolve", "--span", path, "--file", MODELS, "--format", "json")
    data = json.loads(printed.out)
    assert (printed.code, printed.err) == (0, "")
    assert (data["spans"], data["copied"]) == (len(spans), {"db.system.name": 1})
    expected = [ours(span.attributes or {}) for span in spans]
    added = [group["added"] for group in data["groups"] for _ in range(group["count"])]
    naming = [json.loads(json.dumps(each)) for each in expected if each]
    assert sorted(map(json.dumps, added)) == sorted(map(json.dumps, naming))
    assert {group["service"] for group in data["groups"]} == {service}
    assert fits_terminal(run_here(capsys, "resolve", "--span", path, "--file", MODELS).out)


def test_the_words_of_a_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The text shows which attributes name the model, which one counts, what is added, and what would help."""
    spans = [
        {"gen_ai.request.model": "support-chat", "gen_ai.response.model": "acme-chat-2", "llm.provider": "openai"},
        {"gen_ai.request.model": "acme-chat-3", "gen_ai.operation.name": "execute_tool"},
        {"gen_ai.request.model": "acme-chat-2", "db.system": "redis"},
    ]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(spans).encode())))
    printed = run_here(capsys, "resolve", "--span", "-", "--file", MODELS)
    assert (printed.code, printed.err) == (1, "")
    assert fits_terminal(printed.out)
    text = " ".join(printed.out.split())
    for fact in (
        "acme-chat-2 active Span kind a call of the model provider openai, in llm.provider",
        "gen_ai.response.model acme-chat-2, the response model: acme-chat-2, by the rule id; this one counts",
        "gen_ai.request.model support-chat, the request model: acme-chat-1, by the rule alias",
        "model_registry.requested_model_id acme-chat-1",
        "acme-chat-3 unregistered Span kind no call: a tool, a retrieval or the like provider not named",
        "call it 'acme-chat-2', if 'acme-chat-3' is misspelt",
        "3 spans; 2 of them name a model 1 span has a copied model name, which is ignored because of db.system",
    ):
        assert fact in text


def test_settings_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A key, attributes and a policy of the settings apply as in the processor."""
    path = tmp_path / "span.json"
    path.write_text('{"my.model": "acme-chat-2", "n.x": 1}{"my.model": "nope", "n.x": 1}')
    none = run_here(capsys, "resolve", "--span", path, "--file", MODELS)
    assert (none.code, none.out.splitlines()[0]) == (1, "2 spans; none names a model")
    assert "OTEL_PYTHON_MODEL_REGISTRY_MODEL_ATTRIBUTES" in none.out
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_MODEL_ATTRIBUTES", "my.model")
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_SPAN_ATTRIBUTES", "contact,matched_by")
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_UNREGISTERED", "ignore")
    printed = run_here(capsys, "resolve", "--span", path, "--file", MODELS, "--format", "json")
    groups: list[dict[str, Any]] = json.loads(printed.out)["groups"]
    contact = {"model_registry.contact": "#chat-team", "model_registry.matched_by": "my.model"}
    assert [group["added"] for group in groups] == [contact, {}]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no span; pass a span, a trace or telemetry as JSON"),
        (b'{"resourceMetrics": [{"metrics": [{"attributes": [{"key": "a.b", "value": {}}]}]}]}', "has no span; pass"),
        (b'{"a": ' * 100_000, "has no span; pass"),
        (b"\x89PNG\r\n\x1a\n\0\0", "has no OTLP request; it seems to be a picture; pass a span"),
        (b"[" * 100_000, "has no OTLP request; it seems to be JSON of another kind; pass a span"),
    ],
)
def test_a_file_without_spans(content: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says that there is no span, and what to pass."""
    path = tmp_path / "file"
    path.write_bytes(content)
    printed = run_here(capsys, "resolve", "--span", path, "--file", MODELS)
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.startswith(f"spanforge-models: {path}: {reason}")
    assert printed.err.count("\n") == 1


def test_names_and_spans_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """A span has its own names and its own provider."""
    for arguments in (["x"], ["--provider", "openai"]):
        printed = run_here(capsys, "resolve", "--span", "-", *arguments, "--file", MODELS)
        line = "--span takes names and providers from the spans; pass no NAME and no --provider"
        assert printed == (2, "", f"spanforge-models: {line}\n")


FIELD_CASES: list[tuple[list[dict[str, Any]], dict[str, Any], str | None, str]] = [
    (
        [{"model_id": "gpt-4o", "metadata": {"aliases": ["gpt-4o-*"]}}, {"model_id": "gpt-4o-mini"}],
        {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.model": "gpt-4o-mini-2024-07-18"},
        "gpt-4o-mini",
        "call",
    ),
    ([{"model_id": "gpt-4o"}], {"db.system.name": "postgresql", "gen_ai.request.model": "gpt-4o"}, None, ""),
    (
        [{"model_id": "gpt-4o-mini", "status": "retired"}],
        {"traceloop.span.kind": "agent", "gen_ai.request.model": "gpt-4o-mini"},
        "gpt-4o-mini",
        "agent",
    ),
    (
        [{"model_id": "gemini-2.5-flash", "metadata": {"provider": "gcp.gemini"}}],
        {"gen_ai.provider.name": "google", "gen_ai.request.model": "gemini-2.5-flash"},
        "gemini-2.5-flash",
        "call",
    ),
    (
        [{"model_id": "gpt-4o", "metadata": {"provider": "openai"}}],
        {"gen_ai.system": "strands-agents", "gen_ai.request.model": "gpt-4o"},
        "gpt-4o",
        "call",
    ),
    (
        [{"model_id": "gemini-2.5-pro"}],
        {"gen_ai.request.model": "projects/p1/locations/us-central1/publishers/google/models/gemini-2.5-pro"},
        "gemini-2.5-pro",
        "call",
    ),
    (
        [{"model_id": "gpt-4o-mini"}],
        {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.llm.model": '"gpt-4o-mini"'},
        "gpt-4o-mini",
        "call",
    ),
    (
        [{"model_id": "house-7b"}],
        {"gen_ai.request.model": "unknown", "traceloop.association.properties.ls_model_name": "house-7b"},
        "house-7b",
        "call",
    ),
]


@pytest.mark.parametrize(("entries", "attributes", "model_id", "kind"), FIELD_CASES)
def test_spans_from_the_field(  # noqa: PLR0913 - a row of the table
    entries: list[dict[str, Any]],
    attributes: dict[str, Any],
    model_id: str | None,
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Spans that other tools misjudge have the right entry and kind, and a copied name has none."""
    registry, path = tmp_path / "models.json", tmp_path / "span.json"
    registry.write_text(json.dumps([{**FIELDS, **each} for each in entries]))
    path.write_text(json.dumps(attributes))
    printed = run_here(capsys, "resolve", "--span", path, "--file", registry, "--format", "json")
    groups = json.loads(printed.out)["groups"]
    assert [(group["model_id"], group["kind"]) for group in groups] == ([(model_id, kind)] if kind else [])
    assert printed.code == (not kind)
