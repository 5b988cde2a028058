"""Settings: options, environment variables, defaults, and valid and invalid values."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.instrumentation import environment_variables as instrumentation_variables
from opentelemetry.sdk import environment_variables
from support.log_lines import LOGGER

import spanforge_model_registry_otel
from spanforge.model_registry._core import settings
from spanforge.model_registry._core.attributes import ON_SPANS, SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry._core.errors import InvalidEntryError, shorten
from spanforge.model_registry._core.setting_names import drop_unknown_options, warn_about_unknown_variables
from spanforge.model_registry._core.settings import (
    CACHE,
    CALENDAR,
    CERTIFICATE,
    ENABLED,
    EVENTS,
    FILE,
    HAS_METRICS,
    HEADERS,
    MATCH,
    MAX_FILE_SIZE,
    MODEL_ATTRIBUTES,
    OPTIONS,
    RELOAD_INTERVAL,
    SAMPLE_FLAGGED,
    SETTINGS,
    SPAN_ATTRIBUTES,
    TRUSTED_KEYS,
    UNREGISTERED_POLICY,
    VARIABLES,
    Setting,
)
from spanforge.model_registry.otel.instrumentor import Options

if TYPE_CHECKING:
    from collections.abc import Callable

SEP = os.pathsep
OTEL_VARIABLES = [
    name
    for module in (environment_variables, instrumentation_variables)
    for name in vars(module)
    if name.startswith("OTEL_")
]
"""Variables of OpenTelemetry."""


class Row(NamedTuple):
    """A setting with two values that are not its default: one as an option, and another one in the environment."""

    setting: Setting[Any]
    option: Any
    text: str
    value: Any
    """What the text stands for."""


ROWS = [
    Row(ENABLED, False, "false", False),
    Row(FILE, ["/a.json"], "/b.json", (os.path.abspath("/b.json"),)),
    Row(RELOAD_INTERVAL, 200, "300", 300),
    Row(CALENDAR, "/a.json", "/b.yaml", os.path.abspath("/b.yaml")),
    Row(SPAN_ATTRIBUTES, ["status"], "owner", ("owner",)),
    Row(MODEL_ATTRIBUTES, ["my.model"], "other.model", ("other.model",)),
    Row(UNREGISTERED_POLICY, "ignore", "IGNORE", "ignore"),
    Row(MATCH, "exact", "EXACT", "exact"),
    Row(EVENTS, "log", "LOG,span", ("span", "log")),
    Row(MAX_FILE_SIZE, 2_048, "4096", 4_096),
    Row(HEADERS, "a=1", "B = 2%2C3 ,c=d=e", (("b", "2,3"), ("c", "d=e"))),
    Row(CERTIFICATE, "/a.pem", "/b.pem", os.path.abspath("/b.pem")),
    Row(TRUSTED_KEYS, "/a.pem", f"/b.pem{SEP}/c.pem", (os.path.abspath("/b.pem"), os.path.abspath("/c.pem"))),
    Row(CACHE, "none", "/b", os.path.abspath("/b")),
    Row(HAS_METRICS, False, "False", False),
    Row(SAMPLE_FLAGGED, True, "True", True),
]
each = pytest.mark.parametrize("row", ROWS, ids=[row.setting.name for row in ROWS])


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an environment without our variables."""
    for name in [name for name in os.environ if name.startswith(settings.VARIABLES)]:
        monkeypatch.delenv(name)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns the lines that have been logged."""
    return lambda: [f"{record.levelname} {record.name} {record.getMessage()}" for record in caplog.records]


def shown(value: Any) -> str:
    """Return the same text for a value in every process."""
    if isinstance(value, Iterator):
        return type(value).__name__
    return value.name if isinstance(value, Setting) else repr(value)[:30]


def line(text: str) -> str:
    return f"WARNING spanforge.model_registry model registry: {text}"


# Sources of a value


def test_every_setting_has_a_row() -> None:
    """The table of these tests has every setting."""
    assert [row.setting for row in ROWS] == list(SETTINGS)


@each
def test_sources_of_a_value(row: Row, monkeypatch: pytest.MonkeyPatch, lines: Any) -> None:
    """An option counts before the environment, the environment as it is at the call, and the default in the end."""
    setting, alone = row.setting, row.setting.read(row.option)
    assert setting.read() == setting.read(None) == setting.default
    assert setting.default not in (alone, row.value)
    monkeypatch.setenv(setting.variable, row.text)
    assert setting.read() == row.value
    other = {
        ENABLED: "true",
        UNREGISTERED_POLICY: "warn",
        MATCH: "forms",
        HAS_METRICS: "true",
        SAMPLE_FLAGGED: "false",
    }.get(setting, row.text)
    monkeypatch.setenv(setting.variable, other)
    assert setting.read(row.option) == alone != setting.read()
    monkeypatch.delenv(setting.variable)
    assert setting.read() == setting.default
    assert lines() == []


@each
@pytest.mark.parametrize("empty", ["", " ", "\t\n "])
def test_empty_is_unset(row: Row, empty: str, monkeypatch: pytest.MonkeyPatch, lines: Any) -> None:
    """A blank variable or option counts as missing, and nothing is logged."""
    monkeypatch.setenv(row.setting.variable, empty)
    assert row.setting.read() == row.setting.read(empty) == row.setting.default != row.setting.read(row.option)
    monkeypatch.setenv(row.setting.variable, row.text)
    assert row.setting.read(empty) == row.value
    assert lines() == []


def test_empty_list_is_a_value(monkeypatch: pytest.MonkeyPatch, lines: Any) -> None:
    """An empty list overrides the environment."""
    for setting, text in ((FILE, "/a.json"), (SPAN_ATTRIBUTES, "owner"), (MODEL_ATTRIBUTES, "my.model")):
        monkeypatch.setenv(setting.variable, text)
        assert setting.read([]) == setting.read(()) == ()
    assert lines() == []


@each
def test_shown_default(row: Row) -> None:
    """The default as the documentation shows it is read as the default."""
    assert row.setting.read(row.setting.shown) == row.setting.default


# Values

VALID = [
    (ENABLED, True, True),
    (ENABLED, False, False),
    (ENABLED, "true", True),
    (ENABLED, " FALSE\n", False),
    (ENABLED, "False", False),
    (RELOAD_INTERVAL, 0, 0),
    (RELOAD_INTERVAL, "0", 0),
    (RELOAD_INTERVAL, "000", 0),
    (RELOAD_INTERVAL, 100, 100),
    (RELOAD_INTERVAL, " 100 ", 100),
    (RELOAD_INTERVAL, "86400000", 86_400_000),
    (RELOAD_INTERVAL, 86_400_000, 86_400_000),
    (SPAN_ATTRIBUTES, "owner", ("owner",)),
    (SPAN_ATTRIBUTES, " owner ,, status,", ("owner", "status")),
    (SPAN_ATTRIBUTES, "status,owner,status", ("status", "owner")),
    (SPAN_ATTRIBUTES, ["owner", "matched_by"], ("owner", "matched_by")),
    (SPAN_ATTRIBUTES, ("owner",), ("owner",)),
    (SPAN_ATTRIBUTES, {"owner"}, ("owner",)),
    (SPAN_ATTRIBUTES, iter(["owner", "owner"]), ("owner",)),
    (SPAN_ATTRIBUTES, ",".join(SPAN_ATTRIBUTE_NAMES), SPAN_ATTRIBUTE_NAMES),
    (SPAN_ATTRIBUTES, "+purpose", (*ON_SPANS, "purpose")),
    (SPAN_ATTRIBUTES, "-version", tuple(name for name in ON_SPANS if name != "version")),
    (SPAN_ATTRIBUTES, " +purpose , -version ", (*(name for name in ON_SPANS if name != "version"), "purpose")),
    (SPAN_ATTRIBUTES, ["-version", "+matched_by"], (*(n for n in ON_SPANS if n != "version"), "matched_by")),
    (SPAN_ATTRIBUTES, "+owner", ON_SPANS),
    (SPAN_ATTRIBUTES, "-purpose", ON_SPANS),
    (SPAN_ATTRIBUTES, "+purpose,-purpose", ON_SPANS),
    (SPAN_ATTRIBUTES, ",".join(f"+{name}" for name in SPAN_ATTRIBUTE_NAMES), SPAN_ATTRIBUTE_NAMES),
    (SPAN_ATTRIBUTES, ",".join(f"-{name}" for name in SPAN_ATTRIBUTE_NAMES), ()),
    (MODEL_ATTRIBUTES, "my.model", ("my.model",)),
    (MODEL_ATTRIBUTES, " my.model ,, My.Model,my.model", ("my.model", "My.Model")),
    (MODEL_ATTRIBUTES, ["my.model", "a b,c"], ("my.model", "a b,c")),
    (MODEL_ATTRIBUTES, ["k" * 256], ("k" * 256,)),
    (MODEL_ATTRIBUTES, ",".join(map(str, range(32))), tuple(map(str, range(32)))),
    (MODEL_ATTRIBUTES, "x," * 100, ("x",)),
    (MODEL_ATTRIBUTES, "model_registry", ("model_registry",)),
    (UNREGISTERED_POLICY, "warn", "warn"),
    (UNREGISTERED_POLICY, " Ignore ", "ignore"),
    (EVENTS, "span", ("span",)),
    (EVENTS, "log", ("log",)),
    (EVENTS, " Log , SPAN ,", ("span", "log")),
    (EVENTS, ["log", "LOG"], ("log",)),
    (EVENTS, "None", ()),
    (SAMPLE_FLAGGED, " TRUE ", True),
    *((ENABLED, text, False) for text in ("0", " No ", "OFF")),
]


@pytest.mark.parametrize(("setting", "given", "value"), VALID, ids=shown)
def test_valid_values(setting: Setting[Any], given: Any, value: Any, monkeypatch: Any, lines: Any) -> None:
    """A valid value is read in any case, with white space around it, as text or list."""
    found = setting.read(given)
    assert found == value
    assert type(found) is type(value)
    if isinstance(given, str):
        monkeypatch.setenv(setting.variable, given)
        assert setting.read() == value
    assert lines() == []


ATTRIBUTES_RULE = f"names of {', '.join(SPAN_ATTRIBUTE_NAMES)}, or changes to the default such as +purpose and -version"
KEYS_RULE = "at most 32 attribute keys of at most 256 characters, none of them model_registry.*"
INTERVAL_RULE = "0, or milliseconds from 100 to 86400000"
SOURCES_RULE = f"a file, folder, glob or https:// address, or several separated by {SEP!r}"
FORMS_RULE = "span, log, both with a comma between them, or none"
DEFAULTS = {
    "enabled": "true",
    "file": "none",
    "reload_interval": "10000",
    "model_attributes": "none",
    "unregistered": "warn",
    "match": "forms",
    "events": "span",
    "metrics": "true",
    "sample_flagged": "false",
    "span_attributes": ",".join(ON_SPANS),
}


def reject(setting: Setting[Any], rule: str, *values: Any, **shown: Any) -> list[tuple[Setting[Any], Any, str]]:
    """Return invalid values with the end of their lines; a value in ``shown`` is shown as its key."""
    texts = [*((given, shorten(given)) for given in values), *((given, text) for text, given in shown.items())]
    default = DEFAULTS[setting.name]
    return [(setting, given, f"{rule}; got {text}; using the default, {default}") for given, text in texts]


INVALID = [
    *reject(EVENTS, FORMS_RULE, "logs", "span;log", "span,none", ",", [], ["span", 7], False),
    *reject(SAMPLE_FLAGGED, "one of true, false", "yes"),
    *reject(HAS_METRICS, "one of true, false", "none"),
    *reject(ENABLED, "one of true, false", "maybe", "flase", "yes", "1", 0, 1, []),
    *reject(RELOAD_INTERVAL, INTERVAL_RULE, "10s", "1e3", "-1", "+100", "1_000", "99", "86400001", "100.0"),
    *reject(RELOAD_INTERVAL, INTERVAL_RULE, "\u0661\u0660\u0660", "\xb2", "9" * 100, True, False, 1000.0),
    *reject(RELOAD_INTERVAL, INTERVAL_RULE, 99, -1, 86_400_001, 10**100, [1000]),
    *reject(SPAN_ATTRIBUTES, ATTRIBUTES_RULE, "color", "Owner", "model_registry.owner", "metadata.team", "+color", "-"),
    *reject(SPAN_ATTRIBUTES, ATTRIBUTES_RULE, "+", "++purpose", "+ purpose", "owner,+purpose", ["-version", "owner"]),
    *reject(SPAN_ATTRIBUTES, ATTRIBUTES_RULE, ["owner", ""], ["owner", None], 7, True, b"owner", {"owner": True}),
    *reject(SPAN_ATTRIBUTES, ATTRIBUTES_RULE, **{"'color'": "owner,color", "' status'": ["owner", " status"]}),
    *reject(MODEL_ATTRIBUTES, KEYS_RULE, "my.model,model_registry.name", ["model_registry."], ["my.model", 7], 7),
    *reject(MODEL_ATTRIBUTES, KEYS_RULE, {"my.model": 1}, [*map(str, range(33))], **{f"['{'k' * 198}…": ["k" * 257]}),
    *reject(UNREGISTERED_POLICY, "one of warn, ignore", "drop", False, ["warn"], "warn,ignore"),
    *reject(FILE, SOURCES_RULE, ":"),
    *reject(FILE, SOURCES_RULE, 7, b"a.json", [b"a.json"], ["a.json", ""]),
]


@pytest.mark.parametrize(("setting", "given", "text"), INVALID, ids=shown)
def test_invalid_values(setting: Setting[Any], given: Any, text: str, lines: Any, monkeypatch: Any) -> None:
    """A value that is not allowed gives the default, and one line says which setting, what is allowed, what is used."""
    for _ in range(3):
        assert setting.read(given) == setting.default
    assert lines() == [line(f"{setting.name} must be {text}")]
    if isinstance(given, str):
        monkeypatch.setenv(setting.variable, given)
        for _ in range(3):
            assert setting.read() == setting.default
        assert lines()[1:] == [line(f"{setting.variable} must be {text}")]


def test_very_long_number(lines: Any) -> None:
    """A number that Python refuses to print or to read is an invalid value."""
    assert RELOAD_INTERVAL.read(10**5_000) == RELOAD_INTERVAL.read("9" * 5_000) == 10_000
    assert len(lines()) == 2


def test_invalid_option_hides_the_environment(monkeypatch: pytest.MonkeyPatch, lines: Any) -> None:
    """An invalid option leads to the default, not to the environment."""
    monkeypatch.setenv(RELOAD_INTERVAL.variable, "500")
    assert RELOAD_INTERVAL.read("soon") == 10_000
    assert len(lines()) == 1


def test_control_characters_and_long_values(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid value is shown shortened on one line."""
    monkeypatch.setenv(UNREGISTERED_POLICY.variable, "a\nb\x1b[31m" + "x" * 10_000)
    assert UNREGISTERED_POLICY.read() == "warn"
    (found,) = lines()
    assert "got 'a\\nb\\x1b[31mxxx" in found
    assert found.isprintable()
    assert len(found) < 500


