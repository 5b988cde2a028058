"""Readers of public formats in which others publish shutdown days. A feed is read as a whole, or not at all."""

from __future__ import annotations

import os
import sys
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn

from spanforge.model_registry._core import storage
from spanforge.model_registry._core.announcements import CALENDAR_FIELDS, Announcement, check_day
from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.calendar_files import decode_json, read_yaml
from spanforge.model_registry._core.errors import InvalidValueError, RegistryFileError, describe_type
from spanforge.model_registry._core.json_texts import decode_json_text
from spanforge.model_registry._core.provider_calendar import Calendar, make_calendar
from spanforge.model_registry._core.shutdowns import read_today
from spanforge.model_registry._core.timestamps import parse_rfc3339
from spanforge.model_registry._core.values import check_one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MAX_FEED_SIZE: Final = 64 * 1024 * 1024
"""The limit of a feed's bytes. LiteLLM's model map had 3.5 MB in November 2026."""
STANDARD_INPUT: Final = "-"
"""The name of standard input."""
FeedFormat = Literal["litellm", "modeldeprecations", "deprecations.info", "bedrock"]
"""The public formats that ``read_feed`` reads."""

_EMPTY_VALUES: Final[tuple[Any, ...]] = (None, "", [])
"""The values that count as missing."""
_DAY_FIELDS: Final = frozenset(field for field, row in CALENDAR_FIELDS.items() if row.kind == "day")
_NO_MODEL: Final = "sample_spec"
"""The key in LiteLLM's model map whose value explains the fields; it is no model."""
_OTHER_SPELLINGS: Final = {"AWS Bedrock": "aws.bedrock", "Google Vertex": "gcp.vertex_ai"}
"""Providers as deprecations.info writes them, if spans do not."""


class Feed(NamedTuple):
    """The content of a feed.

    Attributes:
        name: The name of the file, for errors.
        data: The decoded content.
        checked_on: The day on which the feed was read, for formats that do not state one.
    """

    name: str
    data: Any
    checked_on: str

    def fail(
        self, reason: str, index: int | None = None, model: str | None = None, field: str | None = None
    ) -> NoReturn:
        """Raise the error about a part of the feed."""
        raise RegistryFileError(self.name, reason, index, model, field)

    def list_items(self, items: Any, rule: str) -> list[dict[str, Any]]:
        """Return a list of mappings after a check."""
        if not isinstance(items, list):
            self.fail(f"must be {rule}; got {describe_type(items)}")
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                self.fail(f"must be a mapping; got {describe_type(item)}", index)
        return items

    def check_format(self, items: list[dict[str, Any]], kind: str, *keys: str) -> None:
        """Check that one of the items has the keys by which the format is known."""
        if items and not any(all(key in item for key in keys) for item in items):
            self.fail(f"must be {kind}, with {' and '.join(keys)}", 0)

    def announce(self, keys: Mapping[str, str], index: int | None = None, **fields: Any) -> Announcement:
        """Return an announcement. Its errors name the fields as the feed does.

        Args:
            keys: The names of the feed's fields, by field of an announcement.
            index: The position in the feed, from 0; ``None`` if the feed is no list.
            fields: The fields of the announcement; empty ones are left out. Days may be date-times.
        """
        given = {field: value for field, value in fields.items() if value not in _EMPTY_VALUES}
        given.update((field, _to_utc_day(given[field])) for field in _DAY_FIELDS & given.keys())
        announced, checked = given.get("announced_on"), given.get("checked_on")
        if isinstance(announced, str) and isinstance(checked, str) and announced > checked:
            del given["announced_on"]  # the day of a later step, and not that of the announcement
        try:
            return Announcement.from_dict(given)
        except InvalidValueError as error:
            name, rest, tail = error.field.partition("[")
            self.fail(error.problem, index, error.model_id, f"{keys.get(name, name)}{rest}{tail}")


def read_feed(source: str | os.PathLike[str], form: FeedFormat, *, checked_on: str | None = None) -> Calendar:
    """Read a file in a public format, and return its calendar. Models without a day are left out.

    A date-time counts as its day in UTC.

    Args:
        source: The path of a file; ``-`` for standard input. For ``modeldeprecations``, it may be a folder of files.
        form: The format: ``litellm``, ``modeldeprecations``, ``deprecations.info`` or ``bedrock``.
        checked_on: The day on which the feed was fetched, such as ``2026-11-29``; ``None`` for today in UTC. It only
            counts for ``litellm`` and ``bedrock``, because the other formats state when each day was checked.

    Raises:
        RegistryFileError: The feed cannot be read, has another format, is too large, or has an invalid value.
        InvalidValueError: The format or the day is not allowed (also a ``ValueError``).
    """
    read = FEEDS[check_one_of(form, tuple(FEEDS), "form")].read
    day = read_today() if checked_on is None else check_day(checked_on, "checked_on")
    name = os.fsdecode(source)
    contents = _read_files(name, form)
    feeds = [Feed(each, _decode_feed(each, content, form), day) for each, content in contents]
    return make_calendar(name, [announcement for feed in feeds for announcement in read(feed)])


