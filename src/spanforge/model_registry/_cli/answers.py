"""Answers to the question which entry a name matches: the explanation, or what would make the name match."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry._cli.explanation import Explanation, explain_resolution
from spanforge.model_registry._cli.remedies import NearEntry, Remedy, list_near_entries, list_remedies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.resolution import ModelIndex
    from spanforge.model_registry._core.shutdowns import ProviderShutdown


class Answer(NamedTuple):
    """All that ``resolve`` knows about a name.

    Attributes:
        explanation: How the name was resolved.
        warnings: The warnings for a caller of the model, also about its provider's shutdown.
        shutdown: The end of the model at its provider, if the calendar has one.
        near: The entries that nearly match, if none does.
        suggestions: The changes that would make one match.
    """

    explanation: Explanation
    warnings: tuple[str, ...]
    shutdown: ProviderShutdown | None
    near: Sequence[NearEntry] = ()
    suggestions: Sequence[Remedy] = ()


def answer_name(index: ModelIndex, name: str, provider: str | None, mode: MatchMode, day: CalendarDay | None) -> Answer:
    """Return all that is known about a name: how it was resolved, or what would make it match.

    Args:
        index: The registry's entries.
        name: The name.
        provider: The provider, in any spelling; ``None`` if it is not known.
        mode: Whether forms match.
        day: The provider calendar; ``None`` if there is none.
    """
    explanation = explain_resolution(index, name, provider, mode)
    resolution = explanation.resolution
    shutdown = None if day is None else day.find(resolution, provider, mode)
    warning = None if day is None or shutdown is None else shutdown.explain(day.day)
    warnings = resolution.warnings if warning is None else (*resolution.warnings, warning)
    if resolution.entry is not None:
        return Answer(explanation, warnings, shutdown)
    near = list_near_entries(index, explanation)
    return Answer(explanation, warnings, shutdown, near, list_remedies(index, explanation, near))
