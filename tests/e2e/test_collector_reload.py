"""A new lookup file is put in force in a running Collector, or refused; nothing that is sent meanwhile is lost."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import format_span_id
from support.exporters import PROTOCOLS, exporter_to
from support.otlp_json import attributes_of, ours, read_items
from support.processes import is_running
from support.recording import Recorder
from support.servers import ALL_AT_ONCE, CONFIG, LESS_GARBAGE_COLLECTION, archive_settings
from support.waiting import wait_until

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.collector import render_lookup, render_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan
    from support.servers import Server

    from spanforge.model_registry._core.lifecycle import RiskTier

pytestmark = pytest.mark.e2e

_logger = logging.getLogger(__name__)

SCRIPT = CONFIG / "reload.sh"
SECONDS: Final = 60
WATCH: Final = 1
"""Seconds that the script watches the Collector after SIGHUP."""
MODELS: Final = ("alpha", "beta", "gamma")
TIERS: Final[tuple[RiskTier, ...]] = ("low", "medium", "high", "critical")
BATCH: Final = 10
RELOADED: Final = "Config updated, restart service"
"""What a Collector says on SIGHUP."""

Facts = dict[str, str]


def facts_of(model: str, version: int) -> Facts:
    """Return the attributes that spans get for a model in one version of the registry."""
    facts = {"owner": f"team-{version}", "name": f"{model} {version}", "version": f"v{version}", "model_id": model}
    return {**facts, "risk_tier": TIERS[version % 4], "status": "active"}


def registry_of(version: int) -> ModelRegistry:
    """Return a version of the registry: all models differ from those of another, in several fields."""
    registry = ModelRegistry(auto_emit=False)
    for model in MODELS:
        facts = facts_of(model, version)
        registry.register(model, facts["name"], facts["version"], TIERS[version % 4], facts["owner"], "answers")
    return registry


def lookup_of(version: int) -> str:
    """Return the lookup file of a version of the registry, without its longest part: the parser of names.

    A Collector takes seconds to read that part, and these tests start it a hundred times.
    """
    head, *parts = render_lookup(registry_of(version)).split("\n- ")
    parts.remove(max(parts, key=len))
    return "\n- ".join([head, *parts])


def calls(number: int) -> list[ReadableSpan]:
    """Return spans of calls of models, made without the plugin."""
    recorder = Recorder()
    for one in range(number):
        recorder.call(**{"gen_ai.request.model": MODELS[one % 3]})
    return recorder.take()


def id_of(span: ReadableSpan) -> str:
    """Return a span's id as it is written."""
    assert span.context is not None
    return format_span_id(span.context.span_id)


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class Site:
    """A Collector that has version 1 from a file, and all its files in one folder."""

    def __init__(self, run_server: Callable[..., Server], folder: Path, program: str) -> None:
        self.folder, self.data, self.temporary = folder, folder / "data", folder / "temporary"
        self.target, self.new = folder / "lookup.yaml", folder.parent / "new.yaml"
        for one in (folder, self.data, self.temporary):
            one.mkdir()
        self.target.write_text(lookup_of(1))
        config = folder / "registry.yaml"
        config.write_text(render_transform(registry_of(1), lookup_file=self.target))
        self.command = [program, f"--config={CONFIG / 'collector.yaml'}", f"--config={config}"]
        self._spans = self.data / "archive" / "spans.jsonl"
        settings = {**ALL_AT_ONCE, **archive_settings(self._spans.parent), "OTELCOL_STORAGE": str(self.data / "queue")}
        self.collector = run_server("otelcol", config, **settings)
        port = self.collector.at["OTELCOL_TELEMETRY"].rpartition(":")[2]
        self._settings = {**LESS_GARBAGE_COLLECTION, **settings, **self.collector.at, "OTELCOL_TELEMETRY_PORT": port}

    def arguments(self, pid: int | str | None = None) -> list[str]:
        """Return the script's arguments."""
        return [str(self.new), str(self.target), str(pid or self.collector.pid), *self.command]

    def begin(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start the script, in the Collector's environment."""
        own = {"RELOAD_WATCH": str(WATCH), "TMPDIR": str(self.temporary), **settings}
        environment = {**os.environ, **self._settings, **own}
        command, pipe = [str(SCRIPT), *arguments], subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, **settings: str) -> tuple[int, str, str]:
        """Run the script; return its code, and what it said."""
        script = self.begin(*(arguments or self.arguments()), **settings)
        out, err = script.communicate(timeout=3 * SECONDS)
        return script.returncode, out, err

    def put(self, version: int) -> None:
        """Put a version in force."""
        self.new.write_text(lookup_of(version))
        code, out, err = self.run()
        assert (code, err) == (0, ""), err
        assert out.startswith(f"reload.sh: in force: {self.target}")

    def archived(self, start: int = 0) -> Iterator[tuple[str, Facts]]:
        """Yield the spans of the archive from a place on, with what they have of the registry."""
        for _, _, span in read_items(self._spans, start=start):
            facts = ours(attributes_of(span))
            yield span["spanId"], {key.removeprefix("model_registry."): value for key, value in facts.items()}

    def send(self) -> str:
        """Send a span; return its id."""
        spans = calls(1)
        exporter = exporter_to(self.collector)
        wait_until(lambda: exporter.export(spans) is SpanExportResult.SUCCESS)
        exporter.shutdown()
        return id_of(spans[0])

    def version(self) -> str:
        """Return the version that a span gets now."""
        start = self._spans.stat().st_size if self._spans.exists() else 0
        span_id = self.send()
        wait_until(lambda: span_id in dict(self.archived(start)))
        return dict(self.archived(start))[span_id]["version"]

    def block_archive(self) -> None:
        """Put a file where the archive's folder was."""
        shutil.rmtree(self._spans.parent)
        self._spans.parent.touch()

    def kept(self) -> dict[str, bytes]:
        """Return the files of queue and archive, once both have a span of version 1 and are no longer written."""
        assert self.version() == "v1"
        found, span_id = [content(self.data)], bytes.fromhex(self.send())

        def is_quiet() -> bool:
            time.sleep(0.25)
            found.append(content(self.data))
            queued = any(span_id in kept for name, kept in found[-1].items() if name.startswith("queue"))
            return queued and found[-1] == found[-2]

        wait_until(is_quiet)
        return found[-1]

    def is_clean(self) -> bool:
        """Check whether the script left only the old file."""
        there = {file.name for file in self.folder.iterdir()} - {"lookup.yaml.previous"}
        return there == {"data", "temporary", "lookup.yaml", "registry.yaml"} and not any(self.temporary.iterdir())


