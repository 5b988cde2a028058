"""The two layers of the process-wide registry, in any order of operations and loads, against a model of them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.telemetry import exported_events, tracers_with

from spanforge.model_registry import (
    LifecycleError,
    ModelAlreadyRegisteredError,
    ModelNotFoundError,
    ModelRegistry,
    ModelRegistryEntry,
)
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.lifecycle import LIFECYCLE
from spanforge.model_registry._core.process import reset_process
from spanforge.model_registry._core.resolution import ModelIndex
from spanforge.model_registry._core.state import replace_file_entries
from spanforge.model_registry._core.storage import encode_entries, read_entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from spanforge.model_registry._core.lifecycle import ModelStatus, OperationName

RANKS = {status: row.rank for status, row in LIFECYCLE.items()}
NAMES = ("a", "b", "x", "y", "x1", "yz", "p/a", "p/x", "p/x1", "none")
PROVIDERS = (None, "p", "q")
DATE = "2020-01-01"
OF_NAMES = ("also matches the model", "cannot be told apart by name")
"""Lines about names have tests of their own."""
LINE = re.compile("model registry: model '(.*)': code and registry file differ in (.*); the file takes precedence")

IDS = st.sampled_from("ab")
WORDS = st.sampled_from(["v", "w"])
MAYBE = st.none() | WORDS
DESCRIPTIONS = st.fixed_dictionaries(
    {"owner": WORDS, "risk_tier": st.sampled_from(["low", "high"])},
    optional={
        "metadata.aliases": st.lists(st.sampled_from(["x", "y", "x*", "?z", "p/x*"]), min_size=1, max_size=2),
        "metadata.provider": st.sampled_from(["p", "q"]),
        "metadata.extra": st.sampled_from([0, [1]]),
    },
)
DESCRIBED = {"owner": "v", "risk_tier": "low"}


class State(NamedTuple):
    """An entry, without its dates.

    Attributes:
        described: What it says of the model, by the names that a log line gives to them.
        status: The status.
        standing: What the lifecycle wrote into the metadata, but dates and history.
        records: Status, reason and actor of each record of the history.
        dated: Whether it has the one date of deployment that is ever given.
    """

    described: dict[str, Any]
    status: ModelStatus = "active"
    standing: dict[str, str] = {}  # noqa: RUF012 - nobody changes it
    records: tuple[tuple[str, str | None, str | None], ...] = ()
    dated: bool = False

    def after(self, operation: Operation) -> State:
        """Return the entry after an operation; ``None`` if its status does not allow the operation."""
        if operation.name not in LIFECYCLE[self.status].operations:
            return self
        record = (operation.status, operation.reason, operation.actor)
        standing = {**self.standing, **operation.standing}
        return self._replace(status=operation.status, standing=standing, records=(*self.records, record))

    def entry(self, model_id: str) -> ModelRegistryEntry:
        """Return it as an entry of a file."""
        described = dict(self.described)
        metadata = {key.partition(".")[2]: described.pop(key) for key in self.described if "." in key}
        facts = {"owner": described["owner"], "risk_tier": described["risk_tier"]}
        history = [
            {"at": "2021-01-01", "status": status, **facts, **({"reason": reason} if reason else {})}
            for status, reason, _ in self.records
        ]
        metadata |= {**self.standing, **({"history": history} if history else {})}
        return ModelRegistryEntry(
            model_id=model_id,
            name="N",
            version="1",
            purpose="test",
            status=self.status,
            deployment_date=DATE if self.dated else None,
            metadata=metadata,
            **described,
        )


def find_error(old: State, *, dated: bool, replace: bool) -> type[Exception] | None:
    """Return the error of a registration that describes a registered model differently, or replaces it."""
    if not replace:
        return ModelAlreadyRegisteredError
    if "register" not in LIFECYCLE[old.status].operations:
        return LifecycleError
    return ValueError if dated and not old.dated else None


class Operation(NamedTuple):
    name: OperationName
    status: ModelStatus
    reason: str | None
    actor: str | None
    standing: dict[str, str]


@st.composite
def states(draw: st.DrawFn) -> State:
    """Draw an entry of a file: half of them are active, and most have no history."""
    status = draw(st.sampled_from(["active", *LIFECYCLE]))
    standing = draw(st.fixed_dictionaries({}, optional={"deprecation_reason": WORDS, "successor": WORDS}))
    records = draw(st.sampled_from([(), (), ((status, "v", None),)]))
    return State(draw(DESCRIPTIONS), status, standing, records, draw(st.booleans()))


FILES = st.lists(st.tuples(IDS, states()), unique_by=lambda pair: pair[0], max_size=2).map(dict)


def state_of(entry: ModelRegistryEntry) -> State:
    """Return the content of the registry, for comparison with the expected content."""
    plain = entry.to_dict()
    metadata = plain.pop("metadata")
    standing = {key: metadata.pop(key) for key in ("deprecation_reason", "successor") if key in metadata}
    records = metadata.pop("history", [])
    for row in LIFECYCLE.values():
        metadata.pop(row.date, None)
    described = {"owner": plain["owner"], "risk_tier": plain["risk_tier"]}
    described |= {f"metadata.{key}": value for key, value in metadata.items()}
    shown = tuple((record["status"], record.get("reason"), record.get("actor")) for record in records)
    return State(described, plain["status"], standing, shown, plain["deployment_date"] == DATE)


class Layers(RuleBasedStateMachine):
    """``own`` and ``files`` are the layers, ``held`` the operations since a file has caught up with them."""

    path: Path
    caplog: pytest.LogCaptureFixture

    @initialize()
    def start(self) -> None:
        reset_process()
        self.caplog.clear()
        self.exporter = InMemorySpanExporter()
        self.registry = LayeredRegistry(tracer_provider=tracers_with(self.exporter))
        self.own: dict[str, State] = {}
        self.files: dict[str, State] = {}
        self.held: dict[str, list[Operation]] = {}
        self.events: list[tuple[str, str, str | None, str]] = []
        self.lines: dict[str, set[str]] = {}

    def in_force(self, model_id: str) -> State | None:
        if model_id not in self.files:
            return self.own.get(model_id)
        return self.with_operations(model_id, self.files[model_id])

    def with_operations(self, model_id: str, state: State) -> State:
        for operation in self.held.get(model_id, ()):
            state = state.after(operation)
        return state

    def compare(self) -> None:
        """Expect a line for each model that code and file describe differently, if it has none yet."""
        for model_id, state in self.own.items():
            if model_id in self.files:
                one, other = state.described, self.files[model_id].described
                fields = {field for field in {**one, **other} if one.get(field) != other.get(field)}
                if fields:
                    self.lines.setdefault(model_id, fields)

    def refused(self, error: type[Exception], operation: Callable[[], object]) -> None:
        before = self.registry.list_all()
        with pytest.raises(error):
            operation()
        assert all(entry is old for entry, old in zip(self.registry, before, strict=True))

    @rule(model_id=IDS, described=DESCRIPTIONS, actor=MAYBE, replace=st.booleans(), dated=st.booleans())
    def register(
        self, model_id: str, described: dict[str, Any], actor: str | None, *, replace: bool, dated: bool
    ) -> None:
        def operation() -> ModelRegistryEntry:
            metadata = {key.partition(".")[2]: value for key, value in described.items() if "." in key}
            more = {"aliases": metadata.pop("aliases", ()), "provider": metadata.pop("provider", None)}
            more |= {"deployment_date": DATE if dated else None, "replace": replace, "actor": actor}
            facts = described["risk_tier"], described["owner"], "test"
            return self.registry.register(model_id, "N", "1", *facts, metadata=metadata, **more)

        old, filed = self.own.get(model_id), model_id in self.files
        error: type[Exception] | None = None
        if old is None:
            new = State(described, records=(("active", None, actor),), dated=dated)
            if filed:
                new = self.with_operations(model_id, new)
            else:
                self.held.pop(model_id, None)
        else:
            new = old._replace(described=described, records=(*old.records, (old.status, None, actor)))
            is_same = old.described == described and (old.dated or not dated)
            if not replace and is_same and "register" in LIFECYCLE[old.status].operations:
                assert operation() is self.registry.get(model_id)
                self.compare()
                return
            error = find_error(old, dated=dated, replace=replace)
        if error is not None and not filed:
            self.refused(error, operation)
            return
        assert operation() is self.registry.get(model_id)
        if error is None:
            self.own[model_id] = new
        if not filed:
            self.events.append(("registered", model_id, old and old.status, described["owner"]))
        self.compare()

    @rule(model_id=IDS, reason=MAYBE, successor=MAYBE, actor=MAYBE)
    def deprecate(self, model_id: str, reason: str | None, successor: str | None, actor: str | None) -> None:
        standing = {"deprecation_reason": reason, "successor": successor}
        given = {key: value for key, value in standing.items() if value}
        self.operate(
            model_id,
            Operation("deprecate", "deprecated", reason, actor, given),
            lambda: self.registry.deprecate(model_id, reason=reason or "", successor=successor, actor=actor),
        )

    @rule(model_id=IDS, reason=MAYBE, actor=MAYBE)
    def retire(self, model_id: str, reason: str | None, actor: str | None) -> None:
        self.operate(
            model_id,
            Operation("retire", "retired", reason, actor, {}),
            lambda: self.registry.retire(model_id, reason=reason or "", actor=actor),
        )

    def operate(self, model_id: str, operation: Operation, do: Callable[[], ModelRegistryEntry]) -> None:
        old = self.in_force(model_id)
        if old is None or operation.name not in LIFECYCLE[old.status].operations:
            self.refused(ModelNotFoundError if old is None else LifecycleError, do)
            return
        assert do() is self.registry.get(model_id)
        self.held.setdefault(model_id, []).append(operation)
        if model_id in self.own:
            self.own[model_id] = self.own[model_id].after(operation)
        self.events.append((operation.status, model_id, old.status, old.described["owner"]))

    @rule(model_id=IDS)
    def give_a_bad_value(self, model_id: str) -> None:
        self.refused(ValueError, lambda: self.registry.register(model_id, "N", "1", "low", " ", "test", replace=True))
        if model_id in self.registry:
            self.refused(ValueError, lambda: self.registry.deprecate(model_id, sunset_date="soon"))
            self.refused(ValueError, lambda: self.registry.retire(model_id, reason=" "))

    @rule(files=FILES)
    def take_files(self, files: dict[str, State]) -> None:
        for model_id in files.keys() & self.held.keys():
            reached = max(RANKS[operation.status] for operation in self.held[model_id])
            if reached <= RANKS[files[model_id].status]:
                del self.held[model_id]
        self.files = files
        replace_file_entries(self.registry, [state.entry(model_id) for model_id, state in files.items()])
        self.compare()

    @rule()
    def take_the_same_files(self) -> None:
        self.take_files(self.files)

    @rule(model_id=IDS, status=st.sampled_from([None, "active", "active", *RANKS]))
    def take_another_status(self, model_id: str, status: ModelStatus | None) -> None:
        others = {other: state for other, state in self.files.items() if other != model_id}
        self.take_files(others if status is None else {**others, model_id: State(DESCRIBED, status)})

    @rule(own=FILES)
    def load(self, own: dict[str, State]) -> None:
        self.own = own
        self.held = {model_id: self.held[model_id] for model_id in self.held if model_id in self.files}
        self.path.write_bytes(encode_entries(state.entry(model_id) for model_id, state in own.items()))
        self.registry.load(self.path)
        self.compare()

    @rule()
    def clear(self) -> None:
        self.own = {}
        self.held = {model_id: self.held[model_id] for model_id in self.held if model_id in self.files}
        self.registry.clear()

    @rule()
    def save(self) -> None:
        self.registry.save(self.path, overwrite=True)
        assert read_entries(self.path) == self.registry.list_all()
        strict = ModelRegistry(auto_emit=False)
        strict.load(self.path)
        assert strict.list_all() == self.registry.list_all()

    @invariant()
    def holds_what_it_should(self) -> None:
        ids = [*self.files, *(model_id for model_id in self.own if model_id not in self.files)]
        listed = self.registry.list_all()
        assert [(entry.model_id, state_of(entry)) for entry in listed] == [(one, self.in_force(one)) for one in ids]
        assert all(self.registry.get(entry.model_id) is entry for entry in listed)
        assert len(self.registry) == len(ids)
        for entry in listed:
            assert self.registry.check(entry.model_id) == entry.warnings

    @invariant()
    def names_lead_to_what_is_in_force(self) -> None:
        fresh = ModelIndex(self.registry.list_all())
        for name in NAMES:
            for provider in PROVIDERS:
                assert self.registry.resolve(name, provider=provider) == fresh.resolve([name], provider)

    @invariant()
    def knows_what_was(self) -> None:
        soon = datetime.now(timezone.utc) + timedelta(seconds=1)
        for entry in self.registry:
            history = entry.metadata.get("history", ())
            assert [record["at"] for record in history] == sorted(record["at"] for record in history)
            assert (entry.decommission_date is None) or entry.status == "retired"
            operations = [at for at in (record["at"] for record in history) if at != "2021-01-01"]
            if operations:
                state = entry.as_of(soon)
                assert state is not None
                assert (state.status, state.owner, state.source) == (entry.status, history[-1]["owner"], "history")

    @invariant()
    def tells_each_operation_once(self) -> None:
        told = []
        for event in exported_events(self.exporter):
            facts = event.attributes or {}
            keys = ("model_id", "previous_status", "owner")
            told.append((event.name.partition(".")[2], *(facts.get(f"model_registry.{key}") for key in keys)))
        assert told == self.events

    @invariant()
    def names_each_difference_once(self) -> None:
        messages = [line for line in self.caplog.messages if not any(text in line for text in OF_NAMES)]
        lines = [LINE.fullmatch(message) for message in messages]
        named = {line[1]: set(line[2].split(", ")) for line in lines if line is not None}
        assert named == self.lines
        assert len(lines) == len(named)


@pytest.mark.hypothesis
def test_layers_follow_the_model(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Operations, loads and files in any order have the entries, names, histories, events and lines of a model."""

    class Here(Layers):
        path = tmp_path / "models.json"

    Here.caplog = caplog
    run_state_machine_as_test(Here, settings=settings(stateful_step_count=30))
