"""``list`` and ``show``: chosen entries, their order, and all that is known about one of them."""

from __future__ import annotations

import csv
import io
import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from support.commands import EXAMPLES, fits_terminal, run_here
from support.entries import FIELDS

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._cli.entry_columns import COLUMN_NAMES
from spanforge.model_registry._cli.row_tables import print_table

if TYPE_CHECKING:
    from pathlib import Path

MODELS = EXAMPLES / "models.yaml"


def entry(model_id: str, *, metadata: dict[str, Any] | None = None, **fields: str) -> dict[str, Any]:
    """Return the data of an entry, of which only what is not usual is given."""
    return {**FIELDS, "model_id": model_id, "metadata": metadata or {}, **fields}


ENTRIES = [
    entry("b", owner="chat-team", risk_tier="low", metadata={"provider": "azure", "aliases": ["x", "y"]}),
    entry("a", owner="search", risk_tier="critical", status="retired", metadata={"successor": "b"}),
    entry("c", owner="chat", risk_tier="medium", status="deprecated", metadata={"provider": ["openai", "az"]}),
]


@pytest.fixture(name="registry_file")
def write_registry_file(tmp_path: Path) -> Path:
    """Write a registry file of three models."""
    path = tmp_path / "models.json"
    path.write_text(json.dumps(ENTRIES))
    return path


