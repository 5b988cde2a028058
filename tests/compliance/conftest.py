"""Fixtures for tests of evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.evidence import EvidenceCase
from support.otlp import Otlp

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def otlp() -> Otlp:
    """Make spans and lines of OTLP JSON; no two spans of a test run have the same id."""
    return Otlp()


@pytest.fixture
def case(tmp_path: Path) -> EvidenceCase:
    """Give a folder with an empty file of telemetry."""
    return EvidenceCase(tmp_path)
