"""A directory as a store: the embedded default. What is stored are plain files."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TypeVar

from awscrt import checksums

from haulier import errors
from haulier.net.threads import in_thread
from haulier.store.base import (
    Advance,
    ObjectInfo,
    ObjectOptions,
    OpenUpload,
    Part,
    PartReceipt,
    StoreLimits,
    no_advance,
)
from haulier.store.local_files import (
    await_from_thread,
    make_directories,
    sync_directory,
    system_errors,
)
from haulier.store.local_objects import RESERVED, LocalObjects
from haulier.store.local_uploads import Finished, LocalUpload

T = TypeVar("T")

GET_PIECE_BYTES = 1 << 20
_LIST_BATCH = 256


class LocalStore:
    """The files below `root`, which is made with the first object.

    Parts are written at their offset into one file that is renamed when the object is
    complete, so completing costs the same for any size. Several processes may use one
    directory. Besides what `base` names, methods raise UnsafePath for keys that can't be
    names of files here, StorageFull, AccessDenied, and RequestRejected for other refusals
    of the system. Every file operation runs in a thread.
    """

    scheme = "file"
    bucket: str | None = None
    limits = StoreLimits(
        min_part_bytes=1,
        max_part_bytes=1 << 40,
        max_parts=1_000_000,
        max_object_bytes=(1 << 63) - 1,
        contiguous_parts=True,
        wants_md5=False,
    )

    def __init__(self, root: str | Path) -> None:
        self.root = Path(os.path.abspath(root))
        self.url = self.root.as_uri()
        self._objects = LocalObjects(self.root)
        self._uploads = self.root / RESERVED / "uploads"

    async def aclose(self) -> None:
        """Nothing is held open between calls."""

    def local_path(self, key: str) -> str:
        """Return the path of the file that holds `key`; it may not exist."""
        return str(self._objects.path(key))

    async def head(self, key: str) -> ObjectInfo:
        """Return what is known of `key`; raises NoSuchObject.

        ETag, CRC, type and metadata are unknown when the file was not written by a store,
        or was changed since.
        """
        return await self._run(key, lambda _: self._objects.head(key))

    @asynccontextmanager
    async def get(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open bytes of `key` as pieces of at most 1 MiB; past its end there are none.

        Raises NoSuchObject, ObjectChanged when `if_match` is not its ETag or the file
        shrinks while it is read.
        """
        if if_match is not None:
            info = await self.head(key)
            if info.etag != if_match:
                raise errors.ObjectChanged(f"{self.url}/{key} is not the object it was")
        with system_errors(f"{self.url}/{key}"):
            opening = self._objects.open(key)
            descriptor = await asyncio.to_thread(opening.__enter__)
        try:
            size_bytes = os.fstat(descriptor).st_size
            stop = size_bytes if end is None else min(end, size_bytes)
            yield self._pieces(descriptor, key, start, stop)
        finally:
            opening.__exit__(None, None, None)

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        options: ObjectOptions | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Store a small object whole; raises ObjectExists when told not to overwrite.

        It goes the way of an upload of one part, so a crash leaves an upload that
        `list_uploads` shows, and never half an object.
        """
        options = options or ObjectOptions()
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        part = Part(
            number=1,
            offset=0,
            buffers=[body],
            size_bytes=len(body),
            md5=md5,
            crc64nvme=f"{checksums.crc64nvme(body):016x}",
        )

        def work(stop: Event) -> ObjectInfo:
            upload = self._create(key, options)
            try:
                receipt = upload.write_part(part, no_advance, stop)
                return self._publish(upload, [receipt], etag=md5, replace=not if_none_match)
            finally:
                upload.remove()

        return await self._run(key, work)

    async def delete(self, key: str) -> None:
        """Delete `key` and the directories that are empty then; no error when it is not there."""
        await self._run(key, lambda _: self._objects.delete(key))

    async def start_upload(self, key: str, options: ObjectOptions) -> str:
        """Open an upload and return its id."""
        return await self._run(key, lambda _: self._create(key, options).upload_id)

    async def put_part(
        self,
        key: str,
        upload_id: str,
        part: Part,
        *,
        advance: Advance = no_advance,
        pace: Callable[[int], Awaitable[None]] | None = None,
    ) -> PartReceipt:
        """Write one part to its offset; on the disk when this returns.

        Parts written earlier that overlap it are forgotten. `pace` is awaited before each piece
        that is written. Raises BadDigest when the bytes don't have the CRC-64/NVME that `part`
        says (its MD5 is taken on trust), NoSuchUpload when the upload is gone.
        """
        loop = asyncio.get_running_loop()

        def work(stop: Event) -> PartReceipt:
            upload = LocalUpload.find(self._uploads, key, upload_id)
            return upload.write_part(
                part,
                lambda count: _ignore(loop.call_soon_threadsafe(advance, count)),
                stop,
                None if pace is None else partial(await_from_thread, loop, pace, stop),
            )

        return await self._run(key, work)

    async def list_parts(
        self,
        key: str,
        upload_id: str,
        *,
        sent: Sequence[PartReceipt] = (),  # noqa: ARG002 - what is there is known here
    ) -> list[PartReceipt]:
        """Return every part stored so far, by number; raises NoSuchUpload."""

        def work(_: Event) -> list[PartReceipt]:
            upload = LocalUpload.find(self._uploads, key, upload_id)
            return [part.receipt for part in upload.stored_parts()]

        return await self._run(key, work)

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[PartReceipt],
        *,
        crc64nvme: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Make the object visible from `parts`, which must follow each other without a gap.

        Raises ObjectExists when the key is taken and may not be overwritten, BadDigest when
        `crc64nvme` is not the CRC of the whole, RequestRejected when parts are missing or
        others than the stored ones, NoSuchUpload when the upload is gone.
        """

        def work(_: Event) -> ObjectInfo:
            upload = LocalUpload.find(self._uploads, key, upload_id)
            return self._publish(upload, parts, crc64nvme=crc64nvme, replace=not if_none_match)

        return await self._run(key, work)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Forget the upload and its parts; no error when it is gone already."""

        def work(_: Event) -> None:
            LocalUpload.end(self._uploads, upload_id)

        await self._run(key, work)

    async def list_objects(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, in key order.

        Links, and files whose names are not Unicode, are no objects.
        """
        async for info in self._batched(self._objects.walk(prefix)):
            yield info

    async def list_uploads(self, prefix: str = "") -> AsyncIterator[OpenUpload]:
        """Yield the open uploads below `prefix`."""
        found = (upload.describe() for upload in LocalUpload.all_open(self._uploads))
        async for upload in self._batched(found):
            if upload.key.startswith(prefix):
                yield upload

    async def _run(self, key: str, work: Callable[[Event], T]) -> T:
        with system_errors(f"{self.url}/{key}"):
            return await in_thread(work)

    async def _batched(self, found: Iterator[T]) -> AsyncIterator[T]:
        while batch := await self._run("", lambda _: list(islice(found, _LIST_BATCH))):
            for item in batch:
                yield item

    async def _pieces(
        self, descriptor: int, key: str, start: int, end: int
    ) -> AsyncIterator[bytes]:
        while start < end:
            count = min(GET_PIECE_BYTES, end - start)
            with system_errors(f"{self.url}/{key}"):
                piece = await asyncio.to_thread(os.pread, descriptor, count, start)
            if not piece:
                raise errors.ObjectChanged(f"{self.url}/{key} shrank while it was read")
            start += len(piece)
            yield piece

    def _create(self, key: str, options: ObjectOptions) -> LocalUpload:
        self._objects.path(key)
        if not self._uploads.is_dir():
            self.root.mkdir(parents=True, exist_ok=True)
            (self.root / RESERVED).mkdir(mode=0o700, exist_ok=True)
            make_directories(self._uploads, self.root)
            sync_directory(self.root)
        return LocalUpload.create(self._uploads, key, options)

    def _publish(
        self,
        upload: LocalUpload,
        parts: Sequence[PartReceipt],
        *,
        replace: bool,
        etag: str | None = None,
        crc64nvme: str | None = None,
    ) -> ObjectInfo:
        options, key = upload.options, upload.key

        def place(data: Path, finished: Finished) -> ObjectInfo:
            if crc64nvme not in {None, finished.crc64nvme}:
                raise errors.BadDigest(
                    f"{key}: CRC-64/NVME of the parts is {finished.crc64nvme}, not {crc64nvme}"
                )
            if etag is not None:
                finished = Finished(finished.size_bytes, etag, finished.crc64nvme)
            return self._objects.place(key, data, finished, options, replace=replace)

        return upload.publish(parts, place)


def _ignore(_: object) -> None:
    """Drop a handle that nobody will cancel."""
