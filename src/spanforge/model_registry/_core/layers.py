"""The two layers of a registry as data: the application's entries, and above them the entries of the files.

``compute_entries`` computes all entries in force. ``change_layers`` computes only the entry that an operation changes.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.errors import ModelRegistryError
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, find_ended_statuses, is_temporary
from spanforge.model_registry._core.operations import (
    FileChange,
    Operation,
    apply_operation,
    find_differing_fields,
    merge_operations,
)
from spanforge.model_registry._core.overlay import OverlayMap
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.validation import MAX_HISTORY
from spanforge.model_registry._core.values import escape, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry

    Entries = OverlayMap[str, ModelRegistryEntry]
    Operations = OverlayMap[str, tuple[Operation, ...]]

_warnings: Final = WarnOnce(100)


class Layers(NamedTuple):
    """The layers from which the entries in force are computed. They are immutable, and the keys are model ids.

    Attributes:
        app: The application's entries, in the order of registration.
        files: The files' entries, in the order of the files; ``None`` if the registry has only one layer.
        operations: The changes of status in this process that the files do not contain yet, oldest first. An empty
            tuple means that the model's operations were removed.
    """

    app: Entries
    files: Mapping[str, ModelRegistryEntry] | None
    operations: Operations

    def has_file_entry(self, model_id: str) -> bool:
        """Check whether a file contains the model."""
        return self.files is not None and model_id in self.files


ONE_LAYER: Final = Layers(OverlayMap({}), None, OverlayMap({}))
"""An empty registry with one layer, which files replace."""
TWO_LAYERS: Final = Layers(OverlayMap({}), {}, OverlayMap({}))
"""An empty registry with a layer for files above the application's."""


def compute_entries(layers: Layers) -> list[ModelRegistryEntry]:
    """Return the entries in force: the files' entries after the operations, then the application's other entries."""
    files = layers.files
    if not files:
        return layers.app.values()
    file_entries = [_apply_operations(entry, layers.operations.get(model_id, ())) for model_id, entry in files.items()]
    app_entries = [entry for model_id, entry in layers.app.items() if model_id not in files]
    return file_entries + app_entries


def change_layers(
    layers: Layers, old_entry: ModelRegistryEntry | None, operation: Operation
) -> tuple[Layers, ModelRegistryEntry]:
    """Return the layers after an operation, and the model's entry that is then in force.

    Args:
        layers: The layers before the operation.
        old_entry: The model's entry in force before the operation; ``None`` if the model is not registered.
        operation: The operation.

    Raises:
        ModelRegistryError: The old entry does not allow the operation.
    """
    model_id = operation.model_id
    if old_entry is not None and layers.has_file_entry(model_id):
        return _change_file_model(layers, old_entry, operation)
    entry = apply_operation(old_entry, operation)
    if entry is old_entry:
        return layers, entry
    operations = _add_operation(layers, operation)
    if old_entry is None and model_id in operations:
        # A file contained the model before. Its operations must not change the new registration.
        operations = operations.with_items({model_id: ()})
    return Layers(layers.app.with_items({model_id: entry}), layers.files, operations), entry


def _change_file_model(
    layers: Layers, old_entry: ModelRegistryEntry, operation: Operation
) -> tuple[Layers, ModelRegistryEntry]:
    """Return the layers after an operation on a file's model, and the entry that is then in force.

    A registration changes only the application's layer. The entry in force remains the same object.
    """
    app = layers.app
    app_entry = _change_app_entry(layers, operation)
    if app_entry is not None:
        app = app.with_items({operation.model_id: app_entry})
    if OPERATIONS[operation.name].registers:
        return layers._replace(app=app), old_entry
    return Layers(app, layers.files, _add_operation(layers, operation)), apply_operation(old_entry, operation)


def _change_app_entry(layers: Layers, operation: Operation) -> ModelRegistryEntry | None:
    """Return the application's entry of a file's model after an operation; ``None`` if the entry does not change.

    The entry takes effect when the file drops the model. An operation that its status forbids is skipped.
    """
    app_entry = layers.app.get(operation.model_id)
    try:
        new_entry = apply_operation(app_entry, operation)
    except ModelRegistryError:
        return None
    if app_entry is not None:
        return new_entry
    # At the first registration by the application, the status that was set on the file's model applies to it too.
    return _apply_operations(new_entry, layers.operations.get(operation.model_id, ()))


