"""An application that handles the errors of the library, each as its own class and as Python's."""

from __future__ import annotations

from typing_extensions import assert_type

from spanforge.model_registry import (
    InvalidEntryError,
    InvalidValueError,
    LifecycleError,
    ModelAlreadyRegisteredError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ModelRegistry,
    ModelRegistryError,
    ProviderShutdownError,
    RegistryFileChangedError,
    RegistryFileError,
    RegistryFileNotFoundError,
)
from spanforge.model_registry.compliance import MissingExtraError, TelemetryError

registry = ModelRegistry()


def explain(model: str) -> str:
    try:
        registry.require(model)
    except ModelNotFoundError as error:
        return error.model_id
    except ModelNotAllowedError as error:
        return f"{error.status} is not in {sorted(error.allowed)}"
    except ProviderShutdownError as error:
        return f"{error.days_left + 1} days, {error.shutdown_on}"
    except (InvalidValueError, InvalidEntryError) as error:
        return error.field
    except ModelRegistryError as error:
        return str(error)
    return "may be called"


def load(path: str) -> list[str]:
    try:
        registry.load(path)
    except RegistryFileNotFoundError as error:
        assert_type(error.path, str)
        found: FileNotFoundError = error
        return [str(found)]
    except RegistryFileChangedError as error:
        changed: RegistryFileError = error
        return [changed.path]
    except RegistryFileError as error:
        assert_type(error.line, int | None)
        return [str(error)]
    return []


def as_builtin(error: ModelAlreadyRegisteredError | LifecycleError | TelemetryError) -> ValueError:
    return error


def as_import_error(error: MissingExtraError) -> ImportError:
    return error


def as_key_error(error: ModelNotFoundError) -> KeyError:
    return error


def as_value_error(error: ModelNotFoundError) -> ValueError:
    return error  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


ModelNotFoundError()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
