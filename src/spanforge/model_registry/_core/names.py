"""Model names: their parts, the keys under which an index has an entry, placeholders, and the names of providers."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

import msgspec

from spanforge.model_registry._core.interruptions import pass_interruption
from spanforge.model_registry._core.name_routes import (
    FIRST_WORDS,
    LAST_WORDS,
    PROVIDER_SPELLINGS,
    NameDraft,
    strip_first_words,
    strip_route,
)
from spanforge.model_registry._core.name_versions import (
    FULL_DATE,
    MONTH,
    VERSION_PATTERNS,
    join_digits,
    spell,
    spell_digits,
    strip_tags,
    strip_versions,
)
from spanforge.model_registry._core.provider_tables import BEDROCK, NOT_PROVIDERS
from spanforge.model_registry._core.version_tables import PLACEHOLDERS

MatchMode = Literal["forms", "exact"]
"""How names match. ``forms``: also by their forms. ``exact``: by id, alias and glob only, with providers verbatim."""

MAX_PARSED: Final = 1_024
"""The limit of characters of a name that is parsed. Longer names are compared verbatim. Bedrock's ARNs have 200."""

_MARK: Final = re.compile(r"[/:@\s\"]|--|[a-z]\.|\.[a-z]")
"""What only a name with a route, a tag or white space has. Most names have none of it."""
_PLAIN_TEXT: Final = "(?!{first})[a-z0-9]+(?:-[a-z0-9]+)*{words}(?:(?<![0-9]{{2}})|{versions})\\Z".format(
    first="|".join(re.escape(row.text) for words in FIRST_WORDS.values() for row in words),
    words="".join(f"(?<!-{word})" for word in (*LAST_WORDS, "latest")),
    versions="".join(f"(?<!-{pattern})" for pattern in VERSION_PATTERNS),
)
"""A name that has no part to remove, unless it has the ``v`` or the ``p`` of a version."""
_PLAIN: Final = re.compile(_PLAIN_TEXT)
_DIGIT_P: Final = re.compile("[0-9]p[0-9]")
_NUMBER_AT_END: Final = re.compile(r"(?:-v[0-9]{1,3}(?::0)?|[-@]0[0-9]{2})\Z")
_VERSION_LAST: Final = re.compile(r"([a-z]+)-([a-z]{2,})([0-9]+(?:-[0-9]+)?)\Z")
_PLAIN_IN_ORDER: Final = re.compile(rf"(?![a-z]+-[a-z]{{2,}}-?[0-9]+(?:-[0-9]+)?\Z){_PLAIN_TEXT}")
"""A plain name that ``_VERSION_LAST`` does not match after its hyphens between letters and digits are gone."""


class NameKey(msgspec.Struct, frozen=True, gc=False):
    """One key under which an index may have an entry.

    Attributes:
        text: The key.
        unless_numbered: If the name's revision is removed, the ``numbered`` that forbids it: the key does not count if
            the index has an ``EntryKey`` with this ``numbered``.
    """

    text: str
    unless_numbered: str | None = None


class EntryKey(NamedTuple):
    """The key of an entry's id or alias.

    Attributes:
        text: The key under which the index has the entry.
        provider: The canonical provider to which the route limits the entry; ``None`` if it does not limit it.
        numbered: The key without snapshot and number, if the entry has a number such as ``-002`` or ``-v2``. An index
            keeps these keys, because an entry without a number then does not cover another number.
    """

    text: str
    provider: str | None
    numbered: str | None


class NameForms(msgspec.Struct, frozen=True):
    """The forms of a name on a span.

    Attributes:
        keys: The keys under which an entry for the name may be, the most specific first.
        provider: The canonical provider: of the name's route, or else of the span.
        base: The base name.
    """

    keys: list[NameKey]
    provider: str | None
    base: str = ""


