"""Writing attributes to a span that has ended already: the one module that touches the SDK's private parts.

OpenTelemetry's specification lets a processor change a span while it is ending (``OnEnding``). The Python SDK calls
the hook ``_on_ending`` from 1.40 on, but refuses ``set_attribute`` there, for the end time is set before; from 1.43 on
it also freezes the attributes. So this module replaces, in one step, the dict inside the span's attribute container by
a merged copy: readers in other threads see the one or the other, every processor shares the container, and an
exporter that comes before in the chain sees the result as well.

Known to work this way: opentelemetry-sdk 1.40 to 1.45. ``SWAPS`` tells what this SDK offers. Where ``_on_ending`` is
not called (1.38, 1.39, logfire's wrapper) the same is done in ``on_end``, which serves the processors that come after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import SpanProcessor

from spanforge.model_registry import logs
from spanforge.model_registry.attributes import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span


class Enriched(dict[str, Any]):
    """The attributes of a span that has its additions: the type is the mark that says so."""

    __slots__ = ()


class Additions(NamedTuple):
    """What a span gets.

    Attributes:
        attributes: Keys and values, the most important first.
        longest: Length of the longest text among the values.
        forged: Whether the span has keys of the namespace already, which are to be removed.
    """

    attributes: dict[str, Any]
    longest: int
    forged: bool


def _probe() -> bool:
    try:
        probe = BoundedAttributes(attributes={"before": 1})
        probe._dict = Enriched(probe._dict)  # noqa: SLF001
    except Exception:  # noqa: BLE001 - an SDK that this module does not know
        return False
    return dict(probe) == {"before": 1} and hasattr(probe, "_immutable") and hasattr(SpanProcessor, "_on_ending")


SWAPS: Final = _probe()
"""Whether this SDK tells processors of ending spans, and its attribute container can be given another dict."""


class LateWriter(SpanProcessor):
    """A span processor that adds attributes when a span ends, wherever it stands among other processors.

    Subclasses say what to add. Nothing raised here or there reaches the application.
    """

    _keys: frozenset[str]
    """Only spans with one of these attributes are looked at further."""

    def __init__(self) -> None:
        self._seen: object = None
        self._watches_starts = True
        self._writes_early = not SWAPS
        self._failures: set[type[BaseException]] = set()
        if not SWAPS:
            logs.warn("models that a span names late may be missed: this opentelemetry-sdk has no hook for them")

    def _additions(self, attributes: Mapping[str, Any], span: ReadableSpan) -> Additions | None:
        """Return what to add to a span with these attributes; ``None``: the span stays as it is."""
        raise NotImplementedError

    def _started(self, span: Span) -> None:
        """Add what is known at the start, by the public way: only where nothing better will work later."""
        if not self._writes_early:
            self._watches_starts = False
        elif not SWAPS or type(span._attributes) is not BoundedAttributes:  # noqa: SLF001
            self._write_publicly(span)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Do what has to be done at a span's start; mostly nothing."""
        if self._watches_starts:
            try:
                self._started(span)
            except Exception as error:  # noqa: BLE001 - the application's spans go on without us
                self._failed(error)

    def _on_ending(self, span: Span) -> None:
        try:
            container = span._attributes  # noqa: SLF001
            if type(container) is not BoundedAttributes or not SWAPS:
                self._ending_unknown(span, container)
                return
            self._seen = container
            found = container._dict  # noqa: SLF001
            if self._keys.isdisjoint(found):
                if not container._immutable:  # noqa: SLF001 - another processor may still name a model
                    self._seen = None
            elif type(found) is not Enriched:
                if not container._immutable and span.is_recording():  # noqa: SLF001 - as the specification says
                    self._write_publicly(span)
                    return
                additions = self._additions(found, span)
                if additions is not None:
                    _write_late(span, container, found, additions)
        except Exception as error:  # noqa: BLE001 - the application's spans go on without us
            self._failed(error)

    def on_end(self, span: ReadableSpan) -> None:
        """Add the attributes where ``_on_ending`` was not called: older SDKs, and processors that wrap this one."""
        try:
            container = span._attributes  # noqa: SLF001
            if container is self._seen or container is None:
                return
            found: Mapping[str, Any] = container
            if isinstance(container, BoundedAttributes):
                found = container._dict  # noqa: SLF001
            if self._keys.isdisjoint(found) or type(found) is Enriched:
                return
            additions = self._additions(found, span)
            if additions is not None:
                _write_late(span, container, found, additions)
        except Exception as error:  # noqa: BLE001 - the application's spans go on without us
            self._failed(error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - nothing is waiting
        """Return ``True``: what this processor does is done when a span has ended."""
        return True

    def _ending_unknown(self, span: Span, container: object) -> None:
        """Serve a span whose attributes are kept in a way that this module does not know."""
        if not self._writes_early:
            self._writes_early = self._watches_starts = True
            logs.warn("models that a span names late may be missed: attributes are kept in %s", type(container))
        if span.is_recording():
            self._write_publicly(span)

    def _write_publicly(self, span: Span) -> None:
        """Add attributes to a span that still records; forged keys that cannot be removed are emptied."""
        found = span.attributes or {}
        if self._keys.isdisjoint(found):
            return
        additions = self._additions(found, span)
        if additions is None:
            return
        container: Any = getattr(span, "_attributes", None)
        forged = [key for key in found if is_ours(key)]
        if type(container) is BoundedAttributes:
            for key in forged:
                del container[key]
            forged = []
        limit = getattr(container, "maxlen", None)
        room = len(additions.attributes) if limit is None else max(0, limit - len(container))
        wanted = dict.fromkeys(forged, "")
        wanted |= dict(list(additions.attributes.items())[:room])
        span.set_attributes(wanted)

    def _failed(self, error: Exception) -> None:
        if type(error) not in self._failures:
            self._failures.add(type(error))
            logs.warn("span not enriched (further %s not logged)", type(error).__name__, error=error)


def _write_late(span: ReadableSpan, container: Any, found: Mapping[str, Any], additions: Additions) -> None:
    """Add attributes to a span that has ended: one step, so that readers see them all or none."""
    ours, longest, forged = additions
    bounded = type(container) is BoundedAttributes
    limit, max_length = getattr(container, "maxlen", None), getattr(container, "max_value_len", None)
    fits = limit is None or len(found) + len(ours) <= limit
    if bounded and fits and not forged and (max_length is None or longest <= max_length):
        attributes = Enriched(found)
        attributes.update(ours)
        container._dict = attributes  # noqa: SLF001
        return
    attributes, dropped = _merged(found, additions, limit, max_length)
    dropped += getattr(container, "dropped", 0)
    if not bounded and not dropped:
        span._attributes = attributes  # noqa: SLF001
        return
    # Where keys go away, readers of the old container are to find them until they are done: hence another container.
    counting = BoundedAttributes(limit, max_value_len=max_length)
    counting._dict, counting.dropped = attributes, dropped  # noqa: SLF001
    span._attributes = counting  # noqa: SLF001


def _merged(
    found: Mapping[str, Any], additions: Additions, limit: int | None, max_length: int | None
) -> tuple[Enriched, int]:
    """Return a span's attributes with the additions, and how many of these its limits left no room for.

    Keys of the namespace that are there already are removed: what a span says of its model, the registry says. The
    application's own attributes are never pushed out.
    """
    attributes = Enriched((key, value) for key, value in found.items() if not is_ours(key))
    ours = list(additions.attributes.items())
    room = len(ours) if limit is None else max(0, limit - len(attributes))
    attributes.update((key, _cut(value, max_length)) for key, value in ours[:room])
    return attributes, max(0, len(ours) - room)


def is_ours(key: object) -> bool:
    """Tell whether an attribute's key is in the namespace of the library."""
    return isinstance(key, str) and key.startswith(PREFIX)


def _cut(value: Any, max_length: int | None) -> Any:
    return tuple(item[:max_length] for item in value) if isinstance(value, tuple) else value[:max_length]
