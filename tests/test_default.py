"""The process-wide registry and the functions that use it."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
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
def test_functions_pass_on_every_argument(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each function has the parameters of its method, with the same defaults, and returns what the method returns."""
    function, method = getattr(package, f"{name}_model"), inspect.signature(getattr(ModelRegistry, name))
    parameters = inspect.signature(function).parameters
    assert {"self": method.parameters["self"], **parameters} == dict(method.parameters)

    def call(*arguments: Any, **options: Any) -> dict[str, Any]:
        return dict(method.bind("self", *arguments, **options).arguments)

    monkeypatch.setattr(package, "_registry", SimpleNamespace(**{name: call}))
    given = {parameter: object() for parameter in parameters}
    assert function(**given) == {"self": "self", **given}
