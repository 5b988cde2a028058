"""``reconcile --suggest``: entries to fill in for models that were called and are not registered."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._cli.finding_kinds import UNREGISTERED_KIND
from spanforge.model_registry._cli.output_files import EXISTS
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import count_things
from spanforge.model_registry._cli.unfinished_entries import UnfinishedEntry, format_unfinished
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.globs import MAX_GLOBBED, is_glob
from spanforge.model_registry._core.names import parse
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.values import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spanforge.model_registry._cli.findings import Finding
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.names import MatchMode

_HEADING: Final = (
    "Models that were called and are not registered, most calls first.",
    "The file loads when all fields marked `fill in` have a value.",
)
_YAML_ENDINGS: Final = (".yaml", ".yml")
_MAX_IN_COMMENT: Final = 5
"""The limit of names and services that a comment lists."""
_DEPLOYMENTS: Final = ("azure.ai.openai", "azure.ai.inference")
"""The providers whose customers choose the names of deployments."""


class Suggestions(NamedTuple):
    """Entries to fill in.

    Attributes:
        entries: The entries, each with the calls of the model as comments.
        left_out: The models for which no entry is possible.
        lost: The names of the suggested models that no entry can match.
    """

    entries: list[UnfinishedEntry]
    left_out: list[Finding]
    lost: set[str]

    def format(self) -> str:
        """Return a registry file in YAML, which does not load before it is filled in."""
        left_out = [f"Left out{_give_reason(row)}: {_write_name(row.name)}" for row in self.left_out]
        return format_unfinished(self.entries, [*_HEADING, *left_out])


def suggest_entries(findings: Iterable[Finding], entries: Iterable[ModelRegistryEntry], mode: MatchMode) -> Suggestions:
    """Return an entry for each model that is not registered.

    None is possible if the model has no name, if its name cannot be an id, or if entries nearly match it.

    Args:
        findings: The findings, in the order of the entries.
        entries: The entries of the registry.
        mode: How names match.
    """
    rows = [row for row in findings if row.kind == UNREGISTERED_KIND]
    made = {row.name: entry for row in rows if (entry := _check_finding(row)) is not None}
    index = ModelIndex([*entries, *made.values()])
    suggestions = Suggestions([], [row for row in rows if row.name not in made], set())
    for row in rows:
        if row.name in made:
            aliases, lost = _split_aliases(row.name, _list_unmatched(row, index, mode))
            suggestions.lost.update(lost)
            suggestions.entries.append(_make_suggested_entry(row, aliases, lost))
    return suggestions


def _list_unmatched(row: Finding, index: ModelIndex, mode: MatchMode) -> Iterator[str]:
    """Yield the names that an entry with the suggested id does not match."""
    for name in row.names:
        match = index.find(name, None, mode)
        if match is None or match[0].model_id != row.name:
            yield name


def _split_aliases(model_id: str, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the names that can be aliases of a model, and the others."""
    aliases: list[str] = []
    others: list[str] = []
    for name in names:
        is_allowed = not is_glob(name) and _check_suggested_names(model_id, name) is not None
        (aliases if is_allowed else others).append(name)
    return aliases, others


def _check_finding(row: Finding) -> ModelRegistryEntry | None:
    """Return an entry for a model; ``None`` if none is possible."""
    is_possible = row.names and not row.near and len(row.name) <= MAX_GLOBBED  # longer names are cut off
    return _check_suggested_names(row.name) if is_possible else None


def _check_suggested_names(model_id: str, *aliases: str) -> ModelRegistryEntry | None:
    """Return an entry with these names; ``None`` if they are not allowed."""
    with suppress(InvalidValueError):
        return UnfinishedEntry(_make_fields_of(model_id, aliases)).check()
    return None


def _make_fields_of(model_id: str, aliases: Iterable[str]) -> dict[str, object]:
    metadata = {"aliases": [*aliases]} if aliases else {}
    return {"model_id": model_id, "metadata": metadata}


def _make_suggested_entry(row: Finding, aliases: Iterable[str], lost: Iterable[str]) -> UnfinishedEntry:
    return UnfinishedEntry(_make_fields_of(row.name, aliases), [*_list_notes(row, dict.fromkeys(lost, 0))])


def _list_notes(row: Finding, lost: Mapping[str, int]) -> Iterator[str]:
    """Yield the comments above an entry."""
    days = f"{(row.first or '')[:10]} to {(row.last or '')[:10]}"
    yield f"{count_things(row.calls, 'call')} by {_list_some(row.services)}, {days}"
    if row.names.keys() != {row.name}:
        yield f"called as {_list_some(row.names)}"
    if lost:
        yield f"no alias can match {_list_some(lost)}"
    parsed = [parse(name) for name in row.names]
    if all(each.opaque or each.provider in _DEPLOYMENTS for each in parsed):
        yield "if this is the name of a deployment, add the model behind it as base_model to metadata"


def _list_some(names: Mapping[str, int]) -> str:
    shown = ", ".join(map(escape, islice(names, _MAX_IN_COMMENT)))
    return shown if len(names) <= _MAX_IN_COMMENT else f"{shown} and {len(names) - _MAX_IN_COMMENT:,} more"


def _give_reason(row: Finding) -> str:
    """Return the reason in front of the name, because a long name is cut off."""
    if row.note:
        return f": {row.note}"
    return ": the name is too long, or not allowed as an id" if row.names else ""


def _write_name(name: str) -> str:
    return escape(name) if name.strip() else repr(name)


def check_suggestion_path(path: str) -> None:
    """Check before the work that a file for suggestions can be written.

    Raises:
        UsageError: It exists, its folder does not, or its name does not end like that of a YAML file.
    """
    problem = None
    if not path.endswith(_YAML_ENDINGS):
        problem = "the name must end in .yaml or .yml, because the file has comments"
    elif not os.path.isdir(os.path.dirname(path) or os.curdir):
        problem = "the folder does not exist"
    elif os.path.lexists(path):
        problem = EXISTS
    if problem is not None:
        msg = f"--suggest {path}: {problem}"
        raise UsageError(msg)
