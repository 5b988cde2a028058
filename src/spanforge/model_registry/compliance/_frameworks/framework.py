"""``Framework``: clauses, each with the checks that support it, the parts that no check shows, and its dates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry.compliance._attestation_parts import ApplicationDate, Checked
from spanforge.model_registry.compliance._frameworks.faults import list_framework_faults

if TYPE_CHECKING:
    from collections.abc import Mapping


class CheckUse(msgspec.Struct, frozen=True):
    """A check that supports a clause.

    Attributes:
        check: The name of the check.
        parameters: Its parameters, by name.
    """

    check: str
    parameters: tuple[tuple[str, int], ...] = ()

    def to_file(self) -> str | dict[str, Any]:
        """Return the check as a file has it."""
        return {"check": self.check, **dict(self.parameters)} if self.parameters else self.check


class FrameworkClause(msgspec.Struct, frozen=True, kw_only=True):
    """A clause of a framework: a criterion, a control, an article.

    Attributes:
        id: The number of the clause in the framework.
        title: The name of the clause.
        text: A summary of what the clause asks. The framework's own text is authoritative.
        checks: The checks that support the clause.
        not_covered: The parts of the clause that no check shows.
        applies_from: The days from which the clause applies.
        source: Where the clause was read: an address, or the name of a document.
        checked: ``official`` if it was read in the publisher's own text, ``secondary`` if in a text by others.
    """

    id: str
    title: str
    text: str
    checks: tuple[CheckUse, ...]
    not_covered: tuple[str, ...]
    applies_from: tuple[ApplicationDate, ...]
    source: str
    checked: Checked

    @property
    def check_names(self) -> tuple[str, ...]:
        """The names of the checks."""
        return tuple(use.check for use in self.checks)


class FrameworkSource(NamedTuple):
    """The file from which a framework was read: its name, its bytes, and whether the library contains it."""

    name: str
    content: bytes
    is_shipped: bool = False


class Framework(msgspec.Struct, frozen=True, kw_only=True):
    """A framework whose clauses evidence can support. It is immutable.

    ``load_framework`` reads one from a file, and ``Framework.from_dict`` makes one from the fields of a file.

    Attributes:
        id: The name by which attestations and commands name the framework.
        title: The framework's name.
        edition: The words that follow the title: an edition, a year, an amendment.
        source: Where the framework was read: an address, or the name of a document.
        checked: ``official`` if it was read in the publisher's own text, ``secondary`` if in a text by others.
        clauses: Its clauses.
        file: The file from which it was read; ``None`` if it was made in code.
    """

    id: str
    title: str
    edition: str
    source: str
    checked: Checked
    clauses: tuple[FrameworkClause, ...]
    file: FrameworkSource | None = None

    @property
    def name(self) -> str:
        """The title and the edition."""
        return f"{self.title} {self.edition}"

    @property
    def parameters(self) -> dict[str, dict[str, int]]:
        """The parameters of each check that has parameters; the keys are the names of the checks."""
        return {use.check: dict(use.parameters) for clause in self.clauses for use in clause.checks if use.parameters}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Framework:
        """Return the framework with these fields: plain dicts, lists, strings and numbers, as a file has them.

        Raises:
            InvalidValueError: A value is not allowed. The error is about the first fault (also a ``ValueError``).
        """
        for fault in list_framework_faults(data):
            raise InvalidValueError(fault.path or "framework", None, fault.problem)
        return build_framework(data)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a file has them."""
        return {
            "id": self.id,
            "title": self.title,
            "edition": self.edition,
            "source": self.source,
            "checked": self.checked,
            "clauses": [_list_fields(clause) for clause in self.clauses],
        }

    def to_json(self) -> bytes:
        """Return the framework as a JSON file. A package has this file if the framework was made in code."""
        return msgspec.json.format(msgspec.json.encode(self.to_dict()), indent=2) + b"\n"


def build_framework(data: Mapping[str, Any], file: FrameworkSource | None = None) -> Framework:
    """Return the framework with these fields, which have no faults."""
    clauses = tuple(_make_framework_clause(clause, data) for clause in data["clauses"])
    facts = {name: data[name] for name in ("id", "title", "edition", "source", "checked")}
    return Framework(**facts, clauses=clauses, file=file)


def _make_framework_clause(fields: Mapping[str, Any], framework: Mapping[str, Any]) -> FrameworkClause:
    return FrameworkClause(
        id=fields["id"],
        title=fields["title"],
        text=fields["text"],
        checks=tuple(map(_make_use, fields.get("checks") or ())),
        not_covered=tuple(fields.get("not_covered") or ()),
        applies_from=tuple(ApplicationDate(**date) for date in fields.get("applies_from") or ()),
        source=fields.get("source") or framework["source"],
        checked=fields.get("checked") or framework["checked"],
    )


def _make_use(item: str | Mapping[str, Any]) -> CheckUse:
    if isinstance(item, str):
        return CheckUse(item)
    parameters = tuple((name, value) for name, value in item.items() if name != "check")
    return CheckUse(item["check"], parameters)


def _list_fields(clause: FrameworkClause) -> dict[str, Any]:
    """Return the fields of a clause that have a value, as a file has them."""
    fields = {
        "id": clause.id,
        "title": clause.title,
        "text": clause.text,
        "checks": [use.to_file() for use in clause.checks],
        "not_covered": list(clause.not_covered),
        "applies_from": [msgspec.to_builtins(date) for date in clause.applies_from],
        "source": clause.source,
        "checked": clause.checked,
    }
    return {name: value for name, value in fields.items() if value}
