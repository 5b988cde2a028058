"""The registry as configuration of the Collector, for any entries."""

from __future__ import annotations

import fnmatch
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.yaml_files import read_yaml

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import span_attributes
from spanforge.model_registry._core.name_routes import PROVIDER_SPELLINGS
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry.collector import render_lookup, render_lookup_source, render_transform

if TYPE_CHECKING:
    import random

LETTERS = st.sampled_from(["a", "b", "c", "*", "?", "[", "]", "!", "-", "^", "\\", ".", "$", "\n", "é"])
GLOBS = st.lists(LETTERS, min_size=1, max_size=9).map("".join) | st.lists(
    st.sampled_from("*?[]!-abc^"), min_size=3, max_size=7
).map(lambda inner: f"[{''.join(inner)}]")
NAMES = st.lists(st.lists(LETTERS, max_size=6).map("".join), min_size=1, max_size=20)
_HEX = re.compile(r"\\x\{([0-9a-f]+)\}")
ALL = ("", *"abc*?[]!-^\\.$\né", "ab", "a]", "[a]", "a-", "-]", "!]")


def as_python(expression: str) -> re.Pattern[str]:
    """Return an expression of RE2 as Python's, which writes characters and the end otherwise."""
    return re.compile(_HEX.sub(lambda match: re.escape(chr(int(match[1], 16))), expression).replace(r"\z", r"\Z"))


@settings(max_examples=5 * settings.default.max_examples)
@given(glob=GLOBS, names=NAMES)
@example("[a-]", ["a"])
@example("[!a-c]", ["b", "d"])
@example("[]a]", ["]"])
@example("[!]a]", ["]", "x"])
@example("[!]", ["[!]"])
@example("[^a]", ["^", "b"])
@example("[\\]", ["\\"])
@example("[[a]", ["["])
@example("a[", ["a["])
@example("[*-?]", ["+"])
@example("[a-a]", ["a"])
def test_expression_matches_like_the_glob(glob: str, names: list[str]) -> None:
    """The expression of a glob matches the same names as in Python; only sets with an odd hyphen have none."""
    expression = ottl.regex(glob)
    pattern = re.compile(fnmatch.translate(glob))
    if expression is None:
        assert any("-" in content for content in re.findall(r"\[(!?.[^\]]*)\]", glob, re.DOTALL))
        return
    found = as_python(ottl.anchored(expression))
    for name in (*ALL, *names, glob):
        assert bool(found.match(name)) == bool(pattern.match(name)), (name, expression)


IDS = (
    "gpt-4o",
    "GPT-4o",
    "openai/gpt-4o",
    "gpt-4o-mini",
    "gpt-4o-2024-05-13",
    "claude-sonnet-4-5",
    "claude-4-5-sonnet",
)
ALIASES = ("gpt-4o-*", "gpt-*", "*-mini", "openai/*", "chat", "*", "gpt-4o-2024-*")
ENTRIES = st.lists(
    st.builds(
        partial(dict, name="N", version="1", risk_tier="low", owner="o", purpose="p"),
        model_id=st.sampled_from(IDS),
        aliases=st.lists(st.sampled_from(ALIASES), max_size=3, unique=True),
        provider=st.sampled_from([None, "openai", "azure", ["azure", "openai"]]),
    ),
    unique_by=lambda entry: entry["model_id"],
)


