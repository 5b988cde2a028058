"""The figures of an attestation, split by sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry.compliance._analysis.check_results import run_checks
from spanforge.model_registry.compliance._analysis.checks import EVIDENCE_CHECKS, CheckInput
from spanforge.model_registry.compliance._analysis.samples import SAMPLES_PER_CHECK, build_samples, select_samples
from spanforge.model_registry.compliance._analysis.senders import UNTRUSTED
from spanforge.model_registry.compliance._attestation_parts import SENDERS
from spanforge.model_registry.compliance._attestation_senders import SenderCheck, SenderFigures, UntrustedCopies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.compliance._attestation_parts import Sender
    from spanforge.model_registry.compliance._evidence_request import EvidenceFacts

_CALL_CHECKS: Final = tuple(row.check for row in EVIDENCE_CHECKS if row.check not in {"changes_recorded", "retention"})
CHECKS_OF_CLAIMS: Final = ("spans_enriched", "registry_and_spans_agree")
"""The checks of the registry's attributes on spans. Those on spans of untrusted senders do not count."""


def build_sender_figures(facts: EvidenceFacts, checks: Iterable[str]) -> tuple[SenderFigures, ...]:
    """Return the figures of each sender.

    Args:
        facts: The facts of the evidence.
        checks: The names of the framework's checks.
    """
    names = set(checks) & set(_CALL_CHECKS)
    return tuple(_build_figures(facts, sender, names) for sender in SENDERS)


def _build_figures(facts: EvidenceFacts, sender: Sender, checks: set[str]) -> SenderFigures:
    totals, about = facts.all.by_sender[sender], facts.about.by_sender[sender]
    chosen = checks - set(CHECKS_OF_CLAIMS) if sender == UNTRUSTED else checks
    has_calendar = facts.request.calendar is not None
    results = run_checks(chosen, CheckInput(about, facts.request.entries, (), True, has_calendar))
    return SenderFigures(
        sender=sender,
        spans=totals.spans,
        calls=about.calls,
        agent_spans=totals.agent_spans,
        other_spans=totals.spans + totals.log_calls - totals.calls - totals.agent_spans,
        copies=totals.copies,
        differing_copies=totals.differing_copies,
        models_called=len(about.models) + len(about.unregistered),
        lifecycle_events=facts.events_by_sender[sender],
        checks=tuple(
            SenderCheck(check=each.check, population=each.population, exceptions=each.exceptions) for each in results
        ),
    )


def build_untrusted_copies(facts: EvidenceFacts) -> UntrustedCopies:
    """Return the spans of untrusted senders that a trusted or unknown sender sent too."""
    beside = facts.all.beside_trusted
    samples = build_samples(select_samples(beside.samples), SAMPLES_PER_CHECK)
    return UntrustedCopies(spans=beside.number, samples=samples)


def list_sender_limits(facts: EvidenceFacts) -> Iterator[str]:
    """Yield a sentence about inputs without marks of senders."""
    results = [scanned.result for scanned in facts.inputs]
    unmarked = [each for each in results if not each.has_marks and (each.groups or any(each.events.values()))]
    if unmarked:
        yield (
            f"Inputs without the attribute model_registry.sender: {len(unmarked):,}. Their senders are unknown, and "
            "their records count like those of trusted senders."
        )
