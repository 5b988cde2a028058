"""What an evidence package states, field by field."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from spanforge.model_registry._core.lifecycle import (  # noqa: TC001 - the JSON Schema is made from them
    ModelStatus,
    RiskTier,
)

FORMAT: Final = "spanforge-model-registry/evidence/1"
"""The version of the attestation's format; its JSON Schema is ``attestation.schema.json`` beside this module."""

Framework = Literal["soc2", "nist_ai_rmf"]
"""A framework whose clauses evidence can support."""
Status = Literal["findings", "no_evidence", "incomplete", "supported"]
"""What evidence comes to, worst first."""
CheckStatus = Literal["findings", "no_evidence", "not_applicable", "supported"]
"""What a check comes to. ``not_applicable``: nothing happened in the period that it could look at."""

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_DAY, _CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_OFFSET = "([Zz]|[+-][0-9]{2}:[0-9]{2})"
_Moment = Annotated[
    str, msgspec.Meta(pattern=rf"^{_DAY}T{_CLOCK}\.[0-9]{{6}}Z$", extra_json_schema={"format": "date-time"})
]
_Date = Annotated[str, msgspec.Meta(pattern=rf"^{_DAY}([Tt ]{_CLOCK}(\.[0-9]{{1,9}})?{_OFFSET}?)?$")]

