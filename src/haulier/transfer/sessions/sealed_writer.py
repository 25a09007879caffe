"""Runs of bytes of uploads, sealed while they come in: nothing of them lies plain on the disk.

What fills whole frames is written to their place. What is left of a run that ends within a frame
goes into a small file of its own, the tail, before it is acknowledged; whoever goes on begins with
it. So a frame is never written over while it holds bytes that count.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from haulier.core.checksums import RunningChecksum, crc32, crc64nvme
from haulier.core.sessions.session import Order, Settled, UploadSession
from haulier.errors import ExternalServiceError, LockLost
from haulier.transfer.sessions.disk import require_room
from haulier.transfer.sessions.frames import (
    FRAME_BYTES,
    SEALED_FRAME_BYTES,
    FrameCipher,
    sealed_size,
)
from haulier.transfer.sessions.stage import LocalWriter, sync_directory, translated
from haulier.transfer.sessions.staging import Piece


class Tails:
    """The tails of sessions, in a directory of their own."""

    def __init__(self, root: Path, *, synced: bool) -> None:
        self._root = root
        self._synced = synced

    def write(self, session_id: str, sealed: bytes | bytearray) -> str:
        """Keep a tail; return its name."""
        name = f"{session_id}.{secrets.token_hex(4)}"
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._root / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, sealed)
            if self._synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if self._synced:
            sync_directory(self._root)
        return name

    def read(self, name: str) -> bytes:
        """Return a tail.

        Raises:
            LockLost: it is not there: somebody else went on.
        """
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            raise LockLost("another request for the same upload went on") from None

    def drop(self, name: str) -> None:
        """Remove a tail."""
        (self._root / name).unlink(missing_ok=True)

    def drop_all(self, session_id: str) -> None:
        """Remove all tails of a session."""
        for path in self._root.glob(f"{session_id}.*"):
            path.unlink(missing_ok=True)

    def session_ids(self) -> set[str]:
        """Return the sessions that have tails."""
        if not self._root.exists():
            return set()
        return {name.partition(".")[0] for name in os.listdir(self._root)}


class SealedWriter(LocalWriter):
    """Writes one run of bytes as frames.

    Args:
        path: the session's file.
        session: as it stands.
        offset: of the run; of a chunk a multiple of the frames' size.
        checks: fed with the same bytes.
        threads: writes at once.
        length: of a chunk; 0 for whatever comes.
        tails: where tails are kept.
        find_cipher: finds the session's key.
        synced: whether what counts is synced to the disk before.
    """

    def __init__(
        self,
        path: Path,
        session: UploadSession,
        offset: int,
        checks: tuple[RunningChecksum, ...],
        threads: ThreadPoolExecutor,
        *,
        length: int,
        tails: Tails,
        find_cipher: Callable[[], Awaitable[FrameCipher]],
        synced: bool,
    ) -> None:
        size_bytes = None if session.size_bytes is None else sealed_size(session.size_bytes)
        super().__init__(
            path, offset, checks, threads, length=length, size_bytes=size_bytes, synced=synced
        )
        self._session = session
        self._find_cipher = find_cipher
        self._cipher: FrameCipher | None = None
        self._tails = tails
        self._tail = session.tail
        self._outdated: list[str] = []
        self._frame, within = divmod(offset, FRAME_BYTES)
        self._rest = bytearray()  # what does not fill a frame yet
        self._known = within  # bytes at its front that count already
        self._failed = False

    async def write(self, piece: Piece) -> None:
        """See `Writer`."""
        if self._cipher is None:
            self._cipher = await self._find_cipher()
            await self._in_thread(self._begin)
        await super().write(piece)

    async def checkpoint(self) -> Settled:
        """Return the frames that were written since it was last asked."""
        return replace(await super().settle(), tail=self._tail)

    async def settle(self) -> Settled:
        """Write what is left as the tail, or as the last frame; see `Writer`."""
        await self._settle_writes()
        if not self._failed and len(self._rest) > self._known:
            await self._in_thread(self._put_rest)
        return replace(await super().settle(), tail=self._tail)

    async def published(self) -> None:
        """Drop the tails that another one, or a frame, has replaced."""
        while self._outdated:
            await asyncio.to_thread(self._tails.drop, self._outdated.pop())

    async def _in_thread(self, work: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._pending = loop.run_in_executor(self._threads, translated, work)
        await self._settle_writes()

    def _begin(self) -> None:
        self._open()
        if not self._known:
            return
        if self._tail is not None:
            assert self._cipher is not None
            self._rest += self._cipher.open(self._frame, self._tails.read(self._tail))
        if len(self._rest) != self._known:
            raise ExternalServiceError(f"the data directory lost bytes of {self._session.name}")

    def _put(self, piece: Piece, offset: int) -> None:  # noqa: ARG002 - frames know their place
        try:
            for check in self._checks:
                check.update(piece)
            rest = memoryview(piece)
            if self._rest:
                count = min(FRAME_BYTES - len(self._rest), len(rest))
                self._rest += rest[:count]
                rest = rest[count:]
                if len(self._rest) == FRAME_BYTES:
                    self._seal(memoryview(bytes(self._rest)))
                    self._rest.clear()
            whole = len(rest) // FRAME_BYTES * FRAME_BYTES
            if whole:
                self._seal(rest[:whole])
            self._rest += rest[whole:]
        except BaseException:
            self._failed = True
            raise

    def _put_rest(self) -> None:
        rest = memoryview(bytes(self._rest))
        end = self._frame * FRAME_BYTES + len(rest)
        if self._session.order is Order.CHUNKED or end == self._session.size_bytes:
            self._seal(rest)
            self._rest.clear()
            return
        assert self._cipher is not None
        name = self._tails.write(self._session.session_id, self._cipher.seal(self._frame, rest))
        self._replace_tail(name)
        self._count(rest)
        self._known = len(rest)

    def _seal(self, plain: memoryview) -> None:
        """Write frames to their place, the last of which may be the file's last."""
        assert self._cipher is not None
        if self._takes_room:
            require_room(self._descriptor, sealed_size(len(plain)))
        sealed = memoryview(self._cipher.seal(self._frame, plain))
        offset = self._frame * SEALED_FRAME_BYTES
        while sealed:
            written = os.pwrite(self._descriptor, sealed, offset)
            sealed, offset = sealed[written:], offset + written
        self._count(plain)
        self._known = 0
        self._frame += -(-len(plain) // FRAME_BYTES)
        self._replace_tail(None)

    def _count(self, plain: memoryview) -> None:
        fresh = plain[self._known :]
        self._crc64nvme = crc64nvme(fresh, self._crc64nvme)
        self._crc32 = crc32(fresh, self._crc32)
        self._written += len(fresh)

    def _replace_tail(self, name: str | None) -> None:
        if self._tail is not None:
            self._outdated.append(self._tail)
        self._tail = name

    async def aclose(self) -> None:
        """See `Writer`."""
        with suppress(LockLost):
            await super().aclose()
