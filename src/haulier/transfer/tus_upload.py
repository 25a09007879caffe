"""Files on their way to a server that speaks tus 1.0: gone on with after whatever came between.

The server is asked what it has before anything is sent a second time. Where it checks checksums a
file goes in chunks that count whole or not at all; elsewhere in one request, of which whatever came
counts. What was sent is held against the file before an upload is gone on with, in any process.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from haulier import errors
from haulier.core.checksums import RunningChecksum, combine_crc64nvme, crc64nvme
from haulier.core.progress import Meter
from haulier.net.threads import in_thread
from haulier.net.tus import TusClient, TusOffer, TusState
from haulier.transfer.persistence import Persistence
from haulier.transfer.source_file import BLOCK_BYTES, SourceFile
from haulier.transfer.upload_journal import UploadJournal

CHUNK_BYTES = 8 * BLOCK_BYTES
_MOST_UPLOADS = 5
_ALGORITHMS = ("crc64nvme", "crc32c", "crc32", "sha1", "sha256", "sha512", "md5")
_CORE_ALONE = TusOffer(extensions=frozenset(), checksums=frozenset(), most_bytes=None)

Pace = Callable[[int], Awaitable[None]]
Begun = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """A file that a server has whole: where, and what was sent (`crc64nvme`: 16 hex digits)."""

    url: str
    size_bytes: int
    crc64nvme: str


async def offer_of(client: TusClient, *, name: str, size_bytes: int | None) -> TusOffer:
    """Return what the server can do, having made sure that it can take the file.

    A server that does not answer the question is taken to speak the core of tus.

    Raises:
        FileSizeError: it takes no file of that size.
        RequestRejected: it takes none whose size is not known, and this one's is not.
        AccessDenied, Transient: as it says.
    """
    try:
        offer = await client.offer()
    except (errors.RequestRejected, errors.NoSuchObject):
        offer = _CORE_ALONE
    if offer.most_bytes is not None and (size_bytes or 0) > offer.most_bytes:
        raise errors.FileSizeError(
            f"{name} has {size_bytes} bytes, and the server takes {offer.most_bytes}"
        )
    if size_bytes is None and "creation-defer-length" not in offer.extensions:
        raise errors.RequestRejected(
            f"the server takes no file whose size is not known, and that of {name} is not",
            hint="Say the size, or upload a file.",
        )
    return offer


def algorithm_of(offer: TusOffer) -> str | None:
    """Return the cheapest checksum that the server checks; None where it checks none."""
    return next((one for one in _ALGORITHMS if one in offer.checksums), None)


class TusUpload:
    """One file on its way.

    Args:
        client: speaks to the server.
        source: the file.
        name: what it is called, in the metadata and in errors.
        metadata: more that is told of it.
        journal: what an earlier process kept, and where this one keeps it.
        only_new: refuse it where the server has a file of its name, as haulier servers can.
        begun: told the URL of a new upload before anything is sent there.
        meter: told the bytes; ending it is the caller's affair.
        pace: awaited before bytes are sent, as `Throttle.take`.
        chunk_bytes: of one request, where the server checks checksums.
        persistence: how often is tried again.
    """

    def __init__(
        self,
        client: TusClient,
        source: SourceFile,
        *,
        name: str,
        metadata: Mapping[str, str] | None = None,
        journal: UploadJournal,
        only_new: bool = False,
        begun: Begun | None = None,
        meter: Meter | None = None,
        pace: Pace | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        persistence: Persistence | None = None,
    ) -> None:
        self._client = client
        self._source = source
        self._name = name
        self._metadata = {"filename": name, **(metadata or {})}
        self._journal = journal
        self._only_new = only_new
        self._begun = begun
        self._meter = meter
        self._pace = pace
        self._chunk_bytes = max(1, chunk_bytes // BLOCK_BYTES) * BLOCK_BYTES
        self._persistence = persistence or Persistence()
        self._size = source.size_bytes
        self._offer: TusOffer | None = None
        self._uploads = self._counted = self._furthest = 0
        self._is_known = False  # whether this process knows what the server has

    async def run(self) -> Uploaded:
        """Send what the server does not have, and return where the file is.

        Raises:
            SourceChanged: the file was written to meanwhile.
            ObjectExists: with `only_new`, there is a file of its name.
            FileSizeError, QuotaExceeded, StorageFull: it does not fit; what was sent is kept.
            AccessDenied: the token is missing, wrong, or may not do this.
            RequestRejected: the server does not take it, or ends each upload before its end.
            Transient: attempts without progress are used up; what was sent is kept.
        """
        url = await self._persistence.run(self._attempt, progress=lambda: self._furthest)
        self._source.check()
        return Uploaded(url=url, size_bytes=self._size, crc64nvme=f"{await self._crc():016x}")

    async def _attempt(self) -> str:
        if self._offer is None:
            self._offer = await offer_of(self._client, name=self._name, size_bytes=self._size)
        try:
            url, offset = await self._position()
            while offset < self._size:
                offset = await self._append(url, offset)
                self._reached(offset)
        except errors.NoSuchUpload as exc:
            # Expired, ended, or of other bytes: another one is begun.
            await in_thread(lambda _: self._journal.clear())
            raise errors.ConnectionLost(f"{self._name}: {exc.message}") from exc
        except (errors.SessionConflict, errors.BadDigest) as exc:
            raise errors.ServiceFault(f"{self._name}: {exc.message}") from exc
        return url

    async def _position(self) -> tuple[str, int]:
        """Return the upload's URL and what is to be sent next, in a new one if need be."""
        url = (self._journal.place or {}).get("url")
        if not isinstance(url, str):
            return await self._create(), 0
        state = await self._client.state(url)
        if not await self._is_ours(state):
            raise errors.NoSuchUpload("the upload is not of this file as it is now")
        if not self._is_known:  # what did not arrive may have changed since
            arrived = -(-state.offset // BLOCK_BYTES)
            await in_thread(lambda _: self._journal.keep_blocks(arrived))
        self._count(state.offset, is_resumed=not self._is_known)
        self._is_known = True
        self._reached(state.offset)
        return url, state.offset

    async def _create(self) -> str:
        self._uploads += 1
        if self._uploads > _MOST_UPLOADS:
            raise errors.RequestRejected(
                f"{self._name}: {_MOST_UPLOADS} uploads were begun and none of them lasted",
                hint="Look at the server's log, and at how long it keeps uploads.",
            )
        url = await self._client.create(
            size_bytes=self._size, metadata=self._metadata, only_new=self._only_new
        )
        await in_thread(lambda _: self._journal.begin({"url": url}))
        if self._begun is not None:
            await self._begun(url)
        self._furthest = 0
        self._is_known = True
        self._count(0)
        return url

    async def _is_ours(self, state: TusState) -> bool:
        """Whether what the server has is what the file begins with."""
        if state.size_bytes not in {None, self._size} or state.offset > self._size:
            return False
        blocks = -(-state.offset // BLOCK_BYTES)
        if state.crc64nvme is None and len(self._journal.crcs) < blocks:
            return False  # nobody knows what these bytes are
        try:
            crc = await in_thread(partial(self._crc_until, state.offset))
        except errors.SourceChanged:
            self._source.check()
            return False  # it changed between two runs
        return state.crc64nvme is None or int(state.crc64nvme, 16) == crc

    def _crc_until(self, offset: int, stop: threading.Event) -> int:
        crc = 0
        for index in range(-(-offset // BLOCK_BYTES)):
            if stop.is_set():
                break
            block = self._block(index, stop)
            crc = crc64nvme(memoryview(block)[: offset - index * BLOCK_BYTES], crc)
        return crc

    async def _append(self, url: str, offset: int) -> int:
        assert self._offer is not None
        algorithm = algorithm_of(self._offer)
        if algorithm is None:
            length = self._size - offset
            return await self._client.append(url, offset, partial(self._read, offset), length)
        end = min(self._size, (offset // self._chunk_bytes + 1) * self._chunk_bytes)
        blocks = await in_thread(partial(self._blocks, offset, end))
        checksum = RunningChecksum(algorithm)
        for block in blocks:
            checksum.update(block)
        return await self._client.append(
            url, offset, partial(self._send, offset, blocks), end - offset, checksum=str(checksum)
        )

    def _blocks(self, offset: int, end: int, stop: threading.Event) -> list[memoryview]:
        found = []
        for index in range(offset // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            start = index * BLOCK_BYTES
            block = memoryview(self._block(index, stop))
            found.append(block[max(0, offset - start) : end - start])
        return found

    async def _read(self, offset: int) -> AsyncIterator[memoryview]:
        self._count(offset)
        while offset < self._size:
            end = min(self._size, (offset // BLOCK_BYTES + 1) * BLOCK_BYTES)
            for piece in await in_thread(partial(self._blocks, offset, end)):
                yield await self._paced(piece)
                self._count(end)
            offset = end

    async def _send(self, offset: int, blocks: list[memoryview]) -> AsyncIterator[memoryview]:
        self._count(offset)
        for block in blocks:
            yield await self._paced(block)
            self._count(self._counted + len(block))

    async def _paced(self, piece: memoryview) -> memoryview:
        if self._pace is not None:
            await self._pace(len(piece))
        return piece

    def _block(self, index: int, _stop: threading.Event) -> bytes:
        """Read a block; its checksum is kept, or is the one that was."""
        data = self._source.read_block(index)
        crc = crc64nvme(data)
        if index == len(self._journal.crcs):
            self._journal.add_block(crc)
        elif self._journal.crcs[index] != crc:
            raise self._source.changed()
        return data

    async def _crc(self) -> int:
        """Return the checksum of the file as it was sent."""
        if self._size and not self._journal.crcs:
            await in_thread(partial(self._crc_until, self._size))
        whole = 0
        for index, crc in enumerate(self._journal.crcs):
            length = min(BLOCK_BYTES, self._size - index * BLOCK_BYTES)
            whole = combine_crc64nvme(whole, crc, length)
        return whole

    def _reached(self, offset: int) -> None:
        self._furthest = max(self._furthest, offset)

    def _count(self, offset: int, *, is_resumed: bool = False) -> None:
        """Have the meter stand at `offset`."""
        if self._meter is not None:
            step = self._meter.credit if is_resumed else self._meter.add
            step(offset - self._counted)
        self._counted = offset
