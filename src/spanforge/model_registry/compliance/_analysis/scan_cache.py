"""The cache of a scan: the resources, scopes and attributes that it has seen, with the call groups of their spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry.compliance._analysis.span_groups import (
    KeyLayout,
    LayoutPickers,
    ResourceScopes,
    ServiceScope,
    read_service,
)
from spanforge.model_registry.compliance._sources import otlp_json as otlp

if TYPE_CHECKING:
    import msgspec

    from spanforge.model_registry.compliance._analysis.resolver import Resolver
    from spanforge.model_registry.compliance._analysis.span_groups import GroupPicker, ScopePickers

_CACHE_SLOTS: Final = 20_000
"""The limit of remembered combinations. A combination takes one more slot per ``_BYTES_PER_SLOT`` bytes."""
_BYTES_PER_SLOT: Final = 1_024


class ScanCache:
    """Remembers a limited number of combinations, and forgets all of them beyond it.

    Resources of one service share their scopes, and so do scopes whose name decides nothing. So a sender that writes
    many resources and scopes takes little more time than one that writes many spans.

    Args:
        resolver: The resolver of the names on the spans.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._no_keys = KeyLayout([], resolver)
        self._used_slots = 0
        self._resources: dict[bytes, ResourceScopes] = {}
        self._scopes: dict[tuple[str, str], ServiceScope] = {}
        self._layouts: dict[tuple[str, ...], KeyLayout] = {}

    def find_resource(self, encoded: msgspec.Raw) -> ResourceScopes:
        """Return the known scopes of a resource. It may be large, and is compared once for all of its scopes."""
        resource = bytes(encoded)
        known = self._resources.get(resource)
        if known is None:
            self._use_slots(len(resource))
            known = self._resources[resource] = ResourceScopes(read_service(encoded), {})
        return known

    def find_scope(self, resource: ResourceScopes, encoded: msgspec.Raw) -> ServiceScope:
        """Return a scope of a resource."""
        scope = bytes(encoded)
        known = resource.scopes.get(scope)
        if known is None:
            self._use_slots(len(scope))
            name = otlp.get_scope_name(encoded)
            key = resource.service, name if name in self._resolver.relevant_scopes else ""
            known = self._scopes.get(key)
            if known is None:
                known = self._scopes[key] = ServiceScope(*key, LayoutPickers(self._no_keys, {}))
            resource.scopes[scope] = known
        return known

    def find_layout(self, scope: ScopePickers, keys: list[str]) -> LayoutPickers:
        """Return the layout of these keys, with its pickers in a scope."""
        key = tuple(keys)
        known = scope.by_keys.get(key)
        if known is None:
            if self._use_slots(sum(map(len, keys))):
                scope.clear()
            layout = self._layouts.get(key)
            if layout is None:
                layout = self._layouts[key] = KeyLayout(keys, self._resolver)
            pickers = scope.by_deciding.setdefault(layout.deciding, {})
            known = scope.by_keys[key] = LayoutPickers(layout, pickers)
        return known

    def add(self, scope: ServiceScope, known: LayoutPickers, values: bytes, picker: GroupPicker) -> None:
        """Remember the picker of spans with these values."""
        if self._use_slots(len(values)):
            scope.spans.clear()  # the scope may be in use until the end of the document
            scope.logs.clear()
            known.pickers.clear()
        known.pickers[values] = picker

    def _use_slots(self, size: int) -> bool:
        """Count a combination of this many bytes. If there are too many, forget all of them and return ``True``."""
        self._used_slots += 1 + size // _BYTES_PER_SLOT
        if self._used_slots <= _CACHE_SLOTS:
            return False
        self._resources.clear()
        self._scopes.clear()
        self._layouts.clear()
        self._used_slots = 0
        return True
