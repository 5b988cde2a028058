"""The span processor's enrichment for the OpenTelemetry Collector: a transform processor generated from a registry.

It is for services that are not written in Python. ``render_transform`` returns a complete configuration. With
``lookup_file``, the configuration refers to a file, and ``render_lookup`` returns the content of that file. The file
can be replaced while the Collector runs, because the Collector reads it again on SIGHUP. The same entries result in
the same bytes, in any order.

``render_lookup_processor`` and ``render_lookup_source`` are for Collectors with the lookup processor, which reads its
source again by itself. It finds ids, aliases and common forms. The transform processor does the rest.
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.collector_statements import UNSET_ATTRIBUTES, render_enrichment, render_statements
from spanforge.model_registry._core.collector_tables import MAX_TIES, build_tables
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.lookup_source import MAX_KEYS, build_source
from spanforge.model_registry._core.lookup_statements import KEYS, render_key_statements, render_removal
from spanforge.model_registry._core.setting_parsers import parse_attribute_choice
from spanforge.model_registry._core.settings import MATCH, SPAN_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.collector_tables import Tables
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.registry import ModelRegistry

__all__ = [
    "END",
    "LOOKUP_PROCESSORS",
    "PROCESSOR",
    "render_lookup",
    "render_lookup_processor",
    "render_lookup_source",
    "render_transform",
]

PROCESSOR: Final = "transform/model_registry"
"""The name of the generated transform processor, for the Collector's pipelines."""
LOOKUP_PROCESSORS: Final = ("transform/model_registry_keys", "lookup/model_registry", "transform/model_registry_end")
"""The names of the lookup processor and its neighbours, in the order of a pipeline. ``PROCESSOR`` follows them."""
END: Final = "# end"
"""The last line of a lookup file. A file that was cut off does not have this line, but can still be valid YAML."""

_INTERVAL: Final = re.compile(r"[1-9][0-9]{0,5}(?:ms|s|m|h)")
_INTERVAL_RULE: Final = "a whole number with a unit, such as 30s, 5m or 1h"
_STATUS_RULE: Final = "names that include status, because the transform processor skips spans that have one"
_PATH_RULE: Final = "a path without line breaks, '$', '{' and '}', which are special to the Collector"
_MORE_TIES: Final = f" Collector notices only {MAX_TIES} pairs of globs that match a name equally well; there are more"
_MORE_KEYS: Final = f" source has the first {MAX_KEYS:,} names; the transform processor finds the models of the others"
_UNSUPPORTED: Final = " Collector cannot express, and does not match: "
_CHOICE: Final = replace(SPAN_ATTRIBUTES, default=(), parse=parse_attribute_choice)
"""The setting ``span_attributes`` as the user writes it; empty for the default."""


def render_transform(
    registry: ModelRegistry,
    *,
    lookup_file: str | os.PathLike[str] | None = None,
    match: MatchMode | None = None,
    span_attributes: Iterable[str] | None = None,
) -> str:
    """Return the configuration of a transform processor that sets the same attributes as the span processor, as YAML.

    The processor does not change spans that have a ``model_registry.status``. Pass the configuration to the Collector
    as an additional ``--config``.

    Args:
        registry: The registry, whose current entries are used.
        lookup_file: The file from which the Collector reads the statements, absolute or relative to its working
            directory. With ``None`` the returned text contains them.
        match: ``forms``, or ``exact`` for ids, aliases and globs only; ``None``: the setting ``match``. The lookup file
            needs the same value.
        span_attributes: Short names of the attributes that spans get, or changes to the default, such as
            ``"+contact"``; ``None``: the setting ``span_attributes``. The lookup file needs the same value.

    Raises:
        InvalidValueError: The path cannot be written in the Collector's configuration, or ``match`` or
            ``span_attributes`` has a value that is not allowed (also a ``ValueError``).

    Warns:
        UserWarning: The Collector cannot express some globs, does not notice that some match equally well, or cannot
            set some of the attributes that ``span_attributes`` names. A comment says so too.
    """
    tables = _make_tables(registry, match, span_attributes)
    if lookup_file is None:
        statements = "\n" + "".join(f"      {line}" for line in render_statements(tables).splitlines(keepends=True))
    else:
        statements = f" '${{file:{_quote_path(lookup_file, 'lookup_file')}}}'\n"
    _warn_of_limits(tables)
    header = _render_header(tables)
    return f"{header}processors:\n  {PROCESSOR}:\n    error_mode: silent\n    trace_statements:{statements}"


