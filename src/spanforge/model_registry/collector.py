"""The enrichment of the span processor for the OpenTelemetry Collector: a transform processor made from a registry.

For services that are not written in Python. ``render_transform`` gives a configuration that is complete in itself;
with ``lookup_file`` it refers to a file, whose content ``render_lookup`` gives and which may be replaced while the
Collector runs: it reads it again on SIGHUP. The same entries in the same order give the same bytes.

The statements are in OTTL, the transform language of the Collector, as its version 0.158 has it: without loops, and
without functions of one's own. So they gather the names on a span in the order of the conventions, keep those that
the registry knows (``keep_keys`` looks into a hash table), and look up the first that is left. A map in OTTL is
searched from its beginning, a list is indexed at once: maps are lists of small ones, indexed by a hash of the key.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import PREFIX, span_attributes
from spanforge.model_registry._core.conventions import BY_PRIORITY, MAX_JSON, PROVIDER_KEYS, Convention
from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.resolution import MAX_GLOBBED, UNREGISTERED, ModelIndex, is_glob
from spanforge.model_registry._core.values import MAX_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.registry import ModelRegistry

PROCESSOR: Final = "transform/model_registry"
"""Name of the processor in the Collector's configuration."""
END: Final = "# end"
"""The last line of a lookup file: one that was cut off does not have it, and may be valid all the same."""

_NOBODY: Final = "\ud800"
"""A provider that no entry has to do with: entries have no lone surrogates."""
_PATH_RULE: Final = "a path without line breaks, '$', '{' and '}', which mean something to the Collector"


def render_transform(registry: ModelRegistry, *, lookup_file: str | os.PathLike[str] | None = None) -> str:
    """Return a transform processor that sets on spans what the span processor sets: a ``processors:`` mapping in YAML.

    It leaves alone the spans that have a ``model_registry.status``. The Collector takes it as a further ``--config``.

    Args:
        registry: Its entries as they are now.
        lookup_file: The file that the Collector is to read the statements from, absolute or relative to its working
            directory; ``None``: they stand in what is returned.

    Raises:
        InvalidValueError: The path cannot stand in the Collector's configuration (also a ``ValueError``).

    Warns:
        UserWarning: There are globs that the Collector cannot express; a comment names them too.
    """
    program = _Program(registry.list_all())
    if lookup_file is None:
        statements = "\n" + "".join(f"      {line}" for line in program.yaml().splitlines(keepends=True))
    else:
        path = os.fspath(lookup_file)
        if not path or not path.isprintable() or re.search(r"[${}]", path):
            raise InvalidValueError.must_be("lookup_file", path, _PATH_RULE)
        statements = " '${file:" + path.replace("'", "''") + "}'\n"
    program.warn()
    return f"{program.comment}processors:\n  {PROCESSOR}:\n    error_mode: silent\n    trace_statements:{statements}"


def render_lookup(registry: ModelRegistry) -> str:
    """Return the content of the file that ``render_transform(registry, lookup_file=…)`` refers to, as YAML.

    Args:
        registry: Its entries as they are now.

    Warns:
        UserWarning: There are globs that the Collector cannot express; a comment names them too.
    """
    program = _Program(registry.list_all())
    program.warn()
    return f"{program.comment}{program.yaml()}{END}\n"


class _Glob(NamedTuple):
    """A glob as the Collector has it.

    Attributes:
        code: Code of the provider that its entry is limited to; ``None``: it is not limited.
        expression: The glob as a regular expression, not anchored.
        matches: The condition that a name matches.
        entry: The entry.
    """

    code: str | None
    expression: str
    matches: str
    entry: ModelRegistryEntry


