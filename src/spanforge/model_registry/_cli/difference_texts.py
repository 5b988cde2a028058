"""The differences of two registries in words, in Markdown and as JSON."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.differences import FieldChange, ModelDifference, NameDifference, RegistryDifference
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAX_VALUE: Final = 200
"""The limit of a value's characters in words. JSON has the whole value."""
_SUMMARY_FIELDS: Final = ("status", "risk_tier", "owner")
"""The fields in the first line of a model that is added."""


class FileText(str):
    """A text from a file, among the words about it."""

    __slots__ = ()


class Line(NamedTuple):
    """A line of the explanation.

    Attributes:
        level: 0 for a heading, 1 for a model, a name or a finding, 2 for a field.
        sign: The sign before a model: ``+`` added, ``-`` removed, ``!`` a new status, ``~`` changed.
        style: The style in a terminal.
        parts: The words, and the values among them.
    """

    level: int
    sign: str
    style: str
    parts: tuple[str, ...]


def explain_difference(
    difference: RegistryDifference, old: str, new: str, findings: Sequence[tuple[str, str]]
) -> Iterator[Line]:
    """Yield the lines that explain the differences for people who review a change.

    Args:
        difference: The differences.
        old: The name of the registry before the change.
        new: The name of the registry after the change.
        findings: The kinds and models that fail.
    """
    yield Line(0, "", "name", (FileText(old), " -> ", FileText(new), ": ", _summarize(difference)))
    for model in difference.models:
        yield _explain_model(model)
        yield from (_explain_field(change) for change in model.fields if _is_shown(model, change))
    if difference.names:
        yield Line(0, "", "name", ("Names that find another entry than before:",))
        yield from map(_explain_name, difference.names)
    if findings:
        yield Line(0, "", "error", ("Findings:",))
        yield from (_explain_finding(difference, *finding) for finding in findings)


def _summarize(difference: RegistryDifference) -> str:
    counts = Counter(_word_change(model) for model in difference.models)
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "no differences"


def _word_change(model: ModelDifference) -> str:
    """Return the most important thing that happened to a model: added, removed, a new status, or changed."""
    if model.before is None:
        return "added"
    if model.after is None:
        return "removed"
    return "changed" if model.before.status == model.after.status else f"now {model.after.status}"


def _explain_model(model: ModelDifference) -> Line:
    name = FileText(model.model_id)
    if model.before is None and model.after is not None:
        sign = "!" if LIFECYCLE[model.after.status].flagged else "+"
        entry = model.after
        words = (name, f" is added: {entry.status}, {entry.risk_tier} risk, owner ", FileText(entry.owner))
        return Line(1, sign, "warning" if sign == "!" else "good", words)
    if model.after is None or model.before is None:
        status = model.before.status if model.before is not None else ""
        return Line(1, "-", "error", (name, f" is removed; it was {status}"))
    if model.before.status == model.after.status:
        return Line(1, "~", "note", (name, " is changed"))
    return Line(1, "!", "warning", (name, f" is now {model.after.status}; it was {model.before.status}"))


def _is_shown(model: ModelDifference, change: FieldChange) -> bool:
    """Check whether a field has its own line: the first line of a model has the others."""
    if model.after is None:
        return False
    shown = _SUMMARY_FIELDS if model.before is None else ("status",)
    return change.field not in shown and (model.before is not None or change.after is not None)


def _explain_field(change: FieldChange) -> Line:
    field, before, after = change
    key = field.removeprefix("metadata.")
    name = FileText(key if key in RESERVED else field)
    if key == "history":
        words: tuple[str, ...] = (f"{len(before or ())} -> {len(after or ())} records",)
    elif isinstance(before, list) and isinstance(after, list):
        words = tuple(_explain_list(before, after))
    elif before is None:
        words = (show_value(after),)
    else:
        words = (show_value(before), " -> ", show_value(after))
    return Line(2, "", "", (name, ": ", *words))


def _explain_list(before: list[Any], after: list[Any]) -> list[str]:
    moved = [("without ", each) for each in before if each not in after]
    moved += [("with ", each) for each in after if each not in before]
    return [part for word, each in moved for part in (", ", word, show_value(each))][1:] or ["another order"]


def show_value(value: Any) -> str:
    """Return a value of an entry in words: a text as it is, a list of texts with commas, and anything else as JSON."""
    if value is None:
        return "none"
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return FileText(text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…")


def _explain_name(name: NameDifference) -> Line:
    found = ["no entry" if each is None else FileText(each) for each in (name.before, name.after)]
    provider = (" (provider ", FileText(name.provider), ")") if name.provider else ()
    return Line(1, "", "", (FileText(name.name), *provider, ": ", found[0], " -> ", found[1]))


def _explain_finding(difference: RegistryDifference, kind: str, subject: str) -> Line:
    reasons = {model.model_id: model.finding for model in difference.models if kind == "lifecycle"}
    reason = f": {reasons[subject]}" if reasons.get(subject) else ""
    return Line(1, "", "", (f"{kind}: ", FileText(subject), reason))


def write_text(line: Line) -> str:
    """Return a line for a terminal."""
    indent = {0: "", 1: "  " if not line.sign else "", 2: "    "}[line.level]
    sign = f"{line.sign} " if line.sign else ""
    return indent + sign + "".join(escape_controls(part) for part in line.parts)


def write_markdown(line: Line) -> str:
    """Return a line for a comment on a pull request. Texts from files are code, which mentions and links nothing."""
    text = "".join(_write_code(part) if isinstance(part, FileText) else part for part in line.parts)
    return f"\n**{text}**\n" if line.level == 0 else f"{'  ' * (line.level - 1)}- {text}"


def _write_code(text: str) -> str:
    """Return a text as a code span. Its fence is longer than every run of backticks in the text."""
    shown = escape_controls(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    space = " " if shown[:1] in ("`", " ") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def describe_differences(
    difference: RegistryDifference, old: str, new: str, findings: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Return the differences as JSON values."""
    return {
        "old": old,
        "new": new,
        "models": [_describe_model_difference(model) for model in difference.models],
        "names": [name._asdict() for name in difference.names],
        "findings": [{"kind": kind, "subject": subject} for kind, subject in findings],
    }


def _describe_model_difference(model: ModelDifference) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "kinds": list(model.kinds),
        "fields": [change._asdict() for change in model.fields],
        "events": [step.operation_name for step in model.steps],
        "finding": model.finding,
    }
