"""Sending parts, several at a time, with every step journaled so that a kill costs only what was
in flight.

A part's row is committed before its first byte is sent and marked when the store has it. After
an interruption the rows are held against what the store lists: what it has is never sent again,
what it lost or holds damaged is built again from its range of the tar stream.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from haulier.archive.parts import CutPart
from haulier.catalog.catalog import Catalog
from haulier.catalog.journal import PartRow
from haulier.core.checksums import combine_crc64nvme, crc64nvme, multipart_etag
from haulier.core.first_error import first_error
from haulier.errors import BadDigest
from haulier.store.base import Advance, Buffer, MultipartStore, Part, PartReceipt, no_advance

_MD5 = re.compile(r"[0-9a-f]{32}")


class PartSource(Protocol):
    """Hands out parts one after another; None at the end. Called on one thread."""

    def next_part(self) -> CutPart | None: ...


class Seal(Protocol):
    """Encrypts the buffers of a part; the size of the result is `sealed_size` of theirs."""

    def sealed_size(self, plain_bytes: int) -> int: ...

    def seal_part(
        self, number: int, buffers: Sequence[Buffer], *, last: bool
    ) -> Sequence[Buffer]: ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What an interrupted upload still needs.

    `stored`: rows the store was seen to have. `missing`: rows to be built again, by number.
    Everything from tar byte `next_start` on follows, numbered from `next_number`.
    """

    stored: list[PartRow]
    missing: list[PartRow]
    next_number: int
    next_start: int


def survey(
    rows: Sequence[PartRow], listed: Iterable[PartReceipt], *, contiguous: bool, keep_until: int
) -> Survey:
    """Hold the journal's `rows` (by number) against the parts that the store lists.

    Args:
        contiguous: the store keeps parts by offset, so nothing behind a gap can be kept.
        keep_until: tar bytes from here on are to be sent again (the source changed there).
    """
    have = {receipt.number: receipt for receipt in listed}
    stored: list[PartRow] = []
    missing: list[PartRow] = []
    next_number, next_start = 1, 0
    for row in rows:
        if row.tar_end > keep_until or (contiguous and missing):
            break
        receipt = have.get(row.number)
        if receipt is not None and is_the_same(row, receipt):
            stored.append(replace(row, etag=receipt.etag))
        else:
            missing.append(row)
        next_number, next_start = row.number + 1, row.tar_end
    if contiguous and missing:
        next_number, next_start = missing[0].number, missing[0].tar_start
        missing = []
    return Survey(stored, missing, next_number, next_start)


def is_the_same(row: PartRow, receipt: PartReceipt) -> bool:
    """Tell whether what the store lists is the part as it was cut.

    The size alone is not enough: a store was seen to keep a truncated part of a killed client.
    """
    if receipt.size_bytes != row.size_bytes:
        return False
    if receipt.crc64nvme is not None:
        return receipt.crc64nvme == row.crc64nvme
    return bool(receipt.etag) and receipt.etag in {row.md5, row.etag}


