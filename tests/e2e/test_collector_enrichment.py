"""The enrichment that is rendered for the Collector is the span processor's, span by span."""

from __future__ import annotations

import itertools
import json
import random
import re
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.exporters import send
from support.otlp_json import SENDER, ours, read_items
from support.recording import Recorder

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.conventions import BY_PRIORITY, CONVENTIONS, MAX_JSON, PROVIDER_KEYS
from spanforge.model_registry._core.globs import MAX_GLOBBED
from spanforge.model_registry._core.name_tables import (
    DOCUMENTED_NAMES,
    GEOGRAPHIES,
    OPAQUE,
    PATHS,
    PROVIDER_WORDS,
    PROVIDERS_BEFORE_COLON,
    SEGMENTS,
)
from spanforge.model_registry._core.names import parse
from spanforge.model_registry._core.provider_tables import PROVIDERS as KNOWN_PROVIDERS
from spanforge.model_registry._core.provider_tables import VENDORS
from spanforge.model_registry._core.version_tables import NAME_TAGS, REVISIONS, SNAPSHOTS
from spanforge.model_registry.collector import render_lookup, render_transform
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan
    from support.servers import Server

    from spanforge.model_registry._core.names import MatchMode

pytestmark = pytest.mark.e2e

Attributes = dict[str, Any]

EVERYTHING = """
    processors:
      transform/forged:
        trace_statements: []
    exporters:
      file/everything:
        path: {file}
        rotation: {{}}
    service:
      pipelines:
        traces/all:
          exporters: [file/everything, forward/archive, forward/flagged, forward/sampled, forward/metrics]
"""
"""The users' configuration with a file that keeps every span as the enrichment leaves it, forged notes or not."""
WARNINGS = "model_registry.warnings"
NEARLY = re.compile(r".*(?=(?:would match, but not with the provider|match equally well))", re.DOTALL)
"""The entries in a warning about those that nearly match."""
MARKS = {"otelcol.names_model", "otelcol.flagged", SENDER}
"""What the users' configuration puts on spans after the enrichment."""

