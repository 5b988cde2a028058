"""A slow program that counts evidence of dates from plain data. It shares no code with the library.

Entries are mappings as in registry files, spans and events are tuples below. All times are nanoseconds.
"""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from typing import Any, NamedTuple

STATUSES = ["active", "deprecated", "retired"]
WORST = ["findings", "no_evidence", "incomplete", "supported"]
EVENTS = {"registered": "active", "deprecated": "deprecated", "retired": "retired"}
DAY = 86_400 * 10**9
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class OracleSpan(NamedTuple):
    """A call: its model, its times, its service and the registry's attributes on it."""

    model: str
    start: int
    end: int
    service: str
    claims: dict[str, str]


class OracleEvent(NamedTuple):
    """A lifecycle event: ``registered``, ``deprecated`` or ``retired``, with the facts that it carries."""

    name: str
    at: int
    model: str
    facts: dict[str, str]


class World(NamedTuple):
    """A registry, telemetry, and the arguments of the evidence."""

    entries: list[dict[str, Any]]
    spans: list[OracleSpan]
    events: list[OracleEvent]
    start: int
    end: int
    generated: int
    delay: int
    max_gap: int


def nanos(text: str) -> int:
    """Return the time of a date or a date-time with an offset."""
    if len(text) == 10:
        day = date.fromisoformat(text)
        return (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1) * 1_000


def list_dates(entry: dict[str, Any]) -> dict[str, str]:
    """Return the dates of the statuses that have one."""
    dates = {
        "active": entry["deployment_date"],
        "deprecated": entry["metadata"].get("deprecation_date"),
        "retired": entry["decommission_date"],
    }
    return {status: text for status, text in dates.items() if text is not None}


def state_at(entry: dict[str, Any], at: int) -> tuple[str, str, str] | None:
    """Return status, owner and risk tier at a time; ``None`` before the deployment."""
    dates, history = list_dates(entry), entry["metadata"].get("history", [])
    if "active" in dates and at < nanos(dates["active"]):
        return None
    past = [record for record in history if nanos(record["at"]) <= at]
    recorded = [record["status"] for record in history]
    reached = ["active"]
    if past:
        reached.append(past[-1]["status"])
    for status in ("deprecated", "retired"):
        counts = not past or status not in recorded
        if counts and status in dates and nanos(dates[status]) <= at:
            reached.append(status)
    if entry["status"] not in dates and entry["status"] not in recorded and len(past) == len(history):
        reached.append(entry["status"])
    described = past[-1] if past and len(past) < len(history) else entry
    return max(reached, key=STATUSES.index), described["owner"], described["risk_tier"]


def is_agreeing(span: OracleSpan, entry: dict[str, Any], delay: int) -> bool:
    """Check whether the span's attributes were in force while it ran, or shortly before its end."""
    last = max(span.start, span.end)
    first = min(span.start, last - delay)
    texts = [*list_dates(entry).values(), *(record["at"] for record in entry["metadata"].get("history", []))]
    moments = [first, last, *(nanos(text) for text in texts if first <= nanos(text) <= last)]
    for moment in moments:
        state = state_at(entry, moment)
        if state is None:
            if span.claims["status"] == "unregistered" or span.claims.get("model_id") == entry["model_id"]:
                return True
            continue
        facts = dict(zip(("status", "owner", "risk_tier"), state, strict=True), model_id=entry["model_id"])
        if all(facts[key] == value for key, value in span.claims.items()):
            return True
    return False


def list_kinds(span: OracleSpan, entry: dict[str, Any] | None, delay: int) -> set[str]:
    """Return the facts about a call that checks count."""
    kinds = set() if "status" in span.claims else {"not_enriched"}
    if entry is None:
        if span.claims and (span.claims["status"] != "unregistered" or "model_id" in span.claims):
            kinds.add("disagreeing")
        return kinds | {"unregistered"}
    if span.claims and not is_agreeing(span, entry, delay):
        kinds.add("disagreeing")
    state = state_at(entry, span.start)
    if state is None:
        return kinds | {"before_deployment"}
    sunset = entry["metadata"].get("sunset_date")
    if state[0] == "deprecated" and sunset is not None and span.start >= nanos(sunset):
        kinds.add("past_sunset")
    return kinds | {state[0]}


