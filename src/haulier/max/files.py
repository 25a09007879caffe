"""Files in and out of chats, each by one call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from haulier import errors
from haulier.core.first_error import first_error
from haulier.core.progress import Meter, ProgressBoard
from haulier.core.records import new_operation_id
from haulier.max.client import MaxClient
from haulier.max.fetching import MEDIA_HOSTS, Fetcher
from haulier.max.models import Attachment
from haulier.max.opening import Source, opened
from haulier.max.outgoing import Outgoing, To
from haulier.max.preparing import OverLimit, Prepared, Preparer
from haulier.max.reuse import ReusingUploader, TokenStore
from haulier.max.sent import SentFile, groups_of, joins, told_of
from haulier.max.turns import Line, Turn
from haulier.max.upload_types import UploadType
from haulier.max.uploads import Uploaded, Uploader
from haulier.media.transcribe import Transcriber
from haulier.transfer.download import DownloadReceipt

READY_LEAST_S = 60.0
READY_BYTES_PER_S = 4 << 20
_UPLOADS_AT_ONCE = 3
# Of small files it is the round trips that take the time, not the bytes.
_SMALL_BYTES = 1 << 20
_SMALL_AT_ONCE = 16
_MESSAGES_AHEAD = 6


def ready_within_s(size_bytes: int) -> float:
    """Return how many seconds MAX is given to process files of that size together."""
    return READY_LEAST_S + size_bytes / READY_BYTES_PER_S


@dataclass(slots=True)
class _Batch:
    """What goes into one message, by its number among all, with what holds it open."""

    files: dict[int, Prepared] = field(default_factory=dict)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)


class FileManager:
    """Sends files to chats and fetches them from there.

    Args:
        client: the bot.
        uploader: sends the bytes; one that keeps unfinished uploads in memory when left out.
        tokens: remembers what MAX has already, which is then sent without an upload.
        preparer: looks at files before they are sent.
        board: shows how far files are.
        scratch: the directory for temporary files; the system's when None.
        transcriber: tells what is said in sound that MAX has no transcription of.
        hosts: domains that attachments are fetched from, besides the API's own host.
    """

    def __init__(
        self,
        client: MaxClient,
        *,
        uploader: Uploader | None = None,
        tokens: TokenStore | None = None,
        preparer: Preparer | None = None,
        board: ProgressBoard | None = None,
        scratch: Path | None = None,
        transcriber: Transcriber | None = None,
        hosts: Collection[str] = MEDIA_HOSTS,
    ) -> None:
        self._client = client
        self._uploads = ReusingUploader(
            uploader or Uploader(client), bot_id=client.bot_id, tokens=tokens
        )
        self._preparer = preparer or Preparer()
        self._board = board
        self._scratch = scratch
        self._transcriber = transcriber
        self._fetcher = Fetcher(client, hosts=hosts)
        self._slots = asyncio.Semaphore(_UPLOADS_AT_ONCE)
        self._small_slots = asyncio.Semaphore(_SMALL_AT_ONCE)

    async def send_file(
        self,
        to: int | To,
        source: Source,
        *,
        text: str | None = None,
        name: str | None = None,
        as_type: UploadType | None = None,
        over_limit: OverLimit | None = None,
        **message: Any,
    ) -> SentFile:
        """Send anything, as what it is by its content.

        Args:
            to: a chat's id, or `To`.
            source: a path, a link, bytes, an open file, or an async iterator of bytes.
            text: stands in the same message.
            name: what the file is called; the path's or link's when left out.
            as_type: instead of what it is by its content.
            over_limit: what to do when MAX does not take it so: refuse, as file, compress.
            **message: `text_format`, `notify`, `reply_to` of `MaxClient.send_message`.

        Raises:
            As `Preparer.prepare`, `Uploader.uploading` and `MaxClient.send_message`. What was
            uploaded and not sent is not uploaded again by the next call, when the uploader
            keeps states.
        """
        async with self._prepared(source, name, as_type, over_limit) as file:
            [sent] = await self._send(To.of(to), [file], [text], message)
        return sent

    async def send_image(self, to: int | To, source: Source, **options: Any) -> SentFile:
        """Send a picture; as `send_file`."""
        return await self.send_file(to, source, as_type=UploadType.IMAGE, **options)

    async def send_video(self, to: int | To, source: Source, **options: Any) -> SentFile:
        """Send a video; as `send_file`."""
        return await self.send_file(to, source, as_type=UploadType.VIDEO, **options)

    async def send_audio(self, to: int | To, source: Source, **options: Any) -> SentFile:
        """Send sound; as `send_file`."""
        return await self.send_file(to, source, as_type=UploadType.AUDIO, **options)

    async def send_document(self, to: int | To, source: Source, **options: Any) -> SentFile:
        """Send a file as it is, whatever it is; as `send_file`."""
        return await self.send_file(to, source, as_type=UploadType.FILE, **options)

    async def send_album(
        self,
        to: int | To,
        sources: Sequence[Source],
        *,
        text: str | None = None,
        over_limit: OverLimit | None = None,
        **message: Any,
    ) -> list[SentFile]:
        """Send pictures and videos together, up to 12 in a message; `text` stands in the first.

        Nothing is sent unless all of them can be.

        Raises:
            UsageError: there are none, or one is neither picture nor video. Others: as
            `send_file`.
        """
        sent: list[SentFile] = []
        async with AsyncExitStack() as stack:
            files = [
                await stack.enter_async_context(self._prepared(one, None, None, over_limit))
                for one in sources
            ]
            for file in files:
                if not file.type.is_grouped:
                    raise errors.UsageError(
                        f"{file.name} is no picture or video that MAX shows",
                        hint="Send it by `send_file`, or all of them by `send_files`.",
                    )
            if not files:
                raise errors.UsageError("an album of nothing can't be sent", hint="Name files.")
            texts = [text]
            for group in groups_of(files):
                sent += await self._send(To.of(to), group, texts, message)
        return sent

    async def send_files(
        self,
        to: int | To,
        sources: Sequence[Source],
        *,
        text: str | None = None,
        over_limit: OverLimit | None = None,
        as_type: UploadType | None = None,
        **message: Any,
    ) -> list[SentFile]:
        """Send many: pictures and videos that follow each other together, all else alone.

        One that fails does not stop the others; its `error` tells why. `text` stands in the
        first message.

        Returns:
            What became of each, in the order given.
        """
        outcomes: dict[int, SentFile] = {}
        texts = [text]
        line, room = Line(), asyncio.Semaphore(_MESSAGES_AHEAD)

        async def send(batch: _Batch, turn: Turn) -> None:
            async with turn, batch.stack:
                files = list(batch.files.values())
                try:
                    done = await self._send(To.of(to), files, texts, message, turn)
                except errors.HaulierError as error:
                    done = [replace(told_of(file), error=error) for file in files]
                outcomes.update(zip(batch.files, done, strict=True))
            room.release()

        async with AsyncExitStack() as stack:
            batches = self._batches(sources, as_type, over_limit, outcomes, stack)
            try:
                async with asyncio.TaskGroup() as group:
                    async for batch in batches:
                        await room.acquire()
                        group.create_task(send(batch, line.next()))
            except BaseExceptionGroup as failures:
                raise first_error(failures) from None
        return [outcomes[number] for number in range(len(sources))]

    async def _batches(
        self,
        sources: Sequence[Source],
        as_type: UploadType | None,
        over_limit: OverLimit | None,
        outcomes: dict[int, SentFile],
        held: AsyncExitStack,
    ) -> AsyncIterator[_Batch]:
        """Yield what goes into one message each, looking at files as they are needed; what can't
        be sent goes to `outcomes`. With `held` ends whatever is held open still."""
        batch = _Batch()
        for number, source in enumerate(sources):
            try:
                entering = self._prepared(source, None, as_type, over_limit)
                async with AsyncExitStack() as stack:
                    file = await stack.enter_async_context(entering)
                    if batch.files and not joins(list(batch.files.values()), file):
                        yield batch
                        batch = _Batch()
                    if not batch.files:
                        held.push_async_exit(batch.stack)
                    batch.stack.push_async_exit(stack.pop_all())
                    batch.files[number] = file
            except errors.HaulierError as error:
                outcomes[number] = SentFile(name=_label(source), error=error)
        if batch.files:
            yield batch

    async def edit_media(
        self, mid: str, source: Source, *, text: str | None = None, **options: Any
    ) -> SentFile:
        """Replace what is attached to a message; `text` stays as it is unless given.

        Args:
            mid: the message's id.
            source: as in `send_file`.
            text: the new text.
            **options: `name`, `as_type`, `over_limit` of `send_file`.
        """
        given = [options.get(one) for one in ("name", "as_type", "over_limit")]
        async with self._prepared(source, *given) as file:
            try:
                return await self._edit_once(mid, file, text)
            except errors.AttachmentRefused:
                if not await self._uploads.forget([file]):
                    raise
            return await self._edit_once(mid, file, text)

    async def _edit_once(self, mid: str, file: Prepared, text: str | None) -> SentFile:
        async with self._uploading(file) as uploaded:
            await self._client.edit_message(
                mid,
                text,
                attachments=[Outgoing.by_token(uploaded.type, uploaded.token)],
                ready_within_s=ready_within_s(uploaded.size_bytes),
            )
            return told_of(file, uploaded, await self._client.get_message(mid))

    async def download(
        self,
        attachment: Attachment,
        folder: Path,
        *,
        name: str | None = None,
        mid: str | None = None,
        max_height: int | None = None,
        overwrite: bool = False,
    ) -> DownloadReceipt:
        """Save an attachment in a directory.

        Args:
            attachment: of a received message.
            folder: where to; it exists.
            name: what to call it; as its sender did when left out, made safe.
            mid: the message it is in: its link is renewed from there when it has expired.
            max_height: of a video: the best rendition that is at most so high.
            overwrite: whether an existing file is replaced.

        Raises:
            AddressRefused: its link leads to no host of MAX.
            UsageError: it has no link. VerificationFailed: its size is not what MAX tells.
            Others: as `transfer.download.download`.
        """
        with self._metered(attachment.filename or attachment.type, "downloading") as meter:
            return await self._fetcher.fetch(
                attachment,
                folder,
                name=name,
                mid=mid,
                max_height=max_height,
                overwrite=overwrite,
                meter=meter,
            )

    async def transcription(self, attachment: Attachment, *, mid: str | None = None) -> str:
        """Return what is said in received sound: as MAX tells it, else by the transcriber.

        Raises:
            UsageError: MAX tells nothing and there is no transcriber. Others: as `download` and
            `Transcriber.transcribe`.
        """
        if attachment.transcription:
            return attachment.transcription
        if self._transcriber is None:
            raise errors.UsageError(
                "MAX tells no transcription", hint="Give the FileManager a `transcriber`."
            )
        async with opened(b"", None, http=self._client.transfers, scratch=self._scratch) as (
            _,
            _,
            folder,
        ):
            saved = await self.download(attachment, folder, mid=mid)
            return (await self._transcriber.transcribe(saved.path)).text

    @asynccontextmanager
    async def _prepared(
        self,
        source: Source,
        name: str | None,
        as_type: UploadType | None,
        over_limit: OverLimit | None,
    ) -> AsyncIterator[Prepared]:
        async with opened(source, name, http=self._client.transfers, scratch=self._scratch) as (
            path,
            called,
            folder,
        ):
            yield await self._preparer.prepare(
                path, scratch=folder, name=called, as_type=as_type, over_limit=over_limit
            )

    async def _send(
        self,
        to: To,
        files: Sequence[Prepared],
        texts: list[str | None],
        message: dict[str, Any],
        turn: Turn | None = None,
    ) -> list[SentFile]:
        """Send files in one message, when it is its `turn`; uploaded again when MAX does not take
        a remembered token. The text in `texts` is taken from there once it is sent."""
        try:
            return await self._send_once(to, files, texts, message, turn)
        except errors.AttachmentRefused:
            if not await self._uploads.forget(files):
                raise
        return await self._send_once(to, files, texts, message, turn)

    async def _send_once(
        self,
        to: To,
        files: Sequence[Prepared],
        texts: list[str | None],
        message: dict[str, Any],
        turn: Turn | None,
    ) -> list[SentFile]:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(stack.enter_async_context(self._uploading(file)))
                        for file in files
                    ]
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None
            uploaded = [task.result() for task in tasks]
            if turn is not None:
                await turn.come()
            sent = await self._client.send_message(
                to,
                texts[0],
                attachments=[Outgoing.by_token(one.type, one.token) for one in uploaded],
                ready_within_s=ready_within_s(sum(one.size_bytes for one in uploaded)),
                **message,
            )
            texts[0] = None
        return [told_of(file, one, sent) for file, one in zip(files, uploaded, strict=True)]

    @asynccontextmanager
    async def _uploading(self, file: Prepared) -> AsyncIterator[Uploaded]:
        async with AsyncExitStack() as stack:
            with self._metered(file.name, "uploading") as meter:
                async with self._slots if file.size_bytes > _SMALL_BYTES else self._small_slots:
                    uploading = self._uploads.uploading(file, meter)
                    uploaded = await stack.enter_async_context(uploading)
            yield uploaded

    @contextlib.contextmanager
    def _metered(self, name: str, stage: str) -> Iterator[Meter | None]:
        """Show on the board what the block does."""
        if self._board is None:
            yield None
            return
        meter: Meter = self._board.start(new_operation_id(), name, stage=stage)
        try:
            yield meter
        except BaseException as error:
            meter.fail(str(error) or "cancelled")
            raise
        meter.finish()


def _label(source: Source) -> str:
    if isinstance(source, (str, Path)):
        return Path(str(source).partition("?")[0]).name or str(source)
    return "file"
