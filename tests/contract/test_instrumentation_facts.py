"""What the instrumentor and its entry points take for granted about ``opentelemetry-instrument``, a fact a test.

So with declarative configuration. A failure here does not mean that the library is wrong. It means that OpenTelemetry
has changed, and that ``spanforge_model_registry_otel`` and ``otel/instrumentor.py`` have to be looked at again.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.util import _importlib_metadata

INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")

needs_configuration = pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.configuration") is None, reason="needs opentelemetry-configuration"
)

PROBES = """
import dataclasses, json, os
from opentelemetry import trace

def note(*what):
    with open(os.environ["NOTES"], "a") as file:
        file.write(json.dumps(what) + "\\n")

class Probe:
    is_instrumented_by_opentelemetry = False

    def __init__(self, *arguments):
        note(type(self).__name__, "called", *arguments)

    def instrument(self, **options):
        note(type(self).__name__, "instrument", options, type(trace.get_tracer_provider()).__name__)
        type(self).is_instrumented_by_opentelemetry = True

class First(Probe): pass
class Last(Probe): pass

class Raising(Probe):
    def instrument(self, **options):
        raise eval(os.environ["RAISED"])

class Active(Probe):
    is_instrumented_by_opentelemetry = True

@dataclasses.dataclass
class Options:
    a: int | None = None
    b: str | list[str] | None = None

class Checked(Probe):
    configuration = Options

class Anything:
    configuration = Options

    def __call__(self):
        note("Anything", "called")
        return Last()

