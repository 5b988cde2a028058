"""``check``: its options, exit codes and input. Rules and formats have tests of their own."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.commands import EXAMPLES, fits_terminal, run_here
from support.lint import entry, named

from spanforge.model_registry._cli import file_places
from spanforge.model_registry._cli.lint_rules import ALL_RULES, FILE_RULES, LINT_RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.commands import Printed

CLEAN = entry("clean")
WARNED = entry("warned", purpose="TODO")
NOTED = entry("noted", {"contact": None})
WRONG = {**entry("wrong"), "risk_tier": "severe"}
PAGE = Path(__file__).parents[2] / "docs" / "checking.md"


@pytest.fixture
def check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Printed]:
    """Give a function that runs the command in a folder with files that it writes."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **files: Any) -> Printed:
        for name, content in files.items():
            Path(name.replace("__", ".")).write_text(content if isinstance(content, str) else json.dumps(content))
        return run_here(capsys, "check", *arguments)

    return run


def list_rules(printed: Printed) -> list[tuple[str, str]]:
    """Return the file and rule of each finding."""
    return [(finding["file"], finding["rule"]) for finding in json.loads(printed.out)["findings"]]


def test_files_as_in_other_commands(check: Callable[..., Printed]) -> None:
    """Files may be arguments, and values of ``--file`` as in all other commands."""
    printed = check("a.json", "-f", "b.json", "--format", "json", a__json=[WARNED], b__json=[WRONG])
    assert {file for file, _ in list_rules(printed)} == {"a.json", "b.json"}


@pytest.mark.parametrize(
    ("entries", "fail_on", "code"),
    [
        ([CLEAN], "note", 0),
        ([CLEAN, NOTED], "warning", 0),
        ([CLEAN, NOTED], "note", 1),
        ([CLEAN, WARNED], "error", 0),
        ([CLEAN, WARNED], "warning", 1),
        ([CLEAN, WRONG], "error", 1),
        ([CLEAN, WRONG], "never", 0),
    ],
)
def test_exit_codes(entries: list[Any], fail_on: str, code: int, check: Callable[..., Printed]) -> None:
    """A finding that is as bad as the limit ends the command with 1; by default, the limit is an error."""
    assert check("a.json", "--fail-on", fail_on, a__json=entries).code == code
    if fail_on == "error":
        assert check("a.json").code == code


def test_a_good_registry(check: Callable[..., Printed]) -> None:
    """One line says what was checked."""
    assert check("a.json", a__json=[CLEAN, named("b")]) == (0, "1 file, 2 entries: no findings\n", "")


def test_rules_are_chosen(check: Callable[..., Printed]) -> None:
    """``--select`` and ``--ignore`` choose rules; faults of files are always reported."""
    entries = [WARNED, NOTED, WRONG]
    rules = {
        (): ["unfilled-field", "no-contact", "invalid-entry"],
        ("--select", "no-contact"): ["no-contact", "invalid-entry"],
        ("--select", "no-contact,wide-glob", "--select", "unfilled-field"): [
            "unfilled-field",
            "no-contact",
            "invalid-entry",
        ],
        ("--ignore", "unfilled-field", "--ignore", "no-contact , wide-glob"): ["invalid-entry"],
    }
    for options, expected in rules.items():
        printed = check("a.json", "--format", "json", *options, a__json=entries)
        assert [rule for _, rule in list_rules(printed)] == expected


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--ignore", "no-contract"], "there is no rule 'no-contract'; did you mean 'no-contact'?; check --list-rules"),
        (["--select", "zzz"], "there is no rule 'zzz'; check --list-rules lists them"),
        (["--ignore", "invalid-file"], "rule invalid-file cannot be chosen: no registry can be loaded while it is"),
        ([], "no registry file: pass --file FILE, or set OTEL_PYTHON_MODEL_REGISTRY_FILE"),
        (["a.json", "--calendar", "gone.json"], "gone.json: no such file"),
    ],
)
def test_wrong_usage(arguments: list[str], line: str, check: Callable[..., Printed]) -> None:
    """One line on standard error says what is wrong; the exit code is 2."""
    printed = check(*arguments, a__json=[CLEAN])
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.startswith(f"spanforge-models: {line}")
    assert printed.err.count("\n") == 1