@pytest.mark.parametrize(
    ("arguments", "model_ids"),
    [
        ([], "bac"),
        (["--status", "active", "--status", "retired"], "ba"),
        (["--owner", "chat*"], "bc"),
        (["--owner", "chat"], "c"),
        (["--tier", "low", "--status", "retired"], ""),
        (["--provider", "azure.ai.openai"], "bc"),
        (["--sort", "model_id"], "abc"),
        (["--sort", "-risk_tier"], "acb"),
        (["--sort", "status"], "bca"),
        (["--sort", "successor"], "abc"),
        (["--sort", "-successor"], "abc"),
    ],
)
def test_filters_and_order(
    arguments: list[str], model_ids: str, registry_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All filters must fit; tiers and statuses are ordered by rank, and empty values come last."""
    printed = run_here(capsys, "list", "--file", registry_file, "--format", "json", *arguments)
    entries = json.loads(printed.out)
    assert [each["model_id"] for each in entries] == list(model_ids)
    assert all(each in [ModelRegistryEntry.from_dict(data).to_dict() for data in ENTRIES] for each in entries)
    text = run_here(capsys, "list", "--file", registry_file, *arguments).out
    assert [line[0] for line in text.splitlines()[2:-1]] == list(model_ids)


def test_the_number_line(registry_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The last line has the number of models by status, and how many there are in all."""
    all_models = run_here(capsys, "list", "--file", registry_file).out
    assert all_models.splitlines()[-1] == "3 models: 1 active, 1 deprecated, 1 retired"
    one = run_here(capsys, "list", "--file", registry_file, "--tier", "low").out
    assert one.splitlines()[-1] == "1 of 3 models: 1 active"
    none = run_here(capsys, "list", "--file", registry_file, "--owner", "nobody").out
    assert none.splitlines()[-1] == "0 of 3 models"


def test_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has all columns, or those that are chosen, lists as import reads them, and no formulas."""
    path = tmp_path / "models.json"
    path.write_text(
        json.dumps([entry("m", owner="=cmd|'/c calc'!A1", purpose="a,b\nc", metadata={"aliases": ["ü", "ö"]})])
    )
    printed = run_here(capsys, "list", "--file", path, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(printed.out))
    assert tuple(row) == COLUMN_NAMES
    assert (row["owner"], row["purpose"], row["aliases"]) == ("'=cmd|'/c calc'!A1", "a,b\\nc", "ü;ö")
    chosen = run_here(capsys, "list", "--file", path, "--format", "csv", "--columns", "aliases, model_id")
    assert chosen.out == "aliases,model_id\nü;ö,m\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["list", "--columns", "nope"], "column 'nope' is unknown; columns are model_id, status, risk_tier, owner,"),
        (["list", "--sort", "-nope"], "column 'nope' is unknown; columns are model_id,"),
        (["list", "--status", "nope"], "--status must be one of active, deprecated, retired; got 'nope'"),
        (["list", "--tier", "nope"], "--tier must be one of low, medium, high, critical; got 'nope'"),
        (["list", "--columns", ",".join(COLUMN_NAMES)], f"{len(COLUMN_NAMES)} columns do not fit in a line; choose at"),
        (["show", "acme-chat-3"], "model 'acme-chat-3' is not registered; the nearest ids are 'acme-chat-2', 'acme"),
        (["show", "acme-embed-2"], "model 'acme-embed-2' is not registered; the nearest id is 'acme-embed-1'; `span"),
        (["show", "zzz"], "model 'zzz' is not registered; no id is like it; `spanforge-models resolve` explains why"),
    ],
)
def test_faults(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what is wrong and what is allowed."""
    printed = run_here(capsys, *arguments, "--file", MODELS)
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.startswith(f"spanforge-models: {line}")
    assert printed.err.count("\n") == 1


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All facts about a model are shown: also its history, the models that follow it, and its provider's calendar."""
    registry = ModelRegistry(auto_emit=False)
    for model_id in ("old", "newer", "newest"):
        registry.register(
            model_id,
            "N",
            "1",
            "low",
            "team",
            "a test",
            metadata={"cost": {"eur": 3}, "note": "x"},
            aliases=[f"{model_id}*"],
        )
    registry.deprecate("old", reason="too old", successor="openai/newer", sunset_date="9999-01-01", actor="ann")
    registry.deprecate("newer", successor="newest")
    registry.deprecate("newest", successor="old")
    path, calendar = tmp_path / "models.json", tmp_path / "calendar.json"
    registry.save(path)
    announcement = {"provider": "openai", "model": "old", "shutdown_on": "2020-01-31", "source": "s"}
    calendar.write_text(json.dumps([{**announcement, "checked_on": "2019-12-01"}]))
    arguments = ("show", "old", "--file", path, "--calendar", calendar)
    printed = run_here(capsys, *arguments)
    assert (printed.code, printed.err) == (0, "")
    assert fits_terminal(printed.out)
    text = " ".join(printed.out.split())
    for fact in (
        "old deprecated Description name N version 1 purpose a test owner team risk tier low",
        "globs old*",
        "sunset 9999-01-01, in 2,9",
        "reason too old",
        "warnings model 'old' is deprecated use 'openai/newer' instead",
        "use instead openai/newer (newer, deprecated) then newest (deprecated) then old (deprecated)",
        "calendar openai stopped serving it on 2020-01-31",
        'cost {"eur": 3} note x',
        "too old ann",
    ):
        assert fact in text
    data = json.loads(run_here(capsys, *arguments, "--format", "json").out)
    assert list(data) == ["entry", "warnings", "successors", "shutdowns"]
    saved = registry.get("old")
    assert saved is not None
    assert data["entry"] == saved.to_dict()
    assert [each["model_id"] for each in data["successors"]] == ["newer", "newest", "old"]
    assert data["shutdowns"][0]["sources"] == ["s"]


def test_show_another_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is no id shows the entry that it matches, and a note says so on standard error."""
    printed = run_here(capsys, "show", "support-chat", "--file", MODELS)
    assert printed.out.startswith("acme-chat-1  deprecated\n")
    assert printed.err == "'support-chat' is no id; by the rule alias it is 'acme-chat-1'\n"


def test_models_of_folders_and_globs(
    registry_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An option or the setting may name a folder or a glob. A change needs one file."""
    (registry_file.parent / "more.yaml").write_bytes(MODELS.read_bytes())
    folder = str(registry_file.parent)
    expected = run_here(capsys, "list", "--file", registry_file, "--file", f"{folder}/more.yaml").out
    assert expected.count("\n") == 2 + 3 + 3 + 1
    assert run_here(capsys, "list", "--file", folder).out == expected
    assert run_here(capsys, "list", "--file", f"{folder}/*.[jy]*").out == expected
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", folder)
    assert run_here(capsys, "list").out == expected
    failed = run_here(capsys, "retire", "b")
    assert (failed.code, failed.err) == (
        2,
        "spanforge-models: a change needs one registry file, not 2: pass --file FILE\n",
    )


CELLS = st.text(max_size=40) | st.sampled_from(["模型/一二三四五六七八九十一二三四五六七八九十一二三", "a/b-c.d" * 9])


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=4))
def test_a_table_fits_and_loses_nothing(rows: list[tuple[str, ...]]) -> None:
    """Whatever is in the cells, no line is wider than the terminal, and each cell can be read."""
    stream = io.StringIO()
    with redirect_stdout(stream):
        print_table(["one", "two", "three"], rows)
    lines = stream.getvalue().splitlines()
    assert all(cell_len(line) <= 80 and line.isprintable() for line in lines)
    letters = "".join(lines)
    assert all(
        letters.count(letter) >= text.count(letter)
        for row in rows
        for text in row
        for letter in text
        if letter.isalnum()
    )
