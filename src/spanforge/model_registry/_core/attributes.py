"""The semantic conventions ``model_registry.*``: the attributes of an entry on events and on LLM spans."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import msgspec

from spanforge.model_registry._core.lifecycle import LIFECYCLE, STATUSES
from spanforge.model_registry._core.packed_metadata import read_reserved
from spanforge.model_registry._core.values import INT64

if TYPE_CHECKING:
    from collections.abc import Collection

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.lifecycle import ModelStatus

__version__ = "0.1.0"

SCOPE_NAME: Final = "spanforge.model_registry"
"""The name of the instrumentation scope of the events."""
PREFIX: Final = "model_registry."
"""The namespace of all attributes and events of the library."""
SENDER_KEY: Final = f"{PREFIX}sender"
"""The attribute by which the Collector marks the sender of a span or a log record."""
EventSignal = Literal["span", "log"]
"""The signal of a lifecycle event: an event on a span, or a log record with an event name."""
SIGNALS: Final[tuple[EventSignal, ...]] = get_args(EventSignal)

ValueSource = Literal["field", "property", "metadata key", "all metadata", "fact"]
"""The source of an attribute's value.

``field``, ``property`` and ``metadata key`` are those of the entry with the same name. ``all metadata`` is the user's
metadata. A ``fact`` is not in the entry; the caller passes it.
"""


class Attribute(NamedTuple):
    """One row of ``ATTRIBUTES``.

    Attributes:
        name: The short name; the key is ``model_registry.<name>``.
        type: OpenTelemetry's type of the value.
        source: The source of the value. A fact that is passed replaces a value of the entry.
        on_events: ``True`` if lifecycle events have the attribute when it has a value.
        on_spans: ``yes`` if LLM spans have the attribute when it has a value; ``opt-in`` if only a setting adds it.
        note: The meaning, for the documentation.
        needs_warning: ``True`` if only spans whose model's status has a warning have the attribute.
    """

    name: str
    type: str
    source: ValueSource
    on_events: bool
    on_spans: Literal["yes", "opt-in", "no"]
    note: str
    needs_warning: bool = False

    @property
    def key(self) -> str:
        """The attribute's key on spans and events."""
        return PREFIX + self.name


ATTRIBUTES: Final = (
    Attribute(
        "status",
        "string",
        "field",
        True,
        "yes",
        f"{', '.join(f'`{status}`' for status in STATUSES)}; on spans also `unregistered`",
    ),
    Attribute("owner", "string", "field", True, "yes", "team or person responsible"),
    Attribute("risk_tier", "string", "field", True, "yes", "`low`, `medium`, `high`, `critical`"),
    Attribute("model_id", "string", "field", True, "yes", "the id of the entry that matched"),
    Attribute("warnings", "string[]", "property", False, "yes", "for example `model 'gpt-3.5-turbo' is deprecated`"),
    Attribute(
        "successor",
        "string",
        "metadata key",
        True,
        "yes",
        "the model to use instead; on spans of deprecated and retired models only",
        needs_warning=True,
    ),
    Attribute(
        "sunset_date",
        "string",
        "metadata key",
        True,
        "yes",
        "the date until which the model may be called; on spans of deprecated and retired models only",
        needs_warning=True,
    ),
    Attribute("name", "string", "field", True, "yes", "the display name"),
    Attribute("version", "string", "field", True, "yes", "the model's version"),
    Attribute(
        "provider_sunset_date",
        "string",
        "fact",
        False,
        "yes",
        "the day on which the provider stops serving the model, as in the [calendar](calendar.md); on spans from 90 "
        "days before that day",
    ),
    Attribute(
        "requested_model_id",
        "string",
        "fact",
        False,
        "yes",
        "the id of the request model's entry, if the span shows the response model's entry instead",
    ),
    Attribute(
        "response_registered",
        "boolean",
        "fact",
        False,
        "yes",
        "`false` if the request model is registered, and the response model is neither registered nor a "
        "[form](model-names.md) of the request model nor in [`base_model`](resolution.md#request-and-response-model) "
        "of the request model's entry; otherwise absent",
    ),
    Attribute("contact", "string", "metadata key", True, "opt-in", "how to reach the owner: a URL, address or channel"),
    Attribute("matched_by", "string", "fact", False, "opt-in", "the attribute key whose value matched"),
    Attribute("match_rule", "string", "fact", False, "opt-in", "the rule: `id`, `alias`, `form` or `glob`"),
    Attribute("purpose", "string", "field", True, "opt-in", "the intended use of the model"),
    Attribute("deployment_date", "string", "field", True, "opt-in", "the date of the first use"),
    Attribute("decommission_date", "string", "field", True, "opt-in", "the date of the retirement"),
    Attribute(
        "metadata.<key>",
        "any",
        "all metadata",
        True,
        "no",
        "the value of this key in the entry's metadata: a scalar, a list of scalars of one type, or JSON text",
    ),
    Attribute("previous_status", "string", "fact", True, "no", "the status before the operation"),
    Attribute("reason", "string", "fact", True, "no", "the reason for the operation"),
    Attribute("actor", "string", "fact", True, "no", "the person or system that makes the change"),
    Attribute("source_revision", "string", "fact", True, "no", "the revision that has the change, such as a commit"),
    Attribute(
        "sender",
        "string",
        "fact",
        False,
        "no",
        "`trusted` or `untrusted`; the library does not set it, but the [Collector](../collector-config/README.md) "
        "does, on spans and log records",
    ),
)
"""All attributes, the most important first. If a span reaches its limit of attributes, the last ones are dropped.

A row with the source ``metadata key`` needs a row of ``RESERVED``, which checks the value.
"""

