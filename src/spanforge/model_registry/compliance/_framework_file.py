"""The file of a framework in an evidence package."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from spanforge.model_registry.compliance._attestation_request import FrameworkFile
from spanforge.model_registry.compliance._registry_files import clean_copy_name
from spanforge.model_registry.compliance._sources.files import as_unicode

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._frameworks.framework import Framework


def copy_framework(framework: Framework) -> tuple[FrameworkFile, bytes]:
    """Return the description of a framework's file in the attestation, and its bytes."""
    file = framework.file
    content = framework.to_json() if file is None else file.content
    attested = FrameworkFile(
        name=None if file is None else as_unicode(file.name),
        file=f"framework-{clean_copy_name(f'{framework.id}.json' if file is None else file.name)}",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        origin="code" if file is None else "shipped" if file.is_shipped else "file",
    )
    return attested, content
