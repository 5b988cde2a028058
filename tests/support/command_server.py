"""The program in shells, by its name. A process that has imported all commands forks for each run, which is faster.

Run as a program, this file is that process.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from support.processes import program_environment

from spanforge.model_registry._cli.app import run
from spanforge.model_registry._cli.commands import COMMANDS, PROGRAM, load_function

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()], [0, 1, 2])
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(9)))
"""
"""The program: it gives its arguments, folder, environment and streams to the server, and ends as the run does."""


@contextmanager
def serving_commands() -> Iterator[Path]:
    """Give a folder for PATH with the program, as long as the server runs."""
    with tempfile.TemporaryDirectory() as name:  # the addresses of sockets are short
        address, program = os.path.join(name, "socket"), Path(name, PROGRAM)
        program.write_text(CLIENT.format(python=sys.executable, address=address))
        program.chmod(0o755)
        command = [sys.executable, "-W", "error", __file__, address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=program_environment()) as server:
            assert server.stdout is not None
            try:
                assert server.stdout.readline() == b"ready\n"
                yield Path(name)
            finally:
                server.terminate()


def serve(address: str) -> None:
    """Run commands until this process is ended."""
    for row in COMMANDS:
        load_function(row)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)  # noqa: T201 - for the tests
        while True:
            client, _ = listening.accept()
            if os.fork() == 0:
                run_for(client)
            client.close()
            with suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)  # an earlier run


def run_for(client: socket.socket) -> None:
    """Run the command of a client in this process, and end it."""
    code = 1
    try:
        data, streams, _, _ = socket.recv_fds(client, 1 << 20, 3)
        while part := client.recv(1 << 20):
            data += part
        arguments, folder, environment = json.loads(data)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout, sys.stderr = map(open_stream, range(3), "rww")
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        code = run(arguments)
    except BaseException:  # noqa: BLE001 - the client gets the code, the reader the text
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    client.sendall(str(code).encode())
    os._exit(0)


def open_stream(number: int, mode: str) -> TextIO:
    """Return a stream of this process, opened again: the interpreter remembers what kind of file it was."""
    stream: TextIO = open(number, mode, encoding="utf-8")  # noqa: SIM115 - open to the end
    return stream


if __name__ == "__main__":
    serve(sys.argv[1])
