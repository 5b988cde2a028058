"""Totals of several inputs: calls, copies and gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from support.scans import CHANGING, DEPRECATED, RETIRED, START, make_request, scan_lines

from spanforge.model_registry.compliance._analysis.copies import MAX_SAMPLES
from spanforge.model_registry.compliance._analysis.totals import total_calls

if TYPE_CHECKING:
    from pathlib import Path

    from support.otlp import Otlp


def test_totals_of_several_inputs(tmp_path: Path, otlp: Otlp) -> None:
    """Each span counts once, by model and by exception; copies and differing copies are counted."""
    wanted = make_request(CHANGING)
    shared = otlp.span("gpt", DEPRECATED, DEPRECATED)
    enriched = shared | {"traceId": shared["traceId"].upper()}
    enriched["attributes"] = [*shared["attributes"], *otlp.attributes({"model_registry.status": "deprecated"})]
    inputs = [
        [otlp.line(shared, otlp.span("x", START), otlp.span())],
        [otlp.line(enriched, shared, service="web"), otlp.line(otlp.span("gpt", RETIRED, RETIRED), service="web")],
        [otlp.line(otlp.span("x", START + 7, gen_ai__operation__name="invoke_agent"), shared)],
    ]
    reads = [scan_lines(tmp_path, lines, wanted, source) for source, lines in enumerate(inputs)]
    found = total_calls(reads, wanted, str(tmp_path))
    assert (found.spans, found.agent_spans, found.copies, found.differing_copies) == (5, 1, 3, 2)
    model = found.models["gpt"]
    assert (model.calls, model.first, model.last) == (2, DEPRECATED, RETIRED)
    assert model.services == {"api", "web"}
    assert dict(model.exceptions) == {
        "while_deprecated": 1,
        "after_retirement": 1,
        "not_enriched": 2,
        "differing_copies": 1,
    }
    assert {sample.start for sample in model.samples["not_enriched"]} == {DEPRECATED, RETIRED}
    assert found.unregistered["x"].calls == 1
    assert dict(found.unregistered["x"].exceptions) == {"unregistered": 1, "not_enriched": 1}
    assert [facts.calls for facts in found.all_called] == [2, 1]
    assert list(tmp_path.iterdir()) == []


def test_differing_copies_are_no_samples(tmp_path: Path, otlp: Otlp) -> None:
    """A copy with other contents is not a sample, because it is not counted."""
    span, other = otlp.span("gpt", START), otlp.span("gpt", START + 1)
    span["traceId"] = "ab" * 16
    lines = [otlp.line(span), otlp.line(span | {"traceId": "AB" * 16}, other, service="web")]
    found = total_calls([scan_lines(tmp_path, lines)], make_request(), str(tmp_path))
    assert found.differing_copies == 1
    ids = {(sample.trace_id, sample.span_id) for sample in found.models["gpt"].samples["not_enriched"]}
    assert ids == {(given["traceId"], given["spanId"]) for given in (span, other)}


def test_samples_of_differing_copies_have_the_lowest_ids(tmp_path: Path, otlp: Otlp) -> None:
    """Of many spans with differing copies those with the lowest ids are samples, in whatever order they are found."""
    numbers = [*range(1, MAX_SAMPLES), MAX_SAMPLES + 1, MAX_SAMPLES]
    ids = [{"traceId": f"{number:032x}", "spanId": f"{number == numbers[-1]:x}{number:015x}"} for number in numbers]
    lines = [otlp.line(*(otlp.span(name, START) | each for each in ids)) for name in ("gpt", "x")]
    found = total_calls([scan_lines(tmp_path, lines)], make_request(), str(tmp_path))
    samples = found.unregistered["x"].samples["differing_copies"]
    assert {sample.trace_id for sample in samples} == {f"{number:032x}" for number in range(1, MAX_SAMPLES + 1)}


def test_scanned_inputs_do_not_change(tmp_path: Path, otlp: Otlp) -> None:
    """Copies are subtracted from the totals, and the scanned inputs stay equal."""
    span, other = otlp.span("gpt"), otlp.span("gpt")
    wanted = make_request()
    batches = [[otlp.line(span, other)], [otlp.line(span, other, service="web"), otlp.line(span)]]
    inputs = [scan_lines(tmp_path, lines, wanted, number) for number, lines in enumerate(batches)]
    before = msgspec.json.encode(inputs)
    totals = total_calls(inputs, wanted, str(tmp_path))
    assert (totals.spans, totals.copies, totals.differing_copies) == (2, 3, 2)
    assert totals.models["gpt"].services == {"api"}
    assert msgspec.json.encode(inputs) == before
