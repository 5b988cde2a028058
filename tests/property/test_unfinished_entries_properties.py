"""Files of unfinished entries: they do not load before each empty field is filled in, and then give the entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.unfinished import fill_in

from spanforge.model_registry import ModelRegistryEntry, RegistryFileError
from spanforge.model_registry._cli.unfinished_entries import (
    FIELD_HINTS,
    UnfinishedEntry,
    format_unfinished,
)
from spanforge.model_registry._core.storage import parse_entries

if TYPE_CHECKING:
    from collections.abc import Iterable

COMMENTS = st.lists(st.text(max_size=12), max_size=2)
MISSING = st.sets(st.sampled_from([field for field in FIELD_HINTS if field != "model_id"]))


@st.composite
def unfinished(draw: st.DrawFn) -> UnfinishedEntry:
    """Draw an entry of any content, without some of its required fields."""
    fields = draw(st.from_type(ModelRegistryEntry)).to_dict()
    missing = draw(MISSING)
    places = st.sampled_from([*fields, *(f"metadata.{key}" for key in fields["metadata"])])
    sources = draw(st.dictionaries(places, st.text(max_size=12), max_size=3))
    return UnfinishedEntry({field: fields[field] for field in fields if field not in missing}, draw(COMMENTS), sources)


def check_unique(entries: Iterable[UnfinishedEntry]) -> list[UnfinishedEntry]:
    return list({entry.fields["model_id"]: entry for entry in entries}.values())


@given(st.lists(unfinished(), max_size=2).map(check_unique), COMMENTS)
def test_the_file_gives_the_entries(entries: list[UnfinishedEntry], heading: list[str]) -> None:
    """A file with an empty field is refused. With each one filled in, the file has the entries, whatever they hold."""
    text = format_unfinished(entries, heading)
    if any(entry.list_missing() for entry in entries):
        with pytest.raises(RegistryFileError) as caught:
            parse_entries("models.yaml", text.encode())
        assert caught.value.field in FIELD_HINTS
    assert parse_entries("models.yaml", fill_in(text).encode()) == [entry.check() for entry in entries]
    assert all(line.isprintable() for line in text.splitlines())


def test_the_layout() -> None:
    """A file says in comments where a value is from, and what to fill in."""
    metadata = {"provider": "openai", "successor": "no", "aliases": [f"name-{number}" for number in range(20)]}
    fields = {"model_id": "gpt-4o", "name": "GPT-4o: \n\u202e", "version": "2024-08-06", "metadata": metadata}
    entry = UnfinishedEntry(fields, ["ends 2027\nsoon"], {"metadata.provider": "litellm_provider", "owner": "see wiki"})
    lines = format_unfinished([entry, UnfinishedEntry({"model_id": "x"})], ["From a test."]).splitlines()
    assert lines[:14] == [
        "# From a test.",
        "",
        "# ends 2027\\nsoon",
        "- model_id: gpt-4o",
        '  name: "GPT-4o: \\n\\U0000202e"',
        "  version: 2024-08-06",
        "  risk_tier:  # fill in: low, medium, high or critical",
        "  owner:  # fill in: the team or person responsible; see wiki",
        "  purpose:  # fill in: the intended use",
        "  metadata:",
        "    provider: openai  # litellm_provider",
        '    successor: "no"',
        "    aliases:",
        "      - name-0",
    ]
    assert format_unfinished([], ["None."]) == "# None.\n[]\n"
