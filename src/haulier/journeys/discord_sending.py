"""Files named one by one, sent into a channel of Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from haulier.core.mime import MediaType
from haulier.core.progress import ProgressBoard
from haulier.core.units import format_size
from haulier.discord.answers import to_error
from haulier.discord.places import Place
from haulier.discord.sender import DiscordSender
from haulier.errors import (
    ChatError,
    ConfigurationError,
    HaulierError,
    MessageTooLarge,
    UnsupportedMedia,
    UsageError,
)
from haulier.journeys.delivery.fitting import Fitter, open_fitter
from haulier.journeys.sending import Delivered, SendOptions
from haulier.media.finding import MediaFile, MediaFileDetector
from haulier.media.isolation import Workers
from haulier.settings import Settings
from haulier.settings_chats import ChatSettings
from haulier.transfer.batching import BatchProcessor
from haulier.transfer.consignments import Consignment, MemoryLedger
from haulier.transfer.deliveries import Delivery
from haulier.transfer.processors import SilentLine, Tally

_COMPRESS = "compress"


class DiscordMessenger:
    """Sends files to one channel; a `journeys.sending.Messenger`.

    Args:
        place: the channel.
        chat: settings of chats.
        fitter: makes files smaller.
        board: shows how far files are.
    """

    def __init__(
        self, place: Place, chat: ChatSettings, fitter: Fitter, board: ProgressBoard
    ) -> None:
        self._place = place
        self._chat = chat
        self._fitter = fitter
        self._board = board

    async def send(self, paths: Sequence[Path], options: SendOptions) -> list[Delivered]:
        """Send files in as few messages as their order allows; one that fails spares the others."""
        found: dict[int, MediaFile] = {}
        ended: dict[int, Delivered] = {}
        for number, path in enumerate(paths):
            try:
                found[number] = await self._fitting(path, options)
            except HaulierError as error:
                ended[number] = Delivered(where=None, metadata={}, error=error)
        ended |= await self._deliver(found, options)
        return [ended[number] for number in range(len(paths))]

    async def _fitting(self, path: Path, options: SendOptions) -> MediaFile:
        """Return the file, or a copy that fits."""
        file = await MediaFileDetector().detect_file(path)
        if file.media_type is MediaType.UNKNOWN:
            raise UnsupportedMedia(
                f"{path.name} is neither video, sound nor image",
                hint="Only these are sent to Discord; `haulier upload` takes everything.",
            )
        limit = self._place.limit_bytes(self._chat.discord_limit_mb)
        if file.size_bytes <= limit:
            return file
        if options.over_limit != _COMPRESS:
            raise MessageTooLarge(
                f"{path.name} is of {format_size(file.size_bytes)}, and Discord takes "
                f"{format_size(limit)}",
                hint="Use --over-limit compress, or `haulier shrink`.",
            )
        return await self._fitter.made_to_fit(file, limit)

    async def _deliver(
        self, found: dict[int, MediaFile], options: SendOptions
    ) -> dict[int, Delivered]:
        batches = BatchProcessor(
            preferred_batch_size_mb=self._chat.upload_batch_size_mb,
            preferred_max_files=self._chat.upload_max_files_per_batch,
            keep_order=True,
        ).optimize_batches(found.values())
        texts = [options.text, *[None] * len(batches)]
        fresh = [
            Consignment(files=tuple(batch.files), text=text)
            for batch, text in zip(batches, texts, strict=False)
        ]
        ledger = MemoryLedger()
        delivery = Delivery(DiscordSender(self._place), ledger, status=SilentLine())
        meters = [self._board.start(str(f.path), f.filename, f.size_bytes) for f in found.values()]
        await delivery.run(fresh, Tally(platform="discord"))
        ended = [(each, file) for each in await ledger.load() for file in each.files]
        for meter, (each, file) in zip(meters, ended, strict=True):
            if each.message_id is None:
                meter.fail(each.error or "failed")
            else:
                meter.add(file.size_bytes)
                meter.finish()
        return {
            number: self._delivered(*pair) for number, pair in zip(found, ended, strict=True)
        }  # fmt: skip

    def _delivered(self, sent: Consignment, file: MediaFile) -> Delivered:
        metadata: dict[str, Any] = {
            "type": str(file.media_type),
            "mime_type": file.mime_type,
            "size": file.size_bytes,
            "message_id": sent.message_id,
            "warnings": list(file.warnings),
        }
        if sent.message_id is None:
            return Delivered(where=None, metadata=metadata, error=ChatError(sent.error or "failed"))
        where = f"discord:{self._place.id}/{sent.message_id}"
        return Delivered(where=where, metadata=metadata)


@asynccontextmanager
async def open_discord(
    settings: Settings, channel: str, board: ProgressBoard
) -> AsyncIterator[DiscordMessenger]:
    """Sign in and yield a messenger for a channel.

    Raises:
        UsageError: the channel's id is no number.
        ConfigurationError: DISCORD_TOKEN is missing.
        BadBotToken: Discord does not know it.
    """
    import discord

    if not channel.isdecimal():
        raise UsageError(f"{channel!r} is no channel's id", hint="Write discord:CHANNEL_ID.")
    chat = settings.chat
    if chat.discord_token is None:
        raise ConfigurationError(
            "DISCORD_TOKEN is not set", hint="Set it to the token that Discord shows for the bot."
        )
    async with discord.Client(intents=discord.Intents.none()) as client, Workers() as workers:
        try:
            await client.login(chat.discord_token.get_secret_value())
        except Exception as error:
            raise to_error(error) from error
        place = Place(client.get_partial_messageable(int(channel)))
        yield DiscordMessenger(place, chat, open_fitter(chat, workers), board)
