"""Many things done alike: some at a time, each with its outcome, resumed as a whole.

With a state file each outcome is one line of JSON, synced before the next item of its worker
begins. So a killed batch costs the items that were under way, and a batch of any size costs one
line per item. A file, not the catalog: whoever fetches or sends files needs no catalog for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from haulier import errors
from haulier.core.first_error import first_error
from haulier.core.progress import Meter, ProgressBoard
from haulier.core.records import JsonRecord
from haulier.net.threads import in_thread
from haulier.transfer.control_file import file_errors

PARALLEL = 4
_FORMAT = 1
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One thing to do. `id` recognises it in a resumed batch; `data` is for the work alone."""

    id: str
    name: str = ""
    size_bytes: int | None = None
    data: Any = None


class OutcomeState(StrEnum):
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemOutcome(JsonRecord):
    """What came of an item: `result` is what the work returned; `code`, `message` and `hint`
    are those of its error."""

    id: str
    state: OutcomeState
    result: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    message: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """The outcomes of all items, in the order of the items; earlier runs' included."""

    outcomes: tuple[ItemOutcome, ...]

    @property
    def failed(self) -> tuple[ItemOutcome, ...]:
        """The outcomes of those that failed."""
        return tuple(one for one in self.outcomes if one.state is OutcomeState.FAILED)


Work = Callable[[BatchItem, Meter], Awaitable[Mapping[str, Any]]]
"""Does one item, counts on its meter, returns JSON values. What it raises is the outcome."""


class Batch:
    """Does many items, `parallel` at a time; a failure stops nothing but its own item.

    Cancelling `run` cancels the items under way, which are done anew by the next run.

    Args:
        work: does one item.
        parallel: how many are under way at once; no more than so many are taken from the
            items in advance.
        starts_per_s: how many may begin in a second; None: no such limit.
        state: a file that remembers outcomes, so that another process goes on. It is the
            caller's to remove.
        still_done: asked about what an earlier run did; what is not done any more is done
            again.
        board: where each item under way has a meter; `board.total()` tells all together.
        clock: seconds that never jump.
        sleep: waits a number of seconds.
    """

    def __init__(
        self,
        work: Work,
        *,
        parallel: int = PARALLEL,
        starts_per_s: float | None = None,
        state: Path | None = None,
        still_done: Callable[[ItemOutcome], bool] = lambda _: True,
        board: ProgressBoard | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if parallel < 1 or (starts_per_s is not None and starts_per_s <= 0):
            raise errors.UsageError("at least one item has to be done at a time, and at some rate")
        self.board = board or ProgressBoard()
        self._is_board_own = board is None
        self._work = work
        self._parallel = parallel
        self._starts = _Starts(starts_per_s, clock, sleep)
        self._state_path = state
        self._still_done = still_done
        self._outcomes: dict[str, ItemOutcome] = {}
        self._failed: dict[str, BatchItem] = {}

    async def run(self, items: Iterable[BatchItem] | AsyncIterator[BatchItem]) -> BatchReport:
        """Do what is not done yet, what failed before included; return all outcomes.

        Raises:
            UsageError: two items have one id.
            OperationBusy: another process works on the batch.
            TargetMissing, AccessDenied, StorageFull: the state file can't be written.
        """
        with _StateFile.opened(self._state_path) as state:
            earlier = state.load()
            order: list[str] = []
            queue = _Queue(items, order, is_done=lambda id_: self._is_done(earlier.get(id_)))
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._parallel):
                        group.create_task(self._do_all(queue, state))
            except BaseExceptionGroup as failures:
                raise first_error(failures) from None
        self._outcomes.update({id_: earlier[id_] for id_ in order if id_ not in queue.taken})
        return BatchReport(outcomes=tuple(self._outcomes[id_] for id_ in order))

    async def retry_failed(self) -> BatchReport:
        """Do again what failed in the last run of this object, and nothing else."""
        return await self.run(list(self._failed.values()))

    def _is_done(self, outcome: ItemOutcome | None) -> bool:
        return (
            outcome is not None and outcome.state is OutcomeState.DONE and self._still_done(outcome)
        )

    async def _do_all(self, queue: _Queue, state: _StateFile) -> None:
        while (item := await queue.next()) is not None:
            await self._starts.wait()
            outcome = await self._do(item)
            await state.add(outcome)
            self._outcomes[item.id] = outcome
            self._failed.pop(item.id, None)
            if outcome.state is OutcomeState.FAILED:
                self._failed[item.id] = item

    async def _do(self, item: BatchItem) -> ItemOutcome:
        meter = self.board.start(item.id, item.name or item.id, item.size_bytes)
        try:
            result = await self._work(item, meter)
        except asyncio.CancelledError:
            meter.fail("cancelled")
            raise
        except errors.HaulierError as error:
            meter.fail(error.message)
            return ItemOutcome(
                id=item.id,
                state=OutcomeState.FAILED,
                code=error.code,
                message=error.message,
                hint=error.hint,
            )
        except Exception as error:  # noqa: BLE001 - whatever it raises, the others go on
            _log.exception("an item of a batch failed in an unforeseen way")
            meter.fail(repr(error))
            return ItemOutcome(
                id=item.id, state=OutcomeState.FAILED, code="internal", message=repr(error)
            )
        finally:
            meter.finish()
            if self._is_board_own:
                self.board.sample()  # nobody else does, and what has ended would pile up
        return ItemOutcome(id=item.id, state=OutcomeState.DONE, result=dict(result))


