"""Span access: the one module that touches private parts of the SDK's spans.

OpenTelemetry's specification lets a processor change a span while it is ending (``OnEnding``). The Python SDK calls
the hook ``_on_ending`` from 1.40 on, but refuses ``set_attribute`` there, because the span already has its end time.
From 1.43 on it also freezes the attributes. ``write_late`` therefore assigns a merged copy to the container's
``_dict``, in one step: readers in other threads see the dict before or the dict after. All processors share the
container, so an exporter that comes earlier in the chain sees the result too.

Known to work with opentelemetry-sdk 1.40 to 1.45. If the SDK or a wrapper does not call ``_on_ending`` (1.38, 1.39,
logfire), ``on_end`` does the same, and only later processors see the result.

A span's mark is a Python attribute of the container: see ``_marks``.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import SpanProcessor

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry.otel._marks import FINAL, PENDING, UNMARKED, Mark, mark_reading, read_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan, Span


class SpanChange(msgspec.Struct, eq=False):
    """A change to a span.

    Attributes:
        attributes: The attributes to add, the most important first; may be empty.
        removes_registry_keys: Whether to remove the ``model_registry.*`` attributes that the span already has.
    """

    attributes: dict[str, Any]
    removes_registry_keys: bool
    _longest: int = -1

    @property
    def longest(self) -> int:
        """The length of the longest text among the values. Few spans need it, so it is computed on first use."""
        if self._longest < 0:
            self._longest = max(map(_measure_length, self.attributes.values()), default=0)
        return self._longest


class HookedProcessor(Protocol):
    """The part of a processor that the hooks use.

    Attributes:
        _active_keys: A span that has none of these attribute keys names no model.
        _common_key: The most frequent of them; ``None`` if the processor is switched off.
        _no_model_mark: The mark of frozen spans that name no model.
    """

    _active_keys: frozenset[str]
    _common_key: str | None
    _no_model_mark: Mark

    def _enrich_from_start(self, span: Span, container: object) -> None:
        """Switch to enrichment at the start, because the span's container is unknown."""

    def _log_failure(self, error: Exception) -> None:
        """Log an error of a hook, or raise it again if a signal handler of the application raised it."""


class HandleSpan(Protocol):
    """The method of a processor that decides about a span and counts it; see ``ModelRegistrySpanProcessor``.

    It returns the change for the hook to write. If it returns ``None``, nothing is left to write.
    """

    def __call__(  # noqa: PLR0913 - positional arguments, because the hot path calls it
        self,
        processor: Any,
        span: Any,
        container: Any,
        attributes: Mapping[str, Any],
        mark: Mark,
        refuses_writes: bool,  # noqa: FBT001
        has_ended: bool,  # noqa: FBT001
        /,
    ) -> SpanChange | None: ...


def _find_swappable_container() -> type | None:
    try:
        probe: Any = BoundedAttributes(attributes={"before": 1})
        probe._dict = {**probe._dict}
        probe._model_registry_mark = FINAL
        keeps_attributes = dict(probe) == {"before": 1}
        is_frozen = probe._immutable
    except Exception:  # noqa: BLE001 - an SDK that this module does not know
        return None
    return BoundedAttributes if keeps_attributes and is_frozen and hasattr(SpanProcessor, "_on_ending") else None


SWAPPABLE_CONTAINER: Final[Any] = _find_swappable_container()
"""The SDK's container class, if its dict can be replaced and the SDK calls ``_on_ending``; else ``None``."""


