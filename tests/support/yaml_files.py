"""Registry files in YAML."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

ENTRY = """\
- model_id: gpt-4o
  name: GPT-4o
  version: 2024-05
  risk_tier: high
  owner: ml-platform
  purpose: customer support
"""
OTHER = ENTRY.replace("gpt-4o", "b", 1)
"""An entry with the id ``b``: after ``ENTRY`` its lines are 7 to 12."""
PLAIN = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "2024-05",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "customer support",
    "status": "active",
    "deployment_date": None,
    "decommission_date": None,
    "metadata": {},
}
needs_libyaml = pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is built without libyaml")
LOADERS = [pytest.param("CSafeLoader", marks=needs_libyaml), "SafeLoader"]
_FASTEST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> Any:
    """Return the value of a YAML text, from libyaml if PyYAML has it: it takes a tenth of the time."""
    return yaml.load(text, _FASTEST)
