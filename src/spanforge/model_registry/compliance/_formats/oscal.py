"""``assessment-results.json``: the attestation as assessment results of OSCAL 1.2.

OSCAL: https://pages.nist.gov/OSCAL/reference/latest/assessment-results/json-reference/

OSCAL calls an objective satisfied or not satisfied. Evidence only supports a clause. So each clause has an objective of
this document, which is about the checks and never about the clause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry.compliance._formats.json_documents import derive_uuid, write_document
from spanforge.model_registry.compliance._formats.markup import escape_markup, make_tokens
from spanforge.model_registry.compliance._formats.oscal_parts import (
    fill_list,
    list_date_props,
    list_props,
    write_remarks,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry.compliance._attestation import Attestation
    from spanforge.model_registry.compliance._attestation_parts import (
        CheckResult,
        Clause,
        EvidenceStatus,
        SampleSpan,
    )

OSCAL_VERSION: Final = "1.2.1"
"""The version of OSCAL that the document states: the newest that compliance-trestle 5.2 reads."""
_RMF: Final = "http://csrc.nist.gov/ns/rmf"
"""The namespace of the property for the method of an assessment, as NIST's own catalogs have it."""
_RESULTS_FILE: Final = "attestation.json"
_MODELS_FILE: Final = "evidence.csv"
_MEDIA_TYPES: Final = {
    "json": "application/json",
    "csv": "text/csv",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}


class ObjectiveStatusRow(NamedTuple):
    """The status of an objective for a status of a clause.

    Attributes:
        state: The state: ``satisfied`` or ``not-satisfied``, because OSCAL has no other.
        reason: The reason: ``pass``, ``fail``, or ``other``, which OSCAL defines as neither.
        meaning: The sentence in the remarks.
    """

    state: str
    reason: str
    meaning: str


OBJECTIVE_STATUSES: Final[Mapping[EvidenceStatus, ObjectiveStatusRow]] = {
    "supported": ObjectiveStatusRow(
        "satisfied", "pass", "The checks examined items, found no exceptions, and the coverage is complete."
    ),
    "findings": ObjectiveStatusRow("not-satisfied", "fail", "At least one check found exceptions."),
    "no_evidence": ObjectiveStatusRow(
        "not-satisfied",
        "other",
        "There is no evidence: at least one check had nothing to examine, or no check supports the clause.",
    ),
    "incomplete": ObjectiveStatusRow(
        "not-satisfied", "other", "The checks found no exceptions, but the telemetry does not cover the whole period."
    ),
}
"""The status of an objective, by the status of the clause."""
_NO_CLAIM: Final = "This is about the checks only. The evidence never shows that an organisation satisfies the clause."


class _OscalResults(NamedTuple):
    """The attestation, the SHA-256 of the files of the evidence, and the token of each clause, by position."""

    attestation: Attestation
    digests: Mapping[str, str]
    controls: list[str]

    def derive(self, name: str) -> str:
        """Return the UUID of a part of the document."""
        return derive_uuid(self.digests[_RESULTS_FILE], f"oscal:{name}")

    def name_objectives(self) -> list[str]:
        """Return the ids of the objectives, in the order of the clauses."""
        return [f"{control}_checks" for control in self.controls]

    def list_origins(self) -> list[dict[str, Any]]:
        """Return the origin of observations and findings: this program."""
        return [{"actors": [{"type": "tool", "actor-uuid": self.derive("tool")}]}]


