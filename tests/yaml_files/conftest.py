"""Fixtures for registry files in YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from support.yaml_files import LOADERS

from spanforge.model_registry._core import yaml_events

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a registry file in an empty folder."""
    return tmp_path / "models.yaml"


@pytest.fixture(params=LOADERS)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of the parser that reads files: libyaml's, or PyYAML's own."""
    monkeypatch.setattr(yaml_events, "_LOADER", getattr(yaml, request.param))
    name: str = request.param
    return name
