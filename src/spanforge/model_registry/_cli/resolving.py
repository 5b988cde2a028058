"""``resolve``: which entry a model name matches, and why."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated

import typer

from spanforge.model_registry._cli.answers import Answer, answer_name
from spanforge.model_registry._cli.calendar_option import CalendarOption, load_calendar_day
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.entry_fields import style_model_status
from spanforge.model_registry._cli.explanation_texts import (
    describe_answer,
    list_near,
    list_reading,
    list_remedy_fields,
    list_result,
    list_rule_fields,
)
from spanforge.model_registry._cli.field_lists import print_fields, print_heading
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.registries import FilesOption, UsageError, load_registry
from spanforge.model_registry._cli.terminal import print_json, print_line
from spanforge.model_registry._core.names import MatchMode
from spanforge.model_registry._core.settings import MATCH
from spanforge.model_registry._core.state import get_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.resolution import ModelIndex

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Model names, as on spans.")]
NameProviderOption = Annotated[
    str | None, typer.Option(metavar="PROVIDER", help="The provider that serves the model, in any spelling.")
]
NameMatchOption = Annotated[
    MatchMode | None, typer.Option(help=f"Whether forms of names match. Default: the setting {MATCH.variable}.")
]
"""The option of each command that resolves names."""


SpanOption = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Explain the spans in this file, in place of names; - is standard input."),
]


@examples(
    "resolve openai/acme-chat-1-2026-05-01 -f models.yaml",
    "resolve acme-chat-3 -f models.yaml  # ends with 1: no entry",
    "resolve support-chat --format json -f models.yaml",
    "resolve --span span.json -f models.yaml",
)
def resolve_names(  # noqa: PLR0913 - each is an option
    names: NamesArgument = None,
    provider: NameProviderOption = None,
    match: NameMatchOption = None,
    span: SpanOption = None,
    files: FilesOption = None,
    calendar: CalendarOption = None,
    output: FormatOption = "text",
) -> None:
    """Explain which entry a model name matches, step by step.

    The exit code is 1 if a name has no entry. Then the command shows the nearest entries, and what would make them
    match. The command checks that each suggestion makes the name match.

    With --span, it shows which attributes of a span name the model, and what the span processor would add. Spans are
    JSON: OTLP, Jaeger's, what the console exporter prints, or an object of attributes.
    """
    _check_question(names, provider, span)
    index, day = get_index(load_registry(files)), load_calendar_day(calendar)
    mode = MATCH.choose(match)

    @functools.cache
    def answer(name: str, provider: str | None) -> Answer:
        return answer_name(index, name, provider, mode, day)

    if span is not None:
        are_resolved = _show_spans(span, index, day, mode, answer, output)
    else:
        are_resolved = _show_names([answer(name, provider) for name in names or ()], index, day, output)
    if not are_resolved:
        raise typer.Exit(1)


def _check_question(names: list[str] | None, provider: str | None, span: str | None) -> None:
    """Check that the command got either names or a file of spans.

    Raises:
        UsageError: It got neither, or both.
    """
    if not names and span is None:
        msg = "no model name: pass NAME, or --span FILE"
        raise UsageError(msg)
    if span is not None and (names or provider):
        msg = "--span takes names and providers from the spans; pass no NAME and no --provider"
        raise UsageError(msg)


def _show_names(answers: list[Answer], index: ModelIndex, day: CalendarDay | None, output: str) -> bool:
    """Print the answers to names, and return ``True`` if each has an entry."""
    if output == "json":
        print_json([describe_answer(each) for each in answers])
    else:
        for number, each in enumerate(answers):
            if number:
                print_line()
            _print_answer(each, day, is_empty=not len(index.entries))
    return all(each.explanation.resolution.entry is not None for each in answers)


def _show_spans(  # noqa: PLR0913 - what the command knows
    path: str,
    index: ModelIndex,
    day: CalendarDay | None,
    mode: MatchMode,
    answer: Callable[[str, str | None], Answer],
    output: str,
) -> bool:
    """Print the reports of the spans in a file, and return ``True`` if there are some, and each has an entry."""
    from spanforge.model_registry._cli import span_files, span_reports, span_texts  # noqa: PLC0415 - they read telemetry

    reports = span_reports.SpanExaminer(index, mode, day).group(span_files.read_file_spans(path))
    if output == "json":
        print_json(span_texts.dump_reports(reports, answer))
    else:
        span_texts.print_reports(reports, answer)
    return bool(reports.groups) and all(each.match.resolution.entry is not None for each in reports.groups)


def _print_answer(answer: Answer, day: CalendarDay | None, *, is_empty: bool) -> None:
    explanation = answer.explanation
    resolution = explanation.resolution
    print_heading(explanation.name, resolution.status, style_model_status(resolution.status))
    print_fields("How the name is read", list_reading(explanation))
    print_fields("Rules, in order", list_rule_fields(explanation))
    entry = resolution.entry
    title = "No entry matches" if entry is None else f"The entry {entry.model_id}, by the rule {resolution.rule}"
    print_fields(title, list_result(answer, day))
    print_fields("Nearest entries", list_near(answer))
    print_fields("What would make an entry match", list_remedy_fields(answer))
    if is_empty:
        print_line("  The registry has no entries.", "warning")
