"""Unfinished entries: what is known of models, as YAML with an empty field for each fact that a person must add.

An empty required field keeps the file from loading, so nobody deploys an owner or a tier that no one has decided.
"""

from __future__ import annotations

import json
import re
import textwrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._cli.yaml_scalars import is_plain_scalar, quote_scalar
from spanforge.model_registry._core.entry import ModelRegistryEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FILL_IN: Final = "# fill in: "
"""The mark after an empty field, before its meaning."""
FIELD_HINTS: Final[Mapping[str, str]] = {
    "model_id": "the name by which calls name the model",
    "name": "the name for display",
    "version": "the version of the model",
    "risk_tier": "low, medium, high or critical",
    "owner": "the team or person responsible",
    "purpose": "the intended use",
}
"""The fields that every entry has, with what to write there."""
MAX_COMMENT: Final = 300
"""The limit of characters of a comment."""
MAX_LINE: Final = 80
"""The characters of a line, if lists and comments can be broken."""

_STRUCT_FIELDS: Final = ModelRegistryEntry.__struct_fields__
_STAND_INS: Final = {field: "low" if field == "risk_tier" else "unknown" for field in FIELD_HINTS}
"""Allowed values in place of missing ones, for the check of the others. They are never written."""
_PLAIN_DAY: Final = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class UnfinishedEntry(NamedTuple):
    """What is known of a model.

    Attributes:
        fields: The values of the fields that are known; ``metadata`` is a mapping of JSON values.
        notes: Comments above the entry, one a line.
        sources: Comments behind fields, such as where a value was read; keys of the metadata as ``metadata.<key>``.
    """

    fields: Mapping[str, Any]
    notes: Sequence[str] = ()
    sources: Mapping[str, str] = MappingProxyType({})

    def list_missing(self) -> list[str]:
        """Return the required fields that have no value."""
        return [field for field in FIELD_HINTS if self.fields.get(field) is None]

    def check(self) -> ModelRegistryEntry:
        """Return a registry entry with the known values, and with others in place of the missing ones.

        Raises:
            InvalidValueError: A known value is not allowed.
        """
        known = {field: value for field, value in self.fields.items() if value is not None}
        return ModelRegistryEntry.from_dict({**_STAND_INS, **known})


def format_unfinished(entries: Iterable[UnfinishedEntry], heading: Sequence[str] = ()) -> str:
    """Return a registry file in YAML. Until a person has filled in each empty field, it does not load.

    Args:
        entries: The entries, in the file's order, after ``check``.
        heading: Comments at the top, one a line.
    """
    parts = ["".join(_format_comments(heading))]
    parts += ["".join(_format_entry(entry)) for entry in entries]
    text = "\n".join(filter(None, parts))
    return text if len(parts) > 1 else f"{text}[]\n"


def _format_entry(entry: UnfinishedEntry) -> Iterator[str]:
    yield from _format_comments(entry.notes)
    known = [field for field in _STRUCT_FIELDS if field in FIELD_HINTS or entry.fields.get(field) not in (None, {})]
    for number, field in enumerate(known):
        value, source = entry.fields.get(field), entry.sources.get(field)
        indent = "  " if number else "- "
        if value is None:
            hint = f"{FIELD_HINTS[field]}; {source}" if source else FIELD_HINTS[field]
            yield f"{indent}{field}:  {FILL_IN}{_shorten_comment(hint)}\n"
        elif field == "metadata":
            yield from _format_line(f"{indent}metadata:", source)
            for key, item in value.items():
                yield from _format_member(key, item, entry.sources.get(f"metadata.{key}"))
        else:
            yield from _format_line(f"{indent}{field}: {_format_value(value)}", source)


def _format_member(key: str, value: Any, source: str | None) -> Iterator[str]:
    """Yield the lines of a member of the metadata. A list that is too long for one line has a line for each item."""
    line = f"    {format_scalar(key)}: {_format_value(value)}"
    if not isinstance(value, list) or not value or len(line) <= MAX_LINE:
        yield from _format_line(line, source)
        return
    yield from _format_line(f"    {format_scalar(key)}:", source)
    yield from (f"      - {_format_value(item)}\n" for item in value)


def _format_line(line: str, comment: str | None) -> Iterator[str]:
    """Yield a line with its comment: behind it, or above it if both are too long for one line."""
    behind = "" if comment is None else f"  # {_shorten_comment(comment)}"
    if comment is not None and len(line) + len(behind) > MAX_LINE and not line.startswith("-"):
        yield from _format_comments([comment], line[: len(line) - len(line.lstrip())])
        behind = ""
    yield f"{line}{behind}\n"


def _format_comments(comments: Iterable[str], indent: str = "") -> Iterator[str]:
    """Yield comments in lines of their own; a long one continues with more blanks in the next line."""
    for comment in comments:
        text = _shorten_comment(comment)
        lines = textwrap.wrap(text, MAX_LINE - len(indent) - 4, break_long_words=False, break_on_hyphens=False)
        yield f"{indent}# " + f"\n{indent}#   ".join(lines) + "\n"


def _shorten_comment(text: str) -> str:
    line = escape_controls(text)
    return line if len(line) <= MAX_COMMENT else f"{line[:MAX_COMMENT]}…"


def _format_value(value: Any) -> str:
    """Return a JSON value in one line of YAML."""
    if isinstance(value, str):
        return format_scalar(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_format_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{quote_scalar(key)}: {_format_value(item)}' for key, item in value.items())}}}"
    return json.dumps(value)


def format_scalar(text: str) -> str:
    """Return a text as a YAML scalar: without quotes if it needs none, or is a day."""
    return text if is_plain_scalar(text) or _PLAIN_DAY.fullmatch(text) else quote_scalar(text)
