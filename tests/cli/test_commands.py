"""The command line as a whole: its help, its examples, its exit codes and its start."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.commands import command_environment, command_line, copy_examples, fits_terminal, run_here, run_process
from support.evidence import make_entry

from spanforge.model_registry import __version__
from spanforge.model_registry._cli.app import run
from spanforge.model_registry._cli.commands import COMMANDS, GROUPS, PROGRAM, CommandRow, build_command, load_function
from spanforge.model_registry._core.storage import encode_entries, read_entries

if TYPE_CHECKING:
    from pathlib import Path

SECTIONS = list(dict.fromkeys(row.section for row in COMMANDS))


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_the_examples_of_a_section(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each example runs, in the order of the help; one whose exit code is not 0 states its exit code."""
    monkeypatch.chdir(copy_examples(tmp_path))
    for row in COMMANDS:
        lines = load_function(row).examples if row.section == section else ()  # type: ignore[attr-defined]
        for line in lines:
            command, _, comment = line.partition("  # ")
            printed = run_here(capsys, *shlex.split(command))
            stated = re.match(r"ends with (\d)", comment)
            assert printed.code == int(stated[1] if stated else 0), (line, printed)
            assert fits_terminal(printed.out), (line, printed.out)


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_the_help_of_a_command(row: CommandRow, capsys: pytest.CaptureFixture[str]) -> None:
    """The help fits a terminal, begins with the summary in the list of commands, and has an example."""
    printed = run_here(capsys, *row.name.split(), "--help")
    assert printed.code == 0
    assert fits_terminal(printed.out)
    assert (load_function(row).__doc__ or "").partition("\n")[0] == row.summary
    assert f"  {PROGRAM} {row.name}" in printed.out


def test_a_long_example(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The help breaks a long example before options, so that it fits a terminal and runs in a shell."""
    line = f"list {' '.join(f'--file team-{number}/models.yaml' for number in range(9))}"
    row = next(row for row in COMMANDS if row.name == "list")
    monkeypatch.setattr(load_function(row), "examples", (line,))
    printed = run_here(capsys, "list", "--help")
    assert fits_terminal(printed.out)
    example = printed.out.partition("Examples:")[2].replace("\\\n", "")
    assert shlex.split(example) == shlex.split(f"{PROGRAM} {line}")


def test_the_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """The program's help lists each command and group, without importing one."""
    printed = run_here(capsys, "--help")
    assert fits_terminal(printed.out)
    for name in {row.name.partition(" ")[0] for row in COMMANDS}:
        assert f"\n  {name} " in printed.out
    assert {row.name.partition(" ")[0] for row in COMMANDS if " " in row.name} == set(GROUPS)
    script = "import sys; from spanforge.model_registry._cli.app import run; run(['--help']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    names = [name for name in loaded.split() if name.startswith("spanforge.model_registry._cli.")]
    assert names == ["spanforge.model_registry._cli.commands", "spanforge.model_registry._cli.app"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nope"], "spanforge-models: No such command 'nope'; see spanforge-models --help"),
        (["--zzz"], "spanforge-models: No such option: --zzz; see spanforge-models --help"),
        (["list", "--zzz"], "spanforge-models: No such option: --zzz; see spanforge-models list --help"),
        (["show"], "spanforge-models: Missing argument 'MODEL_ID'; see spanforge-models show --help"),
        (["list", "--file"], "spanforge-models: Option '--file' requires an argument."),
        (["evidence", "x"], "spanforge-models: No such command 'x'; see spanforge-models evidence --help"),
        (
            ["--show-completion", "tcsh"],
            "spanforge-models: --show-completion: 'tcsh' is not one of bash, zsh, fish, powershell, pwsh",
        ),
        (["list", "--file", "nope.json"], "spanforge-models: nope.json: no such file"),
        (
            ["list", "--file", "\x1b[31m\n.json"],
            r"spanforge-models: \x1b[31m\n.json: matches no file whose name ends in .json, .yaml or .yml",
        ),
        (["list", "--file", ""], "spanforge-models: the name of a registry file is empty: pass a path"),
        (["check", ""], "spanforge-models: the name of a registry file is empty: pass a path"),
        (["list"], "spanforge-models: no registry file: pass --file FILE, or set OTEL_PYTHON_MODEL_REGISTRY_FILE"),
    ],
)
def test_wrong_usage_and_bad_input(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on standard error says what is wrong; the exit code is 2."""
    assert run_here(capsys, *arguments) == (2, "", f"{line}\n")


def test_options_without_a_value_name_those_that_are_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    """The allowed values of a missing option are on its line."""
    given = ["--telemetry", "t.jsonl", "--output", "o.zip"]
    printed = run_here(capsys, "evidence", "make", "--month", "2026-10", *given)
    assert (printed.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert printed.err.startswith("spanforge-models: --framework is missing; pass soc2, nist_ai_rmf, iso_42001")


@pytest.mark.parametrize("arguments", [[], ["evidence"]])
def test_groups_without_a_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command, the program and its groups print their help."""
    printed = run_here(capsys, *arguments)
    assert printed.code == 2
    assert printed.err.startswith("Usage: spanforge-models")
    assert "Show this message and exit." in printed.err


def test_model_in_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model in two files is an error that names both, as for a service. The same file may be named twice."""
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    for path in (first, second):
        path.write_bytes(encode_entries([make_entry("acme-chat-1")]))
    line = f"spanforge-models: model 'acme-chat-1' is in both {first} and {second}; keep it in one of them\n"
    assert run_here(capsys, "list", "--file", first, "--file", second) == (2, "", line)
    assert run_here(capsys, "list", "--file", first, "--file", first).code == 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints the version of the package."""
    assert run_here(capsys, "--version") == (0, f"{__version__}\n", "")


def test_without_the_extra(tmp_path: Path) -> None:
    """Without typer, one line says what to install."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('no typer', name='typer')\n")
    printed = run_process(
        "list", folder=tmp_path, PYTHONPATH=f"{tmp_path}:{command_environment().get('PYTHONPATH', '')}"
    )
    advice = "pip install '.[cli]' in a clone, or 'spanforge-model-registry[cli]' for a released version"
    line = f"spanforge-models: commands need the extra cli: {advice}\n"
    assert printed == (2, "", line)


def test_an_interrupted_start(tmp_path: Path) -> None:
    """Ctrl-C while typer is imported is one line, too."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    printed = run_process(
        "list", folder=tmp_path, PYTHONPATH=f"{tmp_path}:{command_environment().get('PYTHONPATH', '')}"
    )
    assert printed == (130, "", "spanforge-models: interrupted\n")


