"""Calls: the model of a span, whether the span is a call, and the status at its start."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.evidence import make_entry, make_record
from support.scans import END, START

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.attributes import span_attributes
from spanforge.model_registry._core.globs import MAX_GLOBBED
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.timestamps import from_nanos, to_nanos
from spanforge.model_registry.compliance._analysis.calls import (
    NO_NAME,
    NO_NAMES,
    Call,
    CalledModel,
    ModelSpan,
    Origin,
    SpanNames,
    clean_name,
)
from spanforge.model_registry.compliance._analysis.differences import SpanClaims
from spanforge.model_registry.compliance._analysis.resolver import Resolver

PERIOD = range(START, END)
NONE = SpanClaims(None, None, None, None)


ENTRIES = [
    make_entry(metadata={"aliases": ["gpt-2024-*", "support"]}),
    make_entry("azure-chat", metadata={"aliases": ["chat"], "provider": "azure"}),
]


def find_model(texts: dict[str, str], warnings: tuple[str, ...] = (), scope: str = "test") -> ModelSpan | None:
    return Resolver(ENTRIES, ("my.model",), PERIOD).find(texts, warnings, scope)


def identify(texts: dict[str, str], warnings: tuple[str, ...] = (), scope: str = "test") -> tuple[str | None, str]:
    """Return the id of the entry, or the name, that a span is of."""
    found = find_model(texts, warnings, scope)
    assert found is not None
    return None if found.model.entry is None else found.model.entry.model_id, found.model.name


def test_dates_become_nanoseconds_and_back() -> None:
    """Dates are converted in UTC, before the epoch too, and fractions of a microsecond are cut."""
    assert to_nanos("1970-01-01T00:00:01Z") == 10**9
    assert to_nanos("1970-01-01T01:00:00.000001999+01:00") == 1_000
    assert to_nanos(datetime(1969, 12, 31, 23, 59, 59, tzinfo=timezone.utc)) == -(10**9)
    assert to_nanos(datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == 0
    assert from_nanos(1_767_225_600_123_456_789) == datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=timezone.utc)
    assert to_nanos("0001-01-01") == -62_135_596_800 * 10**9
    assert to_nanos("9999-12-31") == 253_402_214_400 * 10**9


def test_entry_of_one_provider() -> None:
    """An entry with a provider matches calls at that provider only."""
    assert identify({"gen_ai.request.model": "chat", "gen_ai.system": "azure"}) == ("azure-chat", "")
    assert identify({"gen_ai.request.model": "chat", "llm.provider": "openai"}) == (None, "chat")


OPERATION, KIND = "gen_ai.operation.name", "openinference.span.kind"
CALL_KINDS = [*((OPERATION, name) for name in ("chat", "embeddings")), (KIND, "LLM"), (KIND, "EMBEDDING")]
AGENT_KINDS = [
    *((OPERATION, name) for name in ("invoke_agent", "create_agent", "invoke_workflow")),
    *((KIND, name) for name in ("AGENT", "CHAIN")),
]


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        *(({key: value}, "call") for key, value in CALL_KINDS),
        *(({key: value}, "agent") for key, value in AGENT_KINDS),
        *(({key: value}, "other") for key, value in ((OPERATION, "execute_tool"), (KIND, "TOOL"))),
        ({KIND: "LLM", OPERATION: "invoke_agent"}, "agent"),
        ({KIND: "invoke_agent", OPERATION: "AGENT"}, "call"),
    ],
)
@pytest.mark.parametrize(
    "model", [{"gen_ai.request.model": "support"}, {"model_registry.status": "active", "model_registry.model_id": "x"}]
)
def test_kinds_of_spans(texts: dict[str, str], model: dict[str, str], kind: str) -> None:
    """Spans of agents, workflows and tools name a model and are not calls."""
    found = find_model(texts | model)
    assert found is not None
    assert found.kind == kind


def test_spans_without_model() -> None:
    """A span without a model name and without the registry's status has no model."""
    for texts in ({}, {"gen_ai.system": "openai"}, {"gen_ai.operation.name": "chat"}, {"model_registry.owner": "x"}):
        assert find_model(texts) is None


