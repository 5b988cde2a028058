"""Look-alikes: characters that look like another one, and names that look the same.

Names on spans have plain ASCII letters, digits and signs. An entry whose id has a Cyrillic letter in place of a Latin
one never matches, and nobody sees why.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOK_ALIKES: Final[Mapping[str, str]] = {
    "-": "\u02d7\u06d4\u2010\u2012\u2013\u2014\u2015\u2043\u2212\u2796",
    ".": "\u0660\u06f0\u0701\ua4f8",
    "/": "\u2044\u2215\u2571\u29f8",
    "2": "\u01a7\u03e8\ua644\ua75a",
    "3": "\u01b7\u021c\u0417\u04e0\u2ccc\ua76a\ua7ab\U0001d206",
    "4": "\u13ce",
    "5": "\u01bc",
    "6": "\u0431\u13ee\u2cd2",
    "7": "\U0001d212",
    "8": "\u0222\u0223",
    "9": "\u2cca\ua76e",
    ":": "\u02f8\u0589\u05c3\u2236\ua4fd\ua789",
    "A": "\u0391\u0410\u13aa\ua4ee",
    "B": "\u0392\u0412\u13f4\ua4d0\ua7b4",
    "C": "\u0421\u13df\u2ca4\ua4da",
    "D": "\u13a0\ua4d3",
    "E": "\u0395\u0415\u13ac\ua4f0",
    "F": "\u03dc\ua4dd\ua798\U0001d213",
    "G": "\u050c\u13c0\u13f3\ua4d6",
    "H": "\u0397\u041d\u13bb\u2c8e\ua4e7",
    "I": "\u0196\u0399\u0406\u04c0\u2c92",
    "J": "\u037f\u0408\u13ab\ua4d9\ua7b2",
    "K": "\u039a\u041a\u13e6\u2c94\ua4d7",
    "L": "\u13de\u2cd0\ua4e1\U0001d22a",
    "M": "\u039c\u03fa\u041c\u13b7\u2c98\ua4df",
    "N": "\u039d\u2c9a\ua4e0",
    "O": "\u039f\u041e\u0555\u2c9e\ua4f3",
    "P": "\u03a1\u0420\u13e2\u2ca2\ua4d1",
    "R": "\u01a6\u13a1\u13d2\ua4e3\U0001d216",
    "S": "\u0405\u054f\u13d5\u13da\ua4e2",
    "T": "\u03a4\u0422\u13a2\u2ca6\ua4d4",
    "U": "\u054d\ua4f4",
    "V": "\u0474\u13d9\ua4e6\U0001d20d",
    "W": "\u051c\u13b3\u13d4\ua4ea",
    "X": "\u03a7\u0425\u2cac\ua4eb\ua7b3",
    "Y": "\u03a5\u0423\u04ae\u13a9\u13bd\u2ca8\ua4ec",
    "Z": "\u0396\u13c3\ua4dc\U000102f5",
    "_": "\u07fa",
    "a": "\u0251\u03b1\u0430",
    "b": "\u0184\u042c\u13cf",
    "c": "\u0441\u1d04\u2ca5\uabaf",
    "d": "\u0501\u13e7\ua4d2",
    "e": "\u0435\u04bd\uab32",
    "f": "\u0584\u1e9d\ua799\uab35",
    "g": "\u018d\u0261\u0581\u1d83",
    "h": "\u04bb\u0570\u13c2",
    "i": "\u0131\u0269\u026a\u03b9\u0456\u04cf\u13a5\ua647\uab75",
    "j": "\u03f3\u0458",
    "l": "\u01c0\u2223\ua4f2",
    "n": "\u0578\u057c",
    "o": "\u03bf\u03c3\u043e\u0585\u1d0f\u1d11\u2c9f\uab3d",
    "p": "\u03c1\u0440\u2ca3",
    "q": "\u051b\u0563\u0566",
    "r": "\u0433\u1d26\u2c85\uab47\uab48\uab81",
    "s": "\u01bd\u0455\ua731\uabaa",
    "u": "\u028b\u03c5\u057d\u1d1c\ua79f\uab4e\uab52",
    "v": "\u03bd\u0475\u1d20\uaba9",
    "w": "\u026f\u0461\u051d\u0561\u1d21\uab83",
    "x": "\u00d7\u0445",
    "y": "\u0263\u028f\u03b3\u0443\u04af\u1d8c\u1eff\uab5a",
    "z": "\u1d22\uab93",
}
"""The characters that look like each ASCII character.

