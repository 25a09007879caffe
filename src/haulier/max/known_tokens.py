"""Tokens of files that MAX has, kept in the catalog by the files' content."""

from __future__ import annotations

import hashlib
import os
import threading

from haulier import errors
from haulier.core.upload_tokens import TokenKey
from haulier.max.preparing import Prepared
from haulier.net.threads import in_thread
from haulier.transfer.tokens import TokenStore

_READ_BYTES = 1 << 20


class KnownTokens:
    """What `FileManager` takes as `tokens`.

    Names are part of the key: MAX shows the one that a file was uploaded under.

    Args:
        store: where tokens are kept.
    """

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._last: tuple[tuple[int, ...], str] | None = None

    async def find(self, file: Prepared, *, bot_id: str) -> str | None:
        """Return the token of a file with this content; None when none is known.

        Raises:
            TargetUnreadable: the file can't be read.
            CatalogError: the catalog fails.
        """
        return await self._store.find(await self._key(file, bot_id))

    async def keep(self, file: Prepared, token: str, *, bot_id: str) -> None:
        """Remember the token of a file that was uploaded; errors as `find`."""
        await self._store.keep(await self._key(file, bot_id), token, file.size_bytes)

    async def drop(self, file: Prepared, *, bot_id: str) -> None:
        """Forget the token of a file: MAX does not take it any more; errors as `find`."""
        await self._store.refuse(await self._key(file, bot_id))

    async def _key(self, file: Prepared, bot_id: str) -> TokenKey:
        digest = await in_thread(lambda stop: self._digest(file, stop))
        return TokenKey(
            content=f"sha256:{digest}", type=file.type.value, bot=bot_id, name=file.name
        )

    def _digest(self, file: Prepared, stop: threading.Event) -> str:
        """Return the SHA-256 of a file; of the one asked about last it is known."""
        try:
            with file.path.open("rb") as reader:
                status = os.fstat(reader.fileno())
                seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
                if self._last is not None and self._last[0] == seen:
                    return self._last[1]
                digest = hashlib.sha256()
                while not stop.is_set() and (piece := reader.read(_READ_BYTES)):
                    digest.update(piece)
        except OSError as exc:
            raise errors.TargetUnreadable(f"{file.name}: {exc.strerror or exc}") from exc
        if stop.is_set():
            raise InterruptedError  # nobody waits for it any more
        self._last = seen, digest.hexdigest()
        return digest.hexdigest()