class _Program:
    """The statements for the entries of a registry.

    What the Collector remembers of a span in ``span.cache``: ``names``, those on the span, each with its rank among the
    conventions; of these ``general``, the ones that are known whatever the provider, and ``special``, the ones that are
    known for this provider, after its code; ``long`` and ``short``, the ones that globs match, after the code, with and
    without the provider's name; ``rank``, that of the best match so far, and ``entry``, the number of its entry.
    """

    def __init__(self, entries: Sequence[ModelRegistryEntry]) -> None:
        self._entries = entries
        self._codes: dict[str, str] = {}
        self._general: dict[str, int] = {}
        self._special: dict[str, int] = {}
        self._globs: list[_Glob] = []
        self._beyond: list[str] = []
        self._find_names()
        self._find_globs()

    @property
    def comment(self) -> str:
        """What a reader should know, and what is not in the statements."""
        lines = [f"Made from a model registry (models: {len(self._entries)}): make it anew rather than edit it."]
        lines += [f"The Collector cannot express, and does not match: {glob}" for glob in self._beyond]
        return "".join(f"# {line}\n" for line in lines)

    def warn(self) -> None:
        """Warn of the globs that are left out, if there are any."""
        if self._beyond:
            warnings.warn(f"the Collector cannot express, and does not match: {', '.join(self._beyond)}", stacklevel=3)

    def yaml(self) -> str:
        """Return the statements: a list of groups, each with its condition."""
        named = " or ".join(f"{key} != nil" for key in dict.fromkeys(_attribute(row.key) for row in BY_PRIORITY))
        ours = f"{_STATUS} == nil and ({named})"  # on all others, notes that the first group leaves would be forged
        groups = ottl.group(ours, self._by_name())
        if self._globs:
            groups += ottl.group(f"{_GLOBBED} != nil and {ours}", self._by_glob())
        return groups + ottl.group(f"{_ODD} != nil and {ours}", _tell_odd())

    def _find_names(self) -> None:
        """Find what each exact name stands for, whatever the provider, and for those where it makes a difference."""
        index = ModelIndex(self._entries, globs=False)  # they are tried when no name is known
        numbers = {entry.model_id: number for number, entry in enumerate(self._entries)}
        pairs: dict[tuple[str | None, str], None] = {}
        for entry in self._entries:
            for name in (entry.model_id, *(alias for alias in entry.aliases if not is_glob(alias))):
                pairs[None, name] = pairs[entry.provider, name] = None
                pairs.update({(name[:i], name[i + 1 :]): None for i, char in enumerate(name) if char == "/"})
        for name in dict.fromkeys(name for _, name in pairs):
            found = index.find(name, _NOBODY)
            if found is not None:
                self._general[name] = numbers[found[0].model_id]
        for provider, name in pairs:
            found = index.find(name, provider)
            if found is not None and self._general.get(name) != numbers[found[0].model_id]:
                self._special[f"{self._code(provider)}:{name}"] = numbers[found[0].model_id]

    def _find_globs(self) -> None:
        """Translate the globs, in the order of registration."""
        for entry in self._entries:
            for glob in filter(is_glob, entry.aliases):
                expression = ottl.regex(glob)
                if expression is None:
                    self._beyond.append(f"{glob!a} of {entry.model_id!a}")
                    continue
                code = None if entry.provider is None else self._code(entry.provider)
                matches = f"IsMatch({_GLOBBED}, {ottl.text(ottl.whole(expression))})"
                if glob[-1] == "*" and not is_glob(glob[:-1]):
                    matches = f"HasPrefix({_GLOBBED}, {ottl.text(glob[:-1])})"
                if code is not None:
                    matches = f'({_GLOBBED_CODE} == "0" or {_GLOBBED_CODE} == "{code}") and {matches}'
                self._globs.append(_Glob(code, expression, matches, entry))

    def _code(self, provider: str | None) -> str:
        """Return what stands for a provider: a number, ``0`` for none."""
        return "0" if provider is None else self._codes.setdefault(provider, str(len(self._codes) + 1))

    def _by_name(self) -> Iterator[str]:
        """Yield the statements for spans that name a model and have no status."""
        yield 'set(span.cache["names"], {})'
        for rank, row in enumerate(BY_PRIORITY):
            yield from _gather(row, rank)
        yield 'delete_key(span.cache["names"], "")'
        yield 'set(span.cache["general"], span.cache["names"])'
        yield f'keep_keys(span.cache["general"], {ottl.texts(self._general)})'
        yield f'set(span.cache["key"], Keys(span.cache["general"])[0]) where {_any("general")}'
        yield f'set(span.cache["entry"], {ottl.lookup(self._general, _KEY)}) where {_KEY} != nil'
        if self._special or self._globs:
            yield f'set(span.cache["rank"], {_rank("general")}) where {_KEY} != nil'
            yield from self._tell_provider()
        if self._special:
            yield from self._look_for_special()
        if self._globs:
            yield from self._look_for_globs()
        yield f"delete_matching_keys(span.attributes, {ottl.text('^' + re.escape(PREFIX))}) where {_any('names')}"
        bundles = ",\n".join(map(_bundle, self._entries))
        yield f'merge_maps(span.attributes, Coalesce([[\n{bundles}\n]])[{_ENTRY}], "upsert") where {_ENTRY} != nil'
        yield from self._tell_unknown()

    def _tell_unknown(self) -> Iterator[str]:
        """Yield the statements for a name that nothing matches; what has no place on a line is left to others."""
        nothing = f"{_any('names')} and {_ENTRY} == nil" + (f" and {_GLOBBED} == nil" if self._globs else "")
        yield f'set({_SHOWN}, Keys(span.cache["names"])[0]) where {nothing}'
        yield f"replace_pattern({_SHOWN}, {ottl.text(_LONG)}, {ottl.text('${1}…')}) where {_SHOWN} != nil"
        yield f"delete_key(span.attributes, {ottl.text(_ODD_KEY)})"
        yield f"set({_ODD}, {_SHOWN}) where {_SHOWN} != nil and IsMatch({_SHOWN}, {ottl.text(_CONTROL)})"
        yield from _warn(_SHOWN, f"{_SHOWN} != nil and {_ODD} == nil")

    def _tell_provider(self) -> Iterator[str]:
        """Yield the statements that find the span's provider and its code: ``?`` for one that no entry knows."""
        for key in reversed(PROVIDER_KEYS):
            value = _attribute(key)
            yield f'set({_PROVIDER}, {value}) where {value} != nil and IsString({value}) and {value} != ""'
        yield f'set({_CODE}, "0") where {_PROVIDER} == nil'
        yield f'set({_CODE}, "?") where {_PROVIDER} != nil'
        codes = {provider: ottl.text(code) for provider, code in self._codes.items()}
        yield f"set({_CODE}, {ottl.lookup(codes, _PROVIDER)}) where {_PROVIDER} != nil"

    def _look_for_special(self) -> Iterator[str]:
        """Yield the statements that find names which mean something else, or mean something, with this provider."""
        there = 'span.cache["special"] != nil'
        best = f"{there} and {_any('special')} and ({_RANK} == nil or {_rank('special')} <= {_RANK})"
        yield f'set(span.cache["special"], span.cache["names"]) where {_CODE} != "?"'
        yield f"{_prefix('special', _AFTER_CODE)} where {there}"
        yield f'keep_keys(span.cache["special"], {ottl.texts(self._special)}) where {there}'
        yield f'set({_KEY}, Keys(span.cache["special"])[0]) where {best}'
        yield f"set({_ENTRY}, {ottl.lookup(self._special, _KEY)}) where {best}"
        yield f"set({_RANK}, {_rank('special')}) where {best}"

    def _look_for_globs(self) -> Iterator[str]:
        """Yield the statements that hand a name over to the globs, if one of them matches a better name."""
        globs = ottl.text(self._any_glob())
        yield f"delete_key(span.attributes, {ottl.text(_GLOBBED_KEY)})"
        better = f"({_RANK} == nil or {_rank('names')} < {_RANK})"
        yield f'set(span.cache["short"], span.cache["names"]) where {_any("names")} and {better}'
        yield f'set(span.cache["long"], span.cache["short"]) where {_PROVIDER} != nil and span.cache["short"] != nil'
        yield f'replace_pattern({_PROVIDER}, {ottl.text(_DOLLAR)}, {ottl.text("$$$$")}) where span.cache["long"] != nil'
        for names, prefix in (("long", _AFTER_PROVIDER), ("short", _AFTER_CODE)):
            there = f'span.cache["{names}"] != nil'
            best = f"{there} and {_any(names)} and ({_RANK} == nil or {_rank(names)} < {_RANK})"
            too_long = f'{there} and Len(String(span.cache["{names}"])) > {MAX_GLOBBED}'
            yield f"{_prefix(names, prefix)} where {there}"
            yield f'delete_matching_keys(span.cache["{names}"], {ottl.text(_TOO_LONG)}) where {too_long}'
            yield f'keep_matching_keys(span.cache["{names}"], {globs}) where {there}'
            yield f'set({_GLOBBED}, TrimPrefix(Keys(span.cache["{names}"])[0], {_AFTER_CODE})) where {best}'
            yield f"set({_GLOBBED_CODE}, {_CODE}) where {best}"
            yield f'delete_key(span.cache, "entry") where {best}'
            yield f"set({_RANK}, {_rank(names)}) where {best}"

    def _any_glob(self) -> str:
        """Return what any glob's code and name match; what globs have in common at the beginning is tried once."""
        by_code: dict[str | None, list[str]] = {}
        for glob in self._globs:
            by_code.setdefault(glob.code, []).append(glob.expression)
        codes = {code: "[^:]*" if code is None else f"(?:0|{code})" for code in by_code}
        return ottl.whole("|".join(f"{codes[code]}:(?:{'|'.join(globs)})" for code, globs in by_code.items()))

    def _by_glob(self) -> Iterator[str]:
        """Yield a statement for each glob, in the order of registration, for the first that matches counts."""
        for glob in self._globs:
            where = f"{_STATUS} == nil and {glob.matches}"
            yield f'merge_maps(span.attributes, {_bundle(glob.entry)}, "upsert") where {where}'
        yield f"delete_key(span.attributes, {ottl.text(_GLOBBED_KEY)})"
        yield f"delete_key(span.attributes, {ottl.text(_GLOBBED_CODE_KEY)})"