PROVIDERS = ("openai", "azure", "acme/eu", "$1 ${env:HOME}", "0", "?", "nobody", "")
ODD = (
    *("${env:HOME}", "$", "$$", "$${env:HOME}", "${file:/etc/passwd}", "${nope:x}", "$1 ${1}", "0:gpt-4o"),
    *("\\1 \\U0001f600 \\", "\\ \\\\ \\n \\u0024 \\", '"it\'s"', "'it''s' \"so\"", "'", "x  y", "-", "|-"),
    *("l1\nl2\r\tl3", "a\nb\r\nc", "y\tx\ty", "😀 \u2028\u0085\ufeff\u200b", "😀🏴\U000e0067\U0010ffff"),
    *("\x00\x01\x1b\x7f\u0085\u2028\ufeff\ufffe", "{{x}}", "{{x}} %s {0}", "a: b # c", "#x #", "a: b", "- x"),
    "&a *b !c",
)
"""Texts that mean something to YAML, to the Collector's configuration or to OTTL."""
OTHERS = (
    *("gpt-4o-mini", "claude-3", "claude-33", "blaude-x", "alaude-x", "cl]ude", "a.bXc", "axbc", "clyde", "cl^de"),
    *("l1\n2", "unknown", "GPT-4o", " gpt-4o", "gpt-4o\n", "qx", "is-any-of-them", "x-end"),
    *("L" * MAX_GLOBBED, "L" * (MAX_GLOBBED + 1), "Lö" * (MAX_GLOBBED // 2), "Lö" * (MAX_GLOBBED // 2) + "ö"),
    *("x" * 256, "x" * 257, "ö" * 300, "M" + "ü" * 255),
    *("un\x00known", "\x1b[31munknown", "unknown\x7f", "x" * 255 + "\x00\x1b", r"\x00 \x1b \t"),
    *("x' is retired; model 'y", "it\\'s", "end\\", "'" * 300),
    "".join(map(chr, range(32))),
)


def corpus() -> ModelRegistry:
    """Return a registry in which ids, aliases, globs and providers stand in each other's way."""
    registry = ModelRegistry(auto_emit=False)

    def register(model_id: str, *aliases: str, provider: str | None = None, text: str = "") -> None:
        number = len(registry)
        tier = ("low", "medium", "high", "critical")[number % 4]
        name, version, owner = (f"{word} {number} {text}" for word in ("Model", "v", "ml"))
        registry.register(model_id, name, version, tier, owner, "x", aliases=aliases, provider=provider)

    register("gpt-4o", "support", "gpt-4o-*", provider="openai")
    register("openai/o1", "reason/er", "?/gpt")
    register("o1", "shared", "shared2", "o1-mini")
    register("azure/gpt-4o", "shared", "gpt-4o-2024*", provider="azure")
    register("o3", "shared", "azure/o?", provider="azure")
    register("acme/eu/m", "eu/m2", "acme/eu/*x")
    register("m", "azure/m", provider="acme/eu")
    register("dollar", "$1 *-end")
    register("$1 ${env:HOME}/d", "*${env:HOME}*")
    register("claude", "claude-[0-9]", "[!a]laude-x", "cl[]]ude", "cl[^x]de", "a.b*c", "exact-[", "l?\n*")
    register("long", "L*", "M" + "?" * 255)
    register("openai/p", provider="azure")
    register("p", "q*", provider="openai")
    register("any", "*-any-*-*")
    for number, text in enumerate(ODD):
        register(text, f"alias {text}", f"glob {text.replace('[', '')}*", text=text)
        if number % 3 == 0:
            register(f"limited {number}", text, provider=text)
    registry.deprecate("o1")
    registry.deprecate("azure/gpt-4o", successor="gpt-5", sunset_date="2026-12-31")
    registry.retire("azure/gpt-4o")
    for text in ODD:
        registry.deprecate(text, successor=text, sunset_date="2026-12-31T08:00:00Z")
    return registry


def names_of(registry: ModelRegistry) -> list[str]:
    """Return names that may or may not be those of an entry."""
    exact = [name for entry in registry for name in (entry.model_id, *entry.aliases)]
    parts = [name[slash + 1 :] for name in exact for slash, char in enumerate(name) if char == "/"]
    matching = [name.replace("*", "2024").replace("?", "3") for name in exact]
    return list(dict.fromkeys((*exact, *parts, *matching, *OTHERS)))


def spans_of(registry: ModelRegistry) -> list[tuple[str, Attributes]]:
    """Return scope and attributes of spans of all kinds."""
    names, dice = names_of(registry), random.Random(6)
    found: list[tuple[str, Attributes]] = []

    def add(*scopes: str, **attributes: Any) -> None:
        found.extend((scope, attributes) for scope in scopes or ("app",))

    for name in names:
        for provider in (None, *PROVIDERS):
            add(**{"gen_ai.request.model": name} | ({} if provider is None else {"gen_ai.system": provider}))
    for row, name in itertools.product(CONVENTIONS, ("gpt-4o", "support", "o1", "gpt-4o-1", "unknown", "")):
        value = name if row.member is None else json.dumps({"temperature": 1, row.member: name, "x": [name]})
        add("app", "pydantic-ai", **{row.key: value})
        add("pydantic-ai", **{row.key: value, "gen_ai.provider.name": "azure", "llm.system": "openai"})
    for key, provider in itertools.product(PROVIDER_KEYS, ("openai", "azure", "", 7)):
        add(**{"llm.model_name": "gpt-4o", key: provider})
        add(**{"llm.model_name": "gpt-4o", key: provider, "llm.system": "openai"})
    for text in ODD:
        add(**{"gen_ai.request.model": text, "gen_ai.system": text})
    found += [("app", attributes) for attributes in ODD_SPANS]
    keys = [row.key for row in CONVENTIONS]
    for _ in range(1_900):
        attributes: Attributes = {}
        for key in dice.sample(keys, dice.randint(1, 4)):
            name = dice.choice(names)
            attributes[key] = json.dumps({"model": name}) if key.endswith("parameters") else name
        for key in dice.sample(PROVIDER_KEYS, dice.randint(0, 2)):
            attributes[key] = dice.choice(PROVIDERS)
        add(dice.choice(("app", "pydantic-ai")), **attributes)
    return found


TEXTS_OF_JSON = (
    "{",
    "[]",
    "null",
    '"gpt-4o"',
    '{"model": null}',
    '{"model": 7}',
    '{"model": {"model": "o1"}}',
    '{"model": ["o1"]}',
    '{"model": "o1"} ',
    '{"model": "\\u006f1"}',
    '{"model": "o1", "x": "' + "x" * (MAX_JSON - 24) + '"}',
    '{"model": "o1", "x": "' + "x" * (MAX_JSON - 23) + '"}',
)
FORGED = {"model_registry.owner": "mallory", "model_registry.version": "9", "model_registry.x": True}
ODD_SPANS: tuple[Attributes, ...] = (
    *(
        attributes
        for value in (7, True, 1.5, ["gpt-4o"], [], [1], "")
        for attributes in (
            {"gen_ai.response.model": value},
            {"gen_ai.response.model": value, "gen_ai.request.model": "gpt-4o"},
            {"gen_ai.system": value, "gen_ai.request.model": "gpt-4o"},
            {"llm.invocation_parameters": value},
        )
    ),
    *({"llm.invocation_parameters": text} for text in TEXTS_OF_JSON),
    *(
        {"embedding.invocation_parameters": text, "llm.invocation_parameters": '{"model": "unknown"}'}
        for text in TEXTS_OF_JSON
    ),
    FORGED,
    *(FORGED | {"gen_ai.request.model": name} for name in ("gpt-4o", "unknown", "")),
    {"http.method": "GET"},
    {},
)
"""Values that are no names, JSON that has none, and what others say of the registry."""


def made(processors: Iterable[Any], spans: Sequence[tuple[str, Attributes]]) -> list[ReadableSpan]:
    """Return spans as the SDK makes them."""
    recorder = Recorder(processors=processors)
    for number, (scope, attributes) in enumerate(spans):
        recorder.call(str(number), scope, **attributes)
    return recorder.take()


def enriched(
    run_server: Callable[..., Server], folder: Path, config: Path, spans: Sequence[ReadableSpan]
) -> list[Attributes]:
    """Return the spans after a Collector with this further configuration, in their order."""
    file, everything = folder / "everything.jsonl", folder / "everything.yaml"
    everything.write_text(textwrap.dedent(EVERYTHING.format(file=file)))
    collector = run_server("otelcol", config, everything)
    send(collector, spans)
    collector.stop()
    found = {
        int(span.item["name"]): {key: value for key, value in span.attributes.items() if key not in MARKS}
        for span in read_items(file)
    }
    return [found[number] for number in range(len(spans))]


def in_collector(  # noqa: PLR0913 - three are options of the rendered text
    run_server: Callable[..., Server],
    folder: Path,
    registry: ModelRegistry,
    spans: Sequence[tuple[str, Attributes]],
    *,
    where: str = "inline",
    match: MatchMode = "forms",
    names: str | None = None,
) -> list[Attributes]:
    """Return the attributes that a Collector gives to spans; its statements stand ``inline`` or in a ``file``."""
    folder.mkdir(exist_ok=True)
    lookup, config = folder / "lookup.yaml", folder / "registry.yaml"
    lookup_file = None if where == "inline" else lookup
    transform = render_transform(registry, lookup_file=lookup_file, match=match, span_attributes=names)
    config.write_text(transform, "utf-8")
    if where == "file":
        lookup.write_text(render_lookup(registry, match=match), "utf-8")
    return enriched(run_server, folder, config, made([], spans))


def in_python(
    registry: ModelRegistry,
    spans: Sequence[tuple[str, Attributes]],
    match: MatchMode = "forms",
    names: str | None = None,
) -> list[Attributes]:
    """Return the attributes that the span processor gives to spans."""
    processor = ModelRegistrySpanProcessor(registry, match=match, span_attributes=names)
    return [dict(span.attributes or {}) for span in made([processor], spans)]


def comparable(attributes: Attributes) -> Attributes:
    """Return attributes without the documented differences of warnings.

    The Collector does not escape invisible characters beyond ASCII, and may list other entries that nearly match.
    """
    if WARNINGS not in attributes:
        return attributes
    shown = ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) for text in attributes[WARNINGS]]
    return attributes | {WARNINGS: [NEARLY.sub("", text) for text in shown]}


