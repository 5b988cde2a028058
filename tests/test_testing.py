"""The helpers for tests of applications: an isolated registry, its events and its spans, and what is left after it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from support.log_lines import library_records
from support.spans import REQUEST
from support.waiting import wait_until

from spanforge.model_registry import (
    InvalidValueError,
    ModelRegistry,
    RegistryFileError,
    deprecate_model,
    event_counts,
    flush_events,
    get_default_registry,
    list_models,
    register_model,
    retire_model,
)
from spanforge.model_registry._core import process
from spanforge.model_registry._core.calendar_watch import follow_calendar_setting, list_calendar_states
from spanforge.model_registry.otel import ModelRegistrySpanProcessor, status
from spanforge.model_registry.testing import IsolatedRegistry, isolate_registry
from spanforge.model_registry.watch import file_states, follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS: dict[str, Any] = {
    "model_id": "acme-chat-1",
    "name": "Acme Chat 1",
    "version": "1",
    "risk_tier": "high",
    "owner": "chat-team",
    "purpose": "support agent",
}


def call(provider: trace.TracerProvider, model: str = "acme-chat-1") -> None:
    """Make a span as an instrumentation does."""
    with provider.get_tracer("app").start_as_current_span(f"chat {model}") as span:
        span.set_attribute(REQUEST, model)


def describe_process() -> dict[str, Any]:
    """Return the library's state in this process, of each part that does not go on in tests."""
    states = [state for state in process._states if not state.goes_on]
    parts = {f"{type(state).__qualname__} {number}": vars(state).copy() for number, state in enumerate(states)}
    parts["registry"] = vars(get_default_registry()).copy()
    del parts["registry"]["_last_timestamp"]  # time goes on
    logger = logging.getLogger("spanforge.model_registry")
    parts["logger"] = {"handlers": list(logger.handlers), "level": logger.level}
    return parts


def list_threads() -> list[str]:
    """Return the names of the library's threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("model-registry")]


def use_everything(isolated: IsolatedRegistry, folder: Path) -> None:
    """Change each part of the state: entries, events, counts, names, warnings, followed files and a calendar."""
    register_model(**FIELDS)
    deprecate_model("acme-chat-1", reason="old")
    get_default_registry().save(folder / "saved.json")
    for model in ("acme-chat-1", "acme-chat-9", "acmé-chat"):
        call(isolated.tracer_provider, model)
    ModelRegistry().register(**FIELDS)
    (folder / "test.json").write_text("[]")
    (folder / "test-calendar.yaml").write_text("[]")
    follow_settings(file=[str(folder / "test.json")], reload_interval=60_000)
    follow_calendar_setting(get_default_registry(), str(folder / "test-calendar.yaml"))
    assert len(file_states()) >= 2
    flush_events()


@pytest.mark.parametrize("keep_models", [False, True])
@pytest.mark.parametrize("follows", [False, True])
def test_the_state_of_the_process_is_as_before(tmp_path: Path, *, keep_models: bool, follows: bool) -> None:
    """After a test that uses everything, each part of the state is as before, and no thread is left."""
    app_file = tmp_path / "app.json"
    ModelRegistry(auto_emit=False).save(app_file)
    if follows:
        follow_settings(file=[str(app_file)], reload_interval=60_000)
    register_model(**{**FIELDS, "model_id": "app"})
    with isolate_registry() as isolated:  # the report about a start stops once for all
        use_everything(isolated, tmp_path)
    before = describe_process()
    with isolate_registry(keep_models=keep_models) as isolated:
        (tmp_path / "saved.json").unlink()
        use_everything(isolated, tmp_path)
    assert describe_process() == before
    wait_until(lambda: list_threads() == (["model-registry-files"] if follows else []))
    assert [entry.model_id for entry in list_models()] == ["app"]
    assert [Path(state.path).name for state in file_states()] == (["app.json"] if follows else [])
    assert list_calendar_states() == []


def test_a_test_that_fails_leaves_nothing() -> None:
    """An exception in the test passes through, and the state is as before."""

    def fail() -> None:
        with isolate_registry():
            register_model(**FIELDS)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list_models() == []
    assert event_counts() == (0, 0, 0, 0)


def test_followed_files_are_followed_again(tmp_path: Path) -> None:
    """Changes during the test do not reach the test, and are in force soon after it."""
    path = tmp_path / "models.json"
    registry = ModelRegistry(auto_emit=False)
    registry.save(path)
    follow_settings(file=[str(path)], reload_interval=30)
    with isolate_registry():
        registry.register(**FIELDS)
        registry.save(path)
        wait_until(lambda: list_threads() == [])  # nobody reads the file
        assert list_models() == []
    wait_until(list_models)
    follow_settings(file=[str(path)], reload_interval=0)


def test_events_and_spans() -> None:
    """The last event and the last span that match are returned; spans of operations are not among the spans."""
    with isolate_registry() as isolated:
        register_model(**FIELDS)
        deprecate_model("acme-chat-1", reason="first")
        deprecate_model("acme-chat-1", reason="second", actor="kim")
        call(isolated.tracer_provider)
        call(isolated.tracer_provider, "acme-chat-9")
        event = isolated.assert_event("model_registry.deprecated", model_id="acme-chat-1")
        assert (event.reason, event.actor, event.previous_status) == ("second", "kim", "deprecated")
        assert isolated.assert_event("model_registry.deprecated", reason="first").actor is None
        span = isolated.assert_span("chat acme-chat-1", owner="chat-team", name="Acme Chat 1", version="1")
        assert span is isolated.spans[0]
        warnings = ["model 'acme-chat-1' is deprecated"]
        assert isolated.assert_span(warnings=warnings, successor=None) is span
        assert isolated.assert_span(status="unregistered", owner=None) is isolated.spans[1]
        assert [each.name for each in isolated.spans] == ["chat acme-chat-1", "chat acme-chat-9"]
        assert [each.name.partition(".")[2] for each in isolated.events] == ["registered", "deprecated", "deprecated"]
        assert event_counts().emitted == 3


QUESTION = "is the client's instrumentation active, and does it use this tracer provider?"
FAILURES: list[tuple[Callable[[IsolatedRegistry], object], str]] = [
    (
        lambda isolated: isolated.assert_event("model_registry.retired", model_id="acme-chat-1", reason="x"),
        """\
