"""From a span's attributes to a call: which model, whether it is a call, and what was in force when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.attributes import span_attributes
from spanforge.model_registry._core.conventions import CONVENTIONS
from spanforge.model_registry._core.resolution import MAX_GLOBBED, UNREGISTERED
from spanforge.model_registry._core.timestamps import from_nanos, to_nanos
from spanforge.model_registry.compliance._analysis.calls import (
    NO_NAME,
    Call,
    CalledModel,
    ModelSpan,
    Resolver,
    SpanClaims,
    clean_name,
)

DAY = 86_400 * 10**9
START = to_nanos("2026-01-01")
END = START + 31 * DAY
PERIOD = range(START, END)
NONE = SpanClaims(None, None, None, None)


def entry(model_id: str = "gpt-4o", **fields: Any) -> ModelRegistryEntry:
    needed = {"name": "N", "version": "1", "risk_tier": "low", "owner": "team", "purpose": "test"}
    return ModelRegistryEntry(model_id=model_id, **{**needed, **fields})


def record(at: str, status: str, owner: str = "team", risk_tier: str = "low") -> dict[str, str]:
    return {"at": at, "status": status, "owner": owner, "risk_tier": risk_tier}


ENTRIES = [
    entry(metadata={"aliases": ["gpt-4o-2024-*", "support"]}),
    entry("azure-chat", metadata={"aliases": ["chat"], "provider": "azure"}),
]


def find(texts: dict[str, str], warnings: tuple[str, ...] = (), scope: str = "test") -> ModelSpan | None:
    return Resolver(ENTRIES, ("my.model",), PERIOD).find(texts, warnings, scope)


def named(texts: dict[str, str], warnings: tuple[str, ...] = (), scope: str = "test") -> tuple[str | None, str]:
    """Return the id of the entry, or the name, that a span is of."""
    found = find(texts, warnings, scope)
    assert found is not None
    return None if found.model.entry is None else found.model.entry.model_id, found.model.name


def test_times_of_nanoseconds() -> None:
    """Dates become nanoseconds and back, in UTC, before the epoch too; what is below microseconds is cut off."""
    assert to_nanos("1970-01-01T00:00:01Z") == 10**9
    assert to_nanos("1970-01-01T01:00:00.000001999+01:00") == 1_000
    assert to_nanos(datetime(1969, 12, 31, 23, 59, 59, tzinfo=timezone.utc)) == -(10**9)
    assert to_nanos(datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == 0
    assert from_nanos(1_767_225_600_123_456_789) == datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=timezone.utc)
    assert to_nanos("0001-01-01") == -62_135_596_800 * 10**9
    assert to_nanos("9999-12-31") == 253_402_214_400 * 10**9


@pytest.mark.parametrize("row", CONVENTIONS, ids=lambda row: row.key)
def test_every_convention(row: Any) -> None:
    """Whatever attribute holds the model's name, an alias in it leads to the entry."""
    value = "support" if row.member is None else f'{{"{row.member}":"support"}}'
    assert named({row.key: value}, scope=row.scope or "test") == ("gpt-4o", "")
    assert find({row.key: value}, scope="pydantic-ai") is not None
    if row.scope is not None:
        assert find({row.key: value}) is None


def test_further_attributes() -> None:
    """An attribute that a setting names holds names too, after those that are known."""
    assert named({"my.model": "support"}) == ("gpt-4o", "")
    assert named({"my.model": "mine", "gen_ai.request.model": "theirs"}) == (None, "theirs")
    assert find({"your.model": "support"}) is None


def test_providers() -> None:
    """An entry that is limited to a provider stands for calls of that one."""
    assert named({"gen_ai.request.model": "chat", "gen_ai.system": "azure"}) == ("azure-chat", "")
    assert named({"gen_ai.request.model": "chat", "llm.provider": "openai"}) == (None, "chat")


@pytest.mark.parametrize(
    ("texts", "is_call"),
    [
        ({"gen_ai.operation.name": "chat"}, True),
        ({"gen_ai.operation.name": "embeddings"}, True),
        ({"gen_ai.operation.name": "invoke_agent"}, False),
        ({"gen_ai.operation.name": "create_agent"}, False),
        ({"gen_ai.operation.name": "invoke_workflow"}, False),
        ({"gen_ai.operation.name": "execute_tool"}, False),
        ({"openinference.span.kind": "LLM"}, True),
        ({"openinference.span.kind": "EMBEDDING"}, True),
        ({"openinference.span.kind": "AGENT"}, False),
        ({"openinference.span.kind": "CHAIN"}, False),
        ({"openinference.span.kind": "TOOL"}, False),
        ({"openinference.span.kind": "LLM", "gen_ai.operation.name": "invoke_agent"}, False),
        ({"openinference.span.kind": "invoke_agent", "gen_ai.operation.name": "AGENT"}, True),
    ],
)
def test_agents_workflows_and_tools(texts: dict[str, str], is_call: bool) -> None:  # noqa: FBT001
    """Their spans name a model and call none, whether it is named or only what the registry put on is left."""
    for how in (
        {"gen_ai.request.model": "support"},
        {"model_registry.status": "active", "model_registry.model_id": "x"},
    ):
        found = find(texts | how)
        assert found is not None
        assert found.is_call is is_call


