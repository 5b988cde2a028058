"""The progress of reading telemetry, shown on a terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from spanforge.model_registry._cli.terminal import open_console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


MIN_SHOWN: Final = 16 * 1024 * 1024
"""The bytes of telemetry whose progress is shown. Reading fewer takes about a second."""


@contextmanager
def show_reading(total: int | None = None, *, is_shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show the bytes that are read, and yield the function that gets the number of an input and its bytes so far.

    Args:
        total: The bytes of all inputs; ``None`` if they are not known. If they are few, nothing is shown.
        is_shown: ``False`` to show nothing. Without a terminal, nothing is shown either.
    """
    console = open_console(stderr=True)
    columns = TextColumn("reading telemetry"), BarColumn(), DownloadColumn()
    time = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    is_long = total is None or total >= MIN_SHOWN
    is_disabled = not (is_shown and is_long and console.is_terminal)
    sizes: dict[int, int] = {}
    with Progress(*columns, time, console=console, transient=True, disable=is_disabled) as bar:
        task = bar.add_task("", total=total)

        def report(number: int, size: int) -> None:
            sizes[number] = size
            bar.update(task, completed=sum(list(sizes.values())))

        yield report
