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


def test_modules_of_variables_are_loaded_without_a_guard(bench: Bench) -> None:
    """What a module of environment variables raises at import ends everything before the application starts."""
    bench.offer(environment_variables={"bad": "raising"})
    (bench.folder / "raising.py").write_text("raise ValueError('broken')")
    assert bench.run(code=1) == ""
    assert bench.errors.endswith("ValueError: broken\n")


def test_variables_are_options_of_the_command(bench: Bench) -> None:
    """Each name that begins with ``OTEL_`` is an option, without that and ``PYTHON_``; others are not looked at."""
    bench.offer(environment_variables={"probe": "variables"})
    (bench.folder / "variables.py").write_text("OTEL_PYTHON_PROBE_NAME = OTHER = OTELX = 7\n")
    command = sys.executable, "-c", APPLICATION
    assert bench.run("--probe_name", "given", *command) == "done\n"
    assert bench.notes == [["application", "given", "TracerProvider"]]
    bench.run("--other", "given", *command, code=2)
    assert "OTHER" not in bench.run("--help").upper().partition("--VERSION")[0]


def test_a_name_may_be_offered_once(bench: Bench) -> None:
    """A name that two modules have ends everything before the application starts: one of another's was imported."""
    bench.offer(environment_variables={"a": "variables", "b": "again"})
    (bench.folder / "variables.py").write_text("OTEL_PROBE = 'OTEL_PROBE'\n")
    (bench.folder / "again.py").write_text("from variables import OTEL_PROBE\n")
    assert bench.run(code=1) == ""
    assert "argparse.ArgumentError: argument --probe: conflicting option string: --probe" in bench.errors


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


def test_without_a_distro_the_provider_is_a_proxy(bench: Bench) -> None:
    """Where no configurator has set the SDK up, instrumentors find a proxy, and the application as well."""
    bench.instrumentors("First")
    bench.run(OTEL_PYTHON_CONFIGURATOR="no_such")
    assert [note[-1] for note in bench.notes[1:]] == ["ProxyTracerProvider"] * 2


@pytest.mark.parametrize("raised", ["ValueError('broken')", "SystemError('broken')", "KeyError()"])
def test_an_error_ends_the_loading_of_the_rest(bench: Bench, raised: str) -> None:
    """What an instrumentor raises keeps those after it from being loaded; the application starts."""
    bench.instrumentors("First", "Raising", "Last")
    assert bench.run(RAISED=raised) == "done\n"
    assert [note[0] for note in bench.notes] == ["First", "First", "Raising", "application"]
    assert "Instrumenting of raising failed" in bench.errors
    assert "Failed to auto initialize OpenTelemetry" in bench.errors


def test_an_error_while_loading_ends_it_as_well(bench: Bench) -> None:
    """So does what its module raises at import, unless it is an ImportError."""
    bench.offer(instrumentor={"bad": "raising:Anything", "last": "probes:Last"})
    (bench.folder / "raising.py").write_text("raise SystemError('broken')")
    assert bench.run() == "done\n"
    assert bench.notes == [STARTED]


@pytest.mark.parametrize("raised", ["ModuleNotFoundError('no such')", "ImportError('no such')"])
def test_a_module_that_is_missing_is_skipped(bench: Bench, raised: str) -> None:
    """An ImportError keeps that instrumentor out only: one line and its traceback, or nothing for a missing module."""
    bench.instrumentors("Raising", "Last")
    assert bench.run(RAISED=raised) == "done\n"
    assert [note[0] for note in bench.notes] == ["Raising", "Last", "Last", "application"]
    assert ("Importing of raising failed, skipping it" in bench.errors) is raised.startswith("ImportError")
    assert bool(bench.errors) is raised.startswith("ImportError")


def test_instrumentors_are_disabled_by_name(bench: Bench) -> None:
    """The names in ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` are not even loaded."""
    bench.instrumentors("First", "Last")
    bench.run(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="openai, first ,model_registry")
    assert [note[0] for note in bench.notes] == ["Last", "Last", "application"]


# Declarative configuration


@needs_configuration
def test_declarative_configuration_takes_enabled_away(bench: Bench) -> None:
    """``enabled`` is not passed on, other options are; where it is false, nothing is even loaded."""
    bench.instrumentors("First", "Last")
    bench.configure("{first: {enabled: true, a: 1}, last: {enabled: false}}")
    assert bench.notes == [["First", "called"], ["First", "instrument", {"a": 1}, "ProxyTracerProvider"]]


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


@needs_configuration
def test_an_object_may_stand_for_the_class(bench: Bench) -> None:
    """What the entry point names need not be a class: its attribute ``configuration`` counts, and it is called."""
    bench.offer(instrumentor={"any": "probes:anything"})
    bench.configure("{any: {a: 1, b: null}}")
    assert [note[:3] for note in bench.notes] == [
        ["Anything", "called"],
        ["Last", "called"],
        ["Last", "instrument", {"a": 1}],
    ]


@needs_configuration
def test_a_misspelt_option_loses_all_of_them(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """An option that the dataclass does not have is a TypeError: the instrumentor gets nothing, the next is served."""
    bench.instrumentors("Checked", "First")
    bench.configure("{checked: {a: 1, c: 2}, first: {}}")
    assert [note[0] for note in bench.notes] == ["First", "First"]
    assert [record.getMessage() for record in caplog.records] == [
        "Failed to instrument 'checked' via declarative config"
    ]
    assert caplog.records[0].exc_info
    assert caplog.records[0].exc_info[0] is TypeError


@needs_configuration
def test_an_active_instrumentor_is_skipped(bench: Bench) -> None:
    """One that is instrumented already is asked for that, and not called."""
    bench.instrumentors("Active")
    bench.configure("{active: {a: 1}}")
    assert bench.notes == [["Active", "called"]]


@needs_configuration
def test_what_raises_does_not_keep_the_others_out(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """In declarative configuration an error of one instrumentor is logged, and the next one is served."""
    bench.instrumentors("Raising", "First")
    bench.configure("{raising: {}, first: {}}", RAISED="ValueError('broken')")
    assert [note[0] for note in bench.notes] == ["Raising", "First", "First"]
    assert len(caplog.records) == 1


@needs_configuration
def test_a_name_without_options_is_an_error(bench: Bench) -> None:
    """A name with nothing after it fails the schema, and nothing at all is configured; ``{}`` is the way."""
    bench.instrumentors("First")
    assert bench.run(OTEL_CONFIG_FILE=bench.declare("{first: null}")) == "done\n"
    assert "Configuration does not match schema: None is not of type 'object'" in bench.errors
    assert bench.notes == [["application", None, "ProxyTracerProvider"]]


@needs_configuration
def test_the_file_can_be_read_again(bench: Bench) -> None:
    """Who reads the file gets the options by instrumentor's name, as they were written, with ``enabled``."""
    from opentelemetry.configuration import load_config_file  # noqa: PLC0415 - not everywhere

    found = load_config_file(bench.declare("{any: {enabled: false, b: '${NO_SUCH_VARIABLE:-x}'}}"))
    assert found.instrumentation_development is not None
    assert found.instrumentation_development.python == {"any": {"enabled": False, "b": "x"}}


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
