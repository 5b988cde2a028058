"""Fixtures for registry files in JSON."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.json_files import ENTRY

from spanforge.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a registry file in an empty folder."""
    return tmp_path / "models.json"


@pytest.fixture
def registry(path: Path) -> ModelRegistry:
    """Return a registry that holds ``ENTRY`` and emits nothing; there is no file at ``path``."""
    registry = ModelRegistry(auto_emit=False)
    loaded = path.with_name("loaded.json")
    loaded.write_text(json.dumps([ENTRY]))
    registry.load(loaded)
    loaded.unlink()
    return registry


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that any user can reach: those of ``tmp_path`` belong to one user alone."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)