def test_model_id_of_the_registry_identifies_the_model() -> None:
    """If a span has only attributes of the registry, its model id identifies the model, registered or not."""
    texts = {"model_registry.status": "active"}
    assert identify(texts | {"model_registry.model_id": "gpt"}) == ("gpt", "")
    assert identify(texts | {"model_registry.model_id": "support"}) == (None, "support")
    assert identify(texts) == (None, NO_NAME)
    assert identify(texts | {"model_registry.model_id": "gpt", "gen_ai.request.model": "other"}) == (None, "other")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("gpt-5", "gpt-5"),
        ("it's", "it's"),
        ("a' is not registered", "a' is not registered"),
        ("model 'x' is not registered", "model 'x' is not registered"),
        ('"\\', '"\\'),
        ("\\'\\\\n'", "\\'\\\\n'"),
        ("a\nb\x00", "a\\nb\\x00"),
        ("\u4e2d\u2028", "\u4e2d\\u2028"),
        ("n" * 300, "n" * 256 + "…"),
    ],
)
def test_warning_holds_the_unregistered_name(name: str, shown: str) -> None:
    """If a span has only the processor's warning, the warning holds the model name."""
    warnings = ModelRegistry(auto_emit=False).check(name)
    assert len(warnings) == 1
    assert identify({"model_registry.status": UNREGISTERED}, warnings) == (None, shown)


@pytest.mark.parametrize(
    "warning", ["", "model 'x' is deprecated", "Model 'x' is not registered", "x is not registered"]
)
def test_other_warnings_hold_no_name(warning: str) -> None:
    """Only the warning about an unregistered model holds a name, and the first one counts."""
    assert identify({"model_registry.status": UNREGISTERED}, (warning,)) == (None, NO_NAME)
    said = warning, "model 'a' is not registered", "model 'b' is not registered"
    assert identify({"model_registry.status": UNREGISTERED}, said) == (None, "a")


REQUEST, RESPONSE = "gen_ai.request.model", "gen_ai.response.model"


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ({REQUEST: "support"}, NO_NAMES),
        ({REQUEST: "support", RESPONSE: "support"}, SpanNames(has_response=True)),
        ({REQUEST: "support", RESPONSE: "unknown"}, NO_NAMES),
        ({RESPONSE: "GPT-2026-01-31"}, SpanNames("GPT-2026-01-31", "form")),
        ({REQUEST: "support", RESPONSE: "gpt-2024-x"}, SpanNames("gpt-2024-x", "glob", has_response=True)),
        ({REQUEST: "support", RESPONSE: "rival"}, SpanNames(has_response=True, served="rival")),
        ({REQUEST: "GPT", RESPONSE: "rival"}, SpanNames("GPT", "form", has_response=True, served="rival")),
        (
            {REQUEST: "support", RESPONSE: "chat", "gen_ai.system": "azure"},
            SpanNames(has_response=True, served="chat", requested_id="gpt"),
        ),
        ({REQUEST: "rival", RESPONSE: "support"}, SpanNames(has_response=True)),
        ({REQUEST: "x", RESPONSE: "y"}, NO_NAMES),
        (
            {REQUEST: "support", RESPONSE: "n" * 9_999},
            SpanNames(has_response=True, served="n" * MAX_GLOBBED + "…"),
        ),
    ],
)
def test_listed_names(texts: dict[str, str], names: SpanNames) -> None:
    """A call of a registered model has the name that a form or a glob matched, and the other model that answered."""
    found = find_model(texts)
    assert found is not None
    assert found.names == names


def test_forms_match_only_in_their_mode() -> None:
    """With the mode ``exact``, a form of an id is the name of an unregistered model."""
    found = Resolver(ENTRIES, (), PERIOD, "exact").find({REQUEST: "GPT"}, (), "test")
    assert found is not None
    assert (found.model.entry, found.model.name) == (None, "GPT")


def test_names_are_cleaned() -> None:
    """Names from the network become Unicode and are cut after the length that globs see."""
    assert clean_name("gpt") == "gpt"
    assert clean_name("n" * MAX_GLOBBED) == "n" * MAX_GLOBBED
    assert clean_name("n" * 9_999) == "n" * MAX_GLOBBED + "…"
    assert clean_name("a\ud800b") == "a?b"
    assert identify({"gen_ai.request.model": "n" * 9_999}) == (None, "n" * MAX_GLOBBED + "…")


