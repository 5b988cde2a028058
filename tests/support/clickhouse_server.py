"""ClickHouse's engine behind its HTTP interface on loopback, for the tests of telemetry in ClickHouse.

Usage: clickhouse_server.py FOLDER [--readonly]

The engine is chdb, with its data in FOLDER. The first line of the standard output is the port. The server ends with its
standard input. Its user is ``auditor``, whose password is in the environment variable ``CLICKHOUSE_PASSWORD``. Requests
that change something need the user ``owner``, who has no password. With ``--readonly``, the engine runs with the
setting ``readonly = 1``, so that no client may change settings or data.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import threading
import urllib.parse
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import chdb

CHUNK = 1 << 16
_CODE = re.compile(r"Code: (\d+)")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    engine: ClassVar[Any]
    lock = threading.Lock()

    def do_POST(self) -> None:
        parameters = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            fields = read_fields(kind, body)
            parameters |= fields
            sql = fields.get("query", parameters.get("query", ""))
        else:
            sql = f"{parameters.get('query', '')}\n{body.decode()}".strip()
        user = self.read_user()
        if user not in (("auditor", os.environ.get("CLICKHOUSE_PASSWORD", "")), ("owner", "")):
            self.fail(516, f"Code: 516. DB::Exception: {user[0]}: Authentication failed. (AUTHENTICATION_FAILED)")
            return
        bound = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
        try:
            with self.lock:
                answer = self.engine.query(sql, "TabSeparated", params=bound).bytes()
        except Exception as error:  # noqa: BLE001 - the engine's error is the response
            code = _CODE.search(str(error))
            self.fail(0 if code is None else int(code[1]), str(error))
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.end_headers()
        for start in range(0, len(answer), CHUNK):
            part = answer[start : start + CHUNK]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def read_user(self) -> tuple[str, str]:
        """Return the user and the password of the request."""
        method, _, token = self.headers.get("Authorization", "").partition(" ")
        if method == "Basic":
            user, _, password = base64.b64decode(token).decode().partition(":")
            return user, password
        return self.headers.get("X-ClickHouse-User", ""), self.headers.get("X-ClickHouse-Key", "")

    def fail(self, code: int, text: str) -> None:
        """Respond with an error as ClickHouse does."""
        content = text.encode()
        self.send_response(403 if code == 516 else 500)
        self.send_header("X-ClickHouse-Exception-Code", str(code))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


def read_fields(kind: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form."""
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    return {
        str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True)).decode()
        for part in message.get_payload()
    }


def main(folder: str, *options: str) -> None:
    """Serve until the standard input ends."""
    Handler.engine = chdb.connect(folder)
    if "--readonly" in options:
        Handler.engine.query("SET readonly = 1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()
        os._exit(0)  # The engine's own end may hang.


if __name__ == "__main__":
    main(*sys.argv[1:])
