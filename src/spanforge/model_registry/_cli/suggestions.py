"""``reconcile --suggest``: entries to fill in for models that were called and are not registered."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._cli.finding_kinds import UNREGISTERED_KIND
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.atomic_files import temporary_path, write_synced
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.globs import MAX_GLOBBED, is_glob
from spanforge.model_registry._core.lifecycle import RISK_TIERS
from spanforge.model_registry._core.names import parse
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.values import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._cli.findings import Finding
    from spanforge.model_registry._core.names import MatchMode

_FIELDS_TO_FILL: Final = {
    "name": "the display name",
    "version": "the model's version, such as 2026-09-01",
    "risk_tier": f"{', '.join(RISK_TIERS[:-1])} or {RISK_TIERS[-1]}",
    "owner": "the team or person responsible",
    "purpose": "what the model is used for",
}
"""The fields that a person must fill in, each with a hint. A file does not load while one of them is empty."""
_HEAD: Final = f"""\
# Models that were called and are not registered, the one with most calls first.
# For each of them, fill in {", ".join([*_FIELDS_TO_FILL][:-1])} and {[*_FIELDS_TO_FILL][-1]}.
# The file does not load until all of these fields are filled in. Remove what you do not want to register."""
_ENDINGS: Final = (".yaml", ".yml")
_MAX_IN_COMMENT: Final = 20
"""The limit of names and services that a comment lists."""
_DEPLOYMENTS: Final = ("azure.ai.openai", "azure.ai.inference")
"""The providers whose customers choose the names of deployments."""


class Suggestion(NamedTuple):
    """An entry to fill in.

    Attributes:
        finding: The calls of the model.
        aliases: The names that only an alias matches.
        lost: The names that no alias can match.
    """

    finding: Finding
    aliases: tuple[str, ...]
    lost: tuple[str, ...]

    @property
    def model_id(self) -> str:
        """The id."""
        return self.finding.name


def suggest_entries(
    findings: Iterable[Finding], entries: Iterable[ModelRegistryEntry], mode: MatchMode
) -> tuple[list[Suggestion], list[Finding]]:
    """Return an entry for each model that is not registered, and the models for which none is possible.

    None is possible if the model has no name, if its name cannot be an id, or if entries nearly match it.

    Args:
        findings: The findings, in the order of the entries.
        entries: The entries of the registry.
        mode: How names match.
    """
    rows = [row for row in findings if row.kind == UNREGISTERED_KIND]
    made = {row.name: entry for row in rows if (entry := _suggest_entry(row)) is not None}
    index = ModelIndex([*entries, *made.values()])
    suggestions = [_make_suggestion(row, index, mode) for row in rows if row.name in made]
    return suggestions, [row for row in rows if row.name not in made]


def _suggest_entry(row: Finding) -> ModelRegistryEntry | None:
    return _make_sample_entry(row.name) if row.names and not row.near else None


def _make_sample_entry(model_id: str, *aliases: str) -> ModelRegistryEntry | None:
    """Return an entry with these names; ``None`` if they are not allowed."""
    if len(model_id) > MAX_GLOBBED:  # the name was cut off
        return None
    with suppress(InvalidValueError):
        return ModelRegistryEntry(model_id, "-", "-", "low", "-", "-", metadata={"aliases": [*aliases]})
    return None


def _make_suggestion(row: Finding, index: ModelIndex, mode: MatchMode) -> Suggestion:
    unmatched = [name for name in row.names if not _is_matched(index, name, row.name, mode)]
    aliases = tuple(name for name in unmatched if not is_glob(name) and _make_sample_entry(row.name, name))
    return Suggestion(row, aliases, tuple(name for name in unmatched if name not in aliases))


def _is_matched(index: ModelIndex, name: str, model_id: str, mode: MatchMode) -> bool:
    match = index.find(name, None, mode)
    return match is not None and match[0].model_id == model_id


def render_suggestions(suggestions: Sequence[Suggestion], refused: Sequence[Finding]) -> str:
    """Return a YAML file of entries to fill in.

    Names from telemetry are in double quotes, with escapes, so they are never more than a value.

    Args:
        suggestions: The entries.
        refused: The models for which no entry is possible; a comment has each of them.
    """
    blocks = ["\n".join(_list_entry_lines(each)) for each in suggestions]
    left_out = [f"# Left out: {_make_comment_text(row.name)}{_give_reason(row)}" for row in refused]
    return "\n\n".join([_HEAD, *blocks, *(["\n".join(left_out)] if left_out else [])]) + "\n"


def _list_entry_lines(suggestion: Suggestion) -> Iterator[str]:
    row = suggestion.finding
    yield f"- model_id: {quote_yaml(row.name)}"
    yield from (f"  {field}:{' ' * (10 - len(field))}# {hint}" for field, hint in _FIELDS_TO_FILL.items())
    if suggestion.aliases:
        yield "  metadata:"
        yield "    aliases:"
        yield from (f"      - {quote_yaml(alias)}" for alias in suggestion.aliases)
    day = f"{(row.first or '')[:10]} to {(row.last or '')[:10]}"
    yield f"  # {row.calls:,} calls from {day} by {_list_some(row.services)}"
    yield f"  # Called as {_list_some(row.names)}"
    if suggestion.lost:
        yield f"  # No alias can match {_list_some(dict.fromkeys(suggestion.lost, 0))}"
    if _may_be_deployment(row):
        yield "  # If this is the name of a deployment, add the model behind it as base_model to metadata."


def _may_be_deployment(row: Finding) -> bool:
    """Check whether the names do not tell the model."""
    parsed = [parse(name) for name in row.names]
    return all(each.opaque or each.provider in _DEPLOYMENTS for each in parsed)


def _list_some(names: Mapping[str, int]) -> str:
    shown = ", ".join(map(_make_comment_text, islice(names, _MAX_IN_COMMENT)))
    return shown if len(names) <= _MAX_IN_COMMENT else f"{shown} and {len(names) - _MAX_IN_COMMENT:,} more"


def _make_comment_text(text: str) -> str:
    return escape_controls(escape(text))


def _give_reason(row: Finding) -> str:
    if row.note:
        return f": {_make_comment_text(row.note)}"
    return ": the name is too long, or not allowed as an id" if row.names else ""


def quote_yaml(text: str) -> str:
    """Return a text as a double-quoted scalar of YAML, in printable ASCII."""
    return f'"{"".join(map(_escape_yaml, text))}"'


def _escape_yaml(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\U{ord(character):08x}"


def check_new_file(path: str) -> None:
    """Check that a file for suggestions can be written.

    Raises:
        UsageError: It exists, or its name does not end like that of a YAML file.
    """
    if not path.endswith(_ENDINGS):
        msg = f"--suggest {path}: the name must end in .yaml or .yml, because the file has comments"
        raise UsageError(msg)
    if os.path.lexists(path):
        msg = f"--suggest {path}: the file exists, and is not overwritten; remove it, or choose another name"
        raise UsageError(msg)


def write_new_file(path: str, content: str) -> None:
    """Write a file in one step; raise the errors of ``check_new_file`` if it exists by now."""
    temporary = temporary_path(path)
    try:
        write_synced(temporary, content.encode())
        os.link(temporary, path)  # unlike a rename, it never replaces a file
    except FileExistsError:
        check_new_file(path)
    finally:
        with suppress(OSError):
            os.unlink(temporary)
