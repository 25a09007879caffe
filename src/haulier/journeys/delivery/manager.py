"""A directory of downloads brought into a chat: found, made to fit, sent, told, cleaned up."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from haulier.catalog.catalog import Catalog
from haulier.core.chat_limits import MIB
from haulier.core.units import format_size
from haulier.discord.processor import PLATFORM, DiscordUploadProcessor
from haulier.errors import HaulierError, UnknownReference
from haulier.journeys.archive.open import open_catalog
from haulier.journeys.delivery.fitting import Fitted, Fitter, open_fitter
from haulier.journeys.delivery.ledger import CatalogLedger, open_ledger
from haulier.journeys.delivery.link_shelf import LinkShelf, link_place
from haulier.journeys.delivery.rooms import claimed, clean_up, mark_kept, remove_expired
from haulier.journeys.sending import open_max_client, open_max_files
from haulier.max.client import MaxClient
from haulier.max.processor import PLATFORM as MAX
from haulier.max.processor import MaxUploadProcessor
from haulier.media.encoders import Preset
from haulier.media.finding import MediaFile, MediaFileDetector
from haulier.media.isolation import Workers
from haulier.settings import Settings
from haulier.settings_chats import ChatSettings
from haulier.transfer.advice import advice
from haulier.transfer.batching import BatchProcessor
from haulier.transfer.consignments import ConsignmentState
from haulier.transfer.processors import (
    BaseUploadProcessor,
    SilentLine,
    StatusLine,
    Tally,
    UploadResult,
    counted,
)

ENTRY_POINTS = "haulier.upload_processors"
_log = logging.getLogger(__name__)


class UploadManager:
    """Delivers directories; an async context manager.

    Args:
        settings: of the process; read when left out.
        catalog: where deliveries are recorded; the one that the settings name when left out.
        preset: how much time is taken for what has to be made smaller: fast, balanced, quality.
        keep_originals: hand out links to what was made smaller, where UPLOAD_LINK_TO or
            AWS_S3_BUCKET says where it is kept.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        catalog: Catalog | None = None,
        preset: str = Preset.BALANCED,
        keep_originals: bool = False,
    ) -> None:
        self._settings = settings or Settings.load()
        self._chat = self._settings.chat
        self._keep_originals = keep_originals
        self._catalog = catalog
        self._own_catalog: Catalog | None = None
        self._opening = asyncio.Lock()
        self._workers = Workers(count=self._chat.compression_max_concurrent)
        self._fitter = open_fitter(self._chat, self._workers, Preset(preset))
        self._processors: dict[str, BaseUploadProcessor] = {
            PLATFORM: _discord(self._chat, self._fitter)
        }
        self._max_client: MaxClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the processes that look into files, and close what was opened here."""
        await self._workers.aclose()
        if self._max_client is not None:
            await self._max_client.aclose()
        if self._own_catalog is not None:
            await self._own_catalog.aclose()

    def register_processor(self, name: str, processor: BaseUploadProcessor) -> None:
        """Have a platform served by a processor, whoever served it before.

        `discord` and `max` are there already. Packages add platforms by entry points in the group
        `haulier.upload_processors`: a class or function that returns a processor.
        """
        self._processors[name] = processor

    async def process_downloaded_files(
        self, directory: str | os.PathLike[str], ctx: Any, platform: str = PLATFORM
    ) -> UploadResult:
        """Deliver the media below a directory.

        What an earlier run had begun goes on: nothing is sent twice. Where
        UPLOAD_CLEANUP_AFTER_SUCCESS says so, files that arrived are removed with the directory,
        and directories beside it whose delivery failed UPLOAD_KEEP_FAILED_HOURS ago; else
        nothing is.

        Args:
            directory: of one request; nothing else should write there.
            ctx: where it goes, in the terms of the platform.
            platform: a processor's name.

        Returns:
            How it ended, failures included.

        Raises:
            UnknownReference: no processor has that name.
            CatalogError, ConfigurationError: the catalog can't be opened, or a setting is missing.
        """
        began = time.monotonic()
        catalog = await self._open_catalog()
        processor = self.processor(platform)
        root = Path(directory)
        updates = self._chat.upload_enable_progress_updates
        status = processor.status_line(ctx) if updates else SilentLine()
        try:
            with claimed(root):
                ledger = await open_ledger(catalog, root, platform, processor.place_of(ctx))
                result, fitted = await self._run(root, ctx, platform, ledger, status)
                result.metadata["processing_time_seconds"] = time.monotonic() - began
                await self._tidy(root, ledger, result)
                await ledger.end(result)
        except HaulierError as error:
            # Before anything was recorded: somebody else is at it.
            result, fitted = _failed(platform, error), Fitted()
        links = [link.text for link in fitted.links]
        links += [f"Original: {link.text}" for link in fitted.originals]
        told = [result.message, *fitted.remarks, *links]
        await status.tell("\n".join(told), at_once=True)
        await self._remove_expired(root.absolute().parent)
        return result

    async def handle_upload_errors(self, result: UploadResult, ctx: Any) -> None:
        """Tell people what went wrong and what they can do; nothing when all went well."""
        if result.success:
            return
        processor = self.processor(str(result.metadata.get("platform", PLATFORM)))
        text = "\n".join([result.message, result.error or ""]).strip()
        await processor.status_line(ctx).tell(text, at_once=True)

    async def _run(
        self, root: Path, ctx: Any, platform: str, ledger: CatalogLedger, status: StatusLine
    ) -> tuple[UploadResult, Fitted]:
        processor = self.processor(platform)
        await ledger.begin()
        fitted = Fitted()
        try:
            files = await self._find(root, ledger)
            size = format_size(sum(file.size_bytes for file in files))
            await status.tell(f"Found {counted(len(files))} ({size}).")
            fitted = await self._fitter.fit(files, processor.limit_bytes(ctx), status)
            if link_place(self._settings) is not None:
                await self._link(fitted, status)
            result = await processor.deliver(
                fitted.files, ctx, platform, ledger=ledger, status=status
            )
        except HaulierError as error:
            _log.exception("the delivery of %s failed", root.name)
            return _failed(platform, error), fitted
        return _with_fitting(result, fitted, platform), fitted

    async def _link(self, fitted: Fitted, status: StatusLine) -> None:
        """Hand out links to what can't be made to fit, and to originals where they are wanted.

        What can't be linked to stays a failure; an original without a link is only logged.
        """
        originals = [
            await MediaFileDetector().detect_file(file.original_path)
            for file in fitted.files
            if self._keep_originals and file.original_path is not None
        ]
        if not fitted.too_large and not originals:
            return
        failures, too_large = fitted.failures, fitted.too_large
        fitted.failures, fitted.too_large = [], []
        async with LinkShelf(self._settings, await self._open_catalog()) as shelf:
            for failure, file in zip(failures, too_large, strict=True):
                await status.tell(
                    f"Too large for this chat: storing {file.filename}…", at_once=True
                )
                try:
                    fitted.links.append(await shelf.link(file))
                except (HaulierError, OSError) as error:
                    _log.warning("no link to %s: %s", file.filename, error)
                    fitted.failures.append(failure)
                    fitted.too_large.append(file)
            for original in originals:
                try:
                    fitted.originals.append(await shelf.link(original))
                except (HaulierError, OSError) as error:
                    _log.warning("no link to %s: %s", original.filename, error)

    async def _find(self, root: Path, ledger: CatalogLedger) -> list[MediaFile]:
        """Return the media that the ledger does not know yet."""
        known = {
            file.original_path or file.path
            for each in await ledger.load()
            for file in each.files
        }  # fmt: skip
        if known and not root.exists():
            # It was cleaned up already, and only that was not noted.
            return []
        found = await MediaFileDetector().find_media_files(root)
        return [file for file in found if file.path not in known]

    async def _tidy(self, root: Path, ledger: CatalogLedger, result: UploadResult) -> None:
        """Clean up before the end is recorded, so that a crash between is cleaned up later."""
        if not self._chat.upload_cleanup_after_success:
            return
        if not result.success:
            await asyncio.to_thread(mark_kept, root)
            return
        sent = [
            file
            for each in await ledger.load()
            if each.state is ConsignmentState.SENT
            for file in each.files
        ]
        await asyncio.to_thread(clean_up, root, sent)

    async def remove_ended_links(self) -> int:
        """Remove what links led to that have ended; each delivery does it at its end.

        Raises:
            CatalogError: the catalog can't be opened.
        """
        async with LinkShelf(self._settings, await self._open_catalog()) as shelf:
            return await shelf.remove_ended()

    async def _remove_expired(self, requests: Path) -> None:
        await self.remove_ended_links()
        if not self._chat.upload_cleanup_after_success:
            return
        with suppress(OSError):
            hours = self._chat.upload_keep_failed_hours
            await asyncio.to_thread(remove_expired, requests, hours)

    def processor(self, name: str) -> BaseUploadProcessor:
        """Return what serves a platform; raises UnknownReference and ConfigurationError."""
        if name == MAX and name not in self._processors:
            self._processors[name] = self._open_max()
        if name not in self._processors:
            found = entry_points(group=ENTRY_POINTS, name=name)
            if not found:
                known = ", ".join(sorted({*self._processors, MAX, *_plugged_in()}))
                raise UnknownReference(f"no platform is called {name!r}", hint=f"Use {known}.")
            self._processors[name] = next(iter(found)).load()()
        return self._processors[name]

    def _open_max(self) -> MaxUploadProcessor:
        client = self._max_client = open_max_client(self._settings)
        catalog = self._catalog or self._own_catalog
        files = open_max_files(self._settings, client, catalog, workers=self._workers)
        return MaxUploadProcessor(
            client, files=files, updates=self._chat.upload_enable_progress_updates
        )

    async def _open_catalog(self) -> Catalog:
        if self._catalog is not None:
            return self._catalog
        async with self._opening:
            if self._own_catalog is None:
                self._own_catalog = await open_catalog(self._settings)
        return self._own_catalog


def _discord(chat: ChatSettings, fitter: Fitter) -> DiscordUploadProcessor:
    batches = BatchProcessor(
        preferred_batch_size_mb=chat.upload_batch_size_mb,
        preferred_max_files=chat.upload_max_files_per_batch,
        # What the setting names is what a message takes.
        max_message_size_mb=max(25, chat.upload_batch_size_mb),
    )
    return DiscordUploadProcessor(
        limit_mb=chat.discord_limit_mb,
        batches=batches,
        smaller=fitter.smaller,
        updates=chat.upload_enable_progress_updates,
    )


def _plugged_in() -> Sequence[str]:
    return [each.name for each in entry_points(group=ENTRY_POINTS)]


def _failed(platform: str, error: HaulierError) -> UploadResult:
    result = Tally(platform=platform).result([advice(error)])
    return dataclasses.replace(result, message="Upload failed.")


def _with_fitting(result: UploadResult, fitted: Fitted, platform: str) -> UploadResult:
    """Return a processor's result with what happened before it."""
    told = result.metadata
    tally = Tally(
        platform=platform,
        delivered=result.successful_uploads + len(fitted.links),
        linked=len(fitted.links),
        failed=result.failed_uploads + len(fitted.failures),
        compression_attempts=told.get("compression_attempts", 0) + fitted.attempts,
        compressed=told.get("successful_compressions", 0) + len(fitted.remarks),
        sent_bytes=round(told.get("total_size_mb", 0) * MIB),
        batches=told.get("batches_processed", 0),
        upload_s=told.get("upload_time_seconds", 0.0),
    )
    errors = [*fitted.failures, *(result.error.splitlines() if result.error else [])]
    result = tally.result(errors)
    links = [link.operation_id for link in (*fitted.links, *fitted.originals)]
    if links:
        result.metadata["links"] = links
    return result
