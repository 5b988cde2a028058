"""Log lines about conflicts of names: the same for entries that are registered, and for those that are loaded."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.name_strategies import ENTRIES

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.name_conflicts import warn_about_entry
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_MODEL_OF_GLOB = re.compile("(?<=also matches the model ).*")
"""The first model that a glob matches, which depends on the order of the entries."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=ENTRIES, data=st.data())
def test_lines_about_names(
    caplog: pytest.LogCaptureFixture,
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[ModelRegistryEntry],
    data: st.DataObject,
) -> None:
    """A load logs the lines that registrations in the same order log; another order has lines about the same names."""
    path = tmp_path_factory.getbasetemp() / "models.json"
    registered, loaded = list_lines(caplog, entries, path)
    assert registered == loaded
    others, _ = list_lines(caplog, data.draw(st.permutations(entries)), path)
    assert {_MODEL_OF_GLOB.sub("", line) for line in others} == {_MODEL_OF_GLOB.sub("", line) for line in loaded}


@given(entries=ENTRIES, data=st.data())
def test_entry_that_another_thread_has_replaced(entries: list[ModelRegistryEntry], data: st.DataObject) -> None:
    """The check of a new entry takes an index that lacks it, or has only some of its names."""
    kept = data.draw(st.lists(st.sampled_from(entries), unique_by=id)) if entries else []
    index = ModelIndex(ModelRegistryEntry(each.model_id, "N", "1", "low", "t", "p") for each in kept)
    for entry in entries:
        warn_about_entry(index, entry)


def list_lines(
    caplog: pytest.LogCaptureFixture, entries: list[ModelRegistryEntry], path: Path
) -> tuple[list[str], list[str]]:
    """Return the lines that registrations of these entries log, and those of a load, each in alphabetical order."""
    registry, lines = ModelRegistry(auto_emit=False), []

    def register() -> None:
        for entry in entries:
            registry.register(entry.model_id, "N", "1", "low", "t", "p", metadata=entry.metadata)
        registry.save(path, overwrite=True)

    for change in (register, lambda: registry.load(path)):
        reset_process()
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            change()
        lines.append(sorted(record.getMessage() for record in caplog.records))
    return lines[0], lines[1]
