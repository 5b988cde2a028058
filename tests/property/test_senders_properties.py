"""An adversary who may send anything as an untrusted sender changes nothing about trusted senders."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evidence import make_entry
from support.figures import assert_equal_figures
from support.otlp import START, Otlp

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.storage import encode_entries
from spanforge.model_registry.compliance import ComplianceMappingEngine, EvidencePackage
from spanforge.model_registry.compliance._analysis import call_groups, seen_events
from spanforge.model_registry.compliance._attestation_senders import UntrustedCopies

HOUR = 3_600 * 10**9
OTLP = Otlp()
SUNSET = "2026-01-01T03:00:00Z"
ENTRIES = [
    make_entry(metadata={"aliases": ["gpt-*"]}),
    make_entry("old", status="retired", decommission_date="2026-01-01T06:00:00Z"),
    make_entry(
        "late", status="deprecated", metadata={"deprecation_date": "2025-06-01", "sunset_date": "2026-01-01T03:00:00Z"}
    ),
]
TIMES = st.sampled_from([START + hours * HOUR for hours in (-2, -1, 0, 1, 3, 6, 12, 23, 24, 30)])
NAMES = st.sampled_from(["gpt", "gpt-x", "GPT", "old", "late", "unknown", "(others)", "", "x" * 2_000])
STATUSES = st.sampled_from(["active", "deprecated", "retired", "unregistered", "odd"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "gen_ai.request.model": NAMES,
    "gen_ai.response.model": NAMES,
    "gen_ai.operation.name": st.sampled_from(["chat", "invoke_agent", "execute_tool"]),
    "model_registry.status": STATUSES,
    "model_registry.model_id": NAMES,
    "model_registry.owner": st.sampled_from(["ml", "x"]),
    "model_registry.warnings": st.just(["model 'x' is not registered"]),
    "other": st.sampled_from([5, True, "model_registry.sender", ["a"]]),
}
FACTS = st.fixed_dictionaries({"model_registry.model_id": NAMES, "model_registry.status": STATUSES}) | st.just(
    {"model_registry.model_id": "old", "model_registry.decommission_date": "2026-01-01T06:00:00Z"}
)
EVENTS = st.builds(
    lambda name, at, facts: OTLP.event(f"model_registry.{name}", at, **facts),
    st.sampled_from(["registered", "deprecated", "retired", "odd"]),
    TIMES,
    FACTS,
)


@st.composite
def attributes(draw: st.DrawFn) -> list[Any]:
    """Draw attributes, some of them twice."""
    keys = draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=5))
    return [pair for key in keys for pair in OTLP.attributes({key: draw(VALUES[key] | st.just(5))})]


@st.composite
def spans(draw: st.DrawFn) -> Any:
    """Draw a span; its ids are often those of another one, and may be in upper case or odd."""
    start, number = draw(TIMES) + draw(st.integers(0, 5)), draw(st.integers(1, 6))
    ids = draw(st.sampled_from([f"{number:x}", f"{number:X}", f"{number:x}", "a", "A", "é", "?"]))
    end = start + draw(st.sampled_from([0, -HOUR, HOUR]))
    span = OTLP.span(None, start, end) | {"attributes": draw(attributes())}
    return span | {"traceId": ids * 32, "spanId": ids * 16, "events": draw(st.lists(EVENTS, max_size=2))}


@st.composite
def lines(draw: st.DrawFn, sender: str) -> list[bytes]:
    """Draw lines with spans and log records of a sender."""
    services = st.sampled_from(["api", "web", "(others)"])
    batches = draw(st.lists(st.tuples(st.lists(spans(), max_size=4), services), min_size=1, max_size=4))
    found = [OTLP.line(*OTLP.marked(sender, *batch), service=service) for batch, service in batches]
    records = [{"eventName": event["name"], **event} for event in draw(st.lists(EVENTS, max_size=3))]
    return [*found, OTLP.logs(*OTLP.marked(sender, {}, *records))]


SUBJECTS = st.sampled_from([((None, "soc2"), ("gpt", "nist_ai_rmf")), ((None, "nist_ai_rmf"), ("old", "soc2"))])
"""The inventory and a model, each with a framework."""


def make_packages(inputs: list[list[bytes]], subjects: Any) -> list[EvidencePackage]:
    """Return the evidence of these inputs about these subjects."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder, "models.json")
        models.write_bytes(encode_entries(ENTRIES))
        files = [Path(folder, f"{number}.jsonl") for number in range(len(inputs))]
        for file, content in zip(files, inputs, strict=True):
            file.write_bytes(b"\n".join(content))
        registry = ModelRegistry(auto_emit=False)
        registry.load(models)
        engine = ComplianceMappingEngine(registry)
        return [
            engine.generate_evidence_package(
                model, framework, "2026-01-01", "2026-01-02", telemetry=files, generated_at="2026-06-01"
            )
            for model, framework in subjects
        ]


