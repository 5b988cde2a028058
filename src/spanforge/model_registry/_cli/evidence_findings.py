"""The findings of a check for people: model, service, sender, reason, and examples of spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._cli.blocks import CellTable, ItemList, Paragraph
from spanforge.model_registry._cli.terminal import Styled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._cli.blocks import Block
    from spanforge.model_registry._cli.terminal import Cell
    from spanforge.model_registry.compliance._attestation_figures import AttestedFinding
    from spanforge.model_registry.compliance._attestation_parts import CheckResult, SampleSpan

MAX_CHECK_FINDINGS: Final = 20
"""The limit of findings of a check. The package's file ``findings.csv`` has more."""


def show_check_findings(check: CheckResult, findings: Iterable[AttestedFinding]) -> Iterator[Block]:
    """Yield the first findings of a check, each with its model, service, sender and examples."""
    found = [each for each in findings if each.check == check.check]
    for each in found[:MAX_CHECK_FINDINGS]:
        yield ItemList([_describe_finding(each)])
        if each.samples:
            yield tabulate_samples(each.samples)
    left = len(found) - MAX_CHECK_FINDINGS
    if left > 0:
        yield Paragraph(f"  and {left:,} more findings, which findings.csv and --format json list")


def _describe_finding(finding: AttestedFinding) -> str:
    """Return the number of a finding, and the facts that it has."""
    facts = []
    if finding.name != "" or finding.sender is not None:
        facts.append(f"model {show_plain_name(finding.name)}")
    if finding.sender is not None:
        facts.append(f"service {show_plain_name(finding.service)} ({finding.sender} sender)")
    if finding.owner is not None:
        facts.append(f"owner {finding.owner}")
    return f"{finding.occurrences:,}: {', '.join([*facts, finding.reason])}"


def show_model_name(name: str | None) -> Cell:
    """Return a name; ``(others)`` and ``(no name)`` for those that have none."""
    if name is None:
        return Styled("(others)", "weak")
    return name or Styled("(no name)", "weak")


def show_plain_name(name: str | None) -> str:
    """Return a name without a style; ``(others)`` and ``(no name)`` for those that have none."""
    shown = show_model_name(name)
    return shown.text if isinstance(shown, Styled) else shown


def tabulate_samples(samples: Iterable[SampleSpan]) -> CellTable:
    """Return spans as a table."""
    rows = [(show_time(each.start) if each.start else "", each.trace_id, each.span_id) for each in samples]
    return CellTable(("start", "trace id", "span id"), rows)


def show_time(moment: str) -> str:
    """Return a moment of an attestation, in UTC, without fractions of seconds."""
    return f"{moment[:10]} {moment[11:19]} UTC"
