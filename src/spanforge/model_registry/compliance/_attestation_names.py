"""The parts of an attestation that list model names, field by field."""

from __future__ import annotations

from typing import Literal

from spanforge.model_registry.compliance._attestation_parts import AttestationPart, Count, SampleSpan


class Name(AttestationPart, frozen=True, kw_only=True):
    """The name of a called model that has no entry.

    Attributes:
        name: The name; empty if the spans have none. ``None`` for names that are counted together, as a limit states.
        calls: The number of calls.
    """

    name: str | None
    calls: Count


class MatchedName(AttestationPart, frozen=True, kw_only=True):
    """A name under which a registered model was called, although the model's entry does not contain the name.

    Attributes:
        name: The name, as it is on the spans; ``None`` for names that are counted together, as a limit states.
        model_id: The id of the entry under which the calls are counted.
        rule: ``form`` if the name is another form of the entry's id or of an alias; ``glob`` if a glob matched.
        calls: The number of calls.
    """

    name: str | None
    model_id: str
    rule: Literal["form", "glob"]
    calls: Count


class Substitution(AttestationPart, frozen=True, kw_only=True):
    """A model that answered calls of another model.

    Attributes:
        requested_model_id: The id of the request model's entry.
        served_name: The response model, as it is on the spans; ``None`` for names that are counted together, as a limit
            states.
        served_model_id: The id of the response model's entry, under which the calls are counted. ``None`` if it is not
            registered. The calls are then counted under the request model and are exceptions.
        calls: The number of calls.
        samples: Some of the calls, at most 3.
    """

    requested_model_id: str
    served_name: str | None
    served_model_id: str | None
    calls: Count
    samples: tuple[SampleSpan, ...]


class AgentModel(AttestationPart, frozen=True, kw_only=True):
    """A model named by agents, without a call in the same service.

    Attributes:
        name: The id of the model's entry, or the name of a model that is not registered. It is empty if the spans have
            none, and ``None`` for names that are counted together, as a limit states.
        model_id: The id of the model's entry; ``None`` if it is not registered.
        service: The service; ``None`` for services that are counted together, as a limit states.
        spans: The number of spans of agents that name the model in this service.
    """

    name: str | None
    model_id: str | None
    service: str | None
    spans: Count
