"""Modules that need an extra."""

from __future__ import annotations

import importlib
from typing import Any

from spanforge.model_registry._core.errors import MissingExtraError


class OptionalModule:
    """A module that needs an extra, imported at its first use.

    Args:
        name: The name of the module.
        purpose: The purpose of the module, as ``MissingExtraError`` names it.
        extra: The extra.
    """

    def __init__(self, name: str, purpose: str, extra: str) -> None:
        self._name = name
        self._purpose = purpose
        self._extra = extra

    def __getattr__(self, name: str) -> Any:
        try:
            module = importlib.import_module(self._name)
        except ImportError:
            raise MissingExtraError(self._purpose, self._extra) from None
        return getattr(module, name)
