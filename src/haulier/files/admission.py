"""Which files are let in: by what they claim to be, then by what they are."""

from __future__ import annotations

from pathlib import Path

from haulier.catalog.transaction import Tx
from haulier.core.mime import UNKNOWN_TYPE, canonical, types_of_name
from haulier.core.sessions.chunks import Span
from haulier.core.sessions.session import UploadSession
from haulier.core.sniff import HEAD_BYTES, TAIL_BYTES
from haulier.errors import ContentRefused, MediaError, MediaTooDemanding
from haulier.media.archive_listing import ArchiveLimits
from haulier.media.detect import Means, Sample, detect_sample
from haulier.media.documents import list_archive
from haulier.media.isolation import Workers
from haulier.transfer.sessions.staging import Stage

# What counts is how much it is packed, not how much it holds: archives of media are large.
_BOMBS = ArchiveLimits(max_members=100_000, max_total_bytes=1 << 53, timeout_s=20)
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")


class Admission:
    """Lets files of some types in.

    Args:
        allowed: types such as `image/png`, and families such as `image/*`; empty for all.
        stage: where the bytes of uploads lie.
        workers: where archives are read.
    """

    def __init__(self, allowed: tuple[str, ...], *, stage: Stage, workers: Workers) -> None:
        self._allowed = frozenset(canonical(one) for one in allowed)
        self._stage = stage
        self._workers = workers

    def check_claims(self, tx: Tx, session: UploadSession) -> None:  # noqa: ARG002 - as hooks are called
        """Make sure that an upload claims to be of an allowed type, if it claims anything.

        Raises:
            ContentRefused: its name, or the type it was declared as, is not taken here.
        """
        if not self._allowed or session.is_partial:
            return
        named = [one for one in types_of_name(session.name) if one != UNKNOWN_TYPE]
        if named and not any(self._is_allowed(one) for one in named):
            raise self._refusal(session.name, f"is {named[0]} by its name")
        declared = canonical(session.mime_type or UNKNOWN_TYPE)
        if declared != UNKNOWN_TYPE and not self._is_allowed(declared):
            raise self._refusal(session.name, f"was declared as {declared}")

    async def check_content(self, session: UploadSession) -> None:
        """Make sure that a whole file, at its place, is of an allowed type and no bomb.

        Archives are looked into where they are zips and lie on this machine's disk.

        Raises:
            ContentRefused: it is not.
        """
        if not self._allowed or not session.size_bytes:
            return
        assert session.file_id is not None
        sample = await self._sample(session.file_id, session.size_bytes)
        found = detect_sample(sample, name=session.name, declared_type=session.mime_type)
        if not self._is_allowed(found.mime_type):
            raise self._refusal(session.name, f"is {found.mime_type} by its content")
        if found.means in {Means.NAME, Means.DECLARED} and found.warnings:
            raise self._refusal(session.name, f"is not what it claims: {found.warnings[0]}")
        path = self._stage.path_of(session.file_id)
        if path is not None and sample.head.startswith(_ZIP_STARTS):
            await self._check_bomb(path, session.name)

    async def _check_bomb(self, path: Path, name: str) -> None:
        try:
            await list_archive(path, workers=self._workers, limits=_BOMBS)
        except MediaTooDemanding:
            raise ContentRefused(
                f"{name} would unpack to far more than it is, as decompression bombs do",
                hint="Send its files one by one, or pack them into several archives.",
            ) from None
        except MediaError:
            # Damaged or encrypted: it harms nobody who unpacks it.
            return

    async def _sample(self, file_id: str, size_bytes: int) -> Sample:
        head = await self._read(file_id, Span(0, min(size_bytes, HEAD_BYTES)))
        if size_bytes <= HEAD_BYTES:
            return Sample(head=head, size_bytes=size_bytes)
        tail_at = max(0, size_bytes - TAIL_BYTES)
        tail = await self._read(file_id, Span(tail_at, size_bytes - tail_at))
        return Sample(head=head, tail=tail, size_bytes=size_bytes)

    async def _read(self, file_id: str, span: Span) -> bytes:
        async with self._stage.read(file_id, span) as pieces:
            return b"".join([bytes(piece) async for piece in pieces])

    def _is_allowed(self, mime_type: str) -> bool:
        family = mime_type.partition("/")[0]
        return mime_type in self._allowed or f"{family}/*" in self._allowed

    def _refusal(self, name: str, why: str) -> ContentRefused:
        return ContentRefused(
            f"{name} {why}, which is not taken here",
            hint=f"This server takes {', '.join(sorted(self._allowed))}.",
        )
