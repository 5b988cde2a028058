"""Draws views of web pages in a real Chromium.

Usage: draw_views.py CHROMIUM FOLDER VIEWS

VIEWS is a list in JSON. A view has the name of its picture, an address, the width and height of the window, the names
of spans to click on, and selectors to click on afterwards. With ``part``, the picture shows the element of this
selector only. The program runs in the environment of requirements/browser.txt.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FONT = "* { font-family: 'DejaVu Sans', sans-serif !important }"
"""The font without serifs. The page asks for the system's own, which a system of tests may not have."""


def main(chromium: str, folder: str, views: str) -> int:
    """Draw each view."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--no-proxy-server"])
        for view in json.loads(views):
            draw(browser, Path(folder), view)
        browser.close()
    return 0


def draw(browser: Browser, folder: Path, view: dict[str, Any]) -> None:
    """Open a view, click, and draw it."""
    width, height = view["size"]
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=view.get("scale", 1))
    page.goto(view["address"], wait_until="networkidle")
    for span in view.get("spans", ()):
        page.locator(".span-name", has_text=span).last.click()
    for selector in view.get("clicks", ()):
        page.locator(selector).first.click()
    page.add_style_tag(content=FONT)
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
    where = page.locator(view["part"]).first if "part" in view else page
    where.screenshot(path=str(folder / f"{view['name']}.png"))
    page.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
