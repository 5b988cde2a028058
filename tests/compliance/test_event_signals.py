"""Evidence of lifecycle events that were emitted as span events, as log records, or as both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.json.file._log_exporter import FileLogExporter
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from support.evidence import FIELDS

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.emission import set_event_signals
from spanforge.model_registry.compliance import ComplianceMappingEngine

if TYPE_CHECKING:
    from pathlib import Path

CHANGES = [
    ("active", "recorded", None, "ci"),
    ("deprecated", "recorded", "old", None),
    ("deprecated", "recorded", "very old", "me"),
    ("deprecated", "recorded", None, None),
    ("retired", "recorded", "gone", None),
]


class Archive:
    """A registry, and the files that receive its events: spans and log records."""

    def __init__(self, folder: Path, signals: str, *, sampled: bool) -> None:
        set_event_signals(signals)
        self.spans, self.logs = folder / "spans.jsonl", folder / "logs.jsonl"
        sampler = ALWAYS_ON if sampled else ALWAYS_OFF
        self.tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(FileSpanExporter(self.spans)))
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(FileLogExporter(self.logs)))
        self.registry = ModelRegistry(tracer_provider=self.tracers, logger_provider=self.loggers)

    def operate(self) -> None:
        """Run every operation on a model, and export all events."""
        self.registry.register("gpt", **FIELDS, actor="ci")
        self.registry.deprecate("gpt", reason="old")
        self.registry.deprecate("gpt", reason="very old", actor="me")
        self.registry.register("gpt", **FIELDS | {"owner": "ops"}, replace=True)
        self.registry.retire("gpt", reason="gone")
        self.tracers.shutdown()
        self.loggers.shutdown()

    def evidence(self, *files: Path) -> Any:
        """Return the attestation about these files."""
        engine = ComplianceMappingEngine(self.registry)
        telemetry = [str(file) for file in files if file.exists()]
        package = engine.generate_evidence_package(None, "soc2", "2020-01-01", "2100-01-01", telemetry=telemetry)
        return package.attestation


def list_changes(found: Any) -> list[tuple[Any, ...]]:
    """Return the changes of an attestation."""
    return [(change.status, change.event, change.reason, change.actor) for change in found.changes]


@pytest.mark.parametrize(
    ("signals", "sampled", "read"),
    [
        ("span", True, "spans"),
        ("log", True, "logs"),
        ("span,log", True, "both"),
        ("span,log", True, "spans"),
        ("span,log", True, "logs"),
        ("span,log", False, "both"),
    ],
)
def test_each_change_counts_once(tmp_path: Path, signals: str, read: str, *, sampled: bool) -> None:
    """With either signal or both, each change has its event once."""
    archive = Archive(tmp_path, signals, sampled=sampled)
    archive.operate()
    files = {"spans": [archive.spans], "logs": [archive.logs], "both": [archive.spans, archive.logs]}
    found = archive.evidence(*files[read])
    assert list_changes(found) == CHANGES
    assert found.population.lifecycle_events == len(CHANGES)
    (check,) = (check for check in found.checks if check.check == "changes_recorded")
    assert (check.population, check.exceptions) == (len(CHANGES), 0)


def test_changes_without_events_are_not_recorded(tmp_path: Path) -> None:
    """Without telemetry, or with spans alone if none was sampled, changes are not recorded."""
    archive = Archive(tmp_path, "span,log", sampled=False)
    archive.operate()
    for found in (archive.evidence(archive.spans), archive.evidence()):
        assert [event for _, event, _, _ in list_changes(found)] == ["not_recorded"] * len(CHANGES)
        assert found.population.lifecycle_events == 0


def test_a_repeated_job_counts_once(tmp_path: Path) -> None:
    """If a job emits the events of a commit twice, the evidence counts them once, and names the commit."""
    archive = Archive(tmp_path, "span,log", sampled=True)
    before = ModelRegistry(auto_emit=False)
    before.register("gpt", **FIELDS)
    archive.registry = ModelRegistry(tracer_provider=archive.tracers, logger_provider=archive.loggers, auto_emit=False)
    archive.registry.register("gpt", **FIELDS)
    archive.registry.deprecate("gpt", reason="old")
    for _ in range(2):
        archive.registry.emit_changes(before, archive.registry, source_revision="4f2a9c1")
    archive.tracers.shutdown()
    archive.loggers.shutdown()
    found = archive.evidence(archive.spans, archive.logs)
    assert found.population.lifecycle_events == 1
    assert [(change.event, change.source_revision) for change in found.changes] == [
        ("not_recorded", None),
        ("recorded", "4f2a9c1"),
    ]
