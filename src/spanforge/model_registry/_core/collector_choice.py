"""The Collector's statements that choose an entry: they compare the request model with the response model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.collector_globs import list_glob_steps, list_tie_keys
from spanforge.model_registry._core.collector_paths import (
    ANSWER,
    ANSWERED,
    ANY,
    ASKED,
    BASES,
    EXPECTED,
    FAILED,
    FORM,
    FORMS,
    ID,
    KEYS,
    MATCHES,
    MAX_NAMES,
    NAMES,
    NUMBER,
    OTHER,
    REPLIED,
    REQUEST,
    REQUESTED,
    REQUESTS,
    RESPONSES,
    SERVED,
    SLOTS,
    join_texts,
)
from spanforge.model_registry._core.matching import describe_ambiguous
from spanforge.model_registry._core.names import entry_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.collector_tables import Tables

# The match.


def choose_matches(tables: Tables) -> Iterator[str]:
    """Yield the statements that choose the first match of all names, of the request and of the response."""
    failures = list(list_failures(tables))
    if failures:
        yield f"set({FAILED}, {{}})"
        for slot in SLOTS:
            yield f"set({FAILED}[{slot.key}], 1) where {slot.key} != nil"
        yield f"keep_keys({FAILED}, {ottl.encode_all(failures)})"
    yield f"set({MATCHES}, {{}})"
    for slot in SLOTS:
        matched = f"{slot.key} != nil" + (f" and {FAILED}[{slot.key}] == nil" if failures else "")
        yield f"set({MATCHES}[{slot.name}], {slot.key}) where {matched}"
    yield f"set({SERVED}, Keys({MATCHES})[0]) where Len({MATCHES}) > 0"
    yield f"set({ANY}, {MATCHES}[{SERVED}]) where {SERVED} != nil"
    for place in reversed(range(MAX_NAMES)):
        name = f"Keys({RESPONSES})[{place}]"
        # Some gateways copy a requested name into the key of the response model.
        there = f"where Len({NAMES}) > 1 and Len({RESPONSES}) > {place} and {REQUESTS}[{name}] == nil"
        yield f"set({REPLIED}, {name}) {there}"
        yield f"set({ANSWERED}, {name}) {there} and {MATCHES}[{name}] != nil"
    yield f"set({ANSWER}, {MATCHES}[{ANSWERED}]) where {ANSWERED} != nil"
    yield f"set({SERVED}, {ANSWERED}) where {ANSWERED} != nil"
    yield f"set({ANY}, {ANSWER}) where {ANSWER} != nil"
    for place in range(MAX_NAMES):
        name = f"Keys({REQUESTS})[{place}]"
        first = f"where {ASKED} == nil and Len({NAMES}) > 1 and Len({REQUESTS}) > {place}"
        yield f"set({ASKED}, {name}) {first} and {MATCHES}[{name}] != nil"
    yield f"set({REQUEST}, {MATCHES}[{ASKED}]) where {ASKED} != nil"


def list_failures(tables: Tables) -> dict[str, str]:
    """Return the warnings about keys that match no entry, by key."""
    failures = dict(tables.failures)
    for key, pair in list_tie_keys(tables).items():
        failures[key] = describe_ambiguous(tables.entries[glob.number] for glob in pair)
    return failures


def _table(tables: Tables) -> dict[str, object]:
    """Return the place of the entry that each key matches."""
    exact = dict(tables.exact)
    globs = {step.key: step.glob.number for step in list_glob_steps(tables.globs)}
    return {**exact, **tables.forms, **globs}


def compare_responses(tables: Tables) -> Iterator[str]:
    """Yield the statements that compare the entries of the request model and of the response model."""
    table = _table(tables)
    both = f"{REQUEST} != nil and {REPLIED} != nil"
    yield f"set({NUMBER}, {ottl.lookup(table, ANY)}) where {ANY} != nil"
    yield f"set({REQUESTED}, {ottl.lookup(table, REQUEST)}) where {both}"
    yield f"set({OTHER}, true) where {REQUESTED} != nil and ({ANSWER} == nil or {NUMBER} != {REQUESTED})"
    other = f"where {OTHER} != nil"
    yield f"set({SERVED}, {REPLIED}) {other} and {ANSWER} == nil"
    form = join_texts(ottl.encode("\n"), f"{FORMS}[{ASKED}]", ottl.encode("\n"))
    yield f"set({FORM}, true) {other} and Index({KEYS}[{SERVED}], {form}) >= 0"
    yield from _find_base_models(tables)
    ids = ", ".join(ottl.encode(entry.model_id) for entry in tables.entries)
    yield f"set({ID}, Coalesce([[{ids}]])[{REQUESTED}]) {other}"
    yield f"set({EXPECTED}, true) {other} and {ANSWER} == nil and {FORM} != nil"


def _find_base_models(tables: Tables) -> Iterator[str]:
    """Yield the statements that find out whether the request's entry lists the response model."""
    lists: dict[str, object] = {}
    numbers = {entry.model_id: str(number) for number, entry in enumerate(tables.entries)}
    for number, entry in enumerate(tables.entries):
        if entry.base_models:
            names = [f"N{base}" for base in entry.base_models]
            keys = [f"K{entry_key(base).text}" for base in entry.base_models]
            ids = [f"I{numbers[base]}" for base in entry.base_models if base in numbers]
            lists[str(number)] = ottl.encode("\n".join(["", *names, *keys, *ids, ""]))
    if not lists:
        return
    other = f"where {OTHER} != nil"
    yield f"set({BASES}, {ottl.lookup(lists, f'String({REQUESTED})')}) {other}"
    line_break = ottl.encode("\n")
    texts = [join_texts(ottl.encode("\nN"), SERVED, line_break)]
    keys = [f"Split({KEYS}[{SERVED}], {line_break})[{place}]" for place in range(1, 6)]
    texts += [join_texts(ottl.encode("\nK"), key, line_break) for key in keys]
    for text in texts:
        yield f"set({EXPECTED}, true) {other} and {BASES} != nil and Index({BASES}, {text}) >= 0"
    own = join_texts(ottl.encode("\nI"), f"String({NUMBER})", line_break)
    yield f"set({EXPECTED}, true) {other} and {BASES} != nil and {ANSWER} != nil and Index({BASES}, {own}) >= 0"
