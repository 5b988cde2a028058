"""``ModelRegistryEntry``: one model that an organisation runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

import msgspec

from spanforge.model_registry._core.entry_fields import gather_fields
from spanforge.model_registry._core.errors import InvalidValueError, describe_type
from spanforge.model_registry._core.lifecycle import LIFECYCLE, RISK_TIERS, STATUSES, ModelStatus, RiskTier
from spanforge.model_registry._core.packed_metadata import make_packable, read_reserved
from spanforge.model_registry._core.timestamps import in_utc, is_canonical
from spanforge.model_registry._core.validation import DATE_FIELDS, STATUS_NAMES, TIERS, freeze_metadata, is_plain_ascii
from spanforge.model_registry._core.values import (
    EMPTY,
    check_date,
    check_id,
    check_one_of,
    check_text,
    parse_date,
    thaw,
)
from spanforge.model_registry._core.warning_texts import warn_of_model

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

_TEXT_FIELDS: Final = ("name", "version", "owner", "purpose")


class StateAsOf(NamedTuple):
    """The state of an entry at a moment.

    Attributes:
        status: The status in force.
        owner: The owner; the current one before the first record of the history, and from the last one on.
        risk_tier: The risk tier; likewise.
        source: ``history`` if the status is from a recorded change. ``dates`` if it is from the entry's dates, or is
            the current status and has no date.
    """

    status: ModelStatus
    owner: str
    risk_tier: RiskTier
    source: Literal["history", "dates"]


class ModelRegistryEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One model that an organisation runs. An entry is valid and deeply immutable.

    Attributes:
        model_id: Unique identifier of the model.
        name: Display name.
        version: Version of the model.
        risk_tier: ``low``, ``medium``, ``high`` or ``critical``.
        owner: Team or person responsible.
        purpose: The intended use of the model.
        status: A key of ``LIFECYCLE``, for example ``active``.
        deployment_date: RFC 3339 date or date-time of the first use. Without an offset it is UTC.
        decommission_date: RFC 3339 date or date-time of the retirement. Without an offset it is UTC.
        metadata: String keys and JSON values. The library reads and checks the reserved keys, which the page about
            registry files lists. All other keys are the user's.

    Raises:
        InvalidValueError: A value is not allowed; the error names the field and the rule.
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
        if not self._has_plain_fields():
            self._check_fields()
        given = self.metadata
        is_packed = given is not self.metadata  # by ``structs.replace``, or by a caller, so it is checked again
        metadata = freeze_metadata({**given} if is_packed and isinstance(given, dict) else given, self.model_id)
        if metadata is not given:
            msgspec.structs.force_setattr(self, "metadata", metadata)

    def _has_plain_fields(self) -> bool:
        """Check at once that all fields but the metadata are valid and plain ASCII, which is true for most entries.

        This is the fast path, because a file may have 100,000 entries. If it fails, ``_check_fields`` decides.
        """
        since, until = self.deployment_date, self.decommission_date
        return (
            is_plain_ascii(
                self.model_id, self.name, self.version, self.owner, self.purpose, self.risk_tier, self.status
            )
            and self.model_id[-1] > " "
            and self.risk_tier in TIERS
            and self.status in STATUS_NAMES
            and (since is None or is_canonical(since))
            and (until is None or is_canonical(until))
        )

    def _check_fields(self) -> None:
        """Validate all fields but the metadata one by one, and replace subclasses of ``str`` by plain texts."""
        model_id = self.model_id
        self._set("model_id", check_id(model_id, "model_id", model_id))
        for field in _TEXT_FIELDS:
            self._set(field, check_text(getattr(self, field), field, model_id))
        self._set("risk_tier", check_one_of(self.risk_tier, RISK_TIERS, "risk_tier", model_id))
        self._set("status", check_one_of(self.status, STATUSES, "status", model_id))
        for field in DATE_FIELDS:
            self._set(field, check_date(getattr(self, field), field, model_id))

    def _set(self, field: str, value: object) -> None:
        if getattr(self, field) is not value:
            msgspec.structs.force_setattr(self, field, value)

    def _astuple(self) -> tuple[Any, ...]:
        return tuple([getattr(self, field) for field in self.__struct_fields__])

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self is other or self._astuple() == other._astuple()

    def __hash__(self) -> int:
        return hash(self._astuple())

    def __repr__(self) -> str:
        values = zip(self.__struct_fields__, self._astuple(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{field}={value!r}' for field, value in values)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._astuple()

    @property
    def aliases(self) -> tuple[str, ...]:
        """The aliases of this model: other names and globs."""
        return tuple(read_reserved(self).get("aliases") or ())

    @property
    def provider(self) -> str | None:
        """The provider to which this entry is limited, or the first of several; ``None`` if it is not limited."""
        return next(iter(self.providers), None)

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers to which this entry is limited; empty if it is not limited."""
        return self._read_names("provider")

    @property
    def base_models(self) -> tuple[str, ...]:
        """The models that answer calls to this deployment or adapter; empty if none is listed."""
        return self._read_names("base_model")

    def _read_names(self, key: str) -> tuple[str, ...]:
        """Return the names in a key of the metadata that holds one or several."""
        value = read_reserved(self).get(key)
        if value is None:
            return ()
        return (value,) if isinstance(value, str) else tuple(value)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings for callers of the model, such as ``model 'gpt-3.5-turbo' is deprecated``."""
        return warn_of_model(self.model_id, self.status, read_reserved(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, in their order, as a new plain dict."""
        plain = {field: getattr(self, field) for field in self.__struct_fields__}
        plain["metadata"] = thaw(self.metadata)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelRegistryEntry:
        """Return the entry with these fields, as ``to_dict`` returns them or as a registry file has them.

        As in files, the keyword arguments of ``register`` and ``deprecate``, such as ``aliases`` and ``sunset_date``,
        may be beside the fields. The entry has them in its metadata.

        Raises:
            InvalidValueError: A field is unknown, missing or has a value that is not allowed.
        """
        if not isinstance(data, Mapping):
            raise InvalidValueError("entry", data, f"must be a mapping; got {describe_type(data)}")
        return cls(**gather_fields(data))

    def as_of(self, moment: datetime | str) -> StateAsOf | None:
        """Return the status, owner and risk tier of the model at a moment; ``None`` before its deployment.

        - The status is that of the last history record. Before the first record, the entry's dates decide.
        - A status with a date and without a record is in force from that date on, unless a higher one is in force.
        - A status with neither is in force since the last record. Without a history, it is in force since the
          deployment date, or always.

        Args:
            moment: A date-time, or an RFC 3339 text; without an offset it is UTC.

        Raises:
            InvalidValueError: The text is not a date.
        """
        when = parse_date(moment, "moment") if isinstance(moment, str) else in_utc(moment)
        if self.deployment_date is not None and when < parse_date(self.deployment_date, "deployment_date"):
            return None
        history = self.metadata.get("history", ())
        reached = [record for record in history if parse_date(record["at"], "at") <= when]
        is_latest = len(reached) == len(history)
        if not reached:
            status = self._find_status_by_dates(when, include_undated=is_latest)
            return StateAsOf(status, self.owner, self.risk_tier, "dates")
        last = reached[-1]
        recorded = {record["status"] for record in history}
        by_dates = self._find_status_by_dates(when, recorded, include_undated=is_latest)
        status = max(last["status"], by_dates, key=STATUSES.index)
        owner, risk_tier = (self.owner, self.risk_tier) if is_latest else (last["owner"], last["risk_tier"])
        return StateAsOf(status, owner, risk_tier, "history" if status == last["status"] else "dates")

    def _find_status_by_dates(
        self, when: datetime, recorded: Collection[ModelStatus] = (), *, include_undated: bool
    ) -> ModelStatus:
        """Return the status of the highest rank whose date has passed; the first status if there is none.

        Args:
            when: The moment.
            recorded: The statuses whose dates do not count, because the history has records of them.
            include_undated: ``True`` if the current status counts too if it has no date.
        """
        for status in reversed(STATUSES):
            since = None if status in recorded else get_status_date(self, status)
            if since is not None and parse_date(since, status) <= when:
                return status
            if include_undated and status == self.status and has_undated_status(self):
                return status
        return STATUSES[0]


make_packable(ModelRegistryEntry)


def has_undated_status(entry: ModelRegistryEntry) -> bool:
    """Check whether an entry has neither a date nor a history record of its status. The first status needs none."""
    if entry.status == STATUSES[0] or get_status_date(entry, entry.status) is not None:
        return False
    return all(record["status"] != entry.status for record in entry.metadata.get("history", ()))


def get_status_date(entry: ModelRegistryEntry, status: ModelStatus) -> str | None:
    """Return the date of a status, from the field or the metadata; ``None`` if the entry has no such date."""
    name = LIFECYCLE[status].date
    if name is None:
        return None
    return cast("str | None", getattr(entry, name, None) or read_reserved(entry).get(name))


def list_status_dates(entry: ModelRegistryEntry) -> Iterator[tuple[ModelStatus, str]]:
    """Yield the statuses for which an entry has a date, in the order of the lifecycle, with the date."""
    for status in LIFECYCLE:
        date = entry.deployment_date if status == "active" else get_status_date(entry, status)
        if date is not None:
            yield status, date
