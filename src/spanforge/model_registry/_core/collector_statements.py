"""The statements of the Collector's transform processor that enrich spans, for the entries of a registry.

They are in OTTL as of Collector 0.158, which has no loops. The first group is for most spans, which have one name that
is an id or an alias. The second group is for the others. It parses their names, tries globs, and compares the request
model with the response model. The third group escapes control characters in warnings. The last one sets the attributes.

Where the result differs from the span processor's, apart from the parser in ``collector_names``:

- Only the first ``MAX_NAMES`` different names of a span are looked up.
- A JSON string as a name is only unquoted if it has no escapes.
- A glob goes before a form only if the most specific glob contains the base name and more.
- Whether the response model is a form of the request model also depends on the span's provider.
- A warning about entries that nearly match may list fewer of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import ATTRIBUTES, PREFIX, span_attributes
from spanforge.model_registry._core.collector_attributes import collect_names, drop_placeholders, find_provider
from spanforge.model_registry._core.collector_choice import choose_matches, compare_responses, list_failures
from spanforge.model_registry._core.collector_forms import exact_key, match_exactly, match_forms, parse_names
from spanforge.model_registry._core.collector_globs import match_globs
from spanforge.model_registry._core.collector_paths import (
    ANSWER,
    ASKED,
    BEYOND_MAX_NAME,
    CONTROL,
    ENTRY,
    ESCAPED_QUOTE,
    ESCAPES,
    EXPECTED,
    FIRST_REFUSED,
    FORM,
    GLOBBED,
    ID,
    MORE,
    NAMES,
    NUMBER,
    OTHER,
    PROVIDER,
    QUOTES,
    REQUESTED,
    SERVED,
    SLOTS,
    STATE,
    STATUS,
    WARNED,
    WARNINGS,
    attribute,
    cached,
    fill,
    join_texts,
    matches,
    replace,
)
from spanforge.model_registry._core.conventions import BY_PRIORITY
from spanforge.model_registry._core.matching import describe_refused
from spanforge.model_registry._core.name_routes import PROVIDER_SPELLINGS
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.warning_texts import (
    ANSWER_NOT_REGISTERED,
    NOT_REGISTERED,
    OTHER_ANSWERED,
    OTHER_PROVIDERS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.collector_tables import Tables
    from spanforge.model_registry._core.entry import ModelRegistryEntry


_FACTS: Final = {"response_registered": ("false", "=="), "requested_model_id": (ID, "!=")}
"""The attributes that are not in an entry, by short name: the value, and the comparison of the response's entry."""
UNSET_ATTRIBUTES: Final = tuple(
    row.name for row in ATTRIBUTES if row.source == "fact" and row.on_spans != "no" and row.name not in _FACTS
)
"""The short names of the attributes that the statements never set."""


def render_statements(tables: Tables) -> str:
    """Return the statements as YAML: a list of groups, each with its condition."""
    named = " or ".join(f"{key} != nil" for key in dict.fromkeys(attribute(row.key) for row in BY_PRIORITY))
    condition = f"{STATUS} == nil and ({named})"  # on other spans, the sender may have set the state between groups
    groups = ottl.group(condition, _find_one_name(tables))
    groups += ottl.group(f"{ENTRY} == nil and {condition}", _find_several_names(tables))
    groups += ottl.group(f'{MORE} != nil and {MORE}["odd"] != nil and {condition}', _escape_warnings())
    return groups + ottl.group(f"({ENTRY} != nil or {MORE} != nil) and {condition}", _enrich(tables))


def _find_one_name(tables: Tables) -> Iterator[str]:
    """Yield the statements that find the entry of spans with one name that is an id or an alias."""
    for key in STATE:
        yield f"delete_key(span.attributes, {ottl.encode(key)})"
    yield from collect_names(with_roles=False)
    slot, one = SLOTS[0], f"where Len({NAMES}) == 1"
    yield f"set({slot.name}, Keys({NAMES})[0]) {one}"
    key = slot.exact[2]
    if tables.codes or tables.written:
        yield from find_provider(tables)
        yield from match_exactly(tables, [slot])
        key = slot.key
    else:
        yield f"set({key}, {exact_key(slot)}) where {slot.name} != nil"
    yield f"set({ENTRY}, {ottl.lookup(tables.exact, key)}) where {key} != nil"


