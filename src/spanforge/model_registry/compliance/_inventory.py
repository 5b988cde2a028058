"""The inventory of a period: each model and each unregistered name, with the calls of each sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry.compliance._analysis.model_totals import ModelTotals
from spanforge.model_registry.compliance._analysis.senders import COUNTED, UNTRUSTED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry, StateAsOf
    from spanforge.model_registry.compliance._analysis.totals import CallTotals
    from spanforge.model_registry.compliance._attestation_parts import Sender

EntryState = tuple["ModelRegistryEntry", "StateAsOf | None"]


class InventoryRow(NamedTuple):
    """The calls of one model, or of one name that is not registered, by one sender.

    Attributes:
        entry: The entry of the model; ``None`` for a name that is not registered.
        state: The state of the entry that the row shows; ``None`` before its deployment date.
        name: The name that is not registered; empty for a model.
        sender: The sender; ``None`` for a model without calls.
        totals: The calls.
    """

    entry: ModelRegistryEntry | None
    state: StateAsOf | None
    name: str
    sender: Sender | None
    totals: ModelTotals

    @property
    def shown(self) -> ModelRegistryEntry | StateAsOf | None:
        """The object with owner and risk tier: the state, or the entry before its deployment date."""
        return self.entry if self.state is None else self.state


def list_inventory(
    states: Sequence[EntryState],
    by_sender: Mapping[Sender, CallTotals],
    shutdown_days: Mapping[str, Collection[str]],
) -> Iterator[InventoryRow]:
    """Yield a row for each sender of each model and each name, and one for each model without calls.

    The rows of untrusted senders come last, so that the rows before them are the same without these senders.

    Args:
        states: The entries, each with the state that its rows show.
        by_sender: The totals of each sender.
        shutdown_days: The days on which providers stop serving the models, by model id, for models without calls.
    """
    senders: tuple[Sender, ...]
    for senders in (COUNTED, (UNTRUSTED,)):
        chosen = {sender: by_sender[sender] for sender in senders}
        yield from _list_model_rows(states, chosen, None if UNTRUSTED in senders else shutdown_days)
        yield from _list_name_rows(chosen)


def _list_model_rows(
    states: Iterable[EntryState],
    by_sender: Mapping[Sender, CallTotals],
    shutdown_days: Mapping[str, Collection[str]] | None,
) -> Iterator[InventoryRow]:
    """Yield the rows of models; with ``shutdown_days`` also those of models without calls."""
    called = {sender: totals.models for sender, totals in by_sender.items()}
    for entry, state in states:
        rows = _select_called(called, entry.model_id)
        for sender, totals in rows.items():
            yield InventoryRow(entry, state, "", sender if totals.calls else None, totals)
        if shutdown_days is not None and not rows:
            totals = ModelTotals(sunsets=set(shutdown_days.get(entry.model_id, ())))
            yield InventoryRow(entry, state, "", None, totals)


def _list_name_rows(by_sender: Mapping[Sender, CallTotals]) -> Iterator[InventoryRow]:
    """Yield the rows of names that are not registered."""
    called = {sender: totals.unregistered for sender, totals in by_sender.items()}
    for name in sorted({name for names in called.values() for name in names}):
        for sender, totals in _select_called(called, name).items():
            yield InventoryRow(None, None, name, sender if totals.calls else None, totals)


def _select_called(by_sender: Mapping[Sender, Mapping[str, ModelTotals]], key: str) -> dict[Sender, ModelTotals]:
    """Return the totals of a model, or of a name, by sender."""
    return {sender: totals[key] for sender, totals in by_sender.items() if key in totals}
