"""The statements of the Collector's transform processor that enrich spans, for the entries of a registry.

They are in OTTL as of Collector 0.158, which has neither loops nor user-defined functions. The first group collects the
names on a span, by the priority of their conventions, and looks them up. The second group matches globs, and the third
escapes control characters in a warning. These two run only for the spans that need them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import PREFIX, span_attributes
from spanforge.model_registry._core.collector_tables import NO_PROVIDER
from spanforge.model_registry._core.conventions import BY_PRIORITY, MAX_JSON, PROVIDER_KEYS, Convention
from spanforge.model_registry._core.resolution import MAX_GLOBBED, UNREGISTERED
from spanforge.model_registry._core.values import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.collector_tables import CollectorGlob, Tables
    from spanforge.model_registry._core.entry import ModelRegistryEntry

CACHE: Final = {
    "names": "map: each name on the span to the rank of its convention",
    "member": "the name inside JSON parameters",
    "general": "map: the names that match an entry with any provider",
    "special": "map: <code>:<name> of the names that match another entry with the span's provider",
    "short": "map: <code>:<name> of the names that a glob matches",
    "long": "map: <code>:<provider>/<name> of the names that a glob matches",
    "key": "the best name found",
    "rank": "the rank of the best name found",
    "entry": "the number of the entry that matches the best name",
    "provider": "the span's provider",
    "code": "the code of the span's provider; '?' if no entry is limited to it",
    "shown": "the name that a warning quotes",
}
"""The state of the first group in ``span.cache``, by key. In the next group, the cache is empty again."""
STATE: Final = {
    "otelcol.registry_name": "the name that a glob matches",
    "otelcol.registry_code": "the code of the provider with which it matches",
    "otelcol.registry_odd": "the unregistered name that has control characters, while they are escaped",
}
"""The state between groups, in span attributes. The last group that needs an attribute removes it."""


def _cached(key: str) -> str:
    return f'span.cache["{key}"]'


def _attribute(key: str) -> str:
    return f"span.attributes[{ottl.encode(key)}]"


_NAMES, _MEMBER, _GENERAL, _SPECIAL, _SHORT, _LONG, _KEY, _RANK, _ENTRY, _PROVIDER, _CODE, _SHOWN = map(_cached, CACHE)
_GLOBBED_KEY, _GLOBBED_CODE_KEY, _ESCAPED_KEY = STATE
_GLOBBED: Final = _attribute(_GLOBBED_KEY)
_GLOBBED_CODE: Final = _attribute(_GLOBBED_CODE_KEY)
_ESCAPED: Final = _attribute(_ESCAPED_KEY)
_STATUS: Final = _attribute(f"{PREFIX}status")
_WARNINGS: Final = _attribute(f"{PREFIX}warnings")

_AFTER_CODE: Final = f'Concat([{_CODE}, ":"], "")'
_AFTER_PROVIDER: Final = f'Concat([{_CODE}, ":", {_PROVIDER}, "/"], "")'
_DOLLAR: Final = r"\x24"
_TOO_LONG: Final = rf"^[^:]*:(?s:.{{1000}}.{{{MAX_GLOBBED - 999}}})"  # RE2 repeats at most 1,000 times
_BEYOND_MAX_NAME: Final = f"^(?s:(.{{{MAX_NAME}}}).+)"
_CONTROL: Final = r"[\x00-\x1f\x7f]"
_ESCAPES: Final = (
    *((rf"\{letter}", rf"\{letter}") for letter in "tnr"),
    (r"\x7f", r"\x7f"),
    (r"[\x00-\x0f]", r"\x0${0}"),
    (r"[\x10-\x1f]", r"\x1${0}"),
    *((rf"[\x0{digit:x}\x1{digit:x}]", f"{digit:x}") for digit in range(16)),
)
"""Patterns of control characters with their replacements. Together, they escape a name as ``values.quote`` does."""


def render_statements(tables: Tables) -> str:
    """Return the statements as YAML: a list of groups, each with its condition."""
    named = " or ".join(f"{key} != nil" for key in dict.fromkeys(_attribute(row.key) for row in BY_PRIORITY))
    condition = f"{_STATUS} == nil and ({named})"  # on other spans, the sender may have set the state between groups
    groups = ottl.group(condition, _enrich_by_name(tables))
    if tables.globs:
        groups += ottl.group(f"{_GLOBBED} != nil and {condition}", _enrich_by_glob(tables))
    return groups + ottl.group(f"{_ESCAPED} != nil and {condition}", _warn_with_escapes())


# First group: exact names.


def _enrich_by_name(tables: Tables) -> Iterator[str]:
    """Yield the statements for spans that name a model and have no status."""
    yield f"set({_NAMES}, {{}})"
    for rank, row in enumerate(BY_PRIORITY):
        yield from _collect_name(row, rank)
    yield f'delete_key({_NAMES}, "")'
    yield f"set({_GENERAL}, {_NAMES})"
    yield f"keep_keys({_GENERAL}, {ottl.encode_all(tables.general)})"
    yield f"set({_KEY}, Keys({_GENERAL})[0]) where {_has_any(_GENERAL)}"
    yield f"set({_ENTRY}, {ottl.lookup(tables.general, _KEY)}) where {_KEY} != nil"
    if tables.special or tables.globs:
        yield f"set({_RANK}, {_first_rank(_GENERAL)}) where {_KEY} != nil"
        yield from _find_provider(tables)
    if tables.special:
        yield from _find_special_name(tables)
    if tables.globs:
        yield from _find_globbed_name(tables)
    yield f"delete_matching_keys(span.attributes, {ottl.encode('^' + re.escape(PREFIX))}) where {_has_any(_NAMES)}"
    enrichments = ",\n".join(map(_enrichment, tables.entries))
    yield f'merge_maps(span.attributes, Coalesce([[\n{enrichments}\n]])[{_ENTRY}], "upsert") where {_ENTRY} != nil'
    yield from _mark_unregistered(tables)


def _collect_name(row: Convention, rank: int) -> Iterator[str]:
    """Yield the statements that add the name of one convention to the names, if it is not one of them."""
    value = _attribute(row.key)
    condition = f"{value} != nil"
    if row.scope is not None:
        condition += f" and scope.name == {ottl.encode(row.scope)}"
    if row.member is not None:
        member = f"ParseJSON({value})[{ottl.encode(row.member)}]"
        yield f"set({_MEMBER}, {member}) where {condition} and Len({value}) <= {MAX_JSON}"
        value, condition = _MEMBER, f"{_MEMBER} != nil"
    name = f"{_NAMES}[{value}]"
    yield f"set({name}, {rank}) where {condition} and {name} == nil"


def _find_provider(tables: Tables) -> Iterator[str]:
    """Yield the statements that set the span's provider and its code."""
    for key in reversed(PROVIDER_KEYS):
        value = _attribute(key)
        yield f'set({_PROVIDER}, {value}) where {value} != nil and IsString({value}) and {value} != ""'
    yield f'set({_CODE}, "{NO_PROVIDER}") where {_PROVIDER} == nil'
    yield f'set({_CODE}, "?") where {_PROVIDER} != nil'
    codes = {provider: ottl.encode(code) for provider, code in tables.codes.items()}
    yield f"set({_CODE}, {ottl.lookup(codes, _PROVIDER)}) where {_PROVIDER} != nil"