anything = Anything()
"""
"""Instrumentors that note what is done to them."""

APPLICATION = """
import os
from probes import note
from opentelemetry import trace
note("application", os.environ.get("OTEL_PYTHON_PROBE_NAME"), type(trace.get_tracer_provider()).__name__)
print("done")
"""


class Bench:
    """A folder of packages that comes first, with entry points of its own, and what ran with it.

    Attributes:
        notes: What the probes noted, once something has run.
        errors: What was written to standard error.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[list[Any]] = []
        self.errors = ""
        (folder / "probes.py").write_text(PROBES)

    def offer(self, name: str = "probes", **groups: dict[str, str]) -> None:
        """Offer entry points: group to name to value."""
        info = self.folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [
            line
            for group, points in groups.items()
            for line in (f"[opentelemetry_{group}]", *(f"{key} = {value}" for key, value in points.items()))
        ]
        (info / "entry_points.txt").write_text("\n".join(lines))

    def instrumentors(self, *kinds: str) -> None:
        """Offer these probes as instrumentors, in this order."""
        self.offer(instrumentor={kind.lower(): f"probes:{kind}" for kind in kinds})

    def declare(self, python: str) -> str:
        """Write a declarative configuration file; return its path."""
        path = self.folder / "otel.yaml"
        text = f"""
            file_format: "1.0"
            tracer_provider:
              processors: [{{simple: {{exporter: {{otlp_file/development: {{}}}}}}}}]
            instrumentation/development:
              python: {python}
            """
        path.write_text(textwrap.dedent(text))
        return str(path)

    def configure(self, python: str, **environment: str) -> None:
        """Have declarative configuration instrument in this process, as these options say."""
        from opentelemetry.configuration import load_config_file  # noqa: PLC0415 - not everywhere
        from opentelemetry.configuration.instrumentation import configure_instrumentation  # noqa: PLC0415 - likewise

        notes = self.folder / "notes"
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(self.folder)
            patch.delitem(sys.modules, "probes", raising=False)
            for name, value in {"NOTES": str(notes), **environment}.items():
                patch.setenv(name, value)
            _importlib_metadata._original_entry_points_cached.cache_clear()
            configure_instrumentation(load_config_file(self.declare(python)).instrumentation_development)
        _importlib_metadata._original_entry_points_cached.cache_clear()
        self.notes = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run the application, or what else is given, under ``opentelemetry-instrument``; return what it printed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
        notes = self.folder / "notes"
        notes.unlink(missing_ok=True)
        done = subprocess.run(
            [INSTRUMENT, *(arguments or (sys.executable, "-c", APPLICATION))],
            env={
                **clean,
                "NOTES": str(notes),
                "OTEL_LOGS_EXPORTER": "none",
                "OTEL_METRICS_EXPORTER": "none",
                "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai,model_registry",
                "OTEL_TRACES_EXPORTER": "none",
                "PYTHONPATH": str(self.folder),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        self.notes = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
        self.errors = done.stderr
        return done.stdout


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a folder for packages."""
    return Bench(tmp_path)


STARTED = ["application", None, "TracerProvider"]

# opentelemetry-instrument


VARIABLES = "OTEL_PROBE = 'OTEL_PROBE'"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("modules", "error"),
    [
        (["raise ValueError('broken')"], "ValueError: broken\n"),
        ([VARIABLES, "from variables0 import *"], "argument --probe: conflicting option string: --probe\n"),
    ],
    ids=["an error at import", "a name in two modules"],
)
def test_modules_of_variables_are_loaded_without_a_guard(bench: Bench, modules: list[str], error: str) -> None:
    """An error at import, or a name that another module has too, ends everything before the application starts."""
    bench.offer(environment_variables={f"probe{number}": f"variables{number}" for number in range(len(modules))})
    for number, text in enumerate(modules):
        (bench.folder / f"variables{number}.py").write_text(text)
    assert bench.run(code=1) == ""
    assert bench.errors.endswith(error)


@pytest.mark.slow
def test_entry_points_are_called_then_instrument(bench: Bench) -> None:
    """What an entry point names is called without arguments, and the result's ``instrument`` with one only."""
    bench.offer(instrumentor={"first": "probes:First", "any": "probes:anything"})
    assert bench.run() == "done\n"
    assert bench.notes == [
        ["First", "called"],
        ["First", "instrument", {"skip_dep_check": True}, "TracerProvider"],
        ["Anything", "called"],
        ["Last", "called"],
        ["Last", "instrument", {"skip_dep_check": True}, "TracerProvider"],
        STARTED,
    ]
    assert bench.errors == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("raised", "ends", "lines"),
    [
        ("ValueError('broken')", True, ["Instrumenting of raising failed", "Failed to auto initialize OpenTelemetry"]),
        ("SystemError('broken')", True, ["Instrumenting of raising failed", "Failed to auto initialize OpenTelemetry"]),
        ("ImportError('no such')", False, ["Importing of raising failed, skipping it"]),
        ("ModuleNotFoundError('no such')", False, []),
    ],
)
def test_an_error_of_an_instrumentor(bench: Bench, raised: str, ends: Any, lines: list[str]) -> None:
    """An error keeps later instrumentors from being loaded, except an ImportError; the application starts."""
    bench.instrumentors("First", "Raising", "Last")
    assert bench.run(RAISED=raised) == "done\n"
    assert [note[0] for note in bench.notes] == ["First", "First", "Raising", *["Last"] * 2 * (not ends), "application"]
    assert all(line in bench.errors for line in lines)
    assert bool(bench.errors) is bool(lines)


# Declarative configuration


@pytest.mark.slow
@needs_configuration
def test_declarative_configuration_takes_enabled_away(bench: Bench) -> None:
    """``enabled`` is not passed on, other options are; where it is false, nothing is even loaded."""
    bench.instrumentors("First", "Last")
    bench.configure("{first: {enabled: true, a: 1}, last: {enabled: false}}")
    assert bench.notes == [["First", "called"], ["First", "instrument", {"a": 1}, "ProxyTracerProvider"]]


@pytest.mark.slow
@needs_configuration
def test_the_command_instruments_again(bench: Bench) -> None:
    """Afterwards ``opentelemetry-instrument`` instruments all of them, without options, whatever ``enabled`` says."""
    bench.instrumentors("First", "Last")
    path = bench.declare("{first: {a: 1}, last: {enabled: false, a: 1}}")
    bench.run(OTEL_CONFIG_FILE=path)
    assert [note for note in bench.notes if note[1] != "called"] == [
        ["First", "instrument", {"a": 1}, "TracerProvider"],
        ["First", "instrument", {"skip_dep_check": True}, "TracerProvider"],
        ["Last", "instrument", {"skip_dep_check": True}, "TracerProvider"],
        STARTED,
    ]


@pytest.mark.slow
@needs_configuration
@pytest.mark.parametrize(
    ("written", "given"),
    [("{a: 1, b: [x, y]}", {"a": 1, "b": ["x", "y"]}), ("{a: null, b: x}", {"b": "x"}), ("{}", {})],
)
def test_options_go_through_the_dataclass(bench: Bench, written: str, given: dict[str, Any]) -> None:
    """A dataclass in ``configuration`` says which options there are; those that are None are not passed on."""
    bench.instrumentors("Checked")
    bench.configure(f"{{checked: {written}}}")
    assert bench.notes[1][1:3] == ["instrument", given]


@pytest.mark.slow
@needs_configuration
def test_an_active_instrumentor_is_skipped(bench: Bench) -> None:
    """One that is instrumented already is asked for that, and not called."""
    bench.instrumentors("Active")
    bench.configure("{active: {a: 1}}")
    assert bench.notes == [["Active", "called"]]


@pytest.mark.slow
@needs_configuration
def test_what_raises_does_not_keep_the_others_out(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """In declarative configuration an error of one instrumentor is logged, and the next one is served."""
    bench.instrumentors("Raising", "First")
    bench.configure("{raising: {}, first: {}}", RAISED="ValueError('broken')")
    assert [note[0] for note in bench.notes] == ["Raising", "First", "First"]
    assert len(caplog.records) == 1


# The base class


class Mine(BaseInstrumentor):
    """An instrumentor that counts."""

    calls: tuple[Any, ...] = ()

    def instrumentation_dependencies(self) -> tuple[str, ...]:
        return ()

    def _instrument(self, **options: Any) -> None:
        if "error" in options:
            raise options["error"]
        self.calls = (*self.calls, options)

    def _uninstrument(self, **_options: Any) -> None:
        self.calls = ()


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> Mine:
    """Give the instrumentor as it is in a new process."""
    monkeypatch.setattr(Mine, "_instance", None)
    return Mine()


def test_there_is_one_instrumentor_of_a_kind(mine: Mine) -> None:
    """Each call of the class gives the same object."""
    assert Mine() is mine
    assert BaseInstrumentor._instance is None


def test_a_second_time_does_nothing_but_warn(mine: Mine, caplog: pytest.LogCaptureFixture) -> None:
    """A second ``instrument`` is not passed on, and warned of; so is a second ``uninstrument``."""
    mine.instrument(a=1, skip_dep_check=True)
    mine.instrument(a=2)
    assert mine.calls == ({"a": 1},)
    assert mine.is_instrumented_by_opentelemetry
    mine.uninstrument()
    mine.uninstrument()
    assert not mine.is_instrumented_by_opentelemetry
    assert [record.getMessage() for record in caplog.records] == [
        "Attempting to instrument while already instrumented",
        "Attempting to uninstrument while already uninstrumented",
    ]


def test_what_raises_is_not_instrumented(mine: Mine) -> None:
    """After an error it may be tried again."""
    with pytest.raises(ZeroDivisionError):
        mine.instrument(error=ZeroDivisionError())
    assert not mine.is_instrumented_by_opentelemetry
    mine.instrument()
    assert mine.calls == ({},)
