"""A generator of the parts of the documentation that repeat tables of the code.

A part is between the comments ``<!-- table: name -->`` (or ``list``, ``sentence``, ``api``, ``commands``) and
``<!-- end -->``. With ``--check``, the program only compares.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

from api import render_module
from command_help import render_commands

from spanforge.model_registry._cli.differences import DIFFERENCE_KINDS
from spanforge.model_registry._cli.importing import IMPORT_FORMATS
from spanforge.model_registry._cli.lint_rules import ALL_RULES
from spanforge.model_registry._core.announcements import CALENDAR_FIELDS
from spanforge.model_registry._core.attributes import ATTRIBUTES, PREFIX
from spanforge.model_registry._core.calendar_feeds import FEEDS
from spanforge.model_registry._core.conventions import CONVENTIONS, PROVIDER_KEYS, Convention
from spanforge.model_registry._core.entry_fields import ENTRY_FIELDS
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS, OPERATIONS, RISK_TIERS, STATUSES
from spanforge.model_registry._core.name_tables import PATHS, PROVIDER_WORDS, SEGMENTS
from spanforge.model_registry._core.provider_tables import NOT_PROVIDERS, PROVIDERS, VENDORS
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.settings import SAMPLE_FLAGGED, SETTINGS
from spanforge.model_registry._core.span_kinds import CALL_EVIDENCE, INFRASTRUCTURE, NOT_CALLS
from spanforge.model_registry._core.validation import RESERVED, ReservedKey
from spanforge.model_registry._core.version_tables import NAME_TAGS, REVISIONS, SNAPSHOTS
from spanforge.model_registry.compliance._analysis.checks import EVIDENCE_CHECKS
from spanforge.model_registry.compliance._formats.oscal import OBJECTIVE_STATUSES
from spanforge.model_registry.compliance._frameworks.fields import APPLICATION_FIELDS, CLAUSE_FIELDS, FRAMEWORK_FIELDS
from spanforge.model_registry.compliance._frameworks.shipped import list_shipped
from spanforge.model_registry.compliance._report import LIMITS
from spanforge.model_registry.compliance._sources.formats import FORMATS
from spanforge.model_registry.compliance._sources.log_calls import CALL_EVENTS
from spanforge.model_registry.otel._metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry.compliance._frameworks.fields import FrameworkField
    from spanforge.model_registry.compliance._frameworks.framework import CheckUse

ROOT = Path(__file__).parent.parent
FRAMEWORK_KINDS: Final = {
    "id": "id",
    "name": "string",
    "text": "string",
    "day": "day",
    "checked": "`official` or `secondary`",
    "texts": "list of strings",
    "clauses": "list of clauses",
    "checks": "list of checks",
    "dates": "list of dates",
}
"""The words for the kinds of values in a framework file."""
CALENDAR_KINDS: Final = {"name": "name or glob", "text": "string", "day": "day", "names": "list of names"}
"""The words for the kinds of values in a calendar file."""
WIDTH = 118
"""The limit of characters in a line of prose."""
BLOCK = re.compile(r"(<!-- (table|list|sentence|api|commands): ([\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def attributes() -> list[list[str]]:
    """Return the attribute table."""
    rows = [
        [
            f"`{row.key}`",
            row.type,
            "yes" if row.on_events else "no",
            row.on_spans,
            row.note,
        ]
        for row in ATTRIBUTES
    ]
    return [["attribute", "type", "on events", "on LLM spans", "holds"], *rows]


def conventions() -> list[list[str]]:
    """Return the table of attributes that hold model names."""
    head = ["attribute", "holds", "written by"]
    rows = dict.fromkeys((row.key, row.used_by) for row in CONVENTIONS)
    groups = [[row for row in CONVENTIONS if (row.key, row.used_by) == group] for group in rows]
    return [head, *([f"`{group[0].key}`", _holds(group), group[0].used_by] for group in groups)]


def _holds(group: list[Convention]) -> str:
    """Return the content of one attribute of one instrumentation, from its rows."""
    row = group[0]
    text = "response model" if row.response else "request model"
    if row.member is not None:
        text = f"JSON with the request model as {join_names([row.member or '' for row in group], 'or')}"
    elif row.by_gateway:
        text = "model that the gateway chose"
    if row.scope is not None:
        text += f", in the scope {join_names([row.scope or '' for row in group], 'or')}"
    if row.when is not None:
        values = f" is {join_names(row.when.values, 'or')}" if row.when.values else " is set"
        text += f", if `{row.when.key}`{values}"
    return text


def settings() -> list[list[str]]:
    """Return the table of the settings."""
    rows = [[f"`{row.variable}`", f"`{row.shown}`" if row.shown else "none", row.note] for row in SETTINGS]
    return [["variable", "default", "meaning"], *rows]


def checks() -> list[list[str]]:
    """Return the table of the checks of evidence."""
    return [["check", "tests that", "counts"], *([f"`{row.check}`", row.title, row.unit] for row in EVIDENCE_CHECKS)]


def clauses() -> list[list[str]]:
    """Return the table of the clauses that evidence can support."""
    rows = [
        [
            f"`{name}`",
            row.id,
            row.text,
            ", ".join(map(_show_use, row.checks)) or "no check",
            _join_sentences(row.not_covered),
        ]
        for name, framework in list_shipped().items()
        for row in framework.clauses
    ]
    return [["framework", "clause", "asks", "supported by", "not shown"], *rows]


def oscal_statuses() -> list[list[str]]:
    """Return the table of the statuses of clauses in OSCAL."""
    rows = [
        [f"`{status}`", f"`{row.state}`", f"`{row.reason}`", row.meaning] for status, row in OBJECTIVE_STATUSES.items()
    ]
    return [["status of the clause", "`state`", "`reason`", "meaning"], *rows]


def frameworks() -> list[list[str]]:
    """Return the table of the frameworks that the library contains."""
    rows = [
        [f"`{each.id}`", each.name, ", ".join(clause.id for clause in each.clauses), each.checked]
        for each in list_shipped().values()
    ]
    return [["id", "framework", "clauses", "checked"], *rows]


def framework_dates() -> list[list[str]]:
    """Return the table of the days from which clauses apply."""
    rows = [
        [f"`{each.id}`", clause.id, date.date, date.scope, f"[{date.checked}]({date.source})"]
        for each in list_shipped().values()
        for clause in each.clauses
        for date in clause.applies_from
    ]
    return [["framework", "clause", "from", "applies to", "checked"], *rows]


def _tabulate_fields(fields: Mapping[str, FrameworkField]) -> list[list[str]]:
    rows = [
        [f"`{name}`", "yes" if row.required else "no", FRAMEWORK_KINDS[row.kind], row.note]
        for name, row in fields.items()
    ]
    return [["field", "required", "value", "meaning"], *rows]


def _join_sentences(texts: Iterable[str]) -> str:
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in texts)


def _show_use(use: CheckUse) -> str:
    parameters = ", ".join(f"{name} {value:,}" for name, value in use.parameters)
    return f"`{use.check}` ({parameters})" if parameters else f"`{use.check}`"


def operations() -> list[list[str]]:
    """Return the table of the operations and their events."""
    rows = [[f"`{name}`", f"`{row.event}`", f"`{OPERATION_SPAN_NAMES[name]}`"] for name, row in OPERATIONS.items()]
    return [["operation", "event", "the event's own root span, if no sampled span can hold the event"], *rows]


def difference_kinds() -> list[list[str]]:
    """Return the table of the kinds of difference between two registries."""
    return [["kind", "meaning"], *([f"`{name}`", row.meaning] for name, row in DIFFERENCE_KINDS.items())]


def sampling() -> list[list[str]]:
    """Return the table of the sampler's decisions."""
    return [
        ["span", "parent", "decision"],
        [join_names(OPERATION_SPAN_NAMES.values(), "or"), "any, or none", "kept"],
        [f"call of a flagged model, with `{SAMPLE_FLAGGED.variable}=true`", "any, or none", "kept"],
        ["any other", "none", "kept, if the trace id is within the ratio"],
        ["any other", "kept", "kept"],
        ["any other", "not kept", "not kept"],
    ]


