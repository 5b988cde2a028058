"""Writing attributes to a span that has ended already: the one module that touches the SDK's private parts.

OpenTelemetry's specification lets a processor change a span while it is ending (``OnEnding``). The Python SDK calls
the hook ``_on_ending`` from 1.40 on, but refuses ``set_attribute`` there, for the end time is set before; from 1.43 on
it also freezes the attributes. So this module replaces, in one step, the dict inside the span's attribute container by
a merged copy: readers in other threads see the one or the other, every processor shares the container, and an
exporter that comes before in the chain sees the result as well.

Known to work this way: opentelemetry-sdk 1.40 to 1.45. ``SWAPS`` tells what this SDK offers. Where ``_on_ending`` is
not called (1.38, 1.39, logfire's wrapper) the same is done in ``on_end``, which serves the processors that come after.

A container bears a mark, ``_late_writer``: ``ADDED``, or the writer or writers that looked at it while its span was
ending and added nothing, with ``COUNTED`` where one of them counted the span all the same, and ``NAMELESS``. It is an
attribute of the container itself: no key that an application sets can forge it.
"""

# ruff: noqa: SLF001

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import SpanProcessor

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.process import WarnOnce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from spanforge.model_registry._core.registry import ModelRegistry


_BOUNDED: Final[Any] = BoundedAttributes
"""The SDK's container, as one that a mark may be put on."""
ADDED: Final = object()
"""The mark of attributes that have their additions, whoever added them."""
COUNTED: Final = object()
"""The mark of attributes that have none, of a span that is counted."""
NAMELESS: Final = object()
"""The mark of attributes that named no model while their span was ending, and may name one before it has ended."""
_lines: Final = WarnOnce(100)
"""What a process is told once, however many processors it has."""


class Enriched(dict[str, Any]):
    """Attributes with additions, in the place of a mapping that is not the SDK's own and bears no mark."""

    __slots__ = ()
    _late_writer = ADDED


class Counted(dict[str, Any]):
    """The inside of a container without additions, of a span that is counted: seen where there is no time for marks."""

    __slots__ = ()


@dataclass(slots=True)
class Additions:
    """What a span gets.

    Attributes:
        attributes: Keys and values, the most important first.
        longest: Length of the longest text among the values.
        forged: Whether the span has keys of the namespace already, which are to be removed.
    """

    attributes: dict[str, Any]
    longest: int
    forged: bool


@dataclass(slots=True)
class Answer:
    """What spans with certain values get, while the registry is at a version.

    Attributes:
        version: The version.
        additions: What to add; ``None``: such spans stay as they are.
        count: Counts them, one a step.
    """

    version: object
    additions: Additions | None
    count: Iterator[int]


@dataclass(slots=True)
class Plan:
    """What is known of spans that have certain attribute keys.

    Attributes:
        read: Takes from the attributes the values that decide; ``None``: such spans take the long way, for more than
            values decides, or keys of the namespace are to be removed.
        answers: What was decided for which values.
    """

    read: Callable[[Mapping[str, Any]], Any] | None
    answers: dict[Any, Answer]


_NO_PLAN: Final = Plan(None, {})
UNCOUNTED: Final[Iterator[int]] = itertools.repeat(0)
"""Counts nothing."""
_NO_ANSWER: Final = Answer(None, None, UNCOUNTED)


def _probe() -> bool:
    try:
        probe: Any = BoundedAttributes(attributes={"before": 1})
        probe._dict, probe._late_writer = {**probe._dict}, ADDED
    except Exception:  # noqa: BLE001 - an SDK that this module does not know
        return False
    return dict(probe) == {"before": 1} and hasattr(probe, "_immutable") and hasattr(SpanProcessor, "_on_ending")


SWAPS: Final = _probe()
"""Whether this SDK tells processors of ending spans, and its attribute container can be given another dict."""


