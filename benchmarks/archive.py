"""A span archive as the Collector writes it, with every kind of fault, and the expected evidence.

As a program, this module writes five files and the evidence that is expected from them (the *truth*):
``python -m benchmarks.archive FOLDER SPANS [--plain] [--seed N]``. It counts the truth independently and imports
nothing from the library.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import importlib
import json
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

SECOND: Final = 10**9
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
START: Final = 1_772_323_200 * SECOND
"""1 March 2026."""
END: Final = START + 31 * DAY
DELAY: Final = 5 * MINUTE
FOREVER: Final = 2**63

UNREGISTERED, EARLY, DEPRECATED, PAST_SUNSET, RETIRED, NOT_ENRICHED, DISAGREES, STRANGE = (1 << bit for bit in range(8))
"""Faults of a call, as bits. The last two hexadecimal digits of its trace id contain them."""

FILES: Final = ("spans-0.jsonl", "spans-1.jsonl.gz", "spans-2.jsonl", "spans-3.jsonl.gz", "spans-4.jsonl.zst")
BOUNDS: Final = tuple(START + day * DAY for day in (0, 6, 12, 18, 25, 31))
"""Boundaries of the days that the files cover."""
NAMES: Final = 5_000
"""Unregistered model names."""
LINES_AGAIN: Final = 3
"""Lines at the end of a file that the next file repeats, as after a retry without an acknowledgement."""


def on(day: int, hour: int = 0, minute: int = 0, nanos: int = 0) -> int:
    """Return an instant of the period; days count from 0."""
    return START + day * DAY + hour * HOUR + minute * MINUTE + nanos


def rfc3339(nanos: int) -> str:
    """Return an instant as evidence writes it, truncated to microseconds."""
    return (EPOCH + timedelta(microseconds=nanos // 1_000)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


OWNED: Final = on(3, 10, 0, 1_000)
DEPRECATION: Final = on(5, 14, 23, 5_123_456_000)
DEPLOYED: Final = on(7, 8, 0, 250_000)
RETIREMENT: Final = on(10, 9, 30, SECOND // 2)
LATEST: Final = on(13, 12)
SUNSET: Final = on(19, 6, 7, 1_000)
NEVER: Final = on(26, 3)
GAPS: Final = ((on(8, 6), on(9, 6, 0, 1)), (on(21), on(22, 6)))
"""Gaps longer than a day. The first one is longer by a nanosecond."""
A_DAY: Final = (on(15, 1), on(16, 1))
"""A gap of exactly one day, which is allowed."""
LONG_AGO: Final = START - 270 * DAY


class Step(NamedTuple):
    """Status, owner and tier from an instant on."""

    since: int
    status: str
    owner: str
    tier: str


class Model(NamedTuple):
    """A registered model. Its steps are in its history, or in its dates if it is ``dated``."""

    model_id: str
    steps: tuple[Step, ...]
    sunset: int | None = None
    aliases: tuple[str, ...] = ()
    provider: str | None = None
    dated: bool = False
    purpose: str = "answers customers"

    def entry(self) -> dict[str, Any]:
        """Return its entry at the end of the period."""
        last = self.steps[-1]
        dates = {step.status: rfc3339(step.since) for step in reversed(self.steps)}
        dates = {status: date[:10] if self.dated else date for status, date in dates.items()}
        found = {"aliases": list(self.aliases), "provider": self.provider}
        if self.sunset is not None:
            found["sunset_date"] = rfc3339(self.sunset)[: 10 if (self.sunset - START) % DAY == 0 else None]
        found["deprecation_date"] = dates.get("deprecated")
        if not self.dated:
            names = ("at", "status", "owner", "risk_tier")
            found["history"] = [dict(zip(names, (rfc3339(since), *rest), strict=True)) for since, *rest in self.steps]
        return {
            "model_id": self.model_id,
            "name": f"Model {self.model_id}",
            "version": "1",
            "risk_tier": last.tier,
            "owner": last.owner,
            "purpose": self.purpose,
            "status": last.status,
            "deployment_date": dates["active"],
            "decommission_date": dates.get("retired"),
            "metadata": {key: value for key, value in found.items() if value},
        }

    def during(self, first: int, last: int) -> list[Step | None]:
        """Return the steps in force between ``first`` and ``last``; ``None`` if it was not yet deployed."""
        begins = [-FOREVER, *(step.since for step in self.steps)]
        ends = [*begins[1:], FOREVER]
        states = (None, *self.steps)
        return [state for state, a, b in zip(states, begins, ends, strict=True) if a <= last and b > first]

    def past_sunset(self, when: int) -> bool:
        """Check whether its sunset date has passed."""
        return self.sunset is not None and when >= self.sunset


def _life(owner: str, tier: str, *further: tuple[int, str], since: int = LONG_AGO) -> tuple[Step, ...]:
    return tuple(Step(at, status, owner, tier) for at, status in ((since, "active"), *further))


MODELS: Final = {
    model.model_id: model
    for model in (
        Model(
            "gpt-4o",
            (Step(LONG_AGO, "active", "ml-platform", "high"), Step(OWNED, "active", "ai-core", "critical")),
            aliases=("support-chat", "gpt-4o-2*"),
        ),
        Model("gpt-4o-mini", _life("ml-platform", "medium", (END + 5 * DAY, "deprecated"))),
        Model("gpt-3.5-turbo", _life("support", "medium", (DEPRECATION, "deprecated")), SUNSET),
        Model("text-davinci-003", _life("support", "critical", (RETIREMENT, "retired"))),
        Model("openai/gpt-4.1", _life("ml-platform", "high")),
        Model(
            "anthropic/claude-3-opus",
            _life("research", "high", (LATEST, "deprecated")),
            aliases=("claude-latest",),
            provider="anthropic",
        ),
        Model("mistral-large", _life("research", "low", since=DEPLOYED)),
        Model("embed-small", _life("search", "low", (on(10), "deprecated"), (on(20), "retired")), dated=True),
        Model("o1-preview", _life("research", "high", (START - DAY, "deprecated")), on(14)),
        Model("ada", _life("search", "low", (START - 100 * DAY, "retired"))),
        Model("=cmd-model", _life("+ops", "low"), dated=True, purpose="@SUM(1)"),
        Model("never-called", _life("support", "low", (NEVER, "retired"))),
    )
}
CHANGES: Final = (
    (OWNED, "gpt-4o", "active", "history", True),
    (DEPRECATION, "gpt-3.5-turbo", "deprecated", "history", True),
    (DEPLOYED, "mistral-large", "active", "history", True),
    (on(10), "embed-small", "deprecated", "dates", True),
    (RETIREMENT, "text-davinci-003", "retired", "history", False),
    (LATEST, "anthropic/claude-3-opus", "deprecated", "history", True),
    (on(20), "embed-small", "retired", "dates", False),
    (NEVER, "never-called", "retired", "history", False),
)
"""The changes of the period, each with whether its event was recorded."""
EVENTS: Final = (
    ("span", OWNED, "registered", "gpt-4o"),
    ("span", DEPRECATION, "deprecated", "gpt-3.5-turbo"),
    ("log", DEPLOYED + 4 * MINUTE, "registered", "mistral-large"),
    ("span", on(10, 17), "deprecated", "embed-small"),
    ("log", LATEST + DELAY, "deprecated", "anthropic/claude-3-opus"),
    ("span", on(21), "retired", "embed-small"),  # the day after
    ("log", NEVER + DELAY + 1, "retired", "never-called"),  # after the allowed delay
    ("span", RETIREMENT, "deprecated", "text-davinci-003"),  # of another change
    ("log", on(12), "registered", "nobody-knows"),
    ("log", END, "registered", "ada"),  # after the period
)
EVENTS_IN_PERIOD: Final = len(EVENTS) - 1
INSTANTS: Final = tuple(
    (model.model_id, at)
    for model in MODELS.values()
    for at in sorted({*(step.since for step in model.steps), model.sunset or 0})
    if START < at < END
)


class Said(NamedTuple):
    """The registry attributes of a span."""

    status: str | None = None
    owner: str | None = None
    tier: str | None = None
    model_id: str | None = None


NOTHING: Final = Said()


class Outcome(NamedTuple):
    """How a span counts: its kind (``call``, ``agent`` or ``other``), its model or name, its faults, and its names.

    ``matched`` is a name that matched by form or by glob. ``served`` is another model that answered, and ``requested``
    the id of the request model if that other model is registered. ``compared`` calls have both models.
    """

    kind: str
    model_id: str | None = None
    name: str = ""
    service: str = ""
    wrong: int = 0
    matched: str = ""
    rule: str = ""
    served: str = ""
    requested: str | None = None
    compared: bool = False


def judged(model_id: str, start: int, end: int, said: Said) -> int:
    """Return the faults of a call to a registered model."""
    model = MODELS[model_id]
    state = model.during(start, start)[0]
    wrong = 0
    if state is None:
        wrong |= EARLY
    elif state.status == "deprecated":
        wrong |= DEPRECATED | (PAST_SUNSET if model.past_sunset(start) else 0)
    elif state.status == "retired":
        wrong |= RETIRED
    if said.status is None:
        return wrong | NOT_ENRICHED
    end = max(start, end)
    for possible in model.during(min(start, end - DELAY), end):
        if possible is None and (said.status == "unregistered" or said.model_id == model_id):
            return wrong
        if possible is not None and said == Said(possible.status, possible.owner, possible.tier, model_id):
            return wrong
    return wrong | DISAGREES


def right(model_id: str, when: int) -> Said:
    """Return the registry attributes that a span gets at that time."""
    state = MODELS[model_id].during(when, when)[0]
    return Said("unregistered") if state is None else Said(state.status, state.owner, state.tier, model_id)


def _value(key: str, value: str) -> str:
    return f'{{"key":"{key}","value":{{"stringValue":{json.dumps(value)}}}}}'


def _attributes(texts: dict[str, str], said: Said, name: str) -> str:
    """Return a span's attributes as JSON."""
    found = [_value(*item) for item in texts.items()]
    registry = zip(("status", "owner", "risk_tier", "model_id"), said, strict=True)
    found += [_value(f"model_registry.{key}", value) for key, value in registry if value is not None]
    words = {"unregistered": "is not registered", "deprecated": "is deprecated", "retired": "is retired"}
    if said.status in words:
        warning = json.dumps(f"model '{name}' {words[said.status]}")
        found.append(
            f'{{"key":"model_registry.warnings","value":{{"arrayValue":{{"values":[{{"stringValue":{warning}}}]}}}}}}'
        )
    if said.model_id is not None:
        found += [_value("model_registry.name", f"Model {name}"), _value("model_registry.version", "1")]
    return ",".join(found)


