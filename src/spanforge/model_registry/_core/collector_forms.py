"""The Collector's statements that look up names, and the forms of names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.collector_names import PARTS, parse_statements
from spanforge.model_registry._core.collector_paths import (
    CODE,
    FIRST_REFUSED,
    FORMS,
    HITS,
    KEYS,
    MARKED,
    NAMES,
    OPAQUE,
    PARSED,
    PREFIX_OF_PARTS,
    REFUSED,
    SLOTS,
    WHOLE,
    WRITTEN,
    Slot,
    cached,
    join_texts,
    matches,
    replace,
)
from spanforge.model_registry._core.collector_tables import (
    EXACT,
    FORM_WITH_CODE,
    NO_PROVIDER,
    NUMBERED,
    OTHER_PROVIDER,
    WITH_CODE,
    WRITTEN_BEFORE,
    is_exact,
    list_spellings,
)
from spanforge.model_registry._core.names import MAX_PARSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.collector_tables import Tables

# Exact names.


def exact_key(slot: Slot) -> str:
    """Return the expression of a name's key without the provider."""
    return join_texts(ottl.encode(EXACT), slot.name)


def match_exactly(tables: Tables, slots: Iterable[Slot]) -> Iterator[str]:
    """Yield the statements that look up the names as they are, with and without the provider before them."""
    kinds = [(WRITTEN, WRITTEN_BEFORE)] if tables.written else []
    kinds += [(CODE, WITH_CODE)] if tables.codes else []
    for slot in slots:
        for key, (code, kind) in zip(slot.exact, kinds, strict=False):
            value = join_texts(ottl.encode(kind), code, ottl.encode(":"), slot.name)
            yield f"set({key}, {value}) where {slot.name} != nil and {code} != nil"
        yield f"set({slot.exact[2]}, {exact_key(slot)}) where {slot.name} != nil"
        for key in (*slot.exact[: len(kinds)], slot.exact[2]):
            yield f"set({HITS}[{key}], 1) where {key} != nil"
    yield f"keep_keys({HITS}, {ottl.encode_all(tables.list_exact_keys())})"
    refused = [key for key in tables.refused if is_exact(key)]
    if refused:
        yield f"set({REFUSED}, {HITS})"
        yield f"keep_keys({REFUSED}, {ottl.encode_all(refused)})"
    for slot in slots:
        for key in (*slot.exact[: len(kinds)], slot.exact[2]):
            hit = f"where {key} != nil and {slot.key} == nil and {HITS}[{key}] != nil"
            if refused and slot is SLOTS[0]:
                first = f"{hit} and {REFUSED}[{key}] != nil and {FIRST_REFUSED} == nil"
                yield f"set({FIRST_REFUSED}, {key}) {first}"
            yield f"set({slot.key}, {key}) {hit}" + (f" and {REFUSED}[{key}] == nil" if refused else "")


# Forms.


def parse_names(tables: Tables) -> Iterator[str]:
    """Yield the statements that parse the names, if one is no exact name or if there are several."""
    needed = f"Len({NAMES}) > 1"
    if tables.mode == "forms":
        needed += f" or {SLOTS[0].key} == nil"
    yield f"set({PARSED}, {{}}) where Len({NAMES}) > 0 and ({needed})"
    for slot in SLOTS:
        yield f'set({PARSED}["{slot.place}"], {slot.name}) where {PARSED} != nil and {is_short(slot.name, MAX_PARSED)}'
    yield from parse_statements(PARSED, MARKED, PREFIX_OF_PARTS, WHOLE, OPAQUE)
    yield f"set({FORMS}, {{}}) where {PARSED} != nil"
    yield f"set({KEYS}, {{}}) where {PARSED} != nil"
    spellings = {text: ottl.encode(code) for text, code in list_spellings(tables).items()}
    for slot in SLOTS:
        yield from _read_parts(slot, spellings)
        yield from _list_forms(slot)


