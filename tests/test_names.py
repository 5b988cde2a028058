"""Model names: every row of the tables, real names of six families, and what is never removed."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from support.model_names import FAMILIES, Inventory, ways_to_ask

from spanforge.model_registry._core.name_tables import (
    DOCUMENTED_NAMES,
    GEOGRAPHIES,
    OPAQUE,
    OWN_WORD,
    PATHS,
    PROVIDER_WORDS,
    PROVIDERS_BEFORE_COLON,
    SEGMENTS,
)
from spanforge.model_registry._core.names import (
    MAX_PARSED,
    canonical_provider,
    clean,
    entry_key,
    is_framework,
    is_placeholder,
    parse,
)
from spanforge.model_registry._core.provider_tables import BEDROCK, NOT_PROVIDERS, PROVIDERS, VENDORS
from spanforge.model_registry._core.version_tables import NAME_TAGS, PLACEHOLDERS, REVISIONS, SNAPSHOTS

PAGE = Path(__file__).parents[1] / "docs" / "model-names.md"
ORGANISATIONS = {text for row in VENDORS for text in row.organisations}
SONNET = (
    "claude-sonnet-4-5",
    "Claude-Sonnet-4-5",
    "claude-sonnet-4.5",
    "claude-sonnet-4-5-latest",
    "claude-sonnet-4-5-20250929",
    "claude-sonnet-4-5@20250929",
    "claude-sonnet-4-5-20250929-v1",
    "claude-sonnet-4-5-20250929-v1:0",
    "anthropic/claude-sonnet-4.5",
    "anthropic/claude-sonnet-4.5:beta",
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "bedrock/arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "vertex_ai/claude-sonnet-4-5@20250929",
    "publishers/anthropic/models/claude-sonnet-4-5",
    "projects/p1/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929",
    "openrouter/anthropic/claude-sonnet-4.5",
    "replicate/anthropic/claude-4.5-sonnet",
    "databricks/databricks-claude-sonnet-4-5",
    "databricks-claude-sonnet-4-5",
    "anthropic--claude-4.5-sonnet",
    "litellm_proxy/anthropic/claude-sonnet-4-5",
    "anthropic:claude-sonnet-4-5",
    '"claude-sonnet-4-5"',
    " claude-sonnet-4-5\n",
)
"""One model in the forms of real spans and documentation."""


@pytest.mark.parametrize(
    "row", [*PATHS, *SEGMENTS, *PROVIDER_WORDS, *NAME_TAGS, *SNAPSHOTS, *REVISIONS], ids=lambda row: row.example
)
def test_table_rows(row: Any) -> None:
    """Each row's example has the base name, the provider and the snapshot of the row, and each row has a source."""
    parsed = parse(row.example)
    assert parsed.base == row.base
    assert getattr(row, "provider", None) in (None, parsed.provider)
    assert parsed.snapshot == getattr(row, "snapshot", parsed.snapshot)
    assert parsed.moving == getattr(row, "moving", parsed.moving)
    assert row.source


@pytest.mark.parametrize("row", [row for row in PROVIDER_WORDS if not row.marks], ids=lambda row: row.text)
def test_a_vendors_word_stays_without_its_provider(row: Any) -> None:
    """Words that other providers do not add are part of the name, unless the route or the span names the provider."""
    _, _, name = row.example.partition("/")
    assert parse(name).base.startswith(row.text.lower())
    assert parse(name, row.provider).base == row.base


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: row.name)
def test_providers(row: Any) -> None:
    """Every spelling of a provider is the same provider in an attribute, and in a route unless it is a vendor too."""
    for spelling in (row.name, *row.spellings):
        assert canonical_provider(spelling) == canonical_provider(spelling.upper()) == row.name
        parsed = parse(f"{spelling}/house-1b")
        assert parsed.base == "house1b"
        assert parsed.provider == (None if spelling in ORGANISATIONS else row.name)


def test_one_provider_has_each_spelling() -> None:
    """No spelling is in two rows, and none is also a framework."""
    spellings = [text for row in PROVIDERS for text in (row.name, *row.spellings)]
    assert len(spellings) == len(set(spellings))
    assert not set(spellings) & set(NOT_PROVIDERS)
    assert all(text == text.lower() for text in spellings)