def metrics() -> list[list[str]]:
    """Return the table of the metrics."""
    rows = [
        [
            f"`{PREFIX}{row.name}`",
            row.kind,
            f"`{row.unit}`",
            ", ".join(f"`{key}`" for key in row.attributes),
            row.description,
        ]
        for row in METRICS
    ]
    return [["metric", "kind", "unit", "attributes", "meaning"], *rows]


def not_calls() -> list[list[str]]:
    """Return the table of the spans that name a model without being a call."""
    rows = [
        [f"`{key}`", *(_join_kinds(values, kind) for kind in ("agent", "other"))] for key, values in NOT_CALLS.items()
    ]
    return [["attribute", "value on spans of agents and workflows", "value on other spans that are not calls"], *rows]


def _join_kinds(values: Mapping[str, str], kind: str) -> str:
    return join_names(sorted(value for value in values if values[value] == kind), "or")


def infrastructure() -> list[list[str]]:
    """Return the table of the attributes that mark spans whose model name was copied."""
    rows = [[" together with ".join(f"`{key}`" for key in dict.fromkeys(row))] for row in INFRASTRUCTURE]
    return [["attribute"], *rows]


def call_evidence() -> str:
    """Return the sentence about attributes that only LLM instrumentations write."""
    return f"These attributes show it: {join_names(CALL_EVIDENCE, 'and')}."


