"""Applications that are started with the plugin, in processes of their own: whatever is broken, they do not notice.

Each prints, ends and raises as it does without us; standard error has what we have to say, and nothing else of ours.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.instrumentation import auto_instrumentation

import spanforge_model_registry_otel
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.attributes import ON_SPANS, SPAN_ATTRIBUTE_NAMES, __version__
from spanforge.model_registry._core.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="the processes are POSIX's")]

SRC = Path(spanforge_model_registry_otel.__file__).parent
AUTO = Path(auto_instrumentation.__file__).parent
INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")
CLEAN = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
"""The environment, taken once: pytest changes it while applications are started from other threads."""

APPLICATION = """
import os, sys, threading, time
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
    path, good = os.environ["BROKEN"], os.environ["GOOD"]
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    os.replace(good, path)
    for _ in range(300):
        if call().attributes.get("model_registry.status") == "active":
            print("registered")
            return
        time.sleep(0.05)

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

UNKNOWN = "model registry: model 'gpt-4o' is not registered (owner: nobody)"
NO_SDK = (
    "model registry: no spans are enriched yet: the tracer provider is a ProxyTracerProvider, "
    "not one of opentelemetry-sdk. "
    "Install opentelemetry-distro, or add ModelRegistrySpanProcessor() to your own tracer provider."
)
OURS = "model", "a span was not enriched", "model registry: an event was not emitted"
"""What our lines begin with."""
NOT_INSTALLED = "model registry: the plugin was not installed, so no span is enriched: "
NOT_READ = "model registry: cannot read the registry files, so the previous entries stay in force: "
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

    def broken_file(self) -> Path:
        """Return a path for our file, at which the application can put a good one."""
        path = self.folder / "models.json"
        good = shutil.copy(self.good, self.folder / "good.json")
        self.variables |= {"BROKEN": str(path), "GOOD": str(good)}
        self.set(file=path, reload_interval=100)
        return path

    def copy(self) -> Path:
        """Have our package be a copy, which may be changed; return where it is."""
        folder = self.folder / "copy"
        shutil.copytree(SRC, folder, ignore=shutil.ignore_patterns("__pycache__"))
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

    def declare(self, model_registry: str, *, exporting: bool = True) -> None:
        """Have the SDK set up by a declarative configuration file."""
        path = self.folder / "otel.yaml"
        lines = [
            'file_format: "1.0"',
            "tracer_provider:",
            "  processors:",
            f"    - batch: {{exporter: {{otlp_file/development: {{output_stream: 'file://{self.variables['SPANS']}'}}}}}}",
            "instrumentation/development:",
            f"  python: {{model_registry: {model_registry}}}",
        ]
        path.write_text("\n".join(lines if exporting else lines[:1]))
        self.variables["OTEL_CONFIG_FILE"] = str(path)

    def run(self, *mode: str, script: str = APPLICATION) -> Done:
        """Run a script, and return what it has done."""
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
        lines = path.read_text().splitlines() if path.exists() else []
        spans = [
            span
            for line in lines
            for resource in json.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        return [
            {
                **{item["key"]: next(iter(item["value"].values())) for item in span.get("attributes", [])},
                "name": span["name"],
                "events": [event["name"] for event in span.get("events", [])],
            }
            for span in spans
        ]


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with what stages share: our entry points, the probes, and a good registry file."""
    folder = tmp_path_factory.mktemp("startup")
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


@pytest.fixture
def stage(tmp_path: Path, shared: Path) -> Stage:
    """Give a folder in which an application is started, and that has nothing broken."""
    return Stage(tmp_path, shared)


# Ways of starting


def command(stage: Stage) -> None:
    stage.command, stage.injected = [INSTRUMENT, sys.executable], False


def injected(stage: Stage) -> None:
    assert stage.injected


def declarative(stage: Stage) -> None:
    command(stage)
    del stage.variables["OTEL_PYTHON_MODEL_REGISTRY_FILE"]
    stage.declare(f"{{file: '{stage.good}', span_attributes: +purpose}}")


def by_hand(stage: Stage) -> None:
    stage.injected = False


WAYS: dict[str, tuple[Callable[[Stage], None], str]] = {
    "opentelemetry-instrument": (command, ""),
    "injected": (injected, ""),
    "declarative": (declarative, ""),
    "the instrumentor by hand": (by_hand, "instrumentor"),
    "the processor by hand": (by_hand, "processor"),
}
MODES = {"exit": [], "raise": ["raise"], "threads": ["threads"], "raise with threads": ["threads", "raise"]}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_starting(stage: Stage, way: str, mode: str) -> None:
    """However it is started, the application does as it does alone, and its calls show owner and status."""
    prepare, word = WAYS[way]
    prepare(stage)
    done = stage.run(word, *MODES[mode])
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


@pytest.mark.parametrize("mode", MODES)
def test_injected_into_a_bare_interpreter(stage: Stage, bare: Path, ours: Path, mode: str) -> None:
    """All packages may come by PYTHONPATH, ours unpacked from its wheel, as Kubernetes' operator does it."""
    with zipfile.ZipFile(ours) as wheel:
        wheel.extractall(stage.folder / "wheel")
    stage.command = [bare]
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    stage.packages = [stage.folder / "wheel", stage.packages[2], *map(Path, libraries)]
    done = stage.run(*MODES[mode])
    assert (done.printed, done.code) == (PRINTED, 1 if "raise" in mode else 7)
    assert set(done.statuses) == {"active"}
    assert done.said == [] or done.said[-1].removeprefix("__main__.") == "OwnError: not caught"


def test_settings_as_options_of_the_command(stage: Stage) -> None:
    """Each setting is an option of ``opentelemetry-instrument``, and comes before the environment."""
    command(stage)
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


def test_a_second_process_deprecates_a_model(stage: Stage) -> None:
    """A script under the same settings that deprecates a model emits its event where the application's spans go."""
    script = """
        from spanforge.model_registry import deprecate_model
        print(deprecate_model("gpt-4o", reason="old").owner)
    """
    assert stage.run().statuses == ["active"] * 2
    done = stage.run(script="import textwrap\nexec(textwrap.dedent('''" + script + "'''))")
    assert (done.printed, done.code, done.said) == ("ml-platform\n", 0, [])
    assert done.spans[2]["name"] == "model_registry.deprecate"
    assert done.spans[2]["events"] == ["model_registry.deprecated"]


def test_models_registered_at_import_emit_their_events(stage: Stage) -> None:
    """The events of models that the application registers itself are exported beside its spans."""
    script = "from spanforge.model_registry import register_model\nregister_model('o1', 'O1', '1', 'low', 't', 'p')"
    done = stage.run(script=script)
    assert (done.code, done.said) == (0, [])
    assert [span["events"] for span in done.spans] == [["model_registry.registered"]]


def test_events_that_nobody_takes(stage: Stage) -> None:
    """Without an SDK a line at the end says how many events of the application's own models were lost."""
    without_distro(stage)
    script = "from spanforge.model_registry import register_model\nregister_model('o1', 'O1', '1', 'low', 't', 'p')"
    done = stage.run(script=script)
    assert (done.code, done.printed, done.spans) == (0, "", [])
    assert done.said == [NO_SDK, "model registry: 1 lifecycle events were not delivered: no tracer provider was set"]


# What may be broken


class Case(NamedTuple):
    """Something broken.

    Attributes:
        prepare: Breaks it.
        says: Our lines on standard error; ``{folder}`` is the stage's, ``{src}`` where our packages are.
        statuses: What calls show, in any order; after a repair: the first two, and the last.
        mode: What the application does beside its work.
        printed: What it prints.
        others: How a line begins that OpenTelemetry has to say as well; ``None``: nobody else says anything.
        after: Whether the instrumentor that comes after ours is loaded.
    """

    prepare: Callable[[Stage], object]
    says: tuple[str, ...] = ()
    statuses: tuple[str | None, ...] = ("active", "active")
    mode: tuple[str, ...] = ()
    printed: str = PRINTED
    others: str | None = None
    after: bool = True


PLAIN = None, None
UNREGISTERED = "unregistered", "unregistered"
ENTRY = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "1",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "support",
    "status": "active",
    "deployment_date": None,
    "decommission_date": None,
    "metadata": {},
}


