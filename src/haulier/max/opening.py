"""What is to be sent, as a file on the disk: only such can be sent again from any offset."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from haulier.core.file_names import clean_name
from haulier.errors import UsageError
from haulier.net.http import HttpClient
from haulier.net.threads import in_thread
from haulier.store.local_files import system_errors
from haulier.transfer.download import download
from haulier.transfer.range_source import HttpRangeSource

Source = Path | str | bytes | BinaryIO | AsyncIterable[bytes]
"""A path, a link (`https://…`), bytes, an open file, or bytes that come piece by piece."""

_UNNAMED = "file"
_READ_BYTES = 1 << 20


@asynccontextmanager
async def opened(
    source: Source, name: str | None, *, http: HttpClient, scratch: Path | None
) -> AsyncIterator[tuple[Path, str, Path]]:
    """Have a source as a file while the block runs.

    Args:
        source: what is to be sent.
        name: what it is called.
        http: fetches links.
        scratch: the directory for temporary files; the system's when None.

    Yields:
        The file, its name, and a directory for temporary files, which is removed afterwards.

    Raises:
        UsageError: the source is none. StorageFull, …: as the system says.
        Others: as `transfer.download.download`.
    """
    with (
        system_errors("temporary files"),
        tempfile.TemporaryDirectory(prefix="haulier-max-", dir=scratch) as made,
    ):
        folder = Path(made)
        path = folder / "content"
        if isinstance(source, str) and source.startswith(("http://", "https://")):
            await download(HttpRangeSource(source, http), path, fsync=False)
            yield path, name or _name_in(source), folder
        elif isinstance(source, (str, Path)):
            given = Path(source)
            yield given, name or given.name, folder
        else:
            await _spool(source, path)
            yield path, name or _UNNAMED, folder


def _name_in(url: str) -> str:
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    return clean_name(name) if name.strip(". ") else _UNNAMED


async def _spool(source: bytes | BinaryIO | AsyncIterable[bytes], path: Path) -> None:
    if isinstance(source, bytes):
        await in_thread(lambda _: path.write_bytes(source))
        return
    with await in_thread(lambda _: path.open("wb")) as file:
        if isinstance(source, AsyncIterable):
            async for piece in source:
                await in_thread(lambda _, piece=piece: file.write(piece))  # type: ignore[misc]  # mypy infers no type for a default
            return
        if not hasattr(source, "read"):
            raise UsageError(
                f"{type(source).__name__} can't be sent",
                hint="Give a path, a link, bytes, an open file, or an async iterator of bytes.",
            )
        while piece := await in_thread(lambda _: source.read(_READ_BYTES)):
            await in_thread(lambda _, piece=piece: file.write(piece))  # type: ignore[misc]  # as above