def calendar_fields() -> list[list[str]]:
    """Return the table of the fields of an announcement in a calendar file."""
    rows = [
        [f"`{name}`", "yes" if row.required else "no", CALENDAR_KINDS[row.kind], row.note]
        for name, row in CALENDAR_FIELDS.items()
    ]
    return [["field", "required", "value", "meaning"], *rows]


def calendar_feeds() -> list[list[str]]:
    """Return the table of the public formats that a calendar can be made from."""
    return [["format", "source"], *([f"`{name}`", row.note] for name, row in FEEDS.items())]


def import_formats() -> list[list[str]]:
    """Return the table of the formats that the command import reads."""
    return [["format", "source"], *([f"`{name}`", row.note] for name, row in IMPORT_FORMATS.items())]


def call_events() -> list[list[str]]:
    """Return the table of the events by which log records report calls."""
    rows = [[f"`{name}`", f"[{event.sender}]({event.source})"] for name, event in CALL_EVENTS.items()]
    return [["event", "sent by"], *rows]


def formats() -> list[str]:
    """Return the list of the telemetry formats."""
    return [f"`{kind}`: {row.note}" for kind, row in FORMATS.items()]


def limits() -> list[str]:
    """Return the list of the limits that every attestation states."""
    return list(LIMITS)


def providers() -> str:
    """Return the sentence about the attributes that hold a provider."""
    keys = join_names(PROVIDER_KEYS, "and")
    return (
        f"The provider is the first non-empty string among {keys}. A framework, or a placeholder such as `unknown`, is "
        "skipped if another of these attributes has a provider."
    )


def flagged() -> str:
    """Return the sentence about flagged models."""
    tiers = join_names((tier for tier in RISK_TIERS if tier in FLAGGED_TIERS), "or")
    statuses = join_names((status for status in STATUSES if status in FLAGGED_STATUSES), "or")
    return f"A model is **flagged** if its risk tier is {tiers}, if it is {statuses}, or if it is not registered."


