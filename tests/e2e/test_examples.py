"""The examples, as people run them; the support agent has tests of its own in ``test_demo.py``.

The recipes have theirs in ``tests/matrix/test_recipes.py``.
"""

from __future__ import annotations

import importlib
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.log_lines import not_registered
from support.startup import hide_other_instrumentations

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples"


Run = Callable[..., str]


@pytest.fixture
def printed(example: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> Run:
    """Give what runs an example that has nothing to complain of, and returns what it printed."""

    def run(name: str) -> str:
        done = example(name, tmp_path, PYTHONWARNINGS="error")
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def hidden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the environment variable that leaves one LLM instrumentation. Each other one takes half a second."""
    return hide_other_instrumentations(tmp_path_factory.mktemp("hidden"))


def test_lifecycle(printed: Run, tmp_path: Path) -> None:
    """It prints the three events of two models with their payload, and leaves a registry file."""
    lines = printed("lifecycle.py").splitlines()
    steps = [f"model_registry.{step}" for step in ("registered", "deprecated", "retired")]
    assert [line for line in lines if not line.startswith(" ")] == steps * 2
    assert lines.count("  model_registry.owner = ml-platform") == 6
    assert [line for line in lines if "reason" in line and "metadata" not in line] == [
        "  model_registry.reason = Replaced by gpt-4o-2024-08",
        "  model_registry.reason = Successor available",
    ]
    [entry] = json.loads((tmp_path / "models.json").read_text("utf-8"))
    assert (entry["model_id"], entry["status"]) == ("gpt-4o-2024-05", "retired")


def test_nothing_lost(example: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """Though no trace is kept it prints each event in both forms, the risky calls and their counts, and the status."""
    done = example("nothing_lost.py", tmp_path, PYTHONWARNINGS="error")
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        [
            "model registry: model 'gpt-3.5-turbo' is deprecated (owner: ml-platform); use 'gpt-4o' instead",
            not_registered("gpt-9"),
        ],
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith(("span ", "record ", "metric "))] == [
        "span    model_registry.register: model_registry.registered",
        "record  model_registry.registered: gpt-4o",
        "span    model_registry.register: model_registry.registered",
        "record  model_registry.registered: gpt-3.5-turbo",
        "span    model_registry.deprecate: model_registry.deprecated",
        "record  model_registry.deprecated: gpt-3.5-turbo",
        "span    chat gpt-3.5-turbo: deprecated",
        "span    chat gpt-9: unregistered",
        "metric  model_registry.calls = 1 gpt-3.5-turbo, deprecated, medium, ml-platform",
        "metric  model_registry.calls = 1 unregistered",
    ]
    assert "sampler: ModelRegistrySampler{ratio=0.0,flagged=true}" in lines


def test_plain_sdk(printed: Run) -> None:
    """It prints the event's span and the enriched span, and takes ten lines or fewer beside its imports."""
    output = printed("plain_sdk.py")
    decoder = json.JSONDecoder()
    registered, end = decoder.raw_decode(output)
    called, _ = decoder.raw_decode(output[end:].lstrip())
    assert [event["name"] for event in registered["events"]] == ["model_registry.registered"]
    assert called["attributes"] == {
        "gen_ai.request.model": "gpt-4o",
        "model_registry.status": "active",
        "model_registry.owner": "ml-platform",
        "model_registry.risk_tier": "high",
        "model_registry.model_id": "gpt-4o",
        "model_registry.name": "GPT-4o",
        "model_registry.version": "2024-08-06",
    }
    source = (EXAMPLES / "plain_sdk.py").read_text("utf-8").splitlines()
    assert len([line for line in source if line and not line.startswith(("from ", '"""'))]) <= 10


SCREEN = 80, 24
"""Columns and lines of a terminal."""
ROLES = dict(
    re.findall(
        r"^\| an? ([\w -]+) \| `\.venv/bin/python examples/([\w/]+\.py)`",
        (EXAMPLES / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
)
SEEN = {
    "application developer": [
        "  model 'text-davinci-003' is retired (allowed here: active, deprecated)",
        "gpt-3.5-turbo    support-team  medium deprecated    gpt-4o",
        "gpt-4.1-nano     -             -      unregistered  -",
    ],
    "platform engineer": [
        "1 file, 2 entries: no findings",
        "$ opentelemetry-instrument python app.py",
        "  chat             gpt-3.5-turbo           support-team  medium   deprecated",
    ],
    "on-call engineer": [
        "  ! use 'acme-chat-2' instead",
        "  owner    chat-team, contact #chat-team",
        "Successor  acme-chat-2 (active)",
    ],
    "auditor": [
        "Verified: examples/evidence/october",
        "  - calls_registered: 11 of 55 calls",
        "  october: attestation.json is not the file that was signed: its SHA-256",
    ],
}


@pytest.mark.parametrize("role", SEEN)
def test_the_example_of_a_role(
    example: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, hidden: dict[str, str], role: str
) -> None:
    """The command in the table of roles works in any folder, and prints less than a screen with what the role needs."""
    assert sorted(ROLES) == sorted(SEEN)
    done = example(ROLES[role], tmp_path, **hidden)
    assert done.returncode == 0, done.stderr
    columns, rows = SCREEN
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert all(line.startswith("model registry: ") for line in done.stderr.splitlines())
    wrapped = [
        line[start : start + columns] for line in done.stderr.splitlines() for start in range(0, len(line), columns)
    ]
    assert len(lines) + len(wrapped) <= rows
    assert [line for line in SEEN[role] if line not in lines] == []
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_a_role_without_its_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the exporter is not installed, the program ends with one line that has the command to install it."""
    monkeypatch.syspath_prepend(str(EXAMPLES / "roles"))
    program = importlib.import_module("platform_engineer")
    monkeypatch.setattr(program, "entry_points", lambda **_: [])
    with pytest.raises(SystemExit, match=r"^otlp_json_file is not installed. .* run: make demo && "):
        program.main()


CALLS = """\
  LLM call         model                   owner         tier     status
  chat             gpt-4o                  ml-platform   high     active
                   answered by gpt-4o-2024-08-06
  chat             gpt-3.5-turbo           support-team  medium   deprecated
                   answered by gpt-3.5-turbo-0125
                   ! model 'gpt-3.5-turbo' is deprecated
                   ! use 'gpt-4o' instead
                   ! its sunset date is 2027-03-31
  chat             gpt-4.1-nano            -             -        unregistered
                   answered by gpt-4.1-nano-2025-04-14
                   ! model 'gpt-4.1-nano-2025-04-14' is not registered
"""
LOGGED = f"""\
model registry: model 'gpt-3.5-turbo' is deprecated (owner: support-team); use 'gpt-4o' instead; its sunset date is \
2027-03-31
{not_registered("gpt-4.1-nano-2025-04-14")}
"""
FROM_A_FILE = "OTEL_CONFIG_FILE is set; ignoring configurator kwargs: ['auto_instrumentation_version']\n"
"""What OpenTelemetry itself says, each time, of a declarative configuration file."""


def test_zero_code(example: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """Calls of an application that knows nothing of the package have owner, tier and status; a retirement its event."""
    done = example("zero_code/run.py", tmp_path, "--declarative")
    assert (done.returncode, done.stderr) == (0, f"{FROM_A_FILE}{LOGGED}{FROM_A_FILE}")
    assert "export OTEL_CONFIG_FILE=otel.yaml\n" in done.stdout
    assert CALLS in done.stdout
    assert done.stdout.count("says: Please restart the router") == 3
    assert "  retired          gpt-3.5-turbo           support-team  medium   " in done.stdout
    assert "was deprecated, contract has ended, use gpt-4o, by kim" in done.stdout
    source = (EXAMPLES / "zero_code" / "app.py").read_text("utf-8")
    assert "import spanforge" not in source
    assert "import opentelemetry" not in source


def test_the_environment_of_zero_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, the same application runs with the settings of the platform engineer's example."""
    monkeypatch.syspath_prepend(str(EXAMPLES / "roles"))
    settings = importlib.import_module("platform_engineer").SETTINGS
    zero_code = runpy.run_path(str(EXAMPLES / "zero_code" / "run.py"))
    assert zero_code["ENVIRONMENT"] == {"OTEL_SERVICE_NAME": "zero-code", **settings}
    ran: list[tuple[dict[str, str], str]] = []
    monkeypatch.setitem(zero_code["main"].__globals__, "run", lambda *given: ran.append(given))
    zero_code["main"]([])
    assert [(settings.items() <= given.items(), script) for given, script in ran] == [
        (True, "app.py"),
        (True, "retire.py"),
    ]


def test_fastapi_under_gunicorn(
    example: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, hidden: dict[str, str]
) -> None:
    """A change of the file is in force in every worker, within the interval."""
    done = example("fastapi_gunicorn/run.py", tmp_path, **hidden)
    warned = "model registry: model 'gpt-4o' is deprecated (owner: ml-platform)\n"
    assert (done.returncode, done.stderr) == (0, warned * 2)
    command, *lines = done.stdout.splitlines()
    assert command.startswith("$ opentelemetry-instrument gunicorn --workers 2 ")
    change = lines.index("the file says `status: deprecated`; 500 ms later:")
    for status, calls in (("active", lines[:change]), ("deprecated", lines[change + 1 :])):
        rows = [line.split() for line in calls]
        assert len({row[1] for row in rows}) == 2
        assert {tuple(row[2:]) for row in rows} == {("gpt-4o", "ml-platform", status)}


WITHOUT_EXPORTERS = """
import importlib.metadata, runpy, sys
importlib.metadata.entry_points = lambda **_selection: ()
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_zero_code_without_its_exporter() -> None:
    """In an environment without the exporter, one line names the commands that install and run the example."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXPORTERS, EXAMPLES / "zero_code" / "run.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    commands = "make demo && .venv/bin/python examples/zero_code/run.py"
    line = f"otlp_json_file is not installed. In the clone, run: {commands}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)
