"""Commands that print entries: whatever a valid file contains, it cannot control the terminal."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._cli.app import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ENTRIES = st.lists(st.from_type(ModelRegistryEntry), min_size=1, max_size=3, unique_by=lambda entry: entry.model_id)


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=30), st.lists, max_leaves=4)
KEYS = st.sampled_from(["gen_ai.request.model", "gen_ai.response.model", "gen_ai.provider.name", "x"]) | st.text()
SPANS = st.fixed_dictionaries({"name": st.text(max_size=30), "attributes": st.dictionaries(KEYS, VALUES, max_size=5)})


def run_quietly(path: Path, command: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a registry file; return the exit code and what it printed to both streams."""
    stream = io.StringIO()
    with redirect_stdout(stream), redirect_stderr(stream):
        code = run([command, "--file", str(path), *arguments])
    return code, stream.getvalue()


@settings(max_examples=settings.default.max_examples // 4)
@given(ENTRIES)
def test_entries_cannot_control_the_terminal(
    tmp_path_factory: pytest.TempPathFactory, entries: list[ModelRegistryEntry]
) -> None:
    """Each line has at most 80 columns and only printable characters, also for a name that no entry matches."""
    path = tmp_path_factory.getbasetemp() / "hostile.json"
    path.write_text(json.dumps([entry.to_dict() for entry in entries]))
    model_id = entries[0].model_id
    for command, names in (("list", []), ("show", [model_id]), ("resolve", [model_id, f"x{model_id}", "zzz"])):
        code, printed = run_quietly(path, command, "--", *names)
        assert code in ((0, 1) if command == "resolve" else (0,))
        assert all(cell_len(line) <= 80 and line.isprintable() for line in printed.split("\n")), printed


@settings(max_examples=settings.default.max_examples // 4)
@given(st.lists(SPANS, min_size=1, max_size=3))
def test_spans_cannot_control_the_terminal(
    tmp_path_factory: pytest.TempPathFactory, spans: list[dict[str, object]]
) -> None:
    """Whatever the attributes are, the report ends without an error, and its lines are as above."""
    path, registry_file = (tmp_path_factory.getbasetemp() / name for name in ("spans.json", "empty.json"))
    path.write_text(json.dumps(spans))
    registry_file.write_text("[]")
    code, printed = run_quietly(registry_file, "resolve", "--span", str(path))
    assert code == 1
    assert all(cell_len(line) <= 80 and line.isprintable() for line in printed.split("\n")), printed
