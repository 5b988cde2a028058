"""Readers of public formats. The samples here are made by hand; the tests of the matrix read LiteLLM's real map."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.calendars import TODAY, announce

from spanforge.model_registry import InvalidValueError, ModelRegistryError, RegistryFileError
from spanforge.model_registry._core import calendar_feeds
from spanforge.model_registry._core.calendar_feeds import FEEDS
from spanforge.model_registry.calendar import Announcement, Calendar, FeedFormat, read_feed

if TYPE_CHECKING:
    from collections.abc import Callable

LITELLM = {
    "sample_spec": {"deprecation_date": "date when the model becomes deprecated", "litellm_provider": "one of …"},
    "azure/eu/o3-mini": {
        "litellm_provider": "azure",
        "deprecation_date": "2026-11-19",
        "deprecation_source": "https://learn.microsoft.com/retirements",
        "successor_model": "azure/eu/gpt-5.6-terra",
        "source": "https://prices.azure.com",
    },
    "cerebras/llama3.1-8b": {"litellm_provider": "cerebras", "deprecation_date": "2026-05-27"},
    "gpt-6-luna": {"litellm_provider": "openai", "max_tokens": 1},
}
MODELDEPRECATIONS = """\
# yaml-language-server: $schema=https://modeldeprecations.dev/api/v1/schema.json
provider: anthropic
model: claude-3-7-sonnet-20250219
name: Claude Sonnet 3.7
aliases: [claude-3-7-sonnet-latest]
description: >-
  A text of several
  lines.
released_on: 2025-02-19
deprecated_on: 2025-10-28
shutdown_on: 2026-02-19
status: retired
replacements:
  - {provider: google, model: gemini-3-pro, recommended: false}
  - provider: anthropic
    model: claude-sonnet-4-6
    recommended: true
sources:
  - url: https://platform.claude.com/docs/en/about-claude/model-deprecations
    title: Anthropic model deprecations
    accessed: 2026-07-30