def make_on_ending(handle_span: HandleSpan) -> Callable[[Any, Any], None]:
    """Return the method ``_on_ending`` of a processor, which calls ``handle_span`` for spans that name a model.

    Every span of the application comes here and to ``on_end``. So these two functions read the private attributes
    themselves: a further call would cost a tenth of what enrichment costs. They share no code, because CPython
    specializes bytecode per function, and the two see spans of different classes.
    """

    def on_ending(processor: HookedProcessor, span: Any) -> None:
        try:
            container: Any = span._attributes
            if type(container) is not SWAPPABLE_CONTAINER:
                processor._enrich_from_start(span, container)
                return
            attributes = container._dict
            # One lookup finds most LLM spans. Testing all keys costs a seventh of enrichment.
            if processor._common_key not in attributes and processor._active_keys.isdisjoint(attributes):
                if mark_reading.is_required or not container._immutable:
                    container._model_registry_mark = _mark_without_model(container, processor)
                else:
                    container._model_registry_mark = processor._no_model_mark
                return
            is_frozen = container._immutable
            mark = read_mark(container) if mark_reading.is_required or not is_frozen else UNMARKED
            refuses_writes = is_frozen or not span.is_recording()
            change = handle_span(processor, span, container, attributes, mark, refuses_writes, False)
            if change is None:
                return
            merged = {**attributes, **change.attributes}
            limit, max_length = container.maxlen, container.max_value_len
            if (
                change.removes_registry_keys
                or (limit is not None and len(merged) > limit)
                or (max_length is not None and change.longest > max_length)
            ):
                write_late(span, container, attributes, change)
                return
            # Set the mark before the dict: other threads read the dict first, then the mark.
            container._model_registry_mark = FINAL
            container._dict = merged
        except Exception as error:  # noqa: BLE001 - enrichment must not break the application
            try:
                processor._log_failure(error)
            except RecursionError as further:
                if further is error:  # a signal handler raised it; an empty processor would not notice another one
                    raise

    return on_ending


def make_on_end(handle_span: HandleSpan) -> Callable[[Any, Any], None]:
    """Return the method ``on_end`` of a processor, which calls ``handle_span`` for spans left by ``_on_ending``."""

    def on_end(processor: HookedProcessor, span: Any) -> None:
        """Enrich a span that ``_on_ending`` did not reach."""
        try:
            try:
                mark = span._attributes._model_registry_mark
                if mark is FINAL or mark is processor._no_model_mark:
                    return
            except AttributeError as error:
                pass_interruption(error)
            container = getattr(span, "_attributes", None)
            attributes = get_contents(container)
            if processor._active_keys.isdisjoint(attributes):
                return
            change = handle_span(processor, span, container, attributes, read_mark(container), True, True)
            if change is not None:
                write_late(span, container, attributes, change)
        except Exception as error:  # noqa: BLE001 - enrichment must not break the application
            try:
                processor._log_failure(error)
            except RecursionError as further:
                if further is error:  # a signal handler raised it; an empty processor would not notice another one
                    raise

    return on_end


def _mark_without_model(container: Any, processor: HookedProcessor) -> Mark:
    """Return the mark of a span that names no model; if it is not frozen, a later processor may still set one."""
    mark = read_mark(container)
    if not container._immutable:
        return PENDING if mark is UNMARKED else replace(mark, is_pending=True)
    if mark is UNMARKED:
        return processor._no_model_mark
    return replace(mark, seen_by=mark.seen_by + processor._no_model_mark.seen_by)


def supports_on_ending() -> bool:
    """Check whether this SDK calls ``_on_ending``, and has a container whose dict can be replaced."""
    return SWAPPABLE_CONTAINER is not None


def is_swappable(span: Any) -> bool:
    """Check whether the dict in a span's container can be replaced."""
    return SWAPPABLE_CONTAINER is not None and type(getattr(span, "_attributes", None)) is SWAPPABLE_CONTAINER


def read_scope_name(span: ReadableSpan) -> str | None:
    """Return the name of a span's instrumentation scope; ``None`` if it has none."""
    scope = span.instrumentation_scope
    return None if scope is None else scope.name


def get_contents(container: Any) -> Mapping[str, Any]:
    """Return the attributes in any container; empty if there is none."""
    if container is None:
        return {}
    contents: Mapping[str, Any] = container._dict if isinstance(container, BoundedAttributes) else container
    return contents