def receipts_of(rows: Iterable[PartRow]) -> list[PartReceipt]:
    """Return what the journal tells of parts, as the store would."""
    return [
        PartReceipt(
            number=row.number,
            size_bytes=row.size_bytes,
            etag=row.etag or row.md5 or row.crc64nvme,
            crc64nvme=row.crc64nvme,
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class WholeObject:
    """What the parts come to together."""

    size_bytes: int
    crc64nvme: str
    etag_of_md5s: str | None
    receipts: list[PartReceipt]


def combine(rows: Sequence[PartRow]) -> WholeObject:
    """Return size, CRC-64/NVME and multipart ETag of the object that `rows` make.

    The MD5 of a part whose CRC-64/NVME the store checked is taken from its ETag, which is
    only to be relied on where ETags are MD5s.
    """
    crc, size_bytes = 0, 0
    for row in rows:
        crc = combine_crc64nvme(crc, int(row.crc64nvme, 16), row.size_bytes)
        size_bytes += row.size_bytes
    etags = [row.md5 or row.etag or "" for row in rows]
    are_md5s = all(_MD5.fullmatch(etag) for etag in etags)
    etag_of_md5s = multipart_etag(etags) if are_md5s else None
    return WholeObject(size_bytes, f"{crc:016x}", etag_of_md5s, receipts_of(rows))


@dataclass(slots=True, kw_only=True)
class PartSender:
    """Sends the parts of one multipart upload.

    At most `jobs` parts are held, the one that is being cut among them, so memory is bounded by
    them and the cutter's look-ahead. `tar_end` tells the last part. `on_stored` is
    awaited after a part is durable at both ends, with its row.
    """

    catalog: Catalog
    store: MultipartStore
    operation_id: str
    key: str
    upload_id: str
    tar_size: int
    jobs: int
    pool: Executor
    seal: Seal | None = None
    keep: Callable[[int, Sequence[Buffer]], None] | None = None
    advance: Advance = no_advance
    on_stored: Callable[[PartRow], Awaitable[None]] | None = None

    async def send_all(self, source: PartSource, *, offset: int) -> int:
        """Send every part of `source`; `offset` is where the first lies in the object.

        Returns the offset behind the last. Raises the first error of any part after the others
        were stopped; what is in the journal then can be resumed.
        """
        loop = asyncio.get_running_loop()
        slots = asyncio.Semaphore(self.jobs)
        reader = ThreadPoolExecutor(1, thread_name_prefix="haulier-reader")
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await slots.acquire()
                    part = await loop.run_in_executor(reader, source.next_part)
                    if part is None:
                        break
                    stored_bytes = self._stored_size(part)
                    group.create_task(self._send(part, offset, slots))
                    offset += stored_bytes
                    del part  # it is the task's alone, gone before the next one is cut
        except BaseExceptionGroup as group_error:
            raise first_error(group_error) from None
        finally:
            # A read in progress can't be cancelled; its files must not be closed under it.
            await asyncio.shield(asyncio.to_thread(reader.shutdown))
        return offset

    def _stored_size(self, part: CutPart) -> int:
        if self.seal is None:
            return part.size_bytes
        return self.seal.sealed_size(part.size_bytes)

    def _prepare(self, part: CutPart, offset: int) -> tuple[Part, PartRow]:
        buffers: Sequence[Buffer] = part.buffers
        size_bytes, crc = part.size_bytes, part.crc64nvme
        if self.seal is not None:
            last = part.tar_end == self.tar_size
            buffers = self.seal.seal_part(part.number, buffers, last=last)
            size_bytes, crc = sum(map(len, buffers)), 0
            for buffer in buffers:
                crc = crc64nvme(buffer, crc)
        if self.keep is not None:
            self.keep(offset, buffers)
        prepared = Part(
            number=part.number,
            offset=offset,
            buffers=buffers,
            size_bytes=size_bytes,
            md5=_md5_of(buffers) if self.store.limits.wants_md5 else "",
            crc64nvme=f"{crc:016x}",
        )
        row = PartRow(
            operation_id=self.operation_id,
            number=part.number,
            tar_start=part.tar_start,
            tar_end=part.tar_end,
            offset=offset,
            size_bytes=size_bytes,
            md5=prepared.md5,
            crc64nvme=prepared.crc64nvme,
            etag=None,
            segments=part.segments,
            digests=part.digests,
        )
        return prepared, row

    async def _send(self, cut: CutPart, offset: int, slots: asyncio.Semaphore) -> None:
        try:
            loop = asyncio.get_running_loop()
            part, row = await loop.run_in_executor(self.pool, self._prepare, cut, offset)
            del cut  # what is sealed is not needed twice
            await self.catalog.transaction(lambda tx: tx.put_part(row))
            receipt = await self._put(part, row)
            await self.catalog.transaction(
                lambda tx: tx.mark_part_stored(self.operation_id, row.number, receipt.etag)
            )
            if self.on_stored is not None:
                await self.on_stored(replace(row, etag=receipt.etag))
        finally:
            slots.release()

    async def _put(self, part: Part, row: PartRow) -> PartReceipt:
        """Send `part`; once more when it arrived as other bytes, for ours are still right."""
        try:
            return await self.store.put_part(
                self.key, self.upload_id, part, advance=_scaled(self.advance, row)
            )
        except BadDigest:
            return await self.store.put_part(self.key, self.upload_id, part)


def _md5_of(buffers: Sequence[Buffer]) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    for buffer in buffers:
        md5.update(buffer)
    return md5.hexdigest()


def _scaled(advance: Advance, row: PartRow) -> Advance:
    """Return an Advance for bytes on the wire that counts bytes of the tar stream."""
    tar_bytes = row.tar_end - row.tar_start
    sent = counted = 0

    def count(delta: int) -> None:
        nonlocal sent, counted
        sent += delta
        now = sent * tar_bytes // row.size_bytes if row.size_bytes else tar_bytes
        advance(now - counted)
        counted = now

    return count
