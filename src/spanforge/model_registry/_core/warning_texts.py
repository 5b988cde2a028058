"""The texts of warnings about models, on spans and in log lines. No other module has words of its own for them.

The first sentence is about the status, or about a name without an entry. Further sentences follow it: what to use
instead, and by when. Names, owners and other texts in a sentence are escaped and cut off, because they may come from
the network or from many authors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.values import EMPTY, escape, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spanforge.model_registry._core.lifecycle import ModelStatus

NOT_REGISTERED: Final = "model %s is not registered"
"""The first sentence about a name that no entry matches."""
ANSWER_NOT_REGISTERED: Final = "model %s, which answered, is not registered"
"""The sentence about a response model without an entry."""
OTHER_ANSWERED: Final = "model %s answered a call of %s; if it should, list it in base_model of %s"
"""The sentence about a response model with another entry: the response model, the request model, and its entry."""
EQUAL_MATCHES: Final = "%s match equally well"
"""The sentence about entries of which none can be chosen."""
OTHER_PROVIDERS: Final = "%s would match, but not with the provider"
"""The sentence about entries that are limited to other providers. The provider of the name or the span follows."""


class Advice(NamedTuple):
    """One row of ``ADVICE``.

    Attributes:
        key: The reserved metadata key whose value the sentence states.
        sentence: The sentence; ``%s`` is the value.
        show: The function that returns the value as it is shown.
    """

    key: str
    sentence: str
    show: Callable[[str], str]


ADVICE: Final = (
    Advice("successor", "use %s instead", quote),
    Advice("sunset_date", "its sunset date is %s", str),  # a date was checked, and has only plain characters
)
"""The further sentences about an entry whose status has a warning. An entry has those for which it has a value."""

_HOW_TO_REGISTER: Final = "register it, correct the name, or list it in aliases of its entry"
_HOW_TO_EXPLAIN: Final = "spanforge-models resolve shows the nearest entries"


def warn_of_model(model_id: str, status: ModelStatus, metadata: Mapping[str, Any] = EMPTY) -> tuple[str, ...]:
    """Return the warnings for callers of a model, such as ``model 'gpt-3.5-turbo' is deprecated``.

    Args:
        model_id: The id of the model.
        status: The status of the model.
        metadata: The metadata of its entry, for the further sentences.
    """
    words = LIFECYCLE[status].warning
    if words is None:
        return ()
    advice = [sentence % show(value) for key, sentence, show in ADVICE if (value := metadata.get(key))]
    return (f"model {quote(model_id)} {words}", *advice)


def format_entry_line(warnings: Sequence[str], owner: str, contact: str | None = None) -> str:
    """Return the log line about a model: its warnings, and whom to ask."""
    whom = f"owner: {escape(owner)}" + (f", contact: {escape(contact)}" if contact else "")
    return _join(f"{warnings[0]} ({whom})", warnings[1:])


def format_name_line(warnings: Sequence[str]) -> str:
    """Return the log line about a name that no entry matches: the reason, or else what to do."""
    return _join(warnings[0], warnings[1:] or [_HOW_TO_REGISTER, _HOW_TO_EXPLAIN])


def _join(first: str, further: Iterable[str]) -> str:
    return "; ".join((first, *further))