STATUSES: Final[tuple[Status, ...]] = ("findings", "no_evidence", "incomplete", "supported")


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all parts have in common: they do not change, and JSON has their fields by the same names."""


class Period(_Part, frozen=True, kw_only=True):
    """The period: half-open, in UTC.

    Attributes:
        from_date: Its first instant, RFC 3339.
        to_date: The first instant after it.
        interval: The same in words.
    """

    from_date: _Moment
    to_date: _Moment
    interval: Literal["from_date is included, to_date is not; UTC"] = "from_date is included, to_date is not; UTC"


class Generator(_Part, frozen=True, kw_only=True):
    """What made the package.

    Attributes:
        name: The program.
        version: Its version.
    """

    name: str
    version: str


class RegistryDigest(_Part, frozen=True, kw_only=True):
    """The registry at the time of generation.

    Attributes:
        models: How many entries it had.
        sha256: The SHA-256 of the file that ``ModelRegistry.save`` writes of it, in hexadecimal.
    """

    models: _Count
    sha256: _Sha256


class SampleSpan(_Part, frozen=True, kw_only=True):
    """A span to look up.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        start: When it started, RFC 3339.
    """

    trace_id: Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{32}$")]
    span_id: Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{16}$")]
    start: _Moment


class Check(_Part, frozen=True, kw_only=True):
    """What one check found.

    Attributes:
        check: Its name.
        title: The fact that it looks for.
        status: ``supported`` if there is something to look at and no exception to the fact.
        unit: What it counts.
        population: How many of these it looked at.
        exceptions: How many of them are exceptions to the fact.
        share: The share without exception, cut off after four digits; ``None`` where the population is empty.
        notes: Further facts, a sentence each.
        samples: Some of the exceptions that are spans.
    """

    check: str
    title: str
    status: CheckStatus
    unit: str
    population: _Count
    exceptions: _Count
    share: _Share | None
    notes: tuple[str, ...]
    samples: tuple[SampleSpan, ...]


class Clause(_Part, frozen=True, kw_only=True):
    """What the evidence says to one clause of the framework: whether it supports it, never that it satisfies it.

    Attributes:
        clause: Its number in the framework.
        asks: What it asks for, in short words.
        status: The worst of its checks and of the coverage.
        checks: Names of the checks that support it.
        not_shown: What it asks for that this evidence does not show.
    """

    clause: str
    asks: str
    status: Status
    checks: tuple[str, ...]
    not_shown: tuple[str, ...]


class Change(_Part, frozen=True, kw_only=True):
    """A lifecycle change of the period, as the registry has it.

    Attributes:
        model_id: The model.
        at: When, RFC 3339, as the registry has it: perhaps only a date; without an offset it is UTC.
        status: The status that it led to.
        reason: Why, if it was said.
        actor: Who, if it was said.
        source: ``history``: a record of the change; ``dates``: a date of the entry.
        event: ``recorded`` if the telemetry has its event, else ``not_recorded``.
    """

    model_id: str
    at: _Date
    status: ModelStatus
    reason: str | None
    actor: str | None
    source: Literal["history", "dates"]
    event: Literal["recorded", "not_recorded"]


class Input(_Part, frozen=True, kw_only=True):
    """One input that was read.

    Attributes:
        name: The file's name, with as many of its folders as tell it from the others; or an address.
        kind: ``otlp_json``, ``jaeger`` or ``audit_events``.
        size: Bytes.
        sha256: Their SHA-256, in hexadecimal.
        lines: Requests that were read.
        bad_lines: Lines, or parts of them, that could not be read.
        spans: Spans that were read, copies included.
        spans_outside: Those of them that started outside of the period.
        first: When the first span started, RFC 3339; ``None``: there is none.
        last: When the last one did.
        limits: What could not be read, a sentence each.
    """

    name: str
    kind: str
    size: _Count
    sha256: _Sha256
    lines: _Count
    bad_lines: _Count
    spans: _Count
    spans_outside: _Count
    first: _Moment | None
    last: _Moment | None
    limits: tuple[str, ...]


class Population(_Part, frozen=True, kw_only=True):
    """What was looked at: the spans of the period, each once.

    Attributes:
        spans: Spans.
        calls: Those of them that call a model: of the model asked for, if it is about one.
        agent_spans: Those that name a model but are an agent's, a workflow's or a tool's.
        other_spans: The rest.
        copies: Spans that were read again, and not counted again.
        differing_copies: Those of them that say something else; the first one in the order of the inputs counts.
        models: Entries of the registry: one or none, if it is about one model.
        models_called: Models that were called, those that are not registered included.
        lifecycle_events: Events of the period.
    """

    spans: _Count
    calls: _Count
    agent_spans: _Count
    other_spans: _Count
    copies: _Count
    differing_copies: _Count
    models: _Count
    models_called: _Count
    lifecycle_events: _Count


class Gap(_Part, frozen=True, kw_only=True):
    """A stretch of the period without any span.

    Attributes:
        from_date: When the last span before it started, or the period, RFC 3339.
        to_date: When the next one did, or when the period ended.
        seconds: How long it is, cut off to whole seconds.
    """

    from_date: _Moment
    to_date: _Moment
    seconds: _Count


class Coverage(_Part, frozen=True, kw_only=True):
    """How much of the period the telemetry covers.

    Attributes:
        status: ``complete``, or ``incomplete`` for the reasons.
        max_gap_seconds: How long a stretch without any span may be.
        gaps: Those that are longer, the first ones.
        gap_count: How many there are.
        reasons: Why it is incomplete, a sentence each.
    """

    status: Literal["complete", "incomplete"]
    max_gap_seconds: _Count
    gaps: tuple[Gap, ...]
    gap_count: _Count
    reasons: tuple[str, ...]


class Name(_Part, frozen=True, kw_only=True):
    """A name under which models were called.

    Attributes:
        name: The name.
        model_id: The entry that stood for the call; ``None``: none did.
        calls: Calls.
    """

    name: str
    model_id: str | None
    calls: _Count


class Attestation(_Part, frozen=True, kw_only=True):
    """What an evidence package states.

    Attributes:
        format: The version of this format.
        generator: What made it.
        generated_at: When, RFC 3339.
        framework: ``soc2`` or ``nist_ai_rmf``.
        framework_name: The framework's name and version.
        model_id: The model that it is about; ``None``: the whole inventory.
        model_owner: Its owner, at the period's end or when this was made, whichever is earlier; ``None`` for the
            whole inventory, for a model that is not registered, and before its deployment date.
        model_risk_tier: Its risk tier then.
        model_status: Its status then.
        model_warnings: What someone who called it then would be told; for the inventory, of all that were called.
        period: The period.
        overall_status: The worst status of the clauses.
        clauses: The framework's clauses.
        checks: What the checks found.
        changes: The lifecycle changes of the period, the first ones.
        population: What was looked at.
        coverage: How much of the period that covers.
        unregistered_names: Names of calls that no entry stands for, the first ones.
        uncovered_names: Names that providers answered with and that no entry or alias covers, the first ones; if it is
            about such a name, that one.
        registry: The registry at the time of generation.
        inputs: What was read.
        limits: What the evidence cannot show, a sentence each.
    """

    format: Literal["spanforge-model-registry/evidence/1"] = FORMAT
    generator: Generator
    generated_at: _Moment
    framework: Framework
    framework_name: str
    model_id: str | None
    model_owner: str | None
    model_risk_tier: RiskTier | None
    model_status: ModelStatus | None
    model_warnings: tuple[str, ...]
    period: Period
    overall_status: Status
    clauses: tuple[Clause, ...]
    checks: tuple[Check, ...]
    changes: tuple[Change, ...]
    population: Population
    coverage: Coverage
    unregistered_names: tuple[Name, ...]
    uncovered_names: tuple[Name, ...]
    registry: RegistryDigest
    inputs: tuple[Input, ...]
    limits: tuple[str, ...]


def worst(statuses: tuple[Status, ...]) -> Status:
    """Return the worst of several statuses; of none, ``no_evidence``: nothing is never a pass."""
    return min(statuses, key=STATUSES.index, default="no_evidence")