def _gather(row: Convention, rank: int) -> Iterator[str]:
    """Yield the statements that put the name of one convention among the names, unless it is there already."""
    value = _attribute(row.key)
    there = f"{value} != nil"
    if row.scope is not None:
        there += f" and scope.name == {ottl.text(row.scope)}"
    if row.member is not None:
        member = f"ParseJSON({value})[{ottl.text(row.member)}]"
        yield f'set(span.cache["member"], {member}) where {there} and Len({value}) <= {MAX_JSON}'
        value = 'span.cache["member"]'
        there = f"{value} != nil"
    yield f'set(span.cache["names"][{value}], {rank}) where {there} and span.cache["names"][{value}] == nil'


def _bundle(entry: ModelRegistryEntry) -> str:
    """Return what spans get of an entry."""
    bundle = span_attributes(entry, status=entry.status, warnings=entry.warnings)
    return ottl.mapping(
        {key: ottl.text(value) if isinstance(value, str) else ottl.texts(value) for key, value in bundle.items()}
    )


def _attribute(key: str) -> str:
    return f"span.attributes[{ottl.text(key)}]"


def _any(names: str) -> str:
    return f'Len(span.cache["{names}"]) > 0'


def _rank(names: str) -> str:
    return f'Values(span.cache["{names}"])[0]'


