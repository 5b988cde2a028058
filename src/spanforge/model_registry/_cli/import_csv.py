"""Imports from tables: CSV files as spreadsheets write them."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._cli.import_rows import ImportRow, ImportSource, make_unfinished, one_or_several, skip_row
from spanforge.model_registry._core.entry import ModelRegistryEntry
from spanforge.model_registry._core.validation import DATE_FIELDS, RESERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

SEPARATORS: Final = ",;\t"
"""What separates cells, by the language of the spreadsheet."""
MAX_COLUMNS: Final = 200
"""The limit of columns of a table. Exports of catalogues have some dozens."""

_ENTRY_COLUMNS: Final = frozenset(ModelRegistryEntry.__struct_fields__) - {"metadata"}
_LIST_COLUMNS: Final = frozenset(key for key, row in RESERVED.items() if row.kind in ("aliases", "names"))
_DATE_COLUMNS: Final = frozenset((*DATE_FIELDS, *(key for key, row in RESERVED.items() if row.kind == "date")))
_WORD_COLUMNS: Final = frozenset(("status", "risk_tier"))
_REFUSED_COLUMNS: Final = frozenset(key for key, row in RESERVED.items() if row.kind == "history") | {"metadata"}

_DAY_NUMBER: Final = re.compile(r"[2-7][0-9]{4}(?:\.0*)?", re.ASCII)
"""A day as Excel counts it, from 1954 to 2119, if the column has no date format."""
_EXCEL_EPOCH: Final = date(1899, 12, 30)
"""The day 0 of Excel, for days after February 1900."""
_GERMAN_DAY: Final = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})", re.ASCII)
_SLASHED_DAY: Final = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", re.ASCII)
_MONTHS: Final = 12


def read_csv(source: ImportSource) -> Iterator[ImportRow]:
    """Yield a row for each line of a table whose first line has the names of fields, in any order.

    Columns with other names become keys of the user's metadata.
    """
    lines = _read_table(source)
    columns = [_name_column(each) for each in next(lines, ("", [""]))[1]]
    _check_columns(source, columns)
    for place, cells in lines:
        if not any(map(str.strip, cells)):
            continue
        if any(map(str.strip, cells[len(columns) :])):
            yield skip_row(place, cells[0], f"has {len(cells)} cells, and the header has {len(columns)}")
            continue
        values = dict(zip(columns, map(str.strip, cells), strict=False))
        yield _make_table_row(place, {column: cell for column, cell in values.items() if column and cell})


def _name_column(header: str) -> str:
    """Return the field that a header names, such as ``Risk tier``; any other header with underscores for blanks."""
    name = re.sub(r"[\s-]+", "_", header.strip())
    return name.lower() if name.lower() in _ENTRY_COLUMNS | RESERVED.keys() else name


def _check_columns(source: ImportSource, columns: list[str]) -> None:
    if "model_id" not in columns:
        source.fail("must be a table whose first line has the column model_id and further fields of entries")
    if len(columns) > MAX_COLUMNS:
        source.fail(f"has {len(columns):,} columns; the limit is {MAX_COLUMNS}")
    for column in columns:
        if columns.count(column) > 1 and column:
            source.fail("is the name of several columns", column)
        if column.lower() in _REFUSED_COLUMNS:
            source.fail("cannot be a column of a table", column)


def _read_table(source: ImportSource) -> Iterator[tuple[str, list[str]]]:
    """Yield the place and the cells of each line. Excel reads a first line such as ``sep=;`` as the separator."""
    text, before = _decode_table(source), 0
    first = text.partition("\n")[0].strip()
    separator = max(SEPARATORS, key=first.count)
    if re.fullmatch(f"sep=[{SEPARATORS}]?", first, re.IGNORECASE):
        separator, text, before = first[-1], text.partition("\n")[2], 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator.replace("=", "\t"))
    try:
        for cells in reader:
            yield f"line {reader.line_num + before}", cells
    except csv.Error as error:
        source.fail(f"is no table: {error}", f"line {reader.line_num + before}")


def _decode_table(source: ImportSource) -> str:
    is_wide = source.content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return source.content.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError:
        source.fail("is not UTF-8; in a spreadsheet, save it as CSV UTF-8")


def _make_table_row(place: str, values: dict[str, str]) -> ImportRow:
    fields: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for column, text in values.items():
        is_field = column in _ENTRY_COLUMNS
        try:
            value = _read_csv_cell(column, text)
        except ValueError as error:
            return skip_row(place, values.get("model_id"), f"{column}: {error}")
        (fields if is_field else metadata)[column] = value
        if column in _DATE_COLUMNS and value != text:
            sources[column if is_field else f"metadata.{column}"] = f"the table has {text}"
    if "model_id" not in values:
        return skip_row(place, None, "has no model_id")
    entry = make_unfinished(fields.pop("model_id"), fields, metadata, (), sources)
    providers = metadata.get("provider") or ()
    return ImportRow(place, entry, (providers,) if isinstance(providers, str) else tuple(providers), values)


def _read_csv_cell(column: str, text: str) -> Any:
    if column in _LIST_COLUMNS:
        items = [item.strip() for item in text.split(";") if item.strip()]
        return items if column == "aliases" else one_or_several(items)
    if column in _DATE_COLUMNS:
        return read_spreadsheet_day(text)
    return text.lower() if column in _WORD_COLUMNS else text


def read_spreadsheet_day(text: str) -> str:
    """Return a day of a spreadsheet as 2026-05-13; any other text as it is, for the check of the entry.

    Raises:
        ValueError: The text is a day with slashes of which day and month cannot be told apart, or no day.
    """
    if _DAY_NUMBER.fullmatch(text):
        return (_EXCEL_EPOCH + timedelta(days=int(text.partition(".")[0]))).isoformat()
    german, slashed = _GERMAN_DAY.fullmatch(text), _SLASHED_DAY.fullmatch(text)
    if german is not None:
        return date(*(int(part) for part in reversed(german.groups()))).isoformat()
    if slashed is None:
        return text.removesuffix(" 00:00:00")
    first, second, year = (int(part) for part in slashed.groups())
    if first <= _MONTHS and second <= _MONTHS and first != second:
        msg = f"must be a date such as 2026-05-13; in {text}, day and month cannot be told apart"
        raise ValueError(msg)
    return date(year, min(first, second), max(first, second)).isoformat()
