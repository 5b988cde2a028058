"""Marks: the state of a span as this library's processors left it.

A mark is a Python attribute of the container of a span's attributes. It is not a span attribute, so applications cannot
forge it. It is gone if another processor replaces the container.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from spanforge.model_registry._core.process import ProcessState


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """The state of a span as this library's processors left it.

    Processors that run one after the other count a span once. Two that run at the same time, as under
    ``ConcurrentMultiSpanProcessor``, may both count it.

    Attributes:
        is_final: The change was written late, so no other processor changes or counts the span.
        is_counted: The span is counted.
        is_pending: The span named no model in ``_on_ending``, but a later processor may still set one.
        seen_by: Tokens of the processors that finished with the span in ``_on_ending`` without a late write.
    """

    is_final: bool = False
    is_counted: bool = False
    is_pending: bool = False
    seen_by: tuple[object, ...] = ()


UNMARKED: Final = Mark()
FINAL: Final = Mark(is_final=True)
PENDING: Final = Mark(is_pending=True)


class MarkReading(ProcessState):
    """Whether ``_on_ending`` must read the mark of every span; reading it costs a tenth of enrichment.

    It must once this process has two processors, or once a span was marked but got no attributes. Before that, a span
    without registry attributes has no mark.

    Attributes:
        is_required: Whether it must. It never becomes false again.
    """

    goes_on = True  # the processors do

    def __init__(self) -> None:
        self.reset()
        super().__init__()

    def reset(self) -> None:
        """Start again, as in a process without processors."""
        self.is_required = False


mark_reading: Final = MarkReading()


def read_mark(container: Any) -> Mark:
    """Return the mark of a span's container.

    Call it after reading the attributes, because writers set the mark first. In the other order, another processor's
    enrichment would look like the application's attributes.
    """
    mark: Mark = getattr(container, "_model_registry_mark", UNMARKED)
    return mark
