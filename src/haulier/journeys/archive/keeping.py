"""A copy of the archive on this machine as well (`--keep-archive`).

Parts are written at their offsets while they are sent. A part that a resume did not build again
may be missing here: the copy is checked as a whole and fetched from the store when it is not
right.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from haulier.core.checksums import crc64nvme
from haulier.journeys.archive.shipment import Shipment, archive_name
from haulier.store.base import Buffer
from haulier.transfer.part_upload import WholeObject

_BLOCK_BYTES = 1 << 20


class KeptArchive:
    """The copy while it is written: a temporary file beside its final name."""

    def __init__(self, directory: str, name: str, operation_id: str) -> None:
        self.path = temporary_path(directory, name, operation_id)
        self._descriptor = -1

    def __enter__(self) -> Self:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    def write(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Write `buffers` from `offset` on; safe from several threads."""
        for buffer in buffers:
            view = memoryview(buffer)
            while view:
                count = os.pwrite(self._descriptor, view, offset)
                view, offset = view[count:], offset + count


def temporary_path(directory: str, name: str, operation_id: str) -> str:
    return os.path.join(directory, f".haulier-keep-{operation_id}-{name}")


async def finish_kept(shipment: Shipment, whole: WholeObject) -> str | None:
    """Check the kept copy, mend it from the store if need be, and give it its name.

    Returns its path, or None when none was asked for.
    """
    directory = shipment.options.keep_archive_dir
    if directory is None:
        return None
    name = shipment.journal.key.rsplit("/", 1)[-1]
    temporary = Path(temporary_path(directory, archive_name(shipment), shipment.id))
    final = Path(directory) / name
    if not temporary.exists() and final.exists():
        return str(final)
    if not await asyncio.to_thread(_is_right, temporary, whole):
        await _fetch(shipment, temporary)
    await asyncio.to_thread(_publish, temporary, final, whole.size_bytes)
    return str(final)


def _is_right(path: Path, whole: WholeObject) -> bool:
    if not path.exists() or path.stat().st_size < whole.size_bytes:
        return False
    crc, left = 0, whole.size_bytes
    with path.open("rb") as file:
        while left and (piece := file.read(min(_BLOCK_BYTES, left))):
            crc = crc64nvme(piece, crc)
            left -= len(piece)
    return f"{crc:016x}" == whole.crc64nvme


async def _fetch(shipment: Shipment, path: Path) -> None:
    with path.open("wb") as file:
        async with shipment.destination.store.get(shipment.journal.key) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)


def _publish(temporary: Path, final: Path, size_bytes: int) -> None:
    with temporary.open("rb+") as file:
        file.truncate(size_bytes)
        os.fsync(file.fileno())
    temporary.replace(final)
