"""The parts of an attestation that split its figures by sender, field by field."""

from __future__ import annotations

from spanforge.model_registry.compliance._attestation_parts import (
    AttestationPart,
    Count,
    SampleSpan,
    Sender,
)


class SenderCheck(AttestationPart, frozen=True, kw_only=True):
    """The figures of one check for one sender.

    Attributes:
        check: The name of the check.
        population: The number of units that the check examined.
        exceptions: The number of units for which the check's title is false.
    """

    check: str
    population: Count
    exceptions: Count


class SenderFigures(AttestationPart, frozen=True, kw_only=True):
    """The figures of one kind of sender. Figures of untrusted senders are also in ``untrusted_copies`` and ``inputs``.

    Attributes:
        sender: ``trusted`` or ``untrusted``, as the Collector marked the records. ``unknown`` for all records of inputs
            without marks; they count like those of trusted senders. Unmarked records of other inputs are untrusted.
        spans: Spans that started in the period, each counted once.
        calls: Calls.
        agent_spans: Spans of agents, workflows and chains that name a model without being a call.
        other_spans: Spans that are neither calls nor ``agent_spans``.
        copies: Spans that were read again and not counted again.
        differing_copies: Copies that differ from the span that counts.
        models_called: Models that were called; each unregistered name counts as one.
        lifecycle_events: Lifecycle events whose time is in the period.
        checks: The figures of the checks of calls. Untrusted senders have no figures for ``spans_enriched`` and
            ``registry_and_spans_agree``, because the registry's attributes on their spans do not count.
    """

    sender: Sender
    spans: Count
    calls: Count
    agent_spans: Count
    other_spans: Count
    copies: Count
    differing_copies: Count
    models_called: Count
    lifecycle_events: Count
    checks: tuple[SenderCheck, ...]


class UntrustedCopies(AttestationPart, frozen=True, kw_only=True):
    """Spans of untrusted senders with the ids of a span that a trusted or unknown sender sent.

    They change no figure of trusted and unknown senders.

    Attributes:
        spans: The number of these spans.
        samples: Some of them, at most 10.
    """

    spans: Count
    samples: tuple[SampleSpan, ...]
