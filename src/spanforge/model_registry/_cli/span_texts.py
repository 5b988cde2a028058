"""The words of a report about spans: labelled lines for people, and plain data for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._cli.entry_fields import style_model_status
from spanforge.model_registry._cli.explanation_texts import describe_answer, list_near, list_remedy_fields
from spanforge.model_registry._cli.field_lists import Field, print_fields, print_heading
from spanforge.model_registry._cli.span_reports import SPAN_KIND_WORDS
from spanforge.model_registry._cli.terminal import count_things, print_line
from spanforge.model_registry._core.settings import MODEL_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spanforge.model_registry._cli.answers import Answer
    from spanforge.model_registry._cli.span_reports import NamedModel, SpanReport, SpanReports

MAX_SHOWN_REPORTS: Final = 20
"""The limit of reports that the text shows."""


def print_reports(reports: SpanReports, answer: Callable[[str, str | None], Answer]) -> None:
    """Print the reports of a file's spans, and how many there are.

    Args:
        reports: The reports.
        answer: Returns the answer to a name and a provider.
    """
    for report in reports.groups[:MAX_SHOWN_REPORTS]:
        _print_report(report, [answer(each.name, report.provider) for each in report.names])
        print_line()
    print_line(_count_spans(reports), "weak")
    if len(reports.groups) > MAX_SHOWN_REPORTS:
        rest = len(reports.groups) - MAX_SHOWN_REPORTS
        print_line(f"{rest:,} further kinds of spans are not shown; --format json has all", "weak")
    for key, count in reports.copied.items():
        have = count_things(count, "span has", "spans have")
        print_line(f"{have} a copied model name, which is ignored because of {key}", "weak")
    if not reports.naming:
        print_line(f"If another attribute has the name, set {MODEL_ATTRIBUTES.variable}.", "note")


def _count_spans(reports: SpanReports) -> str:
    if reports.naming == reports.spans == 1:
        return "1 span, which names a model"
    naming = f"{reports.naming:,} of them {'names' if reports.naming == 1 else 'name'} a model"
    return f"{count_things(reports.spans, 'span')}; {naming if reports.naming else 'none names a model'}"


def _print_report(report: SpanReport, answers: list[Answer]) -> None:
    resolution = report.match.resolution
    print_heading(report.span.name or resolution.candidate, resolution.status, style_model_status(resolution.status))
    print_fields("Span", _list_span(report))
    print_fields("Model names, in the order in which they are tried", _list_span_names(report, answers))
    print_fields("Attributes that the span processor adds", _list_added(report))
    unmatched = next((each for each in answers if each.explanation.resolution.entry is None), None)
    if resolution.entry is None and unmatched is not None:
        print_fields("Nearest entries", list_near(unmatched))
        print_fields("What would make an entry match", list_remedy_fields(unmatched))


def _list_span(report: SpanReport) -> Iterator[Field]:
    span = report.span
    if report.count > 1:
        yield Field("spans", f"{report.count:,} like this one")
    if span.service is not None:
        yield Field("service", span.service)
    if span.scope is not None:
        yield Field("scope", span.scope)
    yield Field("kind", SPAN_KIND_WORDS[report.match.kind])
    provider = "not named" if report.provider is None else f"{report.provider}, in {report.provider_key}"
    yield Field("provider", provider)


def _list_span_names(report: SpanReport, answers: list[Answer]) -> Iterator[Field]:
    for each, answer in zip(report.names, answers, strict=True):
        resolution = answer.explanation.resolution
        if resolution.entry is None:
            yield Field(each.key, f"{each.name}, {_describe_role(each)}: no entry", "warning")
        else:
            result = f"{resolution.entry.model_id}, by the rule {resolution.rule}"
            mark = "; this one counts" if each.key == report.match.key and len(answers) > 1 else ""
            yield Field(each.key, f"{each.name}, {_describe_role(each)}: {result}{mark}")


def _describe_role(named: NamedModel) -> str:
    return "which the gateway chose" if named.role == "gateway" else f"the {named.role} model"


def _list_added(report: SpanReport) -> Iterator[Field]:
    for key, value in report.added.items():
        for number, item in enumerate(value if isinstance(value, tuple) else [value]):
            yield Field("" if number else key, item if isinstance(item, str) else json.dumps(item))
    if not report.added:
        yield Field("none", "unregistered models are ignored")


def dump_reports(reports: SpanReports, answer: Callable[[str, str | None], Answer]) -> dict[str, Any]:
    """Return the reports as plain data for JSON; the arguments are those of ``print_reports``."""
    return {
        "spans": reports.spans,
        "naming": reports.naming,
        "copied": reports.copied,
        "groups": [_dump_report(report, answer) for report in reports.groups],
    }


def _dump_report(report: SpanReport, answer: Callable[[str, str | None], Answer]) -> dict[str, Any]:
    span, match = report.span, report.match
    entry = match.resolution.entry
    return {
        "span": span.name,
        "service": span.service,
        "scope": span.scope,
        "count": report.count,
        "kind": match.kind,
        "provider": report.provider,
        "provider_key": report.provider_key,
        "names": [each._asdict() for each in report.names],
        "status": match.resolution.status,
        "model_id": None if entry is None else entry.model_id,
        "rule": match.resolution.rule,
        "matched_by": match.key,
        "requested_model_id": None if match.requested is None else match.requested.model_id,
        "response_registered": match.response_registered,
        "added": report.added,
        "answers": [describe_answer(answer(each.name, report.provider)) for each in report.names],
    }
