"""Modules that need an extra, imported at their first use: ``keys`` needs ``sign``, and ``rfc3161`` ``timestamp``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spanforge.model_registry.compliance._optional_modules import OptionalModule

if TYPE_CHECKING:
    from spanforge.model_registry.compliance._packages import keys, rfc3161
else:
    keys = OptionalModule(f"{__package__}.keys", "signatures of evidence packages", "sign")
    rfc3161 = OptionalModule(f"{__package__}.rfc3161", "time stamps of evidence packages", "timestamp")

__all__ = ["keys", "rfc3161"]
