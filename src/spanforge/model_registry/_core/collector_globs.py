"""The Collector's statements that match globs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.collector_forms import is_short
from spanforge.model_registry._core.collector_paths import CODE, GLOBBED, PROVIDER, SLOTS, cached, join_texts, matches
from spanforge.model_registry._core.collector_tables import NO_PROVIDER
from spanforge.model_registry._core.globs import MAX_GLOBBED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._core.collector_tables import CollectorGlob, Tables

# Globs.


class _GlobStep:
    """One statement about a glob: the codes of providers for which it matches, and its place in the order."""

    def __init__(self, glob: CollectorGlob, codes: str, place: int) -> None:
        self.glob = glob
        self.codes = codes
        self.key = f"#{place:05}"

    @property
    def pattern(self) -> str:
        """The regular expression of the code and the name."""
        return rf"^=(?:{self.codes}):(?s:{self.glob.expression})\z"


def list_glob_steps(globs: Iterable[CollectorGlob]) -> list[_GlobStep]:
    """Return the globs in the order in which they are tried: first those that are limited to the provider."""
    steps = [(glob, "|".join(glob.codes)) for glob in globs if glob.codes]
    ordered = sorted(globs, key=lambda glob: (glob.rank, not glob.codes), reverse=True)
    steps += [(glob, NO_PROVIDER if glob.codes else "[^:]*") for glob in ordered]
    return [_GlobStep(glob, codes, place) for place, (glob, codes) in enumerate(steps)]


def match_globs(tables: Tables) -> Iterator[str]:
    """Yield the statements that find the most specific glob that matches each name, with the fixed text of the glob."""
    any_glob = ottl.anchored("|".join(dict.fromkeys(glob.expression for glob in tables.globs)))
    tried = cached("tried")
    yield f"set({tried}, {{}})"
    for slot in SLOTS:
        open_ = f"where {slot.key} == nil and {is_short(slot.name, MAX_GLOBBED)}"
        yield f"set({tried}[{slot.name}], 1) {open_}"
        whole = join_texts(PROVIDER, ottl.encode("/"), slot.name)
        yield f"set({tried}[{whole}], 1) {open_} and {PROVIDER} != nil"
    yield f"keep_matching_keys({tried}, {ottl.encode(any_glob)}) where Len({tried}) > 0"
    yield f"set({GLOBBED}, {{}}) where Len({tried}) > 0"
    for slot in SLOTS:
        code = join_texts(ottl.encode("="), slot.code if tables.mode == "forms" else CODE, ottl.encode(":"), slot.name)
        open_ = f"where {GLOBBED} != nil and {slot.key} == nil and {is_short(slot.name, MAX_GLOBBED)}"
        yield f'set({GLOBBED}["{slot.place}"], {code}) {open_}'
        whole = code.replace(slot.name, f'{PROVIDER}, "/", {slot.name}')
        long = join_texts(PROVIDER, ottl.encode("/"), slot.name)
        fits = f"{PROVIDER} != nil and {is_short(long, MAX_GLOBBED)}"
        yield f'set({GLOBBED}["{slot.place}p"], {whole}) {open_} and {fits}'
    yield from _try_globs(tables)
    yield from _mark_refused(tables)
    for slot in SLOTS:
        glob = cached(f"glob{slot.place}")
        for place in (slot.place, f"{slot.place}p"):
            path = f'{GLOBBED}["{place}"]'
            best = f'HasPrefix({path}, "#") and ({glob} == nil or {path} < {glob})'
            yield f"set({glob}, {path}) where {GLOBBED} != nil and {path} != nil and {best}"
        yield f"set({slot.globbed}, Substring({glob}, 0, 6)) where {glob} != nil"
        if tables.ties:
            yield f"set({slot.globbed}, Substring({glob}, 6, 6)) where {glob} != nil and {matches(glob, '^#[0-9]+!')}"
        parsed = "" if tables.mode == "exact" else f" and {slot.parts} == nil"
        yield f"set({slot.key}, {slot.globbed}) where {slot.globbed} != nil{parsed}"


def _try_globs(tables: Tables) -> Iterator[str]:
    """Yield a statement for each glob, and for each pair of globs that are equally specific."""
    rivals: dict[CollectorGlob, list[tuple[str, CollectorGlob]]] = {}
    for key, (one, other) in list_tie_keys(tables).items():
        rivals.setdefault(one, []).append((key, other))
        rivals.setdefault(other, []).append((key, one))
    for step in list_glob_steps(tables.globs):
        for key, rival in rivals.get(step.glob, []):
            if bool(rival.codes) == bool(step.glob.codes):
                yield from _mark_tie(step, key, rival)
        replacement = "\n".join([step.key, *step.glob.fixed, ""])
        yield (
            f'replace_all_patterns({GLOBBED}, "value", {ottl.encode(step.pattern)}, '
            f"{ottl.encode(replacement.replace('$', '$$'))}) where {GLOBBED} != nil"
        )


def _mark_refused(tables: Tables) -> Iterator[str]:
    """Yield the statements that find a glob whose entry is limited to other providers."""
    for glob in tables.globs:
        if glob.codes:
            pattern, key = rf"^=[^:]*:(?s:{glob.expression})\z", ottl.encode(f"~{glob.number:05}")
            yield f'replace_all_patterns({GLOBBED}, "value", {ottl.encode(pattern)}, {key}) where {GLOBBED} != nil'


def _mark_tie(step: _GlobStep, key: str, rival: CollectorGlob) -> Iterator[str]:
    codes = step.codes if step.codes in (NO_PROVIDER, "[^:]*") else "|".join(rival.codes)
    other = rf"^=(?:{codes}):(?s:{rival.expression})\z"
    value = ottl.encode("\n".join([step.key + key, *step.glob.fixed, ""]))
    for slot in SLOTS:
        for place in (slot.place, f"{slot.place}p"):
            path = f'{GLOBBED}["{place}"]'
            both = f"{matches(path, step.pattern)} and {matches(path, other)}"
            yield f"set({path}, {value}) where {GLOBBED} != nil and {path} != nil and {both}"


def list_tie_keys(tables: Tables) -> dict[str, tuple[CollectorGlob, CollectorGlob]]:
    """Return the pairs of globs that may match a name equally well, by their key."""
    return {f"!{place:05}": pair for place, pair in enumerate(tables.ties)}
