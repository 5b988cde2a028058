"""The parser of model names as statements of the Collector: the tables of names as regular expressions.

A name is a text such as ``?openaiQ R F S L gpt4o`` without the spaces: the provider, the revision, flags, the snapshot,
whether the name means the newest snapshot, and the rest of the name. The name has no upper-case letter of ASCII, so the
letters separate the parts. A question mark stands before the provider that the span names. A flag is ``T`` if gateways
may have added a tag, ``B`` if Bedrock's revisions may follow, ``O`` if the name is opaque, and ``W`` if in addition its
route belongs to it.

Where this parser differs from ``names.parse``:

- It removes at most one snapshot and one revision, and parts of a route in three rounds.
- Letters beyond ASCII have Go's lower case, and white space beyond ASCII is a part of a name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.name_routes import PROVIDER_SPELLINGS, TAGGING_GATEWAY
from spanforge.model_registry._core.name_tables import (
    DOCUMENTED_NAMES,
    GEOGRAPHIES,
    NOT_BEDROCK,
    OPAQUE,
    OWN_WORD,
    PATHS,
    PROVIDER_WORDS,
    PROVIDERS_BEFORE_COLON,
    SEGMENTS,
)
from spanforge.model_registry._core.name_versions import DATE_PARTS
from spanforge.model_registry._core.provider_tables import BEDROCK, VENDORS
from spanforge.model_registry._core.version_tables import NAME_TAGS, REVISIONS, SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._core.name_tables import Word

NO_PARTS: Final = "QRFSL"
"""The empty parts between the provider and the name."""
PARTS: Final = (
    "(?s)^(?P<provider>[^Q]*)Q(?P<revision>[^R]*)R(?P<flags>[^F]*)F(?P<snapshot>[^S]*)S(?P<moving>[^L]*)L(?P<base>.*)$"
)
"""The parts of a parsed name."""
MARKED: Final = r"[/:@\s]|--|[a-z]\.|\.[a-z]"
"""What only a name with a route, a tag or white space has."""

_SPACE_AROUND: Final = r"^\s+|\s+$"
_ROUNDS: Final = 3
"""The times that the rules of parts of a route run. A route has at most three parts with a rule."""
_LAST_OF_ROUTES: Final = ("Z", "Z")
"""A rule that changes nothing, after which the names without their routes are kept."""
_ORGANISATION_TEXTS: Final = sorted({text for row in VENDORS for text in row.organisations})
_DOTTED: Final = sorted({text for row in VENDORS for text in row.dotted})
_SPELLINGS: Final = sorted(set(PROVIDER_SPELLINGS) - set(_ORGANISATION_TEXTS))
_COMMON_YEARS: Final = "|".join(str(year) for year in range(19, 40) if year % 4)
_NO_DATE: Final = f"(?:0[469]|11)-?31|02-?3[01]|(?:{_COMMON_YEARS})-02-29|(?:{_COMMON_YEARS})0229"
"""The ends of texts that only look like dates."""


def parse_statements(names: str, flag: str, prefix: str, whole: str, opaque: str) -> Iterator[str]:
    """Yield the statements that replace the names in a map by their parts.

    Args:
        names: The path of the map.
        flag: The path of a flag that is set if one of the names may need the rules that follow.
        prefix: The path of the text with the span's provider and the empty parts.
        whole: The path of a map for the names in lower case.
        opaque: The path of a map for the names without their routes.
    """
    there = f"where {names} != nil"
    lower = f'replace_all_patterns({names}, "value", "(?s)^(.+)$", "$1", ToLowerCase)'.replace("$", "\\u0024")
    yield f"{lower} {there}"
    yield f"{_replace_in(names, _SPACE_AROUND, '')} {there}"
    yield f"set({whole}, {names}) {there}"
    yield f'replace_all_patterns({names}, "value", "^", {prefix}) {there}'
    for may_fit, rules in _list_steps():
        yield f"set({flag}, IsMatch(String({names}), {ottl.encode(may_fit)})) {there}"
        for pattern, replacement in rules:
            yield f"{_replace_in(names, pattern, replacement)} where {flag} == true"
        if rules[-1] == _LAST_OF_ROUTES:
            yield f"set({opaque}, {names}) {there}"


def _list_steps() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the rules in groups, each with a regular expression for the names, as JSON, that may need them."""
    yield MARKED, list(_list_first_rules())
    for _ in range(_ROUNDS):
        yield 'L[^"]*[/:]', list(_list_part_rules())
    yield MARKED, [*_list_route_rules(), _LAST_OF_ROUTES]
    yield "[:@]|-v", list(_list_tag_rules())
    yield "", list(_list_spelling_rules())
    yield (
        f"L(?:{ottl.any_of(word.text for word in PROVIDER_WORDS if word.text.endswith('-'))})",
        [rule for word in PROVIDER_WORDS if word.text.endswith("-") for rule in _list_word_rules(word)],
    )
    for _ in range(2):
        yield '-(?:latest|maas|[0-9]*[0-9]{2})"', list(_list_version_rules())
    yield "[a-z]-v?[0-9]", list(_list_joining_rules())


