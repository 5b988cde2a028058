"""``models.cdx.json``: the models that were called, as a machine-learning BOM of CycloneDX 1.6.

CycloneDX 1.6 is ECMA-424: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry.compliance._formats.json_documents import derive_uuid, write_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spanforge.model_registry.compliance._attestation import Attestation
    from spanforge.model_registry.compliance._model_calls import ModelCalls

PROPERTY_PREFIX: Final = "model_registry:"
"""The beginning of the names of all properties. CycloneDX asks for a namespace before a colon."""
_UNNAMED: Final = "(no name)"
_TOGETHER: Final = "(others)"
"""The texts for calls without a name, and for names or services that are counted together."""


def render_bom(attestation: Attestation, digest: str, models: Sequence[ModelCalls]) -> bytes:
    """Return the BOM of the models that were called.

    Args:
        attestation: The attestation.
        digest: The SHA-256 of ``attestation.json``, in hexadecimal.
        models: The models that were called.
    """
    return write_document(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{derive_uuid(digest, 'cyclonedx')}",
            "version": 1,
            "metadata": _describe_bom(attestation, digest),
            "components": [_describe_component(model) for model in models],
            **_describe_services(models),
        }
    )


def _describe_bom(attestation: Attestation, digest: str) -> dict[str, Any]:
    generator = attestation.generator
    return {
        "timestamp": attestation.generated_at,
        "lifecycles": [{"phase": "operations"}],
        "tools": {
            "components": [{"type": "application", "name": generator.name, "version": generator.version}],
        },
        "properties": _list_properties(
            attestation_sha256=digest,
            framework=attestation.framework,
            model_id=attestation.model_id,
            from_date=attestation.period.from_date,
            to_date=attestation.period.to_date,
            overall_status=attestation.overall_status,
            coverage=attestation.coverage.status,
            calls=attestation.population.calls,
            models_called=attestation.population.models_called,
        ),
    }


def _describe_component(model: ModelCalls) -> dict[str, Any]:
    """Return the component of a model. Facts that the registry does not have are left out."""
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": _refer_to_model(model),
        "name": _show_component(model.name),
    }
    if model.version is not None:
        component["version"] = model.version
    if len(model.providers) == 1:
        component["supplier"] = {"name": model.providers[0]}
    if model.purpose is not None:
        component["modelCard"] = {"considerations": {"useCases": [model.purpose]}}
    component["properties"] = _list_properties(
        registered="false" if model.model_id is None else "true",
        model_id=model.model_id,
        owner=model.owner,
        risk_tier=model.risk_tier,
        status="unregistered" if model.model_id is None else model.status,
        purpose=model.purpose,
        provider=model.providers,
        calls=model.calls,
        first_call=model.first_call,
        last_call=model.last_call,
        counted_together="true" if model.name is None else None,
    )
    return component


def _describe_services(models: Iterable[ModelCalls]) -> dict[str, Any]:
    """Return the services, and the models that each of them called."""
    called: dict[str | None, list[str]] = {}
    for model in models:
        for service in model.services:
            called.setdefault(service, []).append(_refer_to_model(model))
    names = sorted(called, key=lambda name: (name is None, name or ""))
    if not names:
        return {}
    return {
        "services": [{"bom-ref": _refer_to_service(name), "name": _show_component(name)} for name in names],
        "dependencies": [{"ref": _refer_to_service(name), "dependsOn": called[name]} for name in names],
        # Calls that are not in the telemetry are not in the BOM.
        "compositions": [{"aggregate": "unknown", "dependencies": [_refer_to_service(name) for name in names]}],
    }


def _refer_to_model(model: ModelCalls) -> str:
    return f"unregistered:{_show_key(model.name)}" if model.model_id is None else f"model:{model.model_id}"


def _refer_to_service(name: str | None) -> str:
    return f"service:{_show_key(name)}"


def _show_key(name: str | None) -> str:
    """Return a name, with a mark that distinguishes names that are counted together from any name."""
    return "together" if name is None else f"name:{name}"


def _show_component(name: str | None) -> str:
    return _TOGETHER if name is None else name or _UNNAMED


def _list_properties(**values: Any) -> list[dict[str, str]]:
    """Return properties with these names; ``None`` is left out, and several values have a property each."""
    return [
        {"name": f"{PROPERTY_PREFIX}{name}", "value": str(each)}
        for name, value in values.items()
        for each in (value if isinstance(value, tuple) else (value,))
        if each is not None
    ]
