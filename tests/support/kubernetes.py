"""The objects of examples/kubernetes, and the images and commands in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "examples" / "kubernetes"
DOCKERFILES = sorted(FOLDER.glob("*.Dockerfile"))


def read_objects() -> dict[str, dict[str, Any]]:
    """Return all objects by kind and name."""
    files = (path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "models.yaml")
    objects = [each for path in files for each in yaml.safe_load_all(path.read_text("utf-8"))]
    by_name = {f"{each['kind']} {each['metadata']['name']}": each for each in objects}
    assert len(by_name) == len(objects)
    return by_name


OBJECTS = read_objects()


def pod_specs() -> dict[str, dict[str, Any]]:
    """Return the specification of the pods of each workload, by its name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in OBJECTS.values()
        if "template" in each.get("spec", {})
    }


def containers() -> Iterator[dict[str, Any]]:
    """Yield the containers of all workloads."""
    for spec in pod_specs().values():
        yield from spec["containers"]


def container(name: str) -> dict[str, Any]:
    """Return the container with a name."""
    (found,) = (each for each in containers() if each["name"] == name)
    return found


def run_commands(dockerfile: Path) -> list[str]:
    """Return the commands of a Dockerfile's ``RUN`` lines."""
    return re.findall(r"^RUN (.+)$", dockerfile.read_text("utf-8"), re.MULTILINE)
