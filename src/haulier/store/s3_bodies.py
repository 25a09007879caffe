"""Bodies of requests to S3: parts that lie in memory, and parts that are still on their way."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

from haulier.errors import ServiceFault
from haulier.store.base import Advance, Buffer, no_advance
from haulier.store.s3_signing import UNSIGNED, UNSIGNED_WITH_TRAILER

PIECE_BYTES = 256 << 10
_CRC64NVME = "x-amz-checksum-crc64nvme"

Pace = Callable[[int], Awaitable[None]]
"""Awaited with the number of bytes about to be sent; how a throttle slows a body down."""


class BufferBody(Payload):
    """Buffers as a request body, sent piece by piece and again for each attempt."""

    payload = UNSIGNED

    def __init__(
        self,
        buffers: Sequence[Buffer],
        size_bytes: int,
        *,
        stall_s: float,
        advance: Advance = no_advance,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(buffers)
        self._size = size_bytes
        self._buffers = buffers
        self._advance = advance
        self._pace = pace
        self._stall_s = stall_s
        self._counted = 0
        self._is_sent = False

    @property
    def consumed(self) -> bool:
        # Keeps aiohttp from sending a body again on its own: whoever retries has to know.
        return self._is_sent

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return b"".join(self._buffers).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self,
        writer: AbstractStreamWriter,
        content_length: int | None,  # noqa: ARG002  # aiohttp's signature
    ) -> None:
        self._is_sent = True
        self._advance(-self._counted)
        self._counted = 0
        for piece in self._pieces():
            if self._pace is not None:
                await self._pace(len(piece))
            await _write(writer, piece, self._stall_s)
            self._counted += len(piece)
            self._advance(len(piece))

    def _pieces(self) -> Iterator[memoryview]:
        for buffer in self._buffers:
            view = memoryview(buffer).cast("B")
            for start in range(0, len(view), PIECE_BYTES):
                yield view[start : start + PIECE_BYTES]


class StreamBody(Payload):
    """Pieces as a request body, sent as they come, once.

    With `crc64nvme` the body goes in frames of which the last carries the checksum
    (`aws-chunked`), so that the store can compare it although it was not known at the start.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        size_bytes: int,
        *,
        crc64nvme: Callable[[], str] | None,
        wants_md5: bool,
        stall_s: float,
    ) -> None:
        super().__init__(pieces)
        self._pieces = pieces
        self._total = size_bytes
        self._crc64nvme = crc64nvme
        self._md5 = hashlib.md5(usedforsecurity=False) if wants_md5 else None
        self._stall_s = stall_s
        self._is_sent = False
        framed = crc64nvme is not None
        self.payload = UNSIGNED_WITH_TRAILER if framed else UNSIGNED
        self._size = size_bytes + (_frames_bytes(size_bytes) if framed else 0)
        self.framing: dict[str, str] = {}
        if framed:
            self.framing = {
                "Content-Encoding": "aws-chunked",
                "x-amz-trailer": _CRC64NVME,
                "x-amz-decoded-content-length": str(size_bytes),
            }

    @property
    def md5(self) -> str:
        """The MD5 of what was sent; empty when it is not taken."""
        return "" if self._md5 is None else self._md5.hexdigest()

    @property
    def consumed(self) -> bool:
        return self._is_sent

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - aiohttp's signature
        raise TypeError("a body that is on its way has no text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(
        self,
        writer: AbstractStreamWriter,
        content_length: int | None,  # noqa: ARG002  # aiohttp's signature
    ) -> None:
        if self._is_sent:
            raise ServiceFault("the store wanted a part a second time; it has to be sent anew")
        self._is_sent = True
        at = 0
        async for piece in self._pieces:
            if self._md5 is not None:
                await asyncio.to_thread(self._md5.update, piece)
            for frame in self._framed(piece, at):
                await _write(writer, frame, self._stall_s)
            at += len(piece)
        if self._crc64nvme is not None:
            await _write(writer, _trailer(self._crc64nvme()), self._stall_s)

    def _framed(self, piece: bytes, at: int) -> Iterator[bytes | memoryview]:
        """Yield `piece`, which begins at `at`, with the heads and ends of frames in it."""
        if self._crc64nvme is None:
            yield piece
            return
        rest = memoryview(piece)
        while rest:
            start = at - at % PIECE_BYTES
            end = min(start + PIECE_BYTES, self._total)
            if at == start:
                yield f"{end - start:x}\r\n".encode()
            count = min(len(rest), end - at)
            yield rest[:count]
            rest, at = rest[count:], at + count
            if at == end:
                yield b"\r\n"


def _frames_bytes(size_bytes: int) -> int:
    """Return how much longer a body of `size_bytes` gets by its frames."""
    whole, rest = divmod(size_bytes, PIECE_BYTES)
    lengths = whole * (len(f"{PIECE_BYTES:x}") + 4)
    if rest:
        lengths += len(f"{rest:x}") + 4
    return lengths + len(_trailer("0" * 16))


def _trailer(crc64nvme: str) -> bytes:
    encoded = base64.b64encode(bytes.fromhex(crc64nvme)).decode()
    return f"0\r\n{_CRC64NVME}:{encoded}\r\n\r\n".encode()


async def _write(writer: AbstractStreamWriter, piece: bytes | memoryview, stall_s: float) -> None:
    # aiohttp watches for stalls only while it reads.
    try:
        async with asyncio.timeout(stall_s):
            await writer.write(piece)
    except TimeoutError:
        _abort(writer)
        raise


def _abort(writer: AbstractStreamWriter) -> None:
    # Closing would wait until the far end has read what it does not read.
    transport = getattr(writer, "transport", None)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
