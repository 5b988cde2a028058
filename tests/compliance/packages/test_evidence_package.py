"""``EvidencePackage``: immutable, canonical, and whole."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import rfc8785

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine, EvidencePackage, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIELDS = {"version": "1", "risk_tier": "high", "owner": "ml", "purpose": "chat", "deployment_date": "2025-01-01"}


@pytest.fixture
def made(tmp_path: Path, otlp: Any) -> EvidencePackage:
    file = tmp_path / "spans.jsonl"
    served = otlp.span("gpt", gen_ai__response__model="other")
    file.write_bytes(b"\n".join([otlp.line(otlp.span('ü"\\\u2028\x00'), served, service="\U0001f600"), b"{oops"]))
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt", "GPT", **FIELDS)  # type: ignore[arg-type]
    return ComplianceMappingEngine(registry).generate_evidence_package(
        None, "nist_ai_rmf", "2026-01-01", "2026-01-05", telemetry=file, generated_at="2026-06-01"
    )


def test_the_json_is_canonical(made: EvidencePackage) -> None:
    """The JSON equals the canonical form of what it says, and says what the attestation has."""
    text = made.to_json()
    assert rfc8785.dumps(json.loads(text)).decode() == text
    assert json.loads(text) == json.loads(msgspec.json.encode(made.attestation))
    assert 'ü"\\\u2028\x00' in [name["name"] for name in json.loads(text)["unregistered_names"]]


def parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from parts(getattr(value, field))
    elif isinstance(value, tuple):
        for item in value:
            yield from parts(item)


def test_it_cannot_be_changed(made: EvidencePackage) -> None:
    """No attribute of any part can be set, and whatever holds several things is a tuple."""
    found = list(parts(made))
    assert len(found) > 100
    assert {type(part) for part in found if not isinstance(part, msgspec.Struct)} <= {
        *(str, int, float, bool, bytes, tuple),
        type(None),
    }
    for part in found:
        if isinstance(part, msgspec.Struct):
            for field in part.__struct_fields__:
                with pytest.raises(AttributeError, match="immutable"):
                    setattr(part, field, None)
    assert isinstance(hash(made), int)


def test_copies_are_equal(made: EvidencePackage) -> None:
    """Copied, deeply copied or pickled, it says the same."""
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert other == made
        assert other.to_json() == made.to_json()


def test_the_folder_holds_what_it_says(made: EvidencePackage, tmp_path: Path) -> None:
    """The files are the canonical JSON and the table; the manifest names each input, and that nobody signed it."""
    made.write(tmp_path / "package")
    files = {path.name: path.read_bytes() for path in (tmp_path / "package").iterdir()}
    assert set(files) == {"attestation.json", "evidence.csv", "manifest.json"}
    assert files["attestation.json"] == made.to_json().encode()
    assert files["evidence.csv"] == made.evidence_csv
    manifest = json.loads(files["manifest.json"])
    (given,) = made.attestation.inputs
    assert manifest["inputs"] == [{"name": given.name, "kind": given.kind, "size": given.size, "sha256": given.sha256}]
    assert manifest["signature"].startswith("none: this package is unsigned")
    assert manifest["signed_by"] is None


def test_without_the_extra(made: EvidencePackage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever has not installed the extra is told its name, where it is needed and not before."""
    monkeypatch.setitem(sys.modules, "rfc8785", None)
    for make in (made.to_json, lambda: made.write(tmp_path / "a"), lambda: made.to_zip(tmp_path / "b")):
        with pytest.raises(MissingExtraError, match=r"spanforge-model-registry\[compliance\]") as caught:
            make()
        assert isinstance(caught.value, ImportError)
    assert not {"a", "b"} & {path.name for path in tmp_path.iterdir()}


def test_the_module_imports_without_the_extras() -> None:
    """The engine can be imported, and evidence generated, by whoever has only the core."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['rfc8785', 'securesystemslib', 'cryptography']));"
        "from spanforge.model_registry.compliance import ComplianceMappingEngine as E;"
        "print(E().generate_evidence_package(None, 'soc2', '2026-01-01', '2026-01-02').attestation.overall_status)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "no_evidence\n"
