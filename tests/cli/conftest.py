"""The environment of the tests of commands."""

from __future__ import annotations

import pytest

from spanforge.model_registry._cli.revisions import CI_VARIABLES


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the variables of a CI system that may run the tests: commands read the commit from them."""
    for variable in CI_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