Source: Unicode Technical Standard #39, ``confusables.txt`` of version 14.0: the rows with one ASCII letter, digit or
sign, of the scripts Latin, Greek, Cyrillic, Armenian, Cherokee, Coptic and Lisu, and the usual signs. Some rows differ.
Capitals that look like ``I`` and ``l`` are under ``I``, because letter case is ignored later. The dashes U+2014 and
U+2015 are under ``-``. Characters whose compatibility form is ASCII, such as full-width letters, are not listed.
"""
_INVISIBLE_LETTERS: Final = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164" + "".join(map(chr, range(0xFE00, 0xFE10)))
"""Characters that are invisible, but whose category is that of letters, marks or symbols.

Source: ``Default_Ignorable_Code_Point`` in Unicode's ``DerivedCoreProperties.txt``, and the blank of Braille.
"""
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
"""The categories of control characters, format characters such as U+200B and U+202E, and white space."""
_MIXED_WITH_LATIN: Final = frozenset({"LATIN", "CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})
"""The scripts that names mix with Latin letters. Source: UTS #39, section 5.2, "Highly Restrictive"."""

_ASCII_BY_LOOK_ALIKE: Final[dict[int, str | None]] = {
    **dict.fromkeys(map(ord, _INVISIBLE_LETTERS)),
    **{ord(character): plain for plain, characters in LOOK_ALIKES.items() for character in characters},
}
_ORDINARY: Final = re.compile(
    "[ -~\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff\u3041-\u3096\u30a1-\u30fe\u4e00-\u9fff\uac00-\ud7a3]*"
)
"""The texts that need no look at each character: ASCII, letters of Western Europe, and those of Chinese, Japanese and
Korean. Each of these characters is its own compatibility form."""


def make_skeleton(text: str) -> str:
    """Return a text that is the same for all texts that look the same, whatever their letter case.

    It is a simpler form of the skeleton of UTS #39: characters of ASCII stay different, such as ``0`` and ``O``.
    """
    if _ORDINARY.fullmatch(text):
        return text.casefold()
    return _replace_look_alikes(_replace_look_alikes(text).casefold())


def _replace_look_alikes(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).translate(_ASCII_BY_LOOK_ALIKE)
    return "".join(c for c in plain if unicodedata.category(c) not in ("Cc", "Cf"))


def explain_oddity(text: str) -> str | None:
    """Return the predicate about the first odd character of a name; ``None`` if all are what they look like.

    A character is odd if it is invisible, looks like an ASCII character, or is a letter of another script than the
    other letters. A letter that looks like a Latin one is not odd among other letters of its own script.
    """
    if _ORDINARY.fullmatch(text):
        return None
    letters = [c for c in text if c.isalpha()]
    scripts = set(map(_find_script, letters))
    is_foreign = "LATIN" in scripts or all(map(_find_look_alike, letters))
    for character in text:
        reason = _explain_character(character, scripts, is_foreign=is_foreign)
        if reason is not None:
            return f"contains {describe_character(character)}, which {reason}"
    return None if unicodedata.is_normalized("NFC", text) else _explain_not_composed(text)


def _explain_character(character: str, scripts: set[str], *, is_foreign: bool) -> str | None:
    """Return the reason why a character is odd.

    Args:
        character: The character.
        scripts: The scripts of the letters of the name.
        is_foreign: Whether the name has Latin letters, or could have only Latin letters by the looks of it.
    """
    if _ORDINARY.fullmatch(character):
        return None
    if unicodedata.category(character) in _INVISIBLE_CATEGORIES or character in _INVISIBLE_LETTERS:
        return "is invisible"
    plain = _find_look_alike(character)
    if plain is not None and (is_foreign or not character.isalpha()):
        return f"looks like {plain!r}"
    is_mixed = character.isalnum() and len(scripts | {_find_script(character)}) > 1
    is_usual = _find_script(character) in _MIXED_WITH_LATIN
    return "is among letters of another script" if is_mixed and not is_usual else None


def _find_look_alike(character: str) -> str | None:
    """Return the ASCII text that a character looks like; ``None`` for others."""
    plain = _replace_look_alikes(character)
    return plain if plain != character and plain.isascii() else None


def _find_script(character: str) -> str:
    """Return the script of a letter or digit: the first word of its name, because Python has no other source for it."""
    plain = unicodedata.normalize("NFKC", character)[0]
    return unicodedata.name(plain, "CJK").replace("-", " ").removeprefix("EXTENDED ").partition(" ")[0]


def _explain_not_composed(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    place = next(i for i, character in enumerate(text) if not composed.startswith(character, i))
    character = next(c for c in text[place:] if not c.isascii())
    return f"is not in Unicode's normal form NFC, because of {describe_character(character)}"


def describe_character(character: str) -> str:
    """Return the number and the name of a character, such as ``U+2011 NON-BREAKING HYPHEN``."""
    return f"U+{ord(character):04X} {unicodedata.name(character, 'CONTROL CHARACTER')}"
