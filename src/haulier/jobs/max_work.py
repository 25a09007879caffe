"""What is done for a message to the bot that keeps files; safe to be done twice."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from haulier import errors
from haulier.core.jobs import Job
from haulier.core.progress import Meter, Progress, ProgressBoard
from haulier.core.progress_text import format_progress
from haulier.core.records import OperationRecord, OperationStatus
from haulier.core.upload_tokens import TokenKey
from haulier.jobs import max_words as words
from haulier.jobs.kinds import Done, JobKind
from haulier.journeys.chat_shelf import DELETE, KEEP, ChatShelf, KeptFile
from haulier.journeys.sending import TYPE as SEND
from haulier.max.client import MaxClient
from haulier.max.commands import Command, command_of
from haulier.max.files import FileManager
from haulier.max.models import Attachment, Message
from haulier.max.outgoing import Outgoing, To
from haulier.max.preparing import OverLimit
from haulier.max.replies import Replies, storable
from haulier.max.upload_types import UploadType
from haulier.transfer.ticker import Ticker
from haulier.transfer.tokens import TokenStore

KEEPING, ANSWERING = "max-keep", "max-answer"
PLATFORM = "max"
SHOWN = 20
_TICK_S = 2.0
_NAMESPACE = uuid.UUID("6f1f7c5e-8d0b-4a57-9c8f-6a8f3f1f0a52")
_HOPELESS = (
    errors.ChatError, errors.UsageError, errors.ValidationError, errors.AddressRefused,
)  # fmt: skip

Managers = Callable[[ProgressBoard], FileManager]


class MaxWork:
    """Does what messages ask for.

    Args:
        client: the bot.
        shelf: where files are kept.
        tokens: what MAX has already.
        managers: makes what moves files, showing how far they are on a board.
        scratch: a directory for each message goes here.
        may_use: tells whether somebody may use the bot.
    """

    def __init__(
        self,
        *,
        client: MaxClient,
        shelf: ChatShelf,
        tokens: TokenStore,
        managers: Managers,
        scratch: Path,
        may_use: Callable[[int], bool],
    ) -> None:
        self._client = client
        self._shelf = shelf
        self._tokens = tokens
        self._managers = managers
        self._scratch = scratch
        self._may_use = may_use

    def kinds(self, at_once: int) -> list[JobKind]:
        """Return the kinds of jobs: messages of one chat are dealt with one after another, and
        questions do not wait for files to be kept."""
        return [
            JobKind(
                name=KEEPING, run=self._keep, hopeless=_HOPELESS, at_once=at_once,
                at_once_of_subject=1,
            ),
            JobKind(
                name=ANSWERING, run=self._answer, hopeless=_HOPELESS, at_once=at_once,
                at_once_of_subject=1,
            ),
        ]  # fmt: skip

    async def _keep(self, job: Job) -> Done:
        """Keep what is attached to a message."""
        message = Message.of(job.payload["message"])
        replies = self._replies(job, message)
        kept: list[KeptFile] = []
        failed: list[str] = []
        board = ProgressBoard()
        found = storable(message)

        async def tell(progress: Progress) -> None:
            if progress.is_final:
                return
            number = f"{len(kept) + len(failed) + 1} of {len(found)}: " if len(found) > 1 else ""
            await replies.tell(f"{number}{format_progress(progress)}")

        room = self._room(job)
        async with Ticker(board, [tell], interval_s=_TICK_S):
            for index, attachment in enumerate(found):
                try:
                    kept.append(await self._keep_one(message, attachment, index, room, board))
                except errors.HaulierError as error:
                    if isinstance(error, errors.Transient) and job.attempts < job.max_attempts:
                        await replies.tell(words.AGAIN, at_once=True)
                        raise
                    failed.append(words.failure(error, attachment.filename or attachment.type))
        await replies.say(words.kept_all(kept, failed))
        await asyncio.to_thread(shutil.rmtree, room, ignore_errors=True)
        return Done(result={"kept": [one.number for one in kept], "failed": len(failed)})

    async def _keep_one(
        self, message: Message, attachment: Attachment, index: int, room: Path, board: ProgressBoard
    ) -> KeptFile:
        operation = await self._shelf.begin(
            _operation(
                KEEP,
                message,
                f"{KEEP} {index}",
                name=attachment.filename or attachment.type,
                **({"text": message.text} if message.text else {}),
            )
        )
        if operation.status is OperationStatus.SUCCESS:
            return await self._shelf.of_operation(operation)
        try:
            kept = await self._fetch_and_keep(
                operation, message, attachment, room / str(index), board
            )
        except errors.HaulierError as error:
            await self._shelf.end(operation, error.message)
            raise
        if attachment.token is not None:
            key = self._token_key(kept)
            await self._tokens.keep(key, attachment.token, kept.size_bytes)
        return kept

    async def _fetch_and_keep(
        self,
        operation: OperationRecord,
        message: Message,
        attachment: Attachment,
        room: Path,
        board: ProgressBoard,
    ) -> KeptFile:
        await asyncio.to_thread(room.mkdir, mode=0o700, parents=True, exist_ok=True)
        files = self._managers(board)
        # What lies there whole is of a run that died before it was stored.
        receipt = await files.download(attachment, room, mid=message.mid, overwrite=True)
        meter: Meter = board.start(
            operation.operation_id, receipt.path.name, receipt.size_bytes, stage="storing"
        )
        try:
            kept = await self._shelf.keep(
                operation,
                receipt.path,
                chat=str(message.chat_id),
                type_=attachment.type,
                user_id=_user_of(message),
                advance=meter.add,
            )
        except BaseException as error:
            meter.fail(str(error))
            raise
        meter.finish()
        return kept

    async def _answer(self, job: Job) -> Done:
        """Answer what a message asks."""
        if "greet" in job.payload:
            return await self._greet(job)
        message = Message.of(job.payload["message"])
        replies = self._replies(job, message)
        sender = None if message.sender is None else message.sender.user_id
        command = command_of(message)
        if sender is not None and not self._may_use(sender):
            await replies.say(words.refused(sender))
        elif command is None:
            await replies.say(words.NOTHING_TO_KEEP)
        else:
            try:
                text = await self._do(command, message, replies)
            except errors.HaulierError as error:
                is_last = isinstance(error, _HOPELESS) or job.attempts >= job.max_attempts
                if not is_last or isinstance(error, errors.MessageUncertain):
                    raise
                text = words.failure(error)
            if text is not None:
                await replies.say(text)
        return Done()

    async def _greet(self, job: Job) -> Done:
        """Say hello to whoever began a dialog: there is no message that could be answered, so what
        may have been said already is not said again."""
        user_id, chat_id = int(job.payload["greet"]), int(job.payload["chat_id"])
        text = words.HELP if self._may_use(user_id) else words.refused(user_id)
        if job.token == 1:
            await self._client.send_message(chat_id, text)
        return Done()

    async def _do(self, command: Command, message: Message, replies: Replies) -> str | None:
        """Do what a command says; return what is to be answered, None where files are."""
        chat, argument = str(message.chat_id), command.argument
        if command.name == "help":
            return words.HELP
        if command.name == "list":
            return await self._list(chat, argument)
        if command.name == "find" and not argument:
            return words.NO_WORDS
        if command.name == "find":
            found = await self._shelf.newest(chat, words=argument, limit=SHOWN)
            return words.list_of(found, more=None) if found else words.none_found(argument)
        if command.name not in {"get", "link", "delete"}:
            return words.unknown(command.name)
        if command.name == "get" and argument and not argument.isdecimal():
            kept = await self._named(chat, argument)
        elif not argument.isdecimal() or len(argument) > 9:
            return words.needs_number(command.name)
        elif command.name == "delete":
            return await self._delete(chat, int(argument), message)
        else:
            number = int(argument)
            kept = await self._shelf.numbered(chat, number) or words.none_numbered(number)
        if isinstance(kept, str):
            return kept
        if command.name == "link":
            return self._shelf.link(kept) or words.NO_LINKS
        await self._give(kept, message, replies)
        return None

    async def _list(self, chat: str, argument: str) -> str:
        page = int(argument) if argument.isdecimal() and 0 < len(argument) < 6 else 1
        found = await self._shelf.newest(chat, skip=(page - 1) * SHOWN, limit=SHOWN + 1)
        if not found:
            return words.NOTHING_KEPT if page <= 1 else words.NO_MORE
        more = f"/list {page + 1} shows older ones." if len(found) > SHOWN else None
        return words.list_of(found[:SHOWN], more=more)

    async def _named(self, chat: str, name: str) -> KeptFile | str:
        """Return the newest file of a name, or the only one whose name holds it; else words."""
        found = await self._shelf.newest(chat, words=name, limit=SHOWN)
        exact = [one for one in found if one.name.casefold() == name.casefold()]
        if exact or len(found) == 1:
            return (exact or found)[0]
        if not found:
            return words.none_found(name)
        return words.list_of(found, more="Which of them? Write /get and its number.")

    async def _give(self, kept: KeptFile, message: Message, replies: Replies) -> None:
        """Send a kept file: by its token where MAX has it still, else by its bytes."""
        operation = await self._shelf.begin(
            _operation(SEND, message, SEND, name=kept.name, path=kept.record.path)
        )
        if operation.status is OperationStatus.SUCCESS:
            return
        arrived = await replies.sent_files()
        try:
            sent = arrived[0] if arrived else await self._send(kept, message, replies)
        except errors.HaulierError as error:
            await self._shelf.end(operation, error.message)
            raise
        where = f"{PLATFORM}:{message.chat_id}/{sent.mid}"
        metadata = {**operation.metadata, "message_id": sent.mid, "size": kept.size_bytes}
        await self._shelf.end(replace(operation, result_path=where, metadata=metadata))

    async def _send(self, kept: KeptFile, message: Message, replies: Replies) -> Message:
        key = self._token_key(kept)
        token = await self._tokens.find(key)
        if token is not None:
            try:
                return await replies.send_again(Outgoing.by_token(kept.type, token))
            except errors.AttachmentRefused:
                await self._tokens.refuse(key, token)
        board = ProgressBoard()
        files = self._managers(board)

        async def send() -> Message:
            sent = await files.send_file(
                To(chat_id=message.chat_id),
                path,
                name=kept.name,
                over_limit=OverLimit.AS_FILE,
                as_type=UploadType.FILE if kept.type == UploadType.FILE else None,
                reply_to=message.mid,
            )
            assert sent.message is not None
            return sent.message

        async def tell(progress: Progress) -> None:
            if not progress.is_final:
                await replies.tell(format_progress(progress))

        async with (
            Ticker(board, [tell], interval_s=_TICK_S),
            self._shelf.on_disk(kept, self._scratch) as path,
        ):
            return await replies.once(send)

    async def _delete(self, chat: str, number: int, message: Message) -> str:
        kept = await self._shelf.numbered(chat, number, deleted=True)
        if kept is None:
            return words.none_numbered(number)
        if kept.user_id != _user_of(message):
            return words.not_yours(kept)
        operation = _operation(DELETE, message, DELETE, name=kept.name, path=kept.record.path)
        if kept.is_deleted and not await self._shelf.has_done(operation):
            return words.none_numbered(number)
        if not kept.is_deleted:
            await self._shelf.delete(await self._shelf.begin(operation), kept)
            await self._tokens.refuse(self._token_key(kept))
        return f"Deleted {words.line_of(kept)}"

    def _replies(self, job: Job, message: Message) -> Replies:
        return Replies(self._client, message, again=job.token > 1)

    def _room(self, job: Job) -> Path:
        return self._scratch / job.job_id

    def _token_key(self, kept: KeptFile) -> TokenKey:
        content = kept.record.checksum or ""
        return TokenKey(content=content, type=kept.type, bot=self._client.bot_id, name=kept.name)


def _operation(
    kind: str, message: Message, cause: str, *, name: str, path: str | None = None, **more: Any
) -> OperationRecord:
    """Return an operation that is the same one each time for the same cause."""
    chat = f"{PLATFORM}:{message.chat_id}"
    return OperationRecord(
        operation_id=str(uuid.uuid5(_NAMESPACE, f"{chat} {message.mid} {cause}")),
        operation_type=kind,
        target_path=path or f"{chat}/{message.mid}",
        target_name=name,
        metadata={
            "platform": PLATFORM, "chat": chat, "request": message.mid, **more,
        },
        user=f"{PLATFORM}:{_user_of(message)}",
    )  # fmt: skip


def _user_of(message: Message) -> str:
    return "" if message.sender is None else str(message.sender.user_id)
