"""A generator of the semantic-convention registry in ``semconv/``, which OpenTelemetry's Weaver reads.

With ``--check``, the program only compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from semconv_texts import CONVENTIONS, METRIC_CONVENTIONS, Convention

from spanforge.model_registry._core.attributes import ATTRIBUTES, PREFIX, Attribute, __version__
from spanforge.model_registry._core.entry_fields import ENTRY_FIELDS
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES
from spanforge.model_registry._core.lifecycle import OPERATIONS
from spanforge.model_registry.otel._metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FOLDER: Final = Path(__file__).parent.parent / "semconv"
STABILITY: Final = "development"
DEPENDENCY: Final = "1.41.1"
"""The last version of OpenTelemetry's registry that defines ``gen_ai.*``; later ones only list it as moved."""
HEAD: Final = "# tools/semconv.py writes this file from the tables of the package.\n"
WIDTH: Final = 118
LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
SPAN_GROUP: Final = "attributes.model_registry.llm_span"
"""The id of the group with the attributes of LLM spans."""

Group = dict[str, Any]


def manifest() -> Group:
    """Return the manifest. The project has no site yet, so that the address is a placeholder."""
    return {
        "schema_url": f"https://model-registry.invalid/schemas/{__version__}",
        "description": "Attributes, events and metrics of spanforge-model-registry.",
        "stability": STABILITY,
        "dependencies": [
            {
                "schema_url": f"https://opentelemetry.io/schemas/{DEPENDENCY}",
                "registry_path": f"https://github.com/open-telemetry/semantic-conventions@v{DEPENDENCY}[model]",
            }
        ],
    }


def attributes() -> list[Group]:
    """Return the group that defines all attributes."""
    rows = [_define(row.name, row.type, CONVENTIONS[row.name], row.note) for row in ATTRIBUTES]
    rows += [_define(name, "string", convention) for name, convention in METRIC_CONVENTIONS.items()]
    return [
        {
            "id": "registry.model_registry",
            "type": "attribute_group",
            "display_name": "Model registry attributes",
            "brief": "Attributes of models in the registry.",
            "attributes": rows,
        }
    ]


def _define(name: str, kind: str, convention: Convention, note: str = "") -> Group:
    """Return the definition of an attribute."""
    is_template = name.endswith(".<key>")
    definition: Group = {"id": PREFIX + name.removesuffix(".<key>")}
    definition["type"] = f"template[{kind}]" if is_template else kind
    if convention.members:
        definition["type"] = {"members": [_define_member(value) for value in convention.members]}
    definition["stability"] = STABILITY
    definition["brief"] = _make_sentence(convention.brief or note)
    if convention.brief and note:
        definition["note"] = _make_sentence(note)
    if convention.examples:
        definition["examples"] = list(convention.examples)
    return definition


def _define_member(value: str) -> Group:
    return {"id": value, "value": value, "stability": STABILITY}


def _make_sentence(note: str) -> str:
    text = LINK.sub(r"\1", note)
    return f"{text[:1].upper()}{text[1:]}."


def spans() -> list[Group]:
    """Return the group of the attributes of LLM spans, and that of the attributes that the Collector adds."""
    shown = [row for row in ATTRIBUTES if row.on_spans != "no"]
    group = {
        "id": SPAN_GROUP,
        "type": "attribute_group",
        "display_name": "Model registry attributes of LLM spans",
        "brief": "The attributes that the span processor adds to each recorded span that names a model.",
        "note": "The span itself and its other attributes are those of the instrumentation.",
        "attributes": [_refer(row.key, _find_span_level(row)) for row in shown],
    }
    return [group, _describe_collector()]


def _find_span_level(row: Attribute) -> object:
    """Return the requirement level of an attribute on LLM spans."""
    condition = CONVENTIONS[row.name].span_condition
    if row.on_spans == "opt-in":
        return "opt_in"
    if row.name == "status":
        return "required"
    if row.needs_warning:
        condition = "if the entry has it, and the model is deprecated or retired"
    return {"conditionally_required": condition or "if the model is registered"}


def _describe_collector() -> Group:
    keys = [row.key for row in ATTRIBUTES if row.on_spans == "no" and not row.on_events]
    return {
        "id": "attributes.model_registry.collector",
        "type": "attribute_group",
        "display_name": "Model registry attributes of the Collector",
        "brief": "The attributes that the Collector's configuration of this project adds to spans and log records.",
        "attributes": [_refer(key, "required") for key in keys],
    }


def events() -> list[Group]:
    """Return the lifecycle events."""
    rows = [row for row in ATTRIBUTES if row.on_events]
    return [
        {
            "id": f"event.{row.event}",
            "type": "event",
            "name": row.event,
            "stability": STABILITY,
            "brief": f"The operation `{name}` changed a model.",
            "note": (
                "The event is a span event, a log record without a body, or both. If no sampled span can hold the span "
                f"event, it is on a root span with the name `{OPERATION_SPAN_NAMES[name]}` and no attributes."
            ),
            "attributes": [_refer(each.key.removesuffix(".<key>"), _find_event_level(each)) for each in rows],
        }
        for name, row in OPERATIONS.items()
    ]


def _find_event_level(row: Attribute) -> object:
    """Return the requirement level of an attribute on events."""
    field = ENTRY_FIELDS.get(row.name)
    if field is not None and (field.required or field.kind == "status"):
        return "required"
    return {"conditionally_required": "if it has a value"}


def metrics() -> list[Group]:
    """Return the metrics."""
    return [
        {
            "id": f"metric.{PREFIX}{row.name}",
            "type": "metric",
            "metric_name": f"{PREFIX}{row.name}",
            "stability": STABILITY,
            "brief": _make_sentence(row.description),
            "instrument": row.kind,
            "unit": row.unit,
            "attributes": [_refer(key, {"conditionally_required": "if it has a value"}) for key in row.attributes],
        }
        for row in METRICS
    ]


def _refer(key: str, level: object) -> Group:
    return {"ref": key, "requirement_level": level}


def render() -> Mapping[str, str]:
    """Return the text of each file."""
    groups = {"attributes": attributes(), "spans": spans(), "events": events(), "metrics": metrics()}
    contents: dict[str, Any] = {"manifest": manifest(), **{name: {"groups": rows} for name, rows in groups.items()}}
    return {f"{name}.yaml": HEAD + _dump(content) for name, content in contents.items()}


class _Dumper(yaml.SafeDumper):
    """Writes each value in full, because the registry is for people too."""

    def ignore_aliases(self, _data: object) -> bool:
        """Write no reference to an earlier value."""
        return True


def _dump(content: object) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)
    return text


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` report those that are out of date; return the exit code."""
    outdated = [name for name, text in render().items() if _read(FOLDER / name) != text]
    if "--check" in arguments:
        _report(outdated)
        return bool(outdated)
    FOLDER.mkdir(exist_ok=True)
    for name in outdated:
        (FOLDER / name).write_text(render()[name], "utf-8")
    return 0


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def _report(outdated: Iterable[str]) -> None:
    for name in outdated:
        print(f"semconv/{name} is out of date: run tools/semconv.py", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