def _find_special_name(tables: Tables) -> Iterator[str]:
    """Yield the statements that prefer a name if another entry matches it with the span's provider."""
    there = f"{_SPECIAL} != nil"
    best = f"{there} and {_has_any(_SPECIAL)} and ({_RANK} == nil or {_first_rank(_SPECIAL)} <= {_RANK})"
    yield f'set({_SPECIAL}, {_NAMES}) where {_CODE} != "?"'
    yield f"{_prefix(_SPECIAL, _AFTER_CODE)} where {there}"
    yield f"keep_keys({_SPECIAL}, {ottl.encode_all(tables.special)}) where {there}"
    yield f"set({_KEY}, Keys({_SPECIAL})[0]) where {best}"
    yield f"set({_ENTRY}, {ottl.lookup(tables.special, _KEY)}) where {best}"
    yield f"set({_RANK}, {_first_rank(_SPECIAL)}) where {best}"


def _find_globbed_name(tables: Tables) -> Iterator[str]:
    """Yield the statements that pass a name to the globs, if a glob matches a better name than the one found."""
    any_glob = ottl.encode(_any_glob(tables.globs))
    yield f"delete_key(span.attributes, {ottl.encode(_GLOBBED_KEY)})"
    better = f"({_RANK} == nil or {_first_rank(_NAMES)} < {_RANK})"
    yield f"set({_SHORT}, {_NAMES}) where {_has_any(_NAMES)} and {better}"
    yield f"set({_LONG}, {_SHORT}) where {_PROVIDER} != nil and {_SHORT} != nil"
    yield f"replace_pattern({_PROVIDER}, {ottl.encode(_DOLLAR)}, {ottl.encode('$$$$')}) where {_LONG} != nil"
    for names, prefix in ((_LONG, _AFTER_PROVIDER), (_SHORT, _AFTER_CODE)):
        there = f"{names} != nil"
        best = f"{there} and {_has_any(names)} and ({_RANK} == nil or {_first_rank(names)} < {_RANK})"
        too_long = f"{there} and Len(String({names})) > {MAX_GLOBBED}"
        yield f"{_prefix(names, prefix)} where {there}"
        yield f"delete_matching_keys({names}, {ottl.encode(_TOO_LONG)}) where {too_long}"
        yield f"keep_matching_keys({names}, {any_glob}) where {there}"
        yield f"set({_GLOBBED}, TrimPrefix(Keys({names})[0], {_AFTER_CODE})) where {best}"
        yield f"set({_GLOBBED_CODE}, {_CODE}) where {best}"
        yield f'delete_key(span.cache, "entry") where {best}'
        yield f"set({_RANK}, {_first_rank(names)}) where {best}"


