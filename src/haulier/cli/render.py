"""How progress and tables look. Rich lives here and nowhere else.

On a terminal: a live line per file and one for all. Elsewhere: a plain line when a stage begins
and every two seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Self

from haulier.cli.output import is_terminal, printable, say
from haulier.core.progress import TOTAL_ID, Progress, ProgressBoard
from haulier.core.progress_text import format_progress
from haulier.core.units import format_duration, format_size
from haulier.transfer.ticker import Ticker

if TYPE_CHECKING:
    from rich.progress import TaskID

_PLAIN_INTERVAL_S = 2.0
_TICK_S = 0.1
_NAME_WIDTH = 24
_SHORT_ID = 8
_MANY = 8
_SHORT_COLUMNS = frozenset({"id", "kind", "mode", "size", "started", "state", "status", "type"})


@asynccontextmanager
async def progress(board: ProgressBoard, *, silent: bool) -> AsyncIterator[None]:
    """Show what `board` counts while the block runs, unless `silent`."""
    if silent:
        yield
    elif is_terminal(sys.stderr):
        with _LiveLines(board) as live:
            async with Ticker(board, [live.show], interval_s=_TICK_S):
                yield
    else:
        async with Ticker(board, [PlainLines()], interval_s=_TICK_S):
            yield


@contextmanager
def counting(stage: str, total: int, *, silent: bool) -> Iterator[Callable[[], None]]:
    """Show on a terminal how many of `total` things are done; the block calls what it gets.

    For many small things; elsewhere than on a terminal, and for few, nothing is shown.
    """
    if silent or total < _MANY or not is_terminal(sys.stderr):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True, highlight=False)
    with Bars(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task(stage, total=total)
        yield lambda: bars.advance(task)


class PlainLines:
    """Says what happens in lines of text: each stage once, then every two seconds."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] = say
    ) -> None:
        self._clock = clock
        self._say = say
        self._said: dict[str, tuple[str, float]] = {}

    def __call__(self, snapshot: Progress) -> None:
        stage, at = self._said.get(snapshot.id, ("", 0.0))
        now = self._clock()
        if not snapshot.is_final and snapshot.stage == stage and now - at < _PLAIN_INTERVAL_S:
            return
        self._said[snapshot.id] = (snapshot.stage, now)
        self._say(printable(format_progress(snapshot)))


class _LiveLines:
    """A line for each thing under way, redrawn in place, and one for all of several."""

    def __init__(self, board: ProgressBoard) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        self._board = board
        self._bars = Bars(
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", max_width=_NAME_WIDTH),
            ),
            TextColumn("{task.fields[stage]}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),
            TextColumn(
                "{task.fields[figures]}",
                markup=False,
                table_column=Column(no_wrap=True, justify="right"),
            ),
            console=Console(stderr=True, highlight=False),
            redirect_stdout=is_terminal(sys.stdout),  # what goes into a pipe stays on stdout
            transient=True,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._shown: set[str] = set()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_ended: object) -> None:
        self._bars.stop()

    def show(self, snapshot: Progress) -> None:
        """Draw `snapshot`; what has ended becomes a line above the live ones."""
        if snapshot.is_final:
            self._remove(snapshot.id)
            self._bars.console.print(printable(format_progress(snapshot)), markup=False)
        else:
            self._shown.add(snapshot.id)
            self._draw(snapshot)
        total = self._board.total()
        if total.is_final:
            self._remove(TOTAL_ID)
        elif len(self._shown) > 1:
            self._draw(total)

    def _draw(self, snapshot: Progress) -> None:
        if snapshot.id not in self._tasks:
            name = printable(snapshot.name)
            self._tasks[snapshot.id] = self._bars.add_task(name, stage="", figures="")
            if snapshot.id != TOTAL_ID:
                self._remove(TOTAL_ID)  # it is drawn again, below the others
        self._bars.update(
            self._tasks[snapshot.id],
            completed=snapshot.done_bytes,
            total=snapshot.total_bytes,
            stage=snapshot.stage,
            figures=_figures(snapshot),
        )

    def _remove(self, id_: str) -> None:
        task = self._tasks.pop(id_, None)
        if task is not None:
            self._bars.remove_task(task)


def _figures(snapshot: Progress) -> str:
    words = [format_size(snapshot.done_bytes)]
    if snapshot.total_bytes is not None:
        words[0] += f" of {format_size(snapshot.total_bytes)}"
    if snapshot.rate_bps >= 1:
        words.append(f"{format_size(snapshot.rate_bps)}/s")
    if snapshot.eta_s is not None:
        words.append(f"{format_duration(snapshot.eta_s)} left")
    return "  ".join(words)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout: drawn on a terminal, one tab-separated line per row elsewhere.

    When a terminal is too narrow, columns of free text are folded.
    """
    if not is_drawn():
        for row in rows:
            print("\t".join(printable(cell) for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        drawn.add_column(name, no_wrap=name in _SHORT_COLUMNS, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    Console(highlight=False).print(drawn)


def is_drawn() -> bool:
    """Tell whether tables are drawn for a person, and may leave out what `show` tells."""
    return is_terminal(sys.stdout)


def identifier(operation_id: str) -> str:
    """Return an id for a table: whole for programs, on a terminal the beginning, which is as good
    as the whole wherever an id is asked for."""
    return operation_id[:_SHORT_ID] if is_drawn() else operation_id
