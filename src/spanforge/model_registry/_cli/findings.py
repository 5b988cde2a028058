"""The findings of ``reconcile``: telemetry compared with registry and calendar."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.finding_kinds import (
    FINDING_KINDS,
    MATCHED,
    NEVER_CALLED,
    SHUTDOWN,
    SUBSTITUTED,
    SUNSET,
    UNDEPLOYED,
    UNREGISTERED_KIND,
)
from spanforge.model_registry._cli.name_groups import group_model_names
from spanforge.model_registry._cli.usage import Usage, UsageKey, UsageTotals, merge_usage, total_usage
from spanforge.model_registry._core.entry import list_status_dates
from spanforge.model_registry._core.matching import describe_ambiguous
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.timestamps import format_nanos, from_nanos
from spanforge.model_registry._core.values import quote
from spanforge.model_registry.compliance._analysis.calls import NO_NAME, OTHERS_NAME
from spanforge.model_registry.compliance._status_checks import STATUS_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from spanforge.model_registry._cli.scanning import Observed
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.matching import Match
    from spanforge.model_registry._core.names import MatchMode

OTHERS_SHOWN: Final = "(others)"
"""The text for names and services beyond the limit, which are counted together."""
_NAME_TEXTS: Final = {NO_NAME: "(no name)", OTHERS_NAME: OTHERS_SHOWN}
_SERVICE_TEXTS: Final = {"": "(no service)", OTHERS_NAME: OTHERS_SHOWN}
_ANOTHER_PROVIDER: Final = OTHERS_NAME
"""A provider to which no entry is limited, because no provider has this name."""
_REFUSED_NOTE: Final = "matches the name, but not for the provider of the calls"
_FORM_NOTE: Final = "matches a form of the name, but the setting match is exact"
_OR_REFUSED: Final = ", or are limited to other providers"


@dataclass(frozen=True)
class Finding:
    """One model about which telemetry, registry and calendar do not agree.

    Attributes:
        kind: The kind; see ``FINDING_KINDS``.
        model_id: The id of the model's entry; ``None`` if it has no entry.
        name: The name of a model that is not registered, the response model, or the name that matched; else empty.
        owner: The owner of the entry; ``None`` without an entry.
        calls: The number of calls; for models that only agents name, the number of spans.
        services: The number by service, the largest first.
        first: The start of the first call, in RFC 3339; ``None`` without calls.
        last: The start of the last call, likewise.
        senders: The number by sender.
        names: The names of a model that is not registered, each with its number of calls, the largest first.
        served_id: The id of the response model's entry, if another model answered and has one.
        rule: The rule by which the name matched.
        day: The day from which the calls are findings, as the registry or the calendar has it.
        near: The ids of the entries that nearly match a name that is not registered.
        note: The same for people; may be empty.
    """

    kind: str
    model_id: str | None
    name: str = ""
    owner: str | None = None
    calls: int = 0
    services: Mapping[str, int] = field(default_factory=dict)
    first: str | None = None
    last: str | None = None
    senders: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, int] = field(default_factory=dict)
    served_id: str | None = None
    rule: str | None = None
    day: str | None = None
    near: tuple[str, ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


class Findings(NamedTuple):
    """All findings of telemetry.

    Attributes:
        rows: The findings, the most harmful kind first, then those with most calls.
        usage: The usage of all models.
    """

    rows: Sequence[Finding]
    usage: UsageTotals

    def count_kinds(self) -> dict[str, int]:
        """Return the number of findings of each kind that has some, the most harmful kind first."""
        numbers = {kind: sum(row.kind == kind for row in self.rows) for kind in FINDING_KINDS}
        return {kind: number for kind, number in numbers.items() if number}


def find_all(observed: Observed, now: int) -> Findings:
    """Return the findings of telemetry.

    Args:
        observed: The telemetry, as the scan counted it.
        now: The current time, in nanoseconds since the epoch. No call is due to models that are retired by then.
    """
    usage = total_usage(observed.groups, observed.totals.agent_only)
    entries = observed.request.entries
    by_id = {entry.model_id: entry for entry in entries}
    rows = [_make_finding(key, each, by_id) for key, each in usage.by_key.items() if key.kind != UNREGISTERED_KIND]
    rows += _list_unregistered_models(usage, observed)
    rows += _list_never_called(observed, now)
    order = list(FINDING_KINDS)
    rows.sort(key=lambda row: (order.index(row.kind), -row.calls, row.model_id or "", row.name))
    return Findings(rows, usage)


def sort_counts(numbers: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return numbers by name, the largest first."""
    return sorted(numbers.items(), key=lambda item: (-item[1], item[0]))


def _make_finding(key: UsageKey, usage: Usage, entries: Mapping[str, ModelRegistryEntry]) -> Finding:
    entry = entries.get(key.model_id or "")
    name = _NAME_TEXTS.get(key.name, key.name) if key.name or key.model_id is None else ""
    day = _find_date_of_kind(key.kind, usage, entry)
    return Finding(
        key.kind,
        key.model_id,
        name,
        None if entry is None else entry.owner,
        **_describe_usage(usage),
        served_id=(key.detail or None) if key.kind == SUBSTITUTED else None,
        rule=key.detail if key.kind == MATCHED else None,
        day=day,
        note=_write_note(key, name, day),
    )


