"""A stream on its way to a server that speaks tus 1.0: what can't be read a second time.

A chunk of it is held until the server has it, so that a broken connection costs nothing; what the
server has is not sent again. A process that is killed leaves nothing to go on with.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from haulier import errors
from haulier.core.checksums import RunningChecksum, crc64nvme
from haulier.net.tus import TusClient, TusOffer, pieces_of
from haulier.transfer.persistence import Persistence
from haulier.transfer.tus_upload import CHUNK_BYTES, Pace, Uploaded, algorithm_of, offer_of

T = TypeVar("T")

_AGAIN_HINT = "What was a stream can't be read again: upload it anew."


class TusStream:
    """One stream on its way.

    Args:
        client: speaks to the server.
        name: what the file is called, in the metadata and in errors.
        metadata: more that is told of it.
        size_bytes: of the whole, where it is known before.
        pace: awaited before bytes are sent, as `Throttle.take`.
        chunk_bytes: of one request, which are held.
        persistence: how often is tried again.
    """

    def __init__(
        self,
        client: TusClient,
        *,
        name: str,
        metadata: Mapping[str, str] | None = None,
        size_bytes: int | None = None,
        pace: Pace | None = None,
        chunk_bytes: int = CHUNK_BYTES,
        persistence: Persistence | None = None,
    ) -> None:
        self._client = client
        self._name = name
        self._metadata = {"filename": name, **(metadata or {})}
        self._size = size_bytes
        self._pace = pace
        self._chunk_bytes = chunk_bytes
        self._persistence = persistence or Persistence()
        self._url = ""
        self._known: int | None = 0  # where the upload stands; None: it is asked

    async def run(self, pieces: AsyncIterable[bytes]) -> Uploaded:
        """Send everything that `pieces` yields, and return where the file is.

        Raises:
            SourceChanged: there is more or less of it than was said.
            NoSuchUpload: the server has given the upload up.
            Others: as `TusUpload.run`; and whatever `pieces` raises.
        """
        offer = await self._try(
            partial(offer_of, self._client, name=self._name, size_bytes=self._size)
        )
        self._url = await self._try(
            partial(self._client.create, size_bytes=self._size, metadata=self._metadata)
        )
        end = crc = 0
        async for chunk in _chunks(pieces, self._chunk_bytes):
            self._check(end + len(chunk), at_end=False)
            await self._try(partial(self._deliver, end, chunk, offer))
            end, crc = end + len(chunk), crc64nvme(chunk, crc)
        self._check(end, at_end=True)
        if self._size is None:
            await self._try(partial(self._finish, end))
        return Uploaded(url=self._url, size_bytes=end, crc64nvme=f"{crc:016x}")

    async def _deliver(self, start: int, chunk: bytes, offer: TusOffer) -> None:
        end = start + len(chunk)
        if self._known is None:
            self._known = (await self._client.state(self._url)).offset
        if not start <= self._known <= end:
            raise errors.RequestRejected(
                f"{self._name}: the upload stands at {self._known}, which was not sent",
                hint=_AGAIN_HINT,
            )
        at, self._known = self._known, None
        if at < end:
            rest = memoryview(chunk)[at - start :]
            checksum = _checksum_of(rest, algorithm_of(offer))
            body = pieces_of([rest], lambda _: None, self._pace)
            at = await self._client.append(self._url, at, body, len(rest), checksum=checksum)
        self._known = at
        if at < end:
            raise errors.ServiceFault(f"{self._name}: the server took a part of what was sent")

    async def _finish(self, size_bytes: int) -> None:
        """Tell the size, which was not known before."""
        if self._known is None and (await self._client.state(self._url)).is_complete:
            return
        self._known = None
        await self._client.append(self._url, size_bytes, [], 0, size_bytes=size_bytes)

    async def _try(self, work: Callable[[], Awaitable[T]]) -> T:
        async def attempt() -> T:
            try:
                return await work()
            except (errors.SessionConflict, errors.BadDigest) as exc:
                raise errors.ServiceFault(f"{self._name}: {exc.message}") from exc
            except errors.NoSuchUpload as exc:
                raise errors.NoSuchUpload(exc.message, hint=_AGAIN_HINT) from exc

        return await self._persistence.run(attempt, progress=lambda: self._known or 0)

    def _check(self, size_bytes: int, *, at_end: bool) -> None:
        wanted = self._size
        if wanted is not None and (size_bytes > wanted or (at_end and size_bytes < wanted)):
            raise errors.SourceChanged(
                f"{self._name} was said to have {wanted} bytes; it has "
                + (f"{size_bytes}" if at_end else "more"),
                hint="Say its right size, or none.",
            )


async def _chunks(pieces: AsyncIterable[bytes], chunk_bytes: int) -> AsyncIterator[bytes]:
    """Yield the same bytes in chunks of one size, the last one shorter."""
    held = bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= chunk_bytes:
            yield bytes(held[:chunk_bytes])
            del held[:chunk_bytes]
    if held:
        yield bytes(held)


def _checksum_of(data: memoryview, algorithm: str | None) -> str | None:
    if algorithm is None:
        return None
    checksum = RunningChecksum(algorithm)
    checksum.update(data)
    return str(checksum)
