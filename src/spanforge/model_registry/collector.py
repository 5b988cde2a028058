"""The span processor's enrichment for the OpenTelemetry Collector: a transform processor generated from a registry.

It is for services that are not written in Python. ``render_transform`` returns a complete configuration. With
``lookup_file``, the configuration refers to a file, and ``render_lookup`` returns the content of that file. The file
can be replaced while the Collector runs, because the Collector reads it again on SIGHUP. The same entries in the same
order result in the same bytes.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.collector_statements import render_statements
from spanforge.model_registry._core.collector_tables import MAX_TIES, build_tables
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.settings import MATCH, SPAN_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.collector_tables import Tables
    from spanforge.model_registry._core.names import MatchMode
    from spanforge.model_registry._core.registry import ModelRegistry

__all__ = ["END", "PROCESSOR", "render_lookup", "render_transform"]

PROCESSOR: Final = "transform/model_registry"
"""The name of the generated transform processor, for the Collector's pipelines."""
END: Final = "# end"
"""The last line of a lookup file. A file that was cut off does not have this line, but can still be valid YAML."""

_PATH_RULE: Final = "a path without line breaks, '$', '{' and '}', which are special to the Collector"
_MORE_TIES: Final = f" Collector notices only {MAX_TIES} pairs of globs that match a name equally well; there are more"
_UNSUPPORTED: Final = " Collector cannot express, and does not match: "
_UNKNOWN_KEYS: Final = ("matched_by", "match_rule")
"""The attributes whose values the Collector does not know."""


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
            set some of the attributes. A comment says so too.
    """
    tables = _make_tables(registry, match, span_attributes)
    if lookup_file is None:
        statements = "\n" + "".join(f"      {line}" for line in render_statements(tables).splitlines(keepends=True))
    else:
        statements = f" '${{file:{_quote_path(lookup_file)}}}'\n"
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
            set some of the attributes. A comment says so too.
    """
    tables = _make_tables(registry, match, span_attributes)
    _warn_of_limits(tables)
    return f"{_render_header(tables)}{render_statements(tables)}{END}\n"


def _make_tables(registry: ModelRegistry, match: MatchMode | None, span_attributes: Iterable[str] | None) -> Tables:
    # In one order, so that the order of registration changes neither the text nor what the Collector does.
    entries = sorted(registry.list_all(), key=lambda entry: entry.model_id)
    return build_tables(entries, MATCH.choose(match), SPAN_ATTRIBUTES.choose(span_attributes))


def _quote_path(lookup_file: str | os.PathLike[str]) -> str:
    """Return the path in the form that single quotes in YAML need.

    Raises:
        InvalidValueError: The path has a character that is special to the Collector.
    """
    path = os.fspath(lookup_file)
    if not path or not path.isprintable() or re.search(r"[${}]", path):
        raise InvalidValueError.must_be("lookup_file", path, _PATH_RULE)
    return path.replace("'", "''")


def _render_header(tables: Tables) -> str:
    number = len(tables.entries)
    models = "1 model" if number == 1 else f"{number} models"
    lines = [f"Generated from a model registry ({models}). Do not edit; regenerate."]
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
    unset = [name for name in _UNKNOWN_KEYS if name in tables.attribute_names]
    return limits + ([f" Collector cannot set {' and '.join(unset)}"] if unset else [])