def _describe_usage(usage: Usage) -> dict[str, Any]:
    return {
        "calls": usage.calls,
        "services": {_SERVICE_TEXTS.get(name, name): calls for name, calls in sort_counts(usage.services)},
        "first": format_nanos(usage.first),
        "last": format_nanos(usage.last),
        "senders": dict(sort_counts(usage.senders)),
    }


def _find_date_of_kind(kind: str, usage: Usage, entry: ModelRegistryEntry | None) -> str | None:
    """Return the day from which calls of a kind are findings; ``None`` if it is not known, or if there is none."""
    if kind == SHUTDOWN:
        return min(usage.days, default=None)
    if entry is None:
        return None
    dates: dict[str, str | None] = {
        **dict(list_status_dates(entry)),
        SUNSET: entry.metadata.get("sunset_date"),
        UNDEPLOYED: entry.deployment_date,
    }
    date = dates.get(kind)
    return None if date is None else date[:10]


def _write_note(key: UsageKey, name: str, day: str | None) -> str:
    """Return the note about calls of one kind."""
    if key.kind == SUBSTITUTED:
        return f"answered by {quote(name)}, {f'model {quote(key.detail)}' if key.detail else 'which is not registered'}"
    if key.kind == MATCHED:
        return f"called as {quote(name)}, matched by {key.detail}"
    if day is None:
        return ""
    return f"deployed on {day}" if key.kind == UNDEPLOYED else f"since {day}"


def _list_unregistered_models(usage: UsageTotals, observed: Observed) -> Iterator[Finding]:
    """Yield a finding for each model without an entry, however many spellings it has."""
    index, mode = ModelIndex(observed.request.entries), observed.request.match
    by_name = {key.name: each for key, each in usage.by_key.items() if key.kind == UNREGISTERED_KIND}
    named = {name: each.calls for name, each in by_name.items() if name not in _NAME_TEXTS}
    for group in group_model_names(named):
        total = merge_usage(by_name[name] for name in group.names)
        near, note = _find_near(index, group.names, mode)
        fields = _describe_usage(total) | {"names": {name: named[name] for name in group.names}}
        yield Finding(UNREGISTERED_KIND, None, group.model_id, **fields, near=near, note=note)
    for name in sorted(by_name.keys() & _NAME_TEXTS.keys()):
        yield Finding(UNREGISTERED_KIND, None, _NAME_TEXTS[name], **_describe_usage(by_name[name]))


def _find_near(index: ModelIndex, names: Iterable[str], mode: MatchMode) -> tuple[tuple[str, ...], str]:
    """Return the ids of the entries that nearly match a name, and why they do not match."""
    for name in names:
        near, note = _explain_near(index, name, mode)
        if near:
            return tuple(entry.model_id for entry in near), note
    return (), ""


def _explain_near(index: ModelIndex, name: str, mode: MatchMode) -> tuple[Sequence[ModelRegistryEntry], str]:
    """Return the entries that nearly match a name, and why they do not match.

    The providers of the calls are not known. So each provider counts for which the result could differ.
    """
    matches = [index.search(name, provider, mode) for provider in _list_deciding_providers(index, name, mode)]
    tied = _merge_entries(match.ambiguous for match in matches)
    refused = _merge_entries(match.refused for match in matches)
    if tied:
        note = describe_ambiguous(tied)
        return _merge_entries((tied, refused)), f"{note}{_OR_REFUSED}" if refused else note
    near, note = refused or _merge_entries(map(_list_match_entries, matches)), _REFUSED_NOTE
    if not near and mode == "exact":
        near, note = _list_match_entries(index.search(name)), _FORM_NOTE
    return near, f"{quote(near[0].model_id)} {note}" if near else ""


def _list_deciding_providers(index: ModelIndex, name: str, mode: MatchMode) -> Iterable[str | None]:
    """Return no provider, one that no entry has, and those to which the entries with this name are limited."""
    _, rules = index.list_claims(name, mode=mode)
    limits = (provider for _, claims in rules for claim in claims for provider in claim.providers)
    return dict.fromkeys((None, _ANOTHER_PROVIDER, *limits))


def _list_match_entries(match: Match) -> tuple[ModelRegistryEntry, ...]:
    return match.ambiguous or match.refused or (() if match.entry is None else (match.entry,))


def _merge_entries(groups: Iterable[Iterable[ModelRegistryEntry]]) -> tuple[ModelRegistryEntry, ...]:
    by_id = {entry.model_id: entry for group in groups for entry in group}
    return tuple(by_id[model_id] for model_id in sorted(by_id))


def _list_never_called(observed: Observed, now: int) -> Iterator[Finding]:
    """Yield a finding for each entry in force at the end of the period that no call asked for."""
    totals, request = observed.totals, observed.request
    called = {*totals.models, *(each.requested_id for each in totals.substitutions)}
    at = from_nanos(min(now, request.end - 1_000))
    for entry in request.entries:
        state = entry.as_of(at)
        if entry.model_id not in called and state is not None and state.status not in STATUS_CHECKS.values():
            yield Finding(NEVER_CALLED, entry.model_id, owner=state.owner, note=state.status)