def test_bytes_that_are_not_text(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is not UTF-8 can be logged."""
    monkeypatch.setenv(UNREGISTERED_POLICY.variable, "\udcff")
    assert UNREGISTERED_POLICY.read() == "warn"
    assert lines()[0].encode()


def test_number_of_lines_is_limited(lines: Any) -> None:
    """A process logs at most 100 invalid values."""
    for number in range(150):
        UNREGISTERED_POLICY.read(f"bad {number}")
    assert len(lines()) == 100


def test_parse_raises_an_error() -> None:
    """``parse`` raises an error with the name that it was given."""
    with pytest.raises(InvalidEntryError, match=r"^mine must be one of warn, ignore; got 'drop'$"):
        UNREGISTERED_POLICY.parse("drop", "mine")


# Paths


@pytest.mark.parametrize("working", [True, False], ids=["here", "elsewhere"])
def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, working: bool) -> None:
    """Relative paths are those of the working folder at the time; the same file twice counts once."""
    folder = tmp_path / ("a" if working else "b")
    folder.mkdir()
    monkeypatch.chdir(folder)
    expected = (f"{folder}{os.sep}m.json", f"{tmp_path}{os.sep}n.yaml")
    text = f" m.json {SEP}{SEP}..{os.sep}n.yaml{SEP}.{os.sep}m.json{SEP}{folder}{os.sep}m.json"
    monkeypatch.setenv(FILE.variable, text)
    assert FILE.read() == FILE.read(text) == FILE.read(["m.json", "../n.yaml"]) == expected
    assert FILE.read(Path("m.json")) == FILE.read([Path("m.json")]) == expected[:1]


def test_a_list_of_paths_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a list a path may have the separator in it, and blanks around it."""
    monkeypatch.chdir(tmp_path)
    assert FILE.read([f"a{SEP}b.json", " c.json "]) == (
        f"{tmp_path}{os.sep}a{SEP}b.json",
        f"{tmp_path}{os.sep} c.json ",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="a working folder cannot be deleted there")
def test_the_working_folder_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Any) -> None:
    """Without a working folder relative paths cannot be told, which one line says; absolute ones work."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert FILE.read("/a.json:/b.json") == ("/a.json", "/b.json")
    assert lines() == []
    monkeypatch.setenv(FILE.variable, "/a.json:b.json")
    for _ in range(2):
        assert FILE.read() == ()
    rule = (
        "must be an absolute path, because the working folder does not exist; got '/a.json:b.json'; "
        "using the default, none"
    )
    assert lines() == [line(f"OTEL_PYTHON_MODEL_REGISTRY_FILE {rule}")]


# Secrets


@pytest.mark.parametrize("text", ["s3cret", "a b=s3cret", "a=s3cret%0Ab", "=s3cret", "a=s3cret,b", "a=s3cr\xe9t", ","])
def test_invalid_headers_are_not_shown(text: str, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line about invalid headers has no part of them."""
    monkeypatch.setenv(HEADERS.variable, text)
    assert HEADERS.read() == ()
    rule = "name=value, or several separated by ',', with %XX for special characters; its text is not shown here"
    assert lines() == [line(f"{HEADERS.variable} must be {rule}; using the default, none")]


