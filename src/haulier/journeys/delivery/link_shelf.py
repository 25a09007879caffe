"""What no message can hold: stored in a bucket or on a haulier server, and linked to for a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from haulier.catalog.catalog import Catalog
from haulier.core.chat_names import name_for_chat
from haulier.core.file_names import content_disposition
from haulier.core.records import OperationRecord, utc_now
from haulier.errors import ConfigurationError, HaulierError, NoSuchObject, StoreError
from haulier.journeys.archive.destination import Destination
from haulier.journeys.archive.open import destination_of, open_destination
from haulier.journeys.delivery.link_book import LinkBook, ends_at, key_of, place_of
from haulier.media.finding import MediaFile
from haulier.settings import Settings
from haulier.store.base import ListingStore, MultipartStore, SharingStore, SigningStore
from haulier.transfer.streaming_upload import StreamingUploadHandler

_PART_BYTES = 8 << 20
_READ_BYTES = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link that was handed out.

    Attributes:
        operation_id: it is an operation of the catalog.
        text: what people are told: its name, where it leads, until when it is good.
    """

    operation_id: str
    text: str


class LinkShelf:
    """Stores files where the settings say, and removes them when their links have ended; an async
    context manager.

    Args:
        settings: of the process.
        catalog: where links are noted.
        now: the clock.
    """

    def __init__(
        self, settings: Settings, catalog: Catalog, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._book = LinkBook(catalog, now=now)
        self._now = now
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

    async def link(self, file: MediaFile) -> Link:
        """Store a file and make a link to it; a run that begins again stores it once.

        Raises:
            StoreError: the place can't be reached, or refuses. ConfigurationError: the settings
            name none, or not rightly. OSError: the file can't be read.
        """
        place = link_place(self._settings)
        if place is None:
            raise ConfigurationError("there is no place for links", hint="Set UPLOAD_LINK_TO.")
        name = name_for_chat(file.filename, file.mime_type)
        valid_for = timedelta(hours=self._settings.chat.upload_link_hours)
        link = await self._book.begin(file.path, name, place, valid_for)
        try:
            store = await self._open(place)
            await _store(store, key_of(link), file)
            url = await self._url(store, link, name)
        except HaulierError as error:
            await self._book.withdraw([link.operation_id], error.message)
            raise
        until = int(ends_at(link).timestamp())
        return Link(operation_id=link.operation_id, text=f"[{name}](<{url}>) until <t:{until}:f>")

    async def remove_ended(self) -> int:
        """Remove what links led to that have ended; return how many there were.

        What can't be removed now is logged, and tried again by the next call.
        """
        count = 0
        async for link in self._book.ended():
            try:
                await _remove(await self._open(place_of(link)), key_of(link))
            except HaulierError as error:
                _log.warning("what a link led to could not be removed: %s", error)
                continue
            await self._book.removed(link)
            count += 1
        return count

    async def _open(self, place: Destination) -> MultipartStore:
        opened = await open_destination(self._settings, self._catalog, self._stack, place)
        return opened.store

    async def _url(self, store: MultipartStore, link: OperationRecord, name: str) -> str:
        if isinstance(store, SharingStore):
            return await store.share(key_of(link), until=ends_at(link))
        if isinstance(store, SigningStore):
            left = ends_at(link) - self._now()
            disposition = content_disposition(name, inline=True)
            return store.sign_get(
                key_of(link),
                expires_s=int(left.total_seconds()),
                answer_with={"Content-Disposition": disposition},
            )
        raise StoreError("this store hands out no links", hint="Use S3 or a haulier server.")


def link_place(settings: Settings) -> Destination | None:
    """Return where files go that are linked to; None: there are no links.

    Raises:
        UsageError: UPLOAD_LINK_TO names a place that can't be.
    """
    to = settings.chat.upload_link_to
    if to is None and settings.s3.bucket is None:
        return None
    return destination_of(settings, to)


async def _store(store: MultipartStore, key: str, file: MediaFile) -> None:
    with suppress(NoSuchObject):
        if (await store.head(key)).size_bytes == file.size_bytes:
            return
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


async def _remove(store: MultipartStore, key: str) -> None:
    """Remove an object, and uploads of it that were cut off."""
    if isinstance(store, ListingStore):
        async for upload in store.list_uploads(key):
            if upload.key == key:
                await store.abort_upload(key, upload.upload_id)
    if isinstance(store, SharingStore):
        await store.delete_for_good(key)
    else:
        await store.delete(key)


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _READ_BYTES):
            yield piece
