"""``show``: all that a registry knows about a model."""

from __future__ import annotations

from typing import Annotated

import typer

from spanforge.model_registry._cli.calendar_option import CalendarOption, load_calendar_day
from spanforge.model_registry._cli.commands import PROGRAM, examples
from spanforge.model_registry._cli.entry_facts import (
    HISTORY_COLUMNS,
    EntryFacts,
    gather_facts,
    list_date_fields,
    list_description,
    list_fact_fields,
    list_history,
    list_name_fields,
    list_own_metadata,
)
from spanforge.model_registry._cli.entry_fields import style_model_status
from spanforge.model_registry._cli.explanation import explain_resolution
from spanforge.model_registry._cli.explanation_texts import dump_shutdown
from spanforge.model_registry._cli.field_lists import print_fields, print_heading
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.registries import FilesOption, UsageError, load_registry
from spanforge.model_registry._cli.remedies import list_near_entries
from spanforge.model_registry._cli.row_tables import print_table
from spanforge.model_registry._cli.terminal import print_json, print_line
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.similar_names import write_names
from spanforge.model_registry._core.state import get_index
from spanforge.model_registry._core.values import quote

ShownModelArgument = Annotated[str, typer.Argument(metavar="MODEL_ID", help="The model's id, or another of its names.")]


@examples("show acme-chat-1 -f models.yaml", "show acme-embed-1 --format json -f models.yaml")
def show_entry(
    model_id: ShownModelArgument,
    files: FilesOption = None,
    calendar: CalendarOption = None,
    output: FormatOption = "text",
) -> None:
    """Show all that a registry knows about a model.

    For a name that is not an id, it shows the entry that the name matches; resolve explains why.
    """
    index, day = get_index(load_registry(files)), load_calendar_day(calendar)
    facts = gather_facts(index, find_entry(index, model_id), day)
    if output == "json":
        print_json(
            {
                "entry": facts.entry.to_dict(),
                "warnings": facts.entry.warnings,
                "successors": [each._asdict() for each in facts.successors],
                "shutdowns": [dump_shutdown(each) for each in facts.shutdowns],
            }
        )
    else:
        _print_facts(facts)


def find_entry(index: ModelIndex, name: str) -> ModelRegistryEntry:
    """Return the entry with this id; if there is none, the entry that the name matches, with a note about it.

    Raises:
        UsageError: No entry matches. The error names the nearest ids.
    """
    entry = index.entries.get(name)
    if entry is not None:
        return entry
    explanation = explain_resolution(index, name)
    entry = explanation.resolution.entry
    if entry is None:
        near = [quote(each.model_id) for each in list_near_entries(index, explanation)]
        nearest = write_names("nearest id", near) if near else "no id is like it"
        msg = f"model {quote(name)} is not registered; {nearest}; `{PROGRAM} resolve` explains why"
        raise UsageError(msg)
    rule = explanation.resolution.rule
    print_line(f"{quote(name)} is no id; by the rule {rule} it is {quote(entry.model_id)}", "note", stderr=True)
    return entry


def _print_facts(facts: EntryFacts) -> None:
    entry = facts.entry
    print_heading(entry.model_id, entry.status, style_model_status(entry.status))
    print_fields("Description", list_description(entry))
    print_fields("Names", list_name_fields(entry))
    print_fields("Dates", list_date_fields(entry))
    print_fields("For callers", list_fact_fields(facts))
    print_fields("Own metadata", list_own_metadata(entry))
    history = list_history(entry)
    if history:
        print_line()
        print_table(HISTORY_COLUMNS, history)