def _replace_in(names: str, pattern: str, replacement: str) -> str:
    return f'replace_all_patterns({names}, "value", {ottl.encode(pattern)}, {ottl.encode(replacement)})'


def _rule(  # noqa: PLR0913 - one keyword for each part of a name
    text: str,
    new: str,
    *,
    at: str | None = None,
    provider: str | None = None,
    flag: str = "",
    needs: str = "",
    unless: str = "",
    revision: str | None = None,
    snapshot: str | None = None,
    moving: bool = False,
    is_unknown: bool = False,
) -> tuple[str, str]:
    """Return a regular expression and its replacement for a name that is not opaque.

    Args:
        text: The regular expression of the rest of the name. Its first group has the number 6.
        new: The text that replaces it.
        at: The provider that the name or the span must show.
        provider: The provider that the name shows.
        flag: The flag that is added.
        needs: The flag that the name must have.
        unless: A flag that the name must not have.
        revision: The revision, if the name has none yet.
        snapshot: The snapshot, if the name has none yet.
        moving: Whether the name means the newest snapshot.
        is_unknown: Whether the rule is only for names that do not show a provider yet.
    """
    who = "[^Q]*" if at is None else rf"\??(?:{ottl.any_of(_spellings_of(at))})"
    if is_unknown:
        who = r"\?[^Q]*"
    flags = f"[^FOW{unless}]*{needs}[^FOW{unless}]*" if needs else f"[^FOW{unless}]*"
    expression = (
        f"(?s)^({who})Q({'' if revision else '[^R]*'})R({flags})F({'' if snapshot else '[^S]*'})S([^L]*)L(?:{text})$"
    )
    parts = (
        f"{'${1}' if provider is None else provider}Q{revision or '${2}'}R${{3}}{flag}F{snapshot or '${4}'}S"
        f"{'N' if moving else '${5}'}L{new}"
    )
    return expression, parts


def _rules_of_owner(text: str, new: str, provider: str | None) -> Iterator[tuple[str, str]]:
    """Yield rules for text that shows a provider, unless the name showed one before."""
    if provider is not None:
        yield _rule(text, new, provider=provider, is_unknown=True)
    yield _rule(text, new)


def _spellings_of(provider: str) -> list[str]:
    return [text for text, name in PROVIDER_SPELLINGS.items() if name == provider]


# Routes.


def _list_first_rules() -> Iterator[tuple[str, str]]:
    yield _rule(r"(.*\s.*)", "${6}", flag="O")
    yield _rule("(.+)", "${6}", at=TAGGING_GATEWAY, flag="T")


def _list_route_rules() -> Iterator[tuple[str, str]]:
    """Yield the rules that follow the removal of a route."""
    yield _rule("(.+)", "${6}", at=TAGGING_GATEWAY, flag="T", unless="T")
    yield from _list_arn_rules()
    yield _rule(f"((?:{ottl.any_of(sorted(OPAQUE))})/.+)", "${6}", flag="W")
    yield _rule("((?:ft|arn):.*)", "${6}", flag="O")
    for word in PROVIDER_WORDS:
        if word.text.endswith("."):
            yield from _rules_of_owner(f"{re.escape(word.text)}(.+)", f"{word.means}${{6}}", word.provider)
    yield from _list_vendor_rules()