@pytest.mark.slow
def test_characters_that_the_output_does_not_have(tmp_path: Path) -> None:
    """If the encoding of the output does not have a character, an escape is printed instead."""
    entry = make_entry("modèle-模型")
    (tmp_path / "models.json").write_bytes(encode_entries([entry]))
    printed = run_process("list", "--file", "models.json", folder=tmp_path, PYTHONIOENCODING="ascii")
    assert (printed.code, printed.err) == (0, "")
    assert "mod\\xe8le-\\u6a21\\u578b" in printed.out


@pytest.mark.e2e
def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """If the reader of a pipe has ended, the command ends with 1 and without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    command = command_line("list", "--file", copy_examples(tmp_path) / "models.yaml")
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, env=command_environment())
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_output_in_ascii(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the output cannot have a character, it has an escape."""
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr("sys.stdout", stream)
    assert run(["list", "--file", str(copy_examples(tmp_path) / "models.yaml")]) == 0
    stream.seek(0)
    printed = stream.read()
    assert "----" in printed
    assert "\\u" not in printed


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_streams_that_the_parent_closed(closed: str, tmp_path: Path) -> None:
    """A command does its work without the streams, and writes nothing of them into its files."""
    file = copy_examples(tmp_path) / "models.yaml"
    command = shlex.join(command_line("set", "acme-embed-1", "owner=new", "--file", file))
    done = subprocess.run(["sh", "-c", f"{command} {closed}"], check=False, env=command_environment())
    assert done.returncode == 0
    assert {entry.model_id: entry.owner for entry in read_entries(file)}["acme-embed-1"] == "new"


