"""``reconcile``: telemetry compared with registry and calendar."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len
from support.commands import Printed, command_environment, command_line, copy_examples, fits_terminal, run_here
from support.evidence import make_entry
from support.otlp import START, Otlp
from support.processes import SECONDS
from support.unfinished import fill_in
from support.waiting import poll

from spanforge.model_registry._cli.app import run
from spanforge.model_registry._cli.finding_kinds import FAIL_ON, FINDING_KINDS
from spanforge.model_registry._cli.registries import load_registry
from spanforge.model_registry._cli.unfinished_entries import FIELD_HINTS
from spanforge.model_registry._core.storage import encode_entries, parse_entries

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistryEntry

DAY = 86_400 * 10**9
STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Case:
    """A folder with the files of a run.

    Attributes:
        folder: The folder.
        otlp: The maker of spans.
    """

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.otlp = Otlp()
        self._capsys = capsys

    def write(self, *lines: bytes, entries: tuple[ModelRegistryEntry, ...] = ()) -> None:
        """Write a file of telemetry, and the registry."""
        (self.folder / "spans.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        (self.folder / "models.json").write_bytes(encode_entries(entries))

    def run(self, *options: object, source: str = "spans.jsonl") -> Printed:
        """Run the command with the registry and a source of telemetry."""
        paths = ("--telemetry", self.folder / source, "--file", self.folder / "models.json")
        return run_here(self._capsys, "reconcile", *paths, *options)

    def read(self, *options: object, source: str = "spans.jsonl") -> dict[str, Any]:
        """Return the result as JSON."""
        document: dict[str, Any] = json.loads(self.run("--format", "json", *options, source=source).out)
        return document


@pytest.fixture
def case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Case:
    return Case(tmp_path, capsys)


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the examples, and work in their folder."""
    folder = copy_examples(tmp_path)
    monkeypatch.chdir(folder)
    return folder


EXAMPLE = ("reconcile", "--telemetry", "telemetry.jsonl", "--file", "models.yaml", "--file", "media.yaml")


@pytest.mark.usefixtures("examples")
def test_text_of_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    """The text begins with a summary, and then has a table for each kind, the most harmful kind first."""
    printed = run_here(capsys, *EXAMPLE)
    lines = printed.out.splitlines()
    assert lines[0] == "108 calls of 6 models by 6 services, 2026-10-01 to 2026-11-30"
    assert (printed.code, printed.err) == (1, "")
    assert fits_terminal(printed.out)
    titles = [line.partition(":")[0] for line in lines if ": " in line and not line.startswith(" ")]
    assert titles == [row.title for row in FINDING_KINDS.values() if row.title in titles]


