"""Runs a server for as long as another process holds this program's standard input open.

Usage: run_server.py COMMAND...

The server runs in a temporary folder and logs there. Its process id is the first line of the standard output. When the
input ends, also because its holder is killed, or when the server ends, the server is stopped, the folder is removed,
and the server's log is written to the standard output.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

SECONDS = 10
"""How long a server may take to stop."""


def main(command: list[str]) -> int:
    """Keep a server; return the code that it ended with."""
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    with tempfile.TemporaryDirectory(prefix="server-") as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        Path(folder, "new").write_text(str(server.pid))
        Path(folder, "new").replace(Path(folder, "pid"))
        sys.stdout.write(f"{server.pid}\n")
        sys.stdout.flush()

        def wait_for_the_server() -> None:
            server.wait()
            over.set()

        def wait_for_the_holder() -> None:
            os.read(sys.stdin.fileno(), 1)
            over.set()

        for wait in (wait_for_the_server, wait_for_the_holder):
            threading.Thread(target=wait, daemon=True).start()
        over.wait()
        server.terminate()
        try:
            server.wait(SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        said = log.read_text(errors="replace")
    sys.stdout.write(said)
    sys.stdout.flush()
    return server.returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:  # the holder was killed: nobody reads
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
