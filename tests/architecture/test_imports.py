"""Imports: they point one way, there are no cycles, and importing the package is cheap."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.syntax import PACKAGE, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "spanforge.model_registry"
PUBLIC_NAMES = ("calendar", "collector", "compliance", "otel", "otel.instrumentor", "testing", "watch")
PUBLIC = {NAME, *(f"{NAME}.{name}" for name in PUBLIC_NAMES)}
"""The modules that are API. The path of any other module has a part that starts with an underscore."""

LAYERS = [
    {
        "counter",
        "interruptions",
        "look_alikes",
        "file_hints",
        "file_texts",
        "json_places",
        "lifecycle",
        "ottl",
        "timestamps",
        "atomic_files",
        "overlay",
        "provider_tables",
        "file_states",
        "http_deadline",
        "in_toto",
        "polling",
        "registry_addresses",
        "releasing",
        "shown_values",
        "version_tables",
    },
    {"errors", "logs", "name_tables", "yaml_events"},
    {"name_routes", "values", "process", "similar_names", "yaml_nodes", "registry_sources", "http_answers"},
    {"metadata_size"},
    {
        "name_versions",
        "validation",
        "guard",
        "warning_texts",
        "file_lock",
        "file_access",
        "http_requests",
        "registry_signatures",
    },
    {"entry_fields", "json_texts", "packed_metadata"},
    {"names", "entry", "announcements", "json_items"},
    {"name_limit"},
    {
        "operations",
        "near_misses",
        "attributes",
        "json_entries",
        "yaml_entries",
        "globs",
        "span_kinds",
        "matching",
        "form_table",
        "shutdowns",
    },
    {"setting_parsers", "layers", "conventions"},
    {"settings", "good_copies"},
    {"events", "resolution", "storage", "setting_names"},
    {"odd_names"},
    {
        "saving",
        "delivery",
        "span_models",
        "collector_tables",
        "name_conflicts",
        "collector_paths",
        "collector_names",
        "calendar_files",
        "lookup_source",
    },
    {"emission", "collector_attributes", "collector_forms", "provider_calendar"},
    {"state", "collector_globs", "calendar_feeds", "calendar_guard"},
    {"registry", "collector_choice"},
    {"collector_statements", "lookup_statements"},
    {"default", "watched_file", "address_answers"},
    {"calendar_watch", "address_copies"},
    {"watched_address"},
    {"watched_sources"},
    {"source_log_lines", "source_sets"},
    {"watch", "calendar"},
    {"collector", "otel", "compliance"},
    {"testing"},
    {"_cli", "_pytest_plugin"},
    {"__main__"},
]
"""The modules of ``_core`` and the public ones, from left to right: a module imports from layers to its left only."""
INNER_LAYERS = {
    "otel": [
        {
            "_marks",
            "_counters",
            "_enabled",
            "_info",
            "_late_provider",
            "_llm_instrumentations",
            "_shutdowns",
            "_sunsets",
        },
        {"_span_access"},
        {"_enricher", "_plan_cache", "_log_lines", "_startup", "_file_metrics"},
        {"_metrics"},
        {"_status"},
        {"_processor"},
        {"instrumentor", "_sampler"},
        {"__init__"},
    ],
    "_cli": [
        {
            "commands",
            "csv_output",
            "differences",
            "entry_faults",
            "environment_facts",
            "file_places",
            "finding_kinds",
            "format_options",
            "icalendar",
            "lint_types",
            "name_groups",
            "name_reading",
            "periods",
            "registries",
            "telemetry_option",
            "terminal",
            "text_layout",
            "yaml_scalars",
        },
        {
            "assignments",
            "calendar_option",
            "difference_texts",
            "entry_columns",
            "explanation",
            "exporters",
            "fail_on",
            "field_lists",
            "framework_option",
            "git_process",
            "json_layout",
            "key_files",
            "lint_globs",
            "lint_lifecycle",
            "lint_names",
            "lint_texts",
            "output_files",
            "package_reading",
            "progress",
            "row_tables",
            "span_files",
            "text_styles",
            "unfinished_entries",
            "usage",
            "yaml_layout",
        },
        {"blocks"},
        {"evidence_findings"},
        {
            "calendar_edits",
            "entry_fields",
            "environment_status",
            "evidence_frameworks",
            "evidence_keys",
            "evidence_report",
            "git_revisions",
            "import_rows",
            "lint_rules",
            "remedies",
            "revisions",
            "scanning",
            "schemas",
            "sending",
            "span_reports",
            "text_edits",
        },
        {
            "answers",
            "calendars",
            "check_findings",
            "entry_edits",
            "entry_facts",
            "evidence_make",
            "evidence_timestamp",
            "evidence_verify",
            "findings",
            "import_catalogs",
            "import_csv",
            "import_litellm",
            "import_plan",
            "listing",
            "versions",
        },
        {
            "calendar_changes",
            "checked_files",
            "comparing",
            "evidence_show",
            "explanation_texts",
            "importing",
            "model_ends",
            "reconcile_output",
            "registry_changes",
            "suggestions",
        },
        {
            "calendar_sync",
            "changing",
            "emitting",
            "finding_texts",
            "reconcile",
            "registry_check",
            "showing",
            "signing",
            "span_texts",
        },
        {"resolving", "sarif"},
        {"code_quality", "collector_export"},
        {"check"},
        {"app"},
    ],
    "compliance": [
        {"_http"},
        {"_sources", "_attestation_parts", "_csv_cells", "_optional_modules", "_status_checks"},
        {
            *("_attestation_figures", "_attestation_names", "_attestation_request", "_attestation_senders"),
            *("_arguments", "_model_calls"),
        },
        {"_attestation"},
        {"_formats", "_page"},
        {"_analysis", "_packages", "_registry_files"},
        {"_frameworks"},
        {"_inventory", "_calendar_file", "_framework_file"},
        {"_evidence_csv", "_evidence_request"},
        {"_name_lists", "_sender_figures"},
        {"_figures", "_findings", "_limits", "_model_call_facts"},
        {"_report"},
        {"_engine", "_matching"},
        {"__init__"},
    ],
}
"""The modules and folders of three packages, likewise: sources know nothing of the analysis."""


def levels(layers: list[set[str]]) -> dict[str, int]:
    """Return the place of each name in the order."""
    return {name: level for level, names in enumerate(layers) for name in names}


LEVEL = levels(LAYERS)


def modules() -> list[Path]:
    """Return the files of all modules, but those of packages that only hold others."""
    return sorted(
        path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py" or path.parent.name in {"otel", "compliance", "_packages"}
    )


def dotted_name(path: Path) -> str:
    """Return the name by which a module is imported."""
    return ".".join((NAME, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def module_name(path: Path) -> str:
    """Return the name that a module has in ``LAYERS``: its own in ``_core``, else that of its package."""
    parts = path.relative_to(PACKAGE).parts
    return parts[parts[0] == "_core"].removesuffix(".py")


NAMES = {dotted_name(path) for path in PACKAGE.rglob("*.py")}


def imports(tree: ast.AST, *, run_time: bool = False) -> Iterator[str]:
    """Yield the modules of the package that a module imports, also inside functions and, by default, for types only."""
    for node in ast.iter_child_nodes(tree):
        if run_time and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & NAMES
            yield from submodules or {node.module or ""} & NAMES
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & NAMES
        else:
            yield from imports(node, run_time=run_time)


def imported(path: Path) -> set[str]:
    """Return the names in ``LAYERS`` of the modules that a module imports."""
    parts = (name.removeprefix(f"{NAME}.").split(".") for name in imports(parse(path)) if name != NAME)
    return {each[each[0] == "_core"] for each in parts if each != ["_core"]}


def inner_name(package: str, name: str) -> str:
    """Return the name that a module, given by its dotted name, has in the layers of a package."""
    return name.removeprefix(f"{NAME}.{package}").removeprefix(".").partition(".")[0] or "__init__"


def test_imports_point_left() -> None:
    """A module imports from modules to its left only, and every module has a place in the order."""
    names = {path: module_name(path) for path in modules()}
    assert set(names.values()) <= set(LEVEL)
    wrong = [
        f"{path} imports {other}"
        for path, here in names.items()
        for other in imported(path) - ({here} & {"otel", "compliance", "_cli"})
        if LEVEL[other] >= LEVEL[here]
    ]
    assert wrong == []


@pytest.mark.parametrize("package", INNER_LAYERS)
def test_imports_within_a_package_point_left(package: str) -> None:
    """Within ``otel``, ``compliance`` and ``_cli`` a module imports from its own folder, or from layers to its left."""
    level, wrong = levels(INNER_LAYERS[package]), []
    for path in sorted((PACKAGE / package).rglob("*.py")):
        here = inner_name(package, dotted_name(path))
        for name in imports(parse(path)):
            if f"{name}.".startswith(f"{NAME}.{package}."):
                there = inner_name(package, name)
                is_own_folder = there == here and path.parent.name == here
                if not is_own_folder and level[there] >= level[here]:
                    wrong.append(f"{path} imports {there}")
    assert wrong == []


def test_there_are_no_import_cycles() -> None:
    """No module imports itself at run time by way of others, not even inside a function."""
    graph = {dotted_name(path): set(imports(parse(path), run_time=True)) for path in modules()}
    graphlib.TopologicalSorter(graph).prepare()


def test_the_path_shows_what_is_public() -> None:
    """The modules in ``PUBLIC`` are API; every other path has an underscored part."""
    public = {name for name in NAMES if not any(part.startswith("_") for part in name.split(".")[2:])}
    assert public == PUBLIC


def test_only_otel_knows_the_sdk() -> None:
    """Outside ``otel``, the command line and the helpers for tests, the OpenTelemetry API is enough."""
    users = {module_name(path) for path in modules() if "opentelemetry.sdk" in path.read_text()}
    assert users == {"otel", "_cli", "testing"}


def test_private_parts_of_the_sdk_are_in_one_module() -> None:
    """Only ``otel/_span_access.py`` touches attributes of spans that the SDK does not publish."""
    users = {path.name for path in modules() if "span._" in path.read_text() or "container._" in path.read_text()}
    assert users == {"_span_access.py"}


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_importing_is_cheap() -> None:
    """Importing the package loads neither the SDK nor anything heavy."""
    loaded = run(f"import sys, {NAME}; print(*sys.modules)").split()
    heavy = (
        "opentelemetry.sdk",
        "typer",
        "rich",
        "ruamel",
        "pydantic",
        "jsonschema",
        "yaml",
        "google.protobuf",
        "grpc",
        "pytest",
    )
    assert not [name for name in loaded if name.startswith(heavy)]
    assert "msgspec" in loaded


IMPORT_EACH_FIRST = """
import gc, importlib, itertools, sys

