"""Progress of long steps on a terminal; silence in a pipe or a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress as Bars,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from unitdb.printable import printable

__all__ = ["progress_bars"]


class _Speed(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        """Text of the column."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


@contextmanager
def progress_bars(*, of_bytes: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Give a callback (step, done, total) that draws a bar a step on standard error.

    Each bar shows what is done in a second, the time passed and the time left.

    Parameters
    ----------
    of_bytes : bool
        What is counted are bytes: shown as MB or whatever fits.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        *((DownloadColumn(), TransferSpeedColumn()) if of_bytes else (_Speed(),)),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(printable(step), total=total)
            bars.update(tasks[step], completed=done, total=total)

        yield show