_REQUEST: Final = "gen_ai.request.model"
_RESPONSE: Final = "gen_ai.response.model"


class Kind(NamedTuple):
    """A group of similar spans: their weight, their attributes and their outcome.

    ``said`` has their registry attributes. ``None`` means the correct attributes.
    """

    weight: int
    texts: dict[str, str]
    model_id: str | None = None
    said: Said | None = None
    name: str = ""
    rule: str = ""
    served: str = ""
    requested: str | None = None
    agent: bool = False

    def at(self, when: int, service: str) -> tuple[str, Outcome]:
        """Return the attributes and outcome of these spans at an instant without changes."""
        said = self.said
        if said is None:
            said = NOTHING if self.model_id is None else right(self.model_id, when)
        attributes = _attributes(self.texts, said, self.model_id or self.name)
        if self.agent:
            return attributes, Outcome("agent", self.model_id, self.name, service)
        if self.name:
            wrong = UNREGISTERED | (NOT_ENRICHED if said.status is None else 0)
            return attributes, Outcome("call", None, self.name, service, wrong)
        if self.model_id is None:
            return attributes, Outcome("other")
        wrong = judged(self.model_id, when, when, said)
        if self.served and self.requested is None:
            wrong |= STRANGE
        response = self.texts.get(_RESPONSE, "")
        matched = response or self.texts[_REQUEST] if self.rule else ""
        names = matched, self.rule, self.served, self.requested, bool(response)
        return attributes, Outcome("call", self.model_id, "", service, wrong, *names)


