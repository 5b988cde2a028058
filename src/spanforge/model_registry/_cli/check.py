"""``check``: all faults of registry files, and what is likely wrong in valid ones."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Final, Literal

import typer

from spanforge.model_registry import ModelRegistryError, RegistryFileNotFoundError
from spanforge.model_registry._cli.calendar_option import CalendarOption, load_calendar_if_any
from spanforge.model_registry._cli.check_findings import (
    CheckFinding,
    FailOn,
    choose_rules,
    has_failed,
)
from spanforge.model_registry._cli.checked_files import CheckedFile
from spanforge.model_registry._cli.code_quality import make_code_quality
from spanforge.model_registry._cli.commands import PROGRAM, examples
from spanforge.model_registry._cli.finding_texts import print_annotations, print_findings_as_json, print_text
from spanforge.model_registry._cli.lint_rules import ALL_RULES, LINT_RULES
from spanforge.model_registry._cli.lint_types import LintRule
from spanforge.model_registry._cli.registries import FilesOption, UsageError, find_registry_files
from spanforge.model_registry._cli.registry_check import check_registry
from spanforge.model_registry._cli.row_tables import print_table
from spanforge.model_registry._cli.sarif import make_sarif
from spanforge.model_registry._cli.terminal import escape_controls, print_json
from spanforge.model_registry._core.address_answers import read_address_content
from spanforge.model_registry._core.registry_addresses import is_registry_address
from spanforge.model_registry._core.registry_sources import explain_missing, list_files
from spanforge.model_registry._core.settings import FILE, MAX_FILE_SIZE
from spanforge.model_registry._core.shutdowns import read_today
from spanforge.model_registry._core.storage import explain_size, read_registry_file

CheckFormat = Literal["text", "json", "github", "gitlab", "sarif"]
CHECK_INPUT: Final = "-"


@examples(
    "check models.yaml",
    "check models.yaml --fail-on warning --ignore no-contact",
    "check broken.yaml  # ends with 1: it has errors",
    "check models.yaml --calendar calendar.yaml --fail-on never",
    "check models.yaml --format json",
    "check --list-rules",
)
def check_registry_files(  # noqa: PLR0913 - each is an option
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Files, folders or globs, checked as one registry with those of --file; - is standard input."
            f" Default: {FILE.variable}.",
            show_default=False,
        ),
    ] = None,
    *,
    files_too: FilesOption = None,
    calendar: CalendarOption = None,
    select: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Only this rule, besides faults; repeat it for several.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Not this rule; repeat it for several.")
    ] = None,
    fail_on: Annotated[FailOn, typer.Option(help="The lowest severity that ends the command with 1.")] = "error",
    output: Annotated[CheckFormat, typer.Option("--format", help="How to print the findings.")] = "text",
    stdin_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The name of standard input, which also decides its format.")
    ] = None,
    list_rules: Annotated[bool, typer.Option("--list-rules", help="List the rules, and end.")] = False,
) -> None:
    """Report what is wrong in registry files.

    Exit code 1: a finding is at least as severe as --fail-on, by default an error. Exit code 2: a file cannot be read.
    """
    if list_rules:
        _print_rules(output)
        return
    rules = choose_rules(select or (), ignore or ())
    provider_calendar = load_calendar_if_any(calendar)
    checked, unreadable = _open_registry_files(find_registry_files([*(files or ()), *(files_too or ())]), stdin_name)
    findings = check_registry(checked, rules, read_today(), provider_calendar)
    if checked:
        _print_check(checked, findings, output)
    for error in unreadable:
        sys.stderr.write(f"{PROGRAM}: {escape_controls(error)}\n")
    if unreadable:
        raise typer.Exit(2)
    if has_failed(findings, fail_on):
        raise typer.Exit(1)


def _open_registry_files(
    sources: list[str], stdin_name: str | None
) -> tuple[list[CheckedFile], list[ModelRegistryError]]:
    """Return the files that can be read, each once, and the errors of the others."""
    listings = [list_files(source) for source in dict.fromkeys(sources)]
    unreadable: list[ModelRegistryError] = [listing.error for listing in listings if listing.error is not None]
    checked: dict[str, CheckedFile] = {}
    for path in (path for listing in listings for path in listing.files):
        place = path if path == CHECK_INPUT else os.path.realpath(path)
        try:
            if place not in checked:
                checked[place] = _open_registry_file(path, stdin_name)
        except ModelRegistryError as error:
            unreadable.append(error)
    return list(checked.values()), unreadable


def _open_registry_file(path: str, stdin_name: str | None) -> CheckedFile:
    if path == CHECK_INPUT:
        return _check_input(stdin_name)
    if is_registry_address(path):
        return CheckedFile(*read_address_content(path))
    if not os.path.lexists(path):
        raise RegistryFileNotFoundError(path, explain_missing(path))
    return CheckedFile(path, read_registry_file(path)[1] or b"")


def _check_input(name: str | None) -> CheckedFile:
    """Return the file that standard input is. Without a name, its first character decides whether it is JSON."""
    limit = MAX_FILE_SIZE.read()
    content = sys.stdin.buffer.read(limit + 1)
    if len(content) > limit:
        msg = f"standard input {explain_size(limit)}"
        raise UsageError(msg)
    is_json = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{")
    return CheckedFile(name or ("stdin.json" if is_json else "stdin.yaml"), content)


def _print_check(files: list[CheckedFile], findings: list[CheckFinding], output: CheckFormat) -> None:
    if output == "text":
        print_text(files, findings)
    elif output == "json":
        print_findings_as_json(files, findings)
    elif output == "github":
        print_annotations(files, findings)
    elif output == "gitlab":
        print_json(make_code_quality(findings))
    else:
        print_json(make_sarif(findings))


def _print_rules(output: CheckFormat) -> None:
    if output == "json":
        print_json([_describe_rule(rule) for rule in ALL_RULES])
        return
    rows = [(rule.name, rule.severity, f"{rule.sentence} {rule.fix}") for rule in ALL_RULES]
    print_table(("rule", "severity", "finds"), rows, ("name",))


def _describe_rule(rule: LintRule) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "severity": rule.severity,
        "sentence": rule.sentence,
        "fix": rule.fix,
        "can_be_ignored": rule in LINT_RULES,
    }
