"""Names of six model families in litellm's price map, sorted by hand, and a registry of plain ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.names import canonical_provider

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Family(NamedTuple):
    """The names of one family.

    Attributes:
        words: A regular expression that finds the family's names, and those of its siblings, among all names.
        right: The names of the family's model, each with litellm's provider.
        siblings: The names that contain the family's words but are other models.
    """

    words: str
    right: dict[str, str]
    siblings: dict[str, str]


FAMILIES = {
    model_id: Family(**family)
    for model_id, family in json.loads(Path(__file__).with_suffix(".json").read_text("utf-8")).items()
}


class Inventory:
    """A registry of models that have only an id."""

    def __init__(self, model_ids: Iterable[str]) -> None:
        self.registry = ModelRegistry(auto_emit=False)
        for model_id in model_ids:
            self.registry.register(model_id, "N", "1", "low", "team", "a test")

    def find(self, name: str, provider: str | None = None) -> str | None:
        """Return the id of the entry that matches a name."""
        entry = self.registry.resolve(name, provider=provider).entry
        return None if entry is None else entry.model_id


def ways_to_ask(name: str, litellm_provider: str) -> Iterator[tuple[str, str | None]]:
    """Yield a name with and without its provider, and the rest of the name with the provider."""
    provider = canonical_provider(litellm_provider)
    yield name, None
    yield name, provider
    yield name.partition("/")[2] or name, provider
