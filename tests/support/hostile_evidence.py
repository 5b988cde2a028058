"""Hostile texts, and evidence about models, services and telemetry that have them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._core.storage import encode_entries
from spanforge.model_registry.compliance import ComplianceMappingEngine, EvidencePackage, Framework
from spanforge.model_registry.compliance._analysis.calls import OTHERS_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

ODD = st.sampled_from([*"=+-@\t\r\n;,'\"\\ |%\x00\x1b", "\u202e", "\u200b", "\ufeff", "\u2028", "＝", "\U0001f600"])  # noqa: RUF001
TEXTS = st.lists(ODD | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map("".join)
WRITTEN = TEXTS.filter(lambda text: not text.isspace() and text != OTHERS_NAME)
"""Texts that a field of an entry may have."""
IDS = WRITTEN.filter(lambda text: text == text.strip())
BROKEN = st.lists(ODD | st.just("\ud800") | st.characters(), min_size=1, max_size=8).map("".join)
"""Texts of telemetry, with lone surrogates."""
MARKED = st.lists(
    st.sampled_from(
        ["<img src=x onerror=alert(1)>", "[a](javascript:b)", "`", "**", "__", "{{", "\n\n# ", "&lt;", "1. "]
    )
    | TEXTS,
    min_size=1,
    max_size=3,
).map("".join)
"""Texts with HTML and Markdown."""


def make_entries(ids: Sequence[str], fields: Sequence[str]) -> list[ModelRegistryEntry]:
    """Return entries with these ids, and with these names, versions, owners and purposes."""
    name, version, owner, purpose = fields
    return [ModelRegistryEntry(model_id, name, version, "low", owner, purpose) for model_id in ids]


def make_line(called: Sequence[str], service: str, sender: str | None = None) -> bytes:
    """Return a line with spans that call models, as a sender may write it that lets lone surrogates pass.

    Args:
        called: The names of the models, one for each span.
        service: The service.
        sender: The Collector's mark of the sender; ``None`` for spans without a mark.
    """
    mark = [] if sender is None else [{"key": "model_registry.sender", "value": {"stringValue": sender}}]
    spans = [
        {
            "traceId": hashlib.sha256(f"{service!r} {sender} {number}".encode()).hexdigest()[:32],
            "spanId": f"{number:016x}",
            "startTimeUnixNano": "1767225600000000000",
            "attributes": [{"key": "gen_ai.request.model", "value": {"stringValue": name}}, *mark],
        }
        for number, name in enumerate(called, 1)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}).encode()


def make_evidence(
    lines: Sequence[bytes],
    entries: Sequence[ModelRegistryEntry],
    model_id: str | None,
    framework: str | Framework = "soc2",
) -> EvidencePackage:
    """Return the evidence of 1 January 2026 about these entries, for a framework."""
    with tempfile.TemporaryDirectory() as folder:
        models, file = Path(folder, "models.json"), Path(folder, "spans.jsonl")
        models.write_bytes(encode_entries(entries))
        file.write_bytes(b"\n".join(lines))
        registry = ModelRegistry(auto_emit=False)
        registry.load(models)
        return ComplianceMappingEngine(registry).generate_evidence_package(
            model_id, framework, "2026-01-01", "2026-01-02", telemetry=file, generated_at="2026-06-01"
        )