def file_operations() -> str:
    """Return the sentence about operations on a file's model."""
    names = join_names((name for name, row in OPERATIONS.items() if not row.registers), "and")
    return f"Code can change the status of a file's model with the operations {names}."


def violations() -> str:
    """Return the sentence about the statuses on the dashboard of violations."""
    statuses = [*(status for status in STATUSES if status in FLAGGED_STATUSES), UNREGISTERED]
    return f"The violations dashboard shows calls to models that are {join_names(statuses, 'or')}."


def entry_fields() -> list[list[str]]:
    """Return the table of an entry's fields."""
    kinds = {
        "id": "string",
        "text": "string",
        "tier": join_names([f"`{tier}`" for tier in RISK_TIERS], "or"),
        "status": join_names([f"`{status}`" for status in STATUSES], "or"),
        "metadata": "mapping",
    }
    rows = [
        [f"`{field}`", "yes" if row.required else "no", kinds.get(row.kind, row.kind), row.note]
        for field, row in ENTRY_FIELDS.items()
    ]
    return [["field", "required", "type", "meaning"], *rows]


KINDS: Final[Mapping[str, str]] = {
    "aliases": "list of names",
    "text": "string",
    "names": "string, or list of strings",
    "date": "date",
    "history": "list of records",
}
"""The types of reserved metadata keys."""


def reserved_keys() -> list[list[str]]:
    """Return the table of the reserved metadata keys."""
    rows = [
        [f"`{key}`", KINDS[row.kind], row.note, _writer(row), _attributes_of(key, row) or "none"]
        for key, row in RESERVED.items()
    ]
    return [["key", "type", "meaning", "written by", "attribute"], *rows]


def _writer(row: ReservedKey) -> str:
    return "lifecycle operations" if row.set_by_operations else "you"


def _attributes_of(key: str, reserved: ReservedKey) -> str:
    """Return the attributes that a reserved key adds to spans and events."""
    shown = [f"`{row.key}`" for row in ATTRIBUTES if row.source == "metadata key" and row.name == key]
    if reserved.kind != "history":
        shown.append(f"`{PREFIX}metadata.{key}` on events")
    return ", ".join(shown)


def name_routes() -> list[list[str]]:
    """Return the table of the paths and parts before a model."""
    paths = [[f"`{row.template}/`", row.provider or "any", f"`{row.example}`", row.source] for row in PATHS]
    parts = [[_code(row.pattern), row.provider, f"`{row.example}`", row.source] for row in SEGMENTS]
    return [
        ["path ending in a slash, or regular expression for the text before a slash", "provider", "example", "source"],
        *paths,
        *parts,
    ]


def name_words() -> list[list[str]]:
    """Return the table of the words that providers add."""
    rows = [[f"`{row.text}`", row.provider or "any", f"`{row.example}`", row.source] for row in PROVIDER_WORDS]
    return [["word", "provider", "example", "source"], *rows]


def name_versions() -> list[list[str]]:
    """Return the table of snapshots, revisions and tags."""
    rows = [["snapshot", row.form, row.example, row.source] for row in SNAPSHOTS]
    rows += [["revision", row.form, row.example, row.source] for row in REVISIONS]
    rows += [["moving" if row.moving else "tag", row.text, row.example, row.source] for row in NAME_TAGS]
    shown = [[kind, _code(form), f"`{example}`", source] for kind, form, example, source in rows]
    return [["kind", "text", "example", "source"], *shown]


def name_vendors() -> list[list[str]]:
    """Return the table of the vendors."""
    rows = [
        [
            row.name,
            ", ".join(f"`{text}/`" for text in row.organisations),
            ", ".join(f"`{text}.`" for text in row.dotted),
        ]
        for row in sorted(VENDORS, key=lambda row: row.name.casefold())
    ]
    return [["vendor", "organisations", "prefixes with a dot"], *rows]


