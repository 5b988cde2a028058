"""The table of benchmarks. A name on several rows runs all of them."""

from __future__ import annotations

from typing import Final

from benchmarks import checks, collector, command_line, evidence, hostile, imports, registry, reload, spans, threads
from benchmarks.comparison import Benchmark

BENCHMARKS: Final = (
    Benchmark(
        "span-llm",
        "LLM span, model set at start / with an empty processor",
        "<= 1.12",
        "µs per span",
        spans.whole("start"),
    ),
    Benchmark(
        "span-llm", "LLM span, model set later / with an empty processor", "<= 1.12", "µs per span", spans.whole("late")
    ),
    Benchmark(
        "baggage",
        "time added by enrichment, model set at start / by the baggage processor",
        "<= 0.15",
        "µs per span",
        spans.added("start"),
    ),
    Benchmark(
        "baggage",
        "time added by enrichment, model set later / by the baggage processor",
        "<= 0.15",
        "µs per span",
        spans.added("late"),
    ),
    Benchmark(
        "span-other", "span without a model / with an empty processor", "<= 1.02", "µs per span", spans.whole("other")
    ),
    Benchmark(
        "names",
        "LLM spans with 5,000 names in rotation / with an empty processor",
        "<= 1.6",
        "µs per span",
        spans.whole("turn"),
    ),
    Benchmark(
        "names",
        "LLM spans with names never seen before / with an empty processor",
        "<= 1.4",
        "µs per span",
        spans.whole("new"),
    ),
    Benchmark(
        "names",
        "LLM spans with names never seen before, 2,000 globs in the registry / none",
        "<= 3",
        "µs per span",
        spans.many_globs,
    ),
    Benchmark(
        "names",
        "LLM spans with names never seen before, 100,000 globs in the registry / none",
        "<= 3",
        "µs per span",
        spans.very_many_globs,
    ),
    Benchmark(
        "deprecated",
        "LLM span of a deprecated model / with an empty processor",
        "<= 1.12",
        "µs per span",
        spans.deprecated,
    ),
    Benchmark(
        "models", "LLM span with 100,000 models registered / with 10", "<= 1.02", "µs per span", spans.many_models
    ),
    Benchmark(
        "sampler",
        "span under the sampler `model_registry` / under `parentbased_traceidratio`",
        "<= 1.03",
        "µs per span",
        spans.sampled,
    ),
    Benchmark(
        "threads",
        "throughput of 8 threads while another registers 1,000 models a second / with an empty processor",
        ">= 0.82",
        "spans per second",
        threads.one_name,
    ),
    Benchmark(
        "threads",
        "the same throughput with 100,000 random names / with an empty processor",
        ">= 0.70",
        "spans per second",
        threads.random_names,
    ),
    Benchmark("register", "`register` with 100,000 models / with 1,000", "<= 1.2", "µs", registry.register),
    Benchmark(
        "save", "`save` of 100,000 models / `json.dumps` of plain dicts and fsync", "<= 0.25", "ms", registry.save
    ),
    Benchmark("load", "`load` of 100,000 models / bare `json.loads`", "<= 1.0", "ms", registry.load),
    Benchmark(
        "reload",
        "longest stall of another thread during a reload of 10,000 models in JSON / 50 ms",
        "<= 1.0",
        "ms",
        reload.good(".json", large=False),
    ),
    Benchmark(
        "reload",
        "longest stall of another thread during a reload of 10,000 models in YAML / 50 ms",
        "<= 1.0",
        "ms",
        reload.good(".yaml", large=False),
    ),
    Benchmark(
        "reload",
        "longest stall of another thread during a reload of 100,000 models in JSON / 50 ms",
        "<= 1.0",
        "ms",
        reload.good(".json", large=True),
    ),
    Benchmark(
        "reload",
        "longest stall of another thread by the worst kind of bad file of 30 MB / 50 ms",
        "<= 1.0",
        "ms",
        reload.bad,
    ),
    Benchmark("reload", "memory for `load` of 100,000 models / the size of the file", "<= 10", "MB", reload.memory),
    Benchmark("check", "`check` of 10,000 models in JSON / `load`", "<= 3", "ms", checks.against_load("json")),
    Benchmark("check", "`check` of 10,000 models in YAML / `load`", "<= 3", "ms", checks.against_load("yaml")),
    Benchmark(
        "import",
        "`import spanforge.model_registry` / `import opentelemetry.sdk.trace`",
        "<= 0.9",
        "ms",
        imports.comparison,
    ),
    Benchmark(
        "help",
        "`spanforge-models --help` / the help of an empty typer program",
        "<= 2",
        "ms",
        command_line.comparison,
    ),
    Benchmark(
        "collector",
        "Collector: time added by enrichment with 5,000 models / with 10",
        "<= 1.3",
        "µs per span",
        collector.many_models,
        collector.unavailable,
    ),
    Benchmark(
        "collector",
        "Collector: time added by enrichment with 1,000 models / by one statement per model",
        "<= 0.1",
        "µs per span",
        collector.statements,
        collector.unavailable,
    ),
    Benchmark(
        "evidence",
        "evidence from 2,000,000 spans / decoding them into typed structs with msgspec",
        "<= 1.5",
        "s",
        evidence.against("typed"),
        evidence.unavailable,
    ),
    Benchmark(
        "evidence",
        "evidence from 2,000,000 spans / decoding them into dicts and lists",
        "<= 1.5",
        "s",
        evidence.against("untyped"),
        evidence.unavailable,
    ),
    Benchmark(
        "hostile",
        "evidence from the most expensive kind of hostile input / from ordinary input",
        "<= 2",
        "ns per byte",
        hostile.compare,
    ),
)
NAMES: Final = tuple(dict.fromkeys(row.name for row in BENCHMARKS))
