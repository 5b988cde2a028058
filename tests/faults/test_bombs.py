"""Small files of telemetry that become large ones: they are read with bounded memory, or refused."""

from __future__ import annotations

import contextlib
import gzip
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.evidence import limit_peak_memory

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine, TelemetryError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

SIZE = 48 * 2**20
"""The bytes of the content. Its compressed form has less than a hundredth of them."""
MEMORY = 40 * 2**20
"""The limit of memory: that of the longest line of telemetry, with what is read ahead."""
BOMBS: dict[str, tuple[bytes, Callable[[bytes, int], bytes]]] = {
    "zeros.gz": (b"\0", gzip.compress),
    "line ends.gz": (b"\n", gzip.compress),
    "one line.gz": (b"a", gzip.compress),
    "openings.zst": (b"[", zstd.compress),
}


@pytest.mark.parametrize("name", BOMBS)
def test_compressed_telemetry(tmp_path: Path, name: str) -> None:
    """It is an error, or counts as unreadable or empty, and takes bounded memory and time."""
    content, compress = BOMBS[name]
    path = tmp_path / name
    path.write_bytes(compress(content * SIZE, 1))
    assert path.stat().st_size < SIZE / 100
    engine = ComplianceMappingEngine(ModelRegistry(auto_emit=False))
    start = time.monotonic()
    with limit_peak_memory(MEMORY), contextlib.suppress(TelemetryError):
        package = engine.generate_evidence_package(None, "soc2", "2026-01-01", "2026-02-01", telemetry=[path])
        assert package.attestation.overall_status == "no_evidence"
    assert time.monotonic() - start < 60
