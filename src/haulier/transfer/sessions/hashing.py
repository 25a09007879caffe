"""The checksum of a whole file, wherever its bytes lie."""

from __future__ import annotations

import asyncio
from pathlib import Path

from haulier.core.checksums import RunningChecksum
from haulier.core.sessions.chunks import Span
from haulier.errors import ExternalServiceError
from haulier.transfer.sessions.staging import Stage

# Hashed in some milliseconds, so that a thread's cost does not show.
_STEP_BYTES = 8 << 20
_BUFFER_BYTES = 256 << 10


async def checksum_of_file(stage: Stage, file_id: str, size_bytes: int, algorithm: str) -> str:
    """Return the checksum of a whole file as `algorithm:hex`; cancelled, it stops soon.

    Raises:
        ExternalServiceError: its bytes are not there.
    """
    checksum = RunningChecksum(algorithm)
    path = stage.path_of(file_id)
    if path is None:
        await _hash_stream(stage, file_id, size_bytes, checksum)
    else:
        await _hash_path(path, size_bytes, checksum)
    return str(checksum)


async def _hash_stream(
    stage: Stage, file_id: str, size_bytes: int, checksum: RunningChecksum
) -> None:
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


def _update(checksum: RunningChecksum, pieces: list[bytes | bytearray]) -> None:
    for piece in pieces:
        checksum.update(piece)


async def _hash_path(path: Path, size_bytes: int, checksum: RunningChecksum) -> None:
    """Hash a file on this machine: one buffer for all of it costs half of fresh pieces."""
    buffer = bytearray(_BUFFER_BYTES)
    offset = 0
    while offset < size_bytes:
        end = min(offset + _STEP_BYTES, size_bytes)
        await asyncio.to_thread(_step, path, offset, end, buffer, checksum)
        offset = end


def _step(path: Path, offset: int, end: int, buffer: bytearray, checksum: RunningChecksum) -> None:
    view = memoryview(buffer)
    try:
        with path.open("rb", buffering=0) as stream:
            stream.seek(offset)
            while offset < end:
                count = stream.readinto(view[: end - offset])
                if not count:
                    raise ExternalServiceError("a stored file is shorter than its record")
                checksum.update(view[:count])
                offset += count
    except OSError as exc:
        raise ExternalServiceError(f"a stored file can't be read: {exc.strerror}") from exc
