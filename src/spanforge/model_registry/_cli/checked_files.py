"""Registry files with all their faults: of the text, of each field of each entry, and ids that occur twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spanforge.model_registry._cli.check_findings import CheckFinding
from spanforge.model_registry._cli.entry_faults import is_unknown_field, list_entry_faults, suggest_fix
from spanforge.model_registry._cli.file_places import NOWHERE, read_items
from spanforge.model_registry._cli.lint_rules import DUPLICATE_ID, INVALID_ENTRY, INVALID_FILE
from spanforge.model_registry._core.errors import RegistryFileError, shorten
from spanforge.model_registry._core.file_hints import add_hint
from spanforge.model_registry._core.storage import parse_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry._cli.file_places import FindingPlace, Items
    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.errors import InvalidValueError


class CheckedFile:
    """A registry file that was read.

    Attributes:
        path: Its path.
        entries: Its entries in their order; ``None`` for an entry with faults.
        ids: The ids of all of them, if they are texts.
        faults: The faults for which the library refuses the file.
        is_empty: ``True`` if it is a list without entries.
    """

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.entries: list[ModelRegistryEntry | None] = []
        self.ids: list[str | None] = []
        self.faults: list[CheckFinding] = []
        self._content = content
        self._items: Items | None = None
        self.is_empty = self._read()

    def _read(self) -> bool:
        try:
            self.entries = [*parse_entries(self.path, self._content)]
        except RegistryFileError:
            return self._read_with_faults()
        self.ids = [entry.model_id for entry in self.entries if entry is not None]
        return not self.entries

    def _read_with_faults(self) -> bool:
        """Read the file again, item by item."""
        try:
            self._items = read_items(self.path, self._content)
        except RegistryFileError as error:
            self.faults.append(_describe_wrong_file(error))
            return False
        for index in range(len(self._items)):
            self._read_item(self._items, index)
        return not self.entries

    def _read_item(self, items: Items, index: int) -> None:
        data = items.get_fields(index)
        duplicates = items.list_duplicates(index)
        entry, faults = list_entry_faults(data)
        model_id = data.get("model_id") if isinstance(data, dict) else None
        self.ids.append(model_id if isinstance(model_id, str) else None)
        self.entries.append(None if duplicates else entry)
        for path, key in duplicates:
            line, column = items.find(index, path, of_key=True)
            message, fix = f"duplicate key {shorten(key)}", "Remove one of the two."
            self.faults.append(self._make_fault(index, path, message, fix, (line, column)))
        for fault in faults:
            self.faults.append(self._describe_fault(items, index, data, fault))

    def _describe_fault(self, items: Items, index: int, data: Any, fault: InvalidValueError) -> CheckFinding:
        field = fault.field if isinstance(data, dict) else None
        place = items.find(index, field, of_key=is_unknown_field(data, fault.field))
        problem = add_hint(fault.problem, items.explain(place))
        return self._make_fault(index, fault.field, f"{fault.field} {problem}", suggest_fix(data, fault), place)

    def _make_fault(self, index: int, field: str, message: str, fix: str, place: FindingPlace) -> CheckFinding:
        return CheckFinding(INVALID_ENTRY, self.path, *place, index, self.ids[index], field, message, fix)

    def refuse(self, index: int, message: str) -> None:
        """Add the fault that another entry has the same id."""
        place = self.find_place(index, "model_id")
        fault = CheckFinding(
            DUPLICATE_ID, self.path, *place, index, self.ids[index], "model_id", message, DUPLICATE_ID.fix
        )
        self.faults.append(fault)
        self.entries[index] = None

    def find_place(self, index: int, field: str | None) -> FindingPlace:
        """Return the place of a value of an entry."""
        if self._items is None:
            self._items = read_items(self.path, self._content)
        return self._items.find(index, field)


def find_duplicate_ids(files: Sequence[CheckedFile]) -> None:
    """Refuse entries whose id an earlier entry has, in the same file or in another one."""
    first: dict[str, tuple[CheckedFile, int]] = {}
    for file in files:
        for index, model_id in enumerate(file.ids):
            if model_id is None:
                continue
            other, other_index = first.setdefault(model_id, (file, index))
            if (other, other_index) != (file, index):
                line, _ = other.find_place(other_index, "model_id")
                message = f"model_id {shorten(model_id)} must be unique; line {line} of {other.path} has it too"
                file.refuse(index, message)


def _describe_wrong_file(error: RegistryFileError) -> CheckFinding:
    """Return the finding about a text that is not a list of entries."""
    place = NOWHERE if error.line is None else (error.line, error.column)
    subject = "the file " if error.reason.startswith(("is ", "must ")) else ""
    return CheckFinding(
        INVALID_FILE, error.path, *place, None, None, None, f"{subject}{error.reason}", INVALID_FILE.fix
    )
