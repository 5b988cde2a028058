"""Expectations of a verifier: another package of the same signer is refused."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.packages import SignedCase

from spanforge.model_registry import InvalidValueError
from spanforge.model_registry.compliance import VerificationError, verify_package

if TYPE_CHECKING:
    from pathlib import Path

JANUARY = "2026-01-01T00:00:00.000000Z to 2026-02-01T00:00:00.000000Z"


@pytest.fixture
def case(tmp_path: Path) -> SignedCase:
    return SignedCase(tmp_path / "case", Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    "expect",
    [
        {"model_id": "gpt", "framework": "soc2", "period": ("2026-01-01", "2026-02-01")},
        {"period": [date(2026, 1, 1), datetime(2026, 2, 1, tzinfo=timezone.utc)]},
        {"generated_after": "2026-01-31T23:59:59.999999Z"},
        {"generated_after": date(2026, 1, 31)},
    ],
)
def test_expected_package_is_accepted(case: SignedCase, expect: Any) -> None:
    """A package with the expected facts is accepted, in any form of their dates."""
    assert verify_package(case.zip, [case.public], expect=expect).model_id == "gpt"


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ({"model_id": None}, "the model is 'gpt' instead of null"),
        ({"model_id": "gpt", "framework": "nist_ai_rmf"}, "the framework is 'soc2' instead of 'nist_ai_rmf'"),
        (
            {"period": ("2025-12-01", "2026-01-01")},
            f"the period is '{JANUARY}' instead of '2025-12-01T00:00:00.000000Z",
        ),
        ({"generated_after": "2026-02-01"}, "it was generated at .*, which is not after 2026-02-01T00:00:00.000000Z"),
    ],
)
def test_other_package_is_refused(case: SignedCase, expect: Any, reason: str) -> None:
    """A package of another model, framework or period, or an older one, is refused, and the error names the fact."""
    with pytest.raises(VerificationError, match=f"is not the expected package: {reason}"):
        verify_package(case.zip, [case.public], expect=expect)


@pytest.mark.parametrize("stated", ["{}", '{"generated_at":"soon","period":5}'])
def test_missing_facts_are_not_the_expected_ones(case: SignedCase, stated: str) -> None:
    """A signed attestation without a fact is not the expected one."""
    folder, _ = case.write(case.sign({"attestation.json": stated.encode()}))
    for expect in ({"framework": "soc2"}, {"period": ("2026-01-01", "2026-02-01")}, {"generated_after": "2026-01-01"}):
        with pytest.raises(VerificationError, match="is not the expected package"):
            verify_package(folder, [case.public], expect=expect)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ({}, "expect must have one or more of model_id, framework, period, generated_after; got"),
        ({"model": "gpt"}, r"expect must have one or more of .*; got \['model'\]"),
        ({"period": "2026-01"}, r"expect\.period must be a pair of dates"),
        ({"period": ("2026-02-01", "2026-01-01")}, "to_date must be later than from_date"),
        ({"generated_after": "soon"}, r"expect\.generated_after must be an RFC 3339"),
    ],
)
def test_expectations_that_compare_nothing_are_refused(case: SignedCase, expect: Any, reason: str) -> None:
    """An empty or unknown expectation is an error, because it would accept every package."""
    with pytest.raises(InvalidValueError, match=reason):
        verify_package(case.zip, [case.public], expect=expect)


def test_replayed_package_is_told_apart(tmp_path: Path) -> None:
    """Two packages of one signer with equal facts have different digests."""
    first = SignedCase(tmp_path / "case", Ed25519PrivateKey.generate())
    folder, archive = first.write(first.sign({"evidence.csv": b"other\n"}))
    reports = [verify_package(path, [first.public]) for path in (first.folder, folder, first.zip, archive)]
    assert reports[0].digests["evidence.csv"] != reports[1].digests["evidence.csv"]
    assert reports[2].archive_sha256 != reports[3].archive_sha256
