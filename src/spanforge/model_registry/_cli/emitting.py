"""``emit``: the lifecycle events of a merged change, sent once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from spanforge.model_registry import LifecycleEvent
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.comparing import report_missing
from spanforge.model_registry._cli.differences import find_operations
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.git_revisions import GitPlace, find_known_place
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.revisions import CI_VARIABLES
from spanforge.model_registry._cli.row_tables import print_table
from spanforge.model_registry._cli.terminal import print_json, print_line
from spanforge.model_registry._cli.versions import NewArgument, OldArgument, RegistryVersion, load_versions
from spanforge.model_registry._core.emission import get_event_signals
from spanforge.model_registry._core.events import create_step_events
from spanforge.model_registry._core.operations import list_all_steps
from spanforge.model_registry._core.settings import EVENTS
from spanforge.model_registry._core.timestamps import format_micros, to_micros
from spanforge.model_registry._core.values import check_text, parse_date

if TYPE_CHECKING:
    from collections.abc import Iterable

_ACTOR_VARIABLES: Final = "GITHUB_ACTOR", "GITLAB_USER_LOGIN"


class _Fact(NamedTuple):
    """A fact about a change, and where it comes from."""

    value: str | None
    source: str


@examples(
    "emit old.yaml models.yaml --dry-run --actor ana",
    "emit old.yaml models.yaml --dry-run --format json",
)
def emit_differences(  # noqa: PLR0913 - the options of the command
    old: OldArgument,
    new: NewArgument,
    actor: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"Who made the change. Default: {' or '.join(_ACTOR_VARIABLES)}."),
    ] = None,
    source_revision: Annotated[
        str | None,
        typer.Option(
            metavar="REV",
            help="Revision that has the change. Default: the commit of NEW, or that of the CI job.",
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Time of the change. Default: that of the revision, or now."),
    ] = None,
    output: FormatOption = "text",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the events.")] = False,
    console: Annotated[bool, typer.Option("--console", help="Print the spans and log records; send nothing.")] = False,
) -> None:
    """Send the lifecycle events of a change, once.

    Run it in the CI job of the main branch. OLD and NEW are files or folders, on disk or in a revision of git, such
    as git:HEAD~1:models.yaml. OpenTelemetry's environment variables, such as OTEL_EXPORTER_OTLP_ENDPOINT, name the
    receiver. The exit code is 0 only if the receiver accepted every event. If the change has a source revision,
    evidence counts the events of a repeated run once.
    """
    versions = load_versions(old, new)
    report_missing(versions)
    _report_unknown_moves(*versions)
    facts = _find_facts(versions[1], actor, source_revision, at)
    events = _create_events(versions, facts)
    signals = get_event_signals()
    if events and not signals:
        msg = f"{EVENTS.variable} is none, so there are no events to send"
        raise UsageError(msg)
    _report_facts(facts)
    if output == "text" and not console:
        _print_events(events)
    if events and not dry_run:
        from spanforge.model_registry._cli.sending import send_events  # noqa: PLC0415 - it needs the SDK

        send_events(events, signals, console=console)
    _report_end(events, facts, output, sent=not dry_run and not console)


def _report_unknown_moves(old: RegistryVersion, new: RegistryVersion) -> None:
    """Print the changes of status that no operation makes, and that therefore have no event."""
    before = {entry.model_id: entry for entry in old.entries}
    for entry in new.entries:
        _, finding = find_operations(before.get(entry.model_id), entry)
        if finding is not None:
            print_line(f"model {entry.model_id!r} has no event: {finding}", "warning", stderr=True)


def _find_facts(
    new: RegistryVersion, actor: str | None, source_revision: str | None, at: str | None
) -> dict[str, _Fact]:
    """Return actor, revision and time of the change. The revision is the id of the commit, if git knows it."""
    place = new.place
    commit = None if place is None else place.commit
    revision = _choose(
        ("--source-revision", source_revision), ("the commit of NEW", commit), *_read_given(CI_VARIABLES)
    )
    if revision.value is not None and revision.value != commit:
        place = find_known_place(revision.value)
        revision = _Fact(place.commit, revision.source) if place is not None and place.commit else revision
    return {
        "actor": _choose(("--actor", actor), *_read_given(_ACTOR_VARIABLES)),
        "source_revision": revision,
        "time": _find_time(place, revision, at),
    }


def _read_given(variables: Iterable[str]) -> list[tuple[str, str | None]]:
    return [(name, os.environ.get(name) or None) for name in variables]


def _choose(*candidates: tuple[str, str | None]) -> _Fact:
    """Return the first value."""
    for source, value in candidates:
        if value is not None:
            return _Fact(check_text(value, source), source)
    return _Fact(None, "unknown")


def _find_time(place: GitPlace | None, revision: _Fact, at: str | None) -> _Fact:
    """Return the time of the change: that of its commit is the same each time that the command runs."""
    if at is not None:
        return _Fact(format_micros(to_micros(parse_date(at, "--at"))), "--at")
    if place is not None and place.commit:
        return _Fact(format_micros(place.committed_at * 1_000_000), "the time of the commit")
    given = os.environ.get("CI_COMMIT_TIMESTAMP")
    if given and revision.source == "CI_COMMIT_SHA":
        return _Fact(format_micros(to_micros(parse_date(given, "CI_COMMIT_TIMESTAMP"))), "CI_COMMIT_TIMESTAMP")
    return _Fact(format_micros(time.time_ns() // 1_000), "now")


def _create_events(versions: tuple[RegistryVersion, RegistryVersion], facts: dict[str, _Fact]) -> list[LifecycleEvent]:
    steps = list_all_steps(*(version.entries for version in versions))
    start = to_micros(facts["time"].value or "")
    timestamps = range(start, start + len(steps))
    return create_step_events(steps, timestamps, facts["actor"].value, facts["source_revision"].value)


def _report_facts(facts: dict[str, _Fact]) -> None:
    for name, fact in facts.items():
        value = "none" if fact.value is None else f"{fact.value} ({fact.source})"
        print_line(f"{name.replace('_', ' ')}: {value}", "weak", stderr=True)


def _print_events(events: list[LifecycleEvent]) -> None:
    if events:
        rows = [(event.name, event.entry.model_id, event.reason or "") for event in events]
        print_table(("event", "model", "reason"), rows, ("", "name"))


def _report_end(events: list[LifecycleEvent], facts: dict[str, _Fact], output: str, *, sent: bool) -> None:
    if output == "json":
        print_json(
            {
                "events": [_encode_event(event) for event in events],
                **{name: fact.value for name, fact in facts.items()},
                "sent": sent and bool(events),
            }
        )
        return
    words = f"{len(events)} events" if len(events) != 1 else "1 event"
    print_line(f"{words} sent" if sent and events else f"{words}; nothing was sent", stderr=True)


def _encode_event(event: LifecycleEvent) -> dict[str, Any]:
    return {
        "name": event.name,
        "model_id": event.entry.model_id,
        "status": event.entry.status,
        "previous_status": event.previous_status,
        "reason": event.reason,
        "at": format_micros(event.at // 1_000),
    }
