"""The attestation of an evidence package. Its JSON Schema is generated from this class and its parts."""

from __future__ import annotations

from typing import Final, Literal

from spanforge.model_registry._core.lifecycle import (  # noqa: TC001 - the JSON Schema is made from them
    ModelStatus,
    RiskTier,
)
from spanforge.model_registry.compliance._attestation_figures import (  # noqa: TC001 - likewise
    AttestedFinding,
    CallFigures,
    ModelFigures,
)
from spanforge.model_registry.compliance._attestation_names import (  # noqa: TC001 - likewise
    AgentModel,
    MatchedName,
    Name,
    Substitution,
)
from spanforge.model_registry.compliance._attestation_parts import (
    AttestationPart,
    Change,
    Checked,
    CheckResult,
    Clause,
    Count,
    Coverage,
    EvidenceStatus,
    FrameworkId,
    Generator,
    Input,
    Moment,
    Period,
    Population,
)
from spanforge.model_registry.compliance._attestation_request import (  # noqa: TC001 - likewise
    Arguments,
    AttestedRegistry,
)
from spanforge.model_registry.compliance._attestation_senders import (  # noqa: TC001 - likewise
    SenderFigures,
    UntrustedCopies,
)

FORMAT: Final = "spanforge-model-registry/evidence/2"
"""The version of the attestation's format; its JSON Schema is ``attestation.schema.json`` beside this module."""


class Attestation(AttestationPart, frozen=True, kw_only=True):
    """The content of ``attestation.json``: the results of the checks, what they examined, and the limits.

    Each list of changes, names, models, warnings, gaps and reasons has at most 1,000 items. Packages of older versions
    do not have ``findings``, ``inventory``, ``inventory_count`` and ``call_figures``.

    Attributes:
        format: The version of this format.
        generator: The program that made the package.
        generated_at: The time of generation, RFC 3339, as the generator's clock or its caller set it. It is not a
            trusted timestamp.
        framework: The framework's id, such as ``soc2``. ``arguments.framework`` describes its file.
        framework_name: The framework's title and edition.
        framework_source: Where the framework was read: an address, or the name of a document.
        framework_checked: ``official`` if it was read in the publisher's own text, ``secondary`` if in a text by
            others.
        model_id: The model that the evidence is about; ``None`` for the whole inventory.
        model_owner: The model's owner at the period's end, or at generation if that is earlier. ``None`` for the whole
            inventory, for a model that is not registered, and before the model's deployment date.
        model_risk_tier: The model's risk tier at that time.
        model_status: The model's status at that time.
        model_warnings: The warnings that a call of the model would get at the time of ``model_owner``. For the whole
            inventory, those of all models that were called.
        period: The period of the evidence.
        arguments: The settings and arguments that change a result, besides framework, period, telemetry and registry.
        overall_status: The worst status of the clauses that have checks; ``no_evidence`` if no clause has a check.
        clauses: The framework's clauses.
        checks: The results of the checks.
        findings: The exceptions of the checks by model, service and sender, the most frequent ones first. There are at
            most 100 for each check, followed by at most 100 of untrusted senders.
        changes: The lifecycle changes in the period of the models that the evidence is about, oldest first.
        population: The spans and calls that were counted, of trusted and unknown senders.
        inventory: The models and the unregistered names, with the calls of each sender. Those with most calls come
            first. Those of untrusted senders come last, and are at most 1,000 too. ``evidence.csv`` has all of them.
        inventory_count: The number of all rows of the inventory, without those of untrusted senders.
        call_figures: The calls by sender, risk tier and status.
        senders: The figures split by sender, untrusted ones included.
        untrusted_copies: Copies of counted spans that untrusted senders sent. They change no figure.
        coverage: How much of the period the telemetry covers in time.
        unregistered_names: Names of called models without an entry, those with most calls first.
        matched_names: Names that matched an entry by form or by glob, although the entry does not contain them. Those
            with most calls come first. An auditor can object to each.
        substitutions: Models that answered calls of another model, those with most calls first. If the evidence is
            about one model, the list has the substitutions in which this model was requested or answered.
        agent_only_models: Models named by agents, without a call in the same service. Those with most spans come first.
            Their calls may be missing in the telemetry.
        registry: The registry at the time of generation.
        inputs: The inputs that were read, in the order in which the engine processed them.
        limits: The limits of the evidence, one text each.
    """

    format: Literal["spanforge-model-registry/evidence/2"] = FORMAT
    generator: Generator
    generated_at: Moment
    framework: FrameworkId
    framework_name: str
    framework_source: str
    framework_checked: Checked
    model_id: str | None
    model_owner: str | None
    model_risk_tier: RiskTier | None
    model_status: ModelStatus | None
    model_warnings: tuple[str, ...]
    period: Period
    arguments: Arguments
    overall_status: EvidenceStatus
    clauses: tuple[Clause, ...]
    checks: tuple[CheckResult, ...]
    changes: tuple[Change, ...]
    population: Population
    senders: tuple[SenderFigures, ...]
    untrusted_copies: UntrustedCopies
    coverage: Coverage
    unregistered_names: tuple[Name, ...]
    matched_names: tuple[MatchedName, ...]
    substitutions: tuple[Substitution, ...]
    agent_only_models: tuple[AgentModel, ...]
    registry: AttestedRegistry
    inputs: tuple[Input, ...]
    limits: tuple[str, ...]
    findings: tuple[AttestedFinding, ...] = ()
    inventory: tuple[ModelFigures, ...] = ()
    inventory_count: Count = 0
    call_figures: tuple[CallFigures, ...] = ()
