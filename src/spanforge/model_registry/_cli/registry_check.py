"""The check of files that are one registry: their faults, and what rules find in their valid entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._cli.check_findings import CheckFinding
from spanforge.model_registry._cli.checked_files import find_duplicate_ids
from spanforge.model_registry._cli.lint_rules import EMPTY_REGISTRY
from spanforge.model_registry._cli.lint_types import SEVERITIES, Catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry._cli.checked_files import CheckedFile
    from spanforge.model_registry._cli.lint_types import Issue, LintRule
    from spanforge.model_registry._core.provider_calendar import Calendar


def check_registry(
    files: Sequence[CheckedFile], rules: Iterable[LintRule], today: str, calendar: Calendar | None = None
) -> list[CheckFinding]:
    """Return all findings in files that are one registry, in the order of their places.

    Args:
        files: The files.
        rules: The rules about valid entries.
        today: The day in UTC, such as ``2027-01-14``.
        calendar: What providers announced.
    """
    find_duplicate_ids(files)
    faults = [fault for file in files for fault in file.faults]
    entries = [entry for file in files for entry in file.entries if entry is not None]
    catalog = Catalog(entries, today, calendar, _list_ids(files))
    return _sort(files, [*faults, *_run_rules(files, catalog, rules)])


def _run_rules(files: Sequence[CheckedFile], catalog: Catalog, rules: Iterable[LintRule]) -> Iterator[CheckFinding]:
    """Yield what rules find. The catalog has the valid entries of all files, in their order."""
    places = [(file, index) for file in files for index, entry in enumerate(file.entries) if entry is not None]
    for rule in rules:
        if rule is EMPTY_REGISTRY:
            yield from map(_describe_empty, filter(_has_no_entries, files))
        elif rule.find is not None:
            yield from (_locate_issue(rule, issue, *places[issue.number]) for issue in rule.find(catalog))


def _list_ids(files: Iterable[CheckedFile]) -> Iterator[str]:
    return (model_id for file in files for model_id in file.ids if model_id is not None)


def _has_no_entries(file: CheckedFile) -> bool:
    return file.is_empty


def _describe_empty(file: CheckedFile) -> CheckFinding:
    rule = EMPTY_REGISTRY
    return CheckFinding(rule, file.path, 1, 1, None, None, None, "the file has no entries", rule.fix)


def _locate_issue(rule: LintRule, issue: Issue, file: CheckedFile, index: int) -> CheckFinding:
    place = file.find_place(index, issue.field)
    fix = issue.fix or rule.fix
    return CheckFinding(rule, file.path, *place, index, file.ids[index], issue.field, issue.message, fix)


def _sort(files: Sequence[CheckedFile], findings: Iterable[CheckFinding]) -> list[CheckFinding]:
    """Return findings in the order of the files and of the lines in them, each once."""
    order = {file.path: number for number, file in enumerate(files)}
    return sorted(
        dict.fromkeys(findings),
        key=lambda each: (order[each.path], each.line or 0, each.column or 0, SEVERITIES.index(each.rule.severity)),
    )