def call_at(model: CalledModel, start: int) -> Call:
    """Return a call of the model that starts at this time."""
    position = model.position_at(start)
    return model.to_call(Origin("api"), NONE, NO_NAMES, range(position, position + 1), position)


CHANGED = make_entry(
    deployment_date="2026-01-10T00:00:00.000001Z",
    metadata={
        "history": [
            make_record("2026-01-10T00:00:00.000001Z", "active"),
            make_record("2026-01-20T12:00:00.5Z", "deprecated", "other", "low"),
            make_record("2026-01-25T12:00:00+02:00", "retired", "other", "low"),
        ],
        "sunset_date": "2026-01-22",
    },
)


@pytest.mark.parametrize(
    ("date", "before", "after"),
    [
        ("2026-01-10T00:00:00.000001Z", None, "active"),
        ("2026-01-20T12:00:00.5Z", "active", "deprecated"),
        ("2026-01-25T10:00:00Z", "deprecated", "retired"),
    ],
)
def test_status_changes_to_the_nanosecond(date: str, before: str | None, after: str) -> None:
    """A change is in force from its exact nanosecond on."""
    model = CalledModel(CHANGED, "", PERIOD)
    at = to_nanos(date)
    assert [call_at(model, at + offset).status for offset in (-1, 0, 1)] == [before, after, after]


def test_calls_of_deprecated_model_from_its_sunset_on() -> None:
    """A deprecated model is past its sunset from the first instant of that date; other models are not."""
    model = CalledModel(CHANGED, "", PERIOD)
    sunset = to_nanos("2026-01-22")
    assert [call_at(model, sunset + offset).past_sunset for offset in (-1, 0, 1)] == [False, True, True]
    assert not call_at(model, to_nanos("2026-01-26")).past_sunset
    active = CalledModel(make_entry(metadata={"sunset_date": "2026-01-02"}), "", PERIOD)
    assert not call_at(active, sunset).past_sunset
    for date, is_past in (("2025-12-01", True), ("2026-01-01", True), ("2027-01-01", False)):
        metadata = {"deprecation_date": "2025-11-01", "sunset_date": date}
        assert call_at(CalledModel(make_entry(metadata=metadata), "", PERIOD), START).past_sunset == is_past


@pytest.mark.parametrize(
    ("fields", "statuses"),
    [
        ({}, ["active"] * 4),
        ({"status": "retired"}, ["retired"] * 4),
        ({"status": "deprecated", "decommission_date": "2026-01-20"}, ["deprecated"] * 3 + ["retired"]),
        ({"status": "retired", "deployment_date": "2026-01-10"}, [None, *["retired"] * 3]),
        ({"status": "retired", "decommission_date": "2026-01-20"}, ["active"] * 3 + ["retired"]),
        ({"deployment_date": "2026-01-10"}, [None, "active", "active", "active"]),
        ({"metadata": {"deprecation_date": "2026-01-10"}}, ["active", "deprecated", "deprecated", "deprecated"]),
        (
            {"decommission_date": "2026-01-20", "metadata": {"deprecation_date": "2026-01-10"}},
            ["active", "deprecated", "deprecated", "retired"],
        ),
        ({"decommission_date": "2025-01-01"}, ["retired"] * 4),
        ({"deployment_date": "2027-01-01"}, [None] * 4),
    ],
)
def test_status_of_entry_without_history(fields: dict[str, Any], statuses: list[str | None]) -> None:
    """Without a history, the dates of the entry define its status; a date means its first instant."""
    model = CalledModel(make_entry(**fields), "", PERIOD)
    tenth, twentieth = to_nanos("2026-01-10"), to_nanos("2026-01-20")
    assert [call_at(model, at).status for at in (tenth - 1, tenth, twentieth - 1, twentieth)] == statuses


