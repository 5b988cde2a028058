"""Evidence of lifecycle events that went out as span events, as log records, or as both: each change counts once."""

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

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.emission import set_event_signals
from spanforge.model_registry.compliance import ComplianceMappingEngine

if TYPE_CHECKING:
    from pathlib import Path

FIELDS: dict[str, Any] = {"name": "GPT", "version": "1", "risk_tier": "high", "owner": "ml", "purpose": "chat"}
TOLD = [
    ("active", "recorded", None, "ci"),
    ("deprecated", "recorded", "old", None),
    ("deprecated", "recorded", "very old", "me"),
    ("deprecated", "recorded", None, None),
    ("retired", "recorded", "gone", None),
]


class Archive:
    """A registry, and the files to which its events go: spans, and log records."""

    def __init__(self, folder: Path, forms: str, *, sampled: bool) -> None:
        set_event_signals(forms)
        self.spans, self.logs = folder / "spans.jsonl", folder / "logs.jsonl"
        sampler = ALWAYS_ON if sampled else ALWAYS_OFF
        self._tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self._tracers.add_span_processor(SimpleSpanProcessor(FileSpanExporter(self.spans)))
        self._loggers = LoggerProvider(shutdown_on_exit=False)
        self._loggers.add_log_record_processor(SimpleLogRecordProcessor(FileLogExporter(self.logs)))
        self.registry = ModelRegistry(tracer_provider=self._tracers, logger_provider=self._loggers)

    def operate(self) -> None:
        """Change a model in every way, and write it all down."""
        self.registry.register("gpt", **FIELDS, actor="ci")
        self.registry.deprecate("gpt", reason="old")
        self.registry.deprecate("gpt", reason="very old", actor="me")
        self.registry.register("gpt", **FIELDS | {"owner": "ops"}, replace=True)
        self.registry.retire("gpt", reason="gone")
        self._tracers.shutdown()
        self._loggers.shutdown()

    def evidence(self, *files: Path) -> Any:
        """Return what is stated of the files."""
        engine = ComplianceMappingEngine(self.registry)
        telemetry = [str(file) for file in files if file.exists()]
        package = engine.generate_evidence_package(None, "soc2", "2020-01-01", "2100-01-01", telemetry=telemetry)
        return package.attestation


def told(stated: Any) -> list[tuple[Any, ...]]:
    """Return the changes as they are stated."""
    return [(change.status, change.event, change.reason, change.actor) for change in stated.changes]


@pytest.mark.parametrize(
    ("forms", "sampled", "read"),
    [
        ("span", True, "spans"),
        ("log", True, "logs"),
        ("span,log", True, "both"),
        ("span,log", True, "spans"),
        ("span,log", True, "logs"),
        ("span,log", False, "both"),
    ],
)
def test_each_change_counts_once(tmp_path: Path, forms: str, read: str, *, sampled: bool) -> None:
    """Whatever the form, and with both of them, each change has its event once, as it was told."""
    archive = Archive(tmp_path, forms, sampled=sampled)
    archive.operate()
    files = {"spans": [archive.spans], "logs": [archive.logs], "both": [archive.spans, archive.logs]}
    stated = archive.evidence(*files[read])
    assert told(stated) == TOLD
    assert stated.population.lifecycle_events == len(TOLD)
    (check,) = (check for check in stated.checks if check.check == "changes_recorded")
    assert (check.population, check.exceptions) == (len(TOLD), 0)


def test_spans_alone_where_none_is_sampled(tmp_path: Path) -> None:
    """Without the log records, changes whose spans were not sampled are not recorded."""
    archive = Archive(tmp_path, "span,log", sampled=False)
    archive.operate()
    stated = archive.evidence(archive.spans)
    assert [event for _, event, _, _ in told(stated)] == ["not_recorded"] * len(TOLD)
    assert stated.population.lifecycle_events == 0
