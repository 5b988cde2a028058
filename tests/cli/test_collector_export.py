"""``collector transform`` and ``collector lookup``: the text of the library, on standard output or in a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.commands import EXAMPLES, run_here
from support.entries import FIELDS

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.collector import (
    render_lookup,
    render_lookup_processor,
    render_lookup_source,
    render_transform,
)

if TYPE_CHECKING:
    from pathlib import Path

MODELS = EXAMPLES / "models.yaml"


@pytest.fixture(name="registry")
def make_registry() -> ModelRegistry:
    """Return the registry of the examples."""
    registry = ModelRegistry(auto_emit=False)
    registry.load(MODELS)
    return registry


def test_the_text_is_that_of_the_library(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options are the arguments of the functions, and a file gets the same bytes as standard output."""
    options = ("--match", "exact", "--span-attributes", "+contact")
    lookup = render_lookup(registry, match="exact", span_attributes="+contact")
    assert run_here(capsys, "collector", "lookup", "--file", MODELS, *options) == (0, lookup, "")
    transform = render_transform(registry, match="exact", span_attributes="+contact")
    path = tmp_path / "enrichment.yaml"
    assert run_here(capsys, "collector", "transform", "--file", MODELS, *options, "--output", path) == (0, "", "")
    assert path.read_text("utf-8") == transform
    referring = run_here(capsys, "collector", "transform", "--file", MODELS, "--lookup-file", "/etc/l.yaml")
    assert referring == (0, render_transform(registry, lookup_file="/etc/l.yaml"), "")


def test_the_lookup_processor_is_that_of_the_library(
    registry: ModelRegistry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options of the lookup processor and its source are the arguments of the functions."""
    options = ("--match", "exact", "--span-attributes", "+contact")
    source = render_lookup_source(registry, match="exact", span_attributes="+contact")
    assert run_here(capsys, "collector", "lookup-source", "--file", MODELS, *options) == (0, source, "")
    expected = render_lookup_processor("/etc/s.yaml", reload_interval="5m", match="exact", span_attributes="+contact")
    path = tmp_path / "processor.yaml"
    command = ("collector", "lookup-processor", "--source-file", "/etc/s.yaml", "--reload-interval", "5m", *options)
    assert run_here(capsys, *command, "--output", path) == (0, "", "")
    assert path.read_text("utf-8") == expected


def test_an_old_file_is_replaced_in_one_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link stays a link, the file keeps its mode, and no other file remains."""
    target, link = tmp_path / "lookup.yaml", tmp_path / "link.yaml"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert run_here(capsys, "collector", "lookup", "--file", MODELS, "--output", link).code == 0
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.read_text("utf-8").endswith("# end\n")
    assert {path.name for path in tmp_path.iterdir()} == {"lookup.yaml", "link.yaml"}


def test_limits_of_the_collector_are_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the Collector cannot do is on standard error, and the result is not mixed with it."""
    path = tmp_path / "models.json"
    path.write_text(json.dumps([{**FIELDS, "metadata": {"aliases": ["[a-]\u202e*"]}}]))
    printed = run_here(capsys, "collector", "lookup", "--file", path)
    assert printed.code == 0
    line = "warning: the Collector cannot express, and does not match: '[a-]\\u202e*' of 'gpt-4o'"
    assert " ".join(printed.err.split()) == line
    assert printed.out.endswith("# end\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["transform", "--lookup-file", "${x}"], "lookup_file must be a path without line breaks"),
        (["lookup", "--span-attributes", "no_such"], "span_attributes must be names of status"),
        (["lookup-source", "--span-attributes", "owner"], "span_attributes must be names that include status"),
        (["lookup", "--output", "no/such/lookup.yaml"], "no/such/lookup.yaml: cannot be written: No such file or"),
    ],
)
def test_faults(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what is wrong."""
    printed = run_here(capsys, "collector", *arguments, "--file", MODELS)
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.startswith(f"spanforge-models: {line}")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--source-file", "${x}"], "source_file must be a path without line breaks"),
        (["--source-file", "x", "--reload-interval", "0s"], "reload_interval must be a whole number with a unit"),
    ],
)
def test_faults_of_the_lookup_processor(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what is wrong."""
    printed = run_here(capsys, "collector", "lookup-processor", *arguments)
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.startswith(f"spanforge-models: {line}")
    assert printed.err.count("\n") == 1
