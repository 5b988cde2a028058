"""Pages ``report.html``: attestations with any texts, and the page as a browser's parser reads it."""

from __future__ import annotations

import functools
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import html5lib
import msgspec
from support.evidence import EvidenceCase, make_entry, make_record
from support.otlp import START, Otlp

from spanforge.model_registry.compliance import Attestation, EvidencePackage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from xml.etree.ElementTree import Element

HOUR = 3_600 * 10**9
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "</style></title></svg></textarea></template><svg onload=alert(3)>",
    "\"onmouseover=alert(4) x='",
    "javascript:alert(5)",
    "<!--<![CDATA[&lt;&#60;&nosuch;]]>-->",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "=cmd()|' /C calc'!A0",
    "@SUM(A1);\t+1\r\n-1",
    "\x00\x08\x1b[31m\x7f\x9b",
    "\u202egnp.gpj\u2066\u200b\ufeff",
    "<a href='https://evil.example'>x</a> https://evil.example/?q=",
    "long " * 200 + "x" * 900,
    "größe 模型 العربية 😀",
)
"""Texts that would execute, spoof or break a page or a table if they were not escaped."""
_KEPT = frozenset(
    {
        *("format", "generated_at", "from_date", "to_date", "interval", "first", "last", "start", "at", "event_at"),
        *("first_call", "last_call", "trace_id", "span_id", "sha256", "schema_sha256", "status", "overall_status"),
        *("risk_tier", "model_risk_tier", "model_status", "sender", "framework", "event", "emitted", "source", "rule"),
        *("match", "file", "check", "checks", "checked", "framework_checked", "date", "origin"),
    }
)
"""The fields of an attestation whose values are words or formats of the library itself."""


@functools.cache
def make_rich_package() -> EvidencePackage:
    """Return a package with a row in every table of the page."""
    otlp = Otlp()
    history = [make_record("2026-01-01T05:00:00Z", "deprecated") | {"reason": "slow", "actor": "kim"}]
    entries = [
        make_entry(metadata={"aliases": ["gpt-x*"]}),
        make_entry("old", status="retired", decommission_date="2025-06-01", risk_tier="critical"),
        make_entry("dying", status="deprecated", metadata={"history": history, "sunset_date": "2025-12-01"}),
        make_entry("late", deployment_date="2026-03-01"),
        make_entry("idle", risk_tier="low"),
    ]
    spans = [
        *(otlp.enriched("gpt", START + hour * HOUR) for hour in range(5)),
        *(otlp.span("old", START + hour * HOUR) for hour in range(3)),
        *(otlp.span(name) for name in ("GPT-2026-01-31", "gpt-x9", "dying", "late", "nobody's", "")),
        otlp.span("gpt", gen_ai__response__model="stranger"),
        otlp.span("gpt", gen_ai__response__model="old"),
        otlp.span("idle", gen_ai__operation__name="invoke_agent"),
    ]
    copy = spans[0] | {"attributes": otlp.span("nobody's")["attributes"]}
    with tempfile.TemporaryDirectory() as folder:
        case = EvidenceCase(Path(folder))
        case.write(
            otlp.line(*otlp.marked("trusted", *spans, copy)),
            otlp.line(*otlp.marked("untrusted", otlp.span("stranger"), otlp.span("old"), spans[1])),
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [5]}]}]}',
        )
        return case.package(case.engine(*entries), source_revision="4f2a9c1")


def replace_texts(attestation: Attestation, given: Sequence[str]) -> Attestation:
    """Return an attestation in which all texts that anyone may choose are these, one after another."""
    texts = itertools.cycle(given)
    replaced: dict[str, str] = {}

    def replace(value: Any, field: str = "") -> Any:
        if isinstance(value, dict):
            return {key: replace(item, key) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [replace(item, field) for item in value]
        if not isinstance(value, str) or field in _KEPT:
            return value
        # equal texts stay equal, so that links from one table to another remain
        return replaced.setdefault(value, f"{next(texts)}{len(replaced)}")

    return msgspec.convert(replace(msgspec.to_builtins(attestation)), Attestation)


class ReportPage:
    """A page as a browser's parser reads it.

    Attributes:
        root: The root element.
        by_id: The elements with an id.
    """

    def __init__(self, content: bytes) -> None:
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        self.root: Element = parser.parse(content.decode())
        found = [(element.get("id"), element) for element in self.root.iter() if element.get("id")]
        self.by_id: dict[str | None, Element] = dict(found)
        assert len(self.by_id) == len(found), "ids must be unique"

    def list_tags(self) -> set[str]:
        """Return the names of all elements, without namespaces."""
        return {str(element.tag).rpartition("}")[2] for element in self.root.iter() if isinstance(element.tag, str)}

    def list_attributes(self) -> Iterator[tuple[str, str]]:
        """Yield all attributes."""
        for element in self.root.iter():
            yield from ((str(key), value) for key, value in element.attrib.items())

    def read_text(self, anchor: str) -> str:
        """Return the text of the element with an id."""
        return "".join(self.by_id[anchor].itertext())

    def list_names(self) -> set[str]:
        """Return the texts of names, reasons and other texts that anyone may choose."""
        return {"".join(element.itertext()) for element in self.root.iter("bdi")}

    def read_rows(self, caption: str) -> list[list[str]]:
        """Return the cells of the table with the caption of this id, and of its folded part."""
        tables = [each for each in self.root.iter("table") for name in (caption, f"{caption}-more") if _has(each, name)]
        rows = [row for table in tables for body in table.iter("tbody") for row in body.iter("tr")]
        return [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in rows]


def _has(table: Element, caption: str) -> bool:
    return any(each.get("id") == f"{caption}-caption" for each in table.iter("caption"))
