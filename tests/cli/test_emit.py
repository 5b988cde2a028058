"""``emit``: the lifecycle events of a change, sent once to a receiver, or the reason why not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from support.commands import Printed, command_environment, command_line, copy_examples, run_here
from support.processes import SECONDS
from support.receivers import Receiver, receiving_grpc, receiving_http
from support.repositories import Repository, describe_model

from spanforge.model_registry._cli.revisions import CI_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEPRECATED = describe_model(
    status="deprecated", metadata={"deprecation_reason": "replaced", "deprecation_date": "2026-11-01"}
)
REMEDY = ". Remove the cause and run the command again: evidence counts a repeated event once\n"
REVISION = ("--source-revision", "4f2a9c1")
CI = (*CI_VARIABLES, "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "CI_COMMIT_TIMESTAMP")

Emit = Callable[..., Printed]


@pytest.fixture(params=[receiving_http, receiving_grpc], ids=["http", "grpc"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    """Give a receiver of each protocol."""
    with request.param() as running:
        yield running


@pytest.fixture
def http_receiver() -> Iterator[Receiver]:
    """Give a receiver of HTTP requests."""
    with receiving_http() as running:
        yield running


@pytest.fixture
def emit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Emit:
    """Give a function that runs the command on a change of two models, with these environment variables."""
    monkeypatch.chdir(tmp_path)
    for name in CI:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "old.json").write_text(json.dumps([describe_model()]))
    (tmp_path / "new.json").write_text(json.dumps([DEPRECATED, describe_model("acme-chat-2")]))

    def run(*arguments: str, files: tuple[str, str] = ("old.json", "new.json"), **settings: str) -> Printed:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return run_here(capsys, "emit", *files, *arguments)

    return run


def test_the_events_of_a_change(receiver: Receiver, emit: Emit) -> None:
    """Each event is the only one of its span, has the file's dates and reason, and the actor and the revision."""
    printed = emit("--actor", "ana", "--source-revision", "4f2a9c1", "--at", "2026-11-02", **receiver.settings)
    assert printed.code == 0, printed.err
    assert printed.err.splitlines() == [
        "actor: ana (--actor)",
        "source revision: 4f2a9c1 (--source-revision)",
        "time: 2026-11-02T00:00:00.000000Z (--at)",
        "2 events sent",
    ]
    events = receiver.list_events()
    assert [name for name, _ in events] == ["model_registry.deprecated", "model_registry.registered"]
    facts = {key.removeprefix("model_registry."): value for key, value in events[0][1].items()}
    assert facts == {
        "model_id": "acme-chat-1",
        "name": "Acme",
        "version": "1",
        "risk_tier": "high",
        "owner": "chat-team",
        "purpose": "chat",
        "status": "deprecated",
        "previous_status": "active",
        "reason": "replaced",
        "metadata.deprecation_reason": "replaced",
        "metadata.deprecation_date": "2026-11-01",
        "actor": "ana",
        "source_revision": "4f2a9c1",
    }
    assert [span.name for span in receiver.spans] == ["model_registry.deprecate", "model_registry.register"]


def test_settings_of_an_application_lose_no_event(receiver: Receiver, emit: Emit) -> None:
    """Samplers and limits of the environment do not apply."""
    limits = ("SPAN_EVENT_COUNT", "ATTRIBUTE_VALUE_LENGTH", "ATTRIBUTE_COUNT", "EVENT_ATTRIBUTE_COUNT")
    settings = {f"OTEL_{name}_LIMIT": "1" for name in limits}
    printed = emit(OTEL_TRACES_SAMPLER="always_off", OTEL_BSP_MAX_QUEUE_SIZE="1", **settings, **receiver.settings)
    assert printed.code == 0, printed.err
    assert {name: os.environ[name] for name in settings} == settings
    assert [attributes["model_registry.model_id"] for _, attributes in receiver.list_events()] == [
        "acme-chat-1",
        "acme-chat-2",
    ]


