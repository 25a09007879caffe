"""Asking the store again: is each archive still what was put there?

A plain check asks for size, ETag and CRC. A deep one reads every byte back. Whatever is found
is recorded, so that the history tells when an archive was last known to be good.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from haulier.archive.index import ArchiveIndex
from haulier.catalog.filters import OperationFilter
from haulier.core.records import FileStatus, OperationRecord, UploadRecord
from haulier.errors import (
    DecryptionFailed,
    HaulierError,
    NoSuchObject,
    UsageError,
    VerificationFailed,
)
from haulier.journeys.archive.bookkeeping import RunningOperation, operation
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.readback import ReadBack, read_back
from haulier.journeys.archive.references import StoredArchive, load_index, of_upload, resolve
from haulier.journeys.archive.sealed import stored_part_sizes, unsealer
from haulier.journeys.archive.streaming import read_through
from haulier.store.base import ObjectInfo

_HINT = "Do not delete the source. Restore from another copy, or upload it again with --force."


@dataclass(frozen=True, slots=True)
class _Difference:
    check: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        if self.check == "content":
            return str(self.found)
        return f"{self.check} is {self.found}, {self.expected} was expected"


async def verify(
    ctx: ArchiveContext,
    references: Sequence[str] = (),
    *,
    everything: bool = False,
    deep: bool = False,
    key: str | None = None,
) -> list[OperationRecord]:
    """Compare what is stored with what was recorded, without changing either.

    Args:
        references: what `resolve` understands.
        everything: every archive that the catalog says is stored, newest first.
        deep: read each object back: CRC-64/NVME, ETag and SHA-256 of its bytes, and each
            member's SHA-256.
        key: names the key of encrypted archives, for `deep`.

    Returns:
        An operation of type `verify` for each archive: `failed` when anything differs, when
        the object is missing or could not be asked for. `metadata` has `checks`, `expected`,
        `found` and `differences`.

    Raises:
        UsageError: nothing was named. UnknownReference: a reference means nothing.
    """
    if not references and not everything:
        raise UsageError("nothing to verify", hint="Name an ID or a key, or give --all.")
    wanted = [(reference, await _located(resolve(ctx, reference))) for reference in references]
    if everything:
        wanted += [
            (upload.target_name, await _located(of_upload(ctx, upload)))
            async for upload in _stored_uploads(ctx)
        ]
    return [
        await _not_reached(ctx, name, found)
        if isinstance(found, HaulierError)
        else await _verify_one(ctx, found, deep=deep, key=key)
        for name, found in wanted
    ]


async def _located(search: Awaitable[StoredArchive]) -> StoredArchive | HaulierError:
    """Return the archive, or why its store can't be asked; a wrong reference is raised."""
    try:
        return await search
    except UsageError:
        raise
    except HaulierError as error:
        return error


async def _not_reached(ctx: ArchiveContext, name: str, error: HaulierError) -> OperationRecord:
    async with operation(
        ctx, "verify", target_path=name, target_name=name, keep_failure=True
    ) as running:
        raise error
    return running.record


async def _stored_uploads(ctx: ArchiveContext) -> AsyncIterator[UploadRecord]:
    """Yield the upload that made each object which should be there."""
    wanted = OperationFilter(operation_type="upload")
    seen: set[str | None] = set()
    while True:
        page = await ctx.catalog.list_operations(wanted)
        for upload in page.items:
            remote = upload.s3_file_record if isinstance(upload, UploadRecord) else None
            if remote is None or remote.status is not FileStatus.COMPLETED:
                continue
            assert isinstance(upload, UploadRecord)
            # Of several uploads to one key, only the last one's object is there.
            place = f"{upload.metadata.get('destination')}|{upload.s3_object_key}"
            if place not in seen:
                seen.add(place)
                yield upload
        if page.next_cursor is None:
            return
        wanted = replace(wanted, cursor=page.next_cursor)


async def _verify_one(
    ctx: ArchiveContext, archive: StoredArchive, *, deep: bool, key: str | None
) -> OperationRecord:
    about: dict[str, Any] = {"s3_object_key": archive.key, "deep": deep}
    if archive.operation is not None:
        about["upload_operation_id"] = archive.operation.operation_id
    async with operation(
        ctx,
        "verify",
        target_path=archive.url,
        target_name=archive.name,
        metadata=about,
        keep_failure=True,
    ) as running:
        differences = await _compare(ctx, archive, running, deep=deep, key=key)
        if differences:
            raise VerificationFailed(
                f"{archive.key}: " + "; ".join(map(str, differences)), hint=_HINT
            )
    return running.record


