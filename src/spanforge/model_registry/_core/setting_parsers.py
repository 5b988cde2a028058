"""Parsers of settings: values of options and texts of environment variables, with the rules that errors state."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

from spanforge.model_registry._core.attributes import ON_SPANS, PREFIX, SIGNALS, SPAN_ATTRIBUTE_NAMES, EventSignal
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.names import MatchMode
from spanforge.model_registry._core.registry_addresses import hide_credentials, is_registry_address
from spanforge.model_registry._core.registry_sources import split_sources
from spanforge.model_registry._core.values import check_one_of

MAX_MODEL_KEYS: Final = 32
"""The limit of additional attribute keys that contain model names, because each span with one is searched for all."""
MAX_KEY_LENGTH: Final = 256
"""The limit of characters in each of these keys. OpenTelemetry's longest keys have about 60."""
MIN_INTERVAL: Final = 100
MAX_INTERVAL: Final = 86_400_000
"""The limits of an interval, in milliseconds: from short enough for a test to one day."""
FILE_SIZES: Final = range(1_024, 1024**3 + 1)
"""The limits of the limit of a file's bytes. Reading a gigabyte takes several times as much memory."""

Unregistered = Literal["warn", "ignore"]
"""The treatment of spans whose model is not registered."""

USER_CACHE: Final = "auto"
"""The value of the setting ``cache`` for a folder in the user's cache folder."""
NO_CACHE: Final = "none"
"""The value of the setting ``cache`` with which no copies are kept."""
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def parse_boolean(value: Any, name: str) -> bool:
    """Return a boolean; its text is ``true`` or ``false``, in any case.

    OpenTelemetry allows no other text for ``true``. The other texts for ``false`` are those that people type in an
    incident, to switch the plugin off.
    """
    if isinstance(value, bool):
        return value
    text = _lower(value)
    return text not in ("0", "no", "off") and bool(check_one_of(text, ("true", "false"), name) == "true")


def parse_milliseconds(value: Any, name: str) -> int:
    """Return milliseconds: 0, or a number within the limits."""
    number = _parse_whole_number(value)
    if number is None or (number != 0 and not MIN_INTERVAL <= number <= MAX_INTERVAL):
        raise InvalidValueError.must_be(name, value, f"0, or milliseconds from {MIN_INTERVAL} to {MAX_INTERVAL}")
    return number


def parse_file_size(value: Any, name: str) -> int:
    """Return a number of bytes within ``FILE_SIZES``."""
    number = _parse_whole_number(value) or 0
    if number in FILE_SIZES:
        return number
    raise InvalidValueError.must_be(name, value, f"bytes from {FILE_SIZES[0]} to {FILE_SIZES[-1]}")