def _chat(request: str, response: str = "", provider: str = "openai", operation: str = "chat") -> dict[str, str]:
    found = {"gen_ai.operation.name": operation, "gen_ai.provider.name": provider, _REQUEST: request}
    return {**found, **({_RESPONSE: response, "gen_ai.response.id": "chatcmpl-1"} if response else {})}


def _llm(kind: str = "LLM", **texts: str) -> dict[str, str]:
    return {**{key.replace("__", "."): text for key, text in texts.items()}, "openinference.span.kind": kind}


class Group(NamedTuple):
    """Spans of one service and scope: the number per line and their kinds."""

    service: str
    scope: str
    spans: int
    kinds: tuple[Kind, ...]

    def wrapped(self, spans: str) -> str:
        """Return spans with their scope and resource as JSON."""
        texts = {"service.name": self.service, "service.version": "1.4.2", "telemetry.sdk.language": "python"}
        if self.service == "unknown_service":
            del texts["service.name"]
        resource = ",".join(_value(*item) for item in texts.items())
        scope = f'"scope":{{"name":"{self.scope}","version":"0.60b1"}}'
        return f'{{"resource":{{"attributes":[{resource}]}},"scopeSpans":[{{{scope},"spans":[{spans}]}}]}}'


SUPPORT: Final = Group(
    "support-agent",
    "opentelemetry.instrumentation.openai_v2",
    90,
    (
        Kind(30, _chat("gpt-4o", "gpt-4o-2024-08-06"), "gpt-4o", rule="glob"),
        Kind(10, _chat("support-chat"), "gpt-4o"),
        Kind(10, _chat("gpt-3.5-turbo", "gpt-3.5-turbo"), "gpt-3.5-turbo"),
        Kind(3, _chat("gpt-3.5-turbo"), "gpt-3.5-turbo", NOTHING),
        Kind(2, _chat("gpt-4o"), "gpt-4o", Said("active", "somebody", "high", "gpt-4o")),
        Kind(6, _chat("gpt-4o-mini", "gpt-4o-mini-2024-07-18"), "gpt-4o-mini", rule="form"),
        Kind(4, _chat("gpt-4.1"), "openai/gpt-4.1"),
        Kind(1, _chat("claude-latest"), None, NOTHING, name="claude-latest"),  # an alias of another provider's model
        Kind(1, _chat("gpt-4o", "o9"), "gpt-4o", NOTHING, served="o9"),
        Kind(1, _chat("GPT-3.5-Turbo-0125"), "gpt-3.5-turbo", NOTHING, rule="form"),
        Kind(1, _chat("gpt-4o", "gpt-4o-mini"), "gpt-4o-mini", served="gpt-4o-mini", requested="gpt-4o"),
    ),
)
SEARCH: Final = Group(
    "search; =index",
    "openinference.instrumentation.openai",
    70,
    (
        Kind(20, _llm("EMBEDDING", embedding__model_name="embed-small"), "embed-small"),
        Kind(5, _llm(llm__system="openai", llm__invocation_parameters='{"model": "o1-preview"}'), "o1-preview"),
        Kind(5, _llm(llm__model_name="o1-preview"), "o1-preview", NOTHING),
        Kind(9, _llm(llm__provider="anthropic", llm__model_name="claude-latest"), "anthropic/claude-3-opus"),
        Kind(8, _llm(), "text-davinci-003", Said("active", "support", "critical", "text-davinci-003")),
        Kind(8, _llm(llm__model_name="mistral-large"), "mistral-large"),
        Kind(4, _llm("AGENT", llm__model_name="gpt-4o"), "gpt-4o", agent=True),
        Kind(4, _llm("CHAIN", llm__model_name="nobody-knows"), name="nobody-knows", agent=True),
        Kind(1, _llm(), None, Said("unregistered"), name="only-said"),
    ),
)
JOBS: Final = Group(
    "unknown_service",
    "pydantic-ai",
    45,
    (
        Kind(4, {"model_name": "gpt-4o", "gen_ai.agent.name": "agent"}, "gpt-4o", NOTHING, agent=True),
        Kind(4, _chat("gpt-4o", operation="invoke_agent"), "gpt-4o", agent=True),
        Kind(4, _chat("gpt-4o", operation="invoke_workflow"), "gpt-4o", NOTHING, agent=True),
        Kind(4, _chat("nobody-knows", operation="execute_tool")),
        Kind(9, {"http.request.method": "POST", "server.address": "api.example.com"}),
        Kind(2, _chat("")),
        Kind(6, _chat("ada"), "ada"),
        Kind(1, _chat("ada"), "ada", Said("active", "search", "low", "ada")),
        Kind(7, _chat("claude-3-opus", provider="anthropic"), "anthropic/claude-3-opus"),
    ),
)
BATCH: Final = Group(
    "batch-jobs",
    "litellm",
    30,
    (
        Kind(5, {"litellm.model_group": "openai/gpt-4.1"}, "openai/gpt-4.1"),
        Kind(2, {"litellm.model_group": "=cmd-model"}, "=cmd-model"),
        Kind(5, _chat("text-davinci-003"), "text-davinci-003"),
        Kind(2, _chat("text-davinci-003"), "text-davinci-003", NOTHING),
        Kind(1, {"model_name": "gpt-4o"}),  # not a model key in this scope
        Kind(1, _chat("=HYPERLINK(0)"), None, NOTHING, name="=HYPERLINK(0)"),
    ),
)
GROUPS: Final = (SUPPORT, SEARCH, JOBS, BATCH)
STRAY: Final = Group("batch-jobs", "experiments", 5, ())
"""The group whose spans name unregistered models."""
A_LINE: Final = sum(group.spans for group in (*GROUPS, STRAY))

