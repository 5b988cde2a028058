"""The parsers of other tools for the formats in evidence packages, and the figures in these formats."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARKUP = frozenset({"title", "description", "remarks", "prose"})
"""The fields of OSCAL that have Markdown."""
TAG = re.compile(r"</?(\w+)")


@cache
def _load_validator() -> JsonStrictValidator:
    return JsonStrictValidator(SchemaVersion.V1_6)


def read_bom(content: bytes) -> dict[str, Any]:
    """Return a BOM after its validation by the strict schema of CycloneDX 1.6."""
    assert _load_validator().validate_str(content.decode()) is None
    bom: dict[str, Any] = json.loads(content)
    references = [part["bom-ref"] for part in (*bom["components"], *bom.get("services", ()))]
    assert len(set(references)) == len(references)
    for each in bom.get("dependencies", ()):
        assert {each["ref"], *each["dependsOn"]} <= set(references)
    return bom


def read_oscal(content: bytes) -> dict[str, Any]:
    """Return assessment results after their validation by compliance-trestle, without unknown references or markup."""
    models = pytest.importorskip("trestle.oscal.assessment_results", reason="compliance-trestle needs Python 3.11")
    models.Model.model_validate_json(content)
    results: dict[str, Any] = json.loads(content)["assessment-results"]
    identifiers = [value for key, value in list_fields(results) if key == "uuid"]
    assert len(set(identifiers)) == len(identifiers)
    for key, value in list_fields(results):
        if key in {"observation-uuid", "actor-uuid", "component-uuid"}:
            assert value in identifiers
        if key == "href" and value.startswith("#"):
            assert value[1:] in identifiers
        if key in MARKUP:
            assert set(TAG.findall(MarkdownIt().render(value))) <= {"p", "ul", "li"}, value
    return results


def list_fields(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of all fields of a JSON document that have a text."""
    if isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, str):
                yield key, each
            else:
                yield from list_fields(each)
    elif isinstance(value, list):
        for each in value:
            yield from list_fields(each)


def read_properties(properties: list[Mapping[str, str]]) -> dict[str, str]:
    """Return the values of properties by name, without the prefix of CycloneDX."""
    return {each["name"].removeprefix("model_registry:"): each["value"] for each in properties}
