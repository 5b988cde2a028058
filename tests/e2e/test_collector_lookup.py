"""The Collector's lookup processor with a rendered source: equal attributes, and changes without a restart."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.trace import format_span_id
from support.exporters import send
from support.otlp_json import read_items
from support.waiting import poll

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.collector import (
    LOOKUP_PROCESSORS,
    PROCESSOR,
    render_lookup_processor,
    render_lookup_source,
    render_transform,
)

sys.path.insert(0, str(Path(__file__).parent))

from test_collector_enrichment import EVERYTHING, MARKS, corpus, different, in_python, made, spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from support.servers import Server

    from spanforge.model_registry._core.names import MatchMode

pytestmark = pytest.mark.e2e

Attributes = dict[str, Any]

PROCESSORS = ", ".join((*LOOKUP_PROCESSORS, PROCESSOR, "transform/mark"))
PIPELINE = f"service: {{pipelines: {{traces/all: {{processors: [{PROCESSORS}]}}}}}}\n"


class Site:
    """A Collector with the lookup processor, and a file that keeps every span as the enrichment leaves it.

    Attributes:
        source: The source of the lookup processor.
        file: The spans as the enrichment leaves them.
        server: The Collector.
    """

    def __init__(
        self, run_server: Callable[..., Server], folder: Path, match: MatchMode, transform: str | None, source: str
    ) -> None:
        self.source, self.file = folder / "source.yaml", folder / "everything.jsonl"
        self.source.write_text(source, "utf-8")
        texts = {
            "everything.yaml": textwrap.dedent(EVERYTHING.format(file=self.file)),
            "lookup.yaml": render_lookup_processor(self.source, reload_interval="200ms", match=match),
            "pipeline.yaml": PIPELINE,
        }
        if transform is not None:
            texts["transform.yaml"] = transform
        for name, text in texts.items():
            (folder / name).write_text(text, "utf-8")
        self.server = run_server("otelcol", *(folder / name for name in texts))

    def send(self, spans: Sequence[ReadableSpan]) -> None:
        """Send spans."""
        send(self.server, spans)

    def read(self) -> dict[str, Attributes]:
        """Return the attributes of each span, without the marks, by the span's name."""
        return {
            span.item["name"]: {key: value for key, value in span.attributes.items() if key not in MARKS}
            for span in read_items(self.file)
        }


@pytest.mark.parametrize("match", ["forms", "exact"])
def test_every_span_gets_what_the_processor_sets(
    run_server: Callable[..., Server], tmp_path: Path, match: MatchMode
) -> None:
    """Over every convention, provider, alias, glob and text, lookup and transform set what the span processor sets.

    Each match has half of the spans.
    """
    registry = corpus()
    forged = {"otelcol.registry_name": "gpt-4o", "otelcol.registry_provider_name": "\ngpt-4o"}
    half = spans_of(registry)[match == "exact" :: 2]
    spans = [*half, ("app", {"x": 1, **forged}), ("app", {"model_registry.status": "mine", **forged})]
    transform = render_transform(registry, match=match)
    site = Site(run_server, tmp_path, match, transform, render_lookup_source(registry, match=match))
    site.send(made([], spans))
    site.server.stop()
    read = site.read()
    found = [read[str(number)] for number in range(len(spans))]
    cleaned = [(scope, {key: value for key, value in each.items() if key not in forged}) for scope, each in spans]
    expected = in_python(registry, cleaned, match)
    expected[-1]["model_registry.status"] = "mine"
    assert not different(spans, found, expected)


def make_registry(owner: str) -> ModelRegistry:
    """Return a registry with an alias, a model that is limited to a provider, and a glob."""
    registry = ModelRegistry(auto_emit=False)
    registry.register("acme-chat-1", "Chat", "1", "high", owner, "test", aliases=["chat", "acme-lab-*"])
    registry.register("acme-embed-1", "Embed", "1", "low", owner, "test", provider="azure")
    registry.deprecate("acme-embed-1", successor="acme-chat-1")
    return registry


CALLS = {
    "id": {"gen_ai.request.model": "acme-chat-1"},
    "alias": {"gen_ai.response.model": "chat"},
    "form": {"llm.model_name": "acme-chat-1-latest"},
    "provider": {"gen_ai.request.model": "acme-embed-1", "gen_ai.provider.name": "az.ai.openai"},
    "no provider": {"gen_ai.request.model": "acme-embed-1"},
    "another provider": {"gen_ai.request.model": "acme-embed-1", "gen_ai.provider.name": "openai"},
    "glob": {"gen_ai.request.model": "acme-lab-7"},
    "two names": {"gen_ai.request.model": "acme-chat-1", "gen_ai.response.model": "acme-embed-1"},
}
"""The attributes of calls. The lookup processor leaves the last three to the transform processor."""


def find_owners(site: Site) -> dict[str, str | None]:
    """Send a call of each kind, and return the owner that the Collector adds to it."""
    spans = made([], [("app", attributes) for attributes in CALLS.values()])
    ids = {format_span_id(span.context.span_id): kind for span, kind in zip(spans, CALLS, strict=True)}
    site.send(spans)
    found = poll(
        lambda: {each.item["spanId"]: each.attributes for each in read_items(site.file) if each.item["spanId"] in ids},
        lambda found: len(found) == len(CALLS),
    )
    return {ids[number]: attributes.get("model_registry.owner") for number, attributes in found.items()}


def test_changed_source_is_in_force_without_a_restart(run_server: Callable[..., Server], tmp_path: Path) -> None:
    """Ids, aliases and forms get the new owner within the interval; an invalid source changes nothing."""
    site = Site(run_server, tmp_path, "forms", None, render_lookup_source(make_registry("old-team")))
    left = dict.fromkeys([*CALLS][-3:])
    pid = site.server.pid
    first = {**dict.fromkeys([*CALLS][:-3], "old-team"), **left}
    assert find_owners(site) == first
    site.source.write_text('"acme-chat-1": {', "utf-8")
    new = tmp_path / "new.yaml"
    assert find_owners(site) == first
    new.write_text(render_lookup_source(make_registry("new-team")), "utf-8")
    new.replace(site.source)
    second = {**dict.fromkeys([*CALLS][:-3], "new-team"), **left}
    assert poll(lambda: find_owners(site), lambda found: found == second) == second
    assert site.server.pid == pid
