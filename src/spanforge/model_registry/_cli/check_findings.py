"""Findings of ``check``: their facts and counts, the choice of rules, and the exit code."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from spanforge.model_registry._cli.lint_rules import ALL_RULES, LINT_RULES
from spanforge.model_registry._cli.lint_types import SEVERITIES, LintRule
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.errors import shorten
from spanforge.model_registry._core.similar_names import suggest_name

if TYPE_CHECKING:
    from collections.abc import Iterable

FailOn = Literal["error", "warning", "note", "never"]
_NAMES: Final = {rule.name: rule for rule in LINT_RULES}


class CheckFinding(NamedTuple):
    """What is wrong at a place in a file.

    Attributes:
        rule: The rule.
        path: The path of the file.
        line: The line, from 1; ``None`` if it is not known.
        column: The character in the line, from 1; ``None`` if it is not known.
        number: The position of the entry in the file, from 0; ``None`` if it is not about an entry.
        model_id: The entry's id; ``None`` if it is not known.
        field: The path of the value; ``None`` for the entry or the file as a whole.
        message: The sentence about it.
        fix: What to do.
    """

    rule: LintRule
    path: str
    line: int | None
    column: int | None
    number: int | None
    model_id: str | None
    field: str | None
    message: str
    fix: str

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON has them."""
        return {
            "rule": self.rule.name,
            "severity": self.rule.severity,
            "file": self.path,
            "line": self.line,
            "column": self.column,
            "entry": self.number,
            "model_id": self.model_id,
            "field": self.field,
            "message": self.message,
            "fix": self.fix,
        }


def choose_rules(selected: Iterable[str], ignored: Iterable[str]) -> list[LintRule]:
    """Return the rules about valid files that are wanted, by the texts of ``--select`` and ``--ignore``.

    Raises:
        UsageError: There is no such rule, or it cannot be switched off.
    """
    chosen, left_out = _split_names(selected), _split_names(ignored)
    return [rule for rule in LINT_RULES if (not chosen or rule.name in chosen) and rule.name not in left_out]


def _split_names(texts: Iterable[str]) -> list[str]:
    names = [name.strip() for text in texts for name in text.split(",") if name.strip()]
    for name in names:
        if name not in _NAMES:
            raise UsageError(_explain_unknown_rule(name))
    return names


def _explain_unknown_rule(name: str) -> str:
    if any(name == rule.name for rule in ALL_RULES):
        return f"rule {name} cannot be chosen: no registry can be loaded while it is broken"
    return f"there is no rule {shorten(name)}{suggest_name(name, _NAMES)}; check --list-rules lists them"


def count_severities(findings: Iterable[CheckFinding]) -> dict[str, int]:
    """Return the number of findings of each severity."""
    counts = Counter(each.rule.severity for each in findings)
    return {severity: counts[severity] for severity in SEVERITIES}


def has_failed(findings: Iterable[CheckFinding], fail_on: FailOn) -> bool:
    """Check whether a finding is at least as bad as the limit."""
    if fail_on == "never":
        return False
    limit = SEVERITIES.index(fail_on)
    return any(SEVERITIES.index(each.rule.severity) <= limit for each in findings)
