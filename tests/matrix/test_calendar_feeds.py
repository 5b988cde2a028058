"""The real model map in the litellm package, read as a provider calendar and as a source of entries."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.year import check_year, choose_families, simulate_year

from spanforge.model_registry._cli.import_litellm import join_families, read_litellm_map
from spanforge.model_registry._cli.import_plan import plan_import
from spanforge.model_registry._cli.import_rows import read_import_source
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry.calendar import Calendar, read_feed

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.matrix

FOLDER = "import importlib.util; print(importlib.util.find_spec('litellm').submodule_search_locations[0])"


@pytest.fixture(scope="module")
def price_map(environment: Callable[..., Path]) -> Path:
    """Return the path of litellm's model map."""
    done = subprocess.run([environment("litellm"), "-c", FOLDER], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip()) / "model_prices_and_context_window_backup.json"


def test_every_date_of_the_map_is_read(price_map: Path, tmp_path: Path) -> None:
    """The calendar has as many announcements as the text of the map has dates, and a saved one is the same."""
    calendar = read_feed(price_map, "litellm", checked_on="2026-11-29")
    dates = re.findall(r'"deprecation_date": "([0-9-]+)"', price_map.read_text("utf-8"))
    assert sorted(row.shutdown_on or "" for row in calendar) == sorted(dates)
    assert len(calendar) == len(dates) > 500
    calendar.save(tmp_path / "calendar.json")
    assert Calendar.load(tmp_path / "calendar.json") == calendar


def test_every_name_of_the_map_is_found(price_map: Path) -> None:
    """Each name is found with its own provider, and the day is its own or an earlier one of another source."""
    calendar = read_feed(price_map, "litellm", checked_on="2026-11-29")
    for row in calendar:
        found = calendar.find(row.model, provider=row.provider)
        assert found, row
        assert (found.shutdown_on or "") <= (row.shutdown_on or ""), row


def test_every_name_of_the_map_is_imported(price_map: Path) -> None:
    """The map's names become far fewer entries, and each name resolves to one of them with its own provider."""
    rows = list(read_litellm_map(read_import_source(str(price_map))))
    plan = plan_import(join_families(rows))
    assert not [row for row in plan.skipped if row.is_fault]
    assert len(plan.entries) < len(rows) / 2
    index = ModelIndex(entry.check() for entry in plan.entries)
    assert all(index.search(str(row.model_id), next(iter(row.providers), None)).entry for row in rows)


def test_a_year_with_real_dates(
    price_map: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the map's dates and 50 models of it, each model warns once at each step of a year, and nothing flaps."""
    calendar = read_feed(price_map, "litellm", checked_on="2026-11-29")
    families = choose_families(calendar, 50)
    counts = check_year(simulate_year(calendar, families, monkeypatch, caplog), families)
    assert all(counts.values())
