"""The metrics of models, sunset dates, files and events, as a reader of the real SDK gets them."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import opentelemetry.metrics._internal as api
import pytest
from opentelemetry import metrics as otel
from opentelemetry.sdk.metrics.export import Sum
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.util._once import Once
from support.asked_registry import AskedRegistry, FailingRegistry
from support.calendars import announce
from support.entries import FIELDS
from support.meters import GPT, Meters
from support.registry_server import Reply, serving_registry
from support.spans import OPERATION, REQUEST, RESPONSE
from support.watching import content

from spanforge.model_registry import ModelRegistry, register_model
from spanforge.model_registry._core.emission import set_event_signals
from spanforge.model_registry._core.lifecycle import RISK_TIERS, STATUSES
from spanforge.model_registry.calendar import Calendar, use_calendar
from spanforge.model_registry.otel import ModelRegistrySpanProcessor
from spanforge.model_registry.otel import _metrics as metrics
from spanforge.model_registry.otel._info import MAX_INFO
from spanforge.model_registry.otel._sunsets import MAX_SUNSETS
from spanforge.model_registry.watch import FileWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def test_table_of_metrics() -> None:
    """Each metric has its kind and a UCUM unit."""
    assert {metric.name: (metric.kind, metric.unit) for metric in metrics.METRICS} == {
        "calls": ("counter", "{call}"),
        "models": ("gauge", "{model}"),
        "agent_spans": ("counter", "{span}"),
        "substitutions": ("counter", "{call}"),
        "sunset": ("gauge", "s"),
        "provider_sunset": ("gauge", "s"),
        "info": ("gauge", "{model}"),
        "file.info": ("gauge", "{file}"),
        "file.in_use": ("gauge", "s"),
        "file.age": ("gauge", "s"),
        "file.failures": ("counter", "{failure}"),
        "events.dropped": ("counter", "{event}"),
    }


@pytest.mark.usefixtures("counting")
def test_reader_gets_every_metric(meters: Any, registry: Any, follow: Any, tmp_path: Path, pipeline: Any) -> None:
    """Every metric has its kind, unit, description and attributes; counters are monotonic."""
    registry.register(**FIELDS, metadata={"contact": "#ml"}, replace=True)
    registry.deprecate("gpt-4o", sunset_date="2030-01-01", successor="gpt-5")
    use_calendar(Calendar([announce()]), registry)
    write_file(tmp_path / "models.json", "a")
    follow(tmp_path / "models.json")
    pipes = pipeline()
    pipes.run({REQUEST: "gpt-4o"})
    pipes.run({REQUEST: "gpt-4o", OPERATION: "invoke_agent"})
    registry.register("o1", "O1", "1", "low", "team", "a test")
    pipes.run({REQUEST: "o1", RESPONSE: "gpt-4o"})
    found = meters.read()
    assert set(found) == {metric.name for metric in metrics.METRICS}
    for row in metrics.METRICS:
        metric = found[row.name]
        assert (metric.unit, metric.description) == (row.unit, row.description)
        assert isinstance(metric.data, Sum) is (row.kind == "counter")
        if isinstance(metric.data, Sum):
            assert metric.data.is_monotonic
        assert {key for point in metric.data.data_points for key in point.attributes} == set(row.attributes)


@pytest.mark.usefixtures("counting")
def test_models_by_status_and_tier(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Each combination of status and tier has a count, also if it has no model."""

    def models() -> dict[tuple[str, str], float]:
        points = meters.points("models")
        assert len(points) == len(STATUSES) * len(RISK_TIERS)
        found = {(point.attributes["status"], point.attributes["risk_tier"]): point.value for point in points}
        assert len(found) == len(points)
        return {key: value for key, value in found.items() if value}

    assert models() == {("active", "high"): 1}
    registry.register(**fields | {"model_id": "b"})
    registry.register(**fields | {"model_id": "c", "risk_tier": "low"})
    registry.retire("gpt-4o")
    assert models() == {("active", "high"): 1, ("active", "low"): 1, ("retired", "high"): 1}
    registry.clear()
    assert models() == {}


