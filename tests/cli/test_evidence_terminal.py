"""``evidence make`` on a terminal: its progress, Ctrl-C, and the question for a passphrase."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest
from support.commands import command_environment, command_line, copy_examples
from support.processes import SECONDS

from spanforge.model_registry.compliance import verify_package
from spanforge.model_registry.compliance._packages.keys import make_key_pair

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


class OnTerminal:
    """``evidence make`` about October on a terminal, in a copy of the examples."""

    def __init__(self, folder: Path, *options: object) -> None:
        make = ("evidence", "make", "--month", "2026-10", "--framework", "soc2", "--file", "models.yaml")
        self.terminal, end = os.openpty()
        self.process = subprocess.Popen(
            command_line(*make, "--output", "october.zip", *options),
            stdin=end,
            stdout=end,
            stderr=end,
            cwd=copy_examples(folder),
            env=command_environment(TERM="xterm-256color"),
            preexec_fn=lambda: set_terminal(end),  # noqa: PLW1509 - no thread runs here
        )
        os.close(end)

    def read_until(self, text: bytes) -> bytes:
        """Read the terminal up to a text, and return the output."""
        content = b""
        while text not in content:
            assert select.select([self.terminal], [], [], SECONDS)[0], content
            content += os.read(self.terminal, 1024)
        return content

    def type(self, text: bytes) -> None:
        """Type a text."""
        os.write(self.terminal, text)

    def end(self) -> int:
        """Read what is left, wait for the end, and return the exit code."""
        try:
            with contextlib.suppress(OSError):  # the terminal has no more users
                while os.read(self.terminal, 1024):
                    pass
            return self.process.wait(SECONDS)
        finally:
            self.process.kill()
            os.close(self.terminal)


def set_terminal(end: int) -> None:
    """Let a child have a terminal of its own, so that Ctrl-C reaches it."""
    os.setsid()
    fcntl.ioctl(end, termios.TIOCSCTTY, 0)


def test_progress_and_interruption(tmp_path: Path) -> None:
    """The progress is on the terminal. Ctrl-C ends the command with one line, and leaves no file."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(SECONDS)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        made = OnTerminal(tmp_path, "--unsigned", "--telemetry", address)
        connection, _ = silent.accept()
        made.read_until(b"reading telemetry")
        made.type(b"\x03")
        made.read_until(b"spanforge-models: interrupted\r\n")
        connection.close()
    assert made.end() == 128 + signal.SIGINT
    assert not list(tmp_path.rglob("*.zip"))


def test_the_question_for_a_passphrase(tmp_path: Path) -> None:
    """On a terminal, the command asks for the passphrase of an encrypted key, without showing it."""
    private, public, _ = make_key_pair(b"open sesame")
    (tmp_path / "safe.pem").write_bytes(private)
    (tmp_path / "safe.pem").chmod(0o600)
    (tmp_path / "safe.pub.pem").write_bytes(public)
    made = OnTerminal(tmp_path, "--key", tmp_path / "safe.pem", "--telemetry", "telemetry.jsonl")
    made.read_until(b"Passphrase of ")
    made.type(b"open sesame\n")
    printed = made.read_until(b"october.zip is written.")
    assert made.end() == 1
    assert b"sesame" not in printed
    verify_package(tmp_path / "examples" / "october.zip", [tmp_path / "safe.pub.pem"])