@pytest.fixture
def site(run_server: Callable[..., Server], program: Callable[[str], str], tmp_path: Path) -> Site:
    """Give a Collector whose paths have spaces and quotes."""
    return Site(run_server, tmp_path / 'it\'s a "site"', program("otelcol"))


class Sender(threading.Thread):
    """Sends batch after batch, each until the Collector has it."""

    def __init__(self, exporter: SpanExporter) -> None:
        super().__init__(daemon=True)
        self._exporter = exporter
        self.over = threading.Event()
        self.sent: list[list[str]] = []
        self.repeats = 0
        self.pause = 0.0

    def run(self) -> None:
        """Send."""
        while not self.over.wait(0.05):
            spans, began = calls(BATCH), time.monotonic()
            while self._exporter.export(spans) is not SpanExportResult.SUCCESS:
                self.repeats += 1
                time.sleep(0.01)
            self.pause = max(self.pause, time.monotonic() - began)
            self.sent.append([id_of(span) for span in spans])
        self._exporter.shutdown()


def test_reload_under_load(site: Site) -> None:
    """While a version comes into force, every span arrives, with one version as a whole, and none goes back."""
    senders = [Sender(exporter_to(site.collector, protocol, timeout=0.5)) for protocol in PROTOCOLS]
    for sender in senders:
        sender.start()
    before = [len(sender.sent) for sender in senders]
    site.put(2)
    wait_until(lambda: site.version() == "v2")
    wait_until(lambda: all(len(sender.sent) > number for sender, number in zip(senders, before, strict=True)))
    for sender in senders:
        sender.over.set()
        sender.join(SECONDS)
    found: dict[str, list[int]] = {}
    for span_id, facts in site.archived():
        version = int(facts.get("version", "v0")[1:])
        assert facts == facts_of(facts.get("model_id", ""), version)
        found.setdefault(span_id, []).append(version)
    for sender in senders:
        last = 0
        for batch in sender.sent:
            versions = [version for span_id in batch for version in found[span_id]]
            assert min(versions) >= last
            last = max(versions)
        assert sender.pause < SECONDS
        spans = len(sender.sent) * BATCH
        _logger.info("%d spans, %d repeats, longest pause %.3f s", spans, sender.repeats, sender.pause)
    assert {version for versions in found.values() for version in versions} == {1, 2}
    assert site.target.read_text() == lookup_of(2)
    assert (site.folder / "lookup.yaml.previous").read_text() == lookup_of(1)
    assert site.is_clean()


