"""What becomes of uploads: quota set aside while they run, a stored file and jobs afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from haulier.catalog.transaction import Tx
from haulier.core.accounts import ScanState, StoredFile
from haulier.core.file_names import another_name
from haulier.core.http_ranges import etag_matches
from haulier.core.jobs import FileJob, Job, new_job
from haulier.core.mime import UNKNOWN_TYPE, FileKind, canonical, kind_of, mime_type_of
from haulier.core.recordings import FOLDER, MODE_TAG
from haulier.core.records import utc_now
from haulier.core.sessions.session import Order, UploadSession, WholeFile
from haulier.errors import PreconditionFailed, QuotaExceeded
from haulier.files.access import UPLOAD_LINK, uploader_of
from haulier.files.audit import AuditLog
from haulier.files.destinations import current_folder
from haulier.files.events import FileEvents

ONLY_NEW = "only_new"
"""In a session's details: there must be no file of its name in its folder."""

IF_MATCH = "if_match"
"""In a session's details: the file of its name has to have one of these validators."""

WORKED_ON = "worked_on"
"""In a session's details: it is a recording of which this server has the work done already."""

# What somebody waits for goes first.
_PRIORITIES = {
    FileJob.VERIFY: 20,
    FileJob.SCAN: 10,
    FileJob.THUMBNAIL: 0,
    FileJob.RECORDING: -5,
    FileJob.DIGEST: -10,
    FileJob.PACK: -20,
}
# A scanner may be away for half a day.
_ATTEMPTS = {FileJob.SCAN: 24}
_ATTEMPTS_OTHERWISE = 8
_PICTURED = frozenset({FileKind.IMAGE, FileKind.VIDEO, FileKind.AUDIO})
# Of a smaller one hardly a block of the disk is saved.
_LEAST_PACKED_BYTES = 16 << 10
_NO_SCANNER = "this server has no scanner"


class Reception:
    """The session engine's hooks: quota, stored files and jobs, in the engine's transactions.

    Args:
        events: told what happens.
        scans: whether files are scanned; otherwise they say that they were not.
        packs: whether files are packed where that saves room.
        admit: refuses uploads for what they claim to be, by raising.
        enqueued: called, from any thread, once a new job is committed.
        audit: where it is recorded that a file was stored.
    """

    def __init__(
        self,
        events: FileEvents,
        *,
        scans: bool = False,
        packs: bool = False,
        admit: Callable[[Tx, UploadSession], None] = lambda _tx, _session: None,
        enqueued: Callable[[Job], None] = lambda _job: None,
        audit: AuditLog | None = None,
    ) -> None:
        self._events = events
        self._scans = scans
        self._packs = packs
        self._admit = admit
        self._enqueued = enqueued
        self._audit = audit

    def started(self, tx: Tx, session: UploadSession) -> None:
        """Set the announced size aside, for a file that may come in."""
        self._admit(tx, session)
        session = replace(session, folder=current_folder(tx, session))
        check_conditions(tx, session)
        self._take(tx, session, session.size_bytes or 0, files=1)
        self._events.upload_started(tx, session)

    def grew(self, tx: Tx, session: UploadSession, size_bytes: int) -> None:
        """Set more aside.

        Raises:
            QuotaExceeded: it does not fit into what is left.
        """
        self._take(tx, session, size_bytes)

    def _take(self, tx: Tx, session: UploadSession, size_bytes: int, files: int = 0) -> None:
        link_id = session.details.get(UPLOAD_LINK)
        if link_id is not None and not tx.upload_links.take(
            link_id, files=files, size_bytes=size_bytes
        ):
            raise QuotaExceeded(f"{session.name} is more than this link takes")
        if not tx.users.reserve(session.owner_id, size_bytes):
            raise QuotaExceeded(f"{session.name} does not fit into what is left of your quota")

    def advanced(self, tx: Tx, session: UploadSession, received_bytes: int) -> None:
        """Tell how an upload comes along."""
        self._events.upload_advanced(tx, session, received_bytes)

    def verifying(self, tx: Tx, session: UploadSession) -> None:
        """Have the file hashed."""
        self._enqueue(tx, session, FileJob.VERIFY, session_id=session.session_id)

    def completed(self, tx: Tx, session: UploadSession, whole: WholeFile) -> None:
        """Record the file, count it where it was set aside before, and have it looked at.

        Raises:
            PreconditionFailed: the file of its name is not as the upload supposes.
            FilePermissionError: whoever uploads may not write there any more.
        """
        assert session.file_id is not None
        tx.users.release(session.owner_id, whole.size_bytes, whole.size_bytes)
        # After the owner's row was written, which makes others who complete wait.
        session = replace(session, folder=current_folder(tx, session))
        if UPLOAD_LINK in session.details:
            session = replace(session, name=_free_name(tx, session))
        check_conditions(tx, session)
        stored, is_new = self._record(tx, session, whole)
        self._events.upload_completed(tx, replace(session, file_id=stored.file_id))
        tell = self._events.file_created if is_new else self._events.file_updated
        tell(tx, stored)
        self._tell(tx, stored, uploader_of(session))
        if self._scans:
            self._enqueue(tx, session, FileJob.SCAN, file_id=stored.file_id)
        if may_have_picture(stored):
            self._enqueue(tx, session, FileJob.THUMBNAIL, file_id=stored.file_id)
        if is_recording(stored) and WORKED_ON not in session.details:
            self._enqueue(tx, session, FileJob.RECORDING, file_id=stored.file_id)
        if stored.sha256 is None:
            self._enqueue(tx, session, FileJob.DIGEST, file_id=stored.file_id)
        if self._packs and stored.size_bytes >= _LEAST_PACKED_BYTES:
            self._enqueue(tx, session, FileJob.PACK, file_id=stored.file_id)

    def ended(self, tx: Tx, session: UploadSession) -> None:
        """Give back what was set aside."""
        if session.file_id is not None:
            for job in tx.jobs.cancel_of_subject(session.file_id, utc_now()):
                self._events.job_changed(tx, job)
        reserved = session.size_bytes
        if reserved is None and session.order is Order.SEQUENTIAL:
            reserved = session.offset
        elif reserved is None:
            chunks = tx.sessions.chunks(session.session_id).values()
            reserved = sum(one.span.length for one in chunks)
        tx.users.release(session.owner_id, reserved)
        if (link_id := session.details.get(UPLOAD_LINK)) is not None:
            tx.upload_links.give_back(link_id, reserved)
        self._events.upload_failed(tx, session)

    def _tell(self, tx: Tx, stored: StoredFile, uploader_id: str | None) -> None:
        if self._audit is None:
            return
        uploader = None if uploader_id is None else tx.users.get(uploader_id)
        self._audit.append(
            tx,
            "file stored",
            actor=None if uploader is None else uploader.name,
            object_id=stored.file_id,
            details={"name": stored.name, "folder": stored.folder, "size": stored.size_bytes},
        )

    def _record(self, tx: Tx, session: UploadSession, whole: WholeFile) -> tuple[StoredFile, bool]:
        """Record a file, or a version of the one of its name; return it and whether it is new."""
        assert session.file_id is not None
        now = utc_now()
        folder = session.folder or ""
        known = tx.stored.find(session.owner_id, folder, session.name)
        stored = StoredFile(
            file_id=session.file_id,
            owner_id=session.owner_id,
            name=session.name,
            folder=folder,
            size_bytes=whole.size_bytes,
            mime_type=session.mime_type,
            crc64nvme=f"{whole.crc64nvme:016x}",
            crc32=f"{whole.crc32:08x}",
            sha256=_sha256_of(session),
            content_id=session.file_id,
            tags=session.tags or (known.tags if known else {}),
            created_at=now,
            modified_at=now,
            scan_state=ScanState.PENDING if self._scans else ScanState.SKIPPED,
            scan_detail=None if self._scans else _NO_SCANNER,
        )
        if known is not None:
            return tx.stored.add_version(known, stored), False
        self._events.folders_created(tx, tx.folders.make(session.owner_id, folder, now))
        tx.stored.add(stored)
        return stored, True

    def _enqueue(self, tx: Tx, session: UploadSession, kind: FileJob, **payload: str) -> None:
        job = new_job(
            kind,
            utc_now(),
            payload=payload,
            subject=session.file_id,
            owner_id=uploader_of(session) if kind is FileJob.VERIFY else session.owner_id,
            priority=_PRIORITIES[kind],
            max_attempts=_ATTEMPTS.get(kind, _ATTEMPTS_OTHERWISE),
        )
        tx.jobs.enqueue(job)
        self._events.job_changed(tx, job)
        tx.after_commit(partial(self._enqueued, job))