def name_providers() -> list[list[str]]:
    """Return the table of the providers that have several spellings."""
    providers = sorted((row for row in PROVIDERS if row.spellings), key=lambda row: row.name)
    rows = [[f"`{row.name}`", ", ".join(f"`{text}`" for text in row.spellings)] for row in providers]
    return [["provider", "further spellings"], *rows]


def not_providers() -> str:
    """Return the sentence about values that are no providers."""
    return f"These values are not providers: {join_names(NOT_PROVIDERS, 'and')}."


def _code(text: str) -> str:
    """Return text in backticks, for a cell of a table."""
    return f"`{text}`".replace("|", "\\|")


def join_names(names: Iterable[str], conjunction: str) -> str:
    """Return names as a list within a sentence."""
    *first, last = (f"`{name}`" for name in names)
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def lint_rules() -> list[list[str]]:
    """Return the table of the rules of ``check``."""
    rows = [[f"`{row.name}`", row.severity, row.sentence, row.fix] for row in ALL_RULES]
    return [["rule", "severity", "what is wrong", "what to do"], *rows]


TABLES = {
    "application_fields": lambda: _tabulate_fields(APPLICATION_FIELDS),
    "attributes": attributes,
    "calendar_feeds": calendar_feeds,
    "import_formats": import_formats,
    "calendar_fields": calendar_fields,
    "call_events": call_events,
    "checks": checks,
    "clause_fields": lambda: _tabulate_fields(CLAUSE_FIELDS),
    "clauses": clauses,
    "oscal_statuses": oscal_statuses,
    "conventions": conventions,
    "difference_kinds": difference_kinds,
    "entry_fields": entry_fields,
    "framework_dates": framework_dates,
    "framework_fields": lambda: _tabulate_fields(FRAMEWORK_FIELDS),
    "frameworks": frameworks,
    "infrastructure": infrastructure,
    "lint_rules": lint_rules,
    "metrics": metrics,
    "name_providers": name_providers,
    "name_routes": name_routes,
    "name_vendors": name_vendors,
    "name_versions": name_versions,
    "name_words": name_words,
    "not_calls": not_calls,
    "operations": operations,
    "reserved_keys": reserved_keys,
    "sampling": sampling,
    "settings": settings,
}
LISTS = {"formats": formats, "limits": limits}
SENTENCES = {
    "call_evidence": call_evidence,
    "file_operations": file_operations,
    "flagged": flagged,
    "not_providers": not_providers,
    "providers": providers,
    "violations": violations,
}


def render(rows: list[list[str]]) -> str:
    """Return rows as a Markdown table."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def render_list(items: list[str]) -> str:
    """Return items as a Markdown list."""
    return "".join(f"{textwrap.fill(f'- {item}', WIDTH, subsequent_indent='  ')}\n" for item in items)


def update(text: str) -> str:
    """Return a page with its generated parts up to date."""

    def render_part(part: re.Match[str]) -> str:
        begin, kind, name, end = part.groups()
        if kind == "table":
            content = render(TABLES[name]())
        elif kind == "list":
            content = render_list(LISTS[name]())
        elif kind == "api":
            content = f"\n{render_module(name)}\n"
        elif kind == "commands":
            content = f"\n{render_commands(name)}\n"
        else:
            content = f"{textwrap.fill(SENTENCES[name](), WIDTH)}\n"
        return f"{begin}{content}{end}"

    return BLOCK.sub(render_part, text)


def main(arguments: list[str]) -> int:
    """Update all pages, or with ``--check`` report those that are out of date."""
    pages = [ROOT / "README.md", ROOT / "collector-config" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    stale = [page for page in pages if update(page.read_text("utf-8")) != page.read_text("utf-8")]
    for page in stale:
        if "--check" in arguments:
            print(f"{page.relative_to(ROOT)} is out of date: run make docs", file=sys.stderr)
        else:
            page.write_text(update(page.read_text("utf-8")), "utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
