"""Expectations: the facts that a verifier demands of a package, so that another package of the signer is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict

from spanforge.model_registry._core.errors import InvalidValueError, VerificationError, shorten
from spanforge.model_registry._core.timestamps import format_nanos, parse_rfc3339, to_nanos
from spanforge.model_registry.compliance._arguments import parse_moment, parse_period

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from spanforge.model_registry.compliance._packages.verification_report import VerificationReport


class Expected(TypedDict, total=False):
    """The facts that ``verify_package`` requires of a package. Facts that are left out are not compared.

    Attributes:
        model_id: The id of the model; ``None`` for the whole inventory.
        framework: The framework.
        period: The first instant of the period, and the first instant after it, as the engine takes them.
        generated_after: A moment that is earlier than the generation, such as ``generated_at`` of the last package.
    """

    model_id: str | None
    framework: str
    period: tuple[str | date, str | date]
    generated_after: str | date


def check_expected(report: VerificationReport, expected: Mapping[str, Any]) -> None:
    """Check the facts of a verified package.

    Raises:
        VerificationError: A fact is not the expected one.
        InvalidValueError: An expectation is unknown or not allowed, or there is none.
    """
    unknown = next((key for key in expected if key not in _EXPECTATIONS), None)
    if not expected or unknown is not None:
        known = ", ".join(_EXPECTATIONS)
        raise InvalidValueError("expect", unknown, f"must have one or more of {known}; got {shorten(list(expected))}")
    for key, value in expected.items():
        fault = _EXPECTATIONS[key](report, value)
        if fault is not None:
            raise VerificationError(report.path, f"is not the expected package: {fault}")


def _compare_model(report: VerificationReport, expected: Any) -> str | None:
    return _describe_difference("the model", report.model_id, expected)


def _compare_framework(report: VerificationReport, expected: Any) -> str | None:
    return _describe_difference("the framework", report.framework, expected)


def _compare_period(report: VerificationReport, expected: Any) -> str | None:
    try:
        from_date, to_date = expected
    except (TypeError, ValueError):
        raise InvalidValueError.must_be("expect.period", expected, "a pair of dates") from None
    start, end = parse_period(from_date, to_date)
    stated = " to ".join(map(str, report.period))
    return _describe_difference("the period", stated, f"{format_nanos(start)} to {format_nanos(end)}")


def _compare_time(report: VerificationReport, expected: Any) -> str | None:
    after = to_nanos(parse_moment(expected, "expect.generated_after"))
    stated = report.generated_at
    try:
        is_later = stated is not None and to_nanos(parse_rfc3339(stated)) > after
    except ValueError:
        is_later = False
    return None if is_later else f"it was generated at {stated}, which is not after {format_nanos(after)}"


def _describe_difference(what: str, stated: str | None, expected: str | None) -> str | None:
    return None if stated == expected else f"{what} is {shorten(stated)} instead of {shorten(expected)}"


_EXPECTATIONS: Final[Mapping[str, Callable[[VerificationReport, Any], str | None]]] = {
    "model_id": _compare_model,
    "framework": _compare_framework,
    "period": _compare_period,
    "generated_after": _compare_time,
}
"""The expectations by name: functions that return a sentence about a fact that differs, or ``None``."""