def _parse_whole_number(value: Any) -> int | None:
    """Return a whole number, also from a short text of digits; ``None`` for any other value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = value.strip() if isinstance(value, str) else ""
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(FILE_SIZES[-1]))
    return int(text) if is_number else None


def _parse_items(value: Any, name: str, separator: str, rule: str) -> tuple[str, ...]:
    """Return the distinct items of a list, or of a text with separators, without blanks around them."""
    items = _split_items(value, separator) if isinstance(value, str) else _list_items(value)
    if not all(isinstance(item, str) and item for item in items):
        raise InvalidValueError.must_be(name, value, rule)
    return tuple(dict.fromkeys(items))


def _split_items(text: str, separator: str) -> list[str]:
    return [item.strip() for item in text.split(separator) if item.strip()]


def _list_items(value: Any) -> list[Any]:
    """Return the items of a list, or a list with a single value. Paths become texts."""
    is_list = isinstance(value, Iterable) and not isinstance(value, (bytes, Mapping))
    return [os.fspath(item) if isinstance(item, os.PathLike) else item for item in (value if is_list else [value])]


def parse_sources(value: Any, name: str) -> tuple[str, ...]:
    """Return the sources of registry files. Paths are made absolute; addresses stay as they are."""
    rule = f"a file, folder, glob or https:// address, or several separated by {os.pathsep!r}"
    sources = split_sources(value) if isinstance(value, str) else _parse_items(value, name, os.pathsep, rule)
    if isinstance(value, str) and not sources:
        raise InvalidValueError.must_be(name, value, rule)
    return _make_absolute(sources, value, name)


def _make_absolute(paths: Iterable[str], value: Any, name: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(path if is_registry_address(path) else os.path.abspath(path) for path in paths))
    except OSError:  # the path is relative, and the working folder was removed
        rule = "an absolute path, because the working folder does not exist"
        shown = hide_credentials(value) if isinstance(value, str) else value
        raise InvalidValueError.must_be(name, shown, rule) from None


def parse_path(value: Any, name: str) -> str:
    """Return one path, made absolute."""
    rule = f"a path, or several separated by {os.pathsep!r}"
    paths = _make_absolute(_parse_items(value, name, os.pathsep, rule), value, name)
    if len(paths) != 1:
        raise InvalidValueError.must_be(name, value, "one path")
    return paths[0]


def parse_span_attributes(value: Any, name: str) -> tuple[str, ...]:
    """Return the short names of span attributes, from a list or from changes to the default."""
    items = parse_attribute_choice(value, name)
    return _change_default(items) if items and items[0][0] in "+-" else items


def parse_attribute_choice(value: Any, name: str) -> tuple[str, ...]:
    """Return a list of short names of span attributes, or a list of changes to the default, as they are."""
    rule = f"names of {', '.join(SPAN_ATTRIBUTE_NAMES)}, or changes to the default such as +purpose and -version"
    items = _parse_items(value, name, ",", rule)
    for item in items:
        if _remove_sign(item) not in SPAN_ATTRIBUTE_NAMES:
            raise InvalidValueError.must_be(name, item, rule)
    if len({item[0] in "+-" for item in items}) > 1:
        raise InvalidValueError.must_be(name, value, rule)
    return items


def _remove_sign(item: str) -> str:
    """Return the short name of an attribute, without the sign of a change."""
    return item[1:] if item[0] in "+-" else item


def _change_default(changes: Iterable[str]) -> tuple[str, ...]:
    """Return the default attributes of spans with changes such as ``+purpose`` and ``-version``."""
    added = {item[1:] for item in changes if item[0] == "+"}
    removed = {item[1:] for item in changes if item[0] == "-"}
    chosen = {*ON_SPANS, *added} - removed
    return tuple(name for name in SPAN_ATTRIBUTE_NAMES if name in chosen)


def parse_model_attributes(value: Any, name: str) -> tuple[str, ...]:
    """Return attribute keys that contain model names."""
    rule = f"at most {MAX_MODEL_KEYS} attribute keys of at most {MAX_KEY_LENGTH} characters, none of them {PREFIX}*"
    items = _parse_items(value, name, ",", rule)
    has_bad_key = any(len(item) > MAX_KEY_LENGTH or item.startswith(PREFIX) for item in items)
    if len(items) > MAX_MODEL_KEYS or has_bad_key:
        raise InvalidValueError.must_be(name, value, rule)
    return items


def parse_unregistered(value: Any, name: str) -> Unregistered:
    """Return the treatment of spans whose model is not registered."""
    policy: Unregistered = check_one_of(_lower(value), get_args(Unregistered), name)
    return policy


def parse_match(value: Any, name: str) -> MatchMode:
    """Return how model names match."""
    mode: MatchMode = check_one_of(_lower(value), get_args(MatchMode), name)
    return mode


def parse_event_signals(value: Any, name: str) -> tuple[EventSignal, ...]:
    """Return the signals of lifecycle events, in their order."""
    rule = "span, log, both with a comma between them, or none"
    signals = set(map(_lower, _parse_items(value, name, ",", rule)))
    chosen: tuple[EventSignal, ...] = tuple(signal for signal in SIGNALS if signal in signals)
    if signals != {"none"} and (not signals or len(chosen) != len(signals)):
        raise InvalidValueError.must_be(name, value, rule)
    return chosen


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def parse_headers(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    """Return the names, in lower case, and the values of headers, from a text as in ``OTEL_EXPORTER_OTLP_HEADERS``.

    The text has pairs ``name=value`` with commas between them, and ``%XX`` for special characters. An error does not
    show the text, because it may contain a secret.
    """
    pairs = [item.partition("=") for item in _split_items(value, ",")] if isinstance(value, str) else []
    headers = {key.strip().lower(): urllib.parse.unquote(text).strip() for key, _, text in pairs}
    is_valid = all(_HEADER_NAME.fullmatch(key) and _is_header_value(text) for key, text in headers.items())
    if not headers or not is_valid or not all(sign for _, sign, _ in pairs):
        rule = "name=value, or several separated by ',', with %XX for special characters; its text is not shown here"
        raise InvalidValueError(name, None, f"must be {rule}")
    return tuple(headers.items())


def _is_header_value(text: str) -> bool:
    return text.isascii() and text.isprintable()


def hide_headers(text: str) -> str:
    """Return a text of headers without their values."""
    return ",".join(f"{item.partition('=')[0].strip()}=…" for item in _split_items(text, ",") if "=" in item)


def parse_trusted_keys(value: Any, name: str) -> tuple[str, ...]:
    """Return the paths of trusted keys. A text never means no keys: then no file would need a signature."""
    return _make_absolute(_split_items(value, os.pathsep), value, name) or (str(value),)


def parse_cache(value: Any, name: str) -> str:
    """Return a folder, made absolute, or ``USER_CACHE`` or ``NO_CACHE``."""
    word = _lower(value)
    return word if word in (USER_CACHE, NO_CACHE) else parse_path(value, name)