def _find_several_names(tables: Tables) -> Iterator[str]:
    """Yield the statements that find the entry of all other spans, and what else they get."""
    yield from collect_names()
    yield from drop_placeholders()
    for slot in SLOTS:
        yield f"set({slot.name}, Keys({NAMES})[{slot.place}]) where Len({NAMES}) > {slot.place}"
    yield from find_provider(tables)
    yield from match_exactly(tables, SLOTS)
    yield from parse_names(tables)
    if tables.globs:
        yield from match_globs(tables)
    if tables.mode == "forms":
        yield from match_forms(tables)
    yield from choose_matches(tables)
    yield from compare_responses(tables)
    yield from _describe(tables)


# The attributes.


def _describe(tables: Tables) -> Iterator[str]:
    """Yield the statements that set the state for the last group: the entry, further attributes and warnings."""
    other = f"{OTHER} != nil"
    yield f"set({NUMBER}, {REQUESTED}) where {other} and ({EXPECTED} != nil or {ANSWER} == nil)"
    yield f"set({ENTRY}, {NUMBER}) where {NUMBER} != nil"
    unexpected, nothing = f"{other} and {EXPECTED} == nil", f"Len({NAMES}) > 0 and {NUMBER} == nil"
    yield f"set({WARNED}, {{}}) where {nothing} or ({unexpected})"
    for name, (value, answered) in _FACTS.items():
        if name in tables.attribute_names:
            yield f"set({WARNED}[{ottl.encode(PREFIX + name)}], {value}) where {unexpected} and {ANSWER} {answered} nil"
    yield from _warn_of_answer(unexpected)
    yield from _warn_of_name(tables, nothing)
    warnings = [f'{WARNED}["{place}"]' for place in "01"]
    odd = " or ".join(f"{warning} != nil and {matches(warning, CONTROL)}" for warning in warnings)
    yield f'set({WARNED}["odd"], true) where {WARNED} != nil and ({odd})'
    yield f"set({MORE}, {WARNED}) where {WARNED} != nil"


def _warn_of_answer(unexpected: str) -> Iterator[str]:
    """Yield the statements that warn of another model than the one that was requested."""
    for name in (SERVED, ASKED, ID):
        yield from _prepare_shown(name, unexpected)
    text = f'{WARNED}["0"]'
    yield f"set({text}, {fill(ANSWER_NOT_REGISTERED, SERVED)}) where {unexpected} and {ANSWER} == nil"
    is_other = f"{unexpected} and {ANSWER} != nil and {FORM} == nil"
    yield f"set({text}, {fill(OTHER_ANSWERED, SERVED, ASKED, ID)}) where {is_other}"


def _warn_of_name(tables: Tables, nothing: str) -> Iterator[str]:
    """Yield the statements that warn of a name that is not registered."""
    yield f"set({SERVED}, {SLOTS[0].name}) where {nothing}"
    yield from _prepare_shown(SERVED, nothing)
    yield f'set({WARNED}["0"], {fill(NOT_REGISTERED, SERVED)}) where {nothing}'
    yield from _warn_of_near_matches(tables, nothing)


def _prepare_shown(name: str, condition: str) -> Iterator[str]:
    """Yield the statements that cut off a name, and escape its quotes, as ``quote`` does."""
    yield f"{replace(name, BEYOND_MAX_NAME, '${1}…')} where {condition}"
    yield f"{replace(name, QUOTES, ESCAPED_QUOTE)} where {condition}"


