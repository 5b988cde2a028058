"""Opens pages of the documentation site in a real Chromium, and prints an object in JSON for each view.

Usage: browse_site.py CHROMIUM ADDRESS QUERY PAGE ...

Each page is opened in the width of a phone and of a laptop, in light and dark. Axe looks for barriers. At the end,
QUERY is typed into the search. If the variable SITE_PICTURES names a folder, a picture of each view is drawn there.
The program runs in the environment of requirements/browser.txt.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = {"phone": (390, 844), "laptop": (1280, 800)}
SCHEMES = ("light", "dark")
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
LOADED = "() => [...document.images].every((each) => each.complete || each.loading === 'lazy')"
BROKEN = "() => [...document.images].filter((each) => each.complete && !each.naturalWidth).map((each) => each.src)"
BACKGROUND = "() => getComputedStyle(document.body).backgroundColor"
HAS_SCHEME = "(scheme) => matchMedia(`(prefers-color-scheme: ${scheme})`).matches"
HAS_CHANGED = """(before) => getComputedStyle(document.body).backgroundColor !== before
    && !document.getAnimations().some((each) => each instanceof CSSTransition)"""


def main(chromium: str, address: str, query: str, *pages: str) -> int:
    """Open each page in each width and colour scheme, then search."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        views = [view for name in pages for view in browse(browser, address, name)]
        found = [search(browser, address, query, width) for width in WIDTHS]
        browser.close()
    json.dump({"views": views, "found": found}, sys.stdout)
    return 0


def open_page(browser: Browser, address: str, width: str, scheme: Any) -> tuple[Page, dict[str, list[str]]]:
    """Return a page, and what it requests and reports from now on."""
    across, down = WIDTHS[width]
    page = browser.new_page(viewport={"width": across, "height": down}, color_scheme=scheme)
    seen: dict[str, list[str]] = {"requests": [], "failed": [], "messages": []}
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.on("requestfailed", lambda request: seen["failed"].append(request.url))
    page.on("response", lambda response: response.ok or seen["failed"].append(response.url))
    page.on("console", lambda message: seen["messages"].append(message.text))
    page.on("pageerror", lambda error: seen["messages"].append(str(error)))
    page.goto(address, wait_until="load")
    return page, seen


def browse(browser: Browser, address: str, name: str) -> list[dict[str, Any]]:
    """Open a page in each width and colour scheme. Return requests, messages, size, colour, images and barriers."""
    page, seen = open_page(browser, f"{address}/{name}", "phone", "light")
    page.wait_for_function(LOADED)
    views = [view(page, name, width, scheme) for width in WIDTHS for scheme in SCHEMES]
    page.close()
    return [{**seen, **facts} for facts in views]


def view(page: Page, name: str, width: str, scheme: Any) -> dict[str, Any]:
    """Return the size, the colour, the missing images and the barriers of a page in a width and a colour scheme."""
    across, down = WIDTHS[width]
    page.set_viewport_size({"width": across, "height": down})
    before, changes = page.evaluate(BACKGROUND), not page.evaluate(HAS_SCHEME, scheme)
    page.emulate_media(color_scheme=scheme)
    if changes:  # a script of the page applies the colours a moment later
        page.wait_for_function(HAS_CHANGED, arg=before)
    page.wait_for_function(LOADED)
    facts = {"overflow": page.evaluate(OVERFLOW), "broken": page.evaluate(BROKEN), "colour": page.evaluate(BACKGROUND)}
    draw(page, f"{name.removesuffix('.html')}-{width}-{scheme}")
    faults = Axe().run(page).response["violations"] if width == "laptop" else []
    barriers = [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in faults]
    return {"page": name, "width": width, "scheme": scheme, **facts, "barriers": barriers}


def search(browser: Browser, address: str, query: str, width: str) -> list[str]:
    """Return the addresses of the pages that a search finds."""
    page, _ = open_page(browser, f"{address}/index.html", width, "light")
    page.keyboard.press("/")
    page.get_by_role("combobox", name="Search").fill(query)
    results = page.get_by_role("option")
    results.first.wait_for()
    draw(page, f"search-{width}-light")
    found = [str(each.get_attribute("href")) for each in results.all()[:10]]
    page.close()
    return found


def draw(page: Page, name: str) -> None:
    """Draw a picture of the window, if somebody wants pictures."""
    if "SITE_PICTURES" in os.environ:
        page.screenshot(path=str(Path(os.environ["SITE_PICTURES"]) / f"{name}.png"))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
