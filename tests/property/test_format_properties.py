"""Evidence in the formats of other tools, for any names, owners, services and clauses."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.evidence_formats import read_bom, read_oscal, read_properties
from support.hostile_evidence import BROKEN, IDS, MARKED, WRITTEN, make_entries, make_evidence, make_line

from spanforge.model_registry.compliance._formats.cyclonedx import render_bom
from spanforge.model_registry.compliance._formats.markup import clean_string, escape_markup, make_tokens
from spanforge.model_registry.compliance._formats.oscal import render_results

if TYPE_CHECKING:
    from spanforge.model_registry.compliance import Attestation, EvidencePackage


@given(MARKED)
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    """An escaped text is one paragraph of plain text, in which white space is collapsed at the ends only."""
    tokens = MarkdownIt().parse(escape_markup(text))
    shown = "".join(child.content for token in tokens for child in token.children or ())
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    assert shown == clean_string(text)
    assert {child.type for token in tokens for child in token.children or ()} <= {"text", "text_special"}


def test_control_characters_are_escaped() -> None:
    """White space and control characters become escapes, and white space at the ends is removed."""
    assert clean_string(" a\x00\u202eb\u2028 ") == "a\\x00\\u202eb\\u2028"


@given(st.lists(BROKEN | st.sampled_from(["A 1", "A-1", "A-1-2", "x", "x-3", "5.1"])))
def test_tokens_are_unique(names: list[str]) -> None:
    """Each name has a token of its own, of the characters that OSCAL allows in ids."""
    tokens = make_tokens(names)
    assert len(set(tokens)) == len(tokens) == len(names)
    assert all(token[0].isalpha() or token[0] == "_" for token in tokens)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", token) for token in tokens)


def test_tokens_of_usual_clauses() -> None:
    """The number of a clause stays as it is, as far as OSCAL allows it in an id."""
    assert make_tokens(["CC6.1", "MAP 1.1", "5.1", "_x", "Art. 12", ""]) == [
        *("CC6.1", "MAP-1.1", "clause-5.1", "_x", "Art.-12", "clause-"),
    ]


def replace_texts(attestation: Attestation, texts: list[str]) -> Attestation:
    """Return an attestation whose framework, clauses, notes and limits have other texts, as a custom framework's."""
    first, second, third = texts
    replace: Any = msgspec.structs.replace
    return replace(
        attestation,
        framework_name=first,
        clauses=tuple(
            replace(clause, clause=f"{second}{number}", asks=third, not_shown=(first, second))
            for number, clause in enumerate(attestation.clauses)
        ),
        checks=tuple(replace(check, title=second, unit=third, notes=(first,)) for check in attestation.checks),
        limits=(*attestation.limits, first, second),
    )


def render(package: EvidencePackage, attestation: Attestation) -> tuple[bytes, bytes]:
    """Return the OSCAL document and the BOM of evidence with this attestation."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in package.list_files().items()}
    bom = render_bom(attestation, digests["attestation.json"], package.model_calls)
    return render_results(attestation, digests), bom


@settings(max_examples=40)
@given(
    st.lists(IDS, unique=True, max_size=2),
    st.lists(WRITTEN | MARKED, min_size=4, max_size=4),
    st.lists(BROKEN, min_size=1, max_size=4),
    st.lists(BROKEN, min_size=1, max_size=2),
    st.lists(MARKED, min_size=3, max_size=3),
    st.none() | IDS,
)
def test_each_format_has_the_figures_of_the_attestation(  # noqa: PLR0913 - one argument per kind of text
    ids: list[str], fields: list[str], called: list[str], services: list[str], texts: list[str], asked: str | None
) -> None:
    """Each document is valid, has the attestation's figures, and is the same for the same evidence."""
    ids = ids if asked is None else list(dict.fromkeys([*ids, asked]))
    lines = [make_line([*called, *ids], service) for service in services]
    package = make_evidence(lines, make_entries(ids, [text.strip() or "x" for text in fields]), asked)
    attestation = replace_texts(package.attestation, texts)
    oscal, bom = render(package, attestation)
    assert render(package, attestation) == (oscal, bom)
    check_bom(read_bom(bom), attestation)
    check_results(read_oscal(oscal), attestation)


def check_bom(bom: dict[str, Any], attestation: Attestation) -> None:
    """Check that a BOM has the attestation's calls and models."""
    components = [read_properties(component["properties"]) for component in bom["components"]]
    population = attestation.population
    assert sum(int(facts["calls"]) for facts in components) == population.calls
    assert len(components) == population.models_called
    stated = read_properties(bom["metadata"]["properties"])
    assert (stated["calls"], stated["models_called"]) == (str(population.calls), str(population.models_called))
    assert bom["metadata"]["timestamp"] == attestation.generated_at
    unregistered = Counter(int(facts["calls"]) for facts in components if facts["registered"] == "false")
    assert unregistered == Counter(name.calls for name in attestation.unregistered_names)


def check_results(results: dict[str, Any], attestation: Attestation) -> None:
    """Check that assessment results have the attestation's checks, clauses and figures."""
    (result,) = results["results"]
    figures = read_properties(result["props"])
    for name in ("calls", "spans", "models", "models_called", "agent_spans", "lifecycle_events", "log_calls"):
        assert figures[name.replace("_", "-")] == str(getattr(attestation.population, name))
    assert (result["start"], result["end"]) == (attestation.period.from_date, attestation.period.to_date)
    for observation, check in zip(result["observations"], attestation.checks, strict=True):
        stated = read_properties(observation["props"])
        assert stated["status"] == check.status
        assert (stated["population"], stated["exceptions"]) == (str(check.population), str(check.exceptions))
    for finding, clause in zip(result["findings"], attestation.clauses, strict=True):
        assert finding["target"]["status"]["state"] == (
            "satisfied" if clause.status == "supported" else "not-satisfied"
        )
        assert len(finding["related-observations"]) == len(clause.checks)
