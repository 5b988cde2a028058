"""The two layers of a registry as data: the application's entries, and above them those of the files.

``effective`` defines which entries are in force. An operation changes one entry, and ``operate`` says which, so that a
registry need not compute all of them again.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.errors import ModelRegistryError
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, ended_by, is_temporary
from spanforge.model_registry._core.operations import (
    Operation,
    apply_operation,
    differing_fields,
    merge_operations,
)
from spanforge.model_registry._core.overlay import OverlayMap
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.validation import MAX_HISTORY
from spanforge.model_registry._core.values import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.lifecycle import ModelStatus

    Entries = OverlayMap[str, ModelRegistryEntry]
    Operations = OverlayMap[str, tuple[Operation, ...]]

_warnings: Final = WarnOnce(100)


class Layers(NamedTuple):
    """What the entries in force are made of. Immutable; by model id.

    Attributes:
        app: The application's entries, in the order of registration.
        files: The files' entries, in their order; ``None``: the registry has one layer only.
        operations: The changes of status made in this process, oldest first, that no file shows yet.
    """

    app: Entries
    files: Mapping[str, ModelRegistryEntry] | None
    operations: Operations

    def has_file_entry(self, model_id: str) -> bool:
        """Check whether a file has the model."""
        return self.files is not None and model_id in self.files


ONE_LAYER: Final = Layers(OverlayMap({}), None, OverlayMap({}))
"""An empty registry that files replace as a whole."""
TWO_LAYERS: Final = Layers(OverlayMap({}), {}, OverlayMap({}))
"""An empty registry whose files are a layer above the application's."""


def effective(layers: Layers) -> list[ModelRegistryEntry]:
    """Return the entries in force: the files' with the operations on them, then the application's other ones.

    The files' come first also when two globs match one name.
    """
    files = layers.files
    if not files:
        return layers.app.values()
    in_force = [_apply_all(entry, layers.operations.get(model_id, ())) for model_id, entry in files.items()]
    return in_force + [entry for model_id, entry in layers.app.items() if model_id not in files]


def operate(
    layers: Layers, in_force: ModelRegistryEntry | None, operation: Operation
) -> tuple[Layers, ModelRegistryEntry]:
    """Return the layers after an operation, and the model's entry that is then in force.

    To register a file's model changes the application's layer only: the entry in force stays the same object.

    Args:
        layers: The layers before.
        in_force: The model's entry that is in force before; ``None``: there is none.
        operation: The operation.

    Raises:
        ModelRegistryError: The entry in force does not allow the operation.
    """
    model_id = operation.model_id
    registers = OPERATIONS[operation.name].registers
    if in_force is not None and layers.has_file_entry(model_id):
        beneath = _operate_beneath(layers, operation)
        app = layers.app if beneath is None else layers.app.with_items({model_id: beneath})
        if registers:
            return layers._replace(app=app), in_force
        entry = apply_operation(in_force, operation)
    else:
        entry = apply_operation(in_force, operation)
        app = layers.app.with_items({model_id: entry})
    operations = layers.operations
    if layers.files is not None and not registers:
        file = layers.files.get(model_id)
        noted = operation if file is None else operation._replace(file_change=_last_change(file))
        operations = operations.with_items({model_id: _append_operation(operations.get(model_id, ()), noted)})
    elif in_force is None and model_id in operations:  # a file had the model once, and the application begins anew
        operations = operations.with_items({model_id: ()})
    return Layers(app, layers.files, operations), entry


def replace_app_layer(layers: Layers, entries: Iterable[ModelRegistryEntry]) -> Layers:
    """Return the layers with other entries of the application; operations on files' models still hold."""
    app = OverlayMap({entry.model_id: entry for entry in entries})
    operations = {
        model_id: operations
        for model_id, operations in layers.operations.items()
        if operations and layers.has_file_entry(model_id)
    }
    return Layers(app, layers.files, OverlayMap(operations))


def replace_file_layer(layers: Layers, entries: Iterable[ModelRegistryEntry]) -> Layers:
    """Return the layers with other entries of the files; a registry of one layer then has these entries only.

    Operations on a model end when its file shows their status or one that counts more, see ``Status.rank``.
    """
    if layers.files is None:
        return replace_app_layer(layers, entries)
    files = {entry.model_id: entry for entry in entries}
    operations = {
        model_id: operations
        for model_id, operations in layers.operations.items()
        if operations and (model_id not in files or _outrank(operations, files[model_id]))
    }
    return Layers(layers.app, files, OverlayMap(operations))


def warn_about_differences(layers: Layers, model_ids: Iterable[str]) -> None:
    """Warn, once for each of these models, if the application describes it otherwise than its file."""
    for model_id in model_ids if layers.files else ():
        own, file = layers.app.get(model_id), (layers.files or {}).get(model_id)
        fields = differing_fields(own, file) if own is not None and file is not None else []
        if fields:
            text = "model registry: model %s: code and registry file differ in %s; the file takes precedence"
            _warnings.warn(model_id, text, quote(model_id), ", ".join(fields))


def _operate_beneath(layers: Layers, operation: Operation) -> ModelRegistryEntry | None:
    """Return the application's entry of a file's model after an operation; ``None``: there is none, or it stays.

    It is in force on the day when no file has the model any more. What its own status forbids is no error today.
    """
    own = layers.app.get(operation.model_id)
    with suppress(ModelRegistryError):
        changed = apply_operation(own, operation)
        return changed if own is not None else _apply_all(changed, layers.operations.get(operation.model_id, ()))
    return None


def _apply_all(entry: ModelRegistryEntry, operations: Iterable[Operation]) -> ModelRegistryEntry:
    """Return the entry after operations; one that its status does not allow by now changes nothing."""
    for operation in operations:
        with suppress(ModelRegistryError):
            entry = apply_operation(entry, operation)
    return entry


def _append_operation(operations: tuple[Operation, ...], operation: Operation) -> tuple[Operation, ...]:
    """Return the operations with one more, as many as a history keeps: the first two become one."""
    if len(operations) < MAX_HISTORY:
        return (*operations, operation)
    return (merge_operations(*operations[:2]), *operations[2:], operation)


def _outrank(operations: tuple[Operation, ...], entry: ModelRegistryEntry) -> bool:
    """Check whether operations still hold over a file's entry, by the rule at ``Status.rank``."""
    last = operations[-1]
    target = OPERATIONS[last.name].target
    if last.file_change is not None and (ended_by(last.name) or is_temporary(target)):
        return target != entry.status and last.file_change == _last_change(entry)
    return LIFECYCLE[target].rank > LIFECYCLE[entry.status].rank


def _last_change(entry: ModelRegistryEntry) -> tuple[ModelStatus, str | None]:
    """Return the status of a file's entry, and the time when its history last changed the status, if it did."""
    history = entry.metadata.get("history", ())
    pairs = itertools.pairwise(reversed(history))
    return entry.status, next((later["at"] for later, earlier in pairs if earlier["status"] != later["status"]), None)
