"""Telemetry from a live Jaeger: all traces of a period, read over its HTTP query API v3."""

from __future__ import annotations

import base64
import hashlib
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from spanforge.model_registry._core.errors import TelemetryError, shorten
from spanforge.model_registry._core.timestamps import format_micros

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_TRACES: Final = 1_000
"""Traces that an answer may hold: no Jaeger refuses so few, and Elasticsearch has at most 10,000."""
MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes that an answer may have: it is in memory twice, whole and as what is passed on of it."""
TIMEOUT: Final = 60.0
"""Seconds until an answer must have begun, and from then on until it must be whole."""
PAUSES: Final = (0.5, 2.0)
"""Seconds to wait before a request is made again that was answered with 503: at most so many times. None other is."""

_CHUNK: Final = 1 << 20
_LAST: Final = 2**63 // 1_000
"""The last microsecond, in 2262: beyond it Jaeger's own arithmetic overflows."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NO_API: Final = (
    "there is no Jaeger here that has the HTTP API v3, as 1.54 and later do; "
    "the address is that of its UI, up to and without /search"
)


class _Span(msgspec.Struct, rename="camel", gc=False):
    trace_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{32}$")]  # before 1.54 it is base64
    start_time_unix_nano: int = 0


class _Scope(msgspec.Struct, gc=False):
    spans: list[_Span] = []


class _Resource(msgspec.Struct, rename="camel", gc=False):
    scope_spans: list[_Scope] = []


class _Traces(msgspec.Struct, rename="camel", gc=False):
    resource_spans: list[_Resource] = []


class _Error(msgspec.Struct, rename="camel"):
    message: str
    http_code: int = 0


class _Answer(msgspec.Struct):
    result: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None


class _Services(msgspec.Struct, forbid_unknown_fields=True):  # {} is a Jaeger that has none yet, {"x": 1} is no Jaeger
    services: list[str] | None = None


_traces: Final = msgspec.json.Decoder(_Traces, strict=False)  # 64-bit integers are strings in OTLP JSON
_answers: Final = msgspec.json.Decoder(_Answer)


