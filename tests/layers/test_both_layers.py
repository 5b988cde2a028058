"""The entries in force of both layers together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.layers import CODE, FILE, Clock, at, filed, found, record, register, shown

import spanforge.model_registry as package
from spanforge.model_registry import (
    InvalidEntryError,
    LifecycleError,
    ModelNotFoundError,
    ModelRegistry,
    ModelRegistryEntry,
    RegistryFileError,
)
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.storage import read_entries
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def test_order_of_entries(layers: LayeredRegistry) -> None:
    """The files' models come first, in the files' order, then the application's, in that of registration."""
    for model_id in "dcba":
        register(layers, model_id)
    replace_file_entries(layers, [filed("x"), filed("c"), filed("w")])
    register(layers, "e")
    register(layers, "b", owner="other", replace=True, aliases=["f"])
    layers.deprecate("w")
    assert shown(layers) == [
        ("x", "file", "active"),
        ("c", "file", "active"),
        ("w", "file", "deprecated"),
        ("d", "code", "active"),
        ("b", "other", "active"),
        ("a", "code", "active"),
        ("e", "code", "active"),
    ]
    assert [entry.model_id for entry in layers.list_active()] == ["x", "c", "d", "b", "a", "e"]
    assert (len(layers), "c" in layers, "y" in layers) == (7, True, False)
    assert repr(layers) == "<LayeredRegistry of 7 models>"
    replace_file_entries(layers, [filed("a"), filed("x")])
    assert [entry.model_id for entry in layers] == ["a", "x", "d", "c", "b", "e"]


def test_names(layers: LayeredRegistry) -> None:
    """A name leads to the entry in force; a file's entry counts first."""
    register(layers, "code", aliases=["both", "code-alias", "m-*", "c-*"])
    register(layers, "a", aliases=["hidden", "hidden-*"])
    replace_file_entries(
        layers,
        [
            filed("file", metadata={"aliases": ["both", "file-alias", "m-*", "f-*"]}),
            filed("a", metadata={"aliases": ["seen", "seen-*"]}),
        ],
    )
    register(layers, "late", aliases=["both", "m-*", "l-*"])
    names = "both m-1 code-alias c-1 file-alias f-1 l-1 seen seen-1 hidden hidden-1".split()  # noqa: SIM905

    def resolved() -> str:
        return " ".join((layers.resolve(name).entry or filed("-")).model_id for name in names)

    assert resolved() == "file file code code file file late a a - -"
    replace_file_entries(layers, [])
    assert resolved() == "code code code code - - late - - a a"


def test_entries_limited_to_a_provider(layers: LayeredRegistry) -> None:
    """If a file's model is limited to a provider, the application's model serves the other providers."""
    register(layers, "code", aliases=["m", "m-*"])
    replace_file_entries(layers, [filed("file", metadata={"aliases": ["m", "m-*"], "provider": "openai"})])
    found = {
        provider: [layers.resolve(name, provider=provider).entry for name in ("m", "m-1", "file")]
        for provider in (None, "openai", "azure")
    }
    file, code = layers.list_all()
    assert found == {None: [file, file, file], "openai": [file, file, file], "azure": [code, code, None]}


def test_check_and_require(layers: LayeredRegistry) -> None:
    """``check`` and ``require`` use the entry in force."""
    register(layers)
    replace_file_entries(layers, [filed(metadata={"aliases": ["support"]})])
    layers.retire("a")
    replace_file_entries(layers, [filed(metadata={"aliases": ["support"]})])
    assert layers.check("support") == ("model 'a' is retired",)
    assert layers.require("support", allow=["retired"]) is found(layers)


def test_save_and_load(layers: LayeredRegistry, clock: Clock, tmp_path: Path) -> None:
    """A saved file has the entries in force, and loads as them into any registry."""
    path = tmp_path / "models.json"
    replace_file_entries(layers, [filed("b"), filed("a", deployment_date="2020-01-01")])
    clock.second = 1
    register(layers)
    clock.second = 2
    register(layers, "c", aliases=["d"])
    clock.second = 3
    layers.retire("a")
    layers.save(path)
    in_force = layers.list_all()
    untouched: dict[str, Any] = {"deployment_date": None, "decommission_date": None, "metadata": {}}
    assert json.loads(path.read_text()) == [
        {"model_id": "b", **FILE, "status": "active", **untouched},
        {
            "model_id": "a",
            **FILE,
            "status": "retired",
            "deployment_date": "2020-01-01",
            "decommission_date": at(3),
            "metadata": {"history": [record(3, "retired", "file")]},
        },
        {
            "model_id": "c",
            **CODE,
            "status": "active",
            "deployment_date": at(2),
            "decommission_date": None,
            "metadata": {"aliases": ["d"], "history": [record(2, "active", "code")]},
        },
    ]
    strict = ModelRegistry(auto_emit=False)
    strict.load(path)
    assert strict.list_all() == in_force
    layers.load(path)
    assert layers.list_all() == in_force
    replace_file_entries(layers, read_entries(path))
    assert layers.list_all() == in_force
    replace_file_entries(layers, [])
    assert layers.list_all() == in_force


def test_load_and_clear_keep_the_files_models(layers: LayeredRegistry, tmp_path: Path) -> None:
    """They change the application's models only."""
    saved = LayeredRegistry(auto_emit=False)
    for model_id in "xab":
        register(saved, model_id, owner="saved")
    saved.save(tmp_path / "models.json")
    register(layers, "c")
    replace_file_entries(layers, [filed("a"), filed("b")])
    layers.retire("b")
    layers.load(tmp_path / "models.json")
    assert shown(layers) == [("a", "file", "active"), ("b", "file", "retired"), ("x", "saved", "active")]
    layers.clear()
    assert shown(layers) == [("a", "file", "active"), ("b", "file", "retired")]
    layers.load(tmp_path / "models.json")
    replace_file_entries(layers, [])
    assert shown(layers) == [("x", "saved", "active"), ("a", "saved", "active"), ("b", "saved", "active")]


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


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (lambda registry: registry.deprecate("a", sunset_date="soon"), InvalidEntryError),
        (lambda registry: registry.deprecate("a", actor=" "), InvalidEntryError),
        (lambda registry: registry.retire("a", reason=" "), InvalidEntryError),
        (lambda registry: registry.retire("b"), LifecycleError),
        (lambda registry: registry.retire("x"), ModelNotFoundError),
    ],
)
def test_refused_operation_changes_nothing(
    layers: LayeredRegistry, operation: Callable[[ModelRegistry], object], error: type[Exception]
) -> None:
    """An operation that raises changes no layer, now or after a load."""
    register(layers)
    register(layers, "b")
    replace_file_entries(layers, [filed(), filed("b", status="retired")])
    before = layers.list_all()
    with pytest.raises(error):
        operation(layers)
    assert all(entry is old for entry, old in zip(layers, before, strict=True))
    replace_file_entries(layers, [filed(), filed("b")])
    assert shown(layers) == [("a", "file", "active"), ("b", "file", "active")]
    replace_file_entries(layers, [])
    assert shown(layers) == [("a", "code", "active"), ("b", "code", "active")]


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
