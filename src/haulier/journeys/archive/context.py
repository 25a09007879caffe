"""What every step of the archive journey has at hand: catalog, stores, progress, clock.

The context is opened once per command by `open_archive` and handed to each step. Steps tell
what they reached through `observe`; faces print it, and tests end the process there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from haulier.catalog.catalog import Catalog
from haulier.core.progress import ProgressBoard
from haulier.core.records import utc_now
from haulier.journeys.archive.destination import Destination, OpenDestination


@dataclass(frozen=True, slots=True)
class StageReached:
    """An operation came to a stage; `detail` says with which part, key or path."""

    operation_id: str
    stage: str
    detail: str = ""


Observe = Callable[[StageReached], None]


def observe_nothing(event: StageReached) -> None:
    """The observer of a caller that does not watch."""


@dataclass(slots=True, kw_only=True)
class ArchiveContext:
    """The things the journey works with.

    `destination` is where new uploads go; `open_destination` opens the one an older operation
    went to (with the credentials of today), and returns the same object for the same place.
    `data_dir` is haulier's own directory, never part of a selection. `owner` names this process
    in leases: `host:pid:start time`.
    """

    catalog: Catalog
    destination: OpenDestination
    open_destination: Callable[[Destination], Awaitable[OpenDestination]]
    data_dir: str
    owner: str
    board: ProgressBoard = field(default_factory=ProgressBoard)
    observe: Observe = observe_nothing
    user: str | None = None
    command_args: list[str] = field(default_factory=list)
    now: Callable[[], datetime] = utc_now
