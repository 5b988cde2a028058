"""Faults: the parts of an input that cannot be read, each with its place and the reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FAULTS: Final = 10
"""The limit of faults of one input that are described; all are counted. A damaged file has one for each line."""
_TYPE_ERROR: Final = re.compile(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `\$\.?(.*)`)?")
_TYPE_WORDS: Final = {
    "str": "text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
}


class FaultLog:
    """The faults of one input.

    Args:
        get_place: The function that returns the place of the document that is read, such as ``line 3``; an empty text
            if it is not known.

    Attributes:
        count: The number of faults.
        documents: The number of faults that are whole documents.
        harmless: The number of faults that hide nothing of the period from the evidence.
        texts: The first faults, a text each.
        ends_early: ``True`` if the latest document is JSON that ends early.
    """

    def __init__(self, get_place: Callable[[], str] = str) -> None:
        self._get_place = get_place
        self.count = 0
        self.documents = 0
        self.harmless = 0
        self.texts: list[str] = []
        self.ends_early = False

    def add(self, describe: Callable[[], str], path: tuple[str | int, ...] = (), *, is_harmless: bool = False) -> None:
        """Count a fault, and keep its description if it is one of the first.

        Args:
            describe: The function that returns the reason.
            path: The path of the fault in its document.
            is_harmless: ``True`` if the fault hides nothing of the period.
        """
        self.count += 1
        self.harmless += is_harmless
        if len(self.texts) < MAX_FAULTS:
            where = ", ".join(filter(None, (self._get_place(), format_path(path))))
            self.texts.append(f"{where}: {describe()}" if where else describe())


def format_path(path: tuple[str | int, ...]) -> str:
    """Return a path in a document: ``resourceSpans[0].scopeSpans[2]``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def explain_decode_error(error: BaseException) -> str:
    """Return the reason why JSON has another form than required."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    text = str(error).removeprefix("JSON is malformed: ")
    match = _TYPE_ERROR.match(text)
    if match is None:
        return shorten(text)[1:-1]
    wanted, given = (_TYPE_WORDS.get(word, word) for word in match.group(1, 2))
    return f"{match[3]} must be {wanted}; got {given}" if match[3] else f"must be {wanted}; got {given}"
