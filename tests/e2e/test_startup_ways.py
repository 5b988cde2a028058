"""Ways of starting an application with the plugin, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.startup import INSTRUMENT, PRINTED, Stage

from spanforge.model_registry._core.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="the processes are POSIX's")]


def injected(stage: Stage) -> None:
    assert stage.injected


def declarative(stage: Stage) -> None:
    stage.use_command()
    del stage.variables["OTEL_PYTHON_MODEL_REGISTRY_FILE"]
    stage.declare(f"{{file: '{stage.good}', span_attributes: +purpose}}")


def by_hand(stage: Stage) -> None:
    stage.injected = False


RAISING = ["threads", "raise"]
WAYS: dict[str, tuple[Callable[[Stage], None], str, list[str]]] = {
    "opentelemetry-instrument": (Stage.use_command, "", RAISING),
    "injected": (injected, "", []),
    "declarative": (declarative, "", []),
    "the instrumentor by hand": (by_hand, "instrumentor", RAISING),
    "the processor by hand": (by_hand, "processor", []),
}
"""What prepares a way, what the application does for it, and what else: it exits, or raises and has threads."""


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_starting(stage: Stage, way: str) -> None:
    """However it is started, the application does as it does alone, and its calls show owner and status."""
    prepare, word, mode = WAYS[way]
    prepare(stage)
    done = stage.run(word, *mode)
    assert done.printed == PRINTED
    if "raise" in mode:
        assert done.code == 1
        last = done.said[-1].removeprefix("__main__.")  # as Python 3.10 says it
        assert [done.said[0], last] == ["Traceback (most recent call last):", "OwnError: not caught"]
        assert len(done.said) < 6
    else:
        assert (done.code, done.said) == (7, [])
    calls = 10 if "threads" in mode else 2
    assert done.statuses == ["active"] * calls
    assert {span["model_registry.owner"] for span in done.spans} == {"ml-platform"}
    assert ("model_registry.purpose" in done.spans[0]) is (way == "declarative")
    assert done.after is (word == "")


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an interpreter without packages."""
    folder = tmp_path_factory.mktemp("bare") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


def test_injected_into_a_bare_interpreter(stage: Stage, bare: Path, ours: Path) -> None:
    """All packages may come by PYTHONPATH, ours unpacked from its wheel, as Kubernetes' operator does it."""
    with zipfile.ZipFile(ours) as wheel:
        wheel.extractall(stage.folder / "wheel")
    stage.command = [bare]
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    stage.packages = [stage.folder / "wheel", stage.packages[2], *map(Path, libraries)]
    done = stage.run(*RAISING)
    assert (done.printed, done.code) == (PRINTED, 1)
    assert done.statuses == ["active"] * 10
    assert done.said[-1].removeprefix("__main__.") == "OwnError: not caught"


def test_settings_as_options_of_the_command(stage: Stage) -> None:
    """Each setting is an option of ``opentelemetry-instrument``, and comes before the environment."""
    stage.use_command()
    stage.set(file="/no/such/file.json")
    stage.command[1:1] = ["--model_registry_file", stage.good, "--model_registry_span_attributes", "status"]
    done = stage.run()
    assert (done.printed, done.code, done.said) == (PRINTED, 7, [])
    assert [[key for key in span if key.startswith("model_registry.")] for span in done.spans] == [
        ["model_registry.status"]
    ] * 2
    helped = subprocess.run([INSTRUMENT, "--help"], capture_output=True, text=True, check=True).stdout
    for setting in SETTINGS:
        assert f"--model_registry_{setting.name} " in helped


def test_models_registered_at_import_emit_their_events(stage: Stage) -> None:
    """The events of models that the application registers itself are exported beside its spans."""
    script = "from spanforge.model_registry import register_model\nregister_model('o1', 'O1', '1', 'low', 't', 'p')"
    done = stage.run(script=script)
    (line,) = done.said  # this application calls no model
    assert (done.code, line.partition(";")[0]) == (0, "model registry: no span named a model until exit")
    assert [span["events"] for span in done.spans] == [["model_registry.registered"]]