def render_lookup(
    registry: ModelRegistry, *, match: MatchMode | None = None, span_attributes: Iterable[str] | None = None
) -> str:
    """Return the content of the file that ``render_transform(registry, lookup_file=…)`` refers to, as YAML.

    Args:
        registry: The registry, whose current entries are used.
        match: ``forms``, or ``exact`` for ids, aliases and globs only; ``None``: the setting ``match``.
        span_attributes: Short names of the attributes that spans get, or changes to the default; ``None``: the setting
            ``span_attributes``.

    Raises:
        InvalidValueError: ``match`` or ``span_attributes`` has a value that is not allowed (also a ``ValueError``).

    Warns:
        UserWarning: The Collector cannot express some globs, does not notice that some match equally well, or cannot
            set some of the attributes that ``span_attributes`` names. A comment says so too.
    """
    tables = _make_tables(registry, match, span_attributes)
    _warn_of_limits(tables)
    return f"{_render_header(tables)}{render_statements(tables)}{END}\n"


def render_lookup_processor(
    source_file: str | os.PathLike[str],
    *,
    reload_interval: str = "30s",
    match: MatchMode | None = None,
    span_attributes: Iterable[str] | None = None,
) -> str:
    """Return the configuration of the Collector's lookup processor, and of transform processors around it, as YAML.

    It contains no models, so it changes only with this package. Put ``LOOKUP_PROCESSORS`` before ``PROCESSOR`` in the
    pipeline. The lookup processor is not part of the Collector's distributions.

    Args:
        source_file: The file that ``render_lookup_source`` returns, absolute or relative to the Collector's working
            directory.
        reload_interval: The interval at which the Collector reads the file again, such as ``30s``.
        match: ``forms`` or ``exact``; ``None``: the setting ``match``. The source needs the same value.
        span_attributes: Short names of the attributes that spans get, or changes to the default; ``None``: the setting
            ``span_attributes``. The source needs the same value.

    Raises:
        InvalidValueError: The path cannot be written in the Collector's configuration, ``reload_interval`` is not a
            duration, ``span_attributes`` has no ``status``, or a value is not allowed (also a ``ValueError``).
    """
    if not _INTERVAL.fullmatch(reload_interval):
        raise InvalidValueError.must_be("reload_interval", reload_interval, _INTERVAL_RULE)
    mode, names = MATCH.choose(match), _choose_with_status(span_attributes)
    path, (before, lookup, after) = _quote_path(source_file, "source_file"), LOOKUP_PROCESSORS
    rows = "".join(f"          - {{source: {PREFIX}{name}, destination: {PREFIX}{name}}}\n" for name in names)
    lookups = "".join(f"      - key: 'span.attributes[\"{key}\"]'\n        attributes:\n{rows}" for key in KEYS)
    return (
        "# Generated. Do not edit; regenerate.\nprocessors:\n"
        f"{_render_statements_of(before, render_key_statements(mode))}"
        f"  {lookup}:\n    source:\n      type: yaml\n      path: '{path}'\n      reload_interval: {reload_interval}\n"
        f"    lookups:\n{lookups}"
        f"{_render_statements_of(after, render_removal())}"
    )


def _render_statements_of(processor: str, statements: str) -> str:
    """Return the configuration of a transform processor."""
    indented = "".join(f"      {line}" for line in statements.splitlines(keepends=True))
    return f"  {processor}:\n    error_mode: silent\n    trace_statements:\n{indented}"


