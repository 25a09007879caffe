"""Uploads that go on where they were: after a cut connection, an expired URL, a kill.

The host of files is asked what it has before anything is sent a second time. Each block's checksum
is kept before the block is sent, so that a file that changed meanwhile is noticed, in whichever
process.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import quote

from haulier import errors
from haulier.core.checksums import combine_crc64nvme, crc64nvme
from haulier.core.progress import Meter
from haulier.max.client import MaxClient
from haulier.max.upload_answers import stored_bytes, token_of
from haulier.max.upload_state import UploadState
from haulier.max.upload_types import UploadSlot, UploadType
from haulier.net.http import error_of_status
from haulier.net.threads import in_thread
from haulier.transfer.persistence import Persistence
from haulier.transfer.source_file import BLOCK_BYTES, SourceFile

CHUNK_BYTES = 16 * BLOCK_BYTES
_MOST_CHUNKS = 900  # MAX is said to take 1,000 requests for one file; the rest is for resuming
_MOST_ANSWER_BYTES = 1 << 20
_ALL_STATUSES = range(300, 600)
_MOST_SLOTS = 5
_REFUSALS = frozenset({413, 415})


class ResumableUpload:
    """One file on its way.

    Args:
        client: asks for slots, and has the connections.
        source: the file.
        type_: what it is to MAX.
        name: what it is called there.
        state: what an earlier process kept, and where this one keeps it.
        meter: told the bytes; ending it is the caller's affair.
        chunk_bytes: of one request, for videos and sound; other files go in one.
    """

    def __init__(
        self,
        client: MaxClient,
        source: SourceFile,
        *,
        type_: UploadType,
        name: str,
        state: UploadState,
        meter: Meter | None = None,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._client = client
        self._source = source
        self._type = type_
        self._name = name
        self._state = state
        self._meter = meter
        self._size = source.size_bytes
        least = -(-self._size // _MOST_CHUNKS)
        blocks = -(-max(chunk_bytes, least) // BLOCK_BYTES)
        # That images and files may come in several requests is not documented.
        self._chunk_bytes = blocks * BLOCK_BYTES if type_.has_token_before else self._size
        self._persistence = Persistence(
            attempts=client.retries.attempts, wait_max_s=client.retries.wait_max_s
        )
        self._furthest = self._counted = self._advances = self._slots = 0
        self._range_refusals = 0

    async def run(self) -> tuple[str, int]:
        """Send what is missing; return the file's token and the CRC-64/NVME of what was sent.

        Raises:
            SourceChanged: the file was written to meanwhile.
            ChatError: MAX does not take the file.
            Transient: attempts without progress are used up; what was sent is kept.
            Others: as `MaxClient.get_upload_url`.
        """
        kept = self._state.slot
        if kept is not None and not (kept.type is self._type and await self._is_as_sent()):
            await self._forget()
        try:
            token = self._state.token
            if token is None:
                token = await self._persistence.run(self._attempt, progress=lambda: self._advances)
            self._source.check()
        except errors.SourceChanged:
            await self._forget()
            raise
        self._count(self._size, is_resumed=self._state.token is not None)
        if self._state.token is None:
            await in_thread(lambda _: self._state.finish(token))
        return token, self._crc()

    def _crc(self) -> int:
        whole = 0
        for index, crc in enumerate(self._state.crcs):
            length = min(BLOCK_BYTES, self._size - index * BLOCK_BYTES)
            whole = combine_crc64nvme(whole, crc, length)
        return whole

    async def _is_as_sent(self) -> bool:
        """Whether the file still begins with what an earlier process sent of it.

        Else it is sent from its beginning: it changed between two runs.
        """
        try:
            for index in range(len(self._state.crcs)):
                await in_thread(partial(self._block, index))
        except errors.SourceChanged:
            self._source.check()
            return False
        return self._state.token is None or len(self._state.crcs) == self._source.blocks

    async def _attempt(self) -> str:
        offset = await self._position()
        slot = self._state.slot
        assert slot is not None
        if offset == self._size:
            if slot.token is not None:
                return slot.token
            # All is there but the answer with the token was lost: the last block asks for it.
            offset = (self._source.blocks - 1) * BLOCK_BYTES
        while True:
            end = min(self._size, offset + self._chunk_bytes)
            status, body = await self._post(slot, offset, end)
            self._reached(end)
            token = token_of(slot, body, self._name)
            if end == self._size and status != 201:
                if token is None:
                    raise errors.ServiceFault(f"{self._name}: the upload's answer has no token")
                return token
            if end == self._size:
                raise errors.ServiceFault(f"{self._name}: MAX expects more than there is")
            offset = end

    async def _position(self) -> int:
        """Return what is to be sent next, in the slot of the state or in a new one."""
        if self._state.slot is None:
            self._slots += 1
            if self._slots > _MOST_SLOTS:
                raise errors.ChatError(
                    f"{self._name}: MAX gave {_MOST_SLOTS} upload URLs and none of them lasted",
                    hint="Try again later.",
                )
            slot = await self._client.get_upload_url(self._type)
            await in_thread(lambda _: self._state.begin(slot))
            self._furthest = 0
            self._count(0)
            return 0
        offset = await self._ask(self._state.slot)
        if offset is None or offset > len(self._state.crcs) * BLOCK_BYTES:
            # Gone, or it has bytes of which nobody knows whether they are ours.
            raise await self._gone("the upload URL has expired")
        self._count(offset, is_resumed=self._advances == 0)
        self._reached(offset)
        return offset

    async def _ask(self, slot: UploadSlot) -> int | None:
        async with self._client.transfers.open("GET", slot.url, accept=_ALL_STATUSES) as answer:
            if answer.status == 429 or answer.status >= 500:
                raise error_of_status(answer.status, answer.headers, f"asking for {self._name}")
            body = await answer.read(_MOST_ANSWER_BYTES)
        return stored_bytes(answer.status, body, self._size)

    async def _post(self, slot: UploadSlot, offset: int, end: int) -> tuple[int, bytes]:
        headers = {
            "Accept": "application/json; charset=utf-8",
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename={quote(self._name, safe='')}",
            "Content-Length": str(end - offset),
            "Content-Range": f"bytes {offset}-{end - 1}/{self._size}",
        }
        async with self._client.transfers.open(
            "POST",
            slot.url,
            headers=headers,
            body=lambda: self._pieces(offset, end),
            accept=_ALL_STATUSES,
        ) as answer:
            body = await answer.read(_MOST_ANSWER_BYTES)
        if answer.status < 300:
            return answer.status, body
        if answer.status == 416:
            self._range_refusals += 1
        if answer.status in _REFUSALS:
            raise errors.ChatError(f"{self._name} was not taken: HTTP {answer.status}")
        error = error_of_status(answer.status, answer.headers, f"sending {self._name}")
        if isinstance(error, errors.Transient):
            raise error
        if answer.status == 416 and self._range_refusals % 2:
            raise errors.ServiceFault(f"{self._name}: MAX expects another part of it")
        raise await self._gone(f"the upload URL is refused (HTTP {answer.status})")

    async def _pieces(self, offset: int, end: int) -> AsyncIterator[memoryview]:
        self._count(offset)
        for index in range(offset // BLOCK_BYTES, -(-end // BLOCK_BYTES)):
            block = await in_thread(partial(self._block, index))
            start = index * BLOCK_BYTES
            piece = memoryview(block)[max(0, offset - start) : end - start]
            yield piece
            self._count(self._counted + len(piece))

    def _block(self, index: int, _stop: threading.Event) -> bytes:
        """Read a block; its checksum is kept, or is the one that was."""
        data = self._source.read_block(index)
        crc = crc64nvme(data)
        if index == len(self._state.crcs):
            self._state.add_block(crc)
        elif self._state.crcs[index] != crc:
            raise self._source.changed()
        return data

    async def _gone(self, why: str) -> errors.Transient:
        """Forget the slot, and return the error after which a new one is asked for."""
        await self._forget()
        self._advances += 1  # bounded by the number of slots
        return errors.ConnectionLost(f"{self._name}: {why}")

    async def _forget(self) -> None:
        await in_thread(lambda _: self._state.clear())

    def _reached(self, offset: int) -> None:
        if offset > self._furthest:
            self._furthest = offset
            self._advances += 1

    def _count(self, offset: int, *, is_resumed: bool = False) -> None:
        """Have the meter stand at `offset`."""
        if self._meter is not None:
            step = self._meter.credit if is_resumed else self._meter.add
            step(offset - self._counted)
        self._counted = offset
