"""The page ``report.html``: a pure function of an attestation.

The page is one file without scripts that requests nothing. Its policy for browsers allows only its own style sheet.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib
from importlib import resources
from typing import TYPE_CHECKING, Final

from spanforge.model_registry.compliance._attestation_parts import ABOUT_ARCHIVE
from spanforge.model_registry.compliance._optional_modules import OptionalModule
from spanforge.model_registry.compliance._page import texts
from spanforge.model_registry.compliance._page.timeline import build_timeline, draw_coverage
from spanforge.model_registry.compliance._page.views import (
    MAX_ROWS,
    count_by_model,
    fold_rows,
    list_found_checks,
    list_not_shown,
    rank_inventory,
    summarize_checks,
    tabulate_calls,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2
    import svg

    from spanforge.model_registry.compliance._attestation import Attestation
    from spanforge.model_registry.compliance._attestation_figures import ModelFigures
else:
    jinja2 = OptionalModule("jinja2", "evidence packages", "compliance")
    svg = OptionalModule("svg", "evidence packages", "compliance")

_TABLE_COLUMNS: Final = {
    "FINDING_COLUMNS": ("Model and reason", "How often", "When", "Service and sender", "Owner", "Trace id, span id"),
    "MODEL_COLUMNS": (
        "Model",
        "Calls",
        "Broken rules",
        "Status",
        "Risk tier",
        "Owner",
        "Services and sender",
        "First and last call",
    ),
    "CHECK_COLUMNS": ("Rule", "Result", "Exceptions", "Without exception", "Notes"),
    "CHANGE_COLUMNS": ("When", "Model", "New status", "Reason", "Changed by", "Event"),
    "CLAUSE_COLUMNS": ("Clause", "Applies from", "Source"),
    "GAP_COLUMNS": ("From", "Until", "Length"),
    "INPUT_COLUMNS": ("Input", "Format", "Spans", "Unreadable", "First and last span", "Faults"),
    "SENDER_COLUMNS": ("Sender", "Spans", "Calls", "Models called", "Agent spans", "Lifecycle events"),
    "NAME_COLUMNS": ("Name", "Calls"),
    "MATCH_COLUMNS": ("Name", "Entry", "Rule", "Calls"),
    "SUBSTITUTION_COLUMNS": ("Requested", "Answered", "Calls", "Trace id, span id"),
    "AGENT_COLUMNS": ("Model", "Service", "Spans"),
    "NUMBERS": frozenset(
        {
            *("How often", "Calls", "Broken rules", "Without exception", "Length", "Spans", "Unreadable"),
            *("Models called", "Agent spans", "Lifecycle events"),
        }
    ),
}
"""The columns of the tables, and those with numbers."""
_MAX_TEXTS: Final = 50
"""The limit of reasons, limits and files that the page lists."""


def render_page(attestation: Attestation) -> bytes:
    """Return the page in UTF-8. The same attestation has the same page.

    Raises:
        MissingExtraError: The extra ``compliance`` is not installed (also an ``ImportError``).
    """
    broken = count_by_model(attestation)
    inventory = rank_inventory(attestation.inventory, broken)
    senders = [each for each in attestation.senders if each.spans or each.calls or each.lifecycle_events]
    found = list_found_checks(attestation)
    context = {
        "a": attestation,
        "period": texts.show_period(attestation.period.from_date, attestation.period.to_date),
        "checks": {check.check: check for check in attestation.checks},
        "check_rows": fold_rows(attestation.checks),
        "clause_rows": fold_rows(attestation.clauses, limit=len(attestation.clauses)),
        "failed": sum(check.status == "findings" for check in attestation.checks),
        "found": found,
        "is_cut": any(each.left > 0 for each in found),
        "not_shown": list_not_shown(attestation),
        "inventory": fold_rows(inventory, max(attestation.inventory_count, len(inventory))),
        "models": _number_models(inventory[:MAX_ROWS]),
        "broken": broken,
        "calls": tabulate_calls(attestation),
        "senders": fold_rows(senders),
        "timeline": build_timeline(attestation),
        "coverage_chart": draw_coverage(attestation.coverage, attestation.period),
        "changes": fold_rows(attestation.changes),
        "gaps": fold_rows(attestation.coverage.gaps, attestation.coverage.gap_count),
        "inputs": fold_rows(attestation.inputs),
        "unregistered": fold_rows(attestation.unregistered_names),
        "matched": fold_rows(attestation.matched_names),
        "substitutions": fold_rows(attestation.substitutions),
        "agents": fold_rows(attestation.agent_only_models),
    }
    return _load_template().render(context).encode()


def require_page_modules() -> None:
    """Import the modules that a page needs, so that a missing one is noticed before telemetry is read.

    Raises:
        MissingExtraError: The extra ``compliance`` is not installed (also an ``ImportError``).
    """
    for module in (jinja2, svg):
        importlib.import_module(module.__name__)


def _number_models(rows: Sequence[ModelFigures]) -> dict[str, int]:
    """Return the number of the first row of each model, for links."""
    numbers = dict[str, int]()
    for number, row in enumerate(rows, 1):
        if row.name:
            numbers.setdefault(row.name, number)
    return numbers


@functools.cache
def _load_template() -> jinja2.Template:
    """Return the template, with the texts and the style sheet that every page has."""
    files = resources.files(__package__)
    style = (files / "page.css").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True,
        finalize=texts.escape_invisible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "text": texts.show_text,
        "number": texts.show_number,
        "exactly": texts.show_exactly,
        "moment": texts.show_moment,
        "duration": texts.show_seconds,
    }
    environment.globals |= {
        **_TABLE_COLUMNS,
        "RESULTS": texts.RESULTS,
        "VERDICTS": texts.VERDICTS,
        "STATUSES": texts.STATUS_LABELS,
        "SENDERS": texts.SENDERS_SHOWN,
        "READ_IN": texts.READ_IN,
        "ABOUT_ARCHIVE": ABOUT_ARCHIVE,
        "MAX_REASONS": _MAX_TEXTS,
        "MAX_FILES": _MAX_TEXTS,
        "names": texts.join_services,
        "share": texts.show_share,
        "summarize_checks": summarize_checks,
        "style": style,
        "style_digest": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    }
    return environment.from_string((files / "page.html.jinja").read_text("utf-8"))
