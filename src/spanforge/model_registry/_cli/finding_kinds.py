"""The kinds of findings of ``reconcile``, the most harmful first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry.compliance._status_checks import STATUS_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry._core.lifecycle import ModelStatus

SHUTDOWN: Final = "shutdown"
SUNSET: Final = "sunset"
UNDEPLOYED: Final = "undeployed"
UNREGISTERED_KIND: Final = "unregistered"
SUBSTITUTED: Final = "substituted"
MATCHED: Final = "matched"
AGENT_ONLY: Final = "agent-only"
NEVER_CALLED: Final = "never-called"


class FindingKind(NamedTuple):
    """A kind of findings.

    Attributes:
        title: The heading of its table.
        short: Its words in the summary, after the number of its models.
        style: The style of the heading.
        exceptions: The names in evidence of the calls that it counts; see ``EXCEPTIONS``. Empty if a call's names or
            the registry decide.
    """

    title: str
    short: str
    style: str
    exceptions: tuple[str, ...] = ()


def _make_status_kinds(style: str, statuses: Iterable[ModelStatus]) -> dict[str, FindingKind]:
    """Return the kinds of calls of models with these statuses, by status."""
    return {
        status: FindingKind(f"Called though {status}", f"called though {status}", style, (finding,))
        for status in statuses
        if (finding := LIFECYCLE[status].finding) is not None
    }


_FORBIDDEN_STATUSES: Final = tuple(STATUS_CHECKS.values())[::-1]
_FORBIDDEN_KINDS: Final = _make_status_kinds("error", _FORBIDDEN_STATUSES)
_ALLOWED_KINDS: Final = _make_status_kinds("warning", [each for each in LIFECYCLE if each not in _FORBIDDEN_STATUSES])

FINDING_KINDS: Final[Mapping[str, FindingKind]] = {
    **_FORBIDDEN_KINDS,
    SHUTDOWN: FindingKind(
        "Called after the provider's shutdown day",
        "past the provider's shutdown",
        "error",
        ("past_provider_shutdown", "past_unknown_shutdown"),
    ),
    SUNSET: FindingKind("Called past the sunset date", "past the sunset date", "error", ("past_sunset",)),
    UNREGISTERED_KIND: FindingKind("Called but not registered", "not registered", "error", ("unregistered",)),
    SUBSTITUTED: FindingKind("Answered by another model", "answered by another model", "warning"),
    UNDEPLOYED: FindingKind(
        "Called before the deployment date", "called before deployment", "warning", ("before_deployment",)
    ),
    **_ALLOWED_KINDS,
    AGENT_ONLY: FindingKind("Named by agents, without a call in the same service", "named by agents only", "note"),
    MATCHED: FindingKind("Matched by form or glob; an alias would be exact", "matched by form or glob", "note"),
    NEVER_CALLED: FindingKind("Registered but never called", "never called", "note"),
}
"""The kinds by name, the most harmful first."""
KIND_OF_EXCEPTION: Final = {exception: kind for kind, row in FINDING_KINDS.items() for exception in row.exceptions}
"""The kinds, by the names that evidence has for their calls."""
FAIL_ON: Final = (*_FORBIDDEN_KINDS, SHUTDOWN, SUNSET, UNREGISTERED_KIND)
"""The kinds with which the command ends with exit code 1, by default."""