def test_a_repeat_has_the_same_identity(
    receiver: Receiver, emit: Emit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time and ids come from the commit, so a job that runs again sends equal spans; the actor is whom CI names."""
    repository = Repository(tmp_path / "repository")
    repository.commit({"models.json": []})
    commit = repository.commit({"models.json": [describe_model("a"), describe_model("b")]})
    monkeypatch.chdir(repository.folder)
    sent = []
    for revision in ("HEAD", commit):
        versions = "git:HEAD~1:models.json", f"git:{revision}:models.json"
        printed = emit(files=versions, GITHUB_ACTOR="octocat", GITHUB_SHA="other", **receiver.settings)
        assert printed.code == 0, printed.err
        assert printed.err.splitlines()[:3] == [
            "actor: octocat (GITHUB_ACTOR)",
            f"source revision: {commit} (the commit of NEW)",
            "time: 2026-01-02T00:00:00.000000Z (the time of the commit)",
        ]
        sent.append([span.SerializeToString(deterministic=True) for span in receiver.spans])
        receiver.spans.clear()
    assert sent[0] == sent[1]
    assert len(set(sent[0])) == 2


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({}, ("actor: none", "source revision: none", "(now)")),
        (
            {"GITLAB_USER_LOGIN": "bo", "CI_COMMIT_SHA": "abc", "CI_COMMIT_TIMESTAMP": "2026-11-02T10:00:00+02:00"},
            (
                "actor: bo (GITLAB_USER_LOGIN)",
                "source revision: abc (CI_COMMIT_SHA)",
                "time: 2026-11-02T08:00:00.000000Z (CI_COMMIT_TIMESTAMP)",
            ),
        ),
        ({"BUILDKITE_COMMIT": "abc"}, ("actor: none", "source revision: abc (BUILDKITE_COMMIT)", " (now)")),
        ({"CI_COMMIT_SHA": "main"}, ("actor: none", "<id> (CI_COMMIT_SHA)", "(the time of the commit)")),
        ({"GITHUB_ACTOR": "", "GITHUB_SHA": "<id>"}, ("actor: none", "<id> (GITHUB_SHA)", "(the time of the commit)")),
    ],
    ids=["nothing", "gitlab", "buildkite", "a-branch", "github"],
)
def test_the_facts_that_ci_knows(emit: Emit, tmp_path: Path, settings: dict[str, str], lines: tuple[str, ...]) -> None:
    """Files outside of git have the revision, its time and the actor of the CI job, and the command says so."""
    commit = Repository(tmp_path).commit({})
    printed = emit("--dry-run", **{name: value.replace("<id>", commit) for name, value in settings.items()})
    assert printed.code == 0
    for line, expected in zip(printed.err.splitlines(), lines, strict=False):
        assert line.endswith(expected.replace("<id>", commit)), (line, expected)
    assert printed.err.splitlines()[-1] == "2 events; nothing was sent"


def test_json(emit: Emit) -> None:
    """JSON has the events, the facts and whether they were sent."""
    printed = emit("--dry-run", "--format", "json", "--at", "2026-11-02T10:00:00Z")
    assert json.loads(printed.out) == {
        "events": [
            {
                "name": "model_registry.deprecated",
                "model_id": "acme-chat-1",
                "status": "deprecated",
                "previous_status": "active",
                "reason": "replaced",
                "at": "2026-11-02T10:00:00.000000Z",
            },
            {
                "name": "model_registry.registered",
                "model_id": "acme-chat-2",
                "status": "active",
                "previous_status": None,
                "reason": None,
                "at": "2026-11-02T10:00:00.000001Z",
            },
        ],
        "actor": None,
        "source_revision": None,
        "time": "2026-11-02T10:00:00.000000Z",
        "sent": False,
    }


def test_the_console(emit: Emit) -> None:
    """``--console`` prints spans and log records as the setting of the events has them, and needs no receiver."""
    settings = {"OTEL_PYTHON_MODEL_REGISTRY_EVENTS": "span,log", "OTEL_ATTRIBUTE_COUNT_LIMIT": "1"}
    printed = emit("--console", **settings)
    assert printed.code == 0, printed.err
    assert printed.out.count('"name": "model_registry.deprecated"') == 1
    assert printed.out.count('"event_name": "model_registry.deprecated"') == 1
    assert printed.out.count('"model_registry.owner": "chat-team"') == 4


def test_a_change_without_events(emit: Emit) -> None:
    """A removed model has no event, so nothing is sent and no receiver is needed."""
    printed = emit(files=("new.json", "new.json"))
    assert (printed.code, printed.out) == (0, "")
    assert printed.err.splitlines()[-1] == "0 events; nothing was sent"


@pytest.mark.parametrize(
    ("status", "kind", "body", "reason"),
    [
        (400, "text/plain", b"no", "batch code: 400, "),
        (
            200,
            "text/html",
            b"<p>log in",
            "the receiver rejected 2 of them: it is no OTLP receiver: its answer is text/html",
        ),
        (
            200,
            "application/json",
            b'{"partialSuccess": {"rejectedSpans": "1", "errorMessage": "too old"}}',
            "1 of 2 events were sent as spans: the receiver rejected 1 of them: too old",
        ),
        (
            200,
            "application/x-protobuf",
            ExportTraceServiceResponse(partial_success=ExportTracePartialSuccess(rejected_spans=2)).SerializeToString(),
            "0 of 2 events were sent as spans: the receiver rejected 2 of them: it gave no reason",
        ),
    ],
    ids=["refused", "a-web-page", "rejected-in-json", "rejected"],
)
def test_a_receiver_that_refuses(  # noqa: PLR0913 - pytest's arguments
    http_receiver: Receiver, emit: Emit, status: int, kind: str, body: bytes, reason: str
) -> None:
    """If a receiver does not accept all events, the exit code is 2, and one line has the reason and what to do."""
    http_receiver.status, http_receiver.kind, http_receiver.body = status, kind, body
    printed = emit(*REVISION, **http_receiver.settings)
    assert printed.code == 2
    last = printed.err.splitlines(keepends=True)[-1]
    assert reason in last
    assert last.endswith(REMEDY)
    assert " sent\n" not in printed.err


@pytest.mark.slow
def test_many_events_of_which_a_batch_is_refused(http_receiver: Receiver, emit: Emit, tmp_path: Path) -> None:
    """All batches are sent at once; after a failure, no further batch is sent."""
    (tmp_path / "many.json").write_text(json.dumps([describe_model(f"m{number}") for number in range(1_500)]))
    (tmp_path / "none.json").write_text("[]")
    printed = emit(files=("none.json", "many.json"), **http_receiver.settings)
    assert (printed.code, len(http_receiver.spans)) == (0, 1_500)
    http_receiver.status, http_receiver.kind, http_receiver.body = 403, "text/plain", b"no"
    http_receiver.spans.clear()
    printed = emit(files=("none.json", "many.json"), **http_receiver.settings)
    assert (printed.code, len(http_receiver.spans)) == (2, 512)
    assert "0 of 1500 events were sent as spans: Failed to export spans batch code: 403, " in printed.err
    assert "Traceback" not in printed.err


def test_a_receiver_that_rejects_over_grpc(emit: Emit) -> None:
    """What a gRPC receiver rejects is not lost either. Without a revision, the line has the time for a repeat."""
    with receiving_grpc() as receiver:
        receiver.rejected = 1
        printed = emit(**receiver.settings)
        time = printed.err.splitlines()[2].split()[1]
        again = emit("--at", time, **receiver.settings)
        times = [span.events[0].time_unix_nano for span in receiver.spans]
    assert (times[:2], again.err.splitlines()[-1]) == (times[2:], printed.err.splitlines()[-1])
    reason = "1 of 2 events were sent as spans: the receiver rejected 1 of them: no room"
    remedy = REMEDY.replace("again: evidence", f"again with --at {time}: evidence then")
    assert printed.err.splitlines(keepends=True)[-1] == f"spanforge-models: {reason}{remedy}"
    assert printed.code == 2


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_receiver_that_is_down(protocol: str, emit: Emit) -> None:
    """A connection that is refused is the reason, after the time-out of the environment."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    printed = emit(
        *REVISION,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
    )
    last = printed.err.splitlines(keepends=True)[-1]
    assert (printed.code, last.count("0 of 2 events were sent as spans: ")) == (2, 1)
    assert "Connection refused" in last or "StatusCode.UNAVAILABLE" in last  # newer exporters name the cause
    assert last.endswith(REMEDY)


