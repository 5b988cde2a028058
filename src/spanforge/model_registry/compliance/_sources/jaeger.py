"""The reader of a live Jaeger: all traces of a period, read over its HTTP query API v3."""

from __future__ import annotations

import hashlib
import http.client
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from spanforge.model_registry._core.errors import TelemetryError, shorten
from spanforge.model_registry._core.timestamps import format_micros
from spanforge.model_registry.compliance._http import DeadlineHandler, SecureDeadlineHandler
from spanforge.model_registry.compliance._sources.jaeger_ends import restore_ends
from spanforge.model_registry.compliance._sources.jaeger_http import RedirectHandler, StatusHandler, parse_address
from spanforge.model_registry.compliance._sources.jaeger_paging import Intervals, TraceLimit

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

FIRST_TRACES: Final = 1_000
"""The limit of traces in the first response.

Only a Jaeger 2.8 or newer refuses so few, if its storage in memory holds fewer.
"""
MAX_TRACES: Final = 10_000
"""The highest limit of traces in one response. Elasticsearch returns no more."""
MAX_RESPONSE: Final = 64 * 1024 * 1024
"""The limit of one response's bytes. A response is in memory twice, once complete and once decoded."""
TIMEOUT: Final = 60.0
"""The seconds in which a response must begin, and again the seconds in which it must then be complete."""
MAX_REQUESTS: Final = 20_000
"""The limit of requests. A server that always returns as many traces as it may would receive any number of them."""
MAX_SECONDS: Final = 7_200.0
"""The limit of the time in which Jaeger is read. The request that is running then may take its own time more."""
RETRY_PAUSES: Final = (0.5, 2.0)
"""The seconds before each retry of a request with the response 503. No other response leads to a retry."""

_READ_BYTES: Final = 1 << 20
"""The bytes that are read at once, so that the limit of a response is checked often."""
_LAST: Final = 2**63 // 1_000
"""The last microsecond since the epoch, in 2262. Beyond it, Jaeger's own arithmetic overflows."""
_NO_API: Final = (
    "no Jaeger with the HTTP API v3 (1.54 or newer) responds here; "
    "pass the address of its UI, up to and without /search"
)


class _JaegerSpan(msgspec.Struct, rename="camel", gc=False):
    trace_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{32}$")]  # before 1.54 it is base64
    start_time_unix_nano: int = 0


class _JaegerScope(msgspec.Struct, gc=False):
    spans: list[_JaegerSpan] = []


class _JaegerResource(msgspec.Struct, rename="camel", gc=False):
    scope_spans: list[_JaegerScope] = []


class _JaegerTraces(msgspec.Struct, rename="camel", gc=False):
    resource_spans: list[_JaegerResource] = []


class _JaegerError(msgspec.Struct, rename="camel"):
    message: str
    http_code: int = 0


