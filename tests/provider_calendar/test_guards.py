"""``check`` and ``require`` with a provider calendar in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.calendars import announce, set_day
from support.entries import FIELDS

from spanforge.model_registry import InvalidValueError, ModelNotFoundError, ModelRegistry, ProviderShutdownError
from spanforge.model_registry._core.errors import ModelNotAllowedError
from spanforge.model_registry.calendar import Calendar, get_calendar, use_calendar

if TYPE_CHECKING:
    from spanforge.model_registry import ModelRegistry as Registry

STOPS = "provider 'openai' stops serving model 'gpt-4o' on 2027-01-14; use 'gpt-5' instead"
STOPPED = STOPS.replace("stops", "stopped")
AZURE = "provider 'azure.ai.openai' stops serving model 'gpt-4o' on 2027-02-01"
PROMISE = "provider 'anthropic' may stop serving model 'claude-opus-5', but not before 2027-01-01"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Return a registry of some models, with a calendar in force on 2026-12-15."""
    set_day(monkeypatch, "2026-12-15")
    registry = ModelRegistry(auto_emit=False)
    fields: dict[str, Any] = {name: FIELDS[name] for name in ("name", "version", "risk_tier", "owner", "purpose")}
    registry.register("gpt-4o", **fields)
    registry.register("deployment-7", **fields, provider="azure", metadata={"base_model": "gpt-4o"})
    registry.register("family", **fields, aliases=["gpt-4o-*"])
    registry.register("gpt-6", **fields)
    use_calendar(
        Calendar(
            [
                announce(replacements=["gpt-5"]),
                announce(provider="azure", shutdown_on="2027-02-01"),
                announce("claude-opus-5", provider="anthropic", not_before="2027-01-01"),
            ]
        ),
        registry,
    )
    return registry


def test_check_has_a_warning_of_the_provider(registry: Registry) -> None:
    """The warning follows those of the status; the provider decides, and a base model is found too."""
    assert registry.check("gpt-4o") == (STOPS,)
    assert registry.check("openai/gpt-4o-2024-08-06", provider="openai") == (STOPS,)
    assert registry.check("gpt-4o", provider="azure") == (AZURE,)
    assert registry.check("gpt-4o", provider="groq") == registry.check("gpt-6") == ()
    assert registry.check("deployment-7") == registry.check("deployment-7", provider="azure") == (AZURE,)
    assert registry.check("gpt-4o-mini") == ()
    assert registry.check("claude-opus-5") == ("model 'claude-opus-5' is not registered", PROMISE)
    registry.retire("gpt-4o")
    assert registry.check("gpt-4o") == ("model 'gpt-4o' is retired", STOPS)
    assert registry.resolve("gpt-4o").warnings == ("model 'gpt-4o' is retired",)
    use_calendar(None, registry)
    assert registry.check("gpt-4o") == ("model 'gpt-4o' is retired",)
    assert get_calendar(registry) is get_calendar() is None


def test_require_days(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """``min_days_left`` refuses a model that its provider stops serving in fewer days; 1 refuses one that has ended."""
    assert registry.require("gpt-4o", min_days_left=30).model_id == "gpt-4o"
    with pytest.raises(ProviderShutdownError) as caught:
        registry.require("gpt-4o", min_days_left=31)
    error = caught.value
    assert (error.model_id, error.provider, error.shutdown_on, error.days_left) == (
        "gpt-4o",
        "openai",
        "2027-01-14",
        30,
    )
    assert str(error) == "provider 'openai' stops serving model 'gpt-4o' on 2027-01-14"
    assert registry.require("gpt-4o", provider="azure", min_days_left=31)
    assert registry.require("gpt-6", min_days_left=10_000)
    set_day(monkeypatch, "2027-01-14")
    calendar = get_calendar(registry)
    use_calendar(calendar, registry)
    assert registry.require("gpt-4o", min_days_left=0)
    with pytest.raises(ProviderShutdownError, match="provider 'openai' stopped serving"):
        registry.require("gpt-4o", min_days_left=1)
    assert registry.check("gpt-4o") == (STOPPED,)


def test_require_keeps_its_other_rules(registry: Registry) -> None:
    """Unregistered models and statuses are refused first; ``min_days_left`` is a number, and needs a calendar."""
    with pytest.raises(ModelNotFoundError):
        registry.require("claude-opus-5", min_days_left=1)
    registry.retire("gpt-4o")
    with pytest.raises(ModelNotAllowedError):
        registry.require("gpt-4o", min_days_left=31)
    for days in (True, "7", 1.0):
        with pytest.raises(
            InvalidValueError, match="min_days_left must be a whole number of days, with a provider cal"
        ):
            registry.require("gpt-6", min_days_left=days)  # type: ignore[arg-type]
    use_calendar(None, registry)
    with pytest.raises(InvalidValueError, match="OTEL_PYTHON_MODEL_REGISTRY_CALENDAR names one; got 7"):
        registry.require("gpt-6", min_days_left=7)
