"""The fields of a framework file, from which the checks of a file, its documentation and its JSON Schema are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from spanforge.model_registry.compliance._analysis.checks import EVIDENCE_CHECKS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spanforge.model_registry.compliance._analysis.checks import CheckParameter

MAX_FRAMEWORK_SIZE: Final = 256 * 1024
"""The limit of a framework file's bytes. A file with the 38 controls of ISO/IEC 42001 takes about a quarter of it."""
MAX_CLAUSES: Final = 200
"""The limit of clauses of a framework."""
MAX_CLAUSE_ITEMS: Final = 50
"""The limit of each list of a clause: its checks, the parts that are not covered, and its dates."""
MAX_FRAMEWORK_FAULTS: Final = 50
"""The limit of faults of a framework file that are reported."""

SHIPPED_IDS: Final = ("soc2", "nist_ai_rmf", "iso_42001", "eu_ai_act")
"""The ids of the frameworks that the library contains, in the order of the documentation."""

FieldKind = Literal["id", "name", "text", "day", "checked", "texts", "clauses", "checks", "dates", "check"]
"""The type of a field's value."""


class FrameworkField(NamedTuple):
    """One field.

    Attributes:
        kind: The type of the value.
        required: ``True`` if the field must have a value.
        note: The meaning, for the documentation and the JSON Schema.
    """

    kind: FieldKind
    required: bool
    note: str


_CHECKED: Final = "`official` if it was read in the publisher's own text, `secondary` if in a text by others"

FRAMEWORK_FIELDS: Final[Mapping[str, FrameworkField]] = {
    "id": FrameworkField("id", True, "the name by which attestations and commands name the framework"),
    "title": FrameworkField("text", True, "the framework's name"),
    "edition": FrameworkField("text", True, "the words that follow the title: an edition, a year, an amendment"),
    "source": FrameworkField("text", True, "where the framework was read: an address, or the name of a document"),
    "checked": FrameworkField("checked", True, _CHECKED),
    "clauses": FrameworkField("clauses", True, "the clauses"),
}
"""The fields of a framework, in the order of a file."""

CLAUSE_FIELDS: Final[Mapping[str, FrameworkField]] = {
    "id": FrameworkField("name", True, "the number of the clause"),
    "title": FrameworkField("text", True, "the name of the clause"),
    "text": FrameworkField("text", True, "what the clause asks, in your own words"),
    "checks": FrameworkField(
        "checks", False, "the checks that support the clause; required if `not_covered` is missing"
    ),
    "not_covered": FrameworkField("texts", False, "the parts of the clause that no check shows, one text each"),
    "applies_from": FrameworkField("dates", False, "the days from which the clause applies"),
    "source": FrameworkField("text", False, "where the clause was read. Default: the framework's `source`"),
    "checked": FrameworkField(
        "checked",
        False,
        "`official` if the clause was read in the publisher's own text. Default: the framework's `checked`",
    ),
}
"""The fields of a clause."""

APPLICATION_FIELDS: Final[Mapping[str, FrameworkField]] = {
    "date": FrameworkField("day", True, "the day"),
    "scope": FrameworkField("text", True, "what the clause applies to from that day on"),
    "source": FrameworkField("text", True, "where the day was read"),
    "checked": FrameworkField("checked", True, _CHECKED),
}
"""The fields of a date in ``applies_from``."""

CHECK_FIELDS: Final[Mapping[str, FrameworkField]] = {"check": FrameworkField("check", True, "the name of the check")}
"""The fields of a check, besides its parameters. A check without parameters can be its name alone."""

PARAMETERS: Final[Mapping[str, Sequence[CheckParameter]]] = {row.check: row.parameters for row in EVIDENCE_CHECKS}
"""The parameters of each check. A framework that uses the check sets all of them."""

PARAMETER_NAMES: Final = frozenset(row.name for rows in PARAMETERS.values() for row in rows)
"""The names of all parameters."""