def variables(**given: object) -> Callable[[Stage], object]:
    return lambda stage: stage.variables.update({name: str(value) for name, value in given.items()})


def settings(**given: object) -> Callable[[Stage], object]:
    return lambda stage: stage.set(**given)


# … the registry's file


CANNOT_LOAD = "model registry: cannot load registry file {folder}"
UNTIL_FIXED = "its models show as unregistered until the file is fixed"
MISSING = f"{CANNOT_LOAD}/missing.json: no such file; {UNTIL_FIXED}"


def bad_file(reason: str, prepare: Callable[[Stage], object]) -> Case:
    says = f"{CANNOT_LOAD}/models.json{reason}; {UNTIL_FIXED}", UNKNOWN
    return Case(prepare, says, (*UNREGISTERED, "active"), ("repair",), f"{BEGINS}{CAUGHT}registered\n{ENDS}")


def content(text: str) -> Callable[[Stage], object]:
    return lambda stage: stage.broken_file().write_text(text)


def unreadable(stage: Stage) -> None:
    path = stage.broken_file()
    path.write_text("[]")
    path.chmod(0)


def two_files(stage: Stage) -> None:
    (stage.folder / "other.json").write_text(json.dumps([ENTRY]))
    stage.set(file=f"missing.json{os.pathsep}other.json")