@pytest.mark.usefixtures("examples")
def test_json_of_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the summary, all findings, all services and the limits."""
    document = json.loads(run_here(capsys, *EXAMPLE, "--format", "json").out)
    assert {key: list(document[key]) for key in ("summary", "limits")} == {
        "summary": [
            *("calls", "spans", "log_calls", "agent_spans", "copies", "first", "last", "services"),
            *("models_registered", "models_called", "findings", "senders", "inputs"),
        ],
        "limits": [],
    }
    assert document["summary"]["senders"] == {"unknown": 108}
    retired, *_, never = document["findings"]
    assert retired == {
        "kind": "retired",
        "model_id": "acme-image-1",
        "name": "",
        "owner": "media-team",
        "calls": 3,
        "services": {"website": 3},
        "first": "2026-10-22T14:00:00.000000Z",
        "last": "2026-11-01T14:00:00.000000Z",
        "senders": {"unknown": 3},
        "names": {},
        "served_id": None,
        "rule": None,
        "day": "2026-10-20",
        "near": [],
        "note": "since 2026-10-20",
    }
    assert (never["kind"], never["model_id"], never["calls"], never["first"]) == (
        "never-called",
        "acme-image-2",
        0,
        None,
    )
    assert document["services"][0] == {
        "service": "support-bot",
        "calls": 73,
        "models": ["acme-chat-1", "acme-chat-2"],
        "unregistered_names": 0,
        "owners": ["chat-team"],
    }


@pytest.mark.usefixtures("examples")
def test_csv_of_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    """CSV has a row for each finding, with all fields."""
    document = json.loads(run_here(capsys, *EXAMPLE, "--format", "json").out)
    rows = list(csv.DictReader(run_here(capsys, *EXAMPLE, "--format", "csv").out.splitlines()))
    assert [(row["kind"], row["calls"]) for row in rows] == [
        (row["kind"], str(row["calls"])) for row in document["findings"]
    ]
    (missing,) = (row for row in rows if row["kind"] == "unregistered")
    assert missing["names"] == "acme-draft-3;acme-draft-3-2026-09-01;openai/acme-draft-3"
    assert set(rows[0]) == set(document["findings"][0])


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        ("retired", 1),
        ("never-called,shutdown", 1),
        ("shutdown", 0),
        ("never", 0),
        ("unregistered", 1),
        ("undeployed", 0),
    ],
)
def test_kinds_that_fail(kinds: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1 if there is a finding of a chosen kind."""
    assert run_here(capsys, *EXAMPLE, "--fail-on", kinds, "--quiet").code == code


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--fail-on", "nope"), "--fail-on nope: unknown kind; kinds are " + ", ".join(FINDING_KINDS) + " and never"),
        (("--from", "2026-13-01"), "--from must be an RFC 3339 date or date-time such as"),
        (("--from", "2026-02-01", "--to", "2026-01-01"), "--to must be later than --from, 2026-02-01"),
        (("--telemetry", "nope*.jsonl"), "nope*.jsonl: matches no file"),
        (("--telemetry", "http://127.0.0.1:9"), "--from is missing: reading traces over the network needs a period"),
        (("--calendar", "nope.json"), "nope.json: no such file"),
        (("--suggest", "models.json"), "--suggest models.json: the name must end in .yaml or .yml"),
        (("--telemetry", "broken.jsonl"), "broken.jsonl: "),
    ],
)
def test_wrong_options(case: Case, options: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong options and missing files are one line and exit code 2, before anything is printed."""
    monkeypatch.chdir(case.folder)
    case.write(case.otlp.line(case.otlp.span("a")))
    (case.folder / "broken.jsonl").write_text("no telemetry\n")
    printed = case.run(*options)
    assert (printed.code, printed.out) == (2, "")
    assert line in printed.err
    assert printed.err.count("\n") == 1


def test_each_kind(case: Case) -> None:
    """Each call is a finding of its kinds, and counts by service with its first and last start."""
    otlp = case.otlp
    entries = (
        make_entry("gone", status="retired", decommission_date="2026-01-02"),
        make_entry(
            "old", status="deprecated", metadata={"deprecation_date": "2026-01-01", "sunset_date": "2026-01-03"}
        ),
        make_entry("early", deployment_date="2026-01-05"),
        make_entry("new", metadata={"aliases": ["n?w-*"]}),
        make_entry("quiet"),
        make_entry("later", deployment_date="2999-01-01"),
        make_entry("one", metadata={"provider": "openai"}),
        make_entry("twin-1", metadata={"aliases": ["twin"]}),
        make_entry("twin-2", metadata={"aliases": ["twin"]}),
    )
    (case.folder / "calendar.json").write_text(
        json.dumps(
            [
                {
                    "provider": "openai",
                    "model": "new",
                    "shutdown_on": "2026-01-04",
                    "source": "page",
                    "checked_on": "2026-01-01",
                }
            ]
        )
    )
    agent = otlp.span("quiet", gen_ai__operation__name="invoke_agent")
    case.write(
        otlp.line(*(otlp.span("gone", START + day * DAY) for day in range(4)), service="a"),
        otlp.line(otlp.span("old"), otlp.span("old", START + 3 * DAY), otlp.span("early"), service="b"),
        otlp.line(*(otlp.span("new", START + day * DAY, gen_ai__provider__name="openai") for day in (2, 3, 4))),
        otlp.line(otlp.span("now-1"), otlp.span("NEW"), otlp.span("one", gen_ai__provider__name="azure")),
        otlp.line(otlp.span("new", gen_ai__response__model="x"), otlp.span("twin"), agent),
        entries=entries,
    )  # fmt: skip
    document = case.read("--calendar", case.folder / "calendar.json")
    found = {(row["kind"], row["model_id"], row["name"]): row for row in document["findings"]}
    counts = {key: (row["calls"], list(row["services"]), row["day"]) for key, row in found.items()}
    assert counts == {
        ("retired", "gone", ""): (3, ["a"], "2026-01-02"),
        ("shutdown", "new", ""): (2, ["api"], "2026-01-04"),
        ("sunset", "old", ""): (1, ["b"], "2026-01-03"),
        ("unregistered", None, "one"): (1, ["api"], None),
        ("unregistered", None, "twin"): (1, ["api"], None),
        ("substituted", "new", "x"): (1, ["api"], None),
        ("undeployed", "early", ""): (1, ["b"], "2026-01-05"),
        ("deprecated", "old", ""): (2, ["b"], "2026-01-01"),
        ("agent-only", "quiet", ""): (1, ["api"], None),
        ("matched", "new", "NEW"): (1, ["api"], None),
        ("matched", "new", "now-1"): (1, ["api"], None),
        ("never-called", "one", ""): (0, [], None),
        ("never-called", "quiet", ""): (0, [], None),
        ("never-called", "twin-1", ""): (0, [], None),
        ("never-called", "twin-2", ""): (0, [], None),
    }
    assert list(dict.fromkeys(row["kind"] for row in document["findings"])) == list(FINDING_KINDS)
    gone = found["retired", "gone", ""]
    assert (gone["first"][:10], gone["last"][:10]) == ("2026-01-02", "2026-01-04")
    near = {
        name: (found["unregistered", None, name]["near"], found["unregistered", None, name]["note"])
        for name in ("one", "twin")
    }
    assert near == {
        "one": (["one"], "'one' matches the name, but not for the provider of the calls"),
        "twin": (["twin-1", "twin-2"], "'twin-1', 'twin-2' match equally well"),
    }


@pytest.mark.parametrize(
    ("match", "note"),
    [
        ("forms", ("'one' matches the name, but not for the provider of the calls", "")),
        (
            "exact",
            (
                "'one' matches the name, but not for the provider of the calls",
                "'acme-chat' matches a form of the name, but the setting match is exact",
            ),
        ),
    ],
)
def test_reasons_of_names_that_nearly_match(
    case: Case, match: str, note: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is true for the calls, whose provider may decide, also if forms do not match."""
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_MATCH", match)
    entries = (
        make_entry("one", metadata={"provider": "openai"}),
        make_entry("acme-chat"),
        make_entry("wide", metadata={"aliases": ["both"]}),
        *(make_entry(f"tied-{n}", metadata={"aliases": ["both", "x"], "provider": "openai"}) for n in (1, 2)),
    )
    spans = [
        case.otlp.span(name, gen_ai__provider__name=provider)
        for name, provider in (("one", "cohere"), ("ACME-chat", "cohere"), ("both", "openai"), ("x", "cohere"))
    ]
    case.write(case.otlp.line(*spans), entries=entries)
    notes = {row["name"]: row["note"] for row in case.read()["findings"] if row["kind"] == "unregistered"}
    assert (notes.pop("one"), notes.pop("ACME-chat", "")) == note
    assert notes == {
        "both": "'tied-1', 'tied-2' match equally well",
        "x": "'tied-1', 'tied-2' match equally well, or are limited to other providers",
    }


def test_sources_and_period(case: Case) -> None:
    """A folder means all files in it, whatever their layout; copies count once; the period is all times by default."""
    otlp = case.otlp
    one, two = otlp.line(otlp.span("a")), otlp.line(otlp.span("a", START + DAY))
    case.write(one, entries=(make_entry("a"),))
    (case.folder / "archive" / "2026" / "[01]").mkdir(parents=True)
    (case.folder / "archive" / "a.jsonl").write_bytes(one)
    (case.folder / "archive" / "2026" / "[01]" / "b.json.gz").write_bytes(gzip.compress(two))
    summary = case.read("--telemetry", case.folder / "archive")["summary"]
    assert (summary["calls"], summary["copies"], summary["inputs"]) == (2, 1, 3)
    assert case.read(source="archive/2026/[01]")["summary"]["calls"] == 1
    period = ("--from", "2026-01-01", "--to", "2026-01-02")
    assert case.read(*period, source="archive")["summary"]["calls"] == 1


def test_broken_lines_and_senders(case: Case) -> None:
    """Parts that cannot be read, and calls of untrusted senders, are limits and change no other number."""
    otlp = case.otlp
    trusted, untrusted = (
        otlp.marked("trusted", otlp.span("a")),
        otlp.marked("untrusted", otlp.span("b"), otlp.span("b")),
    )
    case.write(
        otlp.line(*trusted), b'{"resourceSpans":[{"scopeSpans":5}]}', otlp.line(*untrusted), entries=(make_entry("a"),)
    )
    document = case.read()
    assert document["summary"]["senders"] == {"trusted": 1, "untrusted": 2}
    assert document["summary"]["calls"] == 1
    assert document["findings"] == []
    broken, senders = document["limits"]
    assert broken.startswith(
        "spans.jsonl: unreadable documents, spans or log records: 1; the input's first fault: line 2"
    )
    assert senders == "calls of untrusted senders, which are not in any other number: 2"
    text = case.run().out
    assert "calls by sender: trusted 1, untrusted 2" in text
    assert "unreadable documents" in text


def test_no_calls(case: Case) -> None:
    """The summary of telemetry without calls states that there are none. The exit code is 0."""
    case.write(case.otlp.line(case.otlp.span()), entries=(make_entry("a"),))
    printed = case.run()
    assert (printed.code, printed.out.splitlines()[0].rstrip()) == (0, "no call of a model in the telemetry")


def test_more_models_of_agents(case: Case) -> None:
    """The line about further models that only agents name has the number of their spans."""
    spans = (case.otlp.span(f"m{number}", gen_ai__operation__name="invoke_agent") for number in range(12))
    case.write(case.otlp.line(*spans), entries=(make_entry("a"),))
    assert "and 2 more with 2 spans; --all shows them" in case.run().out


@pytest.mark.slow
def test_many_models(case: Case) -> None:
    """Of a thousand models, each table shows the first ones, and ``--all`` shows them all."""
    otlp = case.otlp
    names = [f"model-x{number:04}y" for number in range(1_000)]
    spans = [otlp.line(*map(otlp.span, names[at::40]), service=f"s{at}") for at in range(40)]
    case.write(*spans, otlp.line(otlp.span(names[7])), entries=tuple(make_entry(f"e{number}") for number in range(12)))
    few, everything = case.run(), case.run("--all")
    assert len(few.out.splitlines()) < 40
    assert "and 990 more with 990 calls; --all shows them" in few.out
    assert "and 2 more; --all shows them" in few.out
    assert [name for name in names if name not in everything.out] == []
    assert fits_terminal(everything.out)
    assert "--all" not in everything.out
    listed = [line.split() for line in few.out.splitlines() if line.startswith("model-x")]
    assert [line[:2] for line in listed[:2]] == [["model-x0007y", "2"], ["model-x0000y", "1"]]


def test_services_of_several_owners(case: Case) -> None:
    """A service that calls models of several owners is listed with these."""
    spans = [case.otlp.span(name) for name in "ab"]
    case.write(case.otlp.line(*spans), entries=(make_entry("a", owner="x"), make_entry("b", owner="y")))
    assert case.run().out.splitlines()[-1].split() == ["api", "2", "x,", "y"]


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("width", [40, 63, 64, 90, 200])
def test_terminals_of_other_widths(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider than the terminal. On a narrow one, services and days are below the model's whole name."""
    for name, value in {"COLUMNS": str(width), "LINES": "24", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["reconcile", "-t", "telemetry.jsonl", "-f", "models.yaml"]) == 1
    lines = STYLE.sub("", capsys.readouterr().out).splitlines()
    assert max(map(cell_len, lines)) <= width
    (place,) = [number for number, line in enumerate(lines) if line.startswith("acme-image-1 ")]
    if width < 64:
        assert lines[place].split() == ["acme-image-1", "6"]
        assert lines[place + 1] == "  website; 2026-10-04 to 2026-11-01"
    else:
        assert lines[place].split() == ["acme-image-1", "6", "website", "2026-10-04", "2026-11-01"]


def test_suggested_entries(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file has an entry for each model; it loads when a person has filled it in, and its names then match."""
    options = (*EXAMPLE, "--suggest", "missing.yaml")
    printed = run_here(capsys, *options)
    assert (printed.code, printed.err) == (1, "missing.yaml: entries to fill in: 1\n")
    path = examples / "missing.yaml"
    suggested = path.read_text("utf-8")
    assert suggested.count("- model_id:") == 1
    assert "# 8 calls by research, newsletter, 2026-10-13 to 2026-11-28\n" in suggested
    refused = run_here(capsys, "list", "--file", path)
    assert refused.code == 2
    assert "field 'name'" in refused.err
    again = run_here(capsys, *options)
    assert (again.code, again.out) == (2, "")
    assert again.err.endswith("exists already, and is never overwritten; choose another name\n")
    assert path.read_text("utf-8") == suggested
    assert sorted(each.name for each in examples.glob("*.tmp")) == []

    complete(path)
    filled = run_here(capsys, *EXAMPLE, "--file", "missing.yaml", "--format", "json")
    assert "unregistered" not in json.loads(filled.out)["summary"]["findings"]
    resolution = load_registry([str(path)]).resolve("openai/acme-draft-3")
    assert (resolution.status, resolution.rule) == ("active", "form")


def complete(path: Path) -> None:
    """Fill in the fields of suggested entries."""
    path.write_text(fill_in(path.read_text("utf-8")), "utf-8")


@pytest.mark.parametrize("field", [field for field in FIELD_HINTS if field != "model_id"])
def test_a_field_that_is_not_filled_in(case: Case, field: str) -> None:
    """A file in which one required field is still empty does not load."""
    case.write(case.otlp.line(case.otlp.span("a")))
    path = case.folder / "new.yaml"
    assert case.run("--suggest", path).code == 1
    suggested = path.read_text("utf-8")
    complete(path)
    load_registry([str(path)])
    (empty,) = (line for line in suggested.splitlines() if line.startswith(f"  {field}:"))
    lines = [empty if line.startswith(f"  {field}:") else line for line in path.read_text("utf-8").splitlines()]
    path.write_text("\n".join(lines), "utf-8")
    printed = case.run("--file", path)
    assert printed.code == 2
    assert f"field '{field}'" in printed.err


def test_suggestions_group_spellings(case: Case) -> None:
    """There is one entry per model, named without route and snapshot; names that cannot match are comments."""
    names = [
        *("gpt-4o-2024-08-06", "openai/gpt-4o", "azure/gpt-4o", "gpt-3.5-turbo-0125", "my team's model"),
        *("us.anthropic.claude-sonnet-4-20250514-v1:0", "azure/prod-chat", "one", "x" * 5_000),
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcd1234",
    ]
    unmatched = case.otlp.span("one", gen_ai__provider__name="azure")
    nameless = case.otlp.span(model_registry__status="unregistered")
    case.write(
        case.otlp.line(*map(case.otlp.span, names[:-3]), *map(case.otlp.span, names[-2:]), unmatched, nameless),
        entries=(make_entry("one", metadata={"provider": "openai"}),),
    )
    printed = case.run("--suggest", "-", "--fail-on", "never")
    assert (printed.code, printed.err) == (0, "")
    entries = parse_entries("new.yaml", fill_in(printed.out).encode())
    assert sorted(entry.model_id for entry in entries) == sorted(
        ["gpt-4o", "gpt-3.5-turbo", "claude-sonnet-4", "prod-chat", "my team's model", names[-1]]
    )
    assert printed.out.count("# if this is the name of a deployment") == 3
    assert "# Left out: 'one' matches the name, but not for the provider of the calls: one\n" in printed.out
    assert "# Left out: the name is too long, or not allowed as an id:\n#   xxx" in printed.out
    assert "# Left out: (no name)\n" in printed.out


def test_suggestions_without_forms(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """If forms do not match, the other spellings of a model are aliases of its entry."""
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_MATCH", "exact")
    names = ["gpt-4o", "openai/gpt-4o", "gpt-4o-2024-08-06", "gpt-4o:*", "O"]
    case.write(case.otlp.line(*map(case.otlp.span, names)), entries=(make_entry("o"),))
    path = case.folder / "new.yaml"
    case.run("--suggest", path)
    complete(path)
    document = case.read("--file", path)
    (left,) = (row["names"] for row in document["findings"] if row["kind"] == "unregistered" and row["near"])
    assert left == {"O": 1}
    assert load_registry([str(path)]).list_all()[0].aliases == ("gpt-4o-2024-08-06", "openai/gpt-4o")


def test_nothing_to_suggest(case: Case) -> None:
    """Without models that are not registered, no file is written."""
    case.write(case.otlp.line(case.otlp.span("a")), entries=(make_entry("a"),))
    printed = case.run("--suggest", case.folder / "new.yaml")
    assert (printed.code, printed.err) == (0, "no entry to suggest, so no file is written\n")
    assert not (case.folder / "new.yaml").exists()


@pytest.mark.e2e
@pytest.mark.parametrize("options", [(), ("--quiet",)], ids=["shown", "quiet"])
def test_progress(case: Case, options: tuple[str, ...]) -> None:
    """On a terminal, a bar shows the bytes read, and leaves no trace; with ``--quiet``, there is none."""
    case.write(*[case.otlp.line(case.otlp.span("a", padding="x" * 100_000))] * 180, entries=(make_entry("a"),))
    command = command_line("reconcile", "-t", "spans.jsonl", "-f", "models.json", "--format", "csv", *options)
    terminal, end = os.openpty()
    environment = command_environment(TERM="xterm-256color", COLUMNS="80")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, cwd=case.folder, env=environment) as process:
        os.close(end)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal has no more users
            while part := os.read(terminal, 65_536):
                shown += part
        os.close(terminal)
        out, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, out.count(b"\n")) == (0, 1)
    if options:
        assert shown == b""
    else:
        assert b"reading telemetry" in shown
        assert b"/18.1 MB" in shown
        assert shown.endswith(b"\x1b[2K")


@pytest.mark.e2e
def test_interruption(case: Case) -> None:
    """Ctrl-C ends the command with one line and exit code 130; nothing is printed, and no file is left."""
    line = case.otlp.line(*(case.otlp.span("a") for _ in range(200))) + b"\n"
    case.write()
    with gzip.open(case.folder / "spans.jsonl", "wb") as file:
        file.write(line * 20)
    member = (case.folder / "spans.jsonl").read_bytes()
    (case.folder / "spans.jsonl").write_bytes(member * 400)
    temporary = case.folder / "temporary"
    temporary.mkdir()
    command = command_line("reconcile", "-t", "spans.jsonl", "-f", "models.json", "--suggest", "new.yaml")
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=case.folder,
        env=command_environment(TMPDIR=str(temporary)),
        text=True,
    ) as process:
        poll(lambda: list(temporary.iterdir()))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (130, "", "spanforge-models: interrupted\n")
    assert list(temporary.iterdir()) == []
    assert not (case.folder / "new.yaml").exists()


@pytest.mark.e2e
def test_suggestions_without_a_reader(examples: Path) -> None:
    """The file of suggestions is written even if the reader of the report, such as ``head``, has ended."""
    reader, writer = os.pipe()
    os.close(reader)
    command = command_line(*EXAMPLE, "--suggest", "missing.yaml")
    done = subprocess.run(command, stdout=writer, cwd=examples, check=False, env=command_environment())
    os.close(writer)
    assert done.returncode == 1
    assert "- model_id: acme-draft-3\n" in (examples / "missing.yaml").read_text("utf-8")


PAGE = Path(__file__).parents[2] / "docs" / "reconcile.md"
CONSOLE = re.compile(r"```console\n\$ spanforge-models (.*?)\n```\n\n```text\n(.*?)```", re.DOTALL)


@pytest.mark.usefixtures("examples")
def test_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/reconcile.md has each kind of finding, and the real output of its commands."""
    page = PAGE.read_text("utf-8")
    commands = CONSOLE.findall(page)
    assert len(commands) == page.count("```console") == 2
    for line, output in commands:
        assert run_here(capsys, *shlex.split(line)).out == output
    fails = {kind for kind in FINDING_KINDS if re.search(rf"^\| `{kind}` \| .* \| yes \|$", page, re.MULTILINE)}
    assert fails == set(FAIL_ON)
    assert {kind for kind in FINDING_KINDS if f"| `{kind}` |" not in page} == set()
