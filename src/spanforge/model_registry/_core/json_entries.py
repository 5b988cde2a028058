"""Registry files in JSON: a fast decoder for the canonical form, and a strict decoder that locates every fault."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.entry_fields import ARGUMENTS, ENTRY_FIELDS
from spanforge.model_registry._core.errors import InvalidValueError, RegistryFileError, shorten
from spanforge.model_registry._core.file_texts import CHECKED_ITEMS, SLICE, FaultError, convert_to_utf8
from spanforge.model_registry._core.json_items import JsonArray
from spanforge.model_registry._core.json_places import find_key_position, find_value_position
from spanforge.model_registry._core.json_texts import list_duplicate_keys, refuse_text
from spanforge.model_registry._core.name_limit import add_names
from spanforge.model_registry._core.packed_metadata import pack_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.file_texts import Place

ENCODE_CHUNK: Final = 1_000
"""The number of entries that are encoded at once. They fit into the processor's cache, which saves a third of time."""

MAX_BATCH: Final = 4 * SLICE
"""The limit of bytes that the fast decoder handles at once. It stops at the end of the first entry after a slice."""

_ENTRY_END: Final = re.compile(rb'\}(?=\s{0,99},\s{0,99}\{\s{0,99}"model_id")')
"""The end of an entry before another one, in most files. It may also be in an entry, which then cannot be decoded."""

_decode_entries = msgspec.json.Decoder(list[ModelRegistryEntry]).decode


def encode_parts(entries: list[ModelRegistryEntry]) -> Iterator[bytes]:
    """Yield the content of the file with these entries, in parts."""
    for start in range(0, len(entries), ENCODE_CHUNK):
        array = msgspec.json.format(msgspec.json.encode(entries[start : start + ENCODE_CHUNK]), indent=2)
        yield b"," if start else b"["
        yield array[len(b"[") : -len(b"\n]")]
    yield b"\n]\n" if entries else b"[]\n"


def parse_json(name: str, content: bytes) -> list[ModelRegistryEntry]:
    """Return the entries of a JSON file with this name and content.

    Raises:
        RegistryFileError: The content is not valid. If the fault is in an entry, the error names its index, model and
            field.
    """
    items = _open_items(name, content)
    last = _find_last(items.content)
    entries: list[ModelRegistryEntry] = []
    names = 0
    while items.find_next():
        end = _find_batch_end(items, last)
        batch = _decode_canonical_entries(items.content[items.position : end])
        if batch is None:
            batch = list(_read_strictly(name, items, end))
        else:
            items.skip(end, len(batch))
        names = add_names(name, names, batch)
        entries += map(pack_metadata, batch)
    return entries


def find_id_in_json(name: str, content: bytes, index: int) -> Place:
    """Return the place of the id of an entry in a valid file."""
    items = _open_items(name, content)
    while items.find_next():
        item = items.read()
        if items.index == index:
            break
    return _find_json_field(items, item, "model_id")


def _open_items(name: str, content: bytes) -> JsonArray:
    try:
        return JsonArray(name, convert_to_utf8(content, "JSON"))
    except FaultError as fault:
        raise refuse_text(name, fault) from None


def _find_last(content: bytes) -> int:
    """Return the end of the last item of a file, or of the file if it does not end with a bracket."""
    end = _strip_end(content, len(content))
    return _strip_end(content, end - 1) if content[end - 1 : end] == b"]" else len(content)


def _strip_end(content: bytes, end: int) -> int:
    """Return the end of the content before white space and an end."""
    while end > 0:
        start = max(end - SLICE, 0)
        piece = content[start:end].rstrip(b" \t\r\n")
        if piece:
            return start + len(piece)
        end = start
    return 0


def _find_batch_end(items: JsonArray, last: int) -> int:
    """Return the end of the entries that the fast decoder handles at once. It is probably the end of an entry."""
    if last <= items.position + MAX_BATCH:
        return last
    match = _ENTRY_END.search(items.content, items.position + SLICE, items.position + MAX_BATCH)
    return items.position + SLICE if match is None else match.end()


def _decode_canonical_entries(content: bytes) -> list[ModelRegistryEntry] | None:
    """Return entries in canonical form, with any indentation; ``None`` if they need the strict decoder.

    The form is canonical if the entries encode to the same text. It then has no duplicate key, because decoding drops
    one of the two. This is the cheapest exact check. Compared with ``json.loads``, it takes 0.3 of the time. A hook for
    objects in ``json.loads`` takes 1.4, decoding to plain dicts and counting their keys takes 1.7, and a regular
    expression for keys takes 5.8. Counting colons in the text is not exact: a missing optional field and a duplicate
    one cancel out.

    If parts of an array can each be decoded, they were cut between items, because JSON can be read in one way only.
    """
    array = b"[%b]" % content
    try:
        entries = _decode_entries(array)
        encoded = msgspec.json.encode(entries)
        is_canonical = msgspec.json.format(encoded, indent=2)[len(b"[\n  ") : -len(b"\n]")] == content
        if not is_canonical:
            is_canonical = encoded == msgspec.json.format(array, indent=-1)
    except (msgspec.MsgspecError, InvalidValueError, UnicodeError, RecursionError):
        return None
    return entries if entries and is_canonical else None


def _read_strictly(name: str, items: JsonArray, end: int) -> Iterator[ModelRegistryEntry]:
    """Yield the entries of any JSON file up to an end. This is slow, and its errors locate the fault."""
    while True:
        item = items.read()
        try:
            entry = _make_json_entry(name, items, item)
        except RegistryFileError:
            _check_structure(items)
            raise
        yield entry
        if items.position >= end or not items.find_next():
            return


def _check_structure(items: JsonArray) -> None:
    """Raise an error if the text of the next items is not valid."""
    for _ in range(CHECKED_ITEMS):
        if items.is_cut_off or not items.find_next():
            return
        items.read()


def _make_json_entry(name: str, items: JsonArray, item: Any) -> ModelRegistryEntry:
    try:
        _refuse_duplicate_key(item)
        return ModelRegistryEntry.from_dict(item)
    except InvalidValueError as error:
        field = error.field if isinstance(item, dict) or error.problem.startswith("duplicate") else None
        place: tuple[int | None, int | None] = None, None
        with suppress(RecursionError):  # the item was read with more of the stack left
            place = _find_json_field(items, item, field)
        raise RegistryFileError(name, error.problem, items.index, error.model_id, field, *place) from None


def _refuse_duplicate_key(item: Any) -> None:
    """Refuse an entry with a duplicate key."""
    duplicate = next(list_duplicate_keys(item), None)
    if duplicate is not None:
        path, key = duplicate
        model_id = item.get("model_id") if isinstance(item, dict) else None
        model_id = model_id if isinstance(model_id, str) else None
        raise InvalidValueError(path, None, f"duplicate key {shorten(key)}", model_id)


def _find_json_field(items: JsonArray, item: Any, field: str | None) -> Place:
    """Return the place of a value in the item that was read last, or of its key if the key is unknown."""
    if not isinstance(item, dict) or field is None:
        return items.locate("")
    text = items.get_text()
    is_unknown = field in item and field not in ENTRY_FIELDS and field not in ARGUMENTS
    return items.locate(
        text[: find_key_position(text, 0, field) if is_unknown else find_value_position(text, 0, field)]
    )
