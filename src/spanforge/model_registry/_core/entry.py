"""``ModelRegistryEntry`` and the lifecycle it goes through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

import msgspec

from spanforge.model_registry._core.errors import InvalidValueError, shorten
from spanforge.model_registry._core.lifecycle import LIFECYCLE, RISK_TIERS, STATUSES, ModelStatus, RiskTier
from spanforge.model_registry._core.timestamps import in_utc, is_canonical
from spanforge.model_registry._core.values import (
    EMPTY,
    MAX_NAME,
    MAX_SIZE,
    Freezer,
    FrozenList,
    Metadata,
    Record,
    are_usual,
    date,
    encodable,
    one_of,
    parse_date,
    quote,
    text,
    thaw,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

MAX_NAMES: Final = 1_000
"""Aliases that one entry may have, each of at most ``MAX_NAME`` characters."""
MAX_STARS: Final = 8
"""Stars of a glob: what matching may cost stays small."""
MAX_HISTORY: Final = 1_000
"""Records that ``metadata["history"]`` keeps; the oldest go first."""

_TEXT_FIELDS: Final = ("model_id", "name", "version", "owner", "purpose")
_DATE_FIELDS: Final = ("deployment_date", "decommission_date")
_RECORD_FIELDS: Final = ("at", "status", "owner", "risk_tier", "reason", "actor")
_TIERS: Final = frozenset(RISK_TIERS)
_STATUSES: Final = frozenset(STATUSES)


class StateAsOf(NamedTuple):
    """What an entry was at a moment.

    Attributes:
        status: The status in force.
        owner: The owner; today's where ``source`` is ``dates``.
        risk_tier: The risk tier; today's where ``source`` is ``dates``.
        source: ``history``: a recorded change says so. ``dates``: the history does not reach back that far, and the
            entry's own dates say so.
    """

    status: ModelStatus
    owner: str
    risk_tier: RiskTier
    source: Literal["history", "dates"]


class ModelRegistryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One model that an organisation runs: immutable, all the way down, and valid, however it is built.

    Attributes:
        model_id: Unique identifier of the model.
        name: Name for people.
        version: Version of the model.
        risk_tier: ``low``, ``medium``, ``high`` or ``critical``.
        owner: Team or person responsible.
        purpose: What the model is meant to be used for.
        status: ``active``, ``deprecated`` or ``retired``.
        deployment_date: RFC 3339 date or date-time since when it is in use; without an offset it is UTC.
        decommission_date: The same for when it was retired.
        metadata: String keys and JSON values. The library reads ``aliases``, ``provider``, ``deprecation_reason``,
            ``deprecation_date``, ``successor``, ``sunset_date`` and ``history``; the rest is the user's.

    Raises:
        InvalidValueError: A value is not allowed; the error says which and what is allowed.
    """

    model_id: str
    name: str
    version: str
    risk_tier: RiskTier
    owner: str
    purpose: str
    status: ModelStatus = "active"
    deployment_date: str | None = None
    decommission_date: str | None = None
    metadata: Mapping[str, Any] = EMPTY

    def __post_init__(self) -> None:
        """Validate every field and freeze the metadata."""
        if not self._is_usual():
            self._check()
        metadata = freeze_metadata(self.metadata, self.model_id)
        if metadata is not self.metadata:
            msgspec.structs.force_setattr(self, "metadata", metadata)

    def _is_usual(self) -> bool:
        """Tell whether all fields but the metadata are valid at a glance: most are, and a file may have 100,000."""
        since, until = self.deployment_date, self.decommission_date
        return (
            are_usual(self.model_id, self.name, self.version, self.owner, self.purpose, self.risk_tier, self.status)
            and self.risk_tier in _TIERS
            and self.status in _STATUSES
            and (since is None or is_canonical(since))
            and (until is None or is_canonical(until))
        )

    def _check(self) -> None:
        """Validate all fields but the metadata one by one, and say what is wrong."""
        for field in _TEXT_FIELDS:
            self._plain(field, text(getattr(self, field), field, self.model_id))
        self._plain("risk_tier", one_of(self.risk_tier, RISK_TIERS, "risk_tier", self.model_id))
        self._plain("status", one_of(self.status, STATUSES, "status", self.model_id))
        for field in _DATE_FIELDS:
            self._plain(field, date(getattr(self, field), field, self.model_id))

    def _plain(self, field: str, value: object) -> None:
        if getattr(self, field) is not value:
            msgspec.structs.force_setattr(self, field, value)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Further names and globs that stand for this model."""
        return tuple(self.metadata.get("aliases") or ())

    @property
    def provider(self) -> str | None:
        """The provider that this entry is limited to, if any."""
        return cast("str | None", self.metadata.get("provider"))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What someone who calls the model should be told: ``model 'gpt-3.5-turbo' is deprecated``."""
        return warnings_of(self.model_id, self.status)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, in their order, as fresh plain dicts and lists."""
        plain = {field: getattr(self, field) for field in self.__struct_fields__}
        plain["metadata"] = thaw(self.metadata)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelRegistryEntry:
        """Return the entry that ``to_dict`` describes.

        Raises:
            InvalidValueError: A field is unknown, missing or has a value that is not allowed.
        """
        if not isinstance(data, Mapping):
            raise InvalidValueError.must_be(
                "entry", data, f"an object with the fields {', '.join(cls.__struct_fields__)}"
            )
        model_id = data.get("model_id")
        known = model_id if isinstance(model_id, str) else None
        for field in data:
            if field not in cls.__struct_fields__:
                rule = f"left out: an entry has the fields {', '.join(cls.__struct_fields__)}"
                raise InvalidValueError.must_be(
                    field if isinstance(field, str) else shorten(field), data[field], rule, known
                )
        for field in cls.__struct_fields__[: -len(cls.__struct_defaults__)]:
            if field not in data:
                raise InvalidValueError.must_be(field, None, "given", known)
        return cls(**data)

    def as_of(self, moment: datetime | str) -> StateAsOf | None:
        """Return status, owner and risk tier in force at a moment; ``None`` before the model's deployment.

        Args:
            moment: A date-time, or the text of one as in the entry's own dates; without an offset it is UTC.

        Raises:
            InvalidValueError: The text is not such a date.
        """
        when = parse_date(moment, "moment") if isinstance(moment, str) else in_utc(moment)
        if self.deployment_date is not None and when < parse_date(self.deployment_date, "deployment_date"):
            return None
        reached = [record for record in self.metadata.get("history", ()) if parse_date(record["at"], "at") <= when]
        if reached:
            last = reached[-1]
            return StateAsOf(last["status"], last["owner"], last["risk_tier"], "history")
        return StateAsOf(self._status_by_dates(when), self.owner, self.risk_tier, "dates")

    def _status_by_dates(self, when: datetime) -> ModelStatus:
        for status in reversed(STATUSES):
            since = get_status_date(self, status)
            if since is not None and parse_date(since, status) <= when:
                return status
        return STATUSES[0]


def get_status_date(entry: ModelRegistryEntry, status: ModelStatus) -> str | None:
    """Return the date since when a status is in force, from the field or the metadata; ``None`` if there is none."""
    name = LIFECYCLE[status].date
    if name is None:
        return None
    return cast("str | None", getattr(entry, name, None) or entry.metadata.get(name))


def warnings_of(model_id: str, status: ModelStatus) -> tuple[str, ...]:
    """Return what someone who calls a model with this status should be told."""
    words = LIFECYCLE[status].warning
    return () if words is None else (f"model {quote(model_id)} {words}",)


def freeze_metadata(value: Any, model_id: str | None = None) -> Metadata:
    """Return metadata that nobody can change, after checking it; what is ``Metadata`` already was checked already."""
    if type(value) is Metadata:
        return value
    usual = _usual_metadata(value, model_id) if type(value) is dict else None
    if usual is not None:
        return usual
    if not isinstance(value, Mapping):
        raise InvalidValueError.must_be("metadata", value, "an object with string keys and JSON values", model_id)
    freezer = Freezer(model_id)
    frozen = {}
    for key, item in value.items():
        name = freezer.key(key, "metadata")
        check = RESERVED.get(name)
        path = f"metadata.{name}"
        frozen[name] = freezer.value(item, path) if check is None else check(item, path, model_id)
    return Metadata(frozen) if frozen else EMPTY


def _usual_metadata(value: dict[Any, Any], model_id: str | None) -> Metadata | None:
    """Return metadata of which the user's part is ASCII texts, few enough; ``None``: it takes a closer look.

    It looks at nothing that cannot be looked at again, such as aliases from a generator.
    """
    frozen, size = {}, 0
    for key, item in value.items():
        check = RESERVED.get(key) if type(key) is str else None
        if check is not None and (type(item) is str or type(item) is list):
            size += len(key)
        elif type(key) is type(item) is str and key and f"{key}{item}".isascii():
            size += len(key) + len(item) + 1
        else:
            return None
        if size > MAX_SIZE:
            return None
        frozen[key] = item if check is None else check(item, f"metadata.{key}", model_id)
    return Metadata(frozen) if frozen else EMPTY


def check_reserved(given: Mapping[str, Any], model_id: str | None = None) -> dict[str, Any]:
    """Return values for keys of ``metadata`` that the library reads, checked and frozen."""
    return {key: RESERVED[key](value, key, model_id) for key, value in given.items()}


def _optional(check: Callable[..., Any]) -> Callable[..., Any]:
    return lambda value, path, model_id: None if value is None else check(value, path, model_id)


def check_names(value: Any, path: str = "aliases", model_id: str | None = None) -> FrozenList:
    """Return the aliases of an entry: a list of names and anchored globs."""
    rule = f"a list of at most {MAX_NAMES} names"
    if isinstance(value, (str, bytes, Mapping)):
        raise InvalidValueError.must_be(path, value, rule, model_id)
    try:
        names = list(value)
    except TypeError:
        raise InvalidValueError.must_be(path, value, rule, model_id) from None
    if len(names) > MAX_NAMES:
        raise InvalidValueError.must_be(path, f"{len(names)} of them", rule, model_id)
    return FrozenList([_name(name, f"{path}[{i}]", model_id) for i, name in enumerate(names)])


def _name(value: Any, path: str, model_id: str | None) -> str:
    rule = f"a name or glob of 1 to {MAX_NAME} characters with at most {MAX_STARS} stars"
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or value.count("*") > MAX_STARS:
        raise InvalidValueError.must_be(path, value, rule, model_id)
    return encodable(str.__str__(value), path, model_id)


def _usual_record(value: Any) -> Record | None:
    """Return a record that is valid at a glance, such as the registry writes; ``None``: it takes a closer look."""
    if type(value) is not dict:
        return None
    record = Record(value)
    for key in record:
        if type(key) is not str:
            return None
    usual = (
        are_usual(*record.values())
        and record.get("status") in _STATUSES
        and record.get("risk_tier") in _TIERS
        and is_canonical(record.get("at"))
        and "owner" in record
        and len(record) == 4 + ("reason" in record) + ("actor" in record)
    )
    return record if usual else None


def _record(value: Any, path: str, model_id: str | None) -> Record:
    if type(value) is Record:
        return value
    if not isinstance(value, Mapping) or not set(_RECORD_FIELDS[:4]) <= set(value) <= set(_RECORD_FIELDS):
        rule = f"an object with {', '.join(_RECORD_FIELDS[:4])}, and perhaps {' and '.join(_RECORD_FIELDS[4:])}"
        raise InvalidValueError.must_be(path, value, rule, model_id)
    parse_date(value["at"], f"{path}.at", model_id)
    one_of(value["status"], STATUSES, f"{path}.status", model_id)
    one_of(value["risk_tier"], RISK_TIERS, f"{path}.risk_tier", model_id)
    return Record({str.__str__(key): text(value[key], f"{path}.{key}", model_id) for key in value})


def _history(value: Any, path: str, model_id: str | None) -> FrozenList:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_HISTORY:
        raise InvalidValueError.must_be(path, value, f"a list of at most {MAX_HISTORY} records", model_id)
    records: list[Record] = []
    for item in value:
        records.append(_usual_record(item) or _record(item, f"{path}[{len(records)}]", model_id))
    for i in range(1, len(records)):
        earlier, later = records[i - 1]["at"], records[i]["at"]
        if not _in_order(earlier, later):
            rule = f"no earlier than that of the record before, {earlier}"
            raise InvalidValueError.must_be(f"{path}[{i}].at", later, rule, model_id)
    return FrozenList(records)


def _in_order(earlier: str, later: str) -> bool:
    """Compare two moments: as texts, if both are as the registry writes them, for that is ten times as fast."""
    if len(earlier) == len(later) and earlier[10:11] == later[10:11] == "T" and earlier[-1] == later[-1] == "Z":
        return earlier <= later
    return parse_date(earlier, "at") <= parse_date(later, "at")


RESERVED: Final[Mapping[str, Callable[..., Any]]] = {
    "aliases": check_names,
    "provider": _optional(text),
    "deprecation_reason": _optional(text),
    "deprecation_date": date,
    "successor": _optional(text),
    "sunset_date": date,
    "history": _history,
}
"""The keys of ``metadata`` that the library reads, each with its check; the user's limits do not count them."""

LIFECYCLE_KEYS: Final = ("deprecation_reason", "deprecation_date", "successor", "sunset_date", "history")
"""Those of them that the operations write, and that ``replace=True`` therefore keeps."""
