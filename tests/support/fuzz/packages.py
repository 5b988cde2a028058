"""Fuzz target of evidence packages: verification refuses everything but the files that were signed."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.fuzz.limits import check_message, expect
from support.packages import EVIDENCE, SignedCase

from spanforge.model_registry._core.in_toto import PAYLOAD_TYPE
from spanforge.model_registry.compliance import VerificationError, VerificationReport, verify_package
from spanforge.model_registry.compliance._packages.canonical import encode_canonical
from spanforge.model_registry.compliance._packages.files import zip_bytes
from spanforge.model_registry.compliance._packages.keys import sign

if TYPE_CHECKING:
    from pathlib import Path

    from support.fuzz.limits import Target

SIGNATURE = "signature.dsse.json"
SEED = bytes(range(32))
"""The private key. It is not random, so that the corpus has a valid package."""
PLACES = 4


def edit(archive: bytes, edits: bytes) -> bytes:
    """Return a changed zip: for each four bytes, the byte at a place becomes another one, or is removed or repeated."""
    changed = bytearray(archive)
    for start in range(0, len(edits) - PLACES + 1, PLACES):
        place, kind, value = int.from_bytes(edits[start : start + 2], "big"), edits[start + 2], edits[start + 3]
        place %= len(changed)
        if kind < 128:
            changed[place] = value
        elif kind < 192:
            del changed[place : place + 1 + value]
        else:
            changed[place:place] = changed[place : place + 1 + value]
        if not changed:
            break
    return bytes(changed)


def fuzz_packages(folder: Path) -> Target:
    """Check zips, edits of a signed zip, envelopes, signed statements, and signed files; the first byte selects."""
    case = SignedCase(folder, Ed25519PrivateKey.from_private_bytes(SEED))
    path, signed = folder / "fuzzed.zip", case.zip.read_bytes()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in case.made.items()}

    def verify(archive: bytes) -> VerificationReport | None:
        path.write_bytes(archive)
        try:
            return verify_package(path, [case.public])
        except VerificationError as error:
            check_message(error)
            return None

    def check_zip(archive: bytes) -> None:
        report = verify(archive)
        expect(report is None or report.digests == digests, "a package with other files was accepted")

    def check_envelope(envelope: bytes) -> None:
        report = verify(zip_bytes({**case.made, SIGNATURE: envelope}))
        expect(report is None or envelope == case.made[SIGNATURE], "another envelope was accepted")

    def check_statement(payload: bytes) -> None:
        envelope = encode_canonical(sign(case.signer, payload, PAYLOAD_TYPE))
        report = verify(zip_bytes({**case.made, SIGNATURE: envelope}))
        if report is not None:
            listed = {each["name"]: each["digest"]["sha256"] for each in json.loads(payload)["subject"]}
            expect(listed == {name: digests[name] for name in digests if name != SIGNATURE}, "another statement")

    def check_file(content: bytes) -> None:
        names = sorted(EVIDENCE)
        name = names[content[0] % len(names)] if content else names[0]
        report = verify(zip_bytes(case.sign({name: content[1:]})))
        expect(report is None or report.digests[name] == hashlib.sha256(content[1:]).hexdigest(), "another file")

    kinds = (check_zip, lambda edits: check_zip(edit(signed, edits)), check_envelope, check_statement, check_file)

    def run(data: bytes) -> None:
        if data:
            kinds[data[0] % len(kinds)](data[1:])

    return run
