"""The files of an evidence package that are rendered from its evidence, as a table."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from spanforge.model_registry.compliance._formats.cyclonedx import render_bom
from spanforge.model_registry.compliance._formats.oscal import render_results
from spanforge.model_registry.compliance._page.render import render_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spanforge.model_registry.compliance._packages.evidence_package import EvidencePackage

FINDINGS_TABLE: Final = "findings.csv"
REPORT: Final = "report.html"


def _render_oscal(package: EvidencePackage) -> bytes:
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in package.list_files().items()}
    return render_results(package.attestation, digests)


def _render_cyclonedx(package: EvidencePackage) -> bytes:
    digest = hashlib.sha256(package.to_json().encode()).hexdigest()
    return render_bom(package.attestation, digest, package.model_calls)


DERIVED_FILES: Final[Mapping[str, Callable[[EvidencePackage], bytes]]] = {
    "assessment-results.json": _render_oscal,
    "models.cdx.json": _render_cyclonedx,
    FINDINGS_TABLE: lambda package: package.findings_csv,
    REPORT: lambda package: render_page(package.attestation),
}
"""The function that renders each file, by the file's name.

Each package has all of these files, and a signature covers them. Packages of older versions do not have them. The same
evidence must result in the same bytes. A function may raise ``MissingExtraError``.
"""
