"""The public names: adding or removing one is a decision."""

from __future__ import annotations

import inspect

import spanforge.model_registry
import spanforge.model_registry.compliance
import spanforge.model_registry.otel

PUBLIC = {
    "EventCounts",
    "InvalidEntryError",
    "InvalidValueError",
    "LifecycleError",
    "LifecycleEvent",
    "ModelAlreadyRegisteredError",
    "ModelNotAllowedError",
    "ModelNotFoundError",
    "ModelRegistry",
    "ModelRegistryEntry",
    "ModelRegistryError",
    "ModelStatus",
    "RegistryFileError",
    "RegistryFileNotFoundError",
    "Resolution",
    "RiskTier",
    "StateAsOf",
    "__version__",
    "deprecate_model",
    "event_counts",
    "flush_events",
    "get_default_registry",
    "get_model",
    "list_models",
    "register_model",
    "retire_model",
}
COMPLIANCE = {
    "Attestation",
    "ComplianceMappingEngine",
    "EvidencePackage",
    "MissingExtraError",
    "PackageError",
    "TelemetryError",
    "TelemetryReader",
    "VerificationError",
    "VerificationReport",
    "verify_package",
}
REGISTRY = {
    "check",
    "clear",
    "deprecate",
    "emit_changes",
    "get",
    "list_active",
    "list_all",
    "load",
    "register",
    "require",
    "resolve",
    "retire",
    "save",
}
ENTRY = {"aliases", "as_of", "from_dict", "provider", "to_dict", "warnings"}


def test_evidence() -> None:
    """The compliance package exports these names and no others, each documented."""
    assert set(spanforge.model_registry.compliance.__all__) == COMPLIANCE
    for name in COMPLIANCE:
        assert inspect.getdoc(getattr(spanforge.model_registry.compliance, name)), name


def test_the_package() -> None:
    """The package exports these names and no others, each documented."""
    assert set(spanforge.model_registry.__all__) == PUBLIC
    for name in PUBLIC - {"__version__", "ModelStatus", "RiskTier"}:
        assert inspect.getdoc(getattr(spanforge.model_registry, name)), name


def test_otel() -> None:
    """``otel`` exports the processor, the sampler and the status, each documented."""
    names = ["ModelRegistrySampler", "ModelRegistrySpanProcessor", "PluginStatus", "status"]
    assert spanforge.model_registry.otel.__all__ == names
    for name in names:
        assert inspect.getdoc(getattr(spanforge.model_registry.otel, name)), name


def members(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def test_methods() -> None:
    """Registry and entry have these methods and no others, each documented."""
    registry, entry = spanforge.model_registry.ModelRegistry, spanforge.model_registry.ModelRegistryEntry
    assert members(registry) == REGISTRY
    assert members(entry) == ENTRY | set(entry.__struct_fields__)
    for kind, names in ((registry, REGISTRY), (entry, ENTRY)):
        for name in names:
            assert inspect.getdoc(getattr(kind, name)), name
