"""``status``: what a new process with this environment would have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.environment_facts import EnvironmentFacts, gather_environment, has_registry_file
from spanforge.model_registry._cli.field_lists import Field, print_fields, print_heading
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.terminal import count_things, print_json
from spanforge.model_registry._core.settings import FILE, VARIABLES


@examples("status", "status --format json")
def show_status(output: FormatOption = "text") -> None:
    """Show the plugin's state in a new process with this environment.

    It reads the settings and the registry files as a new process does, and ends with 1 if one of them is invalid. It
    does not see the state of a process that is running: call spanforge.model_registry.otel.status() there.
    """
    facts = gather_environment()
    if output == "json":
        print_json(_dump_facts(facts))
    else:
        _print_status(facts)
    if facts.problems:
        raise typer.Exit(1)


def _print_status(facts: EnvironmentFacts) -> None:
    print_heading(f"spanforge-model-registry {facts.status.version}", *_sum_up(facts))
    print_fields("A new process with this environment", _list_process(facts))
    print_fields(f"Settings, each in the variable {VARIABLES}<NAME>", _list_settings(facts))
    print_fields("Files", _list_file_fields(facts))
    print_fields("Problems", (Field("-", problem, "error") for problem in facts.problems))


def _sum_up(facts: EnvironmentFacts) -> tuple[str, str]:
    """Return the note of the heading, and its style."""
    if facts.problems:
        return "problems", "error"
    if not any(facts.status.models.values()):
        return "no problems, but no models", "warning"
    return "no problems", "good"


def _list_process(facts: EnvironmentFacts) -> Iterator[Field]:
    yield Field("opentelemetry-sdk", facts.status.sdk)
    yield Field("Python", facts.status.python)
    reasons = facts.switched_off
    yield Field("plugin", f"off: {'; '.join(reasons)}" if reasons else "on", "warning" if reasons else "good")
    for number, (group, purpose) in enumerate(facts.missing):
        yield Field("" if number else "not installed", f"{group}: {purpose}", "warning")


def _list_settings(facts: EnvironmentFacts) -> Iterator[Field]:
    for each in facts.settings:
        is_default = each.source == "default"
        text = ", ".join(each.value) if isinstance(each.value, tuple) else each.text
        yield Field(each.name, f"{text or 'none'}{' (default)' if is_default else ''}", "weak" * is_default)


def _list_file_fields(facts: EnvironmentFacts) -> Iterator[Field]:
    for file in facts.status.files:
        entries = count_things(file.models, "entry", "entries")
        version = "never valid" if file.version is None else f"{entries}, version {file.version}"
        yield Field("file", file.path)
        yield Field("", version, "" if file.error is None else "error")
    models = ", ".join(f"{number:,} {status}" for status, number in facts.status.models.items())
    yield Field("models", models)
    if not has_registry_file():
        yield Field("", f"no registry file: set {FILE.variable}", "warning")


def _dump_facts(facts: EnvironmentFacts) -> dict[str, Any]:
    """Return the facts as plain data for JSON."""
    state = facts.status
    return {
        "version": state.version,
        "sdk": state.sdk,
        "python": state.python,
        "plugin": {"on": not facts.switched_off, "reasons": facts.switched_off},
        "missing_entry_points": [group for group, _ in facts.missing],
        "settings": [{key: value for key, value in each._asdict().items() if key != "text"} for each in facts.settings],
        "unknown_variables": dict(facts.unknown),
        "files": [
            {name: getattr(file, name) for name in ("path", "version", "models", "error")} for file in state.files
        ],
        "models": dict(state.models),
        "problems": facts.problems,
    }
