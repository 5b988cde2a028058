"""``ComplianceMappingEngine``: evidence packages from a registry and the telemetry of a period."""

from __future__ import annotations

import hashlib
import tempfile
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.errors import InvalidValueError, TelemetryError
from spanforge.model_registry._core.name_conflicts import list_nearest
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.settings import CALENDAR, MATCH
from spanforge.model_registry._core.similar_names import write_names
from spanforge.model_registry._core.values import check_text, quote
from spanforge.model_registry.compliance._analysis.calls import clean_name
from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest, ScanResult
from spanforge.model_registry.compliance._analysis.seen_events import parse_audit_events
from spanforge.model_registry.compliance._analysis.senders import UNKNOWN
from spanforge.model_registry.compliance._analysis.totals import total_calls
from spanforge.model_registry.compliance._analysis.workers import scan_inputs
from spanforge.model_registry.compliance._arguments import check_keys, check_revision, parse_moment, parse_period
from spanforge.model_registry.compliance._attestation_request import Arguments
from spanforge.model_registry.compliance._calendar_file import copy_calendar
from spanforge.model_registry.compliance._evidence_request import EvidenceRequest, select_totals
from spanforge.model_registry.compliance._framework_file import copy_framework
from spanforge.model_registry.compliance._frameworks.shipped import choose_framework, choose_parameters
from spanforge.model_registry.compliance._packages.evidence_package import EvidencePackage
from spanforge.model_registry.compliance._registry_files import copy_registry
from spanforge.model_registry.compliance._report import build_evidence
from spanforge.model_registry.compliance._sources.formats import open_sources

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.provider_calendar import Calendar
    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry.compliance._analysis.totals import CallTotals
    from spanforge.model_registry.compliance._attestation_request import CalendarFile, FrameworkFile
    from spanforge.model_registry.compliance._frameworks.framework import Framework
    from spanforge.model_registry.compliance._sources.formats import TelemetrySource

MIN_GAP: Final = timedelta(minutes=1)
"""The shortest ``max_gap``, with which the stretches of a year still fit into memory."""
MAX_DURATION: Final = timedelta(days=36_525)
"""The longest ``max_gap`` and ``delay``: a century, because times are nanoseconds of 64 bits."""
_AUDIT_EVENTS: Final = "audit_events"


