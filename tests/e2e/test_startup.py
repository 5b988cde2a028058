"""Applications that are started with the plugin, in processes of their own: whatever is broken, they do not notice.

Each prints, ends and raises as it does without us; standard error has what we have to say, and nothing else of ours.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.plugin import NO_SDK, NOT_INSTALLED
from support.startup import BEGINS, CAUGHT, ENDS, PRINTED, SRC, hide_package
from support.watching import content

from spanforge.model_registry._core.settings import SETTINGS, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.startup import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.name == "nt", reason="the processes are POSIX's")]

OURS = "model", "a span was not enriched", "model registry: an event was not emitted"
"""What our lines begin with."""
SILENT = "model registry: no span named a model until exit; likely cause: "
LLM_INSTRUMENTATIONS = (
    "opentelemetry-instrumentation-openai",
    "opentelemetry-instrumentation-genai-openai",
    "openinference-instrumentation-openai",
)
"""Those that are installed where tests run."""
NOT_READ = "model registry: cannot read the registry files, so the previous entries stay in force: "


def test_events_that_nobody_takes(stage: Stage) -> None:
    """Without an SDK a line at the end says how many events of the application's own models were lost."""
    without_distro(stage)
    script = "from spanforge.model_registry import register_model\nregister_model('o1', 'O1', '1', 'low', 't', 'p')"
    done = stage.run(script=script)
    assert (done.code, done.printed, done.spans) == (0, "", [])
    assert done.said == [NO_SDK, "model registry: 1 lifecycle event was not delivered: no tracer provider was set"]


def test_silence(stage: Stage) -> None:
    """If no span names a model until exit, one line names the likely cause, and the process ends at once."""
    script = "from opentelemetry import trace\ntrace.get_tracer('app').start_span('no model').end()\nprint('ends')"
    disabled = stage.run(script=script)
    assert (disabled.code, disabled.printed) == (0, "ends\n")
    (line,) = disabled.said
    assert line.startswith(f"{SILENT}OTEL_PYTHON_DISABLED_INSTRUMENTATIONS disables openai (open")
    assert "opentelemetry-instrumentation-genai-openai" in line
    for name in LLM_INSTRUMENTATIONS:
        hide(stage, name)
    (line,) = stage.run(script=script).said
    assert line.startswith(f"{SILENT}no LLM instrumentation is installed; install the one for your client, such as ")


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


def variables(**given: object) -> Callable[[Stage], object]:
    return lambda stage: stage.variables.update({name: str(value) for name, value in given.items()})


def settings(**given: object) -> Callable[[Stage], object]:
    return lambda stage: stage.set(**given)


# … the registry's file


CANNOT_LOAD = "model registry: cannot load registry file {folder}"
UNTIL_FIXED = "its models show as unregistered until the file is fixed"
MISSING = f"{CANNOT_LOAD}/missing.json: no such file; {UNTIL_FIXED}"


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


OTHER_FORMAT = "YAML is read only from files whose names end in .yaml or .yml, and all other files must be JSON"
ADVICE = "; spanforge-models check lists all faults"
BAD_FILES: list[tuple[str, Callable[[Path], object]]] = [
    (f": no such file; {UNTIL_FIXED}", lambda _: None),
    (
        f", line 1, column 1: is not valid JSON: Expecting value; {OTHER_FORMAT}; {UNTIL_FIXED}{ADVICE}",
        write("models: []"),
    ),
    (
        f": must be a JSON array of entries; got a mapping; each entry has its id in the field model_id; {UNTIL_FIXED}",
        write('{"gpt-4o": {}}'),
    ),
    (f": cannot be read: it is not a regular file; {UNTIL_FIXED}", os.mkfifo),
]
"""The end of the line about a file that cannot be loaded, and the function that makes such a file."""


def bad_files(stage: Stage) -> None:
    """Name files that cannot be loaded, each for another reason; for each the application has a good one."""
    paths = [stage.folder / f"{number}.json" for number in range(len(BAD_FILES))]
    good = [stage.folder / f"{number}.good" for number in range(len(BAD_FILES))]
    for number, (_, make_bad) in enumerate(BAD_FILES):
        make_bad(paths[number])
        good[number].write_bytes(content("team", f"model-{number}" if number else "gpt-4o"))
    stage.variables |= {name: os.pathsep.join(map(str, files)) for name, files in (("BROKEN", paths), ("GOOD", good))}
    stage.set(file=os.pathsep.join(map(str, paths)), reload_interval=100)


