"""Properties of ``check``: all faults are found at their places, names without findings match, and texts do no harm."""

from __future__ import annotations

import copy
import json
import os
import re
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.lint import entry, find_issues, named
from support.sarif import locate, validate

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._cli.check_findings import CheckFinding
from spanforge.model_registry._cli.checked_files import CheckedFile
from spanforge.model_registry._cli.finding_texts import print_annotations, print_findings_as_json, print_text
from spanforge.model_registry._cli.lint_rules import ALL_RULES
from spanforge.model_registry._cli.sarif import make_sarif

BREAKERS: dict[str, Any] = {
    "model_id": [" "],
    "name": [""],
    "version": [{"a": 1}],
    "risk_tier": ["High", None, ["low"]],
    "owner": [{"team": "a"}],
    "status": ["gone", 1],
    "deployment_date": ["1.2.2026", 20260101],
    "decommission_date": ["2026-13-01"],
    "unknown field": [1],
    "aliases[0]": [["", "b"]],
    "provider": [[]],
    "metadata.provider": [[]],
    "metadata.aliases": ["x"],
    "metadata.aliases[0]": [["", "b"], [["x"], "b"]],
    "metadata.aliases[1]": [["a", ""]],
    "metadata.sunset_date": ["soon"],
    "metadata.history": [{"a": 1}],
    "metadata.a.b[0]": [[2**70]],
}
"""Values that are not allowed, by the field that an error names."""
MISSING = ["name", "version", "risk_tier", "owner", "purpose"]
FAULTS = st.dictionaries(st.sampled_from([*BREAKERS, *MISSING]), st.integers(0, 2), max_size=8)


def break_entry(number: int, faults: dict[str, int]) -> tuple[dict[str, Any], set[str]]:
    """Return an entry with faults, and the fields that have them. A number above those of values removes the field."""
    fields = entry(f"m{number}")
    broken = set()
    for field, choice in faults.items():
        root, _, key = field.partition(".")
        root, key = (re.sub(r"\[\d\]$", "", part) for part in (root, key))
        values = BREAKERS.get(field, [])
        if choice >= len(values):
            if field in MISSING:
                del fields[field]
                broken.add(field)
        elif not key and root not in fields and root in fields["metadata"]:
            continue
        elif not key:
            fields[root] = copy.deepcopy(values[choice])
            broken.add(field)
        elif key not in fields["metadata"] and key not in fields:
            fields["metadata"][key] = copy.deepcopy(values[choice])
            broken.add(field)
    return fields, broken


@given(st.lists(FAULTS, min_size=1, max_size=3), st.sampled_from(["json", "indented.json", "yaml"]))
def test_all_faults_are_found(rows: list[dict[str, int]], form: str) -> None:
    """Each field with a fault has one finding, at the line and column of its value; other fields have none."""
    made = [break_entry(number, faults) for number, faults in enumerate(rows)]
    entries = [fields for fields, _ in made]
    text = yaml.safe_dump(entries) if form == "yaml" else json.dumps(entries, indent=1 if "indented" in form else None)
    file = CheckedFile(f"a.{form}", text.encode())
    for number, (fields, broken) in enumerate(made):
        faults = [fault for fault in file.faults if fault.number == number]
        named_fields = {fault.field or "" for fault in faults}
        missing = {
            field for fault in faults for field in MISSING if "missing" in fault.message and field in fault.message
        }
        assert named_fields | missing == broken, faults
        assert len(faults) == len(named_fields)
        assert (file.entries[number] is None) == bool(broken)
        for fault in faults:
            assert fault.model_id == fields["model_id"]
            found = text.split("\n")[(fault.line or 0) - 1][(fault.column or 0) - 1 :]
            assert found.startswith(expect_start(fields, fault.field or "", form)), (fault, found)


def expect_start(fields: dict[str, Any], field: str, form: str) -> str | tuple[str, ...]:
    """Return how a file's text begins at the place of a field: with its value, or with the entry if it is missing."""
    if field in MISSING and field not in fields:
        return ("{", *(f"{key}:" for key in fields), "unknown field:")
    if field == "unknown field":
        return field if form == "yaml" else f'"{field}"'
    value: Any = fields
    for part in re.findall(r"a\.b|\w+", field):
        value = value[int(part)] if part.isdigit() else value[part]
    if form != "yaml":
        return json.dumps(value)[:1]
    return (
        "{",
        "[",
        "- ",
        "team:",
        "a:",
        "''",
        "' '",
        '"',
        *([str(value)] if value is not None else ["null"]),
        f"'{value}",
    )


NAMES = st.sampled_from(["gpt-4o", "GPT-4o", "gpt-4o-mini", "openai/gpt-4o", "azure/gpt-4o", "gpt-4o-2024-05-13", "a"])
LIMITS = st.lists(st.sampled_from(["openai", "azure", "az.ai.openai"]), max_size=2, unique=True)


@given(st.lists(st.tuples(NAMES, st.lists(NAMES, max_size=2), LIMITS), max_size=4, unique_by=lambda row: row[0]))
def test_names_without_errors_match(rows: list[tuple[str, list[str], list[str]]]) -> None:
    """If no rule about names finds anything, each name resolves to its own entry, for each of its providers."""
    entries = [named(name, *aliases, provider=limits or None) for name, aliases, limits in rows]
    registry = ModelRegistry(auto_emit=False)
    for fields in entries:
        registry.register(**{**fields, "metadata": fields["metadata"]})
    if find_issues(entries, "same-name", "same-form", "refused-route", "shadowed-name"):
        return
    for name, aliases, limits in rows:
        for text in (name, *aliases):
            for provider in limits or ["groq"]:
                found = registry.resolve(text, provider=provider).entry
                assert found is not None
                assert found.model_id == name


TEXTS = st.text(max_size=20)
FINDINGS = st.builds(
    CheckFinding,
    rule=st.sampled_from(ALL_RULES),
    path=TEXTS.filter(lambda text: text.strip() and not {*text} & {"\0", "\\"}),
    line=st.none() | st.integers(1, 9),
    column=st.none() | st.integers(1, 9),
    number=st.none() | st.integers(0, 9),
    model_id=st.none() | TEXTS,
    field=st.none() | TEXTS,
    message=TEXTS.map(lambda text: f"{text}."),
    fix=TEXTS,
)


@given(st.lists(FINDINGS, max_size=4))
def test_hostile_texts(findings: list[CheckFinding]) -> None:
    """No text of a file controls the terminal or adds a workflow command, and the log stays valid."""
    files = [CheckedFile(path, b"[]") for path in dict.fromkeys(finding.path for finding in findings)]
    for show in (print_text, print_annotations, print_findings_as_json):
        with pytest.MonkeyPatch.context() as patch:
            written = Written()
            patch.setattr("sys.stdout", written)
            show(files, findings)
        lines = written.text.split("\n")
        assert all(line.isprintable() for line in lines)
        if show is print_annotations:
            assert len(lines) == len(findings) + 2
            assert all(line.startswith("::") and line.count("::") >= 2 for line in lines[:-2])
    log = json.loads(json.dumps(make_sarif(findings)))
    validate(log)
    for finding, result in zip(findings, log["runs"][0]["results"], strict=True):
        uri = unquote(locate(result)[0], errors="surrogatepass")
        assert uri.rpartition("/")[2] == os.path.basename(os.path.abspath(finding.path)) or uri == "."


class Written:
    """A stream that is not a terminal and keeps what is written to it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        """Do nothing."""

    def isatty(self) -> bool:
        return False
