"""Files of telemetry: the same requests in any layout, and any bytes."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.otlp import Otlp
from support.otlp_files import LAYOUTS, as_lines, to_proto
from support.scans import START, make_request

from spanforge.model_registry._core.errors import TelemetryError
from spanforge.model_registry.compliance._analysis.workers import scan_input
from spanforge.model_registry.compliance._sources import compressed
from spanforge.model_registry.compliance._sources.files import FileReader

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput

OTLP = Otlp()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['{"resourceSpans":[', "]}\n{", '\\"', "gpt", "\n", "\x1e\u2028", "[{,}]"]
)


@st.composite
def spans(draw: st.DrawFn) -> Any:
    """Draw a span, perhaps with events and attributes of any kind."""
    span = OTLP.span(draw(st.sampled_from(["gpt", "x", None])), START + draw(st.integers(0, 10**9)))
    values = draw(st.lists(TEXTS | st.booleans() | st.integers(-9, 2**40) | st.just(["a", "b"]), max_size=3))
    span["attributes"] += OTLP.attributes({f"k{number}": value for number, value in enumerate(values)})
    if draw(st.booleans()):
        span["events"] = [OTLP.lifecycle_event(START + draw(st.integers(0, 9)))]
    span["name"] = draw(TEXTS)
    return span


@st.composite
def records(draw: st.DrawFn) -> Any:
    """Draw a log record: a lifecycle event, a call, or another one."""
    at = START + draw(st.integers(0, 10**9))
    record = draw(
        st.sampled_from([OTLP.lifecycle_record(at), OTLP.call_record("rogue", at), OTLP.call_record("gpt", at)])
    )
    return record | draw(st.sampled_from([{}, {"eventName": "other"}, {"body": {"stringValue": "{\n"}}]))


@st.composite
def requests(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw requests of spans and of log records."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        resource = {"attributes": OTLP.attributes({"service.name": draw(TEXTS)})}
        items, scopes, leaves = draw(
            st.sampled_from([("resourceSpans", "scopeSpans", "spans"), ("resourceLogs", "scopeLogs", "logRecords")])
        )
        drawn = draw(st.lists(spans() if leaves == "spans" else records(), min_size=1, max_size=3))
        made.append({items: [{"resource": resource, scopes: [{"scope": {"name": "s"}, leaves: drawn}]}]})
    return made


def scan_bytes(folder: str, content: bytes) -> ScannedInput:
    path = Path(folder, "file")
    path.write_bytes(content)
    return scan_input(FileReader(str(path)), make_request(), folder, 0)


def read_facts(folder: str, content: bytes) -> tuple[Any, ...]:
    """Return all facts that the scan of a file finds."""
    scanned = scan_bytes(folder, content)
    result = scanned.result
    groups = [(group.call, group.calls, group.first, group.last, group.samples) for group in result.groups]
    ids = {path.name: sorted(path.read_bytes()) for path in Path(folder).iterdir() if path.name != "file"}
    for name in ids:
        Path(folder, name).unlink()
    return groups, result.spans, result.stretches, result.events, result.bad_lines, scanned.limits, ids


@settings(max_examples=36)
@given(drawn=requests(), chunk=st.sampled_from([7, 100, 1024 * 1024]))
def test_layouts_give_equal_records(drawn: list[dict[str, Any]], chunk: int) -> None:
    """The same requests give the same calls, events and ids in any layout and encoding."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(compressed, "_CHUNK", chunk)
        expected = read_facts(folder, as_lines(drawn))
        assert expected[4:6] == (0, [])
        for name, encode in LAYOUTS.items():
            assert read_facts(folder, encode(drawn)) == expected, name


LINE = OTLP.line(OTLP.span("gpt"))
PARTS = [
    *(b'{"resourceSpans":[', b'{"resource":{}', b"]}", b"}", b"[", b",", b"\n", b"\n{", b'"', b"\\", b"null", b"\x00"),
    *(
        b"\xff\xfe",
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"\n\x05\x12",
        b"\0\0\0\5\n",
        b'{"result":',
        b"NaN",
        b"\\ud800",
    ),
    *(LINE, LINE[:50], LINE[50:], LINE.replace(b'"startTimeUnixNano"', b'"x"'), to_proto({"resourceSpans": []})),
    *(layout([{"resourceSpans": [{"scopeSpans": [{"spans": [OTLP.span("gpt")]}]}]}]) for layout in LAYOUTS.values()),
]


@settings(max_examples=240)
@given(parts=st.lists(st.sampled_from(PARTS) | st.binary(max_size=20), max_size=8))
@example(parts=[b'{"resourceSpans":' + b"[" * 30_000])
@example(parts=[b'{"a":' * 30_000])
def test_any_bytes_are_read_or_refused(parts: list[bytes]) -> None:
    """Any bytes are read, or are refused by the documented error."""
    content = b"".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        try:
            scanned = scan_bytes(folder, content)
        except TelemetryError:
            return
    assert scanned.size == len(content)
    assert len(scanned.result.faults) == min(scanned.result.bad_lines, 10)


def _repeat(part: bytes) -> bytes:
    return part * (SIZE // len(part))


SIZE = 1_000_000
BAD_SPAN = OTLP.span("gpt") | {"startTimeUnixNano": "0"}
HOSTILE = {
    "line ends": _repeat(b"\n"),
    "white space": _repeat(b" \n"),
    "short lines": _repeat(b"1\n"),
    "short documents": _repeat(b"{}"),
    "open braces": _repeat(b"{"),
    "open lists": _repeat(b'{"resourceSpans":['),
    "nested requests": _repeat(b'{"resourceSpans":[],"a":'),
    "starts in long texts": _repeat(b'{"resourceSpans":[' + b'"' + b"x" * 10_000 + b'",'),
    "requests without colon": _repeat(b'{"resourceSpans"'),
    "text": _repeat(b"a"),
    "table without line ends": _repeat(b"a,"),
    "indented text": b"a" + _repeat(b"\n "),
    "names of Jaeger": _repeat(b'"traceID":'),
    "large resource": OTLP.line(*([OTLP.span("gpt") for _ in range(1_500)] + [BAD_SPAN]), service="x" * 500_000),
    "many scopes of a large resource": OTLP.json(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": OTLP.attributes({"service.blob": "x" * 500_000})},
                    "scopeSpans": [{"scope": {"name": f"s{n}"}, "spans": [OTLP.span("gpt")]} for n in range(1_500)],
                }
            ]
        }
    ),
    "malformed spans": OTLP.line(*[BAD_SPAN] * 4_000),
    "spans of wrong types": OTLP.line(*[OTLP.span("gpt") | {"attributes": 5} for _ in range(4_000)]),
}
"""Inputs that could take much more time than their size."""


def measure(content: bytes) -> float:
    """Return the seconds of processor time that a byte of an input takes; the least of two."""
    times = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            begin = time.process_time()
            with contextlib.suppress(TelemetryError):
                scan_bytes(folder, content)
            times.append(time.process_time() - begin)
    return min(times) / len(content)


@pytest.mark.slow
def test_hostile_bytes_cost_little_more_than_ordinary_ones() -> None:
    """No input takes much more time for its bytes than one of many small spans does."""
    fields = "traceId", "spanId", "startTimeUnixNano"
    ordinary = measure(OTLP.line(*[{key: OTLP.span()[key] for key in fields} for _ in range(10_000)]))
    costs = {name: measure(content) / ordinary for name, content in HOSTILE.items()}
    assert {name: cost for name, cost in costs.items() if cost > 8} == {}
