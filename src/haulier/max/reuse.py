"""Sending again what MAX has already: tokens of files are kept and tried before an upload."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from haulier.core.progress import Meter
from haulier.max.preparing import Prepared
from haulier.max.uploads import Uploaded, Uploader


class TokenStore(Protocol):
    """Remembers tokens by the content of files, per bot, type and name."""

    async def find(self, file: Prepared, *, bot_id: str) -> str | None:
        """Return the token of a file with this content; None when none is known."""
        ...

    async def keep(self, file: Prepared, token: str, *, bot_id: str) -> None:
        """Remember the token of a file that was uploaded."""
        ...

    async def drop(self, file: Prepared, *, bot_id: str) -> None:
        """Forget the token of a file: MAX does not take it any more."""
        ...


class ReusingUploader:
    """Uploads what MAX has not got yet.

    Args:
        uploader: sends the bytes.
        bot_id: whose tokens they are.
        tokens: remembers them; None: everything is uploaded.
    """

    def __init__(self, uploader: Uploader, *, bot_id: str, tokens: TokenStore | None) -> None:
        self._uploader = uploader
        self._bot_id = bot_id
        self._tokens = tokens

    @asynccontextmanager
    async def uploading(self, file: Prepared, meter: Meter | None) -> AsyncIterator[Uploaded]:
        """Have a file's token while the block runs; as `Uploader.uploading`."""
        if self._tokens is not None:
            token = await self._tokens.find(file, bot_id=self._bot_id)
            if token is not None:
                if meter is not None:
                    meter.set_total(file.size_bytes)
                    meter.credit(file.size_bytes)
                yield Uploaded(
                    type=file.type,
                    token=token,
                    name=file.name,
                    size_bytes=file.size_bytes,
                    is_reused=True,
                )
                return
        async with self._uploader.uploading(
            file.path,
            file.type,
            name=file.name,
            mime_type=file.mime_type,
            meter=meter,
            is_temporary=file.is_temporary,
        ) as uploaded:
            yield uploaded
            if self._tokens is not None:
                await self._tokens.keep(file, uploaded.token, bot_id=self._bot_id)

    async def forget(self, files: Sequence[Prepared]) -> bool:
        """Forget the tokens of files that MAX refused; return whether there were any."""
        if self._tokens is None:
            return False
        known = False
        for file in files:
            if await self._tokens.find(file, bot_id=self._bot_id) is not None:
                await self._tokens.drop(file, bot_id=self._bot_id)
                known = True
        return known
