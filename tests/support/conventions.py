"""Attributes by which conventions name a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spanforge.model_registry._core.conventions import Convention


def name_model(row: Convention, name: str) -> dict[str, str]:
    """Return the attributes by which a convention names a model: its key, and what its condition needs."""
    text = name if row.member is None else json.dumps({"n": 1, row.member: name})
    condition = {} if row.when is None else {row.when.key: (*row.when.values, "chat")[0]}
    return {row.key: text} | condition
