"""Models of spans: request and response models, placeholders, and quoted names."""

from __future__ import annotations

import itertools
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry import ModelNotFoundError, ModelRegistry
from spanforge.model_registry._core.name_conflicts import MAX_READ_IDS, list_meant_ids, list_nearest
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.span_models import ModelMatch, resolve_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST, RESPONSE = "gen_ai.request.model", "gen_ai.response.model"
NOT_REGISTERED = "which answered, is not registered"


def resolve(attributes: dict[str, Any], *entries: str | dict[str, Any], mode: Any = "forms") -> ModelMatch:
    """Return the match of a span. An entry is an id, or the arguments of ``register``."""
    registry = ModelRegistry(auto_emit=False)
    for entry in entries:
        given = {"model_id": entry} if isinstance(entry, str) else entry
        registry.register(**{"name": "N", "version": "1", "risk_tier": "low", "owner": "t", "purpose": "p"} | given)
    match = resolve_attributes(ModelIndex(registry.list_all()), attributes, mode=mode)
    assert match is not None
    return match


def shown(match: ModelMatch) -> str | None:
    return None if match.resolution.entry is None else match.resolution.entry.model_id


ADAPTER = {"model_id": "support-lora", "metadata": {"base_model": "llama-3.3-70b"}}
DEPLOYMENT = {"model_id": "chat-prod", "metadata": {"base_model": ["gpt-4o", "gpt-4o-mini"]}}

EXPECTED: list[tuple[str, str, list[Any], str, str | None, bool, bool]] = [
    ("gpt-4o", "gpt-4o-2024-08-06", ["gpt-4o"], "gpt-4o", None, False, True),
    ("gpt-4o", "gpt-4o", ["gpt-4o"], "gpt-4o", None, False, True),
    ("openai/gpt-4o", "gpt-4o-2024-08-06", ["gpt-4o"], "gpt-4o", None, False, True),
    ("gpt-4o", "gpt-4o-2024-08-06", ["gpt-4o", "gpt-4o-2024-08-06"], "gpt-4o-2024-08-06", "gpt-4o", False, True),
    ("gpt-4o", "gpt-4o-mini", ["gpt-4o", "gpt-4o-mini"], "gpt-4o-mini", "gpt-4o", True, True),
    ("gpt-4o", "deepseek-chat", ["gpt-4o"], "gpt-4o", None, True, False),
    ("support-lora", "llama-3.3-70b", [ADAPTER, "llama-3.3-70b"], "support-lora", None, False, True),
    ("support-lora", "meta-llama/Llama-3.3-70B", [ADAPTER], "support-lora", None, False, True),
    ("chat-prod", "gpt-4o-mini-2024-07-18", [DEPLOYMENT], "chat-prod", None, False, True),
    ("chat-prod", "gpt-5", [DEPLOYMENT], "chat-prod", None, True, False),
    ("my-deployment", "gpt-4o-2024-08-06", ["gpt-4o"], "gpt-4o", None, False, True),
]
"""Request model, response model, entries; entry shown, request's entry, another model answered, response registered."""


@pytest.mark.parametrize(
    ("request_model", "response_model", "entries", "entry", "requested", "is_substitution", "registered"), EXPECTED
)
def test_request_and_response_model(  # noqa: PLR0913 - the columns of the table
    *,
    request_model: str,
    response_model: str,
    entries: list[Any],
    entry: str,
    requested: str | None,
    is_substitution: bool,
    registered: bool,
) -> None:
    """The span shows the entry of the response model, and says if another model answered."""
    match = resolve({REQUEST: request_model, RESPONSE: response_model}, *entries)
    assert shown(match) == entry
    assert (None if match.requested is None else match.requested.model_id) == requested
    assert (match.served == response_model) is is_substitution
    assert match.response_registered is registered
    assert len(match.resolution.warnings) == is_substitution
    if is_substitution:
        remedy = NOT_REGISTERED if not registered else f"list it in base_model of '{requested}'"
        assert f"'{response_model}'" in match.resolution.warnings[0]
        assert remedy in match.resolution.warnings[0]


def test_request_model_shown_for_a_form_of_it() -> None:
    """With exact matching, an answer under a form of the request model has the request model's entry."""
    match = resolve({REQUEST: "gpt-4o", RESPONSE: "gpt-4o-2024-08-06"}, "gpt-4o", mode="exact")
    assert (shown(match), match.key, match.served, match.response_registered) == ("gpt-4o", REQUEST, None, True)


