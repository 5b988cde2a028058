"""Model names in the price map of the litellm package: every name is parsed, and every family's names are listed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.model_names import FAMILIES

from spanforge.model_registry._core.names import parse

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.matrix

FOLDER = "import importlib.util; print(importlib.util.find_spec('litellm').submodule_search_locations[0])"


@pytest.fixture(scope="module")
def price_map(environment: Callable[..., Path]) -> dict[str, Any]:
    """Return litellm's price map, by name."""
    done = subprocess.run([environment("litellm"), "-c", FOLDER], check=True, capture_output=True, text=True)
    path = Path(done.stdout.strip()) / "model_prices_and_context_window_backup.json"
    return json.loads(path.read_text("utf-8"))


def test_all_names_have_a_base_name(price_map: dict[str, Any]) -> None:
    """The base name of every name is its own base name."""
    assert len(price_map) > 2_000
    for name in price_map:
        base = parse(name).base
        assert base
        assert parse(base).base == base


@pytest.mark.parametrize("model_id", FAMILIES)
def test_all_names_of_a_family_are_listed(model_id: str, price_map: dict[str, Any]) -> None:
    """The lists in ``tests/support/model_names.json`` contain every name with the family's words."""
    family = FAMILIES[model_id]
    names = {name for name in price_map if re.search(family.words, name, re.IGNORECASE)}
    assert names <= {*family.right, *family.siblings}
