"""The registry alone: registering, saving and loading many models."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from benchmarks.comparison import Comparison
from benchmarks.harness import seconds
from benchmarks.models import as_registered, loggers, registry_of
from benchmarks.spans import Empty
from spanforge.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.comparison import Sizes


def register(sizes: Sizes) -> Comparison:
    """Compare registering in a large registry and in a smaller one, with events as both signals."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Empty())
    records = loggers()

    def candidate(number: int) -> Callable[[], float]:
        found = list(as_registered(number))

        def cost() -> float:
            registry = registry_of(found, tracer_provider=provider, logger_provider=records)
            return seconds(lambda: _register(registry, sizes.registered)) / sizes.registered * 1e6

        return cost

    candidates = {"large": candidate(sizes.models), "smaller": candidate(sizes.some)}
    return Comparison(candidates, lambda cost: cost["large"] / cost["smaller"])


def _register(registry: ModelRegistry, number: int) -> None:
    for i in range(number):
        registry.register(f"new-{i}", "GPT-4o", "2024-08-06", "high", "ml-platform", "customer support agent")


def save(sizes: Sizes) -> Comparison:
    """Compare saving a large registry with ``json.dumps`` of plain dicts and ``fsync``."""
    registry = registry_of(as_registered(sizes.models))
    plain = [entry.to_dict() for entry in registry]
    path, dumped = (os.path.join(sizes.folder, name) for name in ("saved.json", "dumped.json"))

    def dump() -> None:
        with open(dumped, "w", encoding="utf-8") as file:
            file.write(json.dumps(plain))
            file.flush()
            os.fsync(file.fileno())

    candidates = {"ours": lambda: seconds(lambda: registry.save(path)) * 1e3, "json": lambda: seconds(dump) * 1e3}
    return Comparison(candidates, _to_json)


def load(sizes: Sizes) -> Comparison:
    """Compare loading a large file into a new registry with ``json.loads`` of its content."""
    path = os.path.join(sizes.folder, "loaded.json")
    registry_of(as_registered(sizes.models)).save(path)
    with open(path, "rb") as file:
        content = file.read()

    def ours() -> ModelRegistry:
        registry = ModelRegistry()
        registry.load(path)
        return registry

    candidates = {"ours": lambda: seconds(ours) * 1e3, "json": lambda: seconds(lambda: json.loads(content)) * 1e3}
    return Comparison(candidates, _to_json)


def _to_json(cost: Mapping[str, float]) -> float:
    return cost["ours"] / cost["json"]