@pytest.mark.parametrize("row", VENDORS, ids=lambda row: row.name)
def test_vendors(row: Any) -> None:
    """A vendor's organisation is a route that shows no provider, and so is its prefix before a dot."""
    for organisation in row.organisations:
        assert parse(f"{organisation}/house-1b") == parse(f"{organisation}--house-1b") == parse("house-1b")
        assert parse(f"together_ai/{organisation}/house-1b").provider == "together_ai"
    for vendor in row.dotted:
        expected = f"{vendor}-house1b" if vendor in OWN_WORD else "house1b"
        assert parse(f"{vendor}.house-1b").base == expected
        for geography in GEOGRAPHIES:
            parsed = parse(f"{geography}.{vendor}.house-1b-v1:0")
            assert (parsed.base, parsed.provider, parsed.revision) == (expected, BEDROCK, "v1")


@pytest.mark.parametrize("provider", sorted(PROVIDERS_BEFORE_COLON))
def test_providers_before_a_colon(provider: str) -> None:
    """The identifiers of pydantic-ai and LangChain are routes."""
    assert parse(f"{provider}:house-1b").base == "house1b"


def test_tags_of_ollama_are_no_routes() -> None:
    """A tag behind a model at Ollama is part of the name, because it chooses another model."""
    for name in ("mistral:7b", "qwen:7b", "llama3:70b", "gpt-oss:120b"):
        assert parse(name).base.endswith(name.partition(":")[2])
        assert ":" in parse(name).base


def test_documented_names() -> None:
    """Names that a provider documents as another model are that model."""
    for name, documented in DOCUMENTED_NAMES.items():
        assert parse(name).key() == parse(f"us.{name}").key() == entry_key(documented.means).text


@pytest.mark.parametrize("name", SONNET)
def test_forms_of_one_model(name: str) -> None:
    """All forms of a model find its entry, and none finds the entry of a sibling."""
    index = Inventory(["claude-sonnet-4", "claude-sonnet-4-5", "claude-opus-4-5", "claude-3-5-sonnet"])
    assert index.find(name) == "claude-sonnet-4-5"


@pytest.mark.parametrize("model_id", FAMILIES)
def test_names_of_a_family(model_id: str) -> None:
    """At least 97 of 100 real names find their entry, none finds another one, with and without the provider."""
    index = Inventory(FAMILIES)
    found = [
        index.find(way, provider)
        for name, litellm_provider in FAMILIES[model_id].right.items()
        for way, provider in ways_to_ask(name, litellm_provider)
    ]
    assert set(found) <= {model_id, None}
    assert found.count(model_id) >= 0.97 * len(found)


@pytest.mark.parametrize("model_id", FAMILIES)
def test_siblings_of_a_family(model_id: str) -> None:
    """An entry covers none of its siblings, even if they have no entry of their own."""
    index = Inventory([model_id])
    taken = [
        name
        for name, litellm_provider in FAMILIES[model_id].siblings.items()
        for way, provider in ways_to_ask(name, litellm_provider)
        if index.find(way, provider) is not None
    ]
    assert taken == []


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-mini",
        "gpt-4o-audio-preview-2024-12-17",
        "ft:gpt-4o-2024-08-06:acme::abc123",
        "openai/ft:gpt-4o-2024-08-06:acme::abc123",
        "unsloth/gpt-4o",
        "openrouter/unsloth/gpt-4o",
        "gpt-4o-fp8",
        "gpt-4o-0512",
        "gpt-4o-1024",
        "gpt-4o-1216",
        "gpt-4o-8192",
        "gpt-4o-32768",
        "gpt-4o-2024-02-30",
        "gpt-4o-20230229",
        "gpt-4o-2018-05-13",
        "gpt-4o-2040-05",
        "gpt-4o-05-13",
        "gpt-4o-v1",
        "gpt-4o:1",
        "gpt-4o:free",
        "gpt-4o:70b",
        "gpt 4o",
        "lambda_ai/deepseek-gpt-4o",
        "2024-05-13",
    ],
)
def test_other_models(name: str) -> None:
    """Further words, sizes, fine-tunes, other organisations and impossible dates make another model."""
    assert Inventory(["gpt-4o"]).find(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *(f"{part}/acme/models-of/gpt-4o-2024-05-13" for part in sorted(OPAQUE - {"publishers"})),
        "projects/p1/locations/us-central1/endpoints/4567",
        "projects/p1/locations/us-central1/models/4567",
        "accounts/acme/models/gpt-4o-2024-05-13",
        "tunedmodels/gpt-4o-2024-05-13",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/gpt-4o-2024-05-13",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/gpt-4o-2024-05-13",
        "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/anthropic.claude-3-haiku-20240307-v1:0",
        "arn:aws:bedrock:us-east-1:123456789012:foundation-model/us.anthropic.claude-3-haiku-20240307-v1:0",
        "arn:aws:sagemaker:us-east-1:123456789012:endpoint/gpt-4o-2024-05-13",
    ],
)
def test_opaque_names(name: str) -> None:
    """A deployment's name does not tell the model, so it only matches itself."""
    parsed = parse(name)
    assert (parsed.opaque, parsed.snapshot, [key.text for key in parsed.list_keys()]) == (True, None, [name])
    assert Inventory([name]).find(name) == name


