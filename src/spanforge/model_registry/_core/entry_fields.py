"""The fields of an entry as people write them in files, and how ``ModelRegistryEntry`` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from spanforge.model_registry._core.errors import InvalidValueError, shorten
from spanforge.model_registry._core.metadata_size import check_metadata_size
from spanforge.model_registry._core.similar_names import MAX_COMPARED_LENGTH, find_similar_names
from spanforge.model_registry._core.validation import RESERVED, check_argument, freeze_metadata
from spanforge.model_registry._core.values import EMPTY, Metadata

if TYPE_CHECKING:
    from collections.abc import Iterable

LIKE_FIELD: Final = 0.75
"""The similarity from which an unknown field counts as a known one that is misspelt."""


class EntryField(NamedTuple):
    """One row of ``ENTRY_FIELDS``.

    Attributes:
        kind: The type of the value: a model's id, text, a risk tier, a status, a date or null, or the metadata.
        required: ``True`` if every entry has the field.
        note: The meaning, for the documentation and the JSON Schema.
    """

    kind: Literal["id", "text", "tier", "status", "date", "metadata"]
    required: bool
    note: str


ENTRY_FIELDS: Final[Mapping[str, EntryField]] = {
    "model_id": EntryField("id", True, "the model's id, which no other entry has"),
    "name": EntryField("text", True, "the name for display"),
    "version": EntryField("text", True, "the model's version"),
    "risk_tier": EntryField("tier", True, "the risk of using the model, as its owner rates it"),
    "owner": EntryField("text", True, "the team or person responsible"),
    "purpose": EntryField("text", True, "the intended use"),
    "status": EntryField("status", False, "the model's place in its lifecycle; without it, `active`"),
    "deployment_date": EntryField("date", False, "the date of the first use"),
    "decommission_date": EntryField("date", False, "the date of the retirement"),
    "metadata": EntryField("metadata", False, "keys of your own, and the reserved keys"),
}
"""The fields of an entry, in their order."""

ARGUMENTS: Final[Mapping[str, str]] = {
    name: key for key, row in RESERVED.items() if row.kind != "history" for name in (row.argument, key) if name
}
"""The names that may be beside the fields of an entry, and the reserved metadata key that each sets.

They are the keyword arguments of ``register`` and ``deprecate``, and the reserved keys that people write.
"""

FIELD_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("id", "model", "key"), "model_id"),
    **dict.fromkeys(("title", "display_name", "label"), "name"),
    **dict.fromkeys(("tier", "risk", "risk_level", "risk_class"), "risk_tier"),
    **dict.fromkeys(("team", "owned_by", "maintainer", "responsible"), "owner"),
    **dict.fromkeys(("description", "use_case", "usage", "intended_use"), "purpose"),
    **dict.fromkeys(("state", "lifecycle", "stage"), "status"),
    **dict.fromkeys(("deployed", "deployed_at", "deployed_on", "since"), "deployment_date"),
    **dict.fromkeys(("decommissioned", "retired_at", "retired_on", "retirement_date"), "decommission_date"),
    **dict.fromkeys(("meta", "extra", "labels", "annotations"), "metadata"),
    **dict.fromkeys(("alias", "alternative_names", "other_names"), "aliases"),
    **dict.fromkeys(("sunset", "sunset_at", "sunset_on", "end_of_life", "eol"), "sunset_date"),
    **dict.fromkeys(("deprecated_at", "deprecated_on", "deprecated_since"), "deprecation_date"),
    **dict.fromkeys(("replacement", "replaced_by", "replacements", "use_instead"), "successor"),
    **dict.fromkeys(("base", "deployment_of", "adapter_of"), "base_model"),
    **dict.fromkeys(("email", "owner_contact", "channel"), "contact"),
}
"""Other words for fields and reserved keys."""


def gather_fields(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of an entry, with the arguments that are beside them in its metadata.

    Args:
        data: The fields, as a file has them.

    Raises:
        InvalidValueError: A field is unknown or missing, or an argument has a value that is not allowed.
    """
    model_id = data.get("model_id")
    model_id = model_id if isinstance(model_id, str) else None
    _refuse_unknown_fields(data, model_id)
    _check_missing(data, model_id)
    if data.keys() <= ENTRY_FIELDS.keys():
        return data
    fields = {field: data[field] for field in ENTRY_FIELDS if field in data}
    arguments = {name: data[name] for name in ARGUMENTS if data.get(name) is not None}
    return {**fields, "metadata": _merge_arguments(data.get("metadata", EMPTY), arguments, model_id)}


def _refuse_unknown_fields(data: Mapping[str, Any], model_id: str | None) -> None:
    for field in data:
        if field not in ENTRY_FIELDS and field not in ARGUMENTS:
            name = field if isinstance(field, str) else shorten(field)
            raise InvalidValueError(name, data[field], explain_unknown_field(name), model_id)


def _check_missing(data: Mapping[str, Any], model_id: str | None) -> None:
    """Refuse an entry without all required fields. The error is about the first one, and lists the others."""
    missing = [field for field, row in ENTRY_FIELDS.items() if row.required and field not in data]
    if not missing:
        return
    others = f"; also missing: {', '.join(missing[1:])}" if missing[1:] else ""
    metadata = data.get("metadata")
    misplaced = [field for field in missing if isinstance(metadata, Mapping) and field in metadata]
    place = f"; {misplaced[0]} is in metadata and belongs beside it" if misplaced else ""
    raise InvalidValueError(missing[0], None, f"is missing{others}{place}", model_id)


def _merge_arguments(metadata: Any, arguments: Mapping[str, Any], model_id: str | None) -> Metadata:
    """Return the metadata with the arguments in it. A value may be in several places if it is the same."""
    merged = dict(freeze_metadata(metadata, model_id))
    places = {key: f"metadata.{key}" for key, value in merged.items() if value is not None}
    for name, value in arguments.items():
        key = ARGUMENTS[name]
        checked = check_argument(key, value, name, model_id)
        place = places.setdefault(key, name)
        if place != name and merged[key] != checked:
            raise InvalidValueError(name, value, f"differs from {place}; write the value in one place", model_id)
        merged[key] = checked
    return check_metadata_size(Metadata(merged), model_id) if merged else EMPTY


def explain_unknown_field(field: str) -> str:
    """Return the predicate of the sentence about an unknown field: where it belongs, or which one is meant."""
    if field in RESERVED:
        return f"belongs in metadata: write it as metadata.{field}"
    names = (*ENTRY_FIELDS, *ARGUMENTS)
    meant = find_meant_name(field, names, LIKE_FIELD)
    if meant is not None:
        return f"is unknown; did you mean {meant}?"
    return f"is unknown; keys of your own belong in metadata; the fields are {', '.join(names)}"


def find_meant_name(written: str, names: Iterable[str], likeness: float) -> str | None:
    """Return the name that is probably meant by an unknown one, because it is similar or another word for it.

    Args:
        written: The unknown name.
        names: The known names.
        likeness: The similarity from which a name counts as misspelt, from 0 to 1.
    """
    word = "_".join(written[:MAX_COMPARED_LENGTH].lower().replace("-", " ").split())
    by_letters = {name.replace("_", ""): name for name in names}
    other = FIELD_WORDS.get(word)
    if other in by_letters.values():
        return other
    near = find_similar_names(word.replace("_", ""), by_letters, likeness=likeness)
    return by_letters[near[0]] if near else None
