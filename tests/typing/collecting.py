"""A job that writes the enrichment of the OpenTelemetry Collector."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import assert_type

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.collector import render_lookup, render_transform

registry = ModelRegistry(auto_emit=False)
assert_type(render_transform(registry, lookup_file=Path("lookup.yaml"), match="forms"), str)
assert_type(render_lookup(registry, span_attributes=("contact",)), str)

render_transform("models.json")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
render_lookup(registry, "forms")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