@pytest.mark.filterwarnings("ignore:the Collector:UserWarning")
@settings(max_examples=settings.default.max_examples // 2)
@given(entries=ENTRIES, dice=st.randoms(use_true_random=False))
def test_order_of_registration_does_not_matter(entries: list[dict[str, Any]], dice: random.Random) -> None:
    """The order of registration changes neither the statements nor the lookup file."""
    texts = []
    for _ in range(2):
        registry = ModelRegistry(auto_emit=False)
        for entry in entries:
            registry.register(**entry, deployment_date="2026-01-01")
        texts.append((render_transform(registry), render_lookup(registry)))
        dice.shuffle(entries)
    assert texts[0] == texts[1]


@given(first=st.characters(codec="utf-8"), last=st.characters(codec="utf-8"), name=st.characters(codec="utf-8"))
def test_plain_ranges_have_an_expression(first: str, last: str, name: str) -> None:
    """A glob with ranges from one character to a later one has an expression."""
    if "-" in (first, last) or first in "!]" or last == "]":
        return
    for glob in (f"[{first}-{last}]", f"[!{first}-{last}]", f"[x{first}-{last}]", f"[{first}-{last}0-9]"):
        expression = ottl.regex(glob)
        assert (expression is None) == (first > last)
        if expression is not None:
            found = as_python(ottl.anchored(expression)).match(name)
            assert bool(found) == (re.compile(fnmatch.translate(glob)).match(name) is not None)


_GO = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})|\\([\\\"])|([^\\\"\n])")


def unquoted(text: str) -> str:
    """Return the text that Go reads between double quotes."""
    assert text[0] == text[-1] == '"'
    inner, found, end = text[1:-1], "", 0
    while end < len(inner):
        match = _GO.match(inner, end)
        assert match is not None
        short, long, escaped, plain = match.groups()
        found += escaped or plain or chr(int(short or long, 16))
        end = match.end()
    return found


@given(st.text(st.characters(codec="utf-8")) | st.text('$\\"\n\x00 \u2028\ufeffu0', max_size=8))
def test_quoted_text_is_read_back(text: str) -> None:
    """Go reads a quoted text as the same text; the quoted text is printable, on one line and without a dollar."""
    written = ottl.encode(text)
    assert unquoted(written) == text
    assert written.isprintable()
    assert "$" not in written


@given(st.lists(st.from_type(ModelRegistryEntry), max_size=4, unique_by=lambda entry: entry.model_id))
def test_any_registry_gives_yaml(entries: list[ModelRegistryEntry]) -> None:
    """Any registry gives valid YAML, inline and by file, in which texts of entries have no meaning."""
    registry = ModelRegistry(auto_emit=False)
    replace_file_entries(registry, entries)
    if any(ottl.regex(alias) is None for entry in entries for alias in entry.aliases):
        return
    inline, lookup = render_transform(registry), render_lookup(registry)
    assert read_yaml(inline)["processors"]["transform/model_registry"]["trace_statements"] == read_yaml(lookup)
    assert "$" not in inline
    assert inline.replace("\n", "").isprintable()
    assert read_yaml(render_transform(registry, lookup_file="x"))["processors"]


PROVIDERS = (
    None,
    "openai",
    "azure",
    "nobody",
    "aws.bedrock",
    "openrouter",
    "snowflake",
    "gradient_ai",
    "a",
    "openai.chat",
)


@settings(max_examples=2 * settings.default.max_examples)
@given(
    entries=ENTRIES | st.lists(st.from_type(ModelRegistryEntry), max_size=3, unique_by=lambda entry: entry.model_id),
    mode=st.sampled_from(["forms", "exact"]),
    provider=st.sampled_from(PROVIDERS) | st.sampled_from(sorted(PROVIDER_SPELLINGS)),
)
def test_each_key_of_the_source_finds_the_same_entry(entries: list[Any], mode: Any, provider: str | None) -> None:
    """A key of the source has the entry and the attributes that ``resolve`` finds, with any provider or its own."""
    registry = ModelRegistry(auto_emit=False)
    for entry in entries:
        if isinstance(entry, dict):
            registry.register(**entry, deployment_date="2026-01-01")
    if entries and not isinstance(entries[0], dict):
        replace_file_entries(registry, entries)
    source = read_yaml(render_lookup_source(registry, match=mode))
    for key, attributes in source.items():
        own, separator, name = key.rpartition("\n")
        found = registry.resolve(name, provider=(own or None) if separator else provider, match=mode).entry
        assert found is not None
        assert attributes["model_registry.model_id"] == found.model_id
        assert attributes == {
            name: list(value) if isinstance(value, tuple) else value for name, value in span_attributes(found).items()
        }
    for entry in registry if len(registry) == 1 else ():
        names = [
            name for name in (entry.model_id, *entry.aliases) if "\n" not in name and not re.search(r"[*?[]", name)
        ]
        assert entry.providers or mode != "forms" or {key.rpartition("\n")[2] for key in source} >= set(names)
