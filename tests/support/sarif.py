"""Checks of logs in SARIF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = json.loads(Path(__file__).with_suffix(".schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def validate(log: dict[str, Any]) -> None:
    """Check a log against the schema, and what a schema cannot say."""
    VALIDATOR.validate(log)
    (run,) = log["runs"]
    for result in run["results"]:
        rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert (rule["id"], rule["defaultConfiguration"]["level"]) == (result["ruleId"], result["level"])
    prints = [result["partialFingerprints"]["spanforgeModelsRule/v1"] for result in run["results"]]
    assert len(prints) == len(set(prints))


def locate(result: dict[str, Any]) -> tuple[str, int | None, int | None]:
    """Return the file, line and column of a result."""
    place = result["locations"][0]["physicalLocation"]
    region = place.get("region", {})
    return place["artifactLocation"]["uri"], region.get("startLine"), region.get("startColumn")
