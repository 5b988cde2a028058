"""The enrichment that is rendered for the Collector is the span processor's, span by span."""

from __future__ import annotations

import itertools
import json
import random
import textwrap
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.collector import render_lookup, render_transform
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.resolution import CONVENTIONS, MAX_GLOBBED, MAX_JSON, PROVIDER_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from conftest import Server

pytestmark = pytest.mark.e2e

Attributes = dict[str, Any]
ARRIVES = 60

EVERYTHING = """
    exporters:
      file/everything:
        path: {file}
        rotation: {{}}
    service:
      pipelines:
        traces/all:
          exporters: [file/everything, forward/archive, forward/events, forward/sampled, forward/metrics]
"""
"""What follows the enrichment in the users' configuration, replaced by a file that keeps every span as it is then."""

PROVIDERS = ("openai", "azure", "acme/eu", "$1 ${env:HOME}", "0", "?", "nobody", "")
ODD = (
    "${env:HOME}",
    "$$",
    "\\1 \\U0001f600 \\",
    "\"it's\"",
    "l1\nl2\r\t",
    "😀 \u2028\u0085\ufeff\u200b",
    "a: b # c",
    " x ",
    "-",
    "{{x}}",
    "'",
    "0:gpt-4o",
)


def corpus() -> ModelRegistry:
    """Return a registry in which ids, aliases, globs and providers stand in each other's way."""
    registry = ModelRegistry(auto_emit=False)

    def register(model_id: str, *aliases: str, provider: str | None = None, owner: str = "ml") -> None:
        number = len(registry)
        tier = ("low", "medium", "high", "critical")[number % 4]
        registry.register(
            model_id, f"Model {number}", f"v{number}", tier, owner, "x", aliases=aliases, provider=provider
        )

    register("gpt-4o", "support", "gpt-4o-*", provider="openai")
    register("openai/o1", "reason/er", "?/gpt")
    register("o1", "shared", "shared2", "o1-mini")
    register("azure/gpt-4o", "shared", "gpt-4o-2024*", provider="azure")
    register("o3", "shared", "azure/o?", provider="azure")
    register("acme/eu/m", "eu/m2", "acme/eu/*x")
    register("m", "azure/m", provider="acme/eu")
    register("$1 ${env:HOME}/d", "*${env:HOME}*")
    register("claude", "claude-[0-9]", "[!a]laude-x", "cl[]]ude", "cl[^x]de", "a.b*c", "exact-[", "l?\n*")
    register("long", "L*", "M" + "?" * 255)
    register("openai/p", provider="azure")
    register("p", "q*", provider="openai")
    register("any", "*-any-*-*")
    for number, text in enumerate(ODD):
        register(text, f"alias {text}", f"glob {text.replace('[', '')}*", owner=f"owner {text}")
        if number % 3 == 0:
            register(f"limited {text}", text, provider=text)
    registry.deprecate("o1")
    registry.retire("azure/gpt-4o")
    registry.deprecate("${env:HOME}")
    return registry


