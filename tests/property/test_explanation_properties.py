"""Explanations: their result is that of the registry, their suggestions work, and no text controls the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from support.name_strategies import ENTRIES, NAMES, REAL_NAMES, SPAN_PROVIDERS

from spanforge.model_registry._cli.explanation import explain_resolution
from spanforge.model_registry._cli.field_lists import Field, print_fields, print_heading
from spanforge.model_registry._cli.name_reading import read_name
from spanforge.model_registry._cli.remedies import list_near_entries, list_remedies
from spanforge.model_registry._core.names import MatchMode, clean, parse
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistryEntry

PROVIDERS = (None, "", "azure", "OpenAI", "langchain")
MODES: tuple[MatchMode, ...] = ("forms", "exact")


@settings(max_examples=2 * settings.default.max_examples)
@given(entries=ENTRIES, odd=NAMES, provider=st.sampled_from(PROVIDERS), mode=st.sampled_from(MODES))
def test_an_explanation_ends_as_the_name_resolves(
    entries: list[ModelRegistryEntry], odd: str, provider: str | None, mode: MatchMode
) -> None:
    """The last step decides as the registry does, and it shows the text that matched. No earlier step decides."""
    index = ModelIndex(entries)
    for name in (*REAL_NAMES, odd):
        explanation = explain_resolution(index, name, provider, mode)
        match = index.search(name, provider, mode)
        *earlier, last = explanation.steps
        assert explanation.resolution == index.resolve([name], provider, mode)
        assert not any(step.chosen for step in earlier)
        expected = match.ambiguous if match.entry is None else (match.entry,)
        assert last.chosen == tuple(entry.model_id for entry in expected)
        if match.entry is not None:
            assert last.rule == match.rule
            assert explanation.matched is not None
            assert explanation.matched.text in (match.entry.model_id, *match.entry.aliases)
        elif match.refused:
            found = {each.model_id for step in explanation.steps for each in step.found}
            assert found == {entry.model_id for entry in match.refused}


@given(entries=ENTRIES, odd=NAMES, provider=st.sampled_from(PROVIDERS), mode=st.sampled_from(MODES))
def test_a_name_without_an_entry_has_suggestions(
    entries: list[ModelRegistryEntry], odd: str, provider: str | None, mode: MatchMode
) -> None:
    """Every name that can be an id has a suggestion, and each suggestion names an entry that is there or is new."""
    index = ModelIndex(entries)
    for name in (*REAL_NAMES, odd):
        explanation = explain_resolution(index, name, provider, mode)
        if explanation.resolution.entry is not None:
            continue
        near = list_near_entries(index, explanation)
        suggestions = list_remedies(index, explanation, near)
        assert all(each.model_id in index.entries for each in near)
        assert all((each.model_id in index.entries) != (each.action == "register") for each in suggestions)
        assert sum(each.action == "register" for each in suggestions) <= 1
        if name in REAL_NAMES:
            assert suggestions


@given(NAMES, SPAN_PROVIDERS)
def test_the_parts_of_a_name(name: str, provider: str | None) -> None:
    """Route, model and ending together are the name, and the model alone is read as the same model."""
    reading = read_name(name, provider)
    parsed = parse(name, provider)
    assert reading.before + reading.model + reading.after == clean(name)
    assert (reading.base, reading.snapshot, reading.revision) == (parsed.base, parsed.snapshot, parsed.revision)
    if reading.after:
        assert parse(reading.model, reading.provider).base == reading.base


@given(label=st.text(max_size=120), value=st.text(max_size=300))
def test_no_text_controls_the_terminal(label: str, value: str) -> None:
    """Whatever a name or a file contains, lines have 80 columns and only printable characters."""
    with pytest.MonkeyPatch.context() as patch:
        stream = _Stream()
        patch.setattr("sys.stdout", stream)
        print_heading(value, label)
        print_fields(label, [Field(label, value), Field("", label)])
    lines = "".join(stream.texts).split("\n")
    assert all(cell_len(line) <= 80 and line.isprintable() for line in lines)


class _Stream:
    """Standard output that is no terminal, and keeps what is written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, text: str) -> int:
        self.texts.append(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing."""

    def isatty(self) -> bool:
        return False
