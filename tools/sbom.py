"""A generator of the SBOM in the wheel, from ``pyproject.toml``. With ``--check``, the program only compares.

The SBOM has CycloneDX's format. The wheel contains no other package, so the SBOM lists what an installer adds: the
dependencies with their ranges of versions, and those of the extras as optional. It has no time and no random number, so
the same ``pyproject.toml`` has the same SBOM.

CycloneDX 1.7: https://cyclonedx.org/docs/1.7/json/. Ranges of versions: https://github.com/package-url/vers-spec.
SBOMs in wheels: https://peps.python.org/pep-0770/.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from json_schema import update
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
FILE: Final = ROOT / "spanforge-model-registry.cdx.json"
OPERATORS: Final = frozenset({">=", "<=", ">", "<", "!="})
"""The operators of Python's ranges that mean the same in a ``vers`` range."""
EXTRA: Final = "cdx:python:package:required-extra"
"""CycloneDX's name for an extra of a dependency: https://github.com/CycloneDX/cyclonedx-property-taxonomy."""
OWN: Final = "spanforge-model-registry"
"""The start of the names of our own properties."""


def make_sbom(metadata: ProjectMetadata[Any]) -> dict[str, Any]:
    """Return the SBOM of a project."""
    project = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{metadata.core.name}@{metadata.version}",
        "name": metadata.core.name,
        "version": metadata.version,
        "description": metadata.core.description,
        "licenses": [{"expression": metadata.core.license_expression}],
        "purl": f"pkg:pypi/{metadata.core.name}@{metadata.version}",
    }
    components = list(_list_components(metadata))
    references = [component["bom-ref"] for component in components]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "version": 1,
        "metadata": {"lifecycles": [{"phase": "pre-build"}], "component": project},
        "components": components,
        "dependencies": [{"ref": project["bom-ref"], "dependsOn": references}],
        "compositions": [
            {"aggregate": "complete", "dependencies": [project["bom-ref"]]},
            {"aggregate": "unknown", "dependencies": references},
        ],
    }


def _list_components(metadata: ProjectMetadata[Any]) -> Iterator[dict[str, Any]]:
    """Yield the dependencies, then those of the extras. A dependency of several extras is one component."""
    optional: dict[str, list[str]] = {}
    for extra, requirements in sorted(metadata.core.optional_dependencies.items()):
        for requirement in requirements:
            optional.setdefault(requirement, []).append(extra)
    for requirement in metadata.core.dependencies:
        yield _describe_dependency(Requirement(requirement), [])
    for requirement, extras in sorted(optional.items()):
        yield _describe_dependency(Requirement(requirement), extras)


def _describe_dependency(requirement: Requirement, extras: list[str]) -> dict[str, Any]:
    """Return the component of a dependency, which the extras of the project need."""
    name = canonicalize_name(requirement.name)
    properties = [(EXTRA, extra) for extra in sorted(requirement.extras)]
    properties += [(f"{OWN}:extra", extra) for extra in extras]
    if requirement.marker is not None:
        properties.append((f"{OWN}:marker", str(requirement.marker)))
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": str(requirement),
        "name": name,
        "versionRange": _write_range(requirement),
        "isExternal": True,
        "scope": "optional" if extras else "required",
        "purl": f"pkg:pypi/{name}",
    }
    if properties:
        component["properties"] = [{"name": key, "value": value} for key, value in properties]
    return component


def _write_range(requirement: Requirement) -> str:
    """Return the range of versions as ``vers:pypi/>=1|<2``."""
    limits = sorted(requirement.specifier, key=lambda limit: Version(limit.version))
    for limit in limits:
        if limit.operator not in OPERATORS:
            raise ValueError(f"{requirement}: {limit.operator} has no counterpart in a vers range")
    return "vers:pypi/" + "|".join(f"{limit.operator}{limit.version}" for limit in limits)


def main(arguments: list[str]) -> int:
    """Update the SBOM, or with ``--check`` report that it is out of date."""
    metadata: ProjectMetadata[Any] = ProjectMetadata(str(ROOT), PluginManager())
    return update(FILE, make_sbom(metadata), "sbom.py", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
