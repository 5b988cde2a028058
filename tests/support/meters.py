"""``Meters``: the plugin's metrics as a reader of the real SDK gets them."""

from __future__ import annotations

from typing import Any, NamedTuple

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from support.telemetry import NO_RESOURCE

GPT = ("gpt-4o", "active", "high", "ml-platform")
"""The series of the registered model."""
NOBODY = (None, "unregistered", None, None)
"""The series of unregistered models."""


class Point(NamedTuple):
    value: float
    attributes: dict[str, Any]


class Meters:
    """A meter provider of the real SDK, and what a reader gets from it."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], NO_RESOURCE, shutdown_on_exit=False)

    def read(self) -> dict[str, Any]:
        """Return each metric by its short name."""
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        scopes = [scope for scope in scopes if scope.scope.name != "opentelemetry-sdk"]  # 1.40 counts its own spans
        for scope in scopes:
            assert (scope.scope.name, scope.scope.version) == ("spanforge.model_registry", "0.1.0")
            assert not scope.scope.schema_url  # no published schema defines model_registry.*
        return {metric.name.removeprefix("model_registry."): metric for scope in scopes for metric in scope.metrics}

    def points(self, name: str) -> list[Point]:
        """Return the points of a metric, their attributes by short name."""
        metric = self.read().get(name)
        found: list[NumberDataPoint] = [] if metric is None else list(metric.data.data_points)
        return [
            Point(
                point.value,
                {key.removeprefix("model_registry."): value for key, value in (point.attributes or {}).items()},
            )
            for point in found
        ]

    def calls(self) -> dict[tuple[Any, ...], float]:
        """Return the calls counted, by model, status, tier and owner."""
        names = ("model_id", "status", "risk_tier", "owner")
        points = self.points("calls")
        assert all(set(point.attributes) <= set(names) for point in points)
        found = {tuple(point.attributes.get(name) for name in names): point.value for point in points}
        assert len(found) == len(points)
        return {series: value for series, value in found.items() if value}
