"""From the names on a span to an entry."""

from __future__ import annotations

from typing import Any

import pytest

from spanforge.model_registry import InvalidEntryError, ModelRegistry, Resolution
from spanforge.model_registry._core.conventions import (
    BY_PRIORITY,
    CONVENTIONS,
    MAX_JSON,
    PROVIDER_KEYS,
    candidates,
    provider_of,
    resolve_attributes,
)
from spanforge.model_registry._core.resolution import MAX_GLOBBED


@pytest.fixture
def registry() -> ModelRegistry:
    """Give a registry that emits nothing."""
    return ModelRegistry(auto_emit=False)


def add(registry: ModelRegistry, model_id: str, *aliases: str, provider: str | None = None) -> None:
    registry.register(model_id, "N", "1", "low", "team", "test", aliases=aliases, provider=provider)


def found(registry: ModelRegistry, name: str, provider: str | None = None) -> tuple[str, str] | None:
    entry, _, _, rule, _ = registry.resolve(name, provider=provider)
    return None if entry is None or rule is None else (entry.model_id, rule)


RULES = [
    ("openai/x", ()),
    ("x", ()),
    ("by alias p/n", ("openai/x",)),
    ("by alias n", ("x",)),
    ("by glob p/n", ("openai/*",)),
    ("by glob n", ("?",)),
]


@pytest.mark.parametrize("start", range(len(RULES)))
def test_the_order_of_the_rules(registry: ModelRegistry, start: int) -> None:
    """Id with provider, id, alias with provider, alias, glob with provider, glob: the first that matches decides."""
    for model_id, aliases in reversed(RULES[start:]):
        add(registry, model_id, *aliases)
    rule = ("id", "id", "alias", "alias", "glob", "glob")[start]
    assert found(registry, "x", "openai") == (RULES[start][0], rule)


def test_nothing_fuzzy(registry: ModelRegistry) -> None:
    """Names are taken verbatim: case, white space and prefixes count."""
    add(registry, "gpt-4o", "support")
    for name in ("GPT-4o", " gpt-4o", "gpt-4o-2024-08-06", "gpt", "openai/gpt-4o", "Support", ""):
        assert found(registry, name) is None
    assert found(registry, "gpt-4o") == ("gpt-4o", "id")
    assert found(registry, "support", "anything") == ("gpt-4o", "alias")


def test_globs_match_whole_names(registry: ModelRegistry) -> None:
    """A glob is anchored at both ends; ``*``, ``?`` and ``[…]`` are its only wildcards."""
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


def test_the_first_registered_glob_wins(registry: ModelRegistry) -> None:
    """Among globs that match, the one registered first decides; a replaced entry keeps its place."""
    add(registry, "first", "gpt-*")
    add(registry, "second", "gpt-4*")
    assert found(registry, "gpt-4o") == ("first", "glob")
    registry.register("first", "N", "1", "low", "team", "test", aliases=["nothing-*"], replace=True)
    assert found(registry, "gpt-4o") == ("second", "glob")
    registry.register("first", "N", "1", "low", "team", "test", aliases=["gpt-*"], replace=True)
    assert found(registry, "gpt-4o") == ("first", "glob")


def test_the_first_registered_alias_wins(registry: ModelRegistry) -> None:
    """Two entries may have one alias: the first that serves the provider decides."""
    add(registry, "azure-chat", "chat", provider="azure")
    add(registry, "openai-chat", "chat", provider="openai")
    assert found(registry, "chat", "openai") == ("openai-chat", "alias")
    assert found(registry, "chat", "azure") == ("azure-chat", "alias")
    assert found(registry, "chat") == ("azure-chat", "alias")
    assert found(registry, "chat", "aws") is None


@pytest.mark.parametrize("name", ["m", "alias", "glob-1"])
def test_an_entry_limited_to_a_provider(registry: ModelRegistry, name: str) -> None:
    """It matches spans of that provider and spans that name none, by whatever rule."""
    add(registry, "m", "alias", "glob-*", provider="azure")
    assert found(registry, name, "azure") is not None
    assert found(registry, name) is not None
    assert found(registry, name, "") is not None
    assert found(registry, name, "openai") is None


def test_what_a_resolution_tells(registry: ModelRegistry) -> None:
    """A resolution has the entry, its status and warnings, the rule and the name that matched."""
    add(registry, "gpt-4o", "gpt-4o-*")
    registry.deprecate("gpt-4o")
    entry = registry.get("gpt-4o")
    assert registry.resolve("gpt-4o-2024-08-06") == Resolution(
        entry, "deprecated", ("model 'gpt-4o' is deprecated",), "glob", "gpt-4o-2024-08-06"
    )
    assert registry.resolve("gpt-5") == Resolution(
        None, "unregistered", ("model 'gpt-5' is not registered",), None, "gpt-5"
    )


def test_names_that_are_no_text(registry: ModelRegistry) -> None:
    """Resolving something that is no string is an error that says so."""
    with pytest.raises(InvalidEntryError, match="name must be a string; got 5"):
        registry.resolve(5)  # type: ignore[arg-type]