def same_in_both(stage: Stage) -> None:
    for name in ("a.json", "b.json"):
        (stage.folder / name).write_text(json.dumps([ENTRY]))
    stage.set(file=f"a.json{os.pathsep}b.json")


FILES = {
    "no file": bad_file(": no such file", lambda stage: stage.broken_file()),
    "no JSON": bad_file(", line 1, column 1: is not valid JSON: Expecting value", content("models: []")),
    "half a file": bad_file(
        ", line 1, column 23: is not valid JSON: Expecting ',' delimiter", content('[{"model_id": "gpt-4o"')
    ),
    "an empty file": bad_file(", line 1, column 1: is not valid JSON: Expecting value", content("")),
    "no list": bad_file(": must be a JSON array of entries; got a mapping", content('{"gpt-4o": {}}')),
    "a folder": bad_file(": cannot be read: it is not a regular file", lambda stage: stage.broken_file().mkdir()),
    "a FIFO": bad_file(": cannot be read: it is not a regular file", lambda stage: os.mkfifo(stage.broken_file())),
    "a loop of links": bad_file(
        ": cannot be read: Too many levels of symbolic links",
        lambda stage: stage.broken_file().symlink_to("models.json"),
    ),
    "an unreadable file": bad_file(": cannot be read: Permission denied", unreadable),
    "an id twice": bad_file(
        ", entry 1, model 'gpt-4o', field 'model_id': must be unique; entry 0 has it too",
        content(json.dumps([ENTRY, ENTRY])),
    ),
    "a bad field": bad_file(
        ", entry 0, model 'gpt-4o', field 'risk_tier': must be one of low, medium, high, critical; got 'none'",
        content(json.dumps([{**ENTRY, "risk_tier": "none"}])),
    ),
    "one of two files": Case(two_files, (MISSING,)),
    "an id in two files": Case(
        same_in_both,
        (
            (
                "model registry: model 'gpt-4o' is in both {folder}/a.json and {folder}/b.json; "
                "the previous entries of all files stay in force"
            ),
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
    "a name too long": Case(
        settings(file="x" * 300),
        (
            f"{CANNOT_LOAD}/{'x' * 300}: cannot be read: File name too long; {UNTIL_FIXED}",
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
}

# … settings


def bad_setting(
    name: str, value: str, rule: str, default: str, prepare: Callable[[Stage], object] | None = None
) -> Case:
    variable = f"OTEL_PYTHON_MODEL_REGISTRY_{name.upper()}"
    says = f"{name if prepare else variable} must be {rule}; got {value!r}; using the default, {default}"
    return Case(prepare or variables(**{variable: value}), (f"model registry: {says}",))


NAMES = ", ".join(SPAN_ATTRIBUTE_NAMES)
INTERVAL = "0, or milliseconds from 100 to 86400000"

VALUES = {
    "a bad enabled": bad_setting("enabled", "perhaps", "one of true, false", "true"),
    "a bad reload_interval": bad_setting("reload_interval", "10s", INTERVAL, "10000"),
    "a bad span_attributes": bad_setting(
        "span_attributes",
        "color",
        f"names of {NAMES}, or changes to the default such as +purpose and -version",
        ",".join(ON_SPANS),
    ),
    "a bad model_attributes": bad_setting(
        "model_attributes",
        "model_registry.name",
        "at most 32 attribute keys of at most 256 characters, none of them model_registry.*",
        "none",
    ),
    "a bad unregistered": bad_setting("unregistered", "drop", "one of warn, ignore", "warn"),
    "not enabled": Case(settings(enabled="false", file="/no/such/file.json", unregistered="drop"), (), PLAIN),
    "a disabled instrumentation": Case(
        variables(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="openai, model_registry"), (), PLAIN
    ),
    "unregistered models ignored": Case(settings(file="", unregistered="ignore"), (), PLAIN),
}

# … declarative configuration


def declared(written: str) -> Callable[[Stage], object]:
    return lambda stage: stage.declare(written)


DECLARATIVE = {
    "not enabled in the file": Case(declared("{enabled: false}"), (), PLAIN),
    "enabled in the file only": Case(lambda stage: (stage.set(enabled="false"), stage.declare("{enabled: true}"))),
    "a misspelt option": Case(
        declared("{unregistred: ignore, file: '', span_attributes: [status]}"),
        (
            (
                "model registry: option 'unregistred' is unknown and ignored; options are enabled, file, "
                "reload_interval, span_attributes, model_attributes, unregistered, events"
            ),
        ),
    ),
    "a bad option": bad_setting("reload_interval", "10s", INTERVAL, "10000", declared("{reload_interval: 10s}")),
    "an option of another kind": Case(
        declared("{file: {a: 1}}"),
        (
            (
                "model registry: file must be a path, or several separated by ':'; got {{'a': 1}}; "
                "using the default, none"
            ),
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
    "a file that is missing by option": Case(
        declared("{file: missing.json}"),
        (MISSING, UNKNOWN),
        UNREGISTERED,
    ),
    "a name without options": Case(
        declared("null"), (), (), others="opentelemetry.configuration._exceptions.ConfigurationError: ", after=False
    ),
    "no tracer provider declared": Case(lambda stage: stage.declare("{}", exporting=False), (NO_SDK,), ()),
    "no declarative file": Case(
        variables(OTEL_CONFIG_FILE="/no/such/file.yaml"), (), (), others="Failed to auto initialize", after=False
    ),
}

# … the SDK


def without_distro(stage: Stage) -> None:
    """Hide the distro: of two packages of one name the first one counts, and this one has no entry points."""
    info = stage.beside("nothing") / "opentelemetry_distro-99.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: opentelemetry-distro\nVersion: 99\n")


NOBODY_THERE = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "0.5",
    "OTEL_BSP_EXPORT_TIMEOUT": "500",
    "NO_PROXY": "127.0.0.1",
}

SDK = {
    "no distro": Case(without_distro, (NO_SDK,), ()),
    "no such configurator": Case(
        variables(OTEL_PYTHON_CONFIGURATOR="no_such"), (NO_SDK,), (), others="Configuration of configurator not loaded"
    ),
    "no such distro": Case(variables(OTEL_PYTHON_DISTRO="no_such")),
    "a provider of the application's own": Case(without_distro, (NO_SDK,), (*PLAIN, None), ("own provider",)),
    "the instrumentor called afterwards": Case(
        without_distro,
        (NO_SDK,),
        (*PLAIN, None, "active", "active"),
        ("own provider", "instrumentor afterwards"),
        BEGINS + 2 * CAUGHT + ENDS,
    ),
    "a second provider": Case(
        injected, (), ("active", "active", None), ("own provider",), others="Overriding of current TracerProvider"
    ),
    "a disabled SDK": Case(variables(OTEL_SDK_DISABLED="true"), (), ()),
    "no exporter": Case(variables(OTEL_TRACES_EXPORTER="none"), (), ()),
    "no such exporter": Case(
        variables(OTEL_TRACES_EXPORTER="no_such"), (), (), others="Failed to auto initialize", after=False
    ),
    "an exporter that raises": Case(
        variables(OTEL_TRACES_EXPORTER="raising"), (), (), others="ValueError: exporter broken"
    ),
    "no backend, HTTP": Case(
        variables(
            **NOBODY_THERE,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        ),
        (),
        (),
        others="",
    ),
    "no backend, gRPC": Case(
        variables(
            **NOBODY_THERE,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        ),
        (),
        (),
        others="",
    ),
    "no sampling": Case(variables(OTEL_TRACES_SAMPLER="always_off"), (), ()),
    "no room for attributes": Case(variables(OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="1"), (), PLAIN),
}

# … packages


def theirs(place: str, *, first: bool, module: str = "") -> Callable[[Stage], object]:
    """Put a regular package ``spanforge``, as PyPI's is, elsewhere than ours."""

    def prepare(stage: Stage) -> None:
        package = stage.beside(place, first=first) / "spanforge"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "model_registry.py").write_text(module)

    return prepare


def folder_of_the_application(stage: Stage) -> None:
    command(stage)
    package = stage.folder / "spanforge"
    package.mkdir()
    (package / "__init__.py").write_text("")


def replaced(file: str, text: str) -> Callable[[Stage], object]:
    def prepare(stage: Stage) -> None:
        (stage.copy() / file).write_text(text)

    return prepare


def broken_in(file: str, function: str) -> Callable[[Stage], object]:
    return lambda stage: stage.break_in(file, function)


def cannot_be_written(stage: Stage) -> None:
    """Break the function that writes what a limit cuts, and set such a limit."""
    stage.break_in("otel/_span_access.py", "def write_late(")
    stage.variables["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"] = "7"


def without_msgspec(stage: Stage) -> None:
    (stage.beside("other") / "msgspec.py").write_text("raise ImportError('built for\\nanother Python')")


def elsewhere(name: str, file: str) -> str:
    ours = f"{{src}}/{name.replace('.', '/')}"
    reason = f"{name} is loaded from {{folder}}/{file}, not from {ours}: install both packages into one folder"
    return f"{NOT_INSTALLED}{reason}"


THEIRS = elsewhere("spanforge.model_registry", "theirs/spanforge/model_registry.py")
NOT_ENRICHED = "model registry: a span was not enriched; further RuntimeError errors are not logged"

PACKAGES = {
    "their spanforge before ours": Case(theirs("theirs", first=True), (THEIRS,), PLAIN),
    "their spanforge after ours": Case(theirs("theirs", first=False), (THEIRS,), PLAIN),
    "their spanforge broken": Case(
        theirs("theirs", first=False, module="raise ValueError"),
        (elsewhere("spanforge", "theirs/spanforge/__init__.py"),),
        PLAIN,
    ),
    "a spanforge of the application's": Case(
        folder_of_the_application, (elsewhere("spanforge", "spanforge/__init__.py"),), PLAIN
    ),
    "a SystemError at import": Case(
        replaced("otel/instrumentor.py", "raise SystemError('broken')"),
        (f"{NOT_INSTALLED}SystemError: broken",),
        PLAIN,
    ),
    "an ImportError at import": Case(
        replaced("otel/instrumentor.py", "raise ImportError('broken')"),
        (f"{NOT_INSTALLED}ImportError: broken",),
        PLAIN,
    ),
    "a SyntaxError": Case(
        replaced("otel/instrumentor.py", "a b"),
        (f"{NOT_INSTALLED}SyntaxError: invalid syntax (instrumentor.py, line 1)",),
        PLAIN,
    ),
    "an error in the package itself": Case(
        replaced("__init__.py", "raise RuntimeError('broken')"),
        (f"{NOT_INSTALLED}RuntimeError: broken",),
        PLAIN,
    ),
    "a library that cannot be loaded": Case(
        without_msgspec, (f"{NOT_INSTALLED}ImportError: built for another Python",), PLAIN
    ),
    "files that cannot be followed": Case(
        broken_in("watch.py", "def follow_settings("), (f"{NOT_INSTALLED}RuntimeError('broken')",), PLAIN
    ),
    "files that cannot be looked at": Case(
        broken_in("watch.py", "    def _look("),
        (f"{NOT_READ}RuntimeError('broken')", UNKNOWN),
        UNREGISTERED,
    ),
    "a registry that takes no files": Case(
        broken_in("_core/state.py", "def replace_file_entries("),
        (f"{NOT_READ}RuntimeError('broken')", UNKNOWN),
        UNREGISTERED,
    ),
    "a processor that cannot be made": Case(
        broken_in("otel/_processor.py", "    def __init__(\n        self,\n        registry"),
        (f"{NOT_INSTALLED}RuntimeError('broken')",),
        PLAIN,
    ),
    "a hook that fails at the start": Case(
        broken_in("otel/_processor.py", "    def _start("), (NOT_ENRICHED,), others="RuntimeError: broken"
    ),
    "a hook that fails at the end": Case(
        broken_in("otel/_processor.py", "    def _decide("), (NOT_ENRICHED,), PLAIN, others="RuntimeError: broken"
    ),
    "attributes that cannot be written": Case(
        cannot_be_written,
        (NOT_ENRICHED,),
        PLAIN,
        others="RuntimeError: broken",
    ),
}

# … the application's surroundings


def in_a_folder_that_is_gone(stage: Stage) -> None:
    (stage.folder / "gone").mkdir()
    stage.command = ["/bin/sh", "-c", 'cd gone && rmdir ../gone && exec "$0" "$@"', sys.executable]


def gone_and_relative(stage: Stage) -> None:
    in_a_folder_that_is_gone(stage)
    stage.set(file="models.json")


SURROUNDINGS = {
    "a log handler that raises": Case(variables(FULL="1")),
    "a log handler that raises, much to log": Case(
        lambda stage: (stage.set(file="missing.json", unregistered="drop"), stage.variables.update(FULL="1")),
        (),
        UNREGISTERED,
    ),
    "a log handler that raises, ours broken": Case(
        lambda stage: (stage.variables.update(FULL="1"), theirs("theirs", first=True)(stage)), (), PLAIN
    ),
    "no working folder": Case(in_a_folder_that_is_gone),
    "no working folder, a relative path": Case(
        gone_and_relative,
        (
            (
                "model registry: OTEL_PYTHON_MODEL_REGISTRY_FILE must be an absolute path, because the "
                "working folder does not exist; got 'models.json'; using the default, none"
            ),
            UNKNOWN,
        ),
        UNREGISTERED,
    ),
    "a fork": Case(
        variables(PYTHONWARNINGS="ignore"),  # from Python 3.12 on there is one about threads and fork
        (),
        ("active",) * 4,
        ("fork",),
        f"{BEGINS}{CAUGHT}{CAUGHT}child 5\n{ENDS}",
    ),
    "a fork, with a missing file": Case(
        lambda stage: (stage.set(file="missing.json"), stage.variables.update(PYTHONWARNINGS="ignore")),
        (MISSING, UNKNOWN),
        ("unregistered",) * 4,
        ("fork",),
        f"{BEGINS}{CAUGHT}{CAUGHT}child 5\n{ENDS}",
    ),
    "no standard error": Case(
        lambda stage: (
            setattr(stage, "command", ["/bin/sh", "-c", 'exec "$0" "$@" 2>&-', sys.executable]),
            stage.set(file="missing.json"),
        ),
        (),
        UNREGISTERED,
    ),
    "warnings that are errors": Case(variables(PYTHONWARNINGS="error")),
    "no docstrings": Case(lambda stage: stage.command.append("-OO")),
    "an ASCII terminal": Case(variables(PYTHONIOENCODING="ascii", LC_ALL="C")),
}

BROKEN = FILES | VALUES | DECLARATIVE | SDK | PACKAGES | SURROUNDINGS
NEEDS = {
    "an unreadable file": pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything"),
    **dict.fromkeys(
        DECLARATIVE,
        pytest.mark.skipif(
            importlib.util.find_spec("opentelemetry.configuration") is None, reason="needs opentelemetry-configuration"
        ),
    ),
}


@pytest.fixture(scope="session")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared: Path
) -> Iterator[dict[str, Future[tuple[Path, Done]]]]:
    """Run the applications of all cases that are to be tested, two at a time; give what they will have done."""

    def run(name: str) -> tuple[Path, Done]:
        stage = Stage(tmp_path_factory.mktemp("case"), shared)
        case = BROKEN[name]
        case.prepare(stage)
        return stage.folder, stage.run(*case.mode)

    items = [item for item in request.session.items if "outcomes" in getattr(item, "fixturenames", ())]
    names = [item.callspec.params["broken"] for item in items]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(run, name) for name in names}


@pytest.mark.parametrize("broken", [pytest.param(name, marks=NEEDS.get(name, ())) for name in BROKEN])
def test_whatever_is_broken(outcomes: dict[str, Future[tuple[Path, Done]]], broken: str) -> None:
    """The application prints, catches and ends as it does alone; of us standard error has the expected lines only."""
    case = BROKEN[broken]
    folder, done = outcomes[broken].result()
    assert (done.printed, done.code) == (case.printed, 7), done.said
    said = [line for line in done.said if case.others is None or line.startswith(OURS)]
    copied = folder / "copy"
    assert said == [line.format(folder=folder, src=copied if copied.exists() else SRC) for line in case.says]
    assert case.others is None or any(line.startswith(case.others) for line in done.said)
    if "repair" in case.mode:
        assert (*done.statuses[:2], done.statuses[-1]) == case.statuses
    else:
        assert Counter(done.statuses) == Counter(case.statuses)
    assert done.after is case.after