def _add_operation(layers: Layers, operation: Operation) -> Operations:
    """Return the operations of the layers with this one added.

    It is not added if it changes no status, if the registry has one layer, or if an earlier operation forbids it.
    """
    if layers.files is None or OPERATIONS[operation.name].registers:
        return layers.operations
    file_entry = layers.files.get(operation.model_id)
    if file_entry is not None:
        operation = operation._replace(file_change=_find_last_change(file_entry))
    earlier_operations = layers.operations.get(operation.model_id, ())
    if earlier_operations and not _allows(earlier_operations[-1], operation):
        return layers.operations  # a file had the model before; its status then forbids this operation
    return layers.operations.with_items({operation.model_id: _append_operation(earlier_operations, operation)})


def replace_app_layer(layers: Layers, entries: Iterable[ModelRegistryEntry]) -> Layers:
    """Return the layers with the application's entries replaced. Operations on files' models are kept."""
    app = OverlayMap({entry.model_id: entry for entry in entries})
    kept_operations = {
        model_id: operations
        for model_id, operations in layers.operations.items()
        if operations and layers.has_file_entry(model_id)
    }
    return Layers(app, layers.files, OverlayMap(kept_operations))


def replace_file_layer(layers: Layers, entries: Iterable[ModelRegistryEntry]) -> Layers:
    """Return the layers with the files' entries replaced. If there is only one layer, the entries replace that layer.

    Operations on a model are removed when its file has their status or a later one; see ``Status.rank``.
    """
    if layers.files is None:
        return replace_app_layer(layers, entries)
    files = {entry.model_id: entry for entry in entries}
    kept_operations = {
        model_id: operations
        for model_id, operations in layers.operations.items()
        if operations and (model_id not in files or _still_apply(operations, files[model_id]))
    }
    return Layers(layers.app, files, OverlayMap(kept_operations))


def warn_about_differences(layers: Layers, model_ids: Iterable[str]) -> None:
    """Warn once per model if the application and a file describe the model differently."""
    if not layers.files:
        return
    for model_id in model_ids:
        app_entry, file_entry = layers.app.get(model_id), layers.files.get(model_id)
        if app_entry is None or file_entry is None:
            continue
        fields = find_differing_fields(app_entry, file_entry)
        if fields:
            text = "model registry: model %s: code and registry file differ in %s; the file takes precedence"
            _warnings.warn(model_id, text, quote(model_id), ", ".join(map(escape, fields)))


def _apply_operations(entry: ModelRegistryEntry, operations: Iterable[Operation]) -> ModelRegistryEntry:
    """Return the entry after operations. An operation that its status forbids is skipped."""
    for operation in operations:
        with suppress(ModelRegistryError):
            entry = apply_operation(entry, operation)
    return entry


def _append_operation(operations: tuple[Operation, ...], operation: Operation) -> tuple[Operation, ...]:
    """Return the operations with one more. If there are more than a history keeps, the first two are merged."""
    if len(operations) < MAX_HISTORY:
        return (*operations, operation)
    return (merge_operations(*operations[:2]), *operations[2:], operation)


def _allows(earlier: Operation, later: Operation) -> bool:
    """Check whether the status that an operation leads to allows a later operation."""
    return later.name in LIFECYCLE[OPERATIONS[earlier.name].target].operations


def _still_apply(operations: tuple[Operation, ...], entry: ModelRegistryEntry) -> bool:
    """Check whether operations still apply to a file's entry; ``Status.rank`` documents the rule."""
    last = operations[-1]
    target = OPERATIONS[last.name].target
    if last.file_change is not None and (find_ended_statuses(last.name) or is_temporary(target)):
        return target != entry.status and last.file_change == _find_last_change(entry)
    return LIFECYCLE[target].rank > LIFECYCLE[entry.status].rank


def _find_last_change(entry: ModelRegistryEntry) -> FileChange:
    """Return the last change of status in a file's entry."""
    changed_at = None
    history = entry.metadata.get("history", ())
    for earlier, later in itertools.pairwise(history):
        if earlier["status"] != later["status"]:
            changed_at = later["at"]
    return FileChange(entry.status, changed_at)
