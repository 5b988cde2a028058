"""The semantic conventions ``model_registry.*``: which attributes an entry gives to events and to LLM spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

    from spanforge.model_registry._core.entry import ModelRegistryEntry

__version__ = "0.1.0"

SCOPE_NAME: Final = "spanforge.model_registry"
"""Name of the instrumentation scope that the events are made under."""
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.38.0"
"""The version of OpenTelemetry's conventions whose attribute keys the library reads."""
PREFIX: Final = "model_registry."
"""The one namespace of every attribute and event of the library."""
EventSignal = Literal["span", "log"]
"""The signal of a lifecycle event: an event on a span, or a log record with an event name."""
SIGNALS: Final[tuple[EventSignal, ...]] = get_args(EventSignal)

_INT64: Final = range(-(2**63), 2**63)


class Attribute(NamedTuple):
    """One row of ``ATTRIBUTES``.

    Attributes:
        name: Short name; the key is ``model_registry.<name>``.
        type: OpenTelemetry's type of the value.
        on_events: Whether lifecycle events carry it, where there is a value.
        on_spans: Whether LLM spans carry it, where there is a value: always, only when asked for, or never.
        note: What it holds.
    """

    name: str
    type: str
    on_events: bool
    on_spans: Literal["yes", "opt-in", "no"]
    note: str

    @property
    def key(self) -> str:
        """The attribute's key on spans and events."""
        return PREFIX + self.name


ATTRIBUTES: Final = (
    Attribute("status", "string", True, "yes", "`active`, `deprecated`, `retired`; on spans also `unregistered`"),
    Attribute("owner", "string", True, "yes", "team or person responsible"),
    Attribute("risk_tier", "string", True, "yes", "`low`, `medium`, `high`, `critical`"),
    Attribute("model_id", "string", True, "yes", "the entry that matched"),
    Attribute("warnings", "string[]", False, "yes", "for example `model 'gpt-3.5-turbo' is deprecated`"),
    Attribute("name", "string", True, "yes", "the model's name for people"),
    Attribute("version", "string", True, "yes", "the model's version"),
    Attribute("matched_by", "string", False, "opt-in", "the attribute key whose value matched"),
    Attribute("purpose", "string", True, "opt-in", "what the model is meant to be used for"),
    Attribute("deployment_date", "string", True, "opt-in", "since when it is in use"),
    Attribute("decommission_date", "string", True, "opt-in", "when it was retired"),
    Attribute("metadata.<key>", "any", True, "no", "scalars and lists of one kind as they are, the rest as JSON text"),
    Attribute("previous_status", "string", True, "no", "the status before the operation"),
    Attribute("reason", "string", True, "no", "why"),
    Attribute("actor", "string", True, "no", "who"),
)
"""Every attribute, most important first: where a span's limit leaves no room, the last ones are left out."""

ON_SPANS: Final = tuple(row.name for row in ATTRIBUTES if row.on_spans == "yes")
"""Short names of what LLM spans carry by default."""
SPAN_ATTRIBUTE_NAMES: Final = tuple(row.name for row in ATTRIBUTES if row.on_spans != "no")
"""Short names of what LLM spans can carry."""
_SPAN_KEYS: Final = tuple((row.name, row.key) for row in ATTRIBUTES if row.name in SPAN_ATTRIBUTE_NAMES)


def span_attributes(
    entry: ModelRegistryEntry | None, names: Collection[str] = ON_SPANS, /, **facts: str | tuple[str, ...] | None
) -> dict[str, Any]:
    """Return what an LLM span gets: the attributes of these short names that have a value.

    Args:
        entry: The entry that matched; ``None`` for a model that is not registered.
        names: Short names, of ``SPAN_ATTRIBUTE_NAMES``.
        facts: Values that the entry does not hold itself: ``status``, ``warnings``, ``matched_by``.
    """
    found = {}
    for name, key in _SPAN_KEYS:
        if name in names:
            value = facts[name] if name in facts else getattr(entry, name, None)
            if value:
                found[key] = value
    return found


def event_attributes(entry: ModelRegistryEntry, **facts: str | None) -> dict[str, Any]:
    """Return what a lifecycle event carries: the entry's payload, and ``previous_status``, ``reason``, ``actor``.

    The user's metadata comes first, and the most important last: a limit on their number pushes out the first ones.
    """
    metadata = (item for item in entry.metadata.items() if item[0] != "history")
    found = {f"{PREFIX}metadata.{key}": attribute_value(value) for key, value in metadata}
    for row in reversed(ATTRIBUTES):
        value = facts.get(row.name, getattr(entry, row.name, None))
        if row.on_events and value:
            found[row.key] = value
    return found


def attribute_value(value: Any) -> Any:
    """Return a metadata value as an attribute: a scalar or a list of one kind of them as it is, else its JSON text."""
    if isinstance(value, list) and len({type(item) for item in value}) <= 1 and all(map(_is_scalar, value)):
        return tuple(value)
    return value if _is_scalar(value) else msgspec.json.encode(value).decode()


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, bool, float)) or (isinstance(value, int) and value in _INT64)
