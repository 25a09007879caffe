"""Files of chats, kept in a store: numbered in their chat, found by number or name.

A file is visible once its bytes are whole in the store: its record, its number and the end of its
operation are committed together.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from haulier.catalog.catalog import Catalog
from haulier.catalog.filters import FileFilter
from haulier.catalog.transaction import Tx
from haulier.core.chat_names import name_for_chat
from haulier.core.checksums import format_checksum
from haulier.core.file_names import content_disposition
from haulier.core.mime import UNKNOWN_TYPE, mime_type_of
from haulier.core.records import FileRecord, FileStatus, OperationRecord, OperationStatus, utc_now
from haulier.core.sniff import HEAD_BYTES, sniff
from haulier.journeys.archive.destination import OpenDestination
from haulier.store.base import LocalFileStore, ObjectOptions, SigningStore
from haulier.store.local_files import system_errors
from haulier.transfer.download import download
from haulier.transfer.range_source import StoreRangeSource
from haulier.transfer.streaming_upload import StreamedBytes, StreamingUploadHandler

FOLDER = "chats"
KEEP, DELETE = "keep", "delete"
_PART_BYTES = 8 << 20
_READ_BYTES = 1 << 20
_PAGE = 500
_CHAT, _NUMBER, _TYPE, _KEEPER, _KEY = "chat", "chat_number", "chat_type", "chat_user", "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file that is kept: its number in its chat, what it is to the messenger, who sent it."""

    number: int
    type: str
    user_id: str
    key: str
    record: FileRecord

    @property
    def name(self) -> str:
        """What it is called."""
        return self.record.name

    @property
    def size_bytes(self) -> int:
        """How large it is."""
        return self.record.size

    @property
    def is_deleted(self) -> bool:
        """Whether it was removed."""
        return self.record.status is FileStatus.DELETED