def different(
    spans: Sequence[tuple[str, Attributes]], found: Sequence[Attributes], expected: Sequence[Attributes]
) -> list[tuple[str, Attributes, Attributes, Attributes]]:
    """Return the spans that differ: scope, attributes, what was found and what was expected."""
    unequal = [(*span, there, here) for span, there, here in zip(spans, found, expected, strict=True) if there != here]
    return [one for one in unequal if comparable(one[2]) != comparable(one[3])]


class Answers(NamedTuple):
    """Spans, and the attributes that a Collector gave to them with the registry of ``corpus``."""

    spans: list[tuple[str, Attributes]]
    found: list[Attributes]


INVISIBLE = ("un\u200bknown", "un\u0085known", "\u2028unknown", "unknown\ufeff", "un\U000e0001known", "\xa0unknown")
"""Names with invisible characters beyond ASCII."""


@pytest.fixture(scope="module")
def answers(run_module_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answers]:
    """Give the answers of one Collector to the spans of three tests.

    Its statements are in a file here, and in the configuration elsewhere; tests/test_collector.py shows they are equal.
    """
    registry = corpus()
    with_status: list[tuple[str, Attributes]] = [
        ("app", {"gen_ai.request.model": name, "model_registry.status": status} | more)
        for name in ("gpt-4o", "gpt-4o-1", "support", "unknown", "")
        for status in ("active", "unregistered", "whatever", "", 7)
        for more in ({}, {"model_registry.owner": "mine", "model_registry.x": 1}, {"otelcol.registry_more": "x"})
    ]
    parts: dict[str, list[tuple[str, Attributes]]] = {
        "of all kinds": spans_of(registry),
        "invisible": [("app", {"gen_ai.request.model": name}) for name in INVISIBLE],
        "with a status": with_status,
    }
    spans = [span for part in parts.values() for span in part]
    found = iter(in_collector(run_module_server, tmp_path_factory.mktemp("corpus"), registry, spans, where="file"))
    return {name: Answers(part, list(itertools.islice(found, len(part)))) for name, part in parts.items()}