def test_examples_of_the_page() -> None:
    """The names in the examples of docs/model-names.md find their entries."""
    page = PAGE.read_text("utf-8").partition("## Deployments")[0]
    sonnet, _, others = page.partition("| where | names | entry |")
    rows = [(names, "claude-sonnet-4-5") for names in re.findall(r"^\| \w.* \| (`.*`) \|$", sonnet, re.MULTILINE)]
    rows += re.findall(r"^\| \w.* \| (`.*`) \| `(.*)` \|$", others, re.MULTILINE)
    assert len(rows) == 13
    index = Inventory({entry for _, entry in rows})
    for names, entry in rows:
        assert {index.find(name) for name in re.findall("`(.*?)`", names)} == {entry}


def test_snapshots_of_entries() -> None:
    """An entry with a snapshot covers that one only, and an entry with a month for the days in it."""
    index = Inventory(["gpt-4o", "gpt-4o-2024-05", "gpt-4o-2024-08-06", "mistral-large-2411"])
    assert index.find("openai/gpt-4o-2024-05-13") == "gpt-4o-2024-05"
    assert index.find("gpt-4o-20240806") == "gpt-4o-2024-08-06"
    assert index.find("gpt-4o-2024-08-07") == "gpt-4o"
    assert index.find("gpt-4o-latest") == "gpt-4o"
    assert index.find("vertex_ai/mistral-large@2411-001") == "mistral-large-2411"
    assert index.find("mistral-large") is None
    assert index.find("mistral-large-latest") is None


def test_numbers_of_entries() -> None:
    """A number is never removed if there is an entry for another number of the same model."""
    index = Inventory(["text-embedding", "text-embedding-004", "titan-embed-text-v1", "titan-embed-text", "nova-pro"])
    assert index.find("text-embedding-004") == "text-embedding-004"
    assert index.find("text-embedding-005") is None
    assert index.find("text-embedding@005") is None
    assert index.find("amazon.titan-embed-text-v1:0") == "titan-embed-text-v1"
    assert index.find("amazon.titan-embed-text-v2:0") is None
    assert index.find("amazon.nova-pro-v1:0") == "nova-pro"
    assert Inventory(["gpt-4o-2024-05-13", "gpt-4o"]).find("gpt-4o-001") == "gpt-4o"


def test_versions_are_no_revisions() -> None:
    """A revision does not become a part of the version: Claude Opus 4, revision 1, is not Claude Opus 4.1."""
    index = Inventory(["claude-opus-4-1", "mistral-large-1"])
    assert index.find("anthropic.claude-opus-4-20250514-v1:0") is None
    assert index.find("mistral.mistral-large-2402-v1:0") is None


