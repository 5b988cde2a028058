"""Opens pages in a real Chromium as people do, and prints an object in JSON for each view of a page.

Usage: browse_pages.py CHROMIUM WIDTH,...:PAGE ...

Each page is opened in the named widths, and in light and dark. It is checked for barriers in the width ``laptop``. The
program runs in the environment of requirements/browser.txt.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = {"phone": (390, 844), "laptop": (1280, 800), "print": (680, 1_000)}
"""Widths and heights of windows in pixels. A sheet of A4 without its margins has 680."""
SCHEMES = ("light", "dark")
UNSAFE = "() => Boolean(window.executed) || document.scripts.length > 0"
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
HIDDEN = "() => [...document.querySelectorAll('td')].filter((cell) => !cell.checkVisibility()).length"
"""The number of cells that nobody sees, because they are folded."""

WRAPPED = """() => [...document.querySelectorAll('td code')].filter((ids) =>
  Math.round(ids.clientHeight / parseFloat(getComputedStyle(ids).lineHeight)) > 1 + ids.querySelectorAll('br').length
).length"""
"""The number of pairs of a trace id and a span id that do not have a line for each id."""


def main(chromium: str, *wanted: str) -> int:
    """Open each page in its widths, in each colour scheme."""
    pages = [
        (file, width) for widths, _, file in (each.partition(":") for each in wanted) for width in widths.split(",")
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        views = [browse(browser, page, width, scheme) for page, width in pages for scheme in SCHEMES]
        browser.close()
    json.dump(views, sys.stdout)
    return 0


def browse(browser: Browser, file: str, width: str, scheme: Any) -> dict[str, Any]:
    """Open a page and unfold it. Return its requests, messages, dialogs, barriers and size."""
    across, down = WIDTHS[width]
    page = browser.new_page(viewport={"width": across, "height": down}, color_scheme=scheme)
    seen: dict[str, list[str]] = {"requests": [], "blocked": [], "messages": [], "dialogs": []}
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.on("requestfailed", lambda request: seen["blocked"].append(request.url))
    page.on("console", lambda message: seen["messages"].append(message.text))
    page.on("pageerror", lambda error: seen["messages"].append(str(error)))
    page.on("dialog", lambda dialog: (seen["dialogs"].append(dialog.message), dialog.dismiss()))
    address = Path(file).as_uri()
    page.goto(address)
    page.mouse.move(across / 2, down / 2)
    if width == "print":
        page.emulate_media(media="print")
    facts = {"overflow": page.evaluate(OVERFLOW), "hidden": page.evaluate(HIDDEN), "unsafe": page.evaluate(UNSAFE)}
    facts["wrapped"] = page.evaluate(WRAPPED)
    facts["skip"] = find_skip_link(page) if width == "laptop" else "#findings"
    page.close()
    seen["requests"] = [url for url in seen["requests"] if url != address]
    barriers = check_barriers(browser, address, scheme) if width == "laptop" else []
    return {"page": Path(file).name, "width": width, "scheme": scheme, **seen, **facts, "barriers": barriers}


def find_skip_link(page: Page) -> str | None:
    """Return where the first element leads that a reader reaches by keyboard."""
    page.keyboard.press("Tab")
    return page.evaluate("() => document.activeElement.getAttribute('href')")


def check_barriers(browser: Browser, address: str, scheme: Any) -> list[str]:
    """Return the faults that axe reports on an unfolded page. Axe is a script, so the page's policy is off."""
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    page.evaluate("() => document.querySelectorAll('details').forEach((part) => { part.open = true })")
    found = Axe().run(page)
    context.close()
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in found.response["violations"]
        for node in each["nodes"][:3]
    ]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