def render_results(attestation: Attestation, digests: Mapping[str, str]) -> bytes:
    """Return the assessment results.

    Args:
        attestation: The attestation.
        digests: The SHA-256 of the files of the evidence, in hexadecimal, by name, with ``attestation.json``.
    """
    results = _OscalResults(attestation, digests, make_tokens(clause.clause for clause in attestation.clauses))
    return write_document(
        {
            "assessment-results": {
                "uuid": results.derive("document"),
                "metadata": {
                    "title": escape_markup(f"Evidence about AI models: {attestation.framework_name}"),
                    "last-modified": attestation.generated_at,
                    "version": attestation.generated_at,
                    "oscal-version": OSCAL_VERSION,
                },
                "import-ap": {
                    "href": f"#{results.derive(_RESULTS_FILE)}",
                    "remarks": "There is no assessment plan in OSCAL. The attestation states what was assessed, in the "
                    "fields framework, model_id, period, arguments and clauses.",
                },
                "local-definitions": {"objectives-and-methods": list(_list_objectives(results))},
                "results": [_describe_results(results)],
                "back-matter": {"resources": list(_list_resources(results))},
            }
        }
    )


def _list_objectives(results: _OscalResults) -> Iterator[dict[str, Any]]:
    """Yield the objective of each clause, with its method, as OSCAL's constraints demand."""
    for clause, control, objective in zip(
        results.attestation.clauses, results.controls, results.name_objectives(), strict=True
    ):
        method = f"{control}_method"
        rule = f"No check supports {clause.clause}."
        if clause.checks:
            asked = f"The checks for {clause.clause} have evidence and no exceptions, and the coverage is complete"
            rule = f"{asked}: {', '.join(clause.checks)}."
        yield {
            "control-id": control,
            "description": escape_markup(f"{clause.clause} {clause.title}: {clause.asks}"),
            "props": [
                *list_props(clause=clause.clause, title=clause.title, source=clause.source, checked=clause.checked),
                *list_date_props(clause),
            ],
            "parts": [
                {
                    "id": objective,
                    "name": "assessment-objective",
                    "props": [{"name": "method-id", "value": method}],
                    "prose": f"{escape_markup(rule)} {_NO_CLAIM}",
                },
                {
                    "id": method,
                    "name": "assessment-method",
                    "props": [{"name": "method", "ns": _RMF, "value": "TEST"}],
                    "parts": [
                        {
                            "name": "assessment-objects",
                            "prose": "The registry's entries, and the spans and log records of the period.",
                        }
                    ],
                },
            ],
        }


def _describe_results(results: _OscalResults) -> dict[str, Any]:
    attestation = results.attestation
    about = "all models of the registry" if attestation.model_id is None else f"the model {attestation.model_id}"
    return {
        "uuid": results.derive("result"),
        "title": escape_markup(f"{attestation.framework_name}: {attestation.overall_status}"),
        "description": escape_markup(f"A comparison of the registry with the telemetry of the period, about {about}."),
        "start": attestation.period.from_date,
        "end": attestation.period.to_date,
        "props": _list_figures(attestation),
        "local-definitions": {"assessment-assets": _describe_tool(results)},
        "reviewed-controls": {
            "control-selections": [
                {
                    "description": escape_markup(f"Clauses of {attestation.framework_name}"),
                    "props": list_props(framework=attestation.framework),
                    "include-controls": [{"control-id": control} for control in results.controls],
                }
            ],
            "control-objective-selections": [
                {"include-objectives": [{"objective-id": each} for each in results.name_objectives()]}
            ],
        },
        **fill_list("observations", [_describe_check(results, check) for check in attestation.checks]),
        "findings": list(_describe_clauses(results)),
        **write_remarks("What this evidence does not show:", attestation.limits),
    }


def _list_figures(attestation: Attestation) -> list[dict[str, str]]:
    population = attestation.population
    return list_props(
        **{
            "overall-status": attestation.overall_status,
            "coverage": attestation.coverage.status,
            "gaps": attestation.coverage.gap_count,
            "calls": population.calls,
            "models-called": population.models_called,
            "models": population.models,
            "spans": population.spans,
            "log-calls": population.log_calls,
            "agent-spans": population.agent_spans,
            "other-spans": population.other_spans,
            "lifecycle-events": population.lifecycle_events,
            "inputs": len(attestation.inputs),
            "source-revision": attestation.registry.source_revision,
            "framework-source": attestation.framework_source,
            "framework-checked": attestation.framework_checked,
        }
    )