def _list_part_rules() -> Iterator[tuple[str, str]]:
    """Yield the rules that remove the parts of a route."""
    for path in PATHS:
        parts = ["[^/]+" if part == "*" else re.escape(part) for part in path.template.split("/")]
        yield from _rules_of_owner(f"{'/'.join(parts)}/(.+)", "${6}", path.provider)
    with_colon = [text for text in _SPELLINGS if text in PROVIDERS_BEFORE_COLON]
    head = f"({ottl.any_of(_SPELLINGS)})/(.+)|({ottl.any_of(with_colon)}):(.+)"
    yield _rule(head, "${7}${9}", provider="${6}${8}", is_unknown=True)
    yield _rule(head, "${7}${9}")
    for provider in dict.fromkeys(row.provider for row in SEGMENTS):
        patterns = "|".join(row.pattern for row in SEGMENTS if row.provider == provider)
        yield _rule(f"(?:(?:{patterns})/)+(.+)", "${6}", at=provider)
    with_colon = [text for text in _ORGANISATION_TEXTS if text in PROVIDERS_BEFORE_COLON]
    yield _rule(f"(?:(?:{ottl.any_of(_ORGANISATION_TEXTS)})/|(?:{ottl.any_of(with_colon)}):)+(.+)", "${6}", flag="T")


def _list_arn_rules() -> Iterator[tuple[str, str]]:
    vendor, geography = f"(?:{ottl.any_of(_DOTTED)})", f"(?:{ottl.any_of(sorted(GEOGRAPHIES))})"
    resource = "arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*"
    model = f"foundation-model/({vendor}[.].+)|{resource}:inference-profile/{geography}[.]({vendor}[.].+)"
    yield from _rules_of_owner(f"{resource}:{model}", "${6}${7}", BEDROCK)
    yield from _rules_of_owner(f"{geography}[.]({vendor}[.].+)", "${6}", BEDROCK)


def _list_vendor_rules() -> Iterator[tuple[str, str]]:
    for text, documented in DOCUMENTED_NAMES.items():
        yield _rule(re.escape(text), documented.means)
    yield _rule(f"(?:{ottl.any_of(_ORGANISATION_TEXTS)})--(.+)", "${6}")
    own = "|".join(map(re.escape, OWN_WORD))
    others = ottl.any_of(vendor for vendor in _DOTTED if vendor not in OWN_WORD)
    twice = "|".join(f"{word}[.]({word}.+)" for word in map(re.escape, OWN_WORD))
    groups = "".join(f"${{{6 + number}}}" for number in range(len(OWN_WORD)))
    for provider in sorted(NOT_BEDROCK):
        yield _rule(twice, groups, at=provider)
        yield _rule(f"({own})[.](.+)", "${6}-${7}", at=provider)
        yield _rule(f"(?:{others})[.](.+)", "${6}", at=provider)
    yield _rule(twice, groups, flag="B")
    yield _rule(f"({own})[.](.+)", "${6}-${7}", flag="B")
    yield _rule(f"(?:{others})[.](.+)", "${6}", flag="B")


# Tags and revisions.


def _list_tag_rules() -> Iterator[tuple[str, str]]:
    yield _rule("(.+)", "${6}", at=BEDROCK, flag="B", unless="B")
    yield _rule("(.*)@([0-9].*)", "${6}-${7}")
    moving = ottl.any_of(row.text for row in NAME_TAGS if row.moving)
    tags = ottl.any_of(row.text for row in NAME_TAGS if not row.moving)
    for _ in range(2):
        yield from _list_revision_rules()
        yield _rule(f"(.+)[:@](?:{moving})", "${6}", moving=True)
        yield _rule(f"(.+)[:@](?:{tags})", "${6}", needs="T")
        yield _rule(f"(.+)[:@]({ottl.any_of(PROVIDER_SPELLINGS)})", "${6}", provider="${7}", is_unknown=True, needs="T")
        yield _rule(f"(.+)[:@](?:{ottl.any_of(PROVIDER_SPELLINGS)})", "${6}", needs="T")


