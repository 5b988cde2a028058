"""What is shipped: a wheel of the package alone, in a namespace that belongs to nobody."""

from __future__ import annotations

import configparser
import email
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def test_the_wheel(built: Path) -> None:
    """The wheel has the package's modules, its type marker and its licence, and no ``spanforge/__init__.py``."""
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [email.message_from_bytes(archive.read(name)) for name in names if name.endswith("METADATA")]
        (texts,) = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
    parser = configparser.ConfigParser()
    parser.read_string(texts)
    points = [EntryPoint(name, value, group) for group in parser.sections() for name, value in parser[group].items()]
    package = {name for name in names if ".dist-info/" not in name}
    source = ROOT / "src"
    expected = {str(path.relative_to(source)) for path in (source / "spanforge").rglob("*.py")}
    others = ["py.typed", "calendar.schema.json", "registry.schema.json", "compliance/attestation.schema.json"]
    others += ["compliance/_page/page.css", "compliance/_page/page.html.jinja"]
    expected |= {f"spanforge/model_registry/{name}" for name in others} | {"spanforge_model_registry_otel.py"}
    assert package == expected
    assert "spanforge/__init__.py" not in names
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.10"
    core = [value.partition(">")[0] for value in metadata.get_all("Requires-Dist", []) if "extra ==" not in value]
    assert sorted(core) == ["msgspec<1,", "opentelemetry-api<2,", "opentelemetry-sdk<2,"]
    assert sorted(metadata.get_all("Provides-Extra", [])) == [
        *("cli", "compliance", "instrumentor", "otlp", "sign", "yaml")
    ]
    assert {(point.group, point.name, point.value) for point in points} == {
        ("console_scripts", "spanforge-models", "spanforge.model_registry.__main__:main"),
        ("opentelemetry_environment_variables", "model_registry", "spanforge_model_registry_otel"),
        ("opentelemetry_instrumentor", "model_registry", "spanforge_model_registry_otel:instrumentor"),
        ("opentelemetry_sampler", "model_registry", "spanforge_model_registry_otel:sampler"),
        ("opentelemetry_traces_sampler", "model_registry", "spanforge_model_registry_otel:sampler"),
    }


def test_the_sdist(built: Path) -> None:
    """The sdist has what is needed to test and to read."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "README.md",
        "LICENSE",
        "pyproject.toml",
        "tests/conftest.py",
        "docs/events.md",
        "requirements/test.txt",
    } <= names
    assert "examples/support_agent/run.py" in names