def read_input(path: str) -> tuple[str, bytes]:
    """Return the name and the content of a feed's file, or of standard input for ``-``; it may be too large to read."""
    if path == STANDARD_INPUT:
        return _read_standard_input()
    return _check_feed_size(path, storage.read_registry_file(path)[1] or b"")


def _read_standard_input() -> tuple[str, bytes]:
    name, stream = "<stdin>", getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise RegistryFileError(name, "cannot be read: standard input is closed, or it is no binary stream")
    try:
        return _check_feed_size(name, stream.read(MAX_FEED_SIZE + 1))
    except (OSError, ValueError) as error:
        raise RegistryFileError(name, f"cannot be read: {explain_os_error(error)}") from error


def _read_files(name: str, form: FeedFormat) -> list[tuple[str, bytes]]:
    if not (os.path.isdir(name) and form == "modeldeprecations"):
        return [read_input(name)]
    paths = sorted(str(path) for path in Path(name).rglob("*") if storage.is_yaml(path.name))
    if not paths:
        raise RegistryFileError(name, "must be a folder with YAML files; it has none")
    return [read_input(path) for path in paths]


def _check_feed_size(name: str, content: bytes) -> tuple[str, bytes]:
    if len(content) > MAX_FEED_SIZE:
        raise RegistryFileError(name, f"is larger than {MAX_FEED_SIZE:,} bytes, the limit of a feed")
    return name, content


def _decode_feed(name: str, content: bytes, form: FeedFormat) -> Any:
    """Return the value of a JSON text, or of a YAML text in which all scalars are texts."""
    if not content.strip():
        raise RegistryFileError(name, "is empty: fetch it from its source again")
    is_json = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))
    if form == "modeldeprecations" and (storage.is_yaml(name) or not is_json):
        return read_yaml(name, content)[1]
    return decode_json(name, decode_json_text(name, content))


def _read_litellm(feed: Feed) -> Iterator[Announcement]:
    keys = {"provider": "litellm_provider", "shutdown_on": "deprecation_date", "replacements[0]": "successor_model"}
    keys |= {"source": "deprecation_source", "replacements": "successor_model"}
    for model, facts in _list_litellm_models(feed):
        successor = facts.get("successor_model")
        yield feed.announce(
            keys,
            provider=facts.get("litellm_provider"),
            model=model,
            shutdown_on=facts["deprecation_date"],
            replacements=[successor] if successor else [],
            source=facts.get("deprecation_source") or "LiteLLM's model map",
            checked_on=feed.checked_on,
        )


