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
    """One clause: a criterion of SOC 2, or a subcategory of the NIST AI RMF.

    Attributes:
        clause: The number of the clause in the framework.
        asks: This project's summary of the clause. The framework's own text is authoritative.
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
"""The status whose calls are findings only on or after the model's sunset date. A separate check looks for those."""

STATUS_CHECKS: Final[Mapping[str, ModelStatus]] = {
    f"no_calls_{row.finding}": status
    for status, row in LIFECYCLE.items()
    if row.finding is not None and status != _ALLOWED_UNTIL_SUNSET
}
"""The check for each status in which a model must not be called. Every clause about the use of models has them all."""

_OTHER_SYSTEMS: Final = "AI systems as a whole, because the registry lists models only"
"""A part of every clause of the NIST AI RMF that no check shows."""

FRAMEWORKS: Final[Mapping[Framework, FrameworkRow]] = {
    "soc2": FrameworkRow(
        "SOC 2: AICPA Trust Services Criteria 2017, points of focus revised in 2022",
        (
            ClauseRow(
                "CC6.1",
                "Logical access to information assets is restricted. Point of focus: the assets are identified and "
                "inventoried.",
                (
                    "calls_registered",
                    "served_as_requested",
                    "accountable",
                    *STATUS_CHECKS,
                    "spans_enriched",
                    "registry_and_spans_agree",
                    "spans_unambiguous",
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
                (
                    "changes_recorded",
                    *STATUS_CHECKS,
                    "no_calls_past_sunset",
                    "no_calls_past_provider_shutdown",
                    "registry_and_spans_agree",
                    "spans_unambiguous",
                ),
                (
                    "who authorised and approved a change, because the program that makes it chooses the actor's name",
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
                "Purposes, uses, laws, settings and assumptions of AI systems are understood and documented.",
                (
                    "calls_registered",
                    "served_as_requested",
                    "accountable",
                    "registry_and_spans_agree",
                    "spans_unambiguous",
                ),
                (
                    _OTHER_SYSTEMS,
                    "that a model is used for its documented purpose",
                    "settings and assumptions",
                    "the expected users, applicable laws and norms, and effects on people",
                ),
            ),
            ClauseRow(
                "GOVERN 1.6",
                "Mechanisms to inventory AI systems are in place, with resources according to the organisation's risk "
                "priorities.",
                (
                    "calls_registered",
                    "served_as_requested",
                    "accountable",
                    "spans_enriched",
                    "registry_and_spans_agree",
                    "spans_unambiguous",
                ),
                (
                    _OTHER_SYSTEMS,
                    "models whose calls are not in the telemetry",
                    "the people and money for the inventory",
                ),
            ),
            ClauseRow(
                "GOVERN 1.7",
                "Processes and procedures are in place to decommission and phase out AI systems safely.",
                (
                    "changes_recorded",
                    *STATUS_CHECKS,
                    "no_calls_past_sunset",
                    "no_calls_past_provider_shutdown",
                    "spans_unambiguous",
                ),
                (
                    _OTHER_SYSTEMS,
                    "that processes and procedures exist",
                    "the handling of data and access, and of users who depended on a retired model",
                ),
            ),
        ),
    ),
}
"""The frameworks, by the name that the engine takes."""