def test_every_span_gets_what_the_processor_sets(answers: dict[str, Answers]) -> None:
    """Over every convention, provider, alias, glob and text, the Collector sets what the span processor sets."""
    spans, found = answers["of all kinds"]
    assert len(spans) > 5_000
    assert not different(spans, found, in_python(corpus(), spans))


SMALL = ("a", "b", "a/b", "b/a", "a/b/a", "a/a", "b/b", "c")
LIMITS = ("a", "b", "a/b")
CHOICES = (
    None,
    "+contact,+purpose,+decommission_date,-successor,-response_registered",
    "-status,-warnings,-requested_model_id",
    "owner,successor",
)
"""Choices of the attributes that spans get."""
FORGED_MARKS: tuple[Attributes, ...] = tuple(
    entry | more
    for entry in ({}, *({"otelcol.registry_entry": value} for value in (0, 1, 7, "0", "x")))
    for more in (
        {},
        {"otelcol.registry_more": "gpt-4o"},
        {"otelcol.registry_more": {"0": "forged", "odd": True, "model_registry.owner": "mallory"}},
        {"otelcol.registry_more": ["0"]},
    )
)
"""What the statements keep their state in, as a sender writes it."""
WHAT_TO_DO = {"successor": "d\n", "sunset_date": "2026-12-31"}
GLOBS = ("*", "a*", "?", "[ab]", "a/*", "*/b", "[!a]*", "?/?", "b?*")


