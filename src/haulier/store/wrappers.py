"""What surrounds a store: retry and throttle. Each wraps any store; whatever is not wrapped is
the inner store's own method, so that its abilities stay visible."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

from haulier.errors import Transient
from haulier.net.retry import retrying
from haulier.net.throttle import Throttle
from haulier.store.base import (
    Advance,
    Buffer,
    MultipartStore,
    ObjectInfo,
    ObjectOptions,
    Part,
    PartReceipt,
    no_advance,
)

T = TypeVar("T")

_GET_ATTEMPTS = 6
_ABILITIES = (
    "list_objects", "list_uploads", "sign_get", "probe", "request_restore", "local_path",
    "stream_part", "copy_part", "share", "delete_for_good",
)  # fmt: skip

Pace = Callable[[int], Awaitable[None]]
"""Awaited with the number of bytes about to be moved."""


class PacedStore(MultipartStore, Protocol):
    """A store that awaits `pace` before each piece of a part it sends."""

    async def put_part(
        self,
        key: str,
        upload_id: str,
        part: Part,
        *,
        advance: Advance = no_advance,
        pace: Pace | None = None,
    ) -> PartReceipt: ...


class _Wrapper:
    """A store around a store."""

    url: str
    scheme: str
    bucket: str | None
    limits: Any
    _withheld: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, inner: MultipartStore) -> None:
        self._inner = cast("PacedStore", inner)  # every store here takes a pace
        self.url, self.scheme = inner.url, inner.scheme
        self.bucket, self.limits = inner.bucket, inner.limits
        # From Python 3.12 on `isinstance` of a Protocol does not see what __getattr__ gives.
        for name in _ABILITIES:
            if name not in self._withheld and hasattr(inner, name):
                setattr(self, name, getattr(inner, name))

    def __getattr__(self, name: str) -> Any:
        if name in self._withheld or name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    if TYPE_CHECKING:  # passed on by __getattr__
        head: Callable[..., Any]
        delete: Callable[..., Any]
        aclose: Callable[..., Any]
        start_upload: Callable[..., Any]
        list_parts: Callable[..., Any]
        complete_upload: Callable[..., Any]
        abort_upload: Callable[..., Any]


class Retrying(_Wrapper):
    """Tries again what failed for a passing reason, with growing waits.

    Args:
        inner: the store.
        attempts: how often a call is made at most. A download has as many for every piece.
    """

    def __init__(self, inner: MultipartStore, *, attempts: int = _GET_ATTEMPTS) -> None:
        super().__init__(inner)
        self._attempts = attempts

    async def head(self, key: str) -> ObjectInfo:
        return await self._try(lambda: self._inner.head(key))

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        options: ObjectOptions | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        return await self._try(
            lambda: self._inner.put(key, body, options=options, if_none_match=if_none_match)
        )

    async def delete(self, key: str) -> None:
        await self._try(lambda: self._inner.delete(key))

    async def start_upload(self, key: str, options: ObjectOptions) -> str:
        return await self._try(lambda: self._inner.start_upload(key, options))

    async def list_parts(
        self, key: str, upload_id: str, *, sent: Sequence[PartReceipt] = ()
    ) -> list[PartReceipt]:
        return await self._try(lambda: self._inner.list_parts(key, upload_id, sent=sent))

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await self._try(lambda: self._inner.abort_upload(key, upload_id))

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[PartReceipt],
        *,
        crc64nvme: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        return await self._try(
            lambda: self._inner.complete_upload(
                key, upload_id, parts, crc64nvme=crc64nvme, if_none_match=if_none_match
            )
        )

    async def put_part(
        self,
        key: str,
        upload_id: str,
        part: Part,
        *,
        advance: Advance = no_advance,
        pace: Pace | None = None,
    ) -> PartReceipt:
        async def attempt() -> PartReceipt:
            counted = 0

            def count(delta: int) -> None:
                nonlocal counted
                counted += delta
                advance(delta)

            try:
                return await self._inner.put_part(key, upload_id, part, advance=count, pace=pace)
            except BaseException:
                advance(-counted)
                raise

        return await self._try(attempt)

    @asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open like the inner store, going on where a broken stream stopped."""
        yield self._pieces(key, start, end, if_match or (await self.head(key)).etag)

    async def _pieces(
        self, key: str, start: int, end: int | None, if_match: str | None
    ) -> AsyncIterator[bytes]:
        failures = 0
        while True:
            try:
                async with self._inner.get(key, start=start, end=end, if_match=if_match) as pieces:
                    async for piece in pieces:
                        start += len(piece)
                        failures = 0
                        yield piece
                return
            except Transient:
                failures += 1
                if failures >= self._attempts or (end is not None and start >= end):
                    raise

    async def _try(self, work: Callable[[], Awaitable[T]]) -> T:
        return await retrying(work, attempts=self._attempts)


class Throttled(_Wrapper):
    """Sends and fetches no faster than a throttle allows.

    Bytes move in pieces small enough that progress never stands still. The path of a local
    store's file is not told, nor parts streamed: these would be ways around the throttle.
    """

    _withheld = frozenset({"local_path", "stream_part"})

    def __init__(self, inner: MultipartStore, throttle: Throttle) -> None:
        super().__init__(inner)
        self._throttle = throttle

    async def put_part(
        self,
        key: str,
        upload_id: str,
        part: Part,
        *,
        advance: Advance = no_advance,
        pace: Pace | None = None,
    ) -> PartReceipt:
        async def take(count_bytes: int) -> None:
            await self._throttle.take(count_bytes)
            if pace is not None:
                await pace(count_bytes)

        pieces = list(_cut(part.buffers, self._throttle.piece_bytes))
        return await self._inner.put_part(
            key, upload_id, replace(part, buffers=pieces), advance=advance, pace=take
        )

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        options: ObjectOptions | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        await self._throttle.take(len(body))
        return await self._inner.put(key, body, options=options, if_none_match=if_none_match)

    @asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._inner.get(key, start=start, end=end, if_match=if_match) as pieces:
            yield self._slowly(pieces)

    async def _slowly(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            for small in _cut([piece], self._throttle.piece_bytes):
                await self._throttle.take(len(small))
                yield bytes(small)


def _cut(buffers: Sequence[Buffer], piece_bytes: int) -> Iterator[memoryview]:
    """Yield the same bytes in pieces of at most `piece_bytes`, without copying."""
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        for start in range(0, len(view), piece_bytes):
            yield view[start : start + piece_bytes]