class ParsedName(msgspec.Struct, frozen=True, gc=False):
    """A model name in parts.

    Attributes:
        base: The name without route, snapshot and revision, in lower case and with one spelling.
        provider: The canonical provider that the name itself shows; ``None`` if it shows none.
        snapshot: The snapshot as ``2024-05-13``, ``2024-05`` or ``05-13``.
        revision: The number of the revision, as written.
        moving: Whether the name means the newest snapshot.
        opaque: Whether the name does not tell the model, so that only an entry with the whole name fits.
    """

    base: str
    provider: str | None = None
    snapshot: str | None = None
    revision: str | None = None
    moving: bool = False
    opaque: bool = False

    def key(self) -> str:
        """Return the key with nothing removed but the route."""
        if self.opaque:
            return self.base
        # A base name has no upper-case letter of ASCII, so the parts behind it cannot be mistaken for a part of it.
        if self.snapshot is not None:
            number = "" if self.revision is None else f" R{self.revision}"
            key = f"{_order_version(self.base)} S{self.snapshot}{number}"
        elif self.revision is not None:
            key = _join_revision(self.base, self.revision)
        else:
            key = _order_version(self.base)
        return f"{key} L" if self.moving else key

    def list_keys(self) -> list[NameKey]:
        """Return the keys of the entries that cover this name, the most specific first."""
        keys = [NameKey(self.key())]
        is_dated = self.snapshot is not None or self.moving
        if self.opaque or not (is_dated or self.revision is not None):
            return keys
        bare = _order_version(self.base)
        guard = None if self.revision is None else bare
        if self.snapshot is not None:
            keys += self._list_dated_keys(bare, guard)
        if self.revision is not None and is_dated:
            keys.append(NameKey(_join_revision(self.base, self.revision)))
        keys.append(NameKey(bare, guard))
        return keys

    def _list_dated_keys(self, bare: str, guard: str | None) -> list[NameKey]:
        snapshot, keys = self.snapshot or "", []
        if guard is not None or self.moving:
            keys.append(NameKey(f"{bare} S{snapshot}", guard))
        if len(snapshot) == FULL_DATE:
            keys.append(NameKey(f"{bare} S{snapshot[:MONTH]}", guard))
        return keys


def _join_revision(base: str, revision: str) -> str:
    """Return the key of a base name with a revision, as it is if the name is an entry's."""
    return f"{base}-{revision}" if revision[0] == "v" else _order_version(spell(f"{base}-{revision}"))


def _order_version(base: str) -> str:
    """Return a base name with the version before the second word: claude-sonnet-4 is claude-4-sonnet at gateways."""
    if not base[-1:].isdigit():
        return base
    match = _VERSION_LAST.match(base)
    return base if match is None else f"{match[1]}{match[3]}-{match[2]}"


def parse(name: str, provider: str | None = None) -> ParsedName:
    """Return the parts of a model name. Any text has some, and the time is linear in its length.

    Args:
        name: The name, as it is on a span or in an entry.
        provider: The canonical provider that the span names. Some words are only removed if it is known.
    """
    base = _read_plain_base(name)
    return _parse_parts(name, provider) if base is None else ParsedName(base)


def _read_plain_base(name: str) -> str | None:
    """Return the base of a name that has no other part, as most names; ``None`` if the name may have other parts.

    Hot path: spans with new names come here, and all entries of a file.
    """
    text = name.lower()
    return join_digits(text) if _is_plain(text, _PLAIN) else None


def read_plain_letters(name: str) -> str | None:
    """Return the letters and digits of a name's key, if the name has no other part; ``None`` if it may have some.

    Hot path: it takes a third of the time of ``read_forms``.
    """
    text = name.lower()
    return text.replace("-", "") if _is_plain(text, _PLAIN_IN_ORDER) else None


def squeeze(key: str) -> str:
    """Return a key without its hyphens."""
    return key.replace("-", "")


def _parse_parts(name: str, provider: str | None) -> ParsedName:
    if len(name) > MAX_PARSED:
        return ParsedName(name, opaque=True)
    draft = NameDraft(name.lower(), provider)
    if _MARK.search(draft.text) is None:
        draft.is_bedrock = provider == BEDROCK
        _strip_forms(draft)
    else:
        _parse_marked(draft)
    return ParsedName(draft.text, draft.provider, draft.snapshot, draft.revision, draft.moving, draft.opaque)


def _is_plain(text: str, pattern: re.Pattern[str]) -> bool:
    """Check whether a name has no part to remove, as most names. If in doubt, return ``False``."""
    if "-v" in text or len(text) > MAX_PARSED or pattern.match(text) is None:
        return False
    return "p" not in text or _DIGIT_P.search(text) is None


