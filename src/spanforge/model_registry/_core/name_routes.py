"""Routes of model names: gateways, providers, clouds' paths, vendors' organisations, and the words of providers."""

from __future__ import annotations

import re
from typing import Final

import msgspec

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
    Path,
    Word,
)
from spanforge.model_registry._core.provider_tables import BEDROCK, PROVIDERS, VENDORS

PROVIDER_SPELLINGS: Final = {text: row.name for row in PROVIDERS for text in (row.name, *row.spellings)}
_ORGANISATIONS: Final = frozenset(text for row in VENDORS for text in row.organisations)
_FIRST_PARTS: Final[dict[str, str | None]] = {**PROVIDER_SPELLINGS, **dict.fromkeys(_ORGANISATIONS)}
_VENDORS_BEFORE_DOT: Final = frozenset(text for row in VENDORS for text in row.dotted)
_SEGMENT_PATTERNS: Final = {
    provider: re.compile("|".join(row.pattern for row in SEGMENTS if row.provider == provider))
    for provider in {row.provider for row in SEGMENTS}
}
_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]*:(foundation-model|inference-profile)/(.+)", re.DOTALL
)
TAGGING_GATEWAY: Final = "openrouter"
"""The gateway that adds tags such as ``:free`` to names."""


def _group_paths() -> dict[str, list[tuple[list[str], Path]]]:
    """Return the paths by their first part."""
    groups: dict[str, list[tuple[list[str], Path]]] = {}
    for row in PATHS:
        parts = row.template.split("/")
        groups.setdefault(parts[0], []).append((parts, row))
    return groups


def _group_first_words() -> dict[str, list[Word]]:
    """Return the words at the start of a name by their first part."""
    groups: dict[str, list[Word]] = {}
    for row in PROVIDER_WORDS:
        if not row.text.startswith("-"):
            groups.setdefault(row.text.replace(".", "-").partition("-")[0], []).append(row)
    return groups


_PATHS_BY_FIRST_PART: Final = _group_paths()
FIRST_WORDS: Final = _group_first_words()
"""The words at the start of a name by their first part."""
LAST_WORDS: Final = {row.text[1:]: row for row in PROVIDER_WORDS if row.text.startswith("-")}
"""The words at the end of a name."""


class NameDraft(msgspec.Struct, gc=False):
    """A model name while it is parsed. Each step shortens the text and fills in what it removed.

    Attributes:
        text: The rest of the name, in lower case.
        span_provider: The canonical provider that the span names.
        provider: The canonical provider that the name itself shows.
        snapshot: The snapshot.
        revision: The revision.
        moving: Whether the name means the newest snapshot.
        opaque: Whether the name does not tell the model.
        is_tagged: Whether gateways may have added a tag such as ``:free``.
        is_bedrock: Whether Bedrock's revisions may follow the model.
    """

    text: str
    span_provider: str | None = None
    provider: str | None = None
    snapshot: str | None = None
    revision: str | None = None
    moving: bool = False
    opaque: bool = False
    is_tagged: bool = False
    is_bedrock: bool = False


def strip_route(draft: NameDraft) -> None:
    """Remove the route from a name, or find that the name is opaque."""
    whole = draft.text
    draft.is_tagged = draft.span_provider == TAGGING_GATEWAY
    while _strip_part(draft):
        pass
    if draft.text.startswith("arn:"):
        _strip_arn(draft)
    elif draft.text.startswith("ft:"):
        draft.opaque = True
    elif not draft.opaque:
        words = FIRST_WORDS.get(draft.text.partition(".")[0])
        if words is not None:
            strip_first_words(draft, words)
        _strip_vendor(draft)
        draft.is_bedrock = draft.is_bedrock or (draft.provider or draft.span_provider) == BEDROCK
    else:
        draft.text = whole


