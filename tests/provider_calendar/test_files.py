"""Calendar files: fields, places of faults, limits, and the JSON Schema."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calendars import announce

from spanforge.model_registry import InvalidValueError, RegistryFileError, RegistryFileNotFoundError
from spanforge.model_registry._core.announcements import CALENDAR_FIELDS, MAX_REPLACEMENTS
from spanforge.model_registry._core.calendar_files import MAX_ANNOUNCEMENTS, MAX_CALENDAR_SIZE
from spanforge.model_registry.calendar import Announcement, Calendar

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = json.loads((files("spanforge.model_registry") / "calendar.schema.json").read_text("utf-8"))
VALID = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
ROOT = Path(__file__).parents[2]
FULL = announce(announced_on="2026-10-01", replacements=["gpt-5", "gpt-5-mini"])

YAML = """\
# A comment.
- provider: openai
  model: gpt-4o
  announced_on: 2026-10-01
  shutdown_on: 2027-01-14
  not_before:
  replacements: [gpt-5, gpt-5-mini]
  source: page
  checked_on: 2026-11-01
- provider: azure
  model: gpt-4o
  not_before: 2027-04-14
  source: page
  checked_on: 2026-11-01
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file and returns its path."""

    def put(content: str | bytes, name: str = "calendar.json") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


def load_error(path: Path) -> str:
    with pytest.raises(RegistryFileError) as caught:
        Calendar.load(path)
    return str(caught.value).removeprefix(f"{path}")


def test_stars_of_a_model() -> None:
    """A model has at most eight stars, because each makes matching slower."""
    assert announce("*a" * 8).model == "*a" * 8
    with pytest.raises(InvalidValueError, match="model has more than 8 stars"):
        announce("*a" * 9)


def test_announcements_are_immutable_values() -> None:
    """An announcement refuses changes, equals its copies, and comes back from ``to_dict`` as it was."""
    with pytest.raises(AttributeError):
        FULL.model = "other"  # type: ignore[misc]
    assert Announcement.from_dict(FULL.to_dict()) == FULL == copy.deepcopy(FULL) == pickle.loads(pickle.dumps(FULL))
    assert hash(FULL) == hash(Announcement.from_dict(FULL.to_dict()))
    assert FULL.known_since == "2026-10-01"
    assert announce().known_since == "2026-11-01"


def test_files_in_yaml_and_json(write: Callable[..., Path], tmp_path: Path) -> None:
    """A YAML file and the JSON file that ``save`` writes hold the same calendar; equal calendars give equal bytes."""
    calendar = Calendar.load(write(YAML, "calendar.yaml"))
    assert set(calendar) == {FULL, announce(provider="azure", not_before="2027-04-14")}
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    calendar.save(first)
    Calendar([*reversed(list(Calendar.load(first))), FULL]).save(second)
    assert first.read_bytes() == second.read_bytes()
    assert Calendar.load(second) == calendar
    assert VALID.is_valid(json.loads(first.read_text()))
    with pytest.raises(RegistryFileError, match="YAML files are read-only"):
        calendar.save(tmp_path / "calendar.yaml")


TEXT = '[\n  {"provider": "openai", "model": "m", "source": "s", "checked_on": "2026-11-01",\n   %s}\n]'
DAY = "must be a day such as 2027-01-14; got"
FAULTS = {
    '"shutdown_on": "soon"': f", line 3, column 4, model 'm', field 'shutdown_on': {DAY} 'soon'",
    '"shutdown_on": "2027-02-29"': f", line 3, column 4, model 'm', field 'shutdown_on': {DAY} '2027-02-29'",
    '"announced_on": null': (
        ", line 2, column 3, model 'm', field 'shutdown_on': is missing; an announcement has shutdown_on or not_before"
    ),
    '"shutdown_on": "2027-01-01", "not_before": "2027-01-01"': (
        ", line 3, column 4, model 'm', field 'shutdown_on': must be left out beside not_before; "
        "shutdown_on is a firm day, and not_before is none"
    ),
    '"shutdown_on": "2027-01-01", "announced_on": "2026-11-02"': (
        ", line 2, column 55, model 'm', field 'checked_on': must be no earlier than announced_on, "
        "2026-11-02; got '2026-11-01'"
    ),
    '"sunset": "2027-01-01"': (
        ", line 3, column 4, model 'm', field 'sunset': is unknown; an announcement has the fields "
        f"{', '.join(CALENDAR_FIELDS)}"
    ),
    '"shutdown_on": "2027-01-01", "replacements": ["a", ""]': (
        ", line 3, column 33, model 'm', field 'replacements[1]': must be text of 1 to 256 characters that is "
        "not blank, without white space around it; got ''"
    ),
    '"model": "n"': ": is not valid JSON: duplicate key 'model'",
    '"shutdown_on" "x"': ", line 3, column 18: is not valid JSON: Expecting ':' delimiter",
}


@pytest.mark.parametrize("member", FAULTS)
def test_faults_in_json(member: str, write: Callable[..., Path]) -> None:
    """An error in JSON names file, line and column, entry and field, and says what is allowed."""
    assert load_error(write(TEXT % member)) == FAULTS[member]


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        ("2027-01-14", "soon", f", line 5, column 3, model 'gpt-4o', field 'shutdown_on': {DAY} 'soon'"),
        ("  source: page\n", "", ", line 2, column 3, model 'gpt-4o', field 'source': is missing"),
        ("  model: gpt", "  modle: gpt", ", line 3, column 3, field 'modle': is unknown; "),
        ("[gpt-5, gpt-5-mini]", "gpt-5", ", line 7, column 3, model 'gpt-4o', field 'replacements': must be "),
        ("- provider: azure", "- text\n- provider: azure", ", line 10, column 3: must be a mapping; got text"),
        ("model: gpt-4o", "model: &a gpt-4o\n  model: b", ", line 4, column 3: duplicate key 'model'"),
    ],
)
def test_faults_in_yaml(before: str, after: str, error: str, write: Callable[..., Path]) -> None:
    """An error in YAML names file, line and column, entry and field, and says what is allowed."""
    assert load_error(write(YAML.replace(before, after, 1), "c.yml")).startswith(error)


@pytest.mark.slow
def test_wrong_and_huge_files(write: Callable[..., Path], tmp_path: Path) -> None:
    """A file of another kind, or beyond a limit, has one clear error."""
    fields = ", ".join(CALENDAR_FIELDS)
    assert load_error(write("{}")).startswith(f": must be a list of announcements, each with {fields}; got a mapping")
    assert load_error(write("[" * 100_000)) == ": is not valid JSON: it is nested too deeply"
    assert (
        load_error(write(b"[\n\xff]")) == ", line 2, column 1: is not valid JSON: it is not UTF-8: invalid start byte"
    )
    assert load_error(write("[NaN]")) == ": is not valid JSON: NaN is not a JSON number"
    keys = ", ".join(f'"{number}": 1' for number in range(100_000))  # comparing each key with each takes minutes
    assert load_error(write(f'[{{{keys}, "99999": 2}}]')) == ": is not valid JSON: duplicate key '99999'"
    assert load_error(write("", "c.yaml")).startswith(": must be a YAML list of announcements; the file is empty")
    size = f": is larger than {MAX_CALENDAR_SIZE:,} bytes, the limit of a calendar"
    assert load_error(write(b" " * (MAX_CALENDAR_SIZE + 1))) == size
    items = json.dumps([0] * (MAX_ANNOUNCEMENTS + 1))
    assert load_error(write(items)) == f": has {len(items) // 3:,} announcements; the limit is {MAX_ANNOUNCEMENTS:,}"
    large = Calendar(announce(source=str(number) + "x" * 4_000) for number in range(1_100))
    with pytest.raises(RegistryFileError, match="cannot be written: it would be larger than 4,194,304 bytes"):
        large.save(tmp_path / "large.json")
    with pytest.raises(RegistryFileNotFoundError):
        Calendar.load(tmp_path / "missing.json")
    with pytest.raises(InvalidValueError, match=r"calendar has 10,001 announcements; the limit is 10,000"):
        Calendar(announce(f"m-{number}") for number in range(MAX_ANNOUNCEMENTS + 1))
    for wrong in ("calendar.json", [FULL.to_dict()]):
        with pytest.raises(InvalidValueError, match="announcements must be a list of Announcement; got"):
            Calendar(wrong)  # type: ignore[arg-type]
    spellings = [announce("a" + "-" * number + "b", source=str(number)).to_dict() for number in range(1, 3)]
    assert len(Calendar.load(write(json.dumps(spellings)))) == len(spellings)


TEXTS = st.sampled_from(
    ["m", " m", "", "\n", "x" * 257, "2027-01-14", "2027-1-14", "2026-11-01", "*" * 8, "*" * 9, "m\n"]
)
LISTS = st.lists(TEXTS, max_size=2) | st.just(["m"] * (MAX_REPLACEMENTS + 1))
VALUES = st.one_of(TEXTS, st.none(), st.integers(), LISTS)


def find_problem(item: dict[str, Any]) -> str | None:
    try:
        Announcement.from_dict(item)
    except InvalidValueError as error:
        return error.problem
    return None


@given(
    st.dictionaries(st.sampled_from([*CALENDAR_FIELDS, "other"]), VALUES, max_size=3),
    st.sets(st.sampled_from([*CALENDAR_FIELDS])),
)
def test_the_schema_agrees_with_the_code(changes: dict[str, Any], removed: set[str]) -> None:
    """The schema accepts what the code accepts, and refuses the rest, except for the order of two days."""
    item = {**FULL.to_dict(), **changes}
    item = {key: value for key, value in item.items() if key in changes or key not in removed}
    problem = find_problem(item)
    is_beyond_schema = problem is not None and "earlier" in problem
    assert VALID.is_valid([item]) == (problem is None or is_beyond_schema)


def test_the_schema_is_generated() -> None:
    """The schema in the package is the one that the tool generates."""
    command = [sys.executable, str(ROOT / "tools" / "calendar_schema.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0
