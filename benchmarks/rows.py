"""The benchmarks: a row each. A name that stands on several rows runs them all."""

from __future__ import annotations

from typing import Final

from benchmarks import collector, evidence, imports, registry, spans, threads
from benchmarks.contest import Row

ROWS: Final = (
    Row("span-llm", "LLM span, model at start: whole span / empty", "<= 1.12", "µs a span", spans.whole("start")),
    Row("span-llm", "LLM span, model set later: whole span / empty", "<= 1.12", "µs a span", spans.whole("late")),
    Row("baggage", "what enrichment adds / what baggage adds", "<= 0.15", "µs a span", spans.added("start")),
    Row("baggage", "the same, model set later", "<= 0.15", "µs a span", spans.added("late")),
    Row("span-other", "span without a model / empty", "<= 1.02", "µs a span", spans.whole("other")),
    Row("models", "LLM span, 100,000 models / 10", "<= 1.02", "µs a span", spans.many_models),
    Row(
        "sampler",
        "span under the sampler `model_registry` / under `parentbased_traceidratio`",
        "<= 1.03",
        "µs a span",
        spans.sampled,
    ),
    Row(
        "threads",
        "8 threads ending spans, one registering 1,000 a second: throughput / empty",
        ">= 0.82",
        "spans a second",
        threads.contest,
    ),
    Row("register", "`register` at 100,000 models / at 1,000", "<= 1.2", "µs", registry.register),
    Row("save", "`save` of 100,000 models / `json.dumps` of plain dicts and fsync", "<= 0.25", "ms", registry.save),
    Row("load", "`load` of 100,000 models / bare `json.loads`", "<= 1.0", "ms", registry.load),
    Row(
        "import",
        "`import spanforge.model_registry` / `import opentelemetry.sdk.trace`",
        "<= 0.9",
        "ms",
        imports.contest,
    ),
    Row(
        "collector",
        "the Collector, 5,000 models: what enrichment adds / at 10",
        "<= 1.3",
        "µs a span",
        collector.many_models,
        collector.unavailable,
    ),
    Row(
        "collector",
        "the Collector, 1,000 models: what enrichment adds / a statement a model",
        "<= 0.1",
        "µs a span",
        collector.statements,
        collector.unavailable,
    ),
    Row(
        "evidence",
        "evidence about 2,000,000 spans / only decoding them with msgspec, typed",
        "<= 1.5",
        "s",
        evidence.against("typed"),
        evidence.unavailable,
    ),
    Row(
        "evidence",
        "the same / decoding them into dicts and lists",
        "<= 1.5",
        "s",
        evidence.against("untyped"),
        evidence.unavailable,
    ),
)
NAMES: Final = tuple(dict.fromkeys(row.name for row in ROWS))
