"""The tool of the documentation site: reading times, faults of the navigation, and the conversion of pages."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tools"))

from reading_time import LIMIT, count_minutes  # noqa: E402 - it is a script's
from site_markdown import convert_page  # noqa: E402 - likewise

TOOL: dict[str, Any] = runpy.run_path(str(ROOT / "tools" / "documentation.py"))


@pytest.mark.slow
def test_every_page_is_in_the_navigation_and_short() -> None:
    """Each page of docs/ is in the navigation exactly once, and no page takes more than five minutes to read."""
    assert TOOL["check_pages"](TOOL["read_navigation"]()) == []


@pytest.mark.slow
def test_faults_of_the_navigation() -> None:
    """A page that is missing, twice there, absent or long is a fault that names the page."""
    docs = ROOT / "docs"
    pages = sorted(docs.glob("*.md"))
    missing, twice = (page.relative_to(ROOT).as_posix() for page in pages[:2])
    long = ROOT / "CONTRIBUTING.md"
    faults = TOOL["check_pages"]({"All": [*pages[1:], pages[1], docs / "absent.md", long]})
    assert set(faults) >= {
        f"{missing} is not in docs/navigation.yaml",
        f"{twice} is in docs/navigation.yaml 2 times",
        "docs/navigation.yaml names docs/absent.md, which does not exist",
    }
    assert any(fault.startswith("CONTRIBUTING.md takes ") for fault in faults)


def test_reading_time() -> None:
    """Words of prose count fully, and words in tables and code a quarter."""
    words = "word " * 1_100
    assert count_minutes(words) == LIMIT == 5
    assert count_minutes(f"```text\n{words}\n```\n") == LIMIT / 4
    assert count_minutes(f"| {words} |\n| --- |\n") == LIMIT / 4
    assert count_minutes(f"[{words}](https://example.com/a-long-address)") == LIMIT


PAGE = r"""# Title

Text:
- item one
  goes on

1. step

   ```console
   pip install x
   ```

   - inner [link](other.md#part)
2. last step

<!-- table: x -->
| a |
| --- |
| `a\|b` |
<!-- end -->

![Window](images/window.png)

<picture>
  <source media="(prefers-color-scheme: dark)" srcset="images/p-dark.svg">
  <img alt="P" src="images/p-light.svg">
</picture>

```text
[kept](as.it-is) <!-- kept -->
```
"""
CONVERTED = r"""# Title

Text:

- item one
    goes on

1. step

    ```sh
    pip install x
    ```

    - inner [link](OTHER.MD#PART)

2. last step


| a |
| --- |
| `a|b` |


[![Window](IMAGES/WINDOW.PNG)](IMAGES/WINDOW.PNG)

![P](IMAGES/P-LIGHT.SVG#ONLY-LIGHT)![P](IMAGES/P-DARK.SVG#ONLY-DARK)

```text
[kept](as.it-is) <!-- kept -->
```
"""


def test_pages_are_converted() -> None:
    """Lists, commands, tables, pictures and links become those of the generator; code stays as it is."""
    assert convert_page(PAGE, str.upper) == CONVERTED


@pytest.mark.parametrize(
    ("text", "external"),
    [
        ('<script src="https://cdn.example/x.js">', "https://cdn.example/x.js"),
        ("<link rel=stylesheet href=//fonts.example/x.css>", "//fonts.example/x.css"),
        ('<link rel="canonical" href="https://docs.example/">', None),
        ('<a href="https://example.com">', None),
        ('<img src="images/x.png">', None),
        ("@font-face {src: url(https://fonts.example/x.woff2)}", "https://fonts.example/x.woff2"),
    ],
)
def test_what_other_hosts_deliver(text: str, external: str | None, tmp_path: Path) -> None:
    """Scripts, styles, images and fonts of other hosts are found. Links are not, as a browser does not load them."""
    (tmp_path / "index.html").write_text(text)
    expected = [] if external is None else [f"index.html loads {external}"]
    assert list(TOOL["find_external"](tmp_path)) == expected
