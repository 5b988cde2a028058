"""Who imports whom: imports point one way, and importing the package stays cheap."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import spanforge.model_registry

PACKAGE = Path(spanforge.model_registry.__file__).parent
NAME = "spanforge.model_registry"

LAYERS = [
    {"lifecycle", "logs", "ottl", "timestamps", "atomic_files", "overlay"},
    {"errors"},
    {"values", "process"},
    {"entry", "guard"},
    {"operations", "attributes", "yaml_entries"},
    {"settings", "events", "layers"},
    {"delivery", "resolution", "storage"},
    {"emission", "conventions"},
    {"state"},
    {"registry"},
    {"default"},
    {"watch"},
    {"collector", "otel", "compliance"},
]
"""From left to right: a module imports from layers to its left only (inside ``otel`` and ``compliance``: freely)."""
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}


def modules() -> list[Path]:
    return sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" or path.parent.name in {"otel", "compliance"}
    )


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[parts[0] == "_core"].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Return the rooms of the package that a module imports from, also for type checking or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            packages = {NAME, f"{NAME}._core"}
            names = (
                [node.module]
                if node.module not in packages
                else [f"{node.module}.{alias.name}" for alias in node.names]
            )
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        inside = [
            name.removeprefix(f"{NAME}.").removeprefix("_core.") for name in names if name and name.startswith(NAME)
        ]
        found |= {name.split(".")[0] for name in inside if name not in {NAME, "_core"}}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_left(path: Path) -> None:
    """A module imports from rooms to its left only, and every module has a place in the order."""
    here = room(path)
    assert here in LEVEL, f"{here} has no place in LAYERS"
    for other in imported(path) - ({here} & {"otel", "compliance"}):
        assert LEVEL[other] < LEVEL[here], f"{here} imports {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_otel_knows_the_sdk(path: Path) -> None:
    """Outside ``otel`` the OpenTelemetry API is enough."""
    if room(path) != "otel":
        assert "opentelemetry.sdk" not in path.read_text()


def test_private_parts_of_the_sdk_are_in_one_module() -> None:
    """Only ``otel/_span_access.py`` touches attributes of spans that the SDK does not publish."""
    users = {path.name for path in modules() if "span._" in path.read_text() or "container._" in path.read_text()}
    assert users == {"_span_access.py"}


def run(script: str) -> str:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def test_importing_is_cheap() -> None:
    """Importing the package loads neither the SDK nor anything heavy."""
    loaded = run(f"import sys, {NAME}; print(*sys.modules)").split()
    heavy = ("opentelemetry.sdk", "typer", "rich", "pydantic", "jsonschema", "yaml", "google.protobuf", "grpc")
    assert not [name for name in loaded if name.startswith(heavy)]
    assert "msgspec" in loaded


def test_importing_in_any_order() -> None:
    """Each module can be the first one imported."""
    for path in modules():
        dotted = ".".join((NAME, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        run(f"import {dotted}")


def test_the_namespace_belongs_to_nobody() -> None:
    """``spanforge`` is a namespace package: there is no file that would keep others out of it."""
    assert not (PACKAGE.parent / "__init__.py").exists()
    assert (PACKAGE / "py.typed").exists()
