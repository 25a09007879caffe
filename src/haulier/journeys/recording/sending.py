"""Where recordings are sent: the files of this server, a bucket, another server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from haulier.catalog.catalog import Catalog
from haulier.core.accounts import StoredFile
from haulier.core.mime import UNKNOWN_TYPE, mime_type_of
from haulier.core.recordings import FOLDER, MODE_TAG, Recording
from haulier.core.sessions.session import Order, SessionStatus, UploadSession
from haulier.errors import (
    BadDigest,
    NoSuchObject,
    NoSuchUpload,
    ObjectExists,
    PreconditionFailed,
    RecordingConflict,
    ServiceFault,
    Transient,
    UnknownReference,
)
from haulier.errors import FileNotFoundError as NoSuchSession
from haulier.files.reception import ONLY_NEW, WORKED_ON
from haulier.store.base import MultipartStore, ObjectInfo, ObjectOptions, Store
from haulier.store.wrappers import Retrying
from haulier.transfer.sessions.engine import NewUpload, SessionEngine
from haulier.transfer.source_file import SourceFile
from haulier.transfer.streaming_upload import StreamingUploadHandler
from haulier.transfer.upload_journal import UploadJournal

if TYPE_CHECKING:
    from haulier.store.haulier import HaulierStore

_PIECE_BYTES = 1 << 20
_PART_BYTES = 8 << 20
_MOST_PARTS = 10_000

Save = Callable[[dict[str, Any]], Awaitable[None]]


class Sender(Protocol):
    """A place that takes recordings."""

    async def send(
        self, recording: Recording, path: Path, progress: Mapping[str, Any], save: Save
    ) -> str:
        """Send a recording, and return the URL of the copy, which was verified.

        Sending what is there already changes nothing.

        Args:
            recording: what is sent.
            path: its sound.
            progress: what was saved last of an attempt that was cut off.
            save: keeps what the next attempt needs to go on with it.

        Raises:
            RecordingConflict: another recording of that id is there.
            ChecksumMismatch: other bytes than the recording's lie at `path`.
            HaulierError: whatever the place says.
        """
        ...


class OwnFiles:
    """The files that a user keeps on this server: folder `recordings/`, tag `mode`.

    Args:
        engine: receives them like any upload.
        catalog: where files are recorded.
    """

    def __init__(self, engine: SessionEngine, catalog: Catalog) -> None:
        self._engine = engine
        self._catalog = catalog

    async def send(
        self, recording: Recording, path: Path, progress: Mapping[str, Any], save: Save
    ) -> str:
        """See `Sender.send`."""
        owner = await self._catalog.read(lambda tx: tx.users.get(recording.user_id))
        if owner is None:
            raise UnknownReference(
                f"{recording.user_id} has no account on this server",
                hint="Make one, or name with SYNC_TO where recordings are sent.",
            )
        try:
            session = await self._session(recording, progress)
            await save({"session_id": session.session_id})
            if session.status is SessionStatus.RECEIVING:
                body = _pieces(path, session.offset)
                session = await self._engine.append(session.session_id, session.offset, body)
            session = await self._engine.complete(session.session_id)
        except PreconditionFailed:
            return _url(await self._same(recording))
        stored = await self._catalog.read(lambda tx: tx.stored.get(session.file_id or ""))
        return _url(stored or await self._same(recording))

    async def _session(self, recording: Recording, progress: Mapping[str, Any]) -> UploadSession:
        """Return the session of an attempt that was cut off, also at its end, or a new one."""
        with suppress(NoSuchSession):
            session = await self._engine.get(str(progress.get("session_id")))
            if session.owner_id == recording.user_id and not session.is_over:
                return session
        return await self._engine.start(
            NewUpload(
                owner_id=recording.user_id,
                name=recording.file_name,
                size_bytes=recording.file_size,
                order=Order.SEQUENTIAL,
                mime_type=mime_type_of(recording.file_name),
                wanted_checksum=recording.checksum,
                folder=FOLDER,
                tags={MODE_TAG: recording.mode},
                details={ONLY_NEW: "", WORKED_ON: ""},
            )
        )

    async def _same(self, recording: Recording) -> StoredFile:
        """Return the file of that name, which another attempt or device brought."""
        stored = await self._catalog.read(
            lambda tx: tx.stored.find(recording.user_id, FOLDER, recording.file_name)
        )
        if stored is None or f"crc64nvme:{stored.crc64nvme}" != recording.checksum:
            raise RecordingConflict(f"there is another file {FOLDER}/{recording.file_name} already")
        return stored


class Bucket:
    """A bucket or a directory: objects `{prefix}{user_id}/{recording_id}.wav`.

    Args:
        store: where to, with its retries.
        prefix: what keys begin with.
    """

    def __init__(self, store: MultipartStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix

    async def send(
        self, recording: Recording, path: Path, progress: Mapping[str, Any], save: Save
    ) -> str:
        """See `Sender.send`."""
        key = f"{self._prefix}{recording.user_id}/{recording.file_name}"
        url = f"{self._store.url}/{key}"
        if await _is_there(self._store, key, recording):
            return url
        if recording.file_size <= _PART_BYTES and "upload_id" not in progress:
            await self._send_whole(recording, key, path)
            return url
        handler = StreamingUploadHandler(self._store)
        upload_id = await self._upload(handler, key, recording, progress)
        # Before its first part: an upload of which nobody knows can't be gone on with, or ended.
        await save(handler.saved_state(upload_id))
        part_bytes = max(_PART_BYTES, -(-recording.file_size // _MOST_PARTS))
        number = -(-handler.stored_bytes(upload_id) // part_bytes)
        while number * part_bytes < recording.file_size:
            data = await asyncio.to_thread(_read, path, number * part_bytes, part_bytes)
            number += 1
            await handler.upload_part(upload_id, number, data)
            await save(handler.saved_state(upload_id))
        await handler.complete_upload(upload_id)
        return url

    async def _upload(
        self,
        handler: StreamingUploadHandler,
        key: str,
        recording: Recording,
        progress: Mapping[str, Any],
    ) -> str:
        if progress.get("key") == key:
            try:
                return await handler.resume_multipart_upload(progress)
            except NoSuchUpload:
                pass
        options = _options_of(recording)
        return await handler.start_multipart_upload(
            key, content_type=options.content_type, metadata=options.metadata
        )

    async def _send_whole(self, recording: Recording, key: str, path: Path) -> None:
        """Send one that is no larger than a part by one request."""
        body = await asyncio.to_thread(path.read_bytes)
        try:
            await self._store.put(key, body, options=_options_of(recording), if_none_match=True)
        except ObjectExists:
            # Another device brought it meanwhile, or the answer to an attempt was lost.
            if not await _is_there(self._store, key, recording):
                raise


class RemoteServer:
    """An account on another haulier server: a folder of its files, tag `mode`.

    Args:
        files: what the account has there.
        folder: where recordings go.
    """

    def __init__(self, files: HaulierStore, folder: str = FOLDER) -> None:
        self._files = files
        self._known = Retrying(files)
        self._folder = folder

    async def send(
        self, recording: Recording, path: Path, progress: Mapping[str, Any], save: Save
    ) -> str:
        """See `Sender.send`."""
        from haulier.transfer.tus_upload import TusUpload

        key = f"{self._folder}/{recording.file_name}"
        url = f"{self._files.url}/{key}"
        if recording.file_size <= _PART_BYTES and "url" not in progress:
            # What failed may be there nevertheless: only then is that asked before it is sent.
            with suppress(Transient, BadDigest):
                if await self._send_whole(recording, path):
                    return url
        if await _is_there(self._known, key, recording):
            return url
        with SourceFile(path) as source:
            journal = UploadJournal(None, key, source.size_bytes)
            kept = str(progress.get("url"))
            if kept.startswith(f"{self._files.url}/"):
                journal.place = {"url": kept}
            upload = TusUpload(
                self._files.tus,
                source,
                name=recording.file_name,
                metadata=self._metadata(recording),
                journal=journal,
                only_new=True,
                begun=lambda at: save({"url": at}),
            )
            with suppress(ObjectExists):  # another device brought it meanwhile
                await upload.run()
        if not await _is_there(self._known, key, recording):
            raise ServiceFault(f"{url} is not there although it was sent")
        return url

    async def _send_whole(self, recording: Recording, path: Path) -> bool:
        """Send one that is no larger than a part by one request; False when its name is taken."""
        body = await asyncio.to_thread(path.read_bytes)
        metadata = {"filename": recording.file_name, **self._metadata(recording)}
        try:
            await self._files.tus.create(
                size_bytes=recording.file_size,
                metadata=metadata,
                only_new=True,
                body=body,
                checksum=recording.checksum,
                asks_first=True,
            )
        except ObjectExists:
            return False
        return True

    def _metadata(self, recording: Recording) -> dict[str, str]:
        return {
            "filetype": mime_type_of(recording.file_name) or UNKNOWN_TYPE,
            "folder": self._folder,
            "tags": json.dumps({MODE_TAG: recording.mode}),
        }


def _options_of(recording: Recording) -> ObjectOptions:
    return ObjectOptions(
        content_type=mime_type_of(recording.file_name) or UNKNOWN_TYPE,
        metadata={
            "mode": recording.mode.encode("ascii", "backslashreplace").decode(),
            "checksum": recording.checksum,
        },
    )


async def _is_there(store: Store, key: str, recording: Recording) -> bool:
    """Tell whether a recording lies at `key`; raises RecordingConflict when another one does."""
    try:
        found = await store.head(key)
    except NoSuchObject:
        return False
    if (found.size_bytes, _checksum_of(found)) != (recording.file_size, recording.checksum):
        raise RecordingConflict(f"there is another object {key} already")
    return True


def _checksum_of(found: ObjectInfo) -> str | None:
    if found.crc64nvme is not None:
        return f"crc64nvme:{found.crc64nvme}"
    return found.metadata.get("checksum")


def _url(stored: StoredFile) -> str:
    return f"/api/files/{stored.file_id}"


async def _pieces(path: Path, offset: int) -> AsyncIterator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
            yield piece


def _read(path: Path, offset: int, count: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        return file.read(count)