def is_short(name: str, limit: int) -> str:
    long = matches(name, rf"^(?s:.{{1000}}.{{{limit - 999}}})")  # RE2 repeats at most 1,000 times
    return f"{name} != nil and (Len({name}) <= {limit} or not {long})"


def _read_parts(slot: Slot, spellings: dict[str, str]) -> Iterator[str]:
    parsed, there = f'{PARSED}["{slot.place}"]', f"where {slot.parts} != nil"
    opaque, flags = f'{OPAQUE}["{slot.place}"]', slot.part("flags")
    is_opaque = matches(opaque, "^[^QRFSL]*Q[^R]*R[^F]*[OW]")
    yield f"set({parsed}, {opaque}) where {OPAQUE} != nil and {opaque} != nil and {is_opaque}"
    exists = f"{PARSED} != nil and {parsed} != nil"
    yield f"set({slot.parts}, ExtractPatterns({parsed}, {ottl.encode(PARTS)})) where {exists}"
    yield f"set({slot.base}, {slot.part('base')}) {there}"
    yield f'set({slot.base}, {WHOLE}["{slot.place}"]) {there} and {matches(flags, "W")}'
    yield f'set({slot.code}, "{OTHER_PROVIDER}") {there}'
    yield f'set({slot.code}, {CODE}) {there} and HasPrefix({slot.part("provider")}, "?")'
    if spellings:
        yield f"set({slot.code}, {ottl.lookup(spellings, slot.part('provider'))}) {there}"


def _list_forms(slot: Slot) -> Iterator[str]:
    """Yield the statements that set the keys of the entries that cover a name, the most specific first."""
    there = f"where {slot.parts} != nil"
    revision, snapshot, moving = (slot.part(name) for name in ("revision", "snapshot", "moving"))
    has_revision, has_snapshot = f'{there} and {revision} != ""', f'{there} and {snapshot} != ""'
    bare, joined, (first, dated, month, revised, last) = cached(f"bare{slot.place}"), slot.joined, slot.forms
    yield f"set({bare}, {slot.base}) {there}"
    yield f"{_order_by_version(bare)} {there} and not {matches(slot.part('flags'), '[OW]')}"
    yield f"set({slot.numbered}, {join_texts(ottl.encode(NUMBERED), bare)}) {has_revision}"
    yield f"set({joined}, {join_texts(slot.base, ottl.encode('-'), revision)}) {has_revision}"
    by_number = f'{has_revision} and not HasPrefix({revision}, "v")'
    yield f"{replace(joined, '([a-z])-([0-9]+)$', '${1}${2}')} {by_number}"
    yield f"{_order_by_version(joined)} {by_number}"
    yield f"set({first}, {bare}) {there}"
    yield f"set({first}, {joined}) {has_revision}"
    yield f"set({first}, {join_texts(bare, ottl.encode(' S'), snapshot)}) {has_snapshot}"
    yield f'set({first}, {join_texts(first, ottl.encode(" R"), revision)}) {has_snapshot} and {revision} != ""'
    yield f'set({first}, {join_texts(first, ottl.encode(" L"))}) {there} and {moving} != ""'
    several = f'{has_snapshot} and ({revision} != "" or {moving} != "")'
    yield f"set({dated}, {join_texts(bare, ottl.encode(' S'), snapshot)}) {several}"
    day = f"Substring({snapshot}, 0, 7)"
    yield f"set({month}, {join_texts(bare, ottl.encode(' S'), day)}) {has_snapshot} and Len({snapshot}) == 10"
    yield f'set({revised}, {joined}) {has_revision} and ({snapshot} != "" or {moving} != "")'
    yield f'set({last}, {bare}) {there} and ({revision} != "" or {snapshot} != "" or {moving} != "")'
    yield f"set({FORMS}[{slot.name}], {first}) {there}"
    listed, line_break = f"{KEYS}[{slot.name}]", ottl.encode("\n")
    yield f"set({listed}, {line_break}) {there}"
    for form in slot.forms:
        yield f"set({listed}, {join_texts(listed, form, line_break)}) {there} and {form} != nil"