def _choose_with_status(span_attributes: Iterable[str] | None) -> list[str]:
    names = sorted(SPAN_ATTRIBUTES.choose(span_attributes))
    if "status" not in names:
        raise InvalidValueError.must_be("span_attributes", ",".join(names), _STATUS_RULE)
    return names


def render_lookup_source(
    registry: ModelRegistry, *, match: MatchMode | None = None, span_attributes: Iterable[str] | None = None
) -> str:
    """Return the file that the lookup processor reads, as YAML: attributes by model name.

    Args:
        registry: The registry, whose current entries are used.
        match: ``forms``, or ``exact`` for ids and aliases only; ``None``: the setting ``match``.
        span_attributes: Short names of the attributes that spans get, or changes to the default; ``None``: the setting
            ``span_attributes``.

    Raises:
        InvalidValueError: ``match`` or ``span_attributes`` has a value that is not allowed (also a ``ValueError``).

    Warns:
        UserWarning: The registry has more names than the limit, so the rest is left to the transform processor. A
            comment says so too.
    """
    names = frozenset(_choose_with_status(span_attributes))
    entries = sorted(registry.list_all(), key=lambda entry: entry.model_id)
    source = build_source(entries, MATCH.choose(match))
    header = f"# Generated from a model registry ({_describe_number(len(entries))}). Do not edit; regenerate.\n"
    if source.is_full:
        warnings.warn(f"the{_MORE_KEYS}", stacklevel=2)
        header += f"# The{_MORE_KEYS}\n"
    maps = {entry.model_id: render_enrichment(entry, names) for entry in source.keys.values()}
    rows = "".join(f"{ottl.encode(key)}: {maps[entry.model_id]}\n" for key, entry in source.keys.items())
    return f"{header}{rows or '{}' + chr(10)}{END}\n"


def _describe_number(number: int) -> str:
    return "1 model" if number == 1 else f"{number} models"


def _make_tables(registry: ModelRegistry, match: MatchMode | None, span_attributes: Iterable[str] | None) -> Tables:
    # In one order, so that the order of registration changes neither the text nor what the Collector does.
    entries = sorted(registry.list_all(), key=lambda entry: entry.model_id)
    choice = _CHOICE.choose(span_attributes)
    tables = build_tables(entries, MATCH.choose(match), SPAN_ATTRIBUTES.choose(choice or None))
    named = tables.attribute_names & {item.removeprefix("+") for item in choice}
    tables.unset_names = tuple(name for name in UNSET_ATTRIBUTES if name in named)
    return tables


def _quote_path(file: str | os.PathLike[str], argument: str) -> str:
    """Return the path in the form that single quotes in YAML need.

    Raises:
        InvalidValueError: The path has a character that is special to the Collector.
    """
    path = os.fspath(file)
    if not path or not path.isprintable() or re.search(r"[${}]", path):
        raise InvalidValueError.must_be(argument, path, _PATH_RULE)
    return path.replace("'", "''")


def _render_header(tables: Tables) -> str:
    lines = [f"Generated from a model registry ({_describe_number(len(tables.entries))}). Do not edit; regenerate."]
    lines += [f"The{_UNSUPPORTED}{glob}" for glob in tables.unsupported_globs]
    lines += [f"The{limit}" for limit in _describe_limits(tables)]
    return "".join(f"# {line}\n" for line in lines)


def _warn_of_limits(tables: Tables) -> None:
    if tables.unsupported_globs:
        warnings.warn(f"the{_UNSUPPORTED}{', '.join(tables.unsupported_globs)}", stacklevel=3)
    for limit in _describe_limits(tables):
        warnings.warn(f"the{limit}", stacklevel=3)


def _describe_limits(tables: Tables) -> list[str]:
    """Return the predicates of the sentences about further limits of the Collector."""
    limits = [_MORE_TIES] if tables.has_more_ties else []
    return limits + ([f" Collector cannot set: {', '.join(tables.unset_names)}"] if tables.unset_names else [])
