"""The semantic-convention registry in ``semconv/``: valid, consistent, and complete."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from support.calendars import TODAY, set_day
from support.every_signal import Telemetry, collect, exporting_everything

from spanforge.model_registry._core.attributes import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "semconv"
SCHEMA = json.loads((Path(__file__).parent / "support" / "semconv" / "semconv.schema.json").read_text("utf-8"))
FILES = {path.name: yaml.safe_load(path.read_text("utf-8")) for path in FOLDER.glob("*.yaml")}
GROUPS = [group for file in FILES.values() for group in file.get("groups", ())]
DEFINED = {each["id"]: each for group in GROUPS for each in group["attributes"] if "id" in each}
OTHERS = {"file.path", "gen_ai.provider.name"}
"""The attributes that the dependency defines."""
OVERFLOW = "otel.metric.overflow"
"""The attribute that the specification of the metrics SDK defines for series over a limit."""
TYPES = {"string": str, "boolean": bool, "string[]": tuple}


def list_keys(group: Mapping[str, Any]) -> set[str]:
    return {each.get("id") or each["ref"] for each in group["attributes"]}


@pytest.mark.slow
def test_the_files_are_those_of_the_tables() -> None:
    """The files are up to date."""
    subprocess.run([sys.executable, ROOT / "tools" / "semconv.py", "--check"], check=True)
    assert sorted(FILES) == ["attributes.yaml", "events.yaml", "manifest.yaml", "metrics.yaml", "spans.yaml"]


def find_faults(group: Mapping[str, Any]) -> list[str]:
    """Return the faults of a group by the schema of its type. The schema of a file accepts a group of any type."""
    kind = {"attribute_group": "", "span": "Span", "event": "Event", "metric": "Metric"}[group["type"]]
    schema = {"$ref": f"#/$defs/{kind}SemanticConvention", "$defs": SCHEMA["$defs"]}
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(group)]


@pytest.mark.parametrize("name", sorted(set(FILES) - {"manifest.yaml"}))
def test_the_schema_of_weaver(name: str) -> None:
    """Each file is valid by the JSON Schema of Weaver, and each group by the part of the schema for its type."""
    jsonschema.Draft202012Validator(SCHEMA).validate(FILES[name])
    assert [fault for group in FILES[name]["groups"] for fault in find_faults(group)] == []


def test_the_schema_finds_faults() -> None:
    """The schema refuses a metric without its unit, an unknown instrument, requirement level and stability."""
    metric = FILES["metrics.yaml"]["groups"][0]
    assert find_faults(metric) == []
    assert find_faults({key: value for key, value in metric.items() if key != "unit"})
    level = {"attributes": [{"ref": "a", "requirement_level": "sometimes"}]}
    for fault in (level, {"instrument": "meter"}, {"stability": "experimental"}):
        assert find_faults({**metric, **fault})


def test_the_manifest() -> None:
    """The manifest has a version in its address, and a dependency that defines each attribute of others."""
    manifest = FILES["manifest.yaml"]
    assert set(manifest) == {"schema_url", "description", "stability", "dependencies"}
    assert manifest["schema_url"].endswith("/0.1.0")
    [dependency] = manifest["dependencies"]
    version = dependency["schema_url"].rpartition("/")[2]
    assert f"@v{version}[model]" in dependency["registry_path"]


def test_references() -> None:
    """Ids are unique, each reference is defined here or in the dependency, and each definition is used."""
    ids = [group["id"] for group in GROUPS]
    assert len(set(ids)) == len(ids)
    references = {key for group in GROUPS if group["id"] != "registry.model_registry" for key in list_keys(group)}
    assert references - set(DEFINED) == OTHERS
    assert set(DEFINED) - references == set()
    assert {key for key in DEFINED if not key.startswith("model_registry.")} == set()


def test_definitions_are_complete() -> None:
    """Each attribute has a brief, and examples if it is a text without a list of values. Prose has no links."""
    for key, each in DEFINED.items():
        assert each["brief"].endswith("."), key
        assert isinstance(each["type"], dict) or each["type"] == "boolean" or each["examples"], key
        assert "](" not in each["brief"] + each.get("note", ""), key
    assert all(group["brief"].endswith(".") for group in GROUPS)


@pytest.fixture
def telemetry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    """Give the telemetry of calls, lifecycle events and metrics of every kind."""
    set_day(monkeypatch, TODAY)
    with exporting_everything(tmp_path) as telemetry:
        yield telemetry


def check_values(values: Mapping[str, set[Any]], allowed: set[str]) -> set[str]:
    """Check that each attribute is allowed and that its values have its type, and return the keys in the registry."""
    keys = set()
    for key, found in values.items():
        metadata = "model_registry.metadata"
        known = metadata if key.startswith(f"{metadata}.") else key
        assert known in allowed, key
        keys.add(known)
        kind = DEFINED.get(known, {}).get("type", "string")
        if isinstance(kind, dict):
            assert found <= {member["value"] for member in kind["members"]}, key
        elif not kind.startswith("template"):
            assert all(isinstance(value, TYPES[kind]) for value in found), key
    return keys


def test_every_exported_attribute_is_in_the_registry(telemetry: Telemetry) -> None:
    """Spans, events and metrics of a run have only attributes that the registry lists for them, and all of these."""
    groups = {group["id"]: group for group in GROUPS}
    exported = telemetry.span_keys()
    ours = {key: values for key, values in exported.items() if key.startswith("model_registry.")}
    seen = check_values(ours, list_keys(groups["attributes.model_registry.llm_span"]))
    names = {span.name for span in telemetry.spans.get_finished_spans()} - {"chat"}
    notes = " ".join(group.get("note", "") for group in GROUPS if group["type"] == "event")
    assert {name for name in names if f"a root span with the name `{name}` and no attributes" not in notes} == set()
    events = telemetry.event_keys()
    assert {f"event.{name}" for name in events} == {name for name in groups if name.startswith("event.")}
    for name, values in events.items():
        group = groups[f"event.{name}"]
        keys = check_values(values, list_keys(group))
        assert {each["ref"] for each in group["attributes"] if each["requirement_level"] == "required"} <= keys
        seen |= keys
    metrics = {f"metric.model_registry.{name}": metric for name, metric in telemetry.meters.read().items()}
    assert set(metrics) == {name for name in groups if name.startswith("metric.")}
    for name, metric in metrics.items():
        assert metric.unit == groups[name]["unit"]
        assert metric.description + "." == groups[name]["brief"]
        points = collect(point.attributes for point in metric.data.data_points)
        seen |= check_values({key: points[key] for key in points.keys() - {OVERFLOW}}, list_keys(groups[name]))
    assert (set(DEFINED) | OTHERS) - seen == {"model_registry.sender"}  # only the Collector sets it


def test_every_attribute_of_the_table_is_where_it_says() -> None:
    """LLM spans and events in the registry have the attributes that ``ATTRIBUTES`` has for them."""
    groups = {group["id"]: list_keys(group) for group in GROUPS}
    on_spans = {row.key for row in ATTRIBUTES if row.on_spans != "no"}
    on_events = {row.key.removesuffix(".<key>") for row in ATTRIBUTES if row.on_events}
    assert groups["attributes.model_registry.llm_span"] == on_spans
    assert all(groups[name] == on_events for name in groups if name.startswith("event."))
