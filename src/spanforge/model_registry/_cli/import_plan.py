"""The plan of an import: which rows of a source become entries, and why the others do not."""

from __future__ import annotations

import fnmatch
import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.errors import InvalidValueError, shorten
from spanforge.model_registry._core.names import canonical_provider
from spanforge.model_registry._core.similar_names import write_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry import ModelRegistry
    from spanforge.model_registry._cli.import_rows import ImportRow
    from spanforge.model_registry._cli.unfinished_entries import UnfinishedEntry

_MAX_LISTED_KEYS: Final = 20
_MAX_LISTED_KEY: Final = 40
"""The limits of keys of a source that an error lists, and of their characters: a few lines of a terminal."""


class SkippedRow(NamedTuple):
    """A row that is no entry.

    Attributes:
        place: Where it is in the source.
        model_id: The model; ``None`` if the source states none.
        reason: The predicate of a sentence about the row.
        is_fault: ``True`` if a person must look at it, because a model may be missing.
    """

    place: str
    model_id: str | None
    reason: str
    is_fault: bool

    def describe(self) -> str:
        """Return one sentence about the row."""
        model = "" if self.model_id is None else f", {shorten(self.model_id)}"
        return f"{escape_controls(self.place)}{model}: {escape_controls(self.reason)}"


class ImportPlan(NamedTuple):
    """What an import writes.

    Attributes:
        entries: The entries, each with at least one known field.
        skipped: The rows that are no entries.
        not_selected: The number of rows that the options leave out.
    """

    entries: list[UnfinishedEntry]
    skipped: list[SkippedRow]
    not_selected: int = 0

    def count_empty_fields(self) -> int:
        """Return the number of fields that a person must fill in."""
        return sum(len(entry.list_missing()) for entry in self.entries)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "entries": [
                {
                    "fields": dict(entry.fields),
                    "fill_in": entry.list_missing(),
                    "notes": list(entry.notes),
                    "sources": dict(entry.sources),
                }
                for entry in self.entries
            ],
            "skipped": [row._asdict() for row in self.skipped],
            "not_selected": self.not_selected,
        }


class Selection:
    """Chooses rows by provider and by the names of their models, and counts the others.

    Args:
        match: Globs of names, in any case; empty for all.
        providers: Providers in any spelling; empty for all. A row that states no provider then does not count.
    """

    def __init__(self, match: Sequence[str] = (), providers: Sequence[str] = ()) -> None:
        self.not_selected = 0
        self._globs = [glob.lower() for glob in match]
        self._providers = {canonical_provider(name) for name in providers}

    def choose(self, rows: Iterable[ImportRow]) -> Iterator[ImportRow]:
        """Yield the rows that are chosen, and those without a name."""
        for row in rows:
            if row.model_id is None or (self._has_name(row) and self._has_provider(row)):
                yield row
            else:
                self.not_selected += 1

    def _has_name(self, row: ImportRow) -> bool:
        name = (row.model_id or "").lower()
        return not self._globs or any(fnmatch.fnmatchcase(name, glob) for glob in self._globs)

    def _has_provider(self, row: ImportRow) -> bool:
        return not self._providers or not self._providers.isdisjoint(map(canonical_provider, row.providers))


def plan_import(rows: Iterable[ImportRow], registry: ModelRegistry | None = None) -> ImportPlan:
    """Return the plan of an import of rows, without the models of a registry."""
    entries: list[UnfinishedEntry] = []
    skipped: list[SkippedRow] = []
    places: dict[str, str] = {}
    for row in rows:
        reason, is_fault = _find_obstacle(row, registry, places)
        if reason is None:
            entries.append(row.entry)
        else:
            skipped.append(SkippedRow(row.place, row.model_id, reason, is_fault))
    return ImportPlan(entries, skipped)


def _find_obstacle(row: ImportRow, registry: ModelRegistry | None, places: dict[str, str]) -> tuple[str | None, bool]:
    """Return the reason for which a row is no entry, and whether that is a fault; ``None`` if it is one."""
    if row.skip is not None:
        return row.skip, row.is_fault
    try:
        row.entry.check()
    except InvalidValueError as error:
        return f"{error.field} {error.problem}", True
    if row.model_id is None:
        return None, False
    known = None if registry is None else _find_registered(registry, row)
    if known is not None:
        return f"is registered already, by the entry {shorten(known)}", False
    first = places.setdefault(row.model_id, row.place)
    return (None, False) if first is row.place else (f"has the same model_id as {first}", True)


def _find_registered(registry: ModelRegistry, row: ImportRow) -> str | None:
    """Return an entry of the registry for a row: it matches the id, or all names, at each of its providers."""
    for names in ((row.model_id,), row.names):
        questions = itertools.product(filter(None, names), row.providers or (None,))
        entries = [registry.resolve(name, provider=provider).entry for name, provider in questions]
        first = entries[0] if entries else None
        if first is not None and all(entries):
            return first.model_id
    return None


def take_owners(rows: Iterable[ImportRow], key: str) -> Iterator[ImportRow]:
    """Yield the rows with the owner that the source states under a key.

    Raises:
        UsageError: No row has the key, so it is misspelt.
    """
    keys: dict[str, None] = {}
    is_known = False
    for row in rows:
        keys.update(dict.fromkeys(row.facts))
        owner = row.facts.get(key)
        if owner is None:
            yield row
            continue
        is_known = True
        fields = {**row.entry.fields, "owner": owner}
        entry = row.entry._replace(fields=fields, sources={**row.entry.sources, "owner": f"--owner-from {key}"})
        yield row._replace(entry=entry)
    if not is_known:
        names = [shorten(each, _MAX_LISTED_KEY) for each in list(keys)[:_MAX_LISTED_KEYS]]
        msg = (
            f"--owner-from: no model has {shorten(key)}; {write_names('key', names) if names else 'there are no keys'}"
        )
        raise UsageError(msg)
