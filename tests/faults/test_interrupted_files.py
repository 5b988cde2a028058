"""Signal handlers whose exception is an ``OSError`` or a ``ValueError``, while files are read and written."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from spanforge.model_registry import ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType


@pytest.fixture(params=[TimeoutError, ValueError, BlockingIOError], ids=lambda kind: kind.__name__)
def timeout(request: pytest.FixtureRequest) -> Iterator[type[Exception]]:
    """Let SIGALRM raise an exception of a class that errors of files have too."""
    kind: type[Exception] = request.param

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise kind

    before = signal.signal(signal.SIGALRM, handle)
    yield kind
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("step", ["open", "fstat", "fsync", "replace", "fchmod"])
def test_timeout_of_a_job_passes_through(
    tmp_path: Path, timeout: type[Exception], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """``load`` and ``save`` raise the exception of the application and no error of theirs; the file is whole."""
    path = tmp_path / "models.json"
    registry = ModelRegistry(auto_emit=False)
    registry.register("m", "M", "1", "low", "team", "a test")
    registry.save(path)
    before = path.read_bytes()
    call = getattr(os, step)
    main = threading.main_thread()

    def interrupt(*arguments: object, **options: object) -> object:
        if threading.current_thread() is main:
            signal.raise_signal(signal.SIGALRM)
        return call(*arguments, **options)

    interrupted = 0
    for operation in (registry.load, lambda target: registry.save(target, overwrite=True)):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, interrupt)
            try:
                operation(path)
            except timeout as error:
                assert type(error) is timeout  # noqa: PT017 - some operations do not take this step
                interrupted += 1
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == [path.name]
    assert interrupted > 0
