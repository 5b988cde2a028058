"""A builder of the documentation site: it prepares the pages, runs Zensical, and checks the result.

Usage: documentation.py [FOLDER]    by default, the folder is build/site

docs/navigation.yaml has the pages. Neither the site nor the repository has a public address yet. So links to other
files of the repository lead to pages with the contents of these files, outside the navigation and the search.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import yaml
from environments import make_environment
from reading_time import LIMIT, count_minutes
from site_markdown import convert_page

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
NAVIGATION: Final = ROOT / "docs" / "navigation.yaml"
STYLE: Final = ROOT / "tools" / "site.css"
OLDEST_PYTHON: Final = (3, 11)
"""The oldest version for which the generator has packages."""
TITLE: Final = re.compile(r"^# (.+)$", re.MULTILINE)
NOT_SEARCHED: Final = "---\nsearch:\n  exclude: true\nhide:\n- navigation\n---\n\n"
"""The settings of pages outside the navigation."""
LANGUAGES: Final = {".yml": "yaml", ".md": "markdown", ".py": "python", ".sh": "sh"}
"""The names of languages that are not the end of a file's name."""
PICTURES: Final = frozenset({".png", ".svg"})
EXTERNAL: Final = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc(?:set)?=["']?((?:https?:)?//[^"'\s>]+)|"""
    r"""<link\b(?![^>]*\brel=["']?canonical)[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)|url\(["']?((?:https?:)?//[^"')]+)"""
)
"""What a browser would load from another host. Links are not loaded."""
COLOUR: Final = re.compile(r"\x1b\[[\d;]*m")
"""What colours the generator's warnings on a terminal."""
SETTINGS: Final = """\
[project]
site_name = "spanforge-model-registry"
site_description = "Owner, risk tier and lifecycle status on the spans of LLM calls"
docs_dir = "pages"
site_dir = "site"
use_directory_urls = false
extra_css = ["site.css"]
nav = {nav}

[project.theme]
language = "en"
font = false
features = [
  "content.code.copy",
  "navigation.footer",
  "navigation.sections",
  "navigation.top",
  "navigation.tracking",
  "search.highlight",
  "toc.follow",
]

[[project.theme.palette]]
media = "(prefers-color-scheme)"
toggle.icon = "lucide/sun-moon"
toggle.name = "Switch to light mode"

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
toggle.icon = "lucide/sun"
toggle.name = "Switch to dark mode"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
toggle.icon = "lucide/moon"
toggle.name = "Switch to system preference"

[project.validation]
unused_definitions = true
unused_footnotes = true
shadowed_definitions = true

[project.markdown_extensions]
tables = {{}}
sane_lists = {{}}
toc.permalink = true
toc.slugify = {{ object = "pymdownx.slugs.slugify", kwds = {{ case = "lower" }} }}
pymdownx.betterem = {{}}
pymdownx.highlight.pygments_lang_class = true
pymdownx.superfences = {{}}
"""
"""The configuration of Zensical. Without fonts of its own, the site loads nothing from other hosts."""


class SiteError(Exception):
    """The site cannot be built, or has faults. The message has a line for each fault."""


def read_navigation() -> dict[str, list[Path]]:
    """Return the files of the pages by section, in order."""
    sections: dict[str, list[str]] = yaml.safe_load(NAVIGATION.read_text("utf-8"))
    return {title: [(NAVIGATION.parent / page).resolve() for page in pages] for title, pages in sections.items()}


def check_pages(navigation: dict[str, list[Path]]) -> list[str]:
    """Return the faults of the navigation and of its pages."""
    pages = [page for section in navigation.values() for page in section]
    docs = set(NAVIGATION.parent.glob("*.md"))
    missing = [f"{name_of(page)} is not in docs/navigation.yaml" for page in sorted(docs - set(pages))]
    twice = [
        f"{name_of(page)} is in docs/navigation.yaml {pages.count(page)} times"
        for page in sorted(set(pages))
        if pages.count(page) > 1
    ]
    absent = [
        f"docs/navigation.yaml names {name_of(page)}, which does not exist" for page in pages if not page.is_file()
    ]
    minutes = {page: count_minutes(page.read_text("utf-8")) for page in pages if page.is_file()}
    long = [
        f"{name_of(page)} takes {count:.1f} minutes to read; the limit is {LIMIT:.0f}: split it"
        for page, count in minutes.items()
        if count > LIMIT
    ]
    return [*missing, *twice, *absent, *long]


def name_of(path: Path) -> str:
    """Return the path of a file relative to the repository, with slashes."""
    return path.relative_to(ROOT).as_posix()


def place_of(path: Path, listed: frozenset[Path]) -> PurePosixPath:
    """Return where a file of the repository is on the site, relative to its root."""
    name = PurePosixPath(name_of(path))
    if path.suffix in PICTURES:
        return name.relative_to("docs") if name.parts[0] == "docs" else "files" / name
    if path not in listed:
        return "files" / name.with_name(f"{name.name}.md" if name.suffix != ".md" else name.name)
    if name.parts[0] == "docs":
        return name.relative_to("docs")
    return PurePosixPath(f"{name.parent}.md") if name.name == "README.md" else name.with_name(name.name.lower())


