"""A server of registry files on loopback, with TLS, whose answers a test chooses, and its certificates."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import ipaddress
import socket
import ssl
import threading
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

DAY = dt.timedelta(days=1)
JSON = "application/json"
CERTIFICATE_SIGNING = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
CLIENT_SECONDS = 20
"""Seconds after which a connection ends if its client does nothing."""


class Request(NamedTuple):
    """A request: its path with the query, and its headers with names in lower case."""

    path: str
    headers: Mapping[str, str]


class Reply(NamedTuple):
    """An answer: status, headers and body. With ``stream``, the function writes the body, after the headers."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    stream: Callable[[Any], object] | None = None


def make_etag(body: bytes) -> str:
    """Return the ``ETag`` of a file."""
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


class Authority:
    """An authority that issues certificates for 127.0.0.1 and localhost.

    Attributes:
        root: The path of its certificate in PEM.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example Root")])
        now = dt.datetime.now(dt.timezone.utc)
        builder = self._start(self._name, self._key.public_key(), now - 100 * DAY, now + 100 * DAY)
        certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        certificate = certificate.add_extension(CERTIFICATE_SIGNING, critical=True)  # Python 3.13 requires it
        self.root = folder / "root.pem"
        self.root.write_bytes(self._sign(certificate))

    def issue(self, *, begins: dt.timedelta = -2 * DAY, ends: dt.timedelta = 2 * DAY, host: str = "") -> Path:
        """Return the path of a new certificate with its key, for a host or for loopback, valid between two times."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime.now(dt.timezone.utc)
        loopback = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        names = [x509.DNSName(host)] if host else loopback
        builder = self._start(name, key.public_key(), now + begins, now + ends)
        signed = self._sign(builder.add_extension(x509.SubjectAlternativeName(names), critical=False))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = self._folder / f"{hashlib.sha256(signed).hexdigest()[:8]}.pem"
        path.write_bytes(signed + private)
        return path

    def _start(self, name: Any, key: Any, begins: Any, ends: Any) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(identifier, critical=False).add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key), critical=False
        )

    def _sign(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 256
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        """Return a connection, with TLS if there is a certificate. The handshake is made in its thread."""
        connection, address = super().get_request()
        connection.settimeout(CLIENT_SECONDS)
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients refuse certificates and end connections on purpose."""


class RegistryServer:
    """A server of files, with an ``ETag`` for each, unless a test chooses another reply.

    Attributes:
        files: The bytes of each path.
        headers: Headers of each answer with a file, in addition.
        reply: The function that returns the answer to a request; ``None`` for the files.
        raw: The function that writes all of an answer, with its headers; ``None`` for answers in HTTP.
        requests: The requests that were made.
        sent: The path of each file that was sent, and not only confirmed.
        stop: Ends the server.
        port: The port.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.reply: Callable[[Request], Reply | None] | None = None
        self.raw: Callable[[Any], object] | None = None
        self.requests: list[Request] = []
        self.sent: list[str] = []
        self.stop: Callable[[], None] = lambda: None
        self.port = 0
        self._context = context

    def url(self, path: str = "/models.json", user: str = "") -> str:
        """Return the address of a file."""
        scheme = "http" if self._context is None else "https"
        return f"{scheme}://{user}127.0.0.1:{self.port}{path}"

    def use_certificate(self, path: Path) -> None:
        """Use another certificate for later connections."""
        assert self._context is not None
        self._context.load_cert_chain(path)

    def answer(self, request: Request) -> Reply:
        """Return the answer to a request."""
        self.requests.append(request)
        chosen = None if self.reply is None else self.reply(request)
        return self.serve(request) if chosen is None else chosen

    def serve(self, request: Request) -> Reply:
        """Return the answer with a file, or that it is still the same."""
        body = self.files.get(request.path.partition("?")[0])
        if body is None:
            return Reply(404)
        etag = make_etag(body)
        if request.headers.get("if-none-match") == etag:
            return Reply(304, {"ETag": etag})
        self.sent.append(request.path)
        headers = {"Content-Type": JSON, "Content-Length": str(len(body)), "ETag": etag, **self.headers}
        return Reply(200, headers, body)


def make_handler(served: RegistryServer) -> type[BaseHTTPRequestHandler]:
    """Return the handler of the requests to a server."""

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            if served.raw is None:
                super().handle()
            else:
                self.rfile.readline()
                served.raw(self.wfile)

        def do_GET(self) -> None:
            reply = served.answer(Request(self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.stream is None:
                if "Content-Length" not in reply.headers and reply.status != HTTPStatus.NOT_MODIFIED:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
            else:
                self.end_headers()
                reply.stream(self.wfile)

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    return Handler


@contextmanager
def serving_registry(certificate: Path | None = None, port: int = 0) -> Iterator[RegistryServer]:
    """Serve registry files on loopback, with TLS if there is a certificate."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    served = RegistryServer(context)
    server = _Server(("127.0.0.1", port), make_handler(served))
    server.context = context
    served.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def stop() -> None:
        if thread.is_alive():
            server.shutdown()
            thread.join()
            server.server_close()

    served.stop = stop
    try:
        yield served
    finally:
        stop()


class _Proxy(_Server):
    """A proxy that opens tunnels, if the client has the right password."""

    tunnels: list[str]
    authorization: str | None = None


class _ProxyHandler(BaseHTTPRequestHandler):
    server: _Proxy

    def do_CONNECT(self) -> None:
        self.server.tunnels.append(self.path)
        if self.server.authorization not in (None, self.headers.get("Proxy-Authorization")):
            self.send_error(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=CLIENT_SECONDS) as target:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            back = threading.Thread(target=self._copy, args=(target, self.connection))
            back.start()
            self._copy(self.connection, target)
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@contextmanager
def serving_proxy(authorization: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Open tunnels on loopback, and give the port and the list of their targets."""
    with _Proxy(("127.0.0.1", 0), _ProxyHandler) as server:
        server.tunnels, server.authorization = [], authorization
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1], server.tunnels
        finally:
            server.shutdown()
            thread.join()
