"""Checks that the fuzz targets share: errors that a person can read, and a bounded time for each input."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Target = Callable[[bytes], None]

MAX_SECONDS: Final = 5.0
"""The limit of processor seconds for one input of at most ``MAX_BYTES``. Most inputs take a few milliseconds."""
MAX_BYTES: Final = 8_192
"""The limit of an input's bytes. It is larger than every input of the corpus, and small enough for many runs."""
MAX_MESSAGE: Final = 2_000
"""The limit of an error's characters. The longest rules list all names of fields."""

CONTROLS: Final = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""The characters that change lines, their order or a terminal, and those that no encoding has."""


class FoundError(AssertionError):
    """An input for which a target does not keep its promise."""


def expect(condition: object, message: str) -> None:
    """Raise an error unless a promise is kept."""
    if not condition:
        raise FoundError(message)


def check_message(error: Exception) -> str:
    """Return an error's text, which must be one short line without control characters."""
    text = str(error)
    expect(not CONTROLS.search(text), f"an error has raw control characters: {text!r}")
    expect(len(text) <= MAX_MESSAGE, f"an error has {len(text)} characters")
    return text


def decode(data: bytes) -> str:
    """Return data as a text, in which bytes that are not UTF-8 are lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


@contextmanager
def limit_time() -> Iterator[None]:
    """Raise an error if what runs here takes too much processor time."""
    start = time.process_time()
    yield
    seconds = time.process_time() - start
    expect(seconds <= MAX_SECONDS, f"the input took {seconds:.1f} s of processor time")
