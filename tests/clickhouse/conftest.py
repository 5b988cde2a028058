"""Fixtures of the tests that need ClickHouse's engine. ``tests/e2e/test_clickhouse.py`` runs them."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest
from support.clickhouse_database import PASSWORD, Database, serving_clickhouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.clickhouse_tables import Layout

if importlib.util.find_spec("chdb") is None:
    collect_ignore_glob = ["test_*.py"]

LAYOUTS: dict[str, tuple[Layout, bool]] = {
    "map": ("map", False),
    "before_0_151": ("map", True),
    "json": ("json", False),
}
"""The layouts of the exporter's tables, and whether log records are in those of a version before 0.151."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Run the engine with a database for each layout."""
    with serving_clickhouse(tmp_path_factory.mktemp("clickhouse")) as database:
        for name, (layout, is_old) in LAYOUTS.items():
            database._replace(name=name, layout=layout).create(before_0_151=is_old)
        yield database


@pytest.fixture(scope="session", params=LAYOUTS)
def database(request: pytest.FixtureRequest, server: Database) -> Database:
    """Give a database in each layout."""
    return server._replace(name=request.param, layout=LAYOUTS[request.param][0])


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the password."""
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", PASSWORD)
