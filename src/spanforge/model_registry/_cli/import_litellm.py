"""Imports from LiteLLM: the proxy's configuration, and the price map, in which a model has many names."""

from __future__ import annotations

import itertools
from collections import ChainMap, Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.import_rows import (
    ImportRow,
    ImportSource,
    clean_text,
    collect_texts,
    make_unfinished,
    one_or_several,
    skip_row,
)
from spanforge.model_registry._core.errors import InvalidValueError, describe_type
from spanforge.model_registry._core.names import canonical_provider, entry_key, is_form_of, parse, read_forms
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from spanforge.model_registry._core.entry import ModelRegistryEntry

SAMPLE_SPEC: Final = "sample_spec"
"""The key of the price map whose value explains the fields."""
MAX_NOTED_DAYS: Final = 5
"""The limit of shutdown days that the comments above an entry list."""
_VARIABLE: Final = "os.environ/"
_MAX_CUT: Final = 200
"""The limit of characters of a name that is cut, because each cut is parsed."""
_MAX_NAME_CUTS: Final = 8
"""The limit of places at which a name is cut, at its start and at its end."""


# The proxy's configuration: https://docs.litellm.ai/docs/proxy/configs


def read_litellm_config(source: ImportSource) -> Iterator[ImportRow]:
    """Yield a row for each model name of a proxy's ``config.yaml``; several deployments may have one name."""
    data = source.check_mapping(source.decode_yaml())
    if not {"model_list", "include"} & data.keys():
        source.fail("must be the configuration of a LiteLLM proxy, with model_list")
    if data.get("include"):
        yield skip_row("include", None, "names further files; import each of them too")
    deployments: dict[str, list[dict[str, Any]]] = {}
    places: dict[str, str] = {}
    for index, item in enumerate(source.list_mappings(data.get("model_list") or [], "model_list")):
        place, name = f"model_list[{index}]", clean_text(item.get("model_name"))
        if name is None:
            yield skip_row(place, None, "has no model_name")
        elif "*" in name:
            yield skip_row(place, name, "is a wildcard for many models; add an entry for each model in use")
        else:
            deployments.setdefault(name, []).append(item)
            places.setdefault(name, place)
    aliases = _read_group_aliases(source, data)
    for name, items in deployments.items():
        yield _make_deployed(source, name, items, places[name], [each for each, to in aliases.items() if to == name])


