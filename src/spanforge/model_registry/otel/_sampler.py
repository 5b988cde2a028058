"""``ModelRegistrySampler``: head sampling that keeps the registry's own operations."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from spanforge.model_registry._core.conventions import resolve_attributes, with_extra_keys
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.settings import (
    ENABLED,
    MODEL_ATTRIBUTES,
    SAMPLE_FLAGGED,
    UNREGISTERED_POLICY,
)

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
_KEPT_NAMES: Final = frozenset(OPERATION_SPAN_NAMES.values())
_RATIO_RULE: Final = "a number from 0 to 1"

_warnings: Final = WarnOnce(100)


@dataclass(frozen=True)
class ModelRegistrySampler(Sampler):
    """Decides when a span starts whether it is kept.

    The first row that fits a span decides:

    ============================================================ ==================== ========================
    span                                                         parent               decision
    ============================================================ ==================== ========================
    an operation's own, such as ``model_registry.register``      any, or none         kept
    call of a flagged model, with ``flagged``                    any, or none         kept
    any other                                                    none                 kept, if the trace id is
                                                                                      in the share ``ratio``
    any other                                                    kept                 kept
    any other                                                    not kept             not kept
    ============================================================ ==================== ========================

    A model is flagged if its risk tier is flagged, such as ``critical``, if its status is flagged, such as ``retired``,
    or if it is not registered (unless the setting ``unregistered`` is ``ignore``). ``lifecycle`` has the tables.

    A sampler sees only the attributes with which a span starts. If an instrumentation sets the model later, its calls
    are like any other span. A kept span whose parent is not kept has no parent in the backend.

    Roots are chosen as by OpenTelemetry's ``parentbased_traceidratio``, so services with either sampler choose the same
    traces.

    Args:
        ratio: The share of root spans that are kept, from 0 to 1.
        flagged: Whether all calls of flagged models are kept; ``None``: the environment decides.
        registry: The registry to ask; ``None``: the process-wide one at the time when a span starts.

    Raises:
        InvalidValueError: The ratio is not a number from 0 to 1 (also a ``ValueError``).
    """

    ratio: float = 1.0
    flagged: bool | None = None
    registry: ModelRegistry | None = None
    _fallback: Sampler = field(init=False, repr=False, compare=False)
    _conventions: tuple[Convention, ...] = field(init=False, repr=False)
    _flagged_statuses: frozenset[str] = field(init=False, repr=False)
    _keys: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ratio = self.ratio
        if not isinstance(ratio, (int, float)) or isinstance(ratio, bool) or not 0 <= ratio <= 1:
            raise InvalidValueError.must_be("ratio", ratio, _RATIO_RULE)
        flagged = SAMPLE_FLAGGED.read() if self.flagged is None else SAMPLE_FLAGGED.parse(self.flagged, "flagged")
        conventions = with_extra_keys(MODEL_ATTRIBUTES.read()) if flagged else ()
        unregistered = frozenset({UNREGISTERED} if UNREGISTERED_POLICY.read() == "warn" else ())
        values: dict[str, Any] = {
            "ratio": float(ratio),
            "flagged": flagged,
            "_fallback": ParentBased(TraceIdRatioBased(ratio)),
            "_conventions": conventions,
            "_flagged_statuses": FLAGGED_STATUSES | unregistered,
            "_keys": frozenset(row.key for row in conventions),
        }
        for name, value in values.items():
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
        kept = (isinstance(name, str) and name in _KEPT_NAMES) or (self._keys and self._calls_flagged_model(attributes))
        sampler = ALWAYS_ON if kept else self._fallback
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Return the sampler as one line."""
        return f"ModelRegistrySampler{{ratio={self.ratio},flagged={str(self.flagged).lower()}}}"

    def _calls_flagged_model(self, attributes: Attributes) -> bool:
        try:
            if not attributes or self._keys.isdisjoint(attributes):
                return False
            registry = get_default_registry() if self.registry is None else self.registry
            match = resolve_attributes(registry._state.index, attributes, None, self._conventions)  # noqa: SLF001
            return match is not None and match.is_call and self._is_flagged(match.resolution)
        except Exception as error:  # noqa: BLE001 - the span is sampled as others are
            text = "model registry: spans are sampled without it (further %s not logged): %r"
            _warnings.warn(type(error), text, type(error).__name__, error)
            return False

    def _is_flagged(self, resolution: Resolution) -> bool:
        entry = resolution.entry
        return resolution.status in self._flagged_statuses or (entry is not None and entry.risk_tier in FLAGGED_TIERS)


def from_environment(argument: str | None = None) -> ModelRegistrySampler:
    """Return the sampler that OpenTelemetry's environment variables describe.

    Declarative configuration passes no options to a sampler, so the variables count there as well. A ratio that is not
    allowed is logged, and 1 is used. If the setting ``enabled`` keeps the plugin out, no call is flagged.

    Args:
        argument: The value of ``OTEL_TRACES_SAMPLER_ARG``, if the caller knows it.
    """
    text = (os.environ.get(ARGUMENT, "") if argument is None else argument).strip()
    try:
        ratio = float(text or "1")
    except ValueError:
        ratio = math.nan
    if not 0 <= ratio <= 1:
        error = InvalidValueError.must_be(ARGUMENT, text, _RATIO_RULE)
        _warnings.warn(str(error), "model registry: %s; using the default, 1", error)
        ratio = 1.0
    return ModelRegistrySampler(ratio, flagged=None if ENABLED.read() else False)