def test_agents_of_pydantic_ai() -> None:
    """A span with nothing but its bare ``model_name`` is an agent's; one with another name as well is a call."""
    for texts, is_call in (
        ({"model_name": "support"}, False),
        ({"model_name": "support", "gen_ai.request.model": "support"}, True),
    ):
        found = find(texts, scope="pydantic-ai")
        assert found is not None
        assert found.is_call is is_call


def test_spans_that_name_no_model() -> None:
    """A span without a name and without the registry's status is none of a model."""
    for texts in ({}, {"gen_ai.system": "openai"}, {"gen_ai.operation.name": "chat"}, {"model_registry.owner": "x"}):
        assert find(texts) is None


def test_spans_with_only_what_the_registry_put_on() -> None:
    """Such a span is of the model whose id it carries, registered or not."""
    texts = {"model_registry.status": "active"}
    assert named(texts | {"model_registry.model_id": "gpt-4o"}) == ("gpt-4o", "")
    assert named(texts | {"model_registry.model_id": "support"}) == (None, "support")
    assert named(texts) == (None, NO_NAME)
    assert named(texts | {"model_registry.model_id": "gpt-4o", "gen_ai.request.model": "other"}) == (None, "other")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("gpt-5", "gpt-5"),
        ("it's", "it's"),
        ("a' is not registered", "a' is not registered"),
        ("model 'x' is not registered", "model 'x' is not registered"),
        ('"\\', '"\\'),
        ("a\nb\x00", "a\\nb\\x00"),
        ("\u4e2d\u2028", "\u4e2d\\u2028"),
        ("n" * 300, "n" * 256 + "…"),
    ],
)
def test_unregistered_names_in_warnings(name: str, shown: str) -> None:
    """Where only the processor's warning is left, the name is the one that it shows."""
    warnings = ModelRegistry(auto_emit=False).check(name)
    assert len(warnings) == 1
    assert named({"model_registry.status": UNREGISTERED}, warnings) == (None, shown)


@pytest.mark.parametrize(
    "warning", ["", "model 'x' is deprecated", "Model 'x' is not registered", "x is not registered"]
)
def test_other_warnings_hold_no_name(warning: str) -> None:
    """A warning of another kind names no unregistered model; the first one that does counts."""
    assert named({"model_registry.status": UNREGISTERED}, (warning,)) == (None, NO_NAME)
    said = warning, "model 'a' is not registered", "model 'b' is not registered"
    assert named({"model_registry.status": UNREGISTERED}, said) == (None, "a")


def test_uncovered_names() -> None:
    """Response models without an entry are listed, if the model of the call is registered."""
    request, response = "gen_ai.request.model", "gen_ai.response.model"

    def uncovered(**texts: str) -> tuple[str, ...]:
        found = find({key.replace("__", "."): value for key, value in texts.items()})
        assert found is not None
        return found.uncovered

    assert uncovered(**{request: "support", response: "gpt-4o-2025"}) == ("gpt-4o-2025",)
    assert uncovered(**{request: "support", response: "gpt-4o-2024-08-06"}) == ()
    assert uncovered(**{request: "gpt-4o-2025", response: "support"}) == ()
    assert uncovered(**{request: "x", response: "y"}) == ()
    answers = {"llm.response.model_name": "b", "decision.response.model_name": "a"}
    assert uncovered(**{request: "support", response: "b"}, **answers) == ("a", "b")


def test_names_are_cleaned() -> None:
    """Names from the network are Unicode and not endless; what globs are tried on stays whole."""
    assert clean_name("gpt") == "gpt"
    assert clean_name("n" * MAX_GLOBBED) == "n" * MAX_GLOBBED
    assert clean_name("n" * 9_999) == "n" * MAX_GLOBBED + "…"
    assert clean_name("a\ud800b") == "a?b"
    assert named({"gen_ai.request.model": "n" * 9_999}) == (None, "n" * MAX_GLOBBED + "…")
    answered = find({"gen_ai.request.model": "support", "gen_ai.response.model": "n" * 9_999})
    assert answered is not None
    assert answered.uncovered == ("n" * MAX_GLOBBED + "…",)


def status_at(model: CalledModel, start: int) -> str | None:
    here = model.position_at(start)
    return model.to_call("api", NONE, (), range(here, here + 1), start).status