class ComplianceMappingEngine:
    """Turns a registry and real telemetry into evidence for clauses of compliance frameworks.

    The evidence reports the facts in the telemetry, with their population and the gaps. It shows that the facts support
    a clause, never that an organisation satisfies the clause.

    Args:
        registry: The registry; ``None`` for the process-wide one.
        max_gap: The longest time without the start of a span or a log record of a call for which the period still
            counts as covered; from a minute to a century.
        delay: The longest time until a change of the registry is in force in every process, up to a century. A span
            agrees with the registry if its attributes were in force while it ran, or at most this long before its end.
            An event confirms a change that is at most this much earlier or later.
        model_attributes: Additional attribute keys that contain a model name, one or several, as set for the processor.
        match: How model names match: ``forms``, or ``exact`` for ids, aliases and globs only; ``None``: the setting
            ``match``.
        calendar: The path of the provider calendar; ``None``: the setting ``calendar``, which may name none.

    Raises:
        InvalidValueError: A duration, a key, a path or ``match`` is not allowed (also a ``ValueError``).
    """

    def __init__(  # noqa: PLR0913 - keyword arguments, one per option
        self,
        registry: ModelRegistry | None = None,
        *,
        max_gap: timedelta = timedelta(hours=24),
        delay: timedelta = timedelta(minutes=5),
        model_attributes: str | Iterable[str] = (),
        match: MatchMode | None = None,
        calendar: str | os.PathLike[str] | None = None,
    ) -> None:
        self._registry = registry
        self._max_gap = _to_nanoseconds(max_gap, MIN_GAP, "max_gap")
        self._delay = _to_nanoseconds(delay, timedelta(), "delay")
        self._model_attributes = check_keys(model_attributes)
        self._match: MatchMode = MATCH.choose(match)
        self._calendar = CALENDAR.choose(calendar)

    def generate_evidence_package(  # noqa: PLR0913 - the question, and the telemetry
        self,
        model_id: str | None,
        framework: str | Framework,
        from_date: str | date,
        to_date: str | date,
        *,
        telemetry: Iterable[TelemetrySource] | TelemetrySource = (),
        audit_events: Iterable[Mapping[str, Any]] | None = None,
        generated_at: str | date | None = None,
        source_revision: str | None = None,
        retention_days: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> EvidencePackage:
        """Return the evidence about a model, or about the whole inventory, from the telemetry of a period.

        Large files are read in separate processes, one per core. Memory does not grow with the files. The ids of the
        spans are kept in a temporary folder, with 32 bytes for each span of the period.

        Args:
            model_id: The model's id, or a name that resolves to it; ``None`` for the whole inventory.
            framework: The id of a framework of the library, such as ``soc2``, or one that ``load_framework`` returns.
            from_date: The first instant of the period: RFC 3339, or a date or date-time. A date means its first
                instant. A time without an offset is UTC.
            to_date: The first instant after the period.
            telemetry: Paths, globs and addresses of the formats that docs/evidence-telemetry.md lists, and objects
                with the protocol ``TelemetryReader``.
            audit_events: Lifecycle events from other systems: mappings with ``event_type``, ``timestamp`` (RFC 3339)
                and ``payload`` (with ``model_id``). Events of other types are ignored.
            generated_at: The time of generation to state; ``None`` for now. It is not a trusted timestamp. The
                attestation states that it was given.
            source_revision: The revision of the registry's source to state, such as a commit. It is not verified.
            retention_days: The days that the check ``retention`` requires, if they are more than the framework's file
                states; ``None`` for those of the file.
            progress: The function to call from time to time with the number of an input, from 0, and the number of its
                bytes that were read. Several threads call it.

        Raises:
            InvalidValueError: An argument is not allowed, or the model is not registered and no call of the period
                counts under it (also a ``ValueError``).
            TelemetryError: Telemetry is missing or cannot be read (also a ``ValueError``).
            RegistryFileError: The calendar cannot be read or is not valid (also a ``ValueError``).
            MissingExtraError: The extra ``compliance`` is required and not installed (also an ``ImportError``).
        """
        chosen = choose_framework(framework)
        parameters = choose_parameters(chosen, retention_days)
        start, end = parse_period(from_date, to_date)
        now = datetime.now(timezone.utc) if generated_at is None else parse_moment(generated_at, "generated_at")
        registry = get_default_registry() if self._registry is None else self._registry
        entries = registry.list_all()
        copied = copy_registry(registry, entries, check_revision(source_revision))
        known = copy_calendar(self._calendar)
        asked = None if model_id is None else check_text(model_id, "model_id")
        entry = self._find_entry(entries, asked)
        name = None if asked is None else clean_name(asked)
        scan = self._make_scan(start, end, entries, name, known.calendar, keeps_days="retention" in parameters)
        applied, framework_file = copy_framework(chosen)
        arguments = self._state_arguments(asked, applied, retention_days, known.attested, generated_at is not None)
        request = EvidenceRequest(chosen, parameters, entry, scan, now, arguments, copied.attested, known.calendar)
        readers = open_sources(telemetry, start, end)
        with tempfile.TemporaryDirectory(prefix="spanforge-evidence-") as folder:
            inputs = scan_inputs(readers, scan, folder, progress)
            totals = total_calls(inputs, scan, folder)
        _check_known(request, totals)
        if audit_events is not None:
            inputs.append(_read_audit_events(list(audit_events)))
        made = build_evidence(request, totals, inputs)
        return EvidencePackage(
            made.attestation,
            made.evidence_csv,
            copied.entries,
            framework_file,
            copied.files,
            known.content,
            made.model_calls,
            made.findings_csv,
        )

    def _make_scan(  # noqa: PLR0913 - the fields of the request
        self,
        start: int,
        end: int,
        entries: list[ModelRegistryEntry],
        name: str | None,
        calendar: Calendar | None,
        *,
        keeps_days: bool,
    ) -> ScanRequest:
        return ScanRequest(
            start,
            end,
            self._max_gap,
            self._delay,
            entries,
            self._model_attributes,
            name,
            self._match,
            () if calendar is None else calendar.announcements,
            keeps_days,
        )

    def _find_entry(self, entries: Iterable[ModelRegistryEntry], asked: str | None) -> ModelRegistryEntry | None:
        """Return the entry that the evidence is about; ``None`` for the whole inventory, or if none matches."""
        return None if asked is None else ModelIndex(entries).resolve([asked], mode=self._match).entry

    def _state_arguments(
        self,
        asked: str | None,
        framework: FrameworkFile,
        retention_days: int | None,
        calendar: CalendarFile | None,
        is_given: bool,  # noqa: FBT001
    ) -> Arguments:
        return Arguments(
            model_id=asked,
            framework=framework,
            retention_days=retention_days,
            max_gap_seconds=self._max_gap / 10**9,
            delay_seconds=self._delay / 10**9,
            model_attributes=self._model_attributes,
            match=self._match,
            calendar=calendar,
            generated_at="given" if is_given else "clock",
        )


def _check_known(request: EvidenceRequest, totals: CallTotals) -> None:
    """Refuse a model that no entry matches and under which no call and no agent of the period counts."""
    name = request.model_name
    about = select_totals(request, totals)
    is_known = request.entry or about.unregistered or about.substitutions or about.agent_only
    if name is None or is_known:
        return
    nearest = list_nearest([*(entry.model_id for entry in request.scan.entries), *totals.unregistered], name)
    hint = f"; {write_names('nearest name', [*map(quote, nearest)])}" if nearest else ""
    problem = f"{quote(name)} is not registered, and no call of the period counts under it{hint}"
    raise InvalidValueError("model_id", name, problem)


def _to_nanoseconds(given: timedelta, least: timedelta, field: str) -> int:
    if not isinstance(given, timedelta) or not least <= given <= MAX_DURATION:
        raise InvalidValueError.must_be(field, given, f"a timedelta from {least} to {MAX_DURATION}")
    return given // timedelta(microseconds=1) * 1_000


def _read_audit_events(events: list[Mapping[str, Any]]) -> ScannedInput:
    """Return the caller's events as an input."""
    result = ScanResult(lines=len(events), events={UNKNOWN: set(parse_audit_events(events))})
    try:
        content = msgspec.json.encode(events, enc_hook=dict, order="sorted")  # mappings that are not dicts
    except (TypeError, ValueError) as error:
        raise TelemetryError(_AUDIT_EVENTS, f"must be JSON values: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    return ScannedInput(_AUDIT_EVENTS, _AUDIT_EVENTS, len(content), digest, [], result)