_SECONDS: Final = 1_000_000
EDGES: Final = (
    ("gpt-3.5-turbo", DEPRECATION - 1, SECOND, NOTHING, NOT_ENRICHED),
    ("gpt-3.5-turbo", DEPRECATION, SECOND, NOTHING, NOT_ENRICHED | DEPRECATED),
    ("gpt-3.5-turbo", DEPRECATION + 1, SECOND, NOTHING, NOT_ENRICHED | DEPRECATED),
    ("gpt-3.5-turbo", SUNSET - 1, SECOND, NOTHING, NOT_ENRICHED | DEPRECATED),
    ("gpt-3.5-turbo", SUNSET, SECOND, NOTHING, NOT_ENRICHED | DEPRECATED | PAST_SUNSET),
    ("o1-preview", on(14) - 1, SECOND, NOTHING, NOT_ENRICHED | DEPRECATED),
    ("o1-preview", on(14), SECOND, NOTHING, NOT_ENRICHED | DEPRECATED | PAST_SUNSET),
    ("text-davinci-003", RETIREMENT - 1, SECOND, NOTHING, NOT_ENRICHED),
    ("text-davinci-003", RETIREMENT, SECOND, NOTHING, NOT_ENRICHED | RETIRED),
    ("embed-small", on(20) - 1, SECOND, NOTHING, NOT_ENRICHED | DEPRECATED),
    ("embed-small", on(20), SECOND, NOTHING, NOT_ENRICHED | RETIRED),
    ("mistral-large", DEPLOYED - 1, 0, NOTHING, NOT_ENRICHED | EARLY),
    ("mistral-large", DEPLOYED - 1, 0, Said("unregistered"), EARLY),
    ("mistral-large", DEPLOYED - 2, 1, right("mistral-large", END), EARLY),
    ("mistral-large", DEPLOYED, SECOND, NOTHING, NOT_ENRICHED),
    ("mistral-large", DEPLOYED, DELAY - 1, Said("unregistered"), 0),
    ("mistral-large", DEPLOYED, DELAY, Said("unregistered"), DISAGREES),
    ("text-davinci-003", RETIREMENT, DELAY - 1, right("text-davinci-003", START), RETIRED),  # within the allowed delay
    ("text-davinci-003", RETIREMENT, DELAY, right("text-davinci-003", START), RETIRED | DISAGREES),  # after that delay
    ("text-davinci-003", RETIREMENT - 1, HOUR, right("text-davinci-003", START), 0),  # ended after the retirement
    ("text-davinci-003", RETIREMENT - 1, 0, right("text-davinci-003", END), DISAGREES),  # before the retirement
    ("text-davinci-003", RETIREMENT - 1, 1, right("text-davinci-003", END), 0),
    ("text-davinci-003", RETIREMENT - HOUR, HOUR, right("text-davinci-003", END), 0),
    ("text-davinci-003", RETIREMENT, -HOUR, right("text-davinci-003", START), RETIRED),  # ends before it starts
    ("text-davinci-003", RETIREMENT, -RETIREMENT, right("text-davinci-003", END), RETIRED),  # has no end
    ("gpt-4o", OWNED - 1, 0, right("gpt-4o", END), DISAGREES),
    ("gpt-4o", OWNED, 0, right("gpt-4o", END), 0),
    ("gpt-4o", OWNED + 1, DELAY - 2, right("gpt-4o", START), 0),
    ("gpt-4o", OWNED + 1, DELAY - 1, right("gpt-4o", START), DISAGREES),
    ("gpt-4o", START, SECOND, right("gpt-4o", START), 0),
    ("gpt-4o", END - 1, HOUR, right("gpt-4o", END), 0),
    ("gpt-4o", GAPS[0][0], 0, right("gpt-4o", END), 0),
    ("gpt-4o", GAPS[0][1], 0, right("gpt-4o", END), 0),
    ("gpt-4o", A_DAY[0], 2 * DAY, right("gpt-4o", END), 0),
    ("gpt-4o", A_DAY[1], 0, right("gpt-4o", END), 0),
    ("gpt-4o", GAPS[1][0], 0, right("gpt-4o", END), 0),
    ("gpt-4o", GAPS[1][1], 0, right("gpt-4o", END), 0),
)
"""Calls near changes and period boundaries: model, start, duration, registry attributes, faults."""
OUTSIDE: Final = (START - DAY, START - 1, END, END + 1, END + DAY)
NEAR: Final = 15 * MINUTE
CLEAR: Final = 25 * MINUTE
"""The least distance of bulk spans from any instant of a change."""


