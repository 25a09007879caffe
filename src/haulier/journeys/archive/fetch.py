"""A whole archive as a file on this machine: the store's own, or a download that resumes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from haulier.archive.index import ArchiveIndex
from haulier.core.checksums import crc64nvme, format_checksum
from haulier.core.progress import Meter
from haulier.errors import CorruptArchive, UnsafeArchive, VerificationFailed
from haulier.journeys.archive.placing import require_space
from haulier.journeys.archive.references import StoredArchive
from haulier.store.base import LocalFileStore, ObjectInfo

_READ_BYTES = 1 << 20
_HINT = "It was not unpacked. Look at it with `haulier verify ID --deep`."


@asynccontextmanager
async def local_copy(
    archive: StoredArchive, info: ObjectInfo, index: ArchiveIndex | None, out: Path, meter: Meter
) -> AsyncIterator[Path]:
    """Yield the path of a file that holds the archive, proven to be what was uploaded.

    A local store's own file is used as it is. From elsewhere it is downloaded into a hidden
    file in `out`, which another run goes on with when this one dies, and removed at the end.

    Raises:
        VerificationFailed: it is not what was uploaded.
        StorageFull: `out` can't hold it. OperationBusy: another process restores the same.
        StoreError: the store refuses; what was fetched stays for the next run.
    """
    expected = expected_crc(archive, info, index)
    if isinstance(archive.store, LocalFileStore):
        path = Path(archive.store.local_path(archive.key))
        # With an index each file is held against its own checksum while it is unpacked.
        if index is None:
            await _require_crc(path, expected, archive)
        yield path
        return
    path = _hidden_path(archive, out)
    if not await _is_there(path, info, expected):
        await _download(archive, path, info, expected, meter)
    try:
        yield path
    except (VerificationFailed, CorruptArchive, UnsafeArchive):
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


def expected_crc(
    archive: StoredArchive, info: ObjectInfo, index: ArchiveIndex | None
) -> str | None:
    """Return the CRC-64/NVME the object should have, as `crc64nvme:<hex>`, from its record,
    its index or the store, whoever knows."""
    recorded = archive.operation.metadata.get("crc64nvme") if archive.operation else None
    indexed = index.header.crc64nvme if index is not None else None
    known = recorded or indexed or info.crc64nvme
    return None if known is None else format_checksum("crc64nvme", known)


def _hidden_path(archive: StoredArchive, out: Path) -> Path:
    digest = hashlib.sha256(f"{archive.destination.destination.identity}|{archive.key}".encode())
    return out / f".haulier-restore-{digest.hexdigest()[:16]}"


async def _is_there(path: Path, info: ObjectInfo, expected: str | None) -> bool:
    """Tell whether an earlier run died after its download and left the whole file."""
    if expected is None or not path.is_file() or path.stat().st_size != info.size_bytes:
        return False
    return await asyncio.to_thread(_crc_of, path) == expected


async def _download(
    archive: StoredArchive, path: Path, info: ObjectInfo, expected: str | None, meter: Meter
) -> None:
    from haulier.transfer.control_file import part_path
    from haulier.transfer.download import download
    from haulier.transfer.range_source import StoreRangeSource

    part = part_path(path)
    held = part.stat().st_blocks * 512 if part.exists() else 0
    require_space(path.parent, max(info.size_bytes - held, 0))
    source = StoreRangeSource(archive.store, archive.key)
    await download(source, path, expected_checksum=expected, meter=meter, overwrite=True)


async def _require_crc(path: Path, expected: str | None, archive: StoredArchive) -> None:
    if expected is None:
        return
    found = await asyncio.to_thread(_crc_of, path)
    if found != expected:
        raise VerificationFailed(f"{archive.key} is {found}, not {expected}", hint=_HINT)


def _crc_of(path: Path) -> str:
    crc = 0
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_READ_BYTES):
            crc = crc64nvme(piece, crc)
    return format_checksum("crc64nvme", crc)
