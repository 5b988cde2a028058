"""The figures of evidence: spans, calls, copies, names and inputs."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import ListReader, make_entry
from support.scans import HOUR

from spanforge.model_registry.compliance import TelemetryReader
from spanforge.model_registry.compliance import _report as report
from spanforge.model_registry.compliance._attestation_parts import Name

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

UTC = "2026-01-01T00:00:00.000000Z"


def test_first_of_differing_copies_counts(case: EvidenceCase, otlp: Otlp) -> None:
    """Of the copies of a span with different contents the first one counts, and a limit states how many there are."""
    first = otlp.enriched()
    other = first | {"attributes": otlp.span("nobody's")["attributes"]}
    case.write(otlp.line(first), otlp.line(other))
    found = case.attest(make_entry())
    assert (found.population.calls, found.population.copies, found.population.differing_copies) == (1, 1, 1)
    assert found.unregistered_names == ()
    assert any("in a fact that is counted: 1." in limit for limit in found.limits)


def test_copies_count_once_in_any_order(case: EvidenceCase, otlp: Otlp) -> None:
    """Neither a file that is given twice, nor a copy of it, nor the order of inputs changes a figure."""
    case.write(otlp.line(otlp.enriched(), otlp.span("nobody's")))
    copy, more = case.folder / "copy.jsonl", case.folder / "more.jsonl"
    shutil.copy(case.file, copy)
    more.write_bytes(otlp.line(otlp.enriched()))
    alone = case.attest(make_entry(), telemetry=[case.file, more])
    assert case.attest(make_entry(), telemetry=[case.file, str(case.file), case.folder / "." / "spans*", more]) == alone
    both = case.attest(make_entry(), telemetry=[copy, more, case.file])
    assert (both.population.copies, both.population.differing_copies) == (2, 0)
    assert both.checks == alone.checks
    assert both.population.calls == alone.population.calls == 3


def test_uncovered_response_models_are_listed(case: EvidenceCase, otlp: Otlp) -> None:
    """A response model that no entry covers is listed for each model that was called, with the number of its calls."""
    spans = [otlp.span(model, gen_ai__response__model="served") for model in ("a", "b", "b")]
    case.write(otlp.line(*spans, otlp.span("a", gen_ai__response__model="known")))
    case.file.write_bytes(case.file.read_bytes() + otlp.line(otlp.span("b", gen_ai__response__model="z")))
    models = make_entry("a"), make_entry("b", metadata={"aliases": ["known"]})
    expected = (Name(name="served", model_id="b", calls=2), Name(name="served", model_id="a", calls=1))
    assert case.attest(*models).uncovered_names == (*expected, Name(name="z", model_id="b", calls=1))
    assert case.attest(*models, model_id="a").uncovered_names == expected[1:]
    asked = case.attest(*models, model_id="served")
    assert (asked.uncovered_names, asked.population.calls, asked.overall_status) == (expected, 0, "no_evidence")


@pytest.mark.parametrize("keys", ["my.model", ["my.model"], ("other", "my.model")])
def test_model_attributes_hold_model_names(case: EvidenceCase, otlp: Otlp, keys: Any) -> None:
    """The engine takes one further attribute or several, and reads model names from them."""
    case.write(otlp.line(otlp.span(my__model="gpt")))
    found = case.package(case.engine(make_entry(), model_attributes=keys))
    assert found.attestation.population.calls == 1
    assert case.attest(make_entry()).population.calls == 0


def test_observed_time_replaces_missing_time(case: EvidenceCase, otlp: Otlp) -> None:
    """If a log record has no time, the time at which it was observed counts, as OTLP defines it."""
    record = otlp.lifecycle_record(name="model_registry.registered")
    record["observedTimeUnixNano"] = record.pop("timeUnixNano")
    case.write(otlp.logs(record))
    found = case.attest(make_entry(deployment_date="2026-01-01"))
    assert [change.event for change in found.changes] == ["recorded"]


def test_lists_of_names_have_a_limit(case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attestation lists the most frequent names, counts all of them, and has a limit that states both numbers."""
    monkeypatch.setattr(report, "MAX_LISTED", 2)
    case.write(otlp.line(*[otlp.span(f"m{number}") for number in range(9)], otlp.span("m7")))
    found = case.attest()
    assert [name.name for name in found.unregistered_names] == ["m7", "m0"]
    assert len(found.model_warnings) == 2
    assert found.population.models_called == 9
    assert "The list unregistered_names has the first 2 of 9 items." in found.limits


def test_inputs_are_described(case: EvidenceCase, otlp: Otlp) -> None:
    """Each input has its name, size and SHA-256, and the start of its first and last span."""
    case.write(otlp.line(otlp.enriched(start=otlp.start + HOUR), otlp.enriched()))
    (given,) = case.attest(make_entry()).inputs
    content = case.file.read_bytes()
    assert (given.name, given.kind, given.size) == ("spans.jsonl", "otlp_json", len(content))
    assert given.sha256 == hashlib.sha256(content).hexdigest()
    assert (given.first, given.last) == (UTC, "2026-01-01T01:00:00.000000Z")


def test_custom_reader_is_read(case: EvidenceCase, otlp: Otlp) -> None:
    """The engine reads an object with the protocol, alone or in a list, and its limits make coverage incomplete."""
    digest = hashlib.sha256(b"abc").hexdigest()
    options = {"name": "mine", "kind": "queue", "size": 3, "sha256": digest, "limits": ["a part is missing"]}
    reader: TelemetryReader = ListReader([otlp.line(otlp.enriched())], **options)
    found = case.attest(make_entry(), telemetry=reader)
    assert (found.inputs[0].name, found.inputs[0].kind, found.inputs[0].size) == ("mine", "queue", 3)
    assert found.coverage.reasons == ("mine: a part is missing",)
    assert found.overall_status == "incomplete"
    assert case.attest(make_entry(), telemetry=[reader]) == found
