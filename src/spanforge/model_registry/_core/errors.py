"""The error tree: all errors that the library raises, with their facts as attributes.

The ``args`` of an error are its facts, so errors can be pickled and compared. ``str()`` returns the sentence.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.lifecycle import OPERATIONS
from spanforge.model_registry._core.shown_values import make_printable, render_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from typing_extensions import Self


MAX_SHOWN: Final = 200
"""The limit of characters of a value that a message shows: two lines of a terminal."""
_TARGETS: Final[Mapping[str, str]] = {name: kind.target for name, kind in OPERATIONS.items()}


class ModelRegistryError(Exception):
    """Base of all errors that this library raises."""


class InvalidValueError(ModelRegistryError, ValueError):
    """A field of an entry, an argument or a setting has a value that is not allowed.

    Attributes:
        field: The field, as a path for nested values: ``metadata.tags[2]``.
        value: The value that was given; ``None`` if there is none.
        problem: The predicate of the sentence about the field, such as ``is missing``.
        model_id: The model; ``None`` if it is not known.
    """

    def __init__(self, field: str, value: Any, problem: str, model_id: str | None = None) -> None:
        super().__init__(field, value, problem, model_id)
        self.field = field
        self.value = value
        self.problem = problem
        self.model_id = model_id

    def __str__(self) -> str:
        where = f"model {shorten(self.model_id)}: " if self.model_id is not None else ""
        return f"{where}{show_name(self.field)} {self.problem}"

    @classmethod
    def must_be(cls, field: str, value: Any, rule: str, model_id: str | None = None) -> Self:
        """Return the error for a value that breaks a rule, such as ``must be one of low, high; got 'severe'``."""
        return cls(field, value, f"must be {rule}; got {shorten(value)}", model_id)


InvalidEntryError = InvalidValueError
"""The former name of ``InvalidValueError``."""


class ModelAlreadyRegisteredError(ModelRegistryError, ValueError):
    """The id is already registered with other values, or its model is retired.

    Ids are never reused, and only ``replace=True`` changes a registered model.

    Attributes:
        model_id: The id.
        status: The status of the entry with this id.
        fields: The fields and metadata keys in which the registration differs; empty if the model is retired.
    """

    def __init__(self, model_id: str, status: str, fields: Iterable[str] = ()) -> None:
        self.fields: tuple[str, ...] = tuple(fields)
        super().__init__(model_id, status, self.fields)
        self.model_id = model_id
        self.status = status

    def __str__(self) -> str:
        text = f"model {shorten(self.model_id)} is already registered (status {self.status})"
        if not self.fields:
            return f"{text}; an id is never reused, so use another id"
        return f"{text} and differs in {show_name(', '.join(self.fields))}; to change it, pass replace=True"


class LifecycleError(ModelRegistryError, ValueError):
    """The lifecycle does not allow this operation on a model of this status. The status ``retired`` is final.

    Attributes:
        model_id: The model.
        status: The model's status.
        operation: The operation that was refused, such as ``deprecate``, ``retire`` or ``replace``.
    """

    def __init__(self, model_id: str, status: str, operation: str) -> None:
        super().__init__(model_id, status, operation)
        self.model_id = model_id
        self.status = status
        self.operation = operation

    def __str__(self) -> str:
        model, target = f"model {shorten(self.model_id)}", _TARGETS.get(self.operation)
        if target == self.status:
            return f"{model} is already {self.status}"
        return f"cannot {self.operation} {model}: it is already {self.status}"


class ModelNotFoundError(ModelRegistryError, KeyError):
    """No registered model has this id, or none matches this name.

    Attributes:
        model_id: The id or name that was looked up.
    """

    def __init__(self, model_id: str, find_nearest: Callable[[], Sequence[str]] = tuple) -> None:
        super().__init__(model_id)
        self.model_id = model_id
        self._find_nearest = find_nearest

    def __str__(self) -> str:
        hint = "".join(f"; did you mean {shorten(each)}?" for each in self._find_nearest())
        return f"model {shorten(self.model_id)} is not in the registry{hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        nearest = tuple(self._find_nearest())  # the copy does not hold the registry
        known = functools.partial(tuple, nearest) if nearest else tuple
        return type(self), (self.model_id,), {**vars(self), "_find_nearest": known}


class ModelNotAllowedError(ModelRegistryError, ValueError):
    """``require`` refuses the model, because its status is not among the allowed ones.

    Attributes:
        model_id: The id of the entry that matched.
        status: The model's status.
        allowed: The statuses that the caller allows.
    """

    def __init__(self, model_id: str, status: str, allowed: Iterable[str]) -> None:
        self.allowed: tuple[str, ...] = tuple(allowed)
        super().__init__(model_id, status, self.allowed)
        self.model_id = model_id
        self.status = status

    def __str__(self) -> str:
        allowed = ", ".join(self.allowed) or "none"
        return f"model {shorten(self.model_id)} is {self.status} (allowed here: {allowed})"


class ProviderShutdownError(ModelRegistryError, ValueError):
    """``require`` refuses the model, because its provider stops serving it too soon.

    Attributes:
        model_id: The name that was looked up.
        provider: The provider's canonical name.
        shutdown_on: The day on which the provider stops serving the model, in UTC.
        days_left: The days until then; 0 on that day, and negative after it.
    """

    def __init__(self, model_id: str, provider: str, shutdown_on: str, days_left: int) -> None:
        super().__init__(model_id, provider, shutdown_on, days_left)
        self.model_id = model_id
        self.provider = provider
        self.shutdown_on = shutdown_on
        self.days_left = days_left

    def __str__(self) -> str:
        verb = "stopped" if self.days_left <= 0 else "stops"
        return f"provider {shorten(self.provider)} {verb} serving model {shorten(self.model_id)} on {self.shutdown_on}"


class RegistryFileError(ModelRegistryError, ValueError):
    """A registry file or a calendar file cannot be read or written.

    Attributes:
        path: The path of the file.
        reason: The predicate of the sentence about the field, the entry or the file.
        index: The position of the entry in the file, from 0; ``None`` if the fault is not in an entry.
        model_id: The entry's id; ``None`` if it is not known.
        field: The entry's field; ``None`` if the fault is not in a field.
        line: The line of the fault, from 1; ``None`` if it is not known.
        column: The character of the fault in this line, from 1; ``None`` if it is not known.
    """

    def __init__(  # noqa: PLR0913 - each is a fact
        self,
        path: str,
        reason: str,
        index: int | None = None,
        model_id: str | None = None,
        field: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(path, reason, index, model_id, field, line, column)
        self.path = path
        self.reason = reason
        self.index = index
        self.model_id = model_id
        self.field = field
        self.line = line
        self.column = column

    def __str__(self) -> str:
        where = [make_printable(self.path)]
        if self.line is not None:
            where.append(f"line {self.line}")
        if self.column is not None:
            where.append(f"column {self.column}")
        if self.index is not None and self.line is None:
            where.append(f"entry {self.index}")
        if self.model_id is not None:
            where.append(f"model {shorten(self.model_id)}")
        if self.field is not None:
            where.append(f"field {shorten(self.field)}")
        return f"{', '.join(where)}: {self.reason}"


class RegistryFileNotFoundError(RegistryFileError, FileNotFoundError):
    """The registry file does not exist; ``errno`` and ``filename`` are those of ``FileNotFoundError``."""

    def __init__(self, path: str, reason: str = "no such file") -> None:
        super().__init__(path, reason)
        self.errno: int | None = errno.ENOENT
        self.strerror: str | None = reason
        self.filename: Any = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.reason)


class RegistryFileChangedError(RegistryFileError):
    """``save`` would overwrite models or changes that the registry has not loaded; the file is unchanged."""


class TelemetryError(ModelRegistryError, ValueError):
    """Telemetry cannot be read, or does not exist.

    Attributes:
        source: The path, glob or address.
        reason: The predicate of the sentence about the source.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{make_printable(self.source)}: {self.reason}"