class Refused(NamedTuple):
    """What is refused: what becomes of a good file and of good arguments, the code, and the reason."""

    code: int
    reason: str
    change: Callable[[str], str] = str
    arguments: Callable[[list[str], Site], Sequence[str]] = lambda good, _: good
    settings: Sequence[tuple[str, str]] = ()


SET: Final = 'set(span.cache["names"], {})'
END: Final = "the last line is not '# end'"


def bad(reason: str, *, old: str = "", new: str = "", text: str | None = None) -> Refused:
    """Return a file that the Collector refuses."""
    return Refused(1, f"validate' failed: Error: .*{reason}", lambda g: g.replace(old, new) if text is None else text)


def cut(find: Callable[[str], int]) -> Refused:
    """Return a file that was cut off."""
    return Refused(1, END, lambda good: good[: find(good)])


def at(place: int, *new: str) -> Callable[[list[str], Site], list[str]]:
    """Return a function that replaces an argument; ``{}`` is the site's folder."""
    return lambda good, site: [*good[:place], *(s.format(site.folder) for s in new), *good[place + 1 :]]


def taken(good: list[str], site: Site) -> list[str]:
    """Return arguments of a Collector that only a start refuses."""
    address = site.collector.at["OTELCOL_OTLP_HTTP"]
    return [*good, f"--config=yaml:receivers::otlp::protocols::http::endpoint: {address}"]


def never_ready(good: list[str], site: Site) -> list[str]:
    """Return arguments with a Collector that takes for ever to start."""
    slow = site.folder.parent / "slow"
    slow.write_text('#!/bin/sh\n[ "$1" = validate ] || exec sleep 60\n')
    slow.chmod(0o755)
    return [*good[:2], "-", str(slow)]


def linked(good: list[str], site: Site) -> list[str]:
    """Return arguments with a target that is a symbolic link."""
    link = site.folder.parent / "link"
    link.symlink_to(site.target)
    return [good[0], str(link), *good[2:]]


