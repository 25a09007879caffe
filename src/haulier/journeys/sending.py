"""Files into a chat, each recorded as an operation: begun before it leaves, ended after.

Which messenger it is, the scheme of the destination says: `max:CHAT`, `discord:CHANNEL`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from haulier.catalog.catalog import Catalog
from haulier.core.progress import ProgressBoard
from haulier.core.records import OperationRecord, OperationStatus, utc_now
from haulier.errors import ConfigurationError, HaulierError, UsageError
from haulier.journeys.archive.open import open_catalog
from haulier.max.client import API_URL, MaxClient
from haulier.max.files import FileManager
from haulier.max.known_tokens import KnownTokens
from haulier.max.outgoing import To
from haulier.max.preparing import OverLimit, Preparer
from haulier.max.sent import SentFile
from haulier.max.upload_types import UploadType
from haulier.max.uploads import Uploader
from haulier.media.clamd import Clamd
from haulier.media.isolation import Workers
from haulier.settings import Settings
from haulier.transfer.tokens import TokenStore

TYPE = "send"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOptions:
    """How files are sent.

    Attributes:
        text: stands in the first message.
        as_file: all of them as they are, not as pictures, videos and sound.
        over_limit: what to do with what the messenger does not take: refuse, file, compress.
    """

    text: str | None = None
    as_file: bool = False
    over_limit: str = OverLimit.REFUSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What became of one file: `where` it is, or the `error`."""

    where: str | None
    metadata: dict[str, Any]
    error: HaulierError | None = None


class Messenger(Protocol):
    """Something that files can be sent to."""

    async def send(self, paths: Sequence[Path], options: SendOptions) -> list[Delivered]:
        """Send files, and return what became of each; one that fails spares the others."""
        ...


async def send(
    settings: Settings,
    to: str,
    paths: Sequence[Path],
    options: SendOptions,
    *,
    board: ProgressBoard,
    command_args: Sequence[str] = (),
) -> list[OperationRecord]:
    """Send files to a chat and record each.

    Args:
        settings: of this process.
        to: `max:CHAT_ID`, `max:user:USER_ID` or `discord:CHANNEL_ID`.
        paths: the files.
        options: how.
        board: shows how far they are.
        command_args: kept in the records.

    Returns:
        What became of each file, in the order given.

    Raises:
        UsageError: there is no such kind of destination. ConfigurationError: a setting is
        missing. CatalogError: the catalog can't be opened.
    """
    scheme, _, chat = to.partition(":")
    opener = _MESSENGERS.get(scheme)
    if opener is None or not chat:
        raise UsageError(
            f"{to!r} is no chat", hint="Write max:CHAT_ID, max:user:USER_ID or discord:CHANNEL_ID."
        )
    async with (
        await open_catalog(settings) as catalog,
        opener(settings, catalog, chat, board) as messenger,
    ):
        begun = [
            OperationRecord(
                operation_type=TYPE,
                target_path=str(path.absolute()),
                target_name=path.name,
                status=OperationStatus.RUNNING,
                metadata={"to": to},
                command_args=list(command_args),
            )
            for path in paths
        ]
        for record in begun:
            await catalog.transaction(lambda tx, record=record: tx.put_operation(record))  # type: ignore[misc]  # mypy infers no type for a default
        delivered = await messenger.send(paths, options)
        ended = [_ended(*each) for each in zip(begun, delivered, strict=True)]
        for record in ended:
            await catalog.transaction(lambda tx, record=record: tx.put_operation(record))  # type: ignore[misc]  # as above
    return ended


def _ended(record: OperationRecord, delivered: Delivered) -> OperationRecord:
    now, error = utc_now(), delivered.error
    metadata = {**record.metadata, **delivered.metadata}
    if error is not None:
        metadata["error"] = {"code": error.code, "hint": error.hint}
    return replace(
        record,
        completed_at=now,
        duration_seconds=(now - record.started_at).total_seconds(),
        status=OperationStatus.SUCCESS if error is None else OperationStatus.FAILED,
        result_path=delivered.where,
        error_message=None if error is None else error.message,
        metadata=metadata,
    )


class _Max:
    def __init__(self, files: FileManager, to: To) -> None:
        self._files = files
        self._to = to

    async def send(self, paths: Sequence[Path], options: SendOptions) -> list[Delivered]:
        sent = await self._files.send_files(
            self._to,
            paths,
            text=options.text,
            over_limit=OverLimit(options.over_limit),
            as_type=UploadType.FILE if options.as_file else None,
        )
        return [self._delivered(one) for one in sent]

    def _delivered(self, sent: SentFile) -> Delivered:
        metadata = {
            "type": sent.type,
            "mime_type": sent.mime_type,
            "size": sent.size_bytes,
            "checksum": sent.checksum,
            "message_id": sent.message.mid if sent.message else None,
            "reused": sent.is_reused,
            "warnings": list(sent.warnings),
        }
        where = f"max:{self._to}/{sent.message.mid}" if sent.message else None
        return Delivered(where=where, metadata=metadata, error=sent.error)


@asynccontextmanager
async def _open_max(
    settings: Settings, catalog: Catalog, chat: str, board: ProgressBoard
) -> AsyncIterator[_Max]:
    to = To.parse(chat)
    async with open_max_client(settings) as client, AsyncExitStack() as stack:
        workers = None
        if all(find_spec(name) for name in ("PIL", "av")):  # else MAX checks pixels and minutes
            workers = await stack.enter_async_context(Workers())
        yield _Max(open_max_files(settings, client, catalog, workers=workers, board=board), to)


def open_max_files(
    settings: Settings,
    client: MaxClient,
    catalog: Catalog | None,
    *,
    workers: Workers | None,
    board: ProgressBoard | None = None,
) -> FileManager:
    """Return what sends files as the settings say, whose uploads outlive the process. What MAX has
    already, by what the catalog knows, is not uploaded again."""
    return FileManager(
        client,
        tokens=None if catalog is None else KnownTokens(TokenStore(catalog)),
        uploader=Uploader(client, state_folder=settings.general.data / "max" / "uploads"),
        preparer=Preparer(workers=workers, scanner=_scanner(settings)),
        board=board,
    )


def open_max_client(settings: Settings) -> MaxClient:
    """Return a client of the bot that the settings name.

    Raises:
        ConfigurationError: MAX_TOKEN is missing, or MAX_CA_FILE can't be read.
    """
    chat = settings.chat
    if chat.max_token is None:
        raise ConfigurationError(
            "MAX_TOKEN is not set",
            hint="Set it to the bot's token, as its settings in MAX show it.",
        )
    return MaxClient(
        chat.max_token.get_secret_value(),
        api_url=chat.max_api_url or API_URL,
        ca_file=chat.max_ca_file,
    )


def _scanner(settings: Settings) -> Clamd | None:
    url, most = settings.server.clamd_url, settings.server.clamd_max_file_mb << 20
    return None if url is None else Clamd(url, max_stream_bytes=most, max_file_bytes=most)


def _open_discord(
    settings: Settings, _catalog: Catalog, chat: str, board: ProgressBoard
) -> AbstractAsyncContextManager[Messenger]:
    from haulier.journeys.discord_sending import open_discord  # which leans on the classes above

    return open_discord(settings, chat, board)


_MESSENGERS: dict[
    str, Callable[[Settings, Catalog, str, ProgressBoard], AbstractAsyncContextManager[Messenger]]
] = {"max": _open_max, "discord": _open_discord}
