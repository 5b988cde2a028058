"""The models that were called, each with the facts of its entry and its calls."""

from __future__ import annotations

from spanforge.model_registry.compliance._attestation_parts import AttestationPart, Count, Moment


class ModelCalls(AttestationPart, frozen=True, kw_only=True):
    """A model that trusted or unknown senders called.

    Attributes:
        model_id: The id of the model's entry; ``None`` if it is not registered.
        name: The entry's name, or the unregistered name. It is empty if the spans have none, and ``None`` for names
            that are counted together.
        version: The entry's version; ``None`` if it is not registered, as all following facts of the entry.
        owner: The owner at the period's end, or at generation if that is earlier.
        risk_tier: The risk tier at that time.
        status: The status at that time; ``None`` also before the deployment date.
        purpose: The entry's purpose.
        providers: The providers to which the entry is limited; empty if it is not limited.
        calls: The number of calls.
        services: The services that called it, sorted; ``None`` last, for services that are counted together.
        first_call: The start of the first call, RFC 3339.
        last_call: The start of the last call, RFC 3339.
    """

    model_id: str | None
    name: str | None
    version: str | None = None
    owner: str | None = None
    risk_tier: str | None = None
    status: str | None = None
    purpose: str | None = None
    providers: tuple[str, ...] = ()
    calls: Count
    services: tuple[str | None, ...]
    first_call: Moment
    last_call: Moment
