"""What the end-to-end tests cannot run: the file for containers, which has to fit the files that they do run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "collector-config"
COMPOSE = (CONFIG / "compose.yaml").read_text("utf-8")


def pinned(file: str, version: str) -> str:
    """Return the version that a file of the servers' modules names."""
    found = re.search(version, (ROOT / "tests" / "servers" / file).read_text("utf-8"))
    assert found is not None
    return found[1]


COLLECTOR = pinned("otelcol/builder.yaml", r"version: ([\d.]+)\}")
JAEGER = pinned("jaeger/go.mod", r"jaegertracing/jaeger v([\d.]+)")
FILES = ("agent.yaml", "collector.yaml", "jaeger.yaml")
VARIABLES = re.compile(r"\$\{env:(\w+):-([^}]+)\}")


def test_containers_run_the_collector_that_is_tested() -> None:
    """The image is of the version that the end-to-end tests build."""
    assert f"image: otel/opentelemetry-collector-contrib:{COLLECTOR}\n" in COMPOSE


def test_containers_get_files_and_variables_that_there_are() -> None:
    """Each file that is mounted exists, and each variable that is set is one of theirs."""
    mounted = re.findall(r"- \./([\w.]+):/etc/([\w.]+):ro", COMPOSE)
    assert sorted(mounted) == [("collector.yaml", "collector.yaml"), ("jaeger.yaml", "jaeger.yaml")]
    for _, inside in mounted:
        assert f"command: [--config=/etc/{inside}]\n" in COMPOSE
    known = {name for file, _ in mounted for name, _ in VARIABLES.findall((CONFIG / file).read_text("utf-8"))}
    given = re.findall(r"^ {6}(\w+): [\w.]+:\d+$", COMPOSE, re.MULTILINE)
    assert len(given) == 9
    assert set(given) <= known
    paths = re.findall(r"^ {6}(\w+): (/\S+)$", COMPOSE, re.MULTILINE)
    assert {name for name, _ in paths} == {"OTELCOL_STORAGE", "OTELCOL_ARCHIVE_SPANS", "OTELCOL_ARCHIVE_LOGS"} & known
    assert all(path.startswith("/data/") for _, path in paths)


def test_containers_are_reached_from_this_machine_only() -> None:
    """Published ports are on loopback, and are those that the addresses inside have."""
    ports = re.findall(r"- (\S+):(\d+):(\d+)\n", COMPOSE)
    assert [host for host, _, _ in ports] == ["127.0.0.1"] * 8
    assert all(outside == inside for _, outside, inside in ports)
    listening = re.findall(r"^ {6}\w+: 0\.0\.0\.0(?::(\d+))?$", COMPOSE, re.MULTILINE)
    assert {port for _, port, _ in ports} <= {port or "8888" for port in listening}  # telemetry has a host only


@pytest.mark.parametrize("name", FILES)
def test_every_address_is_a_variable_on_loopback(name: str) -> None:
    """Without settings nothing listens to the network, nothing is sent there, and files stay in one folder."""
    text = (CONFIG / name).read_text("utf-8")
    endpoints = re.findall(r"endpoint: (.+)\n", text)
    assert len(endpoints) >= 4
    for endpoint in endpoints:
        found = VARIABLES.fullmatch(endpoint)
        assert found is not None
        assert re.fullmatch(r"127\.0\.0\.1:\d+", found[2])
    for path in re.findall(r"^ +(?:directory|path): (.+)$", text, re.MULTILINE):
        found = VARIABLES.fullmatch(path)
        assert found is not None
        assert found[2].startswith("./data/")


def test_every_variable_is_documented() -> None:
    """The page lists each variable of the files with its default, and no other."""
    page = (CONFIG / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", page, re.MULTILINE)
    texts = [(CONFIG / name).read_text("utf-8") for name in FILES]
    assert sorted(listed) == sorted({found for text in texts for found in VARIABLES.findall(text)})


def test_versions_are_told_as_they_are() -> None:
    """The script that builds the servers, and the pages about them, name the versions of the pinned modules."""
    tool = (ROOT / "tools" / "servers.py").read_text("utf-8")
    page = (CONFIG / "README.md").read_text("utf-8")
    assert f'"the OpenTelemetry Collector {COLLECTOR}"' in tool
    assert f'"Jaeger {JAEGER}"' in tool
    assert f"a Collector {COLLECTOR} and a Jaeger {JAEGER} that" in page
