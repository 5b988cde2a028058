"""The arguments of the span processor and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.log_lines import not_registered
from support.spans import COMPARED, HAS_ENDING_HOOK, PARAMETERS, REQUEST, RESPONSE

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core import conventions
from spanforge.model_registry._core.attributes import ON_SPANS, SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry._core.errors import InvalidEntryError
from spanforge.model_registry._core.settings import VARIABLES
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.watch import file_states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MINE = "my.model"

pytestmark = pytest.mark.usefixtures("no_settings")


def matched(pipes: Any, attributes: dict[str, Any]) -> tuple[Any, Any]:
    ours = pipes.run(attributes).ours
    return ours.get("owner"), ours.get("matched_by")


@pytest.fixture
def with_extra_keys(pipeline: Any, registry: ModelRegistry) -> Callable[..., Any]:
    """Give a function that makes a pipeline with extra model keys, whose spans show the key that matched."""
    registry.register("o1", "O1", "1", "low", "azure team", "test", provider="azure")
    registry.register("o1-mini", "O1", "1", "low", "mini team", "test")

    def make(*keys: str, **options: Any) -> Any:
        names = ["status", "owner", "matched_by"]
        ours = ModelRegistrySpanProcessor(registry, span_attributes=names, model_attributes=keys, **options)
        return pipeline(ours)

    return make


@pytest.mark.parametrize("when", ["start", "late"])
def test_extra_keys(with_extra_keys: Any, when: str) -> None:
    """An extra key may hold a model name, at the start or late, and can be the key that matched."""
    pipes = with_extra_keys(MINE, "other")
    for _ in range(3):
        span = pipes.run(**{when: {MINE: "gpt-4o"}})
        assert span.ours == {"status": "active", "owner": "ml-platform", "matched_by": MINE}
        assert span.others == {MINE: "gpt-4o"}
    assert pipes.run({"mine": "gpt-4o"}).ours == {}
    assert pipes.run({MINE: 7}).ours == pipes.run({MINE: ""}).ours == {}


def test_order_of_extra_keys(with_extra_keys: Any, lines: Any) -> None:
    """Extra keys are tried in order after the known keys; a match comes first; the warning has the first name."""
    pipes = with_extra_keys("b", "a")
    for _ in range(2):
        assert matched(pipes, {"a": "gpt-4o", "b": "o1-mini"}) == ("mini team", "b")
        assert matched(pipes, {"b": "o1-mini", REQUEST: "gpt-4o"}) == ("ml-platform", REQUEST)
        assert matched(pipes, {"b": "o1-mini", REQUEST: "claude-9"}) == ("mini team", "b")
        assert matched(pipes, {"a": "gpt-4o", "b": "claude-9"}) == ("ml-platform", "a")
    assert lines() == []
    assert pipes.run({"a": "first", "b": "second"}).ours == {"status": "unregistered"}
    assert lines() == [not_registered("second")]


def test_scoped_key_that_a_setting_names(with_extra_keys: Any) -> None:
    """If a setting names ``model_name``, the key counts in every instrumentation scope."""
    pipes = with_extra_keys("model_name")
    for scope in ("app", "pydantic-ai", "app"):
        assert pipes.run({"model_name": "gpt-4o"}, scope=scope).ours["matched_by"] == "model_name"
    assert with_extra_keys().run({"model_name": "gpt-4o"}, scope="app").ours == {}


def test_json_key_that_a_setting_names(with_extra_keys: Any) -> None:
    """A key that holds JSON may also hold a name, if a setting names it."""
    pipes = with_extra_keys(PARAMETERS)
    for _ in range(2):
        assert matched(pipes, {PARAMETERS: "gpt-4o"}) == ("ml-platform", PARAMETERS)
        assert matched(pipes, {PARAMETERS: '{"model": "o1-mini"}'}) == ("mini team", PARAMETERS)


def test_known_key_keeps_its_place(with_extra_keys: Any) -> None:
    """A known key that a setting names keeps its place."""
    pipes = with_extra_keys(MINE, REQUEST, RESPONSE)
    assert matched(pipes, {MINE: "o1-mini", REQUEST: "gpt-4o"}) == ("ml-platform", REQUEST)
    assert matched(pipes, {REQUEST: "gpt-4o", RESPONSE: "o1-mini"}) == ("mini team", RESPONSE)
    assert len(conventions.with_extra_keys([MINE, REQUEST, RESPONSE])) == len(conventions.CONVENTIONS) + 1


@pytest.mark.parametrize("when", ["start", "late"])
def test_unregistered_models_may_be_ignored(pipeline: Any, registry: ModelRegistry, lines: Any, when: str) -> None:
    """If unregistered models are ignored, their spans are not changed and no line is logged."""
    registry.register("old", "Old", "1", "low", "team", "test")
    registry.deprecate("old")
    pipes = pipeline(ModelRegistrySpanProcessor(registry, unregistered="ignore"))

    def run(model: str) -> Any:
        return pipes.run(**{when: {REQUEST: model}})

    for _ in range(3):
        assert run("claude-9").attributes == {REQUEST: "claude-9"}
        assert run("gpt-4o").ours["status"] == "active"
        assert run("old").ours["warnings"] == ("model 'old' is deprecated",)
    assert lines() == ["model registry: model 'old' is deprecated (owner: team)"]
    registry.register("claude-9", "C", "1", "low", "team", "test")
    assert run("claude-9").ours["owner"] == "team"
    registry.clear()
    assert run("claude-9").attributes == {REQUEST: "claude-9"}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("owner", {"owner"}),
        (" owner, status ", {"owner", "status"}),
        ("+purpose,-version", {*ON_SPANS, "purpose"} - {"version"}),
        (iter(["purpose", "owner"]), {"purpose", "owner"}),
        (["+matched_by"], {*ON_SPANS, "matched_by"}),
        (SPAN_ATTRIBUTE_NAMES, set(SPAN_ATTRIBUTE_NAMES)),
        ([], set()),
    ],
)
def test_span_attributes(pipeline: Any, registry: ModelRegistry, given: Any, names: set[str]) -> None:
    """``span_attributes`` may be a text or a list, all names or changes to the default."""
    registry.deprecate("gpt-4o", successor="gpt-5", sunset_date="2026-12-31")
    pipes = pipeline(ModelRegistrySpanProcessor(registry, span_attributes=given))
    span = pipes.run({REQUEST: "gpt-4o"})
    assert set(span.ours) == names - {"decommission_date", *COMPARED}


def test_environment_of_the_processor(pipeline: Any, registry: ModelRegistry, monkeypatch: Any) -> None:
    """Each argument that is not given comes from the environment."""
    monkeypatch.setenv(VARIABLES + "SPAN_ATTRIBUTES", "owner")
    monkeypatch.setenv(VARIABLES + "MODEL_ATTRIBUTES", MINE)
    monkeypatch.setenv(VARIABLES + "UNREGISTERED", "ignore")
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    assert pipes.run({MINE: "gpt-4o"}).ours == {"owner": "ml-platform"}
    assert pipes.run({MINE: "claude-9"}).ours == {}
    pipes = pipeline(ModelRegistrySpanProcessor(registry, span_attributes="status", unregistered="warn"))
    assert pipes.run({MINE: "gpt-4o"}).ours == {"status": "active"}
    assert pipes.run({MINE: "claude-9"}).ours == {"status": "unregistered"}
    pipes = pipeline(ModelRegistrySpanProcessor(registry, model_attributes=[]))
    assert pipes.run({MINE: "gpt-4o"}).ours == {}


def test_file_of_the_processor(provider: Any, call: Any, models: Path, monkeypatch: Any) -> None:
    """A processor of the process-wide registry follows the environment's file; one of another registry does not."""
    monkeypatch.setenv(VARIABLES + "FILE", str(models))
    ModelRegistrySpanProcessor(ModelRegistry())
    assert not file_states()
    provider.add_span_processor(ModelRegistrySpanProcessor())
    assert call()["owner"] == "filed"


