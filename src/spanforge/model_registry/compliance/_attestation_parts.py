"""The parts of an attestation, field by field, and their statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from spanforge.model_registry._core.lifecycle import (  # noqa: TC001 - the JSON Schema is made from them
    ModelStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAMEWORK_ID_PATTERN: Final = "^[a-z][a-z0-9_]{0,63}$"
"""The pattern of a framework's id."""
FrameworkId = Annotated[str, msgspec.Meta(pattern=FRAMEWORK_ID_PATTERN)]
Checked = Literal["official", "secondary"]
"""Where a fact about a framework was read: in the publisher's own text, or in a text by others."""
EvidenceStatus = Literal["findings", "no_evidence", "incomplete", "supported"]
"""The status of evidence, worst first."""
CheckStatus = Literal["findings", "no_evidence", "not_applicable", "supported"]
"""The status of a check. ``not_applicable`` means that there was nothing to examine, and that this is normal."""
Sender = Literal["trusted", "unknown", "untrusted"]
"""The sender of a record: as the Collector marks it, or ``unknown`` if the input has no marks."""
Emission = Literal["in_time", "early", "late"]
"""The time of an event, compared with its change."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_DAY, _CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}"
_OFFSET = "([Zz]|[+-][0-9]{2}:[0-9]{2})"
Moment = Annotated[
    str, msgspec.Meta(pattern=rf"^{_DAY}T{_CLOCK}\.[0-9]{{6}}Z$", extra_json_schema={"format": "date-time"})
]
_Day = Annotated[str, msgspec.Meta(pattern=f"^{_DAY}$", extra_json_schema={"format": "date"})]
_Date = Annotated[str, msgspec.Meta(pattern=rf"^{_DAY}([Tt ]{_CLOCK}(\.[0-9]{{1,9}})?{_OFFSET}?)?$")]

SENDERS: Final[tuple[Sender, Sender, Sender]] = ("trusted", "unknown", "untrusted")
EVIDENCE_STATUSES: Final[tuple[EvidenceStatus, ...]] = ("findings", "no_evidence", "incomplete", "supported")


def worst_status(statuses: Iterable[EvidenceStatus]) -> EvidenceStatus:
    """Return the worst of several statuses; ``no_evidence`` if there are none, because an empty list must not pass."""
    return min(statuses, key=EVIDENCE_STATUSES.index, default="no_evidence")


class AttestationPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all parts: immutable, and with the same field names in JSON."""


class Period(AttestationPart, frozen=True, kw_only=True):
    """The period, in UTC. The start is included, the end is not.

    Attributes:
        from_date: Its first instant, RFC 3339.
        to_date: The first instant after it.
        interval: The rule for the bounds, in words.
    """

    from_date: Moment
    to_date: Moment
    interval: Literal["from_date is included, to_date is not; UTC"] = "from_date is included, to_date is not; UTC"


class Generator(AttestationPart, frozen=True, kw_only=True):
    """The program that made the package.

    Attributes:
        name: Its name.
        version: Its version.
        schema_sha256: The SHA-256 of the JSON Schema that the program contains for this format, in hexadecimal. It is
            the file ``attestation.schema.json``.
    """

    name: str
    version: str
    schema_sha256: Sha256


class SampleSpan(AttestationPart, frozen=True, kw_only=True):
    """An example of a span that an auditor can look up.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        start: The start of the span, RFC 3339; ``None`` if it is not known.
    """

    trace_id: Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{32}$")]
    span_id: Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{16}$")]
    start: Moment | None


class Parameter(AttestationPart, frozen=True, kw_only=True):
    """A parameter of a check, such as the days that the check ``retention`` requires.

    Attributes:
        name: Its name.
        value: Its value.
    """

    name: str
    value: Count


ABOUT_ARCHIVE: Final = frozenset({"retention"})
"""The checks whose findings are about the archive, and not about a model."""


class CheckResult(AttestationPart, frozen=True, kw_only=True):
    """The result of one check.

    Attributes:
        check: The name of the check.
        title: The fact that the check tests.
        status: ``no_evidence`` if the period has no span, no call in a log record and no lifecycle event of a trusted
            or unknown sender. Otherwise it is ``findings`` if there are exceptions, and ``supported`` if there are
            units and no exceptions. If there are no units, the status is ``no_evidence``. Three checks without units
            are ``not_applicable`` instead. These are ``changes_recorded`` if the registry has models,
            ``no_calls_past_provider_shutdown``, and ``served_as_requested`` if there are calls of registered models,
            but none has both a request model and a response model.
        unit: The unit of the population.
        population: The number of units that the check examined.
        exceptions: The number of units for which the title is false.
        share: The share of units without an exception, truncated to four decimal places; ``None`` if the population is
            empty.
        notes: Additional facts, one text each.
        samples: Some of the exceptions, at most 10, if they are spans.
        parameters: The parameters with which the check was made, from the framework or an argument.
    """

    check: str
    title: str
    status: CheckStatus
    unit: str
    population: Count
    exceptions: Count
    share: _Share | None
    notes: tuple[str, ...]
    samples: tuple[SampleSpan, ...]
    parameters: tuple[Parameter, ...]


class ApplicationDate(AttestationPart, frozen=True, kw_only=True):
    """A day from which a clause applies, as the framework's file states it. It changes no result.

    Attributes:
        date: The day.
        scope: What the clause applies to from that day on.
        source: Where the day was read: an address, or the name of a document.
        checked: ``official`` if it was read in the publisher's own text, ``secondary`` if in a text by others.
    """

    date: _Day
    scope: str
    source: str
    checked: Checked


