"""Resolution: names on spans and their entries."""

from __future__ import annotations

from typing import Any

import pytest
from support.conventions import name_model
from support.evidence import limit_peak_memory

from spanforge.model_registry import InvalidEntryError, ModelRegistry, Resolution
from spanforge.model_registry._core.conventions import (
    BY_PRIORITY,
    CONVENTIONS,
    MAX_JSON,
    PROVIDER_KEYS,
    find_names,
    provider_of,
    select_keys,
)
from spanforge.model_registry._core.globs import MAX_GLOBBED
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.span_models import ModelMatch, resolve_attributes


def list_names(attributes: dict[str, Any], scope: str | None = None) -> list[tuple[str, str]]:
    """Return attribute key and model name for each name on a span."""
    rows, names = find_names(attributes, select_keys(attributes).for_scope(scope).conventions)
    return [(row.key, name) for row, name in zip(rows, names, strict=True)]


@pytest.fixture
def registry() -> ModelRegistry:
    """Return a registry that emits nothing."""
    return ModelRegistry(auto_emit=False)


def add(registry: ModelRegistry, model_id: str, *aliases: str, provider: str | None = None) -> None:
    registry.register(model_id, "N", "1", "low", "team", "test", aliases=aliases, provider=provider)


def found(registry: ModelRegistry, name: str, provider: str | None = None) -> tuple[str, str] | None:
    entry, _, _, rule, _ = registry.resolve(name, provider=provider)
    return None if entry is None or rule is None else (entry.model_id, rule)


def test_globs_match_whole_names(registry: ModelRegistry) -> None:
    """A glob matches whole names, and its wildcards are ``*``, ``?`` and ``[…]``."""
    add(registry, "a", "gpt-4o-[0-9]*")
    add(registry, "b", "ft:gpt-4o-mini-*:acme::*")
    add(registry, "c", "v?.(x|y)+")
    assert found(registry, "gpt-4o-2024-08-06") == ("a", "glob")
    assert found(registry, "gpt-4o-mini") is None
    assert found(registry, "my-gpt-4o-2024") is None
    assert found(registry, "ft:gpt-4o-mini-2024-07-18:acme::abc123") == ("b", "glob")
    assert found(registry, "v1.(x|y)+") == ("c", "glob")
    assert found(registry, "v1.x") is None
    assert found(registry, "gpt-4o-1\nx") == ("a", "glob")


def test_resolution(registry: ModelRegistry) -> None:
    """A resolution has entry, status, warnings, rule and name."""
    add(registry, "gpt-4o", "gpt-4o-*")
    registry.deprecate("gpt-4o")
    entry = registry.get("gpt-4o")
    assert registry.resolve("gpt-4o-2024-08-06") == Resolution(
        entry, "deprecated", ("model 'gpt-4o' is deprecated",), "glob", "gpt-4o-2024-08-06"
    )
    assert registry.resolve("gpt-5") == Resolution(
        None, "unregistered", ("model 'gpt-5' is not registered",), None, "gpt-5"
    )


def test_name_must_be_a_string(registry: ModelRegistry) -> None:
    """A name or provider that is not a string is an error."""
    with pytest.raises(InvalidEntryError, match="name must be a string; got 5"):
        registry.resolve(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidEntryError, match="provider must be a string; got 5"):
        registry.resolve("m", provider=5)  # type: ignore[arg-type]


def test_hostile_names(registry: ModelRegistry) -> None:
    """Warnings escape control characters and shorten long names, and long names are not matched with globs."""
    add(registry, "m", "*")
    (warning,) = registry.resolve("evil\r\n\x1b[31mname" + "x" * MAX_GLOBBED).warnings
    assert warning.startswith("model 'evil\\r\\n\\x1b[31mname")
    assert warning.isprintable()
    assert len(warning) < 300
    assert registry.resolve("x" * 1_000_000).status == "unregistered"
    assert found(registry, "x" * MAX_GLOBBED) == ("m", "glob")


@pytest.mark.slow
def test_resolution_keeps_no_names(registry: ModelRegistry) -> None:
    """Names that were resolved, with a glob or without an entry, leave nothing in memory."""
    add(registry, "m", "gpt-*")
    with limit_peak_memory(100_000):
        for number in range(250):
            assert found(registry, f"gpt-{number}-{'x' * 1_000}") == ("m", "glob")
            assert found(registry, f"other-{number}-{'x' * 1_000}") is None


def test_response_keys_come_first() -> None:
    """Response models are tried before request models, in the order of the table."""
    plain = [row for row in CONVENTIONS if row.member is None and row.when is None and row.scope is None]
    keys = [key for key, _ in list_names({row.key: f"value of {row.key}" for row in plain})]
    responses = [row.key for row in plain if row.response]
    assert responses[0] == "gen_ai.response.model"
    assert keys == [*responses, *(row.key for row in plain if not row.response)]


@pytest.mark.parametrize("row", CONVENTIONS, ids=lambda row: row.key)
def test_every_convention(row: Any) -> None:
    """Each row of the table leads to a name."""
    assert list_names(name_model(row, "gpt-4o") | {"other": "x"}, row.scope) == [(row.key, "gpt-4o")]


def test_a_scoped_key_counts_in_its_scope_only() -> None:
    """The key ``model_name`` names a model only on spans of its instrumentation."""
    assert not list_names({"model_name": "gpt-4o"}, "other")
    assert not list_names({"model_name": "gpt-4o"}, None)
    assert list_names({"model_name": "gpt-4o"}, "pydantic-ai") == [("model_name", "gpt-4o")]


@pytest.mark.parametrize("value", ["", 5, None, True, ("gpt-4o",), {"model": "x"}, b"gpt-4o"])
def test_values_that_are_not_names(value: Any) -> None:
    """A name is text that is not empty."""
    assert not list_names({"gen_ai.request.model": value})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"gpt-4o"', '{"model": 5}', '{"model": ""}', '{"model": null}', "[" * 100_000, "\ud800", "{}"],
)
def test_parameters_without_a_name(text: str) -> None:
    """Invalid JSON and JSON without a model have no name."""
    assert not list_names({"llm.invocation_parameters": text})


def test_huge_parameters_are_not_parsed() -> None:
    """JSON parameters above the limit are not parsed."""
    text = '{"model": "gpt-4o", "pad": "' + "x" * MAX_JSON + '"}'
    assert not list_names({"llm.invocation_parameters": text})


def test_provider_of_a_span() -> None:
    """The first provider key whose value is text counts."""
    attributes: dict[str, Any] = {key: f"p{number}" for number, key in enumerate(PROVIDER_KEYS)}
    for number in range(len(PROVIDER_KEYS)):
        assert provider_of(attributes) == f"p{number}"
        attributes[PROVIDER_KEYS[number]] = ("not text", "")[number % 2] and 5
    assert provider_of(attributes) is None


def test_unregistered_models(registry: ModelRegistry) -> None:
    """The warning names the first candidate, and no key matched."""
    attributes = {"gen_ai.request.model": "a", "gen_ai.response.model": "b"}
    assert resolve_attributes(ModelIndex(registry.list_all()), attributes) == ModelMatch(
        registry.resolve("b"), key=None, kind="call", has_response=True
    )
    assert resolve_attributes(ModelIndex(registry.list_all()), {"http.method": "GET"}) is None


def test_order_has_every_row_of_the_table() -> None:
    """``BY_PRIORITY`` has every row of the table."""
    assert sorted(BY_PRIORITY) == sorted(CONVENTIONS)
