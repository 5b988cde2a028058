"""The module ``keys``, imported at its first use because it needs the extra ``sign``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry.compliance._optional_modules import OptionalModule

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._packages import keys
else:
    keys = OptionalModule(f"{__package__}.keys", "signatures of evidence packages", "sign")

__all__ = ["keys"]