class Clause(AttestationPart, frozen=True, kw_only=True):
    """The evidence for one clause of a framework, such as a criterion of SOC 2 or an article of a law.

    The evidence never shows that an organisation satisfies the clause.

    Attributes:
        clause: The number of the clause in the framework.
        title: The name of the clause.
        asks: A summary of the clause. The framework's own text is authoritative.
        status: The worst status of its checks, in this order: ``findings``, ``no_evidence``, ``incomplete``,
            ``supported``. It is ``incomplete`` or worse if the coverage is incomplete. Checks that are
            ``not_applicable`` do not count. If no check counts, the status is ``no_evidence``.
        checks: Names of the checks that support the clause. A clause that telemetry cannot support has none.
        not_shown: The parts of the clause that this evidence does not show.
        applies_from: The days from which the clause applies, if the framework's file states them.
        source: Where the clause was read: an address, or the name of a document.
        checked: ``official`` if it was read in the publisher's own text, ``secondary`` if in a text by others.
    """

    clause: str
    title: str
    asks: str
    status: EvidenceStatus
    checks: tuple[str, ...]
    not_shown: tuple[str, ...]
    applies_from: tuple[ApplicationDate, ...]
    source: str
    checked: Checked


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
        event: ``recorded`` if the inputs have an event that confirms the change, else ``not_recorded``.
        event_at: The time of this event, RFC 3339; ``None`` if there is none.
        emitted: ``in_time`` if this event was emitted at most ``delay_seconds`` before or after the change, or on the
            day of a change that has only a date. ``early`` or ``late`` if it was emitted at another time and carries
            the change's date. ``None`` if there is no event.
        source_revision: The revision that has the change, such as a commit, as this event names it.
    """

    model_id: str
    at: _Date
    status: ModelStatus
    reason: str | None
    actor: str | None
    source: Literal["history", "dates"]
    event: Literal["recorded", "not_recorded"]
    event_at: Moment | None
    emitted: Emission | None
    source_revision: str | None


class Input(AttestationPart, frozen=True, kw_only=True):
    """One input that was read.

    Attributes:
        name: The file's name, with the folders that are needed to distinguish it from other inputs; or an address.
        kind: The telemetry format: a row of ``FORMATS``; ``audit_events`` for events of the caller; or the kind of the
            caller's own reader.
        size: The number of bytes that were read: of a file, its bytes on disk, compressed or not; of Jaeger and
            ClickHouse, the bytes of the responses; of ``audit_events``, the bytes of their JSON with sorted keys.
        sha256: The SHA-256 of these bytes, in hexadecimal; for ClickHouse, that of the queries and their parameters.
        lines: The number of OTLP requests in the input, with those that could not be decoded; for ``audit_events``, the
            number of events; for ClickHouse, the number of rows of the period.
        bad_lines: Documents, spans and log records that could not be read. They make the coverage incomplete, except
            for spans and log records without a time in the period and those of untrusted senders.
        faults: One text for each of the first 10 items of ``bad_lines``, with the place and the reason.
        spans: Spans that were read, copies included.
        spans_outside: Spans that were read and started outside the period.
        first: The start of the first span that was read, in the period or outside it, RFC 3339; ``None`` if there is no
            span.
        last: The start of the last span, RFC 3339; ``None`` if there is no span.
        limits: The parts of the input that could not be read, one text each.
    """

    name: str
    kind: str
    size: Count
    sha256: Sha256
    lines: Count
    bad_lines: Count
    faults: tuple[str, ...]
    spans: Count
    spans_outside: Count
    first: Moment | None
    last: Moment | None
    limits: tuple[str, ...]


class Population(AttestationPart, frozen=True, kw_only=True):
    """The population: the spans and calls in the period that trusted and unknown senders sent, each counted once.

    If the evidence is about one model, ``calls``, ``log_calls``, ``models`` and ``models_called`` are of that model.
    The other figures are of all telemetry.

    Attributes:
        spans: Spans that started in the period.
        calls: Calls, those of ``log_calls`` included.
        log_calls: Calls that only log records report.
        agent_spans: Spans of agents, workflows and chains that name a model without being a call.
        other_spans: Spans that are neither calls nor ``agent_spans``.
        copies: Spans that were read again and not counted again.
        differing_copies: Copies that differ from the counted copy in a fact that the evidence uses, such as the model.
            If copies differ, the one with the most serious exception counts.
        models: Entries of the registry.
        models_called: Models that were called; each unregistered name counts as one.
        lifecycle_events: Lifecycle events whose time is in the period. An event in several signals or inputs counts
            once.
    """

    spans: Count
    calls: Count
    log_calls: Count
    agent_spans: Count
    other_spans: Count
    copies: Count
    differing_copies: Count
    models: Count
    models_called: Count
    lifecycle_events: Count


class Gap(AttestationPart, frozen=True, kw_only=True):
    """A stretch longer than ``max_gap_seconds`` without the start of a span or log call of a trusted or unknown sender.

    Attributes:
        from_date: The start of the last span before the gap, or the start of the period, RFC 3339.
        to_date: The start of the next span, or the end of the period.
        seconds: The length of the gap, truncated to whole seconds.
    """

    from_date: Moment
    to_date: Moment
    seconds: Count


class Coverage(AttestationPart, frozen=True, kw_only=True):
    """How much of the period the telemetry covers in time. It does not show that each service sent telemetry.

    Attributes:
        status: ``incomplete`` if there are reasons, else ``complete``.
        gaps: The gaps longer than ``max_gap_seconds``, oldest first, at most 1,000.
        gap_count: The number of all gaps that are longer than ``max_gap_seconds``.
        reasons: The reasons for incomplete coverage, one text each.
    """

    status: Literal["complete", "incomplete"]
    gaps: tuple[Gap, ...]
    gap_count: Count
    reasons: tuple[str, ...]
