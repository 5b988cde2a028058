"""Log lines and errors about hostile paths and values: one line each, which no terminal obeys."""

from __future__ import annotations

import logging
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.log_lines import library_records

from spanforge.model_registry import ModelRegistry, RegistryFileError
from spanforge.model_registry._core import logs
from spanforge.model_registry._core.settings import FILE, RELOAD_INTERVAL
from spanforge.model_registry.compliance import PackageError, TelemetryError, VerificationError, verify_package
from spanforge.model_registry.compliance._packages.keys import load_signer
from spanforge.model_registry.compliance._sources.formats import open_sources
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = "\x1b[31mred\nmodel registry: forged\r\u202etxt\u200b"
ESCAPED = r"\x1b[31mred\nmodel registry: forged\r\u202etxt\u200b"


@pytest.mark.parametrize("ending", ["", ".json", ".yaml", "/models.json", "/*.json", "\udce9.json"])
def test_followed_file_with_a_hostile_name(tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str) -> None:
    """A missing file has one printable line that UTF-8 can encode, and its error is the same text."""
    registry = ModelRegistry(auto_emit=False)
    path = f"{tmp_path}/{HOSTILE}{ending}"
    watcher = FileWatcher(registry, [path], reload_interval=0)
    watcher.start()
    (line,) = [record.getMessage() for record in library_records(caplog)]
    assert line.isprintable()
    assert line.encode()
    assert ESCAPED in line
    with pytest.raises(RegistryFileError) as caught:
        registry.load(path)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{tmp_path}/{ESCAPED}")
    assert str(caught.value).isprintable()
    watcher.stop()


def test_followed_file_that_exists(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The lines about an invalid, a valid and a removed file are printable too."""
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / HOSTILE
    folder.mkdir()
    registry = ModelRegistry(auto_emit=False)
    registry.save(folder / "a.json")
    (folder / "b.json").write_bytes(b"{")
    watcher = FileWatcher(registry, [str(folder)], reload_interval=0)
    watcher.start()
    registry.save(folder / "b.json", overwrite=True)
    (folder / "a.json").unlink()
    for _ in range(3):
        watcher.look()
    watcher.stop()
    lines = [record.getMessage() for record in library_records(caplog)]
    assert [line for line in lines if not line.isprintable()] == []
    for part in ("cannot load registry file", "is valid again", "was removed", "model registry: loaded "):
        assert any(part in line and ESCAPED in line for line in lines), (part, lines)


@pytest.mark.parametrize(
    "read", [lambda path: verify_package(path, [path]), load_signer, lambda path: open_sources([path], 0, 1)]
)
def test_errors_of_evidence(tmp_path: Path, read: Callable[[str], object]) -> None:
    """Errors about packages, keys and telemetry show the path on one printable line."""
    with pytest.raises((PackageError, VerificationError, TelemetryError)) as caught:
        read(f"{tmp_path}/{HOSTILE}")
    assert str(caught.value).isprintable()
    assert ESCAPED in str(caught.value)


def test_settings_with_hostile_values(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A setting that is not allowed has one printable line."""
    monkeypatch.setenv(RELOAD_INTERVAL.variable, HOSTILE)
    RELOAD_INTERVAL.read()
    FILE.read()
    (line,) = [record.getMessage() for record in library_records(caplog)]
    assert line.isprintable()
    assert re.search(r"\\x1b\[31mred\\nmodel registry", line)


def test_messages_keep_their_template(caplog: pytest.LogCaptureFixture) -> None:
    """A printable line keeps template and values apart, for backends that group by template; per cent signs stay."""
    caplog.set_level(logging.DEBUG)
    logs.warn("model registry: %s of %d %%", "a", 2)
    logs.info("model registry: 100 % of it")
    logs.debug("model registry: %s", f"50 % {HOSTILE}")
    assert [(record.msg, record.args) for record in library_records(caplog)] == [
        ("model registry: %s of %d %%", ("a", 2)),
        ("model registry: 100 % of it", ()),
        (f"model registry: 50 % {ESCAPED}", ()),
    ]
    assert caplog.records[0].getMessage() == "model registry: a of 2 %"
    assert os.linesep not in caplog.records[2].getMessage()


@pytest.mark.skipif(os.name != "posix", reason="there is no shell")
@pytest.mark.parametrize(
    "arguments", [[f"/{HOSTILE}"], ["/new.yaml", HOSTILE, "1", "sh"], [HOSTILE, "t", "1", HOSTILE]]
)
def test_messages_of_the_reload_script(arguments: list[str]) -> None:
    """The Collector's script prints one line without control characters, whatever its arguments are."""
    script = Path(__file__).parents[2] / "collector-config" / "reload.sh"
    done = subprocess.run(["sh", script, *arguments], capture_output=True, text=True, check=False)
    line = (done.stdout + done.stderr).removesuffix("\n")
    assert done.returncode == 2
    assert line.startswith("reload.sh: ")
    assert re.search(r"[\x00-\x1f\x7f]", line) is None