def test_the_setting(check: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, the files and the calendar of the settings are checked."""
    calendar = [
        {"provider": "openai", "model": "clean", "shutdown_on": "2026-01-01", "source": "s", "checked_on": "2025-01-01"}
    ]
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", os.pathsep.join(("a.json", "b.json")))
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_CALENDAR", "calendar.json")
    printed = check("--format", "json", a__json=[CLEAN], b__json=[WARNED], calendar__json=calendar)
    assert printed.code == 1
    found = [(Path(file).name, rule) for file, rule in list_rules(printed)]
    assert found == [("a.json", "provider-shutdown"), ("b.json", "unfilled-field")]
    monkeypatch.delenv("OTEL_PYTHON_MODEL_REGISTRY_CALENDAR")
    assert "provider-shutdown" not in check().out
    assert "provider-shutdown" in check("--calendar", "calendar.json").out


def test_files_are_one_registry(check: Callable[..., Printed]) -> None:
    """An id in two files is an error that names both places. Names and successors may be in different files."""
    printed = check(
        *("a.json", "b.yaml", "b.yaml", "--format", "json"),
        a__json=[entry("x"), entry("old", status="deprecated"), entry("y", {"aliases": ["z"]})],
        b__yaml=json.dumps([entry("x"), entry("m"), entry("Z")], indent=1),
    )
    findings = json.loads(printed.out)["findings"]
    assert [(each["file"], each["rule"], each["model_id"]) for each in findings] == [
        ("b.yaml", "duplicate-id", "x"),
        ("b.yaml", "same-form", "Z"),
    ]
    assert findings[0]["message"] == "model_id 'x' must be unique; line 1 of a.json has it too"


def test_ids_of_broken_entries_are_known(check: Callable[..., Printed]) -> None:
    """A successor whose entry has a fault is registered; an id is a duplicate even if its entry has another fault."""
    old = entry("old", {"successor": "wrong"}, status="deprecated")
    printed = check("a.json", "--format", "json", a__json=[WRONG, old, WRONG])
    assert [rule for _, rule in list_rules(printed)] == ["invalid-entry", "duplicate-id", "invalid-entry"]


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("a.json", "[\n {,}]", 2, "the file is not valid JSON: "),
        ("a.json", '{"models": []}', None, "the file must be a JSON array of entries; got a mapping"),
        ("a.json", "", 1, "the file is not valid JSON: "),
        ("a.yaml", "- a: 1\n  a: 2\n", 2, "duplicate key 'a'"),
        ("a.yaml", "- a: [\n", 2, "the file is not valid YAML: "),
        ("a.yaml", "# nothing\n", None, "the file must be a YAML list of entries; the file is empty"),
        ("a.yaml", "models: []\n", 1, "the file must be a YAML list of entries; got a mapping"),
    ],
)
def test_files_that_are_no_list(
    name: str, content: str, line: int | None, message: str, check: Callable[..., Printed]
) -> None:
    """A fault of the text is an error; the other files are checked."""
    printed = check(name, "b.json", "--format", "json", b__json=[WARNED], **{name.replace(".", "__"): content})
    first, second = json.loads(printed.out)["findings"]
    assert (printed.code, first["rule"], first["line"], second["rule"]) == (1, "invalid-file", line, "unfilled-field")
    assert first["message"].startswith(message)


def test_every_fault_of_a_json_file(check: Callable[..., Printed]) -> None:
    """Duplicate keys, unknown fields and items that are no entries are all found, each at its place."""
    content = """\
[
  {"model_id": "a", "model_id": "b", "name": "n", "version": "1", "risk_tier": "low", "owner": "o", "purpose": "p",
   "metadata": {"contact": "c", "x": {"y": 1, "y": 2, "z": 3, "z": 4}}},
  7, {"model_id": "c", "name": "n", "version": "1", "risk_tier": "low", "owner": "o", "purpose": "p",
      "color": "red", "shape": "round"}
]
"""
    findings = json.loads(check("a.json", "--format", "json", a__json=content).out)["findings"]
    assert [(each["line"], each["column"], each["entry"], each["field"]) for each in findings] == [
        (2, 21, 0, "model_id"),
        (3, 52, 0, "metadata.x.y"),
        (3, 68, 0, "metadata.x.z"),
        (4, 3, 1, "entry"),
        (5, 7, 2, "color"),
        (5, 23, 2, "shape"),
    ]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ("ownr: o, purpose: p", {"ownr": "ownr is unknown; did you mean owner?"}),
        ("ownr: o", {"ownr": "ownr is unknown; did you mean owner?", "purpose": "purpose is missing"}),
        ("owner: o, ownr: o, purpose: p", {"ownr": "ownr is unknown; did you mean owner?"}),
        (
            "sunset: 2027-01-01, purpose: p",
            {"sunset": "sunset is unknown; did you mean sunset_date?", "owner": "owner is missing"},
        ),
    ],
)
def test_a_misspelt_field_is_one_fault(fields: str, faults: dict[str, str], check: Callable[..., Printed]) -> None:
    """A required field that is only misspelt does not count as missing too."""
    content = f"- {{model_id: a, name: n, version: 1, risk_tier: low, {fields}}}\n"
    found = json.loads(check("a.yaml", "--format", "json", a__yaml=content).out)["findings"]
    assert {each["field"]: each["message"] for each in found} == faults
    assert len(found) == len(faults)


def test_reserved_keys_beside_the_fields(check: Callable[..., Printed]) -> None:
    """What a rule finds in a key of the metadata is at its place, also if that is beside the fields."""
    content = "- {}\n".format(
        "{model_id: a, name: n, version: 1, risk_tier: low, owner: o, purpose: p, contact: c,\n"
        "   provider: OpenAI, aliases: [b,\n  a-*], metadata: {x: 1},\n  reason: old}"
    )
    found = json.loads(check("a.yaml", "--format", "json", a__yaml=content).out)["findings"]
    assert [(each["line"], each["column"], each["rule"]) for each in found] == [
        (2, 14, "provider-spelling"),
        (3, 3, "wide-glob"),
        (4, 11, "date-without-status"),
    ]


def test_unreadable_files(check: Callable[..., Printed], tmp_path: Path) -> None:
    """The files that can be read are checked; one line for each other one is on standard error, and the code is 2."""
    (tmp_path / "empty").mkdir()
    printed = check("gone.json", "a.json", "empty", "./a.json", a__json=[WRONG])
    assert printed.code == 2
    assert "1 file, 1 entry: 1 error" in printed.out
    folder, file = printed.err.splitlines()
    assert folder.startswith("spanforge-models: empty: no file in this folder has a name that ends in ")
    assert file == "spanforge-models: gone.json: no such file"


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_many_findings_are_located_in_one_pass(
    ending: str, check: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The place of a finding is searched in its own entry only, so that the time is linear in the size of the file."""
    sizes = []
    find = file_places.find_json_value

    def measure(text: str, index: int, path: str | None) -> tuple[int, int]:
        sizes.append(len(text))
        return find(text, index, path)

    monkeypatch.setattr(file_places, "find_json_value", measure)
    entries = [{**entry(f"m-{number}", {"contact": None}), "purpose": "TODO"} for number in range(500)]
    text = "\n".join(f"- {json.dumps(each)}" for each in entries) if ending == "yaml" else json.dumps(entries)
    findings = json.loads(check(f"a.{ending}", "--format", "json", **{f"a__{ending}": text}).out)["findings"]
    assert len(findings) == 501
    assert max(sizes, default=0) < 300
    assert len({(each["line"], each["column"]) for each in findings}) == 501


def test_folders_and_globs(check: Callable[..., Printed], tmp_path: Path) -> None:
    """Each file of a folder or glob is checked once, and one that cannot be read does not keep others from it."""
    (tmp_path / "teams").mkdir()
    for name in ("a.json", "b.json"):
        (tmp_path / "teams" / name).write_text(json.dumps([{**WARNED, "model_id": name}]))
    (tmp_path / "teams" / "notes.txt").write_text("no registry file")
    for sources in (["teams"], ["teams/*"], ["teams/b.json", "teams"]):
        printed = check(*sources, "--format", "json")
        assert sorted(list_rules(printed)) == [(f"teams/{name}.json", "unfilled-field") for name in "ab"]
    (tmp_path / "teams" / "0.json").symlink_to("gone.json")
    printed = check("teams", "--format", "json")
    assert (printed.code, printed.err) == (2, "spanforge-models: teams/0.json: no such file\n")
    assert len(list_rules(printed)) == 2


@pytest.mark.parametrize(
    ("content", "arguments", "name"),
    [
        (json.dumps([WARNED]), [], "stdin.json"),
        ("- " + json.dumps(WARNED), [], "stdin.yaml"),
        (json.dumps([WARNED]), ["--stdin-name", "models/team.yaml"], "models/team.yaml"),
    ],
)
def test_standard_input(
    content: str, arguments: list[str], name: str, check: Callable[..., Printed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``-`` reads standard input, as JSON or YAML, under the name that is given."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    printed = check("-", "--format", "json", *arguments)
    assert list_rules(printed) == [(name, "unfilled-field")]


@pytest.mark.parametrize("name", ["a__json", "a__yaml"])
def test_items_that_are_no_mapping(name: str, check: Callable[..., Printed]) -> None:
    """Each item that is no mapping is a fault, also null, which an empty item of a YAML list is."""
    printed = check(name.replace("__", "."), "--format", "json", **{name: '[null, 5, "t", [], null]'})
    findings = json.loads(printed.out)["findings"]
    assert [each["rule"] for each in findings] == ["invalid-entry"] * 5
    assert findings[0]["message"].endswith("must be a mapping; got null")


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_an_empty_registry(name: str, check: Callable[..., Printed]) -> None:
    """A file without entries is a warning."""
    printed = check(name, "--format", "json", **{name.replace(".", "__"): "[]"})
    assert list_rules(printed) == [(name, "empty-registry")]
    assert printed.code == 0


def test_the_list_of_rules(check: Callable[..., Printed]) -> None:
    """All rules are listed, as a table or as JSON."""
    text = check("--list-rules")
    assert fits_terminal(text.out)
    assert all(f"\n{rule.name} " in text.out for rule in ALL_RULES)
    listed = json.loads(check("--list-rules", "--format", "json").out)
    assert [each["rule"] for each in listed] == [rule.name for rule in ALL_RULES]
    assert list(listed[0]) == ["rule", "severity", "sentence", "fix", "can_be_ignored"]
    assert [each["can_be_ignored"] for each in listed] == [False] * len(FILE_RULES) + [True] * len(LINT_RULES)


def test_the_page_shows_the_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The findings on the page are those of the example."""
    monkeypatch.chdir(EXAMPLES)
    printed = run_here(capsys, "check", "broken.yaml")
    assert f"```text\n{printed.out}```\n" in PAGE.read_text("utf-8")
