"""What the session engine asks of the place where the bytes of uploads lie.

There are two drivers: `LocalStage` and `S3Stage`. Both write a run of bytes at an offset and say
what is safe; what is acknowledged is decided by the catalog alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from haulier.core.checksums import RunningChecksum
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import Settled, UploadSession, WholeFile

Piece = bytes | bytearray | memoryview


class Writer(Protocol):
    """Writes one run of bytes.

    A piece has to stay as it is until the second `write` after its own has returned, or `settle`.
    All methods raise StorageFull, ExternalServiceError when the place fails.
    """

    @property
    def taken_bytes(self) -> int:
        """How many bytes were given to it."""
        ...

    async def write(self, piece: Piece) -> None:
        """Take `piece`; raises also what the one before it met."""
        ...

    async def checkpoint(self) -> Settled:
        """Return what became safe since it was last asked, which may be less than was taken."""
        ...

    async def settle(self) -> Settled:
        """Make everything that was taken safe, and return what became so since last asked."""
        ...

    async def published(self) -> None:
        """What was returned last is in the catalog: give up what it replaced."""
        ...

    async def aclose(self) -> None:
        """Wait for a write that runs; nothing more is written after it."""
        ...


class Stage(Protocol):
    """Bytes of uploads on their way in, and of whole files by their id."""

    def plan(self, session: UploadSession) -> UploadSession:
        """Return a new session as it is to be recorded before `reserve`.

        Its chunk size is what the client would like, or 0; the one returned suits the place.

        Raises:
            FileSizeError: the file is larger than can be kept here.
        """
        ...

    async def reserve(self, session: UploadSession) -> UploadSession:
        """Make room for a session whose row is committed; return it with what to remember.

        Raises:
            StorageFull: there is no room for it.
        """
        ...

    def writer(
        self, session: UploadSession, span: Span, checks: tuple[RunningChecksum, ...] = ()
    ) -> Writer:
        """Return what writes the bytes of `span`; `checks` are fed with the same bytes.

        Of a sequential session only the span's offset counts.
        """
        ...

    async def join(self, session: UploadSession, parts: Sequence[UploadSession]) -> UploadSession:
        """Make the bytes of other sessions, which are whole, those of this one, in this order.

        May be done twice, also after a crash. Returns the session with what to remember.

        Raises:
            SessionGone: bytes of one of them are not there.
            StorageFull: there is no room for them.
        """
        ...

    async def finish(self, session: UploadSession, whole: WholeFile) -> None:
        """Make the session's bytes the file `session.file_id`; may be done twice.

        Raises:
            SessionGone: nothing of it is there any more, nor will be.
            ExternalServiceError: what was acknowledged is not all there.
        """
        ...

    async def discard(self, session_id: str, file_id: str | None = None) -> None:
        """Remove unfinished bytes of a session that would be the file `file_id`.

        Nothing happens when there are none.
        """
        ...

    async def session_ids(self) -> list[str]:
        """Return the sessions of which unfinished bytes lie here."""
        ...

    def read(
        self, file_id: str, span: Span
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes | bytearray]]:
        """Open bytes of a whole file as pieces of bounded size.

        Raises:
            ExternalServiceError: they are not there.
        """
        ...

    def path_of(self, file_id: str) -> Path | None:
        """Return where a whole file lies on this machine, or None when it does not."""
        ...

    async def delete(self, file_id: str) -> None:
        """Remove a whole file; nothing happens when there is none."""
        ...

    async def aclose(self) -> None:
        """Wait for writes that run, and give back connections."""
        ...


@runtime_checkable
class RemoteStage(Stage, Protocol):
    """A stage that lies elsewhere, and may not answer."""

    async def check(self) -> None:
        """Make sure that it answers, at the price of one small request.

        Raises:
            StoreError: it does not.
        """
        ...


@runtime_checkable
class LinkingStage(Stage, Protocol):
    """A stage from which clients can fetch files by themselves."""

    async def link_to(self, file_id: str, *, answer_with: Mapping[str, str], expires_s: int) -> str:
        """Return a URL of a whole file that is good for `expires_s` seconds.

        `answer_with` are headers that the answer there has; see `SigningStore`.
        """
        ...


@runtime_checkable
class OpeningStage(Stage, Protocol):
    """A stage whose whole files are files of this machine."""

    def open(self, file_id: str) -> AbstractContextManager[int | None]:
        """Open a whole file for reading; gives its descriptor, or None where it is packed.

        Raises:
            ExternalServiceError: it is not there.
        """
        ...

    def paths_of(self, file_id: str) -> list[Path]:
        """Return the files that hold a whole file, as it is or packed."""
        ...


@runtime_checkable
class PackingStage(Stage, Protocol):
    """A stage that can keep whole files packed; they are read as before.

    Between `pack` and `remove_plain` time has to pass for who was given a path before.
    """

    async def pack(self, file_id: str, size_bytes: int, crc64nvme: int) -> int | None:
        """Write a whole file packed beside itself; may be done twice.

        Returns:
            How large it is packed; None when so little would be saved that nothing was done.

        Raises:
            VerificationFailed: what lies there is not what was stored.
            StorageFull: there is no room for both.
            ExternalServiceError: it is not there.
        """
        ...

    async def remove_plain(self, file_id: str) -> None:
        """Leave only the packed one of a file that was packed; may be done twice."""
        ...
