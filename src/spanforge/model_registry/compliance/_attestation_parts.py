"""The parts of an attestation, field by field, and their statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from spanforge.model_registry._core.lifecycle import (  # noqa: TC001 - the JSON Schema is made from them
    ModelStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Framework = Literal["soc2", "nist_ai_rmf"]
"""A framework whose clauses evidence can support."""
EvidenceStatus = Literal["findings", "no_evidence", "incomplete", "supported"]
"""The status of evidence, worst first."""
CheckStatus = Literal["findings", "no_evidence", "not_applicable", "supported"]
"""The status of a check. ``not_applicable`` means that the period had none of the changes that the check examines."""

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_DAY, _CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_OFFSET = "([Zz]|[+-][0-9]{2}:[0-9]{2})"
Moment = Annotated[
    str, msgspec.Meta(pattern=rf"^{_DAY}T{_CLOCK}\.[0-9]{{6}}Z$", extra_json_schema={"format": "date-time"})
]
_Date = Annotated[str, msgspec.Meta(pattern=rf"^{_DAY}([Tt ]{_CLOCK}(\.[0-9]{{1,9}})?{_OFFSET}?)?$")]

EVIDENCE_STATUSES: Final[tuple[EvidenceStatus, ...]] = ("findings", "no_evidence", "incomplete", "supported")


def worst_status(statuses: Iterable[EvidenceStatus]) -> EvidenceStatus:
    """Return the worst of several statuses; ``no_evidence`` if there are none, because an empty list must not pass."""
    return min(statuses, key=EVIDENCE_STATUSES.index, default="no_evidence")


class AttestationPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all parts: immutable, and with the same field names in JSON."""


class Period(AttestationPart, frozen=True, kw_only=True):
    """The period: half-open, in UTC.

    Attributes:
        from_date: Its first instant, RFC 3339.
        to_date: The first instant after it.
        interval: The bounds in words.
    """

    from_date: Moment
    to_date: Moment
    interval: Literal["from_date is included, to_date is not; UTC"] = "from_date is included, to_date is not; UTC"


class Generator(AttestationPart, frozen=True, kw_only=True):
    """The program that made the package.

    Attributes:
        name: Its name.
        version: Its version.
    """

    name: str
    version: str


class RegistryDigest(AttestationPart, frozen=True, kw_only=True):
    """The registry at the time of generation.

    Attributes:
        models: The number of entries.
        sha256: The SHA-256 of the file that ``ModelRegistry.save`` writes, in hexadecimal.
    """

    models: _Count
    sha256: _Sha256


class SampleSpan(AttestationPart, frozen=True, kw_only=True):
    """An example of a span that an auditor can look up.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        start: The start of the span, RFC 3339.
    """

    trace_id: Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{32}$")]
    span_id: Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{16}$")]
    start: Moment


class CheckResult(AttestationPart, frozen=True, kw_only=True):
    """The result of one check.

    Attributes:
        check: The name of the check.
        title: The fact that the check tests.
        status: The result; ``supported`` if the population is not empty and has no exceptions.
        unit: The unit of the population.
        population: The number of units that the check examined.
        exceptions: The number of those units that are exceptions to the fact.
        share: The share of units without an exception, truncated to four digits; ``None`` if the population is empty.
        notes: Additional facts, a sentence each.
        samples: Some of the exceptions, if they are spans.
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


class Clause(AttestationPart, frozen=True, kw_only=True):
    """The evidence for one clause of the framework. It never shows that the clause is satisfied.

    Attributes:
        clause: The number of the clause in the framework.
        asks: A short summary of the clause.
        status: The worst status of its checks and of the coverage.
        checks: Names of the checks that support the clause.
        not_shown: The parts of the clause that this evidence does not show.
    """

    clause: str
    asks: str
    status: EvidenceStatus
    checks: tuple[str, ...]
    not_shown: tuple[str, ...]


class Change(AttestationPart, frozen=True, kw_only=True):
    """A lifecycle change of the period, as the registry records it.

    Attributes:
        model_id: The model.
        at: The time of the change, RFC 3339, as the registry stores it. It can be a date only. Without an offset it is
            UTC.
        status: The status after the change.
        reason: The reason, if one was given.
        actor: The actor, if one was given.
        source: ``history`` if the entry has a record of the change, ``dates`` if it has only a date.
        event: ``recorded`` if the telemetry has a matching event, else ``not_recorded``.
    """

    model_id: str
    at: _Date
    status: ModelStatus
    reason: str | None
    actor: str | None
    source: Literal["history", "dates"]
    event: Literal["recorded", "not_recorded"]


class Input(AttestationPart, frozen=True, kw_only=True):
    """One input that was read.

    Attributes:
        name: The file's name, with as many of its folders as distinguish it from the other inputs; or an address.
        kind: The telemetry format: a row of ``FORMATS``; ``audit_events`` for events of the caller; or the kind of the
            caller's own reader.
        size: The number of bytes.
        sha256: The SHA-256 of the bytes, in hexadecimal.
        lines: Requests that were read.
        bad_lines: Lines, or parts of lines, that could not be read.
        spans: Spans that were read, copies included.
        spans_outside: Spans that were read and started outside the period.
        first: The start of the first span, RFC 3339; ``None`` if there is no span.
        last: The start of the last span, RFC 3339; ``None`` if there is no span.
        limits: The parts of the input that could not be read, a sentence each.
    """

    name: str
    kind: str
    size: _Count
    sha256: _Sha256
    lines: _Count
    bad_lines: _Count
    spans: _Count
    spans_outside: _Count
    first: Moment | None
    last: Moment | None
    limits: tuple[str, ...]


class Population(AttestationPart, frozen=True, kw_only=True):
    """The population: the spans of the period, each counted once.

    Attributes:
        spans: Spans.
        calls: Calls; if the evidence is about one model, the calls of that model.
        agent_spans: Spans of agents, workflows and tools that name a model without being a call.
        other_spans: All other spans.
        copies: Spans that were read again and not counted again.
        differing_copies: Copies whose content differs; the first one in the order of the inputs counts.
        models: Entries of the registry; one or none if the evidence is about one model.
        models_called: Models that were called, unregistered ones included.
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


class Gap(AttestationPart, frozen=True, kw_only=True):
    """A stretch of the period without any span.

    Attributes:
        from_date: The start of the last span before the gap, or of the period, RFC 3339.
        to_date: The start of the next span, or the end of the period.
        seconds: The length of the gap, truncated to whole seconds.
    """

    from_date: Moment
    to_date: Moment
    seconds: _Count


class Coverage(AttestationPart, frozen=True, kw_only=True):
    """The part of the period that the telemetry covers.

    Attributes:
        status: ``incomplete`` if there are reasons, else ``complete``.
        max_gap_seconds: The longest stretch without any span that is allowed.
        gaps: The first stretches that are longer than allowed.
        gap_count: The number of all such stretches.
        reasons: The reasons for incomplete coverage, a sentence each.
    """

    status: Literal["complete", "incomplete"]
    max_gap_seconds: _Count
    gaps: tuple[Gap, ...]
    gap_count: _Count
    reasons: tuple[str, ...]


class Name(AttestationPart, frozen=True, kw_only=True):
    """A name under which models were called.

    Attributes:
        name: The name.
        model_id: The id of the model's entry; ``None`` if there is no entry.
        calls: The number of calls.
    """

    name: str
    model_id: str | None
    calls: _Count