last_verified: 2026-07-30
"""
MODELDEPRECATIONS_JSON = {
    "$schema": "https://modeldeprecations.dev/api/v1/schema.json",
    "asOf": "2026-08-21",
    "count": 3,
    "models": [
        {"provider": "openai", "model": "gpt-6", "status": "active", "last_verified": "2026-08-03", "sources": []},
        {
            "provider": "anthropic",
            "model": "claude-fable-5",
            "status": "active",
            "earliest_shutdown_on": "2027-06-09",
            "last_verified": "2026-08-03",
            "replacements": [{"provider": "anthropic", "model": "claude-fable-6", "recommended": True}],
            "computed_status": "active",
        },
        {
            "provider": "xai",
            "model": "grok-9",
            "status": "deprecated",
            "deprecated_on": "2026-09-01",
            "shutdown_on": "2026-12-01",
            "last_verified": "2026-08-03",
            "sources": [{"url": "https://docs.x.ai", "accessed": "2026-08-03"}],
        },
    ],
}
DEPRECATIONS_INFO = [
    {
        "provider": "OpenAI",
        "model_id": "gpt-realtime",
        "announcement_date": "2026-07-21",
        "shutdown_date": "2027-01-20",
        "deprecation_date": "2026-07-20",
        "replacement_models": ["gpt-realtime-2.1"],
        "deprecation_context": "A text.",
        "url": "https://platform.openai.com/docs/deprecations#2026-07-20",
        "first_observed": "2026-07-21",
        "last_observed": "2026-07-23",
    },
    {
        "provider": "AWS Bedrock",
        "model_id": "anthropic.claude-3-5-sonnet-20240620-v1:0",
        "announcement_date": "2026-03-26",
        "shutdown_date": "2026-07-30",
        "deprecation_date": "2026-07-30",
        "replacement_models": None,
        "url": "",
        "last_observed": "2026-07-01",
    },
    {"provider": "Cohere", "model_id": "command-light", "shutdown_date": "", "last_observed": "2026-03-26"},
]
BEDROCK = {
    "modelSummaries": [
        {
            "modelArn": "arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0",
            "modelId": "anthropic.claude-sonnet-4-20250514-v1:0",
            "providerName": "Anthropic",
            "modelLifecycle": {
                "status": "LEGACY",
                "startOfLifeTime": "2025-05-22T00:00:00+00:00",
                "endOfLifeTime": "2026-10-13T23:30:00-08:00",
                "legacyTime": "2026-04-14T08:00:00+00:00",
            },
        },
        {"modelId": "amazon.nova-pro-v1:0", "modelLifecycle": {"status": "ACTIVE"}},
    ]
}
BEDROCK_SOURCE = "aws bedrock list-foundation-models"
EXPECTED: dict[FeedFormat, tuple[Any, list[Announcement]]] = {
    "litellm": (
        LITELLM,
        [
            announce(
                "azure/eu/o3-mini",
                provider="azure",
                shutdown_on="2026-11-19",
                replacements=["azure/eu/gpt-5.6-terra"],
                source="https://learn.microsoft.com/retirements",
                checked_on=TODAY,
            ),
            announce(
                "cerebras/llama3.1-8b",
                provider="cerebras",
                shutdown_on="2026-05-27",
                source="LiteLLM's model map",
                checked_on=TODAY,
            ),
        ],
    ),
    "modeldeprecations": (
        MODELDEPRECATIONS_JSON,
        [
            announce(
                "claude-fable-5",
                provider="anthropic",
                not_before="2027-06-09",
                replacements=["claude-fable-6"],
                source="https://modeldeprecations.dev",
                checked_on="2026-08-03",
            ),
            announce(
                "grok-9", provider="xai", shutdown_on="2026-12-01", source="https://docs.x.ai", checked_on="2026-08-03"
            ),
        ],
    ),
    "deprecations.info": (
        DEPRECATIONS_INFO,
        [
            announce(
                "anthropic.claude-3-5-sonnet-20240620-v1:0",
                provider="aws.bedrock",
                announced_on="2026-03-26",
                shutdown_on="2026-07-30",
                source="https://deprecations.info",
                checked_on="2026-07-01",
            ),
            announce(
                "gpt-realtime",
                provider="OpenAI",
                announced_on="2026-07-20",
                shutdown_on="2027-01-20",
                replacements=["gpt-realtime-2.1"],
                source="https://platform.openai.com/docs/deprecations#2026-07-20",
                checked_on="2026-07-23",
            ),
        ],
    ),
    "bedrock": (
        BEDROCK,
        [
            announce(
                "anthropic.claude-sonnet-4-20250514-v1:0",
                provider="aws.bedrock",
                announced_on="2026-04-14",
                shutdown_on="2026-10-14",
                source=BEDROCK_SOURCE,
                checked_on=TODAY,
            )
        ],
    ),
}
each = pytest.mark.parametrize("form", EXPECTED)


@pytest.fixture
def feed(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a feed and returns its path."""

    def put(data: Any, name: str = "feed.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
        return path

    return put


@each
def test_formats(form: FeedFormat, feed: Callable[..., Path]) -> None:
    """Each model with a shutdown day becomes an announcement; others and LiteLLM's ``sample_spec`` do not."""
    data, announcements = EXPECTED[form]
    calendar = read_feed(feed(data), form, checked_on=TODAY)
    assert set(calendar) == set(announcements)
    assert len(calendar) == len(announcements)
    assert set(get_args(FeedFormat)) == set(FEEDS) == set(EXPECTED)


@each
def test_standard_input(form: FeedFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` reads the feed from standard input, and without a day it was checked today."""
    data, announcements = EXPECTED[form]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(data).encode())))
    monkeypatch.setattr("time.time_ns", lambda: 1_795_996_799_999_999_999)  # the last instant of TODAY
    assert set(read_feed("-", form)) == set(announcements)


@each
def test_date_times_count_as_their_day_in_utc(form: FeedFormat, feed: Callable[..., Path]) -> None:
    """A feed whose days are date-times gives the same calendar."""
    data, announcements = EXPECTED[form]
    moments = re.sub(r'"(\d{4}-\d{2}-\d{2})"', r'"\1T23:30:00.5Z"', json.dumps(data))
    assert set(read_feed(feed(moments), form, checked_on=TODAY)) == set(announcements)


DAY_KEYS: dict[FeedFormat, str] = {
    "litellm": "deprecation_date",
    "modeldeprecations": "shutdown_on",
    "deprecations.info": "shutdown_date",
    "bedrock": "endOfLifeTime",
}


@each
@pytest.mark.parametrize("value", ['""', "null", None])
def test_models_without_a_day_are_left_out(form: FeedFormat, value: str | None, feed: Callable[..., Path]) -> None:
    """An empty day, ``null`` and no day are the same: the model is left out, and the others are read."""
    data, announcements = EXPECTED[form]
    last = max(row.shutdown_on or "" for row in announcements)
    day = "2026-10-13T23:30:00-08:00" if form == "bedrock" else last
    text = json.dumps(data)
    member = f'"{DAY_KEYS[form]}": "{day}"'
    assert text.count(member) == 1
    odd = text.replace(member, '"x": 1' if value is None else f'"{DAY_KEYS[form]}": {value}')
    expected = {row for row in announcements if row.shutdown_on != last}
    assert set(read_feed(feed(odd), form, checked_on=TODAY)) == expected


def test_a_firm_day_goes_before_the_earliest_possible_one(feed: Callable[..., Path]) -> None:
    """If a model of modeldeprecations.dev has both days, the firm one counts."""
    (_, active, deprecated) = MODELDEPRECATIONS_JSON["models"]
    both = {**active, **deprecated}
    (found,) = read_feed(feed([both]), "modeldeprecations")
    assert (found.shutdown_on, found.not_before) == ("2026-12-01", None)


def test_yaml_of_modeldeprecations(feed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A YAML file, and a folder of them, give an announcement for the model and one for each alias."""
    facts = {
        "provider": "anthropic",
        "announced_on": "2025-10-28",
        "shutdown_on": "2026-02-19",
        "replacements": ["claude-sonnet-4-6", "google/gemini-3-pro"],
        "source": "https://platform.claude.com/docs/en/about-claude/model-deprecations",
        "checked_on": "2026-07-30",
    }
    expected = [announce(f"claude-3-7-sonnet-{end}", **facts) for end in ("20250219", "latest")]
    path = feed(MODELDEPRECATIONS, "models/claude.yaml")
    assert list(read_feed(path, "modeldeprecations")) == expected
    feed(MODELDEPRECATIONS.replace("claude-3-7", "claude-3-8"), "models/other.yaml")
    assert len(read_feed(path.parent, "modeldeprecations")) == 2 * len(expected)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(MODELDEPRECATIONS.encode())))
    assert list(read_feed("-", "modeldeprecations")) == expected


def read_error(path: Path, form: FeedFormat) -> str:
    with pytest.raises(RegistryFileError) as caught:
        read_feed(path, form, checked_on=TODAY)
    return str(caught.value).removeprefix(str(path))


LIST = "must be a list of deprecations"
DAY_RULE = "must be a day such as 2027-01-14"
OTHER_FORMAT = "YAML is read only from files whose names end in .yaml or .yml, and all other files must be JSON"
NAME_RULE = "must be text of 1 to 256 characters that is not blank, without white space around it"
WRONG: list[tuple[FeedFormat, Any, str]] = [
    ("litellm", DEPRECATIONS_INFO, ": must be LiteLLM's model map: a mapping of models, each with litellm_provider"),
    ("litellm", {"a": {"x": 1}}, ": must be LiteLLM's model map: a mapping of models, each with litellm_provider"),
    (
        "modeldeprecations",
        LITELLM,
        ", entry 0: must be a model of modeldeprecations.dev, with status and last_verified",
    ),
    ("deprecations.info", LITELLM, f": {LIST}; got a mapping"),
    ("deprecations.info", [1], ", entry 0: must be a mapping; got a number"),
    (
        "deprecations.info",
        [{}],
        ", entry 0: must be a deprecation of deprecations.info, with model_id and shutdown_date",
    ),
    ("bedrock", LITELLM, f": must be the output of {BEDROCK_SOURCE}, with the list modelSummaries; got null"),
    ("deprecations.info", "<html>", f", line 1, column 1: is not valid JSON: Expecting value; {OTHER_FORMAT}"),
    ("litellm", '{"a": 1, "a": 1}', ": is not valid JSON: duplicate key 'a'"),
    (
        "litellm",
        {**LITELLM, "m": {"litellm_provider": "x", "deprecation_date": "soon"}},
        ", model 'm', field 'deprecation_date': must be a day such as 2027-01-14; got 'soon'",
    ),
    (
        "litellm",
        {**LITELLM, "m": {"deprecation_date": "2027-01-01"}},
        ", model 'm', field 'litellm_provider': is missing",
    ),
    ("litellm", {**LITELLM, "m": 1}, ", model 'm': must be a mapping; got a number"),
    (
        "deprecations.info",
        [*DEPRECATIONS_INFO, {**DEPRECATIONS_INFO[0], "shutdown_date": 1}],
        ", entry 3, model 'gpt-realtime', field 'shutdown_date': must be a day such as 2027-01-14; got 1",
    ),
    (
        "deprecations.info",
        [{**DEPRECATIONS_INFO[0], "replacement_models": "x"}],
        ", entry 0, field 'replacement_models': must be a list; got text",
    ),
    (
        "bedrock",
        {"modelSummaries": [{"modelId": "m", "modelLifecycle": {"endOfLifeTime": 1791936000}}]},
        ", entry 0, model 'm', field 'endOfLifeTime': must be a day such as 2027-01-14; got 1791936000",
    ),
    (
        "bedrock",
        {"modelSummaries": [{"modelId": "x", "modelLifecycle": {"endOfLifeTime": "0001-01-01T00:00:00+10:00"}}]},
        f", entry 0, model 'x', field 'endOfLifeTime': {DAY_RULE}; got '0001-01-01T00:00:00+10:00'",
    ),
    (
        "modeldeprecations",
        [{**MODELDEPRECATIONS_JSON["models"][2], "replacements": [{"provider": "openai", "model": None}]}],
        f", entry 0, model 'grok-9', field 'replacements[0]': {NAME_RULE}; got null",
    ),
]


@pytest.mark.parametrize(("form", "data", "error"), WRONG, ids=range(len(WRONG)))
def test_wrong_feeds(form: FeedFormat, data: Any, error: str, feed: Callable[..., Path]) -> None:
    """A feed of another format, or with an invalid value, has one error that names the place; nothing is read."""
    assert read_error(feed(data), form) == error


@pytest.mark.slow
def test_huge_and_missing_feeds(feed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A feed beyond the limits, a folder, and an unknown format have a clear error."""
    rows = [{**DEPRECATIONS_INFO[0], "model_id": f"m-{number}"} for number in range(10_001)]
    many = ": calendar has 10,001 announcements; the limit is 10,000"
    assert read_error(feed(rows), "deprecations.info") == many
    assert "cannot be read" in read_error(tmp_path, "litellm")
    assert read_error(tmp_path, "modeldeprecations") == ": must be a folder with YAML files; it has none"
    monkeypatch.setattr("sys.stdin", None)
    assert read_error(Path("-"), "litellm").startswith("<stdin>: cannot be read: standard input is closed")
    monkeypatch.setattr(calendar_feeds, "MAX_FEED_SIZE", 100)
    assert read_error(feed(LITELLM), "litellm") == ": is larger than 100 bytes, the limit of a feed"
    with pytest.raises(InvalidValueError, match="form must be one of litellm, modeldeprecations"):
        read_feed("x", "other")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="checked_on must be a day such as 2027-01-14; got 'today'"):
        read_feed("x", "litellm", checked_on="today")


VALUES = st.recursive(
    st.sampled_from([None, True, 1, 1e9, "", "x", "2027-01-14", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["model", "url", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_malformed_feed_does_no_harm(data: st.DataObject, feed: Callable[..., Path]) -> None:
    """Whatever value a member of a feed has, the feed is read, or refused with an error of the library."""
    form = data.draw(st.sampled_from([*EXPECTED]))
    document: Any = json.loads(json.dumps(EXPECTED[form][0]))
    places = [holder for holder in list_containers(document) if len(holder)]
    holder = data.draw(st.sampled_from(places))
    key = data.draw(st.sampled_from([*holder] if isinstance(holder, dict) else range(len(holder))))
    holder[key] = data.draw(VALUES)
    try:
        calendar = read_feed(feed(document), form, checked_on=TODAY)
    except ModelRegistryError:
        return
    assert len(calendar) <= len(EXPECTED[form][1]) + 1  # the value may be the date of a row that had none


def list_containers(value: Any) -> list[Any]:
    """Return all lists and mappings in a JSON value."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, (dict, list)) else []
    return own + [each for child in children for each in list_containers(child)]


def test_merging_keeps_the_first_and_the_last_check() -> None:
    """A calendar that is merged with each new check does not grow, and shows since when each day was known."""
    calendar = Calendar()
    for day in range(1, 29):
        fresh = Calendar([announce(checked_on=f"2026-11-{day:02}"), announce("other", checked_on=f"2026-11-{day:02}")])
        calendar = fresh.merge(calendar)
    assert [row.checked_on for row in calendar if row.model == "gpt-4o"] == ["2026-11-01", "2026-11-28"]
    moved = calendar.merge(Calendar([announce(shutdown_on="2027-03-01", checked_on="2026-11-29")]))
    assert [each.shutdown_on for each in moved.list_shutdowns()] == ["2027-01-14", "2027-03-01"]
    back = moved.merge(Calendar([announce(checked_on="2026-11-30")]))
    assert [each.shutdown_on for each in back.list_shutdowns()] == ["2027-01-14", "2027-01-14"]
