"""Exporters of OpenTelemetry, as its environment variables choose them. They report what the receiver accepted."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import escape_controls
from spanforge.model_registry._core.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from spanforge.model_registry._core.attributes import EventSignal


class SignalNames(NamedTuple):
    """The names of a signal of lifecycle events in OpenTelemetry.

    Attributes:
        items: The items that are exported, in the plural.
        variable: The word in environment variables.
        group: The group of entry points of exporters.
        response: The module and the class of the receiver's response.
        rejected: The field of a response with the number of rejected items.
    """

    items: str
    variable: str
    group: str
    response: str
    rejected: str


SIGNAL_NAMES: Final[Mapping[EventSignal, SignalNames]] = {
    "span": SignalNames(
        "spans",
        "TRACES",
        "opentelemetry_traces_exporter",
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2:ExportTraceServiceResponse",
        "rejected_spans",
    ),
    "log": SignalNames(
        "log records",
        "LOGS",
        "opentelemetry_logs_exporter",
        "opentelemetry.proto.collector.logs.v1.logs_service_pb2:ExportLogsServiceResponse",
        "rejected_log_records",
    ),
}
_PROTOCOLS: Final = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
"""The exporters of the protocols. As in OpenTelemetry's own set-up for Python, the default is ``grpc``."""
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


class WatchedExporter:
    """Passes batches to an exporter, and keeps the number of accepted items and the first problem.

    Attributes:
        accepted: The number of items that the receiver accepted.
        problem: The first failure; ``None`` if there is none. After it, nothing more is sent.
        batch_size: The number of items of the batch that is being sent.

    Args:
        exporter: The exporter.
        messages: The messages that OpenTelemetry logs meanwhile; see ``keep_messages``.
    """

    def __init__(self, exporter: Any, messages: list[str]) -> None:
        self.accepted = 0
        self.problem: str | None = None
        self.batch_size = 0
        self._exporter = exporter
        self._messages = messages
        self._rejected = 0

    def export(self, batch: Sequence[Any]) -> Any:
        """Export a batch, unless an earlier one failed."""
        if self.problem is not None:
            return None
        self._rejected, self.batch_size = 0, len(batch)
        try:
            result = self._exporter.export(batch)
        except Exception as error:
            self.problem = f"{type(error).__name__}: {error}"
            raise
        if result.name != "SUCCESS":
            self.problem = _join_messages(self._messages)
        else:
            self.accepted += max(len(batch) - self._rejected, 0)
        return result

    def reject(self, number: int, reason: str) -> None:
        """Count items of the current batch that the receiver did not accept although the request succeeded."""
        if number:
            self._rejected = number
            self.problem = f"the receiver rejected {number} of them: {reason or 'it gave no reason'}"

    def shutdown(self, *arguments: Any, **options: Any) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown(*arguments, **options)

    def force_flush(self, *arguments: Any, **options: Any) -> bool:
        """Flush the exporter."""
        return bool(self._exporter.force_flush(*arguments, **options))


def _join_messages(messages: Sequence[str]) -> str:
    """Return the last message, and the first one if it differs. It may be the only one with the reason."""
    if not messages:
        return "the exporter reports a failure"
    first, last = messages[0].rstrip("."), messages[-1].rstrip(".")
    return last if first == last else f"{last}; {first}"


@contextlib.contextmanager
def keep_messages() -> Iterator[list[str]]:
    """Keep the warnings of OpenTelemetry's loggers, which have the reasons of failures, instead of printing them."""
    logger, messages = logging.getLogger("opentelemetry"), list[str]()
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage().partition("\n")[0])  # type: ignore[method-assign]
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


def open_exporters(signal: EventSignal, messages: list[str]) -> list[WatchedExporter]:
    """Return the exporters of a signal that the environment chooses: ``otlp`` by default.

    Raises:
        UsageError: There is none, it has no endpoint, or it cannot be set up.
        MissingExtraError: The OTLP exporter is not installed.
    """
    names = SIGNAL_NAMES[signal]
    variable = f"OTEL_{names.variable}_EXPORTER"
    chosen = [name.strip() for name in (os.environ.get(variable) or "otlp").split(",")]
    if chosen == ["none"]:
        msg = f"{variable} is none, so no {names.items} can be sent; remove it"
        raise UsageError(msg)
    return [_open_exporter(names, name, variable, messages) for name in chosen]


