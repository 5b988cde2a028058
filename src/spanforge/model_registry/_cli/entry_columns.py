"""The columns of lists of models: their values, how they are ordered, and which entries are chosen."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.matching import read_canonical_providers
from spanforge.model_registry._core.names import canonical_provider
from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.values import check_one_of, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry

_FIELD_COLUMN_NAMES: Final = ("model_id", "status", "risk_tier", "owner", "name", "version", "purpose")
_DATE_COLUMN_NAMES: Final = ("deployment_date", "decommission_date")
COLUMN_NAMES: Final = (*_FIELD_COLUMN_NAMES, *_DATE_COLUMN_NAMES, *(key for key in RESERVED if key != "history"))
"""The names of all columns: fields of an entry, and the reserved keys of its metadata."""
USUAL_COLUMNS: Final = ("model_id", "status", "risk_tier", "owner")
"""The columns of a table if the user chooses none."""
_RANKS: Final = {"status": STATUSES, "risk_tier": RISK_TIERS}


class EntryFilter(NamedTuple):
    """The entries that a list shows. Each part that is not empty must fit.

    Attributes:
        statuses: The statuses.
        owners: The owners; each may be a glob.
        tiers: The risk tiers.
        providers: The providers, in any spelling. Entries without a provider do not fit.
    """

    statuses: Sequence[str] = ()
    owners: Sequence[str] = ()
    tiers: Sequence[str] = ()
    providers: Sequence[str] = ()

    def check(self) -> None:
        """Check the values that are not free text.

        Raises:
            InvalidValueError: A status or a risk tier is unknown.
        """
        for status in self.statuses:
            check_one_of(status, STATUSES, "--status")
        for tier in self.tiers:
            check_one_of(tier, RISK_TIERS, "--tier")

    def select(self, entries: Iterable[ModelRegistryEntry]) -> list[ModelRegistryEntry]:
        """Return the entries that fit."""
        providers = {canonical_provider(text) or text for text in self.providers}
        return [entry for entry in entries if self._fits(entry, providers)]

    def _fits(self, entry: ModelRegistryEntry, providers: set[str]) -> bool:
        if self.statuses and entry.status not in self.statuses:
            return False
        if self.tiers and entry.risk_tier not in self.tiers:
            return False
        if self.owners and not fits_owner(entry.owner, self.owners):
            return False
        return not providers or not providers.isdisjoint(read_canonical_providers(entry))


def fits_owner(owner: str, wanted: Iterable[str]) -> bool:
    """Check whether an owner is one of these, each of which may be a glob."""
    return any(owner == each or fnmatch.fnmatchcase(owner, each) for each in wanted)


def parse_columns(text: str | None, usual: Sequence[str]) -> list[str]:
    """Return the names of columns in a text with commas.

    Raises:
        UsageError: A name is unknown.
    """
    names = [name.strip() for name in text.split(",") if name.strip()] if text else []
    for name in names:
        _check_column(name)
    return names or list(usual)


def _check_column(name: str) -> None:
    if name not in COLUMN_NAMES:
        msg = f"column {quote(name)} is unknown; columns are {', '.join(COLUMN_NAMES)}"
        raise UsageError(msg)


def get_column_value(entry: ModelRegistryEntry, name: str) -> Any:
    """Return the value of a column; ``None`` if there is none."""
    return getattr(entry, name) if name in (*_FIELD_COLUMN_NAMES, *_DATE_COLUMN_NAMES) else entry.metadata.get(name)


def read_column(entry: ModelRegistryEntry, name: str) -> str:
    """Return the text of a column, with commas between the items of a list; empty if there is none."""
    value = get_column_value(entry, name)
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)


def sort_entries(entries: Iterable[ModelRegistryEntry], column: str | None) -> list[ModelRegistryEntry]:
    """Return entries in the order of a column, reversed if a hyphen precedes its name. Empty values come last.

    Raises:
        UsageError: The column is unknown.
    """
    if not column:
        return list(entries)
    name = column.removeprefix("-")
    _check_column(name)
    ranks = _RANKS.get(name)

    def read_order(entry: ModelRegistryEntry) -> tuple[int, str]:
        text = read_column(entry, name)
        return (0, text.casefold()) if ranks is None else (ranks.index(text), "")

    full = [entry for entry in entries if read_column(entry, name)]
    empty = [entry for entry in entries if not read_column(entry, name)]
    return sorted(full, key=read_order, reverse=name != column) + empty