def test_models_of_all_live_registries(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """The registries of all processors count together, each once, until they are collected."""
    register_model("a", "A", "1", "low", "team", "test")
    for each in (registry, registry, None):
        pipeline(ModelRegistrySpanProcessor(each, meter_provider=meters.provider))
    brief = ModelRegistry(auto_emit=False)
    brief.register("b", "B", "1", "low", "team", "test")
    metrics.install_metrics(brief, meters.provider)

    def total() -> float:
        return sum(point.value for point in meters.points("models"))

    assert total() == 3
    del brief
    assert total() == 2


@pytest.mark.usefixtures("counting")
def test_sunset_in_seconds(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """A deprecated model with a sunset date has the seconds until then, negative after it; other models have none."""
    now = datetime.now(timezone.utc)
    hour = timedelta(hours=1)
    for model_id, date in (("soon", (now + hour).isoformat()), ("past", (now - hour).isoformat()), ("none", None)):
        registry.register(**fields | {"model_id": model_id, "owner": f"of {model_id}"})
        registry.deprecate(model_id, sunset_date=date)
    registry.register(**fields | {"model_id": "day", "owner": "of day", "risk_tier": "low"})
    registry.deprecate("day", sunset_date="2100-01-01")
    registry.register(**fields | {"model_id": "gone"})
    registry.deprecate("gone", sunset_date="2100-01-01")
    registry.retire("gone")
    before = time.time()
    points = {point.attributes["model_id"]: point for point in meters.points("sunset")}
    after = time.time()
    assert {model: point.attributes for model, point in points.items()} == {
        "soon": {"model_id": "soon", "risk_tier": "high", "owner": "of soon"},
        "past": {"model_id": "past", "risk_tier": "high", "owner": "of past"},
        "day": {"model_id": "day", "risk_tier": "low", "owner": "of day"},
    }
    for model, date in (("soon", now + hour), ("past", now - hour), ("day", datetime(2100, 1, 1, tzinfo=timezone.utc))):
        assert date.timestamp() - after - 1e-3 <= points[model].value <= date.timestamp() - before + 1e-3
    registry.retire("soon")
    assert {point.attributes["model_id"] for point in meters.points("sunset")} == {"past", "day"}


@pytest.mark.slow
@pytest.mark.usefixtures("counting")
def test_earliest_thousand_sunsets_are_kept(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Over the limit of sunset series, the earliest dates are kept."""
    for number in range(MAX_SUNSETS + 10):
        registry.register(**fields | {"model_id": f"m{number}"})
        registry.deprecate(f"m{number}", sunset_date=f"{2000 + (number * 7) % 1_010}-01-01")
    points = meters.points("sunset")
    years = sorted(2000 + (number * 7) % 1_010 for number in range(MAX_SUNSETS + 10))
    found = {point.attributes["model_id"] for point in points}
    assert len(points) == len(found) == MAX_SUNSETS
    shown = sorted(2000 + (int(model[1:]) * 7) % 1_010 for model in found)
    assert shown == years[:MAX_SUNSETS]


@pytest.mark.usefixtures("counting")
def test_info_of_models(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Each model has a series with the value 1, and the owner, contact and successor that the registry has now."""
    registry.register(**fields, metadata={"contact": "#ml-help"}, replace=True)
    registry.register(**fields | {"model_id": "old", "owner": "search-team"})
    current = {"model_id": "gpt-4o", "owner": "ml-platform", "contact": "#ml-help"}
    for successor in ("gpt-4o", "gpt-5"):
        registry.deprecate("old", successor=successor)
        points = meters.points("info")
        assert {point.value for point in points} == {1}
        old = {"model_id": "old", "owner": "search-team", "successor": successor}
        assert {point.attributes["model_id"]: point.attributes for point in points} == {"gpt-4o": current, "old": old}
        assert len(points) == 2


@pytest.mark.usefixtures("counting")
def test_info_of_a_thousand_models(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Over the limit of info series, deprecated and retired models are kept; a second registry adds no series."""
    for number in range(MAX_INFO + 10):
        registry.register(**fields | {"model_id": f"m{number}"})
    for number, operation in ((MAX_INFO + 5, registry.deprecate), (MAX_INFO + 9, registry.retire)):
        operation(f"m{number}")
    second = ModelRegistry(auto_emit=False)
    second.register(**fields | {"model_id": "second"})
    metrics.install_metrics(second, meters.provider)
    found = {point.attributes["model_id"] for point in meters.points("info")}
    assert found == {"gpt-4o", *(f"m{number}" for number in (*range(MAX_INFO - 3), MAX_INFO + 5, MAX_INFO + 9))}


def test_info_of_files(meters: Meters, follow: Any, tmp_path: Path) -> None:
    """A file has the first digits of the SHA-256 of its last valid content; a file that never was valid has none."""
    path = tmp_path / "models.json"
    write_file(path, "a")
    watcher = follow(path, tmp_path / "missing.json")

    def digests() -> dict[str, str]:
        points = meters.points("file.info")
        assert {point.value for point in points} == {1}
        return {point.attributes["file.path"]: point.attributes["file.digest"] for point in points}

    first = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert digests() == {str(path): first}
    path.write_text("[")
    watcher.look()
    watcher.look()
    assert digests() == {str(path): first}
    write_file(path, "b")
    watcher.look()
    watcher.look()
    assert digests() == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()[:12]} != {str(path): first}


def test_time_of_a_version_in_use(meters: Meters, follow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a version grows from its first report, and starts again with each other version."""
    now = [100.0]
    monkeypatch.setattr("spanforge.model_registry.otel._file_metrics.time.monotonic", lambda: now[0])
    path = tmp_path / "models.json"
    write_file(path, "a")
    watcher = follow(path, tmp_path / "missing.json")

    def uses() -> dict[str, float]:
        return {point.attributes["file.digest"]: point.value for point in meters.points("file.in_use")}

    a = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    assert uses() == {a: 0}
    now[0] += 7
    assert uses() == {a: 7}
    for model_id, expected in (("b", 0), ("a", 0)):
        write_file(path, model_id)
        watcher.look()
        watcher.look()
        assert uses() == {hashlib.sha256(path.read_bytes()).hexdigest()[:12]: expected}
        now[0] += 5
    watcher.stop()
    assert uses() == {}


@pytest.fixture
def follow(meters: Meters) -> Iterator[Callable[..., FileWatcher]]:
    """Give a function that makes a registry follow files, without a thread, until the test has ended."""
    started: list[tuple[ModelRegistry, FileWatcher]] = []

    def start(*files: Path, registry: ModelRegistry | None = None) -> FileWatcher:
        registry = ModelRegistry(auto_emit=False) if registry is None else registry
        metrics.install_metrics(registry, meters.provider)
        watcher = FileWatcher(registry, map(str, files), reload_interval=0)
        watcher.start()
        started.append((registry, watcher))
        return watcher

    yield start
    for _, watcher in started:
        watcher.stop()


def test_metrics_of_addresses(meters: Meters, follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address has the metrics of a file, without its password and query; it ages while its server fails."""
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_CACHE", "none")
    with serving_registry() as server:
        server.files["/models.json"] = body = content("a")
        watcher = follow(server.url("/models.json?token=s3cret", user="user:s3cret@"))

        def read(name: str) -> float:
            (point,) = meters.points(name)
            assert point.attributes["file.path"].startswith(f"{server.url()}?…")
            assert "s3cret" not in point.attributes["file.path"]
            return point.value

        (info,) = meters.points("file.info")
        assert info.attributes["file.digest"] == hashlib.sha256(body).hexdigest()[:12]
        server.reply = lambda _request: Reply(500)
        watcher.look()
        first = read("file.age")
        assert read("file.failures") == 1
        assert read("file.age") > first
        server.reply = None
        watcher.look()
        assert read("file.failures") == 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace the clock of file ages by a list whose first item is the time."""
    clock = [1_000.0]
    monkeypatch.setattr("spanforge.model_registry.watch.time.monotonic", lambda: clock[0])
    return clock


def test_age_and_failures_of_files(meters: Meters, follow: Any, clock: list[float], tmp_path: Path) -> None:
    """A file that is valid has age zero, an invalid file ages, and each time that it becomes invalid is a failure."""
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    for path, model_id in ((good, "a"), (bad, "b")):
        write_file(path, model_id)
    watcher = follow(good, bad)

    def state() -> dict[str, tuple[float, float]]:
        ages = {point.attributes["file.path"]: point.value for point in meters.points("file.age")}
        failures = {point.attributes["file.path"]: point.value for point in meters.points("file.failures")}
        assert set(ages) == set(failures) == {str(good), str(bad)}
        return {path.name: (ages[str(path)], failures[str(path)]) for path in (good, bad)}

    assert state() == {"good.json": (0, 0), "bad.json": (0, 0)}
    clock[0] += 5
    assert state() == {"good.json": (5, 0), "bad.json": (5, 0)}
    changes: list[tuple[Callable[[], object], float, tuple[float, float]]] = [
        (lambda: bad.write_text("["), 0, (10, 1)),
        (lambda: None, 0, (15, 1)),
        (bad.unlink, 0, (20, 2)),
        (lambda: write_file(bad, "b"), 0, (0, 2)),
        (lambda: write_file(bad, "a"), 5, (5, 3)),  # the other file has the same model
        (lambda: write_file(bad, "c"), 0, (0, 3)),
    ]
    for change, good_age, bad_state in changes:
        change()
        clock[0] += 5
        watcher.look()
        watcher.look()  # a fault is logged when two looks have found it
        assert state() == {"good.json": (good_age, 0), "bad.json": bad_state}
    watcher.stop()
    assert meters.points("file.age") == meters.points("file.failures") == []


def write_file(path: Path, model_id: str) -> None:
    """Write a registry file with one model."""
    registry = ModelRegistry(auto_emit=False)
    registry.register(model_id, "M", "1", "low", "team", "test")
    registry.save(path, overwrite=True)


def test_changed_file_ages_until_it_is_in_force(
    meters: Meters, follow: Any, clock: list[float], registry: ModelRegistry, tmp_path: Path
) -> None:
    """A changed file ages until its content is in force, which may wait for another file."""
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for path in files:
        write_file(path, path.stem)
    watcher = follow(*files, registry=registry)
    clock[0] += 5
    write_file(files[0], "c")
    files[1].write_text("[")
    watcher.look()
    assert [point.value for point in meters.points("file.age")] == [5, 5]
    assert "c" not in registry
    watcher.look()
    assert [point.value for point in meters.points("file.age")] == [0, 5]
    assert "c" in registry


def test_missing_file_has_an_age_and_a_failure(meters: Meters, follow: Any, tmp_path: Path) -> None:
    """A file that is missing from the start has an age and one failure."""
    follow(tmp_path / "missing.json")
    (age,), (failures,) = meters.points("file.age"), meters.points("file.failures")
    assert age.value >= 0
    assert (failures.value, failures.attributes) == (1, {"file.path": str(tmp_path / "missing.json")})


def test_lost_events_count_by_signal(meters: Meters, registry: ModelRegistry, fields: dict[str, Any]) -> None:
    """Events that were dropped or failed count, by signal."""
    metrics.install_metrics(registry, meters.provider)
    set_event_signals("span,log")
    provider = TracerProvider(sampler=TraceIdRatioBased(0), shutdown_on_exit=False)
    dropping = ModelRegistry(tracer_provider=provider)
    for number in range(3):
        dropping.register(**fields | {"model_id": f"m{number}"})
    failing = ModelRegistry(tracer_provider=object())  # type: ignore[arg-type]
    failing.register(**fields)
    assert {point.attributes["event_signal"]: point.value for point in meters.points("events.dropped")} == {
        "span": 4,
        "log": 0,
    }


@pytest.fixture
def no_meters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenTelemetry's API be as in a process in which no meter provider was set."""
    monkeypatch.setattr(api, "_METER_PROVIDER", None)
    monkeypatch.setattr(api, "_METER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(api, "_PROXY_METER_PROVIDER", api._ProxyMeterProvider())


@pytest.mark.usefixtures("no_meters")
@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_global_meter_provider(pipeline: Any, registry: ModelRegistry, when: str) -> None:
    """The global meter provider gets each call once, whether it is set before or after the processor is made."""
    meters = Meters()
    if when == "before":
        otel.set_meter_provider(meters.provider)
    pipes = pipeline(ModelRegistrySpanProcessor(registry))
    pipes.run({REQUEST: "gpt-4o"})
    if when != "before":
        otel.set_meter_provider(meters.provider)
    if when == "between":
        pipes = pipeline(ModelRegistrySpanProcessor(registry))
    pipes.run({REQUEST: "gpt-4o"})
    assert meters.calls() == {GPT: 2}
    meters.provider.shutdown()


class _Noting(otel.NoOpMeterProvider):
    """A meter provider that notes the names of its meters."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def get_meter(self, name: str, *arguments: Any, **options: Any) -> otel.Meter:
        self.names.append(name)
        return super().get_meter(name, *arguments, **options)


def test_meter_provider_makes_one_meter(pipeline: Any, registry: ModelRegistry, lines: Any) -> None:
    """A meter provider of two processors makes one meter, spans are enriched, and nothing is logged."""
    noting = _Noting()
    for _ in range(2):
        pipes = pipeline(ModelRegistrySpanProcessor(registry, meter_provider=noting))
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
    assert noting.names == ["spanforge.model_registry"]
    assert lines() == []


def test_each_meter_provider_gets_every_call(pipeline: Any, registry: ModelRegistry, meters: Meters) -> None:
    """Each given meter provider gets every call."""
    other = Meters()
    for each in (meters, other, meters):
        pipeline(ModelRegistrySpanProcessor(registry, meter_provider=each.provider)).run({REQUEST: "gpt-4o"})
    assert meters.calls() == other.calls() == {GPT: 3}
    other.provider.shutdown()


@pytest.mark.parametrize("bad", [object(), 7])
def test_bad_meter_provider_is_logged_once(pipeline: Any, registry: ModelRegistry, lines: Any, bad: Any) -> None:
    """A bad meter provider is logged once, and spans are enriched."""
    for _ in range(2):
        pipes = pipeline(ModelRegistrySpanProcessor(registry, meter_provider=bad))
        assert pipes.run({REQUEST: "gpt-4o"}).ours["owner"] == "ml-platform"
    (line,) = lines()
    assert line.startswith("model registry: metrics are not available: ")


def test_failing_metric_is_logged_once(counting: Any, meters: Any, lines: Any) -> None:
    """A metric that fails is logged once, and the others are reported."""
    broken = FailingRegistry(auto_emit=False)
    broken.error = RuntimeError("broken")
    metrics.install_metrics(broken)
    for number in range(1, 4):
        counting.run({REQUEST: "gpt-4o"})
        found = meters.read()
        assert "models" not in found
        assert [point.value for point in found["calls"].data.data_points] == [number]
    for line, name in zip(lines(), ("models", "sunset", "provider_sunset", "info"), strict=True):
        assert line.startswith(f"model registry: metric model_registry.{name} is not available: ")


class _Changing(AskedRegistry):
    """A registry that changes before its state is read for the second time."""

    reads = 0

    def read(self) -> None:
        self.reads += 1
        if self.reads == 2:
            self.register("m", "M", "1", "low", "team", "test")


def test_inventory_is_of_one_state(meters: Meters) -> None:
    """The count of models is of one state of the registry; a change during the count is in the next one."""
    registry = _Changing(auto_emit=False)
    metrics.install_metrics(registry, meters.provider)
    assert [sum(point.value for point in meters.points("models")) for _ in range(2)] == [0, 1]
