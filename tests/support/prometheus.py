"""Prometheus with the users' configuration, and the plugin's metrics and attributes as Prometheus names them."""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import TYPE_CHECKING, Any

from support.collector_files import FOLDER
from support.servers import NOBODY

from spanforge.model_registry._core.attributes import ATTRIBUTES, PREFIX
from spanforge.model_registry.otel._metrics import METRICS

if TYPE_CHECKING:
    from pathlib import Path

    from support.servers import Server

_UNITS = {"s": "_seconds"}
_KINDS = {"counter": "_total"}
OTHER_NAMES = {"model_registry_untrusted"}
"""Names in the rules that are neither in ``METRICS`` nor in ``ATTRIBUTES``: a job."""


def metric_names() -> set[str]:
    """Return the names of all metrics of the plugin in Prometheus."""
    return {
        f"model_registry_{row.name.replace('.', '_')}{_UNITS.get(row.unit, '')}{_KINDS.get(row.kind, '')}"
        for row in METRICS
    }


def label_names() -> set[str]:
    """Return the labels of the registry's attributes, on metrics of the plugin or of spans."""
    keys = {row.key for row in ATTRIBUTES} | {key for row in METRICS for key in row.attributes}
    return {key.replace(".", "_") for key in keys if key.startswith(PREFIX)}


def unknown_names(expression: str) -> set[str]:
    """Return the names ``model_registry_*`` in a PromQL expression that are neither a metric nor a label."""
    return set(re.findall(r"(?<![\w:])model_registry_\w+", expression)) - metric_names() - label_names() - OTHER_NAMES


SOON = [(r" for: \d+m", " for: 0s"), (r"interval: 1m", "interval: 1s"), (r"> 300\b", "> 2")]
"""How the rules that run for real differ: nobody waits for minutes, and a file is stale after two seconds."""
ADDRESSES = {
    "8889": "OTELCOL_PROMETHEUS",
    "8890": "OTELCOL_UNTRUSTED_PROMETHEUS",
    "8888": "OTELCOL_TELEMETRY",
}
"""The Collector's ports that Prometheus reads, each with the variable of its address."""


def write_configuration(folder: Path, collector: Server, alertmanager: str = NOBODY) -> Path:
    """Write the configuration that users get, except for addresses and waiting times, and return its file."""
    rules = (FOLDER / "prometheus" / "rules.yml").read_text("utf-8")
    for pattern, replacement in SOON:
        assert re.search(pattern, rules)
        rules = re.sub(pattern, replacement, rules)
    (folder / "rules.yml").write_text(rules)
    config = (FOLDER / "prometheus" / "prometheus.yml").read_text("utf-8").replace("_interval: 15s", "_interval: 1s")
    for port, variable in ADDRESSES.items():
        config = config.replace(f"127.0.0.1:{port}", collector.at[variable])
    config = config.replace("127.0.0.1:9093", alertmanager)
    file = folder / "prometheus.yml"
    file.write_text(config)
    return file


def ask(prometheus: Server, path: str, **query: str) -> Any:
    """Return the response of Prometheus."""
    return json.loads(prometheus.ask("PROMETHEUS", f"{path}?{urllib.parse.urlencode(query)}"))["data"]
