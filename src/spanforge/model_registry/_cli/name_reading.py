"""How a model name is read: the model in it, what stands before and after it, and what that means."""

from __future__ import annotations

from typing import NamedTuple

from spanforge.model_registry._core.names import (
    MAX_PARSED,
    ParsedName,
    canonical_provider,
    clean,
    is_framework,
    is_placeholder,
    parse,
)


class NameReading(NamedTuple):
    """A model name as it is read.

    Attributes:
        before: The text before the model: a route, or the words of a provider.
        model: The text of the model itself, as written.
        after: The text after the model: snapshot, revision and tags.
        base: The model in the spelling in which names are compared.
        snapshot: The snapshot, such as ``2024-05-13``; ``None`` if the name has none.
        revision: The revision, as written; ``None`` if the name has none.
        moving: Whether the name means the newest snapshot.
        opaque: Whether the name does not tell the model, so that only an entry with the whole name fits.
        provider: The canonical provider that counts; ``None`` if none is known.
        provider_source: ``name`` if the name itself shows the provider, ``argument`` if it was passed with the name.
        ignored_provider: The provider that was passed and does not count: a framework, or one that the name overrides.
        placeholder: Whether the name is a placeholder, such as ``unknown``.
    """

    before: str
    model: str
    after: str
    base: str
    snapshot: str | None
    revision: str | None
    moving: bool
    opaque: bool
    provider: str | None
    provider_source: str | None
    ignored_provider: str | None
    placeholder: bool


def read_name(name: str, provider: str | None = None) -> NameReading:
    """Return how a name is read, if a span or a caller names this provider in any spelling."""
    given = canonical_provider(provider) if provider else None
    parsed = parse(name, given)
    counted = parsed.provider or given
    before, model, after = _split_name(name, parsed, counted)
    is_ignored = bool(provider) and (given is None or given != counted)
    return NameReading(
        before=before,
        model=model,
        after=after,
        base=parsed.base,
        snapshot=parsed.snapshot,
        revision=parsed.revision,
        moving=parsed.moving,
        opaque=parsed.opaque,
        provider=counted,
        provider_source=_find_provider_source(parsed, given),
        ignored_provider=provider if is_ignored else None,
        placeholder=is_placeholder(name),
    )


def describe_ignored_provider(reading: NameReading) -> str:
    """Return the reason why a provider that was passed does not count."""
    if reading.ignored_provider is None or not is_framework(reading.ignored_provider):
        return "the name itself shows the provider"
    return "it is a framework, not a provider"


def _find_provider_source(parsed: ParsedName, given: str | None) -> str | None:
    if parsed.provider is not None:
        return "name"
    return None if given is None else "argument"


def _split_name(name: str, parsed: ParsedName, provider: str | None) -> tuple[str, str, str]:
    """Return the text before the model, the model, and the text after it; together they are the cleaned name.

    The parser decides: the model is the shortest part of the name that it reads as the same base name.
    """
    text = clean(name)
    if parsed.opaque or len(text) > MAX_PARSED:
        return "", text, ""
    start = _find_model_start(text, parsed.base, provider)
    end = _find_model_end(text, start, parsed.base, provider)
    return text[:start], text[start:end], text[end:]


def _find_model_start(text: str, base: str, provider: str | None) -> int:
    for start in reversed(range(len(text))):
        if parse(text[start:], provider).base.startswith(base):
            return start
    return 0


def _find_model_end(text: str, start: int, base: str, provider: str | None) -> int:
    for end in range(start + 1, len(text)):
        parsed = parse(text[start:end], provider)
        has_more = parsed.snapshot or parsed.revision or parsed.moving or parsed.opaque
        if parsed.base == base and not has_more:
            return end
    return len(text)
