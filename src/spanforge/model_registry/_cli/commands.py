"""The table of commands. Each command's module is imported when the command runs, so that ``--help`` stays fast."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROGRAM: Final = "spanforge-models"
_EXAMPLE_WIDTH: Final = 76
"""The columns of an example. The help adds two blanks to each line, and two characters to one that continues."""
_FOLDER: Final = __name__.rpartition(".")[0]
_Function = TypeVar("_Function", bound="Callable[..., None]")


class CommandRow(NamedTuple):
    """A command.

    Attributes:
        name: What the user types; two words for a command in a group.
        summary: What it does, in one sentence: the first line of its help.
        section: The heading of the list of commands under which it stands.
        place: The module in this folder and the function: ``listing:list_entries``.
    """

    name: str
    summary: str
    section: str
    place: str


_TABLE: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "Check and explain": (
        ("check", "Report what is wrong in registry files.", "check:check_registry_files"),
        ("resolve", "Explain which entry a model name matches, step by step.", "resolving:resolve_names"),
        ("list", "List the models of a registry.", "listing:list_entries"),
        ("show", "Show all that a registry knows about a model.", "showing:show_entry"),
        ("diff", "Explain what changed between two registries.", "comparing:diff_registries"),
        ("schema", "Print the JSON Schema of a kind of file.", "schemas:print_schema"),
        ("status", "Show the plugin's state in a new process with this environment.", "environment_status:show_status"),
    ),
    "Change": (
        ("register", "Add a model to a registry file.", "changing:add_model"),
        ("deprecate", "Mark a model in a registry file as deprecated.", "changing:deprecate"),
        ("retire", "Retire a model in a registry file, for good.", "changing:retire"),
        ("set", "Change fields of a model in a registry file.", "changing:set_values"),
        ("import", "Write registry entries from a file of another tool.", "importing:import_entries"),
        ("sign", "Sign a registry file, for services that read it from a server.", "signing:sign_registry_file"),
        ("emit", "Send the lifecycle events of a change, once.", "emitting:emit_differences"),
    ),
    "Observe": (
        ("reconcile", "Compare telemetry with the registry and the calendar.", "reconcile:reconcile_telemetry"),
    ),
    "Calendar": (
        ("calendar list", "List the days on which providers stop serving models.", "model_ends:list_ends"),
        ("calendar sync", "Add the shutdown days of public sources to a calendar file.", "calendar_sync:sync_calendar"),
        (
            "calendar diff",
            "Show what changed between two calendars, and whom it affects.",
            "calendar_sync:diff_calendars",
        ),
        (
            "calendar ics",
            "Write the days on which registered models end, for calendar programs.",
            "model_ends:write_ics",
        ),
    ),
    "Evidence": (
        (
            "evidence keygen",
            "Create a key pair that signs and verifies evidence packages.",
            "evidence_keys:generate_keys",
        ),
        (
            "evidence make",
            "Make a signed evidence package from a registry and telemetry.",
            "evidence_make:make_package",
        ),
        (
            "evidence timestamp",
            "Add a time stamp of an authority to a signed package (RFC 3161).",
            "evidence_timestamp:stamp_package",
        ),
        (
            "evidence verify",
            "Check that evidence packages are what a trusted key signed, and show their results.",
            "evidence_verify:verify_packages",
        ),
        ("evidence show", "Show the contents of an evidence package.", "evidence_show:show_package"),
        (
            "evidence frameworks",
            "List the frameworks and clauses that evidence can support, or explain one.",
            "evidence_frameworks:list_frameworks",
        ),
    ),
    "Collector": (
        (
            "collector transform",
            "Write the Collector's transform processor that enriches spans.",
            "collector_export:write_transform",
        ),
        (
            "collector lookup",
            "Write the lookup file to which the transform processor refers.",
            "collector_export:write_lookup",
        ),
        (
            "collector lookup-processor",
            "Write the Collector's lookup processor, which reads models again without a restart.",
            "collector_export:write_lookup_processor",
        ),
        (
            "collector lookup-source",
            "Write the source of the lookup processor: the attributes of each name.",
            "collector_export:write_lookup_source",
        ),
    ),
}
"""Name, summary and place of each command, by section."""

COMMANDS: Final[tuple[CommandRow, ...]] = tuple(
    CommandRow(name, summary, section, place) for section, rows in _TABLE.items() for name, summary, place in rows
)
"""All commands, in the order of the help."""

GROUPS: Final[dict[str, str]] = {
    "collector": "Write configuration for the OpenTelemetry Collector, which then enriches spans.",
    "evidence": "Make, verify and read evidence packages for auditors.",
    "calendar": "Work with the days on which providers stop serving models.",
}
"""The groups of commands, with what their commands do."""


def examples(*lines: str) -> Callable[[_Function], _Function]:
    """Give a command examples for its help: command lines without the program's name. The tests run each of them."""

    def add_examples(function: _Function) -> _Function:
        function.examples = lines  # type: ignore[attr-defined]
        return function

    return add_examples


def list_command_names() -> list[str]:
    """Return the names of the commands and groups of the top level, in the order of the help."""
    return list(dict.fromkeys(row.name.partition(" ")[0] for row in COMMANDS))


def list_sections() -> dict[str, list[tuple[str, str]]]:
    """Return the names and summaries of the top level, by section."""
    sections: dict[str, dict[str, str]] = {}
    for row in COMMANDS:
        group = row.name.partition(" ")[0]
        sections.setdefault(row.section, {})[group] = GROUPS.get(group, row.summary)
    return {section: list(names.items()) for section, names in sections.items()}


def build_command(name: str) -> Any | None:
    """Return the command or the group with this name, for typer; ``None`` if there is none."""
    rows = [row for row in COMMANDS if row.name == name or row.name.startswith(f"{name} ")]
    if not rows:
        return None
    app = typer.Typer(rich_markup_mode=None, add_completion=False, no_args_is_help=name in GROUPS)
    for row in rows:
        function = load_function(row)
        app.command(row.name.rpartition(" ")[2], epilog=_format_examples(function.examples))(function)  # type: ignore[attr-defined]
    if name in GROUPS:
        app.callback(help=GROUPS[name])(_do_nothing)
    return typer.main.get_command(app)


def load_function(row: CommandRow) -> Callable[..., None]:
    """Import the function of a command."""
    module, _, function = row.place.partition(":")
    loaded: Callable[..., None] = getattr(importlib.import_module(f"{_FOLDER}.{module}"), function)
    return loaded


def _format_examples(lines: Iterable[str]) -> str:
    r"""Return the end of a command's help. ``\b`` keeps typer from joining the lines."""
    return "\n".join(("\b", "Examples:", *map(_wrap_example, lines)))


def _wrap_example(line: str) -> str:
    """Return a command line for a shell, continued on further lines before options that do not fit."""
    wrapped = [f"  {PROGRAM}"]
    for part in re.split(r" (?=-)", line):
        if len(f"{wrapped[-1]} {part}") > _EXAMPLE_WIDTH:
            wrapped.append("     ")
        wrapped[-1] += f" {part}"
    return " \\\n".join(wrapped)


def _do_nothing() -> None:
    """Take no options: a group has only commands."""
