"""Findings as text, as JSON, and as annotations of GitHub Actions."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from spanforge.model_registry._cli.check_findings import count_severities
from spanforge.model_registry._cli.terminal import MIN_WIDTH, count_things, escape_controls, open_console, print_json
from spanforge.model_registry._core.errors import MAX_SHOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spanforge.model_registry._cli.check_findings import CheckFinding
    from spanforge.model_registry._cli.checked_files import CheckedFile

_INDENT: Final = " " * 4
_WORKFLOW_COMMANDS: Final = {"error": "error", "warning": "warning", "note": "notice"}
"""The workflow commands of GitHub Actions for severities."""


def print_text(files: Sequence[CheckedFile], findings: Sequence[CheckFinding]) -> None:
    """Print each finding with its place, rule, sentence and remedy, and then the counts."""
    console = open_console()
    width = max(MIN_WIDTH, console.width if console.is_terminal else 0)
    last_path = findings[0].path if findings else ""
    for finding in findings:
        lines = _render_finding(finding, width)
        lines = lines if finding.path == last_path else [Text(), *lines]
        last_path = finding.path
        if console.is_terminal:
            console.print(*lines, sep="\n", soft_wrap=True)
        else:  # rich takes far longer to print a line without colours
            sys.stdout.write("".join(f"{line}\n" for line in lines))
    if findings:
        sys.stdout.write("\n")
    console.print(Text(_describe_counts(files, findings), _choose_style(findings)), soft_wrap=True)


def _render_finding(finding: CheckFinding, width: int) -> list[Text]:
    """Return the lines of a finding."""
    model = "" if finding.model_id is None else f" in model {escape_controls(repr(finding.model_id[:MAX_SHOWN]))}"
    place, severity = format_place(finding), finding.rule.severity
    first, *rest = _wrap(f"{place}: {severity} {finding.rule.name}{model}", width, "") or [""]
    head = Text(first)
    head.stylize("name", 0, len(place))
    head.stylize(severity, len(place) + 2, len(place) + 2 + len(severity))
    return [
        head,
        *map(Text, [*rest, *_wrap(escape_controls(finding.message), width, _INDENT)]),
        *(Text(line, "weak") for line in _wrap(f"fix: {escape_controls(finding.fix)}", width, _INDENT)),
    ]


def _wrap(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent or _INDENT,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def format_place(finding: CheckFinding) -> str:
    """Return file, line and column as editors read them."""
    numbers = [str(number) for number in (finding.line, finding.column) if number is not None]
    return escape_controls(":".join([finding.path, *numbers]))


def _describe_counts(files: Sequence[CheckedFile], findings: Iterable[CheckFinding]) -> str:
    entries = sum(len(file.entries) for file in files)
    counts = [count_things(number, severity) for severity, number in count_severities(findings).items() if number]
    shown = ", ".join(counts) if counts else "no findings"
    return f"{count_things(len(files), 'file')}, {count_things(entries, 'entry', 'entries')}: {shown}"


def _choose_style(findings: Iterable[CheckFinding]) -> str:
    return next((severity for severity, number in count_severities(findings).items() if number), "good")


def print_findings_as_json(files: Sequence[CheckedFile], findings: Sequence[CheckFinding]) -> None:
    """Print all facts as one JSON object."""
    value: dict[str, Any] = {
        "files": [{"file": file.path, "entries": len(file.entries)} for file in files],
        "findings": [finding.to_dict() for finding in findings],
        "summary": count_severities(findings),
    }
    print_json(value)


def print_annotations(files: Sequence[CheckedFile], findings: Sequence[CheckFinding]) -> None:
    """Print workflow commands, which GitHub Actions shows beside the lines of a pull request, and then the counts."""
    for finding in findings:
        places = {"file": make_relative(finding.path), "line": finding.line, "col": finding.column}
        values = {**places, "title": f"{finding.rule.name} in {finding.path}"}
        shown = ",".join(f"{key}={_escape_property(str(value))}" for key, value in values.items() if value is not None)
        model = "" if finding.model_id is None else f"model {finding.model_id!r}: "
        text = f"{model}{finding.message}\nfix: {finding.fix}"
        sys.stdout.write(f"::{_WORKFLOW_COMMANDS[finding.rule.severity]} {shown}::{_escape_data(text)}\n")
    sys.stdout.write(f"{_describe_counts(files, findings)}\n")


def make_relative(path: str) -> str:
    """Return a path below the current folder as a relative one with slashes; other paths as they are, with slashes."""
    absolute = os.path.abspath(path)
    below = os.path.commonpath([os.getcwd(), absolute]) == os.getcwd() if os.path.isabs(absolute) else False
    return (os.path.relpath(absolute) if below else absolute).replace(os.sep, "/")


def _escape_data(text: str) -> str:
    """Escape a text as GitHub's own toolkit does; other control characters become visible."""
    lines = "\n".join(escape_controls(line) for line in text.split("\n"))
    return lines.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")
