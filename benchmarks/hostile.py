"""Evidence from hostile input, compared with ordinary input: processor time per byte.

As a program, this module prints the cost of each kind of input: ``python -m benchmarks.hostile BYTES``.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.archive import START
from benchmarks.comparison import Comparison
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from benchmarks.comparison import Sizes

_PERIOD: Final = "2026-03-01", "2026-04-01"
_SPANS: Final = 50
"""Spans of one request, for most kinds."""
_CALL: Final = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.provider.name": "openai"}
_ENRICHED: Final = {"model_registry.model_id": "gpt-4o", "model_registry.status": "active"}
_EVENT: Final = "gen_ai.client.inference.operation.details"


def _value(value: object) -> dict[str, Any]:
    return {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}


def _attributes(values: Mapping[str, object]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _ids(number: int) -> dict[str, Any]:
    mixed = number * 0x9E3779B97F4A7C15 % 2**64
    at = START + number * 1_000_000
    return {
        "traceId": f"{mixed:016x}{number:016x}",
        "spanId": f"{mixed:016x}",
        "startTimeUnixNano": str(at),
        "endTimeUnixNano": str(at + 1_000_000),
    }


def _span(number: int, attributes: Mapping[str, object], **members: object) -> dict[str, Any]:
    """Return a small span: ids, times, and these attributes."""
    return _ids(number) | {"attributes": _attributes(attributes)} | members


def _ordinary(number: int) -> dict[str, Any]:
    """Return a span as instrumentations write it and the processor enriches it."""
    usage = {"gen_ai.usage.input_tokens": number, "gen_ai.usage.output_tokens": 9, "server.address": "api.openai.com"}
    facts = {"gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": f"chatcmpl-{number:x}"}
    enriched = _ENRICHED | {"model_registry.owner": "ml", "model_registry.risk_tier": "low"}
    members = {"parentSpanId": "", "flags": 256, "name": "chat gpt-4o", "kind": 3, "status": {}}
    return _span(number, {**_CALL, **facts, **usage, **enriched}, **members)


def _named(number: int, name: str) -> dict[str, Any]:
    return _span(number, {"gen_ai.request.model": name})


def _scope(spans: Iterable[object], scope: str = "s") -> dict[str, Any]:
    return {"scope": {"name": scope}, "spans": list(spans)}


def _resource(scopes: Iterable[object], service: str = "api") -> dict[str, Any]:
    return {"resource": {"attributes": _attributes({"service.name": service})}, "scopeSpans": list(scopes)}


def _request(*resources: object) -> bytes:
    return json.dumps({"resourceSpans": resources}, separators=(",", ":")).encode() + b"\n"


def _lines(span: Callable[[int], object], spans: int = _SPANS) -> Iterator[bytes]:
    """Yield requests of one resource and one scope without end."""
    for first in itertools.count(0, spans):
        yield _request(_resource([_scope(map(span, range(first, first + spans)))]))


def _resources(resource: Callable[[int], object]) -> Iterator[bytes]:
    """Yield requests of many resources without end."""
    for first in itertools.count(0, _SPANS):
        yield _request(*map(resource, range(first, first + _SPANS)))


def _scopes(scope: Callable[[int], object]) -> Iterator[bytes]:
    """Yield requests of one resource with many scopes without end."""
    for first in itertools.count(0, _SPANS):
        yield _request(_resource(map(scope, range(first, first + _SPANS))))


def _logs(record: Callable[[int], object]) -> Iterator[bytes]:
    """Yield requests of log records without end."""
    for first in itertools.count(0, _SPANS):
        scope = {"scope": {"name": "s"}, "logRecords": list(map(record, range(first, first + _SPANS)))}
        resource = {"resource": {"attributes": _attributes({"service.name": "api"})}, "scopeLogs": [scope]}
        yield json.dumps({"resourceLogs": [resource]}, separators=(",", ":")).encode() + b"\n"


def _record(number: int, name: str) -> dict[str, Any]:
    """Return a log record that reports a call."""
    ids = _ids(number)
    at, span = ids["startTimeUnixNano"], {key: ids[key] for key in ("traceId", "spanId")}
    return {"eventName": _EVENT, "timeUnixNano": at, **span, "attributes": _attributes({"gen_ai.request.model": name})}


def _repeat(number: int) -> dict[str, Any]:
    """Return a span that has one attribute many times, each time with another value."""
    names = [_attributes({"gen_ai.request.model": f"m{number}-{each}"})[0] for each in range(20)]
    return _span(number, {}) | {"attributes": names}


def _deep(number: int) -> dict[str, Any]:
    value: object = {"stringValue": "x"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    return _span(number, _CALL) | {"attributes": [{"key": "gen_ai.request.model", "value": value}]}


def _lifecycle(number: int) -> dict[str, Any]:
    texts = {"model_id": f"m{number}", "status": "no such status", "deployment_date": f"2026-99-{number}"}
    attributes = _attributes({f"model_registry.{key}": text for key, text in texts.items()})
    event = {"name": "model_registry.registered", "timeUnixNano": _ids(number)["startTimeUnixNano"]}
    return _span(number, {}, events=[event | {"attributes": attributes}])


def _copy(number: int) -> dict[str, Any]:
    """Return copies of a few spans, each of which names another model."""
    return _named(number, f"m{number}") | {key: _ids(number // 50)[key] for key in ("traceId", "spanId")}


def _many_keys(number: int) -> dict[str, Any]:
    return _span(number, {f"k{number}": "x"})


_GPT: Final = {"gen_ai.request.model": "gpt-4o"}
_ODD: Final = "a/b-c/{}-v1:0@latest-2024-01-01"

ORDINARY: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "ordinary": lambda: _lines(_ordinary),
    "ordinary, one span a line": lambda: _lines(_ordinary, 1),
}
HOSTILE: Final[Mapping[str, Callable[[], Iterator[bytes]]]] = {
    "small spans": lambda: _lines(lambda n: _span(n, _CALL)),
    "small documents": lambda: _lines(lambda n: _span(n, _GPT), 1),
    "scopes": lambda: _scopes(lambda n: _scope([_span(n, _GPT)], f"s{n}")),
    "services": lambda: _resources(lambda n: _resource([_scope([_span(n, _GPT)])], f"s{n}")),
    "model names": lambda: _lines(lambda n: _named(n, f"m{n}")),
    "odd model names": lambda: _lines(lambda n: _named(n, _ODD.format(n))),
    "forms of a model": lambda: _lines(lambda n: _named(n, f"openai/gpt-4o-{n:032b}-2024-08-06")),
    "names of a glob": lambda: _lines(lambda n: _named(n, f"glob-{n}")),
    "response models": lambda: _lines(lambda n: _span(n, {**_GPT, "gen_ai.response.model": f"m{n}"})),
    "services and model names": lambda: _resources(lambda n: _resource([_scope([_named(n, f"m{n}")])], f"s{n}")),
    "copies that differ": lambda: _lines(_copy),
    "repeated attributes": lambda: _lines(_repeat),
    "attribute keys": lambda: _lines(_many_keys),
    "deep nesting": lambda: _lines(_deep),
    "long texts": lambda: _lines(lambda n: _named(n, f"{n}" + "x" * 50_000), 10),
    "escapes": lambda: _lines(lambda n: _named(n, f"{n}" + '"\\\u2028\x01' * 20)),
    "wrong types": lambda: _lines(lambda n: _span(n, {}) | {"attributes": 5}),
    "bad times": lambda: _lines(lambda n: _span(n, _CALL, startTimeUnixNano="-1")),
    "bad ids": lambda: _lines(lambda n: _span(n, _CALL, spanId="x")),
    "times of all years": lambda: _lines(lambda n: _span(n, _CALL, startTimeUnixNano=str(1 + n * 10**14))),
    "claims": lambda: _lines(lambda n: _span(n, {"model_registry.status": f"s{n}"})),
    "log records": lambda: _logs(lambda n: _record(n, f"m{n}")),
    "lifecycle events": lambda: _lines(_lifecycle),
}
"""Inputs that may take more time for their bytes than ordinary ones."""
KINDS: Final = {**ORDINARY, **HOSTILE}


def write_kind(folder: str, name: str, size: int) -> Path:
    """Write requests of one kind to a file of about this many bytes."""
    path = Path(folder, f"{name}.jsonl")
    with path.open("wb") as file:
        for line in KINDS[name]():
            if file.tell() >= size:
                break
            file.write(line)
    return path


def make_engine() -> ComplianceMappingEngine:
    """Return an engine with a few models, aliases and globs."""
    registry = ModelRegistry(auto_emit=False)
    for name in ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4", "glob"):
        aliases = ["glob-*"] if name == "glob" else [f"{name}-2*"]
        registry.register(name, name, "1", "low", "ml", "p", deployment_date="2025-01-01", aliases=aliases)
    return ComplianceMappingEngine(registry)


def measure(engine: ComplianceMappingEngine, path: Path) -> float:
    """Return the nanoseconds of processor time that evidence from a file takes for each byte."""
    begin = time.process_time_ns()
    engine.generate_evidence_package(None, "soc2", *_PERIOD, telemetry=[str(path)])
    return (time.process_time_ns() - begin) / path.stat().st_size


def compare(sizes: Sizes) -> Comparison:
    """Return the comparison of the most expensive kind of hostile input with ordinary input."""
    engine = make_engine()
    paths = {name: write_kind(sizes.folder, name, sizes.hostile) for name in KINDS}
    measure(engine, paths["ordinary"])  # the first time imports modules
    worst: list[str] = []

    def measure_hostile() -> float:
        costs = {name: measure(engine, paths[name]) for name in HOSTILE}
        worst.append(max(costs, key=lambda name: costs[name]))
        return costs[worst[-1]]

    candidates = {"ordinary": functools.partial(measure, engine, paths["ordinary"]), "hostile": measure_hostile}
    return Comparison(
        candidates, lambda cost: cost["hostile"] / cost["ordinary"], remark=lambda: f"most expensive: {worst[-1]}"
    )


def main(size: str = "4000000") -> None:
    """Print the cost of each kind, the least of three, for files of this many bytes."""
    engine = make_engine()
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: write_kind(folder, name, int(size)) for name in KINDS}
        costs = {name: min(measure(engine, path) for _ in range(3)) for name, path in paths.items()}
    for name, cost in costs.items():
        print(f"{name:28}{cost:8.1f} ns per byte{cost / costs['ordinary']:8.1f} x ordinary")


if __name__ == "__main__":
    main(*sys.argv[1:])
