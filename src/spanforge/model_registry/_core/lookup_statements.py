"""The Collector's statements that write the keys for its lookup processor on a span."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.collector_attributes import collect_names, find_provider
from spanforge.model_registry._core.collector_paths import CODE, NAMES, PROVIDER, STATUS, attribute, join_texts
from spanforge.model_registry._core.collector_tables import NO_PROVIDER, Tables
from spanforge.model_registry._core.conventions import BY_PRIORITY
from spanforge.model_registry._core.lookup_source import SEPARATOR
from spanforge.model_registry._core.name_routes import PROVIDER_SPELLINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.names import MatchMode

KEYS: Final = {
    "otelcol.registry_name": "the only name of the span",
    "otelcol.registry_provider_name": "the provider, a line break and the only name of the span",
}
"""The span attributes that the lookup processor reads, in the order in which it reads them."""
_NAME, _WITH_PROVIDER = map(attribute, KEYS)


def render_key_statements(mode: MatchMode) -> str:
    """Return the statements before the lookup processor as YAML."""
    named = " or ".join(f"{key} != nil" for key in dict.fromkeys(attribute(row.key) for row in BY_PRIORITY))
    return ottl.group("true", _remove_keys()) + ottl.group(f"{STATUS} == nil and ({named})", _set_keys(mode))


def render_removal() -> str:
    """Return the statements after the lookup processor as YAML."""
    there = " or ".join(f"{attribute(key)} != nil" for key in KEYS)
    return ottl.group(there, _remove_keys())


def _remove_keys() -> Iterator[str]:
    for key in KEYS:
        yield f"delete_key(span.attributes, {ottl.encode(key)})"


def _set_keys(mode: MatchMode) -> Iterator[str]:
    """Yield the statements that set the keys of a span with one name. They do not depend on a registry."""
    providers = {name: name for name in PROVIDER_SPELLINGS.values()}
    tables = Tables((), mode, frozenset(), codes={} if mode == "exact" else providers)
    one = f"where Len({NAMES}) == 1"
    yield from collect_names(with_roles=False)
    yield f"set({_NAME}, Keys({NAMES})[0]) {one}"
    yield from find_provider(tables)
    if mode == "exact":  # providers are compared as they are written
        yield f"set({CODE}, {PROVIDER}) where {PROVIDER} != nil"
        yield f'set({CODE}, "") where {PROVIDER} == nil'
    else:
        yield f'set({CODE}, "") where {CODE} == "{NO_PROVIDER}"'
    yield f"set({_WITH_PROVIDER}, {join_texts(CODE, ottl.encode(SEPARATOR), f'Keys({NAMES})[0]')}) {one}"
    yield f"delete_matching_keys(span.attributes, {ottl.encode('^' + re.escape(PREFIX))}) {one}"
