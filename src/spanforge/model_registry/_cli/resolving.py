"""``resolve``: which entry a model name matches, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from spanforge.model_registry._cli.calendar_option import CalendarDayOption, load_calendar_day
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.entry_fields import style_model_status
from spanforge.model_registry._cli.explanation import explain_resolution
from spanforge.model_registry._cli.explanation_texts import (
    Answer,
    describe_answer,
    list_near,
    list_reading,
    list_remedy_fields,
    list_result,
    list_rule_fields,
)
from spanforge.model_registry._cli.field_lists import print_fields, print_heading
from spanforge.model_registry._cli.listing import FormatOption
from spanforge.model_registry._cli.registries import FilesOption, UsageError, load_registry
from spanforge.model_registry._cli.remedies import list_near_entries, list_remedies
from spanforge.model_registry._cli.terminal import print_json, print_line
from spanforge.model_registry._core.names import MatchMode
from spanforge.model_registry._core.settings import MATCH
from spanforge.model_registry._core.state import get_index

if TYPE_CHECKING:
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.resolution import ModelIndex

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Model names, as on spans.")]
NameProviderOption = Annotated[str | None, typer.Option(help="The provider that serves the model, in any spelling.")]
NameMatchOption = Annotated[
    MatchMode | None, typer.Option(help=f"Whether forms of names match. Default: the setting {MATCH.variable}.")
]
"""The option of each command that resolves names."""


@examples(
    "resolve openai/acme-chat-1-2026-05-01 -f models.yaml",
    "resolve acme-chat-3 -f models.yaml  # ends with 1: no entry",
    "resolve support-chat --format json -f models.yaml",
)
def resolve_names(  # noqa: PLR0913 - each is an option
    names: NamesArgument = None,
    provider: NameProviderOption = None,
    match: NameMatchOption = None,
    files: FilesOption = None,
    calendar: CalendarDayOption = None,
    output: FormatOption = "text",
) -> None:
    """Explain which entry a model name matches, step by step.

    The exit code is 1 if a name has no entry. Then the command shows the nearest entries, and what would make them
    match. Each suggestion was tried.
    """
    if not names:
        msg = "no model name: pass NAME"
        raise UsageError(msg)
    index, day = get_index(load_registry(files)), load_calendar_day(calendar)
    answers = [answer_name(index, name, provider, MATCH.choose(match), day) for name in names]
    if output == "json":
        print_json([describe_answer(answer) for answer in answers])
    else:
        for number, answer in enumerate(answers):
            print_line() if number else None
            _print_answer(answer, day, is_empty=not len(index.entries))
    if any(answer.explanation.resolution.entry is None for answer in answers):
        raise typer.Exit(1)


def answer_name(index: ModelIndex, name: str, provider: str | None, mode: MatchMode, day: CalendarDay | None) -> Answer:
    """Return all that is known about a name: how it was resolved, or what would make it match.

    Args:
        index: The registry's entries.
        name: The name.
        provider: The provider, in any spelling; ``None`` if it is not known.
        mode: Whether forms match.
        day: The provider calendar; ``None`` if there is none.
    """
    explanation = explain_resolution(index, name, provider, mode)
    resolution = explanation.resolution
    shutdown = None if day is None else day.find(resolution, provider, mode)
    warning = None if day is None or shutdown is None else shutdown.explain(day.day)
    warnings = resolution.warnings if warning is None else (*resolution.warnings, warning)
    if resolution.entry is not None:
        return Answer(explanation, warnings, shutdown)
    near = list_near_entries(index, explanation)
    return Answer(explanation, warnings, shutdown, near, list_remedies(index, explanation, near))


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
