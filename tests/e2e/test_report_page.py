"""The page ``report.html`` in a real Chromium: nothing executes, nothing is requested, and axe finds no barrier."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from support.pages import HOSTILE, make_rich_package, replace_texts

from spanforge.model_registry.compliance._page.render import render_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanforge.model_registry.compliance import Attestation

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
WIDTHS = {"hostile": "phone,laptop,print", "large": "phone", "unescaped": "phone"}
"""The widths in which each page is seen. If a laptop's is one of them, axe looks for barriers, which takes seconds."""
BROWSE = Path(__file__).with_name("browse_pages.py")


@pytest.fixture
def browse(program: Callable[[str], str]) -> Callable[..., list[dict[str, Any]]]:
    """Give a function that opens pages in each width and colour scheme, and returns what happened."""
    chromium = program("chromium")
    if not (ROOT / "requirements" / "browser.txt").exists():
        (pytest.fail if "CI" in os.environ else pytest.skip)("requirements/browser.txt is missing: run make lock")
    python = runpy.run_path(str(ROOT / "tools" / "environments.py"))["make_environment"]("browser", "browser")

    def open_pages(**pages: Path) -> list[dict[str, Any]]:
        wanted = [f"{WIDTHS[name]}:{path}" for name, path in pages.items()]
        done = subprocess.run([python, BROWSE, chromium, *wanted], check=True, stdout=subprocess.PIPE, timeout=300)
        views: list[dict[str, Any]] = json.loads(done.stdout)
        return views

    return open_pages


def make_large(attestation: Attestation) -> Attestation:
    """Return an attestation with as many models and findings as there can be."""
    replace = msgspec.structs.replace
    inventory = [
        replace(row, model_id=f"model-{number}", name=f"model-{number}", calls=10_000 - number)
        for number, row in enumerate(list(attestation.inventory[:5]) * 200)
    ]
    findings = [
        replace(finding, name=f"model-{number}")
        for check in dict.fromkeys(each.check for each in attestation.findings)
        for number, finding in enumerate([each for each in attestation.findings if each.check == check][:1] * 100)
    ]
    return replace(attestation, inventory=tuple(inventory), findings=tuple(findings), inventory_count=2_000)


def test_pages_in_a_browser(browse: Callable[..., list[dict[str, Any]]], tmp_path: Path) -> None:
    """With hostile texts and with many models, the page is safe, fits each width, and has no barriers.

    The page's policy keeps scripts from running even if texts were not escaped.
    """
    attestation = make_rich_package().attestation
    hostile = render_page(replace_texts(attestation, HOSTILE))
    pages = {
        "hostile": hostile,
        "large": render_page(make_large(attestation)),
        "unescaped": hostile.replace(b"&lt;", b"<").replace(b"&gt;", b">"),
    }
    assert len(pages["large"]) < 600_000
    paths = {name: tmp_path / f"{name}.html" for name in pages}
    for name, path in paths.items():
        path.write_bytes(pages[name])
    views = browse(**paths)
    assert len(views) == 2 * sum(len(widths.split(",")) for widths in WIDTHS.values())
    for view in views:
        where = view["page"], view["width"], view["scheme"]
        assert (where, view["dialogs"], view["requests"]) == (where, [], view["blocked"])
        if view["page"] == "unescaped.html":
            assert any("Content Security Policy" in text for text in view["messages"]), where
            continue
        assert (where, view["requests"], view["messages"], view["unsafe"]) == (where, [], [], False)
        assert (where, view["overflow"], view["barriers"], view["skip"]) == (where, 0, [], "#findings")
        assert (where, view["wrapped"]) == (where, 0)
        if view["width"] == "print":
            assert (where, view["hidden"]) == (where, 0)