class LateWriter(SpanProcessor):
    """A span processor that adds attributes when a span ends, wherever it stands among other processors.

    Subclasses say what to add. They may leave plans, by attribute keys in their order, and spans that are like earlier
    ones are then served without asking them again. Nothing raised here or there reaches the application.
    """

    _registry: ModelRegistry
    """What plans' answers depend on; needed where there are plans."""

    def __init__(self, keys: frozenset[str]) -> None:
        """Look further only at spans that have one of these attributes."""
        self._plans: Mapping[tuple[str, ...], Plan] = {}
        self._keys = self._wanted = keys
        self._watches_starts = True
        self._writes_early = not SWAPS
        self._hears_endings = self._ended_only = False
        if not SWAPS:
            _lines.warn(
                "hook", "models that a span names late may be missed: this opentelemetry-sdk has no hook for them"
            )

    def _answer(self, attributes: Mapping[str, Any], span: ReadableSpan) -> Answer:
        """Return what a span with these attributes gets, and who counts it."""
        raise NotImplementedError

    def _started(self, span: Span) -> None:
        """Add what is known at the start, by the public way: only where nothing better will work later."""
        if not self._writes_early:
            self._watches_starts = False
        elif not SWAPS or type(span._attributes) is not BoundedAttributes:
            self._write_publicly(span)

    def switch(self, *, on: bool) -> None:
        """Switch the processor on or off: a provider offers no way to remove one."""
        self._wanted = self._keys if on else frozenset()

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return bool(self._wanted)

    @property
    def late_writes(self) -> str:
        """How it reaches a span whose model is known late, as far as it has seen: ``_on_ending`` or ``on_end``."""
        return "on_end" if not SWAPS or self._writes_early or self._ended_only else "_on_ending"

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Do what has to be done at a span's start; mostly nothing."""
        if self._watches_starts:
            try:
                self._started(span)
            except Exception as error:  # noqa: BLE001 - the application's spans go on without us
                self._failed(error)

    def _on_ending(self, span: Span) -> None:
        """Serve a span that is like an earlier one, in one function, for calls cost; others take the long way."""
        try:
            container: Any = span._attributes
            if type(container) is _BOUNDED and SWAPS:
                found = container._dict
                if self._wanted.isdisjoint(found):
                    if container._immutable:  # else another processor may still name a model
                        container._late_writer = self
                        return
                elif container._immutable or not span.is_recording():
                    plan = self._plans.get(tuple(found), _NO_PLAN)
                    read = plan.read
                    if read is not None:
                        answer = plan.answers.get(read(found), _NO_ANSWER)
                        ours = answer.additions
                        if ours is not None and answer.version is self._registry._version:
                            attributes = {**found, **ours.attributes}
                            limit, max_length = container.maxlen, container.max_value_len
                            if (limit is None or len(attributes) <= limit) and (
                                max_length is None or ours.longest <= max_length
                            ):
                                container._late_writer = ADDED  # before the dict: who reads that finds the mark
                                container._dict = attributes
                                if type(found) is dict:  # else it is counted
                                    next(answer.count)
                                return
        except Exception:  # noqa: BLE001, S110 - the long way says what is wrong
            pass
        self._ending_slowly(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Add the attributes where ``_on_ending`` was not called: older SDKs, and processors that wrap this one."""
        try:
            if SWAPS:
                container: Any = span._attributes
                mark = container._late_writer
                if mark is self or mark is ADDED:
                    return
        except Exception:  # noqa: BLE001, S110 - most often there is no mark
            pass
        self._ended_slowly(span)

    def _ending_slowly(self, span: Span) -> None:
        """Serve any span that is ending."""
        try:
            container: Any = span._attributes
            if type(container) is not _BOUNDED or not SWAPS:
                self._ending_unknown(span, container)
                return
            self._hears_endings = True
            found = container._dict  # before the mark, which is set before the dict
            if _has_additions(container):
                return
            lookers = _lookers(container)
            nothing = self._wanted.isdisjoint(found)
            container._late_writer = (*lookers, self if container._immutable or not nothing else NAMELESS)
            if nothing:
                return
            counted = COUNTED in lookers
            if not container._immutable and span.is_recording():  # as the specification says
                answer = self._write_publicly(span)
            else:
                answer = self._answer(found, span)
                if answer.additions is not None:
                    _write_late(span, container, found, answer.additions)
                elif answer.count is not UNCOUNTED:
                    container._dict = Counted(found)
            if not counted:
                _count(span, container, answer)
        except Exception as error:  # noqa: BLE001 - the application's spans go on without us
            self._failed(error)

    def _ended_slowly(self, span: ReadableSpan) -> None:
        """Serve a span that has ended and that this writer has not seen ending."""
        try:
            container: Any = span._attributes
            if container is None or self in _lookers(container):
                return
            found: Mapping[str, Any] = container
            if isinstance(container, BoundedAttributes):
                found = container._dict
            if self._wanted.isdisjoint(found) or _has_additions(container):
                return
            lookers = _lookers(container)
            # Where endings are told, a span without marks is one that was counted, and its attributes were replaced.
            replaced = self._hears_endings and not self._writes_early and NAMELESS not in lookers
            counted = replaced or COUNTED in lookers
            self._ended_only = self._ended_only or not counted
            answer = self._answer(found, span)
            if answer.additions is not None:
                _write_late(span, container, found, answer.additions)
            if not counted:
                _count(span, container, answer)
        except Exception as error:  # noqa: BLE001 - the application's spans go on without us
            self._failed(error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - nothing is waiting
        """Return ``True``: what this processor does is done when a span has ended."""
        return True

    def _ending_unknown(self, span: Span, container: object) -> None:
        """Serve a span whose attributes are kept in a way that this module does not know."""
        if not self._writes_early:
            self._writes_early = self._watches_starts = True
            kind = type(container)
            _lines.warn(kind, "models that a span names late may be missed: attributes are kept in %s", kind)
        if span.is_recording():
            self._write_publicly(span)

    def _write_publicly(self, span: Span) -> Answer:
        """Add attributes to a span that still records; forged keys that cannot be removed are emptied."""
        found = span.attributes or {}
        answer = _NO_ANSWER if self._wanted.isdisjoint(found) else self._answer(found, span)
        additions = answer.additions
        if additions is None:
            return answer
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
        return answer

    def _failed(self, error: Exception) -> None:
        kind = type(error)
        _lines.warn(kind, "span not enriched (further %s not logged)", kind.__name__, error=error)


def _write_late(span: ReadableSpan, container: Any, found: Mapping[str, Any], additions: Additions) -> None:
    """Add attributes to a span that has ended: one step, so that readers see them all or none."""
    ours = additions.attributes
    bounded = type(container) is BoundedAttributes
    limit, max_length = getattr(container, "maxlen", None), getattr(container, "max_value_len", None)
    fits = limit is None or len(found) + len(ours) <= limit
    if bounded and fits and not additions.forged and (max_length is None or additions.longest <= max_length):
        container._late_writer = ADDED  # before the dict: who reads that finds the mark
        container._dict = {**found, **ours}
        return
    attributes, dropped = _merged(found, additions, limit, max_length)
    dropped += getattr(container, "dropped", 0)
    if not bounded and not dropped:
        span._attributes = Enriched(attributes)
        return
    # Where keys go away, readers of the old container are to find them until they are done: hence another container.
    counting: Any = BoundedAttributes(limit, max_value_len=max_length)
    counting._dict = attributes if ours else Counted(attributes)
    counting.dropped, counting._late_writer = dropped, ADDED
    span._attributes = counting


def _count(span: Any, container: Any, answer: Answer) -> None:
    """Count a span that was found with this container, and mark it as counted, unless the mark of additions says so."""
    if answer.count is UNCOUNTED:
        return
    if span._attributes is container and not _has_additions(container):
        if isinstance(container, _BOUNDED):
            container._late_writer = (*_lookers(container), COUNTED)
        else:
            span._attributes = Enriched(container)
    next(answer.count)


def _merged(
    found: Mapping[str, Any], additions: Additions, limit: int | None, max_length: int | None
) -> tuple[dict[str, Any], int]:
    """Return a span's attributes with the additions, and how many of these its limits left no room for.

    Keys of the namespace that are there already are removed: what a span says of its model, the registry says. The
    application's own attributes are never pushed out.
    """
    attributes = {key: value for key, value in found.items() if not is_ours(key)}
    ours = list(additions.attributes.items())
    room = len(ours) if limit is None else max(0, limit - len(attributes))
    attributes.update((key, _cut(value, max_length)) for key, value in ours[:room])
    return attributes, max(0, len(ours) - room)


def _lookers(container: object) -> tuple[object, ...]:
    """Return the writers that looked at a span's attributes while it was ending and added nothing."""
    mark = getattr(container, "_late_writer", ())
    return mark if isinstance(mark, tuple) else (mark,)


def _has_additions(container: object) -> bool:
    """Tell whether a span's attributes are marked as having additions already."""
    return getattr(container, "_late_writer", None) is ADDED


def is_ours(key: object) -> bool:
    """Tell whether an attribute's key is in the namespace of the library."""
    return isinstance(key, str) and key.startswith(PREFIX)


def _cut(value: Any, max_length: int | None) -> Any:
    return tuple(item[:max_length] for item in value) if isinstance(value, tuple) else value[:max_length]