class Preparation:
    """Writes the pages for the generator, and the files to which they link.

    Args:
        navigation: The files of the pages by section.
        folder: The folder to write into.
    """

    def __init__(self, navigation: dict[str, list[Path]], folder: Path) -> None:
        self.listed = frozenset(page for section in navigation.values() for page in section)
        self._folder = folder
        self._todo = list(self.listed)
        self._seen = set(self.listed)

    def write_all(self) -> None:
        """Write all pages."""
        while self._todo:
            path = self._todo.pop()
            place = self._folder / place_of(path, self.listed)
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix in PICTURES:
                shutil.copyfile(path, place)
            else:
                place.write_text(self._render(path), "utf-8")

    def _render(self, path: Path) -> str:
        if path in self.listed:
            return self._convert(path)
        if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.is_file() and each.name != "__init__.py")
            links = "".join(f"- [{each.name}]({self._link(path, each)})\n" for each in files)
            return f"{NOT_SEARCHED}# {name_of(path)}\n\nThis folder of the repository has these files:\n\n{links}"
        if path.suffix == ".md":
            return NOT_SEARCHED + self._convert(path)
        text = path.read_text("utf-8")
        language = LANGUAGES.get(path.suffix, path.suffix[1:] or "text")
        block = f"``````{language}\n{text.rstrip()}\n``````\n"
        return f"{NOT_SEARCHED}# {path.name}\n\nThis is the file `{name_of(path)}` of the repository.\n\n{block}"

    def _convert(self, path: Path) -> str:
        return convert_page(path.read_text("utf-8"), lambda target: self._rewrite(path, target))

    def _rewrite(self, page: Path, target: str) -> str:
        """Return a link's target on the site."""
        address, hash_sign, anchor = target.partition("#")
        if not address or ":" in address:
            return target
        other = (page.parent / address).resolve()
        if other == ROOT / "README.md":
            other = ROOT / "docs" / "index.md"
        if not other.exists():
            raise SiteError(f"{name_of(page)}: the link {target} leads nowhere")
        return f"{self._link(page, other)}{hash_sign}{anchor}"

    def _link(self, page: Path, other: Path) -> str:
        if other not in self._seen:
            self._seen.add(other)
            self._todo.append(other)
        here, there = (place_of(path, self.listed) for path in (page, other))
        return os.path.relpath(there, here.parent).replace(os.sep, "/")


def render_navigation(navigation: dict[str, list[Path]], listed: frozenset[Path]) -> str:
    """Return the navigation in TOML."""

    def render(page: Path) -> str:
        title = TITLE.search(page.read_text("utf-8"))
        if title is None:
            raise SiteError(f"{name_of(page)} has no heading of the first level")
        return f"{{ {json.dumps(title[1].replace('`', ''))} = {json.dumps(str(place_of(page, listed)))} }}"

    sections = [
        f"  {{ {json.dumps(title)} = [{', '.join(map(render, pages))}] }},\n" for title, pages in navigation.items()
    ]
    return f"[\n{''.join(sections)}]"


def prepare(folder: Path) -> None:
    """Write the pages and the configuration for the generator into an empty folder.

    Raises:
        SiteError: The navigation or a page has faults.
    """
    navigation = read_navigation()
    faults = check_pages(navigation)
    if faults:
        raise SiteError("\n".join(faults))
    preparation = Preparation(navigation, folder / "pages")
    preparation.write_all()
    settings = SETTINGS.format(nav=render_navigation(navigation, preparation.listed))
    (folder / "zensical.toml").write_text(settings, "utf-8")
    shutil.copyfile(STYLE, folder / "pages" / STYLE.name)


def find_external(site: Path) -> Iterator[str]:
    """Yield a line for each thing that pages and styles of the site load from another host."""
    for file in sorted(site.rglob("*")):
        if file.suffix in {".html", ".css"}:
            for found in EXTERNAL.finditer(file.read_text("utf-8")):
                yield f"{file.relative_to(site)} loads {''.join(filter(None, found.groups()))}"


def build(target: Path) -> None:
    """Build the site into a folder, which is replaced.

    Raises:
        SiteError: A page has faults, the generator has warnings, or the site loads something from another host.
    """
    if sys.version_info < OLDEST_PYTHON:
        raise SiteError(f"The generator needs Python {'.'.join(map(str, OLDEST_PYTHON))}.")
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary)
        prepare(source)
        command = [make_environment("docs", "docs/python"), "-m", "zensical", "build", "--strict"]
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SiteError(COLOUR.sub("", done.stdout) + done.stderr)
        external = list(find_external(source / "site"))
        if external:
            raise SiteError("\n".join(external))
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source / "site", target)


def main(arguments: list[str]) -> int:
    """Build the site, or print its faults."""
    target = Path(arguments[0]) if arguments else ROOT / "build" / "site"
    try:
        build(target)
    except SiteError as error:
        print(f"The site was not built:\n{error}", file=sys.stderr)
        return 1
    print(f"The site is in {target}. To read it: python -m http.server --directory {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
