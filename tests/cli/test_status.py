"""``status``: the settings, files and entry points of a new process, and what is wrong with them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.version import __version__ as sdk_version
from support.commands import EXAMPLES, fits_terminal, run_here
from support.evidence import run_code
from support.watching import content

from spanforge.model_registry import __version__
from spanforge.model_registry._cli import environment_facts
from spanforge.model_registry._core.settings import SETTINGS, VARIABLES

if TYPE_CHECKING:
    from pathlib import Path


def read_status(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the result as data, after a check of the text and of the exit code."""
    text = run_here(capsys, "status")
    assert fits_terminal(text.out)
    printed = run_here(capsys, "status", "--format", "json")
    data: dict[str, Any] = json.loads(printed.out)
    assert printed.code == text.code == bool(data["problems"])
    assert printed.err == text.err == ""
    return data


def test_an_environment_without_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """All settings have their defaults, and the text says how to name a registry file."""
    data = read_status(capsys)
    keys = "version sdk python plugin missing_entry_points settings unknown_variables files models problems"
    assert list(data) == keys.split()
    assert (data["version"], data["sdk"]) == (__version__, sdk_version)
    assert data["plugin"] == {"on": True, "reasons": []}
    assert [(each["variable"], each["value"], each["source"]) for each in data["settings"]] == [
        (setting.variable, list(default) if isinstance(default := setting.default, tuple) else default, "default")
        for setting in SETTINGS
    ]
    assert data["models"] == {"active": 0, "deprecated": 0, "retired": 0}
    text = run_here(capsys, "status").out
    assert text.splitlines()[0].endswith("no problems, but no models")
    assert f"no registry file: set {VARIABLES}FILE" in text


def test_good_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The files have versions and models, and each setting has its source."""
    path = shutil.copy(EXAMPLES / "models.yaml", tmp_path)
    monkeypatch.setenv(f"{VARIABLES}FILE", str(path))
    monkeypatch.setenv(f"{VARIABLES}MATCH", "exact")
    data = read_status(capsys)
    (file,) = data["files"]
    assert (file["path"], file["models"], len(file["version"]), file["error"]) == (str(path), 3, 12, None)
    assert data["models"] == {"active": 2, "deprecated": 1, "retired": 0}
    assert run_here(capsys, "status").out.splitlines()[0].endswith("  no problems")
    sources = {each["name"]: (each["value"], each["source"]) for each in data["settings"]}
    assert (sources["match"], sources["metrics"]) == (("exact", "environment"), (True, "default"))


def test_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each bad value, unknown variable and bad file is listed once, and the exit code is 1."""
    twin = tmp_path / "twin.yaml"
    shutil.copy(EXAMPLES / "models.yaml", twin)
    missing, no_file = tmp_path / "no\u202e.json", rf"{tmp_path}/no\u202e.json: no such file"
    monkeypatch.setenv(f"{VARIABLES}FILE", f"{twin}:{missing}")
    monkeypatch.setenv(f"{VARIABLES}METRICS", "perhaps")
    monkeypatch.setenv(f"{VARIABLES}SPAN_ATTRIBUTE", "+contact")
    data = read_status(capsys)
    assert data["problems"] == [
        f"{VARIABLES}METRICS must be one of true, false; got 'perhaps'",
        f"{VARIABLES}SPAN_ATTRIBUTE is unknown and ignored; did you mean {VARIABLES}SPAN_ATTRIBUTES?",
        no_file,
    ]
    assert data["unknown_variables"] == {f"{VARIABLES}SPAN_ATTRIBUTE": f"did you mean {VARIABLES}SPAN_ATTRIBUTES?"}
    metrics = next(each for each in data["settings"] if each["name"] == "metrics")
    assert (metrics["value"], metrics["source"]) == (True, "default")
    assert [file["error"] for file in data["files"]] == [None, no_file]


def test_a_file_with_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number of entries has its noun in the singular."""
    path = tmp_path / "models.json"
    path.write_bytes(content("chat-team"))
    monkeypatch.setenv(f"{VARIABLES}FILE", str(path))
    assert "1 entry, version " in run_here(capsys, "status").out


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        (f"{VARIABLES}ENABLED", "false", "the setting enabled is false"),
        (f"{VARIABLES}ENABLED", "0", "the setting enabled is false"),
        ("OTEL_SDK_DISABLED", "True", "OTEL_SDK_DISABLED is true"),
        (
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
            "openai, model_registry",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it",
        ),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "*", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names it"),
    ],
)
def test_a_plugin_that_is_switched_off(
    variable: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is shown. To switch the plugin off is no fault."""
    monkeypatch.setenv(variable, value)
    data = read_status(capsys)
    assert (data["plugin"], data["problems"]) == ({"on": False, "reasons": [reason]}, [])


def test_a_package_without_entry_points(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If the package is only on the path, its entry points are missing, and the text says for what they are."""
    assert read_status(capsys)["missing_entry_points"] == []
    monkeypatch.setattr(environment_facts, "entry_points", lambda group: [])  # noqa: ARG005 - the keyword
    assert len(read_status(capsys)["missing_entry_points"]) == 4
    assert "opentelemetry_instrumentor: the plugin, for" in run_here(capsys, "status").out


def test_an_environment_without_a_distribution(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a distribution of OpenTelemetry, the plugin is off, and the reason says what is missing."""
    real = environment_facts.entry_points
    monkeypatch.setattr(
        environment_facts, "entry_points", lambda group: [] if group == "opentelemetry_distro" else real(group=group)
    )
    reason = "opentelemetry-distro is not installed, so no span is enriched without code"
    assert read_status(capsys)["plugin"] == {"on": False, "reasons": [reason]}


@pytest.mark.slow
def test_the_command_needs_no_instrumentation() -> None:
    """With the extra ``cli`` alone, the command ends without an error."""
    command = "from spanforge.model_registry._cli.app import run; print(run(['status']))"
    assert run_code(command, "opentelemetry.instrumentation").endswith("\n0\n")
