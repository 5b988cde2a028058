"""Entries for the rules of ``check``, and what the rules find in them."""

from __future__ import annotations

from typing import Any

from support.entries import FIELDS

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._cli.lint_rules import LINT_RULES
from spanforge.model_registry._cli.lint_types import Catalog
from spanforge.model_registry.calendar import Announcement, Calendar

TODAY = "2026-11-29"
CALENDAR = Calendar(
    [
        Announcement(
            provider="openai", model=model, shutdown_on=day, source="https://acme.example", checked_on="2026-01-01"
        )
        for model, day in (("gone-1", "2026-11-29"), ("going-1", "2027-02-27"), ("later-1", "2027-02-28"))
    ]
)
ACTIVE = {"contact": "#team"}
DEPRECATED = {**ACTIVE, "deprecation_date": "2026-01-01", "sunset_date": "2027-01-01", "successor": "m"}


def entry(model_id: str, metadata: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return an entry without any finding, but for these fields."""
    status = fields.get("status", "active")
    base = DEPRECATED if status == "deprecated" else ACTIVE
    dates = {"decommission_date": "2026-02-01"} if status == "retired" else {}
    return {**FIELDS, **dates, "model_id": model_id, **fields, "metadata": {**base, **(metadata or {})}}


def named(model_id: str, *aliases: str, provider: str | list[str] | None = None) -> dict[str, Any]:
    """Return an entry with aliases and a provider."""
    limits = {} if provider is None else {"provider": provider}
    return entry(model_id, {"aliases": [*aliases], **limits})


def find_issues(entries: list[dict[str, Any]], *names: str) -> list[tuple[str, str | None, str | None]]:
    """Return the rule, model and field of each issue that rules find in a registry."""
    made = [ModelRegistryEntry.from_dict(fields) for fields in entries]
    catalog = Catalog(made, TODAY, CALENDAR)
    return [
        (rule.name, None if issue.number is None else made[issue.number].model_id, issue.field)
        for rule in LINT_RULES
        if rule.find is not None and (not names or rule.name in names)
        for issue in rule.find(catalog)
    ]
