"""One message with files, sent to a place in Discord."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from io import BufferedReader
from typing import TYPE_CHECKING

from haulier import errors
from haulier.core.chat_names import name_for_chat
from haulier.core.mime import MediaType
from haulier.core.records import utc_now
from haulier.discord.answers import to_error
from haulier.discord.places import Place
from haulier.media.finding import MediaFile
from haulier.transfer.consignments import Consignment

if TYPE_CHECKING:
    import discord

# Discord speaks of "the past few minutes".
_NONCE_KEPT = timedelta(seconds=120)


class DiscordSender:
    """Sends consignments; a `transfer.deliveries.Sender`.

    Args:
        place: where to.
        now: the time.
    """

    def __init__(self, place: Place, *, now: Callable[[], datetime] = utc_now) -> None:
        self._place = place
        self._now = now

    @property
    def knows_nonces(self) -> bool:
        """Whether the place is a channel, where a nonce is heeded."""
        return not self._place.answers

    async def send(self, consignment: Consignment) -> str:
        """Send one message and return its id.

        Raises:
            SourceError: a file is not there any more, or not what it was.
            MessageTooLarge, ChatDenied, ChatNotFound, BadBotToken, ChatError: as Discord told.
            Transient: Discord can't be reached, or asks to wait.
        """
        with _opened(consignment.files) as files:
            try:
                message = await self._place.send(consignment.text, files, consignment.nonce)
            except Exception as error:
                raise to_error(error) from error
        return str(message.id)

    async def find(self, consignment: Consignment, taken: frozenset[str]) -> str | None:
        """Return the id of the message if it arrived before.

        Raises:
            MessageUncertain: the bot may not read the channel's history, and the nonce is too
                old to be relied upon.
        """
        assert consignment.began_at is not None
        sizes = [file.size_bytes for file in consignment.files]
        try:
            return await self._place.find(sizes, consignment.nonce, consignment.began_at, taken)
        except Exception as error:
            is_fresh = self._now() - consignment.began_at < _NONCE_KEPT
            if self.knows_nonces and is_fresh:
                return None
            cause = to_error(error)
            raise errors.MessageUncertain(
                f"whether a message arrived can't be told: {cause.message}"
            ) from error


@contextmanager
def _opened(files: tuple[MediaFile, ...]) -> Iterator[list[discord.File]]:
    import discord

    with ExitStack() as stack:
        sent: list[discord.File] = []
        for file in files:
            # A buffer of discord.py's own is not used: it would follow links.
            content = stack.enter_context(_open(file))
            name = name_for_chat(file.filename, file.mime_type)
            sent.append(discord.File(content, filename=name))
            stack.callback(sent[-1].close)
        yield sent


def _open(file: MediaFile) -> BufferedReader:
    if file.media_type is MediaType.UNKNOWN:
        raise errors.TargetUnreadable(
            f"{file.filename} is neither video, sound nor image", hint="Only these are sent."
        )
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise errors.TargetMissing(f"{file.filename} is not there any more") from error
    except OSError as error:
        raise errors.TargetUnreadable(f"{file.filename}: {error.strerror}") from error
    content = os.fdopen(descriptor, "rb")
    known = os.fstat(descriptor)
    if not stat.S_ISREG(known.st_mode) or known.st_size != file.size_bytes:
        content.close()
        raise errors.SourceChanged(f"{file.filename} is not what it was when it was found")
    return content
