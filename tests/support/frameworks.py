"""Frameworks for tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from spanforge.model_registry.compliance import Framework
from spanforge.model_registry.compliance._frameworks.fields import PARAMETERS

LONGEST_DAYS = 30
"""The days that the checks of ``make_framework`` require."""


HOSTILE_TEXTS = (
    '<script>alert("x")</script>',
    "\x1b[31m",
    "=1+1",
    "../../etc",
    "a\u2028b",
    "|`*_[x](y)",
    "]]>",
    "\ud7ff",
)
"""Texts of frameworks that would execute or break a format if they were not escaped."""


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


@st.composite
def drawn_frameworks(draw: st.DrawFn) -> Framework:
    """Draw a framework with any checks in its clauses, and hostile texts."""
    texts = st.text(min_size=1, max_size=20).filter(lambda text: not text.isspace()) | st.sampled_from(HOSTILE_TEXTS)
    uses = st.lists(st.sampled_from(list_uses()), unique_by=str, max_size=4)
    dates = st.lists(
        st.fixed_dictionaries(
            {
                "date": st.dates().map(str),
                "scope": texts,
                "source": texts,
                "checked": st.sampled_from(["official", "secondary"]),
            }
        ),
        max_size=2,
    )
    ids = draw(st.lists(texts.map(str.strip), unique=True, min_size=1, max_size=3))
    rests = st.lists(texts, min_size=1, max_size=2)
    clauses = [
        make_clause(
            each,
            title=draw(texts),
            text=draw(texts),
            checks=draw(uses),
            not_covered=draw(rests),
            applies_from=draw(dates),
        )
        for each in ids
    ]
    return make_framework(*clauses, title=draw(texts), edition=draw(texts), source=draw(texts))
