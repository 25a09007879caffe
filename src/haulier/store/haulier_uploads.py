"""Uploads to a server that takes bytes in order: each part waits for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from haulier import errors
from haulier.core.checksums import combine_crc64nvme
from haulier.net.tus import TusClient, TusState
from haulier.store.base import Part


@dataclass(frozen=True, slots=True)
class _Place:
    """How far an upload came, and the CRC-64/NVME up to there."""

    offset: int
    crc64nvme: int

    def behind(self, part: Part) -> _Place:
        crc = combine_crc64nvme(self.crc64nvme, int(part.crc64nvme, 16), part.size_bytes)
        return _Place(self.offset + part.size_bytes, crc)


@dataclass(slots=True)
class _Course:
    """What this process knows of an upload: where it stands, and where it has stood, by offset."""

    turn: asyncio.Condition = field(default_factory=asyncio.Condition)
    stands: _Place | None = None
    passed: dict[int, _Place] = field(default_factory=dict)
    is_certain: bool = False

    def reached(self, place: _Place) -> None:
        self.stands = self.passed[place.offset] = place
        self.is_certain = True

    def has(self, part: Part) -> bool:
        """Tell whether `part` lies at its place; the answer to it may have been lost."""
        begun = self.passed.get(part.offset)
        if begun is None:
            return False
        ended = begun.behind(part)
        return self.passed.get(ended.offset) == ended


class UploadsInOrder:
    """Uploads of one server that this process sends to.

    Args:
        tus: speaks to it.
        endpoint: what the URL of an upload begins with, its id behind it.
    """

    def __init__(self, tus: TusClient, endpoint: str) -> None:
        self._tus = tus
        self._endpoint = endpoint
        self._courses: dict[str, _Course] = {}

    async def state(self, upload_id: str) -> TusState:
        """Ask how far an upload came; raises NoSuchUpload."""
        return await self._tus.state(self._endpoint + upload_id)

    async def append(
        self, upload_id: str, part: Part, body: Callable[[], AsyncIterator[memoryview]]
    ) -> None:
        """Send `part` when everything before it has arrived; nothing when it is there already.

        Raises:
            NoSuchUpload: the upload is gone, or other bytes are at the part's place.
            BadDigest: the part arrived as other bytes; none were kept.
            Transient: it may be tried again.
        """
        course = self._courses.setdefault(upload_id, _Course())
        async with course.turn:
            while (stands := await self._where(upload_id, course)).offset < part.offset:
                await course.turn.wait()
            if stands.offset > part.offset:
                if course.has(part):
                    return
                raise errors.NoSuchUpload(
                    f"other bytes were sent to the place of part {part.number} before"
                )
            try:
                await self._send(upload_id, course, stands, part, body)
            except BaseException:
                course.is_certain = False
                raise
            finally:
                course.turn.notify_all()

    async def complete(self, upload_id: str, size_bytes: int, *, only_new: bool) -> None:
        """Say that all `size_bytes` have been sent; harmless when it was said before.

        Raises:
            NoSuchUpload: the upload is gone.
            ObjectExists: with `only_new`, there is a file of its name; the upload is ended.
        """
        try:
            await self._tus.append(
                self._endpoint + upload_id, size_bytes, [], 0,
                size_bytes=size_bytes, only_new=only_new,
            )  # fmt: skip
        except errors.SessionConflict as exc:
            raise errors.ServiceFault(exc.message) from exc
        self._courses.pop(upload_id, None)

    async def abort(self, upload_id: str) -> None:
        """End an upload; no error when it is gone already."""
        self._courses.pop(upload_id, None)
        await self._tus.terminate(self._endpoint + upload_id)

    async def _where(self, upload_id: str, course: _Course) -> _Place:
        if not course.is_certain or course.stands is None:
            state = await self.state(upload_id)
            if state.crc64nvme is None:
                raise errors.RequestRejected(
                    f"{self._endpoint} tells no checksum of what arrived",
                    hint="The server is older than this program: upgrade it.",
                )
            place = _Place(state.offset, int(state.crc64nvme, 16))
            course.reached(place)
            return place
        return course.stands

    async def _send(
        self,
        upload_id: str,
        course: _Course,
        stands: _Place,
        part: Part,
        body: Callable[[], AsyncIterator[memoryview]],
    ) -> None:
        behind = stands.behind(part)
        try:
            offset = await self._tus.append(
                self._endpoint + upload_id, part.offset, body, part.size_bytes,
                checksum=f"crc64nvme:{part.crc64nvme}",
            )  # fmt: skip
        except errors.SessionConflict as exc:
            # Where it stands is asked for before the next attempt.
            raise errors.ServiceFault(exc.message) from exc
        if offset != behind.offset:
            raise errors.ServiceFault(f"{self._endpoint} stands at {offset}, not {behind.offset}")
        course.reached(behind)