def test_response_model_that_is_a_copy_of_a_requested_name() -> None:
    """A gateway's route that it also writes as the response model is no other model."""
    attributes = {"litellm.model_group": "support-chat", REQUEST: "gpt-4o", RESPONSE: "support-chat"}
    match = resolve(attributes, "gpt-4o")
    assert (shown(match), match.served, match.resolution.warnings) == ("gpt-4o", None, ())


@pytest.mark.parametrize("name", ["openai/o1", "openai/o3"])
def test_choice_of_a_gateway_is_no_response_model(name: str) -> None:
    """The model to which a gateway routes a call, registered or not, does not count as another model that answered."""
    attributes = {"gen_ai.operation.name": "chat", REQUEST: "gpt-4o", "litellm.provider.model": name}
    match = resolve(attributes, "gpt-4o", "o1")
    assert (shown(match), match.key, match.served, match.requested) == ("gpt-4o", REQUEST, None, None)


@pytest.mark.parametrize("placeholder", ["unknown", "None", " n/a ", "chat", '"unknown"'])
def test_placeholders_are_ignored(placeholder: str) -> None:
    """A placeholder, or the operation's own name, does not hide another name on the span."""
    attributes = {"gen_ai.operation.name": "chat", RESPONSE: placeholder, REQUEST: "gpt-4o"}
    match = resolve(attributes, "gpt-4o")
    assert (shown(match), match.key, match.resolution.warnings) == ("gpt-4o", REQUEST, ())
    assert resolve({REQUEST: placeholder}, "gpt-4o").resolution.status == "unregistered"


def test_quoted_names() -> None:
    """A name that is JSON text is unquoted."""
    match = resolve({REQUEST: '"gpt-4o"'}, "gpt-4o")
    assert (shown(match), match.resolution.rule, match.resolution.candidate) == ("gpt-4o", "id", "gpt-4o")


@pytest.mark.parametrize(
    ("provider", "limit"),
    [
        ("gemini", "gcp.gemini"),
        ("google", "vertex_ai"),
        ("az.ai.inference", "azure"),
        ("Ollama", "ollama"),
        ("strands-agents", "openai"),
        ("azure", ["openai", "azure.ai.openai"]),
    ],
)
def test_spellings_of_providers(provider: str, limit: Any) -> None:
    """An entry that is limited to a provider matches every spelling of it; a framework is no provider."""
    attributes = {"gen_ai.provider.name": provider, REQUEST: "acme-chat-1"}
    entry = {"model_id": "acme-chat-1", "provider": limit}
    assert shown(resolve(attributes, entry)) == "acme-chat-1"
    assert shown(resolve(attributes, entry, mode="exact")) is None
    other = resolve(attributes | {"gen_ai.provider.name": "groq"}, entry).resolution
    assert other.warnings[1] == "'acme-chat-1' would match, but not with the provider 'groq'"


@pytest.mark.parametrize("provider", [None, "openai", "azure", "strands-agents"])
@pytest.mark.parametrize("name", ["azure/acme-chat-1", "AZURE/openai/acme-chat-1-2026-01-31", "azure:acme-chat-1"])
def test_warning_names_the_provider_of_the_route(provider: str | None, name: str) -> None:
    """If the route of a name shows a provider, this one decides, and the warning names it."""
    attributes = {REQUEST: name} | ({} if provider is None else {"gen_ai.provider.name": provider})
    warnings = resolve(attributes, {"model_id": "acme-chat-1", "provider": "openai"}).resolution.warnings
    assert warnings[1:] == ("'acme-chat-1' would match, but not with the provider 'azure.ai.openai'",)


def test_two_entries_that_match_equally_well() -> None:
    """A tie is unregistered, and the warning lists the entries; the span's provider decides if it can."""
    entries = [{"model_id": "a", "aliases": ["chat"]}, {"model_id": "b", "aliases": ["chat"], "provider": "openai"}]
    assert shown(resolve({REQUEST: "chat"}, *entries)) == "a"
    assert shown(resolve({REQUEST: "chat", "gen_ai.system": "openai"}, *entries)) == "b"
    tie = resolve({REQUEST: "chat"}, {"model_id": "a", "aliases": ["chat"]}, {"model_id": "b", "aliases": ["chat"]})
    assert tie.resolution.warnings == ("model 'chat' is not registered", "'a', 'b' match equally well")


def test_a_glob_that_takes_another_model_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A glob that also matches another model's id is logged once, in any order of registration, and at a load."""
    registry = ModelRegistry(auto_emit=False)
    for model_id, aliases in (("gpt-4o-mini", ()), ("gpt-4o", ["gpt-4o-*"]), ("gpt-4o-audio", ())):
        registry.register(model_id, "N", "1", "low", "t", "p", aliases=aliases)
    (record,) = caplog.records
    assert "glob 'gpt-4o-*' of 'gpt-4o' also matches the model 'gpt-4o-mini'" in record.message


