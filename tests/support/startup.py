"""Applications that are started with the plugin, in processes of their own, and what they did."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.instrumentation import auto_instrumentation
from support.otlp_json import read_items

import spanforge_model_registry_otel
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.attributes import __version__

SRC = Path(spanforge_model_registry_otel.__file__).parent
AUTO = Path(auto_instrumentation.__file__).parent
INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
CLEAN = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
"""The environment, taken once: pytest changes it while applications are started from other threads."""

APPLICATION = """
import json, os, sys, threading, time
from opentelemetry import trace

mode = sys.argv[1:]

class OwnError(Exception):
    pass

def call(model="gpt-4o", provider=trace):
    span = provider.get_tracer("app").start_span("call", attributes={"gen_ai.request.model": model})
    span.end()
    return span

def work(say=print):
    call()
    try:
        with trace.get_tracer("app").start_as_current_span("failing", attributes={"gen_ai.request.model": "gpt-4o"}):
            raise OwnError("mine")
    except OwnError as error:
        say("caught", error)

def by_hand():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from probes import Exporter
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Exporter()))
    trace.set_tracer_provider(provider)
    return provider

def repair():
    from spanforge.model_registry import get_model
    models = []
    for path, good in zip(os.environ["BROKEN"].split(os.pathsep), os.environ["GOOD"].split(os.pathsep)):
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        with open(good) as file:
            models.append(json.load(file)[0]["model_id"])
        os.replace(good, path)
    for _ in range(1_000):
        if all(map(get_model, models)):
            print("registered")
            call()
            return
        time.sleep(0.03)

print("begins")
if "processor" in mode:
    provider = by_hand()
    from spanforge.model_registry.otel import ModelRegistrySpanProcessor
    provider.add_span_processor(ModelRegistrySpanProcessor())
if "instrumentor" in mode:
    by_hand()
    from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor
    ModelRegistryInstrumentor().instrument()
if "own provider" in mode:
    call(provider=by_hand())
work()
if "instrumentor afterwards" in mode:
    from spanforge.model_registry.otel.instrumentor import ModelRegistryInstrumentor
    ModelRegistryInstrumentor().instrument()
    work()
if "repair" in mode:
    repair()