CHANGED = entry(
    deployment_date="2026-01-10T00:00:00.000001Z",
    metadata={
        "history": [
            record("2026-01-10T00:00:00.000001Z", "active"),
            record("2026-01-20T12:00:00.5Z", "deprecated", "other", "high"),
            record("2026-01-25T12:00:00+02:00", "retired", "other", "high"),
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
def test_the_state_at_each_call(date: str, before: str | None, after: str) -> None:
    """A change is in force from its very nanosecond on."""
    model = CalledModel(CHANGED, "", PERIOD)
    at = to_nanos(date)
    assert [status_at(model, at + offset) for offset in (-1, 0, 1)] == [before, after, after]


def test_sunset() -> None:
    """A deprecated model is called past its sunset from that date's first instant on; a retired one is retired."""
    model = CalledModel(CHANGED, "", PERIOD)

    def past(start: int) -> bool:
        here = model.position_at(start)
        return model.to_call("api", NONE, (), range(here, here + 1), start).past_sunset

    sunset = to_nanos("2026-01-22")
    assert [past(sunset + offset) for offset in (-1, 0, 1)] == [False, True, True]
    assert not past(to_nanos("2026-01-26"))
    assert (
        not CalledModel(entry(metadata={"sunset_date": "2026-01-02"}), "", PERIOD)
        .to_call("api", NONE, (), range(1), sunset)
        .past_sunset
    )


@pytest.mark.parametrize(
    ("fields", "statuses"),
    [
        ({}, ["active"] * 4),
        ({"status": "retired"}, ["active"] * 4),
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
def test_entries_without_history(fields: dict[str, Any], statuses: list[str | None]) -> None:
    """Their dates say what was in force; a date is its first instant."""
    model = CalledModel(entry(**fields), "", PERIOD)
    tenth, twentieth = to_nanos("2026-01-10"), to_nanos("2026-01-20")
    assert [status_at(model, at) for at in (tenth - 1, tenth, twentieth - 1, twentieth)] == statuses


def test_how_long_a_state_reaches() -> None:
    """Each state reaches from its change to the next one; the first and the last one have no end."""
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
    """Tell whether what a span carries was in force between the first and the last of these dates."""
    model = CalledModel(model, "" if model else "x", PERIOD)
    places = [model.position_at(to_nanos(date)) for date in dates]
    return model.to_call("api", claims, (), range(places[0], places[-1] + 1), to_nanos(dates[0])).agrees


ACTIVE = SpanClaims("active", "gpt-4o", "team", "low")
DEPRECATED = SpanClaims("deprecated", "gpt-4o", "other", "high")


def test_agreement() -> None:
    """What a span carries agrees if all of it was in force at one time of those it may show."""
    assert agrees(ACTIVE, "2026-01-15")
    assert not agrees(ACTIVE, "2026-01-21")
    assert agrees(ACTIVE, "2026-01-15", "2026-01-21")
    assert agrees(DEPRECATED, "2026-01-15", "2026-01-21")
    assert not agrees(DEPRECATED, "2026-01-15")
    assert not agrees(DEPRECATED._replace(owner="team"), "2026-01-15", "2026-01-21")
    assert agrees(SpanClaims("active", None, None, None), "2026-01-15")
    for wrong in ({"status": "retired"}, {"model_id": "x"}, {"owner": "x"}, {"risk_tier": "high"}):
        assert not agrees(ACTIVE._replace(**wrong), "2026-01-15")
    assert not agrees(NONE, "2026-01-15")
    assert not agrees(ACTIVE._replace(status=None), "2026-01-15")


def test_agreement_before_deployment() -> None:
    """Before a model's deployment a span may say unregistered, or carry its id; not the id of another."""
    assert agrees(SpanClaims(UNREGISTERED, None, None, None), "2026-01-05")
    assert agrees(ACTIVE, "2026-01-05")
    assert not agrees(ACTIVE._replace(model_id="x"), "2026-01-05")


def test_agreement_about_what_is_not_registered() -> None:
    """A span of such a model says so, and carries no id."""
    assert agrees(SpanClaims(UNREGISTERED, None, None, None), "2026-01-05", model=None)
    assert not agrees(SpanClaims("active", None, None, None), "2026-01-05", model=None)
    assert not agrees(SpanClaims(UNREGISTERED, "x", None, None), "2026-01-05", model=None)
    assert not agrees(NONE, "2026-01-05", model=None)


def test_what_the_processor_writes_agrees() -> None:
    """What the span processor would put on a span is claims, and agrees."""
    put = span_attributes(
        ENTRIES[0], frozenset({"model_id", "status", "owner", "risk_tier", "warnings"}), status="active"
    )
    found = find({"gen_ai.request.model": "support"} | {key: value for key, value in put.items() if value})  # type: ignore[misc]
    assert found is not None
    call = found.model.to_call("api", found.claims, found.uncovered, range(1), START)
    assert call == Call("call", "gpt-4o", "", "api", "active", past_sunset=False, enriched=True, agrees=True)


def test_a_call_of_no_entry() -> None:
    """It has the name, the service and the status that say so."""
    call = CalledModel(None, "x", PERIOD).to_call("api", NONE, (), range(1), START)
    assert call == Call("call", None, "x", "api", UNREGISTERED)


def test_one_subject_for_each_entry() -> None:
    """States are worked out once for an entry, whatever name leads to it."""
    resolver = Resolver(ENTRIES, (), PERIOD)
    subjects = [resolver.find({"gen_ai.request.model": name}, (), "") for name in ("support", "gpt-4o")]
    assert subjects[0] is not None
    assert subjects[1] is not None
    assert subjects[0].model is subjects[1].model
