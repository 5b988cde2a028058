"""``edit_content``: puts one changed entry, or a new one, into the content of a registry file."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry import ModelRegistryEntry, RegistryFileError
from spanforge.model_registry._cli.json_layout import scan_json
from spanforge.model_registry._cli.text_edits import SharedValueError, TextEdits
from spanforge.model_registry._cli.text_layout import find_line_start
from spanforge.model_registry._cli.text_styles import find_json_style, find_yaml_style
from spanforge.model_registry._core.storage import encode_entries, is_yaml, parse_entries
from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.values import make_json_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from spanforge.model_registry._cli.text_layout import FileLayout, Part
    from spanforge.model_registry._cli.text_styles import Style

_BESIDE_FIELDS: Final = {"reason": "deprecation_reason", **{key: key for key in RESERVED if key != "history"}}
"""The names that a file may have beside the fields of an entry, and the metadata keys that they set."""
_ORDER: Final = (
    *(field for field in ModelRegistryEntry.__struct_fields__ if field != "metadata"),
    *_BESIDE_FIELDS,
    "metadata",
)
_BY_HAND: Final = (
    "cannot be changed by a command, because it shares values with other entries or has an unusual form; "
    "change the file by hand"
)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"", "utf-8"),
)
"""The byte order marks with which a file may begin, and its encoding."""


def edit_content(name: str, content: bytes, entries: list[ModelRegistryEntry], after: ModelRegistryEntry) -> bytes:
    """Return the content of a file in which one entry is changed or added. Only lines of that entry differ.

    Args:
        name: The path of the file. The end of its name determines the format.
        content: The content before.
        entries: The entries before.
        after: The entry after. The one with the same id is changed; if there is none, it is added at the end.

    Raises:
        RegistryFileError: Other entries would change too, because the file shares values by anchors.
    """
    index = next((i for i, entry in enumerate(entries) if entry.model_id == after.model_id), None)
    expected = [*entries, after] if index is None else [*entries[:index], after, *entries[index + 1 :]]
    if not is_yaml(name) and content == encode_entries(entries):
        return encode_entries(expected)
    mark, encoding = next(row for row in _MARKS if content.startswith(row[0]))
    text = content[len(mark) :].decode(encoding)
    try:
        new = mark + _edit_text(name, text, entries, index, after).encode(encoding)
        is_as_expected = _equals(parse_entries(name, new), expected, after)
    except (SharedValueError, RegistryFileError):
        is_as_expected = False
    if not is_as_expected:
        raise RegistryFileError(name, _BY_HAND, index, after.model_id)
    return new


def _equals(entries: list[ModelRegistryEntry], expected: list[ModelRegistryEntry], changed: ModelRegistryEntry) -> bool:
    """Check whether a file has the entries that are expected, and exactly the values of the changed one."""
    if entries != expected:
        return False
    return make_json_key(entries[expected.index(changed)].to_dict()) == make_json_key(changed.to_dict())


def _edit_text(
    name: str, text: str, entries: list[ModelRegistryEntry], index: int | None, after: ModelRegistryEntry
) -> str:
    layout, style = _scan(name, text, len(entries) - 1 if index is None else index)
    edits = TextEdits(text, style)
    if index is None:
        _add_entry(edits, text, layout, style, after)
    elif layout.item is not None:
        _change_entry(edits, layout.item, entries[index], after)
    return edits.apply()


def _scan(name: str, text: str, index: int) -> tuple[FileLayout, Style]:
    if not is_yaml(name):
        layout = scan_json(text, index)
        return layout, find_json_style(text, layout)
    from spanforge.model_registry._cli.yaml_layout import scan_yaml  # noqa: PLC0415 - JSON files do not need PyYAML

    layout = scan_yaml(text, index)
    return layout, find_yaml_style(text, layout)


def _change_entry(edits: TextEdits, item: Part, before: ModelRegistryEntry, after: ModelRegistryEntry) -> None:
    """Change the members of an entry, each at the place where the file has it."""
    if item.kind != "mapping":
        raise SharedValueError
    beside = [name for name in _BESIDE_FIELDS if name in item.members]
    old, new = (
        {key: value for key, value in _place_values(entry, beside).items() if value is not None or key in item.members}
        for entry in (before, after)
    )
    edits.change_mapping(item, old, new, _ORDER)


def _place_values(entry: ModelRegistryEntry, beside: Iterable[str]) -> dict[str, Any]:
    """Return the fields of an entry, with some metadata keys beside them."""
    fields = entry.to_dict()
    metadata = fields.pop("metadata")
    values = {name: metadata.pop(_BESIDE_FIELDS[name]) for name in beside if _BESIDE_FIELDS[name] in metadata}
    return {**fields, **values, "metadata": metadata}


def _add_entry(edits: TextEdits, text: str, layout: FileLayout, style: Style, entry: ModelRegistryEntry) -> None:
    """Add an entry behind the last one, with the same optional fields and in the same style."""
    last = layout.item
    if last is None:
        values = _place_values(entry, ())
        edits.replace(layout.root, style.write_only_item(_leave_out_defaults(values, ())))
        return
    has_keys_beside = any(name in last.members for name in _BESIDE_FIELDS)
    values = _place_values(entry, dict.fromkeys(_BESIDE_FIELDS.values()) if has_keys_beside else ())
    edits.append_item(
        layout.root,
        _leave_out_defaults(values, last.members),
        in_lines=last.kind == "mapping" and not last.is_flow,
        after_blank_line=_has_blank_lines(text, layout.root),
    )


def _leave_out_defaults(values: dict[str, Any], written: Collection[str]) -> dict[str, Any]:
    """Return the values without defaults, unless the file writes them: a status, or every field of an entry."""
    if all(field in written for field in ModelRegistryEntry.__struct_fields__):
        return values
    defaults = {"metadata": {}, **({} if "status" in written else {"status": "active"})}
    return {key: value for key, value in values.items() if value is not None and value != defaults.get(key)}


def _has_blank_lines(text: str, root: Part) -> bool:
    """Check whether a blank line is before the last of several entries."""
    start = find_line_start(text, root.items[-1].start)
    return len(root.items) > 1 and text[:start].endswith(("\n\n", "\n\r\n"))
