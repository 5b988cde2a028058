"""The frameworks as data: their clauses, the checks that support each clause, and the parts that no check shows.

Sources: AICPA, Trust Services Criteria (2017, points of focus revised in 2022); NIST AI 100-1, Artificial Intelligence
Risk Management Framework 1.0 (2023). The summaries are this project's own; the frameworks' texts are authoritative.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import LIFECYCLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry._core.lifecycle import ModelStatus
    from spanforge.model_registry.compliance._attestation_parts import Framework


class ClauseRow(NamedTuple):
    """One clause.

    Attributes:
        clause: The number of the clause in the framework.
        asks: A short summary of the clause.
        checks: Names of the checks that support the clause.
        not_shown: The parts of the clause that these checks do not show.
    """

    clause: str
    asks: str
    checks: tuple[str, ...]
    not_shown: tuple[str, ...]


class FrameworkRow(NamedTuple):
    """One framework: its name, and the clauses that this evidence can support."""

    name: str
    clauses: tuple[ClauseRow, ...]


_ALLOWED_UNTIL_SUNSET: Final = "deprecated"
"""The status whose calls are findings only past the model's sunset date. A separate check looks for those."""

STATUS_CHECKS: Final[Mapping[str, ModelStatus]] = {
    f"no_calls_{row.finding}": status
    for status, row in LIFECYCLE.items()
    if row.finding is not None and status != _ALLOWED_UNTIL_SUNSET
}
"""The check for each status in which a model must not be called. Every clause about the use of models has them all."""

FRAMEWORKS: Final[Mapping[Framework, FrameworkRow]] = {
    "soc2": FrameworkRow(
        "SOC 2, Trust Services Criteria 2017",
        (
            ClauseRow(
                "CC6.1",
                "Information assets are identified and inventoried, and logical access to them is restricted.",
                (
                    "calls_registered",
                    "accountable",
                    *STATUS_CHECKS,
                    "spans_enriched",
                    "registry_and_spans_agree",
                ),
                (
                    "who may call a model, with which credentials, and that others are refused access",
                    "assets other than models",
                    "the protection of prompts, responses and keys",
                ),
            ),
            ClauseRow(
                "CC8.1",
                "Changes to systems are authorised, documented, tested, approved and implemented.",
                ("changes_recorded", *STATUS_CHECKS, "no_calls_past_sunset", "registry_and_spans_agree"),
                (
                    "who authorised and approved a change, because the actor is a text that the caller passes",
                    "tests of a model before its first use",
                    "changes to applications and prompts",
                ),
            ),
        ),
    ),
    "nist_ai_rmf": FrameworkRow(
        "NIST AI Risk Management Framework 1.0",
        (
            ClauseRow(
                "MAP 1.1",
                "Purposes, uses, settings and assumptions of AI systems are understood and documented.",
                ("calls_registered", "accountable", "registry_and_spans_agree"),
                (
                    "that a model is used for its documented purpose",
                    "the users concerned, laws, norms, and effects on people",
                ),
            ),
            ClauseRow(
                "GOVERN 1.6",
                "AI systems are inventoried, with resources according to their risk.",
                ("calls_registered", "accountable", "spans_enriched", "registry_and_spans_agree"),
                ("AI systems that send no telemetry", "the resources that AI systems receive"),
            ),
            ClauseRow(
                "GOVERN 1.7",
                "AI systems are decommissioned and phased out safely.",
                ("changes_recorded", *STATUS_CHECKS, "no_calls_past_sunset"),
                ("the handling of data and access, and of users who depended on a retired model",),
            ),
        ),
    ),
}
"""The frameworks, by the name that the engine takes."""
