"""What a store is: a few methods everybody has, and abilities of their own.

A key is a `/`-separated path without a leading slash, relative to the store's root.
`Store` is the least; each further ability is a Protocol of its own, and what the
commands offer is derived from which of them a store has (`isinstance` works on all).
Concrete stores hold no retry loop, no throttle and no journal: wrappers and callers do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

Buffer = bytes | bytearray | memoryview
"""Bytes that can be sent more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """What the store takes, in bytes; the defaults are Amazon S3's.

    `contiguous_parts` is true when parts are written at their offset, so that after an
    interruption only parts without a gap before them can be kept. `wants_md5` is false where
    parts are told apart by their CRC-64/NVME alone: MD5 costs more than everything else.
    `in_order`: each part is put behind all before it, so `put_part` waits for these, and what was
    put stays: other bytes at a place that is taken raise NoSuchUpload.
    """

    min_part_bytes: int = 5 << 20
    max_part_bytes: int = 5 << 30
    max_parts: int = 10_000
    max_object_bytes: int = 5 << 40
    contiguous_parts: bool = False
    wants_md5: bool = True
    in_order: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreChecks:
    """Which checks the endpoint was seen to make, found out once (`probe`).

    `crc64nvme`: it refuses a part whose CRC-64/NVME is wrong and shows the whole
    object's. `etag_is_md5`: ETags are MD5 (of MD5s). `if_none_match`: it refuses to
    overwrite when asked to. `tags`: it keeps an object's tags.
    """

    crc64nvme: bool
    etag_is_md5: bool
    if_none_match: bool
    tags: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectOptions:
    """How a new object is stored. `tags` are for stores that keep them (`StoreChecks`)."""

    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    sse: str | None = None
    sse_kms_key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """What the store says of an object. `etag` is bare (no quotes), `crc64nvme` 16 hex
    digits of the whole object, or None when the store does not show it.
    `restore` is S3's x-amz-restore header as it came (None when absent)."""

    key: str
    size_bytes: int
    etag: str | None = None
    crc64nvme: str | None = None
    modified_at: datetime | None = None
    storage_class: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    restore: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part to be stored: its bytes in order, and what they hash to.

    `offset` is where it starts in the finished object (S3 does not need it). `md5` may be ""
    where the store's limits say that it is not wanted.
    The buffers are sent as they are, once per attempt; nobody may change them meanwhile.
    """

    number: int
    offset: int
    buffers: Sequence[Buffer]
    size_bytes: int
    md5: str
    crc64nvme: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReceipt:
    """A part the store has. `etag` is bare; `crc64nvme` None when the store keeps none."""

    number: int
    size_bytes: int
    etag: str
    crc64nvme: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: datetime | None = None


Advance = Callable[[int], None]
"""Called with the number of bytes just handed over; negative when an attempt is redone."""


def no_advance(count: int) -> None:
    """The Advance of a caller that does not watch."""


@runtime_checkable
class Store(Protocol):
    """Bytes by key. All methods raise `errors.StoreError` kinds, never a library's own."""

    url: str
    """`s3://bucket`, `file:///path`: where keys are relative to."""
    scheme: str
    """`s3` or `file`: the `location` of file records that rest here."""
    bucket: str | None
    limits: StoreLimits

    async def head(self, key: str) -> ObjectInfo:
        """Return what is known of `key`; raises NoSuchObject."""
        ...

    def get(
        self, key: str, *, start: int = 0, end: int | None = None, if_match: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open bytes `start` up to but not including `end` of `key` as pieces of at most
        1 MiB. Raises NoSuchObject; ObjectChanged when `if_match` is not its ETag."""
        ...

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        options: ObjectOptions | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Store a small object whole; raises ObjectExists when told not to overwrite."""
        ...

    async def delete(self, key: str) -> None:
        """Delete `key`; no error when it is not there."""
        ...

    async def aclose(self) -> None:
        """Give back connections and handles."""
        ...


@runtime_checkable
class MultipartStore(Store, Protocol):
    """Objects built from parts that may arrive in any order and from several processes."""

    async def start_upload(self, key: str, options: ObjectOptions) -> str:
        """Open an upload and return its id."""
        ...

    async def put_part(
        self, key: str, upload_id: str, part: Part, *, advance: Advance = no_advance
    ) -> PartReceipt:
        """Store one part; durable when this returns. Raises BadDigest when what arrived is
        not what `part` says, NoSuchUpload when the upload is gone. Never counts `advance`
        further than the part's size on success."""
        ...

    async def list_parts(
        self, key: str, upload_id: str, *, sent: Sequence[PartReceipt] = ()
    ) -> list[PartReceipt]:
        """Return every part stored so far, by number; raises NoSuchUpload.

        `sent`: what the caller sent, for stores that keep bytes and no parts, and hold what they
        have against it. Others know by themselves.
        """
        ...

    async def complete_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[PartReceipt],
        *,
        crc64nvme: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """Make the object visible from `parts`. Raises ObjectExists when the key is taken
        and may not be overwritten, NoSuchUpload when the upload is gone (perhaps because
        an earlier call completed it: ask `head`)."""
        ...

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Forget the upload and its parts; no error when it is gone already."""
        ...


@runtime_checkable
class StreamingStore(MultipartStore, Protocol):
    """Stores that take a part while its bytes are still on their way."""

    async def stream_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        size_bytes: int,
        pieces: AsyncIterator[bytes],
        crc64nvme: Callable[[], str],
    ) -> PartReceipt:
        """Store a part of `size_bytes` from `pieces`; durable when this returns.

        `crc64nvme` is asked for the checksum, 16 hex digits, when all pieces were taken. The part
        can't be sent a second time, so nothing is tried again. Raises like `put_part`.
        """
        ...


@runtime_checkable
class CopyingStore(MultipartStore, Protocol):
    """Stores that make parts of what they have already."""

    async def copy_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        source_key: str,
        start: int,
        end: int,
        *,
        if_match: str | None = None,
    ) -> PartReceipt:
        """Store bytes `start` up to but not including `end` of `source_key` as a part.

        Raises NoSuchUpload, NoSuchObject when there is no such source, ObjectChanged when
        `if_match` is not its ETag, RequestRejected when the endpoint can't copy.
        """
        ...


@runtime_checkable
class ListingStore(Protocol):
    """Stores that can say what they hold."""

    def list_objects(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield the objects whose key starts with `prefix`, in key order."""
        ...

    def list_uploads(self, prefix: str = "") -> AsyncIterator[OpenUpload]:
        """Yield the open multipart uploads below `prefix`."""
        ...


@runtime_checkable
class SigningStore(Protocol):
    """Stores that can hand out links."""

    def sign_get(
        self, key: str, *, expires_s: int, answer_with: Mapping[str, str] | None = None
    ) -> str:
        """Return a URL by which anybody can read `key` for `expires_s` seconds.

        `answer_with` are headers, of those that S3 lets a link choose, that the answer will have:
        Content-Type, Content-Disposition, Content-Language, Content-Encoding, Cache-Control,
        Expires.
        """
        ...


@runtime_checkable
class SharingStore(Protocol):
    """Stores that remember the links they hand out, and keep what is deleted for a time."""

    async def share(self, key: str, *, until: datetime) -> str:
        """Return a URL by which anybody can read `key` up to a moment; raises NoSuchObject."""
        ...

    async def delete_for_good(self, key: str) -> None:
        """Delete `key` so that it can't be taken back, and its folder when nothing else is there;
        no error when it is not there."""
        ...


@runtime_checkable
class ProbedStore(Protocol):
    """Stores whose abilities differ by endpoint and are found out by trying."""

    async def probe(self, prefix: str = "") -> StoreChecks:
        """Try a wrong checksum and a conditional write on a small object under `prefix`,
        and leave nothing behind."""
        ...


@runtime_checkable
class ArchiveClassStore(Protocol):
    """Stores with cold classes that must be thawed before reading (S3 Glacier)."""

    async def request_restore(self, key: str, *, days: int = 7, tier: str = "Standard") -> None:
        """Ask for a readable copy of `key` for `days` days."""
        ...


@runtime_checkable
class LocalFileStore(Protocol):
    """Stores whose objects are files on this machine, readable without copying."""

    def local_path(self, key: str) -> str:
        """Return the path of the file that holds `key`; it may not exist."""
        ...
