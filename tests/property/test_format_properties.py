"""Evidence in the formats of other tools, for any names, owners, services and clauses."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.evidence_formats import read_bom, read_oscal, read_properties
from support.figures import assert_equal_figures, assert_page_figures
from support.frameworks import drawn_frameworks
from support.hostile_evidence import BROKEN, IDS, MARKED, WRITTEN, make_entries, make_evidence, make_line
from support.pages import ReportPage

from spanforge.model_registry.compliance._formats.markup import clean_string, escape_markup, make_tokens
from spanforge.model_registry.compliance._packages.derived_files import render_derived_files

if TYPE_CHECKING:
    from spanforge.model_registry.compliance import Attestation, Framework


@given(MARKED)
@example("0 __0__")
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


@settings(max_examples=30)
@given(
    st.lists(IDS, unique=True, max_size=2),
    st.lists(WRITTEN | MARKED, min_size=4, max_size=4),
    st.lists(BROKEN, min_size=1, max_size=4),
    st.dictionaries(BROKEN, st.none() | st.sampled_from(["trusted", "untrusted"]), min_size=1, max_size=2),
    drawn_frameworks(),
    st.none() | IDS,
)
def test_each_format_has_the_figures_of_the_attestation(  # noqa: PLR0913 - one argument per kind of text
    ids: list[str],
    fields: list[str],
    called: list[str],
    services: dict[str, str | None],
    framework: Framework,
    asked: str | None,
) -> None:
    """Each file of a package is valid, has the attestation's figures, and is the same for the same evidence."""
    ids = ids if asked is None else list(dict.fromkeys([*ids, asked]))
    lines = [make_line([*called, *ids], service, sender) for service, sender in services.items()]
    entries = make_entries(ids, [text.strip() or "x" for text in fields])
    package, again = (make_evidence(lines, entries, asked, framework) for _ in range(2))
    files = render_derived_files(package, package.list_files())
    assert again.list_files() == package.list_files()
    assert render_derived_files(again, again.list_files()) == files
    attestation = package.attestation
    assert_equal_figures(package)
    assert_page_figures(ReportPage(files["report.html"]), attestation)
    check_bom(read_bom(files["models.cdx.json"]), attestation)
    check_results(read_oscal(files["assessment-results.json"]), attestation)


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
    for observation, check in zip(result.get("observations", ()), attestation.checks, strict=True):
        stated = read_properties(observation["props"])
        assert stated["status"] == check.status
        assert (stated["population"], stated["exceptions"]) == (str(check.population), str(check.exceptions))
        assert {each.name: str(each.value) for each in check.parameters}.items() <= stated.items()
    for finding, clause in zip(result["findings"], attestation.clauses, strict=True):
        assert finding["target"]["status"]["state"] == (
            "satisfied" if clause.status == "supported" else "not-satisfied"
        )
        assert len(finding.get("related-observations", ())) == len(clause.checks)
    objectives = results["local-definitions"]["objectives-and-methods"]
    for objective, clause in zip(objectives, attestation.clauses, strict=True):
        dates = [prop["value"] for prop in objective["props"] if prop["name"] == "applies-from"]
        assert dates == [each.date for each in clause.applies_from]
