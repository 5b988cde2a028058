"""Fixtures for registries that follow files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from support.watching import ConfigMap, Watched, threads, wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_other_threads() -> None:
    """Wait for threads of earlier tests."""
    wait_until(lambda: not threads())


@pytest.fixture
def watched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Watched:
    """Return an empty registry and a file that it may follow."""
    caplog.set_level(logging.INFO, "spanforge.model_registry")
    return Watched(tmp_path / "models.json", caplog)


@pytest.fixture
def two_files(tmp_path: Path) -> ConfigMap:
    """Return a ConfigMap of two files: a model each, ``first`` and ``second``, of the owner ``a``."""
    volume = ConfigMap(tmp_path, "one.json", "two.json")
    volume.swap_owner("a")
    return volume
