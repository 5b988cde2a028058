"""``calendar``: sources merged into a file, differences, and events for calendar programs."""

from __future__ import annotations

import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.calendars import TODAY, announce, set_day
from support.commands import EXAMPLES, copy_examples, fits_terminal, run_here
from support.icalendar import read_icalendar
from support.repositories import Repository

from spanforge.model_registry import ModelRegistry, RegistryFileError
from spanforge.model_registry._cli.app import run
from spanforge.model_registry._cli.calendar_changes import compare_calendars
from spanforge.model_registry._cli.calendar_edits import add_to_calendar, edit_calendar, format_announcements
from spanforge.model_registry._cli.icalendar import CalendarEvent, format_events
from spanforge.model_registry._core import calendar_files
from spanforge.model_registry._core.calendar_feeds import FEEDS
from spanforge.model_registry._core.calendar_files import parse_announcements
from spanforge.model_registry._core.file_lock import lock_folder
from spanforge.model_registry._core.timestamps import EPOCH
from spanforge.model_registry.calendar import Announcement, Calendar

if TYPE_CHECKING:
    from pathlib import Path

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
"""Other programs may slow the examples down, and each example prepares its own files."""
DAYS = st.dates().map(lambda day: day.isoformat())
NAMES = st.text(min_size=1, max_size=8).filter(lambda name: name == name.strip() and name.count("*") <= 8)


@st.composite
def announcements(draw: st.DrawFn) -> Announcement:
    """Draw an announcement."""
    end = draw(st.sampled_from(["shutdown_on", "not_before"]))
    fields = {end: draw(DAYS), "replacements": draw(st.lists(NAMES, max_size=2)), "checked_on": draw(DAYS)}
    return Announcement(model=draw(NAMES), provider=draw(NAMES), source=draw(NAMES), **fields)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the examples, as the current folder, on a fixed day."""
    copy = copy_examples(tmp_path)
    monkeypatch.chdir(copy)
    set_day(monkeypatch, TODAY)
    return copy


# sync


def test_sync_keeps_comments_and_layout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """New announcements follow the old ones. A later check of the same facts only changes a day."""
    path = folder / "calendar.yaml"
    before = path.read_text()
    sync = ("calendar", "sync", "--from", "litellm", "prices.json", "-o", "calendar.yaml", "--checked-on")
    printed = run_here(capsys, *sync, "2026-11-29")
    assert printed.code == 0
    assert "azure.ai.openai azure/gpt-4o: now a firm day" in printed.out
    assert printed.err == "calendar.yaml: 3 changes, 5 announcements\n"
    first = path.read_text()
    assert first.startswith(before)
    run_here(capsys, *sync, "2026-12-01")
    second = path.read_text()
    assert second.startswith(first)
    assert second.count("checked_on: 2026-12-01") == 3
    printed = run_here(capsys, *sync, "2026-12-05")
    assert path.read_text() == second.replace("2026-12-01", "2026-12-05")
    assert printed == (0, "", "calendar.yaml: 0 changes, 8 announcements\n")


def test_sync_of_several_sources(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new file may be JSON, and a source standard input. A dry run writes nothing. Other models may be left out."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "prices.json").read_bytes())))
    printed = run_here(capsys, "calendar", "sync", "--from", "litellm", "-", "-o", "new.json", "--format", "json")
    assert [change["kind"] for change in json.loads(printed.out)] == ["new", "new", "new"]
    assert len(Calendar.load("new.json")) == 3
    dry = run_here(capsys, "calendar", "sync", "--from", "bedrock", "bedrock.json", "-o", "dry.yaml", "--dry-run")
    assert dry.err == "dry.yaml: 1 change, 1 announcement, not written\n"
    assert not (folder / "dry.yaml").exists()
    names = ("bedrock.json", "bedrock.json", "-o", "own.yaml", "--only-registered", "--file", "models.yaml")
    assert run_here(capsys, "calendar", "sync", "--from", "bedrock", *names).err.startswith("own.yaml: 0 changes")
    table = json.loads((folder / "prices.json").read_text())
    table["openai/acme-embed-1"] = {"litellm_provider": "openai", "deprecation_date": "2027-01-14"}
    (folder / "prices.json").write_text(json.dumps(table))
    run_here(capsys, "calendar", "sync", "--from", "litellm", "prices.json", *names[2:])
    assert [each.model for each in Calendar.load("own.yaml")] == ["openai/acme-embed-1"]


@pytest.mark.parametrize("name", ["calendar.json", "calendar.yaml"])
def test_an_empty_file_is_filled(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A calendar file that exists but is empty gets the announcements, as a new one does."""
    (folder / name).write_text("\n")
    names = ("bedrock.json", "-o", name)
    assert (
        run_here(capsys, "calendar", "sync", "--from", "bedrock", *names).err == f"{name}: 1 change, 1 announcement\n"
    )
    assert len(Calendar.load(name)) == 1


