"""Downloads that survive anything: cut connections, kills, files that change meanwhile.

The bytes gather in a `.part` file beside the target, several connections at a time where
the source takes ranges; what may be put together is decided in `core.ranges`. The target
appears whole, checked and on the disk, or not at all. Memory: at most about 2 MiB per
connection, whatever the size of the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from haulier import errors
from haulier.core.checksums import (
    Buffer,
    RunningChecksum,
    combine_crc64nvme,
    crc64nvme,
    format_checksum,
    parse_checksum,
)
from haulier.core.first_error import first_error
from haulier.core.progress import Meter
from haulier.core.ranges import Flight, RangedDownload, Resumable, Verdict
from haulier.net.threads import in_thread
from haulier.transfer.control_file import PartFile, refuse_existing
from haulier.transfer.download_limits import Retries, SizeRule
from haulier.transfer.range_source import RangeAnswer, RangeSource

CONNECTIONS = 4
PIECE_BYTES = 16 << 20
ATTEMPTS = 6
SAVE_INTERVAL_S = 1.0
_READ_BYTES = 1 << 20
_WRITE_BACK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadReceipt:
    """A file that was downloaded.

    `crc64nvme` is of the whole file (`crc64nvme:<hex>`), `checksum` the expected one, if one
    was given, which it has. `resumed_bytes` were there from an earlier run,
    `received_bytes` came in this one, and `restarts` times all was begun again.
    """

    path: Path
    size_bytes: int
    crc64nvme: str
    checksum: str | None
    etag: str | None
    last_modified: str | None
    resumed_bytes: int
    received_bytes: int
    restarts: int


async def download(
    source: RangeSource,
    target: Path,
    *,
    connections: int = CONNECTIONS,
    piece_bytes: int = PIECE_BYTES,
    expected_checksum: str | None = None,
    expected_bytes: int | None = None,
    max_bytes: int | None = None,
    names: Callable[[], Awaitable[Iterable[Path]]] | None = None,
    meter: Meter | None = None,
    pace: Callable[[int], Awaitable[None]] | None = None,
    overwrite: bool = False,
    fsync: bool = True,
    attempts: int = ATTEMPTS,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    jitter: Callable[[], float] = random.random,
) -> DownloadReceipt:
    """Fetch `source` into the file `target`, going on from where an earlier run stopped.

    Whatever ends it early, cancellation and SIGKILL included, leaves a state that the next
    call goes on from; at most the last second's bytes are fetched again.

    Args:
        source: where the bytes are.
        target: the file to be; its directory exists.
        connections: how many requests may run at once.
        piece_bytes: what one of them asks for; with one connection, all that is missing.
        expected_checksum: `<algorithm>:<hex>` of the whole file.
        expected_bytes: the size it must have.
        max_bytes: the size it may have at most.
        names: asked, once all is there, for the names that the file may get, in the same
            directory; the first free one is taken. `target` then only tells the part file's
            place. For files whose name is not known before the server answered.
        meter: told size and bytes; ending it is the caller's affair.
        pace: awaited with the number of bytes received, to slow things down.
        overwrite: whether an existing target is replaced.
        fsync: whether to wait for the disk; without it a power cut may cost the file.
        attempts: failures in a row, without one byte in between, that each connection may
            have before the download fails.
        sleep: waits between attempts.
        jitter: returns 0 to 1, the random share of a second added to each wait.

    Returns:
        What was downloaded.

    Raises:
        DuplicateName: the target exists. OperationBusy: another process downloads to it.
        StorageFull: no room; what was fetched is kept. TargetMissing, AccessDenied: the
        directory. VerificationFailed: not what was expected; nothing is kept.
        FileSizeError: larger than `max_bytes`; nothing is kept.
        ObjectChanged: the file changed again and again. Transient: attempts are used up.
        UsageError: an argument makes no sense. Others: as the source's `open`.
    """
    if connections < 1 or piece_bytes < 1 or attempts < 1:
        raise errors.UsageError("connections, piece_bytes and attempts are at least 1")
    if expected_checksum is not None:
        expected_checksum = ":".join(parse_checksum(expected_checksum))
    if not overwrite or target.is_dir():
        refuse_existing(target)
    part = PartFile(target, sync=fsync)
    try:
        kept = part.load(source.name)
        if kept is None:
            part.void()
        run = _Run(
            source=source,
            part=part,
            state=RangedDownload(
                piece_bytes=piece_bytes if connections > 1 else None,
                resume=kept,
                name=source.label,
            ),
            meter=meter,
            pace=pace,
            retries=Retries(attempts=attempts, sleep=sleep, jitter=jitter),
            size=SizeRule(source.label, expected_bytes, max_bytes),
        )
        await run.fetch(connections)
        receipt = await run.check(expected_checksum)
        chosen = None if names is None else await names()
        path = await in_thread(
            lambda _: part.publish(receipt.size_bytes, overwrite=overwrite, names=chosen)
        )
        return replace(receipt, path=path)
    finally:
        part.close()


class _StartOver(Exception):
    """What is written is void; every connection ends before it is thrown away."""


class _Writing:
    """Writes what comes of one flight.

    `write` may run in a thread; what it wrote counts once `note` was called in the event loop.
    Whoever throws a version away waits for every flight first: no write of it comes late.
    """

    def __init__(self, part: PartFile, state: RangedDownload, flight: Flight) -> None:
        self._part = part
        self._state = state
        self._flight = flight
        self._end = flight.position
        self.crc = 0

    def write(self, data: Buffer) -> None:
        """Write what belongs into the file, behind what was written."""
        unnoted = self._end - self._flight.position
        room = self._state.room(self._flight, unnoted + len(data)) - unnoted
        if room > 0:
            block = memoryview(data)[:room]
            self._part.write(block, self._end)
            self.crc = crc64nvme(block, self.crc)
            self._end += room

    def note(self) -> None:
        """Tell the state what is written."""
        count = self._end - self._flight.position
        if count:
            self._state.wrote(self._flight, count)


class _Run:
    """One call of `download` at work."""

    def __init__(
        self,
        *,
        source: RangeSource,
        part: PartFile,
        state: RangedDownload,
        meter: Meter | None,
        pace: Callable[[int], Awaitable[None]] | None,
        retries: Retries,
        size: SizeRule,
    ) -> None:
        self._source = source
        self._size = size
        self._part = part
        self._state = state
        self._epoch = state.epoch
        self._meter = meter
        self._pace = pace
        self._retries = retries
        self._resumed = self._counted = state.done_bytes
        self._received = 0
        self._crcs: dict[int, tuple[int, int]] = {}  # start of a run -> its end and CRC
        self._final_url = source.label
        self._changed = asyncio.Event()
        self._written: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self._saved = state.resumable()
        if meter is not None:
            meter.credit(self._resumed)
            meter.set_total(state.size_bytes)

    async def fetch(self, connections: int) -> None:
        """Return when every byte is in the part file; save the state whatever happens."""
        try:
            while not self._state.is_complete:
                try:
                    await self._fetch_version(connections)
                except _StartOver:
                    self._void()
        except (errors.VerificationFailed, errors.FileSizeError):
            self._part.discard()
            raise
        except BaseException:
            await self._save_last()
            raise

    async def _fetch_version(self, connections: int) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(self._save_often()),
                    group.create_task(self._write_back()),
                ]
                async with asyncio.TaskGroup() as workers:
                    for _ in range(connections):
                        workers.create_task(self._work())
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as failures:
            raise first_error(failures) from None

    async def _work(self) -> None:
        while not self._state.is_complete:
            # Nobody may begin on a new version before what is there of the old one is gone.
            if self._state.epoch != self._epoch:
                raise _StartOver
            flight = self._state.next_flight()
            if flight is None:
                await self._changed.wait()
                continue
            clean = False
            try:
                clean = await self._fly(flight)
            except errors.Transient as error:
                # The flight stays in the air meanwhile: nobody else may try its range at once.
                await self._retries.wait(error, connections=self._state.in_flight)
            self._state.land(flight, clean=clean)
            self._notify()

    def _notify(self) -> None:
        """Wake the connections that had nothing to do."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _fly(self, flight: Flight) -> bool:
        """Ask, and write what is worth it; return whether the answer ended as it should."""
        async with self._source.open(flight) as answer:
            if self._state.judge(flight, answer.head) is not Verdict.TAKE:
                return False
            size_bytes = self._state.size_bytes
            if self._meter is not None:
                self._meter.set_total(size_bytes)
            if size_bytes is not None:
                self._size.check(size_bytes)
                if not self._received:
                    self._part.check_space(size_bytes)
            self._final_url = answer.url
            self._notify()
            await self._receive(flight, answer)
            if flight.end is not None and not flight.is_full:
                raise errors.ConnectionLost(f"{self._source.label}: the answer ended early")
            return True

    async def _receive(self, flight: Flight, answer: RangeAnswer) -> None:
        start = written = flight.position
        writing = _Writing(self._part, self._state, flight)
        try:
            async with contextlib.aclosing(answer.body(writing.write)) as counts:
                async for count in counts:
                    writing.note()
                    if flight.position - written >= _WRITE_BACK_BYTES:
                        self._written.put_nowait((written, flight.position - written))
                        written = flight.position
                    await self._note_received(count)
                    if flight.is_full:
                        return
        finally:
            writing.note()
            if flight.position > self._crcs.get(start, (start, 0))[0]:
                self._crcs[start] = (flight.position, writing.crc)

    async def _note_received(self, count: int) -> None:
        self._received += count
        self._retries.refill()
        self._count()
        self._size.check_most(self._state.done_bytes)
        if self._pace is not None:
            await self._pace(count)

    def _count(self) -> None:
        done = self._state.done_bytes
        if self._meter is not None:
            self._meter.add(done - self._counted)
        self._counted = done

    def _void(self) -> None:
        self._part.void()
        self._epoch = self._state.epoch
        self._crcs.clear()
        self._saved = None
        if self._meter is not None:
            self._meter.credit(-self._resumed)
            self._meter.add(self._resumed - self._counted)
            self._meter.set_total(None)
        self._resumed = self._counted = 0

    async def _write_back(self) -> None:
        """Have the disk begin with what is written, so that little is left to wait for at the end;
        in a thread, since a slow disk takes its time."""
        while True:
            span = await self._written.get()
            await in_thread(lambda _, span=span: self._part.start_write_back(*span))  # type: ignore[misc]  # mypy infers no type for a default

    async def _save_often(self) -> None:
        while True:
            await asyncio.sleep(SAVE_INTERVAL_S)
            await self._save(self._part.save)

    async def _save_last(self) -> None:
        # Failing here must not hide what went wrong before; it costs bytes, not the file.
        with contextlib.suppress(errors.HaulierError):
            await self._save(self._part.save_last)

    async def _save(self, save: Callable[[str, str, Resumable], None]) -> None:
        kept = self._state.resumable()
        if kept is None or kept == self._saved:
            return
        await in_thread(lambda _: save(self._source.name, self._final_url, kept))
        self._saved = kept

    async def check(self, expected: str | None) -> DownloadReceipt:
        """Return the receipt of what is in the part file; raises VerificationFailed."""
        version = self._state.version
        assert version is not None
        assert version.size_bytes is not None
        size_bytes = version.size_bytes
        if self._meter is not None:
            self._meter.set_total(size_bytes)
        try:
            self._size.check(size_bytes)
        except errors.HaulierError:
            self._part.discard()
            raise
        crc = self._combined_crc(size_bytes)
        if crc is None:
            crc = await self._digest("crc64nvme", size_bytes)
        if expected is not None:
            algorithm = expected.partition(":")[0]
            found = crc
            if algorithm != "crc64nvme":
                found = await self._digest(algorithm, size_bytes)
            if found != expected:
                self._part.discard()
                raise errors.VerificationFailed(
                    f"{self._source.label} is {found}, not {expected}",
                    hint="It was not kept. Check where the expected checksum comes from.",
                )
        return DownloadReceipt(
            path=self._part.target,
            size_bytes=size_bytes,
            crc64nvme=crc,
            checksum=expected,
            etag=version.etag,
            last_modified=version.last_modified,
            resumed_bytes=self._resumed,
            received_bytes=self._received,
            restarts=self._state.epoch,
        )

    def _combined_crc(self, size_bytes: int) -> str | None:
        """Return the CRC of the whole when the runs received lie end to end."""
        position = crc = 0
        while position < size_bytes:
            if position not in self._crcs:
                return None
            end, run_crc = self._crcs[position]
            crc = combine_crc64nvme(crc, run_crc, end - position)
            position = end
        return format_checksum("crc64nvme", crc)

    async def _digest(self, algorithm: str, size_bytes: int) -> str:
        descriptor = self._part.descriptor

        def work(stop: threading.Event) -> str:
            checksum = RunningChecksum(algorithm)
            for offset in range(0, size_bytes, _READ_BYTES):
                if stop.is_set():
                    break
                count = min(_READ_BYTES, size_bytes - offset)
                checksum.update(os.pread(descriptor, count, offset))
            return str(checksum)

        return await in_thread(work)
