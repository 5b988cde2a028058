"""``change_file``: one lifecycle operation on a registry file, with the file locked."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry, RegistryFileError, RegistryFileNotFoundError
from spanforge.model_registry._cli.differences import FieldChange, list_field_changes
from spanforge.model_registry._cli.entry_edits import edit_content
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._core.errors import shorten
from spanforge.model_registry._core.file_lock import lock_folder
from spanforge.model_registry._core.similar_names import suggest_name
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.storage import (
    limit_parts,
    parse_entries,
    read_registry_file,
    resolve_target,
    translate_write_errors,
    write_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Operate = Callable[[ModelRegistry], ModelRegistryEntry]

_NEW_FILE = b"[]\n"


class ChangeRequest(NamedTuple):
    """An operation on one model of a file.

    Attributes:
        model_id: The model.
        operate: The operation on a registry that contains the file's entry of the model, if there is one.
        registers: ``True`` if the file, or the model in it, may be missing.
    """

    model_id: str
    operate: Operate
    registers: bool = False


class ChangedFile(NamedTuple):
    """The result of an operation on a file.

    Attributes:
        path: The path of the file.
        before: The entry before the operation; ``None`` if the file did not have the model.
        after: The entry after the operation.
        old: The content before; ``None`` if there was no file.
        new: The content after.
    """

    path: str
    before: ModelRegistryEntry | None
    after: ModelRegistryEntry
    old: bytes | None
    new: bytes

    def list_changes(self) -> list[FieldChange]:
        """List the values that differ. The history, which grows with each change, is left out."""
        return [each for each in list_field_changes(self.before, self.after) if each.field != "metadata.history"]

    def list_diff_lines(self) -> list[str]:
        """List the lines of a unified diff of the file, without line ends."""
        old, new = (_decode_file(content).splitlines() for content in (self.old or b"", self.new))
        return list(difflib.unified_diff(old, new, self.path, self.path, lineterm=""))


def change_file(path: str, request: ChangeRequest, wait: float) -> ChangedFile:
    """Run an operation on a model, and write the changed file.

    The folder is locked, and the file is read with the lock held. So operations at the same time lose nothing.

    Args:
        path: The path of the file.
        request: The operation.
        wait: The seconds to wait while another process changes a file of the folder.

    Raises:
        RegistryFileError: The file cannot be read or written, is not valid, or shares the values of the entry.
        ModelRegistryError: The lifecycle does not allow the operation, or a value is not allowed.
    """
    target = resolve_target(path)
    with translate_write_errors(path), lock_folder(os.path.dirname(target), wait):
        change = plan_change(path, request)
        if change.new != change.old:
            if change.old is not None and not _is_writable(target):
                raise RegistryFileError(path, "cannot be written: it is read-only")
            write_target(path, target, limit_parts(path, [change.new]))
    return change


def plan_change(path: str, request: ChangeRequest) -> ChangedFile:
    """Return the result of an operation without writing the file, or raise the errors of ``change_file``."""
    old = _read_old(path, request)
    content = _NEW_FILE if old is None else old
    entries = parse_entries(path, content)
    before = next((entry for entry in entries if entry.model_id == request.model_id), None)
    if before is None and not request.registers:
        raise UsageError(_explain_unknown(path, request.model_id, [entry.model_id for entry in entries]))
    registry = ModelRegistry(auto_emit=False)
    replace_file_entries(registry, [before] if before else [])
    change = ChangedFile(path, before, request.operate(registry), old, content)
    if before is not None and not change.list_changes():
        return change._replace(after=before)  # without the new record of the history
    return change._replace(new=edit_content(path, content, entries, change.after))


def _is_writable(path: str) -> bool:
    """Check whether this user may write a file. Only the folder decides whether it can be replaced."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _read_old(path: str, request: ChangeRequest) -> bytes | None:
    try:
        return read_registry_file(path)[1]
    except RegistryFileNotFoundError:
        if request.registers:
            return None
        raise


def _explain_unknown(path: str, model_id: str, known: list[str]) -> str:
    return f"{path}: model {shorten(model_id)} is not registered{suggest_name(model_id, known)}"


def _decode_file(content: bytes) -> str:
    """Return the text of a file for a diff."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return content.decode(encoding, "replace")