def test_unknown_variable_is_logged(registry: ModelRegistry, lines: Any, monkeypatch: Any) -> None:
    """A processor logs a variable that is meant to be a setting and is none, once."""
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_SPAN_ATTRIBUTE", "owner")
    for _ in range(2):
        ModelRegistrySpanProcessor(registry)
    assert len(lines()) == 1
    assert "OTEL_PYTHON_MODEL_REGISTRY_SPAN_ATTRIBUTE is unknown and ignored" in lines()[0]


def test_bad_environment_is_logged(registry: ModelRegistry, lines: Any, monkeypatch: Any) -> None:
    """A bad value in the environment is logged once, and the default is used."""
    monkeypatch.setenv(VARIABLES + "UNREGISTERED", "drop")
    for _ in range(2):
        ModelRegistrySpanProcessor(registry)
    rule = "OTEL_PYTHON_MODEL_REGISTRY_UNREGISTERED must be one of warn, ignore; got 'drop'"
    assert lines() == [f"model registry: {rule}; using the default, warn"]


@pytest.mark.parametrize(
    ("argument", "value", "text"),
    [
        ("span_attributes", "color", r"span_attributes must be names of status, .*; got 'color'"),
        ("span_attributes", 7, r"span_attributes must be names of .*; got 7"),
        ("model_attributes", "model_registry.name", r"model_attributes must be at most 32 attribute keys .*"),
        ("unregistered", "drop", "unregistered must be one of warn, ignore; got 'drop'"),
        ("unregistered", "", "unregistered must be one of warn, ignore; got ''"),
    ],
)
def test_bad_argument_is_an_error(registry: ModelRegistry, lines: Any, argument: str, value: Any, text: str) -> None:
    """A bad argument is an error that names the argument."""
    with pytest.raises(InvalidEntryError, match=f"^{text}$"):
        ModelRegistrySpanProcessor(registry, **{argument: value})
    assert lines() == []


