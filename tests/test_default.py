"""The process-wide registry and the functions that use it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import spanforge.model_registry as package
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core import default


def test_registry_is_an_attribute_of_the_package(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    """A registry that is assigned to ``_registry`` of the package is the process-wide registry."""
    assert package.get_default_registry() is package._registry is default._registry
    mine = ModelRegistry(auto_emit=False)
    monkeypatch.setattr(package, "_registry", mine)
    entry = package.register_model(**fields)
    assert package.get_default_registry() is mine
    assert mine.list_all() == [entry] == package.list_models()


@pytest.mark.parametrize("name", ["register", "deprecate", "retire"])
def test_functions_have_the_parameters_of_methods(name: str) -> None:
    """Each function has the parameters of its method, with the same defaults."""
    function = inspect.signature(getattr(package, f"{name}_model")).parameters
    method = dict(inspect.signature(getattr(ModelRegistry, name)).parameters)
    del method["self"]
    assert function == method


def test_functions_pass_on_every_argument(fields: dict[str, Any]) -> None:
    """The registry gets every argument of a function."""
    given: dict[str, Any] = {
        "deployment_date": "2024-05-13",
        "metadata": {"a": 1},
        "aliases": ["x"],
        "provider": "openai",
        "actor": "me",
    }
    entry = package.register_model(**fields, **given)
    assert (entry.deployment_date, entry.aliases, entry.provider) == ("2024-05-13", ("x",), "openai")
    assert (entry.metadata["a"], entry.metadata["history"][0]["actor"]) == (1, "me")
    assert package.register_model(**fields, replace=True).aliases == ()
    entry = package.deprecate_model("gpt-4o", reason="r", successor="s", sunset_date="2030-01-01", actor="me")
    assert {entry.metadata[key] for key in ("deprecation_reason", "successor", "sunset_date")} == {
        "r",
        "s",
        "2030-01-01",
    }
    entry = package.retire_model("gpt-4o", reason="r", actor="me")
    assert package.get_model("gpt-4o") is entry
    assert [record.get("reason") for record in entry.metadata["history"]] == [None, None, "r", "r"]
    assert [record.get("actor") for record in entry.metadata["history"]] == ["me", None, "me", "me"]
