"""``ModelRegistrySampler``: head sampling that does not lose the registry's own operations."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from spanforge.model_registry._core.conventions import further, resolve_attributes
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.resolution import UNREGISTERED as UNREGISTERED_STATUS
from spanforge.model_registry._core.settings import ENABLED, MODEL_ATTRIBUTES, SAMPLE_GOVERNED, UNREGISTERED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import SamplingResult
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

    from spanforge.model_registry._core.conventions import Convention
    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry._core.resolution import Resolution

ARGUMENT: Final = "OTEL_TRACES_SAMPLER_ARG"
"""OpenTelemetry's variable for a sampler's argument: here, the share of root spans."""
_OPERATIONS: Final = frozenset(OPERATION_SPAN_NAMES.values())
_RULE: Final = "a number from 0 to 1"
_TIERS: Final = frozenset({"high", "critical"})
_STATUSES: Final = frozenset({"deprecated", "retired", UNREGISTERED_STATUS})

_lines: Final = WarnOnce(100)


@dataclass(frozen=True)
class ModelRegistrySampler(Sampler):
    """Decides when a span starts whether it is kept.

    The first row that fits a span decides:

    ============================================================ ==================== ========================
    span                                                         parent               decision
    ============================================================ ==================== ========================
    ``model_registry.register``, ``.deprecate`` or ``.retire``   any, or none         kept
    call of a governed model, with ``governed``                  any, or none         kept
    any other                                                    none                 kept, if the trace id is
                                                                                      in the share ``ratio``
    any other                                                    kept                 kept
    any other                                                    not kept             not kept
    ============================================================ ==================== ========================

    Governed is a model of risk tier ``high`` or ``critical``, one that is ``deprecated`` or ``retired``, and one that
    nobody registered (unless the setting ``unregistered`` is ``ignore``). A sampler sees the attributes with which a
    span starts: the calls of an instrumentation that names the model later are like any other span. A span that is kept
    though its parent is not has no parent in the backend.

    Roots are chosen as by OpenTelemetry's ``parentbased_traceidratio``, so services with the one and with the other
    choose the same traces.

    Args:
        ratio: The share of root spans that are kept, from 0 to 1.
        governed: Whether calls of governed models are kept wherever they are; ``None``: as the environment says.
        registry: The registry to ask; ``None``: the one that is process-wide when a span starts.

    Raises:
        InvalidValueError: The ratio is not a number from 0 to 1 (also a ``ValueError``).
    """

    ratio: float = 1.0
    governed: bool | None = None
    registry: ModelRegistry | None = None
    _usual: Sampler = field(init=False, repr=False, compare=False)
    _conventions: tuple[Convention, ...] = field(init=False, repr=False)
    _statuses: frozenset[str] = field(init=False, repr=False)
    _keys: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ratio = self.ratio
        if not isinstance(ratio, (int, float)) or isinstance(ratio, bool) or not 0 <= ratio <= 1:
            raise InvalidValueError.must_be("ratio", ratio, _RULE)
        governed = SAMPLE_GOVERNED.read() if self.governed is None else SAMPLE_GOVERNED.parse(self.governed, "governed")
        conventions = further(MODEL_ATTRIBUTES.read()) if governed else ()
        made: dict[str, Any] = {
            "ratio": float(ratio),
            "governed": governed,
            "_usual": ParentBased(TraceIdRatioBased(ratio)),
            "_conventions": conventions,
            "_statuses": _STATUSES - ({UNREGISTERED_STATUS} if UNREGISTERED.read() == "ignore" else set()),
            "_keys": frozenset(row.key for row in conventions),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def should_sample(  # noqa: PLR0913 - OpenTelemetry's signature
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the decision; see the table above."""
        kept = (isinstance(name, str) and name in _OPERATIONS) or (self._keys and self._is_governed(attributes))
        sampler = ALWAYS_ON if kept else self._usual
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Return the sampler as one line."""
        return f"ModelRegistrySampler{{ratio={self.ratio},governed={str(self.governed).lower()}}}"

    def _is_governed(self, attributes: Attributes) -> bool:
        try:
            if not attributes or self._keys.isdisjoint(attributes):
                return False
            registry = get_default_registry() if self.registry is None else self.registry
            found = resolve_attributes(registry._index, attributes, None, self._conventions)  # noqa: SLF001
            return found is not None and found.is_call and self._matters(found.resolution)
        except Exception as error:  # noqa: BLE001 - the span is sampled as others are
            text = "sampling without the model registry (further %s not logged): %r"
            _lines.warn(type(error), text, type(error).__name__, error)
            return False

    def _matters(self, resolution: Resolution) -> bool:
        entry = resolution.entry
        return resolution.status in self._statuses or (entry is not None and entry.risk_tier in _TIERS)


def from_environment(argument: str | None = None) -> ModelRegistrySampler:
    """Return the sampler that OpenTelemetry's environment variables describe.

    Declarative configuration passes a sampler no options: the variables count there as well. A ratio that is not
    allowed is logged, and 1 used. Where the plugin is kept out by ``enabled``, no model is known, and none governed.

    Args:
        argument: The value of ``OTEL_TRACES_SAMPLER_ARG``, if the caller knows it.
    """
    given = (os.environ.get(ARGUMENT, "") if argument is None else argument).strip()
    try:
        ratio = float(given or "1")
    except ValueError:
        ratio = math.nan
    if not 0 <= ratio <= 1:
        error = InvalidValueError.must_be(ARGUMENT, given, _RULE)
        _lines.warn(str(error), "model registry: %s; using the default, 1", error)
        ratio = 1.0
    return ModelRegistrySampler(ratio, governed=None if ENABLED.read() else False)
