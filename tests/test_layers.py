"""The two layers of the process-wide registry: what the application registers, and above it what its files hold."""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest
from support.lifecycle import CHANGING

import spanforge.model_registry as package
from spanforge.model_registry import (
    InvalidEntryError,
    LifecycleError,
    ModelNotFoundError,
    ModelRegistry,
    ModelRegistryEntry,
    RegistryFileError,
    StateAsOf,
)
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.events import OPERATION_SPAN_NAMES
from spanforge.model_registry._core.layers import compute_entries
from spanforge.model_registry._core.lifecycle import LIFECYCLE, OPERATIONS, OperationKind
from spanforge.model_registry._core.operations import Operation
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.storage import read_entries
from spanforge.model_registry._core.validation import MAX_HISTORY
from spanforge.model_registry.otel import ModelRegistrySpanProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CODE = {"name": "N", "version": "1", "risk_tier": "low", "owner": "code", "purpose": "test"}
FILE = {**CODE, "owner": "file"}
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def filed(model_id: str = "a", **changes: Any) -> ModelRegistryEntry:
    return ModelRegistryEntry(model_id=model_id, **{**FILE, **changes})


def register(registry: ModelRegistry, model_id: str = "a", **changes: Any) -> ModelRegistryEntry:
    given: dict[str, Any] = {**CODE, **changes}
    return registry.register(model_id, **given)


def found(registry: ModelRegistry, model_id: str = "a") -> ModelRegistryEntry:
    entry = registry.get(model_id)
    assert entry is not None
    return entry


def shown(registry: ModelRegistry) -> list[tuple[str, str, str]]:
    return [(entry.model_id, entry.owner, entry.status) for entry in registry]


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.000000Z"


def record(second: int, status: str, owner: str, **more: str) -> dict[str, str]:
    return {"at": at(second), "status": status, "owner": owner, "risk_tier": "low", **more}


def told(exporter: InMemorySpanExporter) -> list[tuple[str, str, str, str | None]]:
    """Return event, model, status and previous status of each event so far."""
    keys = ("model_id", "status", "previous_status")
    return [
        (event.name, *((event.attributes or {}).get(f"model_registry.{key}") for key in keys))  # type: ignore[misc]
        for span in exporter.get_finished_spans()
        for event in span.events
    ]


class Clock:
    """A clock that stands still until it is set, in seconds after ``START``."""

    def __init__(self) -> None:
        self.second = 0

    def time_ns(self) -> int:
        return (int(START.timestamp()) + self.second) * 1_000_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.time_ns", clock.time_ns)
    return clock


@pytest.fixture
def layers(provider: TracerProvider) -> LayeredRegistry:
    """Give an empty registry of two layers that emits its events through ``provider``."""
    return LayeredRegistry(tracer_provider=provider)


def do(registry: ModelRegistry, step: str, folder: Path) -> None:
    """Make one step of a story about the model ``a``; an owner that follows a status is the one that the layer says."""
    action, _, rest = step.partition(" ")
    status, _, owner = rest.partition(" ")
    if action == "files":
        replace_file_entries(registry, [] if status == "none" else [filed(status=status, owner=owner or "file")])
    elif action == "load":
        written = ModelRegistry(auto_emit=False)
        replace_file_entries(written, [filed(status=status, owner=owner or "code")])
        written.save(folder / "models.json")
        registry.load(folder / "models.json")
    elif action == "clear":
        registry.clear()
    elif action == "register":
        register(registry)
    elif action == "replace":
        register(registry, owner=status, replace=True)
    else:
        getattr(registry, action)("a")


