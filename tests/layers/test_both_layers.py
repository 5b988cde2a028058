"""The entries in force of both layers together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.layers import filed, found, register, shown

import spanforge.model_registry as package
from spanforge.model_registry import (
    ModelRegistry,
    ModelRegistryEntry,
    RegistryFileError,
)
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def test_invalid_file_changes_nothing(layers: LayeredRegistry, tmp_path: Path) -> None:
    """A load that fails, or files that cannot be read to their end, change nothing."""

    def broken() -> Iterator[ModelRegistryEntry]:
        yield filed("b")
        raise RegistryFileError("models.json", "cannot be read")

    replace_file_entries(layers, [filed()])
    register(layers, "c")
    layers.retire("a")
    before = layers.list_all()
    (tmp_path / "models.json").write_text("[{}]")
    with pytest.raises(RegistryFileError):
        layers.load(tmp_path / "models.json")
    with pytest.raises(RegistryFileError):
        replace_file_entries(layers, broken())
    assert register(layers) is found(layers)
    assert all(entry is old for entry, old in zip(layers, before, strict=True))
    replace_file_entries(layers, [filed()])
    assert shown(layers) == [("a", "file", "retired"), ("c", "code", "active")]


def test_spans_show_the_entry_in_force(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """The processor uses each load and each operation at once."""
    layers = LayeredRegistry(auto_emit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor(layers))
    tracer = provider.get_tracer("app")
    steps: list[Callable[[], object]] = [
        lambda: register(layers),
        lambda: replace_file_entries(layers, [filed()]),
        lambda: layers.deprecate("a"),
        lambda: replace_file_entries(layers, [filed(owner="new")]),
        lambda: replace_file_entries(layers, []),
        layers.clear,
    ]
    for step in steps:
        step()
        with tracer.start_as_current_span("chat", attributes={"gen_ai.request.model": "a"}):
            pass
    keys = ("model_registry.owner", "model_registry.status")
    assert [tuple((span.attributes or {}).get(key) for key in keys) for span in exporter.get_finished_spans()] == [
        ("code", "active"),
        ("file", "active"),
        ("file", "deprecated"),
        ("new", "deprecated"),
        ("code", "deprecated"),
        (None, "unregistered"),
    ]


def test_the_process_wide_registry_has_both_layers() -> None:
    """The functions of the package use a registry of two layers."""
    registry = package.get_default_registry()
    assert isinstance(registry, LayeredRegistry)
    entry = filed(metadata={"aliases": ["b"]})
    replace_file_entries(registry, [entry])
    assert package.register_model("a", "N", "1", "low", "code", "test") is entry is package.get_model("a")
    assert package.deprecate_model("a").owner == package.retire_model("a").owner == "file"
    package.register_model("c", "N", "1", "low", "code", "test")
    replace_file_entries(registry, [entry])
    assert shown(registry) == [("a", "file", "retired"), ("c", "code", "active")]
    assert package.list_models() == registry.list_all()


def test_other_registries_have_one_layer(tmp_path: Path) -> None:
    """Entries of files replace all entries of another registry, and ids are unique in it."""
    registry = ModelRegistry(auto_emit=False)
    register(registry, "b")
    replace_file_entries(registry, [filed(), filed("c")])
    assert shown(registry) == [("a", "file", "active"), ("c", "file", "active")]
    with pytest.raises(ValueError, match="'a' is already registered"):
        register(registry)
    registry.retire("a")
    replace_file_entries(registry, [filed()])
    assert shown(registry) == [("a", "file", "active")]
    registry.save(tmp_path / "models.json")
    replace_file_entries(registry, [])
    assert len(registry) == 0
    registry.load(tmp_path / "models.json")
    assert shown(registry) == [("a", "file", "active")]
