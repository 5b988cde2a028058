"""YAML names that ``save`` refuses, and files without the YAML extra."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from support.registry_files import load, refused
from support.yaml_files import ENTRY, PLAIN

from spanforge.model_registry import ModelRegistry, RegistryFileError, _core
from spanforge.model_registry._core import yaml_entries, yaml_nodes

if TYPE_CHECKING:
    from pathlib import Path

REASON = "cannot be written: YAML files are read-only, and save writes JSON; use a name that ends in .json"


@pytest.mark.parametrize(
    ("name", "there"),
    [("models.yaml", True), ("models.yml", False), ("MODELS.YAML", True), (".yaml", False), ("new/a.yaml", False)],
)
def test_yaml_files_are_read_only(tmp_path: Path, name: str, *, there: bool) -> None:
    """``save`` refuses a YAML name with a hint, makes no folder and keeps an existing file."""
    path = tmp_path / name
    if there:
        path.parent.mkdir(exist_ok=True)
        path.write_text(ENTRY)
    before = sorted(os.walk(tmp_path))
    with pytest.raises(RegistryFileError) as caught:
        ModelRegistry(auto_emit=False).save(path)
    assert str(caught.value) == f"{path}: {REASON}"
    assert sorted(os.walk(tmp_path)) == before
    assert not there or path.read_text() == ENTRY


@pytest.mark.parametrize(("link", "target"), [("models.json", "models.yaml"), ("models.yaml", "models.json")])
def test_links_to_and_from_yaml_names(tmp_path: Path, link: str, target: str) -> None:
    """``save`` refuses a link to a YAML file, and a YAML name that links to a JSON file."""
    (tmp_path / target).write_text(ENTRY)
    (tmp_path / link).symlink_to(target)
    with pytest.raises(RegistryFileError) as caught:
        ModelRegistry(auto_emit=False).save(tmp_path / link)
    assert str(caught.value) == f"{tmp_path / link}: {REASON}"
    assert (tmp_path / target).read_text() == ENTRY
    assert (tmp_path / link).is_symlink()


def test_name_with_yaml_inside(tmp_path: Path) -> None:
    """A name that ends in ``.json`` is that of a JSON file."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("m", "N", "1", "low", "team", "test")
    path = tmp_path / "models.yaml.json"
    registry.save(path)
    assert load(path, path.read_bytes()) == [entry.to_dict() for entry in registry]


@pytest.fixture
def _without_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (yaml_entries, yaml_nodes):
        monkeypatch.delitem(sys.modules, module.__name__)
        monkeypatch.delattr(_core, module.__name__.rpartition(".")[2])
    for name in [name for name in sys.modules if name.partition(".")[0] == "yaml"]:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("_without_pyyaml")
def test_yaml_file_without_the_extra(path: Path) -> None:
    """The error names the extra to install."""
    error = refused(path, ENTRY)
    advice = "pip install '.[yaml]' in a clone, or 'spanforge-model-registry[yaml]' for a released version"
    assert str(error) == f"{path}: YAML files need the extra yaml: {advice}"
    assert error.__suppress_context__


@pytest.mark.usefixtures("_without_pyyaml")
def test_json_file_without_the_extra(tmp_path: Path) -> None:
    """JSON files load without the extra."""
    assert load(tmp_path / "models.json", json.dumps([PLAIN])) == [PLAIN]