def put_mark(span: ReadableSpan, container: Any, mark: Mark) -> None:
    """Mark a span's container; a mapping that takes no Python attributes is replaced by the SDK's container."""
    mark_reading.is_required = True
    if isinstance(container, BoundedAttributes):
        container._model_registry_mark = mark  # type: ignore[attr-defined]
    else:
        _replace_container(span, dict(container), limit=None, max_length=None, dropped=0, mark=mark)


def write_late(span: ReadableSpan, container: Any, attributes: Mapping[str, Any], change: SpanChange) -> None:
    """Change a span that refuses ``set_attribute``. Readers see the old attributes or the new ones.

    Args:
        span: The span.
        container: Its container.
        attributes: The attributes, as read from the container.
        change: The change.
    """
    limit, max_length = getattr(container, "maxlen", None), getattr(container, "max_value_len", None)
    merged, dropped = _merge(attributes, change.attributes, limit, max_length)
    if type(container) is BoundedAttributes and not dropped and not change.removes_registry_keys:
        container._model_registry_mark = FINAL  # type: ignore[attr-defined] # before the dict, as in ``on_ending``
        container._dict = merged
        return
    # A reader that iterates looks each key up afterwards. A key that is gone by then would raise KeyError in the
    # application's exporter, so the old container stays as it is, and the span gets a new one.
    dropped += getattr(container, "dropped", 0)
    _replace_container(span, merged, limit=limit, max_length=max_length, dropped=dropped, mark=FINAL)


def write_while_recording(span: Span, change: SpanChange) -> None:
    """Change a span that still records.

    Registry attributes that it already has are removed, or emptied if the container allows no removal.
    """
    container: Any = getattr(span, "_attributes", None)
    present = [key for key in span.attributes or {} if is_in_namespace(key)]
    emptied: dict[str, Any] = {}
    if type(container) is BoundedAttributes:
        for key in present:
            del container[key]
    else:
        emptied = dict.fromkeys(present, "")
    limit = getattr(container, "maxlen", None)
    room = len(change.attributes) if limit is None else max(0, limit - len(container))
    added = dict(islice(change.attributes.items(), room))
    span.set_attributes(emptied | added)


def is_in_namespace(key: object) -> bool:
    """Check whether an attribute key is one of ``model_registry.*``."""
    return isinstance(key, str) and key.startswith(PREFIX)


def _replace_container(  # noqa: PLR0913 - the container's fields
    span: ReadableSpan,
    attributes: dict[str, Any],
    *,
    limit: int | None,
    max_length: int | None,
    dropped: int,
    mark: Mark,
) -> None:
    mark_reading.is_required = True
    # It need not be frozen: the span has ended or is ending, so it refuses ``set_attribute`` anyway.
    container: Any = BoundedAttributes(limit, immutable=False, max_value_len=max_length)
    container._dict, container.dropped = attributes, dropped
    container._model_registry_mark = mark
    span._attributes = container


def _merge(
    attributes: Mapping[str, Any], added: Mapping[str, Any], limit: int | None, max_length: int | None
) -> tuple[dict[str, Any], int]:
    """Return the merged attributes, and the number of attributes that the limit dropped.

    Only the registry sets ``model_registry.*`` attributes, so those that are present are removed. The application's
    own attributes are never dropped.
    """
    merged = {key: value for key, value in attributes.items() if not is_in_namespace(key)}
    room = len(added) if limit is None else max(0, limit - len(merged))
    merged.update((key, _truncate(value, max_length)) for key, value in islice(added.items(), room))
    return merged, max(0, len(added) - room)


def _measure_length(value: str | tuple[str, ...] | bool) -> int:  # noqa: FBT001 - a value of an attribute
    if isinstance(value, bool):
        return 0
    return len(value) if isinstance(value, str) else max(map(len, value))


def _truncate(value: Any, max_length: int | None) -> Any:
    if isinstance(value, bool):
        return value
    return tuple(item[:max_length] for item in value) if isinstance(value, tuple) else value[:max_length]