def test_names_from_the_network_do_no_harm(registry: ModelRegistry) -> None:
    """Control characters are escaped in warnings, long names cut, and long names are not tried on globs."""
    add(registry, "m", "*")
    (warning,) = registry.resolve("evil\r\n\x1b[31mname" + "x" * MAX_GLOBBED).warnings
    assert warning.startswith("model 'evil\\r\\n\\x1b[31mname")
    assert warning.isprintable()
    assert len(warning) < 300
    assert registry.resolve("x" * 1_000_000).status == "unregistered"
    assert found(registry, "x" * MAX_GLOBBED) == ("m", "glob")


def test_many_distinct_names_stay_bounded(registry: ModelRegistry) -> None:
    """The cache of the globs is bounded, and right while it overflows."""
    add(registry, "m", "gpt-*")
    for number in range(10_000):
        assert found(registry, f"gpt-{number}") == ("m", "glob")
        assert found(registry, f"other-{number}") is None
    assert len(registry._state.index._globs._cache) <= 4_096


def test_changes_are_seen_at_once(registry: ModelRegistry) -> None:
    """A name that did not resolve does so as soon as something matches it, and no longer when that has gone."""
    assert found(registry, "gpt-4o-1") is None
    add(registry, "m", "gpt-4o-*", "chat")
    assert found(registry, "gpt-4o-1") == ("m", "glob")
    assert found(registry, "chat") == ("m", "alias")
    registry.register("m", "N", "1", "low", "team", "test", replace=True)
    assert found(registry, "gpt-4o-1") is None
    assert found(registry, "chat") is None


def test_response_keys_come_first() -> None:
    """What the provider answered with is tried before what was asked for, each group in the order of the table."""
    attributes = {row.key: f"value of {row.key}" for row in CONVENTIONS if row.member is None}
    keys = [key for key, _ in candidates(attributes, "pydantic-ai")]
    responses = [row.key for row in CONVENTIONS if row.response and row.member is None]
    assert responses[0] == "gen_ai.response.model"
    assert keys == [*responses, *(row.key for row in CONVENTIONS if not row.response and row.member is None)]


@pytest.mark.parametrize("row", CONVENTIONS, ids=lambda row: row.key)
def test_every_convention(row: Any) -> None:
    """Each row of the table gives a candidate of its own."""
    value = "gpt-4o" if row.member is None else '{"temperature": 1, "model": "gpt-4o"}'
    assert list(candidates({row.key: value, "other": "x"}, row.scope)) == [(row.key, "gpt-4o")]


def test_a_scoped_key_counts_in_its_scope_only() -> None:
    """The bare ``model_name`` names a model only on spans of the instrumentation that means it so."""
    assert not list(candidates({"model_name": "gpt-4o"}, "other"))
    assert not list(candidates({"model_name": "gpt-4o"}, None))
    assert list(candidates({"model_name": "gpt-4o"}, "pydantic-ai")) == [("model_name", "gpt-4o")]


@pytest.mark.parametrize("value", ["", 5, None, True, ("gpt-4o",), {"model": "x"}, b"gpt-4o"])
def test_values_that_are_no_names(value: Any) -> None:
    """Anything but text with content is no name."""
    assert not list(candidates({"gen_ai.request.model": value}))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"gpt-4o"', '{"model": 5}', '{"model": ""}', '{"model": null}', "[" * 100_000, "\ud800", "{}"],
)
def test_parameters_that_hold_no_name(text: str) -> None:
    """JSON parameters that are broken or name no model are no names."""
    assert not list(candidates({"llm.invocation_parameters": text}))


def test_huge_parameters_are_not_parsed() -> None:
    """Parameters beyond a limit are left alone."""
    text = '{"model": "gpt-4o", "pad": "' + "x" * MAX_JSON + '"}'
    assert not list(candidates({"llm.invocation_parameters": text}))


def test_the_provider_of_a_span() -> None:
    """The first provider key with text in it counts."""
    attributes: dict[str, Any] = {key: f"p{number}" for number, key in enumerate(PROVIDER_KEYS)}
    for number in range(len(PROVIDER_KEYS)):
        assert provider_of(attributes) == f"p{number}"
        attributes[PROVIDER_KEYS[number]] = ("not text", "")[number % 2] and 5
    assert provider_of(attributes) is None


def test_the_request_stands_in_for_a_response_that_is_not_registered(registry: ModelRegistry) -> None:
    """When only the request resolves, the span shows the request's entry."""
    add(registry, "gpt-4o")
    attributes = {"gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06"}
    resolved = resolve_attributes(registry._state.index, attributes)
    assert resolved is not None
    resolution, key, _ = resolved
    assert (resolution.candidate, resolution.rule, key) == ("gpt-4o", "id", "gen_ai.request.model")
    add(registry, "gpt-4o-2024-08-06")
    resolved = resolve_attributes(registry._state.index, attributes)
    assert resolved is not None
    assert (resolved[0].candidate, resolved[1]) == ("gpt-4o-2024-08-06", "gen_ai.response.model")


def test_nothing_resolves(registry: ModelRegistry) -> None:
    """The warning names the first candidate, and no key matched."""
    attributes = {"gen_ai.request.model": "a", "gen_ai.response.model": "b"}
    assert resolve_attributes(registry._state.index, attributes) == (registry.resolve("b"), None, True)
    assert resolve_attributes(registry._state.index, {"http.method": "GET"}) is None


def test_the_table_is_in_the_order_in_which_it_is_tried() -> None:
    """``BY_PRIORITY`` is the table, response keys first."""
    assert sorted(BY_PRIORITY) == sorted(CONVENTIONS)
