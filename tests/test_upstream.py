"""The comparison of other packages' tests that ``make upstream`` runs."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import pytest

TOOL = runpy.run_path(str(Path(__file__).parent.parent / "tools" / "upstream.py"))


def test_comparison_of_outcomes() -> None:
    """Tests with another outcome, and tests that ran once only, are different."""
    without = {"a": "passed", "b": "passed", "c": "failed", "d": "skipped"}
    different = TOOL["compare"](without, {"a": "passed", "b": "failed", "c": "failed", "e": "passed"})
    assert different == {"b": ("passed", "failed"), "d": ("skipped", "not run"), "e": ("not run", "passed")}


@pytest.mark.parametrize("key", ["model_registry.owner", "model_registry.metadata.x"])
def test_keys_that_tests_do_not_see(key: str) -> None:
    """The registry's keys are hidden, and attributes without them stay the same object."""
    theirs = MappingProxyType({"gen_ai.request.model": "m", "model_registry": 1})
    assert TOOL["hide_keys"](theirs) is theirs
    assert TOOL["hide_keys"]({key: "x", **theirs}) == theirs


def test_last_phase_decides(tmp_path: Path) -> None:
    """A test fails if its set-up, its call or its end fails; a file that cannot be collected is recorded too."""
    recorder = TOOL["Recorder"](tmp_path / "outcomes.json")
    recorder.pytest_collectreport(SimpleNamespace(failed=True, nodeid="broken.py"))
    for outcome in ("passed", "failed", "passed"):
        recorder.pytest_runtest_logreport(SimpleNamespace(outcome=outcome, nodeid="t"))
    recorder.pytest_runtest_logreport(SimpleNamespace(outcome="skipped", nodeid="s"))
    recorder.pytest_sessionfinish()
    outcomes = json.loads((tmp_path / "outcomes.json").read_text("utf-8"))["outcomes"]
    assert outcomes == {"broken.py": "not collected", "t": "failed", "s": "skipped"}


def test_columns_are_aligned() -> None:
    """A table has one line per row, and each column its width."""
    assert TOOL["format_table"]([("a", 1, ""), ("bcd", 10, "x")]) == "a    1\nbcd  10  x"
