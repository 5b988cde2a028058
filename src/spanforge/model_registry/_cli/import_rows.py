"""Rows of imports: what a source knows of each model, and how the content of a source is decoded."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from spanforge.model_registry._cli.unfinished_entries import UnfinishedEntry
from spanforge.model_registry._core.calendar_feeds import read_input
from spanforge.model_registry._core.calendar_files import decode_json, read_yaml
from spanforge.model_registry._core.errors import RegistryFileError, describe_type
from spanforge.model_registry._core.json_texts import decode_json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_YAML_SIZE: Final = 16 * 1024 * 1024
"""The limit of the bytes of a source in YAML, which takes a hundred times as long as JSON."""
MAX_DOCUMENTS: Final = 10_000
"""The limit of documents in one YAML file, because each takes memory. Catalogues have one for each model."""
_DOCUMENT_MARK: Final = re.compile(rb"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
"""The line between documents. YAML forbids it at the start of a line in any scalar."""


class ImportRow(NamedTuple):
    """What a source knows of one model.

    Attributes:
        place: Where it is in the source: ``model_list[2]``.
        entry: The known fields.
        providers: The providers that serve the model, in the spelling of the source; empty if it states none.
        facts: Texts of the source from which ``--owner-from`` chooses.
        skip: The reason for which the row is no entry; ``None`` if it is one.
        is_fault: ``True`` if a person must look at a skipped row.
        names: Further names by which a registry may have the model.
    """

    place: str
    entry: UnfinishedEntry
    providers: tuple[str, ...] = ()
    facts: Mapping[str, str] = MappingProxyType({})
    skip: str | None = None
    is_fault: bool = True
    names: tuple[str, ...] = ()

    @property
    def model_id(self) -> str | None:
        """The id; ``None`` if the source states none."""
        return self.entry.fields.get("model_id")


class ImportSource(NamedTuple):
    """The content of a file to import.

    Attributes:
        name: The name of the file, for errors and comments.
        content: Its bytes.
    """

    name: str
    content: bytes

    def fail(self, reason: str, place: str | None = None) -> NoReturn:
        """Raise the error about a part of the source."""
        raise RegistryFileError(self.name, reason, field=place)

    def decode_json(self) -> Any:
        """Return the value of a JSON file."""
        return decode_json(self.name, decode_json_text(self.name, self.content))

    def decode_yaml(self) -> Any:
        """Return the value of a YAML file, which may be JSON, with all scalars as texts."""
        if self.content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return self.decode_json()
        self._check_yaml_size()
        return read_yaml(self.name, self.content)[1]

    def decode_documents(self) -> list[Any]:
        """Return the values of the documents in a YAML file, with all scalars as texts."""
        self._check_yaml_size()
        parts = _DOCUMENT_MARK.split(self.content)
        if len(parts) > MAX_DOCUMENTS:
            self.fail(f"has more than {MAX_DOCUMENTS:,} YAML documents")
        documents, line = [], 0
        for part in parts:
            if _has_content(part):
                documents.append(self._decode_document(part, line))
            line += part.count(b"\n")
        return documents

    def _decode_document(self, part: bytes, lines_before: int) -> Any:
        try:
            return read_yaml(self.name, part)[1]
        except RegistryFileError as error:
            line = None if error.line is None else error.line + lines_before
            raise RegistryFileError(self.name, error.reason, line=line, column=error.column) from None

    def _check_yaml_size(self) -> None:
        if len(self.content) > MAX_YAML_SIZE:
            self.fail(f"is larger than {MAX_YAML_SIZE:,} bytes, the limit of a source in YAML")

    def list_mappings(self, items: Any, place: str) -> list[dict[str, Any]]:
        """Return a list of mappings after a check; null items are empty mappings."""
        if not isinstance(items, list):
            self.fail(f"must be a list; got {describe_type(items)}", place)
        return [self.check_mapping(item, f"{place}[{index}]") for index, item in enumerate(items)]

    def check_mapping(self, value: Any, place: str | None = None) -> dict[str, Any]:
        """Return a mapping after a check; an empty one for null."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fail(f"must be a mapping; got {describe_type(value)}", place)
        return value


def read_import_source(path: str) -> ImportSource:
    """Return the content of a file, or of standard input for ``-``.

    Raises:
        RegistryFileError: It cannot be read, or is too large.
    """
    return ImportSource(*read_input(path))


def clean_text(value: Any) -> str | None:
    """Return a text or number of a source as text without white space around it; ``None`` for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    text = value.strip() if isinstance(value, str) else ""
    return text or None


def collect_texts(values: Mapping[Any, Any]) -> dict[str, str]:
    """Return the members of a mapping that are texts or numbers, as texts."""
    pairs = ((str(key), clean_text(value)) for key, value in values.items())
    return {key: text for key, text in pairs if text is not None}


def make_unfinished(
    model_id: str | None,
    fields: Mapping[str, Any],
    metadata: Mapping[str, Any],
    notes: Iterable[str] = (),
    sources: Mapping[str, str] = MappingProxyType({}),
) -> UnfinishedEntry:
    """Return an entry with the values that are not empty. Its display name is the id, unless the source has one."""
    known = {key: value for key, value in metadata.items() if value not in (None, "", [])}
    given = {"model_id": model_id, "name": model_id, **{key: value for key, value in fields.items() if value}}
    if known:
        given["metadata"] = known
    places = {*given, *(f"metadata.{key}" for key in known)}
    return UnfinishedEntry(given, tuple(notes), {key: text for key, text in sources.items() if key in places})


def one_or_several(values: Iterable[str]) -> str | list[str] | None:
    """Return the only one of several texts, all of them without repetitions, or ``None``."""
    distinct = list(dict.fromkeys(values))
    return distinct if len(distinct) > 1 else next(iter(distinct), None)


def skip_row(place: str, model_id: str | None, reason: str) -> ImportRow:
    """Return a row that is no entry, with the reason."""
    return ImportRow(place, UnfinishedEntry({"model_id": model_id}), skip=reason)


def _has_content(part: bytes) -> bool:
    """Check whether a YAML document has more than comments, directives and white space."""
    lines = (line.strip(b"\xef\xbb\xbf \t\r") for line in part.split(b"\n"))
    return any(line and not line.startswith((b"#", b"%")) for line in lines)
