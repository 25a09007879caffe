"""Bringing an archive back: find, fetch, prove, unpack. Or one member of it alone."""

from __future__ import annotations

import asyncio
import os
import posixpath
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from haulier.archive.index import ArchiveIndex
from haulier.archive.reader import ByteSource, detect_compression
from haulier.archive.safety import member_path
from haulier.archive.unpack import UnpackReport, staging, unpack
from haulier.core.records import OperationRecord
from haulier.errors import (
    DecryptionFailed,
    ObjectArchived,
    UnknownReference,
    VerificationFailed,
)
from haulier.journeys.archive.bookkeeping import RunningOperation, operation
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.fetch import local_copy
from haulier.journeys.archive.members import MemberRestore
from haulier.journeys.archive.placing import (
    place_inside,
    publish,
    require_free,
    require_space,
    target_errors,
)
from haulier.journeys.archive.references import StoredArchive, load_index, resolve
from haulier.journeys.archive.sealed import Unseal, plain_bytes, stored_part_sizes, unsealer
from haulier.journeys.archive.thaw import requested, require_readable
from haulier.net.threads import in_thread
from haulier.store.base import ObjectInfo


async def restore(
    ctx: ArchiveContext,
    reference: str,
    *,
    out: Path,
    member: str | None = None,
    key: str | None = None,
    overwrite: bool = False,
) -> OperationRecord:
    """Bring back an archive, or one member of it, below `out`.

    Names, times and modes come back. Nothing has its name before it is complete and checked.

    Args:
        reference: what `resolve` understands.
        out: the directory that NAME is made in; made itself when missing.
        member: only the file, link or directory at this path of the archive, with or without
            NAME. Only its bytes are fetched where there is an index.
        key: names the key of an encrypted archive: a file's path or `keyring:NAME`.
        overwrite: replace what is there.

    Returns:
        The operation of type `download`; `result_path` is where it went.

    Raises:
        UnknownReference: there is no such archive, or no such member.
        ObjectArchived: it must be retrieved first; that was requested.
        DuplicateName: the name is taken. StorageFull, TargetUnreadable: `out` can't take it.
        UnsafeArchive: it would write outside `out`; nothing was written.
        VerificationFailed, CorruptArchive: it is not what was uploaded.
        DecryptionFailed: the key is missing or wrong. StoreError: the store refuses.
    """
    archive = await resolve(ctx, reference)
    async with operation(
        ctx,
        "download",
        target_path=archive.url,
        target_name=archive.name,
        metadata=_about(archive, member),
    ) as running:
        info = await require_readable(archive)
        index = await load_index(ctx, archive, key)
        _require_same(archive, info, index)
        if key is None and index is not None and index.header.sealed is not None:
            raise DecryptionFailed(f"{archive.key} is encrypted")
        job = _Job(archive, info, index, running, out, unsealer(key, index), overwrite)
        with target_errors(out):
            out.mkdir(parents=True, exist_ok=True)
            try:
                path = await _bring(job, member, key)
            except ObjectArchived as error:
                # Its class did not tell: a tier of Intelligent-Tiering.
                raise await requested(archive) from error
        running.result_in(str(path))
    return running.record


@dataclass(frozen=True, slots=True)
class _Job:
    archive: StoredArchive
    info: ObjectInfo
    index: ArchiveIndex | None
    running: RunningOperation
    out: Path
    unseal: Unseal | None
    overwrite: bool


async def _bring(job: _Job, member: str | None, key: str | None) -> Path:
    if member is None:
        return await _whole(job, job.out)
    if job.index is None:
        return await _member_of_all(job, member)
    one = MemberRestore(
        archive=job.archive,
        info=job.info,
        index=job.index,
        out=job.out,
        key=key,
        overwrite=job.overwrite,
        running=job.running,
    )
    return await one.restore(member)


def _about(archive: StoredArchive, member: str | None) -> dict[str, Any]:
    upload = archive.operation
    values = {
        "s3_object_key": archive.key,
        "member": member,
        "upload_operation_id": None if upload is None else upload.operation_id,
    }
    return {name: value for name, value in values.items() if value is not None}


def _require_same(archive: StoredArchive, info: ObjectInfo, index: ArchiveIndex | None) -> None:
    """Refuse, before a byte moves, an object that is not the one the index describes."""
    if index is None:
        return
    header = index.header
    expected_size = sum(stored_part_sizes(header)) or (header.size if not header.sealed else None)
    is_other = expected_size not in {None, info.size_bytes} or (
        None not in {header.crc64nvme, info.crc64nvme} and header.crc64nvme != info.crc64nvme
    )
    if is_other:
        raise VerificationFailed(
            f"{archive.key} is not the object that its index describes",
            hint="It was overwritten or damaged; look at it with `haulier verify ID --deep`.",
        )


async def _whole(job: _Job, into: Path) -> Path:
    """Fetch all of the archive and unpack it in the directory `into`."""
    unpacked_bytes = 0
    if job.index is not None:
        require_free(into / member_path(job.index.header.name), overwrite=job.overwrite)
        unpacked_bytes = job.index.header.tar_size
    meter = job.running.measure(job.info.size_bytes, "downloading")
    async with local_copy(job.archive, job.info, job.index, job.out, meter) as path:
        require_space(into, unpacked_bytes)
        meter.set_stage("unpacking")
        meter.set_total(job.info.size_bytes + unpacked_bytes if unpacked_bytes else None)
        report = await in_thread(partial(_unpack, job, path, into, meter.add))
    job.running.note(files=report.files, size_bytes=report.size_bytes)
    return report.paths[0] if len(report.paths) == 1 else into


def _unpack(
    job: _Job, path: Path, into: Path, advance: Callable[[int], None], stop: Event
) -> UnpackReport:
    with ExitStack() as stack:

        def opened() -> tuple[bytes, ByteSource]:
            return plain_bytes(stack.enter_context(path.open("rb", buffering=0)), job.unseal)

        index = job.index
        return unpack(
            lambda: opened()[1],
            into,
            compression=(
                detect_compression(opened()[0]) if index is None else index.header.compression
            ),
            index=index,
            overwrite=job.overwrite,
            advance=advance,
            cancelled=stop.is_set,
        )


async def _member_of_all(job: _Job, member: str) -> Path:
    """Restore one member of an archive without an index: all of it is fetched, one stays."""
    with staging(job.out) as hidden:
        await _whole(job, hidden)
        found = await asyncio.to_thread(_find, hidden, member)
        if found is None:
            raise UnknownReference(
                f"{job.archive.key} holds no {member!r}",
                hint="List what is in it with `haulier ls`.",
            )
        target = place_inside(job.out, found)
        require_free(target, overwrite=job.overwrite)
        return publish(hidden / found, target, overwrite=job.overwrite)


def _find(root: Path, member: str) -> str | None:
    """Return the path below `root` of what was unpacked as `member`, with or without NAME."""
    wanted = posixpath.normpath(member).strip("/")
    if wanted in {"", "."} or ".." in wanted.split("/"):
        return None
    candidates = [wanted, *(f"{top}/{wanted}" for top in os.listdir(root))]
    return next((path for path in candidates if _is_inside(root, path)), None)


def _is_inside(root: Path, path: str) -> bool:
    """Tell whether `path` is a member unpacked in `root`, not something a link leads to."""
    base = os.path.realpath(root)
    plain_parent = os.path.dirname(os.path.join(base, path))
    return os.path.lexists(root / path) and os.path.realpath(plain_parent) == plain_parent
