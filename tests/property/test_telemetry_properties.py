"""Telemetry that is read in one pass, against a plain program that loads all of it into a list."""

from __future__ import annotations

import gzip
import itertools
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evidence import ListReader
from support.otlp import Otlp

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.conventions import CONVENTIONS, NOT_CALLS, PROVIDER_KEYS, with_extra_keys
from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.resolution import UNREGISTERED, ModelIndex
from spanforge.model_registry._core.span_models import ModelMatch, resolve_attributes
from spanforge.model_registry._core.timestamps import from_nanos, to_nanos
from spanforge.model_registry.compliance._analysis import duplicates, scan_cache
from spanforge.model_registry.compliance._analysis.calls import OTHER as UNMARKED_OTHER
from spanforge.model_registry.compliance._analysis.calls import clean_name
from spanforge.model_registry.compliance._analysis.copies import EXCEPTIONS
from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter
from spanforge.model_registry.compliance._analysis.scan import Scan
from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest
from spanforge.model_registry.compliance._analysis.senders import settle_senders
from spanforge.model_registry.compliance._analysis.totals import CallTotals, total_calls
from spanforge.model_registry.compliance._analysis.workers import scan_input
from spanforge.model_registry.compliance._attestation_request import Arguments
from spanforge.model_registry.compliance._evidence_request import EvidenceRequest
from spanforge.model_registry.compliance._framework_file import copy_framework
from spanforge.model_registry.compliance._frameworks.shipped import choose_framework
from spanforge.model_registry.compliance._registry_files import copy_registry
from spanforge.model_registry.compliance._report import build_evidence
from spanforge.model_registry.compliance._sources.files import FileReader

if TYPE_CHECKING:
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry.compliance._attestation import Attestation

OTHER = UNMARKED_OTHER._replace(sender="unknown")
OTLP = Otlp()
START = to_nanos("2026-01-01")
HOUR = 3_600 * 10**9
DELAY = HOUR // 2

FORMS = ["A", "a-2024-05-13", "a-latest", "openai/a", "B@20240513", "a-v1:0", "a-001", "unknown"]
NAMES = st.sampled_from(["a", "b", "a/a", "a/b", "c", "it's", "\u2028", "n" * 2_000, "", *FORMS]) | st.text(
    "ab/*?", max_size=4
)
MODES: st.SearchStrategy[MatchMode] = st.sampled_from(["forms", "exact"])
ALIASES = st.lists(st.sampled_from(["a", "b", "a/b", "a*", "*b", "?", "a/*", "[ab]*", "n*"]), max_size=3)
SCOPES = st.sampled_from(["pydantic-ai", "test", ""])
OTHER_KINDS = st.sampled_from([5, 1.5, True, ["a"], None])
FURTHER = ("my.model",)


def entry(model_id: str, **fields: Any) -> ModelRegistryEntry:
    needed = {"name": "N", "version": "1", "risk_tier": "low", "owner": "team", "purpose": "test"}
    return ModelRegistryEntry(model_id=model_id, **{**needed, **fields})


@st.composite
def registries(draw: st.DrawFn) -> list[ModelRegistryEntry]:
    """Draw entries with aliases, globs and providers."""
    known = ["a", "b", "a/a", "x", "c", "A", "openai/a", "a-2024-05-13", "a-v2:0"]
    ids = draw(st.lists(st.sampled_from(known), max_size=4, unique=True))
    providers = st.sampled_from([None, None, "a", "b"])
    return [entry(name, metadata={"aliases": draw(ALIASES), "provider": draw(providers)}) for name in ids]


