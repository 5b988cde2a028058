"""The facts about the models that were called, from the registry and the totals of a period."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry._core.timestamps import format_nanos
from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME
from spanforge.model_registry.compliance._model_calls import ModelCalls
from spanforge.model_registry.compliance._name_lists import drop_others

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spanforge.model_registry._core.entry import ModelRegistryEntry, StateAsOf
    from spanforge.model_registry.compliance._analysis.model_totals import ModelTotals
    from spanforge.model_registry.compliance._evidence_request import EvidenceFacts


def list_model_calls(facts: EvidenceFacts) -> tuple[ModelCalls, ...]:
    """Return the models that trusted and unknown senders called: entries in their order, then names, sorted."""
    about = facts.about
    registered = [
        _combine_facts(entry, state, about.models[entry.model_id])
        for entry, state in facts.states
        if entry.model_id in about.models
    ]
    names = [
        ModelCalls(
            model_id=None,
            name=drop_others(name),
            calls=model.calls,
            services=_sort_services(model.services),
            first_call=format_nanos(model.first),
            last_call=format_nanos(model.last),
        )
        for name, model in sorted(about.unregistered.items())
    ]
    return (*registered, *names)


def _combine_facts(entry: ModelRegistryEntry, state: StateAsOf | None, model: ModelTotals) -> ModelCalls:
    return ModelCalls(
        model_id=entry.model_id,
        name=entry.name,
        version=entry.version,
        owner=entry.owner if state is None else state.owner,
        risk_tier=entry.risk_tier if state is None else state.risk_tier,
        status=None if state is None else state.status,
        purpose=entry.purpose,
        providers=entry.providers,
        calls=model.calls,
        services=_sort_services(model.services),
        first_call=format_nanos(model.first),
        last_call=format_nanos(model.last),
    )


def _sort_services(services: Iterable[str]) -> tuple[str | None, ...]:
    """Return services, sorted; ``None`` last, for services that are counted together."""
    return tuple(map(drop_others, sorted(services, key=lambda name: (name == OTHERS_NAME, name))))
