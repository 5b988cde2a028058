"""``evidence make`` on a terminal: its progress, Ctrl-C, and the question for a passphrase."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import IO, TYPE_CHECKING

import pytest
from support.commands import command_environment, command_line, copy_examples
from support.processes import SECONDS

from spanforge.model_registry.compliance import verify_package
from spanforge.model_registry.compliance._packages.keys import make_key_pair

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e
ON_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
"""A program that runs a command on a terminal of its own, and connects this terminal with its standard streams."""


def start(folder: Path, *options: object) -> subprocess.Popen[bytes]:
    """Start ``evidence make`` about October on a terminal, in a copy of the examples."""
    make = ("evidence", "make", "--month", "2026-10", "--framework", "soc2", "--file", "models.yaml")
    return subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, *command_line(*make, "--output", "october.zip", *options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=copy_examples(folder),
        env=command_environment(TERM="xterm-256color"),
    )


def read_until(stream: IO[bytes] | None, text: bytes) -> bytes:
    """Return what a stream has, up to a text."""
    assert stream is not None
    content = b""
    while text not in content:
        part = os.read(stream.fileno(), 1024)
        assert part, content
        content += part
    return content


def test_progress_and_interruption(tmp_path: Path) -> None:
    """The progress is on the terminal. Ctrl-C ends the command with one line, and leaves no file."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(SECONDS)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with start(tmp_path, "--unsigned", "--telemetry", address) as process:
            connection, _ = silent.accept()
            read_until(process.stdout, b"reading telemetry")
            assert process.stdin is not None
            process.stdin.write(b"\x03")
            process.stdin.flush()
            read_until(process.stdout, b"spanforge-models: interrupted\r\n")
            connection.close()
    assert process.returncode == 128 + signal.SIGINT
    assert not list(tmp_path.rglob("*.zip"))


def test_the_question_for_a_passphrase(tmp_path: Path) -> None:
    """On a terminal, the command asks for the passphrase of an encrypted key, without showing it."""
    private, public, _ = make_key_pair(b"open sesame")
    (tmp_path / "safe.pem").write_bytes(private)
    (tmp_path / "safe.pem").chmod(0o600)
    (tmp_path / "safe.pub.pem").write_bytes(public)
    with start(tmp_path, "--key", tmp_path / "safe.pem", "--telemetry", "telemetry.jsonl") as process:
        read_until(process.stdout, b"Passphrase of ")
        printed, _ = process.communicate(b"open sesame\n", timeout=SECONDS)
    assert process.returncode == 1
    assert b"october.zip is written." in printed
    assert b"sesame" not in printed
    verify_package(tmp_path / "examples" / "october.zip", [tmp_path / "safe.pub.pem"])
