"""Span access: the one module that touches private parts of the SDK's spans.

OpenTelemetry's specification lets a processor change a span while it is ending (``OnEnding``). The Python SDK calls
the hook ``_on_ending`` from 1.40 on, but refuses ``set_attribute`` there, because the end time is set before; from 1.43
on it also freezes the attributes. So ``write_late`` replaces, in one step, the dict inside the span's attribute
container by a merged copy. Readers in other threads see one or the other. Every processor shares the container, so an
exporter that comes earlier in the chain sees the result too.

Known to work with opentelemetry-sdk 1.40 to 1.45. ``SWAPPABLE`` is the container that this SDK lets us do it with. If
``_on_ending`` is not called (1.38, 1.39, logfire's wrapper), the same is done in ``on_end``, which serves the
processors that come after.

What processors did with a span is one ``Mark`` on its container. It is an attribute of the container, not of the span:
no key that an application sets can forge it, and it goes away if somebody replaces the container.
"""

# ruff: noqa: SLF001

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import SpanProcessor

from spanforge.model_registry._core.attributes import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan, Span

    Hook = Any
    """A method ``_on_ending`` or ``on_end``."""
    Process = Callable[..., None]
    """Called with the processor, the span, its container, its attributes, whether they are frozen, and their mark."""


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """What processors of this library did with a span.

    Attributes:
        enriched: One of them wrote what the registry knows: the others leave the span alone.
        counted: One of them counted the span.
        seen_by: Tokens of the processors that looked at the span while it was ending and wrote nothing.
        named: Whether the span named a model when it was last looked at; ``False`` if it may still come to name one.
    """

    enriched: bool = False
    counted: bool = False
    seen_by: tuple[object, ...] = ()
    named: bool = True


@dataclass(slots=True)
class SpanChange:
    """What a span gets.

    Attributes:
        attributes: Keys and values to add, the most important first; may be empty.
        has_foreign_keys: Whether somebody else set keys of the namespace, which are to be removed.
    """

    attributes: dict[str, Any]
    has_foreign_keys: bool
    _longest: int = -1

    @property
    def longest(self) -> int:
        """The length of the longest text among the values: few spans have a limit on it, so it is not known before."""
        if self._longest < 0:
            self._longest = max(map(_length, self.attributes.values()), default=0)
        return self._longest


_MARK: Final = "_model_registry_mark"
UNMARKED: Final = Mark()
ENRICHED: Final = Mark(enriched=True, counted=True)


def _swappable() -> type | None:
    try:
        probe: Any = BoundedAttributes(attributes={"before": 1})
        probe._dict, probe._model_registry_mark = {**probe._dict}, ENRICHED
        is_known = dict(probe) == {"before": 1} and probe._immutable and hasattr(SpanProcessor, "_on_ending")
    except Exception:  # noqa: BLE001 - an SDK that this module does not know
        return None
    return BoundedAttributes if is_known else None


SWAPPABLE: Final[Any] = _swappable()
"""The SDK's container, if its dict can be replaced and processors hear of ending spans; else ``None``."""


def on_ending_hook(process: Process) -> Hook:
    """Return a method ``_on_ending`` that calls ``process`` for spans that name a model.

    Every span comes here and to ``on_end``. So the spans that name no model, or are finished, leave without another
    call: one call costs a fifth of what enrichment costs. The two methods share no code, because the interpreter adapts
    code to the types that it meets, and they meet different ones.
    """

    def on_ending(processor: Any, span: Any) -> None:
        try:
            container: Any = span._attributes
        except AttributeError:
            container = None
        if type(container) is not SWAPPABLE:
            process(processor, span, container, None, False, UNMARKED, False)
            return
        attributes = container._dict  # before the mark: ``write_late`` sets the mark before the attributes
        mark, is_frozen = getattr(container, _MARK, UNMARKED), container._immutable
        if not processor.keys.isdisjoint(attributes):
            process(processor, span, container, attributes, is_frozen, mark, False)
        elif mark is UNMARKED and is_frozen:
            container._model_registry_mark = processor.nameless_mark
        else:
            container._model_registry_mark = _nameless(mark, processor.nameless_mark, is_frozen=is_frozen)

    return on_ending


def on_end_hook(process: Process) -> Hook:
    """Return a method ``on_end`` that calls ``process`` for spans that ``_on_ending`` did not finish."""

    def on_end(processor: Any, span: Any) -> None:
        try:
            mark = span._attributes._model_registry_mark
            if mark is ENRICHED or mark is processor.nameless_mark:
                return
        except AttributeError:  # no mark
            pass
        container = getattr(span, "_attributes", None)
        attributes = contents_of(container)  # before the mark, as above
        process(processor, span, container, attributes, True, getattr(container, _MARK, UNMARKED), True)

    return on_end


