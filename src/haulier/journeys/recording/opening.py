"""Opening the place that recordings are sent to, from the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from haulier.catalog.catalog import Catalog
from haulier.core.recordings import FOLDER, Recording
from haulier.errors import ConfigurationError
from haulier.journeys.archive.open import destination_of, open_destination
from haulier.journeys.recording.sending import Bucket, RemoteServer, Save, Sender
from haulier.settings import Settings


class OpenedLater:
    """A place that is opened when something is sent there: it may be away when we start.

    Args:
        open_sender: opens it; asked again after it failed.
    """

    def __init__(self, open_sender: Callable[[], Awaitable[Sender]]) -> None:
        self._open_sender = open_sender
        self._opening = asyncio.Lock()
        self._sender: Sender | None = None

    async def send(
        self, recording: Recording, path: Path, progress: Mapping[str, Any], save: Save
    ) -> str:
        """See `Sender.send`."""
        async with self._opening:
            if self._sender is None:
                self._sender = await self._open_sender()
        return await self._sender.send(recording, path, progress, save)


def sender_of(
    settings: Settings, catalog: Catalog, stack: AsyncExitStack, *, own_files: Sender | None
) -> Sender:
    """Return what sends recordings to where SYNC_TO says; closed with `stack`.

    Args:
        settings: of this process.
        catalog: keeps what a bucket was seen to check.
        stack: closes connections.
        own_files: where they go when SYNC_TO says nothing.

    Raises:
        ConfigurationError: SYNC_TO says nothing, and there are no own files; or it names a server,
            and SYNC_TOKEN does not say whose files they will be.
        UsageError: it names a server in a way that can't be.
    """
    to = settings.recordings.sync_to
    if to is None:
        if own_files is None:
            raise ConfigurationError(
                "it is not said where recordings are sent",
                hint="Set SYNC_TO to s3://BUCKET/PREFIX or https://SERVER.",
            )
        return own_files
    if not to.startswith("s3://"):
        return _server(settings, to, stack)

    async def open_bucket() -> Sender:
        opened = await open_destination(settings, catalog, stack, to)
        return Bucket(opened.store, opened.destination.prefix)

    return OpenedLater(open_bucket)


def _server(settings: Settings, to: str, stack: AsyncExitStack) -> Sender:
    from haulier.store.haulier import HaulierStore

    place = destination_of(settings, to)
    token = settings.recordings.sync_token
    if token is None:
        raise ConfigurationError(
            f"there is no token for {place.root}",
            hint="Set SYNC_TOKEN to what `haulier token create NAME` prints there.",
        )
    files = HaulierStore.at(place.root, token.get_secret_value())
    stack.push_async_callback(files.aclose)
    return RemoteServer(files, place.prefix.strip("/") or FOLDER)