ON_SPANS: Final = tuple(row.name for row in ATTRIBUTES if row.on_spans == "yes")
"""The short names of the attributes that LLM spans have by default."""
SPAN_ATTRIBUTE_NAMES: Final = tuple(row.name for row in ATTRIBUTES if row.on_spans != "no")
"""The short names of the attributes that LLM spans can have."""
UNREGISTERED_NAMES: Final = ("status", "warnings")
"""The short names of the attributes of a span whose model is not registered. A ``Resolution`` has their values."""
_EVENT_ROWS: Final = tuple(
    (row.name, row.key, row.source) for row in ATTRIBUTES if row.on_events and row.source != "all metadata"
)
_MAX_SELECTIONS: Final = 1_024
"""The limit of remembered selections. There is one for each status and each set of names that a processor is given."""


@functools.lru_cache(maxsize=_MAX_SELECTIONS)
def _select_rows(names: frozenset[str], status: ModelStatus) -> tuple[tuple[str, str, ValueSource], ...]:
    """Return name, key and source of the attributes with these short names, for spans of models of a status.

    Hot path: they are selected once, because a new decision of the span processor needs them.
    """
    has_warning = LIFECYCLE[status].warning is not None
    rows = (row for row in ATTRIBUTES if row.on_spans != "no" and (has_warning or not row.needs_warning))
    return tuple((row.name, row.key, row.source) for row in rows if row.name in names)


def span_attributes(
    entry: ModelRegistryEntry, names: Collection[str] = ON_SPANS, /, **facts: str | bool | tuple[str, ...] | None
) -> dict[str, Any]:
    """Return the attributes of an LLM span of a registered model that have these short names and a value.

    Args:
        entry: The entry that matched.
        names: The short names, each one of ``SPAN_ATTRIBUTE_NAMES``.
        facts: Values that are not in the entry, such as ``matched_by``, or that replace the entry's.
    """
    attributes = {}
    for name, key, source in _select_rows(frozenset(names), entry.status):
        value = facts[name] if name in facts else _read(name, source, entry)
        if value or value is False:
            attributes[key] = value
    return attributes


def event_attributes(entry: ModelRegistryEntry, **facts: str | None) -> dict[str, Any]:
    """Return the attributes of a lifecycle event: the entry's, and facts of the operation such as ``actor``.

    The user's metadata comes first and the most important attributes last, because a limit drops the first ones.
    """
    metadata = (item for item in entry.metadata.items() if item[0] != "history")
    attributes = {f"{PREFIX}metadata.{key}": attribute_value(value) for key, value in metadata}
    for name, key, source in reversed(_EVENT_ROWS):
        value = facts[name] if name in facts else _read(name, source, entry)
        if value:
            attributes[key] = value
    return attributes


def _read(name: str, source: ValueSource, entry: ModelRegistryEntry | None) -> Any:
    """Return the value that the entry has for an attribute; ``None`` for a fact."""
    if entry is None or source == "fact":
        return None
    return read_reserved(entry).get(name) if source == "metadata key" else getattr(entry, name)


def attribute_value(value: Any) -> Any:
    """Return a metadata value as an attribute: a scalar, a tuple of scalars of one type, or else JSON text."""
    if isinstance(value, list) and len({type(item) for item in value}) <= 1 and all(map(_is_scalar, value)):
        return tuple(value)
    return value if _is_scalar(value) else msgspec.json.encode(value).decode()


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, bool, float)) or (isinstance(value, int) and value in INT64)
