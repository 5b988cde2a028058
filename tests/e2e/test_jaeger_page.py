"""Jaeger's web page and its searches: the configuration that users get, in a real Jaeger."""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from support.collectors import Application, Door
from support.exporters import TRUSTED, UNTRUSTED
from support.otlp_json import tags_of
from support.servers import CONFIG, NotStartedError, program_of, spans_in, started

from spanforge.model_registry import ModelRegistry

sys.path.insert(0, str(Path(__file__).parent))

from render_dashboard import browse, photograph

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from support.servers import Server

pytestmark = pytest.mark.e2e

PAGE = CONFIG / "jaeger-ui.json"


def search(jaeger: Server, **tags: str) -> set[str]:
    """Return the names of the spans in the traces that a search finds."""
    return {span["operationName"] for span in spans_in(jaeger, "app", **tags)}


def test_page_and_searches_without_settings(jaeger: Server) -> None:
    """Without a file, the page has its defaults. Without a Collector, changes are found by what only they have."""
    assert "JAEGER_CONFIG = DEFAULT_CONFIG;" in jaeger.ask("JAEGER_QUERY_HTTP", "/search").decode()
    application = Application("app")
    registry = ModelRegistry(tracer_provider=application.provider)
    registry.register("m", "M", "1", "low", "team", "test", actor="kim")
    registry.deprecate("m", reason="too slow")
    OTLPSpanExporter(f"http://{jaeger.at['JAEGER_OTLP_HTTP']}/v1/traces").export(application.take())
    assert len(spans_in(jaeger, "app", 2)) == 2
    assert search(jaeger, event="model_registry.deprecated") == set()  # collector.yaml adds this attribute
    for key, value in {"previous_status": "active", "reason": "too slow", "status": "deprecated"}.items():
        assert search(jaeger, **{f"model_registry.{key}": value}) == {"model_registry.deprecate"}
    assert search(jaeger, **{"model_registry.actor": "kim"}) == {"model_registry.register"}


NAMES = {"known": "m", "unknown": "gpt-9"}
"""Span to the model that it names."""


def test_jaegers_own_warnings(jaeger: Server, collector: Callable[..., Server]) -> None:
    """If they are switched on, Jaeger's warnings are those of the registry, and no sender can set others."""
    server = collector(jaeger, OTELCOL_JAEGER_WARNINGS="true", OTELCOL_SAMPLING_PERCENTAGE="100")
    for senders, warnings in ((TRUSTED, ["model 'gpt-9' is not registered"]), (UNTRUSTED, None)):
        application = Application(senders)
        application.register("m")
        for name, model in NAMES.items():
            application.call(name, **{"gen_ai.request.model": model, "@jaeger@warnings": ["said by a sender"]})
        sent = application.take()
        Door(server, senders).send(*sent)
        spans = {span["operationName"]: span for span in spans_in(jaeger, senders, len(sent))}
        assert {name: spans[name]["warnings"] for name in NAMES} == {"known": None, "unknown": warnings}
        assert ("model_registry.warnings" in tags_of(spans["unknown"]["tags"])) is (senders == TRUSTED)


CLICK = """
const style = document.createElement("style");
style.textContent = "* { font-family: 'DejaVu Sans', sans-serif !important }";
document.head.append(style);
setInterval(() => {
  const icon = document.querySelector(".span-name:not(.is-detail-expanded) .SpanBarRow--errorIcon");
  if (icon) icon.closest(".span-name").click();
  const tags = document.querySelector(".AccordianKeyValues--header");
  const end = tags && tags.getBoundingClientRect().right;
  const items = tags ? [...tags.querySelectorAll("li")] : [];
  const seen = items.filter((item) => item.getBoundingClientRect().right <= end);
  const link = document.querySelector("a[title='Highlight calls with registry warnings']");
  document.body.dataset.noted = JSON.stringify([link && link.href, ...seen.map((item) => item.textContent)]);
}, 100);
"""
"""A click on the only call of a trace that failed. It notes the trace's link, and the tags for which there is room.

The font is the one without serifs, also on systems that have no other font by default.
"""
TAGS = [
    "model_registry.status=retired",
    "model_registry.risk_tier=critical",
    "model_registry.owner=support-team",
    """model_registry.warnings=["model 'text-davinci-003' is retired"]""",
]
"""The tags that this click shows before all others."""
SIZE = (860, 1_800)
"""Height and width of the browser's window, in pixels. In a narrow one there is no room for the warnings."""


def take_pictures(jaeger: Server, folder: Path) -> None:
    """Have a browser click on the failing calls of the demo, check what that shows, and draw it."""
    browser = program_of("chromium")
    failing = [span for span in spans_in(jaeger, "support-agent", 40) if tags_of(span["tags"]).get("error")]
    assert sorted(span["operationName"] for span in failing) == ["ChatCompletion", "chat text-davinci-003"]
    for span in failing:
        address = f"http://{jaeger.at['JAEGER_QUERY_HTTP']}/trace/{span['traceID']}"
        noted = re.search(r' data-noted="([^"]*)"', browse(browser, address, *SIZE, "--dump-dom"))
        assert noted is not None
        link, *tags = json.loads(html.unescape(noted[1]))
        assert link == f"{address}?uiFind=model_registry.warnings"
        assert tags[: len(TAGS)] == TAGS
        kind = "openinference" if span["operationName"] == "ChatCompletion" else "opentelemetry"
        photograph(browser, address, folder.resolve() / f"jaeger-{kind}.png", *SIZE)


def test_the_page_gets_the_file(
    run_server: Callable[..., Server],
    demo: Callable[..., subprocess.CompletedProcess[str]],
    pytestconfig: pytest.Config,
    tmp_path: Path,
) -> None:
    """Jaeger inserts the file, which must exist. With a page built before, one click shows the registry's tags."""
    page, folder = (pytestconfig.getoption(f"--{name}", default=None) for name in ("jaeger-page", "pictures"))
    file = PAGE if page is None else tmp_path / PAGE.name
    config = json.loads(PAGE.read_text("utf-8"))
    if page is not None:
        config["scripts"] = [{"type": "inline", "text": CLICK}]
        file.write_text(json.dumps(config), "utf-8")
    assets = [] if page is None else [f"yaml:extensions::jaeger_query::ui::assets_path: {Path(page).resolve()}"]
    jaeger = run_server("jaeger", *assets, JAEGER_UI_CONFIG=str(file))
    inserted = re.search(r"JAEGER_CONFIG = (\{.*\});", jaeger.ask("JAEGER_QUERY_HTTP", "/search").decode())
    assert inserted is not None
    assert json.loads(inserted[1]) == config
    with pytest.raises(NotStartedError, match="cannot read UI config file"):
        started("jaeger", tries=1, JAEGER_UI_CONFIG=str(tmp_path / "missing.json"))
    if page is not None and folder is not None:
        demo(tmp_path, "demo.jsonl", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{jaeger.at['JAEGER_OTLP_GRPC']}")
        take_pictures(jaeger, Path(folder))
