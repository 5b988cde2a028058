"""The line about a model that code and file describe differently."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.layers import CODE, filed, register, shown
from support.log_lines import log_handler

from spanforge.model_registry import ModelRegistry
from spanforge.model_registry._core.default import LayeredRegistry
from spanforge.model_registry._core.state import replace_file_entries

if TYPE_CHECKING:
    from pathlib import Path


TEXT = "model registry: model 'a': code and registry file differ in %s; the file takes precedence"
DIFFERENCES: list[tuple[dict[str, Any], dict[str, Any], str | None]] = [
    ({}, {}, None),
    ({"name": "M"}, {}, "name"),
    ({"version": "2"}, {}, "version"),
    ({"risk_tier": "high"}, {}, "risk_tier"),
    ({}, {"owner": "x"}, "owner"),
    ({}, {"purpose": "x"}, "purpose"),
    ({"metadata": {"x": 1}}, {"metadata": {"x": 1}}, None),
    ({"metadata": {"x": 1}}, {"metadata": {"x": 2}}, "metadata.x"),
    ({"metadata": {"x": 0}}, {}, "metadata.x"),
    ({"metadata": {"x\nmodel registry: y": 0}}, {}, r"metadata.x\nmodel registry: y"),
    ({}, {"metadata": {"x": {"y": [1]}}}, "metadata.x"),
    ({"metadata": {"x": None}}, {}, None),
    ({"metadata": {"aliases": ["d"], "provider": "p"}}, {"metadata": {"provider": "p", "aliases": ["d"]}}, None),
    ({"metadata": {"aliases": ["d"]}}, {"metadata": {"aliases": ["c"]}}, "metadata.aliases"),
    ({}, {"metadata": {"aliases": [], "provider": None}}, None),
    ({"metadata": {"provider": "p"}}, {"metadata": {"provider": None}}, "metadata.provider"),
    ({"deployment_date": "2020-01-01"}, {"deployment_date": "2021-01-01"}, None),
    ({}, {"status": "retired", "decommission_date": "2021-01-01"}, None),
    (
        {"metadata": {"deprecation_reason": "r", "successor": "s"}},
        {"metadata": {"sunset_date": "2030-01-01", "deprecation_date": "2029-01-01"}},
        None,
    ),
    (
        {"owner": "x", "version": "2", "metadata": {"z": 1, "both": 1}},
        {"metadata": {"y": 1, "both": 2}},
        "version, owner, metadata.z, metadata.both, metadata.y",
    ),
]


def loaded(code: dict[str, Any], folder: Path) -> Path:
    registry = ModelRegistry(auto_emit=False)
    register(registry, **code)
    register(registry, "b", owner="nobody else's")
    registry.save(folder / "models.json")
    return folder / "models.json"


@pytest.mark.parametrize(("code", "file", "fields"), DIFFERENCES)
def test_line_names_the_fields_that_differ(  # noqa: PLR0913 - a table and its fixtures
    layers: LayeredRegistry,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    code: dict[str, Any],
    file: dict[str, Any],
    fields: str | None,
) -> None:
    """A model that differs has one line and a model that agrees has none."""
    entry = filed(**{**CODE, **file})
    register(layers, **code)
    register(layers, "b", owner="nobody else's")
    replace_file_entries(layers, [entry])
    expected = [] if fields is None else [TEXT % fields]
    assert caplog.messages == expected
    assert [one.levelno for one in caplog.records] == [logging.WARNING] * len(expected)
    register(layers, **code)
    replace_file_entries(layers, [entry])
    layers.load(loaded(code, tmp_path))
    assert caplog.messages == expected


def test_loaded_entries_that_differ_are_logged(
    layers: LayeredRegistry, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """``load`` logs a model that differs too."""
    replace_file_entries(layers, [filed()])
    layers.load(loaded({"owner": "x"}, tmp_path))
    assert caplog.messages == [TEXT % "owner"]


def test_each_model_is_logged_once(layers: LayeredRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """A model is logged once per process, however often it differs, and in whichever registry."""
    replace_file_entries(layers, [filed()])
    register(layers)
    register(layers, owner="file", replace=True)
    register(layers, name="M", replace=True)
    replace_file_entries(layers, [filed(version="2")])
    replace_file_entries(layers, [])
    replace_file_entries(layers, [filed()])
    other = LayeredRegistry(auto_emit=False)
    replace_file_entries(other, [filed()])
    register(other)
    lines = [message for message in caplog.messages if "differ in" in message]
    assert lines == [TEXT % "owner"]


def test_later_difference_is_logged(layers: LayeredRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """Entries that agree first and differ later are logged then."""
    replace_file_entries(layers, [filed()])
    register(layers, owner="file")
    layers.retire("a")
    replace_file_entries(layers, [filed()])
    assert caplog.messages == []
    replace_file_entries(layers, [filed(purpose="other")])
    lines = [message for message in caplog.messages if "differ in" in message]
    assert lines == [TEXT % "purpose"]


def test_number_of_lines_is_limited(layers: LayeredRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """A process logs at most 100 models, each on one line."""
    for number in range(101):
        register(layers, f"a\n{number}")
    replace_file_entries(layers, [filed(f"a\n{number}") for number in range(101)])
    lines = [message for message in caplog.messages if "differ in" in message]
    assert lines == [TEXT.replace("'a'", f"'a\\n{number}'") % "owner" for number in range(100)]


def test_log_handler_may_wait_for_another_thread(layers: LayeredRegistry) -> None:
    """No lock is held while the line is logged, so its handler may wait for another registration."""
    finished = []

    def handle(record: logging.LogRecord) -> None:
        given = {"replace": True}
        thread = threading.Thread(target=register, args=(layers, record.levelname), kwargs=given, daemon=True)
        thread.start()
        thread.join(10)
        finished.append(not thread.is_alive())
        register(layers, version="2", replace=True)

    with log_handler(handle):
        replace_file_entries(layers, [filed()])
        register(layers)
        register(layers, "b")
        replace_file_entries(layers, [filed(), filed("b")])
    assert finished == [True, True]
    assert shown(layers) == [("a", "file", "active"), ("b", "file", "active"), ("WARNING", "code", "active")]