def two_files(stage: Stage) -> None:
    (stage.folder / "other.json").write_bytes(content("team", "gpt-4o"))
    stage.set(file=f"missing.json{os.pathsep}other.json")


FILES = {
    "bad files": Case(
        bad_files,
        (*(f"{CANNOT_LOAD}/{number}.json{why}" for number, (why, _) in enumerate(BAD_FILES)),),
        (*UNREGISTERED, "active"),
        ("repair",),
        f"{BEGINS}{CAUGHT}registered\n{ENDS}",
    ),
    "one of two files": Case(two_files, (MISSING,)),
}

# … settings


BAD_SETTING = "model registry: OTEL_PYTHON_MODEL_REGISTRY_{} must be {}; got '{}'; using the default, {}"

UNKNOWN_NAME = "model registry: OTEL_PYTHON_MODEL_REGISTRY_{} is unknown and ignored; "
ENDINGS = ", ".join(setting.variable.removeprefix(VARIABLES) for setting in SETTINGS)
VALUES = {
    "bad values and misspelt names": Case(
        settings(reload_interval="10s", unregistered="drop", files="models.json", colour="red", events="logs"),
        (
            f"{UNKNOWN_NAME.format('FILES')}did you mean OTEL_PYTHON_MODEL_REGISTRY_FILE?",
            f"{UNKNOWN_NAME.format('COLOUR')}the names are OTEL_PYTHON_MODEL_REGISTRY_ and one of {ENDINGS}",
            BAD_SETTING.format("RELOAD_INTERVAL", "0, or milliseconds from 100 to 86400000", "10s", "10000"),
            BAD_SETTING.format("UNREGISTERED", "one of warn, ignore", "drop", "warn"),
            BAD_SETTING.format("EVENTS", "span, log, both with a comma between them, or none", "logs", "span"),
        ),
    ),
    "not enabled": Case(settings(enabled="false", file="/no/such/file.json", unregistered="drop"), (), PLAIN),
    "a disabled instrumentation": Case(
        variables(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="openai, model_registry"), (), PLAIN
    ),
}

# … declarative configuration


def declared(written: str) -> Callable[[Stage], object]:
    return lambda stage: stage.declare(written)