def _read_group_aliases(source: ImportSource, data: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the aliases of ``router_settings``: each is a model name, or a mapping with the member ``model``."""
    settings = source.check_mapping(data.get("router_settings"), "router_settings")
    given = source.check_mapping(settings.get("model_group_alias"), "router_settings.model_group_alias")
    return {alias: clean_text(to.get("model") if isinstance(to, dict) else to) for alias, to in given.items()}


class Deployment(NamedTuple):
    """A deployment behind a model name.

    Attributes:
        served: The model that answers; ``None`` if the file does not state it.
        provider: The provider, as LiteLLM spells it.
        note: The comment about it.
        facts: The texts of its ``model_info``.
    """

    served: str | None
    provider: str | None
    note: str | None
    facts: Mapping[str, str]


def _read_deployment(source: ImportSource, item: Mapping[str, Any], place: str) -> Deployment:
    params = source.check_mapping(item.get("litellm_params"), f"{place}.litellm_params")
    info = source.check_mapping(item.get("model_info"), f"{place}.model_info")
    model, provider = clean_text(params.get("model")), clean_text(params.get("custom_llm_provider"))
    note = model and f"deployment {model}"
    if model is not None and model.startswith(_VARIABLE):
        note, model = f"a deployment is named by the variable {model.removeprefix(_VARIABLE)}", None
    served = clean_text(info.get("base_model")) or model
    if provider is None and model is not None and "/" in model:
        provider = model.partition("/")[0]
    return Deployment(None if "*" in (served or "") else served, provider, note, collect_texts(info))


def _make_deployed(
    source: ImportSource, name: str, items: list[dict[str, Any]], place: str, aliases: list[str]
) -> ImportRow:
    deployments = [_read_deployment(source, item, place) for item in items]
    served = filter(None, (each.served for each in deployments))
    base_model = one_or_several(model for model in served if not is_form_of(model, name))
    entry = make_unfinished(
        name,
        {},
        {"aliases": aliases, "base_model": base_model},
        dict.fromkeys(filter(None, (each.note for each in deployments))),
        {
            "metadata.aliases": "model_group_alias",
            "metadata.base_model": "model_info.base_model, or litellm_params.model",
        },
    )
    providers = dict.fromkeys(filter(None, (each.provider for each in deployments)))
    return ImportRow(place, entry, tuple(providers), ChainMap(*(dict(each.facts) for each in deployments)))


# The price map: https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json


class MapName(NamedTuple):
    """A name of the price map, with its facts and its provider's canonical name."""

    name: str
    facts: Mapping[str, str]
    provider: str | None


def read_litellm_map(source: ImportSource) -> Iterator[ImportRow]:
    """Yield a row for each name of the price map. ``join_families`` makes one row of all names of a model."""
    data = source.decode_json()
    models = data if isinstance(data, dict) else {}
    if not any(isinstance(facts, dict) and "litellm_provider" in facts for facts in models.values()):
        source.fail("must be LiteLLM's price map: a mapping of models, each with litellm_provider")
    for name, facts in models.items():
        if name == SAMPLE_SPEC:
            continue
        if not isinstance(facts, dict):
            yield skip_row(name, name, f"must be a mapping; got {describe_type(facts)}")
            continue
        provider = clean_text(facts.get("litellm_provider"))
        yield ImportRow(name, make_unfinished(name, {}, {}), (provider,) if provider else (), collect_texts(facts))


def join_families(rows: Iterable[ImportRow]) -> Iterator[ImportRow]:
    """Yield one row for all names of a model: with and without gateway, region, snapshot and revision.

    The aliases of a row are the names that would not match its id by their form.
    """
    families: dict[tuple[str, str | None], list[MapName]] = {}
    for row in rows:
        if row.skip is not None:
            yield row
            continue
        provider = canonical_provider(row.providers[0]) if row.providers else None
        name = MapName(str(row.model_id), row.facts, provider)
        families.setdefault(_find_family(name), []).append(name)
    joined = _join_only_revisions(families)
    made = [_make_family(key, names) for (key, _), names in joined.items()]
    yield from _add_aliases(made, list(joined.values()))


def _find_family(each: MapName) -> tuple[str, str | None]:
    """Return the key of a model without snapshot and revision, and the revision if it may tell two models apart."""
    parsed = parse(each.name, each.provider)
    key = read_forms(each.name, each.provider).keys[-1].text
    return key, None if parsed.snapshot is not None or parsed.moving else parsed.revision


def _join_only_revisions(
    families: Mapping[tuple[str, str | None], list[MapName]],
) -> dict[tuple[str, str | None], list[MapName]]:
    """Join the only revision of a model with its names without one. Two revisions may be two models."""
    counts = Counter(key for key, revision in families if revision is not None)
    joined: dict[tuple[str, str | None], list[MapName]] = {}
    for (key, revision), names in families.items():
        joined.setdefault((key, revision if counts[key] > 1 else None), []).extend(names)
    return joined


def _make_family(key: str, names: list[MapName]) -> ImportRow:
    providers = sorted({each.provider for each in names if each.provider})
    entry = make_unfinished(
        _choose_spelling(key, names),
        {},
        {"provider": one_or_several(providers)},
        [_note_names(names), *_note_days(names)],
        {"metadata.provider": "litellm_provider"},
    )
    return ImportRow(names[0].name, entry, tuple(providers), names=tuple(each.name for each in names))


def _note_names(names: list[MapName]) -> str:
    return f"in the map: {names[0].name}" + (f", and {len(names) - 1:,} more" if len(names) > 1 else "")


def _choose_spelling(key: str, names: list[MapName]) -> str:
    """Return the spelling that most names have without route and snapshot; else the shortest name.

    The revision is left out too, if one of the names has none.
    """
    keys = {_find_undated_key(each) for each in names}
    target = key if key in keys or len(keys) > 1 else keys.pop()
    counts = Counter(filter(None, (_cut_to_key(each.name, target) for each in names)))
    if not counts:
        return min((each.name for each in names), key=lambda name: (len(name), name))
    return min(counts, key=lambda text: (-counts[text], len(text), text))


def _find_undated_key(each: MapName) -> str:
    """Return the key of a name without its snapshot; with its revision, unless that is the revision of a snapshot."""
    parsed = parse(each.name, each.provider)
    is_dated = parsed.snapshot is not None or parsed.moving
    return read_forms(each.name, each.provider).keys[-1].text if is_dated else parsed.key()


def _cut_to_key(name: str, key: str) -> str | None:
    """Return the longest part of a name with a key, without a route before it and a version behind it."""
    if len(name) > _MAX_CUT:
        return None
    starts = [name.rfind("/") + 1, *(place + 1 for place, each in enumerate(name) if each == ".")]
    ends = [len(name), *(place for place in range(len(name) - 1, 0, -1) if name[place] in "-@:")]
    cuts = itertools.product(ends[:_MAX_NAME_CUTS], starts[:_MAX_NAME_CUTS])
    texts = (name[start:end] for end, start in cuts if start < end)
    return next((text for text in texts if entry_key(text)[:2] == (key, None)), None)


def _note_days(names: list[MapName]) -> list[str]:
    """Return comments with the shutdown days of a model. They are the provider's facts, not the organisation's."""
    dated = sorted((each.facts["deprecation_date"], each) for each in names if "deprecation_date" in each.facts)
    notes = []
    for day, each in dated[:MAX_NOTED_DAYS]:
        address = each.facts.get("deprecation_source", "deprecation_date")
        use = f"; use {each.facts['successor_model']}" if "successor_model" in each.facts else ""
        notes.append(f"{each.provider} stops serving {each.name} on {day} ({address}){use}")
    more = len(dated) - len(notes)
    return [*notes, f"{more:,} more shutdown days"] if more else notes


def _add_aliases(rows: list[ImportRow], families: list[list[MapName]]) -> Iterator[ImportRow]:
    """Yield the rows with an alias for each name that another entry, or none, would match."""
    index = ModelIndex(filter(None, (_check_row(row) for row in rows)))
    for row, names in zip(rows, families, strict=True):
        found = ((each.name, index.search(each.name, each.provider).entry) for each in names)
        missed = [name for name, entry in found if entry is None or entry.model_id != row.model_id]
        fields = dict(row.entry.fields)
        if missed:
            fields["metadata"] = {**fields.get("metadata", {}), "aliases": missed}
        yield row._replace(entry=row.entry._replace(fields=fields))


def _check_row(row: ImportRow) -> ModelRegistryEntry | None:
    try:
        return row.entry.check()
    except InvalidValueError:
        return None  # the plan of the import reports it
