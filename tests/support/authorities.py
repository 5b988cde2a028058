"""A time stamp authority made with OpenSSL: its certificates, and a server on loopback that answers requests."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from support.loopback import serving_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REPLY = "application/timestamp-reply"
CONFIGURATION = """
[authority]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ess_cert_id_alg = sha256
{chain}
"""
EXTENSIONS = "basicConstraints = CA:false\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = {usage}\n"
DAYS = ("-days", "36500")
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """An authority: a root certificate, and the certificate that signs time stamps.

    Attributes:
        root: The root certificate in PEM.
        certificate: The certificate that signs time stamps, in PEM.
        reply: The function that returns a response for a request: status, content type, and body.
    """

    def __init__(self, folder: Path, *, name: str = "Example Root", sends_root: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.root = folder / "root.pem"
        chain = f"certs = {self.root}" if sends_root else ""
        (folder / "authority.cnf").write_text(CONFIGURATION.format(folder=folder, chain=chain))
        keys = ("-keyout", folder / "root.key", "-out", self.root)
        run_openssl("req", "-x509", *EC, *keys, *DAYS, "-subj", f"/O=Example Time/CN={name}")
        self.certificate = self.issue("tsa", 7, "critical, timeStamping")
        self.reply: Callable[[bytes], tuple[int, str, bytes]] = lambda query: (200, REPLY, self.sign(query))
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.queries: list[bytes] = []
        self.authorizations: list[str | None] = []

    def issue(self, name: str, number: int, usage: str) -> Path:
        """Return a certificate of the root for a use. Its key is beside it."""
        files = {kind: self._folder / f"{name}.{kind}" for kind in ("key", "csr", "pem", "ext")}
        files["ext"].write_text(EXTENSIONS.format(usage=usage))
        request = ("-keyout", files["key"], "-out", files["csr"], "-subj", "/O=Example Time/CN=Example Time Stamps")
        run_openssl("req", *EC, *request)
        issuer = ("-CA", self.root, "-CAkey", self._folder / "root.key", "-set_serial", number, *DAYS)
        run_openssl("x509", "-req", *issuer, "-in", files["csr"], "-extfile", files["ext"], "-out", files["pem"])
        return files["pem"]

    def sign_as(self, certificate: Path, query: bytes) -> bytes:
        """Return a reply that the key of another certificate signed, which OpenSSL's authority refuses to do."""
        reply, token, content = (self._folder / name for name in ("reply.tsr", "token.der", "content.der"))
        self.sign(query)
        run_openssl("ts", "-reply", "-in", reply, "-token_out", "-out", token)
        run_openssl("cms", "-verify", "-noverify", "-inform", "DER", "-in", token, "-out", content)
        signer = ("-signer", certificate, "-inkey", certificate.with_suffix(".key"), "-md", "sha256")
        kind = ("-econtent_type", "1.2.840.113549.1.9.16.1.4", "-binary", "-nodetach", "-nosmimecap")
        run_openssl("cms", "-sign", "-in", content, *signer, *kind, "-outform", "DER", "-out", token)
        run_openssl("ts", "-reply", "-in", token, "-token_in", "-out", reply)
        return reply.read_bytes()

    def sign(self, query: bytes) -> bytes:
        """Return OpenSSL's reply to a request."""
        asked, replied = self._folder / "query.tsq", self._folder / "reply.tsr"
        asked.write_bytes(query)
        configuration = ("-config", self._folder / "authority.cnf", "-section", "authority")
        run_openssl("ts", "-reply", *configuration, "-queryfile", asked, "-out", replied, may_fail=True)
        return replied.read_bytes()

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Answer requests on loopback, and give the address."""
        with serving_http(self._make_handler()) as port:
            yield f"http://127.0.0.1:{port}/tsr"

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                authority.queries.append(query)
                authority.authorizations.append(self.headers["Authorization"])
                status, kind, body = authority.reply(query)
                self.send_response(status)
                for name, value in ({"Content-Type": kind} | authority.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                for number in range(len(body) if authority.delay else 1):
                    time.sleep(authority.delay)
                    self.wfile.write(body[number : number + 1] if authority.delay else body)

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:
                    return  # a client that does not wait

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def run_openssl(*arguments: object, may_fail: bool = False) -> str:
    """Run OpenSSL, and return its output."""
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert may_fail or done.returncode == 0, done.stderr
    return done.stdout
