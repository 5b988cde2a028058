"""The watched sources of one registry: files, folders, globs and addresses, and when to look at them again."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.address_answers import read_request_options
from spanforge.model_registry._core.registry_addresses import is_registry_address, parse_registry_address
from spanforge.model_registry._core.watched_address import WatchedAddress
from spanforge.model_registry._core.watched_sources import WatchedSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

AnySource = WatchedSource | WatchedAddress

_READ_ATTEMPTS: Final = 3
"""The limit of attempts to read several files at a time at which none of them changes."""


def make_sources(names: Iterable[str], interval: float) -> list[AnySource]:
    """Return the states of sources before the first look, each once.

    Args:
        names: The sources.
        interval: The seconds within which a change is in force.
    """
    options = read_request_options()
    sources: dict[str, AnySource] = {}
    for name in names:
        source: AnySource = WatchedSource(name)
        if is_registry_address(name):
            source = WatchedAddress(parse_registry_address(name), options, interval)
        sources.setdefault(source.source, source)
    return list(sources.values())


def look_together(sources: Sequence[AnySource]) -> list[AnySource] | None:
    """Return the state of all files at one moment; ``None`` if they change during each attempt. No server is asked.

    A deployment may replace several files at once, so none of them may change between the first and the last read.
    """
    for _ in range(_READ_ATTEMPTS):
        seen = [source.look() for source in sources]
        is_single = sum(len(source.files) for source in seen) <= 1
        if is_single or all(source.is_unchanged() for source in seen):
            return seen
    return None


def list_unread(sources: Iterable[AnySource]) -> list[str]:
    """Return the files, folders and globs that were not looked at yet."""
    return [each.source for each in sources if isinstance(each, WatchedSource) and each.listing is None]


def reschedule(sources: Iterable[AnySource]) -> list[AnySource]:
    """Return the sources in a forked child, which asks servers at times of its own. A first request is made at once."""
    return [each.schedule() if isinstance(each, WatchedAddress) and each.due else each for each in sources]


def plan_next_look(sources: Iterable[AnySource], pause_of_files: float) -> float:
    """Return the seconds until the next look. Each server has a time of its own.

    Args:
        sources: The sources.
        pause_of_files: The seconds between two looks at files.
    """
    pauses = {
        max(each.due - time.monotonic(), 0) if isinstance(each, WatchedAddress) else pause_of_files for each in sources
    }
    return min(pauses, default=math.inf)
