"""The figures of evidence: spans, calls, copies, names and inputs."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import ListReader, csv_rows, make_entry
from support.scans import HOUR

from spanforge.model_registry.compliance import TelemetryReader
from spanforge.model_registry.compliance import _name_lists as name_lists
from spanforge.model_registry.compliance._analysis import call_groups
from spanforge.model_registry.compliance._analysis.scan_data import SAMPLES_PER_GROUP
from spanforge.model_registry.compliance._attestation_names import Name

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

UTC = "2026-01-01T00:00:00.000000Z"


def test_worst_of_differing_copies_counts(case: EvidenceCase, otlp: Otlp) -> None:
    """Of the copies of a span with different contents the worst one counts, in any order, and is a finding."""
    first = otlp.enriched()
    other = first | {"attributes": otlp.span("nobody's")["attributes"]}
    for copies in ([first, other], [other, first], [other, first, first]):
        case.write(otlp.line(*copies))
        found = case.attest(make_entry())
        assert (found.population.calls, found.population.copies) == (1, len(copies) - 1)
        assert found.population.differing_copies == len(copies) - 1
        assert found.unregistered_names == (Name(name="nobody's", calls=1),)
        (check,) = (check for check in found.checks if check.check == "spans_unambiguous")
        assert (check.status, check.population, check.exceptions) == ("findings", 1, 1)
        assert check.notes == ("spans with copies that differ: 1",)
        assert [sample.span_id for sample in check.samples] == [first["spanId"]]
        assert any("in a fact that the evidence uses: " in limit for limit in found.limits)


def test_start_of_a_sample_may_be_unknown(case: EvidenceCase, otlp: Otlp) -> None:
    """If many spans of both models started earlier, the start of a span with differing copies is not known."""
    early = [otlp.span(model) for model in ("gpt", "nobody's") for _ in range(SAMPLES_PER_GROUP)]
    copies = [otlp.span(model, otlp.start + 1) for model in ("gpt", "nobody's")]
    copies[1] |= {key: copies[0][key] for key in ("traceId", "spanId")}
    case.write(otlp.line(*early, *copies))
    (check,) = (check for check in case.attest(make_entry()).checks if check.check == "spans_unambiguous")
    assert [(sample.span_id, sample.start) for sample in check.samples] == [(copies[0]["spanId"], None)]


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


def test_names_that_match_by_form_or_glob_are_listed(case: EvidenceCase, otlp: Otlp) -> None:
    """Each name that an entry does not contain is listed with entry, rule and calls; ids and aliases are not."""
    names = ["other-latest", "gpt", "alias", "openai/gpt-2026-01-31", "GPT", "gpt-x", "gpt-x", "nobody's"]
    case.write(otlp.line(*map(otlp.span, names)))
    entries = make_entry(metadata={"aliases": ["alias", "gpt-x*"]}), make_entry("other")
    found = case.attest(*entries)
    listed = [(name.name, name.model_id, name.rule, name.calls) for name in found.matched_names]
    assert listed == [
        ("gpt-x", "gpt", "glob", 2),
        ("GPT", "gpt", "form", 1),
        ("openai/gpt-2026-01-31", "gpt", "form", 1),
        ("other-latest", "other", "form", 1),
    ]
    assert case.attest(*entries, model_id="OTHER").matched_names == found.matched_names[-1:]
    (first, second, _) = csv_rows(case.package(case.engine(*entries)))
    assert (first["calls_by_form"], first["calls_by_glob"], second["calls_by_form"]) == ("2", "2", "1")


def test_substitutions_are_listed(case: EvidenceCase, otlp: Otlp) -> None:
    """A model that answered calls of another one is listed, registered or not, with calls and samples."""
    calls = [("a", "served"), ("b", "served"), ("b", "served"), ("a", "b"), ("b", "a"), ("a", "a"), ("c", "d")]
    spans = [otlp.span(request, gen_ai__response__model=response) for request, response in calls]
    case.write(otlp.line(*spans))
    models = make_entry("a"), make_entry("b", metadata={"base_model": "a"})
    found = case.attest(*models).substitutions
    assert [(each.requested_model_id, each.served_name, each.served_model_id, each.calls) for each in found] == [
        ("b", "served", None, 2),
        ("a", "b", "b", 1),
        ("a", "served", None, 1),
    ]
    assert [sample.span_id for sample in found[0].samples] == [span["spanId"] for span in spans[1:3]]
    assert [sample.span_id for sample in found[1].samples] == [spans[3]["spanId"]]
    assert case.attest(*models, model_id="a").substitutions == found[1:]
    assert case.attest(*models, model_id="b").substitutions == found[:2]
    asked = case.attest(*models, model_id="served")
    assert asked.substitutions == (found[0], found[2])
    assert (asked.population.calls, asked.overall_status) == (0, "findings")


def test_models_that_only_agents_name_are_listed(case: EvidenceCase, otlp: Otlp) -> None:
    """A model that an agent names is listed with the service, unless that service calls it under any name."""

    def agent(name: str) -> Any:
        return otlp.span(name, gen_ai__operation__name="invoke_agent")

    case.write(
        otlp.line(agent("gpt"), agent("GPT-2026-01-31"), agent("zeta"), agent("zeta"), otlp.span("openai/gpt")),
        otlp.line(agent("gpt"), agent("zeta"), otlp.span("zeta"), service="web"),
        otlp.line(agent("a"), otlp.span("a", gen_ai__response__model="gpt")),
        otlp.line(otlp.span("idle", gen_ai__operation__name="execute_tool")),
    )
    entries = make_entry(), make_entry("a"), make_entry("idle")
    found = case.attest(*entries)
    listed = [(each.name, each.model_id, each.service, each.spans) for each in found.agent_only_models]
    assert listed == [("zeta", None, "api", 2), ("gpt", "gpt", "web", 1)]
    assert any(
        limit.startswith("Models named by agents, without a call in the same service: 2.") for limit in found.limits
    )
    assert found.population.agent_spans == 7
    assert found.unregistered_names == (Name(name="zeta", calls=1),)
    assert case.attest(*entries, model_id="gpt").agent_only_models == found.agent_only_models[1:]
    assert case.attest(*entries, model_id="zeta").agent_only_models == found.agent_only_models[:1]
    without = case.attest(*entries, model_id="a")
    assert without.agent_only_models == ()
    assert not any("spans of agents" in limit for limit in without.limits)


def test_calls_of_unknown_services_are_calls_of_any_service(
    case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If an input has too many groups, calls without a known service count as calls of every service."""
    monkeypatch.setattr(call_groups, "MAX_CALL_GROUPS", 1)
    agent, *others = [otlp.span(name, gen_ai__operation__name="invoke_agent") for name in ("gpt", "x", "y")]
    case.write(otlp.line(agent, otlp.span("gpt")))
    assert case.attest(make_entry()).agent_only_models == ()
    case.write(otlp.line(agent, otlp.span("x")))
    assert [each.name for each in case.attest(make_entry()).agent_only_models] == ["gpt"]
    case.write(otlp.line(agent, *others))
    listed = [(each.name, each.service, each.spans) for each in case.attest(make_entry()).agent_only_models]
    assert listed == [(None, None, 2), ("gpt", "api", 1)]


