"""Registry files in JSON."""

from __future__ import annotations

import json
from typing import Any

ENTRY: dict[str, Any] = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "2024-05",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "Kundendienst für Zürich 東京 🚆",
    "status": "active",
    "deployment_date": "2024-05-13",
    "decommission_date": None,
    "metadata": {"tags": ["a", {"b": None}], "share": 0.5, "count": -3, "on": True, "none": [], "nothing": {}},
}
WRITTEN = json.dumps([ENTRY], indent=2, ensure_ascii=False) + "\n"
"""The file that ``save`` writes of this entry."""


def changed(**values: Any) -> bytes:
    """Return a file of two entries whose second one differs from ``ENTRY`` in these fields; ``...`` leaves one out."""
    fields = {**ENTRY, "model_id": "b", **values}
    return json.dumps([ENTRY, {key: value for key, value in fields.items() if value is not ...}]).encode()


def with_text(text: bytes) -> bytes:
    """Return such a file whose second entry has this text as the value of a key of its metadata."""
    return changed(metadata={"x": "HERE"}).replace(b'"HERE"', text)


def record(**values: Any) -> dict[str, Any]:
    return {"at": "2024-05-13T08:00:00Z", "status": "active", "owner": "a", "risk_tier": "low", **values}