REFUSED: Final = {
    "not YAML": bad("expected: array", text="- a: [\n# end\n"),
    "no list": bad("expected: array", text="a: b\n# end\n"),
    "no content": bad("expected: array", text="# end\n"),
    "an item that is nothing": bad("empty statement list items", text="-\n# end\n"),
    "not OTTL": bad("invalid syntax", old=SET, new=SET[:-1]),
    "unknown function": bad("sett", old=SET, new="sett(span.name)"),
    "bad expression": bad("missing closing", old='"^model_registry', new='"(^model_registry'),
    "before the end": cut(lambda good: good.rindex("# end")),
    "after the end's first letters": cut(lambda good: good.rindex("d\n")),
    "after the first statement": cut(lambda good: good.index("    - |-", good.index(SET))),
    "after the last statement but one": cut(lambda good: good.rindex("    - |-")),
    "after a group": cut(lambda good: good.rindex("- conditions:")),
    "in the middle": cut(lambda good: len(good) // 2),
    "empty": cut(lambda _: 0),
    "no file": Refused(2, "NEW '.*none': expected a file", arguments=at(0, "{}/none")),
    "a folder": Refused(2, "NEW '.*': expected a file", arguments=at(0, "{}")),
    "no target": Refused(2, "TARGET '.*': expected the lookup file", arguments=at(1, "{}/none/lookup.yaml")),
    "a target with a variable": Refused(2, "TARGET '.*': expected a path without", arguments=at(1, "{}/${{x}}")),
    "a link": Refused(2, "TARGET '.*': .* no symbolic link", arguments=linked),
    "no process": Refused(2, "PID '99999999': expected a process", arguments=at(2, "99999999")),
    "no process id": Refused(2, "PID '-1': expected a process id", arguments=at(2, "-1")),
    "a group of processes": Refused(2, "PID '0': expected a process id", arguments=at(2, "0")),
    "a file of nobody": Refused(
        2, "expected the lookup file as the configuration names it", arguments=at(1, "{}/registry.yaml")
    ),
    "no program": Refused(2, "COLLECTOR '.*none': expected a program", arguments=at(3, "{}/none")),
    "too few arguments": Refused(2, "3 arguments; expected at least 4", arguments=lambda good, _: good[:3]),
    "no number": Refused(2, "RELOAD_WATCH=soon: expected seconds", settings=[("RELOAD_WATCH", "soon")]),
    "only a start refuses": Refused(1, "a trial start failed: Error: .*address already in use", arguments=taken),
    "never ready": Refused(1, "it took more than 1 s", arguments=never_ready, settings=[("RELOAD_LIMIT", "1")]),
}


def test_bad_files_and_arguments_are_refused(site: Site) -> None:
    """Each is refused with one line, and nothing has changed: files, queue, archive, and the Collector."""
    before = site.kept()
    for name, case in REFUSED.items():
        site.new.write_text(case.change(lookup_of(2)))
        code, out, err = site.run(*case.arguments(site.arguments(), site), **dict(case.settings))
        assert (code, out, err.count("\n")) == (case.code, "", 1), (name, err)
        assert re.match(f"reload\\.sh: .*{case.reason}", err), (name, err)
        assert content(site.data) == before, name
        assert site.target.read_text() == lookup_of(1), name
        assert site.is_clean(), name
    assert not (site.folder / "lookup.yaml.previous").exists()
    assert site.version() == "v1"
    assert RELOADED not in site.collector.stop()


def test_a_bad_file_ends_a_collector(site: Site) -> None:
    """Without the script, SIGHUP with a bad file ends the Collector."""
    good = site.target.read_text()
    for text, message in (
        ("a: b", "failed to get config: .*expected: array"),
        (good.replace(SET, SET[:-1]), "invalid configuration: .*invalid syntax"),
    ):
        site.target.write_text(text)
        os.kill(site.collector.pid, signal.SIGHUP)
        wait_until(lambda: not is_running(site.collector.pid))
        said = site.collector.stop()
        assert RELOADED in said
        assert re.search(f"failed to setup configuration components: {message}", said, re.DOTALL), said
        site.target.write_text(good)
        site.collector.start()


def test_no_signal_without_need(site: Site) -> None:
    """A file that is in force already is not put in force again; one that waits for its signal is."""
    site.put(2)
    assert site.run() == (0, f"reload.sh: unchanged: {site.target}\n", "")
    assert site.is_clean()
    wait_until(lambda: site.version() == "v2")
    site.folder.joinpath("lookup.yaml.pending").touch()
    site.put(2)
    assert site.is_clean()
    assert (site.folder / "lookup.yaml.previous").read_text() == lookup_of(1)
    assert site.version() == "v2"
    assert site.collector.stop().count(RELOADED) == 2


def test_somebody_else_sends_the_signal(site: Site) -> None:
    """Without a process id only the file is replaced: connections, queue and archive stay, until SIGHUP comes."""
    site.target.chmod(0o640)
    site.new.write_text(lookup_of(2))
    before = site.kept()
    host, _, port = site.collector.at["OTELCOL_OTLP_HTTP"].rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        code, out, err = site.run(*site.arguments("-"))
        assert (code, err) == (0, "")
        assert "SIGHUP" in out
        assert content(site.data) == before
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert site.version() == "v1"
    assert site.is_clean()
    assert site.target.read_text() == lookup_of(2)
    assert site.target.stat().st_mode & 0o777 == 0o640
    os.kill(site.collector.pid, signal.SIGHUP)
    wait_until(lambda: site.version() == "v2")


def test_a_collector_that_ends_after_all(site: Site) -> None:
    """A Collector that ends at SIGHUP, though the trial went well, is told of, with where the old file is."""
    site.send()
    site.block_archive()
    site.new.write_text(lookup_of(2))
    code, out, err = site.run(RELOAD_WATCH="30")  # it returns when the Collector ends
    assert (code, out) == (1, "")
    assert "ended after SIGHUP" in err
    assert f"{site.target}.previous the old one" in err
    assert (site.folder / "lookup.yaml.previous").read_text() == lookup_of(1)
    assert site.is_clean()
    assert "not a directory" in site.collector.stop()


def test_another_process_gets_no_signal(site: Site) -> None:
    """A process that is not the Collector's program is refused, and goes on."""
    site.new.write_text(lookup_of(2))
    with subprocess.Popen(["sleep", str(SECONDS)]) as other:
        code, _, err = site.run(*site.arguments(other.pid))
        assert other.poll() is None
        other.kill()
    assert code == 2
    assert f"PID '{other.pid}': expected a process of COLLECTOR" in err
    assert site.target.read_text() == lookup_of(1)


def test_killed_in_the_middle(site: Site) -> None:
    """Whenever the script is killed, the file is the old or the new one as a whole, and it works the next time."""
    began = time.monotonic()
    site.put(2)
    took = time.monotonic() - began - WATCH
    version = 2
    for number, moment in itertools.product((signal.SIGTERM, signal.SIGKILL), (1, 2, 3)):
        version += 1
        old, new = site.target.read_text(), lookup_of(version)
        site.new.write_text(new)
        script = site.begin(*site.arguments(), RELOAD_LIMIT="20")  # a trial that SIGKILL leaves behind ends then
        time.sleep(took * moment / 3)
        script.send_signal(number)
        script.communicate(timeout=SECONDS)
        assert script.returncode in {-number, 128 + number, 0}
        assert site.target.read_text() in {old, new}
        assert number == signal.SIGKILL or site.is_clean()
    assert is_running(site.collector.pid)
    site.put(1)
    wait_until(lambda: site.version() == "v1")
    assert not (site.folder / "lookup.yaml.pending").exists()


def test_two_at_once(site: Site) -> None:
    """Of two scripts at once both go well, and the file of the last one is in force."""
    scripts = []
    for version in (2, 3):
        site.new.with_name(f"{version}.yaml").write_text(lookup_of(version))
        scripts.append(site.begin(*at(0, f"{site.new.with_name(f'{version}.yaml')}")(site.arguments(), site)))
    assert [script.communicate(timeout=2 * SECONDS)[1] for script in scripts] == ["", ""]
    assert [script.returncode for script in scripts] == [0, 0]
    (there,) = (f"v{version}" for version in (2, 3) if site.target.read_text() == lookup_of(version))
    wait_until(lambda: site.version() == there)
    assert site.is_clean()
