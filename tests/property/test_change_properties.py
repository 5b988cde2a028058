"""``diff`` and ``emit``: the same steps, whatever the registries are, and output that no text can control."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from support.repositories import describe_model

from spanforge.model_registry import LifecycleError, ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._cli.app import run
from spanforge.model_registry._cli.difference_texts import explain_difference, write_markdown, write_text
from spanforge.model_registry._cli.differences import LIFECYCLE_KIND, compare_registries
from spanforge.model_registry._cli.sending import RepeatableIds
from spanforge.model_registry._core.lifecycle import STATUSES
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ENTRIES = st.lists(st.from_type(ModelRegistryEntry), max_size=3, unique_by=lambda entry: entry.model_id)
IDS = st.sampled_from(["a", "b", "a-2026-05-01", "openai/a"])
SMALL = st.builds(
    lambda model_id, status, owner, aliases, metadata: ModelRegistryEntry.from_dict(
        describe_model(model_id, status=status, owner=owner, metadata={"aliases": aliases, **metadata})
    ),
    IDS,
    st.sampled_from(STATUSES),
    st.sampled_from(["x", "y"]),
    st.lists(IDS | st.sampled_from(["c", "a-*"]), max_size=2),
    st.fixed_dictionaries({}, optional={"successor": IDS, "provider": st.sampled_from(["openai", "azure"])}),
)
REGISTRIES = st.lists(SMALL, max_size=4, unique_by=lambda entry: entry.model_id)


@given(before=REGISTRIES, after=REGISTRIES)
def test_diff_and_emit_agree(before: list[ModelRegistryEntry], after: list[ModelRegistryEntry]) -> None:
    """The operations of ``diff`` are those of the events; if a change cannot be emitted, ``diff`` has a finding."""
    difference = compare_registries(before, after)
    steps = [(model.model_id, step.operation_name) for model in difference.models for step in model.steps]
    refused = None
    try:
        events = ModelRegistry(auto_emit=False).emit_changes(before, after)
    except LifecycleError as error:
        refused = error
    if refused is None:
        assert [(event.entry.model_id, event.operation) for event in events] == steps
    else:
        assert (LIFECYCLE_KIND, refused.model_id) in difference.list_findings([])
    changed = {model.model_id for model in difference.models}
    by_id = [{entry.model_id: entry for entry in entries} for entries in (before, after)]
    assert changed == {name for name in {*by_id[0], *by_id[1]} if by_id[0].get(name) != by_id[1].get(name)}


@given(before=REGISTRIES, after=REGISTRIES)
def test_names_that_find_another_entry(before: list[ModelRegistryEntry], after: list[ModelRegistryEntry]) -> None:
    """A name is reported if, and only if, it finds another entry, unless one of the two is added or removed."""
    old, new = ModelIndex(before), ModelIndex(after)
    reported = {(each.name, each.provider): each for each in compare_registries(before, after).names}
    for name in {name for entry in (*before, *after) for name in (entry.model_id, *entry.aliases) if "*" not in name}:
        first, second = (index.find(name) for index in (old, new))
        ids = tuple(None if each is None else each[0].model_id for each in (first, second))
        is_added = ids[0] is None and ids[1] not in old.entries
        is_removed = ids[1] is None and ids[0] not in new.entries
        assert ((name, None) in reported) == (ids[0] != ids[1] and not is_added and not is_removed)


@given(before=ENTRIES, after=ENTRIES)
def test_no_text_controls_the_output(before: list[ModelRegistryEntry], after: list[ModelRegistryEntry]) -> None:
    """Whatever is in the registries, each line of the explanation is one printable line."""
    difference = compare_registries(before, after)
    for line in explain_difference(difference, "old\n", "new\x1b", difference.list_findings(["added", "names-moved"])):
        assert write_text(line).isprintable()
        assert write_markdown(line).strip("\n").isprintable()


@settings(max_examples=20)
@given(after=ENTRIES)
def test_dry_runs_print_any_registry(tmp_path_factory: pytest.TempPathFactory, after: list[ModelRegistryEntry]) -> None:
    """``emit --dry-run`` lists the events of any registry in printable lines."""
    folder = tmp_path_factory.getbasetemp()
    _write(folder / "old.json", [])
    _write(folder / "new.json", after)
    with redirect_stdout(io.StringIO()) as out:
        assert run(["emit", str(folder / "old.json"), str(folder / "new.json"), "--dry-run"]) == 0
    assert all(line.isprintable() for line in out.getvalue().split("\n"))


def _write(path: Path, entries: list[ModelRegistryEntry]) -> None:
    path.write_text(json.dumps([entry.to_dict() for entry in entries]), "utf-8")


@given(after=REGISTRIES.filter(bool))
def test_ids_of_a_repeat(after: list[ModelRegistryEntry]) -> None:
    """A repeat of a change with a revision has the same ids, and another revision other ones."""
    made = []
    for revision in ("1", "1", "2", None, None):
        events = ModelRegistry(auto_emit=False).emit_changes([], after, source_revision=revision)
        ids = RepeatableIds([event._replace(at=1) for event in events])
        made.append([(ids.generate_trace_id(), ids.generate_span_id()) for _ in events])
    assert made[0] == made[1]
    assert len({each for ids in made[1:] for each in ids}) == sum(len(ids) for ids in made[1:])
