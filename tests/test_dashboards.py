"""Grafana's dashboards against the tables of the code and Grafana's schema, without a Grafana."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.prometheus import unknown_names

from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, LIFECYCLE, OPERATIONS, RISK_TIERS, STATUSES
from spanforge.model_registry._core.resolution import UNREGISTERED

ROOT = Path(__file__).parent.parent
BOARDS: dict[str, dict[str, Any]] = {
    file.stem.removeprefix("model-registry-"): json.loads(file.read_text("utf-8"))
    for file in sorted((ROOT / "collector-config" / "grafana" / "dashboards").glob("*.json"))
}
each_board = pytest.mark.parametrize("board", BOARDS)
GROUPS = re.compile(r"sum by \(([^)]*)\)")
needs_sdk = pytest.mark.skipif(sys.version_info < (3, 11), reason="grafana-foundation-sdk needs Python 3.11")


def queries(board: str) -> list[str]:
    """Return the queries of a dashboard's panels."""
    return [target["expr"] for panel in BOARDS[board]["panels"] for target in panel["targets"]]


def selected(board: str, label: str) -> set[str]:
    """Return the single values of a label that the queries of a dashboard select."""
    return {value for query in queries(board) for value in re.findall(rf'\b{label}="([^"$]+)"', query)}


@pytest.mark.slow
@needs_sdk
def test_dashboards_are_up_to_date() -> None:
    """``make docs`` would change nothing."""
    subprocess.run([sys.executable, ROOT / "tools" / "dashboards.py", "--check"], check=True)


@needs_sdk
@each_board
def test_grafana_knows_every_key(board: str) -> None:
    """Grafana's schema loses nothing of a dashboard: there is no key in it that it does not know."""
    from grafana_foundation_sdk.cog.encoder import JSONEncoder  # noqa: PLC0415 - needs Python 3.11
    from grafana_foundation_sdk.cog.plugins import register_default_plugins  # noqa: PLC0415
    from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415

    register_default_plugins()
    read = Dashboard.from_json(BOARDS[board])
    assert json.loads(JSONEncoder().encode(read)) == BOARDS[board]


@each_board
def test_links_use_variables_and_labels_that_exist(board: str) -> None:
    """Links use the variables of the dashboard and the labels of their table, and lead to dashboards that exist."""
    variables = {variable["name"] for variable in BOARDS[board]["templating"]["list"]}
    for panel in BOARDS[board]["panels"]:
        labels = ", ".join(GROUPS.findall(panel["targets"][0]["expr"])).split(", ")
        for link in panel["fieldConfig"]["defaults"].get("links", []):
            used = re.findall(r"\$\{([^}]+)\}", link["url"])
            fields = {name.removeprefix("__data.fields.") for name in used if name.startswith("__data.fields.")}
            assert fields <= set(labels), link["title"]
            assert {name for name in used if not name.startswith("__")} <= variables, link["title"]
            for uid in re.findall(r"^/d/([\w-]+)", link["url"]):
                assert uid.removeprefix("model-registry-") in BOARDS


def test_every_flagged_status_is_a_violation() -> None:
    """The dashboard of violations has panels for the calls of each flagged status, and a graph of all of them."""
    statuses = FLAGGED_STATUSES | {UNREGISTERED}
    assert selected("violations", "model_registry_status") == statuses
    (graph,) = (panel for panel in BOARDS["violations"]["panels"] if "should not be called" in panel["title"])
    (values,) = re.findall(r'model_registry_status=~"([^"]+)"', graph["targets"][0]["expr"])
    assert set(values.split("|")) == statuses


def test_the_lifecycle_has_every_status_and_event() -> None:
    """The dashboard of the lifecycle shows each status by its colour, and counts the event of each operation."""
    (panel,) = (panel for panel in BOARDS["lifecycle"]["panels"] if panel["title"] == "Status")
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert {each["text"]: each["color"] for each in mapping["options"].values()} == {
        status: row.colour for status, row in LIFECYCLE.items()
    }
    assert selected("lifecycle", "model_registry_status") == set(STATUSES)
    assert selected("lifecycle", "event_name") == {row.event for row in OPERATIONS.values()}


@each_board
def test_no_tier_is_written_by_hand(board: str) -> None:
    """Queries show risk tiers, and select none: a new tier needs no change of a dashboard."""
    assert selected(board, "model_registry_risk_tier") & set(RISK_TIERS) == set()


@each_board
def test_panels_use_metrics_and_labels_that_there_are(board: str) -> None:
    """The plugin's metrics and labels in the queries are rows of ``METRICS`` and ``ATTRIBUTES``."""
    for query in queries(board):
        assert unknown_names(query) == set()
