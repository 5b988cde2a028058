"""How evidence matches names: the argument ``match``, and the preview ``compare_matching``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import DAY, ListReader, make_entry

from spanforge.model_registry import InvalidValueError, get_default_registry
from spanforge.model_registry.compliance import (
    ComplianceMappingEngine,
    MatchingDifference,
    TelemetryError,
    compare_matching,
)
from spanforge.model_registry.compliance import _matching as matching
from spanforge.model_registry.compliance._analysis import workers

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

VARIABLE = "OTEL_PYTHON_MODEL_REGISTRY_MATCH"


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ((None, None), "forms"),
        (("exact", None), "exact"),
        (("exact", "forms"), "forms"),
        ((None, "exact"), "exact"),
        (("nonsense", None), "forms"),
    ],
)
def test_match_is_an_argument_or_a_setting(
    case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch, given: tuple[str | None, Any], mode: str
) -> None:
    """The argument has priority over the setting, decides how names match, and is in the attestation."""
    variable, argument = given
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    case.write(otlp.line(otlp.span("GPT-2026-01-31"), otlp.span("GPT")))
    found = case.package(case.engine(make_entry(), match=argument), "GPT").attestation
    assert (found.arguments.match, found.model_id, found.population.calls) == (
        ("forms", "gpt", 2) if mode == "forms" else ("exact", "GPT", 1)
    )


@pytest.mark.parametrize("value", ["form", "", 5])
def test_invalid_match_is_refused(value: Any) -> None:
    """The engine refuses another value of ``match``."""
    with pytest.raises(InvalidValueError, match="match must be one of forms, exact"):
        ComplianceMappingEngine(match=value)


@pytest.mark.slow
def test_match_reaches_processes(case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that read files match names in the same way as this process."""
    paths = [case.folder / f"{number}.jsonl" for number in range(2)]
    for path in paths:
        path.write_bytes(otlp.line(otlp.span("GPT"), otlp.span("gpt", gen_ai__response__model="rival")))
    modes: list[Any] = ["forms", "exact"]
    engines = [case.engine(make_entry(), match=mode) for mode in modes]
    here = [case.package(engine, telemetry=paths) for engine in engines]
    started: list[int] = []
    start = workers.subprocess.Popen
    monkeypatch.setattr(workers, "PARALLEL_MIN_BYTES", 0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(
        workers.subprocess, "Popen", lambda *args, **kwargs: started.append(1) or start(*args, **kwargs)
    )
    assert [case.package(engine, telemetry=paths).to_json() for engine in engines] == [made.to_json() for made in here]
    assert [made.attestation.population.calls for made in here] == [4, 4]
    assert [len(made.attestation.unregistered_names) for made in here] == [0, 1]
    assert len(started) == 4


ENTRIES = [
    make_entry(metadata={"aliases": ["chat-*"]}),
    make_entry("gpt-2026-01"),
    make_entry("azure-only", metadata={"provider": "azure"}),
]


def compare(case: EvidenceCase, **options: Any) -> list[MatchingDifference]:
    """Return the differences in the file of telemetry."""
    options = {"telemetry": case.file, "registry": case.registry(*ENTRIES)} | options
    return compare_matching(options.pop("telemetry"), *DAY, **options)


def test_differences_between_forms_and_exact(case: EvidenceCase, otlp: Otlp) -> None:
    """Each name whose entry differs is listed with its provider, both entries, the rule and the number of spans."""
    case.write(
        otlp.line(*map(otlp.span, ("gpt", "chat-1", "nobody's", "GPT", "GPT"))),
        otlp.line(otlp.span("gpt-2026-01-15", gen_ai__response__model="gpt-latest", gen_ai__system="openai")),
        otlp.line(otlp.span("azure-only", gen_ai__system="azure_openai_llm"), otlp.span("GPT", otlp.start - 1)),
        b"{oops",
    )
    assert compare(case) == [
        MatchingDifference("GPT", None, None, "gpt", "form", 2),
        MatchingDifference("azure-only", "azure_openai_llm", None, "azure-only", "id", 1),
        MatchingDifference("gpt-2026-01-15", "openai", None, "gpt-2026-01", "form", 1),
        MatchingDifference("gpt-latest", "openai", None, "gpt", "form", 1),
    ]


def test_differences_are_those_of_evidence(case: EvidenceCase, otlp: Otlp) -> None:
    """A name that is listed is counted under the entries that the comparison has, in each mode."""
    names = ["GPT", "openai/gpt", "chat-1", "gpt-2026-01-02", "gpt-2025-01-02", "x", "AZURE-only"]
    case.write(otlp.line(*map(otlp.span, names)))
    registry = case.registry(*ENTRIES)
    differences = compare_matching([case.file], *DAY, registry=registry)
    exact, forms = (
        {
            name.name
            for name in case.package(ComplianceMappingEngine(registry, match=mode)).attestation.unregistered_names
        }
        for mode in ("exact", "forms")
    )
    assert {each.name for each in differences if each.forms is not None and each.exact is None} == exact - forms
    assert exact - forms >= {"GPT", "openai/gpt"}


def test_names_that_the_processor_ignores_are_not_compared(case: EvidenceCase, otlp: Otlp) -> None:
    """A model's name that a gateway copied to a span of its database is in no difference."""
    case.write(otlp.line(otlp.span("GPT", db__system="redis"), otlp.span("GPT", db__system=5), otlp.span("GPT")))
    assert compare(case) == [MatchingDifference("GPT", None, None, "gpt", "form", 1)]
    assert case.attest(*ENTRIES).population.calls == 1


def test_other_arguments_of_the_comparison(case: EvidenceCase, otlp: Otlp) -> None:
    """The process-wide registry is the default, further keys hold names, and a source can be a reader."""
    reader = ListReader([otlp.line(otlp.span(my__model="GPT"))])
    get_default_registry().register("gpt", "GPT", "1", "high", "ml", "chat")
    expected = [MatchingDifference("GPT", None, None, "gpt", "form", 1)]
    assert compare(case, telemetry=reader, registry=None, model_attributes="my.model") == expected
    assert compare(case, telemetry=reader, registry=None) == []
    with pytest.raises(TelemetryError):
        compare(case, telemetry="no/such/file")
    with pytest.raises(TelemetryError, match="cannot be read here; pass files of OTLP"):
        compare(case, telemetry="clickhouse://localhost/otel")  # its tables have no spans one by one
    with pytest.raises(InvalidValueError, match="to_date must be later than from_date"):
        compare_matching(reader, *reversed(DAY))


def test_differences_have_a_limit(case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names beyond the limit are left out, those within it are counted completely."""
    monkeypatch.setattr(matching, "MAX_DIFFERENCES", 2)
    monkeypatch.setattr(matching, "_MAX_EQUAL", 1)
    names = ["GPT", "gpt", "x", "gpt-2026-02-01", "openai/gpt", "x", "gpt", "GPT"]
    case.write(otlp.line(*map(otlp.span, names)))
    assert [(each.name, each.spans) for each in compare(case)] == [("GPT", 2), ("gpt-2026-02-01", 1)]
