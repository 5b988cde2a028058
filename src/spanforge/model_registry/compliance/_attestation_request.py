"""The parts of an attestation that state its arguments and the registry."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from spanforge.model_registry._core.names import MatchMode  # noqa: TC001 - the JSON Schema is made from it
from spanforge.model_registry.compliance._attestation_parts import AttestationPart, Count, Sha256

_Seconds = Annotated[float, msgspec.Meta(ge=0)]


class CalendarFile(AttestationPart, frozen=True, kw_only=True):
    """A file of a provider calendar. The package contains its bytes.

    Attributes:
        name: The file's name.
        file: The name of its copy in the package.
        size: The number of its bytes.
        sha256: The SHA-256 of its bytes, in hexadecimal, as ``sha256sum`` prints it.
        announcements: The number of announcements in it.
    """

    name: str
    file: Annotated[str, msgspec.Meta(pattern="^calendar-[A-Za-z0-9._-]+$")]
    size: Count
    sha256: Sha256
    announcements: Count


class FrameworkFile(AttestationPart, frozen=True, kw_only=True):
    """The file of the framework whose clauses and checks were used. The package contains its bytes.

    Attributes:
        name: The file's name; ``None`` if the framework was made in code. The library then wrote the file.
        file: The name of its copy in the package.
        size: The number of its bytes.
        sha256: The SHA-256 of its bytes, in hexadecimal, as ``sha256sum`` prints it.
        origin: ``shipped`` if the library contains the framework, ``file`` if it was read from a file of the caller,
            ``code`` if it was made in code.
    """

    name: str | None
    file: Annotated[str, msgspec.Meta(pattern="^framework-[A-Za-z0-9._-]+$")]
    size: Count
    sha256: Sha256
    origin: Literal["shipped", "file", "code"]


class Arguments(AttestationPart, frozen=True, kw_only=True):
    """The arguments that change a result, with the values that were given or the defaults.

    Attributes:
        model_id: The model, as the caller named it; ``None`` for the whole inventory.
        framework: The framework's file.
        retention_days: The days that the check ``retention`` requires instead of those in the framework's file;
            ``None`` if the caller gave none.
        max_gap_seconds: The longest time without the start of a span or a log record of a call for which the period
            still counts as covered.
        delay_seconds: The longest time until every process uses a change of the registry. The checks
            ``registry_and_spans_agree`` and ``changes_recorded`` accept a difference of up to this time.
        model_attributes: Additional attribute keys that contain a model name, in the order in which they are tried.
        match: How names were matched: ``forms``, or ``exact`` for ids, aliases and globs only.
        calendar: The provider calendar, by which the check ``no_calls_past_provider_shutdown`` is made; ``None`` if
            there is none.
        generated_at: ``clock`` if ``generated_at`` of the attestation was read from the generator's clock, ``given`` if
            the caller set it.
    """

    model_id: str | None
    framework: FrameworkFile
    retention_days: Count | None
    max_gap_seconds: _Seconds
    delay_seconds: _Seconds
    model_attributes: tuple[str, ...]
    match: MatchMode
    calendar: CalendarFile | None
    generated_at: Literal["clock", "given"]


class RegistryFile(AttestationPart, frozen=True, kw_only=True):
    """A registry file. The package contains its bytes.

    Attributes:
        name: The file's name, with as many of its folders as distinguish it from the other registry files.
        file: The name of its copy in the package.
        size: The number of its bytes.
        sha256: The SHA-256 of its bytes, in hexadecimal, as ``sha256sum`` prints it.
    """

    name: str
    file: Annotated[str, msgspec.Meta(pattern="^registry-[1-9][0-9]*-[A-Za-z0-9._-]+$")]
    size: Count
    sha256: Sha256


class AttestedRegistry(AttestationPart, frozen=True, kw_only=True):
    """The registry at the time of generation. The package contains its entries as ``registry.json``.

    Attributes:
        models: The number of entries.
        sha256: The SHA-256 of ``registry.json``, in hexadecimal: the JSON file that ``ModelRegistry.save`` writes for
            these entries.
        files: The files from which all of these entries were read. It is empty if a file or an entry has changed since,
            or if the entries did not come from files.
        source_revision: The revision of the registry's source, such as a commit, as the caller named it. It is not
            verified.
    """

    models: Count
    sha256: Sha256
    files: tuple[RegistryFile, ...]
    source_revision: str | None
