"""What is done with a file after its upload: verified, scanned, hashed, pictured."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from haulier.catalog.catalog import Catalog
from haulier.catalog.transaction import Tx
from haulier.core.accounts import ScanState, StoredFile
from haulier.core.jobs import FileJob, Job
from haulier.core.records import utc_now
from haulier.core.sessions.chunks import Span
from haulier.errors import ChecksumMismatch, MediaError, MissingExtra
from haulier.errors import FileNotFoundError as NoSuchFile
from haulier.files.events import FileEvents
from haulier.jobs.kinds import Done, JobKind
from haulier.jobs.pictures import USUAL_SIDE_PX, PictureCache, make_picture, make_waveform
from haulier.media.isolation import Workers
from haulier.media.scan import Scanner, ScanResult, Verdict
from haulier.transfer.sessions.finishing import Finisher
from haulier.transfer.sessions.hashing import checksum_of_file
from haulier.transfer.sessions.packing import packed_path
from haulier.transfer.sessions.staging import OpeningStage, Stage

_LARGEST_FETCHED_BYTES = 1 << 30
_COPY = ".source-"
_STATE_OF = {
    Verdict.CLEAN: ScanState.CLEAN,
    Verdict.INFECTED: ScanState.INFECTED,
    Verdict.UNSCANNED: ScanState.ERROR,
}
GONE = Done(result={"outcome": "the file is gone"})


class FileJobs:
    """The jobs about files.

    Args:
        catalog: where files are recorded.
        stage: where their bytes lie.
        finisher: completes sessions whose file was verified.
        scanner: None when nothing is scanned; scan jobs wait until there is one again.
        workers: where pictures are decoded.
        events: told what was found.
        data: directory for infected files (`quarantine`) and pictures (`cache/thumbnails`).
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        stage: Stage,
        finisher: Finisher,
        scanner: Scanner | None,
        workers: Workers,
        events: FileEvents,
        data: Path,
    ) -> None:
        self._catalog = catalog
        self._stage = stage
        self._finisher = finisher
        self._scanner = scanner
        self._workers = workers
        self._events = events
        self._quarantine = data / "quarantine"
        self.pictures = PictureCache(data / "cache" / "thumbnails")

    def kinds(self) -> list[JobKind]:
        """Return the kinds that can be done here."""
        kinds = [
            JobKind(name=FileJob.VERIFY, run=self._verify, hopeless=(ChecksumMismatch, NoSuchFile)),
            # Nobody waits for it, and it takes more of a core than receiving the file did.
            JobKind(name=FileJob.DIGEST, run=self._digest, at_once=1),
            JobKind(
                name=FileJob.THUMBNAIL, run=self._thumbnail, hopeless=(MediaError, MissingExtra)
            ),
            JobKind(name=FileJob.WAVEFORM, run=self._waveform, hopeless=(MediaError, MissingExtra)),
        ]
        if self._scanner is not None:
            kinds.append(JobKind(name=FileJob.SCAN, run=self._scan, failed=self._not_scanned))
        return kinds

    def forget_copies(self) -> None:
        """Remove copies of files that a process which was killed made its pictures of."""
        for path in self.pictures.directory.glob(f"{_COPY}*"):
            path.unlink(missing_ok=True)

    async def remove(self, content_id: str) -> None:
        """Remove a content with its picture, wherever it lies; may be done twice."""
        await self._stage.delete(content_id)
        await asyncio.to_thread(self._remove_local, content_id)

    def _remove_local(self, content_id: str) -> None:
        self.pictures.remove(content_id)
        path = self._quarantine / content_id
        for one in (path, packed_path(path)):
            one.unlink(missing_ok=True)

    async def _verify(self, job: Job) -> Done:
        session = await self._finisher.verify(str(job.payload["session_id"]))
        return Done(result={"session_status": session.status})

    async def _digest(self, job: Job) -> Done:
        stored = await self.living_file(job)
        if stored is None:
            return GONE
        found = stored.sha256
        if found is None:
            named = await checksum_of_file(
                self._stage, stored.content_id, stored.size_bytes, "sha256"
            )
            found = named.partition(":")[2]

        def record(tx: Tx) -> None:
            tx.stored.set_sha256(stored.content_id, found)
            self._events.file_updated(tx, stored)

        return Done(result={"sha256": found}, record=record)

    async def _scan(self, job: Job) -> Done:
        stored = await self._catalog.read(lambda tx: tx.stored.of_content(job.subject or ""))
        if stored is None:
            return GONE
        if stored.scan_state is not ScanState.INFECTED:
            scanned = await self._ask_scanner(stored)
            if scanned.verdict is not Verdict.INFECTED:
                return self._scanned(stored, scanned)
            stored = replace(stored, scan_detail=scanned.signature)
            # Known before its bytes are moved: from here on nothing serves them.
            await self._catalog.transaction(lambda tx: self._condemn(tx, stored))
        await asyncio.to_thread(self._isolate, stored.content_id)
        return Done(result={"state": ScanState.INFECTED, "detail": stored.scan_detail})

    async def _thumbnail(self, job: Job) -> Done:
        stored = await self.living_file(job)
        if stored is None:
            return GONE
        side_px = int(job.payload.get("side_px", USUAL_SIDE_PX))
        out = self.pictures.picture(stored.content_id, side_px)
        out.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self.on_disk(stored) as path:
            written = await make_picture(stored, path, out, workers=self._workers, side_px=side_px)
        return Done(result={"width": written.width, "height": written.height})

    async def _waveform(self, job: Job) -> Done:
        stored = await self.living_file(job)
        if stored is None:
            return GONE
        out = self.pictures.waveform(stored.content_id)
        out.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with self.on_disk(stored) as path:
            found = await make_waveform(path, out, workers=self._workers)
        return Done(result={"duration_s": found.duration_s})

    async def living_file(self, job: Job) -> StoredFile | None:
        """Return the file that a job is about; None when it is gone or infected."""
        stored = await self._catalog.read(lambda tx: tx.stored.of_content(job.subject or ""))
        if stored is None or stored.scan_state is ScanState.INFECTED:
            return None
        return stored

    async def _ask_scanner(self, stored: StoredFile) -> ScanResult:
        assert self._scanner is not None
        path = self._stage.path_of(stored.content_id)
        if path is not None:
            return await self._scanner.scan_file(path)
        async with self._stage.read(stored.content_id, Span(0, stored.size_bytes)) as pieces:
            return await self._scanner.scan_stream(_as_bytes(pieces), name=stored.name)

    @asynccontextmanager
    async def on_disk(self, stored: StoredFile) -> AsyncIterator[Path]:
        """Give the file's path; one that lies elsewhere is fetched for the while."""
        path = self._stage.path_of(stored.content_id)
        if path is not None:
            yield path
            return
        if stored.size_bytes > _LARGEST_FETCHED_BYTES:
            raise MediaError(f"{stored.name} is too large for a picture")
        self.pictures.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self.pictures.directory, prefix=_COPY) as copy:
            async with self._stage.read(stored.content_id, Span(0, stored.size_bytes)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(copy.write, piece)
            copy.flush()
            yield Path(copy.name)

    def _isolate(self, content_id: str) -> None:
        """Move an infected file out of the way; may be done twice."""
        self.pictures.remove(content_id)
        if not isinstance(self._stage, OpeningStage):
            return
        self._quarantine.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._stage.paths_of(content_id):
            path.rename(self._quarantine / path.name)

    def _scanned(self, stored: StoredFile, scanned: ScanResult) -> Done:
        state = _STATE_OF[scanned.verdict]
        return Done(
            result={"state": state, "detail": scanned.reason, "scanner": scanned.scanner},
            record=lambda tx: self._record_scan(tx, stored.content_id, state, scanned.reason),
        )

    def _condemn(self, tx: Tx, stored: StoredFile) -> None:
        self._record_scan(tx, stored.content_id, ScanState.INFECTED, stored.scan_detail)
        for job in tx.jobs.cancel_of_subject(stored.content_id, utc_now()):
            self._events.job_changed(tx, job)

    def _not_scanned(self, tx: Tx, job: Job, why: str, is_last: bool) -> None:  # noqa: ARG002 - it is said after each attempt
        self._record_scan(tx, job.subject or "", ScanState.ERROR, why)

    def _record_scan(self, tx: Tx, content_id: str, state: ScanState, detail: str | None) -> None:
        before = tx.stored.of_content(content_id)
        tx.stored.set_scan(content_id, state, detail)
        # A scanner that is away is asked again for half a day, and is news once.
        if before is not None and before.scan_state is not state:
            self._events.scan_finished(tx, replace(before, scan_state=state, scan_detail=detail))


async def _as_bytes(pieces: AsyncIterator[bytes | bytearray]) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield bytes(piece)