@pytest.mark.slow
@pytest.mark.parametrize(("format_", "unbuffered"), [("text", ""), ("text", "1"), ("csv", "1"), ("json", "1")])
def test_output_that_has_no_place(format_: str, unbuffered: str, tmp_path: Path) -> None:
    """A full disk is one line with what could not be written, whatever writes and whenever Python notices."""
    command = command_line("list", "--format", format_, "--file", copy_examples(tmp_path) / "models.yaml")
    settings = command_environment(PYTHONUNBUFFERED=unbuffered)
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, env=settings)
    assert (done.returncode, done.stderr) == (2, b"spanforge-models: the output: No space left on device\n")


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o default -F _spanforge_models_completion spanforge-models"),
        ("zsh", "#compdef spanforge-models"),
        ("fish", "complete --command spanforge-models --no-files"),
        ("powershell", "Register-ArgumentCompleter -Native -CommandName spanforge-models"),
        ("pwsh", "Import-Module PSReadLine"),
    ],
)
def test_completion_for_a_named_shell(shell: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The script for completion is that of the named shell, whichever shell runs."""
    printed = run_here(capsys, "--show-completion", shell)
    assert (printed.code, printed.err) == (0, "")
    assert any(each.startswith(line) for each in printed.out.splitlines())


@pytest.mark.e2e
def test_installation_of_completion_for_a_named_shell(tmp_path: Path) -> None:
    """The script is written where the named shell reads it, and nowhere else."""
    printed = run_process("--install-completion", "fish", folder=tmp_path, HOME=str(tmp_path))
    assert (printed.code, printed.err) == (0, "")
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file == tmp_path / ".config" / "fish" / "completions" / "spanforge-models.fish"


@pytest.mark.e2e
def test_completion_that_cannot_be_installed(tmp_path: Path) -> None:
    """A missing program, a home folder that is none and a shell without a script are one line each, with code 2."""
    home, shell = tmp_path / "home", tmp_path / "tcsh"
    home.write_text("")
    shell.symlink_to("/bin/sh")
    option, missing = "--install-completion", "is not installed, or its folder is not in PATH"
    for name, line in (
        ("pwsh", f"{option}: the program pwsh {missing}\n"),
        ("powershell", f"{option}: the program powershell {missing}\n"),
        ("bash", f"{home}"),
        ("fish", f"{home}"),
    ):
        printed = run_process(option, name, folder=tmp_path, HOME=str(home), PATH="")
        assert (printed.code, printed.out, printed.err.count("\n")) == (2, "", 1)
        assert printed.err.startswith(f"spanforge-models: {line}")
    for option in ("--install-completion", "--show-completion"):
        command = [shell, "-c", f"{shlex.join(command_line(option))}; exit $?"]
        environment = command_environment(HOME=str(home))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        names = "bash, zsh, fish, powershell, pwsh"
        line = f"{option}: the current shell is not one of {names}; name one of them, such as {option} bash"
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"spanforge-models: {line}\n")


@pytest.mark.slow
def test_completion(tmp_path: Path) -> None:
    """The shell completes names of commands."""
    settings = {"_SPANFORGE_MODELS_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    printed = run_process(folder=tmp_path, COMP_WORDS=f"{PROGRAM} li", **settings)
    assert printed.out.split() == ["list"]


def test_options_are_the_same_in_all_commands() -> None:
    """An option has the same letter in each command that has it, and the same kind of value."""
    letters: dict[str, set[str]] = {}
    values: dict[str, set[str | None]] = {}
    for row in COMMANDS:
        command = build_command(row.name.partition(" ")[0])
        command = getattr(command, "commands", {}).get(row.name.rpartition(" ")[2], command)
        for option in (each for each in command.params if each.param_type_name == "option"):
            name = max(option.opts, key=len)
            letters.setdefault(name, set()).add("".join(each for each in option.opts if each != name))
            values.setdefault(name, set()).add(option.metavar)
    short = {name: found for name, found in letters.items() if found != {""}}
    assert short == {
        "--calendar": {"-c"},
        "--file": {"-f"},
        "--key": {"-k"},
        "--output": {"-o"},
        "--quiet": {"-q"},
        "--telemetry": {"-t"},
    }
    several = {name: found for name, found in values.items() if len(found) > 1}
    assert several == {
        "--fail-on": {None, "KINDS"},  # choices, or a list of kinds
        "--from": {None, "TIME"},  # the format of a source, or the start of a period
        "--output": {"FILE", "NAME", "PATH"},
    }
