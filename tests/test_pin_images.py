"""The script that pins container images to digests, with a stand-in for a registry on loopback."""

from __future__ import annotations

import hashlib
import json
import runpy
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.collector_files import FOLDER
from support.loopback import serving_http
from support.yaml_files import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCRIPT: dict[str, Any] = runpy.run_path(str(Path(__file__).parent.parent / "tools" / "pin_images.py"))
main: Callable[[list[str]], int] = SCRIPT["main"]
COMPOSE = (FOLDER / "compose.yaml").read_text("utf-8")


class Registry(BaseHTTPRequestHandler):
    """A registry that gives manifests to those who have an anonymous token for the repository."""

    build = 1
    stated: str | None = None

    def do_GET(self) -> None:
        """Answer a request for a token or for a manifest."""
        path, _, query = self.path.partition("?")
        repository, _, tag = path.removeprefix("/v2/").partition("/manifests/")
        if path == "/token":
            self._answer(200, json.dumps({"token": query}).encode())
        elif self.headers["Authorization"] != f"Bearer service=stand-in&scope=repository%3A{quote(repository)}%3Apull":
            asked = f'realm="{self.url}/token",service="stand-in",scope="repository:{repository}:pull"'
            self._answer(401, b"", **{"WWW-Authenticate": f"Bearer {asked}"})
        elif "missing" in repository or "application/vnd.oci.image.index.v1+json" not in self.headers["Accept"]:
            self._answer(404, b"")
        else:
            body = self.manifest(repository, tag)
            self._answer(200, body, **{"Docker-Content-Digest": self.stated or digest(body)})

    @property
    def url(self) -> str:
        """The address of the registry."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @classmethod
    def manifest(cls, repository: str, tag: str) -> bytes:
        """Return the manifest of an image."""
        return f"{repository} {tag} {cls.build}".encode()

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def quote(repository: str) -> str:
    return repository.replace("/", "%2F")


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@contextmanager
def serving(**attributes: Any) -> Iterator[str]:
    """Run a registry, and give its URL."""
    with serving_http(type("Changed", (Registry,), attributes)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a copy of the compose file."""
    path = tmp_path / "compose.yaml"
    path.write_text(COMPOSE, "utf-8")
    return path


def test_all_images_get_the_digest_of_their_manifest(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each image keeps its tag and gets its digest; nothing else changes, also in a second run."""
    with serving() as url:
        assert main(["--registry", url, "--check", str(file)]) == 1
        assert file.read_text("utf-8") == COMPOSE
        assert main(["--registry", url, str(file)]) == 0
        pinned = file.read_text("utf-8")
        assert main(["--registry", url, "--check", str(file)]) == 0
        assert main(["--registry", url, str(file)]) == 0
    assert capsys.readouterr().out.split(f"{file}: ")[1:] == [
        "is not pinned\n",
        "pinned\n",
        "unchanged\n",
        "unchanged\n",
    ]
    assert file.read_text("utf-8") == pinned
    images = {name: service.get("image", "") for name, service in read_yaml(pinned)["services"].items()}
    assert images["prometheus"] == f"prom/prometheus:v2.55.1@{digest(b'prom/prometheus v2.55.1 1')}"
    assert images["ready"] == f"busybox:1.37.0@{digest(b'library/busybox 1.37.0 1')}"
    assert f"FROM python:3.12.8-slim@{digest(b'library/python 3.12.8-slim 1')}\n" in pinned
    assert pinned.count("@sha256:") == len(images)
    assert SCRIPT["IMAGE"].sub(r"\g<before>\g<name>:\g<tag>", pinned) == COMPOSE


def test_moved_tags_are_reported(file: Path) -> None:
    """A tag that means another image by now fails the check, and a new run replaces its digest."""
    with serving() as url:
        assert main(["--registry", url, str(file)]) == 0
    with serving(build=2) as url:
        assert main(["--registry", url, "--check", str(file)]) == 1
        assert main(["--registry", url, str(file)]) == 0
    assert digest(b"grafana/grafana 11.6.0 2") in file.read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "attributes", "expected"),
    [
        ("image: acme/missing:1.0.0\n", {}, "acme/missing:1.0.0: http://127.0.0.1:"),
        ("image: acme/x:1.0.0\n", {"stated": "sha256:0"}, "the registry states sha256:0, but its manifest has sha256:"),
    ],
)
def test_failures(
    text: str, attributes: dict[str, str], expected: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image that is missing, or whose digest is not that of its manifest, is one line; the file stays as it is."""
    file.write_text(text, "utf-8")
    with serving(**attributes) as url:
        assert main(["--registry", url, str(file)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert file.read_text("utf-8") == text


@pytest.mark.parametrize(
    ("name", "registry", "repository"),
    [
        ("busybox", "https://hub", "library/busybox"),
        ("prom/prometheus", "https://hub", "prom/prometheus"),
        ("quay.io/acme/x/y", "https://quay.io", "acme/x/y"),
        ("localhost:5000/x", "https://localhost:5000", "x"),
    ],
)
def test_names_of_images(name: str, registry: str, repository: str) -> None:
    """A name has a registry of its own only if its first part is a host."""
    assert SCRIPT["read_image"](name, "1", "https://hub") == (registry, repository, "1")


def test_addresses_without_encryption_are_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A registry that is not on this machine is asked by HTTPS only."""
    assert main(["--registry", "http://registry.example", str(file)]) == 2
    assert "is not an https address" in capsys.readouterr().err


def test_images_of_the_kubernetes_example_are_pinned(tmp_path: Path) -> None:
    """The files of examples/kubernetes are pinned by default; images that users build themselves stay as they are."""
    texts = {path: path.read_text("utf-8") for path in SCRIPT["FILES"]}
    found = {
        path
        for path in (FOLDER.parent / "examples" / "kubernetes").iterdir()
        if SCRIPT["IMAGE"].search(path.read_text("utf-8"))
    }
    assert found <= texts.keys()
    file = tmp_path / "collector.Dockerfile"
    file.write_text(texts[FOLDER.parent / "examples" / "kubernetes" / file.name], "utf-8")
    own = tmp_path / "application.yaml"
    own.write_text(texts[FOLDER.parent / "examples" / "kubernetes" / own.name], "utf-8")
    with serving() as url:
        assert main(["--registry", url, str(file), str(own)]) == 0
    images = [digest(b"otel/opentelemetry-collector-contrib 0.158.0 1"), digest(b"library/debian 12.8-slim 1")]
    assert [image for image in images if image in file.read_text("utf-8")] == images
    assert own.read_text("utf-8") == texts[FOLDER.parent / "examples" / "kubernetes" / own.name]
