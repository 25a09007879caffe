"""One message with files, sent to a chat of MAX."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from haulier import errors
from haulier.core.chat_names import name_for_chat
from haulier.max.client import MaxClient
from haulier.max.files import FileManager
from haulier.max.looking_back import said_by_bots
from haulier.max.models import Attachment, Message
from haulier.max.outgoing import To
from haulier.max.preparing import OverLimit
from haulier.max.upload_types import UploadType
from haulier.media.finding import MediaFile
from haulier.transfer.consignments import Consignment

# How far the clock here may be before that of MAX.
_CLOCK_SLACK = timedelta(seconds=60)


class MaxSender:
    """Sends consignments; a `transfer.deliveries.Sender`.

    MAX has nothing that tells two messages apart which look alike. A message whose answer was lost
    is looked for: files are known by name and size; of pictures, videos and sound MAX tells
    neither, so where some of the same kinds arrived, nobody can say.

    Args:
        client: the bot.
        files: sends files.
        to: where to.
    """

    knows_nonces = False

    def __init__(self, client: MaxClient, files: FileManager, to: To) -> None:
        self._client = client
        self._files = files
        self._to = to

    async def send(self, consignment: Consignment) -> str:
        """Send one message and return its id.

        Raises:
            AttachmentRefused: not so; of several files each alone is perhaps taken.
            ConnectionLost: whether it arrived is not known.
            Others: as `FileManager.send_album` and `FileManager.send_file`.
        """
        for file in consignment.files:
            if file.path.is_symlink():
                raise errors.TargetUnreadable(f"{file.filename} is a link")
        try:
            return (await self._sent(consignment)).mid
        except errors.MessageUncertain as error:
            raise errors.ConnectionLost(error.message) from error
        except errors.UsageError as error:
            raise errors.AttachmentRefused(error.message, hint=error.hint) from error

    async def _sent(self, consignment: Consignment) -> Message:
        if len(consignment.files) > 1:
            paths = [file.path for file in consignment.files]
            sent = await self._files.send_album(self._to, paths, text=consignment.text)
            last = sent[-1]
        else:
            [file] = consignment.files
            last = await self._files.send_file(
                self._to,
                file.path,
                text=consignment.text,
                name=name_for_chat(file.filename, file.mime_type),
                over_limit=OverLimit.AS_FILE,
            )
        assert last.message is not None
        return last.message

    async def find(self, consignment: Consignment, taken: frozenset[str]) -> str | None:
        """Return the id of the message if it arrived before.

        Raises:
            MessageUncertain: messages that look like it arrived, or the chat can't be looked into.
        """
        assert consignment.began_at is not None
        alike = 0
        try:
            async for message in self._since(consignment.began_at - _CLOCK_SLACK):
                if message.mid in taken or not _looks_like(message, consignment.files):
                    continue
                if all(one.type == UploadType.FILE for one in message.attachments):
                    return message.mid
                alike += 1
        except errors.HaulierError as error:
            raise errors.MessageUncertain(
                f"whether a message arrived can't be told: {error.message}"
            ) from error
        if alike:
            raise errors.MessageUncertain(f"{alike} messages arrived that it may be one of")
        return None

    def _since(self, began: datetime) -> AsyncIterator[Message]:
        """Return the bots' messages since then, newest first."""
        if self._to.chat_id is None:
            raise errors.UsageError("the dialog with a user can't be looked into by the user's id")
        return said_by_bots(self._client, self._to.chat_id, int(began.timestamp() * 1000))


def _looks_like(message: Message, files: tuple[MediaFile, ...]) -> bool:
    return len(message.attachments) == len(files) and all(map(_may_be, message.attachments, files))


def _may_be(attachment: Attachment, file: MediaFile) -> bool:
    if attachment.type != UploadType.FILE:
        return attachment.type == file.media_type
    name = name_for_chat(file.filename, file.mime_type)
    return (attachment.filename, attachment.size_bytes) == (name, file.size_bytes)
