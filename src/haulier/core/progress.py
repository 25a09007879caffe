"""How far things are: counters that workers add to, and one board that samples them.

A worker adds to its `Meter` from any thread, at any piece size, at the price of an integer
addition under a lock. Whoever shows progress calls `ProgressBoard.sample` some times a
second and gets frozen `Progress` snapshots. Rates are moving averages over time, not over
calls, so they do not depend on how often anybody adds or samples.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

RATE_TAU_S = 5.0
"""Time constant of the moving average: after this long a change shows by 63 %."""
ETA_AFTER_S = 1.0
TOTAL_ID = "total"


class ProgressState(StrEnum):
    STARTED = "started"
    ADVANCED = "advanced"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one thing is, at one moment.

    `rate_bps` is the moving average, and the average over the whole time once it has ended;
    `eta_s` is None while it can't be told. `done_bytes` may go down when work is redone.
    """

    id: str
    name: str
    stage: str
    state: ProgressState
    done_bytes: int
    total_bytes: int | None
    rate_bps: float
    eta_s: float | None
    elapsed_s: float
    error: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more will be reported of it."""
        return self.state in {ProgressState.FINISHED, ProgressState.FAILED}

    @property
    def fraction(self) -> float | None:
        """The share that is done, 0 to 1; None while the total is unknown."""
        if self.total_bytes is None:
            return None
        if self.total_bytes <= 0:
            return 1.0
        return min(max(self.done_bytes / self.total_bytes, 0.0), 1.0)


class Rate:
    """A moving average of bytes per second, unbiased from its first update on.

    Args:
        now: seconds of a clock that never jumps.
    """

    __slots__ = ("_average", "_moved", "_start", "_updated_at")

    def __init__(self, now: float) -> None:
        self._start = self._updated_at = now
        self._moved = 0
        self._average = 0.0

    def update(self, moved_bytes: int, now: float) -> None:
        """Take note that so many bytes have moved since the beginning."""
        passed_s = now - self._updated_at
        if passed_s <= 0:
            return
        weight = 1 - math.exp(-passed_s / RATE_TAU_S)
        self._average += weight * ((moved_bytes - self._moved) / passed_s - self._average)
        self._moved, self._updated_at = moved_bytes, now

    @property
    def bps(self) -> float:
        """Bytes per second, lately."""
        # The average began at zero; dividing by the weight seen so far takes that out again.
        weight = 1 - math.exp((self._start - self._updated_at) / RATE_TAU_S)
        return max(0.0, self._average / weight) if weight > 0 else 0.0


class Meter:
    """The counter of one thing under way. Every method may be called from any thread."""

    __slots__ = (
        "_clock",
        "_credited",
        "_done",
        "_ended_at",
        "_error",
        "_id",
        "_lock",
        "_name",
        "_rate",
        "_shown",
        "_stage",
        "_started_at",
        "_state",
        "_total",
    )

    def __init__(
        self, id_: str, name: str, total_bytes: int | None, stage: str, clock: Callable[[], float]
    ) -> None:
        self._id, self._name, self._total, self._stage = id_, name, total_bytes, stage
        self._clock = clock
        self._lock = threading.Lock()
        self._done = self._credited = 0
        self._state = ProgressState.ADVANCED
        self._error: str | None = None
        self._shown = False
        self._started_at = clock()
        self._ended_at: float | None = None
        self._rate = Rate(self._started_at)

    def add(self, count: int) -> None:
        """Count bytes done; negative when work is to be redone. Nothing after the end."""
        with self._lock:
            if self._ended_at is None:
                self._done += count

    def credit(self, count: int) -> None:
        """Count bytes that were there before, so that they do not pass for speed."""
        with self._lock:
            if self._ended_at is None:
                self._done += count
                self._credited += count

    def set_stage(self, text: str) -> None:
        """Say what is being done now."""
        self._stage = text

    def set_total(self, total_bytes: int | None) -> None:
        """Say how much there is to do in all; None: unknown."""
        self._total = total_bytes

    def finish(self) -> None:
        """End well. The first end counts; later ones change nothing."""
        self._end(ProgressState.FINISHED, None)

    def fail(self, message: str) -> None:
        """End badly, with what to tell the user. The first end counts."""
        self._end(ProgressState.FAILED, message)

    def _end(self, state: ProgressState, error: str | None) -> None:
        with self._lock:
            if self._ended_at is None:
                self._state, self._error, self._ended_at = state, error, self._clock()

    def _sample(self, now: float) -> list[Progress]:
        """Return what there is to report: a start before anything else, an end only once."""
        with self._lock:
            moved = self._done - self._credited
            self._rate.update(moved, now)
            elapsed_s = (now if self._ended_at is None else self._ended_at) - self._started_at
            rate_bps = self._rate.bps
            if self._ended_at is not None:
                rate_bps = max(0.0, moved / elapsed_s) if elapsed_s > 0 else 0.0
            snapshot = Progress(
                id=self._id,
                name=self._name,
                stage=self._stage,
                state=self._state,
                done_bytes=self._done,
                total_bytes=self._total,
                rate_bps=rate_bps,
                eta_s=None,
                elapsed_s=elapsed_s,
                error=self._error,
            )
            shown, self._shown = self._shown, True
        if not snapshot.is_final:
            snapshot = replace(snapshot, eta_s=_eta_s(snapshot))
        if shown:
            return [snapshot]
        start = replace(snapshot, state=ProgressState.STARTED, error=None)
        return [start, snapshot] if snapshot.is_final else [start]


class ProgressBoard:
    """All that is under way, and what it comes to together.

    Args:
        clock: seconds that never jump.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._live: list[Meter] = []
        self._rate: Rate | None = None
        self._started_at = self._ended_at = 0.0
        self._begun = self._finished = self._failed = 0
        self._ended_done = self._ended_moved = 0

    def start(
        self,
        id: str,  # noqa: A002 - the word `Progress` has for it
        name: str,
        total_bytes: int | None = None,
        stage: str = "",
    ) -> Meter:
        """Put a thing on the board and return its meter."""
        meter = Meter(id, name, total_bytes, stage, self._clock)
        with self._lock:
            if self._rate is None:
                self._started_at = self._clock()
                self._rate = Rate(self._started_at)
            self._begun += 1
            self._live.append(meter)
        return meter

    def sample(self) -> list[Progress]:
        """Return a snapshot of each thing under way, in the order they were started.

        The first one of each is `started`. What has ended is reported once, as `finished`
        or `failed`, and then left out; it stays in `total`.
        """
        with self._lock:
            now = self._clock()
            events = []
            live = []
            for meter in self._live:
                reports = meter._sample(now)  # noqa: SLF001 - board and meter are one thing
                events += reports
                if reports[-1].is_final:
                    self._count_ended(meter, reports[-1])
                else:
                    live.append(meter)
            self._live = live
            if not live:
                self._ended_at = now
            if self._rate is not None:
                self._rate.update(self._moved(), now)
            return events

    def total(self) -> Progress:
        """Return all things together, ended ones included, as of the last sample.

        The total is unknown while that of any thing under way is. What failed counts with
        what it had done. Its `stage` reads `ended of all`.
        """
        with self._lock:
            ended = self._finished + self._failed
            totals = [meter._total for meter in self._live]  # noqa: SLF001 - as above
            known = [total for total in totals if total is not None]
            done = self._ended_done + sum(meter._done for meter in self._live)  # noqa: SLF001
            state = self._state()
            is_final = state in {ProgressState.FINISHED, ProgressState.FAILED}
            elapsed_s = (self._ended_at if is_final else self._clock()) - self._started_at
            rate_bps = self._rate.bps if self._rate is not None else 0.0
            if is_final:
                rate_bps = max(0.0, self._ended_moved / elapsed_s) if elapsed_s > 0 else 0.0
            total = Progress(
                id=TOTAL_ID,
                name=TOTAL_ID,
                stage=f"{ended} of {self._begun}",
                state=state,
                done_bytes=done,
                total_bytes=self._ended_done + sum(known) if len(known) == len(totals) else None,
                rate_bps=rate_bps,
                eta_s=None,
                elapsed_s=elapsed_s if self._begun else 0.0,
                error=f"{self._failed} failed" if self._failed else None,
            )
        return total if total.is_final else replace(total, eta_s=_eta_s(total))

    def _state(self) -> ProgressState:
        if self._live or not self._begun:
            return ProgressState.ADVANCED if self._begun else ProgressState.STARTED
        return ProgressState.FAILED if self._failed else ProgressState.FINISHED

    def _moved(self) -> int:
        live = sum(meter._done - meter._credited for meter in self._live)  # noqa: SLF001
        return self._ended_moved + live

    def _count_ended(self, meter: Meter, last: Progress) -> None:
        self._ended_done += last.done_bytes
        self._ended_moved += last.done_bytes - meter._credited  # noqa: SLF001 - as above
        if last.state is ProgressState.FAILED:
            self._failed += 1
        else:
            self._finished += 1


def _eta_s(progress: Progress) -> float | None:
    if progress.total_bytes is None or progress.elapsed_s < ETA_AFTER_S or progress.rate_bps < 1:
        return None
    return max(0, progress.total_bytes - progress.done_bytes) / progress.rate_bps
