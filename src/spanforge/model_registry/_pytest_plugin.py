"""The fixture of pytest. ``spanforge.model_registry.testing`` adds it to a run, so that other tests need no pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from spanforge.model_registry.testing import isolate_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry.testing import IsolatedRegistry


@pytest.fixture
def model_registry() -> Iterator[IsolatedRegistry]:
    """Empty the process-wide registry for a test, and collect the events and spans of the test."""
    with isolate_registry() as isolated:
        yield isolated
