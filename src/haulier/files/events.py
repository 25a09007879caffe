"""What is told of uploads, files and jobs to those who may see them, once it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from haulier.catalog.transaction import Tx
from haulier.coordination.events import EventBus, News
from haulier.core.accounts import Folder, StoredFile
from haulier.core.grants import Level, told_grantee
from haulier.core.jobs import Job
from haulier.core.records import utc_now
from haulier.core.sessions.session import UploadSession
from haulier.core.shares import Share
from haulier.files.access import (
    topics_of_files,
    topics_of_folders,
    topics_of_job,
    topics_of_owner,
    topics_of_server,
    topics_of_upload,
)
from haulier.files.upload_progress import UploadProgress


class FileEvents:
    """Tells what happens; made inside the event loop.

    What is given a transaction tells nothing before that is committed, and nothing at all when it
    is not. Parts of uploads that are to be joined are not told of: the joined one is.

    Args:
        bus: brings it to those who listen.
        write_down: called in the transaction with what is committed by it, its kind and its data.
    """

    def __init__(
        self,
        bus: EventBus,
        *,
        write_down: Callable[[Tx, str, dict[str, Any]], None] = lambda _tx, _kind, _data: None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._write_down = write_down
        self._bus = bus
        self._progress = UploadProgress(self._tell_progress)

    def upload_started(self, tx: Tx, session: UploadSession) -> None:
        """An upload begins."""
        if session.is_partial:
            return
        data = {
            "session_id": session.session_id,
            "name": session.name,
            "folder": session.folder or "",
            "size": session.size_bytes,
        }
        self._after(tx, partial(self._progress.started, session))
        self._tell_of_upload(tx, "upload.started", session, data, ends=False)

    def upload_advanced(self, tx: Tx, session: UploadSession, received_bytes: int) -> None:
        """So many bytes of an upload are safe."""
        if session.is_partial:
            return

        def advance() -> None:
            # The time at which they are safe is that of the commit, not when the loop gets to it.
            since = utc_now()
            self._loop.call_soon_threadsafe(self._progress.advanced, session, received_bytes, since)

        tx.after_commit(advance)

    def upload_completed(self, tx: Tx, session: UploadSession) -> None:
        """An upload became a file."""
        data = {
            "session_id": session.session_id,
            "name": session.name,
            "file_id": session.file_id,
            "size": session.size_bytes,
        }
        self._after(tx, partial(self._progress.ended, session.session_id))
        self._tell_of_upload(tx, "upload.completed", session, data)

    def upload_failed(self, tx: Tx, session: UploadSession) -> None:
        """An upload ended without a file: it failed, was cancelled, or expired."""
        if session.is_partial:
            return
        data = {
            "session_id": session.session_id,
            "name": session.name,
            "status": session.status,
            "error": session.error,
        }
        self._after(tx, partial(self._progress.ended, session.session_id))
        self._tell_of_upload(tx, "upload.failed", session, data)

    def file_created(self, tx: Tx, stored: StoredFile) -> None:
        """There is a new file."""
        self._tell_of_file(tx, "file.created", stored)

    def file_updated(self, tx: Tx, stored: StoredFile) -> None:
        """A file has another content, name or tags, or more is known of it."""
        self._tell_of_file(tx, "file.updated", stored)

    def files_moved(
        self, tx: Tx, before: Mapping[str, frozenset[str]], files: Sequence[StoredFile]
    ) -> None:
        """Files lie elsewhere; those who may not see them there are told that they are gone.

        Args:
            tx: the transaction.
            before: by id the topics that they were on (`access.topics_of_files`).
            files: as they are now.
        """
        topics = topics_of_files(tx, files)
        for stored in files:
            shown, now = _shown(stored), topics[stored.file_id]
            self._write_down(tx, "file.updated", {**shown, "owner_id": stored.owner_id})
            self._after(tx, self._telling("file.updated", shown, now))
            if lost := before[stored.file_id] - now:
                gone = {**shown, "folder": None}
                self._after(tx, self._telling("file.deleted", gone, lost))

    def files_deleted(self, tx: Tx, files: Sequence[StoredFile]) -> None:
        """Files are gone."""
        topics = topics_of_files(tx, files)
        for stored in files:
            shown = _shown(stored)
            self._write_down(tx, "file.deleted", {**shown, "owner_id": stored.owner_id})
            news = self._telling("file.deleted", shown, topics[stored.file_id])
            self._after(tx, news)

    def folders_created(self, tx: Tx, folders: Sequence[Folder]) -> None:
        """There are new folders of one owner."""
        self._tell_of_folders(tx, "folder.created", folders)

    def folders_moved(
        self, tx: Tx, before: Mapping[str, frozenset[str]], folders: Sequence[Folder]
    ) -> None:
        """Folders of one owner have other paths; as with files, some may not see them there.

        Args:
            tx: the transaction.
            before: by id the topics that they were on (`access.topics_of_folders`).
            folders: as they are now.
        """
        now = self._tell_of_folders(tx, "folder.updated", folders)
        for folder in folders:
            if lost := before[folder.folder_id] - now[folder.folder_id]:
                gone = {"folder_id": folder.folder_id, "folder": None}
                self._after(tx, self._telling("folder.deleted", gone, lost))

    def folders_deleted(self, tx: Tx, folders: Sequence[Folder]) -> None:
        """Folders of one owner are about to go, and what is granted for them."""
        self._tell_of_folders(tx, "folder.deleted", folders)

    def scan_finished(self, tx: Tx, stored: StoredFile) -> None:
        """A virus scan came to something, or could not."""
        self._tell_of_file(tx, "scan.finished", stored, scan_detail=stored.scan_detail)

    def job_changed(self, tx: Tx, job: Job) -> None:
        """A job is in another state."""
        data = {
            "job_id": job.job_id,
            "kind": job.kind,
            "file_id": job.payload.get("file_id", job.subject),
            "attempts": job.attempts,
            "error": job.last_error,
        }
        self._after(tx, self._telling(f"job.{job.state}", data, topics_of_job(job)))

    def queue_watched(self, tx: Tx, queue: str, length: int, is_too_long: bool) -> None:
        """A queue is too long, or is not any more."""
        kind = "queue.alert" if is_too_long else "queue.cleared"
        data = {"queue": queue, "pending": length}
        self._write_down(tx, kind, data)
        self._after(tx, self._telling(kind, data, topics_of_server()))

    def file_downloaded(self, stored: StoredFile, by: str | None) -> None:
        """A file was sent to somebody, from its first byte on; called inside the event loop.

        It is for its owner and for admins: who fetches what is nobody else's business.
        """
        data = {**_shown(stored), "by": by}
        self._telling("file.downloaded", data, topics_of_owner(stored.owner_id))()

    def file_shared(self, tx: Tx, stored: StoredFile, share: Share) -> None:
        """Somebody made a link to a file."""
        data = {**_shown(stored), "share_id": share.share_id, "by": share.creator_id}
        self._write_down(tx, "file.shared", {**data, "owner_id": stored.owner_id})
        topics = topics_of_owner(stored.owner_id, share.creator_id)
        self._after(tx, self._telling("file.shared", data, topics))

    def permission_changed(
        self, tx: Tx, resource: StoredFile | Folder, grantee: str, level: Level | None, by: str
    ) -> None:
        """Something was granted to somebody, or nothing is any more (None)."""
        if isinstance(resource, StoredFile):
            about = {"file_id": resource.file_id, "name": resource.name, "folder": resource.folder}
        else:
            about = {"folder_id": resource.folder_id, "folder": resource.path}
        data = {**about, **told_grantee(grantee), "permission": level, "by": by}
        self._write_down(tx, "permission.changed", {**data, "owner_id": resource.owner_id})
        topics = topics_of_owner(resource.owner_id, grantee)
        self._after(tx, self._telling("permission.changed", data, topics))

    def _tell_of_upload(
        self,
        tx: Tx,
        kind: str,
        session: UploadSession,
        data: dict[str, Any],
        *,
        ends: bool = True,
    ) -> None:
        topics, about = topics_of_upload(session), session.session_id if ends else None
        self._write_down(tx, kind, {**data, "owner_id": session.owner_id})
        self._after(tx, self._telling(kind, data, topics, about=about))

    def _tell_of_file(self, tx: Tx, kind: str, stored: StoredFile, **more: Any) -> None:
        data = {**_shown(stored), **more}
        self._write_down(tx, kind, {**data, "owner_id": stored.owner_id})
        topics = topics_of_files(tx, [stored])[stored.file_id]
        self._after(tx, self._telling(kind, data, topics))

    def _tell_of_folders(
        self, tx: Tx, kind: str, folders: Sequence[Folder]
    ) -> dict[str, frozenset[str]]:
        topics = topics_of_folders(tx, folders)
        for folder in folders:
            data = {"folder_id": folder.folder_id, "folder": folder.path}
            self._after(tx, self._telling(kind, data, topics[folder.folder_id]))
        return topics

    def _tell_progress(
        self, session: UploadSession, received_bytes: int, rate_bps: float, since: datetime
    ) -> None:
        data = {
            "session_id": session.session_id,
            "received_bytes": received_bytes,
            "size": session.size_bytes,
            "rate_bps": round(rate_bps),
        }
        self._bus.publish(
            News(
                type="upload.progress",
                data=data,
                topics=topics_of_upload(session),
                time=since,
                about=session.session_id,
                lasts=False,
            )
        )

    def _telling(
        self, kind: str, data: dict[str, Any], topics: frozenset[str], about: str | None = None
    ) -> Callable[[], None]:
        news = News(type=kind, data=data, topics=topics, about=about)
        return partial(self._bus.publish, news)

    def _after(self, tx: Tx, call: Callable[[], None]) -> None:
        def into_the_loop() -> None:
            self._loop.call_soon_threadsafe(call)

        tx.after_commit(into_the_loop)


def _shown(stored: StoredFile) -> dict[str, Any]:
    return {
        "file_id": stored.file_id,
        "name": stored.name,
        "folder": stored.folder,
        "size": stored.size_bytes,
        "mime_type": stored.mime_type,
        "version": stored.version,
        "scan_state": stored.scan_state,
    }