@pytest.mark.parametrize("name", ["(others)", "(no name)", "\uffff"])
def test_names_of_summed_calls_are_no_real_names(
    case: EvidenceCase, otlp: Otlp, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A real model and service with such a name differ from calls without a name or counted together."""
    shown = name.replace("\uffff", "\ufffd")
    unnamed = otlp.span(model_registry__status="unregistered")
    case.write(otlp.line(otlp.span(name), otlp.span(name), service=name), otlp.line(unnamed, service="web"))
    made = case.package(case.engine())
    assert made.attestation.unregistered_names == (Name(name=shown, calls=2), Name(name="", calls=1))
    assert made.attestation.model_warnings == (f"model '{shown}' is not registered",)
    assert not any("groups of calls" in limit for limit in made.attestation.limits)
    services = {"(others)": "'(others)", "(no name)": "(no name)", "\uffff": "\ufffd"}
    rows = [(row["model_id"], row["name"], row["services"]) for row in csv_rows(made)]
    assert rows == [("", "(no name)", "web"), (shown, "", services[name])]
    monkeypatch.setattr(call_groups, "MAX_CALL_GROUPS", 1)
    case.write(otlp.line(otlp.span(name), service=name), otlp.line(otlp.span("x"), otlp.span("y"), service="web"))
    made = case.package(case.engine())
    assert made.attestation.unregistered_names == (Name(name=None, calls=2), Name(name=shown, calls=1))
    assert any("more than 20,000 groups of calls" in limit for limit in made.attestation.limits)
    rows = [(row["model_id"], row["name"], row["services"]) for row in csv_rows(made)]
    assert rows == [(shown, "", services[name]), ("", "(others)", "(others)")]


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
    monkeypatch.setattr(name_lists, "MAX_ITEMS", 2)
    case.write(otlp.line(*[otlp.span(f"m{number}") for number in range(9)], otlp.span("m7")))
    found = case.attest()
    assert [name.name for name in found.unregistered_names] == ["m7", "m0"]
    assert len(found.model_warnings) == 2
    assert found.population.models_called == 9
    assert "The list `unregistered_names` has the first 2 of 9 items. The others have 7 calls." in found.limits


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
