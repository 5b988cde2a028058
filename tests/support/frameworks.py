"""Frameworks for tests."""

from __future__ import annotations

from typing import Any

from spanforge.model_registry.compliance import Framework
from spanforge.model_registry.compliance._frameworks.fields import PARAMETERS

LONGEST_DAYS = 30
"""The days that the checks of ``make_framework`` require."""


def list_uses() -> list[Any]:
    """Return all checks, with parameters, as a file has them."""
    return [
        {"check": check, **dict.fromkeys((row.name for row in rows), LONGEST_DAYS)} if rows else check
        for check, rows in PARAMETERS.items()
    ]


def make_clause(clause_id: str = "1", **fields: Any) -> dict[str, Any]:
    """Return the fields of a clause with all checks; ``fields`` replace these."""
    texts = {"title": "Models", "text": "Models are known."}
    return {"id": clause_id, **texts, "checks": list_uses(), "not_covered": ["the rest"], **fields}


def make_fields(*clauses: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the fields of a framework with these clauses, or one clause with all checks; ``fields`` replace others."""
    facts = {"id": "house_rules", "title": "House rules", "edition": "of 2026", "source": "the wiki"}
    return {**facts, "checked": "official", "clauses": list(clauses) or [make_clause()], **fields}


def make_framework(*clauses: dict[str, Any], **fields: Any) -> Framework:
    """Return such a framework."""
    return Framework.from_dict(make_fields(*clauses, **fields))