def _prefix(names: str, prefix: str) -> str:
    return f'replace_all_patterns(span.cache["{names}"], "key", "^", {prefix})'


_STATUS: Final = _attribute(f"{PREFIX}status")
_KEY: Final = 'span.cache["key"]'
_ENTRY: Final = 'span.cache["entry"]'
_RANK: Final = 'span.cache["rank"]'
_PROVIDER: Final = 'span.cache["provider"]'
_CODE: Final = 'span.cache["code"]'
_AFTER_CODE: Final = f'Concat([{_CODE}, ":"], "")'
_AFTER_PROVIDER: Final = f'Concat([{_CODE}, ":", {_PROVIDER}, "/"], "")'
_GLOBBED_KEY: Final = "otelcol.registry_name"
_GLOBBED_CODE_KEY: Final = "otelcol.registry_code"
_GLOBBED: Final = _attribute(_GLOBBED_KEY)
_GLOBBED_CODE: Final = _attribute(_GLOBBED_CODE_KEY)
_DOLLAR: Final = r"\x24"
_TOO_LONG: Final = rf"^[^:]*:(?s:.{{1000}}.{{{MAX_GLOBBED - 999}}})"  # a repetition may be of 1,000 at most

_SHOWN: Final = 'span.cache["shown"]'
_ODD_KEY: Final = "otelcol.registry_odd"
_ODD: Final = _attribute(_ODD_KEY)
_LONG: Final = f"^(?s:(.{{{MAX_NAME}}}).+)"
_CONTROL: Final = r"[\x00-\x1f\x7f]"
_ESCAPES: Final = (
    *((rf"\{letter}", rf"\{letter}") for letter in "tnr"),
    (r"\x7f", r"\x7f"),
    (r"[\x00-\x0f]", r"\x0${0}"),
    (r"[\x10-\x1f]", r"\x1${0}"),
    *((rf"[\x0{digit:x}\x1{digit:x}]", f"{digit:x}") for digit in range(16)),
)
"""What a warning shows in place of control characters, as ``values.quote`` does: a pattern, and what comes for it."""


def _tell_odd() -> Iterator[str]:
    """Yield the statements for a name that nothing matches, and that has control characters."""
    for pattern, replacement in _ESCAPES:
        yield f"replace_pattern({_ODD}, {ottl.text(pattern)}, {ottl.text(replacement)})"
    yield from _warn(_ODD, f"{_ODD} != nil")
    yield f"delete_key(span.attributes, {ottl.text(_ODD_KEY)})"


def _warn(name: str, where: str) -> Iterator[str]:
    """Yield the statements that say that a name is not registered."""
    warning = f"""Concat(["model '", {name}, "' is not registered"], "")"""
    yield f"set({_STATUS}, {ottl.text(UNREGISTERED)}) where {where}"
    yield f"set({_attribute(f'{PREFIX}warnings')}, [{warning}]) where {where}"
