"""The call groups of one input, with a limit for each sender."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from spanforge.model_registry.compliance._analysis.calls import NO_NAMES, OTHERS_NAME, Call
from spanforge.model_registry.compliance._analysis.duplicates import SpanIdWriter
from spanforge.model_registry.compliance._analysis.scan_data import MAX_CALL_GROUPS, CallGroup

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._analysis.scan_data import ScanRequest, ScanResult


class CallGroups:
    """The call groups of one input. Each sender has its own limit of groups.

    Args:
        request: The request of the scan.
        result: The result of the scan, which gets the groups.
    """

    def __init__(self, request: ScanRequest, result: ScanResult) -> None:
        self._model_name = request.model_name
        self._result = result
        self._by_sender: defaultdict[str, dict[Call, CallGroup]] = defaultdict(dict)

    def find(self, call: Call) -> CallGroup:
        """Return the group that counts such calls."""
        groups = self._by_sender[call.sender]
        group = groups.get(call)
        if group is None and len(groups) >= MAX_CALL_GROUPS:
            call = self._merge(call)
            group = groups.get(call)
        if group is None:
            group = CallGroup(call, SpanIdWriter.format_mark(len(self._result.groups)), samples=[])
            groups[call] = group
            self._result.groups.append(group)
        return group

    def _merge(self, call: Call) -> Call:
        """Return the call without its service, and without names but the one that the evidence is about."""
        kept = ("", self._model_name)
        names = call.names
        if names is not NO_NAMES:
            matched, served = (each if each in kept else OTHERS_NAME for each in (names.matched, names.served))
            names = names._replace(matched=matched, served=served)
        name = call.name if call.name in kept else OTHERS_NAME
        return call._replace(name=name, service=OTHERS_NAME, names=names)