@pytest.mark.parametrize("name", ["calendar.json", "calendar.yaml"])
def test_changes_at_once_lose_nothing(name: str, tmp_path: Path) -> None:
    """Each change reads the file with the lock held. A save waits for the lock too."""
    path = tmp_path / "new" / name
    found = [Calendar([announce(f"acme-chat-{i}")]) for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: add_to_calendar(str(path), each), found))
    assert Calendar.load(path).announcements == Calendar().merge(*found).announcements


def test_a_save_waits_for_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A save fails with one sentence if another thread or process has the lock for too long."""
    monkeypatch.setattr(calendar_files, "CALENDAR_WAIT", 0.0)
    with (
        lock_folder(str(tmp_path), 1),
        pytest.raises(RegistryFileError, match=r"written: .* locked"),
    ):
        Calendar().save(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--from", "bedrock", "prices.json", "-o", "calendar.yaml"], "prices.json: must be the output of aws bedrock"),
        (["--from", "litellm", "nope.json", "-o", "calendar.yaml"], "nope.json: no such file"),
        *(
            (
                ["--from", form, "empty.json", "-o", "calendar.yaml"],
                "empty.json: is empty: fetch it from its source again",
            )
            for form in FEEDS
        ),
        (
            ["--from", "litellm", "prices.json", "-o", "comment.yaml"],
            "comment.yaml: must be a YAML list of announcements; the file is empty",
        ),
        (["--from", "litellm", "prices.json", "-o", "models.yaml"], "models.yaml, line 2, column 3"),
        (["--from", "litellm", "prices.json"], "no calendar file: pass --output FILE, or set OTEL_PYTHON_MODEL_"),
        (
            ["--from", "litellm", "prices.json", "-o", "flow.yaml"],
            "flow.yaml: cannot be changed: write each announcement",
        ),
        (["--from", "litellm", "prices.json", "-o", "wide.yaml"], "wide.yaml: cannot be changed: it is UTF-16"),
        (["--from", "litellm", "prices.json", "-o", "x.json", "--checked-on", "today"], "checked_on must be a day"),
    ],
)
def test_sync_that_cannot_be_done(
    arguments: list[str], error: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each fault is one line, and no file changes."""
    flow = json.dumps([announce().to_dict()])
    (folder / "flow.yaml").write_text(flow)
    (folder / "empty.json").write_text(" ")
    (folder / "comment.yaml").write_text("# nothing yet")
    (folder / "wide.yaml").write_text(format_announcements([announce()]), "utf-16")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    printed = run_here(capsys, "calendar", "sync", *arguments)
    assert (printed.code, printed.out) == (2, "")
    assert error in printed.err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@settings(UNHURRIED, max_examples=60)
@given(st.lists(announcements(), max_size=3), st.lists(announcements(), max_size=3), DAYS, st.data())
def test_an_edited_file_has_what_was_wanted(
    old: list[Announcement], new: list[Announcement], day: str, data: st.DataObject
) -> None:
    """Whatever is added, renewed or removed, the file has exactly the announcements, and each comment."""
    indent = data.draw(st.sampled_from(["", "  "]))
    items = [format_announcements([each], indent) for each in old]
    text = "".join(f"# comment {number}\n{item}" for number, item in enumerate(items)) or "# comment 0\n[]\n"
    renewed = [Announcement.from_dict({**each.to_dict(), "checked_on": day}) for each in old]
    wanted = {*new, *data.draw(st.lists(st.sampled_from(old + renewed), max_size=4) if old else st.just([]))}
    edited = edit_calendar("calendar.yaml", text.encode(), wanted).decode()
    assert [line for line in edited.splitlines() if line.startswith("#")] == [
        line for line in text.splitlines() if line.startswith("#")
    ]
    assert set(parse_announcements("calendar.yaml", edited.encode())) == wanted


def test_the_last_line_may_have_no_end() -> None:
    """A file whose last line has no end gets one before new items; quotes around a day stay."""
    text = format_announcements([announce()]).replace("2026-11-01", '"2026-11-01"').rstrip("\n")
    later = announce(checked_on="2026-11-20")
    edited = edit_calendar("calendar.yaml", text.encode(), [later, announce("gpt-6")]).decode()
    assert edited.startswith(text.replace("2026-11-01", "2026-11-20") + "\n- provider")


# diff


