"""What is shipped: a wheel of the package alone, in a namespace that belongs to nobody."""

from __future__ import annotations

import configparser
import email
import json
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from spanforge.model_registry.compliance._frameworks.fields import SHIPPED_IDS

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "tools")
    release = runpy.run_path(str(ROOT / "tools" / "release_build.py"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give the wheel and the sdist."""
    return release["build"](ROOT, tmp_path_factory.mktemp("dist"))


def test_distributions_have_the_files_of_the_repository(built: Any) -> None:
    """The wheel has the package, the sdist what serves to build, test and read. Nothing else is in them."""
    if not (ROOT / ".git").exists():
        pytest.skip("only a clone shows which files belong to the repository")
    tracked, others = list_files("--cached"), list_files("--others", "--exclude-standard")
    folders = {name.partition("/")[0] for name in tracked if "/" in name}
    assert {"src", "tests"} < folders
    files = [*tracked, *(name for name in others if "/" in name and name.partition("/")[0] in folders)]
    assert list(release["list_faults"](built, files)) == []


def list_files(*options: str) -> list[str]:
    """Return the files of the clone that git lists."""
    command = ["git", "ls-files", "-z", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def test_the_sdist_builds_the_same_bytes(built: Any, tmp_path: Path) -> None:
    """Later, without git, in another folder, time zone, locale and umask, the sdist builds both with the same bytes."""
    release["build_again"](built, tmp_path)


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_other_bytes_are_an_error(built: Any, kind: str, tmp_path: Path) -> None:
    """A build in which one byte of a distribution is different is noticed."""
    changed = Path(shutil.copy(getattr(built, kind), tmp_path))
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    with pytest.raises(
        release["ReleaseError"], match=f"{changed.name} has other bytes when it is built from the sdist"
    ):
        release["compare_builds"](built, built._replace(**{kind: changed}))


def test_checksums(built: Any) -> None:
    """The file of checksums names both distributions, as ``sha256sum --check`` reads it."""
    file = release["write_checksums"](built)
    subprocess.run(["sha256sum", "--strict", "--check", file], cwd=file.parent, check=True, capture_output=True)
    assert len(file.read_text("ascii").splitlines()) == 2


def test_the_sbom(built: Any) -> None:
    """The wheel has an SBOM where PEP 770 puts it. It is valid, and lists each dependency with its range and extras."""
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        text = archive.read(name).decode()
        (metadata,) = [
            email.message_from_bytes(archive.read(each)) for each in archive.namelist() if "METADATA" in each
        ]
    assert JsonStrictValidator(SchemaVersion.V1_7).validate_str(text) is None
    sbom = json.loads(text)
    assert sbom["metadata"]["component"]["purl"] == f"pkg:pypi/spanforge-model-registry@{metadata['Version']}"
    listed = set()
    for component in sbom["components"]:
        extras = [each["value"] for each in component.get("properties", []) if each["name"].endswith(":extra")]
        listed |= {(component["name"], component["versionRange"], extra) for extra in extras or [""]}
    required = {parse_requirement(value) for value in metadata.get_all("Requires-Dist", [])}
    assert listed == required
    assert ("msgspec", "vers:pypi/>=0.20|<1", "") in listed
    assert not {"timestamp", "serialNumber"} & {*sbom, *sbom["metadata"]}, "the SBOM would differ from build to build"


def parse_requirement(text: str) -> tuple[str, str, str]:
    """Return the name, the range and the extra of a requirement, as the SBOM writes them."""
    requirement = Requirement(text)
    upper, lower = sorted(map(str, requirement.specifier))
    extra = re.search(r"extra == ['\"](\w+)", text)
    return requirement.name.replace(".", "-"), f"vers:pypi/{lower}|{upper}", extra[1] if extra else ""


def test_the_sbom_is_generated() -> None:
    """The SBOM in the repository is the one that the tool generates from ``pyproject.toml``."""
    subprocess.run([sys.executable, ROOT / "tools" / "sbom.py", "--check"], check=True)


def test_the_wheel(built: Any) -> None:
    """The wheel has the package's modules, its type marker and its licence, and no ``spanforge/__init__.py``."""
    with zipfile.ZipFile(built.wheel) as archive:
        names = archive.namelist()
        (metadata,) = [email.message_from_bytes(archive.read(name)) for name in names if name.endswith("METADATA")]
        (texts,) = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    parser = configparser.ConfigParser()
    parser.read_string(texts)
    points = [EntryPoint(name, value, group) for group in parser.sections() for name, value in parser[group].items()]
    package = {name for name in names if ".dist-info/" not in name}
    source = ROOT / "src"
    expected = {str(path.relative_to(source)) for path in (source / "spanforge").rglob("*.py")}
    others = ["py.typed", *(f"{kind}.schema.json" for kind in ("calendar", "framework", "registry"))]
    others += ["compliance/attestation.schema.json", *(f"compliance/_frameworks/{each}.json" for each in SHIPPED_IDS)]
    others += ["compliance/_page/page.css", "compliance/_page/page.html.jinja"]
    expected |= {f"spanforge/model_registry/{name}" for name in others} | {"spanforge_model_registry_otel.py"}
    assert package == expected
    assert "spanforge/__init__.py" not in names
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    core = [value.partition(">")[0] for value in metadata.get_all("Requires-Dist", []) if "extra ==" not in value]
    assert sorted(core) == ["msgspec<1,", "opentelemetry-api<2,", "opentelemetry-sdk<2,"]
    assert sorted(metadata.get_all("Provides-Extra", [])) == [
        *("cli", "clickhouse", "compliance", "http", "instrumentor", "otlp", "sign", "timestamp", "yaml")
    ]
    assert {(point.group, point.name, point.value) for point in points} == {
        ("console_scripts", "spanforge-models", "spanforge.model_registry.__main__:main"),
        ("opentelemetry_environment_variables", "model_registry", "spanforge_model_registry_otel"),
        ("opentelemetry_instrumentor", "model_registry", "spanforge_model_registry_otel:instrumentor"),
        ("opentelemetry_sampler", "model_registry", "spanforge_model_registry_otel:sampler"),
        ("opentelemetry_traces_sampler", "model_registry", "spanforge_model_registry_otel:sampler"),
    }
