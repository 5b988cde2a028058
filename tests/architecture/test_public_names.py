"""The public names: adding or removing one is a decision."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import spanforge.model_registry
import spanforge.model_registry.compliance
import spanforge.model_registry.otel
import spanforge.model_registry.testing

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
    "ProviderShutdownError",
    "RegistryFileChangedError",
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
    "Expected",
    "Framework",
    "FrameworkFileError",
    "MatchingDifference",
    "MissingExtraError",
    "PackageError",
    "TelemetryError",
    "TelemetryReader",
    "TimeStamp",
    "VerificationError",
    "VerificationReport",
    "compare_matching",
    "load_framework",
    "timestamp_package",
    "verify_package",
}
TESTING = {"IsolatedRegistry", "isolate_registry"}
OTEL = {"ModelRegistrySampler", "ModelRegistrySpanProcessor", "PluginStatus", "status"}
EXPORTED = [
    (spanforge.model_registry, PUBLIC),
    (spanforge.model_registry.compliance, COMPLIANCE),
    (spanforge.model_registry.otel, OTEL),
    (spanforge.model_registry.testing, TESTING),
]
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
ENTRY = {"aliases", "as_of", "from_dict", "provider", "providers", "base_models", "to_dict", "warnings"}


@pytest.mark.parametrize(("module", "names"), EXPORTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_package_exports_documented_names(module: ModuleType, names: set[str]) -> None:
    """A package exports these names and no others, each documented."""
    assert sorted(module.__all__) == sorted(names)
    for name in names - {"__version__", "ModelStatus", "RiskTier"}:
        assert inspect.getdoc(getattr(module, name)), name


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


PACKAGE = Path(spanforge.model_registry.__file__).parent
API_PAGES = "".join(page.read_text("utf-8") for page in sorted((Path(__file__).parents[2] / "docs").glob("api*.md")))
MODULES = [
    ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    for path in (path.relative_to(PACKAGE.parents[1]) for path in sorted(PACKAGE.rglob("*.py")))
    if not any(part.startswith("_") for part in path.with_suffix("").parts if part != "__init__")
]


def public_names(module: ModuleType) -> set[str]:
    """Return the names in ``__all__``, or else the module's own classes and functions without an underscore."""
    own = {name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    return set(getattr(module, "__all__", {name for name in own if not name.startswith("_")}))


def public_methods(value: object) -> set[str]:
    """Return the headings of the methods and properties of a class; of other values, none."""
    if not isinstance(value, type):
        return set()
    kinds = (FunctionType, property, classmethod, staticmethod)
    return {f"{value.__name__}.{name}" for name in members(value) if isinstance(vars(value)[name], kinds)}


@pytest.mark.parametrize("name", MODULES)
def test_the_api_page_has_every_public_name(name: str) -> None:
    """The pages docs/api*.md have a heading for each public name of each public module, and for each public method."""
    module = importlib.import_module(name)
    section = API_PAGES.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    names = public_names(module)
    methods = set[str]().union(*(public_methods(getattr(module, each)) for each in names))
    assert names
    assert {heading for heading in names | methods if f"# `{heading}`\n" not in section} == set()
