"""Processes of tests: environments, test files that run as programs, and forked children."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TESTS = Path(__file__).parents[1]
SECONDS = 120
"""Seconds after which a program or a child has hung."""


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with these settings of OpenTelemetry and no others."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}, **settings}


def run_program(
    file: str, *arguments: object, before: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> str:
    """Run a test file as a program that may import ``support``; return its output. It has to end well and quietly."""
    done = subprocess.run(
        [*before, *program_command(file, *arguments)],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
        env=env or program_environment(),
    )
    assert (done.returncode, done.stderr) == (0, ""), f"the program ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


def program_command(file: str, *arguments: object) -> list[str]:
    """Return the command that runs a test file as a program."""
    return [sys.executable, file, *map(str, arguments)]


def program_environment(**settings: str) -> dict[str, str]:
    """Return the environment of a test file that runs as a program."""
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    return environment(PYTHONPATH=path, **settings)


def end_within(seconds: int = SECONDS) -> None:
    """End this process after a time, and print the stack of every thread; a forked child has no limit yet."""
    faulthandler.register(signal.SIGALRM, chain=True)
    signal.alarm(seconds)


def exit_code_of(child: Callable[[], object]) -> int:
    """Fork; return the exit code of a child: 0 if the function returned ``None`` or a true value."""
    number = os.fork()
    if number == 0:
        code = 1
        try:
            end_within(SECONDS // 2)
            result = child()
            code = 0 if result is None or result else 2
        except BaseException:  # noqa: BLE001 - the parent gets the code, the reader the text
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def is_running(pid: int) -> bool:
    """Return whether there is a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
