"""The frameworks that the library contains, and the choice of one by its id."""

from __future__ import annotations

import functools
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from spanforge.model_registry._core.errors import InvalidValueError
from spanforge.model_registry._core.values import check_one_of
from spanforge.model_registry.compliance._analysis.checks import MAX_RETENTION_DAYS
from spanforge.model_registry.compliance._frameworks.faults import list_id_clashes
from spanforge.model_registry.compliance._frameworks.fields import SHIPPED_IDS
from spanforge.model_registry.compliance._frameworks.framework import Framework
from spanforge.model_registry.compliance._frameworks.framework_files import parse_framework

if TYPE_CHECKING:
    from collections.abc import Mapping


@functools.cache
def list_shipped() -> Mapping[str, Framework]:
    """Return the frameworks that the library contains, by id."""
    folder = resources.files("spanforge.model_registry.compliance._frameworks")
    files = {each: f"{each}.json" for each in SHIPPED_IDS}
    return MappingProxyType(
        {each: parse_framework(name, (folder / name).read_bytes(), is_shipped=True) for each, name in files.items()}
    )


def choose_framework(given: str | Framework) -> Framework:
    """Return the framework with an id, or a framework of the caller.

    Raises:
        InvalidValueError: No framework of the library has the id, or the caller's framework has the id of one.
    """
    if not isinstance(given, Framework):
        return list_shipped()[check_one_of(given, SHIPPED_IDS, "framework")]
    if given != list_shipped().get(given.id):
        for fault in list_id_clashes({"id": given.id}):
            raise InvalidValueError("framework.id", given.id, fault.problem)
    return given


def choose_parameters(framework: Framework, retention_days: int | None) -> dict[str, dict[str, int]]:
    """Return the parameters of each check of a framework that has some.

    Args:
        framework: The framework.
        retention_days: The days that the check ``retention`` requires instead of those of the framework; ``None`` for
            those of the framework.

    Raises:
        InvalidValueError: The framework has no check ``retention``, or requires more days.
    """
    parameters = framework.parameters
    if retention_days is None:
        return parameters
    if "retention" not in parameters:
        rule = f"left out: the framework {framework.id} has no check retention"
        raise InvalidValueError.must_be("retention_days", retention_days, rule)
    least = parameters["retention"]["days"]
    if type(retention_days) is not int or not least <= retention_days <= MAX_RETENTION_DAYS:
        rule = f"a whole number from {least:,}, the days that the framework requires, to {MAX_RETENTION_DAYS:,}"
        raise InvalidValueError.must_be("retention_days", retention_days, rule)
    return {**parameters, "retention": {"days": retention_days}}
