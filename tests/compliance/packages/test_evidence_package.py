"""``EvidencePackage``: immutable, canonical, and whole."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import pickle
import re
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.evidence import make_entry, run_code, write_key_pair

from spanforge.model_registry.compliance import EvidencePackage, MissingExtraError
from spanforge.model_registry.compliance._packages.derived_files import DERIVED_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.evidence import EvidenceCase
    from support.otlp import Otlp


REASON = r"^evidence packages need the extra compliance: pip install '\.\[compliance\]' in a clone, or '.*'"


@pytest.fixture
def made(case: EvidenceCase, otlp: Otlp) -> EvidencePackage:
    """Return a package with odd names and a bad line."""
    served = otlp.span("gpt", gen_ai__response__model="other")
    case.write(otlp.line(otlp.span('ü"\\\u2028\x00'), served, service="\U0001f600"), b"{oops")
    return case.package(case.engine(make_entry()), framework="nist_ai_rmf", period=("2026-01-01", "2026-01-05"))


def test_json_is_canonical(made: EvidencePackage) -> None:
    """The JSON is the canonical form of the attestation."""
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


def test_package_is_immutable(made: EvidencePackage) -> None:
    """No attribute of any part can be set, and each collection is a tuple."""
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
    """A copied or pickled package is equal."""
    for other in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert other == made
        assert other.to_json() == made.to_json()


def test_files_of_an_unsigned_package(made: EvidencePackage, tmp_path: Path) -> None:
    """The files are the canonical JSON, the table, the registry, and a manifest that names each input and no key."""
    made.write(tmp_path / "package")
    files = {path.name: path.read_bytes() for path in (tmp_path / "package").iterdir()}
    assert set(files) == {
        *("SHA256SUMS", "attestation.json", "evidence.csv", "manifest.json"),
        *("registry.json", "registry-1-models.json", "framework-nist_ai_rmf.json"),
        *DERIVED_FILES,
    }
    assert files["framework-nist_ai_rmf.json"] == made.framework_file
    assert hashlib.sha256(made.framework_file).hexdigest() == made.attestation.arguments.framework.sha256
    assert files["registry.json"] == files["registry-1-models.json"] == made.registry_json
    assert files["attestation.json"] == made.to_json().encode()
    assert files["evidence.csv"] == made.evidence_csv
    manifest = json.loads(files["manifest.json"])
    (given,) = made.attestation.inputs
    assert manifest["inputs"] == [{"name": given.name, "kind": given.kind, "size": given.size, "sha256": given.sha256}]
    reason = "this package is unsigned, so nothing shows who made it or that it is unchanged"
    assert manifest["signature"] == f"none: {reason}"
    assert manifest["signed_by"] is None


def test_signature_states_the_subject(made: EvidencePackage, tmp_path: Path) -> None:
    """The signed statement has the facts that say which package it is."""
    private, _ = write_key_pair(tmp_path, Ed25519PrivateKey.generate())
    made.write(tmp_path / "package", private)
    envelope = json.loads((tmp_path / "package" / "signature.dsse.json").read_bytes())
    attestation = json.loads(made.to_json())
    names = ("format", "framework", "model_id", "overall_status", "generated_at")
    period = {name: attestation["period"][name] for name in ("from_date", "to_date")}
    predicate = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    assert predicate == period | {name: attestation[name] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("module", ["jinja2", "rfc8785", "svg"])
def test_missing_extra_is_named(module: str, tmp_path: Path) -> None:
    """Without a module of the extra, no package is written, and the error names the extra."""
    code = (
        "from spanforge.model_registry.compliance import ComplianceMappingEngine as E, MissingExtraError;"
        "made = E().generate_evidence_package(None, 'soc2', '2026-01-01', '2026-01-02')\n"
        "for write in made.write, made.to_zip:\n"
        f"    try: write({str(tmp_path / 'package')!r})\n"
        "    except MissingExtraError as error: print(error)"
    )
    shown = run_code(code, module).splitlines()
    assert len(shown) == 2
    assert all(re.match(REASON, line) for line in shown)
    assert not list(tmp_path.iterdir())


def test_missing_extra_of_json_is_named(made: EvidencePackage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the extra, the methods that need it raise an error that names it."""
    monkeypatch.setitem(sys.modules, "rfc8785", None)
    for make in (made.to_json, lambda: made.write(tmp_path / "a"), lambda: made.to_zip(tmp_path / "b")):
        with pytest.raises(MissingExtraError, match=REASON) as caught:
            make()
        assert isinstance(caught.value, ImportError)
    assert not {"a", "b"} & {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_evidence_needs_no_extras() -> None:
    """Evidence is generated without any of the extras."""
    code = (
        "from spanforge.model_registry.compliance import ComplianceMappingEngine as E;"
        "print(E().generate_evidence_package(None, 'soc2', '2026-01-01', '2026-01-02').attestation.overall_status)"
    )
    assert run_code(code, "rfc8785", "securesystemslib", "cryptography") == "no_evidence\n"
