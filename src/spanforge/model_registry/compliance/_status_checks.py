"""The checks that follow from the table of statuses: no model is called in a status in which it must not be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.lifecycle import LIFECYCLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spanforge.model_registry._core.lifecycle import ModelStatus

_ALLOWED_UNTIL_SUNSET: Final = "deprecated"
"""The status whose calls are findings only on or after the model's sunset date. A separate check looks for those."""

STATUS_CHECKS: Final[Mapping[str, ModelStatus]] = {
    f"no_calls_{row.finding}": status
    for status, row in LIFECYCLE.items()
    if row.finding is not None and status != _ALLOWED_UNTIL_SUNSET
}
"""The check for each status in which a model must not be called. A clause about the use of models has them all."""