@pytest.mark.parametrize("first", ["ours", "exporter"])
@pytest.mark.parametrize("when", ["start", "late"])
def test_switched_off_processor_changes_no_span(
    pipeline: Any, registry: ModelRegistry, lines: Any, when: str, first: str
) -> None:
    """A processor that is switched off changes no span; switched on again, it enriches."""
    if first == "exporter" and when == "late" and not HAS_ENDING_HOOK:
        pytest.skip("opentelemetry-sdk before 1.40 does not call processors for an ending span")
    ours = ModelRegistrySpanProcessor(registry)
    pipes = pipeline(ours, first=first)
    given = {REQUEST: "claude-9", "model_registry.owner": "me"}
    for _ in range(3):
        assert pipes.run(**{when: {REQUEST: "gpt-4o"}}).ours["owner"] == "ml-platform"
        ours.switch(on=False)
        assert pipes.run(**{when: {REQUEST: "gpt-4o"}}).attributes == {REQUEST: "gpt-4o"}
        assert pipes.run(given).attributes == given
        ours.switch(on=True)
    assert lines() == []


@pytest.mark.parametrize("order", ["off first", "off last"])
def test_one_of_two_processors_is_off(pipeline: Any, registry: ModelRegistry, order: str) -> None:
    """If one of two processors is off, the other one enriches spans in any order."""
    on, off = ModelRegistrySpanProcessor(registry), ModelRegistrySpanProcessor(registry, span_attributes="owner")
    off.switch(on=False)
    pipes = pipeline(*((off, on) if order == "off first" else (on, off)))
    for _ in range(2):
        assert len(pipes.run({REQUEST: "gpt-4o"}).ours) == 6
        assert len(pipes.run({}, {REQUEST: "gpt-4o"}).ours) == 6