if "threads" in mode:
    threads = [threading.Thread(target=work, args=(lambda *_: None,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
if "fork" in mode:
    sys.stdout.flush()
    child = os.fork()
    if not child:
        work()
        sys.exit(5)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("ends")
if "raise" in mode:
    raise OwnError("not caught")
sys.exit(7)
"""
BEGINS, CAUGHT, ENDS = "begins\n", "caught mine\n", "ends\n"
PRINTED = BEGINS + CAUGHT + ENDS

PROBES = """
import logging, os
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter

class Exporter(FileSpanExporter):
    def __init__(self, **_):
        super().__init__(os.environ["SPANS"])

class Raising(SpanExporter):
    def export(self, spans):
        raise ValueError("exporter broken")

class After:
    def instrument(self, **_):
        with open(os.environ["NOTES"], "a") as file:
            file.write("loaded")

class Full(logging.Handler):
    def emit(self, record):
        raise OSError("no space left on device")

def before():
    if "FULL" in os.environ:
        logging.getLogger().addHandler(Full())
"""
PROBE_POINTS = """
[opentelemetry_traces_exporter]
probe = probes:Exporter
raising = probes:Raising

[opentelemetry_instrumentor]
after = probes:After

[opentelemetry_pre_instrument]
before = probes:before
"""

FOREIGN = {"OTEL_CONFIG_FILE is set; ignoring configurator kwargs: ['auto_instrumentation_version']"}
"""What OpenTelemetry says whatever we do."""


class Done(NamedTuple):
    """What an application has done.

    Attributes:
        code: Its exit code.
        printed: Its standard output.
        said: The lines of its standard error, but for those that OpenTelemetry always writes.
        spans: Attributes of the spans that it exported, by short name, and their names.
        after: Whether the instrumentor that comes after ours was loaded.
    """

    code: int
    printed: str
    said: list[str]
    spans: list[dict[str, Any]]
    after: bool

    @property
    def statuses(self) -> list[str | None]:
        """What its calls show as the model's status."""
        return [span.get("model_registry.status") for span in self.spans if span["name"] in ("call", "failing")]


class Stage:
    """A folder in which an application is started.

    Attributes:
        packages: Where its packages come from: before everything else.
        command: What runs a script.
        variables: Its environment, but for the path of packages.
    """

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder = folder
        self.packages = [shared / "ours", SRC, shared / "probes"]
        self.command: list[str | Path] = [sys.executable]
        self.injected = True
        self.good = shared / "models.json"
        self.variables = {
            "OTEL_TRACES_EXPORTER": "probe",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai",
            "OTEL_PYTHON_MODEL_REGISTRY_FILE": str(self.good),
            "SPANS": str(folder / "spans"),
            "NOTES": str(folder / "notes"),
        }

    def set(self, **settings: object) -> None:
        """Set settings of ours in the environment."""
        self.variables |= {f"OTEL_PYTHON_MODEL_REGISTRY_{name.upper()}": str(text) for name, text in settings.items()}

    def use_command(self) -> None:
        """Start scripts by ``opentelemetry-instrument``."""
        self.command, self.injected = [INSTRUMENT, sys.executable], False

    def copy(self) -> Path:
        """Have our package be a copy, which may be changed, of what applications import; return where it is."""
        folder = self.folder / "copy"
        shutil.copytree(SRC, folder, ignore=shutil.ignore_patterns("_cli", "compliance", "*.opt-?.pyc"))
        self.packages[1] = folder
        return folder / "spanforge" / "model_registry"

    def break_in(self, file: str, function: str) -> None:
        """Have a function in a copy of our package raise at once."""
        path = self.copy() / file
        text = path.read_text()
        end = text.index(":\n", text.index(function)) + 2
        indent = " " * (len(function) - len(function.lstrip()) + 4)
        path.write_text(f"{text[:end]}{indent}raise RuntimeError('broken')\n{text[end:]}")

    def beside(self, name: str, *, first: bool = True) -> Path:
        """Make a folder of packages that comes before all others, or after them; return it."""
        folder = self.folder / name
        folder.mkdir()
        self.packages.insert(0 if first else len(self.packages), folder)
        return folder

    def add_their_package(self, place: str = "theirs", *, first: bool = True, module: str = "") -> Path:
        """Put a regular package ``spanforge``, as PyPI's is, elsewhere than ours; return it."""
        package = self.beside(place, first=first) / "spanforge"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "model_registry.py").write_text(module)
        return package

    def declare(self, model_registry: str = "{}", *, exporting: bool = True, sampler: str = "{always_on: {}}") -> None:
        """Have the SDK set up by a declarative configuration file."""
        path = self.folder / "otel.yaml"
        lines = [
            'file_format: "1.0"',
            "propagator: {composite: [{tracecontext: {}}]}",
            "tracer_provider:",
            f"  sampler: {sampler}",
            "  processors:",
            f"    - batch: {{exporter: {{otlp_file/development: {{output_stream: 'file://{self.variables['SPANS']}'}}}}}}",
            "instrumentation/development:",
            f"  python: {{model_registry: {model_registry}}}",
        ]
        path.write_text("\n".join(lines if exporting else lines[:1]))
        self.variables["OTEL_CONFIG_FILE"] = str(path)

    def run(self, *mode: str, script: str = APPLICATION) -> Done:
        """Run a script, and return its result."""
        path = self.folder / "app.py"
        path.write_text(script)
        packages = [str(each) for each in ([AUTO] if self.injected else []) + self.packages]
        done = subprocess.run(
            [*self.command, path, *mode],
            env={**CLEAN, **self.variables, "PYTHONPATH": os.pathsep.join(packages)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = [line for line in done.stderr.splitlines() if line not in FOREIGN]
        return Done(done.returncode, done.stdout, said, self.spans(), (self.folder / "notes").exists())

    def spans(self) -> list[dict[str, Any]]:
        """Return name and attributes of the spans that were exported so far, in the order of their ends."""
        path = Path(self.variables["SPANS"])
        return [
            {
                **span.attributes,
                "name": span.item["name"],
                "events": [event["name"] for event in span.item.get("events", [])],
            }
            for span in read_items(path)
        ]


def hide_package(folder: Path, name: str) -> None:
    """Hide a package, in a folder of PYTHONPATH: the first of two with one name counts, and it has no entry points."""
    info = folder / f"{name.replace('-', '_')}-99.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99\n")


def hide_other_instrumentations(folder: Path) -> dict[str, str]:
    """Hide all LLM instrumentations but one, as if only that were installed; return the environment variable."""
    for name in ("opentelemetry-instrumentation-openai", "openinference-instrumentation-openai"):
        hide_package(folder, name)
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def prepare(folder: Path) -> Path:
    """Fill a folder with what stages share: our entry points, the probes, and a good registry file."""
    ours = importlib.metadata.distribution("spanforge-model-registry").read_text("entry_points.txt") or ""
    for place, name, points in (("ours", "spanforge_model_registry", ours), ("probes", "probes", PROBE_POINTS)):
        info = folder / place / f"{name}-{__version__}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {__version__}\n")
        (info / "entry_points.txt").write_text(points)
    (folder / "probes" / "probes.py").write_text(PROBES)
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt-4o", "GPT-4o", "1", "high", "ml-platform", "support")
    registry.save(folder / "models.json")
    return folder
