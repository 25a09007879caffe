"""Downloading a file in ranges, thought through without I/O.

Everything that decides whether bytes of two answers may be put together stands here and in
`file_version`. The promise: what is complete is one version of the server's file, never a mix, even
when the file changes meanwhile, the server ignores or misreads ranges, or cuts answers
short. So answers are put together only when a strong ETag, or a Last-Modified that is at
least 60 s older than the answer's Date, says that they are of one version; each 206 is
compared with what was asked; anything else is fetched in one answer or from the start.

    flight = download.next_flight()          what to ask for, or None: nothing right now
    verdict = download.judge(flight, head)   what the answer is worth
    count = download.room(flight, len(data)) how much of the data to write at flight.position
    download.wrote(flight, count)
    download.land(flight, clean=True)        the answer is over, or broke (clean=False)

A driver compares `epoch` before and after: when it grew, everything written is void.
One promise is the server's: an answer that ends with its connection, without any length,
is taken to be whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from haulier.core.file_version import AnswerHead, Version
from haulier.core.intervals import Intervals
from haulier.errors import ObjectChanged, RequestRejected, ServiceFault

MAX_RESTARTS = 10
PLAIN_AFTER_RESTARTS = 2


class Condition(Enum):
    """What goes into If-Range; some servers honour only dates, some nothing."""

    ETAG = auto()
    DATE = auto()
    NONE = auto()


class Verdict(Enum):
    """What an answer is worth.

    TAKE: read its body, from `flight.position` until the flight is full or the body ends.
    AGAIN: leave it; the next flight asks differently. START_OVER: leave it, what was written
    is void. COMPLETE: there is nothing left to fetch.
    """

    TAKE = auto()
    AGAIN = auto()
    START_OVER = auto()
    COMPLETE = auto()


@dataclass(slots=True, kw_only=True, eq=False)
class Flight:
    """One request under way. `end` is exclusive; None: to the end of the file.

    `whole` asks without a Range. `position` is where the next byte belongs.
    """

    start: int
    end: int | None
    position: int
    epoch: int
    whole: bool = False
    if_range: str | None = None
    condition: Condition = Condition.NONE

    @property
    def is_full(self) -> bool:
        """Whether all that was wanted is written."""
        return self.end is not None and self.position >= self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumable:
    """What has to be kept to go on later: the version, and which bytes of it are there."""

    version: Version
    done: tuple[tuple[int, int], ...]


class RangedDownload:
    """The state of one download.

    Args:
        piece_bytes: how much one request asks for, so that several can run at once; None
            asks for each gap as a whole.
        resume: what an earlier run kept.
        name: what is downloaded, for messages.
    """

    def __init__(
        self, *, piece_bytes: int | None, resume: Resumable | None = None, name: str = "the file"
    ) -> None:
        self._piece_bytes = piece_bytes
        self._name = name
        self._version = resume.version if resume else None
        self._done = Intervals(resume.done if resume else ())
        self._flights: list[Flight] = []
        self._condition = _best_condition(self._version)
        self._takes_ranges = False
        self._only_whole = False
        self.epoch = 0

    @property
    def version(self) -> Version | None:
        """The version being fetched, once known."""
        return self._version

    @property
    def size_bytes(self) -> int | None:
        """The size of the file, once known."""
        return self._version.size_bytes if self._version else None

    @property
    def done_bytes(self) -> int:
        """How many different bytes are written."""
        return self._done.size_bytes

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._flights)

    @property
    def is_complete(self) -> bool:
        """Whether every byte of one version is written."""
        return self.size_bytes is not None and self._done.first_gap(self.size_bytes) is None

    def resumable(self) -> Resumable | None:
        """Return what to keep; None while nothing is there that could be gone on with."""
        if self._version is None or not self._version.is_proven or not self._done:
            return None
        return Resumable(version=self._version, done=tuple(self._done))

    def next_flight(self) -> Flight | None:
        """Return the next request; None when all is there or asked for, or when the next
        one has to wait for what is under way."""
        if self.is_complete or (self._flights and not self._takes_ranges):
            return None
        flight = self._whole_flight() if self._asks_whole() else self._range_flight()
        if flight is not None:
            self._flights.append(flight)
        return flight

    def _asks_whole(self) -> bool:
        return self._only_whole or (self._version is not None and not self._version.is_proven)

    def _whole_flight(self) -> Flight | None:
        if self._flights:
            return None
        return Flight(start=0, end=None, position=0, epoch=self.epoch, whole=True)

    def _range_flight(self) -> Flight | None:
        taken = Intervals(self._done)
        for flight in self._flights:
            # A flight without an end runs to the end of the file.
            end = self.size_bytes if flight.end is None else flight.end
            taken.add(flight.position, flight.position + 1 if end is None else end)
        gap = taken.first_gap(self.size_bytes)
        if gap is None:
            return None
        start, end = gap
        if self._piece_bytes is not None and (end is None or end - start > self._piece_bytes):
            end = start + self._piece_bytes
        return Flight(
            start=start,
            end=end,
            position=start,
            epoch=self.epoch,
            if_range=self._if_range(),
            condition=self._condition,
        )

    def _if_range(self) -> str | None:
        if self._version is None or self._condition is Condition.NONE:
            return None
        if self._condition is Condition.ETAG:
            return self._version.etag
        return self._version.last_modified

    def judge(self, flight: Flight, head: AnswerHead) -> Verdict:
        """Say what the answer to `flight` is worth, and note what it tells.

        Raises:
            ServiceFault: it makes no sense; perhaps the next one does.
            RequestRejected: the server refuses the whole file as a range.
            ObjectChanged: the file changed too often.
        """
        if flight.epoch != self.epoch:
            return Verdict.AGAIN
        if head.status == 206:
            return self._judge_part(flight, head)
        if head.status == 200:
            return self._judge_whole(flight, head)
        if head.status == 416:
            return self._judge_unsatisfiable(flight, head)
        raise ServiceFault(f"{self._name}: unexpected answer {head.status} to a download")

    def _judge_part(self, flight: Flight, head: AnswerHead) -> Verdict:
        if flight.whole:
            raise ServiceFault(f"{self._name}: a part came although the whole was asked for")
        if not _fits(flight, head):
            return self._ask_whole_from_now_on()
        if self._version is None:
            found = Version.of(head)
            if not found.is_proven and (head.start, head.end) != (0, head.total_bytes):
                return self._ask_whole_from_now_on()
            self._version, self._condition = found, _best_condition(found)
        elif not self._version.is_same(head):
            return self._start_over()
        self._learn_size(head.total_bytes)
        self._takes_ranges = True
        flight.end = head.end
        return Verdict.TAKE

    def _judge_whole(self, flight: Flight, head: AnswerHead) -> Verdict:
        others = any(other is not flight for other in self._flights)
        if self._version is not None and (self._done or others):
            if not self._version.is_same(head):
                return self._start_over()
            if not flight.whole and self._lower_condition(flight):
                return Verdict.AGAIN
            # The same version once more: what is there already is written again, unchanged.
            self._learn_size(head.total_bytes)
        else:
            self._version = Version.of(head)
            self._condition = _best_condition(self._version)
        self._takes_ranges = False
        flight.start = flight.position = 0
        flight.end = self.size_bytes
        return Verdict.COMPLETE if self.is_complete else Verdict.TAKE

    def _judge_unsatisfiable(self, flight: Flight, head: AnswerHead) -> Verdict:
        if flight.whole:
            raise RequestRejected(f"{self._name}: the server refuses to send the file")
        if self._version is None:
            if head.total_bytes == 0:
                self._version = Version.of(head)
                return Verdict.COMPLETE
            return self._ask_whole_from_now_on()
        if (
            self.size_bytes is None
            and head.total_bytes == flight.start
            and head.etag is not None
            and self._version.is_same(head)
        ):
            self._learn_size(head.total_bytes)
            return Verdict.COMPLETE if self.is_complete else Verdict.AGAIN
        return self._start_over()

    def room(self, flight: Flight, count: int) -> int:
        """Return how many of the next `count` bytes belong into the file."""
        if flight.epoch != self.epoch:
            return 0
        return count if flight.end is None else max(0, min(count, flight.end - flight.position))

    def wrote(self, flight: Flight, count: int) -> None:
        """Note that `count` bytes were written at `flight.position`."""
        if flight.epoch != self.epoch:
            return
        self._done.add(flight.position, flight.position + count)
        flight.position += count

    def land(self, flight: Flight, *, clean: bool) -> None:
        """Note that nothing more comes of `flight`.

        Args:
            clean: the body ended as HTTP says; not so when the connection broke, the request
                failed, or the body was left.

        Raises:
            ObjectChanged: as `judge`, when nothing proves that the rest would fit.
        """
        if flight.epoch != self.epoch:
            return
        self._flights.remove(flight)
        if clean and flight.end is None and self._done.first_gap(None) == (flight.position, None):
            self._learn_size(flight.position)
        if not self.is_complete and self._done and not (self._version and self._version.is_proven):
            self._start_over()

    def _learn_size(self, size_bytes: int | None) -> None:
        if self._version is not None and self._version.size_bytes is None:
            self._version = replace(self._version, size_bytes=size_bytes)

    def _start_over(self) -> Verdict:
        self.epoch += 1
        if self.epoch > MAX_RESTARTS:
            raise ObjectChanged(
                f"{self._name} had to be started over {MAX_RESTARTS} times: it keeps changing, or "
                "the connection breaks and the server offers nothing to go on by",
                hint="Try again later, or over a better connection.",
            )
        # Some servers show a new ETag with every answer: one answer is one version then.
        self._only_whole = self._only_whole or self.epoch >= PLAIN_AFTER_RESTARTS
        self._version = None
        self._done = Intervals()
        self._flights = []
        self._takes_ranges = False
        return Verdict.START_OVER

    def _ask_whole_from_now_on(self) -> Verdict:
        self._only_whole = True
        self._takes_ranges = False
        return Verdict.AGAIN

    def _lower_condition(self, flight: Flight) -> bool:
        """Turn to a condition that the server may honour; False when there is none left."""
        if flight.condition is not self._condition:
            return True  # another flight found out first
        if self._condition is Condition.NONE:
            return False
        dated = self._version is not None and self._version.last_modified is not None
        by_date = dated and self._condition is Condition.ETAG
        self._condition = Condition.DATE if by_date else Condition.NONE
        return True


def _best_condition(version: Version | None) -> Condition:
    if version is None or not version.is_proven:
        return Condition.NONE
    return Condition.ETAG if version.etag is not None else Condition.DATE


def _fits(flight: Flight, head: AnswerHead) -> bool:
    """Whether a 206 is a beginning of what was asked for, in a file of a known size."""
    if head.start is None or head.end is None or head.total_bytes is None:
        return False
    if flight.end is not None and head.end > flight.end:
        return False
    return head.start == flight.start and head.start < head.end <= head.total_bytes