def _free_name(tx: Tx, session: UploadSession) -> str:
    """Return a name that no file has: what comes by a link changes nothing that is there."""
    name, number = session.name, 2
    while tx.stored.find(session.owner_id, session.folder or "", name) is not None:
        name, number = another_name(session.name, number), number + 1
    return name


def check_conditions(tx: Tx, session: UploadSession) -> None:
    """Make sure that the file of an upload's name is as the upload supposes.

    Raises:
        PreconditionFailed: it is there and must not be, or has none of the validators named.
    """
    if ONLY_NEW not in session.details and IF_MATCH not in session.details:
        return
    known = tx.stored.find(session.owner_id, session.folder or "", session.name)
    if ONLY_NEW in session.details and known is not None:
        raise PreconditionFailed(f"there is a file {session.name} already")
    wanted = session.details.get(IF_MATCH)
    if wanted is None:
        return
    if known is None:
        raise PreconditionFailed(f"there is no file {session.name}")
    if not etag_matches(wanted, known.etag, weakly=False):
        check_match(known, wanted)


def check_match(stored: StoredFile, wanted: str | None) -> None:
    """Make sure that a file is as the sender of an If-Match header knows it.

    Raises:
        PreconditionFailed: it changed since.
    """
    if wanted is None or etag_matches(wanted, stored.metadata_etag, weakly=False):
        return
    raise PreconditionFailed(f"{stored.name} has changed meanwhile: it is {stored.metadata_etag}")


def is_recording(stored: StoredFile) -> bool:
    """Tell whether a file is somebody's recording, as devices and browsers send them."""
    return stored.folder == FOLDER and MODE_TAG in stored.tags


def may_have_picture(stored: StoredFile) -> bool:
    """Tell whether a file may be one of which a small picture can be made."""
    declared = canonical(stored.mime_type or UNKNOWN_TYPE)
    known = mime_type_of(stored.name) if declared == UNKNOWN_TYPE else declared
    if known is None or not stored.size_bytes:
        return False
    return known == "application/pdf" or kind_of(known) in _PICTURED


def _sha256_of(session: UploadSession) -> str | None:
    # A file is only completed when the checksum its client named was found right.
    algorithm, _, digest = (session.wanted_checksum or "").partition(":")
    return digest if algorithm == "sha256" else None
