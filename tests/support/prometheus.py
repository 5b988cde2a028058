"""The plugin's metrics, and the attributes of the registry, as Prometheus names them."""

from __future__ import annotations

import re

from spanforge.model_registry._core.attributes import ATTRIBUTES, PREFIX
from spanforge.model_registry.otel._metrics import METRICS

_UNITS = {"s": "_seconds"}
_KINDS = {"counter": "_total"}
JOBS = {"model_registry_untrusted"}
"""Jobs of Prometheus whose names look like those of metrics."""


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
    return set(re.findall(r"(?<![\w:])model_registry_\w+", expression)) - metric_names() - label_names() - JOBS
