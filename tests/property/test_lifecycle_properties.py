"""The registry's operations in any order, against a model of what they should do."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from spanforge.model_registry import (
    LifecycleError,
    ModelAlreadyRegisteredError,
    ModelNotFoundError,
    ModelRegistry,
    ModelRegistryEntry,
    RegistryFileError,
    StateAsOf,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IDS = st.sampled_from(["a", "b"])
WORDS = st.sampled_from(["x", "y", "z"])
TIERS = st.sampled_from(["low", "high"])
MAYBE = st.none() | WORDS
DATES = st.sampled_from([None, None, "2020-01-01", "2999-01-01T00:00:00Z"])
REGISTRATIONS = st.fixed_dictionaries(
    {
        "owner": WORDS,
        "risk_tier": TIERS,
        "extra": MAYBE,
        "alias": MAYBE,
        "provider": MAYBE,
        "deployment_date": DATES,
        "actor": MAYBE,
        "replace": st.booleans(),
    }
)
MICROSECOND = timedelta(microseconds=1)


def moment_of(text: str) -> datetime:
    """Return the moment of a date in one of the forms used here."""
    form = {10: "%Y-%m-%d", 20: "%Y-%m-%dT%H:%M:%SZ", 27: "%Y-%m-%dT%H:%M:%S.%fZ"}[len(text)]
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc)


class Lifecycle(RuleBasedStateMachine):
    """``known`` holds what each entry should be, as ``to_dict`` gives it, in the order of registration."""

    path: Path

    @initialize()
    def start(self) -> None:
        self.registry = ModelRegistry(auto_emit=False)
        self.known: dict[str, dict[str, Any]] = {}
        self.moments: list[str] = []

    def done(self, entry: ModelRegistryEntry, expected: dict[str, Any], **notes: str | None) -> None:
        """Compare what an operation returned with what it should, its time being the one that it recorded itself."""
        record = entry.metadata["history"][-1]
        now = record["at"]
        assert self.moments[-1:] < [now]
        self.moments.append(now)
        facts = {"status": expected["status"], "owner": expected["owner"], "risk_tier": expected["risk_tier"]}
        history = [
            *expected["metadata"].get("history", []),
            {"at": now, **facts, **{key: value for key, value in notes.items() if value}},
        ]
        metadata = {key: now if value is ... else value for key, value in expected["metadata"].items()}
        expected = {key: now if value is ... else value for key, value in expected.items()}
        expected["metadata"] = {**metadata, "history": history}
        assert entry.to_dict() == expected
        assert self.registry.get(entry.model_id) is entry
        self.known[entry.model_id] = expected

    def refused(self, error: type[Exception], operation: Callable[[], object]) -> None:
        before = self.registry.list_all()
        with pytest.raises(error):
            operation()
        assert all(entry is old for entry, old in zip(self.registry, before, strict=True))

    @rule(model_id=IDS, given=REGISTRATIONS)
    def register(self, model_id: str, given: dict[str, Any]) -> None:
        owner, deployed = given["owner"], given["deployment_date"]
        described: dict[str, Any] = {key: f"{key} {owner}" for key in ("name", "version", "purpose")}
        described |= {"owner": owner, "risk_tier": given["risk_tier"]}
        own = {"extra": given["extra"]} if given["extra"] else {}
        aliases = [given["alias"]] if given["alias"] else []
        more = {key: given[key] for key in ("deployment_date", "provider", "replace", "actor")}

        def operation() -> ModelRegistryEntry:
            return self.registry.register(model_id, **described, metadata=own, aliases=aliases, **more)

        old = self.known.get(model_id)
        kept = ("deprecation_reason", "deprecation_date", "successor", "sunset_date", "history")
        read = {"aliases": aliases, "provider": given["provider"], **own}
        metadata = {key: value for key, value in read.items() if value}
        if old is not None and not given["replace"] and old["status"] != "retired":
            old_metadata = {key: value for key, value in old["metadata"].items() if key not in kept}
            is_same = all(old[key] == value for key, value in described.items()) and metadata == old_metadata
            if is_same and deployed in (None, old["deployment_date"]):
                assert operation() is self.registry.get(model_id)
                return
        if old is not None and (not given["replace"] or old["status"] == "retired"):
            self.refused(LifecycleError if given["replace"] else ModelAlreadyRegisteredError, operation)
            return
        if old is not None and deployed not in (None, old["deployment_date"]):
            self.refused(ValueError, operation)
            return
        metadata |= {key: value for key, value in (old["metadata"] if old else {}).items() if key in kept}
        expected = {
            "model_id": model_id,
            **described,
            "status": old["status"] if old else "active",
            "deployment_date": old["deployment_date"] if old else deployed or ...,
            "decommission_date": None,
            "metadata": metadata,
        }
        self.done(operation(), expected, actor=given["actor"])

    @rule(model_id=IDS, reason=MAYBE, successor=MAYBE, sunset=DATES, actor=MAYBE)
    def deprecate(
        self, model_id: str, reason: str | None, successor: str | None, sunset: str | None, actor: str | None
    ) -> None:
        def operation() -> ModelRegistryEntry:
            return self.registry.deprecate(
                model_id, reason=reason or "", successor=successor, sunset_date=sunset, actor=actor
            )

        old = self.known.get(model_id)
        if old is None or old["status"] == "retired":
            self.refused(ModelNotFoundError if old is None else LifecycleError, operation)
            return
        given = {"deprecation_reason": reason, "successor": successor, "sunset_date": sunset}
        metadata = {"deprecation_date": ..., **old["metadata"], **{key: value for key, value in given.items() if value}}
        self.done(operation(), {**old, "status": "deprecated", "metadata": metadata}, reason=reason, actor=actor)

    @rule(model_id=IDS, reason=MAYBE, actor=MAYBE)
    def retire(self, model_id: str, reason: str | None, actor: str | None) -> None:
        def operation() -> ModelRegistryEntry:
            return self.registry.retire(model_id, reason=reason or "", actor=actor)

        old = self.known.get(model_id)
        if old is None or old["status"] == "retired":
            self.refused(ModelNotFoundError if old is None else LifecycleError, operation)
            return
        self.done(operation(), {**old, "status": "retired", "decommission_date": ...}, reason=reason, actor=actor)

    @precondition(lambda self: self.known)
    @rule(model_id=IDS)
    def give_a_bad_value(self, model_id: str) -> None:
        self.refused(ValueError, lambda: self.registry.register(model_id, "N", "1", "low", " ", "test", replace=True))
        if model_id in self.known:
            self.refused(ValueError, lambda: self.registry.deprecate(model_id, sunset_date="soon"))
            self.refused(ValueError, lambda: self.registry.retire(model_id, reason=" "))

    @precondition(lambda self: len(self.moments) % 8 == 7)
    @rule()
    def clear(self) -> None:
        self.registry.clear()
        self.known.clear()

    @rule(fresh=st.booleans())
    def save_and_load(self, *, fresh: bool) -> None:
        self.registry.save(self.path, overwrite=True)
        assert json.loads(self.path.read_text()) == list(self.known.values())
        if fresh:
            self.registry = ModelRegistry(auto_emit=False)
        self.registry.load(self.path)

    @rule()
    def load_a_broken_file(self) -> None:
        self.path.write_text(json.dumps([*self.known.values(), {}]))
        self.refused(RegistryFileError, lambda: self.registry.load(self.path))

    @invariant()
    def holds_what_it_should(self) -> None:
        listed = self.registry.list_all()
        assert [entry.to_dict() for entry in listed] == list(self.known.values())
        assert list(self.registry) == listed
        assert len(self.registry) == len(self.known)
        active = [model_id for model_id, entry in self.known.items() if entry["status"] == "active"]
        assert [entry.model_id for entry in self.registry.list_active()] == active
        for model_id in "abc":
            assert (model_id in self.registry) == (model_id in self.known)
            status = self.known[model_id]["status"] if model_id in self.known else "unregistered"
            assert self.registry.resolve(model_id).status == status

    @invariant()
    def knows_what_was(self) -> None:
        for entry in self.registry:
            history = self.known[entry.model_id]["metadata"]["history"]
            steps = [datetime.min.replace(tzinfo=timezone.utc), *(moment_of(record["at"]) for record in history)]
            assert steps == sorted(set(steps))
            deployed = moment_of(self.known[entry.model_id]["deployment_date"])
            moments = {step + shift for step in steps[1:] for shift in (-MICROSECOND, 0 * MICROSECOND, MICROSECOND)}
            for moment in {*moments, deployed, deployed - MICROSECOND}:
                assert entry.as_of(moment) == self.state(entry.model_id, moment)

    def state(self, model_id: str, moment: datetime) -> StateAsOf | None:
        entry = self.known[model_id]
        if moment < moment_of(entry["deployment_date"]):
            return None
        records = [record for record in entry["metadata"]["history"] if moment_of(record["at"]) <= moment]
        if not records:
            return StateAsOf("active", entry["owner"], entry["risk_tier"], "dates")
        return StateAsOf(records[-1]["status"], records[-1]["owner"], records[-1]["risk_tier"], "history")


@pytest.mark.hypothesis
def test_operations_in_any_order(tmp_path: Path) -> None:
    """Each operation has the result of a model or changes nothing, and ``as_of`` returns the past."""

    class AtPath(Lifecycle):
        path = tmp_path / "models.json"

    run_state_machine_as_test(AtPath, settings=settings(stateful_step_count=25))
