"""An upload session: what is known of a file on its way in, and the states it goes through.

    receiving ──► finishing ──► verifying ──► completed
        │          ▲  │             │
        │  joining ┘  │             │
        │     │       │             │
        └─────┴► failed, cancelled, expired ◄──┘

`finishing` lies between the decision that everything is there and the file at its place: a
session found in it after a crash is finished again, which may be done twice. `verifying` waits
for a job that hashes the file; it is not visible before. `joining` waits for a job that puts the
bytes of other sessions, its parts, one behind the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from haulier.core.checksums import combine_crc32, combine_crc64nvme
from haulier.core.sessions.chunks import ChunkGrid, ChunkSet, Span
from haulier.errors import ChunksMissing, FileSizeError, SessionConflict, SessionGone


class SessionStatus(StrEnum):
    """Where a session stands."""

    RECEIVING = "receiving"
    JOINING = "joining"
    FINISHING = "finishing"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Order(StrEnum):
    """How bytes come: as numbered chunks in any order, or one run behind the other."""

    CHUNKED = "chunked"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSession:
    """What is known of a session; changes make new ones.

    Args:
        session_id: 20 to 32 characters of 0-9 and a-z.
        owner_id: whose file it will be.
        name: the file's name, made safe.
        size_bytes: None while the client has not said it.
        chunk_size: of the grid, in bytes; what a sequential client sends may be any size.
        order: how bytes come.
        wanted_checksum: `algorithm:hex` that the whole must have, where the client named one.
        offset: of a sequential session: how many bytes are safe.
        crc64nvme: of a sequential session: of the bytes before `offset`.
        crc32: the same by another sum.
        details: what the protocol that began it needs again (tus metadata, for instance).
        upload_id: of the multipart upload that takes the bytes, where they go to S3.
        tail: of a sequential session in S3: the object with the bytes behind the last part.
    """

    session_id: str
    owner_id: str
    name: str
    size_bytes: int | None
    chunk_size: int
    order: Order
    created_at: datetime
    expires_at: datetime
    status: SessionStatus = SessionStatus.RECEIVING
    mime_type: str | None = None
    wanted_checksum: str | None = None
    folder: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    offset: int = 0
    crc64nvme: int = 0
    crc32: int = 0
    file_id: str | None = None
    error: str | None = None
    upload_id: str | None = None
    tail: str | None = None

    @property
    def grid(self) -> ChunkGrid:
        """How the file lies in chunks."""
        return ChunkGrid(self.size_bytes, self.chunk_size)

    @property
    def is_partial(self) -> bool:
        """Whether it is to be joined with others, and becomes no file by itself."""
        return "partial" in self.details

    @property
    def parts(self) -> tuple[str, ...]:
        """Of a session that joins others: their ids, in the order of their bytes."""
        return tuple(self.details.get("parts", "").split())

    @property
    def is_passed_on(self) -> bool:
        """Of a part: whether what was set aside for it was passed on to what it is joined to."""
        return "passed_on" in self.details

    @property
    def is_over(self) -> bool:
        """Whether it ended without a file."""
        return self.status in {
            SessionStatus.CANCELLED,
            SessionStatus.EXPIRED,
            SessionStatus.FAILED,
        }

    def check_open(self) -> None:
        """Make sure that bytes may still come.

        Raises:
            SessionGone: it was cancelled, expired or failed.
            SessionConflict: everything is there already.
        """
        if self.is_over:
            why = f": {self.error}" if self.error else ""
            raise SessionGone(f"the upload of {self.name} is {self.status}{why}")
        if self.status is not SessionStatus.RECEIVING:
            raise SessionConflict(f"the upload of {self.name} is complete already")

    def with_size(self, size_bytes: int, *, most_bytes: int | None = None) -> UploadSession:
        """Return the session with the size that its client told later.

        Raises:
            SessionConflict: another size was told before.
            FileSizeError: it is less than what arrived, or more than `most_bytes`.
        """
        if self.size_bytes is not None and self.size_bytes != size_bytes:
            raise SessionConflict(
                f"the upload of {self.name} has {self.size_bytes} bytes, not {size_bytes}"
            )
        if size_bytes < self.offset:
            raise FileSizeError(f"{self.offset} bytes of {self.name} arrived, so not {size_bytes}")
        if most_bytes is not None and size_bytes > most_bytes:
            raise FileSizeError(f"{self.name} has {size_bytes} bytes and {most_bytes} are allowed")
        return replace(self, size_bytes=size_bytes)

    def appended(self, extent: Extent, *, tail: str | None = None) -> UploadSession:
        """Return a sequential session after `extent` became safe at its offset, and its tail.

        Raises:
            SessionConflict: the extent begins elsewhere than at the offset.
            FileSizeError: it reaches beyond the size.
        """
        if extent.span.offset != self.offset:
            raise SessionConflict(
                f"the upload of {self.name} stands at {self.offset}, not at {extent.span.offset}"
            )
        if self.size_bytes is not None and extent.span.end > self.size_bytes:
            raise FileSizeError(f"{self.name} has {self.size_bytes} bytes; more were sent")
        length = extent.span.length
        return replace(
            self,
            offset=extent.span.end,
            crc64nvme=combine_crc64nvme(self.crc64nvme, extent.crc64nvme, length),
            crc32=combine_crc32(self.crc32, extent.crc32, length),
            tail=tail,
        )

    @property
    def is_whole(self) -> bool:
        """Whether a sequential session has all its bytes."""
        return self.size_bytes is not None and self.offset == self.size_bytes

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the sweeper may end it."""
        return self.status is SessionStatus.RECEIVING and now >= self.expires_at

    def touched(self, now: datetime, lifetime: timedelta) -> UploadSession:
        """Return the session with its life counted from `now`; it never gets shorter."""
        return replace(self, expires_at=max(self.expires_at, now + lifetime))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Bytes that are safe at their place in the file, and their sums.

    `etag` is the store's word for them, where they are a part of a multipart upload.
    """

    span: Span
    crc64nvme: int
    crc32: int
    etag: str | None = None

    def followed_by(self, other: Extent) -> Extent:
        """Return the extent of these bytes and those of `other`, which begin where they end."""
        length = other.span.length
        return Extent(
            span=Span(self.span.offset, self.span.length + length),
            crc64nvme=combine_crc64nvme(self.crc64nvme, other.crc64nvme, length),
            crc32=combine_crc32(self.crc32, other.crc32, length),
        )

    def is_same(self, other: Extent) -> bool:
        """Tell whether both stand for the same bytes at the same place."""
        return (self.span, self.crc64nvme, self.crc32) == (
            other.span,
            other.crc64nvme,
            other.crc32,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a writer made safe.

    Args:
        extent: the bytes that are safe now and were not before.
        parts: parts of a multipart upload that were stored for them, by number.
        tail: the object that holds what lies behind the last part.
    """

    extent: Extent
    parts: Mapping[int, Extent] = field(default_factory=dict)
    tail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeFile:
    """The sums of a file, joined from those of its chunks."""

    size_bytes: int
    crc64nvme: int
    crc32: int


