"""The error tree."""

from __future__ import annotations

import pickle

import pytest

from spanforge.model_registry import (
    InvalidValueError,
    LifecycleError,
    ModelAlreadyRegisteredError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ModelRegistryError,
    RegistryFileError,
    RegistryFileNotFoundError,
)
from spanforge.model_registry._core.errors import MissingExtraError, PackageError, TelemetryError, VerificationError

DIFFERS = "differs in owner, metadata.x"
INSTALL = "pip install '.[compliance]' in a clone, or 'spanforge-model-registry[compliance]' for a released version"
ERRORS = [
    (
        InvalidValueError.must_be("risk_tier", "hgih", "one of low, high", "gpt-4o"),
        "model 'gpt-4o': risk_tier must be one of low, high; got 'hgih'",
        ValueError,
    ),
    (InvalidValueError("model_id", None, "is missing"), "model_id is missing", ValueError),
    (
        ModelAlreadyRegisteredError("gpt-4o", "active", ["owner", "metadata.x"]),
        f"model 'gpt-4o' is already registered (status active) and {DIFFERS}; to change it, pass replace=True",
        ValueError,
    ),
    (
        ModelAlreadyRegisteredError("gpt-4o", "retired"),
        "model 'gpt-4o' is already registered (status retired); an id is never reused, so use another id",
        ValueError,
    ),
    (LifecycleError("m", "retired", "register"), "cannot register model 'm': it is already retired", ValueError),
    (ModelNotFoundError("gpt-5"), "model 'gpt-5' is not in the registry", KeyError),
    (
        ModelNotAllowedError("m", "retired", ["active", "deprecated"]),
        "model 'm' is retired (allowed here: active, deprecated)",
        ValueError,
    ),
    (
        RegistryFileError("models.json", "must be x", 3, "gpt-4o", "owner"),
        "models.json, entry 3, model 'gpt-4o', field 'owner': must be x",
        ValueError,
    ),
    (
        RegistryFileError("models.yaml", "must be x", 2, "gpt-4o", "risk_tier", 14, 15),
        "models.yaml, line 14, column 15, model 'gpt-4o', field 'risk_tier': must be x",
        ValueError,
    ),
    (RegistryFileError("models.yaml", "is x", line=14, column=15), "models.yaml, line 14, column 15: is x", ValueError),
    (RegistryFileError("models.yaml", "is x", line=14), "models.yaml, line 14: is x", ValueError),
    (RegistryFileNotFoundError("models.json"), "models.json: no such file", FileNotFoundError),
    (TelemetryError("spans.jsonl", "no such file"), "spans.jsonl: no such file", ValueError),
    (PackageError("october", "is not empty"), "october: is not empty", ValueError),
    (VerificationError("october", "is unsigned"), "october: is unsigned", Exception),
    (
        MissingExtraError("evidence packages", "compliance"),
        f"evidence packages need the extra compliance: {INSTALL}",
        ImportError,
    ),
]


@pytest.mark.parametrize(("error", "sentence", "builtin"), ERRORS, ids=lambda value: type(value).__name__)
def test_message_and_base_classes(error: ModelRegistryError, sentence: str, builtin: type[Exception]) -> None:
    """Every error is a ``ModelRegistryError`` and a builtin error, with a readable message."""
    assert str(error) == sentence
    assert isinstance(error, ModelRegistryError)
    assert isinstance(error, builtin)


@pytest.mark.parametrize("error", [row[0] for row in ERRORS], ids=lambda error: type(error).__name__)
def test_pickled_error(error: ModelRegistryError) -> None:
    """A pickled error keeps its attributes."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy), copy.args) == (str(error), vars(error), error.args)


def test_long_and_odd_values_stay_on_one_short_line() -> None:
    """A value of a megabyte, or with line breaks in it, does not flood a log."""
    for value in ("x" * 1_000_000, "line\nbreak\x1b[0m", ["y"] * 1_000_000, "\ud800"):
        sentence = str(InvalidValueError.must_be("owner", value, "text"))
        assert len(sentence) < 300
        assert sentence.isprintable()


def test_long_and_odd_fields_stay_on_one_short_line() -> None:
    """The same for a field: keys of metadata come from files."""
    for field in ("metadata." + "x" * 1_000_000, "metadata.line\nbreak\x1b[0m", "metadata.\ud800"):
        error = InvalidValueError.must_be(field, 1, "text")
        assert error.field == field
        assert len(str(error)) < 300
        assert str(error).isprintable()


def test_a_value_that_cannot_be_shown_is_named_by_its_type() -> None:
    """A broken ``__repr__`` does not replace the error about the value."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "Broken object" in str(InvalidValueError.must_be("owner", Broken(), "text"))
