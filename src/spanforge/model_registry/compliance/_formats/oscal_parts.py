"""Parts of OSCAL documents: properties, remarks, and lists that are left out if they are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry.compliance._formats.markup import clean_string, escape_markup, write_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry.compliance._attestation_parts import Clause

OSCAL_NAMESPACE: Final = "urn:spanforge:model-registry:evidence"
"""The namespace of the properties that OSCAL does not define."""


def fill_list(field: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a field with a list; no field if the list is empty, because OSCAL has no empty lists."""
    return {field: items} if items else {}


def write_remarks(heading: str, texts: Iterable[str]) -> dict[str, str]:
    """Return the field ``remarks`` with a list of texts; no field if there are none."""
    listed = write_list(texts)
    return {"remarks": f"{heading}\n\n{listed}"} if listed else {}


def list_props(**values: Any) -> list[dict[str, str]]:
    """Return properties of this project's namespace. Values that are ``None`` or blank are left out."""
    texts = {name: clean_string(str(value)) for name, value in values.items() if value is not None}
    return [{"name": name, "ns": OSCAL_NAMESPACE, "value": text} for name, text in texts.items() if text]


def list_date_props(clause: Clause) -> Iterator[dict[str, str]]:
    """Yield the days from which a clause applies, each with what it applies to, and where this was read."""
    for each in clause.applies_from:
        (prop,) = list_props(**{"applies-from": each.date})
        remarks = f"Applies to: {each.scope}. Source ({each.checked}): {each.source}"
        yield {**prop, "remarks": escape_markup(remarks)}
