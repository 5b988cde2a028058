"""What the metrics take for granted about OpenTelemetry's SDK, a fact a test; a failure means that it has changed."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

SDK = tuple(int(part) for part in importlib.metadata.version("opentelemetry-sdk").split(".")[:2])
since_1_44 = pytest.mark.skipif(SDK < (1, 44), reason="resources are renewed in a child since opentelemetry-sdk 1.44")


def run(script: str) -> str:
    """Run a script in a process of its own, and return its output."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def values(reader: InMemoryMetricReader) -> list[float]:
    data: Any = reader.get_metrics_data()
    return [
        point.value
        for scope in data.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def test_instruments_made_before_there_is_a_provider() -> None:
    """Observable instruments that the API's stand-in made are asked once a provider is set, and never before."""
    output = run(
        """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        def callback(options):
            print("asked")
            return [metrics.Observation(1)]

        metrics.get_meter_provider().get_meter("m").create_observable_counter("c", [callback])
        print("set")
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
        reader.get_metrics_data()
        """
    )
    assert output == "set\nasked\n"


def test_an_instrument_made_twice(caplog: pytest.LogCaptureFixture) -> None:
    """The second of two equal instruments is the first: its callbacks are not called, and nothing is said."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("m")
    for value in (1, 2):
        meter.create_observable_gauge("g", [lambda _options, value=value: [Observation(value)]], "s", "what")  # type: ignore[misc]
    assert values(reader) == [1]
    assert not caplog.records


def test_a_gauge_without_a_value_is_not_exported() -> None:
    """A series that a callback gives no more is not exported again."""
    reader = InMemoryMetricReader()
    given = [[Observation(1, {"a": "x"}), Observation(2, {"a": "y"})], [Observation(3, {"a": "y"})]]
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("m")
    meter.create_observable_gauge("g", [lambda _options: given.pop(0)])
    assert values(reader) == [1, 2]
    assert values(reader) == [3]


@since_1_44
def test_a_child_has_an_instance_of_its_own() -> None:
    """After a fork the child's metrics have another ``service.instance.id`` than the parent's."""
    output = run(
        """
        import os
        from opentelemetry.metrics import Observation
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        reader = InMemoryMetricReader()
        provider = MeterProvider([reader], shutdown_on_exit=False)
        provider.get_meter("m").create_observable_counter("c", [lambda options: [Observation(1)]])
        child = os.fork()
        resource = reader.get_metrics_data().resource_metrics[0].resource
        os.write(1, (resource.attributes["service.instance.id"] + chr(10)).encode())
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
        """
    )
    assert len(set(output.split())) == 2
