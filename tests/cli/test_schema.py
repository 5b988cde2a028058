"""``schema``: the JSON Schemas that are installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest
from support.commands import Printed, run_here

from spanforge.model_registry._cli.schemas import list_schemas

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", list_schemas())
def test_a_schema(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The schema is valid, is printed as it is installed, and a file gets the same bytes."""
    printed = run_here(capsys, "schema", kind)
    assert (printed.code, printed.err) == (0, "")
    jsonschema.Draft202012Validator.check_schema(json.loads(printed.out))
    target = tmp_path / "schema.json"
    assert run_here(capsys, "schema", kind, "--output", target) == Printed(0, "", "")
    assert target.read_text("utf-8") == printed.out


def test_a_schema_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line names the file and the reason, or the kinds that there are."""
    printed = run_here(capsys, "schema", "calendar", "--output", tmp_path / "no" / "x.json")
    line = f"spanforge-models: {tmp_path}/no/x.json: cannot be written: No such file or directory\n"
    assert printed == Printed(2, "", line)
    printed = run_here(capsys, "schema", "modles")
    assert printed == Printed(
        2, "", f"spanforge-models: there is no schema modles; the schemas are {', '.join(list_schemas())}\n"
    )
