"""The parts that all rules of ``check`` share: the row of a rule, what it finds, and the registry that it examines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from spanforge.model_registry._core.globs import is_glob
from spanforge.model_registry._core.resolution import ModelIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.provider_calendar import Calendar

Severity = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
"""The severities, the worst first."""


class Issue(NamedTuple):
    """What a rule found.

    Attributes:
        number: The number of the entry in the catalog.
        field: The path of the value, such as ``metadata.aliases[0]``; ``None`` for the entry as a whole.
        message: The sentence about it.
        fix: What to do, if that is not the remedy of the rule.
    """

    number: int
    field: str | None
    message: str
    fix: str | None = None


class LintRule(NamedTuple):
    """One row of the table of rules.

    Attributes:
        name: The name for ``--select`` and ``--ignore``.
        severity: How bad it is: ``error`` if a model will not match or a statement is false, ``warning`` if that is
            likely, ``note`` if something is only missing.
        sentence: What is wrong.
        fix: What to do.
        find: The function that finds it; ``None`` for the faults for which a file is refused.
    """

    name: str
    severity: Severity
    sentence: str
    fix: str
    find: Callable[[Catalog], Iterable[Issue]] | None = None


class Catalog:
    """The valid entries of all files that are checked together.

    Attributes:
        entries: The entries, in the order of the files.
        other_ids: The ids of entries that have faults. They are registered as soon as the faults are gone.
        today: The day in UTC, such as ``2027-01-14``.
        calendar: What providers announced; ``None`` without a calendar.
    """

    def __init__(
        self,
        entries: Sequence[ModelRegistryEntry],
        today: str,
        calendar: Calendar | None = None,
        other_ids: Iterable[str] = (),
    ) -> None:
        self.entries = entries
        self.today = today
        self.calendar = calendar
        self.other_ids = frozenset(other_ids)

    @cached_property
    def index(self) -> ModelIndex:
        """The index that resolves names. Of entries with the same id, it has the last one."""
        return ModelIndex(self.entries)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of the entry that the index has for an id."""
        return {entry.model_id: number for number, entry in enumerate(self.entries)}


class WrittenName(NamedTuple):
    """An id or alias of an entry.

    Attributes:
        number: The number of the entry in the catalog.
        field: Where the entry has it.
        text: The id or alias.
    """

    number: int
    field: str
    text: str


def list_written(catalog: Catalog) -> Iterable[WrittenName]:
    """Yield all ids and aliases, with globs."""
    for number, entry in enumerate(catalog.entries):
        yield WrittenName(number, "model_id", entry.model_id)
        for place, alias in enumerate(entry.aliases):
            yield WrittenName(number, f"metadata.aliases[{place}]", alias)


def list_written_globs(catalog: Catalog) -> Iterable[WrittenName]:
    """Yield the aliases that are globs."""
    return (name for name in list_written(catalog) if name.field != "model_id" and is_glob(name.text))


def find_field(entry: ModelRegistryEntry, text: str) -> str:
    """Return the field in which an entry has an id or alias."""
    if text == entry.model_id:
        return "model_id"
    return f"metadata.aliases[{entry.aliases.index(text)}]" if text in entry.aliases else "metadata.aliases"