def _parse_marked(draft: NameDraft) -> None:
    """Fill in the parts of a name that has a route or a tag. What was removed may leave a name with another one."""
    before = None
    while draft.text != before and not draft.opaque and _MARK.search(draft.text) is not None:
        before = draft.text = clean(draft.text).lower()
        if len(before.split(None, 1)) > 1:
            draft.opaque = True
        else:
            strip_route(draft)
            if not draft.opaque:
                _strip_forms(draft)


def _strip_forms(draft: NameDraft) -> None:
    """Remove all but the base name from a name without a route."""
    text = draft.text
    if draft.is_bedrock or ":" in text or "@" in text or "-v" in text:
        strip_tags(draft)
    draft.text = text = spell_digits(draft.text)
    words = FIRST_WORDS.get(text.partition("-")[0])
    if words is not None:
        strip_first_words(draft, words)
    strip_versions(draft)
    draft.text = join_digits(draft.text)


def read_forms(name: str, provider: str | None) -> NameForms:
    """Return the forms of a name on a span that names this provider, in any spelling."""
    canonical = canonical_provider(provider) if provider else None
    base = _read_plain_base(name)
    if base is not None:
        return NameForms([NameKey(_order_version(base))], canonical, base)
    parsed = _parse_parts(name, canonical)
    return NameForms(parsed.list_keys(), parsed.provider or canonical, parsed.base)


def entry_key(text: str) -> EntryKey:
    """Return the key of an entry's id or alias. Its snapshot and revision are part of the key."""
    base = _read_plain_base(text)
    if base is not None:
        return EntryKey(_order_version(base), None, None)
    parsed = _parse_parts(text, None)
    number = None if parsed.opaque else _NUMBER_AT_END.search(text.lower())
    numbered = None if number is None else _order_version(parse(text[: number.start()]).base)
    return EntryKey(parsed.key(), parsed.provider, numbered)


def is_form_of(name: str, model: str) -> bool:
    """Check whether a name is a way to write or to serve a model: the same text, or one of its forms."""
    key = entry_key(model).text
    return name == model or any(key == each.text for each in parse(name).list_keys())


def unquote(text: str) -> str:
    """Return a text as it is, or the cleaned text if it begins with the quote of a JSON string."""
    return clean(text) if text[:1] == '"' else text


def clean(name: str) -> str:
    """Return a name without white space around it, and without the quotes of a JSON string."""
    if len(name) > MAX_PARSED:
        return name
    text = name.strip()
    while len(text) > 1 and text[0] == text[-1] == '"':
        decoded = _decode_string(text)
        if decoded is None:
            return text
        text = decoded.strip()
    return text


def _decode_string(text: str) -> str | None:
    try:
        return msgspec.json.decode(text.encode(), type=str)
    except (msgspec.MsgspecError, UnicodeError) as error:
        pass_interruption(error)
        return None


def is_placeholder(name: str, operation: str | None = None) -> bool:
    """Check whether a name names no model: it is a placeholder, or the name of the operation itself."""
    text = clean(name).lower()
    return text in PLACEHOLDERS or (operation is not None and text == operation.lower())


def canonical_provider(text: str) -> str | None:
    """Return the canonical name of a provider; ``None`` for placeholders and frameworks.

    An unknown provider has its own name, in lower case.
    """
    known = PROVIDER_SPELLINGS.get(text)
    if known is not None:
        return known
    name = clean(text).lower()
    known = PROVIDER_SPELLINGS.get(name)
    if known is not None:
        return known
    if name in NOT_PROVIDERS or name in PLACEHOLDERS:
        return None
    # litellm writes vertex_ai-anthropic_models, and the Vercel AI SDK openai.chat.
    head = name.partition("-")[0] if name.endswith("models") else name.rpartition(".")[0]
    return PROVIDER_SPELLINGS.get(head, name)


def is_framework(text: str) -> bool:
    """Check whether the value of a provider attribute is a framework or a gateway that only passes calls on."""
    return clean(text).lower() in NOT_PROVIDERS
