"""The figures of models and of calls in an attestation."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.lifecycle import LIFECYCLE, RISK_TIERS
from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME
from spanforge.model_registry.compliance._analysis.model_totals import Counts
from spanforge.model_registry.compliance._analysis.senders import UNTRUSTED
from spanforge.model_registry.compliance._attestation_figures import CallFigures, CallStatus, ModelFigures
from spanforge.model_registry.compliance._attestation_parts import SENDERS
from spanforge.model_registry.compliance._name_lists import MAX_ITEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spanforge.model_registry._core.lifecycle import RiskTier
    from spanforge.model_registry.compliance._analysis.model_totals import ModelTotals
    from spanforge.model_registry.compliance._attestation_parts import Sender
    from spanforge.model_registry.compliance._inventory import InventoryRow

    _CallKind = tuple[Sender, RiskTier | None, CallStatus]

MAX_SERVICES: Final = 10
"""The limit of services that a row of the inventory lists."""
_CALL_STATUSES: Final[tuple[CallStatus, ...]] = (*LIFECYCLE, "unregistered", "not_deployed")
_STATUS_KINDS: Final[dict[CallStatus, str]] = {
    **{status: row.finding for status, row in LIFECYCLE.items() if row.finding is not None},
    "unregistered": "unregistered",
    "not_deployed": "before_deployment",
}
"""The kind of ``copies.EXCEPTIONS`` that each status has. All other calls are those of active models."""


def list_model_figures(rows: Iterable[InventoryRow]) -> list[ModelFigures]:
    """Return the first rows of an inventory, the models with most calls first, and untrusted senders last.

    There are at most ``MAX_ITEMS`` rows of untrusted senders, and as many others.
    """
    ordered = sorted(rows, key=lambda row: (-row.totals.calls, _read_row_name(row)))
    counted, untrusted = _split_rows(ordered)
    return [_build_model(row) for row in (*counted[:MAX_ITEMS], *untrusted[:MAX_ITEMS])]


def _split_rows(rows: Iterable[InventoryRow]) -> tuple[list[InventoryRow], list[InventoryRow]]:
    """Return the rows without untrusted senders, and those of untrusted senders."""
    both = list(rows)
    counted = [row for row in both if row.sender != UNTRUSTED]
    return counted, [row for row in both if row.sender == UNTRUSTED]


def list_inventory_cuts(rows: Sequence[InventoryRow]) -> Iterator[str]:
    """Yield a sentence if the inventory of an attestation is not complete. Untrusted senders do not change it."""
    counted, _ = _split_rows(rows)
    if len(counted) > MAX_ITEMS:
        yield (
            f"The list `inventory` has the first {MAX_ITEMS:,} of {len(counted):,} items. "
            "The file `evidence.csv` has all of them."
        )


def _build_model(row: InventoryRow) -> ModelFigures:
    entry, totals = row.entry, row.totals
    services = sorted(totals.services)
    name = _read_row_name(row)
    times = (format_nanos(totals.first), format_nanos(totals.last)) if totals.calls else (None, None)
    return ModelFigures(
        model_id=None if entry is None else entry.model_id,
        name=None if name == OTHERS_NAME else name,
        title=None if entry is None else entry.name,
        version=None if entry is None else entry.version,
        owner=None if row.shown is None else row.shown.owner,
        risk_tier=_read_tier(row),
        status=_read_status(row),
        purpose=None if entry is None else entry.purpose,
        sender=row.sender,
        calls=totals.calls,
        services=tuple(_select_services(services)),
        service_count=len(services),
        first_call=times[0],
        last_call=times[1],
    )


def _select_services(services: Iterable[str]) -> Iterator[str]:
    """Yield the first services, without those that are counted together."""
    return islice((service for service in services if service != OTHERS_NAME), MAX_SERVICES)


def _read_row_name(row: InventoryRow) -> str:
    return row.name if row.entry is None else row.entry.model_id


def _read_tier(row: InventoryRow) -> RiskTier | None:
    return None if row.shown is None else row.shown.risk_tier


def _read_status(row: InventoryRow) -> CallStatus:
    if row.entry is None:
        return "unregistered"
    return "not_deployed" if row.state is None else row.state.status


def list_call_figures(rows: Iterable[InventoryRow]) -> list[CallFigures]:
    """Return the calls of an inventory by sender, risk tier and status. Combinations without calls are left out."""
    calls: Counts[_CallKind] = Counts()
    models: Counts[_CallKind] = Counts()
    for row in rows:
        if row.sender is None:
            continue
        for status, number in _split_calls(row.totals).items():
            key = row.sender, _read_tier(row), status
            calls[key] += number
            models[key] += 1
    return [
        CallFigures(sender=key[0], risk_tier=key[1], status=key[2], calls=calls[key], models=models[key])
        for key in sorted(calls, key=_rank)
    ]


def _split_calls(totals: ModelTotals) -> dict[CallStatus, int]:
    """Return the number of calls of a model by its status when they started, without zeros."""
    numbers = {status: totals.exceptions[kind] for status, kind in _STATUS_KINDS.items()}
    numbers["active"] = totals.calls - sum(numbers.values())
    return {status: number for status, number in numbers.items() if number}


def _rank(key: _CallKind) -> tuple[int, ...]:
    """Return the key by which figures are sorted: by sender, by risk tier from the highest, and by status."""
    sender, tier, status = key
    tier_rank = len(RISK_TIERS) if tier is None else -RISK_TIERS.index(tier)
    return SENDERS.index(sender), tier_rank, _CALL_STATUSES.index(status)