def test_the_kinds_of_changes() -> None:
    """Each change has its kind and its days. A replacement alone is a change; a new check alone is none."""
    old = [
        announce("a"),
        announce("b"),
        announce("c"),
        announce("d"),
        announce("e", not_before="2027-01-01"),
        announce("f"),
        announce("g"),
    ]
    new = [
        announce("a", shutdown_on="2027-01-13"),
        announce("b", shutdown_on="2027-02-14"),
        announce("d", replacements=["x"]),
        announce("e"),
        announce("f", not_before="2027-01-14"),
        announce("g", checked_on="2026-11-20"),
        announce("h"),
    ]
    changes = {each.shown.model: each for each in compare_calendars(Calendar(old), Calendar(new))}
    assert {model: each.describe_kind() for model, each in changes.items()} == {
        "a": "1 day earlier",
        "b": "31 days later",
        "c": "removed",
        "d": "other replacement",
        "e": "now a firm day",
        "f": "no firm day any more",
        "h": "new",
    }
    assert changes["a"].days == -1
    assert changes["d"].describe_days() == "2027-01-14, use x (was 2027-01-14)"
    assert changes["f"].describe_days() == "not before 2027-01-14 (was 2027-01-14)"


@pytest.mark.usefixtures("folder")
def test_diff(capsys: pytest.CaptureFixture[str]) -> None:
    """The command shows what moved and whom it affects; ``--fail-on`` decides about the exit code."""
    diff = ("calendar", "diff", "calendar-old.yaml", "calendar.yaml")
    printed = run_here(capsys, *diff, "--file", "models.yaml")
    assert printed == (
        0,
        """\
openai acme-embed-1: 45 days earlier
  2027-01-14, use acme-embed-2 (was 2027-02-28, use acme-embed-2)
  registered: acme-embed-1 (search-team)
""",
        "",
    )
    registered = ("--fail-on", "registered")
    codes = [run_here(capsys, *diff, *options).code for options in ((), registered, ("--fail-on", "changes"))]
    assert codes == [0, 0, 1]
    assert run_here(capsys, *diff, *registered, "--file", "models.yaml").code == 1
    assert run_here(capsys, "calendar", "diff", "calendar-old.yaml", "calendar-old.yaml") == (0, "", "")
    (change,) = json.loads(run_here(capsys, *diff, "--file", "models.yaml", "--format", "json").out)
    assert change["days"] == -45
    assert change["before"]["shutdown_on"] == "2027-02-28"
    assert change["affects"] == [{"model_id": "acme-embed-1", "owner": "search-team"}]
    assert list(change) == ["kind", "provider", "model", "days", "before", "after", "affects"]
    assert list(change["after"]) == ["shutdown_on", "not_before", "replacements", "sources", "disagreement"]


