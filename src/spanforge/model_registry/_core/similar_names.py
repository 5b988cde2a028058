"""Similar names: the known names that an unknown one probably means."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_COMPARED_NAMES: Final = 5_000
"""The limit of known names to compare. These take a tenth of a second."""
MAX_COMPARED_LENGTH: Final = 100
"""The limit of characters to compare, because the time grows with the product of both lengths."""
USUAL_LIKENESS: Final = 0.6
"""The similarity from which one name counts as another one misspelt, from 0 to 1; the default of ``difflib``."""


def find_similar_names(name: str, known: Iterable[str], number: int = 1, likeness: float = USUAL_LIKENESS) -> list[str]:
    """Return the known names that are most like a name, the most similar first.

    Args:
        name: The unknown name.
        known: The known names, of which the first 5,000 are compared.
        number: The limit of names to return.
        likeness: The similarity that they have at least, from 0 to 1.
    """
    compared = islice(known, MAX_COMPARED_NAMES)
    return difflib.get_close_matches(name[:MAX_COMPARED_LENGTH], compared, number, likeness)


def write_names(noun: str, names: Sequence[str]) -> str:
    """Return the end of the sentence that lists names, such as ``the allowed fields are id, title``."""
    return f"the {noun} is {names[0]}" if len(names) == 1 else f"the {noun}s are {', '.join(names)}"


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Return the end of the sentence about an unknown name: the name that is probably meant; empty if there is none."""
    return "".join(f"; did you mean {shorten(each)}?" for each in find_similar_names(name, known))
