"""What all inputs together say: calls by model, each span once, and where there are no spans at all."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from spanforge.model_registry.compliance._analysis.calls import AGENT, Call
from spanforge.model_registry.compliance._analysis.duplicates import copies
from spanforge.model_registry.compliance._sources.otlp_json import MAX_TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from spanforge.model_registry.compliance._analysis.duplicates import Copy
    from spanforge.model_registry.compliance._analysis.scan import Plan, Sample, Tally
    from spanforge.model_registry.compliance._analysis.workers import Read

EXCEPTIONS: Final[dict[str, Callable[[Call], bool]]] = {
    "unregistered": lambda call: call.model_id is None,
    "before_deployment": lambda call: call.status is None,
    "while_deprecated": lambda call: call.status == "deprecated",
    "past_sunset": lambda call: call.past_sunset,
    "after_retirement": lambda call: call.status == "retired",
    "not_enriched": lambda call: not call.enriched,
    "disagreeing": lambda call: call.enriched and not call.agrees,
}
"""Kinds of calls that checks look for."""


@dataclass
class ModelFacts:
    """The calls of one model, of one name that is not registered, or of several.

    Attributes:
        calls: How many.
        kinds: How many of each kind of ``EXCEPTIONS``.
        services: The services that called.
        uncovered: Names that the provider answered with and that no entry stands for, with how many calls.
        first: When the first one started, in nanoseconds since the epoch.
        last: When the last one did.
        samples: For each kind, some of these spans.
    """

    calls: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    services: set[str] = field(default_factory=set)
    uncovered: Counter[str] = field(default_factory=Counter)
    first: int = MAX_TIME
    last: int = 0
    samples: defaultdict[str, set[Sample]] = field(default_factory=lambda: defaultdict(set))

    def add(self, tally: Tally) -> None:
        """Count the calls of a tally."""
        self.calls += tally.calls
        self.services.add(tally.call.service)
        self.uncovered.update(dict.fromkeys(tally.call.uncovered, tally.calls))
        self.first = min(self.first, tally.first)
        self.last = max(self.last, tally.last)
        for kind, applies in EXCEPTIONS.items():
            if applies(tally.call):
                self.kinds[kind] += tally.calls
                self.samples[kind].update(tally.samples)


@dataclass
class Facts:
    """What the telemetry of a period says.

    Attributes:
        models: By model id, what calls there were of registered models.
        unregistered: By name, those of models that are not.
        spans: Spans, each once.
        agent_spans: Those that name a model, and are an agent's, a workflow's or a tool's.
        copies: Spans that were read again.
        differing_copies: Those of them that say something else.
        gaps: Stretches without any span that are longer than allowed, from and to, in nanoseconds since the epoch.
    """

    models: dict[str, ModelFacts]
    unregistered: dict[str, ModelFacts]
    spans: int
    agent_spans: int
    copies: int
    differing_copies: int
    gaps: list[tuple[int, int]]

    @property
    def called(self) -> Iterable[ModelFacts]:
        """All models and names that were called."""
        return [*self.models.values(), *self.unregistered.values()]


def gathered(reads: Sequence[Read], plan: Plan, folder: str) -> Facts:
    """Return what inputs that were read say together.

    Args:
        reads: What each input holds.
        plan: What was counted.
        folder: Where the ids of their spans are.
    """
    found, differing = _without_copies(reads, folder)
    tallies = [tally for read in reads for tally in read.seen.tallies if tally.calls]
    numbers = Counter[str]()
    models: defaultdict[str, ModelFacts] = defaultdict(ModelFacts)
    unregistered: defaultdict[str, ModelFacts] = defaultdict(ModelFacts)
    for tally in tallies:
        call = tally.call
        numbers[call.kind] += tally.calls
        if call.kind == "call":
            (unregistered[call.name] if call.model_id is None else models[call.model_id]).add(tally)
    return Facts(
        dict(models),
        dict(unregistered),
        numbers.total(),
        numbers[AGENT.kind],
        found,
        differing,
        list(gaps(reads, plan)),
    )


def _without_copies(reads: Sequence[Read], folder: str) -> tuple[int, int]:
    """Take copies of spans off the tallies; return how many there are, and how many of them say something else.

    First and last call of a tally are those of all copies: copies of one span start at one time, unless one is forged.
    """
    tallies = [{tally.mark: tally for tally in read.seen.tallies} for read in reads]
    found = differing = 0
    for copy in copies(folder, len(reads)):
        found += 1
        tally = tallies[copy.source][copy.mark]
        tally.calls -= 1
        if tally.call != tallies[copy.first_source][copy.first_mark].call:
            differing += 1
            tally.samples = [sample for sample in tally.samples if not _is(sample, copy)]
    return found, differing


def _is(sample: Sample, copy: Copy) -> bool:
    return (sample.trace_id.lower(), sample.span_id.lower()) == (copy.trace_id, copy.span_id)


def gaps(reads: Iterable[Read], plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield the stretches of the period that have no span and are longer than allowed.

    Each numbered stretch is as long as a gap may be, so gaps are between the spans of two of them, or at an end.
    """
    known: dict[int, tuple[int, int]] = {}
    for read in reads:
        for number, (first, last) in read.seen.stretches.items():
            earliest, latest = known.get(number, (first, last))
            known[number] = min(earliest, first), max(latest, last)
    last_seen = plan.start
    for number in sorted(known):
        first, last = known[number]
        if first - last_seen > plan.max_gap:
            yield last_seen, first
        last_seen = last
    if plan.end - last_seen > plan.max_gap:
        yield last_seen, plan.end