async def _compare(
    ctx: ArchiveContext,
    archive: StoredArchive,
    running: RunningOperation,
    *,
    deep: bool,
    key: str | None,
) -> list[_Difference]:
    expected: dict[str, Any] = {"object": "present"}
    found: dict[str, Any] = {}
    damages: list[str] = []
    try:
        info = await archive.store.head(archive.key)
    except NoSuchObject:
        found["object"] = "missing"
    else:
        index = await _index_if_needed(ctx, archive, deep=deep, key=key)
        expected |= _expected(archive.operation, index)
        found |= {"object": "present", **_shown(info)}
        if deep:
            read = await _read(archive, info, index, running, key)
            expected |= {f"read_{name}": value for name, value in expected.items()}
            found |= _read_values(read)
            damages = read.damages
    differences = [
        _Difference(name, expected[name], found[name])
        for name in expected
        if name in found and found[name] != expected[name]
    ]
    differences += [_Difference("content", "undamaged", damage) for damage in damages]
    checks = [name for name in expected if name in found]
    expected = {name: expected[name] for name in checks}
    running.note(
        checks=checks,
        expected=expected,
        found=found,
        differences=[asdict(difference) for difference in differences],
    )
    return differences


async def _index_if_needed(
    ctx: ArchiveContext, archive: StoredArchive, *, deep: bool, key: str | None
) -> ArchiveIndex | None:
    """Load the index where something is to be learned from it.

    A sealed one that can't be opened leaves the object's own checksums to go by.
    """
    if archive.operation is not None and not deep:
        return None
    try:
        return await load_index(ctx, archive, key=key)
    except DecryptionFailed:
        if key is not None:
            raise
        return None


def _expected(upload: UploadRecord | None, index: ArchiveIndex | None) -> dict[str, Any]:
    """Return what was recorded of the object, by the catalog or else by its index."""
    values: dict[str, Any] = {}
    if upload is not None:
        recorded = dict(
            text.split(":", 1)
            for text in (upload.checksum_compressed, upload.metadata.get("sha256"))
            if text is not None
        )
        values = {
            "size": upload.compressed_size,
            "etag": upload.checksum_s3_etag,
            "crc64nvme": upload.metadata.get("crc64nvme") or recorded.get("crc64nvme"),
            "sha256": recorded.get("sha256"),
        }
    elif index is not None:
        header = index.header
        values = {
            "size": sum(stored_part_sizes(header)) or None,
            "etag": header.etag,
            "crc64nvme": header.crc64nvme,
        }
    return {name: value for name, value in values.items() if value is not None}


def _shown(info: ObjectInfo) -> dict[str, Any]:
    values = {"size": info.size_bytes, "etag": info.etag, "crc64nvme": info.crc64nvme}
    return {name: value for name, value in values.items() if value is not None}


async def _read(
    archive: StoredArchive,
    info: ObjectInfo,
    index: ArchiveIndex | None,
    running: RunningOperation,
    key: str | None,
) -> ReadBack:
    meter = running.measure(info.size_bytes, "reading back")
    work = partial(
        read_back,
        index=index,
        part_sizes=_part_sizes(archive, info, index),
        with_sha256=True,
        unseal=unsealer(key, index),
    )
    return await read_through(
        archive.store, archive.key, work, if_match=info.etag, advance=meter.add
    )


def _part_sizes(
    archive: StoredArchive, info: ObjectInfo, index: ArchiveIndex | None
) -> Sequence[int]:
    """Return the sizes of the parts whose MD5s the ETag was made of; none when it was not."""
    upload = archive.operation
    if index is None or upload is None or "etag" not in upload.metadata.get("checks", ()):
        return ()
    sizes = stored_part_sizes(index.header)
    # A copy within the store, to another storage class say, has an ETag of another form.
    return sizes if (info.etag or "").endswith(f"-{len(sizes)}") else ()


def _read_values(read: ReadBack) -> dict[str, Any]:
    values: dict[str, Any] = {
        "read_size": read.size_bytes,
        "read_etag": read.etag,
        "read_crc64nvme": read.crc64nvme,
        "read_sha256": read.sha256,
        "members": read.members,
    }
    return {name: value for name, value in values.items() if value is not None}