def small_registry(dice: random.Random) -> ModelRegistry:
    """Return a random registry of a few names that mean one thing or another, as the provider is."""
    registry = ModelRegistry(auto_emit=False)
    for model_id in dice.sample(SMALL, dice.randint(1, 5)):
        aliases = dice.sample(SMALL, dice.randint(0, 3)) + dice.sample(GLOBS, dice.choice((0, 0, 1, 2)))
        dice.shuffle(aliases)
        provider = dice.choice((None, *LIMITS))
        owner, metadata = f"owner {model_id}", {"contact": f"#{model_id}"} if len(model_id) > 1 else {}
        registry.register(model_id, "N", "1", "low", owner, "x", aliases=aliases, provider=provider, metadata=metadata)
        if dice.random() < 0.3:
            is_retired = dice.choice((False, True))
            registry.deprecate(model_id, **(WHAT_TO_DO if len(model_id) > 1 else {}))
            if is_retired:
                registry.retire(model_id)
    return registry


def without_marks(attributes: Attributes) -> Attributes:
    """Return attributes without those in which the statements keep their state."""
    return {key: value for key, value in attributes.items() if not key.startswith("otelcol.")}


def small_spans(dice: random.Random) -> list[tuple[str, Attributes]]:
    """Return spans over the same names: each name with each provider, and several names together."""
    spans: list[tuple[str, Attributes]] = [
        ("app", {"llm.model_name": name} | ({} if provider is None else {"llm.system": provider}))
        for name, provider in itertools.product((*SMALL, "", "d"), (None, "", "d", *LIMITS))
    ]
    for _ in range(300):
        keys = dice.sample(("gen_ai.response.model", "gen_ai.request.model", "llm.model_name"), dice.randint(2, 3))
        providers = {key: dice.choice(("", "d", *LIMITS)) for key in dice.sample(PROVIDER_KEYS, dice.randint(0, 2))}
        marks = dice.choice(FORGED_MARKS) if dice.random() < 0.3 else {}
        spans.append(("app", {key: dice.choice((*SMALL, "d", "d/b")) for key in keys} | providers | marks))
    return spans


