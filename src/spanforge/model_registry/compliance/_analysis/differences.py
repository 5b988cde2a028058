"""Differences between the registry's attributes on a span and the registry.

Attributes come from the network. So a difference has only a few possible values: a known status, and names of
attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import STATUSES
from spanforge.model_registry._core.resolution import UNREGISTERED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.entry import ModelRegistryEntry, StateAsOf

OTHER_STATUS: Final = "other"
"""The status of a difference, if the status on the span is none of the registry's."""
_STATUSES_ON_SPANS: Final = frozenset({*STATUSES, UNREGISTERED})


class SpanClaims(NamedTuple):
    """The attributes of a span that describe its model, as the span processor adds them."""

    status: str | None
    model_id: str | None
    owner: str | None
    risk_tier: str | None


class Difference(NamedTuple):
    """The attributes of a span that differ from the registry.

    Attributes:
        status: The status on the span, or ``OTHER_STATUS``; empty if the status is the one in force.
        keys: The names of the other attributes that differ.
        has_entry: ``True`` if the registry has an entry of the model.
    """

    status: str = ""
    keys: tuple[str, ...] = ()
    has_entry: bool = True

    def describe(self) -> str:
        """Return the difference in words."""
        keys = [key.replace("_", " ") for key in self.keys]
        if self.has_entry:
            statuses = [f"status ({self.status} on the span)"] if self.status else []
            return f"the registry has other values than the span: {', '.join([*statuses, *keys])}"
        statuses = [f"status {self.status}"] if self.status else []
        return f"the registry has no entry of the model, but the span has: {', '.join([*statuses, *keys])}"


NO_DIFFERENCE: Final = Difference()


def is_in_force(claims: SpanClaims, entry: ModelRegistryEntry, state: StateAsOf | None) -> bool:
    """Check whether the attributes on a span agree with a state of the model; ``None``: before its deployment."""
    if state is None:
        return claims.status == UNREGISTERED or claims.model_id == entry.model_id
    return not any(_list_differing(claims, _to_claims(entry, state)))


def find_difference(
    claims: SpanClaims, entry: ModelRegistryEntry | None, state: StateAsOf | None, *, agrees: bool
) -> Difference:
    """Return the difference between the attributes on a span and a state of the model.

    Args:
        claims: The attributes; without a status, there is no difference.
        entry: The entry of the model; ``None`` if it is not registered.
        state: The state; ``None`` before the model's deployment.
        agrees: Whether another state that the span may show agrees with the attributes.
    """
    if agrees or claims.status is None:
        return NO_DIFFERENCE
    has_state = entry is not None and state is not None
    in_force = _to_claims(entry, state) if has_state else SpanClaims(UNREGISTERED, None, None, None)  # type: ignore[arg-type]
    status, *keys = ("", *_list_differing(claims, in_force))
    if keys and keys[0] == "status":
        status = claims.status if claims.status in _STATUSES_ON_SPANS else OTHER_STATUS
        keys = keys[1:]
    return Difference(status, tuple(keys), entry is not None)


def _to_claims(entry: ModelRegistryEntry, state: StateAsOf) -> SpanClaims:
    """Return the attributes that a span has in a state of the model."""
    return SpanClaims(state.status, entry.model_id, state.owner, state.risk_tier)


def _list_differing(claims: SpanClaims, in_force: SpanClaims) -> Iterator[str]:
    """Yield the names of attributes that the span has, and whose values are not the ones in force."""
    for name, claim, fact in zip(SpanClaims._fields, claims, in_force, strict=True):
        if claim not in (None, fact):
            yield name