def _warn_of_near_matches(tables: Tables, nothing: str) -> Iterator[str]:
    """Yield the statements that warn of entries that nearly match the first name."""
    failures, first = list_failures(tables), SLOTS[0]
    warning, shown = f'{WARNED}["1"]', cached("shown")
    limited = {f"~{glob.number:05}": tables.entries[glob.number] for glob in tables.globs if glob.codes}
    if not failures and not tables.refused and not limited:
        return
    yield f'set({shown}, "") where {nothing}'
    yield f"set({shown}, {PROVIDER}) where {nothing} and {PROVIDER} != nil"
    if tables.mode == "forms":
        canonical = {text: ottl.encode(name) for text, name in PROVIDER_SPELLINGS.items()}
        of_route = first.part("provider")
        has_one = f'{first.parts} != nil and not HasPrefix({of_route}, "?")'
        yield f"set({shown}, {ottl.lookup(canonical, of_route)}) where {nothing} and {has_one}"
    yield from _prepare_shown(shown, nothing)
    if failures:
        texts = {key: ottl.encode(text) for key, text in failures.items()}
        yield f"set({warning}, {ottl.lookup(texts, first.key)}) where {nothing} and {first.key} != nil"
    if tables.refused:
        texts = {key: ottl.encode(text) for key, text in tables.refused.items()}
        open_ = f"{nothing} and {first.key} == nil and {FIRST_REFUSED} != nil"
        yield f"set({warning}, {ottl.lookup(texts, FIRST_REFUSED)}) where {open_}"
    if limited:
        texts = {key: ottl.encode(describe_refused([entry])) for key, entry in limited.items()}
        for place in ("0p", "0"):
            path = f'{GLOBBED}["{place}"]'
            open_ = f"{nothing} and {first.key} == nil and {warning} == nil and {GLOBBED} != nil"
            is_refused = f"{path} != nil and {matches(path, '^~')}"
            yield f"set({warning}, {ottl.lookup(texts, path)}) where {open_} and {is_refused}"
    with_provider = join_texts(warning, ottl.encode(" '"), shown, ottl.encode("'"))
    is_open = f"{warning} != nil and HasSuffix({warning}, {ottl.encode(OTHER_PROVIDERS.removeprefix('%s'))})"
    yield f"set({warning}, {with_provider}) where {nothing} and {is_open}"


# Third group: control characters.


def _escape_warnings() -> Iterator[str]:
    """Yield the statements for warnings with control characters."""
    for place in "01":
        for pattern, replacement in ESCAPES:
            warning = f'{MORE}["{place}"]'
            yield f"{replace(warning, pattern, replacement)} where {warning} != nil"
    yield f'delete_key({MORE}, "odd")'


# Last group: attributes.


def _enrich(tables: Tables) -> Iterator[str]:
    """Yield the statements that set the attributes of the entry, or of a model that is not registered."""
    yield f"delete_matching_keys(span.attributes, {ottl.encode('^' + re.escape(PREFIX))})"
    enrichments = ",\n".join(render_enrichment(entry, tables.attribute_names) for entry in tables.entries)
    yield f'merge_maps(span.attributes, Coalesce([[\n{enrichments}\n]])[{ENTRY}], "upsert") where {ENTRY} != nil'
    if "status" in tables.attribute_names:
        yield f"set({STATUS}, {ottl.encode(UNREGISTERED)}) where {ENTRY} == nil"
    for place in "01":
        warning = f'{MORE}["{place}"]'
        if "warnings" in tables.attribute_names:
            yield f"append({WARNINGS}, {warning}) where {MORE} != nil and {warning} != nil"
        yield f'delete_key({MORE}, "{place}") where {MORE} != nil'
    yield f'merge_maps(span.attributes, {MORE}, "upsert") where {MORE} != nil'
    for key in STATE:
        yield f"delete_key(span.attributes, {ottl.encode(key)})"


def render_enrichment(entry: ModelRegistryEntry, names: frozenset[str]) -> str:
    """Return the attributes with these short names that an entry adds to spans, as a map."""
    attributes = span_attributes(entry, names)
    return ottl.mapping(
        {
            key: ottl.encode(value) if isinstance(value, str) else ottl.encode_all(value)
            for key, value in attributes.items()
        }
    )