def test_routes_limit_an_entry_to_a_provider() -> None:
    """A provider's route in an id limits the entry; a vendor's does not."""
    assert entry_key("azure/gpt-4o").provider == "azure.ai.openai"
    assert entry_key("us.anthropic.claude-sonnet-4-5-20250929-v1:0").provider == BEDROCK
    for model_id in ("gpt-4o", "openai/gpt-4o", "litellm_proxy/gpt-4o"):
        assert entry_key(model_id) == entry_key("gpt-4o")
    for model_id in ("meta-llama/Llama-3.3-70B-Instruct", "meta.llama3-3-70b-instruct"):
        assert entry_key(model_id) == entry_key("llama-3.3-70b-instruct")


@pytest.mark.parametrize(
    "name", ["openai/", "models/", "azure/", "openai:", "anthropic.", "us.anthropic.", "bedrock/anthropic."]
)
def test_route_without_a_model_is_a_name(name: str) -> None:
    """No part of a route is removed if nothing would remain."""
    assert parse(name).base == name.removeprefix("bedrock/")


def test_revisions_after_a_vendors_word() -> None:
    """After a vendor's word and a dot, a revision of Bedrock is no part of the name; spans of Oracle have none."""
    assert parse("anthropic.some-model-v1").base == "some-model"
    assert parse("anthropic.some-model-v1", "oci").base == "some-model-v1"


def test_providers_that_tags_show() -> None:
    """A tag of Hugging Face's router shows the provider, and a tag that nobody documents stays."""
    assert parse("Qwen/Qwen3-32B:together").provider == "together_ai"
    assert parse("Qwen/Qwen3-32B:together").base == "qwen3-32b"
    assert parse("Qwen/Qwen3-32B:thinking").base == "qwen3-32b:thinking"


def test_clean() -> None:
    """White space and the quotes of JSON text are removed, but nothing else."""
    assert clean(' "gpt-4o" ') == clean('"\\"gpt-4o\\""') == "gpt-4o"
    for name in ('"gpt-4o', '"', '"\ud800"', '"a" "b"', "'gpt-4o'", f' "{"x" * MAX_PARSED}" '):
        assert clean(name) == name


def test_placeholders() -> None:
    """Placeholders name no model, in any case, and neither does the name of the operation."""
    for name in PLACEHOLDERS:
        assert is_placeholder(name)
        assert is_placeholder(f' "{name.upper()}" ')
    assert is_placeholder("  ")
    assert is_placeholder("Chat", "chat")
    assert not is_placeholder("chat")
    assert not is_placeholder("gpt-4o", "chat")


def test_values_that_are_no_providers() -> None:
    """Frameworks and placeholders are no providers, and an unknown provider is itself."""
    for name in NOT_PROVIDERS:
        assert is_framework(name.upper())
        assert canonical_provider(name.upper()) is None
    assert canonical_provider("unknown") is canonical_provider(" ") is canonical_provider("_OTHER") is None
    assert canonical_provider(" Acme AI ") == "acme ai"
    assert not is_framework("openai")


def test_providers_of_packages() -> None:
    """Providers of litellm and the Vercel AI SDK are found without the kind of model that these packages add."""
    assert canonical_provider("vertex_ai-anthropic_models") == canonical_provider("vertex_ai-language-models")
    assert canonical_provider("vertex_ai-anthropic_models") == canonical_provider("google.vertex.chat")
    assert canonical_provider("openai.responses") == "openai"
    assert canonical_provider("acme.chat") == "acme.chat"


def test_long_names_stay_as_they_are() -> None:
    """A name over the limit is not parsed."""
    name = "openai/GPT-4o" + "o" * MAX_PARSED
    parsed = parse(name)
    assert (parsed.base, parsed.opaque, parsed.key()) == (name, True, name)


@pytest.mark.parametrize(
    "part", ["a-", "1p", "v-", "-v", "/", "openai/", "0613-", "a.", ":", "@", '"', "--", "-0", "us."]
)
def test_time_to_parse(part: str) -> None:
    """The longest names that are parsed take a fraction of a millisecond, whatever they contain."""
    name = (part * MAX_PARSED)[:MAX_PARSED]
    before = time.process_time()
    for _ in range(10):
        parse(name).list_keys()
    assert time.process_time() - before < 0.5