def _any_glob(globs: list[CollectorGlob]) -> str:
    """Return a regular expression for the code and name that any glob matches. RE2 tries common prefixes once."""
    by_code: dict[str | None, list[str]] = {}
    for glob in globs:
        by_code.setdefault(glob.code, []).append(glob.expression)
    codes = {code: "[^:]*" if code is None else f"(?:{NO_PROVIDER}|{code})" for code in by_code}
    return ottl.anchored("|".join(f"{codes[code]}:(?:{'|'.join(each)})" for code, each in by_code.items()))


def _mark_unregistered(tables: Tables) -> Iterator[str]:
    """Yield the statements for a span whose names match nothing; the last group handles control characters."""
    nothing = f"{_has_any(_NAMES)} and {_ENTRY} == nil" + (f" and {_GLOBBED} == nil" if tables.globs else "")
    yield f"set({_SHOWN}, Keys({_NAMES})[0]) where {nothing}"
    yield f"replace_pattern({_SHOWN}, {ottl.encode(_BEYOND_MAX_NAME)}, {ottl.encode('${1}…')}) where {_SHOWN} != nil"
    yield f"delete_key(span.attributes, {ottl.encode(_ESCAPED_KEY)})"
    yield f"set({_ESCAPED}, {_SHOWN}) where {_SHOWN} != nil and IsMatch({_SHOWN}, {ottl.encode(_CONTROL)})"
    yield from _warn_of_name(_SHOWN, f"{_SHOWN} != nil and {_ESCAPED} == nil")


# Second group: globs.


def _enrich_by_glob(tables: Tables) -> Iterator[str]:
    """Yield a statement for each glob, in the order of registration. The first glob that matches sets the status."""
    for glob in tables.globs:
        condition = f"{_STATUS} == nil and {_matches(glob)}"
        yield f'merge_maps(span.attributes, {_enrichment(glob.entry)}, "upsert") where {condition}'
    yield f"delete_key(span.attributes, {ottl.encode(_GLOBBED_KEY)})"
    yield f"delete_key(span.attributes, {ottl.encode(_GLOBBED_CODE_KEY)})"


def _matches(glob: CollectorGlob) -> str:
    """Return the condition that a glob matches the name and its entry accepts the provider."""
    condition = f"IsMatch({_GLOBBED}, {ottl.encode(ottl.anchored(glob.expression))})"
    if glob.prefix is not None:
        condition = f"HasPrefix({_GLOBBED}, {ottl.encode(glob.prefix)})"
    if glob.code is not None:
        codes = " or ".join(f'{_GLOBBED_CODE} == "{code}"' for code in (NO_PROVIDER, glob.code))
        condition = f"({codes}) and {condition}"
    return condition


# Third group: control characters.


def _warn_with_escapes() -> Iterator[str]:
    """Yield the statements for an unregistered name that has control characters."""
    for pattern, replacement in _ESCAPES:
        yield f"replace_pattern({_ESCAPED}, {ottl.encode(pattern)}, {ottl.encode(replacement)})"
    yield from _warn_of_name(_ESCAPED, f"{_ESCAPED} != nil")
    yield f"delete_key(span.attributes, {ottl.encode(_ESCAPED_KEY)})"


# Expressions that several groups use.


def _warn_of_name(name: str, condition: str) -> Iterator[str]:
    """Yield the statements that mark a span as unregistered, with a warning that quotes the name."""
    warning = f"""Concat(["model '", {name}, "' is not registered"], "")"""
    yield f"set({_STATUS}, {ottl.encode(UNREGISTERED)}) where {condition}"
    yield f"set({_WARNINGS}, [{warning}]) where {condition}"


def _enrichment(entry: ModelRegistryEntry) -> str:
    """Return the attributes that an entry adds to spans, as a map."""
    attributes = span_attributes(entry)
    return ottl.mapping(
        {
            key: ottl.encode(value) if isinstance(value, str) else ottl.encode_all(value)
            for key, value in attributes.items()
        }
    )


def _has_any(names: str) -> str:
    return f"Len({names}) > 0"


def _first_rank(names: str) -> str:
    return f"Values({names})[0]"


def _prefix(names: str, prefix: str) -> str:
    return f'replace_all_patterns({names}, "key", "^", {prefix})'