def _list_revision_rules() -> Iterator[tuple[str, str]]:
    """Yield the rules of the table of revisions; the regular expressions of the Collector have no look-behind."""
    for row in REVISIONS:
        behind = re.match(r"\(\?<(!|=)(.*?)\)(?=-)", row.pattern)
        before, pattern = ".+", row.pattern
        if behind is not None:
            pattern = pattern[behind.end() :]
            before = f".*[^{behind[2][1:]}" if behind[1] == "!" else f".*{behind[2]}"
        needs = "B" if row.at_bedrock else ""
        if "(" in pattern:
            yield _rule(f"({before}){pattern}", "${6}", needs=needs, revision="${7}")
        else:
            yield _rule(f"({before}){pattern}", "${6}", needs=needs)


# Spelling, words, snapshots and revisions.


def _list_spelling_rules() -> Iterator[tuple[str, str]]:
    yield _rule("(.+)", "${6}", at=BEDROCK, flag="B", unless="B")
    yield from _list_bedrock_rules()
    yield from [("([0-9])[._p]([0-9])", "${1}-${2}")] * 2
    yield _rule("(.*[0-9]):([0-9])", "${6}-${7}")


def _list_joining_rules() -> Iterator[tuple[str, str]]:
    """Yield the rules that remove hyphens between letters and digits."""
    yield "(L.*)-(v[0-9]{1,3})$", "${1}-Z${2}"
    yield "(L.*[0-9]p)-([0-9v])", "${1}-Z${2}"
    yield "(L.*-v)-([0-9])", "${1}-Z${2}"
    yield "([a-z])-v?([0-9])", "${1}${2}"
    yield "Z", ""


def _list_bedrock_rules() -> Iterator[tuple[str, str]]:
    """Yield the rules of revisions for names without a tag."""
    yield _rule("(.+)-(v[0-9]{1,3})", "${6}", needs="B", revision="${7}")
    yield _rule("(.*-20[0-9]{6})-(v[0-9]{1,3})", "${6}", revision="${7}")


def _list_word_rules(word: Word) -> Iterator[tuple[str, str]]:
    text, new = f"{re.escape(word.text)}(.+)".replace("\\-", "-"), f"{word.means}${{6}}"
    if word.marks:
        yield from _rules_of_owner(text, new, word.provider)
    elif word.provider is not None:
        yield _rule(text, new, at=word.provider)


def _list_version_rules() -> Iterator[tuple[str, str]]:
    yield _rule("(.+)-latest", "${6}", moving=True)
    for word in PROVIDER_WORDS:
        if word.text.startswith("-"):
            yield from _rules_of_owner(f"(.+){word.text}", "${6}", word.provider)
    yield _rule("(.+)-(0[0-9]{2})", "${6}", revision="${7}")
    sizes = re.findall(r"[0-9]{4}", next(row.pattern for row in SNAPSHOTS if "(?!" in row.pattern))
    yield _rule(f"(.+)-({'|'.join(sizes)})", "${6}-Z${7}")
    yield _rule(f"(.+?)({_NO_DATE})", "${6}Z${7}")
    for row in SNAPSHOTS:
        yield _snapshot_rule(row.pattern)
    yield _rule("(.*)Z(.*)", "${6}${7}")


def _snapshot_rule(pattern: str) -> tuple[str, str]:
    """Return the rule of a row of the table of snapshots."""
    pattern = re.sub(r"\(\?![^)]*\)", "", pattern)
    before = ".+"
    behind = re.match(r"\(\?:((?:\(\?<=[^)]*\)\|?)+)\)", pattern)
    if behind is not None:
        before = f".+(?:{'|'.join(word[:-1] for word in re.findall(r'<=([^)]*)', behind[1]))})"
        pattern = pattern[behind.end() :]
    used = re.findall(r"\{[YyMD]\}", pattern)
    groups = [f"${{{7 + used.index(part)}}}" for part in DATE_PARTS if part in used]
    snapshot = ("20" if "{y}" in used else "") + "-".join(groups)
    expression = re.sub(r"\{[YyMD]\}", lambda match: DATE_PARTS[match[0]], pattern)
    return _rule(f"({before})-{expression}", "${6}", snapshot=snapshot)
