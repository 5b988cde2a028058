"""Parts of OpenTelemetry's SDK for tests: a sampler, a log processor and its provider."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult


class RecordOnly(Sampler):
    """Records each span and samples none."""

    def should_sample(self, *arguments: Any, **_: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY, arguments[4])

    def get_description(self) -> str:
        return "record only"


class Keeping(LogRecordProcessor):
    """Keeps the records that it is given."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        self.kept.append(log_record)

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - nothing is waiting
        return True

    @property
    def records(self) -> list[Any]:
        return [data.log_record for data in self.kept]

    def names(self) -> list[str]:
        return [record.event_name for record in self.records]


class Raising(Keeping):
    """Fails for each record."""

    def on_emit(self, log_record: Any) -> None:  # noqa: ARG002 - the signature
        raise LookupError("no room")


def loggers_with(*processors: LogRecordProcessor) -> LoggerProvider:
    """Return a logger provider of the real SDK with these processors."""
    provider = LoggerProvider(shutdown_on_exit=False)
    for processor in processors:
        provider.add_log_record_processor(processor)
    return provider
