"""Writes the tables of the documentation from the tables of the code; with ``--check`` it only compares."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from spanforge.model_registry._core.attributes import ATTRIBUTES, PREFIX
from spanforge.model_registry._core.conventions import CONVENTIONS, Convention
from spanforge.model_registry._core.settings import SETTINGS
from spanforge.model_registry.compliance._analysis.checks import CHECKS
from spanforge.model_registry.compliance._frameworks import FRAMEWORKS
from spanforge.model_registry.otel._metrics import METRICS

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


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
    return [head, *([f"`{row.key}`", _holds(row), row.used_by] for row in CONVENTIONS)]


def _holds(row: Convention) -> str:
    if row.member is not None:
        return f"JSON with a member `{row.member}`"
    return "answered name" if row.response else "name"


def settings() -> list[list[str]]:
    """Return the table of the settings."""
    rows = [[f"`{row.variable}`", f"`{row.shown}`" if row.shown else "none", row.note] for row in SETTINGS]
    return [["variable", "default", "meaning"], *rows]


def checks() -> list[list[str]]:
    """Return the table of the checks of evidence."""
    return [["check", "looks for", "counts"], *([f"`{row.check}`", row.title, row.unit] for row in CHECKS)]


def clauses() -> list[list[str]]:
    """Return the table of the clauses that evidence can support."""
    rows = [
        [f"`{name}`", row.clause, row.asks, ", ".join(f"`{check}`" for check in row.checks), "; ".join(row.not_shown)]
        for name, framework in FRAMEWORKS.items()
        for row in framework.clauses
    ]
    return [["framework", "clause", "asks", "supported by", "not shown"], *rows]


def metrics() -> list[list[str]]:
    """Return the table of the metrics."""
    rows = [
        [f"`{PREFIX}{row.name}`", row.kind, f"`{row.unit}`", ", ".join(f"`{key}`" for key in row.attributes), row.note]
        for row in METRICS
    ]
    return [["metric", "kind", "unit", "attributes", "what"], *rows]


TABLES = {
    "attributes": attributes,
    "checks": checks,
    "clauses": clauses,
    "conventions": conventions,
    "metrics": metrics,
    "settings": settings,
}


def render(rows: list[list[str]]) -> str:
    """Return rows as a Markdown table."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def updated(text: str) -> str:
    """Return a page with its tables up to date."""
    return BLOCK.sub(lambda block: f"{block[1]}{render(TABLES[block[2]]())}{block[3]}", text)


def main(arguments: list[str]) -> int:
    """Update every page, or with ``--check`` tell which are out of date."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    stale = [page for page in pages if updated(page.read_text("utf-8")) != page.read_text("utf-8")]
    for page in stale:
        if "--check" in arguments:
            print(f"{page.relative_to(ROOT)} is out of date: run make docs", file=sys.stderr)
        else:
            page.write_text(updated(page.read_text("utf-8")), "utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
