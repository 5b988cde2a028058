"""The configuration of Jaeger's web page, and links to that page, without a Jaeger."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
from support.collector_files import FOLDER, ROOT

from spanforge.model_registry._core.attributes import ATTRIBUTES, ON_SPANS, PREFIX
from spanforge.model_registry._core.validation import RESERVED

TEXT = (FOLDER / "jaeger-ui.json").read_text("utf-8")
CONFIG: dict[str, Any] = json.loads(TEXT)
SCHEMA = json.loads((Path(__file__).parent / "support" / "jaeger_ui.schema.json").read_text("utf-8"))
TOP: list[str] = CONFIG["topTagPrefixes"]
LINKS: list[dict[str, str]] = CONFIG["linkPatterns"]
KEYS = {row.key for row in ATTRIBUTES} | {f"{PREFIX}{part}{key}" for key in RESERVED for part in ("", "metadata.")}
"""The registry's attributes on spans and events, also those that come from reserved keys."""


def test_the_page_knows_every_key() -> None:
    """The file fits the schema, which was written by hand from the types of Jaeger's page."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(CONFIG, SCHEMA)


def test_jaeger_inserts_the_file_as_it_is() -> None:
    """There is no dollar sign, because Jaeger inserts the file as a template of Go's regular expressions."""
    assert "$" not in TEXT


def place(key: str) -> int:
    """Return the place of a tag among the prefixes of Jaeger's page, which sorts by the first prefix that matches."""
    return next(number for number, prefix in enumerate([*TOP, ""]) if key.startswith(prefix))


def test_the_registry_comes_first() -> None:
    """Status, tier, owner and warnings come first, then all else of the registry, then errors, then the call."""
    first = [f"{PREFIX}{name}" for name in ("status", "risk_tier", "owner", "warnings", "successor", "sunset_date")]
    rest = [f"{PREFIX}{name}" for name in ON_SPANS]
    others = ["error", "error.type", "otel.status_description", "gen_ai.request.model", "input.value"]
    assert sorted({*first, *rest}, key=place)[: len(first)] == first
    assert max(map(place, rest)) < min(map(place, others))
    assert sorted(others, key=place) == others
    assert {prefix for prefix in TOP if prefix.startswith(PREFIX)} - {PREFIX} <= KEYS


@pytest.mark.parametrize("link", LINKS, ids=lambda link: f"{link['type']} {link.get('key')}")
def test_links_lead_to_dashboards(link: dict[str, str]) -> None:
    """A link of an attribute uses it only, and leads to a dashboard that has the variable. Traces link to Jaeger."""
    used = set(re.findall(r"#\{([^}]+)\}", link["url"] + link["text"]))
    url = urlsplit(re.sub(r"#\{[^}]+\}", "x", link["url"]))
    if link["type"] == "traces":
        assert (url.netloc, url.path, used) == ("", "trace/x", {"traceID"})  # relative: Jaeger may have a base path
        assert parse_qs(url.query)["uiFind"][0] in KEYS
        return
    assert used <= {link["key"]} <= KEYS
    assert (url.scheme, url.netloc) == ("http", "localhost:3000")
    file = FOLDER / "grafana" / "dashboards" / f"{url.path.removeprefix('/d/')}.json"
    variables = {each["name"] for each in json.loads(file.read_text("utf-8"))["templating"]["list"]}
    assert {name.removeprefix("var-") for name in parse_qs(url.query)} <= variables


SEARCH = re.compile(r"/search\?([^\s\"'<>|)]*)")
TEMPLATE = re.compile(r"\{\{.*?\}\}")
"""A part of a link that Prometheus fills in."""
TEXTS = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.*"), *FOLDER.rglob("*.*")]


def test_links_to_searches_have_a_time_range() -> None:
    """Since 2.19, Jaeger's page shows an error instead of results if a link has no time range."""
    texts = [
        file.read_text("utf-8") for file in sorted(TEXTS) if file.suffix not in {".pyc", ".tsr"} and file.is_file()
    ]
    searches = [search for text in texts for search in SEARCH.findall(TEMPLATE.sub("x", text))]
    assert searches
    assert [search for search in searches if "lookback=" not in search or "service=" not in search] == []