@st.composite
def attributes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw attributes of all conventions, in any order, values of other kinds among them."""
    members = {row.key for row in CONVENTIONS if row.member is not None}
    keys = (*(row.key for row in CONVENTIONS), *FURTHER, *PROVIDER_KEYS, *NOT_CALLS, "other")
    operations = st.sampled_from([value for values in NOT_CALLS.values() for value in sorted(values)] + ["chat", "LLM"])
    found: dict[str, Any] = {}
    for key in draw(st.lists(st.sampled_from(keys), max_size=5, unique=True)):
        name: st.SearchStrategy[Any] = NAMES
        if key in members:
            name = NAMES.map(lambda name: json.dumps({"n": 1, "model": name})) | st.sampled_from(["{", '{"model":5}'])
        elif key in PROVIDER_KEYS:
            name = st.sampled_from(["a", "b", ""])
        elif key in NOT_CALLS:
            name = operations
        found[key] = draw(name | name | name | OTHER_KINDS)
    return found


class Span(NamedTuple):
    """A span, as a test draws it."""

    number: int
    start: int
    end: int
    attributes: dict[str, Any]
    service: str = "api"
    scope: str = "test"

    def written(self) -> dict[str, Any]:
        ids = f"{self.number % 3:032x}", f"{self.number % 5:x}{self.number:015x}"
        return {
            "traceId": ids[0].upper() if self.end % 2 else ids[0],
            "spanId": ids[1],
            "startTimeUnixNano": str(self.start),
            "endTimeUnixNano": self.end,
            "attributes": OTLP.attributes(self.attributes),
        }

    def line(self) -> bytes:
        return OTLP.line(self.written(), service=self.service, scope=self.scope)


def kind_of(found: dict[str, Any], named: list[str]) -> str:
    kinds = {NOT_CALLS[key].get(found[key]) for key in NOT_CALLS if isinstance(found.get(key), str)} - {None}
    if "agent" in kinds or (set(named) == {"model_name"} and "gen_ai.request.model" not in found):
        return "agent"
    return "other" if kinds else "call"


@settings(max_examples=2 * settings.default.max_examples)
@given(entries=registries(), drawn=st.lists(st.tuples(attributes(), SCOPES), min_size=1, max_size=8), mode=MODES)
def test_resolution_of_the_processor_and_of_evidence(
    entries: list[ModelRegistryEntry], drawn: list[tuple[dict[str, Any], str]], mode: MatchMode
) -> None:
    """A call is counted for the entry, or the name, that the span processor would find for its span."""
    with tempfile.TemporaryDirectory() as folder:
        for found, scope in drawn:
            resolved = resolve_attributes(ModelIndex(entries), found, scope, with_extra_keys(FURTHER), mode)
            wanted = ScanRequest(START, START + HOUR, HOUR, 0, entries, FURTHER, match=mode)
            one = Scan(wanted, SpanIdWriter(folder, 0))
            assert one.count_document(Span(1, START, START, found, scope=scope).line())
            settle_senders(one.result)
            (group,) = (group for group in one.result.groups if group.calls)
            if resolved is None:
                assert group.call == OTHER
                continue
            keys = [key for key in found if key in scan_names(found, scope)]
            kind = kind_of(found, keys)
            if kind == "other":
                assert group.call == OTHER
                continue
            entry, candidate = resolved.resolution.entry, clean_name(resolved.resolution.candidate)
            model = (kind, None, candidate) if entry is None else (kind, entry.model_id, "")
            assert (group.call.kind, group.call.model_id, group.call.name) == model
            if kind == "call" and entry is not None:
                by_form_or_glob = resolved.resolution.rule in {"form", "glob"}
                assert group.call.names.matched == (candidate if by_form_or_glob else "")
                assert group.call.names.served == ("" if resolved.served is None else clean_name(resolved.served))
                assert not group.call.names.served or group.call.names.has_response


def scan_names(found: dict[str, Any], scope: str) -> set[str]:
    """Return the keys that hold names: those with which alone a span names a model."""
    index, known = ModelIndex(), with_extra_keys(FURTHER)
    return {key for key in found if resolve_attributes(index, {key: found[key]}, scope, known) is not None}


MODELS = [
    entry(
        "a",
        deployment_date="2026-01-01T01:00:00Z",
        metadata={
            "aliases": ["a-*"],
            "history": [
                {"at": "2026-01-01T01:00:00Z", "status": "active", "owner": "team", "risk_tier": "low"},
                {"at": "2026-01-01T03:00:00.000001Z", "status": "deprecated", "owner": "new", "risk_tier": "low"},
                {"at": "2026-01-01T07:00:00Z", "status": "retired", "owner": "new", "risk_tier": "low"},
            ],
            "sunset_date": "2026-01-01T05:00:00Z",
        },
    ),
    entry("b", decommission_date="2026-01-01T06:00:00Z", metadata={"deprecation_date": "2026-01-01T02:00:00Z"}),
    entry("c", metadata={"sunset_date": "2026-01-01"}),
]
INSTANTS = [START + hours * HOUR for hours in range(-1, 10)] + [to_nanos("2026-01-01T03:00:00.000001Z")]
STARTS = st.builds(int.__add__, st.sampled_from(INSTANTS), st.integers(-2, 2) | st.integers(0, HOUR - 1))


@st.composite
def spans(draw: st.DrawFn, number: int) -> Span:
    """Draw a span of one of the models above, or of another one, enriched or not."""
    start = draw(STARTS)
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        found["gen_ai.request.model"] = draw(st.sampled_from(["a", "a-1", "b", "B", "c", "c-2026-01-01", "x", "y"]))
        response = draw(st.sampled_from([None, None, "a", "b", "c-latest", "x"]))
        found |= {} if response is None else {"gen_ai.response.model": response}
    if draw(st.booleans()):
        found["model_registry.status"] = draw(st.sampled_from([*LIFECYCLE, UNREGISTERED]))
        owner = draw(st.sampled_from([None, "team", "new"]))
        found |= {} if owner is None else {"model_registry.owner": owner}
    if draw(st.integers(0, 5)) == 0:
        found["gen_ai.operation.name"] = "invoke_agent"
    end = start + draw(st.sampled_from([0, 1, HOUR // 4, DELAY, 2 * HOUR, -HOUR]))
    return Span(number, start, end, found, draw(st.sampled_from(["api", "web"])))


class Naive:
    """What a list of all spans says. Copies differ in their service only, and the one with the first name counts."""

    def __init__(self, request: ScanRequest, inputs: list[list[Span]]) -> None:
        self.request = request
        everything = [span for spans in inputs for span in spans]
        inside = [span for span in everything if request.start <= span.start < request.end]
        known = {span.number: span for span in sorted(inside, key=lambda span: span.service, reverse=True)}
        self.spans = len(known)
        self.copies = len(inside) - len(known)
        self.agents = 0
        self.calls: defaultdict[tuple[str | None, str], list[Span]] = defaultdict(list)
        self.kinds: defaultdict[tuple[str | None, str], Counter[str]] = defaultdict(Counter)
        self.matched: defaultdict[tuple[str | None, str], Counter[tuple[str, str]]] = defaultdict(Counter)
        self.substitutions = Counter[tuple[str, str, str | None]]()
        self.named = Counter[tuple[str | None, str, str]]()
        self.called: set[tuple[str | None, str, str]] = set()
        self.services = defaultdict[int, set[str]](set)
        for span in inside:
            self.services[span.number].add(span.service)
        for span in known.values():
            self._count(span)
        times = [request.start, *sorted(span.start for span in inside), request.end]
        self.gaps = [(a, b) for a, b in itertools.pairwise(times) if b - a > request.max_gap]

    def _count(self, span: Span) -> None:
        found = span.attributes
        resolved = resolve_attributes(ModelIndex(self.request.entries), found, span.scope)
        if resolved is None and "model_registry.status" not in found:
            return
        model = None if resolved is None else resolved.resolution.entry
        key = (
            (None, "" if resolved is None else resolved.resolution.candidate) if model is None else (model.model_id, "")
        )
        if "gen_ai.operation.name" in found:
            self.agents += 1
            self.named[(*key, span.service)] += 1
            return
        self.calls[key].append(span)
        if len(self.services[span.number]) > 1:
            self.kinds[key]["differing_copies"] += 1
        self.called.add((*key, span.service))
        self.kinds[key].update(self._kinds(span, model))
        if resolved is not None and model is not None and resolved.served is not None and resolved.requested is None:
            self.kinds[key]["answered_by_unregistered"] += 1
        if resolved is not None and model is not None:
            self._count_names(resolved, model.model_id, span.service)

    def _count_names(self, resolved: ModelMatch, model_id: str, service: str) -> None:
        if resolved.resolution.rule in {"form", "glob"}:
            self.matched[model_id, ""][resolved.resolution.candidate, resolved.resolution.rule] += 1
        if resolved.served is None:
            return
        if resolved.requested is None:
            self.substitutions[model_id, resolved.served, None] += 1
        else:
            self.substitutions[resolved.requested.model_id, resolved.served, model_id] += 1
            self.called.add((resolved.requested.model_id, "", service))

    @property
    def agent_only(self) -> dict[tuple[str | None, str, str], int]:
        return {model: number for model, number in self.named.items() if model not in self.called}

    def _kinds(self, span: Span, model: ModelRegistryEntry | None) -> set[str]:
        status = span.attributes.get("model_registry.status")
        agreeing = self._agrees(span, model, status)
        kinds = {"not_enriched"} if status is None else {"disagreeing"} if not agreeing else set()
        if model is None:
            return kinds | {"unregistered"} | ({"not_examined_retired"} if status == "retired" else set())
        state = model.as_of(from_nanos(span.start))
        kinds.add("before_deployment" if state is None else state.status)
        sunset = model.metadata.get("sunset_date")
        if state is not None and state.status == "deprecated" and sunset and span.start >= to_nanos(sunset):
            kinds.add("past_sunset")
        findings = {status: row.finding for status, row in LIFECYCLE.items() if row.finding is not None}
        return {findings.get(kind, kind) for kind in kinds}

    def _agrees(self, span: Span, model: ModelRegistryEntry | None, status: str | None) -> bool:
        owner = span.attributes.get("model_registry.owner")
        if model is None:
            return status == UNREGISTERED
        end = max(span.start, span.end)
        since = min(span.start, end - self.request.delay)
        times = {since, span.start, end, *(instant for instant in INSTANTS if since < instant <= end)}
        for state in (model.as_of(from_nanos(at)) for at in times):
            if state is None:
                if status == UNREGISTERED:
                    return True
            elif status == state.status and owner in (None, state.owner):
                return True
        return False


@st.composite
def archives(draw: st.DrawFn) -> list[list[Span]]:
    """Draw inputs of spans, some with copies anywhere, of which some say something else of the same model."""
    drawn = [draw(spans(number)) for number in range(draw(st.integers(0, 12)))]
    copied = [draw(st.sampled_from(drawn)) for _ in range(draw(st.integers(0, 6)) if drawn else 0)]
    copied = [span._replace(service=draw(st.sampled_from(["api", "web"]))) for span in copied]
    inputs: list[list[Span]] = [[] for _ in range(draw(st.integers(1, 3)))]
    for span in draw(st.permutations(drawn + copied)):
        draw(st.sampled_from(inputs)).append(span)
    return inputs


def gather(folder: str, inputs: list[list[Span]], request: ScanRequest, batch: int) -> CallTotals:
    reads = []
    for source, spans in enumerate(inputs):
        path = Path(folder, f"{source}.jsonl")
        lines = [b"".join(span.line() for span in spans[at : at + batch]) + b"\n" for at in range(0, len(spans), batch)]
        path.write_bytes(gzip.compress(b"".join(lines)) if source % 2 else b"".join(lines))
        reads.append(scan_input(FileReader(str(path)), request, folder, source))
        assert reads[-1].limits == []
        path.unlink()
    return total_calls(reads, request, folder)


@settings(max_examples=2 * settings.default.max_examples)
@given(
    inputs=archives(),
    batch=st.integers(1, 4),
    max_gap=st.sampled_from([HOUR, HOUR + 1, 3 * HOUR, 100 * HOUR]),
    cached=st.sampled_from([0, 3, 20_000]),
    together=st.sampled_from([0, 2, 600_000]),
)
def test_totals_of_a_list(inputs: list[list[Span]], batch: int, max_gap: int, cached: int, together: int) -> None:
    """Counts, kinds, services, names, first and last calls and gaps equal those of a program that keeps a list."""
    request = ScanRequest(START, START + 8 * HOUR, max_gap, DELAY, MODELS)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan_cache, "_CACHE_SLOTS", cached)
        patch.setattr(duplicates, "_COMPARED_RECORDS", together)
        found = gather(folder, inputs, request, batch)
        assert list(Path(folder).iterdir()) == []
    expected = Naive(request, inputs)
    assert (found.spans, found.copies, found.agent_spans) == (expected.spans, expected.copies, expected.agents)
    assert found.gaps == expected.gaps
    assert {key: calls.calls for key, calls in found.substitutions.items()} == expected.substitutions
    assert found.agent_only == expected.agent_only
    models = {(model_id, ""): facts for model_id, facts in found.models.items()}
    models |= {(None, name): facts for name, facts in found.unregistered.items()}  # type: ignore[misc]
    assert set(models) == set(expected.calls)
    for key, facts in models.items():
        calls = expected.calls[key]
        starts = [span.start for span in calls]
        assert (facts.calls, facts.first, facts.last) == (len(calls), min(starts), max(starts))
        assert {kind: number for kind, number in facts.exceptions.items() if number} == {
            kind: number
            for kind, number in expected.kinds[key].items()
            if kind in EXCEPTIONS or kind == "differing_copies"
        }
        assert {span.service for span in calls} == facts.services
        assert facts.matched == expected.matched[key]
        assert facts.with_response == sum(key[0] is not None and RESPONSE in span.attributes for span in calls)


RESPONSE = "gen_ai.response.model"


def attest(entries: list[ModelRegistryEntry], lines: list[bytes], mode: MatchMode) -> tuple[Attestation, bytes]:
    """Return the attestation and the CSV of the whole inventory."""
    wanted = ScanRequest(START, START + HOUR, HOUR, 0, entries, FURTHER, match=mode)
    durations = {"max_gap_seconds": 3_600.0, "delay_seconds": 0.0}
    options = {"match": mode, "calendar": None, "generated_at": "given", **durations}
    framework = choose_framework("soc2")
    facts = {"model_id": None, "framework": copy_framework(framework)[0], "retention_days": None}
    arguments = Arguments(model_attributes=tuple(FURTHER), **facts, **options)
    registry = copy_registry(ModelRegistry(auto_emit=False), entries, None).attested
    request = EvidenceRequest(framework, {}, None, wanted, from_nanos(START + HOUR), arguments, registry)
    with tempfile.TemporaryDirectory() as folder:
        inputs = [scan_input(ListReader(lines), wanted, folder, 0)]
        totals = total_calls(inputs, wanted, folder)
    made = build_evidence(request, totals, inputs)
    return made.attestation, made.evidence_csv


@given(
    entries=registries().flatmap(lambda entries: st.tuples(st.just(entries), st.permutations(entries))),
    drawn=st.lists(st.tuples(attributes(), SCOPES), min_size=1, max_size=8),
    mode=MODES,
)
def test_order_of_registration_never_changes_evidence(
    entries: tuple[list[ModelRegistryEntry], list[ModelRegistryEntry]],
    drawn: list[tuple[dict[str, Any], str]],
    mode: MatchMode,
) -> None:
    """Entries in another order give the same figures and names; only the digest of the registry differs."""
    lines = [Span(number, START, START, found, scope=scope).line() for number, (found, scope) in enumerate(drawn)]
    (one, one_csv), (other, other_csv) = (attest(each, lines, mode) for each in entries)
    assert msgspec.structs.replace(other, registry=one.registry) == one
    assert sorted(other_csv.splitlines()) == sorted(one_csv.splitlines())