RECEIVER = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
WRONG: list[tuple[dict[str, str], str]] = [
    (
        {**RECEIVER, "OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
        "the exporter otlp_proto_grpc cannot be set up: ValueError: could not convert string to float: 'soon'",
    ),
    ({}, "there is no receiver of spans: set OTEL_EXPORTER_OTLP_ENDPOINT, or pass --console to print the events"),
    (
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", "OTEL_PYTHON_MODEL_REGISTRY_EVENTS": "log"},
        "there is no receiver of log records: set OTEL_EXPORTER_OTLP_ENDPOINT, or pass --console to print the events",
    ),
    (
        {**RECEIVER, "OTEL_PYTHON_MODEL_REGISTRY_EVENTS": "none"},
        "OTEL_PYTHON_MODEL_REGISTRY_EVENTS is none, so there are no events to send",
    ),
    (
        {**RECEIVER, "OTEL_TRACES_EXPORTER": "none"},
        "OTEL_TRACES_EXPORTER is none, so no spans can be sent; remove it",
    ),
    ({**RECEIVER, "OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: no exporter zipkin is installed"),
    (
        {**RECEIVER, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
        "OTEL_EXPORTER_OTLP_PROTOCOL must be one of grpc, http/protobuf; got 'http/json'",
    ),
    (
        {**RECEIVER, "OTEL_SDK_DISABLED": "true"},
        f"0 of 2 events were sent as spans: OTEL_SDK_DISABLED is true{REMEDY[:-1]}",
    ),
]


@pytest.mark.parametrize(("settings", "line"), WRONG, ids=range(len(WRONG)))
def test_wrong_settings(emit: Emit, settings: dict[str, str], line: str) -> None:
    """The last line says which setting keeps the events from being sent."""
    printed = emit(*REVISION, **settings)
    assert printed.code == 2
    assert printed.err.splitlines()[-1] == f"spanforge-models: {line}"


@pytest.mark.e2e
def test_ctrl_c_while_a_receiver_does_not_answer(tmp_path: Path) -> None:
    """The command ends at once, with exit code 130, and does not say that the events were sent."""
    folder = copy_examples(tmp_path)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "600",
        }
        command = command_line("emit", "old.yaml", "models.yaml")
        environment = command_environment(**settings)
        with (
            subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process,
            closing(server.accept()[0]),
        ):
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "spanforge-models: interrupted" in errors.splitlines()
    assert " sent" not in errors


def test_without_the_exporter(emit: Emit, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the OTLP exporters are not installed, one line says what to install."""
    monkeypatch.setattr("spanforge.model_registry._cli.exporters.entry_points", lambda **_: ())
    printed = emit(**RECEIVER)
    advice = "pip install '.[otlp]' in a clone, or 'spanforge-model-registry[otlp]' for a released version"
    line = f"spanforge-models: events that are sent need the extra otlp: {advice}"
    assert (printed.code, printed.err.splitlines()[-1]) == (2, line)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--at", "noon"], "--at must be an RFC 3339 date or date-time"),
        (["--actor", " "], "--actor must be"),
    ],
)
def test_wrong_options(emit: Emit, arguments: list[str], line: str) -> None:
    """An option with a wrong value is named."""
    printed = emit(*arguments)
    assert printed.code == 2
    assert printed.err.startswith(f"spanforge-models: {line}"), printed.err


def test_a_change_that_the_lifecycle_does_not_allow(emit: Emit, tmp_path: Path) -> None:
    """Nothing is sent, and the error names the model."""
    (tmp_path / "old.json").write_text(json.dumps([describe_model(status="retired")]))
    printed = emit(**RECEIVER)
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.splitlines() == [
        "model 'acme-chat-1' has no event: no operation leads from retired to deprecated",
        "spanforge-models: cannot deprecate model 'acme-chat-1': it is already retired",
    ]


def test_a_change_that_no_operation_makes(emit: Emit) -> None:
    """A deprecated model that is active again has no event, and a line says so."""
    printed = emit("--dry-run", files=("new.json", "old.json"))
    assert (printed.code, printed.out) == (0, "")
    line = "model 'acme-chat-1' has no event: no operation leads from deprecated to active"
    assert printed.err.splitlines()[0] == line