def _open_exporter(names: SignalNames, name: str, variable: str, messages: list[str]) -> WatchedExporter:
    entry_name = _choose_protocol(names) if name == "otlp" else name
    entry_point = next(iter(entry_points(group=names.group, name=entry_name)), None)
    if entry_point is None and entry_name in _PROTOCOLS.values():
        raise MissingExtraError("events that are sent", "otlp")
    if entry_point is None:
        msg = f"{variable}: no exporter {escape_controls(name)} is installed"
        raise UsageError(msg)
    try:
        return _watch(names, entry_name, entry_point.load(), messages)
    except Exception as error:  # wrong settings of an exporter raise errors of all kinds
        msg = f"the exporter {entry_name} cannot be set up: {type(error).__name__}: {escape_controls(error)}"
        raise UsageError(msg) from error


def _choose_protocol(names: SignalNames) -> str:
    """Return the name of the OTLP exporter for the protocol of the environment, if there is an endpoint."""
    endpoint = f"OTEL_EXPORTER_OTLP_{names.variable}_ENDPOINT"
    if not (os.environ.get(endpoint) or os.environ.get(_ENDPOINT)):
        msg = f"there is no receiver of {names.items}: set {_ENDPOINT}, or pass --console to print the events"
        raise UsageError(msg)
    variables = f"OTEL_EXPORTER_OTLP_{names.variable}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
    protocol = next((value for name in variables if (value := os.environ.get(name, "").strip())), "grpc")
    if protocol not in _PROTOCOLS:
        msg = f"{variables[1]} must be one of {', '.join(_PROTOCOLS)}; got {protocol!r}"
        raise UsageError(msg)
    return _PROTOCOLS[protocol]


def _watch(names: SignalNames, name: str, exporter_class: Any, messages: list[str]) -> WatchedExporter:
    """Return an exporter that also reads what the receiver rejects, which OpenTelemetry's exporters do not."""
    if name != _PROTOCOLS["http/protobuf"]:
        exporter = exporter_class()
        watched = WatchedExporter(exporter, messages)
        if name == _PROTOCOLS["grpc"]:
            _watch_grpc(exporter, lambda response: _read_response(names, response, watched))
        return watched
    import requests  # noqa: PLC0415 - the exporter needs it

    session = requests.Session()
    watched = WatchedExporter(exporter_class(session=session), messages)
    make_request = session.request

    def request(*arguments: Any, **options: Any) -> Any:
        try:
            answer = make_request(*arguments, **options)
        except Exception as error:
            messages.append(str(error))
            raise
        _read_answer(names, answer, watched)
        return answer

    session.request = request  # type: ignore[method-assign] # exporters hide answers and errors
    return watched


def _watch_grpc(exporter: Any, read: Callable[[Any], None]) -> None:
    """Read each response to a gRPC exporter. The exporter has no public way to its responses.

    It makes a new client when a connection is lost, so its factory of clients is wrapped too.
    """
    make_client = exporter._stub  # noqa: SLF001 - see above

    def watch_client(client: Any) -> Any:
        call = client.Export

        def export(*arguments: Any, **options: Any) -> Any:
            response = call(*arguments, **options)
            read(response)
            return response

        client.Export = export
        return client

    exporter._stub = lambda channel: watch_client(make_client(channel))  # noqa: SLF001 - see above
    watch_client(exporter._client)  # noqa: SLF001 - see above


def _read_answer(names: SignalNames, answer: Any, watched: WatchedExporter) -> None:
    """Read an HTTP response. It is a protobuf message or JSON; a web page means that no receiver took the request."""
    kind = answer.headers.get("Content-Type", "")
    if not answer.ok or not answer.content:
        return
    if "html" in kind:
        watched.reject(watched.batch_size, f"it is no OTLP receiver: its answer is {kind}")
    elif "json" in kind:
        partial = answer.json().get("partialSuccess") or {}
        first, *others = names.rejected.split("_")
        count = partial.get(first + "".join(word.title() for word in others), 0)
        watched.reject(int(count), str(partial.get("errorMessage", "")))
    elif "protobuf" in kind:
        module, _, class_name = names.response.partition(":")
        response = getattr(importlib.import_module(module), class_name)()
        response.ParseFromString(answer.content)
        _read_response(names, response, watched)


def _read_response(names: SignalNames, response: Any, watched: WatchedExporter) -> None:
    partial = response.partial_success
    watched.reject(getattr(partial, names.rejected), partial.error_message)
