"""``ComplianceMappingEngine``: from a registry and the telemetry of a period to an evidence package."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.errors import InvalidValueError, TelemetryError, shorten
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.timestamps import in_utc, to_nanos
from spanforge.model_registry._core.values import one_of, parse_date, text
from spanforge.model_registry.compliance._analysis.calls import clean
from spanforge.model_registry.compliance._analysis.changes import given_events
from spanforge.model_registry.compliance._analysis.scan import Plan, Seen
from spanforge.model_registry.compliance._analysis.totals import gathered
from spanforge.model_registry.compliance._analysis.workers import Read, read_all
from spanforge.model_registry.compliance._frameworks import FRAMEWORKS
from spanforge.model_registry.compliance._report import Question, package
from spanforge.model_registry.compliance._sources.files import FileReader, TelemetryReader, files, short_names
from spanforge.model_registry.compliance._sources.jaeger import JaegerReader
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry.compliance._attestation import Framework
    from spanforge.model_registry.compliance._packages.evidence_package import EvidencePackage

    Source = str | os.PathLike[str] | TelemetryReader

MIN_GAP: Final = timedelta(minutes=1)
"""The shortest ``max_gap``: what is remembered of a year then still fits into memory."""
MAX_DURATION: Final = timedelta(days=36_525)
"""The longest ``max_gap`` and ``delay``, a century: times are nanoseconds of 64 bits."""
_NANOS: Final = timedelta(microseconds=1)


class ComplianceMappingEngine:
    """Turns a registry and real telemetry into evidence for clauses of compliance frameworks.

    It states what the telemetry proves, with its population and its gaps, and nothing more: that evidence supports a
    clause, never that anybody satisfies it.

    Args:
        registry: The registry; ``None``: the process-wide one.
        max_gap: The longest stretch without any span for which the period still counts as covered; from a minute to a
            century.
        delay: How long a change of the registry may take to be in force in every process: a span that shows what was
            in force that long before it ended agrees with the registry. An event that says so much later than its
            change was made still tells of it.
        model_attributes: Further attribute keys that hold a model's name, one or several, as the processor was told.

    Raises:
        InvalidValueError: A duration or a key is not allowed (also a ``ValueError``).
    """

    def __init__(
        self,
        registry: ModelRegistry | None = None,
        *,
        max_gap: timedelta = timedelta(hours=24),
        delay: timedelta = timedelta(minutes=5),
        model_attributes: str | Iterable[str] = (),
    ) -> None:
        self._registry = registry
        self._max_gap = _duration(max_gap, MIN_GAP, "max_gap")
        self._delay = _duration(delay, timedelta(), "delay")
        keys = [model_attributes] if isinstance(model_attributes, str) else model_attributes
        self._model_attributes = tuple(text(key, "model_attributes") for key in keys)

    def generate_evidence_package(  # noqa: PLR0913 - what was asked, and of which telemetry
        self,
        model_id: str | None,
        framework: str,
        from_date: str | date,
        to_date: str | date,
        *,
        telemetry: Iterable[Source] | Source = (),
        audit_events: Iterable[Mapping[str, Any]] | None = None,
        generated_at: str | date | None = None,
    ) -> EvidencePackage:
        """Read the telemetry of a period and return what it says of a model, or of the whole inventory.

        Large files are read in processes of their own, a core each; memory does not grow with them, but the ids of the
        spans wait in a temporary folder: 54 bytes for each span of the period.

        Args:
            model_id: The model: its id, or a name that stands for it; ``None``: the whole inventory.
            framework: ``soc2`` or ``nist_ai_rmf``.
            from_date: The first instant of the period: RFC 3339, or a date or date-time; a date is its first instant,
                no offset means UTC.
            to_date: The first instant after the period.
            telemetry: Paths and globs of OTLP JSON files (plain, gzip or zstd), addresses of Jaegers' query API
                (``http://…``), and readers of one's own.
            audit_events: Lifecycle events from elsewhere: mappings with ``event_type``, ``timestamp`` (RFC 3339) and
                ``payload`` (with ``model_id``). Events of other types are left out.
            generated_at: The time of generation; ``None``: now.

        Raises:
            InvalidValueError: An argument is not allowed (also a ``ValueError``).
            TelemetryError: Telemetry is not there or cannot be read (also a ``ValueError``).
            MissingExtraError: The extra ``compliance`` is needed and not installed (also an ``ImportError``).
        """
        chosen = cast("Framework", one_of(framework, tuple(FRAMEWORKS), "framework"))
        start, end = _instant(from_date, "from_date"), _instant(to_date, "to_date")
        if start >= end:
            raise InvalidValueError.must_be("to_date", to_date, f"later than from_date, {from_date}")
        now = datetime.now(timezone.utc) if generated_at is None else _moment(generated_at, "generated_at")
        registry = get_default_registry() if self._registry is None else self._registry
        entries = registry.list_all()
        entry = None if model_id is None else ModelIndex(entries).resolve([text(model_id, "model_id")]).entry
        asked = None if model_id is None else clean(model_id)
        plan = Plan(start, end, self._max_gap, self._delay, entries, self._model_attributes, asked)
        readers = _readers(telemetry, plan)
        with tempfile.TemporaryDirectory(prefix="spanforge-evidence-") as folder:
            reads = read_all(readers, plan, folder)
            facts = gathered(reads, plan, folder)
        if audit_events is not None:
            reads.append(_given(list(audit_events)))
        return package(Question(chosen, asked, entry, plan, now), facts, reads)


def _duration(given: timedelta, least: timedelta, field: str) -> int:
    """Return a duration in nanoseconds."""
    if not isinstance(given, timedelta) or not least <= given <= MAX_DURATION:
        raise InvalidValueError.must_be(field, given, f"a timedelta from {least} to {MAX_DURATION}")
    return given // _NANOS * 1_000


def _moment(given: str | date, field: str) -> datetime:
    if isinstance(given, datetime):
        return in_utc(given)
    return parse_date(given.isoformat() if isinstance(given, date) else given, field)


def _instant(given: str | date, field: str) -> int:
    """Return an end of the period, in nanoseconds since the epoch."""
    found = to_nanos(_moment(given, field))
    if not 0 <= found <= MAX_TIME:
        raise InvalidValueError.must_be(field, given, "in the years 1970 to 2261")
    return found


def _readers(telemetry: Iterable[Source] | Source, plan: Plan) -> list[TelemetryReader]:
    one = isinstance(telemetry, (str, os.PathLike, TelemetryReader)) or not isinstance(telemetry, Iterable)
    sources: list[Any] = [telemetry] if one else list(cast("Iterable[Any]", telemetry))
    readers: list[TelemetryReader] = []
    for source in sources:
        if isinstance(source, TelemetryReader):
            readers.append(source)
        elif isinstance(source, str) and "://" in source:
            readers.append(JaegerReader(source, plan.start, plan.end))
        elif isinstance(source, (str, os.PathLike)):
            readers += [FileReader(path) for path in files([os.fsdecode(source)])]
        else:
            raise TelemetryError("telemetry", f"must be paths, globs, addresses or readers, not {shorten(source)}")
    return _once(readers)


def _once(readers: list[TelemetryReader]) -> list[TelemetryReader]:
    """Return the readers without those of a file that is read already, files under short names."""
    known: dict[object, TelemetryReader] = {}
    for reader in readers:
        known.setdefault(os.path.realpath(reader.path) if isinstance(reader, FileReader) else reader, reader)
    named = [reader for reader in known.values() if isinstance(reader, FileReader)]
    for reader, name in zip(named, short_names([reader.path for reader in named]), strict=True):
        reader.name = name
    return list(known.values())


def _given(events: list[Mapping[str, Any]]) -> Read:
    """Return events that the caller gave as an input."""
    found = given_events(events)
    try:
        content = msgspec.json.encode(events, enc_hook=dict, order="sorted")  # mappings that are no dicts
    except (TypeError, ValueError) as error:
        raise TelemetryError("audit_events", f"must be JSON values: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    return Read("audit_events", "audit_events", len(content), digest, [], Seen(lines=len(events), events=set(found)))
