"""The results of the checks, as an attestation has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry.compliance._analysis.checks import EVIDENCE_CHECKS
from spanforge.model_registry.compliance._analysis.samples import SAMPLES_PER_CHECK, build_samples
from spanforge.model_registry.compliance._attestation_parts import CheckResult, CheckStatus, Parameter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry.compliance._analysis.checks import CheckInput, CheckRow, Outcome


def run_checks(names: Iterable[str], given: CheckInput) -> list[CheckResult]:
    """Return the results of the named checks, in the order of ``EVIDENCE_CHECKS``."""
    chosen = set(names)
    return [_run_check(row, given) for row in EVIDENCE_CHECKS if row.check in chosen]


def _run_check(row: CheckRow, given: CheckInput) -> CheckResult:
    outcome = row.look(given)
    population, exceptions = outcome.population, outcome.exceptions
    good = population - exceptions
    parameters = given.parameters.get(row.check, {})
    return CheckResult(
        check=row.check,
        title=row.title,
        status=_rate(outcome, has_telemetry=given.has_telemetry),
        unit=row.unit,
        population=population,
        exceptions=exceptions,
        share=good * 10_000 // population / 10_000 if population else None,
        notes=tuple(outcome.notes),
        samples=build_samples(outcome.samples, SAMPLES_PER_CHECK),
        parameters=tuple(Parameter(name=name, value=value) for name, value in parameters.items()),
    )


def _rate(outcome: Outcome, *, has_telemetry: bool) -> CheckStatus:
    if not has_telemetry:
        return "no_evidence"
    if outcome.exceptions:
        return "findings"
    if outcome.population:
        return "supported"
    return "not_applicable" if outcome.may_be_empty else "no_evidence"
