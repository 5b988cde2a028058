"""The phrases that the project's prose does without, each with what to write instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUESTION: Final = "(?:how|what|which|who|whose|where|when|why|whether)"
_BE: Final = "(?:am|are|be|been|being|is|was|were)(?: not)?"
_PLACE: Final = "(?:above|among|at|behind|below|beside|between|here|in|on|once|there|under|where|with)"
_PARTICIPLE: Final = r"(?:\w+ed|done|found|given|kept|left|made|met|read|run|seen|sent|set|shown|taken|told|written)"

PHRASES: Final[Mapping[str, str]] = {
    r"who(?:m|se)?(?:so)?ever": "'anyone who', or name the person or the program",
    r"what one (?:asks|expects|needs|wants|wishes)": "'what you need', or name the person",
    r"one's own": "'its own' or 'your own'",
    r"(?:stand|stands|stood|standing) for": "'means' or 'is'",
    rf"(?:stand|stands|stood|standing) {_PLACE}": "'is'",
    r"how (?:it|they|this|things) stands?": "'its state'",
    rf"{_BE} told(?! apart)": "'receives' or 'reads', or name the message",
    rf"{_BE} said": "'is set' or 'is documented'",
    r"(?:come|comes|came|coming) to(?! an end)": "'reaches', 'becomes' or 'is'",
    r"(?:anything|had|has|have|having|little|more|much|nothing|something) to do with": "'concerns' or 'is about'",
    r"makes? of": "name the result, as in 'the entries that it computes from the layers'",
    rf"(?:are|is|was|were)(?: not)? to be {_PARTICIPLE}": "'must be' or 'will be'",
    r"governed(?! by)": "'flagged'",
    r"believ(?:e|es|ed|ing)": "'trusted', of a sender; 'accepted', of an attribute",
    r"strangers?": "'untrusted sender'",
    r"somebody": "name the role, as in 'an operator'",
    r"ever an?other": "'another … each time'",
    r"(?:first|next|last) so many": "name the number, as in 'the first N keys'",
    r"what (?:\w+ ){1,3}answer(?:s|ed) with": "'the response', or name its part, as in 'the response model'",
    r"answers inside": "'adds to', and name what is added",
    r"(?:until|unless|when|while|if) (?:it|they) (?:are|is) (?:good|bad)(?: again)?": "'valid', 'invalid' or 'fixed'",
    rf"(?:says|(?:did|do|does) not say) {_QUESTION}": "'describes', 'names', 'lists' or 'reports'",
    rf"(?:tells|(?:did|do|does) not tell) {_QUESTION}": "'shows', 'checks' or 'reports'",
    r"lets (?:\w+ ){1,6}say": "'accepts … only from'",
    r"bears": "'has'",
}
"""Each phrase as a regular expression of whole words, and what to write instead."""


class Phrase(NamedTuple):
    """A phrase in a text.

    Attributes:
        text: The phrase as it is there.
        instead: What to write instead.
    """

    text: str
    instead: str


_COMPILED: Final = [
    (re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE), instead) for pattern, instead in PHRASES.items()
]


def find_phrases(text: str) -> list[Phrase]:
    """Return the banned phrases of a sentence in which code is masked."""
    return [Phrase(match[0], instead) for pattern, instead in _COMPILED for match in pattern.finditer(text)]