def _order_by_version(target: str) -> str:
    return replace(target, "^([a-z]+)-([a-z]{2,})([0-9]+(?:-[0-9]+)?)$", "${1}${3}-${2}")


def match_forms(tables: Tables) -> Iterator[str]:
    """Yield the statements that look up the forms of names that are no exact names."""
    yield f"set({HITS}, {{}}) where {PARSED} != nil"
    has_codes = bool(tables.codes)
    for slot in SLOTS:
        open_ = f"{slot.key} == nil and {slot.parts} != nil"
        for form, limited in zip(slot.forms, slot.limited, strict=True):
            yield f"set({HITS}[{form}], 1) where {open_} and {form} != nil"
            if has_codes:
                key = join_texts(ottl.encode(FORM_WITH_CODE), slot.code, ottl.encode(":"), form)
                yield f"set({limited}, {key}) where {open_} and {form} != nil"
                yield f"set({HITS}[{limited}], 1) where {limited} != nil"
        yield f"set({HITS}[{slot.numbered}], 1) where {open_} and {slot.numbered} != nil"
    yield f"keep_keys({HITS}, {ottl.encode_all(tables.list_form_keys())}) where {PARSED} != nil"
    if tables.refused:
        refused = ottl.encode_all(key for key in tables.refused if not is_exact(key))
        yield f"set({REFUSED}, {HITS}) where {PARSED} != nil"
        yield f"keep_keys({REFUSED}, {refused}) where {PARSED} != nil"
    for slot in SLOTS:
        yield from _match_form(tables, slot)


def _match_form(tables: Tables, slot: Slot) -> Iterator[str]:
    glob, more, has_form = (cached(f"{name}{slot.place}") for name in ("glob", "more", "has_form"))
    open_ = f"{slot.key} == nil and {slot.parts} != nil"
    guarded = f'({slot.part("revision")} == "" or {HITS}[{slot.numbered}] == nil)'
    conditions = [
        f"{form} != nil and {open_}" + (f" and {guarded}" if level in (1, 2, 4) else "")
        for level, form in enumerate(slot.forms)
    ]
    if tables.globs:
        for form, condition in zip(slot.forms, conditions, strict=True):
            yield f"set({has_form}, true) where {glob} != nil and {condition} and {HITS}[{form}] != nil"
        alone = join_texts(ottl.encode("\n"), slot.base, ottl.encode("\n"))
        contains_more = f"Index({glob}, {slot.base}) >= 0 and Index({glob}, {alone}) < 0"
        yield f"set({more}, true) where {glob} != nil and {contains_more}"
        yield f"set({slot.key}, {slot.globbed}) where {glob} != nil and ({has_form} == nil or {more} != nil)"
    rows = list(zip(slot.forms, slot.limited, conditions, strict=True))
    if tables.codes:
        for _, limited, condition in rows:
            known = f'{slot.code} != "{NO_PROVIDER}"'
            yield f"set({slot.key}, {limited}) where {condition} and {known} and {HITS}[{limited}] != nil"
    for form, limited, condition in rows:
        is_refused = f" and {REFUSED}[{form}] == nil" if tables.refused else ""
        yield f"set({slot.key}, {form}) where {condition} and {HITS}[{form}] != nil{is_refused}"
        if tables.codes:
            unknown = f'{slot.code} == "{NO_PROVIDER}"'
            yield f"set({slot.key}, {limited}) where {condition} and {unknown} and {HITS}[{limited}] != nil"
    if tables.refused and slot is SLOTS[0]:
        for form, _, condition in rows:
            hit = f"{REFUSED}[{form}] != nil"
            yield f"set({FIRST_REFUSED}, {form}) where {condition} and {FIRST_REFUSED} == nil and {hit}"
    if tables.globs:
        yield f"set({slot.key}, {slot.globbed}) where {slot.key} == nil and {glob} != nil"