def _request(parts: Iterable[str]) -> str:
    return f'{{"resourceSpans":[{",".join(parts)}]}}'


def _event_line(how: str, at: int, what: str, model_id: str, random_: random.Random) -> str:
    name = f"model_registry.{what}"
    attributes = f"{_value('model_registry.status', what)},{_value('model_registry.model_id', model_id)}"
    event = f'"timeUnixNano":"{at}","attributes":[{attributes}]'
    if how == "log":
        record = f'{{{event},"severityNumber":9,"severityText":"INFO","eventName":"{name}","body":{{}}}}'
        return f'{{"resourceLogs":[{{"resource":{{}},"scopeLogs":[{{"scope":{{}},"logRecords":[{record}]}}]}}]}}'
    ids = random_.randbytes(23).hex()
    span = f'"traceId":"{ids[:30]}00","spanId":"{ids[30:]}","name":"model_registry","kind":1,'
    span += f'"startTimeUnixNano":"{at}","endTimeUnixNano":"{at}","events":[{{{event},"name":"{name}"}}],"status":{{}}'
    return _request([Group("registry", "spanforge.model_registry", 1, ()).wrapped(f"{{{span}}}")])


class File:
    """A file being written, and the truth about it."""

    def __init__(self, number: int, spans: int, seed: int) -> None:
        self.number = number
        self.random = random.Random(f"{seed}/{number}")  # noqa: S311 - reproducible
        self.wanted, self.seed = spans, seed
        self.truth: dict[Outcome, list[int]] = {}
        self.lines = self.bad = self.spans = self.outside = self.copies = self.differing = 0
        self.first, self.last = FOREVER, 0
        self._known: dict[tuple[int, int], tuple[list[str], list[Outcome], list[str]]] = {}

    def count(self, outcome: Outcome, number: int, first: int, last: int) -> None:
        """Count spans that are not copies."""
        known = self.truth.setdefault(outcome, [0, first, last])
        known[:] = known[0] + number, min(known[1], first), max(known[2], last)

    def read(self, number: int, first: int, last: int) -> None:
        """Count readable spans, including copies."""
        self.spans += number
        self.first, self.last = min(self.first, first), max(self.last, last)

    def span(self, start: int, end: int, attributes: str, wrong: int = 0) -> str:
        """Return a span as JSON."""
        ids = self.random.randbytes(23).hex()
        return (
            f'{{"traceId":"{ids[:30]}{wrong:02x}","spanId":"{ids[30:]}","flags":256,"name":"chat","kind":3,'
            f'"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}","attributes":[{attributes}],"status":{{}}}}'
        )

    def call(self, start: int, end: int, model_id: str, said: Said, wrong: int) -> str:
        """Count a call of the support agent and return it as JSON."""
        self.count(Outcome("call", model_id, "", SUPPORT.service, wrong), 1, start, start)
        self.read(1, start, start)
        return self.span(start, end, _attributes({"gen_ai.request.model": model_id}, said, model_id), wrong)

    def bulk(self, group: Group, number: int, begin: int, length: int, random_: random.Random) -> list[str]:
        """Count and return spans of a group in a time without changes."""
        epoch = sum(at <= begin for _, at in INSTANTS)
        key = id(group), epoch
        if key not in self._known:
            texts, outcomes = zip(*(kind.at(begin, group.service) for kind in group.kinds), strict=True)
            self._known[key] = list(texts), list(outcomes), [f"{outcome.wrong:02x}" for outcome in outcomes]
        texts, outcomes, wrongs = self._known[key]
        weights = list(accumulate(kind.weight for kind in group.kinds))
        chosen = random_.choices(range(len(texts)), cum_weights=weights, k=number)
        starts = [begin + i * length // number + i * 7 for i in range(number)]
        ids, lasts = random_.randbytes(32 * number).hex(), dict(zip(chosen, starts, strict=True))
        firsts = dict(zip(reversed(chosen), reversed(starts), strict=True))
        for kind, times in Counter(chosen).items():
            self.count(outcomes[kind], times, firsts[kind], lasts[kind])
        self.read(number, starts[0], starts[-1])
        tokens = random_.randrange(_SECONDS)
        return [
            f'{{"traceId":"{ids[i : i + 30]}{wrongs[kind]}","spanId":"{ids[i + 30 : i + 46]}",'
            f'"parentSpanId":"{ids[i + 46 : i + 62]}","flags":256,"name":"chat","kind":3,'
            f'"startTimeUnixNano":"{start}","endTimeUnixNano":"{start + tokens * 10_007}","attributes":['
            f'{{"key":"gen_ai.usage.input_tokens","value":{{"intValue":"{(start ^ tokens) % 4_093}"}}}},'
            f'{texts[kind]}],"status":{{}}}}'
            for kind, start, i in zip(chosen, starts, range(0, 64 * number, 64), strict=True)
        ]

    def stray(self, begin: int, length: int, random_: random.Random) -> list[str]:
        """Count and return calls of unregistered models."""
        found = []
        for i in range(STRAY.spans):
            name = f"ft:acme::{random_.randrange(NAMES):05}"
            start = begin + i * length // STRAY.spans
            said, more = random_.choices(
                ((NOTHING, NOT_ENRICHED), (Said("unregistered"), 0), (Said("active", model_id=name), DISAGREES)),
                (10, 10, 1),
            )[0]
            self.count(Outcome("call", None, name, STRAY.service, UNREGISTERED | more), 1, start, start)
            self.read(1, start, start)
            found.append(self.span(start, start + SECOND, _attributes(_chat(name), said, name), UNREGISTERED | more))
        return found

    def line(self, begin: int, random_: random.Random) -> list[str]:
        """Count and return the parts of a line of spans within one minute."""
        groups = [(group, self.bulk(group, group.spans, begin, MINUTE, random_)) for group in GROUPS]
        groups.append((STRAY, self.stray(begin, MINUTE, random_)))
        self.singles = [group.wrapped(spans[0]) for group, spans in groups]
        self.when = begin
        return [group.wrapped(",".join(spans)) for group, spans in groups]

    def again(self, number: int) -> None:
        """Count the spans of the latest line that are written again."""
        self.copies += number
        self.spans += number

    def near(self, model_id: str, at: int) -> Iterator[str]:
        """Yield calls within 15 minutes of an instant, with registry attributes from before or after it."""
        choices = (NOTHING, right(model_id, at - 1), right(model_id, at), Said("active", "somebody", "low", model_id))
        for _ in range(100):
            start = at + self.random.randrange(-NEAR, NEAR)
            end = start + self.random.randrange(2 * DELAY)
            said = self.random.choice(choices)
            yield self.call(start, end, model_id, said, judged(model_id, start, end, said))

    def special(self) -> Iterator[str]:
        """Yield this file's readable lines that are not bulk: calls near changes, edge cases and events."""
        since, until = BOUNDS[self.number : self.number + 2]
        for model_id, at in INSTANTS:
            if since <= at < until:
                yield _request([SUPPORT.wrapped(",".join(self.near(model_id, at)))])
        edges = [edge for edge in EDGES if since <= edge[1] < until]
        for model_id, start, length, said, wrong in edges:
            assert judged(model_id, start, start + length, said) == wrong, (model_id, start)  # noqa: S101
        spans = [self.call(start, start + length, model_id, said, bad) for model_id, start, length, said, bad in edges]
        yield _request([SUPPORT.wrapped(",".join(spans))])
        yield from [_request([SUPPORT.wrapped(span)]) for span in spans]  # each span again
        self.again(len(spans))
        for how, at, what, model_id in EVENTS:
            if since <= at < until or (self.number, at) == (len(FILES) - 1, END):
                line = _event_line(how, at, what, model_id, self.random)
                yield from (line, line)
                if how == "span":
                    self.count(Outcome("other"), 1, at, at)
                    self.read(1, at, at)
                    self.again(1)
        yield from self._outside()
        yield from self._differing()

    def _outside(self) -> Iterator[str]:
        """Yield spans outside the period, twice, in two of the files. Evidence ignores them."""
        if self.number in (0, 3):
            attributes = _attributes(_chat("ada"), NOTHING, "ada")
            line = _request([SUPPORT.wrapped(",".join(self.span(at, at + SECOND, attributes) for at in OUTSIDE))])
            yield from (line, line)
            self.read(2 * len(OUTSIDE), OUTSIDE[0], OUTSIDE[-1])
            self.outside += 2 * len(OUTSIDE)

    def _differing(self) -> Iterator[str]:
        """Yield two spans in one file, and in another file their copies with swapped attributes. The worst count."""
        start, model_id = on(2), "gpt-4o-mini"
        texts = _chat(model_id)
        says = _attributes(texts, right(model_id, start), model_id), _attributes(texts, NOTHING, model_id)
        own, self.random = self.random, random.Random("differing")  # noqa: S311 - the same ids
        if self.number == 0:
            yield _request([SUPPORT.wrapped(",".join(self.span(start, start + SECOND, said) for said in says))])
            self.count(Outcome("call", model_id, "", SUPPORT.service, NOT_ENRICHED), 2, start, start)
            self.read(2, start, start)
        if self.number == 2:  # noqa: PLR2004 - a later file
            yield _request([SUPPORT.wrapped(",".join(self.span(start, start + SECOND, said) for said in says[::-1]))])
            self.read(2, start, start)
            self.copies += 2
            self.differing += 2
        self.random = own

    def bad_lines(self, whole: str) -> Iterator[str]:
        """Yield lines that cannot be read, or only in part. ``whole`` is an earlier line."""
        bad = (
            whole[: len(whole) // 2],  # torn
            '{"hello":"world"}',
            "no JSON \\x00 at all",
            "5]",
            "{}",
            whole[: len(whole) // 3] + _request([]),  # half of a line before a whole one
            whole[len(whole) // 3 :],  # the end of a line
        )
        for line in bad[self.number :]:
            self.bad += 1
            yield line
        yield from ("", "   ", "\t", '{"resourceSpans":[]}', '{"resourceMetrics":[{"resource":{}}]}')
        self.lines -= 3
        when = on((0, 6, 12, 18, 25)[self.number], 1)
        good = [self.call(when, when, "ada", NOTHING, RETIRED | NOT_ENRICHED) for _ in range(2)]
        torn = self.span(when, when, "").replace('"spanId":"', '"spanId":"z')
        yield whole[: 50 * (self.number + 1)] + _request([SUPPORT.wrapped(",".join([good[0], torn, good[1]]))])
        self.bad += 2

    def written(self) -> Iterator[str]:
        """Yield all lines. The last one may be cut off and has no newline then."""
        yield from self._counted(self._latest(self.number - 1))
        yield from self._counted(self.special())
        calm = _calm(*BOUNDS[self.number : self.number + 2])
        planned = self.wanted // A_LINE
        whole, pending = "", ""
        for number in range(planned):
            if self.spans + (LINES_AGAIN + 3) * A_LINE > self.wanted:
                break
            parts = self.line(_within(calm, number / planned), self.random)
            whole = _request(parts)
            yield from self._counted([whole])
            if number % 40 == 3:  # noqa: PLR2004 - sometimes
                yield from self._counted([whole])
                self.again(A_LINE)
            if number % 50 == 7 and pending:  # noqa: PLR2004 - likewise
                yield from self._counted([pending])
                self.again(len(parts))
                pending = ""
            if number % 50 == 40:  # noqa: PLR2004 - likewise
                pending = _request(self.singles)
            if number == planned // 2:
                yield from self._counted(self.bad_lines(whole))
        rest = self.wanted - self.spans - (self.number < len(FILES) - 1) * LINES_AGAIN * A_LINE
        yield from self._counted(
            [_request([SUPPORT.wrapped(",".join(self.bulk(SUPPORT, rest, _within(calm, 0.99), MINUTE, self.random)))])]
        )
        if self.number < len(FILES) - 1:
            yield from self._counted(self._latest(self.number))
        if self.number in (1, 4):
            self.lines, self.bad = self.lines + 1, self.bad + 1
            yield whole[: 2 * len(whole) // 3]

    def _latest(self, number: int) -> Iterator[str]:
        """Yield the last lines of a file, which the next file repeats."""
        if number < 0:
            return
        again = number < self.number
        file = File(number, 0, 0) if again else self
        own = random.Random(f"{self.seed}/latest {number}")  # noqa: S311 - the same for both files
        file.random, kept = own, file.random
        for i in range(LINES_AGAIN):
            yield _request(file.line(_within(_calm(*BOUNDS[number : number + 2]), 0.995) + i * MINUTE, own))
        file.random = kept
        if again:
            self.read(file.spans, file.first, file.last)
            self.copies += file.spans

    def _counted(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self.lines += 1
            yield line + "\n"


def _calm(since: int, until: int) -> list[tuple[int, int]]:
    """Return the times of a file without changes and without gaps."""
    at = [(at, at) for _, at in INSTANTS]
    cuts = sorted((a, b) for a, b in (*at, *GAPS, A_DAY) if since <= a < until)
    begins, ends = [since, *(b + CLEAR for _, b in cuts)], [*(a - CLEAR for a, _ in cuts), until - CLEAR]
    return [(a, b) for a, b in zip(begins, ends, strict=True) if a < b]


def _within(times: Sequence[tuple[int, int]], share: float) -> int:
    """Return the instant at which the given share of these times has passed."""
    place = int(sum(b - a for a, b in times) * share)
    for a, b in times:
        if place < b - a:
            return a + place
        place -= b - a
    raise ValueError(share)


class _Gzip(gzip.GzipFile):
    """A gzip file with the same bytes each time it is written."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        super().__init__("", "wb", 1, self._raw, mtime=0)

    def close(self) -> None:
        """Close the gzip file and the raw file."""
        super().close()
        self._raw.close()


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return _Gzip(path)  # type: ignore[return-value]
    if path.suffix == ".zst":
        zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
        opened: IO[bytes] = zstd.open(path, "wb", level=1)
        return opened
    return path.open("wb")


def write_file(folder: str, number: int, spans: int, seed: int, *, plain: bool) -> tuple[dict[str, Any], File]:
    """Write one file; return the truth about it as an input and about its spans."""
    file = File(number, spans, seed)
    path = Path(folder, FILES[number])
    path = path.with_suffix("") if plain and path.suffix != ".jsonl" else path
    raw = _opened(path)
    with raw:
        for line in file.written():
            raw.write(line.encode())
    with path.open("rb") as opened:
        digest = hashlib.sha256()
        while data := opened.read(1 << 20):
            digest.update(data)
    return {
        "name": path.name,
        "size": path.stat().st_size,
        "sha256": digest.hexdigest(),
        "lines": file.lines,
        "bad_lines": file.bad,
        "spans": file.spans,
        "spans_outside": file.outside,
        "first": rfc3339(file.first),
        "last": rfc3339(file.last),
        "limits": ["the last line cannot be read: the file may be cut off"] * (number in (1, 4)),
    }, file


def _task(arguments: tuple[str, int, int, int, bool]) -> tuple[dict[str, Any], File]:
    *given, plain = arguments
    found, file = write_file(*given, plain=plain)  # type: ignore[arg-type]
    file._known.clear()  # noqa: SLF001 - only needed for writing
    return found, file


def write(folder: str, spans: int, *, seed: int = 7, plain: bool = False) -> dict[str, Any]:
    """Write the archive, several files at a time, and return the truth about it as plain values."""
    shares = [spans // len(FILES) + (number < spans % len(FILES)) for number in range(len(FILES))]
    with ProcessPoolExecutor() as pool:
        done = list(pool.map(_task, [(folder, i, share, seed, plain) for i, share in enumerate(shares)]))
    total = File(0, 0, 0)
    for _, file in done:
        for outcome, (number, first, last) in file.truth.items():
            total.count(outcome, number, first, last)
        total.copies += file.copies
        total.differing += file.differing
    numbers: Counter[str] = Counter()
    for outcome, (number, _, _) in total.truth.items():
        numbers[outcome.kind] += number
    return {
        "entries": [model.entry() for model in MODELS.values()],
        "from_date": rfc3339(START),
        "to_date": rfc3339(END),
        "inputs": [found for found, _ in done],
        "calls": [
            {**outcome._asdict(), "calls": number, "first": rfc3339(first), "last": rfc3339(last)}
            for outcome, (number, first, last) in total.truth.items()
            if outcome.kind == "call"
        ],
        "agents": [
            {"model_id": outcome.model_id, "name": outcome.name, "service": outcome.service, "spans": number}
            for outcome, (number, _, _) in total.truth.items()
            if outcome.kind == "agent"
        ],
        "others": numbers["other"],
        "copies": total.copies,
        "differing": total.differing,
        "events": EVENTS_IN_PERIOD,
        "changes": [[rfc3339(at), *rest] for at, *rest in CHANGES],
        "gaps": [[rfc3339(a), rfc3339(b), (b - a) // SECOND] for a, b in GAPS],
        "states": {
            model.model_id: [state.status, state.owner, state.tier]
            for model in MODELS.values()
            for state in model.during(END - 1, END - 1)
            if state is not None
        },
    }


def main() -> None:
    """Write an archive and its ``truth.json``."""
    parser = argparse.ArgumentParser(
        prog="archive", description="Write a span archive and truth.json, the evidence that is expected from it."
    )
    parser.add_argument("folder")
    parser.add_argument("spans", type=int)
    parser.add_argument("--plain", action="store_true", help="do not compress files")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    truth = write(given.folder, given.spans, seed=given.seed, plain=given.plain)
    Path(given.folder, "truth.json").write_text(json.dumps(truth), "utf-8")


if __name__ == "__main__":
    main()