STORIES = {
    "retired here, then loaded and deprecated while no file has it": [
        ("files active", "file active"),
        ("retire", "file retired"),
        ("load active", "file retired"),
        ("files none", "code active"),
        ("deprecate", "code deprecated"),
        ("files deprecated", "file retired"),
    ],
    "a file's model without operations": [
        ("files active", "file active"),
        ("files retired", "file retired"),
        ("files active", "file active"),
        ("files none", "none"),
    ],
    "code first, then the file, then code again": [
        ("register", "code active"),
        ("files active", "file active"),
        ("files none", "code active"),
    ],
    "registered while the file has it": [
        ("files active", "file active"),
        ("register", "file active"),
        ("replace other", "file active"),
        ("files none", "other active"),
    ],
    "registered again, which is no news": [
        ("files active", "file active"),
        ("replace other", "file active"),
        ("register", "file active"),
        ("files none", "other active"),
    ],
    "a status holds over reloads, until the file shows it": [
        ("files active", "file active"),
        ("deprecate", "file deprecated"),
        ("files active", "file deprecated"),
        ("files active new", "new deprecated"),
        ("files deprecated", "file deprecated"),
        ("files active", "file active"),
    ],
    "a status holds until the file shows a later one": [
        ("files active", "file active"),
        ("deprecate", "file deprecated"),
        ("files retired", "file retired"),
        ("files deprecated", "file deprecated"),
        ("files active", "file active"),
    ],
    "retired holds while the file is behind": [
        ("files active", "file active"),
        ("deprecate", "file deprecated"),
        ("retire", "file retired"),
        ("files active", "file retired"),
        ("files deprecated new", "new retired"),
        ("files active", "file retired"),
        ("files retired", "file retired"),
        ("files deprecated", "file deprecated"),
    ],
    "retired is final": [
        ("files active", "file active"),
        ("retire", "file retired"),
        ("deprecate", "refused"),
        ("retire", "refused"),
        ("replace other", "file retired"),
        ("files active", "file retired"),
        ("deprecate", "refused"),
    ],
    "retired by the file is final too": [
        ("files retired", "file retired"),
        ("deprecate", "refused"),
        ("retire", "refused"),
        ("files active", "file active"),
        ("retire", "file retired"),
    ],
    "gone, and back": [
        ("files active", "file active"),
        ("deprecate", "file deprecated"),
        ("files none", "none"),
        ("deprecate", "refused"),
        ("files active new", "new deprecated"),
        ("files none", "none"),
        ("files deprecated", "file deprecated"),
        ("files active", "file active"),
    ],
    "gone, and registered anew": [
        ("files active", "file active"),
        ("retire", "file retired"),
        ("files none", "none"),
        ("register", "code active"),
        ("files active", "file active"),
    ],
    "what the application registered is retired with the file's": [
        ("register", "code active"),
        ("files active", "file active"),
        ("retire", "file retired"),
        ("files none", "code retired"),
        ("files active", "file retired"),
        ("files retired", "file retired"),
        ("files active", "file active"),
        ("files none", "code retired"),
    ],
    "registered only after the file's was retired": [
        ("files active", "file active"),
        ("retire", "file retired"),
        ("register", "file retired"),
        ("files none", "code retired"),
        ("replace other", "refused"),
        ("files active", "file retired"),
    ],
    "replaced while the file's is deprecated": [
        ("files active", "file active"),
        ("register", "file active"),
        ("deprecate", "file deprecated"),
        ("replace other", "file deprecated"),
        ("files none", "other deprecated"),
        ("retire", "other retired"),
    ],
    "deprecated by the file, registered in code": [
        ("files deprecated", "file deprecated"),
        ("register", "file deprecated"),
        ("files none", "code active"),
        ("deprecate", "code deprecated"),
    ],
    "deprecated in code before a file has it": [
        ("register", "code active"),
        ("deprecate", "code deprecated"),
        ("files active", "file deprecated"),
        ("files none", "code deprecated"),
        ("replace other", "other deprecated"),
        ("files active", "file deprecated"),
        ("files deprecated", "file deprecated"),
        ("files active", "file active"),
    ],
    "operations when the application's status is the later one": [
        ("register", "code active"),
        ("retire", "code retired"),
        ("files retired", "file retired"),
        ("files active", "file active"),
        ("deprecate", "file deprecated"),
        ("retire", "file retired"),
        ("files none", "code retired"),
    ],
    "load and clear touch the application's layer": [
        ("files active", "file active"),
        ("deprecate", "file deprecated"),
        ("clear", "file deprecated"),
        ("load retired", "file deprecated"),
        ("files active", "file deprecated"),
        ("files none", "code retired"),
        ("clear", "none"),
    ],
    "loaded statuses are no operations": [
        ("load retired", "code retired"),
        ("files active", "file active"),
        ("files none", "code retired"),
        ("load active", "code active"),
    ],
    "load and clear make up for operations on the application's layer": [
        ("register", "code active"),
        ("deprecate", "code deprecated"),
        ("load active", "code active"),
        ("files active", "file active"),
        ("files none", "code active"),
        ("retire", "code retired"),
        ("clear", "none"),
        ("files active", "file active"),
    ],
    "what was retired stays so beside another one that is loaded": [
        ("files active", "file active"),
        ("retire", "file retired"),
        ("load active", "file retired"),
        ("files none", "code active"),
        ("deprecate", "code deprecated"),
        ("files active", "file retired"),
    ],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_stories_of_one_model(layers: LayeredRegistry, tmp_path: Path, story: list[tuple[str, str]]) -> None:
    """After each step the model is in force as its file says, with the status that operations gave to it."""
    for number, (step, outcome) in enumerate(story):
        before = layers.list_all()
        if outcome == "refused":
            with pytest.raises((LifecycleError, ModelNotFoundError)):
                do(layers, step, tmp_path)
            assert all(entry is old for entry, old in zip(layers, before, strict=True)), (number, step)
        else:
            do(layers, step, tmp_path)
            state = " ".join(f"{entry.owner} {entry.status}" for entry in layers) or "none"
            assert state == outcome, (number, step)


def test_a_file_that_is_read_during_a_registration(
    layers: LayeredRegistry, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a signal handler reads a file with the model meanwhile, the file's entry is in force; nothing is emitted."""
    handlers = iter([lambda: replace_file_entries(layers, [filed()])])

    def time_ns() -> int:
        next(handlers, lambda: None)()
        return int(START.timestamp()) * 1_000_000_000

    monkeypatch.setattr("time.time_ns", time_ns)
    assert register(layers).owner == "file"
    assert told(exporter) == []


class TestRegisteringAFilesModel:
    """A model that is in a file already."""

    @pytest.mark.parametrize("replace", [False, True])
    def test_the_answer_is_the_entry_in_force(
        self, layers: LayeredRegistry, exporter: InMemorySpanExporter, *, replace: bool
    ) -> None:
        """It is the file's entry, with the status that holds; no event goes out, however often it is registered."""
        entry = filed()
        replace_file_entries(layers, [entry])
        assert register(layers, replace=replace) is register(layers, owner="other", replace=True) is entry
        deprecated = layers.deprecate("a")
        assert register(layers, replace=replace) is deprecated is found(layers)
        assert told(exporter) == [("model_registry.deprecated", "a", "deprecated", "active")]

    def test_a_registration_before_the_load_has_its_event(
        self, layers: LayeredRegistry, exporter: InMemorySpanExporter
    ) -> None:
        """It was news then; the load is none."""
        register(layers)
        replace_file_entries(layers, [filed()])
        register(layers, replace=True)
        assert told(exporter) == [("model_registry.registered", "a", "active", None)]

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"name": " "}, "name"),
            ({"owner": None}, "owner"),
            ({"risk_tier": "hgih"}, "risk_tier"),
            ({"deployment_date": "yesterday"}, "deployment_date"),
            ({"metadata": {"x": float("nan")}}, "metadata.x"),
            ({"metadata": {"history": []}}, "metadata.history"),
            ({"aliases": [""]}, "aliases[0]"),
            ({"provider": "a", "metadata": {"provider": "b"}}, "metadata.provider"),
            ({"actor": ""}, "actor"),
        ],
    )
    def test_bad_arguments(
        self, layers: LayeredRegistry, caplog: pytest.LogCaptureFixture, arguments: dict[str, Any], field: str
    ) -> None:
        """They are errors as ever, and nothing of them is kept or logged."""
        replace_file_entries(layers, [filed()])
        with pytest.raises(InvalidEntryError) as caught:
            register(layers, **arguments)
        assert caught.value.field == field
        replace_file_entries(layers, [])
        assert len(layers) == 0
        assert caplog.messages == []

    def test_it_is_kept_as_the_application_gave_it(self, layers: LayeredRegistry, clock: Clock) -> None:
        """When the file has the model no more, the application's own entry is in force, whole."""
        replace_file_entries(
            layers, [filed(deployment_date="2020-01-01", metadata={"sunset_date": "2027-01-01", "x": 1})]
        )
        clock.second = 1
        register(layers, metadata={"y": 2}, aliases=["b", "c-*"], provider="openai", actor="me")
        clock.second = 2
        layers.deprecate("a", reason="old", successor="d", actor="you")
        clock.second = 3
        register(layers, version="2", replace=True, deployment_date=at(1), metadata={"y": 3})
        replace_file_entries(layers, [])
        assert found(layers).to_dict() == {
            "model_id": "a",
            **CODE,
            "version": "2",
            "status": "deprecated",
            "deployment_date": at(1),
            "decommission_date": None,
            "metadata": {
                "y": 3,
                "deprecation_date": at(2),
                "deprecation_reason": "old",
                "successor": "d",
                "history": [
                    record(1, "active", "code", actor="me"),
                    record(2, "deprecated", "code", reason="old", actor="you"),
                    record(3, "deprecated", "code"),
                ],
            },
        }

    @pytest.mark.parametrize("again", [{"version": "2"}, {"replace": True, "deployment_date": "2030-01-01"}])
    def test_what_a_strict_registry_would_refuse(self, layers: LayeredRegistry, again: dict[str, Any]) -> None:
        """The file's entry is the answer, and what the application registered first is kept."""
        replace_file_entries(layers, [filed()])
        register(layers, deployment_date="2020-01-01")
        assert register(layers, **again).owner == "file"
        replace_file_entries(layers, [])
        assert (found(layers).version, found(layers).deployment_date) == ("1", "2020-01-01")


