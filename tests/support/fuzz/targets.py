"""The fuzz targets. Each takes any bytes, and raises an error if the library does not keep a promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from support.fuzz.files import fuzz_calendar, fuzz_json, fuzz_yaml
from support.fuzz.limits import limit_time
from support.fuzz.names import fuzz_names
from support.fuzz.packages import fuzz_packages
from support.fuzz.spans import fuzz_spans
from support.fuzz.telemetry import fuzz_telemetry

from spanforge.model_registry._core.announcements import CALENDAR_FIELDS
from spanforge.model_registry._core.entry_fields import ENTRY_FIELDS
from spanforge.model_registry._core.lifecycle import STATUSES
from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from support.fuzz.limits import Target

_DATES: Final = ("2026-01-01", "2026-01-01T00:00:00Z", "1e400", "NaN", "-0", "null", "true")
_ENTRY_WORDS: Final = (*ENTRY_FIELDS, *RESERVED, *STATUSES, *_DATES, "low", "high", "<<: *a", "&a", "!!str", '"\\u')
_OTLP_WORDS: Final = (
    *("resourceSpans", "resourceLogs", "scopeSpans", "scopeLogs", "spans", "logRecords", "resource", "scope", "name"),
    *("traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "attributes", "key", "value"),
    *("stringValue", "arrayValue", "values", "events", "eventName", "result", "batches", "trace", "resource_spans"),
    *("gen_ai.request.model", "gen_ai.response.model", "model_registry.sender", "model_registry.model_id"),
    *("trusted", "untrusted", "1767225600000000001", "model_registry.retired"),
)
_NAME_WORDS: Final = (
    *("openai/", "azure/", "us.anthropic.", "-v1:0", "-2024-05-13", "arn:aws:bedrock:", "models/", "ft:", "@", ":free"),
    *("publishers/", "gpt-4o", "claude-sonnet-4-5", "-latest", "bedrock", "gcp.vertex_ai", "*", "[!a]", "projects/"),
)
_JSON_WORDS: Final = ('{"model": "', '"model_name"', '"modelId"', "\\u0000", "\\ud800", "chat", "AGENT", '"')


class FuzzTarget(NamedTuple):
    """One fuzz target.

    Attributes:
        prepare: The function that returns the target; its argument is a folder for files.
        share: The share of the time that the target gets, relative to others.
        words: The texts that the fuzzer puts into inputs.
    """

    prepare: Callable[[Path], Target]
    share: int
    words: Iterable[str]


TARGETS: Final[Mapping[str, FuzzTarget]] = {
    "json": FuzzTarget(fuzz_json, 2, _ENTRY_WORDS),
    "yaml": FuzzTarget(fuzz_yaml, 2, _ENTRY_WORDS),
    "calendar": FuzzTarget(fuzz_calendar, 1, (*CALENDAR_FIELDS, *_DATES, "deprecation_date", "litellm_provider")),
    "names": FuzzTarget(fuzz_names, 2, _NAME_WORDS),
    "spans": FuzzTarget(fuzz_spans, 1, (*_NAME_WORDS, *_JSON_WORDS)),
    "telemetry": FuzzTarget(fuzz_telemetry, 3, _OTLP_WORDS),
    "packages": FuzzTarget(fuzz_packages, 2, ("payload", "payloadType", "signatures", "keyid", "PK\x03\x04")),
}
"""The targets by name. Each has a folder of the corpus."""


def prepare_target(name: str, folder: Path) -> Target:
    """Return a target that also limits the time of each input; ``folder`` is for its files."""
    check = TARGETS[name].prepare(folder)

    def run(data: bytes) -> None:
        with limit_time():
            check(data)

    return run