def drop_untrusted(package: EvidencePackage) -> tuple[Any, list[bytes]]:
    """Return the attestation without inputs and untrusted senders, and the rows of other senders."""
    found = package.attestation
    copies = UntrustedCopies(spans=0, samples=())
    lists = {
        field: tuple(each for each in getattr(found, field) if each.sender != "untrusted")
        for field in ("senders", "findings", "inventory", "call_figures")
    }
    rows = [row for row in package.evidence_csv.splitlines() if not row.endswith(b",untrusted")]
    assert_equal_figures(package)
    return msgspec.structs.replace(found, inputs=(), untrusted_copies=copies, **lists), rows


@settings(max_examples=60)
@given(
    trusted=lines("trusted"),
    untrusted=lines("untrusted"),
    order=st.randoms(use_true_random=False),
    together=st.sampled_from(["one file", "first", "last"]),
    limit=st.sampled_from([2, 50_000]),
    subjects=SUBJECTS,
)
def test_untrusted_senders_change_nothing_about_others(  # noqa: PLR0913 - each is drawn
    trusted: list[bytes], untrusted: list[bytes], order: Any, together: str, limit: int, subjects: Any
) -> None:
    """All fields and rows equal those without the adversary's records, except the untrusted ones."""
    mixed = trusted.copy()
    for line in untrusted:
        mixed.insert(order.randint(0, len(mixed)), line)
    inputs = {"one file": [mixed], "first": [untrusted, trusted], "last": [trusted, untrusted]}[together]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call_groups, "MAX_CALL_GROUPS", limit)
        patch.setattr(seen_events, "MAX_SEEN_EVENTS", limit)
        alone, attacked = make_packages([trusted], subjects), make_packages(inputs, subjects)
    assert list(map(drop_untrusted, attacked)) == list(map(drop_untrusted, alone))


MALFORMED = st.sampled_from(
    [
        {"startTimeUnixNano": None},
        {"startTimeUnixNano": -5},
        {"startTimeUnixNano": str(10**30)},
        {"endTimeUnixNano": "soon"},
        {"traceId": "zz"},
        {"attributes": [5]},
        {"events": 5},
        {"name": {"a": 1}},
    ]
)
"""Members that make a span malformed."""


@given(
    trusted=lines("trusted"),
    changes=st.lists(MALFORMED, min_size=1, max_size=3),
    is_first=st.booleans(),
    subjects=SUBJECTS,
)
def test_malformed_spans_of_untrusted_senders_change_only_limits(
    trusted: list[bytes],
    changes: list[dict[str, Any]],
    is_first: bool,  # noqa: FBT001
    subjects: Any,
) -> None:
    """Spans that cannot be read and are marked as untrusted change no check, count, coverage or row."""
    spans = [OTLP.marked("untrusted", OTLP.span("old"))[0] | change for change in changes]
    for span in spans:
        if span.get("attributes") == [5]:
            span["attributes"] = [*OTLP.marked("untrusted", OTLP.span("old"))[0]["attributes"], 5]
    line = OTLP.line(*spans)
    mixed = [line, *trusted] if is_first else [*trusted, line]
    packages = make_packages([mixed], subjects), make_packages([trusted], subjects)
    for attacked, alone in zip(*packages, strict=True):
        (found, rows), (expected, expected_rows) = drop_untrusted(attacked), drop_untrusted(alone)
        assert msgspec.structs.replace(found, limits=()) == msgspec.structs.replace(expected, limits=())
        assert rows == expected_rows
