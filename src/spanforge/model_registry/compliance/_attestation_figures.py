"""The parts of an attestation that list findings, models and calls, field by field."""

from __future__ import annotations

from typing import Literal

from spanforge.model_registry._core.lifecycle import (  # noqa: TC001 - the JSON Schema is made from them
    RiskTier,
)
from spanforge.model_registry.compliance._attestation_parts import (
    AttestationPart,
    Count,
    Moment,
    SampleSpan,
    Sender,
)

CallStatus = Literal["active", "deprecated", "retired", "unregistered", "not_deployed"]
"""The status of a model for its calls. ``not_deployed`` means that the deployment date is later."""


class AttestedFinding(AttestationPart, frozen=True, kw_only=True):
    """Exceptions of one check that have the same model, service, sender and reason.

    Attributes:
        check: The name of the check.
        model_id: The id of the model's entry; ``None`` if it has none, or if the span names no model.
        name: The same id, or the name of a model that is not registered. It is empty if the spans have none, and for
            the check ``retention``, which is about no model. It is ``None`` for names that are counted together, as a
            limit states.
        owner: The model's owner at the period's end, or at generation if that is earlier; ``None`` without an entry.
        service: The service. ``None`` for services that are counted together, for spans that name no model, and for
            findings that are models, changes or days.
        sender: The sender; ``None`` for findings that are models, changes or days.
        reason: The fact that breaks the rule, in words.
        occurrences: The number of exceptions. The sum of a check's findings is the number of its exceptions, if
            findings of untrusted senders are left out and the list is complete.
        first: The start of the first call or span, or the time of the change, RFC 3339. ``None`` if it is not known.
        last: The start of the last one, RFC 3339.
        samples: Some of the spans, at most 3. The file ``findings.csv`` has more.
    """

    check: str
    model_id: str | None
    name: str | None
    owner: str | None
    service: str | None
    sender: Sender | None
    reason: str
    occurrences: Count
    first: Moment | None
    last: Moment | None
    samples: tuple[SampleSpan, ...]


class ModelFigures(AttestationPart, frozen=True, kw_only=True):
    """One row of the inventory: a registered model, or a name that is not registered, and the calls of one sender.

    Attributes:
        model_id: The id of the entry; ``None`` for a name that is not registered.
        name: The same id, or the name. It is empty if the spans have none, and ``None`` for names that are counted
            together, as a limit states.
        title: The name in the entry; ``None`` without an entry.
        version: The version in the entry, likewise.
        owner: The owner at the period's end, or at generation if that is earlier; ``None`` without an entry.
        risk_tier: The risk tier at that time, likewise.
        status: The status at that time.
        purpose: The purpose in the entry; ``None`` without an entry.
        sender: The sender of the calls; ``None`` for a model without calls.
        calls: The number of calls.
        services: The services that called, in alphabetical order, at most 10. Services that are counted together are
            left out.
        service_count: The number of all services.
        first_call: The start of the first call, RFC 3339; ``None`` without calls.
        last_call: The start of the last call.
    """

    model_id: str | None
    name: str | None
    title: str | None
    version: str | None
    owner: str | None
    risk_tier: RiskTier | None
    status: CallStatus
    purpose: str | None
    sender: Sender | None
    calls: Count
    services: tuple[str, ...]
    service_count: Count
    first_call: Moment | None
    last_call: Moment | None


class CallFigures(AttestationPart, frozen=True, kw_only=True):
    """The number of calls of one sender, by the risk tier and the status of the models.

    Attributes:
        sender: The sender.
        risk_tier: The risk tier of the models at the period's end, or at generation if that is earlier; ``None`` for
            models that are not registered.
        status: The status of the models when the calls started.
        calls: The number of calls.
        models: The number of these models. A model counts once for each status in which it was called.
    """

    sender: Sender
    risk_tier: RiskTier | None
    status: CallStatus
    calls: Count
    models: Count
