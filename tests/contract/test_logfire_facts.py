"""What the library takes for granted about logfire, which wraps span processors; a failure means that it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import logfire
import pytest
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import SpanProcessor
from support.spans import get_container

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watching(SpanProcessor):
    """Notes which hooks are called, and with what."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.started: list[Any] = []
        self.ended: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        self.calls.append("on_start")
        self.started.append(span)

    def _on_ending(self, span: Any) -> None:  # noqa: ARG002
        self.calls.append("_on_ending")

    def on_end(self, span: Any) -> None:
        self.calls.append("on_end")
        self.ended.append(span)


@pytest.fixture
def watched() -> Iterator[tuple[Watching, Watching]]:
    """Give two processors that have seen one span of logfire."""
    both = Watching(), Watching()
    configured = logfire.configure(
        local=True,
        send_to_logfire=False,
        console=False,
        metrics=False,
        inspect_arguments=False,
        additional_span_processors=both,
    )
    with configured.span("call", a=1):
        pass
    yield both
    configured.shutdown(flush=False)


def test_nobody_is_told_of_ending_spans(watched: tuple[Watching, Watching]) -> None:
    """Processors behind logfire's wrapper get ``on_start`` and ``on_end``, and never ``_on_ending``."""
    for each in watched:
        assert each.calls == ["on_start", "on_end"]


def test_ended_spans_are_new_ones(watched: tuple[Watching, Watching]) -> None:
    """What comes to ``on_end`` is made anew: one for all processors, with attributes in a mapping of logfire's."""
    first, second = watched
    assert first.ended[0] is second.ended[0]
    held = get_container(first.ended[0])
    assert not isinstance(held, BoundedAttributes)
    assert held is not get_container(first.started[0])
    assert held["a"] == 1


def test_started_spans_have_the_sdks_container(watched: tuple[Watching, Watching]) -> None:
    """What comes to ``on_start`` is the SDK's own span."""
    assert type(get_container(watched[0].started[0])) is BoundedAttributes
