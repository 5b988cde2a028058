"""Pins the container images of files to digests, by asking their registries.

Usage: pin_images.py [--registry URL] [--check] [FILE ...]

The default files are ``collector-config/compose.yaml`` and those with images in ``examples/kubernetes``. Lines with
``image:`` or ``FROM`` name the images; those of ``registry.example.com`` stay as they are. The tag of a version stays,
and the digest of the image that it means now is added: ``busybox:1.37.0@sha256:…``. A container engine then uses this
image only, even if the tag is moved. With ``--check``, nothing is written, and the exit code is 1 if a digest is
missing or the tag means another image now. ``--registry`` names a mirror of Docker Hub.

It needs the network, and no account: registries give anonymous tokens for public images.
API: https://github.com/opencontainers/distribution-spec/blob/main/spec.md, tokens:
https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
COMPOSE: Final = ROOT / "collector-config" / "compose.yaml"
KUBERNETES: Final = ROOT / "examples" / "kubernetes"
FILES: Final = (
    COMPOSE,
    *sorted(KUBERNETES.glob("*.Dockerfile")),
    *(KUBERNETES / name for name in ("application.yaml", "collector.yaml", "instrumentation.yaml")),
)
"""The files that are pinned by default."""
OWN_REGISTRY: Final = "registry.example.com/"
"""The beginning of the names of images in examples that users build themselves. They are not pinned."""
DOCKER_HUB: Final = "https://registry-1.docker.io"
IMAGE: Final = re.compile(
    r"""
    (?P<before>^\s*(?:-\s+)?(?:image:|FROM)\s+(?:--platform=\S+\s+)?["']?)
    (?P<name>[\w./-]+(?::\d+/[\w./-]+)?)
    :(?P<tag>[\w.-]+)
    (?:@sha256:[0-9a-f]{64})?
    """,
    re.MULTILINE | re.VERBOSE,
)
MANIFESTS: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""The kinds of manifests; the first two are lists of the images of several platforms, whose digest serves all."""
TIMEOUT: Final = 30
"""Seconds until a response must have begun."""
MAX_RESPONSE: Final = 4 << 20
"""The limit of bytes of a manifest, as in the specification of registries."""
PARAMETER: Final = re.compile(r'(\w+)="([^"]*)"')


class PinError(Exception):
    """An image cannot be pinned. The message names it, and the reason."""


class Image(NamedTuple):
    """An image of a version: the address of its registry, its repository there, and its tag."""

    registry: str
    repository: str
    tag: str


def read_image(name: str, tag: str, docker_hub: str) -> Image:
    """Return the image with a name as container engines read it: without a host, it is on Docker Hub."""
    host, _, rest = name.partition("/")
    if rest and ("." in host or ":" in host or host == "localhost"):
        return Image(f"https://{host}", rest, tag)
    return Image(docker_hub, name if rest else f"library/{name}", tag)


@cache
def find_digest(image: Image) -> str:
    """Return the digest of the image that a tag means now. It is computed from the manifest and not only read."""
    url = f"{image.registry}/v2/{image.repository}/manifests/{image.tag}"
    try:
        body, stated = _get(url, {"Accept": ", ".join(MANIFESTS)})
    except (OSError, ValueError, KeyError) as error:
        raise PinError(f"{image.repository}:{image.tag}: {url}: {error}") from error
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if stated not in {None, digest}:
        raise PinError(f"{image.repository}:{image.tag}: the registry states {stated}, but its manifest has {digest}")
    return digest


def _get(url: str, headers: dict[str, str]) -> tuple[bytes, str | None]:
    """Return a manifest and the digest that the registry states. If it asks for a token, get an anonymous one."""
    try:
        return _open(url, headers)
    except urllib.error.HTTPError as error:
        scheme, _, challenge = error.headers.get("WWW-Authenticate", "").partition(" ")
        if error.code != HTTPStatus.UNAUTHORIZED or scheme.lower() != "bearer":
            raise
    asked = dict(PARAMETER.findall(challenge))
    query = urllib.parse.urlencode({key: asked[key] for key in ("service", "scope") if key in asked})
    body, _ = _open(f"{asked['realm']}?{query}", {})
    answer = json.loads(body)
    token = answer.get("token") or answer["access_token"]
    return _open(url, {**headers, "Authorization": f"Bearer {token}"})


def _open(url: str, headers: dict[str, str]) -> tuple[bytes, str | None]:
    if not url.startswith(("https://", "http://127.0.0.1:")):
        raise ValueError(f"{url} is not an https address")
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310 - likewise
        body: bytes = response.read(MAX_RESPONSE + 1)
        if len(body) > MAX_RESPONSE:
            raise ValueError(f"the response has more than {MAX_RESPONSE} bytes")
        return body, response.headers.get("Docker-Content-Digest")


def pin(text: str, docker_hub: str = DOCKER_HUB) -> str:
    """Return the text of a file with the digests of all images in it."""

    def add_digest(found: re.Match[str]) -> str:
        if found["name"].startswith(OWN_REGISTRY):
            return found[0]
        digest = find_digest(read_image(found["name"], found["tag"], docker_hub))
        return f"{found['before']}{found['name']}:{found['tag']}@{digest}"

    return IMAGE.sub(add_digest, text)


def main(arguments: list[str]) -> int:
    """Pin the images of the files, or with ``--check`` report those that are not pinned."""
    parser = argparse.ArgumentParser(description="Pin container images to digests.")
    parser.add_argument("--registry", default=DOCKER_HUB, metavar="URL", help="a mirror of Docker Hub")
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("files", nargs="*", type=Path, default=FILES, metavar="FILE")
    options = parser.parse_args(arguments)
    differing = 0
    try:
        for file in options.files:
            text = file.read_text("utf-8")
            pinned = pin(text, options.registry.rstrip("/"))
            differing += text != pinned
            print(f"{file}: {'unchanged' if text == pinned else 'is not pinned' if options.check else 'pinned'}")
            if not options.check and text != pinned:
                file.write_text(pinned, "utf-8")
    except PinError as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if options.check and differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
