"""Packages under each framework: the framework's file is in the package, is signed, and is what was applied."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.evidence import make_entry, write_key_pair
from support.frameworks import make_clause, make_framework
from support.otlp import START

from spanforge.model_registry.compliance import Framework, VerificationError, load_framework, verify_package
from spanforge.model_registry.compliance._analysis.retention import NANOS_PER_DAY
from spanforge.model_registry.compliance._frameworks.fields import SHIPPED_IDS
from spanforge.model_registry.compliance._frameworks.framework_files import parse_framework

if TYPE_CHECKING:
    from support.evidence import EvidenceCase
    from support.otlp import Otlp

SCHEMA = json.loads((files("spanforge.model_registry.compliance") / "attestation.schema.json").read_text("utf-8"))
EXAMPLE = Path(__file__).parent.parent.parent.parent / "examples" / "frameworks" / "house_rules.yaml"
HOSTILE = '<script>alert("x")</script> =1+1 \u2028\u202e'


def choose(name: str) -> str | Framework:
    """Return a framework: an id of the library, one in a file, or one in code."""
    if name == "file":
        return load_framework(EXAMPLE)
    if name == "code":
        return make_framework(make_clause(HOSTILE, title=HOSTILE, text=HOSTILE, not_covered=[HOSTILE]), title=HOSTILE)
    return name


@pytest.mark.parametrize("name", [*SHIPPED_IDS, "file", "code"])
def test_evidence_under_a_framework(case: EvidenceCase, otlp: Otlp, name: str) -> None:
    """The package is valid and verifies, and has exactly the file that was applied; with another file it does not."""
    old = [otlp.enriched(start=START - days * NANOS_PER_DAY) for days in (0, 20, 400)]
    case.write(otlp.line(*old, *[otlp.enriched(gen_ai__response__model="gpt") for _ in range(3)]))
    package = case.package(case.engine(make_entry()), framework=choose(name))
    attestation = json.loads(package.to_json())
    jsonschema.Draft202012Validator(SCHEMA).validate(attestation)
    stated, (private, public) = (
        attestation["arguments"]["framework"],
        write_key_pair(case.folder, Ed25519PrivateKey.generate()),
    )
    folder = case.folder / "package"
    package.write(folder, private)
    report = verify_package(folder, [public])
    assert (report.framework, report.overall_status) == (attestation["framework"], "supported")
    assert report.digests[stated["file"]] == stated["sha256"]
    content = (folder / stated["file"]).read_bytes()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (stated["size"], stated["sha256"])
    assert stated["origin"] == (name if name in {"file", "code"} else "shipped")

    if name == "file":
        copied = case.folder / stated["name"]
        copied.write_bytes(content)
        assert case.package(case.engine(make_entry()), framework=load_framework(copied)) == package

    applied = parse_framework(stated["file"], content, is_shipped=True)
    assert [clause["clause"] for clause in attestation["clauses"]] == [clause.id for clause in applied.clauses]
    for clause, row in zip(attestation["clauses"], applied.to_dict()["clauses"], strict=True):
        assert clause["not_shown"] == row["not_covered"]
        assert clause["applies_from"] == row.get("applies_from", [])
        assert (clause["title"], clause["asks"], clause["source"]) == (row["title"], row["text"], row["source"])
        assert clause["status"] == ("supported" if clause["checks"] else "no_evidence")
    unsupported = [limit for limit in attestation["limits"] if limit.startswith("Clauses without a check: 1")]
    assert len(unsupported) == (name in {"eu_ai_act", "file"})
    own = [limit for limit in attestation["limits"] if limit.startswith("The organisation wrote the framework's file.")]
    assert len(own) == (name in {"file", "code"})

    shutil.copytree(folder, case.folder / "changed")
    (case.folder / "changed" / stated["file"]).write_bytes(content.replace(b"\n", b" \n", 1))
    with pytest.raises(VerificationError, match=f"{stated['file']} is not the file that was signed"):
        verify_package(case.folder / "changed", [public])
    (folder / stated["file"]).unlink()
    with pytest.raises(VerificationError, match=f"{stated['file']} is missing"):
        verify_package(folder, [public])


@pytest.mark.parametrize("part", [None, "framework", "clause", "date"])
def test_facts_from_texts_by_others_are_a_limit(case: EvidenceCase, part: str | None) -> None:
    """A limit says so if the framework, a clause or a date was read in a text by others."""
    checked = {each: "secondary" if each == part else "official" for each in ("framework", "clause", "date")}
    date = {"date": "2026-01-01", "scope": "all", "source": "a blog", "checked": checked["date"]}
    clause = make_clause(checked=checked["clause"], applies_from=[date])
    limits = case.attest(framework=make_framework(clause, checked=checked["framework"])).limits
    assert sum("read in texts by others" in limit for limit in limits) == (part is not None)


def test_any_file_name_is_stated(case: EvidenceCase) -> None:
    """A file whose name is not Unicode has a name in the attestation, and a copy whose name a package allows."""
    path = case.folder / os.fsdecode(b"house \xff rules.json")
    path.write_bytes(make_framework().to_json())
    package = case.package(case.engine(make_entry()), framework=load_framework(path))
    stated = json.loads(package.to_json())["arguments"]["framework"]
    assert (stated["name"], stated["file"]) == ("house \ufffd rules.json", "framework-house___rules.json")
    package.write(case.folder / "package")


def test_dates_after_the_period_are_limits(case: EvidenceCase) -> None:
    """A limit names the clauses that apply only from a day after the period."""
    limits = {
        period: [
            each for each in case.attest(framework="eu_ai_act", period=period).limits if "do not apply yet" in each
        ]
        for period in (("2026-01-01", "2026-08-02"), ("2026-01-01", "2026-08-03"), ("2027-01-01", "2027-12-03"))
    }
    start = "Clauses that do not apply yet in the period, as the framework's file states: "
    high_risk = "'Art. 12', 'Art. 19', 'Art. 26'"
    assert [[each.removeprefix(start).partition(". `")[0] for each in found] for found in limits.values()] == [
        [f"4 ({high_risk}, 'Art. 50')"],
        [f"3 ({high_risk})"],
        [],
    ]


def test_retention_days_are_stated(case: EvidenceCase, otlp: Otlp) -> None:
    """An argument that requires more days changes the result, and the attestation states it and the effective days."""
    case.write(otlp.line(otlp.enriched(), otlp.enriched(start=START - 200 * NANOS_PER_DAY)))
    for days, exceptions in ((None, 0), (250, 50)):
        found = case.attest(make_entry(), framework="eu_ai_act", retention_days=days)
        check = next(check for check in found.checks if check.check == "retention")
        assert found.arguments.retention_days == days
        assert [each.value for each in check.parameters] == [days or 184]
        assert check.exceptions == exceptions
        statuses = {clause.clause: clause.status for clause in found.clauses}
        assert (statuses["Art. 19"] == "findings") == bool(exceptions)