def _describe_tool(results: _OscalResults) -> dict[str, Any]:
    generator = results.attestation.generator
    tool = results.derive("tool")
    return {
        "components": [
            {
                "uuid": tool,
                "type": "software",
                "title": escape_markup(generator.name),
                "description": "The program that made the evidence.",
                "props": list_props(version=generator.version),
                "status": {"state": "operational"},
            }
        ],
        "assessment-platforms": [
            {"uuid": results.derive("platform"), "uses-components": [{"component-uuid": tool}]},
        ],
    }


def _describe_check(results: _OscalResults, check: CheckResult) -> dict[str, Any]:
    found = f"Exceptions: {check.exceptions} of {check.population} {check.unit}. Result: {check.status}."
    return {
        "uuid": results.derive(f"check:{check.check}"),
        "title": escape_markup(check.check),
        "description": escape_markup(f"{check.title} {found}"),
        "props": [
            *list_props(
                status=check.status,
                unit=check.unit,
                population=check.population,
                exceptions=check.exceptions,
                share=check.share,
            ),
            *(prop | {"class": "parameter"} for prop in _list_parameters(check)),
        ],
        "methods": ["TEST"],
        "types": ["control-objective"],
        "origins": results.list_origins(),
        "relevant-evidence": [
            *(
                {"href": f"#{results.derive(name)}", "description": text}
                for name, text in (
                    (_RESULTS_FILE, "The result of the check, in the field checks."),
                    (_MODELS_FILE, "The models, with their calls."),
                )
            ),
            *(_describe_sample(sample) for sample in check.samples),
        ],
        "collected": results.attestation.generated_at,
        **write_remarks("Notes:", check.notes),
    }


def _list_parameters(check: CheckResult) -> list[dict[str, str]]:
    return list_props(**{each.name: each.value for each in check.parameters})


def _describe_sample(sample: SampleSpan) -> dict[str, Any]:
    return {
        "description": "An exception: a span in the telemetry.",
        "props": list_props(
            **{"trace-id": sample.trace_id, "span-id": sample.span_id, "start": sample.start},
        ),
    }


def _describe_clauses(results: _OscalResults) -> Iterator[dict[str, Any]]:
    known = {check.check for check in results.attestation.checks}
    for number, (clause, objective) in enumerate(
        zip(results.attestation.clauses, results.name_objectives(), strict=True), 1
    ):
        yield {
            "uuid": results.derive(f"clause:{number}"),
            "title": escape_markup(f"{clause.clause}: {clause.status}"),
            "description": escape_markup(clause.asks),
            "props": list_props(clause=clause.clause, status=clause.status),
            "origins": results.list_origins(),
            "target": _describe_target(clause, objective),
            **fill_list(
                "related-observations",
                [{"observation-uuid": results.derive(f"check:{name}")} for name in clause.checks if name in known],
            ),
            **write_remarks("Parts of the clause that no check shows:", clause.not_shown),
        }


def _describe_target(clause: Clause, objective: str) -> dict[str, Any]:
    row = OBJECTIVE_STATUSES[clause.status]
    return {
        "type": "objective-id",
        "target-id": objective,
        "status": {"state": row.state, "reason": row.reason, "remarks": f"{row.meaning} {_NO_CLAIM}"},
    }


def _list_resources(results: _OscalResults) -> Iterator[dict[str, Any]]:
    """Yield the files of the evidence, each with its digest."""
    for name, digest in sorted(results.digests.items()):
        link = {"href": name, "hashes": [{"algorithm": "SHA-256", "value": digest}]}
        kind = _MEDIA_TYPES.get(name.rpartition(".")[2].lower())
        yield {
            "uuid": results.derive(name),
            "title": escape_markup(name),
            "rlinks": [link if kind is None else link | {"media-type": kind}],
        }
