"""Fixtures for registries that follow files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from support.registry_server import Authority, RegistryServer, serving_registry
from support.watching import ConfigMap, Watched, content, threads, wait_until

from spanforge.model_registry._core.settings import CACHE, CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_other_threads() -> None:
    """Wait for threads of earlier tests."""
    wait_until(lambda: not threads())


@pytest.fixture
def watched(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Watched:
    """Return an empty registry and a file that it may follow."""
    caplog.set_level(logging.INFO, "spanforge.model_registry")
    return Watched(tmp_path / "models.json", caplog)


@pytest.fixture
def two_files(tmp_path: Path) -> ConfigMap:
    """Return a ConfigMap of two files: a model each, ``first`` and ``second``, of the owner ``a``."""
    volume = ConfigMap(tmp_path, "one.json", "two.json")
    volume.swap_owner("a")
    return volume


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority for certificates of servers."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the proxies of the machine that runs the tests."""
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryServer]:
    """Serve a file of the model ``m`` with the owner ``a``. The settings have its authority and a folder for copies."""
    monkeypatch.setenv(CERTIFICATE.variable, str(authority.root))
    monkeypatch.setenv(CACHE.variable, str(tmp_path / "cache"))
    with serving_registry(authority.issue()) as served:
        served.files["/models.json"] = content("a")
        yield served
