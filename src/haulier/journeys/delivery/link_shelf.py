"""What no message can hold: put into the bucket, and handed out as a link that ends."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from haulier.catalog.catalog import Catalog
from haulier.core.chat_names import name_for_chat
from haulier.core.file_names import content_disposition
from haulier.core.records import utc_now
from haulier.errors import NoSuchObject, StoreError
from haulier.journeys.archive.open import open_bucket
from haulier.media.finding import MediaFile
from haulier.settings import Settings
from haulier.store.base import SigningStore
from haulier.transfer.streaming_upload import StreamingUploadHandler

_FOLDER = "shared"
_PART_BYTES = 8 << 20
_READ_BYTES = 1 << 20


class LinkShelf:
    """Puts files into the bucket that the settings name; an async context manager.

    A file keeps its key, so that a run that begins again stores it once. Objects stay when their
    links have ended; a rule of the bucket can remove them below `shared/`.

    Args:
        settings: of the process.
        catalog: remembers what the bucket checks.
    """

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self._catalog = catalog
        self._valid_for = timedelta(hours=settings.chat.upload_link_hours)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def link(self, file: MediaFile) -> str:
        """Store a file and return a line with its name, its link, and until when it is good.

        Raises:
            StoreError: the bucket can't be reached, or refuses. ConfigurationError: it is not
            named rightly. TargetUnreadable and others: as the system says of the file.
        """
        store, prefix = await open_bucket(self._settings, self._catalog, self._stack)
        if not isinstance(store, SigningStore):
            raise StoreError("this store hands out no links", hint="Use a bucket of S3.")
        name = name_for_chat(file.filename, file.mime_type)
        identity = await asyncio.to_thread(_sha256, file.path)
        key = f"{prefix}{_FOLDER}/{identity[:32]}/{name}"
        try:
            known = (await store.head(key)).size_bytes
        except NoSuchObject:
            known = None
        if known != file.size_bytes:
            handler = StreamingUploadHandler(store)
            upload_id = await handler.start_multipart_upload(
                key, content_type=file.mime_type or "application/octet-stream"
            )
            try:
                await handler.upload_stream(upload_id, _pieces(file.path), part_bytes=_PART_BYTES)
                await handler.complete_upload(upload_id)
            except BaseException:
                await store.abort_upload(key, upload_id)
                raise
        url = store.sign_get(
            key,
            expires_s=int(self._valid_for.total_seconds()),
            answer_with={"Content-Disposition": content_disposition(name, inline=True)},
        )
        until = int((utc_now() + self._valid_for).timestamp())
        return f"[{name}](<{url}>) until <t:{until}:f>"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _READ_BYTES):
            yield piece
