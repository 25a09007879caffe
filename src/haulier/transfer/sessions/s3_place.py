"""Where uploads lie in a bucket, and what its failures mean to whoever sends."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from haulier.core.checksums import Buffer
from haulier.core.sessions.session import Extent
from haulier.errors import ExternalServiceError, NoSuchUpload, SessionGone, StoreError
from haulier.store.base import (
    CopyingStore,
    ListingStore,
    ObjectOptions,
    Part,
    PartReceipt,
    SigningStore,
    StreamingStore,
)

_log = logging.getLogger("haulier.uploads")


class UploadStore(StreamingStore, CopyingStore, ListingStore, SigningStore, Protocol):
    """What uploads need of a bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A bucket and what keys begin with.

    A whole file is `files/ID`; what lies behind the last part of a session, `uploads/SESSION/…`.
    """

    store: UploadStore
    prefix: str = ""
    options: ObjectOptions = field(default_factory=ObjectOptions)

    def file_key(self, file_id: str) -> str:
        """Return the key of a whole file, and of the multipart upload that will be it."""
        return f"{self.prefix}files/{file_id}"

    def tails_key(self, session_id: str = "") -> str:
        """Return what the keys of a session's tails begin with, or those of all sessions."""
        tails = f"{self.prefix}uploads/"
        return f"{tails}{session_id}/" if session_id else tails

    async def put_tail(self, session_id: str, body: bytes) -> str:
        """Keep what is too little for a part; return its name."""
        name = secrets.token_hex(8)
        await self.store.put(self.tails_key(session_id) + name, body, options=self.options)
        return name

    async def read_tail(self, session_id: str, name: str) -> bytes:
        """Return what was kept under that name."""
        async with self.store.get(self.tails_key(session_id) + name) as pieces:
            return b"".join([piece async for piece in pieces])

    async def drop_tail(self, session_id: str, name: str) -> None:
        """Forget what was kept under that name; where that fails, a sweep does it later."""
        try:
            await self.store.delete(self.tails_key(session_id) + name)
        except StoreError as exc:
            _log.warning("a tail stays for the sweeper: %s", exc.message)

    async def put_part(
        self, file_id: str, upload_id: str, number: int, buffers: Sequence[Buffer], sums: Extent
    ) -> PartReceipt:
        """Store a part that lies in memory."""
        part = Part(
            number=number,
            offset=sums.span.offset,
            buffers=buffers,
            size_bytes=sums.span.length,
            md5=_md5(buffers) if self.store.limits.wants_md5 else "",
            crc64nvme=f"{sums.crc64nvme:016x}",
        )
        return await self.store.put_part(self.file_key(file_id), upload_id, part)


@contextmanager
def store_errors(name: str) -> Iterator[None]:
    """Turn what a bucket says into what the sender of `name` can do something about."""
    try:
        yield
    except NoSuchUpload as exc:
        raise SessionGone(f"the object store has given up the upload of {name}") from exc
    except StoreError as exc:
        _log.error("the object store failed: %s", exc.message)
        raise ExternalServiceError(f"the object store failed ({exc.code})") from exc


def _md5(buffers: Sequence[Buffer]) -> str:
    import hashlib

    digest = hashlib.md5(usedforsecurity=False)
    for one in buffers:
        digest.update(one)
    return digest.hexdigest()
