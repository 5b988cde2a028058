"""Attribute keys, markers, containers, span processors and log handlers that tests of spans share."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMPARED = ("provider_sunset_date", "requested_model_id", "response_registered")
"""The registry's attributes of spans whose models differ, or whose model's provider stops serving it soon."""
REQUEST, RESPONSE = "gen_ai.request.model", "gen_ai.response.model"
PROVIDER, OPERATION, KIND = "gen_ai.provider.name", "gen_ai.operation.name", "openinference.span.kind"
PARAMETERS = "llm.invocation_parameters"
"""A key of JSON that may hold a model name."""

HAS_ENDING_HOOK = hasattr(SpanProcessor, "_on_ending")
needs_ending_hook = pytest.mark.skipif(
    not HAS_ENDING_HOOK, reason="opentelemetry-sdk before 1.40 does not call processors for an ending span"
)


def get_container(span: Any) -> Any:
    """Return the SDK's private container of a span's attributes."""
    return span._attributes


def put_attributes(
    span: Any, attributes: Mapping[str, Any], limit: int | None = None, max_length: int | None = None
) -> None:
    """Give a span a container with limits, and attributes that the SDK would cut or refuse."""
    span._attributes = BoundedAttributes(limit, None, immutable=False, max_value_len=max_length)
    span._attributes._dict = dict(attributes)


class StartsAndEnds(SpanProcessor):
    """Forwards starts and ends to other processors, but not ``_on_ending``, as vendors' wrappers do."""

    def __init__(self, *wrapped: SpanProcessor) -> None:
        self.wrapped = wrapped

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        for each in self.wrapped:
            each.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        for each in self.wrapped:
            each.on_end(span)


class Redacting(SpanProcessor):
    """Replaces the attributes of ended spans, without secrets and registry attributes, as vendors' processors do."""

    def __init__(self, make: Callable[[dict[str, Any]], Any]) -> None:
        self.make = make

    def on_end(self, span: ReadableSpan) -> None:
        kept = {key: value for key, value in (span.attributes or {}).items() if not key.startswith(("secret", "model"))}
        span._attributes = self.make(kept)


every_mapping = pytest.mark.parametrize(
    "make", [dict, MappingProxyType, lambda kept: BoundedAttributes(attributes=kept)], ids=["dict", "proxy", "SDK"]
)
"""Containers of attributes that another processor may put on a span."""


class VendorAttributes(BoundedAttributes):
    """A container of attributes that the library does not know."""


class VendorContainer(SpanProcessor):
    """Gives every span a container that the library does not know."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        held = get_container(span)
        span._attributes = VendorAttributes(held.maxlen, dict(held), immutable=False, max_value_len=held.max_value_len)


class FullDisk(logging.Handler):
    """A log handler that raises an error for each line, and counts the lines."""

    lines = 0

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        self.lines += 1
        msg = "no space left on device"
        raise OSError(msg)
