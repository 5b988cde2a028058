"""The signed evidence package that the example in docs/evidence-packages.md verifies."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = {
    "model_id": "acme-chat-1",
    "name": "Acme Chat 1",
    "version": "1.0",
    "risk_tier": "high",
    "owner": "chat-team",
    "purpose": "support agent",
    "deployment_date": "2026-01-01",
}
ATTRIBUTES = {
    "gen_ai.request.model": "acme-chat-1",
    "model_registry.model_id": "acme-chat-1",
    "model_registry.status": "active",
}


def write_october(folder: Path) -> None:
    """Write ``october.zip`` and ``key.pub.pem``: a registered model was called once a day in October 2026."""
    models, telemetry, private = folder / "models.json", folder / "telemetry.jsonl", folder / "key.pem"
    models.write_text(json.dumps([ENTRY]), "utf-8")
    spans = [_make_call(day) for day in range(31)]
    telemetry.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}), "utf-8")
    key = Ed25519PrivateKey.generate()
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "key.pub.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    registry = ModelRegistry(auto_emit=False)
    registry.load(models)
    package = ComplianceMappingEngine(registry).generate_evidence_package(
        None, "soc2", "2026-10-01", "2026-11-01", telemetry=telemetry, generated_at="2026-11-02"
    )
    package.to_zip(folder / "october.zip", signing_key=private)


def _make_call(day: int) -> dict[str, Any]:
    start = datetime(2026, 10, 1, 12, tzinfo=timezone.utc) + timedelta(days=day)
    nanos = int(start.timestamp()) * 10**9
    return {
        "traceId": f"{day + 1:032x}",
        "spanId": f"{day + 1:016x}",
        "startTimeUnixNano": str(nanos),
        "endTimeUnixNano": str(nanos + 10**9),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in ATTRIBUTES.items()],
    }
