"""The files of an evidence package that are rendered from its evidence, as a table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from spanforge.model_registry.compliance._formats.cyclonedx import render_bom
from spanforge.model_registry.compliance._formats.oscal import render_results
from spanforge.model_registry.compliance._page.render import render_page

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanforge.model_registry.compliance._packages.evidence_package import EvidencePackage

FINDINGS_TABLE: Final = "findings.csv"
REPORT: Final = "report.html"

_Digests = Mapping[str, str]
"""The SHA-256 of the files of the evidence, in hexadecimal, by name."""

DERIVED_FILES: Final[Mapping[str, Callable[[EvidencePackage, _Digests], bytes]]] = {
    "assessment-results.json": lambda package, digests: render_results(package.attestation, digests),
    "models.cdx.json": lambda package, digests: render_bom(
        package.attestation, digests["attestation.json"], package.model_calls
    ),
    FINDINGS_TABLE: lambda package, _: package.findings_csv,
    REPORT: lambda package, _: render_page(package.attestation),
}
"""The function that renders each file from the package and the digests of the evidence, by the file's name.

Each package has all of these files, and a signature covers them. Packages of older versions do not have them. The same
evidence must result in the same bytes. A function may raise ``MissingExtraError``.
"""


def render_derived_files(package: EvidencePackage, evidence: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the contents of the derived files, by name.

    Args:
        package: The package.
        evidence: The result of its ``list_files``.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in evidence.items()}
    return {name: render(package, digests) for name, render in DERIVED_FILES.items()}