def forget(modules):
    for name in modules:
        parent, _, own_name = name.rpartition(".")
        vars(sys.modules.get(parent, sys)).pop(own_name, None)
        del sys.modules[name]

gc.disable()  # to look for garbage takes longer than the imports
names = sys.argv[1:]
for name in names:  # what is not of this package is loaded once
    importlib.import_module(name)
LEFT = {"spanforge.model_registry._cli": [name for name in names if "._" not in name]}
for package, its_names in itertools.groupby(names, lambda name: name.rpartition(".")[0]):
    forget([name for name in sys.modules if name.startswith("spanforge")])
    for name in (package, *LEFT.get(package, ())):
        importlib.import_module(name)
    loaded = set(sys.modules)
    for name in set(its_names) - loaded:
        importlib.import_module(name)
        forget(sys.modules.keys() - loaded)
"""
"""Python imports a module's package before it: a module that its package imports cannot be earlier than that.

Each module is imported when only its package is loaded, or for the command line all packages to the left of it."""


@pytest.mark.slow
def test_importing_in_any_order() -> None:
    """Each module can be the first one imported."""
    run(IMPORT_EACH_FIRST, *sorted(map(dotted_name, modules()), key=lambda name: name.rpartition(".")))


def test_the_namespace_belongs_to_nobody() -> None:
    """``spanforge`` is a namespace package: there is no file that would keep others out of it."""
    assert not (PACKAGE.parent / "__init__.py").exists()
    assert (PACKAGE / "py.typed").exists()
