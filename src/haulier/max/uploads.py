"""Sending one file to MAX: in one request when it is small, resumable when it is not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from haulier import errors
from haulier.core.checksums import format_checksum
from haulier.core.file_names import clean_name
from haulier.core.mime import UNKNOWN_TYPE
from haulier.core.progress import Meter
from haulier.max.client import MaxClient
from haulier.max.multipart import upload_multipart
from haulier.max.resumable import CHUNK_BYTES, ResumableUpload
from haulier.max.upload_state import UploadState
from haulier.max.upload_types import UploadType
from haulier.net.threads import in_thread
from haulier.transfer.source_file import SourceFile

MULTIPART_BELOW_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """A file that MAX has.

    Attributes:
        token: names it in messages of this bot.
        checksum: `crc64nvme:…` of what was sent; None when nothing was.
        is_reused: MAX had it already.
    """

    type: UploadType
    token: str = field(repr=False)
    name: str
    size_bytes: int
    checksum: str | None = None
    is_reused: bool = False


class Uploader:
    """Sends files to MAX.

    Args:
        client: the bot.
        state_folder: where unfinished uploads are kept, so that another process can go on with
            them; None: in memory alone.
        multipart_below_bytes: smaller files go in one request, which can't be resumed.
        chunk_bytes: of one request of a resumable upload, for videos and sound.
    """

    def __init__(
        self,
        client: MaxClient,
        *,
        state_folder: Path | None = None,
        multipart_below_bytes: int = MULTIPART_BELOW_BYTES,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._client = client
        self._state_folder = state_folder
        self._multipart_below = multipart_below_bytes
        self._chunk_bytes = chunk_bytes

    async def upload(
        self,
        path: Path,
        type_: UploadType | str,
        *,
        name: str | None = None,
        mime_type: str = UNKNOWN_TYPE,
        meter: Meter | None = None,
    ) -> Uploaded:
        """Send a file and return its token; nothing of it is kept here afterwards.

        Args, errors: as `uploading`.
        """
        async with self.uploading(
            path, type_, name=name, mime_type=mime_type, meter=meter
        ) as uploaded:
            return uploaded

    @asynccontextmanager
    async def uploading(
        self,
        path: Path,
        type_: UploadType | str,
        *,
        name: str | None = None,
        mime_type: str = UNKNOWN_TYPE,
        meter: Meter | None = None,
        is_temporary: bool = False,
    ) -> AsyncIterator[Uploaded]:
        """Send a file, and have its token at hand while the block runs.

        When the block ends badly the token is kept: the next call for the same file finds it, and
        nothing is sent again.

        Args:
            path: the file; not empty.
            type_: what it is to MAX.
            name: what it is called there; the file's own name when left out.
            mime_type: told with files that go in one request.
            meter: told size and bytes; ending it is the caller's affair.
            is_temporary: the file will be gone after this: nothing is kept to go on with.

        Raises:
            SourceChanged: the file was written to meanwhile; nothing mixed was sent.
            OperationBusy: another process sends the same file.
            ChatError: MAX does not take it.
            TargetMissing, TargetUnreadable, UsageError: the file can't be sent.
            Transient: attempts without progress are used up; what was sent is kept.
            Others: as `MaxClient.get_upload_url`.
        """
        kind = UploadType.of(type_)
        name = clean_name(path.name if name is None else name)
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(await in_thread(lambda _: SourceFile(path)))
            if not source.size_bytes:
                raise errors.UsageError(f"{path.name} is empty", hint="MAX takes no empty files.")
            if meter is not None:
                meter.set_total(source.size_bytes)
            if source.size_bytes < self._multipart_below:
                token, crc = await upload_multipart(
                    self._client, source, type_=kind, name=name, mime_type=mime_type, meter=meter
                )
                yield _uploaded(source, kind, name, token, crc)
                return
            key = json.dumps([self._client.bot_id, kind, name, str(path.absolute())])
            folder = None if is_temporary else self._state_folder
            state = await in_thread(lambda _: UploadState(folder, key, source.size_bytes))
            stack.callback(state.close)
            upload = ResumableUpload(
                self._client,
                source,
                type_=kind,
                name=name,
                state=state,
                meter=meter,
                chunk_bytes=self._chunk_bytes,
            )
            try:
                token, crc = await upload.run()
            except (errors.ChatError, errors.SourceChanged):
                await in_thread(lambda _: state.discard())  # there is nothing to go on with
                raise
            yield _uploaded(source, kind, name, token, crc)
            await in_thread(lambda _: state.discard())


def _uploaded(source: SourceFile, kind: UploadType, name: str, token: str, crc: int) -> Uploaded:
    return Uploaded(
        type=kind,
        token=token,
        name=name,
        size_bytes=source.size_bytes,
        checksum=format_checksum("crc64nvme", crc),
    )