def names_of(registry: ModelRegistry) -> list[str]:
    """Return names that may or may not be those of an entry."""
    exact = [name for entry in registry for name in (entry.model_id, *entry.aliases)]
    parts = [name[slash + 1 :] for name in exact for slash, char in enumerate(name) if char == "/"]
    matching = [name.replace("*", "2024").replace("?", "3") for name in exact]
    return list(
        dict.fromkeys(
            [*exact, *parts, *matching, "gpt-4o-mini", "claude-3", "claude-33", "blaude-x", "alaude-x", "cl]ude", "a.bXc"]
            + ["axbc", "clyde", "cl^de", "l1\n2", "unknown", "GPT-4o", " gpt-4o", "gpt-4o\n", "qx", "is-any-of-them"]
            + ["L" * MAX_GLOBBED, "L" * (MAX_GLOBBED + 1), "Lö" * (MAX_GLOBBED // 2), "Lö" * (MAX_GLOBBED // 2) + "ö"]
            + ["x" * 256, "x" * 257, "ö" * 300, "M" + "ü" * 255]
        )
    )


def spans_of(registry: ModelRegistry) -> list[tuple[str, Attributes]]:
    """Return scope and attributes of spans of all kinds."""
    names, dice = names_of(registry), random.Random(6)
    found: list[tuple[str, Attributes]] = []

    def add(*scopes: str, **attributes: Any) -> None:
        found.extend((scope, attributes) for scope in scopes or ("app",))

    for name in names:
        for provider in (None, *PROVIDERS):
            add(**{"gen_ai.request.model": name} | ({} if provider is None else {"gen_ai.system": provider}))
    for row, name in itertools.product(CONVENTIONS, ("gpt-4o", "support", "o1", "gpt-4o-1", "unknown", "")):
        value = name if row.member is None else json.dumps({"temperature": 1, row.member: name, "x": [name]})
        add("app", "pydantic-ai", **{row.key: value})
        add("pydantic-ai", **{row.key: value, "gen_ai.provider.name": "azure", "llm.system": "openai"})
    for key, provider in itertools.product(PROVIDER_KEYS, ("openai", "azure", "", 7)):
        add(**{"llm.model_name": "gpt-4o", key: provider})
        add(**{"llm.model_name": "gpt-4o", key: provider, "llm.system": "openai"})
    for value in (7, True, 1.5, ["gpt-4o"], [], [1], ""):
        add(**{"gen_ai.response.model": value})
        add(**{"gen_ai.response.model": value, "gen_ai.request.model": "gpt-4o"})
        add(**{"gen_ai.system": value, "gen_ai.request.model": "gpt-4o"})
        add(**{"llm.invocation_parameters": value})
    for text in (
        "{",
        "[]",
        "null",
        '"gpt-4o"',
        '{"model": null}',
        '{"model": 7}',
        '{"model": {"model": "o1"}}',
        '{"model": ["o1"]}',
        '{"model": "o1"} ',
        '{"model": "\\u006f1"}',
        '{"model": "o1", "x": "' + "x" * (MAX_JSON - 23) + '"}',
        '{"model": "o1", "x": "' + "x" * (MAX_JSON - 22) + '"}',
    ):
        add(**{"llm.invocation_parameters": text})
        add(**{"embedding.invocation_parameters": text, "llm.invocation_parameters": '{"model": "unknown"}'})
    forged = {"model_registry.owner": "mallory", "model_registry.version": "9", "model_registry.x": True}
    add(**forged)
    add(**forged, **{"gen_ai.request.model": "gpt-4o"})
    add(**forged, **{"gen_ai.request.model": "unknown"})
    add(**forged, **{"gen_ai.request.model": ""})
    add(**{"http.method": "GET"})
    add()
    keys = [row.key for row in CONVENTIONS]
    for _ in range(4_000):
        attributes: Attributes = {}
        for key in dice.sample(keys, dice.randint(1, 6)):
            name = dice.choice(names)
            attributes[key] = json.dumps({"model": name}) if key.endswith("parameters") else name
        for key in dice.sample(PROVIDER_KEYS, dice.randint(0, 2)):
            attributes[key] = dice.choice(PROVIDERS)
        add(dice.choice(("app", "pydantic-ai")), **attributes)
    return found


def made(processors: Iterable[Any], spans: Sequence[tuple[str, Attributes]]) -> tuple[ReadableSpan, ...]:
    """Return spans as the SDK makes them."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for number, (scope, attributes) in enumerate(spans):
        provider.get_tracer(scope).start_span(str(number), attributes=attributes).end()
    provider.shutdown()
    return kept.get_finished_spans()


def value_of(value: dict[str, Any]) -> Any:
    """Return a value of OTLP's JSON as the SDK has it."""
    if "arrayValue" in value:
        return tuple(map(value_of, value["arrayValue"].get("values", [])))
    ((kind, plain),) = value.items()
    return int(plain) if kind == "intValue" else plain


def enriched(run_server: Callable[..., Server], folder: Path, config: Path, spans: Sequence[ReadableSpan]) -> list[Attributes]:
    """Return what a Collector with this further configuration makes of spans, in their order."""
    file, everything = folder / "everything.jsonl", folder / "everything.yaml"
    everything.write_text(textwrap.dedent(EVERYTHING.format(file=file)))
    collector = run_server("otelcol", config, everything)
    exporter = OTLPSpanExporter(endpoint=f"http://{collector.at['OTELCOL_OTLP_HTTP']}/v1/traces")
    for start in range(0, len(spans), 500):
        assert exporter.export(spans[start : start + 500]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    collector.stop()
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    found = {
        int(span["name"]): {
            item["key"]: value_of(item["value"])
            for item in span.get("attributes", [])
            if item["key"] != "otelcol.names_model"
        }
        for line in lines
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }
    return [found[number] for number in range(len(spans))]


@pytest.mark.parametrize("where", ["inline", "file"])
def test_every_span_gets_what_the_processor_sets(run_server: Callable[..., Server], tmp_path: Path, where: str) -> None:
    """Over every convention, provider, alias and glob, the Collector sets what the span processor sets."""
    registry = corpus()
    spans = spans_of(registry)
    lookup = None if where == "inline" else tmp_path / "lookup.yaml"
    config = tmp_path / "registry.yaml"
    config.write_text(render_transform(registry, lookup_file=lookup), "utf-8")
    if lookup is not None:
        lookup.write_text(render_lookup(registry), "utf-8")
    expected = [dict(span.attributes or {}) for span in made([ModelRegistrySpanProcessor(registry)], spans)]
    found = enriched(run_server, tmp_path, config, made([], spans))
    different = [
        (scope, attributes, {key: (there.get(key), here.get(key)) for key in there.keys() | here.keys() if there.get(key) != here.get(key)})
        for (scope, attributes), there, here in zip(spans, found, expected, strict=True)
        if there != here
    ]
    assert len(spans) > 5_000
    for item in different[:40]: print(str(item)[:600])
    print(len(different), len(spans))
    assert not different