def test_period_of_each_state() -> None:
    """Each state lasts until the next change; the first and the last one have no bound."""
    model = CalledModel(CHANGED, "", PERIOD)
    changes = [to_nanos(date) for date in ("2026-01-10T00:00:00.000001Z", "2026-01-20T12:00:00.5Z", "2026-01-22")]
    assert model.period_of(0)[0] < 0
    assert model.period_of(0)[1] == changes[0]
    assert model.period_of(1) == (changes[0], changes[1])
    assert model.period_of(2) == (changes[1], changes[2])
    last = model.position_at(END)
    assert model.period_of(last)[0] == to_nanos("2026-01-25T10:00:00Z")
    assert model.period_of(last)[1] > 2**62
    assert CalledModel(None, "x", PERIOD).period_of(0)[1] > 2**62


def agrees(claims: SpanClaims, *dates: str, model: ModelRegistryEntry | None = CHANGED) -> bool:
    """Check whether a span's claims were in force between the first and the last of these dates."""
    called = CalledModel(model, "" if model else "x", PERIOD)
    positions = [called.position_at(to_nanos(date)) for date in dates]
    states = range(positions[0], positions[-1] + 1)
    return called.to_call(Origin("api"), claims, NO_NAMES, states, positions[0]).agrees


ACTIVE = SpanClaims("active", "gpt", "ml", "high")
DEPRECATED = SpanClaims("deprecated", "gpt", "other", "low")
UNKNOWN = SpanClaims(UNREGISTERED, None, None, None)


@pytest.mark.parametrize(
    ("claims", "dates", "expected"),
    [
        (ACTIVE, ["2026-01-15"], True),
        (ACTIVE, ["2026-01-21"], False),
        (ACTIVE, ["2026-01-15", "2026-01-21"], True),
        (DEPRECATED, ["2026-01-15", "2026-01-21"], True),
        (DEPRECATED, ["2026-01-15"], False),
        (DEPRECATED._replace(owner="ml"), ["2026-01-15", "2026-01-21"], False),
        (SpanClaims("active", None, None, None), ["2026-01-15"], True),
        (ACTIVE._replace(status="retired"), ["2026-01-15"], False),
        (ACTIVE._replace(model_id="x"), ["2026-01-15"], False),
        (ACTIVE._replace(owner="x"), ["2026-01-15"], False),
        (ACTIVE._replace(risk_tier="low"), ["2026-01-15"], False),
        (ACTIVE._replace(status=None), ["2026-01-15"], False),
        (NONE, ["2026-01-15"], False),
        (UNKNOWN, ["2026-01-05"], True),  # before the deployment
        (ACTIVE, ["2026-01-05"], True),
        (ACTIVE._replace(model_id="x"), ["2026-01-05"], False),
    ],
)
def test_claims_agree_if_in_force_together(claims: SpanClaims, dates: list[str], expected: bool) -> None:  # noqa: FBT001
    """Claims agree if all were in force at one time; before the deployment also claims of an unregistered model."""
    assert agrees(claims, *dates) is expected


def test_claims_about_unregistered_model() -> None:
    """Claims about an unregistered model agree if they have its status and no model id."""
    cases = UNKNOWN, SpanClaims("active", None, None, None), UNKNOWN._replace(model_id="x"), NONE
    assert [agrees(claims, "2026-01-05", model=None) for claims in cases] == [True, False, False, False]


def test_attributes_of_the_processor_agree() -> None:
    """The attributes that the span processor sets are claims that agree."""
    put = span_attributes(
        ENTRIES[0], frozenset({"model_id", "status", "owner", "risk_tier", "warnings"}), status="active"
    )
    found = find_model({"gen_ai.request.model": "support"} | {key: value for key, value in put.items() if value})  # type: ignore[misc]
    assert found is not None
    call = found.model.to_call(Origin("api"), found.claims, found.names, range(1), 0)
    assert call == Call("call", "gpt", "", "api", "active", past_sunset=False, enriched=True, agrees=True)


def test_call_of_unregistered_model() -> None:
    """A call of an unregistered model has its name, its service and the status unregistered."""
    call = CalledModel(None, "x", PERIOD).to_call(Origin("api"), NONE, NO_NAMES, range(1), 0)
    assert call == Call("call", None, "x", "api", UNREGISTERED)


def test_names_of_an_entry_share_a_model() -> None:
    """The states of an entry are computed once for all of its names."""
    resolver = Resolver(ENTRIES, (), PERIOD)
    found = [resolver.find({"gen_ai.request.model": name}, (), "") for name in ("support", "gpt")]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].model is found[1].model
