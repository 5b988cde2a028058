"""``tools/servers.py`` with small programs in place of the servers: what it builds, keeps and says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.collector_files import COLLECTOR, JAEGER

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PACKAGES = {"otelcol": "main.go", "jaeger": "cmd/jaeger/main.go", "compose": "cmd/main.go"}
MODULES = {
    "otelcol": "example.com/otelcol",
    "jaeger": "github.com/jaegertracing/jaeger",
    "compose": "github.com/compose-spec/compose-go/v2",
}
PACKAGED = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
}
"""Program to the Debian package that has it."""
BROWSER = "chromium"
"""A program that is unpacked with the packages that it depends on."""
SOURCE = """package main

import "fmt"

func main() {{ fmt.Println("{}") }}
"""


class Project:
    """A copy of the script, and of what it reads, beside modules that are built in a second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.caches = folder / "caches"
        self.kept = self.caches / "spanforge-model-registry"
        shutil.copytree(ROOT / "tools", self.folder / "tools")
        shutil.copytree(ROOT / "requirements", self.folder / "requirements")
        for name, file in PACKAGES.items():
            source = self.folder / "tests" / "servers" / name / file
            source.parent.mkdir(parents=True)
            source.write_text(SOURCE.format(f"this is {name}"))
            (self.modules(name) / "go.mod").write_text(f"module {MODULES[name]}\n\ngo 1.25\n")
        self.path_of_packaged = folder / "bin"
        self.path_of_packaged.mkdir()
        for name in (*PACKAGED, BROWSER):
            program = self.path_of_packaged / name
            program.write_text(f"#!/bin/sh\necho this is {name}\n")
            program.chmod(0o755)

    def modules(self, name: str) -> Path:
        return self.folder / "tests" / "servers" / name

    def start(self, *arguments: str, python: str = sys.executable, **environment: str) -> subprocess.Popen[str]:
        kept = {key: value for key, value in os.environ.items() if key not in {"CI", "XDG_CACHE_HOME"}}
        if "GOCACHE" not in kept:  # of Go's own, what is compiled is shared with all
            kept["GOCACHE"] = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "go-build"))
        return subprocess.Popen(
            [python, str(self.folder / "tools" / "servers.py"), *arguments],
            env={
                **kept,
                "PATH": f"{self.path_of_packaged}:{kept['PATH']}",
                "XDG_CACHE_HOME": str(self.caches),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, python: str = sys.executable, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, python=python, **environment)
        output, errors = process.communicate(timeout=300)
        return process.returncode, output, errors

    def path(self, name: str) -> Path:
        code, output, errors = self.run(name)
        assert (code, errors) == (0, "")
        return Path(output.strip())

    def says_its_name(self, name: str, **environment: str) -> bool:
        code, path, _ = self.run(name, **environment)
        assert code == 0
        said = subprocess.run([path.strip()], capture_output=True, text=True, check=True).stdout
        return said == f"this is {name}\n"


@pytest.fixture
def project(tmp_path: Path, program: Callable[[str], str]) -> Project:
    """Give a project whose servers are small programs; skipped where there is no Go to build them."""
    program("jaeger")
    return Project(tmp_path)


def test_it_builds_once_and_is_quiet_then(project: Project) -> None:
    """The first run says what it builds and how long that took, the second nothing; the programs run."""
    code, output, errors = project.run()
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert len(lines) == 6
    assert lines[0] == (
        "servers: building the OpenTelemetry Collector 0.158.0, which takes minutes the first time "
        "(log: build/servers/otelcol.log)"
    )
    assert lines[1].startswith("servers: the OpenTelemetry Collector 0.158.0 is built, ")
    assert f"Jaeger {JAEGER}" in lines[2]
    assert all(map(project.says_its_name, (*PACKAGES, *PACKAGED)))
    assert project.run() == (0, "", "")
    assert not list(project.kept.glob("*.new"))


def test_other_content_is_another_program(project: Project) -> None:
    """A change of the module is built beside what there is, which other clones may still use."""
    project.run()
    before = project.path("otelcol")
    (project.modules("otelcol") / "main.go").write_text(SOURCE.format("changed"))
    assert project.run("otelcol")[0] == 1
    assert project.run()[0] == 0
    after = project.path("otelcol")
    assert before != after
    assert before.exists()
    assert subprocess.run([after], capture_output=True, text=True, check=True).stdout == "changed\n"


def test_two_at_once(project: Project) -> None:
    """Of two that start together one builds and the other says that it waits; both end when everything is there."""
    processes = [project.start() for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [errors for _, errors in outputs] == ["", ""]
    said = "".join(output for output, _ in outputs)
    assert said.count("is built") == 3
    assert "servers: waiting for another build (" in said
    assert len([path for path in project.kept.iterdir() if path.suffix != ".lock"]) == 3


def test_killed_while_it_builds(project: Project) -> None:
    """A build that is killed leaves no program, and the next run goes on from there."""
    process = project.start()
    assert process.stdout is not None
    assert process.stdout.readline().startswith("servers: building")
    process.kill()
    process.communicate()
    assert project.run("otelcol")[0] == 1
    code, output, errors = project.run()
    assert (code, output.count("is built"), errors) == (0, 3, "")
    assert project.path("otelcol").exists()


def test_what_is_not_built(project: Project) -> None:
    """Asked for a program that is not there, it says how to get it; for a name that it does not know, which it does."""
    assert project.run("otelcol") == (
        1,
        "",
        (
            "the OpenTelemetry Collector 0.158.0 is not built: "
            "run make servers (needs the network, and Go from the PATH or PyPI)\n"
        ),
    )
    names = "otelcol, jaeger, compose, prometheus, promtool, amtool, chromium"
    assert project.run("tempo") == (2, "", f"servers: NAME must be one of {names}; got 'tempo'\n")
    assert not project.kept.exists()


def test_what_cannot_be_built(project: Project) -> None:
    """A failed build is one line with the reason, and an error in CI; the other servers are built all the same."""
    (project.modules("otelcol") / "main.go").write_text("package main\n\nfunc main() { spam() }\n")
    code, output, errors = project.run(CI="true")
    assert (code, output.count("is built")) == (1, 2)
    assert errors == (
        "servers: tests that need the OpenTelemetry Collector 0.158.0 cannot run: it cannot be built: "
        "./main.go:3:15: undefined: spam (log: build/servers/otelcol.log)\n"
    )
    assert project.path("jaeger").exists()


def test_without_go(project: Project, tmp_path: Path) -> None:
    """Where there is no Go and none can be installed, one line for each server says so; an error in CI only."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    path = str(project.path_of_packaged)
    code, output, errors = project.run(python=python, PATH=path)
    assert (code, output) == (0, "")
    reason = f"Go 1.25 is not on the PATH, and cannot be installed: {python}: No module named pip"
    assert errors == "".join(
        f"servers: tests that need {title} cannot run: {reason}\n"
        for title in (f"the OpenTelemetry Collector {COLLECTOR}", f"Jaeger {JAEGER}", "compose-go 2.10.2")
    )
    assert project.run(python=python, PATH=path, CI="true")[0] == 1


@pytest.fixture
def apt(project: Project) -> Path:
    """Give a replacement for ``apt-get`` on a PATH without Prometheus, in a project whose other servers are built."""
    project.run()
    for name in PACKAGED:
        (project.path_of_packaged / name).unlink()
    return project.path_of_packaged / "apt-get"


def packaged(folder: Path) -> Path:
    """Make a package with the programs of both of Debian's packages."""
    for name in PACKAGED:
        program = folder / "content" / "usr" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\necho this is {name}\n")
        program.chmod(0o755)
    control = folder / "content" / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text("Package: prometheus\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n")
    package = folder / "prometheus_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(folder / "content"), str(package)], check=True, capture_output=True)
    return package


def test_a_package_is_unpacked(project: Project, apt: Path, tmp_path: Path) -> None:
    """Programs that are not on the PATH come from Debian's packages, once for each; nothing else is left behind."""
    apt.write_text(f'#!/bin/sh\ncase "$*" in *download*) cp {packaged(tmp_path)} . ;; esac\n')
    apt.chmod(0o755)
    (project.kept / "prometheus.killed.new").mkdir()
    assert project.run("promtool") == (
        1,
        "",
        "promtool is not installed: run make servers (needs the network, and Debian or Ubuntu), or install it\n",
    )
    assert project.run() == (0, "servers: Prometheus is unpacked\nservers: amtool is unpacked\n", "")
    assert project.run() == (0, "", "")
    assert all(map(project.says_its_name, PACKAGED))
    names = [path.name for path in project.kept.iterdir() if path.name.startswith("prometheus")]
    assert len([name for name in names if not name.endswith(".lock")]) == len(set(PACKAGED.values()))


@pytest.mark.parametrize(
    ("settings", "script", "why"),
    [
        ({}, "echo E: no such host >&2; exit 100", "apt-get failed: E: no such host"),
        (
            {"CI": "true"},
            'case "$*" in *download*) echo spam >spam.deb ;; esac',
            "dpkg-deb failed: dpkg-deb: error: 'spam.deb' is not a Debian format archive",
        ),
    ],
    ids=["no network", "no package"],
)
def test_a_package_that_cannot_be_had(
    project: Project, apt: Path, settings: dict[str, str], script: str, why: str
) -> None:
    """What keeps the package away is one line for each program; an error in CI only."""
    apt.write_text(f"#!/bin/sh\n{script}\n")
    apt.chmod(0o755)
    code, output, errors = project.run(**settings)
    assert (code, output) == (len(settings), "")
    assert [line.partition(" cannot run: ")[0] for line in errors.splitlines()] == [
        f"servers: tests that need {title}" for title in ("Prometheus", "promtool", "amtool")
    ]
    assert errors.count(f"it is not on the PATH, and {why}") == len(PACKAGED)
    assert {path.suffix for path in project.kept.glob("prometheus*")} == {".lock"}


def build_package(folder: Path, name: str, file: str, content: str) -> None:
    """Make a package with one program or library."""
    path = folder / name / file
    path.parent.mkdir(parents=True)
    path.write_text(content)
    path.chmod(0o755)
    control = folder / name / "DEBIAN" / "control"
    control.parent.mkdir()
    control.write_text(f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n")
    subprocess.run(
        ["dpkg-deb", "--build", folder / name, folder / f"{name}_1_all.deb"], check=True, capture_output=True
    )


def test_a_package_is_unpacked_with_what_it_needs(project: Project, tmp_path: Path) -> None:
    """A browser that is not on the PATH comes with the packages that are missing, and finds their libraries."""
    says = 'test -e "${LD_LIBRARY_PATH%%:*}/libneeded.so.1" && test -e "$FONTCONFIG_FILE" && echo this is chromium'
    build_package(tmp_path, BROWSER, "usr/lib/chromium/chromium", f"#!/bin/sh\n{says}\n")
    build_package(tmp_path, "needed", "usr/lib/any-linux-gnu/libneeded.so.1", "a library")
    uris = [f"'http://mirror/{name}_1_all.deb' {name}_1_all.deb 5 SHA256:0" for name in (BROWSER, "needed")]
    copies = f"for name in {BROWSER} needed; do case $* in *$name*) cp {tmp_path}/${{name}}_1_all.deb . ;; esac; done"
    script = f'#!/bin/sh\ncase "$*" in *--print-uris*) echo "{uris[0]}\n{uris[1]}" ;; *download*) {copies} ;; esac\n'
    path = tmp_path / "path"
    path.mkdir()
    for name in ("cp", "dirname", "dpkg-deb", "readlink", "rm", "sh", "tar", "test"):
        (path / name).symlink_to(shutil.which(name) or name)
    for name in PACKAGED:
        (path / name).symlink_to(project.path_of_packaged / name)
    project.run()
    (path / "apt-get").write_text(script)
    (path / "apt-get").chmod(0o755)
    assert project.run(PATH=str(path)) == (0, "servers: Chromium is unpacked\n", "")
    assert project.says_its_name(BROWSER, PATH=str(path))


@pytest.mark.parametrize(("settings", "outcome"), [({}, "3 skipped"), ({"CI": "true"}, "3 errors")])
def test_tests_without_servers(tmp_path: Path, settings: dict[str, str], outcome: str) -> None:
    """Where the servers are not built, tests that need them are skipped with one line that says so; in CI they fail."""
    kept = {key: value for key, value in os.environ.items() if key != "CI"}
    tests = [
        "tests/e2e/test_seen_in_jaeger.py::test_everything_exported_arrives",
        "tests/e2e/test_seen_in_jaeger.py::test_each_call_tells_its_model",
        "tests/e2e/test_servers_tool.py::test_two_at_once",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={**kept, "XDG_CACHE_HOME": str(tmp_path), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert f"{outcome} in " in done.stdout
    why = f"Jaeger {JAEGER} is not built: run make servers (needs the network, and Go from the PATH or PyPI)"
    if settings:
        assert why in done.stdout
    else:
        assert [line for line in done.stdout.splitlines() if "is not built" in line] == [f"3 tests skipped: {why}"]
    assert done.returncode == (1 if settings else 0)
