"""Calls in log records: their ids, and the calls that a span reports too.

A log record has the ids of the span in which it was written. If this span is a call of the same model, both are one
call. If it is another span, such as an agent's, or is not in the telemetry, the log record alone is the call.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry.compliance._analysis.copies import find_worst
from spanforge.model_registry.compliance._analysis.duplicates import (
    ID_FILES,
    append_records,
    find_part,
    find_records,
    pack_ids,
)
from spanforge.model_registry.compliance._analysis.senders import UNTRUSTED
from spanforge.model_registry.compliance._sources import otlp_json as otlp
from spanforge.model_registry.compliance._sources.spellings import read_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spanforge.model_registry.compliance._analysis.calls import Call
    from spanforge.model_registry.compliance._analysis.scan_data import GroupKey

_SPAN_IDS_BYTES: Final = 24
_OWN_ID_BYTES: Final = 8
_LOG_RECORD_BYTES: Final = _SPAN_IDS_BYTES + 2 * _OWN_ID_BYTES
_BUFFERED_BYTES: Final = 100_000
"""The bytes in memory at which they are written to a file, so that memory does not grow with the input."""
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16


class LogCallIds(NamedTuple):
    """The ids of a call in a log record.

    Attributes:
        trace_id: The trace id of the span in which it was written; zeros if there is none.
        span_id: The id of this span; zeros if there is none.
        own_id: An id of the record itself, because a span may have several; equal for copies.
    """

    trace_id: str
    span_id: str
    own_id: str

    @property
    def has_span(self) -> bool:
        """``True`` if the log record was written in a span."""
        return self.span_id != _NO_SPAN


def make_ids(record: otlp.LogRecord) -> LogCallIds:
    """Return the ids of a call in a log record."""
    trace_id, span_id = read_id(record.trace_id, 16) or _NO_TRACE, read_id(record.span_id, 8) or _NO_SPAN
    facts = trace_id.lower(), span_id.lower(), record.time_unix_nano, record.observed_time_unix_nano
    texts = sorted(otlp.get_text_attributes(record.attributes).items())
    digest = hashlib.blake2b(repr((facts, texts)).encode(errors="replace"), digest_size=_OWN_ID_BYTES)
    return LogCallIds(trace_id, span_id, digest.hexdigest())


class LogCallWriter:
    """Writes the ids of one input's calls in log records.

    Args:
        folder: The folder of the files.
        input_number: The number of the input.
    """

    def __init__(self, folder: str, input_number: int) -> None:
        self._folder = folder
        self._input_number = input_number
        self._parts: defaultdict[int, bytearray] = defaultdict(bytearray)

    def add(self, ids: LogCallIds, mark: str) -> None:
        """Add a call that the group with this mark counts."""
        packed = pack_ids(ids.trace_id, ids.span_id)
        records = self._parts[find_part(packed)]
        records += packed + bytes.fromhex(ids.own_id + mark)
        if len(records) > _BUFFERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the records that are in memory; raise the errors of ``append_records``."""
        for part, records in self._parts.items():
            append_records(_make_log_path(self._folder, part, self._input_number), records)
        self._parts.clear()


def _make_log_path(folder: str, part: int, input_number: int) -> str:
    return os.path.join(folder, f"logs-{part:x}-{input_number}")


def find_joined_calls(
    folder: str, input_count: int, calls: Mapping[GroupKey, Call]
) -> Iterator[tuple[GroupKey, bytes]]:
    """Yield the group of each call in a log record that a span reports too, with the ids, and remove the files.

    Args:
        folder: The folder of the files, with those of the span ids.
        input_count: The number of inputs.
        calls: The call of each group.
    """
    for part in range(ID_FILES):
        waiting = _read_log_calls(folder, part, input_count, calls)
        for ids, span_key in find_records(folder, part, input_count, waiting) if waiting else ():
            for record, key in list(waiting[ids].items()):
                if _is_same_call(calls[span_key], calls[key]):
                    del waiting[ids][record]
                    yield key, ids


def _read_log_calls(
    folder: str, part: int, input_count: int, calls: Mapping[GroupKey, Call]
) -> dict[bytes, dict[tuple[bytes, bool], GroupKey]]:
    """Return the groups of calls in log records, by the ids of their span, and by their own id and kind of sender.

    Of copies that differ, the same one counts as among spans: the worst.
    """
    found: dict[bytes, dict[tuple[bytes, bool], GroupKey]] = {}
    for ids, own_id, key in _read_log_records(folder, part, input_count):
        record = own_id, calls[key].sender == UNTRUSTED
        known = found.setdefault(ids, {}).setdefault(record, key)
        if calls[known] != calls[key]:
            found[ids][record] = find_worst((known, key), calls.__getitem__)
    return found


def _read_log_records(folder: str, part: int, input_count: int) -> Iterator[tuple[bytes, bytes, GroupKey]]:
    """Yield the ids of the span, the own id and the group of each call in a log record, and remove the files."""
    own, mark = _SPAN_IDS_BYTES, _SPAN_IDS_BYTES + _OWN_ID_BYTES
    for number in range(input_count):
        path = _make_log_path(folder, part, number)
        if os.path.exists(path):
            with open(path, "rb") as file:
                while record := file.read(_LOG_RECORD_BYTES):
                    yield record[:own], record[own:mark], (number, record[mark:].hex())
            os.unlink(path)


def _is_same_call(span_call: Call, log_call: Call) -> bool:
    """Check whether a span and a log record report the same call: the same model, called by the same service.

    A span of an untrusted sender hides no call that another sender reports.
    """
    if span_call.kind != "call" or (span_call.sender == UNTRUSTED) != (log_call.sender == UNTRUSTED):
        return False
    return _identify(span_call) == _identify(log_call)


def _identify(call: Call) -> tuple[object, ...]:
    """Return the facts that two reports of a call share. The registry's attributes may be on one of them only."""
    return call.kind, call.model_id, call.name, call.service