TEXT = "model registry: model 'a': code and registry file differ in %s; the file takes precedence"
DIFFERENCES: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {}, None),
    ({"name": "M"}, {}, "name"),
    ({"version": "2"}, {}, "version"),
    ({"risk_tier": "high"}, {}, "risk_tier"),
    ({}, {"owner": "x"}, "owner"),
    ({}, {"purpose": "x"}, "purpose"),
    ({"metadata": {"x": 1}}, {"metadata": {"x": 1}}, None),
    ({"metadata": {"x": 1}}, {"metadata": {"x": 2}}, "metadata.x"),
    ({"metadata": {"x": 0}}, {}, "metadata.x"),
    ({}, {"metadata": {"x": {"y": [1]}}}, "metadata.x"),
    ({"metadata": {"x": None}}, {}, None),
    ({"metadata": {"aliases": ["b"], "provider": "p"}}, {"metadata": {"provider": "p", "aliases": ["b"]}}, None),
    ({"metadata": {"aliases": ["b"]}}, {"metadata": {"aliases": ["c"]}}, "metadata.aliases"),
    ({}, {"metadata": {"aliases": [], "provider": None}}, None),
    ({"metadata": {"provider": "p"}}, {"metadata": {"provider": None}}, "metadata.provider"),
    ({"deployment_date": "2020-01-01"}, {"deployment_date": "2021-01-01"}, None),
    ({}, {"status": "retired", "decommission_date": "2021-01-01"}, None),
    (
        {"metadata": {"deprecation_reason": "r", "successor": "s"}},
        {"metadata": {"sunset_date": "2030-01-01", "deprecation_date": "2029-01-01"}},
        None,
    ),
    (
        {"owner": "x", "version": "2", "metadata": {"z": 1, "both": 1}},
        {"metadata": {"y": 1, "both": 2}},
        "version, owner, metadata.z, metadata.both, metadata.y",
    ),
]


def files_first(registry: LayeredRegistry, code: dict[str, Any], file: ModelRegistryEntry, _folder: Path) -> None:
    replace_file_entries(registry, [filed("c"), file])
    register(registry, **code)


def code_first(registry: LayeredRegistry, code: dict[str, Any], file: ModelRegistryEntry, _folder: Path) -> None:
    register(registry, **code)
    register(registry, "b", owner="nobody else's")
    replace_file_entries(registry, [file])


def loaded(code: dict[str, Any], folder: Path) -> Path:
    registry = ModelRegistry(auto_emit=False)
    register(registry, **code)
    register(registry, "b", owner="nobody else's")
    registry.save(folder / "models.json")
    return folder / "models.json"


def files_before_load(registry: LayeredRegistry, code: dict[str, Any], file: ModelRegistryEntry, folder: Path) -> None:
    replace_file_entries(registry, [file])
    registry.load(loaded(code, folder))