class OracleChange(NamedTuple):
    """A lifecycle change of the period."""

    model: str
    status: str
    text: str

    @property
    def at(self) -> int:
        """The time of the change."""
        return nanos(self.text)


def list_changes(world: World) -> list[OracleChange]:
    """Return the changes in the period, oldest first."""
    changes = []
    for entry in world.entries:
        history = entry["metadata"].get("history", [])
        changes += [OracleChange(entry["model_id"], record["status"], record["at"]) for record in history]
        recorded = [record["status"] for record in history]
        for status, text in list_dates(entry).items():
            if status not in recorded:
                changes.append(OracleChange(entry["model_id"], status, text))
    return sorted(
        (change for change in changes if world.start <= change.at < world.end), key=lambda each: (each.at, each.model)
    )


def confirms_by_date(event: OracleEvent, change: OracleChange) -> bool:
    """Check whether an event carries the date of a change."""
    names = {"active": "deployment_date", "deprecated": "metadata.deprecation_date", "retired": "decommission_date"}
    statuses = {event.facts.get("status", EVENTS[event.name])}
    statuses |= {"active"} if event.name == "registered" else set()
    carried = event.facts.get(names[change.status])
    return change.status in statuses and carried is not None and nanos(carried) == change.at


def is_in_time(event: OracleEvent, change: OracleChange, delay: int) -> bool:
    """Check whether an event was emitted within the delay of a change, or on its day."""
    is_same_day = len(change.text) == 10 and 0 <= event.at - change.at < DAY
    return abs(event.at - change.at) <= delay or is_same_day


def count_events(world: World) -> tuple[int, int, int]:
    """Return the number of changes without an event, of early events, and of late events."""
    free, early, late = list_changes(world), 0, 0
    events = sorted(world.events, key=lambda event: event.at)
    for rule in ("time", "date"):
        for event in list(events):
            status = event.facts.get("status", EVENTS[event.name])
            registers = event.name == "registered"
            for change in sorted(free, key=lambda each: (registers and each.status != "active", each.at, each.model)):
                is_same = (change.model, change.status, change.at) == (event.model, status, event.at)
                carries = change.model == event.model and confirms_by_date(event, change)
                if is_same if rule == "time" else carries:
                    free.remove(change)
                    events.remove(event)
                    if not is_in_time(event, change, world.delay):
                        early += event.at < change.at
                        late += event.at > change.at
                    break
    missing = 0
    for model, status in {(change.model, change.status) for change in free}:
        open_ = [change for change in free if (change.model, change.status) == (model, status)]
        own = [e for e in events if (e.model, e.facts.get("status", EVENTS[e.name])) == (model, status)]
        missing += len(open_) - most_matches(open_, own, world.delay)
    return missing, early, late


def most_matches(changes: list[OracleChange], events: list[OracleEvent], delay: int) -> int:
    """Return the largest number of changes that can have an event of their own."""
    if not changes or not events:
        return 0
    first, *others = changes
    found = [most_matches(others, events, delay)]
    for place, event in enumerate(events):
        if is_in_time(event, first, delay):
            found.append(1 + most_matches(others, events[:place] + events[place + 1 :], delay))
    return max(found)


def rate(population: int, exceptions: int, *, may_be_empty: bool = False) -> tuple[str, int, int]:
    """Return the status of a check with its figures."""
    if exceptions:
        return "findings", population, exceptions
    if population:
        return "supported", population, 0
    return "not_applicable" if may_be_empty else "no_evidence", 0, 0


class Expected(NamedTuple):
    """The figures of evidence."""

    checks: dict[str, tuple[str, int, int]]
    timings: tuple[int, int]
    changes: list[tuple[str, str, str]]
    population: dict[str, int]
    gaps: list[tuple[int, int]]
    is_covered: bool
    rows: list[dict[str, str]]
    warnings: list[str]


