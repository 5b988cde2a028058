"""The documentation site, built as ``make site`` builds it: its links, and its pages in a real Chromium."""

from __future__ import annotations

import functools
import json
import os
import re
import runpy
import subprocess
import sys
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="the generator of the site needs Python 3.11"),
]

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "tools"
BROWSE = Path(__file__).with_name("browse_site.py")
PAGES = ("settings.html", "architecture.html")
"""The pages to open: one with a wide table, and one with a picture for each colour scheme."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; warnings are errors."""
    folder = tmp_path_factory.mktemp("site") / "built"
    command = [sys.executable, TOOLS / "documentation.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Serve the site as a plain file server does, and give its address."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Log nothing."""


class LinkedPage(HTMLParser):
    """The ids of a page's elements, and the targets of its links."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.ids: set[str | None] = set()
        self.links: list[str] = []
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the id and the target of an element."""
        named = dict(attrs)
        self.ids.add(named.get("id"))
        if tag == "a":
            self.links.append(named.get("href") or "")


def test_links_and_anchors(site: Path) -> None:
    """Each link of each page leads to a file of the site, and each anchor to an element there."""
    pages = {file: LinkedPage(file) for file in site.rglob("*.html")}
    assert len(pages) > 80
    assert sum(len(page.links) for page in pages.values()) > 10_000
    for file, page in pages.items():
        for link in page.links if file.name != "404.html" else ():
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), (file, link)
            assert not parts.fragment or unquote(parts.fragment) in pages[target].ids, (file, link)


def test_search_has_pages_and_not_files_of_the_repository(site: Path) -> None:
    """The search has each page of the navigation. Copies of files of the repository are left out."""
    places = {re.sub("#.*", "", item["location"]) for item in json.loads((site / "search.json").read_text())["items"]}
    assert places >= {"start.html", "faq.html", "security.html", "collector-config.html"}
    assert not [place for place in places if place.startswith("files/")]


def test_pages_in_a_browser(address: str, program: Callable[[str], str]) -> None:
    """On a phone and on a laptop, light and dark, pages fit, load nothing from other hosts, and have no barriers.

    The search finds the answer to a frequent question.
    """
    chromium = program("chromium")
    python = runpy.run_path(str(TOOLS / "environments.py"))["make_environment"]("browser", "browser")
    command = [python, BROWSE, chromium, address, "unregistered", *PAGES]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=300, env={**os.environ, "NO_PROXY": "*"})
    seen: dict[str, Any] = json.loads(done.stdout)
    assert len(seen["views"]) == 4 * len(PAGES)
    for view in seen["views"]:
        assert view["overflow"] <= 0, view
        assert (view["broken"], view["failed"], view["messages"], view["barriers"]) == ([], [], [], []), view
        assert [url for url in view["requests"] if not url.startswith((address, "data:", "blob:"))] == []
    colours = {
        scheme: {view["colour"] for view in seen["views"] if view["scheme"] == scheme} for scheme in ("light", "dark")
    }
    assert not colours["light"] & colours["dark"]
    for found in seen["found"]:
        assert any("faq.html" in place and "#why-is-my-model-unregistered" in place for place in found)