def test_diff_of_revisions(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the calendars may be a file in a revision of git, but not a folder."""
    repository = Repository(tmp_path / "git")
    rows = [announce().to_dict()]
    repository.commit({"team/calendar.json": rows})
    repository.commit({"team/calendar.json": [{**rows[0], "shutdown_on": "2027-01-15"}]})
    monkeypatch.chdir(repository.folder)
    diff = ("calendar", "diff", "git:HEAD~1:team/calendar.json")
    printed = run_here(capsys, *diff, "git:HEAD:team/calendar.json")
    assert printed == (0, "openai gpt-4o: 1 day later\n  2027-01-15 (was 2027-01-14)\n", "")
    assert run_here(capsys, *diff, "team/calendar.json") == printed
    for path in ("team", "team/other.json", "."):
        refused = run_here(capsys, *diff, f"git:HEAD:{path}")
        assert refused == (2, "", f"spanforge-models: git:HEAD:{path}: revision HEAD has no such file\n")


def test_deployments_and_retired_models() -> None:
    """A shutdown affects the deployments of a base model, but no retired model."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("support", "Support", "1", "low", "team", "p", metadata={"base_model": "gpt-4o"})
    registry.register("gpt-4o", "GPT-4o", "1", "low", "team", "p")
    registry.retire("gpt-4o")
    (change,) = compare_calendars(Calendar(), Calendar([announce()]), registry)
    assert [entry.model_id for entry in change.entries] == ["support"]


# list


@pytest.mark.usefixtures("folder")
def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    """The list has the days left, and the owners if there is a registry."""
    shown = ("calendar", "list", "--calendar", "calendar.yaml")
    printed = run_here(capsys, *shown, "--file", "models.yaml")
    assert printed.out.splitlines()[2].split()[:4] == ["46", "2027-01-14", "openai", "acme-embed-1"]
    assert "search-team" in printed.out
    assert "owner" not in run_here(capsys, *shown).out
    every = json.loads(run_here(capsys, *shown, "--file", "models.yaml", "--format", "json").out)
    assert [each["days_left"] for each in every] == [46, None]
    assert every[0]["affects"] == [{"model_id": "acme-embed-1", "owner": "search-team"}]
    near = json.loads(run_here(capsys, *shown, "--within", "50", "--format", "json").out)
    assert near == [{**every[0], "affects": []}]


@settings(UNHURRIED, max_examples=30)
@given(st.lists(announcements(), min_size=1, max_size=3))
def test_hostile_names(tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[Announcement]) -> None:
    """Names, sources and replacements cannot control the terminal, whatever they are."""
    path = tmp_path / "calendar.json"
    Calendar(rows).save(path)
    Calendar().save(tmp_path / "empty.json")
    for arguments in (("list", "--calendar", path), ("diff", tmp_path / "empty.json", path, "--fail-on", "never")):
        printed = run_here(capsys, "calendar", *arguments)
        assert (printed.code, printed.err) == (0, "")
        assert fits_terminal(printed.out), printed.out


# ics


def test_ics(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The calendar has an event for each shutdown of a registered model and each sunset date, with two reminders."""
    ics = ("calendar", "ics", "-c", "calendar.yaml", "-f", "models.yaml")
    printed = run_here(capsys, *ics, "--output", "models.ics")
    assert printed == (0, "", "2 events of 3 registered models\n")
    content = (folder / "models.ics").read_bytes()
    shutdown, sunset = read_icalendar(content).parts
    assert (shutdown.properties["DTSTART"], sunset.properties["DTSTART"]) == ("20270114", "20270331")
    assert (shutdown.properties["DTSTAMP"], sunset.properties["DTSTAMP"]) == ("20261101T000000Z", "20260901T000000Z")
    assert shutdown.properties["SUMMARY"] == "openai stops serving acme-embed-1"
    assert shutdown.properties["DESCRIPTION"].splitlines() == [
        "Registered as acme-embed-1.",
        "Owner: search-team",
        "Contact: search-team@acme.example",
        "Replacement: acme-embed-2",
        "Source: https://acme.example/deprecations, checked on 2026-11-01",
    ]
    assert "Successor: acme-chat-2" in sunset.properties["DESCRIPTION"]
    assert [alarm.properties["TRIGGER"] for alarm in sunset.parts] == ["-P30D", "-P7D"]
    moved = (folder / "calendar.yaml").read_text().replace("2027-01-14", "2027-03-01")
    (folder / "calendar.yaml").write_text(moved)
    run_here(capsys, *ics, "--output", "models.ics")
    again, _ = read_icalendar((folder / "models.ics").read_bytes()).parts
    assert (again.properties["UID"], again.properties["DTSTART"]) == (shutdown.properties["UID"], "20270301")


@pytest.mark.usefixtures("folder")
def test_ics_of_an_owner(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """An owner gets the ends of the owner's models only. The same input gives the same bytes."""
    arguments = ["calendar", "ics", "-c", "calendar.yaml", "-f", "models.yaml", "--owner", "chat-team"]
    contents = []
    for _ in range(2):
        assert run(arguments) == 0
        contents.append(capsysbinary.readouterr().out)
    assert contents[0] == contents[1]
    calendar = read_icalendar(contents[0])
    assert calendar.properties["NAME"] == "Ends of AI models: chat-team"
    assert [event.properties["SUMMARY"] for event in calendar.parts] == ["Sunset of acme-chat-1"]
    assert run([*arguments[:-1], "chat-*"]) == 0
    assert len(read_icalendar(capsysbinary.readouterr().out).parts) == 1
    assert run([*arguments, "--owner", "nobody"]) == 2
    error = b"no registered model has the owner 'nobody'; owners are 'chat-team', 'search-team'"
    assert error in capsysbinary.readouterr().err


@settings(UNHURRIED, max_examples=60)
@given(st.text(max_size=120), st.lists(st.text(max_size=60), max_size=3))
def test_any_text_in_an_event(summary: str, lines: list[str]) -> None:
    """Any text gives a valid calendar. Printable text comes back as it was, and nothing can add a property."""
    event = CalendarEvent(("k",), "2027-01-14", summary, tuple(lines), EPOCH)
    (read,) = read_icalendar(format_events([event], summary)).parts
    assert len(read.parts) == 2
    for name, text in (("SUMMARY", summary), ("DESCRIPTION", "\n".join(lines))):
        printable = "".join(each for each in "\n".join(text.splitlines()) if each.isprintable() or each in "\n\t")
        assert read.properties[name] == printable


@pytest.mark.usefixtures("folder")
def test_the_settings_name_the_files(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options, the settings' files count."""
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_CALENDAR", str(EXAMPLES / "calendar.yaml"))
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", str(EXAMPLES / "models.yaml"))
    printed = run_here(capsys, "calendar", "list")
    assert "search-team" in printed.out