def test_random_registries_of_few_names(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """With ids, aliases, globs and providers of the same few letters, the two agree for each choice of attributes.

    Attributes in which the statements keep their state mean nothing if they come with the span.
    """
    dice = random.Random(7)
    for number, names in enumerate(CHOICES):
        registry, spans = small_registry(dice), small_spans(dice)
        found = in_collector(run_server, tmp_path / str(number), registry, spans, names=names)
        expected = in_python(registry, [(scope, without_marks(each)) for scope, each in spans], names=names)
        assert not different(spans, found, expected), registry.list_all()


def test_invisible_characters_beyond_ascii(answers: dict[str, Answers]) -> None:
    """The one difference: in the warning of a model that is not registered they stand as they are, not escaped."""
    spans, found = answers["invisible"]
    for name, there, here in zip(INVISIBLE, found, in_python(corpus(), spans), strict=True):
        assert there.pop(WARNINGS) == (f"model '{name}' is not registered",)
        assert here.pop(WARNINGS) == (f"model '{ascii(name)[1:-1]}' is not registered",)
        assert there == here == {"gen_ai.request.model": name, "model_registry.status": "unregistered"}


def test_spans_with_a_status_are_left_alone(answers: dict[str, Answers]) -> None:
    """What an application with the span processor has enriched, rightly or not, is as it was."""
    spans, found = answers["with a status"]
    assert not different(spans, found, [attributes for _, attributes in spans])


@pytest.fixture(scope="module")
def plain_answers(
    run_module_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Answers]:
    """Give the answers of one Collector, with a registry without globs, to the spans of three tests."""
    keys = [row.key for row in BY_PRIORITY if row.member is row.scope is None]
    parts: dict[str, list[tuple[str, Attributes]]] = {
        "with forged marks": [
            ("app", marks | name | provider)
            for marks in FORGED_MARKS
            for name in ({}, *({"llm.model_name": name} for name in ("gpt-4o", "chat", "GPT-4o", "unknown", "\x1b")))
            for provider in ({}, {"llm.system": "openai"}, {"llm.system": "acme"})
        ],
        "with names that differ": [("app", {"gen_ai.request.model": name}) for name in DIFFERENT_NAMES],
        "with many names": [
            ("app", dict(zip(keys, [*(f"unknown-{number}" for number in range(before)), "gpt-4o"], strict=False)))
            for before in (3, 4)
        ],
    }
    spans = [span for part in parts.values() for span in part]
    found = iter(in_collector(run_module_server, tmp_path_factory.mktemp("plain"), plain_registry(), spans))
    return {name: Answers(part, list(itertools.islice(found, len(part)))) for name, part in parts.items()}


def plain_registry() -> ModelRegistry:
    """Return a registry without globs."""
    registry = ModelRegistry(auto_emit=False)
    for model_id, aliases in (("gpt-4o", ["chat"]), ("o1", []), ("\u0130X".lower(), [])):
        registry.register(model_id, "N", "1", "low", "ml", "x", aliases=aliases)
    return registry


def test_forged_marks_change_nothing(plain_answers: dict[str, Answers]) -> None:
    """Without globs, too, attributes in which the statements keep their state mean nothing if they come with spans."""
    spans, found = plain_answers["with forged marks"]
    assert not different(spans, [*map(ours, found)], [*map(ours, in_python(plain_registry(), spans))])


# Forms, and the models of request and response.

FURTHER_NAMES = """
gpt-4o GPT-4o gpt-4o-2024-05 gpt-4o-2024-05-13 gpt-4o-2024-05-20 gpt-4o-2023-02-30 gpt-4o-2024-02-29 gpt-4o-2023-02-29
gpt-4o-20230229 gpt-4o-20240229 gpt-4-0613 gpt-4-0431 gpt-4-1106-preview model-1024 model-0512 model-1216 model-2411
model-2413 openrouter/anthropic/claude-3.5-sonnet:beta litellm_proxy/azure/eu/gpt-4o anthropic--claude-4-sonnet
bedrock/converse/us.anthropic.claude-3-5-sonnet-20241022-v2:0 anthropic.claude-3-5-sonnet-20241022-v2:0
claude-3-5-sonnet-20241022 claude-3-5-sonnet-latest claude-3.5-sonnet@20241022 claude-3-haiku@default
arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0
arn:aws:bedrock:us-east-1:123:inference-profile/us.anthropic.claude-3-5-sonnet-20241022-v2:0
arn:aws:bedrock:us-east-1:123:application-inference-profile/abc arn:aws:bedrock:us-east-1:123:foundation-model/us.x
ft:gpt-4o-mini-2024-07-18:acme::abc openai/ft:gpt-4o-mini-2024-07-18:acme::abc projects/p/locations/l/endpoints/123
azure/deployments/my-model-2 my-deployment-2 text-embedding-004 text-embedding-005 gemini-1.5-pro-001
gemini-1.5-pro-002 gemini-1.5-pro gemini-1.5-pro@002 gemini-1.5-pro-latest gemini-2.5-flash-preview-09-2025
llama-3.3-70b-instruct llama-v3p3-70b-instruct meta-llama/Llama-3.3-70B-Instruct:free unsloth/Llama-3.3-70B-Instruct
qwen2.5-72b qwen-2.5-72b Qwen/Qwen2.5-72B:groq Qwen/Qwen2.5-72B:nobody claude-sonnet-4-5 claude-4.5-sonnet
claude-sonnet-4-5@20250929 claude-opus-4-6-v1 gpt-35-turbo gpt-3.5-turbo amazon.titan-text-express-v1
amazon.titan-text-express-v1:0:8k deepseek.deepseek-x deepseek-r1 databricks-meta-llama-3-3-70b-instruct x-v-3 a3p-5
gpt-oss-20b@latest groq/llama-3.3-70b-instruct o1 o1-mini o1-2024-12-17 o1-preview-2024-09-12 3.1.2.3-x x-1-2-3 a--b
gpt-4o-v2 gpt-4o-v3 tunedModels/my-2 foo:bar/baz foo/openai/gpt-4o llama3.3:70b mistral:7b hf.co/unsloth/gemma
snowflake/openai-gpt-4.1 openai-gpt-4.1 cohere-rerank-v4.0-pro fw-gpt-oss-120b openrouter/auto gpt-4o:nitro
"""
FORM_PROVIDERS = (
    *(
        None,
        "openai",
        "Azure",
        "aws.bedrock",
        "vertex_ai",
        "gradient_ai",
        "snowflake",
        "openrouter",
        "databricks",
        "oci",
    ),
    *("langchain", "openai.chat", "vertex_ai-anthropic_models", "acme", "openinfer", "x.y$1"),
)


def names_of_forms() -> list[str]:
    """Return names with every row of the tables of names."""
    rows = (*PATHS, *SEGMENTS, *PROVIDER_WORDS, *NAME_TAGS, *SNAPSHOTS, *REVISIONS)
    names = [row.example for row in rows]
    names += [f"{text}/some-model-1.5" for row in VENDORS for text in row.organisations]
    names += [f"{text}.some-model-v1:0" for row in VENDORS for text in row.dotted]
    names += [f"{geography}.anthropic.some-model-v1:0" for geography in GEOGRAPHIES]
    names += [f"{text}/some-model-1.5" for row in KNOWN_PROVIDERS for text in (row.name, *row.spellings)]
    names += [f"{text}:gpt-4o" for text in PROVIDERS_BEFORE_COLON]
    names += [f"{text}/x" for text in OPAQUE]
    return list(
        dict.fromkeys((*names, *DOCUMENTED_NAMES, *FURTHER_NAMES.split(), "the model 2", " gpt-4o ", '"gpt-4o"'))
    )


def registry_of_forms(names: Sequence[str], dice: random.Random | None) -> ModelRegistry:
    """Return a registry of the base names, or of some names that get in each other's way."""
    registry = ModelRegistry(auto_emit=False)
    bases = [parsed.base for parsed in map(parse, names) if not parsed.opaque]
    plain = [name for name in names if name.strip() == name]
    chosen = dice.sample(plain, 120) if dice else [*dict.fromkeys(bases), "gpt-4o-2024-05", "gemini-1.5-pro-001"]
    for model_id in chosen:
        limits = (None, None, None, "azure", "bedrock", ["google", "openai"], "acme")
        provider = dice.choice(limits) if dice else None
        aliases = dice.sample(plain, 1) if dice and dice.random() < 0.2 else []
        more = {"base_model": dice.sample(plain, 2)} if dice and dice.random() < 0.3 else {}
        registry.register(
            model_id, "N", "1", "low", f"owner of {model_id}", "x", aliases=aliases, provider=provider, metadata=more
        )
    if dice:
        for number, glob in enumerate(
            ("gpt-4o-*", "*claude-3-5-sonnet-2024*", "*/llama-*", "*.titan-*", "gemini-1.5-*")
        ):
            provider = (None, "azure", "google")[number % 3]
            registry.register(f"glob {number}", "N", "1", "low", "ml", "x", aliases=[glob], provider=provider)
    return registry


def spans_of_forms(names: Sequence[str], dice: random.Random) -> list[tuple[str, Attributes]]:
    """Return spans that name each name, with several providers, and spans with a request and a response."""
    spans: list[tuple[str, Attributes]] = []
    for name in names:
        for provider in dice.sample(FORM_PROVIDERS, 2):
            attributes = {"gen_ai.request.model": name} | ({} if provider is None else {"gen_ai.system": provider})
            spans.append(("app", attributes))
    for _ in range(500):
        attributes = {"gen_ai.response.model": dice.choice(names), "gen_ai.request.model": dice.choice(names)}
        if dice.random() < 0.2:
            base = dice.choice(("gpt-4o", "o1", "claude-sonnet-4-5", "qwen2.5-72b", "gemini-1.5-pro"))
            attributes = {"gen_ai.response.model": f"{base}-2024-08-06", "gen_ai.request.model": base}
        for key in ("llm.model_name", "litellm.provider.model"):
            if dice.random() < 0.2:
                attributes[key] = dice.choice(names)
        if dice.random() < 0.2:
            attributes[dice.choice(list(attributes))] = dice.choice(("unknown", "Chat", "None", " - ", "N/A"))
        if dice.random() < 0.5:
            attributes["gen_ai.operation.name"] = dice.choice(("chat", "gpt-4o", "x.y(1)"))
        if dice.random() < 0.5:
            attributes["gen_ai.system"] = dice.choice(FORM_PROVIDERS[1:])
        spans.append(("app", attributes))
    return spans


@pytest.mark.parametrize("seed", [None, 1])
def test_forms(run_server: Callable[..., Server], tmp_path: Path, seed: int | None) -> None:
    """Every row of the tables of names means the same to both, and so do the models of request and response."""
    names, dice = names_of_forms(), random.Random(seed or 0)
    registry = registry_of_forms(names, dice if seed else None)
    spans = spans_of_forms(names, dice)
    expected = in_python(registry, spans)
    assert not different(spans, in_collector(run_server, tmp_path, registry, spans), expected)
    keys = {key for attributes in expected for key in attributes}
    assert keys >= {"model_registry.requested_model_id", "model_registry.response_registered"}


def test_exact_matching(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """With ``match="exact"``, the Collector does what the span processor does with that setting."""
    names, dice = names_of_forms(), random.Random(3)
    registry, spans = registry_of_forms(names, dice), spans_of_forms(names, dice)
    found = in_collector(run_server, tmp_path, registry, spans, match="exact")
    assert not different(spans, found, in_python(registry, spans, match="exact"))


DIFFERENT_NAMES = {
    "gpt-4o-2024-05-13-2024-08-06": "two snapshots",
    "gpt-4o-v1:0-v2:0": "two revisions",
    "\u0130x": "lower case beyond ASCII",
    '"\\u0067pt-4o"': "escapes in a JSON string",
}


def test_names_that_differ(plain_answers: dict[str, Answers]) -> None:
    """The page about the Collector lists the names that only the span processor resolves."""
    spans, found = plain_answers["with names that differ"]
    assert [attributes["model_registry.status"] for attributes in found] == ["unregistered"] * len(spans)
    expected = in_python(plain_registry(), spans)
    assert [attributes["model_registry.status"] for attributes in expected] == ["active"] * len(spans)


def test_the_fifth_name_of_a_span_is_not_looked_up(plain_answers: dict[str, Answers]) -> None:
    """The Collector looks up the first four different names of a span."""
    found = plain_answers["with many names"].found
    assert [attributes["model_registry.status"] for attributes in found] == ["active", "unregistered"]