def load_before_files(registry: LayeredRegistry, code: dict[str, Any], file: ModelRegistryEntry, folder: Path) -> None:
    registry.load(loaded(code, folder))
    replace_file_entries(registry, [file])


ORDERS = [files_first, code_first, files_before_load, load_before_files]


class TestTheLine:
    """What is logged where code and file describe a model differently."""

    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize(("code", "file", "fields"), DIFFERENCES)
    def test_one_line_names_the_fields(  # noqa: PLR0913 - a table and its fixtures
        self,
        layers: LayeredRegistry,
        caplog: pytest.LogCaptureFixture,
        tmp_path: Path,
        order: Callable[[LayeredRegistry, dict[str, Any], ModelRegistryEntry, Path], None],
        code: dict[str, Any],
        file: dict[str, Any],
        fields: str | None,
    ) -> None:
        """One line for a model that differs, none for one that agrees, in whatever order the two come."""
        entry = filed(**{**CODE, **file})
        order(layers, code, entry, tmp_path)
        expected = [] if fields is None else [TEXT % fields]
        assert caplog.messages == expected
        assert [one.levelno for one in caplog.records] == [logging.WARNING] * len(expected)
        register(layers, **code)
        replace_file_entries(layers, [entry])
        layers.load(loaded(code, tmp_path))
        assert caplog.messages == expected

    def test_it_is_logged_once_a_process(self, layers: LayeredRegistry, caplog: pytest.LogCaptureFixture) -> None:
        """A model is named once, though it may agree and differ again, otherwise, and in another registry."""
        replace_file_entries(layers, [filed()])
        register(layers)
        register(layers, owner="file", replace=True)
        register(layers, name="M", replace=True)
        replace_file_entries(layers, [filed(version="2")])
        replace_file_entries(layers, [])
        replace_file_entries(layers, [filed()])
        other = LayeredRegistry(auto_emit=False)
        replace_file_entries(other, [filed()])
        register(other)
        assert caplog.messages == [TEXT % "owner"]

    def test_replacing_may_be_what_makes_the_difference(
        self, layers: LayeredRegistry, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Two that agree at first and differ later have their line then."""
        replace_file_entries(layers, [filed()])
        register(layers, owner="file")
        layers.retire("a")
        replace_file_entries(layers, [filed()])
        assert caplog.messages == []
        replace_file_entries(layers, [filed(purpose="other")])
        assert caplog.messages == [TEXT % "purpose"]

    def test_only_so_many_models_are_named(self, layers: LayeredRegistry, caplog: pytest.LogCaptureFixture) -> None:
        """There are at most 100 lines in a process, and each names its model on one line."""
        for number in range(101):
            register(layers, f"a\n{number}")
        replace_file_entries(layers, [filed(f"a\n{number}") for number in range(101)])
        assert caplog.messages == [TEXT.replace("'a'", f"'a\\n{number}'") % "owner" for number in range(100)]

    def test_a_log_handler_may_wait_for_another_thread(self, layers: LayeredRegistry) -> None:
        """The line is written when no lock is held: its handler may wait for someone who registers."""
        finished = []

        class Registering(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                given = {"replace": True}
                thread = threading.Thread(target=register, args=(layers, record.levelname), kwargs=given, daemon=True)
                thread.start()
                thread.join(10)
                finished.append(not thread.is_alive())
                register(layers, version="2", replace=True)

        handler = Registering()
        logging.getLogger("spanforge.model_registry").addHandler(handler)
        try:
            replace_file_entries(layers, [filed()])
            register(layers)
            register(layers, "b")
            replace_file_entries(layers, [filed(), filed("b")])
        finally:
            logging.getLogger("spanforge.model_registry").removeHandler(handler)
        assert finished == [True, True]
        assert shown(layers) == [("a", "file", "active"), ("b", "file", "active"), ("WARNING", "code", "active")]


class TestOperationsOnAFilesModel:
    """``deprecate`` and ``retire`` on what a file holds."""

    def test_their_events(self, layers: LayeredRegistry, exporter: InMemorySpanExporter, tmp_path: Path) -> None:
        """Each goes out once, with the status that was in force before; loads and what is refused emit nothing."""
        replace_file_entries(layers, [filed(), filed("b", status="deprecated")])
        layers.deprecate("a", reason="old", actor="me")
        layers.deprecate("a")
        replace_file_entries(layers, [filed(), filed("b", status="deprecated")])
        layers.retire("b")
        layers.retire("a")
        replace_file_entries(layers, [filed(), filed("b")])
        for model_id in "ab":
            with pytest.raises(LifecycleError):
                layers.retire(model_id)
        layers.save(tmp_path / "models.json")
        layers.load(tmp_path / "models.json")
        layers.clear()
        assert told(exporter) == [
            ("model_registry.deprecated", "a", "deprecated", "active"),
            ("model_registry.deprecated", "a", "deprecated", "deprecated"),
            ("model_registry.retired", "b", "retired", "deprecated"),
            ("model_registry.retired", "a", "retired", "deprecated"),
        ]
        attributes = exporter.get_finished_spans()[0].events[0].attributes or {}
        assert {key: attributes[f"model_registry.{key}"] for key in ("owner", "reason", "actor")} == {
            "owner": "file",
            "reason": "old",
            "actor": "me",
        }

    def test_what_holds_over_reloads(self, layers: LayeredRegistry, clock: Clock) -> None:
        """What the operations set and their records join whatever the file says by then."""
        replace_file_entries(layers, [filed(metadata={"sunset_date": "2027-01-01", "successor": "b", "x": 1, "y": 1})])
        clock.second = 1
        layers.deprecate("a", reason="old", actor="me")
        clock.second = 2
        layers.deprecate("a", successor="c")
        replace_file_entries(
            layers,
            [
                filed(
                    name="M",
                    version="2",
                    risk_tier="high",
                    owner="new",
                    purpose="other",
                    deployment_date="2020-01-01",
                    decommission_date="2029-01-01",
                    metadata={"sunset_date": "2028-01-01", "aliases": ["b"], "x": 2},
                )
            ],
        )
        assert found(layers).to_dict() == {
            "model_id": "a",
            "name": "M",
            "version": "2",
            "risk_tier": "high",
            "owner": "new",
            "purpose": "other",
            "status": "deprecated",
            "deployment_date": "2020-01-01",
            "decommission_date": "2029-01-01",
            "metadata": {
                "sunset_date": "2028-01-01",
                "aliases": ["b"],
                "x": 2,
                "deprecation_date": at(1),
                "deprecation_reason": "old",
                "successor": "c",
                "history": [
                    {**record(1, "deprecated", "new", reason="old", actor="me"), "risk_tier": "high"},
                    {**record(2, "deprecated", "new"), "risk_tier": "high"},
                ],
            },
        }

    def test_what_holds_of_a_retirement(self, layers: LayeredRegistry, clock: Clock) -> None:
        """The date is that of the operation, and the file's news of the deprecation are heard."""
        replace_file_entries(layers, [filed(status="deprecated", metadata={"deprecation_date": "2024-01-01"})])
        clock.second = 1
        layers.retire("a", reason="unused")
        later = {"deprecation_date": "2025-01-01", "deprecation_reason": "new"}
        replace_file_entries(layers, [filed(status="deprecated", decommission_date="2029-01-01", metadata=later)])
        assert found(layers).to_dict() == {
            "model_id": "a",
            **FILE,
            "status": "retired",
            "deployment_date": None,
            "decommission_date": at(1),
            "metadata": {**later, "history": [record(1, "retired", "file", reason="unused")]},
        }

    def test_the_files_date_of_deprecation_stays(self, layers: LayeredRegistry, clock: Clock) -> None:
        """The first date counts, on the day of the operation and after a load alike."""
        announced = filed(metadata={"deprecation_date": "2025-01-01"})
        replace_file_entries(layers, [announced])
        clock.second = 1
        assert layers.deprecate("a").metadata["deprecation_date"] == "2025-01-01"
        replace_file_entries(layers, [announced])
        assert found(layers).metadata["deprecation_date"] == "2025-01-01"

    def test_the_file_alone_counts_once_it_has_caught_up(self, layers: LayeredRegistry) -> None:
        """Nothing of the operations is left in an entry whose file shows their status or a later one."""
        replace_file_entries(layers, [filed()])
        layers.deprecate("a", reason="old", successor="b")
        entry = filed(status="deprecated", metadata={"deprecation_reason": "the file's"})
        replace_file_entries(layers, [entry])
        assert found(layers) is entry

    def test_a_new_reason_for_what_the_file_shows_already(self, layers: LayeredRegistry) -> None:
        """It is in force until the next load, which shows the same status."""
        entry = filed(status="deprecated", metadata={"deprecation_reason": "the file's"})
        replace_file_entries(layers, [entry])
        assert layers.deprecate("a", reason="new").metadata["deprecation_reason"] == "new"
        replace_file_entries(layers, [entry])
        assert found(layers) is entry

    def test_what_was_when(self, layers: LayeredRegistry, clock: Clock) -> None:
        """``as_of`` gives the status in force at each moment, before and after loads."""
        history = [record(0, "active", "first")]
        replace_file_entries(layers, [filed(deployment_date=at(0), metadata={"history": history})])
        clock.second = 10
        layers.deprecate("a")
        clock.second = 20
        layers.retire("a")
        clock.second = 30
        replace_file_entries(layers, [filed(deployment_date=at(0), metadata={"history": history})])
        entry = found(layers)
        assert entry.metadata["history"] == [*history, record(10, "deprecated", "file"), record(20, "retired", "file")]
        assert [entry.as_of(at(second)) for second in (0, 9, 10, 19, 20, 30)] == [
            StateAsOf("active", "first", "low", "history"),
            StateAsOf("active", "first", "low", "history"),
            StateAsOf("deprecated", "file", "low", "history"),
            StateAsOf("deprecated", "file", "low", "history"),
            StateAsOf("retired", "file", "low", "history"),
            StateAsOf("retired", "file", "low", "history"),
        ]
        assert entry.as_of(START - timedelta(seconds=1)) is None

    def test_a_file_that_was_changed_after_the_operation(self, layers: LayeredRegistry, clock: Clock) -> None:
        """Records stay in order: an operation that still holds comes after what the file says it was changed by."""
        replace_file_entries(layers, [filed()])
        clock.second = 10
        layers.deprecate("a")
        clock.second = 20
        layers.retire("a")
        clock.second = 40
        replace_file_entries(layers, [filed(owner="new", metadata={"history": [record(30, "active", "new")]})])
        entry = found(layers)
        assert [(one["at"], one["status"]) for one in entry.metadata["history"]] == [
            ("2026-01-01T00:00:30.000000Z", "active"),
            ("2026-01-01T00:00:30.000001Z", "deprecated"),
            ("2026-01-01T00:00:30.000002Z", "retired"),
        ]
        assert entry.as_of(at(30)) == StateAsOf("active", "new", "low", "history")
        assert entry.as_of(at(40)) == StateAsOf("retired", "new", "low", "history")

    def test_a_history_ahead_of_the_clock(self, layers: LayeredRegistry, clock: Clock) -> None:
        """Another machine's clock may be ahead: what is done here still comes after what was done there."""
        entry = filed(metadata={"history": [record(50, "active", "file")]})
        replace_file_entries(layers, [entry])
        clock.second = 1
        layers.deprecate("a")
        replace_file_entries(layers, [entry])
        layers.retire("a")
        replace_file_entries(layers, [entry])
        assert [(one["at"], one["status"]) for one in found(layers).metadata["history"]] == [
            ("2026-01-01T00:00:50.000000Z", "active"),
            ("2026-01-01T00:00:50.000001Z", "deprecated"),
            ("2026-01-01T00:00:50.000002Z", "retired"),
        ]

    def test_what_is_beneath_may_be_ahead_of_the_clock_too(
        self, layers: LayeredRegistry, clock: Clock, tmp_path: Path
    ) -> None:
        """The application's own entry has the operation after what it had before."""
        written = ModelRegistry(auto_emit=False)
        replace_file_entries(written, [filed(owner="code", metadata={"history": [record(50, "active", "code")]})])
        written.save(tmp_path / "models.json")
        layers.load(tmp_path / "models.json")
        replace_file_entries(layers, [filed()])
        clock.second = 1
        assert layers.deprecate("a").metadata["history"] == [record(1, "deprecated", "file")]
        replace_file_entries(layers, [])
        assert [(one["at"], one["status"]) for one in found(layers).metadata["history"]] == [
            ("2026-01-01T00:00:50.000000Z", "active"),
            ("2026-01-01T00:00:50.000001Z", "deprecated"),
        ]

    def test_the_history_stays_bounded(self) -> None:
        """The newest 1,000 records are kept, over reloads too, and so is the date of the first deprecation."""
        entry = filed(metadata={"history": [record(0, "active", "file")] * 500})
        layers = LayeredRegistry(auto_emit=False)
        replace_file_entries(layers, [entry])
        first = layers.deprecate("a", reason="first").metadata["deprecation_date"]
        for number in range(MAX_HISTORY):
            layers.deprecate("a", successor=str(number))
        replace_file_entries(layers, [entry])
        metadata = found(layers).metadata
        assert (len(metadata["history"]), metadata["history"][0]["status"]) == (MAX_HISTORY, "deprecated")
        assert metadata["deprecation_date"] == first < metadata["history"][0]["at"]
        assert (metadata["deprecation_reason"], metadata["successor"]) == ("first", str(MAX_HISTORY - 1))

    def test_records_of_what_came_back(self, layers: LayeredRegistry, clock: Clock) -> None:
        """A model that is gone for a while has its records again; one that was registered in code in between, none."""
        replace_file_entries(layers, [filed(), filed("b")])
        clock.second = 1
        layers.deprecate("a")
        layers.deprecate("b")
        replace_file_entries(layers, [])
        clock.second = 2
        register(layers, "b")
        replace_file_entries(layers, [filed(), filed("b")])
        assert shown(layers) == [("a", "file", "deprecated"), ("b", "file", "active")]
        assert found(layers).metadata["history"] == [record(1, "deprecated", "file")]
        assert found(layers, "b").metadata == {}


@pytest.mark.parametrize("operation", CHANGING)
@pytest.mark.parametrize("status", LIFECYCLE)
def test_a_new_status_outlasts_reloads_of_an_unchanged_file(
    layers: LayeredRegistry, status: Any, operation: Any
) -> None:
    """What an operation makes of a file's model is in force until the file changes, whatever the two statuses are."""
    if operation not in LIFECYCLE[status].operations:
        return
    for history in ({}, {"history": [record(0, "active", "file"), record(1, status, "file")]}):
        replace_file_entries(layers, [filed(status=status, metadata=history)])
        getattr(layers, operation)("a")
        for _ in range(3):
            replace_file_entries(layers, [filed(status=status, metadata=history)])
            assert found(layers).status == OPERATIONS[operation].target
        replace_file_entries(layers, [filed(status=OPERATIONS[operation].target)])
        assert found(layers).status == OPERATIONS[operation].target
        assert layers._state.layers.operations.values() == []


class TestFurtherOperation:
    """An operation that leads back to a status, as a future row of ``OPERATIONS`` may."""

    @pytest.fixture(autouse=True)
    def _resume(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let a deprecated model become active again."""
        deprecated = LIFECYCLE["deprecated"]
        row = deprecated._replace(operations=deprecated.operations | {"resume"})  # type: ignore[arg-type]
        monkeypatch.setitem(cast("Any", LIFECYCLE), "deprecated", row)
        kind = OperationKind("active", "model_registry.resumed", registers=False)
        monkeypatch.setitem(cast("Any", OPERATIONS), "resume", kind)
        monkeypatch.setitem(OPERATION_SPAN_NAMES, "resume", "model_registry.resume")  # type: ignore[misc]

    @pytest.mark.parametrize("in_file", [True, False])
    def test_it_is_no_registration(
        self, layers: LayeredRegistry, exporter: InMemorySpanExporter, *, in_file: bool
    ) -> None:
        """It changes the status of a file's model as of any other, and has an event of its own."""
        if in_file:
            replace_file_entries(layers, [filed()])
        else:
            register(layers)
        layers.deprecate("a")
        exporter.clear()
        resumed = layers._run_operation(Operation("resume", "a", "fixed"))  # type: ignore[arg-type]
        assert (resumed.status, resumed.metadata["history"][-1]["reason"]) == ("active", "fixed")
        assert resumed is found(layers)
        assert compute_entries(layers._state.layers) == layers.list_all()
        assert told(exporter) == [("model_registry.resumed", "a", "active", "deprecated")]

    def test_it_is_no_step_of_a_new_model(self) -> None:
        """``emit_changes`` sees a registration in a new active model, and a resumption in one that was deprecated."""
        registry, entry = ModelRegistry(auto_emit=False), filed()
        deprecated = filed(status="deprecated")
        names = [[one.name for one in registry.emit_changes(before, [entry])] for before in ([], [entry], [deprecated])]
        assert names == [["model_registry.registered"], [], ["model_registry.resumed"]]


class TestBothLayersTogether:
    """Reading, saving and loading what is in force."""

    def test_the_order(self, layers: LayeredRegistry) -> None:
        """The files' models come first, in the files' order, then the application's, in that of registration."""
        for model_id in "dcba":
            register(layers, model_id)
        replace_file_entries(layers, [filed("x"), filed("c"), filed("w")])
        register(layers, "e")
        register(layers, "b", owner="other", replace=True, aliases=["f"])
        layers.deprecate("w")
        assert shown(layers) == [
            ("x", "file", "active"),
            ("c", "file", "active"),
            ("w", "file", "deprecated"),
            ("d", "code", "active"),
            ("b", "other", "active"),
            ("a", "code", "active"),
            ("e", "code", "active"),
        ]
        assert [entry.model_id for entry in layers.list_active()] == ["x", "c", "d", "b", "a", "e"]
        assert (len(layers), "c" in layers, "y" in layers) == (7, True, False)
        assert repr(layers) == "<LayeredRegistry of 7 models>"
        replace_file_entries(layers, [filed("a"), filed("x")])
        assert [entry.model_id for entry in layers] == ["a", "x", "d", "c", "b", "e"]

    def test_names(self, layers: LayeredRegistry) -> None:
        """Names lead to the entries in force; where globs of both layers match, the file's counts."""
        register(layers, "code", aliases=["both", "code-alias", "m-*", "c-*"])
        register(layers, "a", aliases=["hidden", "hidden-*"])
        replace_file_entries(
            layers,
            [
                filed("file", metadata={"aliases": ["both", "file-alias", "m-*", "f-*"]}),
                filed("a", metadata={"aliases": ["seen", "seen-*"]}),
            ],
        )
        register(layers, "late", aliases=["both", "m-*", "l-*"])
        names = ["both", "m-1", "code-alias", "c-1", "file-alias", "f-1", "l-1", "seen", "seen-1", "hidden", "hidden-1"]
        assert {name: (layers.resolve(name).entry or filed("-")).model_id for name in names} == {
            "both": "file",
            "m-1": "file",
            "code-alias": "code",
            "c-1": "code",
            "file-alias": "file",
            "f-1": "file",
            "l-1": "late",
            "seen": "a",
            "seen-1": "a",
            "hidden": "-",
            "hidden-1": "-",
        }
        replace_file_entries(layers, [])
        assert {name: (layers.resolve(name).entry or filed("-")).model_id for name in names} == {
            "both": "code",
            "m-1": "code",
            "code-alias": "code",
            "c-1": "code",
            "file-alias": "-",
            "f-1": "-",
            "l-1": "late",
            "seen": "-",
            "seen-1": "-",
            "hidden": "a",
            "hidden-1": "a",
        }

    def test_providers(self, layers: LayeredRegistry) -> None:
        """A file's model may be limited to a provider, and the application's serve the others."""
        register(layers, "code", aliases=["m", "m-*"])
        replace_file_entries(layers, [filed("file", metadata={"aliases": ["m", "m-*"], "provider": "openai"})])
        found = {
            provider: [layers.resolve(name, provider=provider).entry for name in ("m", "m-1", "file")]
            for provider in (None, "openai", "azure")
        }
        file, code = layers.list_all()
        assert found == {None: [file, file, file], "openai": [file, file, file], "azure": [code, code, None]}

    def test_warnings_and_the_guard(self, layers: LayeredRegistry) -> None:
        """What callers are told is what is in force."""
        register(layers)
        replace_file_entries(layers, [filed(metadata={"aliases": ["support"]})])
        layers.retire("a")
        replace_file_entries(layers, [filed(metadata={"aliases": ["support"]})])
        assert layers.check("support") == ("model 'a' is retired",)
        assert layers.require("support", allow=["retired"]) is found(layers)

    def test_save_and_load(self, layers: LayeredRegistry, clock: Clock, tmp_path: Path) -> None:
        """A saved file holds what is in force, and is as good as the two layers wherever it is loaded."""
        path = tmp_path / "models.json"
        replace_file_entries(layers, [filed("b"), filed("a", deployment_date="2020-01-01")])
        clock.second = 1
        register(layers)
        clock.second = 2
        register(layers, "c", aliases=["d"])
        clock.second = 3
        layers.retire("a")
        layers.save(path)
        in_force = layers.list_all()
        untouched: dict[str, Any] = {"deployment_date": None, "decommission_date": None, "metadata": {}}
        assert json.loads(path.read_text()) == [
            {"model_id": "b", **FILE, "status": "active", **untouched},
            {
                "model_id": "a",
                **FILE,
                "status": "retired",
                "deployment_date": "2020-01-01",
                "decommission_date": at(3),
                "metadata": {"history": [record(3, "retired", "file")]},
            },
            {
                "model_id": "c",
                **CODE,
                "status": "active",
                "deployment_date": at(2),
                "decommission_date": None,
                "metadata": {"aliases": ["d"], "history": [record(2, "active", "code")]},
            },
        ]
        strict = ModelRegistry(auto_emit=False)
        strict.load(path)
        assert strict.list_all() == in_force
        layers.load(path)
        assert layers.list_all() == in_force
        replace_file_entries(layers, read_entries(path))
        assert layers.list_all() == in_force
        replace_file_entries(layers, [])
        assert layers.list_all() == in_force

    def test_load_and_clear_leave_the_files_alone(self, layers: LayeredRegistry, tmp_path: Path) -> None:
        """They replace what the application registered; a file's models, and what was done to them, stay."""
        saved = LayeredRegistry(auto_emit=False)
        for model_id in "xab":
            register(saved, model_id, owner="saved")
        saved.save(tmp_path / "models.json")
        register(layers, "c")
        replace_file_entries(layers, [filed("a"), filed("b")])
        layers.retire("b")
        layers.load(tmp_path / "models.json")
        assert shown(layers) == [("a", "file", "active"), ("b", "file", "retired"), ("x", "saved", "active")]
        layers.clear()
        assert shown(layers) == [("a", "file", "active"), ("b", "file", "retired")]
        layers.load(tmp_path / "models.json")
        replace_file_entries(layers, [])
        assert shown(layers) == [("x", "saved", "active"), ("a", "saved", "active"), ("b", "saved", "active")]

    def test_a_bad_file_changes_nothing(self, layers: LayeredRegistry, tmp_path: Path) -> None:
        """Neither a load that fails nor files that cannot be read to their end leave a trace."""

        def broken() -> Iterator[ModelRegistryEntry]:
            yield filed("b")
            raise RegistryFileError("models.json", "cannot be read")

        replace_file_entries(layers, [filed()])
        register(layers, "c")
        layers.retire("a")
        before = layers.list_all()
        (tmp_path / "models.json").write_text("[{}]")
        with pytest.raises(RegistryFileError):
            layers.load(tmp_path / "models.json")
        with pytest.raises(RegistryFileError):
            replace_file_entries(layers, broken())
        assert register(layers) is found(layers)
        assert all(entry is old for entry, old in zip(layers, before, strict=True))
        replace_file_entries(layers, [filed()])
        assert shown(layers) == [("a", "file", "retired"), ("c", "code", "active")]

    @pytest.mark.parametrize(
        ("operation", "error"),
        [
            (lambda registry: registry.deprecate("a", sunset_date="soon"), InvalidEntryError),
            (lambda registry: registry.deprecate("a", actor=" "), InvalidEntryError),
            (lambda registry: registry.retire("a", reason=" "), InvalidEntryError),
            (lambda registry: registry.retire("b"), LifecycleError),
            (lambda registry: registry.retire("x"), ModelNotFoundError),
        ],
    )
    def test_what_is_refused_changes_nothing(
        self, layers: LayeredRegistry, operation: Callable[[ModelRegistry], object], error: type[Exception]
    ) -> None:
        """An operation that raises changes neither what is in force nor what is beneath, now or after a load."""
        register(layers)
        register(layers, "b")
        replace_file_entries(layers, [filed(), filed("b", status="retired")])
        before = layers.list_all()
        with pytest.raises(error):
            operation(layers)
        assert all(entry is old for entry, old in zip(layers, before, strict=True))
        replace_file_entries(layers, [filed(), filed("b")])
        assert shown(layers) == [("a", "file", "active"), ("b", "file", "active")]
        replace_file_entries(layers, [])
        assert shown(layers) == [("a", "code", "active"), ("b", "code", "active")]

    def test_spans_show_what_is_in_force(self, provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
        """The processor sees each load and each operation at once."""
        layers = LayeredRegistry(auto_emit=False)
        provider.add_span_processor(ModelRegistrySpanProcessor(layers))
        tracer = provider.get_tracer("app")
        steps: list[Callable[[], object]] = [
            lambda: register(layers),
            lambda: replace_file_entries(layers, [filed()]),
            lambda: layers.deprecate("a"),
            lambda: replace_file_entries(layers, [filed(owner="new")]),
            lambda: replace_file_entries(layers, []),
            layers.clear,
        ]
        for step in steps:
            step()
            with tracer.start_as_current_span("chat", attributes={"gen_ai.request.model": "a"}):
                pass
        keys = ("model_registry.owner", "model_registry.status")
        assert [tuple((span.attributes or {}).get(key) for key in keys) for span in exporter.get_finished_spans()] == [
            ("code", "active"),
            ("file", "active"),
            ("file", "deprecated"),
            ("new", "deprecated"),
            ("code", "deprecated"),
            (None, "unregistered"),
        ]


def test_the_process_wide_registry_has_both_layers() -> None:
    """The functions of the package work on a registry of two layers."""
    registry = package.get_default_registry()
    assert isinstance(registry, LayeredRegistry)
    entry = filed(metadata={"aliases": ["b"]})
    replace_file_entries(registry, [entry])
    assert package.register_model("a", "N", "1", "low", "code", "test") is entry is package.get_model("a")
    assert package.deprecate_model("a").owner == package.retire_model("a").owner == "file"
    package.register_model("c", "N", "1", "low", "code", "test")
    replace_file_entries(registry, [entry])
    assert shown(registry) == [("a", "file", "retired"), ("c", "code", "active")]
    assert package.list_models() == registry.list_all()


def test_a_registry_of_ones_own_is_strict(tmp_path: Path) -> None:
    """What files hold replaces all that it has, as ``load`` does; ids that are taken are errors."""
    registry = ModelRegistry(auto_emit=False)
    register(registry, "b")
    replace_file_entries(registry, [filed(), filed("c")])
    assert shown(registry) == [("a", "file", "active"), ("c", "file", "active")]
    with pytest.raises(ValueError, match="'a' is already registered"):
        register(registry)
    registry.retire("a")
    replace_file_entries(registry, [filed()])
    assert shown(registry) == [("a", "file", "active")]
    registry.save(tmp_path / "models.json")
    replace_file_entries(registry, [])
    assert len(registry) == 0
    registry.load(tmp_path / "models.json")
    assert shown(registry) == [("a", "file", "active")]
