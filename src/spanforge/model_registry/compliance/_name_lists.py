"""The lists of model names in an attestation, sorted and cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME
from spanforge.model_registry.compliance._analysis.samples import build_samples, select_samples
from spanforge.model_registry.compliance._attestation_names import AgentModel, MatchedName, Name, Substitution

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Literal

    from spanforge.model_registry.compliance._analysis.totals import CallTotals

MAX_ITEMS: Final = 1_000
"""The limit of each list of changes, gaps, reasons, names and warnings in an attestation. Counts are complete."""
SAMPLES_PER_SUBSTITUTION: Final = 3
"""The limit of spans that a substitution lists."""


class NameLists(NamedTuple):
    """The complete lists, each sorted from most to fewest calls or spans.

    Attributes:
        unregistered_names: The names of called models without an entry.
        matched_names: The names that matched by form or by glob.
        substitutions: The models that answered calls of another model.
        agent_only_models: The models that only spans of agents name.
    """

    unregistered_names: Sequence[Name]
    matched_names: Sequence[MatchedName]
    substitutions: Sequence[Substitution]
    agent_only_models: Sequence[AgentModel]

    def list_cuts(self) -> Iterator[str]:
        """Yield a sentence for each list that an attestation has not completely."""
        for field, items in self._asdict().items():
            rest = items[MAX_ITEMS:]
            if rest:
                unit = "spans" if isinstance(rest[0], AgentModel) else "calls"
                number = sum(getattr(item, unit) for item in rest)
                yield (
                    f"The list `{field}` has the first {MAX_ITEMS:,} of {len(items):,} items. "
                    f"The others have {number:,} {unit}."
                )


def list_names(about: CallTotals) -> NameLists:
    """Return the lists of the models that the evidence is about."""
    return NameLists(
        _list_unregistered(about), _list_matched(about), _list_substitutions(about), _list_agent_only(about)
    )


def _list_unregistered(about: CallTotals) -> list[Name]:
    ordered = sorted(about.unregistered.items(), key=lambda item: (-item[1].calls, item[0]))
    return [Name(name=drop_others(name), calls=model.calls) for name, model in ordered]


def _most_first(item: Sequence[Any]) -> tuple[Any, ...]:
    """Return the key that sorts items by their number, the largest first, and then by the rest."""
    number, *rest = item
    return -number, *rest


def drop_others(name: str) -> str | None:
    """Return a name, or ``None`` for the names that are counted together."""
    return None if name == OTHERS_NAME else name


def _list_matched(about: CallTotals) -> list[MatchedName]:
    names = [
        (calls, name, model_id, rule)
        for model_id, model in about.models.items()
        for (name, rule), calls in model.matched.items()
    ]
    return [
        MatchedName(name=drop_others(name), model_id=model_id, rule=cast("Literal['form', 'glob']", rule), calls=calls)
        for calls, name, model_id, rule in sorted(names, key=_most_first)
    ]


def _list_substitutions(about: CallTotals) -> list[Substitution]:
    ordered = sorted(about.substitutions.items(), key=lambda item: (-item[1].calls, *map(str, item[0])))
    return [
        Substitution(
            requested_model_id=each.requested_id,
            served_name=drop_others(each.served),
            served_model_id=each.served_id,
            calls=calls.calls,
            samples=build_samples(select_samples(calls.samples), SAMPLES_PER_SUBSTITUTION),
        )
        for each, calls in ordered
    ]


def _list_agent_only(about: CallTotals) -> list[AgentModel]:
    models = [
        (spans, model_id or name, service, model_id is None)
        for (model_id, name, service), spans in about.agent_only.items()
    ]
    return [
        AgentModel(
            name=drop_others(name) if is_unregistered else name,
            model_id=None if is_unregistered else name,
            service=drop_others(service),
            spans=spans,
        )
        for spans, name, service, is_unregistered in sorted(models, key=_most_first)
    ]
