"""The limits that an attestation states: what the evidence does not show, and what was cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.entry import has_undated_status
from spanforge.model_registry._core.timestamps import format_nanos, from_nanos, to_nanos
from spanforge.model_registry._core.values import quote
from spanforge.model_registry.compliance import _name_lists as name_lists
from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME
from spanforge.model_registry.compliance._analysis.scan_data import MAX_CALL_GROUPS, MAX_SEEN_EVENTS
from spanforge.model_registry.compliance._analysis.senders import COUNTED
from spanforge.model_registry.compliance._sender_figures import list_sender_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest
    from spanforge.model_registry.compliance._analysis.totals import CallTotals
    from spanforge.model_registry.compliance._evidence_request import EvidenceFacts, EvidenceRequest
    from spanforge.model_registry.compliance._name_lists import NameLists

LIMITS: Final = (
    "Spans that a sampler drops in the application never reach the telemetry, so all counts are of recorded spans.",
    (
        "The evidence covers only the telemetry given. Calls that were not instrumented, not sent or not archived are "
        "missing."
    ),
    "Coverage is about time only. It does not show that each service sent telemetry.",
    "The evidence does not show that the telemetry is genuine. Anyone with write access to it could have changed it.",
    (
        "Anyone with write access to the telemetry can set the attribute `model_registry.sender`, which separates "
        "trusted senders from untrusted ones."
    ),
    (
        "The evidence does not show that the registry is complete and unaltered. Anyone who can write the registry can "
        "change an entry's status, dates and history."
    ),
    (
        "Anyone who makes the evidence can leave out a registry file. Its models are then unregistered, and checks of "
        "registered models do not examine their calls."
    ),
    "The evidence does not show what a provider runs behind a model's name.",
    "Names, aliases, purposes and sunset dates are those at generation, because the registry has no history of them.",
    "The check `accountable` uses owners, risk tiers and purposes at generation.",
)
"""The limits that every attestation states."""
_USUAL_SECONDS: Final = {
    "delay": (300, "If a span or event differs from the registry for at most this time, that is not a finding."),
    "max_gap": (86_400, "Coverage is complete even if no span starts and no log record reports a call for this time."),
}
"""The defaults of arguments that hide findings if they are longer, in seconds, with the effect."""
_CLOCK_TOLERANCE: Final = 300 * 10**9
"""The nanoseconds by which clocks of applications may be ahead: five minutes, as Kerberos accepts by default."""
MAX_LISTED: Final = 10
"""The number of models that a limit names."""


def list_limits(facts: EvidenceFacts, names: NameLists) -> Iterator[str]:
    """Yield the limits of these facts, one text each."""
    about = facts.about
    yield from _list_cuts(facts, names)
    yield from _list_argument_limits(facts.request)
    yield from _list_clause_limits(facts.request)
    yield from _list_source_limits(facts.request)
    yield from _list_retention_limits(facts)
    yield from list_harmless_faults(facts.inputs)
    yield from _list_database_limits(facts.inputs)
    yield from _list_later_telemetry(facts)
    called = [entry for entry in facts.request.entries if entry.model_id in about.models]
    undated = sum(_begins_by_dates(entry, facts.request.scan) for entry in called)
    if undated:
        yield (
            "Models that were called, and whose first status in the period comes from the entry's dates instead of a "
            f"history record: {undated}. Until a model's first history record, its owner and risk tier are those at "
            "generation."
        )
    yield from _list_status_limits(facts.request)
    if facts.all.differing_copies:
        yield (
            "Copies of spans that differ from the counted copy in a fact that the evidence uses: "
            f"{facts.all.differing_copies}. Of all copies of a span, the one with the most serious exception counts."
        )
    yield from list_sender_limits(facts)
    if names.agent_only_models:
        yield (
            "Models named by agents, without a call in the same service: "
            f"{len(names.agent_only_models)}. They are in the list `agent_only_models`. Their calls may be missing "
            "from the telemetry, or may name another model."
        )
    if has_merged_groups(about):
        yield (
            f"An input has more than {MAX_CALL_GROUPS:,} groups of calls of one kind of sender. The calls of a group "
            "have the same model, service and results of checks. Checks count further calls too, but the attestation "
            "does not list their services and names. In each list, they are in an item whose name is null."
        )


def _list_argument_limits(request: EvidenceRequest) -> Iterator[str]:
    """Yield the limits that follow from the arguments and the registry."""
    if request.arguments.generated_at == "given":
        yield "The person or program that generated the package set the time of generation. No clock confirms it."
    for name, (default, effect) in _USUAL_SECONDS.items():
        seconds: float = getattr(request.arguments, f"{name}_seconds")
        if seconds > default:
            shown = f"{seconds:,}".removesuffix(".0")
            yield f"The argument {name} is {shown} seconds instead of {default:,}. {effect}"
    if not request.registry.files:
        yield (
            "The package has the registry's entries at generation, but no registry file. The entries did not come from "
            "files, or the files or entries have changed since they were read."
        )
    if request.calendar is not None:
        yield (
            "The evidence does not show that the provider calendar is complete and correct. Anyone who can write it "
            "can change its days. The package has its file."
        )


def _list_clause_limits(request: EvidenceRequest) -> Iterator[str]:
    """Yield the limits of clauses without a check, and of those that did not apply in the period."""
    framework = request.framework
    unsupported = [clause.id for clause in framework.clauses if not clause.checks]
    if unsupported:
        yield (
            f"Clauses without a check: {_count_and_name(unsupported)}. Nothing in this evidence supports them. They do "
            "not count in the overall status."
        )
    last_day = format_nanos(request.scan.end - 1)[:10]
    not_yet = [
        clause.id
        for clause in framework.clauses
        if clause.applies_from and min(each.date for each in clause.applies_from) > last_day
    ]
    if not_yet:
        yield (
            f"Clauses that do not apply yet in the period, as the framework's file states: "
            f"{_count_and_name(not_yet)}. `applies_from` has the days."
        )


def _list_source_limits(request: EvidenceRequest) -> Iterator[str]:
    """Yield the limits that follow from where the framework comes from, and where it was read."""
    framework = request.framework
    if request.arguments.framework.origin != "shipped":
        yield (
            "The organisation wrote the framework's file. So it chose which checks support a clause, and which parts "
            "no check shows."
        )
    dates = [date for clause in framework.clauses for date in clause.applies_from]
    checked = {framework.checked, *(clause.checked for clause in framework.clauses), *(date.checked for date in dates)}
    if "secondary" in checked:
        yield (
            "Facts about the framework were read in texts by others, not in the publisher's own text. The field "
            "`source` names these texts."
        )


def _list_retention_limits(facts: EvidenceFacts) -> Iterator[str]:
    """Yield the limits of the check ``retention``, if the framework has it."""
    if "retention" not in facts.request.parameters:
        return
    yield (
        "The check `retention` compares the days of the earliest and the newest record. It does not show that "
        "nothing was deleted in between, or that each service sent telemetry. One record is enough for a day."
    )
    queried = [scanned.name for scanned in facts.inputs if scanned.kind == "jaeger"]
    if queried:
        yield (
            "Jaeger is queried for the period only. So the check `retention` sees no earlier traces of this input: "
            f"{queried[0]}"
        )


def _list_database_limits(inputs: Sequence[ScannedInput]) -> Iterator[str]:
    """Yield a sentence about tables of a database, and one about all inputs that are queried."""
    databases = [scanned.name for scanned in inputs if scanned.kind == "clickhouse"]
    if databases:
        yield (
            f"The rows of a database can change: {_count_and_name(databases)}. The digest of such an input is that of "
            "the queries and their parameters, not of the rows, so nobody can check later which rows were read."
        )
    queried = [scanned.name for scanned in inputs if scanned.kind in {"clickhouse", "jaeger"}]
    if queried:
        yield (
            f"Inputs that are queried for the period and the time around it: {_count_and_name(queried)}. A lifecycle "
            "event that was emitted earlier or later does not confirm a change, even if it states the change's date."
        )


def _list_later_telemetry(facts: EvidenceFacts) -> Iterator[str]:
    """Yield a sentence about inputs with spans that started after the time of generation."""
    generated = to_nanos(facts.request.generated_at)
    later = [scanned for scanned in facts.inputs if scanned.result.last > generated + _CLOCK_TOLERANCE]
    if later:
        last = format_nanos(max(scanned.result.last for scanned in later))
        yield (
            f"Inputs with spans that started after the time of generation: "
            f"{_count_and_name([scanned.name for scanned in later])}. The last one started at {last}. So the time of "
            "generation is wrong, or a clock was wrong, or the telemetry was changed."
        )


def _list_status_limits(request: EvidenceRequest) -> Iterator[str]:
    """Yield a sentence about models without a date of their status, and one about contradictory entries."""
    undated = [entry.model_id for entry in request.entries if has_undated_status(entry)]
    if undated:
        yield (
            f"Models whose status has no date: {_count_and_name(undated)}. The status applies from the last record of "
            "the history on. Without a history, it applies from the deployment date on. Without that date, it always "
            "applies."
        )
    states = [(entry, entry.as_of(request.generated_at)) for entry in request.entries]
    other = [entry.model_id for entry, state in states if state is not None and state.status != entry.status]
    if other:
        yield (
            "Models whose status differs from the one that dates and history show at generation: "
            f"{_count_and_name(other)}. The evidence uses the dates and the history."
        )


def _count_and_name(names: Sequence[str]) -> str:
    """Return the number of names, and the first ones."""
    shown = ", ".join(map(quote, names[:MAX_LISTED]))
    return f"{len(names):,} ({shown}{', …' if len(names) > MAX_LISTED else ''})"


def list_reading_limits(inputs: Sequence[ScannedInput]) -> Iterator[str]:
    """Yield the parts of the inputs that could not be read or kept."""
    for scanned in inputs:
        result = scanned.result
        bad = result.bad_lines - result.harmless_faults
        if bad:
            first = result.faults[0]
            yield f"{scanned.name}: unreadable documents, spans or log records: {bad}; the input's first fault: {first}"
    lost = sum(scanned.result.lost_events.get(sender, 0) for scanned in inputs for sender in COUNTED)
    if lost:
        yield f"ignored lifecycle events, beyond {MAX_SEEN_EVENTS:,} for each input and kind of sender: {lost}"
    for scanned in inputs:
        for limit in scanned.limits:
            yield f"{scanned.name}: {limit}"


def list_harmless_faults(inputs: Sequence[ScannedInput]) -> Iterator[str]:
    """Yield a sentence for each input with malformed spans that do not make the coverage incomplete."""
    for scanned in inputs:
        harmless = scanned.result.harmless_faults
        if harmless:
            yield (
                f"{scanned.name}: malformed spans and log records whose time is missing or outside the period, or "
                f"whose sender is untrusted: {harmless}. No check uses them, and they do not make the coverage "
                "incomplete. `bad_lines` includes them."
            )


def _list_cuts(facts: EvidenceFacts, names: NameLists) -> Iterator[str]:
    """Yield a sentence for each list of the attestation that is cut off."""
    if len(facts.changes) > name_lists.MAX_ITEMS:
        yield f"The list `changes` has the first {name_lists.MAX_ITEMS:,} of {len(facts.changes):,} items."
    yield from names.list_cuts()


def has_merged_groups(about: CallTotals) -> bool:
    """Check whether an input has more groups of calls than are counted separately."""
    return OTHERS_NAME in about.unregistered or any(OTHERS_NAME in model.services for model in about.all_called)


def _begins_by_dates(entry: ModelRegistryEntry, scan: ScanRequest) -> bool:
    """Check whether an entry's first state in the period is known from its dates only."""
    since = scan.start if entry.deployment_date is None else max(scan.start, to_nanos(entry.deployment_date))
    state = entry.as_of(from_nanos(since))
    return since < scan.end and state is not None and state.source == "dates"
