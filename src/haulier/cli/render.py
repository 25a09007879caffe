"""How progress and tables look. Rich lives here and nowhere else.

On a terminal: a live line per file and one for all. Elsewhere: a plain line when a stage begins
and every two seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Self

from haulier.cli.output import printable, say
from haulier.core.progress import Progress, ProgressBoard, ProgressState
from haulier.core.progress_text import format_progress
from haulier.transfer.ticker import Ticker

_PLAIN_INTERVAL_S = 2.0
_LIVE_INTERVAL_S = 0.1


@asynccontextmanager
async def progress(board: ProgressBoard, *, silent: bool) -> AsyncIterator[None]:
    """Show what `board` counts while the block runs, unless `silent`."""
    if silent:
        yield
        return
    if not sys.stderr.isatty():
        async with Ticker(board, [_PlainLines()], interval_s=_LIVE_INTERVAL_S):
            yield
        return
    with _LiveLines(board) as live:
        async with Ticker(board, [live.show], interval_s=_LIVE_INTERVAL_S):
            yield


class _PlainLines:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[str, float]] = {}

    def __call__(self, snapshot: Progress) -> None:
        stage, at = self._said.get(snapshot.id, ("", 0.0))
        now = self._clock()
        ended = snapshot.state in {ProgressState.FINISHED, ProgressState.FAILED}
        if not ended and snapshot.stage == stage and now - at < _PLAIN_INTERVAL_S:
            return
        self._said[snapshot.id] = (snapshot.stage, now)
        say(printable(format_progress(snapshot)))


class _LiveLines:
    def __init__(self, board: ProgressBoard) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.progress import Progress as Bars

        self._board = board
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[stage]}", style="dim"),
            BarColumn(bar_width=24),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, int] = {}
        self._total: int | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        self._bars.stop()

    def show(self, snapshot: Progress) -> None:
        task = self._tasks.get(snapshot.id)
        if task is None:
            task = self._bars.add_task(printable(snapshot.name), stage="", total=None)
            self._tasks[snapshot.id] = task
        self._bars.update(
            task,  # type: ignore[arg-type]  # Rich's TaskID is an int
            completed=snapshot.done_bytes,
            total=snapshot.total_bytes,
            stage=snapshot.stage,
        )
        if snapshot.state in {ProgressState.FINISHED, ProgressState.FAILED}:
            self._bars.remove_task(task)  # type: ignore[arg-type]
            self._bars.console.print(printable(format_progress(snapshot)), markup=False)
        self._show_total()

    def _show_total(self) -> None:
        if len(self._tasks) < 2:
            return
        total = self._board.total()
        if self._total is None:
            self._total = self._bars.add_task("total", stage="", total=None)
        self._bars.update(
            self._total,  # type: ignore[arg-type]
            completed=total.done_bytes,
            total=total.total_bytes,
        )


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout: drawn on a terminal, tab-separated in a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(printable(cell) for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        drawn.add_row(*(_cell(cell) for cell in row))
    Console().print(drawn)


def _cell(value: object) -> str:
    from rich.markup import escape

    return escape(printable(value))