@pytest.mark.parametrize("text", [SEP, "none", " x "])
def test_trusted_keys_are_never_dropped(text: str, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that names no key is not read as no keys, because then no signature would be required."""
    monkeypatch.setenv(TRUSTED_KEYS.variable, text)
    assert len(TRUSTED_KEYS.read()) == 1
    assert lines() == []


# Options


def test_unknown_option(lines: Any) -> None:
    """An unknown option is removed and logged once."""
    for _ in range(2):
        assert drop_unknown_options({"file": "a", "flie": "b", "unregistered": None}) == {
            "file": "a",
            "unregistered": None,
        }
    names = ", ".join(("enabled", *(field.name for field in dataclasses.fields(Options))))
    assert lines() == [line(f"option 'flie' is unknown and ignored; options are {names}")]


# Names


def test_names_of_variables() -> None:
    """Each variable is named after its option, and both are there once."""
    assert [setting.variable for setting in SETTINGS] == [
        f"OTEL_PYTHON_MODEL_REGISTRY_{setting.name.upper()}" for setting in SETTINGS
    ]
    assert len({setting.variable for setting in SETTINGS}) == len(SETTINGS)
    module_wide = [value for value in vars(settings).values() if isinstance(value, Setting)]
    assert set(module_wide) == set(SETTINGS)


def test_the_entry_point_module_names_each_variable() -> None:
    """The module that OpenTelemetry looks into has the variables of all settings, and no other ``OTEL_`` name."""
    module = spanforge_model_registry_otel
    found = {name: getattr(module, name) for name in dir(module) if name.startswith("OTEL_")}
    assert found == {setting.variable: setting.variable for setting in SETTINGS}


def test_declarative_configuration_has_each_option() -> None:
    """The options of declarative configuration are the settings but the sampler's; ``enabled`` is OpenTelemetry's."""
    names = [field.name for field in dataclasses.fields(Options)]
    assert ["enabled", *names] == [setting.name for setting in OPTIONS]
    assert all(getattr(Options(), name) is None for name in names)


@pytest.mark.parametrize(
    ("name", "meant"),
    {
        "FILES": "FILE",
        "PATH": "FILE",
        "file": "FILE",
        "FILE_": "FILE",
        "RELOAD_INTERVALL": "RELOAD_INTERVAL",
        "INTERVAL": "RELOAD_INTERVAL",
        "SPAN_ATTRIBUTE": "SPAN_ATTRIBUTES",
        "EVENT": "EVENTS",
        "ENABLE": "ENABLED",
        "OTEL_MODEL_REGISTRY_FILE": "FILE",
        "OTEL_PYTHON_MODELREGISTRY_EVENTS": "EVENTS",
        "OTEL_PYTHON_MODEL_REGISTERY_FILE": "FILE",
        "OTEL_PYTHON_MODEL_REGSTRY_MATCH": "MATCH",
        "OTEL_PYTHON_MODEL_REGISTRY": "FILE",
        "ATTRIBUTES": "SPAN_ATTRIBUTES",
        "COLOUR": None,
        "X": None,
    }.items(),
)
def test_unknown_variables(name: str, meant: str | None, lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is nearly a setting gets one line: with the setting that is meant, or with all of them."""
    variable = name if name.startswith("OTEL") else VARIABLES + name
    monkeypatch.setenv(variable, "models.json")
    for _ in range(2):
        warn_about_unknown_variables()
    endings = ", ".join(setting.variable.removeprefix(VARIABLES) for setting in SETTINGS)
    remedy = f"did you mean {VARIABLES}{meant}?" if meant else f"the names are {VARIABLES} and one of {endings}"
    assert lines() == [f"WARNING {LOGGER} model registry: {variable} is unknown and ignored; {remedy}"]


def test_known_variables(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, and variables of OpenTelemetry and of others, get no line."""
    others = [*OTEL_VARIABLES, "MODEL_REGISTRY_FILE", "MLFLOW_MODEL_REGISTRY_URI", "OTEL", "OTEL_PYTHON_MODEL"]
    for name in (*(setting.variable for setting in SETTINGS), *others):
        monkeypatch.setenv(name, "")
    warn_about_unknown_variables()
    assert lines() == []
