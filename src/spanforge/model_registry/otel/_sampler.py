"""``ModelRegistrySampler``: head sampling that keeps lifecycle operations and calls of flagged models."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from spanforge.model_registry._core.conventions import with_extra_keys
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES
from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.settings import (
    ENABLED,
    MATCH,
    MODEL_ATTRIBUTES,
    SAMPLE_FLAGGED,
    UNREGISTERED_POLICY,
)
from spanforge.model_registry._core.span_models import resolve_attributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import SamplingResult
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

    from spanforge.model_registry._core.conventions import Convention
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry._core.span_models import ModelMatch

RATIO_VARIABLE: Final = "OTEL_TRACES_SAMPLER_ARG"
"""OpenTelemetry's environment variable for the sampler's argument: the ratio of root spans that are kept."""
_KEPT_SPAN_NAMES: Final = frozenset(OPERATION_SPAN_NAMES.values())
"""Names of the root spans of lifecycle operations."""
_RATIO_RULE: Final = "a number from 0 to 1"

_warnings: Final = WarnOnce(100)


@dataclass(frozen=True)
class ModelRegistrySampler(Sampler):
    """Decides at the start of a span whether the span is kept.

    The first row that matches the span decides:

    ============================================================ ==================== ========================
    span                                                         parent               decision
    ============================================================ ==================== ========================
    root span of an operation, as ``model_registry.register``    any, or none         kept
    call of a flagged model, if ``flagged`` is true              any, or none         kept
    any other                                                    none                 kept, if the trace id is
                                                                                      within ``ratio``
    any other                                                    kept                 kept
    any other                                                    not kept             not kept
    ============================================================ ==================== ========================

    A model is flagged if its risk tier is in ``FLAGGED_TIERS`` or its status in ``FLAGGED_STATUSES``. An unregistered
    model is flagged too, unless the setting ``unregistered`` is ``ignore``. So is a call that an unregistered model
    answered.

    A sampler sees only the attributes that a span has at its start. If an instrumentation sets the model later, its
    calls are sampled like any other span. A kept span whose parent is not kept has no parent in the backend.

    Root spans are sampled as by OpenTelemetry's ``parentbased_traceidratio``, so services with either sampler keep the
    same traces.

    Args:
        ratio: The ratio of root spans that are kept, from 0 to 1.
        flagged: Whether all calls of flagged models are kept; ``None``: the setting ``sample_flagged`` decides.
        registry: The registry of the models; ``None``: the process-wide one, looked up per span.

    Raises:
        InvalidValueError: The ratio is not a number from 0 to 1 (also a ``ValueError``).
    """

    ratio: float = 1.0
    flagged: bool | None = None
    registry: ModelRegistry | None = None
    _fallback: Sampler = field(init=False, repr=False, compare=False)
    _conventions: tuple[Convention, ...] = field(init=False, repr=False)
    _flagged_statuses: frozenset[str] = field(init=False, repr=False)
    _mode: MatchMode = field(init=False, repr=False)
    _keys: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ratio = self.ratio
        if not _is_ratio(ratio):
            raise InvalidValueError.must_be("ratio", ratio, _RATIO_RULE)
        flagged = _read_flagged(self.flagged)
        conventions = with_extra_keys(MODEL_ATTRIBUTES.read()) if flagged else ()
        values: dict[str, Any] = {
            "ratio": float(ratio),
            "flagged": flagged,
            "_fallback": ParentBased(TraceIdRatioBased(ratio)),
            "_conventions": conventions,
            "_flagged_statuses": _read_flagged_statuses(),
            "_mode": MATCH.read(),
            "_keys": frozenset(convention.key for convention in conventions),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)  # frozen dataclass

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
        """Return the decision whether the span is kept."""
        sampler = self._fallback
        if _is_lifecycle_operation(name) or (self.flagged and self._calls_flagged_model(attributes)):
            sampler = ALWAYS_ON
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Return a description of the sampler and its arguments, on one line."""
        return f"ModelRegistrySampler{{ratio={self.ratio},flagged={str(self.flagged).lower()}}}"

    def _calls_flagged_model(self, attributes: Attributes) -> bool:
        try:
            if not attributes or self._keys.isdisjoint(attributes):
                return False
            registry = get_default_registry() if self.registry is None else self.registry
            index = registry._state.index  # noqa: SLF001 - same package
            match = resolve_attributes(index, attributes, None, self._conventions, self._mode)
            return match is not None and match.kind == "call" and self._is_flagged(match)
        except Exception as error:  # noqa: BLE001 - the span is sampled like any other
            pass_interruption(error)
            text = (
                "model registry: a model could not be looked up, so its span was sampled like any other: %r; "
                "further %s errors are not logged"
            )
            _warnings.warn(type(error), text, error, type(error).__name__)
            return False

    def _is_flagged(self, match: ModelMatch) -> bool:
        resolution = match.resolution
        if resolution.status in self._flagged_statuses or not match.response_registered:
            return True
        return resolution.entry is not None and resolution.entry.risk_tier in FLAGGED_TIERS


def _is_ratio(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return 0 <= value <= 1


def _read_flagged(argument: object) -> bool:
    """Return the argument ``flagged``, which must be valid, or the setting ``sample_flagged``."""
    if argument is None:
        return SAMPLE_FLAGGED.read()
    return SAMPLE_FLAGGED.parse(argument, "flagged")


def _read_flagged_statuses() -> frozenset[str]:
    """Return the statuses of flagged models; the setting ``unregistered`` may add one."""
    if UNREGISTERED_POLICY.read() == "warn":
        return FLAGGED_STATUSES | {UNREGISTERED}
    return frozenset(FLAGGED_STATUSES)


def _is_lifecycle_operation(span_name: object) -> bool:
    # Instrumentations may pass a name of any type, and subclasses of ``str`` may compare in their own way.
    return isinstance(span_name, str) and str.__str__(span_name) in _KEPT_SPAN_NAMES


def from_environment(argument: str | None = None) -> ModelRegistrySampler:
    """Return the sampler that OpenTelemetry's environment variables describe.

    Declarative configuration passes no options to a sampler, so it uses the variables as well. If the setting
    ``enabled`` is off, flagged models get no special treatment.

    Args:
        argument: The value of ``OTEL_TRACES_SAMPLER_ARG``; ``None``: it is read from the environment.
    """
    if argument is None:
        argument = os.environ.get(RATIO_VARIABLE, "")
    flagged = None if ENABLED.read() else False
    return ModelRegistrySampler(_parse_ratio(argument.strip()), flagged=flagged)


def _parse_ratio(text: str) -> float:
    """Return the ratio; 1 if the text is empty. A value that is not allowed is logged, and 1 is used."""
    if not text:
        return 1.0
    ratio = _parse_float(text)
    if ratio is not None and _is_ratio(ratio):
        return ratio
    error = InvalidValueError.must_be(RATIO_VARIABLE, text, _RATIO_RULE)
    _warnings.warn(str(error), "model registry: %s; using the default, 1", error)
    return 1.0


def _parse_float(text: str) -> float | None:
    """Return the number; ``None`` if the text is not a number."""
    try:
        return float(text)
    except ValueError:
        return None
