"""Cheaper rest for what is seldom asked for: lifecycle rules, and moving old archives by hand.

The index beside an archive must stay where it can be read at once: without it a member can't be
found, nor the catalog rebuilt. A lifecycle rule can't name an ending of keys. It could name a
size, but the index of a million small files is larger than many an archive. So archives carry a
tag from the start of their upload, and the rule is for that tag; nothing else ever moves by it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from haulier.catalog.filters import OperationFilter
from haulier.catalog.transaction import Tx
from haulier.core.records import FileStatus, OperationRecord, UploadRecord
from haulier.errors import ConfigurationError, UsageError, VerificationFailed
from haulier.journeys.archive.bookkeeping import operation
from haulier.journeys.archive.context import ArchiveContext
from haulier.journeys.archive.destination import OpenDestination
from haulier.journeys.archive.references import StoredArchive, of_upload
from haulier.journeys.archive.sending import ARCHIVE_TAG
from haulier.store.base import ObjectInfo

if TYPE_CHECKING:
    from haulier.store.s3 import S3Store

_ABORT_AFTER_DAYS = 7


async def setup_bucket(
    ctx: ArchiveContext,
    *,
    archive_after: timedelta | None = None,
    cors: Sequence[str] = (),
    storage_class: str = "GLACIER",
) -> OperationRecord:
    """Create the bucket if need be and give it haulier's rules; those of others stay.

    Uploads left open for a week are ended by the store itself.

    Args:
        archive_after: the age, in whole days, at which archives move to `storage_class`; those
            that were uploaded before archives had a tag stay, for `archive_old`.
        cors: origins whose pages may read objects; none leaves the rule as it is.

    Raises:
        ConfigurationError: the destination is no bucket, or `archive_after` is given and it
        does not keep tags.
        UsageError: `archive_after` is not a whole number of days.
        StoreError: the store refuses.
    """
    from haulier.store.s3_probe import keeps_tags
    from haulier.store.s3_setup import ensure_bucket, put_cors, put_lifecycle

    store = _bucket_of(ctx.destination)
    prefix = ctx.destination.destination.prefix
    days = None if archive_after is None else _whole_days(archive_after)
    async with operation(
        ctx, "setup", target_path=ctx.destination.url_of(prefix), target_name=store.bucket or ""
    ) as running:
        created = await ensure_bucket(store)
        if days is not None and not await keeps_tags(store, prefix):
            raise ConfigurationError(
                f"{ctx.destination.destination.root} does not let archives be tagged, "
                f"and a rule could not tell them from their indexes",
                hint="Allow s3:PutObjectTagging and s3:GetObjectTagging, or move old archives "
                "with `haulier archive-old`.",
            )
        await put_lifecycle(
            store,
            prefix=prefix,
            abort_days=_ABORT_AFTER_DAYS,
            archive_after_days=days,
            storage_class=storage_class,
            archive_tag=ARCHIVE_TAG,
        )
        if cors:
            await put_cors(store, cors)
        running.note(
            created=created,
            abort_after_days=_ABORT_AFTER_DAYS,
            archive_after_days=days,
            storage_class=None if days is None else storage_class,
            cors=list(cors),
        )
    return running.record


def _whole_days(age: timedelta) -> int:
    if age < timedelta(days=1) or age % timedelta(days=1):
        raise UsageError(
            f"objects can't be archived after {age}", hint="Give whole days, for example 90d."
        )
    return age.days


def _bucket_of(destination: OpenDestination) -> S3Store:
    if destination.store.scheme != "s3":
        raise ConfigurationError(
            f"{destination.destination.root} is not a bucket and has no storage classes",
            hint="Set AWS_S3_BUCKET, or name one with --to s3://bucket.",
        )
    # The store may be wrapped for retry and throttle; wrappers pass everything on.
    return cast("S3Store", destination.store)


async def archive_old(
    ctx: ArchiveContext, older_than: timedelta, storage_class: str = "GLACIER"
) -> list[OperationRecord]:
    """Move the archives of uploads older than `older_than` to a colder class.

    The index beside each stays readable. Returns an operation for each archive that was not in
    that class already; `failed` where the store refused, which spares the others.
    """
    due = [upload async for upload in _due(ctx, ctx.now() - older_than, storage_class)]
    return [await _archive_one(ctx, upload, storage_class) for upload in due]


async def _due(
    ctx: ArchiveContext, before: datetime, storage_class: str
) -> AsyncIterator[UploadRecord]:
    wanted = OperationFilter(operation_type="upload", location="s3", until=before)
    while True:
        page = await ctx.catalog.list_operations(wanted)
        for upload in page.items:
            if not isinstance(upload, UploadRecord) or upload.s3_file_record is None:
                continue
            is_there = upload.s3_file_record.status is FileStatus.COMPLETED
            if is_there and upload.s3_storage_class != storage_class:
                yield upload
        if page.next_cursor is None:
            return
        wanted = replace(wanted, cursor=page.next_cursor)


async def _archive_one(
    ctx: ArchiveContext, upload: UploadRecord, storage_class: str
) -> OperationRecord:
    async with operation(
        ctx,
        "archive",
        target_path=upload.result_path or "",
        target_name=upload.target_name,
        metadata={"upload_operation_id": upload.operation_id, "storage_class": storage_class},
        keep_failure=True,
    ) as running:
        archive = await of_upload(ctx, upload)
        info = await _in_class(upload, archive, storage_class)
        await ctx.catalog.transaction(lambda tx: _record_class(tx, upload, info, storage_class))
    return running.record


async def _in_class(upload: UploadRecord, archive: StoredArchive, storage_class: str) -> ObjectInfo:
    from haulier.store.s3_setup import copy_to_class

    info = await archive.store.head(archive.key)
    _require_same(upload, info)
    if info.storage_class == storage_class:  # an earlier run died before it was recorded
        return info
    bucket = _bucket_of(archive.destination)
    moved = await copy_to_class(bucket, archive.key, storage_class)
    _require_same(upload, moved)
    return moved


def _require_same(upload: UploadRecord, info: ObjectInfo) -> None:
    expected_crc = upload.metadata.get("crc64nvme")
    is_other = info.size_bytes != upload.compressed_size or (
        info.crc64nvme is not None and expected_crc not in {None, info.crc64nvme}
    )
    if is_other:
        raise VerificationFailed(
            f"{info.key} is not the object that was uploaded",
            hint="Look at it with `haulier verify ID --deep`.",
        )


def _record_class(tx: Tx, upload: UploadRecord, info: ObjectInfo, storage_class: str) -> None:
    """Record the class, and the ETag, which a copy may change."""
    now = tx.get_operation(upload.operation_id)
    if isinstance(now, UploadRecord):
        tx.put_operation(replace(now, s3_storage_class=storage_class, checksum_s3_etag=info.etag))
