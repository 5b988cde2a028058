"""The words of an explanation: labelled lines for people, and plain data for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._cli.entry_fields import (
    end_to_dict,
    list_ownership,
    list_shutdown_fields,
    list_warning_fields,
)
from spanforge.model_registry._cli.field_lists import Field
from spanforge.model_registry._cli.name_reading import describe_ignored_provider
from spanforge.model_registry._core.names import squeeze

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanforge.model_registry._cli.answers import Answer
    from spanforge.model_registry._cli.explanation import Explanation, FoundEntry, RuleStep
    from spanforge.model_registry._cli.name_reading import NameReading
    from spanforge.model_registry._core.provider_calendar import CalendarDay
    from spanforge.model_registry._core.shutdowns import ProviderShutdown

MAX_SHOWN_FOUND: Final = 5
"""The limit of entries that one rule shows."""
_NOT_FOUND: Final = {
    "id": "no entry has this id",
    "alias": "no entry has this alias",
    "form": "no id or alias is another way to write this name",
    "glob": "no glob matches",
}


def list_reading(explanation: Explanation) -> Iterator[Field]:
    """Yield how a name is read."""
    reading = explanation.reading
    if reading is None:
        yield Field("name", "compared as it is, because forms do not match")
        return
    if reading.opaque:
        yield Field("model", "the name does not show it, so only an entry with the whole name matches")
    else:
        yield from _list_name_parts(reading)
    yield from _list_provider(reading)
    if reading.placeholder:
        yield Field("note", "a placeholder: spans that have another name too are resolved by that name")


def _list_name_parts(reading: NameReading) -> Iterator[Field]:
    if reading.before:
        yield Field("route", reading.before)
    is_same = squeeze(reading.model.lower()) == squeeze(reading.base)
    spelling = "" if is_same else f", compared as {reading.base}"
    yield Field("model", f"{reading.model}{spelling}")
    facts = {
        "snapshot": reading.snapshot,
        "revision": reading.revision,
        "the newest snapshot": "" if reading.moving else None,
    }
    known = [f"{name} {value}".rstrip() for name, value in facts.items() if value is not None]
    if reading.after:
        yield Field("ending", f"{reading.after}: {', '.join(known) or 'a tag'}")


def _list_provider(reading: NameReading) -> Iterator[Field]:
    if reading.provider is not None:
        source = "shown by the name itself" if reading.provider_source == "name" else "as you named it"
        yield Field("provider", f"{reading.provider}, {source}")
    if reading.ignored_provider is not None:
        yield Field("", f"{reading.ignored_provider} does not count: {describe_ignored_provider(reading)}")


def list_rule_fields(explanation: Explanation) -> Iterator[Field]:
    """Yield the rules that were tried, and what each of them found."""
    reading = explanation.reading
    provider = explanation.provider if reading is None else reading.provider
    for step in explanation.steps:
        yield from _list_found_fields(step, provider)


def _list_found_fields(step: RuleStep, provider: str | None) -> Iterator[Field]:
    """Yield the entries that one rule found, the best match first."""
    tried = "" if step.tried is None else f"{step.tried}: "
    if not step.found:
        yield Field(step.rule, f"{tried}{_NOT_FOUND[step.rule]}", "weak")
    chosen_first = sorted(step.found, key=lambda found: found.model_id not in step.chosen)
    for number, found in enumerate(chosen_first[:MAX_SHOWN_FOUND]):
        text = f"{tried}{_name_found(step, found)} {_judge(step, found, provider)}"
        ignored = f"; ignored: {_join_words(found.ignored)}" if found.ignored else ""
        yield Field("" if number else step.rule, text + ignored, _style_found(step, found))
    if len(step.found) > MAX_SHOWN_FOUND:
        yield Field("", f"and {len(step.found) - MAX_SHOWN_FOUND:,} more")


def _name_found(step: RuleStep, found: FoundEntry) -> str:
    """Return the entry that a rule found, with the text that matched if it is another one."""
    if step.tried is not None:
        return found.model_id
    return f"the id {found.model_id}" if found.text == found.model_id else f"{found.text} of {found.model_id}"


def _judge(step: RuleStep, found: FoundEntry, provider: str | None) -> str:
    """Return the predicate about an entry that a rule found."""
    if found.model_id in step.chosen:
        return "matches" if len(step.chosen) == 1 else "matches as well as another entry"
    if found.providers and provider is not None and provider not in found.providers:
        return f"is limited to {_join_words(found.providers)}"
    return "would match too, but less well"


def _style_found(step: RuleStep, found: FoundEntry) -> str:
    if step.chosen == (found.model_id,):
        return "good"
    return "weak" if len(step.chosen) == 1 else "warning"


def _join_words(words: Sequence[str]) -> str:
    return ", ".join(words[:-2]) + (", " if words[:-2] else "") + " and ".join(words[-2:])


def list_result(answer: Answer, day: CalendarDay | None) -> Iterator[Field]:
    """Yield the entry that matched, and what a caller of the model should know."""
    entry = answer.explanation.resolution.entry
    if entry is not None:
        yield from list_ownership(entry)
    yield from list_warning_fields(answer.warnings)
    if answer.shutdown is not None:
        yield from list_shutdown_fields([answer.shutdown], day)


def list_near(answer: Answer) -> Iterator[Field]:
    """Yield the entries that nearly match."""
    for each in answer.near:
        text = "" if each.text == each.model_id else f"{each.text} "
        yield Field(each.model_id, f"{text}{each.reason}")


def list_remedy_fields(answer: Answer) -> Iterator[Field]:
    """Yield the changes that would make an entry match."""
    for each in answer.suggestions:
        yield Field("-", each.text)


def describe_answer(answer: Answer) -> dict[str, Any]:
    """Return an answer as plain data for JSON."""
    explanation, resolution, matched = answer.explanation, answer.explanation.resolution, answer.explanation.matched
    entry, shutdown = resolution.entry, answer.shutdown
    return {
        "name": explanation.name,
        "provider": explanation.provider,
        "match": explanation.mode,
        "reading": None if explanation.reading is None else explanation.reading._asdict(),
        "steps": [{**step._asdict(), "found": [found._asdict() for found in step.found]} for step in explanation.steps],
        "status": resolution.status,
        "rule": resolution.rule,
        "matched": None if matched is None else matched.text,
        "entry": None if entry is None else entry.to_dict(),
        "warnings": answer.warnings,
        "shutdown": None if shutdown is None else dump_shutdown(shutdown),
        "nearest": [each._asdict() for each in answer.near],
        "suggestions": [each._asdict() for each in answer.suggestions],
    }


def dump_shutdown(shutdown: ProviderShutdown) -> dict[str, Any]:
    """Return the shutdown of a model at its provider as plain data for JSON."""
    return {"provider": shutdown.provider, "model": shutdown.model, **end_to_dict(shutdown)}
