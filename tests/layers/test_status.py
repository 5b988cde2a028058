"""The status of a model that a file has: operations, registrations, loads and reloads in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.layers import filed, found, record, register
from support.lifecycle import CHANGING

from spanforge.model_registry import LifecycleError, ModelNotFoundError, ModelRegistry
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS
from spanforge.model_registry._core.state import replace_file_entries

if TYPE_CHECKING:
    from pathlib import Path

    from spanforge.model_registry._core.default import LayeredRegistry


def do(registry: ModelRegistry, step: str, folder: Path) -> None:
    """Do a step with the model ``a``. ``files`` and ``load`` have a status, and an owner if it is not the usual one."""
    action, _, rest = step.partition(" ")
    status, _, owner = rest.partition(" ")
    if action == "files":
        replace_file_entries(registry, [] if status == "none" else [filed(status=status, owner=owner or "file")])
    elif action == "load":
        written = ModelRegistry(auto_emit=False)
        replace_file_entries(written, [filed(status=status, owner=owner or "code")])
        written.save(folder / "models.json")
        registry.load(folder / "models.json")
    elif action == "clear":
        registry.clear()
    elif action == "register":
        register(registry)
    elif action == "replace":
        register(registry, owner=status, replace=True)
    else:
        getattr(registry, action)("a")


STORIES = {
    "retired, then loaded and deprecated without a file": (
        "files active: file active, retire: file retired, load active: file retired, files none: code active, "
        "deprecate: code deprecated, files deprecated: file retired"
    ),
    "a status holds over reloads, until the file shows it": (
        "files active: file active, deprecate: file deprecated, files active: file deprecated, "
        "files active new: new deprecated, files deprecated: file deprecated, files active: file active"
    ),
    "a status holds until the file shows a later one": (
        "files active: file active, deprecate: file deprecated, files retired: file retired, "
        "files deprecated: file deprecated, files active: file active"
    ),
    "retired holds while the file is behind": (
        "files active: file active, deprecate: file deprecated, retire: file retired, files active: file retired, "
        "files deprecated new: new retired, files active: file retired, files retired: file retired, "
        "files deprecated: file deprecated"
    ),
    "retired is final": (
        "files active: file active, retire: file retired, deprecate: refused, retire: refused, "
        "replace other: file retired, files active: file retired, deprecate: refused"
    ),
    "retired by the file is final too": (
        "files retired: file retired, deprecate: refused, retire: refused, files active: file active, "
        "retire: file retired"
    ),
    "model returns to the file": (
        "files active: file active, deprecate: file deprecated, files none: none, deprecate: refused, "
        "files active new: new deprecated, files none: none, files deprecated: file deprecated, "
        "files active: file active"
    ),
    "model leaves the file and is registered": (
        "files active: file active, retire: file retired, files none: none, register: code active, "
        "files active: file active"
    ),
    "application's model is retired with the file's": (
        "register: code active, files active: file active, retire: file retired, files none: code retired, "
        "files active: file retired, files retired: file retired, files active: file active, files none: code retired"
    ),
    "registered only after the file's was retired": (
        "files active: file active, retire: file retired, register: file retired, files none: code retired, "
        "replace other: refused, files active: file retired"
    ),
    "replaced while the file's is deprecated": (
        "files active: file active, register: file active, deprecate: file deprecated, "
        "replace other: file deprecated, files none: other deprecated, retire: other retired"
    ),
    "deprecated in code before a file has it": (
        "register: code active, deprecate: code deprecated, files active: file deprecated, "
        "files none: code deprecated, replace other: other deprecated, files active: file deprecated, "
        "files deprecated: file deprecated, files active: file active"
    ),
    "application's status is later": (
        "register: code active, retire: code retired, files retired: file retired, files active: file active, "
        "deprecate: file deprecated, retire: file retired, files none: code retired"
    ),
    "load and clear change the application's layer": (
        "files active: file active, deprecate: file deprecated, clear: file deprecated, "
        "load retired: file deprecated, files active: file deprecated, files none: code retired, clear: none"
    ),
    "load and clear undo operations on the application's layer": (
        "register: code active, deprecate: code deprecated, load active: code active, files active: file active, "
        "files none: code active, retire: code retired, clear: none, files active: file active"
    ),
    "retirement outlasts a load": (
        "files active: file active, retire: file retired, load active: file retired, files none: code active, "
        "deprecate: code deprecated, files active: file retired"
    ),
}
"""Steps and the owner and the status after each of them."""


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_status_of_one_model(layers: LayeredRegistry, tmp_path: Path, story: str) -> None:
    """After each step the model has the owner of the layer in force and the status of the operations."""
    for number, step_and_outcome in enumerate(story.split(", ")):
        step, outcome = step_and_outcome.split(": ")
        before = layers.list_all()
        if outcome == "refused":
            with pytest.raises((LifecycleError, ModelNotFoundError)):
                do(layers, step, tmp_path)
            assert all(entry is old for entry, old in zip(layers, before, strict=True)), (number, step)
        else:
            do(layers, step, tmp_path)
            state = " ".join(f"{entry.owner} {entry.status}" for entry in layers) or "none"
            assert state == outcome, (number, step)


@pytest.mark.parametrize("operation", CHANGING)
@pytest.mark.parametrize("status", LIFECYCLE)
def test_status_outlasts_reloads_of_an_unchanged_file(layers: LayeredRegistry, status: Any, operation: Any) -> None:
    """The status of an operation is in force until the file has it, whatever the two statuses are."""
    if operation not in LIFECYCLE[status].operations:
        return
    for history in ({}, {"history": [record(0, "active", "file"), record(1, status, "file")]}):
        replace_file_entries(layers, [filed(status=status, metadata=history)])
        getattr(layers, operation)("a")
        for _ in range(3):
            replace_file_entries(layers, [filed(status=status, metadata=history)])
            assert found(layers).status == OPERATIONS[operation].target
        replace_file_entries(layers, [filed(status=OPERATIONS[operation].target)])
        assert found(layers).status == OPERATIONS[operation].target
        replace_file_entries(layers, [filed(status=status)])
        assert found(layers).status == status
