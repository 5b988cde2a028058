"""The Collector's statements that find the names and the provider of a span in its attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.collector_names import NO_PARTS
from spanforge.model_registry._core.collector_paths import (
    BLANK,
    CODE,
    COPIED,
    ESCAPED,
    HITS,
    JSON,
    KEPT,
    NAMES,
    OPERATION,
    PREFIX_OF_PARTS,
    PROVIDER,
    PUNCTUATION,
    REQUESTS,
    RESPONSES,
    SPELLING,
    VALUE,
    WRITTEN,
    attribute,
    cached,
    join_texts,
    matches,
    replace,
)
from spanforge.model_registry._core.collector_tables import NO_PROVIDER, OTHER_PROVIDER
from spanforge.model_registry._core.conventions import BY_PRIORITY, MAX_JSON, PROVIDER_KEYS
from spanforge.model_registry._core.name_routes import PROVIDER_SPELLINGS
from spanforge.model_registry._core.provider_tables import NOT_PROVIDERS
from spanforge.model_registry._core.span_kinds import CALL_EVIDENCE, INFRASTRUCTURE, OPERATION_KEY
from spanforge.model_registry._core.version_tables import PLACEHOLDERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.collector_tables import Tables
    from spanforge.model_registry._core.conventions import Convention

_QUOTED: Final = rf'^"{BLANK}([^"\\]*?){BLANK}"{BLANK}$'
"""A text that is a JSON string without escapes."""

# Names.


def collect_names(*, with_roles: bool = True) -> Iterator[str]:
    """Yield the statements that collect the names, and on request those of the request and the response."""
    paths = (NAMES, REQUESTS, RESPONSES) if with_roles else (NAMES,)
    for path in (*paths, HITS):
        yield f"set({path}, {{}})"
    yield from _find_copied_names()
    parsed_key = None
    for row in BY_PRIORITY:
        if row.member is not None and row.key != parsed_key:
            parsed_key = row.key
            yield from _parse_members(row)
        yield from _collect_name(row, with_roles=with_roles)
    for path in paths:
        yield f'replace_all_patterns({path}, "key", {ottl.encode(_QUOTED)}, {ottl.encode("${1}")})'
        yield f'delete_matching_keys({path}, "^$")'.replace("$", "\\u0024")  # ``delete_key`` changes the order


def _find_copied_names() -> Iterator[str]:
    """Yield the statement that sets a flag if the names on a span were copied from its request."""
    rows = " or ".join(f"({' and '.join(f'{attribute(key)} != nil' for key in row)})" for row in INFRASTRUCTURE)
    has_no_evidence = " and ".join(f"{attribute(key)} == nil" for key in CALL_EVIDENCE)
    yield f"set({COPIED}, true) where ({rows}) and {has_no_evidence}"


def _parse_members(row: Convention) -> Iterator[str]:
    """Yield the statements that parse the JSON of an attribute, from which several conventions may read a member."""
    value = attribute(row.key)
    yield f"delete_key(span.cache, {ottl.encode('json')}) where {value} != nil"
    yield f"set({JSON}, ParseJSON({value})) where {value} != nil and Len({value}) <= {MAX_JSON}"


def _list_conditions(row: Convention) -> Iterator[str]:
    """Yield the conditions on which an attribute holds a name."""
    yield f"{attribute(row.key)} != nil"
    if row.scope is None:
        yield f"{COPIED} == nil"
    else:
        yield f"scope.name == {ottl.encode(row.scope)}"
    if row.when is not None:
        other = attribute(row.when.key)
        yield f"{other} != nil and IsString({other})"
        if row.when.values:
            texts = ottl.any_of(row.when.values)
            yield matches(other, rf'^(?:{texts})$|^"{BLANK}(?:{texts}){BLANK}"$')


def _collect_name(row: Convention, *, with_roles: bool) -> Iterator[str]:
    """Yield the statements that add the name of one convention to the names, if it is not one of them."""
    value = attribute(row.key)
    condition = " and ".join(_list_conditions(row))
    if row.member is not None:
        yield f"delete_key(span.cache, {ottl.encode('value')}) where {condition}"
        yield f"set({VALUE}, {JSON}[{ottl.encode(row.member)}]) where {condition} and {JSON} != nil"
        value, condition = VALUE, f"{condition} and {VALUE} != nil"
    yield f"set({NAMES}[{value}], 1) where {condition}"
    if with_roles and not row.by_gateway:
        role = RESPONSES if row.response else REQUESTS
        yield f"set({role}[{value}], 1) where {condition}"


def drop_placeholders() -> Iterator[str]:
    """Yield the statements that remove placeholders if there are other names."""
    texts = ottl.any_of(sorted(PLACEHOLDERS))
    pattern = ottl.encode(rf'(?i)^{BLANK}"?{BLANK}(?:{texts}){BLANK}"?{BLANK}$')
    several = f"where Len({NAMES}) > 1"
    yield from _find_operation(several)
    yield f"set({KEPT}, {NAMES}) {several}"
    yield f"delete_matching_keys({KEPT}, {pattern}) {several}"
    yield f"delete_matching_keys({KEPT}, {OPERATION}) where {OPERATION} != nil"
    fewer = f"{several} and Len({KEPT}) > 0 and Len({KEPT}) < Len({NAMES})"
    for path in (REQUESTS, RESPONSES):
        yield f"delete_matching_keys({path}, {pattern}) {fewer}"
        yield f"delete_matching_keys({path}, {OPERATION}) {fewer} and {OPERATION} != nil"
    yield f"set({NAMES}, {KEPT}) {fewer}"


def _find_operation(several: str) -> Iterator[str]:
    """Yield the statements that set a regular expression of the operation's name, if a name may be the same."""
    operation = attribute(OPERATION_KEY)
    listed = f"Index(ToLowerCase(String(Keys({NAMES}))), ToLowerCase({operation})) >= 0"
    there = f"{several} and {operation} != nil and IsString({operation}) and {listed}"
    yield f"set({OPERATION}, {operation}) {there}"
    yield f"{replace(OPERATION, PUNCTUATION, ESCAPED)} where {OPERATION} != nil"
    whole = join_texts(ottl.encode(f"(?is)^{BLANK}"), OPERATION, ottl.encode(f"{BLANK}$"))
    yield f"set({OPERATION}, {whole}) where {OPERATION} != nil"


