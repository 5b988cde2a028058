"""The differences between two versions of a registry: models, their fields, and the names that find another entry."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._core.errors import LifecycleError
from spanforge.model_registry._core.globs import list_plain_names
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, RISK_TIERS
from spanforge.model_registry._core.names import read_forms
from spanforge.model_registry._core.operations import find_steps
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.timestamps import to_micros
from spanforge.model_registry._core.values import make_json_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from spanforge.model_registry import ModelRegistryEntry
    from spanforge.model_registry._core.operations import Step


class FieldChange(NamedTuple):
    """A field, or a key of the metadata such as ``metadata.aliases``, with two values. A missing value is ``None``."""

    field: str
    before: Any
    after: Any


class ModelDifference(NamedTuple):
    """A model that differs.

    Attributes:
        model_id: The id of the model.
        before: Its entry before the change; ``None`` if it is added.
        after: Its entry after the change; ``None`` if it is removed.
        fields: The fields that differ.
        steps: The lifecycle operations that lead from one entry to the other. Each emits an event.
        finding: The reason why the lifecycle does not allow the change; ``None`` if it does.
        kinds: The kinds of difference, as in ``DIFFERENCE_KINDS``.
    """

    model_id: str
    before: ModelRegistryEntry | None
    after: ModelRegistryEntry | None
    fields: tuple[FieldChange, ...] = ()
    steps: tuple[Step, ...] = ()
    finding: str | None = None
    kinds: tuple[str, ...] = ()


class NameDifference(NamedTuple):
    """A name that finds another entry after the change.

    Attributes:
        name: The name, as calls write it.
        provider: The provider of the calls; ``None`` for calls that name no provider.
        before: The id of the entry that the name finds before the change; ``None`` for no entry.
        after: The id of the entry that the name finds after the change; ``None`` for no entry.
    """

    name: str
    provider: str | None
    before: str | None
    after: str | None


class RegistryDifference(NamedTuple):
    """The differences of two registries.

    Attributes:
        models: The models that differ, in the order of the new registry; removed ones come last.
        names: The names that find another entry, except those of added and removed models that had or have none.
    """

    models: tuple[ModelDifference, ...]
    names: tuple[NameDifference, ...]

    def list_findings(self, fail_on: Iterable[str]) -> list[tuple[str, str]]:
        """Return the kinds and models that fail: those of ``fail_on``, and all that the lifecycle does not allow."""
        failing = {*fail_on, LIFECYCLE_KIND}
        return [(kind, model.model_id) for model in self.models for kind in model.kinds if kind in failing] + [
            (NAMES_KIND, name.name) for name in self.names if NAMES_KIND in failing
        ]


class DifferenceKind(NamedTuple):
    """A kind of difference.

    Attributes:
        meaning: The meaning, as the documentation states it.
        applies: Returns ``True`` for the differences of this kind.
    """

    meaning: str
    applies: Callable[[ModelDifference], bool]


LIFECYCLE_KIND: Final = "lifecycle"
NAMES_KIND: Final = "names-moved"
_FIELD_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "owner": ("owner",),
    "contact": ("metadata.contact",),
    "purpose": ("purpose",),
    "description": ("name", "version"),
    "names": ("metadata.aliases", "metadata.provider", "metadata.base_model"),
    "deprecation": ("metadata.deprecation_reason", "metadata.successor", "metadata.sunset_date"),
    "dates": ("deployment_date", "decommission_date", "metadata.deprecation_date"),
    "history": ("metadata.history",),
}
"""The fields of the kinds that are about fields. All other metadata is of the kind ``metadata``."""
_OTHER_FIELDS: Final = {"status", "risk_tier", *(field for fields in _FIELD_KINDS.values() for field in fields)}


def _starts(status: str) -> Callable[[ModelDifference], bool]:
    """Return a function that checks whether a model has the status now, and had it not before."""
    return lambda model: (
        model.after is not None
        and model.after.status == status
        and (model.before is None or model.before.status != status)
    )


def _compare_tiers(model: ModelDifference) -> int:
    if model.before is None or model.after is None:
        return 0
    return RISK_TIERS.index(model.after.risk_tier) - RISK_TIERS.index(model.before.risk_tier)


def _retires_without_successor(model: ModelDifference) -> bool:
    return _starts("retired")(model) and model.after is not None and not model.after.metadata.get("successor")


def _moves_sunset(model: ModelDifference) -> bool:
    """Check whether a model may be called longer than before."""
    moved = next((change for change in model.fields if change.field == "metadata.sunset_date"), None)
    if moved is None or moved.before is None or model.after is None:
        return False
    return moved.after is None or to_micros(moved.after) > to_micros(moved.before)


def _changes(fields: tuple[str, ...]) -> Callable[[ModelDifference], bool]:
    return lambda model: any(change.field in fields for change in _list_changed(model))


def _join_fields(fields: tuple[str, ...]) -> str:
    *first, last = (f"`{field.removeprefix('metadata.')}`" for field in fields)
    return f"{', '.join(first)} or {last}" if first else last


def _changes_other_metadata(model: ModelDifference) -> bool:
    return any(change.field not in _OTHER_FIELDS for change in _list_changed(model))


def _list_changed(model: ModelDifference) -> tuple[FieldChange, ...]:
    """Return the changed fields of a model that both registries have."""
    return () if model.before is None or model.after is None else model.fields


DIFFERENCE_KINDS: Final[Mapping[str, DifferenceKind]] = {
    "added": DifferenceKind("the model is new", lambda model: model.before is None),
    "removed": DifferenceKind("the model is no longer in the registry", lambda model: model.after is None),
    **{
        status: DifferenceKind(f"the model is {status} now, and was not before", _starts(status))
        for status, row in LIFECYCLE.items()
        if row.warning is not None
    },
    "retired-without-successor": DifferenceKind(
        "the model is retired now, and has no `successor`", _retires_without_successor
    ),
    LIFECYCLE_KIND: DifferenceKind(
        "the lifecycle does not allow the change of status; always exit code 1", lambda model: model.finding is not None
    ),
    "tier-lowered": DifferenceKind("the risk tier is lower", lambda model: _compare_tiers(model) < 0),
    "tier-raised": DifferenceKind("the risk tier is higher", lambda model: _compare_tiers(model) > 0),
    "sunset-later": DifferenceKind("the sunset date is later, or is gone", _moves_sunset),
    **{
        kind: DifferenceKind(f"a change of {_join_fields(fields)}", _changes(fields))
        for kind, fields in _FIELD_KINDS.items()
    },
    "metadata": DifferenceKind("a change of a metadata key of your own", _changes_other_metadata),
    NAMES_KIND: DifferenceKind("a name finds another entry than before, or none", lambda _: False),
}
"""The kinds of difference, by the names that ``--fail-on`` takes. Only names, not models, are of the last kind."""


def compare_registries(before: Iterable[ModelRegistryEntry], after: Iterable[ModelRegistryEntry]) -> RegistryDifference:
    """Return the differences between the entries of two registries."""
    old, new = ({entry.model_id: entry for entry in entries} for entries in (before, after))
    pairs = [(old.get(model_id), new.get(model_id)) for model_id in dict.fromkeys((*new, *old))]
    models = tuple(_compare_entries(*pair) for pair in pairs if pair[0] != pair[1])
    changes_names = any({"added", "removed", "names"} & {*model.kinds} for model in models)
    return RegistryDifference(models, tuple(_compare_names(old, new)) if changes_names else ())


def _compare_entries(before: ModelRegistryEntry | None, after: ModelRegistryEntry | None) -> ModelDifference:
    model_id = (after or before).model_id  # type: ignore[union-attr] # one of them is an entry
    fields = tuple(list_field_changes(before, after))
    model = ModelDifference(model_id, before, after, fields, *find_operations(before, after))
    return model._replace(kinds=tuple(name for name, kind in DIFFERENCE_KINDS.items() if kind.applies(model)))


def list_field_changes(before: ModelRegistryEntry | None, after: ModelRegistryEntry | None) -> Iterator[FieldChange]:
    """Yield the fields, but for the id, that differ between two versions of an entry."""
    first, second = _flatten_entry(before), _flatten_entry(after)
    for field in {**second, **first}:
        if (field in first) != (field in second) or make_json_key(first[field]) != make_json_key(second[field]):
            yield FieldChange(field, first.get(field), second.get(field))


def _flatten_entry(entry: ModelRegistryEntry | None) -> dict[str, Any]:
    """Return the values of an entry, but for its id, with the keys of the metadata beside the other fields."""
    if entry is None:
        return {}
    values = entry.to_dict()
    metadata, _ = values.pop("metadata"), values.pop("model_id")
    given = {field: value for field, value in values.items() if value is not None}
    return {**given, **{f"metadata.{key}": value for key, value in metadata.items()}}


def find_operations(
    before: ModelRegistryEntry | None, after: ModelRegistryEntry | None
) -> tuple[tuple[Step, ...], str | None]:
    """Return the operations that lead from one entry to the other, and the reason if none changes the status."""
    if after is None:
        return (), None
    steps: tuple[Step, ...] = ()
    with contextlib.suppress(LifecycleError):  # the lifecycle allows no operation between them
        steps = tuple(find_steps(before, after))
    if before is None or before.status == after.status:
        return steps, None
    if any(not OPERATIONS[step.operation_name].registers for step in steps):
        return steps, None
    return steps, f"no operation leads from {before.status} to {after.status}"


def _compare_names(
    before: Mapping[str, ModelRegistryEntry], after: Mapping[str, ModelRegistryEntry]
) -> Iterator[NameDifference]:
    """Yield the names that find another entry: ids, aliases and base names, for each provider of their entries."""
    old, new = ModelIndex(before.values()), ModelIndex(after.values())
    for name, provider in dict.fromkeys(_list_written_forms((*before.values(), *after.values()))):
        first, second = (index.search(name, provider).entry for index in (old, new))
        first_id, second_id = (None if entry is None else entry.model_id for entry in (first, second))
        is_new = first_id is None and second_id not in before
        is_gone = second_id is None and first_id not in after
        if first_id != second_id and not is_new and not is_gone:
            yield NameDifference(name, provider, first_id, second_id)


def _list_written_forms(entries: Iterable[ModelRegistryEntry]) -> Iterator[tuple[str, str | None]]:
    for entry in entries:
        for text in list_plain_names(entry):
            for name in dict.fromkeys((text, read_forms(text, None).base)):
                if name:
                    yield from ((name, provider) for provider in (None, *entry.providers))