DECLARATIVE = {
    "not enabled in the file": Case(declared("{enabled: false}"), (), PLAIN),
    "a misspelt option": Case(
        declared("{unregistred: ignore, file: '', span_attributes: [status]}"),
        (
            (
                "model registry: option 'unregistred' is unknown and ignored; options are enabled, file, "
                "reload_interval, calendar, span_attributes, model_attributes, unregistered, match, events, metrics"
            ),
        ),
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


def hide(stage: Stage, name: str) -> None:
    hide_package(stage.beside(f"no {name}"), name)


def without_distro(stage: Stage) -> None:
    hide(stage, "opentelemetry-distro")


SDK = {
    "no such configurator": Case(
        variables(OTEL_PYTHON_CONFIGURATOR="no_such"), (NO_SDK,), (), others="Configuration of configurator not loaded"
    ),
    "no such distro": Case(variables(OTEL_PYTHON_DISTRO="no_such")),
    "a provider of the application's own, the instrumentor called afterwards": Case(
        without_distro,
        (NO_SDK,),
        ("active",) * 5,
        ("own provider", "instrumentor afterwards"),
        BEGINS + 2 * CAUGHT + ENDS,
    ),
    "a second provider": Case(
        settings(), (), ("active", "active", None), ("own provider",), others="Overriding of current TracerProvider"
    ),
    "a disabled SDK": Case(variables(OTEL_SDK_DISABLED="true"), (), ()),
    "no exporter": Case(variables(OTEL_TRACES_EXPORTER="none"), (), ()),
    "no such exporter": Case(
        variables(OTEL_TRACES_EXPORTER="no_such"), (), (), others="Failed to auto initialize", after=False
    ),
    "an exporter that raises": Case(
        variables(OTEL_TRACES_EXPORTER="raising"), (), (), others="ValueError: exporter broken"
    ),
    "no sampling": Case(variables(OTEL_TRACES_SAMPLER="always_off"), (), ()),
    "no room for attributes": Case(variables(OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="1"), (), PLAIN),
}

# … packages


def theirs(**options: Any) -> Callable[[Stage], object]:
    return lambda stage: stage.add_their_package(**options)


def folder_of_the_application(stage: Stage) -> None:
    stage.use_command()
    package = stage.folder / "spanforge"
    package.mkdir()
    (package / "__init__.py").write_text("")


def replaced(file: str, text: str) -> Callable[[Stage], object]:
    def prepare(stage: Stage) -> None:
        (stage.copy() / file).write_text(text)

    return prepare


def broken_in(file: str, function: str) -> Callable[[Stage], object]:
    return lambda stage: stage.break_in(file, function)


def elsewhere(name: str, file: str) -> str:
    ours = f"{{src}}/{name.replace('.', '/')}"
    reason = f"{name} is loaded from {{folder}}/{file}, not from {ours}: install both packages into one folder"
    return f"{NOT_INSTALLED}{reason}"


THEIRS = elsewhere("spanforge.model_registry", "theirs/spanforge/model_registry.py")
NOT_ENRICHED = "model registry: a span was not enriched; further RuntimeError errors are not logged"

PACKAGES = {
    "their spanforge before ours": Case(theirs(), (THEIRS,), PLAIN),
    "their spanforge after ours": Case(theirs(first=False), (THEIRS,), PLAIN),
    "their spanforge broken": Case(
        theirs(first=False, module="raise ValueError"),
        (elsewhere("spanforge", "theirs/spanforge/__init__.py"),),
        PLAIN,
    ),
    "a spanforge of the application's": Case(
        folder_of_the_application, (elsewhere("spanforge", "spanforge/__init__.py"),), PLAIN
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
    "files that cannot be followed": Case(
        broken_in("watch.py", "def follow_settings("), (f"{NOT_INSTALLED}RuntimeError('broken')",), PLAIN
    ),
    "files that cannot be looked at": Case(
        broken_in("watch.py", "    def _look_at_files("),
        (f"{NOT_READ}RuntimeError('broken')",),
        UNREGISTERED,
    ),
    "a processor that cannot be made": Case(
        broken_in(
            "otel/_processor.py",
            "    def __init__(  # noqa: PLR0913 - keyword arguments, one per setting\n        self,\n        registry",
        ),
        (f"{NOT_INSTALLED}RuntimeError('broken')",),
        PLAIN,
    ),
    "a hook that fails at the start": Case(
        broken_in("otel/_processor.py", "    def _handle_start("), (NOT_ENRICHED,), others="RuntimeError: broken"
    ),
    "a hook that fails at the end": Case(
        broken_in("otel/_processor.py", "    def _decide("), (NOT_ENRICHED,), PLAIN, others="RuntimeError: broken"
    ),
}

# … the application's surroundings


def in_a_folder_that_is_gone(stage: Stage) -> None:
    (stage.folder / "gone").mkdir()
    stage.command = ["/bin/sh", "-c", 'cd gone && rmdir ../gone && exec "$0" "$@"', sys.executable]


SURROUNDINGS = {
    "a log handler that raises, ours broken": Case(
        lambda stage: (stage.variables.update(FULL="1"), stage.add_their_package()), (), PLAIN
    ),
    "no working folder": Case(in_a_folder_that_is_gone),
    "a fork": Case(
        variables(PYTHONWARNINGS="ignore"),  # from Python 3.12 on there is one about threads and fork
        (),
        ("active",) * 4,
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
    "warnings that are errors, no docstrings, an ASCII terminal": Case(
        lambda stage: (
            stage.variables.update(PYTHONWARNINGS="error", PYTHONIOENCODING="ascii", LC_ALL="C"),
            stage.command.append("-OO"),
        )
    ),
}

BROKEN = FILES | VALUES | DECLARATIVE | SDK | PACKAGES | SURROUNDINGS
NEEDS = dict.fromkeys(
    DECLARATIVE,
    pytest.mark.skipif(
        importlib.util.find_spec("opentelemetry.configuration") is None, reason="needs opentelemetry-configuration"
    ),
)


@pytest.mark.parametrize("broken", [pytest.param(name, marks=NEEDS.get(name, ())) for name in BROKEN])
def test_whatever_is_broken(stage: Stage, broken: str) -> None:
    """The application prints, catches and ends as it does alone; of us standard error has the expected lines only."""
    case = BROKEN[broken]
    case.prepare(stage)
    done = stage.run(*case.mode)
    assert (done.printed, done.code) == (case.printed, 7), done.said
    said = [line for line in done.said if case.others is None or line.startswith(OURS)]
    copied = stage.folder / "copy"
    assert said == [line.format(folder=stage.folder, src=copied if copied.exists() else SRC) for line in case.says]
    assert case.others is None or any(line.startswith(case.others) for line in done.said)
    if "repair" in case.mode:
        assert (*done.statuses[:2], done.statuses[-1]) == case.statuses
    else:
        assert Counter(done.statuses) == Counter(case.statuses)
    assert done.after is case.after