class _PackageProblemError(ModelRegistryError):
    """An evidence package, or a key, has a fault.

    Attributes:
        path: The path of the package or the key.
        reason: The predicate of the sentence about it.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{make_printable(self.path)}: {self.reason}"


class PackageError(_PackageProblemError, ValueError):
    """An evidence package cannot be written, or a key cannot be used."""


class VerificationError(_PackageProblemError):
    """An evidence package differs from the one that was signed, or no trusted key signed it.

    ``path`` is the package, and ``reason`` is the first fault.
    """


class MissingExtraError(ModelRegistryError, ImportError):
    """A feature needs packages that an extra installs.

    Attributes:
        purpose: The feature, in the plural: ``YAML files``.
        extra: The name of the extra.
    """

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(purpose, extra)
        self.purpose = purpose
        self.extra = extra

    def __str__(self) -> str:
        package = f"spanforge-model-registry[{self.extra}]"
        install = f"pip install '.[{self.extra}]' in a clone, or '{package}' for a released version"
        return f"{self.purpose} need the extra {self.extra}: {install}"


def show_name(name: str) -> str:
    """Return a name as a message shows it: without quotes if it is short and printable."""
    return name if 0 < len(name) <= MAX_SHOWN and name.isprintable() else shorten(name)


def describe_type(value: Any) -> str:
    """Return a noun for the JSON type of a value: ``a list``."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "a mapping" if isinstance(value, Mapping) else shorten(type(value).__name__)


def shorten(value: Any, limit: int = MAX_SHOWN) -> str:
    """Return a value as a message shows it: one line, control characters escaped, at most ``limit`` characters.

    Null and booleans are written as in JSON and YAML, and all other values as in Python.
    """
    try:
        text = render_value(value, limit)
    except Exception:  # noqa: BLE001 - a value that cannot be shown must not hide the error about it
        text = object.__repr__(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
