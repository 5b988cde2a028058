"""The command ``check``: reading a registry file with all rules, against loading it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import yaml

from benchmarks.comparison import Comparison
from benchmarks.harness import seconds
from benchmarks.models import entry, registry_of
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._cli.checked_files import CheckedFile
from spanforge.model_registry._cli.lint_rules import LINT_RULES
from spanforge.model_registry._cli.registry_check import check_registry
from spanforge.model_registry._core.storage import read_registry_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.comparison import Sizes
    from spanforge.model_registry import ModelRegistryEntry

DAY: Final = "2026-12-01"


def against_load(ending: str) -> Callable[[Sizes], Comparison]:
    """Return the comparison of checking a file with this ending and of loading it. The file has no findings."""

    def compare(sizes: Sizes) -> Comparison:
        path = os.path.join(sizes.folder, f"checked.{ending}")
        if ending == "yaml":
            with open(path, "w", encoding="utf-8") as file:
                yaml.dump([each.to_dict() for each in described(sizes.checked)], file, Dumper=yaml.CSafeDumper)
        else:
            registry_of(described(sizes.checked)).save(path)
        candidates = {
            "check": lambda: seconds(lambda: check(path)) * 1e3,
            "load": lambda: seconds(lambda: load(path)) * 1e3,
        }
        return Comparison(candidates, lambda cost: cost["check"] / cost["load"])

    return compare


def check(path: str) -> None:
    """Check a file, as the command does."""
    findings = check_registry([CheckedFile(path, read_registry_file(path)[1] or b"")], LINT_RULES, DAY)
    if findings:
        raise ValueError(findings[0].message)


def load(path: str) -> None:
    """Load a file into a new registry."""
    ModelRegistry(auto_emit=False).load(path)


def described(number: int) -> Iterator[ModelRegistryEntry]:
    """Yield the given number of entries as people describe them: with contact, alias and providers; a few globs."""
    for i in range(number):
        metadata = {"contact": "#ml-platform", "aliases": [f"team-{i}"], "provider": ["openai", "azure"]}
        fields: dict[str, str] = {"deployment_date": "2025-01-01"}
        if i % 10 == 1:
            fields = {"status": "deprecated"}
            deprecated = {"deprecation_date": "2026-01-01", "sunset_date": "2027-06-30", "successor": f"model-{i - 1}"}
            metadata = {**metadata, **deprecated, "aliases": [f"team-{i}", f"model-{i}-20??-??-??"]}
        yield entry(f"model-{i}", metadata=metadata, **fields)