@pytest.mark.parametrize(
    ("taken", "glob", "written"),
    [
        ({"model_id": "small", "aliases": ["acme-chat-1-mini"]}, "acme-chat-1-*", "acme-chat-1-mini"),
        ({"model_id": "acme-chat-1.5-mini"}, "acme-chat1-5-m*", "acme-chat1-5-mini"),
        ({"model_id": "mini", "provider": "acme"}, "acme/*", "acme/mini"),
    ],
)
def test_a_glob_that_takes_another_name_of_a_model_is_logged(
    caplog: pytest.LogCaptureFixture, taken: dict[str, Any], glob: str, written: str, tmp_path: Any
) -> None:
    """A glob is compared with the ids, aliases and forms of other entries, in any order, at a load and before."""
    given = {"name": "N", "version": "1", "risk_tier": "low", "owner": "t", "purpose": "p"}
    for entries in itertools.permutations([{"model_id": "large", "aliases": [glob]}, taken]):
        registry = ModelRegistry(auto_emit=False)
        for entry in entries:
            registry.register(**given | entry)
        registry.save(tmp_path / "models.json")
        for _ in range(2):
            (record,) = caplog.records
            assert f"of 'large' also matches the model '{taken['model_id']}', written '{written}'" in record.message
            caplog.clear()
            reset_process()
            registry.load(tmp_path / "models.json")
        caplog.clear()
        reset_process()


def test_entries_that_no_name_tells_apart_are_logged_once(caplog: pytest.LogCaptureFixture, tmp_path: Any) -> None:
    """Two entries that match the same names are logged once, unless the entries or their ids differ in the provider.

    OpenAI's name is no route: clouds write it before models that they serve themselves.
    """
    registry = ModelRegistry(auto_emit=False)
    given = {"name": "N", "version": "1", "risk_tier": "low", "owner": "t", "purpose": "p"}
    for model_id, provider in (
        ("gpt-4o", None),
        ("GPT-4o", "azure"),
        ("bedrock/gpt-4o", None),
        ("openai/gpt-4o", None),
    ):
        registry.register(model_id, **given, provider=provider)
    registry.save(tmp_path / "models.json")
    registry.load(tmp_path / "models.json")
    (record,) = caplog.records
    assert "'gpt-4o' and 'openai/gpt-4o' cannot be told apart by name" in record.message


def test_nearest_ids() -> None:
    """The status shows the ids that are most like an unregistered name."""
    registry = ModelRegistry(auto_emit=False)
    for model_id in ("acme-chat-1", "acme-chat-2", "other"):
        registry.register(model_id, "N", "1", "low", "t", "p")
    model_ids = registry._state.index.entries
    assert list_nearest(model_ids, "Acme-chat-10")[0] == "acme-chat-1"
    assert list_nearest(model_ids, "zzz") == ()


def test_the_id_that_is_meant() -> None:
    """``require`` suggests an id that is very like the name, and none if there is another reason or no such id."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("acme-chat-1", "N", "1", "low", "t", "p")
    registry.register("acme-chat-mini", "N", "1", "low", "t", "p", provider="acme")

    def suggest(name: str, provider: str | None = None) -> str:
        with pytest.raises(ModelNotFoundError) as caught:
            registry.require(name, provider=provider)
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (str(copy), copy.model_id, copy.args) == (str(caught.value), name, (name,))
        return str(copy).removeprefix(f"model '{name}' is not in the registry")

    assert suggest("acme-chta-1") == "; did you mean 'acme-chat-1'?"
    assert suggest("acme-chat-mini", "bedrock") == ""
    assert suggest("acme-video") == suggest("other") == suggest("") == ""


def test_the_search_for_the_id_that_is_meant_is_bounded() -> None:
    """The search reads only so many ids, and never the whole registry."""
    ids = [f"other-{number}" for number in range(2 * MAX_READ_IDS)]
    registry = ModelRegistry(auto_emit=False)
    for model_id in ids:
        registry.register(model_id, "N", "1", "low", "t", "p")
    index = registry._state.index

    class Counted(dict[str, Any]):
        reads = 0

        def __iter__(self) -> Iterator[str]:
            for key in super().__iter__():
                Counted.reads += 1
                yield key

    index.entries.base = Counted(index.entries.base)
    index.entries.overlay = Counted(index.entries.overlay)
    assert list_meant_ids(index, "acme-chat-1") == ()
    assert Counted.reads == MAX_READ_IDS