no event model_registry.retired with model_id='acme-chat-1', reason='x'; the test has 1:
  model_registry.registered: model_id='acme-chat-1', reason=None""",
    ),
    (
        lambda isolated: isolated.assert_event("model_registry.retired"),
        "no event model_registry.retired; the test has 1:\n  model_registry.registered: model_id='acme-chat-1'",
    ),
    (
        lambda isolated: isolated.assert_span(owner="search-team"),
        "no span with owner='search-team'; the test has 1:\n  chat acme-chat-1: owner='chat-team'",
    ),
    (
        lambda isolated: (isolated.spans.clear(), isolated.assert_span("chat")),
        f"no span chat; the test has no spans; {QUESTION}",
    ),
]


@pytest.mark.parametrize(("check", "message"), FAILURES)
def test_a_failed_assertion_lists_what_there_is(check: Callable[[IsolatedRegistry], object], message: str) -> None:
    """The message has what the test wants, and what there is, with the same attributes."""
    with isolate_registry() as isolated:
        register_model(**FIELDS)
        call(isolated.tracer_provider)
        with pytest.raises(AssertionError) as caught:
            check(isolated)
    assert str(caught.value) == message


def test_files_of_the_setting_are_not_in_force(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warning about a test without models names ``load_files`` if the setting names a file."""
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_FILE", "models.yaml")
    with isolate_registry() as isolated:
        call(isolated.tracer_provider)
    (record,) = [each for each in library_records(caplog) if "no models" in each.getMessage()]
    advice = "the files of OTEL_PYTHON_MODEL_REGISTRY_FILE are not in force here; in a test, load them with load_files"
    assert record.getMessage().endswith(f"every model shows as unregistered; {advice}")


def test_a_long_list_is_cut() -> None:
    """The message has the last twenty spans."""
    with isolate_registry() as isolated:
        for number in range(30):
            call(isolated.tracer_provider, f"m-{number}")
        with pytest.raises(AssertionError, match="the test has 30:") as caught:
            isolated.assert_span(owner="x")
    assert str(caught.value).splitlines()[1:] == [f"  chat m-{number}: owner=None" for number in range(10, 30)]


@pytest.mark.parametrize(
    "check",
    [
        lambda isolated: isolated.assert_event("deprecated"),
        lambda isolated: isolated.assert_event("model_registry.retired", modelid="m"),
        lambda isolated: isolated.assert_span(ownr="x"),
    ],
)
def test_a_wrong_name_is_an_error(check: Callable[[IsolatedRegistry], object]) -> None:
    """A name that no event or attribute has is an error with the allowed names, and not a failed assertion."""
    with isolate_registry() as isolated, pytest.raises(InvalidValueError, match=r"must be one of .*; got"):
        check(isolated)