class JaegerReader:
    """Reads the traces of a period from a live Jaeger, over its HTTP query API v3, which answers in OTLP JSON.

    Each service that Jaeger names is asked for. Jaeger has no paging, and does not say when it leaves traces out: an
    answer that may be cut off, or is too large, is discarded, and both halves of its interval are asked for. A trace is
    found by any of its spans, also when it began before the period; traces come whole, with spans outside of the period
    too, and more than once. Proxies are those of the environment.

    Args:
        url: Where the UI is, ``http`` or ``https``; ``user:password@`` in it is sent as Basic authentication.
        start: The period's first nanosecond since the epoch.
        end: The first nanosecond after it.

    Attributes:
        name: The address without user and password, query or fragment.
        kind: ``jaeger``.
        size: Bytes received, once ``requests`` is exhausted.
        sha256: Their digest in hexadecimal, in the order received, likewise.
        limits: Sentences about what could not be read completely, likewise.

    Raises:
        TelemetryError: The address is none.
    """

    kind = "jaeger"

    def __init__(self, url: str, start: int, end: int) -> None:
        self.name: str
        self.name, self._base, self._headers = _parse(url)
        self._low = max(start // 1_000 - 1, 0)  # a microsecond before, for a storage may leave its ends out
        self._high = min(-(-end // 1_000), _LAST)
        self._opener = urllib.request.build_opener(_Redirects(self.name), _Statuses)
        self._digest = hashlib.sha256()
        self.size: int = 0
        self.sha256: str = ""
        self.limits: list[str] = []

    def requests(self) -> Iterator[bytes]:
        """Yield OTLP JSON documents, ``{"resourceSpans":[…]}``, as they come.

        Raises:
            TelemetryError: Jaeger cannot be reached or refuses, or what answers is no Jaeger that has this API.
        """
        self._digest = hashlib.sha256()
        self.size, self.sha256, self.limits = 0, "", []
        for service in self._services():
            yield from self._requests_of(service)
        self.sha256 = self._digest.hexdigest()

    def _services(self) -> list[str]:
        body = self._get("/api/v3/services") or b""  # too large: that is no Jaeger
        try:
            return sorted(set(msgspec.json.decode(body, type=_Services).services or ()))
        except msgspec.DecodeError as error:
            raise self._no_json(body, error) from error

    def _requests_of(self, service: str) -> Iterator[bytes]:
        unread = first = 0
        intervals = [(self._low, self._high)] if self._low < self._high else []
        while intervals:
            low, high = intervals.pop()
            documents = self._find(service, low, high)
            whole = documents is not None and _is_whole(documents, low, high)
            if not whole and high - low > 1:
                middle = (low + high) // 2
                intervals += [(middle, high), (low, middle)]
                continue
            if not whole:
                unread, first = unread + 1, first or low
            for traces, document in documents or ():
                if traces.resource_spans:
                    yield bytes(document)
        if unread:
            self.limits.append(
                f"service {shorten(service)}: {unread:,} intervals of a microsecond could not be read completely, "
                f"the first from {format_micros(first)}: {MAX_TRACES:,} spans or more begin in each, or their traces "
                f"have more than {MAX_ANSWER:,} bytes"
            )

    def _find(self, service: str, low: int, high: int) -> list[tuple[_Traces, msgspec.Raw]] | None:
        """Return what Jaeger finds of a service from one microsecond to another; ``None``: it is too large."""
        body = self._get(
            "/api/v3/traces",
            service_name=service,
            start_time_min=format_micros(low),
            start_time_max=format_micros(high),
            num_traces=str(MAX_TRACES),
            search_depth=str(MAX_TRACES),  # its newer name
            raw_traces="true",  # newer ones would correct clocks otherwise
        )
        if body is None:
            return None
        try:
            return [self._document(answer) for answer in _answers.decode_lines(body)]
        except msgspec.DecodeError as error:
            raise self._no_json(body, error) from error

    def _document(self, answer: _Answer) -> tuple[_Traces, msgspec.Raw]:
        if answer.error is not None:
            raise TelemetryError(self.name, f"Jaeger says {shorten(answer.error.message)}")
        return _traces.decode(answer.result), answer.result

    def _no_json(self, body: bytes | bytearray, error: msgspec.DecodeError) -> TelemetryError:
        html = body.lstrip().startswith(b"<")
        return TelemetryError(self.name, _NO_API if html else f"its answer is no OTLP JSON as of Jaeger 1.54: {error}")

    def _get(self, path: str, **query: str) -> bytes | bytearray | None:
        """Return what is answered: nothing where Jaeger says that it found nothing, ``None`` where it is too large."""
        parameters = urllib.parse.urlencode({f"query.{name}": value for name, value in query.items()})
        url = f"{self._base}{path}?{parameters}" if query else f"{self._base}{path}"
        request = urllib.request.Request(url, headers=self._headers)  # noqa: S310 - http or https
        for pause in (*PAUSES, None):
            status, body = self._send(request)
            if status != http.client.SERVICE_UNAVAILABLE or pause is None:
                break
            time.sleep(pause)
        if status == http.client.OK:
            return body
        error = _error_in(body)
        if status == http.client.NOT_FOUND and query and error is not None and error.http_code == status:
            return b""  # as newer ones say
        said = http.client.responses.get(status, "unknown") if error is None else shorten(error.message)
        raise TelemetryError(self.name, _NO_API if status == http.client.NOT_FOUND else f"HTTP {status}: {said}")

    def _send(self, request: urllib.request.Request) -> tuple[int, bytearray | None]:
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return answer.status, self._read(answer)
        except urllib.error.HTTPError as error:  # other statuses are answers, see _Statuses
            raise TelemetryError(self.name, f"HTTP {error.code}: it redirects and leads nowhere") from error
        except TelemetryError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: of hosts that cannot be
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            if isinstance(reason, TimeoutError):
                raise TelemetryError(self.name, f"no answer within {TIMEOUT:g} s") from error
            raise TelemetryError(self.name, f"it cannot be reached: {reason}") from error

    def _read(self, answer: http.client.HTTPResponse) -> bytearray | None:
        body, deadline = bytearray(), time.monotonic() + TIMEOUT
        while chunk := answer.read1(_CHUNK):
            body += chunk
            self.size += len(chunk)
            self._digest.update(chunk)
            if len(body) > MAX_ANSWER:
                return None
            if time.monotonic() > deadline:
                raise TimeoutError
        if answer.length:  # read1 does not mind
            raise http.client.IncompleteRead(b"", answer.length)
        return body


class _Statuses(urllib.request.HTTPErrorProcessor):
    """Passes errors on as the answers that they are."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        try:
            return super().http_response(request, response) if response.status in _REDIRECTS else response
        except Exception:
            response.close()
            raise

    https_response = http_response


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the server, and from http to https: any other would be sent the password."""

    def __init__(self, name: str) -> None:
        self._name = name

    def redirect_request(  # noqa: PLR0913 - as the base class has it
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        same = (old.scheme, old.netloc) == (new.scheme, new.netloc)
        if same or (old.hostname == new.hostname and new.scheme == "https"):
            return super().redirect_request(req, fp, code, msg, headers, newurl)
        where = shorten(f"{new.scheme}://{new.hostname}")
        raise TelemetryError(self._name, f"it redirects to {where}, which is another server, perhaps for a login")


def _parse(url: str) -> tuple[str, str, dict[str, str]]:
    """Return an address without what is secret, the address that paths are appended to, and headers."""
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:  # it is not shown: nobody knows what in it is secret
        raise TelemetryError("Jaeger's address", "it must be http:// or https://, a host, and whatever path it has")
    users, _, host = parts.netloc.rpartition("@")
    headers = {"Accept": "application/json"}
    if users:
        headers["Authorization"] = f"Basic {base64.b64encode(urllib.parse.unquote_to_bytes(users)).decode()}"
    path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~").rstrip("/")
    return f"{parts.scheme}://{host}{parts.path}", f"{parts.scheme}://{host}{path}", headers


def _error_in(body: bytearray | None) -> _Error | None:
    """Return the error that Jaeger tells, if it is Jaeger who does."""
    try:
        return _answers.decode(body or b"").error
    except msgspec.DecodeError:
        return None


def _is_whole(documents: list[tuple[_Traces, msgspec.Raw]], low: int, high: int) -> bool:
    """Tell whether an answer has all traces for sure.

    Fewer traces than were asked for are not enough: Cassandra's limit is one of spans that begin in the interval.
    """
    traces, begun = set(), 0
    for found, _ in documents:
        for span in (span for of in found.resource_spans for scope in of.scope_spans for span in scope.spans):
            traces.add(span.trace_id)
            begun += low <= span.start_time_unix_nano // 1_000 <= high
    return max(len(traces), begun) < MAX_TRACES