def _strip_part(draft: NameDraft) -> bool:
    """Remove the first part of a route, if there is one."""
    head, separator, tail = draft.text.partition("/")
    if ":" in head:
        head, separator, tail = draft.text.partition(":")
        if head not in PROVIDERS_BEFORE_COLON:
            return False
    if not separator or not tail:
        return False
    paths = _PATHS_BY_FIRST_PART.get(head)
    if paths is not None and _strip_path(draft, paths):
        return True
    if head in _FIRST_PARTS:
        _note_owner(draft, head)
    elif not _is_segment(head, draft.provider or draft.span_provider):
        draft.opaque = head in OPAQUE
        return False
    draft.text = tail
    return True


def _note_owner(draft: NameDraft, part: str) -> None:
    draft.provider = draft.provider or _FIRST_PARTS[part]
    draft.is_tagged = draft.is_tagged or part in _ORGANISATIONS or draft.provider == TAGGING_GATEWAY


def _is_segment(part: str, provider: str | None) -> bool:
    pattern = None if provider is None else _SEGMENT_PATTERNS.get(provider)
    return pattern is not None and pattern.fullmatch(part) is not None


def _strip_path(draft: NameDraft, rows: list[tuple[list[str], Path]]) -> bool:
    for template, row in rows:
        parts = draft.text.split("/", len(template))
        fits = len(parts) > len(template) and all(parts)
        if fits and all(each in ("*", part) for each, part in zip(template, parts, strict=False)):
            draft.text, draft.provider = parts[-1], draft.provider or row.provider
            return True
    return False


def _strip_arn(draft: NameDraft) -> None:
    """Remove all but the model from an Amazon resource name. It tells the model if AWS itself defined the resource."""
    arn = draft.text
    match = _ARN.match(arn)
    if match is not None:
        kind, draft.text = match.groups()
        is_profile = draft.text.partition(".")[0] in GEOGRAPHIES
        draft.provider = draft.provider or BEDROCK
        if is_profile == (kind == "inference-profile") and _strip_vendor(draft):
            return
    draft.text, draft.opaque = arn, True


def _strip_vendor(draft: NameDraft) -> bool:
    """Remove a vendor before a dot or two hyphens, and a geography before it, if there is one."""
    vendor, separator, rest = draft.text.partition("--")
    if separator and rest and vendor in _ORGANISATIONS:
        draft.text = rest
        return True
    _strip_geography(draft)
    documented = DOCUMENTED_NAMES.get(draft.text)
    if documented is not None:
        draft.text = documented.means
        return True
    vendor, _, rest = draft.text.partition(".")
    if vendor not in _VENDORS_BEFORE_DOT or not rest:
        return False
    is_own_word = vendor in OWN_WORD and not rest.startswith(vendor)
    draft.text = f"{vendor}-{rest}" if is_own_word else rest
    draft.is_bedrock = (draft.provider or draft.span_provider) not in NOT_BEDROCK
    return True


def _strip_geography(draft: NameDraft) -> None:
    geography, _, rest = draft.text.partition(".")
    if geography in GEOGRAPHIES:
        vendor, _, model = rest.partition(".")
        if model and vendor in _VENDORS_BEFORE_DOT:
            draft.text, draft.provider = rest, draft.provider or BEDROCK


def strip_first_words(draft: NameDraft, words: list[Word] | None) -> None:
    """Remove or replace the words of a provider at the start of a name."""
    while words:
        row = _find_first_word(draft, words)
        if row is None:
            return
        draft.text = row.means + draft.text[len(row.text) :]
        draft.provider = draft.provider or row.provider
        words = FIRST_WORDS.get(draft.text.partition("-")[0])


def _find_first_word(draft: NameDraft, words: list[Word]) -> Word | None:
    text = draft.text
    for row in words:
        is_known = row.marks or row.provider == (draft.provider or draft.span_provider)
        if is_known and text.startswith(row.text) and len(text) > len(row.text):
            return row
    return None
