"""Opens pages in a real Chromium as people do, and prints an object in JSON for each view of a page.

Usage: browse_pages.py CHROMIUM WIDTH,...:PAGE ...

A view is the page in one of the named widths, in light or dark. The page is checked for barriers if ``laptop`` is
named. The program runs in the environment of requirements/browser.txt.
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
SCHEMES: tuple[Any, ...] = ("light", "dark")
UNSAFE = "() => Boolean(window.executed) || document.scripts.length > 0"
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
HIDDEN = "() => [...document.querySelectorAll('td')].filter((cell) => !cell.checkVisibility()).length"
"""The number of cells that nobody sees, because they are folded."""

WRAPPED = """() => [...document.querySelectorAll('td code')].filter((ids) =>
  Math.round(ids.clientHeight / parseFloat(getComputedStyle(ids).lineHeight)) > 1 + ids.querySelectorAll('br').length
).length"""
"""The number of pairs of a trace id and a span id that do not have a line for each id."""


def main(chromium: str, *wanted: str) -> int:
    """Open each page, and look at it in its widths, in each colour scheme."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        views = [view for each in wanted for view in browse(browser, each)]
        browser.close()
    json.dump(views, sys.stdout)
    return 0


def browse(browser: Browser, wanted: str) -> list[dict[str, Any]]:
    """Open a page. Return its views, with the requests, messages and dialogs of all of them."""
    widths, _, file = wanted.partition(":")
    page = browser.new_page()
    seen: dict[str, list[str]] = {"requests": [], "blocked": [], "messages": [], "dialogs": []}
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.on("requestfailed", lambda request: seen["blocked"].append(request.url))
    page.on("console", lambda message: seen["messages"].append(message.text))
    page.on("pageerror", lambda error: seen["messages"].append(str(error)))
    page.on("dialog", lambda dialog: (seen["dialogs"].append(dialog.message), dialog.dismiss()))
    address = Path(file).as_uri()
    page.goto(address)
    views = [view(page, width, scheme) for width in widths.split(",") for scheme in SCHEMES]
    skip = find_skip_link(page)
    page.close()
    seen["requests"] = [url for url in seen["requests"] if url != address]
    barriers = check_barriers(browser, address) if "laptop" in widths else []
    return [{"page": Path(file).name, **seen, **facts, "skip": skip, "barriers": barriers} for facts in views]


def view(page: Page, width: str, scheme: Any) -> dict[str, Any]:
    """Return the facts about a page in a width and a colour scheme."""
    across, down = WIDTHS[width]
    page.set_viewport_size({"width": across, "height": down})
    page.emulate_media(media="print" if width == "print" else "screen", color_scheme=scheme)
    page.mouse.move(across / 2, down / 2)
    scripts = {"overflow": OVERFLOW, "hidden": HIDDEN, "unsafe": UNSAFE, "wrapped": WRAPPED}
    return {"width": width, "scheme": scheme, **{name: page.evaluate(script) for name, script in scripts.items()}}


def find_skip_link(page: Page) -> str | None:
    """Return where the first element leads that a reader reaches by keyboard."""
    page.emulate_media(media="screen")
    page.keyboard.press("Tab")
    return page.evaluate("() => document.activeElement.getAttribute('href')")


def check_barriers(browser: Browser, address: str) -> list[str]:
    """Return the faults that axe reports on an unfolded page. Axe is a script, so the page's policy is off."""
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(address)
    page.evaluate("() => document.querySelectorAll('details').forEach((part) => { part.open = true })")
    violations = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        violations += Axe().run(page).response["violations"]
    context.close()
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for each in violations
        for node in each["nodes"][:3]
    ]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
