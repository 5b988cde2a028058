"""Draws pictures of Jaeger's web page with the telemetry of the demo.

Usage: jaeger_pictures.py FOLDER PAGE [GENAI_PAGE]

PAGE is a build of the page of Jaeger 2.13, and GENAI_PAGE one of 2.20, which has the GenAI view. Jaeger itself is the
one of the tests. It has no page of its own, because it is built from its Go module.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from environments import ROOT, make_environment

sys.path.append(str(ROOT / "tests"))

from support.servers import CONFIG, program_of, spans_in, starting_servers

SERVICE: Final = "support-agent"
TRACE: Final = "/trace/{trace}"
RETIRED: Final = f"/search?service={SERVICE}&lookback=1h&tags=%7B%22model_registry.status%22%3A%22retired%22%7D"
CALL: Final = "chat text-davinci-003"
EVENT: Final = "review models"
SPANS: Final = 40
"""The number of spans of the demo."""
VIEWS: Final[list[dict[str, Any]]] = [
    {"name": "jaeger-search", "address": RETIRED, "size": (1_280, 800)},
    {
        "name": "jaeger-span",
        "address": TRACE,
        "spans": [CALL],
        "clicks": [".AccordianKeyValues--header"],
        "part": ".detail-info-wrapper",
        "size": (760, 1_400),
        "scale": 2,
    },
    {
        "name": "jaeger-event",
        "address": TRACE,
        "spans": [EVENT],
        "clicks": [".AccordianLogs--content .AccordianKeyValues--header"],
        "size": (1_280, 800),
    },
]
GENAI_VIEWS: Final[list[dict[str, Any]]] = [
    {
        "name": "jaeger-genai",
        "address": TRACE,
        "spans": [CALL],
        "clicks": ["role=tab[name='Details']"],
        "size": (1_280, 860),
    }
]


def draw(target: Path, page: Path, views: list[dict[str, Any]]) -> None:
    """Start Jaeger with a page, send the demo's telemetry to it, and draw views of it."""
    assets = f"yaml:extensions::jaeger_query::ui::assets_path: {page.resolve()}"
    with starting_servers() as run, tempfile.TemporaryDirectory() as folder:
        jaeger = run("jaeger", assets, JAEGER_UI_CONFIG=str(CONFIG / "jaeger-ui.json"))
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{jaeger.at['JAEGER_OTLP_GRPC']}"}
        demo = [sys.executable, ROOT / "examples" / "support_agent" / "run.py", "demo.jsonl"]
        subprocess.run(demo, cwd=folder, env={**os.environ, **settings}, check=True, stdout=subprocess.DEVNULL)
        traces = {span["operationName"]: span["traceID"] for span in spans_in(jaeger, SERVICE, SPANS)}
        at = f"http://{jaeger.at['JAEGER_QUERY_HTTP']}"
        located = [
            {**view, "address": at + view["address"].format(trace=traces[view.get("spans", [CALL])[0]])}
            for view in views
        ]
        program = [make_environment("browser", "browser"), Path(__file__).with_name("draw_views.py")]
        subprocess.run([*program, program_of("chromium"), target.resolve(), json.dumps(located)], check=True)


def main(arguments: list[str]) -> int:
    """Draw the pictures into a folder."""
    target = Path(arguments[0])
    for page, views in zip(arguments[1:], (VIEWS, GENAI_VIEWS), strict=False):
        draw(target, Path(page), views)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
