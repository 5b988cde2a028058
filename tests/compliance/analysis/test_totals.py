"""The totals of several inputs: each span once, whatever was read twice, and the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core.timestamps import to_nanos
from spanforge.model_registry.compliance._analysis.scan_data import ScannedInput, ScanRequest
from spanforge.model_registry.compliance._analysis.totals import CallTotals, total_calls
from spanforge.model_registry.compliance._analysis.workers import scan_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from conftest import Otlp  # type: ignore[import-not-found]

DAY = 86_400 * 10**9
START = to_nanos("2026-01-01")
END = to_nanos("2026-02-01")
DELAY = 300 * 10**9


def entry(model_id: str = "gpt-4o", **fields: Any) -> ModelRegistryEntry:
    needed = {"name": "N", "version": "1", "risk_tier": "low", "owner": "team", "purpose": "test"}
    return ModelRegistryEntry(model_id=model_id, **{**needed, **fields})


def request(
    *entries: ModelRegistryEntry, max_gap: int = DAY, delay: int = DELAY, model_name: str | None = None
) -> ScanRequest:
    return ScanRequest(START, END, max_gap, delay, list(entries or [entry()]), model_name=model_name)


class Lines:
    """Reads lines that are in memory."""

    kind = "otlp_json"
    name = "lines"
    size = 0
    sha256 = ""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.lines = lines
        self.limits: list[str] = []

    def requests(self) -> Iterator[bytes]:
        yield from self.lines


def scanned(folder: Path, lines: Iterable[bytes], wanted: ScanRequest | None = None) -> ScannedInput:
    return scan_input(Lines(lines), wanted or request(), str(folder), 0)


def totals_of(folder: Path, lines: Iterable[bytes], wanted: ScanRequest | None = None) -> CallTotals:
    wanted = wanted or request()
    return total_calls([scanned(folder, lines, wanted)], wanted, str(folder))


HISTORY = entry(
    deployment_date="2026-01-01",
    metadata={
        "history": [
            {"at": "2026-01-01", "status": "active", "owner": "team", "risk_tier": "low"},
            {"at": "2026-01-10T12:00:00.000001Z", "status": "deprecated", "owner": "team", "risk_tier": "low"},
            {"at": "2026-01-20T12:00:00Z", "status": "retired", "owner": "team", "risk_tier": "low"},
        ],
        "sunset_date": "2026-01-15",
    },
)
DEPRECATED, SUNSET, RETIRED = map(to_nanos, ("2026-01-10T12:00:00.000001Z", "2026-01-15", "2026-01-20T12:00:00Z"))


def gaps(folder: Path, otlp: Otlp, *batches: list[int], max_gap: int = 10) -> list[tuple[int, int]]:
    """Return the gaps of a period of a hundred nanoseconds, relative to its start."""
    wanted = ScanRequest(START, START + 100, max_gap, 0, [])
    lines = [otlp.line(*(otlp.span(start=START + start) for start in starts)) for starts in batches]
    return [(since - START, until - START) for since, until in totals_of(folder, lines, wanted).gaps]


def test_gaps(tmp_path: Path, otlp: Otlp) -> None:
    """A gap is a stretch longer than allowed without any span, the period's ends included."""
    assert gaps(tmp_path, otlp) == [(0, 100)]
    assert gaps(tmp_path, otlp, [-5, 200]) == [(0, 100)]
    assert gaps(tmp_path, otlp, [50]) == [(0, 50), (50, 100)]
    assert gaps(tmp_path, otlp, [0], [99]) == [(0, 99)]
    assert gaps(tmp_path, otlp, list(range(10, 100, 10))) == []
    assert gaps(tmp_path, otlp, [10, 20, 31, 40, 50, 60, 70, 80, 90]) == [(20, 31)]
    assert gaps(tmp_path, otlp, [89, 79, 69, 59], [49, 39, 29, 19, 9]) == [(89, 100)]
    assert gaps(tmp_path, otlp, [9, 10, 11, 21]) == [(21, 100)]
    assert gaps(tmp_path, otlp, [5], max_gap=1_000) == []


def test_totals(tmp_path: Path, otlp: Otlp) -> None:
    """What several inputs say together: each span once, by model and by kind, copies counted, differing ones told."""
    wanted = request(HISTORY)
    shared = otlp.span("gpt-4o", DEPRECATED, DEPRECATED)
    enriched = shared | {"traceId": shared["traceId"].upper()}
    enriched["attributes"] = [*shared["attributes"], *otlp.attributes({"model_registry.status": "deprecated"})]
    inputs = [
        [otlp.line(shared, otlp.span("x", START), otlp.span())],
        [otlp.line(enriched, shared, service="web"), otlp.line(otlp.span("gpt-4o", RETIRED, RETIRED), service="web")],
        [otlp.line(otlp.span("x", START + 7, gen_ai__operation__name="execute_tool"), shared)],
    ]
    reads = [scan_input(Lines(lines), wanted, str(tmp_path), source) for source, lines in enumerate(inputs)]
    found = total_calls(reads, wanted, str(tmp_path))
    assert (found.spans, found.agent_spans, found.copies, found.differing_copies) == (5, 1, 3, 2)
    model = found.models["gpt-4o"]
    assert (model.calls, model.first, model.last) == (2, DEPRECATED, RETIRED)
    assert model.services == {"api", "web"}
    assert dict(model.exceptions) == {"while_deprecated": 1, "after_retirement": 1, "not_enriched": 2}
    assert {sample.start for sample in model.samples["not_enriched"]} == {DEPRECATED, RETIRED}
    assert found.unregistered["x"].calls == 1
    assert dict(found.unregistered["x"].exceptions) == {"unregistered": 1, "not_enriched": 1}
    assert [facts.calls for facts in found.all_called] == [2, 1]
    assert list(tmp_path.iterdir()) == []


def test_samples_of_differing_copies(tmp_path: Path, otlp: Otlp) -> None:
    """A copy that says something else is no sample of what it says, for it is not counted there."""
    span, other = otlp.span("gpt-4o", START), otlp.span("gpt-4o", START + 1)
    span["traceId"] = "ab" * 16
    lines = [otlp.line(span), otlp.line(span | {"traceId": "AB" * 16}, other, service="web")]
    found = totals_of(tmp_path, lines)
    assert found.differing_copies == 1
    ids = {(sample.trace_id, sample.span_id) for sample in found.models["gpt-4o"].samples["not_enriched"]}
    assert ids == {(given["traceId"], given["spanId"]) for given in (span, other)}


def test_inputs_do_not_change(tmp_path: Path, otlp: Otlp) -> None:
    """Copies, the differing ones too, are taken off the totals, and the scanned inputs stay as they are."""
    span, other = otlp.span("gpt-4o"), otlp.span("gpt-4o")
    wanted = request()
    batches = [[otlp.line(span, other)], [otlp.line(span, other, service="web"), otlp.line(span)]]
    inputs = [scan_input(Lines(lines), wanted, str(tmp_path), number) for number, lines in enumerate(batches)]
    before = msgspec.json.encode(inputs)
    totals = total_calls(inputs, wanted, str(tmp_path))
    assert (totals.spans, totals.copies, totals.differing_copies) == (2, 3, 2)
    assert totals.models["gpt-4o"].services == {"api"}
    assert msgspec.json.encode(inputs) == before