def _nameless(mark: Mark, nameless_mark: Mark, *, is_frozen: bool) -> Mark:
    """Return the mark of a span that names no model; unless it is frozen, another processor may still name one."""
    if is_frozen:
        return replace(mark, seen_by=mark.seen_by + nameless_mark.seen_by)
    return replace(mark, named=False)


def hears_endings() -> bool:
    """Check whether this SDK calls ``_on_ending``, and has a container whose dict can be replaced."""
    return SWAPPABLE is not None


def is_swappable(span: Any) -> bool:
    """Check whether the dict in a span's container can be replaced."""
    return SWAPPABLE is not None and type(getattr(span, "_attributes", None)) is SWAPPABLE


def contents_of(container: Any) -> Mapping[str, Any]:
    """Return the attributes in any container; empty if there is none."""
    if container is None:
        return {}
    contents: Mapping[str, Any] = container._dict if isinstance(container, BoundedAttributes) else container
    return contents


def put_mark(span: ReadableSpan, container: Any, mark: Mark) -> None:
    """Mark a span's container; a mapping that is not the SDK's gives way to one that can bear the mark."""
    if isinstance(container, BoundedAttributes):
        container._model_registry_mark = mark  # type: ignore[attr-defined]
    else:
        _replace_container(span, dict(container), None, None, 0, mark)


def write_late(span: ReadableSpan, container: Any, attributes: Mapping[str, Any], change: SpanChange) -> None:
    """Change a span that has ended: in one step, so that readers see the whole change or none of it.

    Args:
        span: The span.
        container: Its container, from which ``attributes`` were read.
        attributes: What the span has.
        change: What it gets.
    """
    if type(container) is BoundedAttributes and not change.has_foreign_keys:
        merged = {**attributes, **change.attributes}
        limit, max_length = container.maxlen, container.max_value_len
        if (limit is None or len(merged) <= limit) and (max_length is None or change.longest <= max_length):
            container._model_registry_mark = ENRICHED  # type: ignore[attr-defined] # before the dict, see ``_process``
            container._dict = merged
            return
    limit, max_length = getattr(container, "maxlen", None), getattr(container, "max_value_len", None)
    merged, dropped = _merge(attributes, change.attributes, limit, max_length)
    dropped += getattr(container, "dropped", 0)
    # Keys go away: readers of the old container must still find them until they are done. Hence another container.
    _replace_container(span, merged, limit, max_length, dropped, ENRICHED)


def write_publicly(span: Span, change: SpanChange) -> None:
    """Change a span that still records; foreign keys that cannot be removed are emptied."""
    added = change.attributes
    attributes = span.attributes or {}
    container: Any = getattr(span, "_attributes", None)
    foreign = [key for key in attributes if is_ours(key)]
    if type(container) is BoundedAttributes:
        for key in foreign:
            del container[key]
        foreign = []
    limit = getattr(container, "maxlen", None)
    room = len(added) if limit is None else max(0, limit - len(container))
    span.set_attributes(dict.fromkeys(foreign, "") | dict(list(added.items())[:room]))


def is_ours(key: object) -> bool:
    """Check whether an attribute's key is in the library's namespace."""
    return isinstance(key, str) and key.startswith(PREFIX)


def _replace_container(  # noqa: PLR0913 - the container's fields
    span: ReadableSpan,
    attributes: dict[str, Any],
    limit: int | None,
    max_length: int | None,
    dropped: int,
    mark: Mark,
) -> None:
    container: Any = BoundedAttributes(limit, immutable=False, max_value_len=max_length)
    container._dict, container.dropped = attributes, dropped
    container._model_registry_mark = mark
    span._attributes = container


def _merge(
    attributes: Mapping[str, Any], added: dict[str, Any], limit: int | None, max_length: int | None
) -> tuple[dict[str, Any], int]:
    """Return a span's attributes with those added, and the number of those that its limit left no room for.

    Keys of the namespace that are there already go away: what a span says of its model comes from the registry. The
    application's own attributes are never pushed out.
    """
    merged = {key: value for key, value in attributes.items() if not is_ours(key)}
    room = len(added) if limit is None else max(0, limit - len(merged))
    merged.update((key, _cut(value, max_length)) for key, value in list(added.items())[:room])
    return merged, max(0, len(added) - room)


def _length(value: str | tuple[str, ...]) -> int:
    return len(value) if isinstance(value, str) else max(map(len, value))


def _cut(value: Any, max_length: int | None) -> Any:
    return tuple(item[:max_length] for item in value) if isinstance(value, tuple) else value[:max_length]