class _Starts:
    """Spreads beginnings evenly."""

    def __init__(
        self,
        per_s: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._interval_s = 0.0 if per_s is None else 1 / per_s
        self._clock = clock
        self._sleep = sleep
        self._next_at = clock()

    async def wait(self) -> None:
        if not self._interval_s:
            return
        now = self._clock()
        at = max(now, self._next_at)
        self._next_at = at + self._interval_s
        if at > now:
            await self._sleep(at - now)


class _Queue:
    """Hands out items that are not done yet, each to one taker."""

    def __init__(
        self,
        items: Iterable[BatchItem] | AsyncIterator[BatchItem],
        order: list[str],
        *,
        is_done: Callable[[str], bool],
    ) -> None:
        self._items = items if isinstance(items, AsyncIterator) else _as_async(items)
        self._is_done = is_done
        self._order = order
        self._seen: set[str] = set()
        self._lock = asyncio.Lock()
        self.taken: set[str] = set()

    async def next(self) -> BatchItem | None:
        async with self._lock:
            async for item in self._items:
                if item.id in self._seen:
                    raise errors.UsageError(
                        f"two items of the batch are called {item.id!r}",
                        hint="Give each item an id of its own.",
                    )
                self._seen.add(item.id)
                self._order.append(item.id)
                if not self._is_done(item.id):
                    self.taken.add(item.id)
                    return item
            return None


async def _as_async(items: Iterable[BatchItem]) -> AsyncIterator[BatchItem]:
    for item in items:
        yield item


class _StateFile:
    """Outcomes as lines of JSON, of which the last of an item counts; or nowhere."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self._path = path
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path | None) -> Iterator[_StateFile]:
        """Open the file alone for as long as the block runs."""
        if path is None:
            yield cls(Path(), None)
            return
        with file_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise errors.OperationBusy(
                    f"another process works on the batch of {path}", hint="Wait until it ends."
                ) from None
            yield cls(path, descriptor)
        finally:
            os.close(descriptor)

    def load(self) -> dict[str, ItemOutcome]:
        """Return the last outcome of each item; a line that was cut off is removed."""
        outcomes: dict[str, ItemOutcome] = {}
        if self._descriptor is None:
            return outcomes
        with file_errors(self._path), open(self._path, "rb") as file:
            whole_bytes = 0
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole_bytes += len(line)
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    outcome = _read_outcome(json.loads(line))
                    outcomes[outcome.id] = outcome
            os.ftruncate(self._descriptor, whole_bytes)
        return outcomes

    async def add(self, outcome: ItemOutcome) -> None:
        """Append an outcome durably."""
        if self._descriptor is None:
            return
        line = json.dumps({"format": _FORMAT, **outcome.to_json()}).encode() + b"\n"
        await in_thread(lambda _: self._append(line))

    def _append(self, line: bytes) -> None:
        assert self._descriptor is not None
        with self._lock, file_errors(self._path):
            while line:
                line = line[os.write(self._descriptor, line) :]
            os.fdatasync(self._descriptor)


def _read_outcome(values: Any) -> ItemOutcome:
    if not isinstance(values, dict) or values.pop("format") != _FORMAT:
        raise ValueError("another version wrote it")
    return ItemOutcome(**{**values, "state": OutcomeState(values["state"])})