def join_sums(parts: Sequence[UploadSession]) -> WholeFile:
    """Return the sums of the file that sequential sessions make, one behind the other."""
    size_bytes = crc64nvme = crc32 = 0
    for part in parts:
        crc64nvme = combine_crc64nvme(crc64nvme, part.crc64nvme, part.offset)
        crc32 = combine_crc32(crc32, part.crc32, part.offset)
        size_bytes += part.offset
    return WholeFile(size_bytes=size_bytes, crc64nvme=crc64nvme, crc32=crc32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """How much of a session in chunks is safe.

    Args:
        chunks: how many chunks.
        size_bytes: of these.
        missing: how many have not arrived; of a file whose size is not known, of those before the
            last that did.
    """

    chunks: int
    size_bytes: int
    missing: int


class ReceivedChunks:
    """The chunks of a session that are safe, by number."""

    def __init__(self, grid: ChunkGrid, extents: Mapping[int, Extent]) -> None:
        self._grid = grid
        self._extents = dict(extents)
        self.numbers = ChunkSet()
        for number in sorted(extents):
            self.numbers.add(number)

    def find(self, number: int) -> Extent | None:
        """Return the extent of chunk `number`, or None when it has not arrived."""
        return self._extents.get(number)

    @property
    def size_bytes(self) -> int:
        """How many bytes arrived."""
        return sum(one.span.length for one in self._extents.values())

    def missing(self) -> list[tuple[int, int]]:
        """Return what has not arrived, first and last of each run.

        Of a file whose size is not known: the holes before the last chunk that arrived.
        """
        total = self._grid.total
        if total is None:
            total = max(self._extents, default=0)
        return self.numbers.missing(total)

    def whole(self) -> WholeFile:
        """Join the chunks' sums to those of the file.

        Raises:
            ChunksMissing: not everything is there.
            SessionConflict: a short chunk lies before the last; possible only while the size
                was not known.
        """
        if missing := self.missing():
            count = sum(last - first + 1 for first, last in missing)
            raise ChunksMissing(f"{count} chunks have not arrived", missing=missing)
        crc64nvme = crc32 = end = 0
        for number in sorted(self._extents):
            one = self._extents[number]
            if one.span.offset != end:
                raise SessionConflict(f"chunk {number - 1} is short and not the last one")
            crc64nvme = combine_crc64nvme(crc64nvme, one.crc64nvme, one.span.length)
            crc32 = combine_crc32(crc32, one.crc32, one.span.length)
            end = one.span.end
        return WholeFile(size_bytes=end, crc64nvme=crc64nvme, crc32=crc32)
