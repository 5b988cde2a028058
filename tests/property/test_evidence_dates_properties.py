"""Evidence of any dates: every figure is that of a slow program, for random histories, delays and gaps."""

from __future__ import annotations

import csv
import json
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.evidence_oracle import (
    DAY,
    EPOCH,
    EVENTS,
    STATUSES,
    OracleEvent,
    OracleSpan,
    World,
    expect,
    expect_clause,
    nanos,
)
from support.figures import assert_equal_figures
from support.otlp import Otlp

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine, EvidencePackage

SECOND = 10**9
MINUTE, HOUR = 60 * SECOND, 3_600 * SECOND
START = nanos("2026-01-10")
OTLP = Otlp()
DELAYS = (0, 5 * MINUTE, 3 * HOUR, 2 * DAY)
DAYS = [START + days * DAY for days in (-400, -31, -2, -1, 0, 1, 2, 3, 400)]


def make_text(at: int, form: str = "time") -> str:
    """Return a time, which has whole microseconds, as text; ``day`` is the date only."""
    moment = EPOCH + timedelta(microseconds=at // 1_000)
    if form == "zone":
        moment = moment.astimezone(timezone(timedelta(hours=-5, minutes=-30)))
    return moment.date().isoformat() if form == "day" else moment.isoformat(timespec="microseconds")


@st.composite
def instants(draw: st.DrawFn, near: list[int]) -> int:
    """Draw a time on or beside one of these times."""
    return draw(st.sampled_from(near)) + draw(
        st.sampled_from([0, 0, -1_000, 1_000, HOUR, *DELAYS, *map(int.__neg__, DELAYS)])
    )


@st.composite
def texts(draw: st.DrawFn) -> str | None:
    """Draw a date, a date-time, or ``None`` for a missing one."""
    form = draw(st.sampled_from([None, None, "day", "day", "time", "zone"]))
    return None if form is None else make_text(draw(instants(DAYS)), form)


@st.composite
def entries(draw: st.DrawFn, model_id: str) -> dict[str, Any]:
    """Draw an entry whose status, dates and history may be missing, in the future, or contradict each other."""
    people, tiers = st.sampled_from(["ml", "ops"]), st.sampled_from(["low", "high"])
    times = sorted(draw(st.lists(instants(DAYS), max_size=3)))
    if draw(st.booleans()):
        times = []
    forms = [draw(st.sampled_from(["time", "zone"])) for _ in times]
    history = [
        {
            "at": make_text(at, form),
            "status": draw(st.sampled_from(STATUSES)),
            "owner": draw(people),
            "risk_tier": draw(tiers),
        }
        for at, form in zip(times, forms, strict=True)
    ]
    metadata = {"deprecation_date": draw(texts()), "sunset_date": draw(texts())}
    return {
        "model_id": model_id,
        "name": "N",
        "version": "1",
        "risk_tier": draw(tiers),
        "owner": draw(people),
        "purpose": "test",
        "status": draw(st.sampled_from(STATUSES)),
        "deployment_date": draw(texts()),
        "decommission_date": draw(texts()),
        "metadata": {key: value for key, value in metadata.items() if value is not None}
        | ({"history": history} if history else {}),
    }


def list_moments(registry: list[dict[str, Any]]) -> list[int]:
    """Return all times in a registry."""
    moments = []
    for entry in registry:
        values = [entry["deployment_date"], entry["decommission_date"]]
        values += [entry["metadata"].get(key) for key in ("deprecation_date", "sunset_date")]
        values += [record["at"] for record in entry["metadata"].get("history", [])]
        moments += [nanos(text) for text in values if text is not None]
    return moments


@st.composite
def spans(draw: st.DrawFn, near: list[int]) -> OracleSpan:
    """Draw a call of a registered model or of another one, enriched or not."""
    start = draw(instants(near)) + draw(st.integers(-1, 1))
    end = start + draw(st.sampled_from([0, -HOUR, SECOND, HOUR, *DELAYS]))
    model = draw(st.sampled_from("aabx"))
    claims: dict[str, str] = {}
    if draw(st.booleans()):
        claims["status"] = draw(st.sampled_from([*STATUSES, *STATUSES, "unregistered"]))
        for key, values in {"model_id": ["a", "b"], "owner": ["ml", "ops"], "risk_tier": ["low", "high"]}.items():
            if draw(st.integers(0, 3)) == 0:
                claims[key] = draw(st.sampled_from(values))
    return OracleSpan(model, start, end, draw(st.sampled_from(["api", "web"])), claims)


@st.composite
def events(draw: st.DrawFn, registry: list[dict[str, Any]], near: list[int]) -> OracleEvent:
    """Draw an event of a model, with its own facts or fewer, at any time."""
    entry = draw(st.sampled_from(registry))
    facts = {"status": entry["status"]} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        dates = {key: entry[key] for key in ("deployment_date", "decommission_date")}
        dates["metadata.deprecation_date"] = entry["metadata"].get("deprecation_date")
        facts |= {key: text for key, text in dates.items() if text is not None}
    return OracleEvent(draw(st.sampled_from([*EVENTS])), draw(instants(near)), entry["model_id"], facts)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw a registry, telemetry around its dates and around the period, and the arguments of the evidence."""
    registry = [draw(entries(name)) for name in "ab"]
    start = draw(instants([START, *list_moments(registry)]))
    end = start + draw(st.sampled_from([1_000, HOUR, DAY, 31 * DAY]))
    near = [start, end, *list_moments(registry)]
    seen = draw(st.lists(events(registry, near), max_size=5, unique_by=lambda event: event[:3]))
    called = draw(st.lists(spans(near), max_size=6))
    generated = draw(instants([end, end, end + 400 * DAY, start]))
    return World(
        registry,
        called,
        seen,
        start,
        end,
        generated,
        draw(st.sampled_from(DELAYS)),
        draw(st.sampled_from([HOUR, DAY, 2 * DAY])),
    )


def write_telemetry(file: Path, world: World) -> None:
    """Write the spans and events of a world as lines of OTLP JSON."""
    lines = []
    for span in world.spans:
        claims = {f"model_registry.{key}": value for key, value in span.claims.items()}
        lines.append(OTLP.line(OTLP.span(span.model, span.start, span.end, **claims), service=span.service))
    for event in world.events:
        facts = {f"model_registry.{key}": value for key, value in {"model_id": event.model, **event.facts}.items()}
        record = OTLP.event(f"model_registry.{event.name}", event.at, **facts)
        lines.append(OTLP.logs({"eventName": record.pop("name"), **record}))
    file.write_bytes(b"".join(line + b"\n" for line in lines))


def to_moment(at: int) -> datetime:
    """Return nanoseconds as a date-time."""
    return EPOCH + timedelta(microseconds=at // 1_000)


def make_packages(world: World) -> list[EvidencePackage]:
    """Return the evidence of a world for both frameworks."""
    with tempfile.TemporaryDirectory() as folder:
        models, file = Path(folder, "models.json"), Path(folder, "spans.jsonl")
        models.write_text(json.dumps(world.entries), "utf-8")
        write_telemetry(file, world)
        registry = ModelRegistry(auto_emit=False)
        registry.load(models)
        engine = ComplianceMappingEngine(
            registry,
            delay=timedelta(microseconds=world.delay // 1_000),
            max_gap=timedelta(microseconds=world.max_gap // 1_000),
        )
        period = to_moment(world.start), to_moment(world.end)
        return [
            engine.generate_evidence_package(
                None, framework, *period, telemetry=file, generated_at=to_moment(world.generated)
            )
            for framework in ("soc2", "nist_ai_rmf")
        ]


def make_world(**metadata: Any) -> World:
    """Return a world in which a deprecated model is called once in January 2026."""
    entry = {"model_id": "a", "name": "N", "version": "1", "risk_tier": "low", "owner": "ml", "purpose": "test"}
    entry |= {"status": "deprecated", "deployment_date": None, "decommission_date": None, "metadata": metadata}
    call = OracleSpan("a", START + 5 * DAY, START + 5 * DAY, "api", {"status": "deprecated"})
    return World([entry], [call], [], START, START + 31 * DAY, START + 40 * DAY, 5 * MINUTE, 31 * DAY)


@settings(max_examples=120)
@example(make_world(deprecation_date="2025-11-01", sunset_date="2025-12-01"))
@example(make_world(sunset_date="2025-12-01"))
@example(make_world(sunset_date="2026-01-15"))
@given(worlds())
def test_every_figure_is_that_of_a_slow_program(world: World) -> None:
    """Checks, changes, gaps, inventory, warnings and the CSV equal those that a slow program counts."""
    expected = expect(world)
    for package in make_packages(world):
        found = package.attestation
        assert {each.check: (each.status, each.population, each.exceptions) for each in found.checks} == {
            each.check: expected.checks[each.check] for each in found.checks
        }
        emitted = [change.emitted for change in found.changes]
        assert (emitted.count("early"), emitted.count("late")) == expected.timings
        assert [(change.model_id, change.status, change.at) for change in found.changes] == expected.changes
        assert {key: getattr(found.population, key) for key in expected.population} == expected.population
        assert [
            (nanos(gap.from_date[:-1] + "+00:00"), nanos(gap.to_date[:-1] + "+00:00")) for gap in found.coverage.gaps
        ] == [(since // 1_000 * 1_000, until // 1_000 * 1_000) for since, until in expected.gaps]
        assert (found.coverage.status == "complete") == expected.is_covered
        for clause in found.clauses:
            status = expect_clause(expected.checks, list(clause.checks), is_covered=expected.is_covered)
            assert (clause.clause, clause.status) == (clause.clause, status)
        assert list(found.model_warnings) == expected.warnings
        assert_equal_figures(package)
        rows = list(csv.DictReader(package.evidence_csv.decode().splitlines()))
        assert [{key: row[key] for key in want} for row, want in zip(rows, expected.rows, strict=True)] == expected.rows
