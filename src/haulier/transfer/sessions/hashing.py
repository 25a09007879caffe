"""The checksum of a whole file, wherever its bytes lie."""

from __future__ import annotations

import asyncio

from haulier.core.checksums import RunningChecksum
from haulier.core.sessions.chunks import Span
from haulier.transfer.sessions.staging import Stage

# Hashed in a few milliseconds: what a thread costs beside it does not show.
_STEP_BYTES = 4 << 20


async def checksum_of_file(stage: Stage, file_id: str, size_bytes: int, algorithm: str) -> str:
    """Return the checksum of a whole file as `algorithm:hex`; cancelled, it stops soon.

    Raises:
        ExternalServiceError: its bytes are not there.
    """
    checksum = RunningChecksum(algorithm)
    waiting: list[bytes | bytearray] = []
    waiting_bytes = 0
    async with stage.read(file_id, Span(0, size_bytes)) as pieces:
        async for piece in pieces:
            waiting.append(piece)
            waiting_bytes += len(piece)
            if waiting_bytes >= _STEP_BYTES:
                await asyncio.to_thread(_update, checksum, waiting)
                waiting, waiting_bytes = [], 0
    await asyncio.to_thread(_update, checksum, waiting)
    return str(checksum)


def _update(checksum: RunningChecksum, pieces: list[bytes | bytearray]) -> None:
    for piece in pieces:
        checksum.update(piece)
