"""``sign``, and registry files at addresses in commands."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.commands import enter_examples_with_keys, run_here
from support.registry_server import serving_registry
from support.watching import content

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.settings import CACHE, FILE, HEADERS, TRUSTED_KEYS
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.registry_server import RegistryServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryServer]:
    """Serve registry files on loopback; copies are in a temporary folder."""
    monkeypatch.setenv(CACHE.variable, str(tmp_path / "cache"))
    with serving_registry() as served:
        served.files["/models.json"] = content("a", "acme-chat-1")
        yield served


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a folder with the examples and a key pair."""
    return enter_examples_with_keys(tmp_path, monkeypatch, capsys)


def test_signed_file_is_followed(
    folder: Path, server: RegistryServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that trusts the key takes the file that the command signed; a file that changed later is refused."""
    printed = run_here(capsys, "sign", "models.yaml", "--key", "signer.pem", "--format", "json")
    facts = json.loads(printed.out)
    assert (printed.code, facts["signature"], facts["models"]) == (0, "models.yaml.sig", 3)
    server.files = {f"/{name}": (folder / name).read_bytes() for name in ("models.yaml", "models.yaml.sig")}
    monkeypatch.setenv(TRUSTED_KEYS.variable, str(folder / "signer.pub.pem"))
    registry = ModelRegistry(auto_emit=False)
    watcher = FileWatcher(registry, server.url("/models.yaml"), reload_interval=0)
    watcher.start()
    assert len(registry) == 3
    server.files["/models.yaml"] += b"\n"
    watcher.look()
    watcher.look()
    assert "does not match its signature" in (watcher.states()[0].error or "")
    assert run_here(capsys, "list", "--file", server.url("/models.yaml")).code == 2


@pytest.mark.parametrize("arguments", [("ed25519",), ("EC", "-pkeyopt", "ec_paramgen_curve:P-384")])
def test_key_of_openssl(folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Keys that openssl made sign too."""
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", *arguments, "-out", "openssl.pem"], check=True, capture_output=True
    )
    Path("openssl.pem").chmod(0o600)
    printed = run_here(capsys, "sign", "models.yaml", "--key", "openssl.pem")
    assert (printed.code, printed.err) == (0, "")
    assert "models.yaml is signed." in printed.out
    assert (folder / "models.yaml.sig").exists()


def test_invalid_file_is_not_signed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An invalid file, or a missing key, is an error, and no signature is written."""
    assert run_here(capsys, "sign", "broken.yaml", "--key", "signer.pem").code == 2
    assert run_here(capsys, "sign", "models.yaml", "--key", "none.pem").code == 2
    assert list(folder.glob("*.sig")) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("list", "--file"), "acme-chat-1"),
        (("show", "acme-chat-1", "--file"), "acme-chat-1"),
        (("resolve", "acme-chat-1", "--file"), "acme-chat-1"),
        (("check",), "1 file, 1 entry: "),
        (("collector", "transform", "--file"), "acme-chat-1"),
    ],
)
def test_commands_read_addresses(
    server: RegistryServer, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    """Commands that read a registry accept an address."""
    printed = run_here(capsys, *arguments, server.url())
    assert (printed.code, printed.err) == (0, "")
    assert expected in printed.out


def test_diff_of_a_file_and_an_address(
    folder: Path, server: RegistryServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """``diff`` compares a file with the one that a server has, for example before a release."""
    server.files["/models.yaml"] = (folder / "models.yaml").read_bytes()
    for output in ("text", "json", "markdown"):
        url = server.url("/models.yaml", user="u:s3cret@")
        printed = run_here(capsys, "diff", url, "models.yaml", "--format", output)
        assert printed.code == 0
        assert "s3cret" not in printed.out
    printed = run_here(capsys, "diff", server.url("/models.json"), "models.yaml", "--exit-code")
    assert (printed.code, printed.err) == (1, "")


@pytest.mark.parametrize("command", [("retire", "acme-chat-1"), ("set", "acme-chat-1", "owner=x")])
def test_commands_do_not_change_an_address(
    server: RegistryServer,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    """A command that changes a file refuses an address, and creates nothing."""
    monkeypatch.chdir(tmp_path)
    url = server.url(user="user:s3cret@")
    printed = run_here(capsys, *command, "--file", url)
    assert printed.code == 2
    assert f"{server.url()}: is an address, and a change needs a file" in printed.err
    assert list(tmp_path.iterdir()) == []


def test_errors_of_servers(server: RegistryServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that fails, or an address that cannot be used, is an error of one line without the password."""
    for arguments in (("list", "--file"), ("check",), ("diff", server.url())):
        printed = run_here(capsys, *arguments, server.url("/none.json", user="user:s3cret@"))
        assert (printed.code, printed.out) == (2, "")
        assert printed.err == f"spanforge-models: {server.url('/none.json')}: answers 404 Not Found\n"
    printed = run_here(capsys, "list", "--file", "http://registry.example/m.json")
    assert (printed.code, printed.err.count("\n")) == (2, 1)


def test_status_of_an_address(
    server: RegistryServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``status`` shows the address and its models, and no password, query or header."""
    monkeypatch.setenv(FILE.variable, server.url("/models.json?token=s3cret", user="user:s3cret@"))
    monkeypatch.setenv(HEADERS.variable, "authorization=s3cret")
    for output in ("text", "json"):
        printed = run_here(capsys, "status", "--format", output)
        assert printed.code == 0
        assert "s3cret" not in printed.out + printed.err
        assert server.url() in printed.out
        assert "authorization=…" in printed.out or r"authorization=\u2026" in printed.out
