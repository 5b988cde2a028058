"""The facts about attributes that the semantic-convention registry needs and no table of the code has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from spanforge.model_registry._core.attributes import SIGNALS
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry._core.matching import MatchRule
from spanforge.model_registry._core.resolution import UNREGISTERED

if TYPE_CHECKING:
    from collections.abc import Mapping


class Convention(NamedTuple):
    """The facts about an attribute.

    Attributes:
        brief: The meaning; empty if the note of the attribute's row is one.
        examples: Values of it.
        members: All values, if it has a limited number.
        span_condition: The condition under which a span has it, if that is neither the entry's value nor a setting.
    """

    brief: str = ""
    examples: tuple[object, ...] = ()
    members: tuple[str, ...] = ()
    span_condition: str = ""


CONVENTIONS: Final[Mapping[str, Convention]] = {
    "status": Convention("The status of the model in its lifecycle", members=(*STATUSES, UNREGISTERED)),
    "owner": Convention(examples=("ml-platform", "chat-team")),
    "risk_tier": Convention("The risk of using the model, as its owner rates it", members=RISK_TIERS),
    "model_id": Convention(examples=("acme-chat-1",)),
    "warnings": Convention(
        "Warnings for callers of the model",
        examples=(["model 'acme-chat-1' is deprecated", "use 'acme-chat-2' instead"],),
        span_condition="if there is a warning about the model",
    ),
    "successor": Convention(examples=("acme-chat-2",)),
    "sunset_date": Convention(examples=("2027-03-31",)),
    "name": Convention("The display name of the model", examples=("Acme Chat 1",)),
    "version": Convention(examples=("2026-05-01",)),
    "provider_sunset_date": Convention(
        "The day on which the provider stops serving the model",
        examples=("2027-06-30",),
        span_condition="if the day is near or past, by the provider calendar in force",
    ),
    "requested_model_id": Convention(
        examples=("acme-chat-1",), span_condition="if another registered model answered than the requested one"
    ),
    "response_registered": Convention(
        "Whether the response model is registered", span_condition="if the response model is not registered"
    ),
    "contact": Convention(examples=("https://example.com/chat-team", "#chat-team")),
    "matched_by": Convention(examples=("gen_ai.response.model", "gen_ai.request.model")),
    "match_rule": Convention("The rule by which the model's name matched the entry", members=get_args(MatchRule)),
    "purpose": Convention(examples=("support agent",)),
    "deployment_date": Convention(examples=("2026-05-01", "2026-05-01T09:30:00.000000Z")),
    "decommission_date": Convention(examples=("2027-03-31T12:00:00.000000Z",)),
    "metadata.<key>": Convention(
        "The user's metadata of the model, `<key>` being a key of it", examples=("GOV-12", '{"region": "eu"}')
    ),
    "previous_status": Convention(members=STATUSES),
    "reason": Convention(examples=("no longer improved",)),
    "actor": Convention(examples=("kim", "ci")),
    "source_revision": Convention(examples=("9a2c0d2",)),
    "sender": Convention(
        "Whether the sender of the span or log record is trusted; the Collector sets it",
        members=("trusted", "untrusted"),
    ),
}
"""By the short names of ``ATTRIBUTES``."""

METRIC_CONVENTIONS: Final[Mapping[str, Convention]] = {
    "file.digest": Convention(
        "The first twelve hexadecimal digits of the SHA-256 of a registry file or a calendar file",
        examples=("b5bb9d8014a0",),
    ),
    "event_signal": Convention("The signal in which lifecycle events are emitted", members=SIGNALS),
}
"""By the short names of attributes that only metrics have."""
