"""The faults of a framework: each value that is not allowed, with its path, the rule and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, get_args

from spanforge.model_registry._core.announcements import check_day
from spanforge.model_registry._core.errors import InvalidValueError, describe_type, shorten
from spanforge.model_registry._core.similar_names import find_similar_names, write_names
from spanforge.model_registry._core.values import MAX_NAME, NO_SPACE_RULE, check_text
from spanforge.model_registry.compliance._attestation_parts import FRAMEWORK_ID_PATTERN, Checked
from spanforge.model_registry.compliance._frameworks.fields import (
    APPLICATION_FIELDS,
    CHECK_FIELDS,
    CLAUSE_FIELDS,
    FRAMEWORK_FIELDS,
    MAX_CLAUSE_ITEMS,
    MAX_CLAUSES,
    PARAMETERS,
    SHIPPED_IDS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.compliance._analysis.checks import CheckParameter
    from spanforge.model_registry.compliance._frameworks.fields import FieldKind, FrameworkField

_ID: Final = re.compile(FRAMEWORK_ID_PATTERN[1:-1])
_ID_RULE: Final = "1 to 64 lower-case letters, digits and underscores, a letter first"
_CLAUSE_ID_RULE: Final = f"text of 1 to {MAX_NAME} characters that is not blank, {NO_SPACE_RULE}"
_CHECKED_VALUES: Final = get_args(Checked)
_MAX_SUGGESTED: Final = 3
"""The limit of names that a fault suggests."""


_FindFaults = Callable[[Any, str], "Iterator[FrameworkFault]"]


class FrameworkFault(NamedTuple):
    """A fault.

    Attributes:
        path: The path of the value, such as ``clauses[0].checks[1]``; empty for the framework itself.
        problem: The predicate of the sentence about it.
        key: The key of the value at this path that the fault is about; ``None`` if it is about the value.
    """

    path: str
    problem: str
    key: str | None = None


def list_framework_faults(data: Any) -> Iterator[FrameworkFault]:
    """Yield the faults of a framework with these fields, as a file has them."""
    yield from _find_mapping_faults(data, FRAMEWORK_FIELDS, "", "a framework")
    clauses = data.get("clauses") if isinstance(data, Mapping) else None
    if isinstance(clauses, (list, tuple)):
        mappings = [(number, clause) for number, clause in enumerate(clauses) if isinstance(clause, Mapping)]
        ids = [(f"clauses[{number}].id", clause.get("id")) for number, clause in mappings]
        yield from _list_repeated(ids, "clause")
        yield from _list_contradictions(mappings)


def list_id_clashes(data: Any) -> list[FrameworkFault]:
    """Return a fault if a framework of a caller has the id of one that the library contains."""
    framework_id = data.get("id") if isinstance(data, Mapping) else None
    if framework_id not in SHIPPED_IDS:
        return []
    return [FrameworkFault("id", f"is {framework_id}, the id of a framework of the library; choose another id")]


def _find_mapping_faults(
    value: Any, fields: Mapping[str, FrameworkField], path: str, noun: str
) -> Iterator[FrameworkFault]:
    if not isinstance(value, Mapping):
        names = ", ".join(fields)
        yield FrameworkFault(path, f"must be a mapping: {noun} has the fields {names}; got {describe_type(value)}")
        return
    for key in value:
        if key not in fields:
            yield FrameworkFault(
                path, f"has the unknown field {shorten(key)}{_suggest_names(key, fields, 'field')}", key
            )
    for field, row in fields.items():
        item = value.get(field)
        if item is not None:
            yield from _FINDER_OF_KIND[row.kind](item, f"{path}.{field}".lstrip("."))
        elif row.required:
            yield FrameworkFault(path, f"has no {field}; add it: {row.note.replace('`', '')}")


def _suggest_names(name: Any, names: Iterable[str], noun: str) -> str:
    """Return the end of a sentence about an unknown name: the nearest ones, or else all."""
    known = list(names)
    nearest = find_similar_names(name, known, _MAX_SUGGESTED) if isinstance(name, str) else []
    return f"; {write_names(f'nearest {noun}', nearest) if nearest else write_names(f'allowed {noun}', known)}"


def _find_id_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        yield FrameworkFault(path, f"must be {_ID_RULE}; got {shorten(value)}")


def _find_name_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    if not isinstance(value, str) or len(value) > MAX_NAME or value != value.strip():
        yield FrameworkFault(path, f"must be {_CLAUSE_ID_RULE}; got {shorten(value)}")
    else:
        yield from _find_value_faults(check_text, value, path)


def _find_value_faults(check: Callable[[Any, str], str], value: Any, path: str) -> Iterator[FrameworkFault]:
    try:
        check(value, path)
    except InvalidValueError as error:
        yield FrameworkFault(path, error.problem)


def _find_checked_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    if value not in _CHECKED_VALUES:
        yield FrameworkFault(path, f"must be one of {', '.join(_CHECKED_VALUES)}; got {shorten(value)}")


def _find_list_faults(value: Any, path: str, most: int, check: _FindFaults) -> Iterator[FrameworkFault]:
    if not isinstance(value, (list, tuple)):
        yield FrameworkFault(path, f"must be a list; got {describe_type(value)}")
    elif len(value) > most:
        yield FrameworkFault(path, f"has {len(value):,} items; the limit is {most:,}")
    else:
        for number, item in enumerate(value):
            yield from check(item, f"{path}[{number}]")


def _find_texts_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    yield from _find_list_faults(value, path, MAX_CLAUSE_ITEMS, _FINDER_OF_KIND["text"])


def _find_dates_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    yield from _find_list_faults(value, path, MAX_CLAUSE_ITEMS, _find_date_faults)


def _find_date_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    yield from _find_mapping_faults(value, APPLICATION_FIELDS, path, "a date")


def _find_clauses_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    yield from _find_list_faults(value, path, MAX_CLAUSES, _find_clause_faults)
    if isinstance(value, (list, tuple)) and not value:
        yield FrameworkFault(path, "must have at least one clause")


def _find_clause_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    yield from _find_mapping_faults(value, CLAUSE_FIELDS, path, "a clause")
    if isinstance(value, Mapping) and not value.get("checks") and not value.get("not_covered"):
        problem = "has neither checks nor not_covered; add one of them: a clause without checks states what is missing"
        yield FrameworkFault(path, problem)


def _find_uses_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    yield from _find_list_faults(value, path, MAX_CLAUSE_ITEMS, _find_use_faults)
    if isinstance(value, (list, tuple)):
        names = [(f"{path}[{number}]", read_check_name(item)) for number, item in enumerate(value)]
        yield from _list_repeated(names, "check")


def read_check_name(item: Any) -> Any:
    """Return the name of a check in a framework, which is a text, or a mapping with parameters."""
    return item.get("check") if isinstance(item, Mapping) else item


def _find_use_faults(value: Any, path: str) -> Iterator[FrameworkFault]:
    name, given = read_check_name(value), value if isinstance(value, Mapping) else {}
    if not isinstance(name, str):
        yield FrameworkFault(path, f"must be the name of a check, or a mapping with it; got {shorten(value)}")
        return
    if name not in PARAMETERS:
        yield FrameworkFault(path, f"is the unknown check {shorten(name)}{_suggest_names(name, PARAMETERS, 'check')}")
        return
    known = [*CHECK_FIELDS, *(row.name for row in PARAMETERS[name])]
    for key in given:
        if key not in known:
            yield FrameworkFault(
                path, f"has the unknown parameter {shorten(key)}{_suggest_names(key, known, 'key')}", key
            )
    for row in PARAMETERS[name]:
        yield from _find_parameter_faults(given.get(row.name), row, path)


def _find_parameter_faults(value: Any, row: CheckParameter, path: str) -> Iterator[FrameworkFault]:
    if value is None:
        yield FrameworkFault(path, f"has no {row.name}; add it: {row.note}")
    elif isinstance(value, bool) or not isinstance(value, int) or not row.least <= value <= row.most:
        rule = f"a whole number from {row.least:,} to {row.most:,}"
        yield FrameworkFault(f"{path}.{row.name}", f"must be {rule}; got {shorten(value)}")


def _list_repeated(items: list[tuple[str, Any]], noun: str) -> Iterator[FrameworkFault]:
    """Yield the names that an earlier item has too."""
    first: dict[str, str] = {}
    for path, name in items:
        if isinstance(name, str) and first.setdefault(name, path) != path:
            yield FrameworkFault(path, f"repeats the {noun} {shorten(name)}, which {first[name]} has; remove one")


def _list_contradictions(clauses: list[tuple[int, Mapping[Any, Any]]]) -> Iterator[FrameworkFault]:
    """Yield the checks that have other parameters than in an earlier clause. An attestation has each check once."""
    first: dict[str, tuple[str, Any]] = {}
    for number, clause in clauses:
        uses = clause.get("checks")
        for place, use in enumerate(uses if isinstance(uses, (list, tuple)) else ()):
            name, path = read_check_name(use), f"clauses[{number}].checks[{place}]"
            if not isinstance(use, Mapping) or not isinstance(name, str):
                continue
            where, other = first.setdefault(name, (path, use))
            if other != use:
                yield FrameworkFault(path, f"has other parameters than {where}; a framework has one value for each")


_FINDER_OF_KIND: Final[Mapping[FieldKind, _FindFaults]] = {
    "id": _find_id_faults,
    "name": _find_name_faults,
    "text": lambda value, path: _find_value_faults(check_text, value, path),
    "day": lambda value, path: _find_value_faults(check_day, value, path),
    "checked": _find_checked_faults,
    "texts": _find_texts_faults,
    "clauses": _find_clauses_faults,
    "checks": _find_uses_faults,
    "dates": _find_dates_faults,
}