def test_the_provider_of_the_application() -> None:
    """Spans of the application's provider are enriched and kept, once each, and only during the tests."""
    provider = TracerProvider(shutdown_on_exit=False)
    processors = provider._active_span_processor._span_processors
    numbers = []
    for _ in range(3):
        with isolate_registry(tracer_provider=provider) as isolated:
            register_model(**FIELDS)
            call(provider)
            isolated.assert_span(owner="chat-team")
            assert len(isolated.spans) == 1
        call(provider)
        assert len(isolated.spans) == 1
        numbers.append(len(provider._active_span_processor._span_processors))
    assert numbers == [2, 2, 2] == [len(processors) + 2] * 3
    provider.shutdown()


def test_a_provider_that_has_the_processor() -> None:
    """If the application has installed the processor, spans are enriched and counted once, before and after tests."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ModelRegistrySpanProcessor())
    register_model(**{**FIELDS, "owner": "app-team"})
    call(provider)
    for owner in ("one", "two"):
        with isolate_registry(tracer_provider=provider) as isolated:
            register_model(**{**FIELDS, "owner": owner})
            call(provider)
            isolated.assert_span(owner=owner)
            assert status().calls == 1
    call(provider)
    assert status().calls == 2
    provider.shutdown()


def test_a_provider_without_processors() -> None:
    """OpenTelemetry's placeholder for a provider that is not set yet is an error with the remedy."""
    provider: Any = trace.ProxyTracerProvider()
    with pytest.raises(InvalidValueError, match=r"set_tracer_provider\(\) before the tests"):
        isolate_registry(tracer_provider=provider).__enter__()
    assert list_models() == []


def test_a_test_within_a_test() -> None:
    """The inner test has its own events and spans, and the outer one goes on with its own."""
    provider = TracerProvider(shutdown_on_exit=False)
    with isolate_registry(tracer_provider=provider) as outer:
        register_model(**FIELDS)
        with isolate_registry(keep_models=True, tracer_provider=provider) as inner:
            retire_model("acme-chat-1")
            call(provider)
            inner.assert_span(status="retired")
            assert [event.operation for event in inner.events] == ["retire"]
        call(provider)
        outer.assert_span(status="active")
        deprecate_model("acme-chat-1")
        assert [event.operation for event in outer.events] == ["register", "deprecate"]
        assert len(outer.spans) == 1
    provider.shutdown()


def test_each_test_gets_its_warnings_again(caplog: pytest.LogCaptureFixture) -> None:
    """Warnings that are logged once in a process are logged once in each test."""
    for _ in range(2):
        caplog.clear()
        with isolate_registry() as isolated:
            register_model(**FIELDS)
            retire_model("acme-chat-1")
            for _ in range(2):
                call(isolated.tracer_provider)
        lines = [record.getMessage() for record in library_records(caplog)]
        about_models = [line for line in lines if "this opentelemetry-sdk" not in line]
        assert about_models == ["model registry: model 'acme-chat-1' is retired (owner: chat-team)"]


def test_files(tmp_path: Path) -> None:
    """Files and folders are in force above the application's entries, as by the setting."""
    (tmp_path / "models.yaml").write_text(
        "- {model_id: acme-chat-1, name: A, version: '1', risk_tier: low, owner: f, purpose: p}"
    )
    with isolate_registry() as isolated:
        register_model(**FIELDS)
        isolated.load_files(tmp_path)
        assert [entry.owner for entry in list_models()] == ["f"]
        call(isolated.tracer_provider)
        isolated.assert_span(owner="f")
    assert list_models() == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a.json": "[{}]"}, "is missing"),
        ({}, "no file in this folder"),
        (
            dict.fromkeys(
                ("a.yaml", "b.yaml"), "[{model_id: m, name: A, version: '1', risk_tier: low, owner: f, purpose: p}]"
            ),
            "has model 'm', which is also in",
        ),
    ],
)
def test_invalid_files(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    """An invalid file is an error, not a log line, and nothing of it is in force."""
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with isolate_registry() as isolated:
        with pytest.raises(RegistryFileError, match=problem):
            isolated.load_files(tmp_path)
        assert list_models() == []
