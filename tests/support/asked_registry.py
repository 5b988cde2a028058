"""``AskedRegistry``: a registry that tells a test when its state and its index are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spanforge.model_registry import ModelRegistry

if TYPE_CHECKING:
    from spanforge.model_registry._core.resolution import ModelIndex


class AskedRegistry(ModelRegistry):
    """A registry that calls ``asked`` after its index is read, and ``read`` before its state is read.

    Its own operations call neither.
    """

    def asked(self) -> None:
        """Do nothing; tests override it."""

    def read(self) -> None:
        """Do nothing; tests override it."""

    @property
    def _state(self) -> Any:
        if not self._is_operating():
            self.read()
        return self.__dict__["_observed"]

    @_state.setter
    def _state(self, state: Any) -> None:
        self.__dict__["_observed"] = _ObservedState(self, state)

    def _is_operating(self) -> bool:
        guard = self.__dict__.get("_guard")
        return guard is None or bool(guard.lock._is_owned())


class _ObservedState:
    """A registry's state, which reports that its index is read."""

    def __init__(self, registry: AskedRegistry, state: Any) -> None:
        self._registry = registry
        self._state = state

    @property
    def index(self) -> ModelIndex:
        index: ModelIndex = self._state.index
        if not self._registry._is_operating():
            self._registry.asked()
        return index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


class CountingRegistry(AskedRegistry):
    """A registry that counts how often its index is read."""

    times = 0

    def asked(self) -> None:
        self.times += 1


class FailingRegistry(AskedRegistry):
    """A registry that raises ``error`` when its index is read, if there is one."""

    error: Exception | None = None

    def asked(self) -> None:
        if self.error is not None:
            raise self.error