def expect(world: World) -> Expected:
    """Return the figures of a world."""
    by_id = {entry["model_id"]: entry for entry in world.entries}
    spans = [span for span in world.spans if world.start <= span.start < world.end]
    kinds = [list_kinds(span, by_id.get(span.model), world.delay) for span in spans]
    number = Counter(itertools.chain.from_iterable(kinds))
    called = {span.model for span in spans}
    registered = sum(span.model in by_id for span in spans)
    in_force = registered - number["before_deployment"]
    missing, early, late = count_events(world)
    in_period = {(e.at, e.name, e.model) for e in world.events if world.start <= e.at < world.end}
    checks = {
        "calls_registered": rate(len(spans), number["unregistered"] + number["before_deployment"]),
        "served_as_requested": rate(0, 0, may_be_empty=registered > 0),
        "accountable": rate(len(called), len(called - set(by_id))),
        "no_calls_after_retirement": rate(in_force, number["retired"]),
        "no_calls_past_sunset": rate(in_force, number["past_sunset"]),
        "no_calls_past_provider_shutdown": rate(0, 0, may_be_empty=True),
        "changes_recorded": rate(len(list_changes(world)), missing, may_be_empty=bool(world.entries)),
        "spans_enriched": rate(len(spans), number["not_enriched"]),
        "registry_and_spans_agree": rate(len(spans) - number["not_enriched"], number["disagreeing"]),
        "spans_unambiguous": rate(len(spans), 0),
    }
    if not spans and not in_period:
        checks = {name: ("no_evidence", *figures[1:]) for name, figures in checks.items()}
    starts = [world.start, *sorted(span.start for span in spans), world.end]
    gaps = [(a, b) for a, b in itertools.pairwise(starts) if b - a > world.max_gap]
    at = min(world.generated, world.end - 1_000)
    warnings = []
    for entry in world.entries:
        state = state_at(entry, at)
        if entry["model_id"] in called and state is not None and state[0] != "active":
            warnings.append(f"model '{entry['model_id']}' is {state[0]}")
    return Expected(
        checks=checks,
        timings=(early, late),
        changes=[tuple(change) for change in list_changes(world)],  # type: ignore[misc]
        population={
            "spans": len(spans),
            "calls": len(spans),
            "models": len(by_id),
            "models_called": len(called),
            "lifecycle_events": len(in_period),
        },
        gaps=gaps,
        is_covered=bool(spans) and not gaps and world.generated >= world.end,
        rows=list_rows(world, spans, kinds),
        warnings=warnings + [f"model '{name}' is not registered" for name in sorted(called - set(by_id))],
    )


def list_rows(world: World, spans: list[OracleSpan], kinds: list[set[str]]) -> list[dict[str, str]]:
    """Return the rows of ``evidence.csv``, as far as dates decide them."""
    at = min(world.generated, world.end - 1_000)
    ids = [entry["model_id"] for entry in world.entries]
    rows = []
    for name in [*ids, *sorted({span.model for span in spans} - set(ids))]:
        entry = next((entry for entry in world.entries if entry["model_id"] == name), None)
        owner, risk_tier, status = "", "", "unregistered"
        if entry is not None:
            state = state_at(entry, at)
            status, owner, risk_tier = state or ("", entry["owner"], entry["risk_tier"])
        own = [(span, kind) for span, kind in zip(spans, kinds, strict=True) if span.model == name]
        rows.append(
            {
                "model_id": name,
                "owner": owner,
                "risk_tier": risk_tier,
                "status": status,
                "calls": str(len(own)),
                "calls_while_deprecated": str(sum("deprecated" in kind for _, kind in own)),
                "calls_after_retirement": str(sum("retired" in kind for _, kind in own)),
                "services": ";".join(sorted({span.service for span, _ in own})),
                "first_call": show(min((span.start for span, _ in own), default=None)),
                "last_call": show(max((span.start for span, _ in own), default=None)),
            }
        )
    return rows


def show(at: int | None) -> str:
    """Return a time as it is in the CSV."""
    if at is None:
        return ""
    return (EPOCH + timedelta(microseconds=at // 1_000)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def expect_clause(checks: dict[str, tuple[str, int, int]], names: list[str], *, is_covered: bool) -> str:
    """Return the status of a clause that these checks support."""
    statuses = [checks[name][0] for name in names if checks[name][0] != "not_applicable"]
    if statuses and not is_covered:
        statuses.append("incomplete")
    return min(statuses, key=WORST.index, default="no_evidence")