def _list_litellm_models(feed: Feed) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the models with a date."""
    models = feed.data if isinstance(feed.data, dict) else {}
    if not any(isinstance(facts, dict) and "litellm_provider" in facts for facts in models.values()):
        feed.fail("must be LiteLLM's model map: a mapping of models, each with litellm_provider")
    for model, facts in models.items():
        if not isinstance(facts, dict):
            feed.fail(f"must be a mapping; got {describe_type(facts)}", model=model)
        if model != _NO_MODEL and facts.get("deprecation_date") not in _EMPTY_VALUES:
            yield model, facts


def _read_modeldeprecations(feed: Feed) -> Iterator[Announcement]:
    keys = {"announced_on": "deprecated_on", "not_before": "earliest_shutdown_on", "checked_on": "last_verified"}
    data = feed.data
    items = [data] if isinstance(data, dict) and "models" not in data else data
    items = items["models"] if isinstance(items, dict) else items
    items = feed.list_items(items, "a model, or a mapping with the list models")
    feed.check_format(items, "a model of modeldeprecations.dev", "status", "last_verified")
    for index, item in enumerate(items):
        if not (item.get("shutdown_on") or item.get("earliest_shutdown_on")):
            continue
        for model in (item.get("model"), *_get_list(feed, item, "aliases", index)):
            yield feed.announce(
                keys,
                index,
                provider=item.get("provider"),
                model=model,
                announced_on=item.get("deprecated_on"),
                shutdown_on=item.get("shutdown_on"),
                not_before=None if item.get("shutdown_on") else item.get("earliest_shutdown_on"),
                replacements=_list_replacements(feed, item, index),
                source=_find_address(feed, item, index),
                checked_on=item.get("last_verified"),
            )


def _list_replacements(feed: Feed, item: Mapping[str, Any], index: int) -> list[Any]:
    """Return the replacements, the recommended one first, with the provider before the name if it is another one."""
    given = feed.list_items(_get_list(feed, item, "replacements", index), "a list")
    ranked = sorted(given, key=lambda each: str(each.get("recommended")).lower() != "true")
    return [_name_replacement(each, item.get("provider")) for each in ranked]


def _name_replacement(replacement: Mapping[str, Any], own_provider: Any) -> Any:
    """Return the name of a replacement; a value that is no text as it is, for the error about it."""
    provider, model = replacement.get("provider"), replacement.get("model")
    if provider == own_provider or not (isinstance(provider, str) and isinstance(model, str)):
        return model
    return f"{provider}/{model}"


def _find_address(feed: Feed, item: Mapping[str, Any], index: int) -> Any:
    sources = feed.list_items(_get_list(feed, item, "sources", index), "a list")
    return next((each["url"] for each in sources if each.get("url")), "https://modeldeprecations.dev")


def _get_list(feed: Feed, item: Mapping[str, Any], key: str, index: int) -> list[Any]:
    value = item.get(key) or []
    if not isinstance(value, list):
        feed.fail(f"must be a list; got {describe_type(value)}", index, field=key)
    return value


def _read_deprecations_info(feed: Feed) -> Iterator[Announcement]:
    keys = {"model": "model_id", "announced_on": "announcement_date", "shutdown_on": "shutdown_date"}
    keys |= {"replacements": "replacement_models", "source": "url", "checked_on": "last_observed"}
    items = feed.list_items(feed.data, "a list of deprecations")
    feed.check_format(items, "a deprecation of deprecations.info", "model_id", "shutdown_date")
    for index, item in enumerate(items):
        if not item.get("shutdown_date"):
            continue
        provider = item.get("provider")
        yield feed.announce(
            keys,
            index,
            provider=_OTHER_SPELLINGS.get(provider, provider) if isinstance(provider, str) else provider,
            model=item.get("model_id"),
            announced_on=_find_announcement_day(item),
            shutdown_on=item["shutdown_date"],
            replacements=_get_list(feed, item, "replacement_models", index),
            source=item.get("url") or "https://deprecations.info",
            checked_on=item.get("last_observed") or item.get("first_observed"),
        )


def _find_announcement_day(item: Mapping[str, Any]) -> Any:
    """Return the day on which the provider announced the shutdown.

    ``announcement_date`` is the day on which deprecations.info saw it first. ``deprecation_date`` is the provider's
    day, but for some providers it repeats the shutdown day.
    """
    seen, stated = _to_utc_day(item.get("announcement_date")), _to_utc_day(item.get("deprecation_date"))
    is_repeated = stated == _to_utc_day(item["shutdown_date"])
    if isinstance(seen, str) and isinstance(stated, str) and stated and not is_repeated:
        return min(seen, stated)
    return seen


def _read_bedrock(feed: Feed) -> Iterator[Announcement]:
    keys = {"model": "modelId", "shutdown_on": "endOfLifeTime", "announced_on": "legacyTime"}
    summaries = feed.data.get("modelSummaries") if isinstance(feed.data, dict) else feed.data
    rule = "the output of aws bedrock list-foundation-models, with the list modelSummaries"
    for index, item in enumerate(feed.list_items(summaries, rule)):
        lifecycle = item.get("modelLifecycle") or {}
        if "modelId" not in item or not isinstance(lifecycle, dict):
            feed.fail("must be a model of Amazon Bedrock, with modelId and modelLifecycle", index)
        if lifecycle.get("endOfLifeTime") in _EMPTY_VALUES:
            continue
        yield feed.announce(
            keys,
            index,
            provider="aws.bedrock",
            model=item["modelId"],
            announced_on=lifecycle.get("legacyTime"),
            shutdown_on=lifecycle["endOfLifeTime"],
            source="aws bedrock list-foundation-models",
            checked_on=feed.checked_on,
        )


def _to_utc_day(moment: Any) -> Any:
    """Return the day in UTC of an RFC 3339 text; any other value as it is, for the error about it."""
    try:
        return parse_rfc3339(moment).astimezone(timezone.utc).date().isoformat()
    except (TypeError, ValueError, OverflowError):
        return moment


class FeedRow(NamedTuple):
    """One public format.

    Attributes:
        read: The function that yields the announcements of a feed.
        note: What the format is, for the documentation.
    """

    read: Callable[[Feed], Iterable[Announcement]]
    note: str


FEEDS: Final[Mapping[FeedFormat, FeedRow]] = {
    "litellm": FeedRow(
        _read_litellm,
        "LiteLLM's model map, `model_prices_and_context_window.json`; its `deprecation_date` is the day on which the "
        "provider stops serving the model",
    ),
    "modeldeprecations": FeedRow(
        _read_modeldeprecations,
        "modeldeprecations.dev: a YAML file, the folder `models/` of its repository, or `/api/v1/models.json`",
    ),
    "deprecations.info": FeedRow(_read_deprecations_info, "deprecations.info: `deprecations.json`"),
    "bedrock": FeedRow(_read_bedrock, "the output of `aws bedrock list-foundation-models`"),
}
"""The public formats."""
