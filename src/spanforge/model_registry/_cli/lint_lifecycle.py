"""Rules about statuses, dates and successors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._cli.lint_types import Issue
from spanforge.model_registry._core.entry import get_status_date, has_undated_status
from spanforge.model_registry._core.lifecycle import LIFECYCLE, STATUSES
from spanforge.model_registry._core.provider_calendar import list_entry_shutdowns
from spanforge.model_registry._core.timestamps import DAY_NANOS, to_nanos
from spanforge.model_registry._core.values import parse_date, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._cli.lint_types import Catalog
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.shutdowns import ProviderShutdown

DATES_IN_ORDER: Final = (
    ("deployment_date", "deprecation_date"),
    ("deprecation_date", "sunset_date"),
    ("deprecation_date", "decommission_date"),
    ("deployment_date", "decommission_date"),
)
"""Pairs of dates of which the second one is not before the first one. A model may be retired before its sunset."""
_OF_ENDED: Final = ("decommission_date", "deprecation_date", "sunset_date", "successor", "deprecation_reason")
_IS_FIELD: Final = frozenset(("deployment_date", "decommission_date"))


def find_undated_statuses(catalog: Catalog) -> Iterator[Issue]:
    """Yield entries with a status whose date is not known."""
    for number, entry in enumerate(catalog.entries):
        name = LIFECYCLE[entry.status].date
        if name is not None and has_undated_status(entry):
            yield Issue(number, "status", f"model is {entry.status}, but {name} is missing")


def find_dates_without_status(catalog: Catalog) -> Iterator[Issue]:
    """Yield values of active models that only a deprecated or retired one has."""
    for number, entry in enumerate(catalog.entries):
        if entry.status == STATUSES[0]:
            for name in _OF_ENDED:
                if _read_text_of(entry, name) is not None:
                    yield Issue(number, _write_path(name), f"model is {entry.status}, but has {name}")
        elif entry.status != "retired" and entry.decommission_date is not None:
            field = "decommission_date"
            yield Issue(number, field, f"model is {entry.status}, but has {field}")


def find_dates_out_of_order(catalog: Catalog) -> Iterator[Issue]:
    """Yield dates that are before the date that they follow."""
    for number, entry in enumerate(catalog.entries):
        for earlier, later in DATES_IN_ORDER:
            first, second = _read_text_of(entry, earlier), _read_text_of(entry, later)
            if first is not None and second is not None and parse_date(second, later) < parse_date(first, earlier):
                message = f"{later} {second} is before {earlier} {first}"
                yield Issue(number, _write_path(later), message)


def find_statuses_too_early(catalog: Catalog) -> Iterator[Issue]:
    """Yield statuses that begin after today."""
    for number, entry in enumerate(catalog.entries):
        name, date = LIFECYCLE[entry.status].date, get_status_date(entry, entry.status)
        if name is not None and date is not None and not _has_begun(date, catalog.today):
            yield Issue(number, _write_path(name), f"model is {entry.status} already, but {name} is {date}")


def find_past_sunsets(catalog: Catalog) -> Iterator[Issue]:
    """Yield deprecated models whose sunset date has come."""
    for number, entry in enumerate(catalog.entries):
        date = _read_text_of(entry, "sunset_date")
        if entry.status == "deprecated" and date is not None and _has_begun(date, catalog.today):
            yield Issue(number, "metadata.sunset_date", f"model is still deprecated after its sunset_date {date}")


def find_missing_advice(catalog: Catalog) -> Iterator[Issue]:
    """Yield deprecated models without a successor or a sunset date."""
    for number, entry in enumerate(catalog.entries):
        if entry.status == "deprecated":
            missing = [name for name in ("successor", "sunset_date") if _read_text_of(entry, name) is None]
            if missing:
                yield Issue(number, "status", f"model is deprecated without {' and '.join(missing)}")


def find_different_histories(catalog: Catalog) -> Iterator[Issue]:
    """Yield entries whose last record of the history has another status."""
    for number, entry in enumerate(catalog.entries):
        history = entry.metadata.get("history")
        if history and history[-1]["status"] != entry.status:
            message = f"status is {entry.status}, but the last record of metadata.history has {history[-1]['status']}"
            yield Issue(number, "status", message)


def find_unknown_successors(catalog: Catalog) -> Iterator[Issue]:
    """Yield successors and base models that no entry matches."""
    for number, entry in enumerate(catalog.entries):
        successor = _read_text_of(entry, "successor")
        if successor is not None and _find_model(catalog, successor) is None and successor not in catalog.other_ids:
            yield Issue(number, "metadata.successor", f"successor {quote(successor)} is not registered")


def find_unknown_base_models(catalog: Catalog) -> Iterator[Issue]:
    """Yield base models that no entry matches."""
    for number, entry in enumerate(catalog.entries):
        for name in entry.base_models:
            if _find_model(catalog, name) is None and name not in catalog.other_ids:
                yield Issue(number, "metadata.base_model", f"base model {quote(name)} is not registered")


def find_ended_successors(catalog: Catalog) -> Iterator[Issue]:
    """Yield successors and base models of models in use that are deprecated or retired."""
    for number, entry in enumerate(catalog.entries):
        successor = _read_text_of(entry, "successor")
        names = [("base_model", name) for name in entry.base_models]
        names += [] if successor is None else [("successor", successor)]
        for key, name in names if entry.status != "retired" else ():
            other = _find_model(catalog, name)
            if other is not None and other.status != STATUSES[0] and other is not entry:
                yield Issue(number, f"metadata.{key}", f"{key} {quote(name)} is {other.status} itself")


def find_successor_cycles(catalog: Catalog) -> Iterator[Issue]:
    """Yield one entry of each cycle of successors, with all its ids."""
    next_ids: dict[str, str | None] = {}
    for entry in catalog.index.entries.values():
        successor = _read_text_of(entry, "successor")
        other = None if successor is None else _find_model(catalog, successor)
        next_ids[entry.model_id] = None if other is None else other.model_id
    done: set[str] = set()
    for model_id in next_ids:
        path: dict[str, None] = {}
        each: str | None = model_id
        while each is not None and each not in done and each not in path:
            path[each] = None
            each = next_ids[each]
        if each in path:
            cycle = list(path)[list(path).index(str(each)) :]
            shown = " -> ".join(map(quote, [*cycle[:_MAX_SHOWN_IDS], cycle[0]]))
            message = f"successors lead back to the model: {shown}"
            yield Issue(catalog.numbers[cycle[0]], "metadata.successor", message)
        done.update(path)


_MAX_SHOWN_IDS: Final = 5
"""The limit of models that a finding about a cycle names. The first ones show how it begins."""


def find_provider_shutdowns(catalog: Catalog) -> Iterator[Issue]:
    """Yield models in use that their provider no longer serves."""
    return (issue for days_left, issue in _list_shutdowns(catalog) if days_left <= 0)


def find_near_shutdowns(catalog: Catalog) -> Iterator[Issue]:
    """Yield models in use that their provider soon stops serving."""
    return (issue for days_left, issue in _list_shutdowns(catalog) if days_left > 0)


def _list_shutdowns(catalog: Catalog) -> Iterator[tuple[int, Issue]]:
    """Yield the days that are left, and the issue, for each model in use whose shutdown is past or near."""
    if catalog.calendar is None:
        return
    for number, entry in enumerate(catalog.entries):
        for shutdown in list_entry_shutdowns(catalog.calendar, entry) if entry.status != "retired" else ():
            warning, days_left = shutdown.warn(catalog.today), shutdown.count_days_left(catalog.today)
            if warning is not None and days_left is not None:
                yield days_left, Issue(number, "model_id", f"{warning}{_describe_days(shutdown, days_left)}")


def _describe_days(shutdown: ProviderShutdown, days_left: int) -> str:
    return f", in {days_left} days" if days_left > 0 and not shutdown.replacements else ""


def _has_begun(date: str, today: str) -> bool:
    """Check whether a date begins on a day in UTC or before it."""
    return to_nanos(date) < to_nanos(today) + DAY_NANOS


def _find_model(catalog: Catalog, name: str) -> ModelRegistryEntry | None:
    """Return the entry that a name means, whatever the provider."""
    match = catalog.index.search(name)
    if match.entry is not None:
        return match.entry
    return match.ambiguous[0] if match.ambiguous else None


def _read_text_of(entry: ModelRegistryEntry, name: str) -> str | None:
    """Return a date or another text of an entry, from its field or its metadata."""
    value: str | None = getattr(entry, name) if name in _IS_FIELD else entry.metadata.get(name)
    return value


def _write_path(name: str) -> str:
    """Return the path of a field or reserved key."""
    return name if name in _IS_FIELD else f"metadata.{name}"