class _JaegerResponse(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw()
    error: _JaegerError | None = None


class _JaegerServices(
    msgspec.Struct, forbid_unknown_fields=True
):  # {} is a Jaeger without services, {"x": 1} is not a Jaeger
    services: list[str] | None = None


_traces_decoder: Final = msgspec.json.Decoder(_JaegerTraces, strict=False)  # 64-bit integers are strings in OTLP JSON
_response_decoder: Final = msgspec.json.Decoder(_JaegerResponse)


class JaegerReader:
    """Reads the traces of a period from a live Jaeger, over its HTTP query API v3, which returns OTLP JSON.

    The reader queries each service that Jaeger lists. Jaeger has no paging, and does not report traces that it leaves
    out. If a response may be cut off, the reader discards it. It requests the interval again with a higher limit, or
    requests both halves of the interval.

    Jaeger finds a trace by any of its spans, even if the trace began before the period. Traces are complete, so they
    also have spans outside the period, and Jaeger may return a trace more than once. The reader uses the proxies of the
    environment.

    Args:
        url: The address of the UI, ``http`` or ``https``; ``user:password@`` in it is sent as Basic authentication.
        start: The period's first nanosecond since the epoch.
        end: The first nanosecond after the period.

    Attributes:
        name: The address without user, password, query and fragment.
        kind: The telemetry format.
        size: The number of bytes received; valid after the last request.
        sha256: The SHA-256 of these bytes in the order received, in hexadecimal; valid after the last request.
        limits: The parts that could not be read completely, a sentence each; valid after the last request.

    Raises:
        TelemetryError: The address is invalid.
    """

    kind = "jaeger"

    def __init__(self, url: str, start: int, end: int) -> None:
        self.name: str
        self.name, self._base, self._headers = parse_address(url)
        self._low = max(start // 1_000 - 1, 0)  # a microsecond earlier, because a storage may exclude the ends
        self._high = min(-(-end // 1_000), _LAST)
        self._opener = urllib.request.build_opener(
            RedirectHandler(self.name), StatusHandler, DeadlineHandler, SecureDeadlineHandler
        )
        self._requests = 0
        self._end_time = 0.0
        self._digest = hashlib.sha256()
        self.size: int = 0
        self.sha256: str = ""
        self.limits: list[str] = []

    def requests(self) -> Iterator[bytes]:
        """Yield OTLP JSON documents, ``{"resourceSpans":[…]}``, as they are received.

        Raises:
            TelemetryError: Jaeger cannot be reached or refuses, or the server is not a Jaeger with this API.
        """
        self._digest = hashlib.sha256()
        self.size, self.sha256, self.limits = 0, "", []
        self._requests, self._end_time = 0, time.monotonic() + MAX_SECONDS
        self._stopped_at: str | None = None
        self._limit = TraceLimit(FIRST_TRACES, MAX_TRACES)
        for service in self._list_services():
            yield from self._read_service(service)
        if self._stopped_at is not None:
            self.limits.append(
                f"reading stopped after {MAX_REQUESTS:,} requests or {MAX_SECONDS:g} s, at service "
                f"{shorten(self._stopped_at)}; choose a shorter period, or read the Collector's archive"
            )
        self.sha256 = self._digest.hexdigest()

    def _list_services(self) -> list[str]:
        body = self._get("/api/v3/services") or b""  # a response that is too large is not Jaeger's
        try:
            return sorted(set(msgspec.json.decode(body, type=_JaegerServices).services or ()))
        except msgspec.DecodeError as error:
            raise self._make_not_json_error(body, error) from error

    def _may_go_on(self) -> bool:
        """Check that neither the limit of requests nor that of time is reached."""
        return self._requests < MAX_REQUESTS and time.monotonic() < self._end_time

    def _read_service(self, service: str) -> Iterator[bytes]:
        unread = yield from self._read_intervals(service)
        if unread:
            least = min(limit for _, limit in unread)
            self.limits.append(
                f"service {shorten(service)}: {len(unread):,} intervals of a microsecond could not be read completely, "
                f"the first from {format_micros(unread[0][0])}: {least:,} spans or more begin in each, or their "
                f"traces have more than {MAX_RESPONSE:,} bytes"
            )

    def _read_intervals(self, service: str) -> Generator[bytes, None, list[tuple[int, int]]]:
        """Yield a service's documents, and return the intervals that could not be read completely.

        Each has its start and the limit of traces.
        """
        unread: list[tuple[int, int]] = []
        intervals = Intervals(self._low, self._high)
        while intervals and self._may_go_on():
            low, high = intervals.take(self._limit.value)
            before, begin = self.size, time.monotonic()
            documents = self._search(service, low, high)
            traces = _count_traces(documents, low, high)
            if traces < self._limit.value:
                intervals.note_complete(low, high, traces)
            elif self._limit.grow(time.monotonic() - begin, self.size - before):
                intervals.put(low, high)
                continue
            elif high - low > 1:
                intervals.put_halves(low, high)
                continue
            else:
                unread.append((low, self._limit.value))
            yield from (restore_ends(bytes(document)) for traces, document in documents or () if traces.resource_spans)
        self._note_stop(service, intervals)
        return unread

    def _note_stop(self, service: str, intervals: Intervals) -> None:
        """Note the first service of which not all intervals were read."""
        if intervals and self._stopped_at is None:
            self._stopped_at = service

    def _search(self, service: str, low: int, high: int) -> list[tuple[_JaegerTraces, msgspec.Raw]] | None:
        """Return a service's traces between two times in microseconds; ``None`` if the response is too large."""
        try:
            body = self._get_traces(service, low, high)
        except TelemetryError:
            if not self._limit.reset():
                raise
            body = self._get_traces(service, low, high)
        if body is None:
            self._limit.reset()
            return None
        try:
            return [self._decode_traces(response) for response in _response_decoder.decode_lines(body)]
        except msgspec.DecodeError as error:
            raise self._make_not_json_error(body, error) from error

    def _get_traces(self, service: str, low: int, high: int) -> bytes | bytearray | None:
        limit = str(self._limit.value)
        return self._get(
            "/api/v3/traces",
            service_name=service,
            start_time_min=format_micros(low),
            start_time_max=format_micros(high),
            num_traces=limit,
            search_depth=limit,  # the newer name of num_traces
            raw_traces="true",  # without it, newer versions adjust times for clock skew
        )

    def _decode_traces(self, response: _JaegerResponse) -> tuple[_JaegerTraces, msgspec.Raw]:
        if response.error is not None:
            raise TelemetryError(self.name, f"Jaeger reports {shorten(response.error.message)}")
        return _traces_decoder.decode(response.result), response.result

    def _make_not_json_error(self, body: bytes | bytearray, error: msgspec.DecodeError) -> TelemetryError:
        if body.lstrip().startswith(b"<"):
            return TelemetryError(self.name, _NO_API)
        return TelemetryError(self.name, f"the response is not OTLP JSON (Jaeger 1.54 or newer is required): {error}")

    def _get(self, path: str, **query: str) -> bytes | bytearray | None:
        """Return the body of a response: empty if Jaeger reports that it found nothing, ``None`` if it is too large."""
        parameters = urllib.parse.urlencode({f"query.{name}": value for name, value in query.items()})
        url = f"{self._base}{path}?{parameters}" if query else f"{self._base}{path}"
        request = urllib.request.Request(url, headers=self._headers)  # noqa: S310 - http or https
        status, body = self._send_until_available(request)
        if status == http.client.OK:
            return body
        error = _read_error(body)
        if status == http.client.NOT_FOUND and query and error is not None and error.http_code == status:
            return b""  # newer versions report an empty result with this status
        if status == http.client.NOT_FOUND:
            raise TelemetryError(self.name, _NO_API)
        reason = http.client.responses.get(status, "unknown") if error is None else shorten(error.message)
        raise TelemetryError(self.name, f"responded with HTTP {status}: {reason}")

    def _send_until_available(self, request: urllib.request.Request) -> tuple[int, bytearray | None]:
        """Return status and body of a response, after the last retry at the latest."""
        status, body = self._send(request)
        for pause in RETRY_PAUSES:
            if status != http.client.SERVICE_UNAVAILABLE:
                break
            time.sleep(pause)
            status, body = self._send(request)
        return status, body

    def _send(self, request: urllib.request.Request) -> tuple[int, bytearray | None]:
        try:
            self._requests += 1
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return response.status, self._read_body(response)
        except urllib.error.HTTPError as error:  # other statuses are responses, see StatusHandler
            raise TelemetryError(self.name, f"responded with HTTP {error.code}: invalid redirect") from error
        except TelemetryError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: an impossible host
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, TimeoutError):
                raise TelemetryError(self.name, f"did not respond within {TIMEOUT:g} s") from error
            raise TelemetryError(self.name, f"cannot be reached: {reason}") from error

    def _read_body(self, response: http.client.HTTPResponse) -> bytearray | None:
        body = bytearray()
        while chunk := response.read1(_READ_BYTES):
            body += chunk
            self.size += len(chunk)
            self._digest.update(chunk)
            if len(body) > MAX_RESPONSE:
                return None
        if response.length:  # read1 does not check it
            raise http.client.IncompleteRead(b"", response.length)
        return body


def _read_error(body: bytearray | None) -> _JaegerError | None:
    """Return the error that Jaeger reports; ``None`` if the response is not Jaeger's."""
    try:
        return _response_decoder.decode(body or b"").error
    except msgspec.DecodeError:
        return None


def _count_traces(documents: list[tuple[_JaegerTraces, msgspec.Raw]] | None, low: int, high: int) -> float:
    """Return the number that is below the limit of traces if a response certainly has all traces.

    Fewer traces than the limit are not enough: Cassandra's limit is one of spans that begin in the interval.
    """
    if documents is None:
        return math.inf
    traces, begun = set(), 0
    for decoded, _ in documents:
        resources = decoded.resource_spans
        for span in (span for resource in resources for scope in resource.scope_spans for span in scope.spans):
            traces.add(span.trace_id)
            begun += low <= span.start_time_unix_nano // 1_000 <= high
    return max(len(traces), begun)