class ChatShelf:
    """Keeps files of the chats of one messenger.

    Args:
        catalog: where they are recorded.
        destination: where they lie, below `chats/` of its prefix.
        platform: the messenger.
        link_hours: how long links are good.
    """

    def __init__(
        self, catalog: Catalog, destination: OpenDestination, *, platform: str, link_hours: int
    ) -> None:
        self._catalog = catalog
        self._destination = destination
        self._store = destination.store
        self._platform = platform
        self._link_s = link_hours * 3600

    async def begin(self, operation: OperationRecord) -> OperationRecord:
        """Record that a file is about to be kept; return the operation, as it ended if it did."""

        def work(tx: Tx) -> OperationRecord:
            known = tx.get_operation(operation.operation_id)
            if known is not None and known.status is OperationStatus.SUCCESS:
                return known
            running = replace(operation, status=OperationStatus.RUNNING)
            tx.put_operation(running)
            return running

        return await self._catalog.transaction(work)

    async def end(self, operation: OperationRecord, error: str | None = None) -> None:
        """Record how an operation ended that keeps nothing."""
        status = OperationStatus.SUCCESS if error is None else OperationStatus.FAILED
        ended = _ended(operation, status, error_message=error)
        await self._catalog.transaction(lambda tx: tx.put_operation(ended))

    async def keep(
        self,
        operation: OperationRecord,
        path: Path,
        *,
        chat: str,
        type_: str,
        user_id: str,
        advance: Callable[[int], None] = lambda _: None,
    ) -> KeptFile:
        """Store a file and give it a number; the operation ends with it.

        Args:
            operation: this one; its id is part of the key, so that a second run stores it once.
            path: the file, by its name.
            chat: where it was sent.
            type_: what it is to the messenger.
            user_id: who sent it.
            advance: told how many bytes the store has.

        Raises:
            StoreError: the store refuses. CatalogError: it can't be recorded.
            TargetUnreadable and others: as the system says of the file.
        """
        with system_errors(path.name):
            size = path.stat().st_size
            sha256, mime_type = await asyncio.to_thread(_look_at, path)
        name = name_for_chat(path.name, None)
        known = operation.operation_id.replace("-", "")
        key = (
            f"{self._destination.destination.prefix}{FOLDER}/{self._platform}/{chat}/{known}/{name}"
        )
        options = ObjectOptions(content_type=mime_type)
        await self._put(key, path, size, options, advance)
        record = FileRecord(
            name=name,
            path=self._destination.url_of(key),
            location=self._store.scheme,
            size=size,
            mime_type=mime_type,
            created_at=utc_now(),
            checksum=format_checksum("sha256", sha256),
            status=FileStatus.COMPLETED,
        )

        def work(tx: Tx) -> FileRecord:
            number = self._next_number(tx, chat)
            tags = {
                _CHAT: self._chat(chat), _NUMBER: f"{self._chat(chat)}#{number}", _TYPE: type_,
                _KEEPER: user_id, _KEY: key,
            }  # fmt: skip
            kept = replace(record, tags=tags)
            tx.put_file(kept)
            told = {
                "file_id": kept.id, "number": number, "size": size, "mime_type": mime_type,
                "checksum": record.checksum,
            }  # fmt: skip
            metadata = {**operation.metadata, **told}
            tx.put_operation(
                _ended(
                    replace(operation, target_name=name, metadata=metadata),
                    OperationStatus.SUCCESS,
                    result_path=record.path,
                )
            )
            return kept

        return _kept(await self._catalog.transaction(work))

    def _next_number(self, tx: Tx, chat: str) -> int:
        """Give out a number; whoever keeps a file of that chat elsewhere waits for `tx`."""
        counter = f"{_NUMBER} {self._chat(chat)}"
        number = tx.watch.take_number(counter)
        if number > 1:
            return number
        # What was kept before there were counters has numbers already.
        known = max((_number_of(one) for one in self._all_of(tx, chat)), default=0)
        tx.watch.count({counter: known})
        return number + known

    def _all_of(self, tx: Tx, chat: str, status: FileStatus | None = None) -> Iterator[FileRecord]:
        cursor: str | None = None
        while True:
            page = tx.list_files(
                FileFilter(tag=(_CHAT, self._chat(chat)), status=status, limit=_PAGE, cursor=cursor)
            )
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _put(
        self,
        key: str,
        path: Path,
        size: int,
        options: ObjectOptions,
        advance: Callable[[int], None],
    ) -> None:
        if size <= _PART_BYTES:
            await self._store.put(key, await asyncio.to_thread(path.read_bytes), options=options)
            advance(size)
            return
        sent = 0

        def tell(state: StreamedBytes) -> None:
            nonlocal sent
            advance(state.sent_bytes - sent)
            sent = state.sent_bytes

        handler = StreamingUploadHandler(self._store, on_progress=tell)
        upload_id = await handler.start_multipart_upload(key, content_type=options.content_type)
        try:
            await handler.upload_stream(upload_id, _pieces(path), part_bytes=_PART_BYTES)
            await handler.complete_upload(upload_id)
        except BaseException:
            await self._store.abort_upload(key, upload_id)
            raise

    async def of_operation(self, operation: OperationRecord) -> KeptFile:
        """Return the file that an operation kept; raises UnknownReference."""
        return _kept(await self._catalog.get_file(str(operation.metadata["file_id"])))

    async def has_done(self, operation: OperationRecord) -> bool:
        """Tell whether an operation ended well before."""
        known = await self._catalog.read(lambda tx: tx.get_operation(operation.operation_id))
        return known is not None and known.status is OperationStatus.SUCCESS

    async def numbered(self, chat: str, number: int, *, deleted: bool = False) -> KeptFile | None:
        """Return the file of that number; None when there is none, or it is `deleted` and those
        are not asked for."""
        status = None if deleted else FileStatus.COMPLETED
        wanted = FileFilter(tag=(_NUMBER, f"{self._chat(chat)}#{number}"), status=status, limit=1)
        found = (await self._catalog.list_files(wanted)).items
        return _kept(found[0]) if found else None

    async def newest(
        self, chat: str, *, words: str = "", skip: int = 0, limit: int
    ) -> list[KeptFile]:
        """Return files of a chat, newest first: those whose names hold all `words`.

        Args:
            chat: which.
            words: as people write them, whatever their case.
            skip: leave out so many.
            limit: how many at most.
        """
        wanted = words.casefold().split()

        def work(tx: Tx) -> list[FileRecord]:
            found = (
                one
                for one in self._all_of(tx, chat, FileStatus.COMPLETED)
                if all(word in one.name.casefold() for word in wanted)
            )
            return list(islice(found, skip, skip + limit))

        return [_kept(one) for one in await self._catalog.read(work)]

    @asynccontextmanager
    async def on_disk(self, kept: KeptFile, scratch: Path) -> AsyncIterator[Path]:
        """Have a kept file on this machine while the block runs: the store's own, or a copy below
        `scratch` whose checksum was found right.

        Raises:
            NoSuchObject: it is not in the store any more. VerificationFailed: it is not what was
            stored. Others: as `transfer.download.download`.
        """
        if isinstance(self._store, LocalFileStore):
            path = Path(self._store.local_path(kept.key))
            await self._store.head(kept.key)
            yield path
            return
        with system_errors("temporary files"):
            scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="get-", dir=scratch) as made:
                path = Path(made) / kept.name
                source = StoreRangeSource(self._store, kept.key)
                await download(source, path, expected_checksum=kept.record.checksum, fsync=False)
                yield path

    def link(self, kept: KeptFile) -> str | None:
        """Return a link by which anybody can fetch it for a time; None where a store has none."""
        if not isinstance(self._store, SigningStore):
            return None
        answer_with = {"Content-Disposition": content_disposition(kept.name, inline=True)}
        return self._store.sign_get(kept.key, expires_s=self._link_s, answer_with=answer_with)

    async def delete(self, operation: OperationRecord, kept: KeptFile) -> None:
        """Remove a file from the store and say so in its record; the operation ends with it."""
        await self._store.delete(kept.key)
        gone = replace(kept.record, status=FileStatus.DELETED)

        def work(tx: Tx) -> None:
            tx.put_file(gone)
            tx.put_operation(_ended(operation, OperationStatus.SUCCESS))

        await self._catalog.transaction(work)

    def _chat(self, chat: str) -> str:
        return f"{self._platform}:{chat}"


def _kept(record: FileRecord) -> KeptFile:
    tags = record.tags
    return KeptFile(
        number=_number_of(record),
        type=tags[_TYPE],
        user_id=tags[_KEEPER],
        key=tags[_KEY],
        record=record,
    )


def _number_of(record: FileRecord) -> int:
    return int(record.tags[_NUMBER].rpartition("#")[2])


def _ended(
    operation: OperationRecord,
    status: OperationStatus,
    *,
    result_path: str | None = None,
    error_message: str | None = None,
) -> OperationRecord:
    now = utc_now()
    return replace(
        operation,
        status=status,
        completed_at=now,
        duration_seconds=(now - operation.started_at).total_seconds(),
        result_path=result_path or operation.result_path,
        error_message=error_message,
    )


def _look_at(path: Path) -> tuple[str, str]:
    """Return a file's SHA-256, and its type by content or else by name."""
    with path.open("rb") as file:
        found = sniff(file.read(HEAD_BYTES))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest, (found.mime_type if found else mime_type_of(path.name)) or UNKNOWN_TYPE


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _READ_BYTES):
            yield piece