# Providers.


def find_provider(tables: Tables) -> Iterator[str]:
    """Yield the statements that set the span's provider and its codes."""
    frameworks = _match_frameworks()
    for key in reversed(PROVIDER_KEYS):
        value = attribute(key)
        is_text = f'{value} != nil and IsString({value}) and {value} != ""'
        counts = f"({PROVIDER} == nil or {matches(PROVIDER, frameworks)} or not {matches(value, frameworks)})"
        yield f"set({PROVIDER}, {value}) where {is_text} and {counts}"
    yield f"{replace(PROVIDER, _QUOTED, '${1}')} where {PROVIDER} != nil"
    there = f"where {PROVIDER} != nil"
    if tables.written:
        written = {provider: ottl.encode(code) for provider, code in tables.written.items()}
        yield f"set({WRITTEN}, {ottl.lookup(written, PROVIDER)}) {there}"
    if tables.mode == "exact":
        codes = {provider: ottl.encode(code) for provider, code in tables.codes.items()}
        yield f"set({CODE}, {ottl.lookup(codes, PROVIDER)}) {there}"
    yield from _find_spelling(tables)
    yield f'set({CODE}, "{NO_PROVIDER}") where {PROVIDER} == nil'
    yield f'set({CODE}, "{OTHER_PROVIDER}") where {CODE} == nil'
    yield f"set({PREFIX_OF_PARTS}, {join_texts(ottl.encode('?'), SPELLING, ottl.encode(NO_PARTS))})"


def _match_frameworks() -> str:
    """Return a regular expression of the values that are no providers."""
    texts = ottl.any_of(sorted({*NOT_PROVIDERS, *PLACEHOLDERS}))
    return rf'(?i)^"?{BLANK}(?:{texts}){BLANK}"?$'


def _find_spelling(tables: Tables) -> Iterator[str]:
    """Yield the statements that find the span's provider among the known ones, and its code."""
    there = f"where {PROVIDER} != nil"
    open_ = f"{there} and {cached('known')} == nil"
    known = {text: ottl.encode(tables.codes.get(name, OTHER_PROVIDER)) for text, name in PROVIDER_SPELLINGS.items()}
    others = {text: ottl.encode(code) for text, code in tables.codes.items() if text not in PROVIDER_SPELLINGS}
    frameworks = ottl.any_of(sorted({*NOT_PROVIDERS, *PLACEHOLDERS}))
    find = f"set({cached('known')}, {ottl.lookup(known, SPELLING)})"
    yield f"set({SPELLING}, ToLowerCase({PROVIDER})) {there}"
    around, quoted = f"^{BLANK}|{BLANK}$", rf'^"{BLANK}([^"\\]*?){BLANK}"$'
    for pattern, replacement in ((around, ""), (quoted, "${1}")):
        yield f"{replace(SPELLING, pattern, replacement)} {there}"
    yield f"set({cached('whole_provider')}, {SPELLING}) {there}"
    yield f"{find} {there}"
    yield f'set({cached("known")}, "{NO_PROVIDER}") {open_} and {matches(SPELLING, f"^(?:{frameworks})$")}'
    yield f"{replace(SPELLING, '^([^-]*).*models$|^(.*)[.][^.]*$', '${1}${2}')} {open_}"
    yield f"{find} {open_}"
    yield f'set({SPELLING}, "") where {cached("known")} == nil or {cached("known")} == "{NO_PROVIDER}"'
    if tables.mode == "forms":
        if others:
            yield f"set({cached('known')}, {ottl.lookup(others, cached('whole_provider'))}) {open_}"
        yield f"set({CODE}, {cached('known')}) {there}"
